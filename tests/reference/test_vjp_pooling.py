"""Gradients of pooling layers: exact difference quotients, the adjoint identity bit for bit, powers in many digits.

Agreement with PyTorch is in tests/agreements, correct rounding of avg_pool in test_exactness.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pool_definitions as definition
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_cases import UNIT_ROUNDOFF, assert_same, assert_within, integers, pool_calls, sizes

import reference
from reference import ConstraintError, vjp

seeds = st.integers(0, 2**32)
STEP = Fraction(1, 4)  # less than half of what distinct integers are apart
INF, NAN = np.inf, np.nan


def of_rank(module, name, rank):
    return getattr(module, f"{name}{rank}d")


def distinct(shape, seed):
    return np.random.default_rng(seed).permutation(math.prod(shape)).reshape(shape)


def largest(values, _places):
    return max(values, default=0)


def slopes_of_maxima(x, axes, cotangent):
    """Return the exact gradient of the maxima of distinct integers, which are linear within a step."""
    slopes = definition.gradient(largest, definition.fractions(x), axes, cotangent.astype(object), STEP)
    return slopes.astype(float)


@st.composite
def adaptive_calls(draw):
    rank = draw(st.integers(1, 3))
    spatial = sizes(draw, rank, 1, 5 if rank < 3 else 3)
    x = distinct((1, draw(st.integers(1, 2)), *spatial), draw(seeds))
    return rank, x, tuple(sizes(draw, rank, 1, 6 if rank < 3 else 4)), draw(seeds)


@given(pool_calls(dtypes=[np.int64]), seeds)
@settings(max_examples=50)
def test_maximum(call, seed):
    x = distinct(call.batched()["input"].shape, seed)
    axes = definition.regular(x.shape[2:], **call.attributes)
    cotangent = integers((*x.shape[:2], *map(len, axes)), seed)
    expected = slopes_of_maxima(x, axes, cotangent)
    gradient = of_rank(vjp, "max_pool", call.rank)
    for ties in ("first", "share"):
        assert_same(gradient(cotangent, x, **call.attributes, ties=ties), expected)
    one = gradient(cotangent[0], x[0].astype(float), **call.attributes, ties="share")
    assert_same(one, expected[0])


@given(adaptive_calls())
@settings(max_examples=50)
def test_adaptive_maximum(call):
    rank, x, out, seed = call
    axes = definition.adaptive(x.shape[2:], out)
    cotangent = integers((*x.shape[:2], *out), seed)
    expected = slopes_of_maxima(x, axes, cotangent)
    assert_same(of_rank(vjp, "adaptive_max_pool", rank)(cotangent, x, out), expected)


@given(rank=st.integers(2, 3), data=st.data(), seed=seeds)
@settings(max_examples=50)
def test_fractional_maximum(rank, data, seed):
    kernel, out = sizes(data.draw, rank, 1, 3), sizes(data.draw, rank, 1, 3)
    spatial = [k + o - 1 + data.draw(st.integers(0, 2)) for k, o in zip(kernel, out, strict=True)]
    x, samples = distinct((1, 2, *spatial), seed), np.random.default_rng(seed).random((1, 2, rank))
    in_order = samples[..., ::-1] if rank == 2 else samples

    def windows(n, c):
        along = zip(spatial, kernel, out, in_order[n, c].tolist(), strict=True)
        return [definition.fractional(*axis) for axis in along]

    cotangent = integers((1, 2, *out), seed)
    expected = slopes_of_maxima(x, windows, cotangent)
    gradient = of_rank(vjp, "fractional_max_pool", rank)
    assert_same(gradient(cotangent, x, tuple(kernel), tuple(out), random_samples=samples), expected)


def total(values, _places):
    return sum(values, Fraction(0))


def assert_mean_gradient(gradient, x, cotangent, axes, divisors):
    """Check a gradient of means: bit for bit inside exact(), within the bound that its docstring tells outside."""
    shares = np.frompyfunc(lambda d: Fraction(1, d) if d else Fraction(0), 1, 1)(divisors)
    exact, zero = definition.fractions(cotangent), definition.fractions(x)
    slopes, sizes = (definition.gradient(total, zero, axes, g, STEP) for g in (exact * shares, abs(exact * shares)))
    terms = definition.volume(axes)  # no element is in more windows than a window has elements, or than there are
    bound = (terms + 2) * UNIT_ROUNDOFF * definition.nearest(sizes)
    assert_within(gradient(cotangent), definition.nearest(slopes), bound)
    with reference.exact():
        assert_same(gradient(cotangent), definition.nearest(slopes))


@given(pool_calls(dtypes=[np.float64], dilated=False), st.booleans(), st.sampled_from([None, 3, -2]), seeds)
@settings(max_examples=30)
def test_average(call, counted, divisor, seed):
    x = call.batched()["input"][:1, :1]
    attributes = call.attributes | {"count_include_pad": counted, "divisor_override": divisor}
    axes = definition.regular(x.shape[2:], **call.attributes)
    divisors = definition.divisors(x.shape[2:], counted, **call.attributes)
    divisors = divisors if divisor is None else np.full_like(divisors, divisor)
    cotangent = np.random.default_rng(seed).standard_normal((1, 1, *divisors.shape))
    gradient = of_rank(vjp, "avg_pool", call.rank)
    assert_mean_gradient(lambda g: gradient(g, x, **attributes), x, cotangent, axes, divisors)


@given(adaptive_calls())
@settings(max_examples=30)
def test_adaptive_average(call):
    rank, x, out, seed = call
    axes, gradient = definition.adaptive(x.shape[2:], out), of_rank(vjp, "adaptive_avg_pool", rank)
    counts = np.frompyfunc(len, 1, 1)(definition.pooled(lambda values, _: values, x[:1, :1], axes))[0, 0]
    cotangent = np.random.default_rng(seed).standard_normal((1, 1, *out))
    assert_mean_gradient(lambda g: gradient(g, x[:1, :1], out), x[:1, :1], cotangent, axes, counts)


def inner(a, b):
    """Return <a, b> of whole numbers, complex ones perhaps: exact."""
    return (np.asarray(a) * np.conj(b)).sum()


@pytest.mark.parametrize("dtype", [np.int64, np.float64, np.complex128])
@given(call=pool_calls(dtypes=[np.float64], dilated=False), seed=seeds)
@settings(max_examples=30)
def test_adjoint_of_sums(dtype, call, seed):
    """<A x, y> = <x, A' y>."""
    x = integers(call.arrays["input"].shape, seed, dtype)
    pool, gradient = of_rank(reference, "avg_pool", call.rank), of_rank(vjp, "avg_pool", call.rank)
    output = pool(x, **call.attributes, divisor_override=1)
    y = integers(output.shape, seed + 1, dtype)
    assert inner(output, y) == inner(x, gradient(y, x, **call.attributes, divisor_override=1))


@pytest.mark.parametrize("dtype", [np.int64, np.float64, np.complex128])
@given(call=adaptive_calls())
@settings(max_examples=30)
def test_adjoint_of_adaptive_means(dtype, call):
    rank, x, out, seed = call
    common = math.lcm(*range(1, 6)) ** rank  # a multiple of the length of every region: the means are whole
    x = integers(x.shape, seed, dtype) * common
    y = integers((*x.shape[:2], *out), seed + 1, dtype) * common
    forward, back = of_rank(reference, "adaptive_avg_pool", rank), of_rank(vjp, "adaptive_avg_pool", rank)
    assert inner(forward(x, out), y) == inner(x, back(y, x, out))


@given(adaptive_calls(), st.integers(1, 3), st.sampled_from([np.int64, np.float64, np.complex128]))
def test_adjoint_of_unpooling(call, kernel, dtype):
    rank, x, _, seed = call
    size = math.prod(n * kernel for n in x.shape[2:])
    rng = np.random.default_rng(seed)
    indices = np.array([rng.permutation(size)[: math.prod(x.shape[2:])] for _ in range(x.shape[1])]).reshape(x.shape)
    x = integers(x.shape, seed, dtype)
    output = of_rank(reference, "max_unpool", rank)(x, indices, kernel)
    y = integers(output.shape, seed + 1, dtype)
    gradient = of_rank(vjp, "max_unpool", rank)(y, x, indices, kernel)
    assert gradient.dtype == dtype
    assert inner(output, y) == inner(x, gradient)


def test_repeated_indices_all_get_what_pytorch_gives_them():
    assert_same(vjp.max_unpool1d([[1, 2, 3, 4]], [[5, 6]], [[3, 3]], 2), np.array([[4, 4]]))


def test_equal_elements_share_a_cotangent():
    x = [[[2, 1, 2], [2, 2, 0]]]
    assert_same(vjp.max_pool2d([[[12.0]]], x, (2, 3)), np.array([[[12.0, 0, 0], [0, 0, 0]]]))
    assert_same(vjp.max_pool2d([[[12.0]]], x, (2, 3), ties="share"), np.array([[[3.0, 0, 3], [3, 3, 0]]]))
    overlapping = vjp.max_pool2d([[[12.0, 12.0]]], x, 2, 1, ties="share")
    assert_same(overlapping, np.array([[[4.0, 0, 6], [4, 4 + 6, 0]]]))


@given(pool_calls(rules=[False, True], pairs=False), seeds)
def test_torch_shares_as_amax_does(call, seed):
    torch = pytest.importorskip("torch", reason="PyTorch is a peer to compare with, not a dependency")
    x = np.random.default_rng(seed).integers(-2, 3, call.batched()["input"].shape).astype(np.float64)
    axes = definition.regular(x.shape[2:], **call.attributes)
    leaf = torch.from_numpy(x).requires_grad_()
    cotangent = integers((*x.shape[:2], *map(len, axes)), seed, np.float64) * 720
    loss = torch.zeros((), dtype=torch.float64)
    for u in np.ndindex(*cotangent.shape[2:]):
        window = leaf
        for axis, (line, i) in enumerate(zip(axes, u, strict=True)):
            window = window.index_select(axis + 2, torch.tensor(line[i], dtype=torch.int64))
        if window.numel():
            largest = torch.amax(window, tuple(range(2, x.ndim)))
            loss = loss + (largest * torch.from_numpy(cotangent[(..., *u)])).sum()
    expected = torch.autograd.grad(loss, leaf)[0].numpy() if loss.requires_grad else np.zeros(x.shape)
    gradient = of_rank(vjp, "max_pool", call.rank)(cotangent, x, **call.attributes, ties="share")
    # Of at most 27 equal elements each gets a share that is rounded once, from at most 27 windows.
    assert_within(gradient, expected, 2 * 28 * 27 * 9 * 720 * UNIT_ROUNDOFF)


@pytest.mark.parametrize("ties", ["first", "share"])
def test_what_is_no_number_gets_the_cotangent_as_the_index_says(ties):
    x, g = [[1.0, NAN, NAN, 2.0, -INF, NAN]], [[10.0, 20.0]]
    assert_same(vjp.max_pool1d(g, x, 3, ties=ties), np.array([[0.0, 0, 10, 0, 0, 20]]))
    assert_same(vjp.max_pool1d(g, x, 3, nan="ignore", ties=ties), np.array([[10.0, 0, 0, 20, 0, 0]]))
    assert_same(vjp.max_pool1d([[7.0]], [[NAN, -INF]], 2, nan="ignore", ties=ties), np.array([[0.0, 7.0]]))
    assert_same(vjp.max_pool1d([[7.0]], [[NAN, NAN]], 2, nan="ignore", ties=ties), np.array([[0.0, 0.0]]))
    beyond = {"kernel_size": 1, "stride": 3, "ceil_mode": "ceil_keep", "ties": ties}
    assert_same(vjp.max_pool1d([[3, 5]], [[1.0, 2.0]], **beyond), np.array([[3.0, 0.0]]))
    assert_same(vjp.max_pool1d([[INF, 1.0]], [[1.0, 2.0]], 1, ties=ties), np.array([[INF, 1.0]]))


def test_windows_without_an_element_give_nothing_to_means():
    beyond = {"kernel_size": 1, "stride": 3, "ceil_mode": "ceil_keep", "count_include_pad": False}
    assert_same(vjp.avg_pool1d([[3.0, 5.0]], [[1.0, 2.0]], **beyond), np.array([[3.0, 0.0]]))
    with reference.exact():
        assert_same(vjp.avg_pool1d([[3.0, 5.0]], [[1.0, 2.0]], **beyond), np.array([[3.0, 0.0]]))


@pytest.mark.parametrize("special", [None, INF, NAN])
def test_divisors_with_a_common_multiple_beyond_float64(special):
    """Windows of 30 to 60 elements: 720720 is not enough."""
    x, cotangent = np.zeros((1, 1, 70)), np.random.default_rng(1).standard_normal((1, 1, 71))
    cotangent[..., 5:9] *= [[1e300, 1e-300, 5e-324, -1e300]]
    window = {"kernel_size": 60, "stride": 1, "padding": 30, "count_include_pad": False}
    axes, divisors = definition.regular((70,), 60, 1, 30), definition.divisors((70,), False, 60, 1, 30)
    assert math.lcm(*divisors) > 2**53
    shares = definition.fractions(cotangent[0, 0]) / divisors
    expected = [sum(share for share, line in zip(shares, axes[0], strict=True) if i in line) for i in range(70)]
    expected = definition.nearest(np.array(expected))
    if special is not None:
        cotangent[0, 0, 3] = special
        expected[[i for i in range(70) if i in axes[0][3]]] = special
    with reference.exact():
        assert_same(vjp.avg_pool1d(cotangent, x, **window), expected.reshape(x.shape))
        both = np.zeros(cotangent.shape, complex)
        both.imag = cotangent
        assert_same(vjp.avg_pool1d(both, x, **window).imag, expected.reshape(x.shape))


def test_a_complex_mean_has_a_complex_gradient():
    assert_same(vjp.avg_pool1d([[2 + 4j]], [[1j, 1.0]], 2), np.array([[1 + 2j, 1 + 2j]]))
    with reference.exact():
        assert_same(vjp.avg_pool1d([[2 + 4j]], [[1j, 1.0]], 2), np.array([[1 + 2j, 1 + 2j]]))


REFUSED = [
    ("ties", "ties", lambda: vjp.max_pool1d([[1.0]], [[1.0]], 1, ties="last")),
    ("cotangent", "cotangent", lambda: vjp.max_pool1d([[1j]], [[1.0]], 1)),
    ("cotangent", "cotangent", lambda: vjp.lp_pool1d([[1j]], [[1.0]], 2, 1)),
    ("cotangent", "cotangent", lambda: vjp.adaptive_max_pool1d([[1j]], [[1.0]], 1)),
]


@pytest.mark.parametrize(("label", "argument", "call"), REFUSED)
def test_bad_cotangents_and_ties(label, argument, call):
    with pytest.raises(ConstraintError) as caught:
        call()
    assert (caught.value.label, caught.value.argument) == (label, argument)
