"""Pooling layers give what their definitions give, bit for bit wherever nothing is rounded."""

from __future__ import annotations

import math

import numpy as np
import pool_definitions as definition
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_cases import UNIT_ROUNDOFF, assert_same, assert_within, integers, pool_calls, sizes

import reference
from reference import max_pooling
from reference.windows import CEIL_RULES

seeds = st.integers(0, 2**32)
INF, NAN = np.inf, np.nan


def of_rank(module, name, rank):
    return getattr(module, f"{name}{rank}d")


def with_specials(x, seed):
    """Return the numbers, some of them NaN or infinite."""
    rng = np.random.default_rng(seed)
    x = x.astype(np.float64)
    x[rng.random(x.shape) < 0.3] = NAN
    x[rng.random(x.shape) < 0.3] = -INF
    x[rng.random(x.shape) < 0.1] = INF
    return x


@st.composite
def images(draw, ranks=(1, 2, 3)):
    """Draw a rank, whole numbers with many ties, and how many regions are asked for along each axis."""
    rank = draw(st.sampled_from(ranks))
    spatial = sizes(draw, rank, 1, 7 if rank < 3 else 4)
    x = integers((draw(st.integers(1, 2)), draw(st.integers(1, 2)), *spatial), draw(seeds)) // draw(st.integers(1, 4))
    return rank, x, tuple(draw(st.lists(st.integers(1, 8), min_size=rank, max_size=rank)))


@given(images())
def test_adaptive_average(drawn):
    rank, x, out = drawn
    pool = of_rank(reference, "adaptive_avg_pool", rank)
    expected = definition.pooled(definition.mean, x, definition.adaptive(x.shape[2:], out))
    assert_same(pool(x, out), definition.nearest(expected))
    assert_same(pool(x[0].astype(np.float64), out), definition.nearest(expected[0]))


@given(images(), seeds, st.sampled_from([0, 300, 1000]))
def test_adaptive_average_is_rounded_once_inside_exact(drawn, seed, reach):
    rank, x, out = drawn
    rng = np.random.default_rng(seed)
    x = np.ldexp(rng.standard_normal(x.shape), rng.integers(-reach, reach + 1, x.shape))
    expected = definition.pooled(definition.mean, definition.fractions(x), definition.adaptive(x.shape[2:], out))
    with reference.exact():
        assert_same(of_rank(reference, "adaptive_avg_pool", rank)(x, out), definition.nearest(expected))


@given(images(), st.booleans(), st.sampled_from(["propagate", "ignore"]), seeds)
def test_adaptive_maximum(drawn, special, nan, seed):
    rank, x, out = drawn
    x = with_specials(x, seed) if special else x
    pool = of_rank(reference, "adaptive_max_pool", rank)
    largest = definition.first_largest if nan == "propagate" else definition.first_number
    expected = definition.parts(definition.pooled(largest, x, definition.adaptive(x.shape[2:], out)))
    both = pool(x, out, return_indices=True, nan=nan)
    assert_same(both.output, expected[0].astype(x.dtype))
    assert_same(both.indices, expected[1])
    assert_same(pool(x, out, nan=nan), both.output)


@given(images(ranks=(2, 3)), st.booleans(), st.data())
def test_fractional_maximum(drawn, special, data):
    rank, x, _ = drawn
    x = with_specials(x, data.draw(seeds)) if special else x
    kernel = [data.draw(st.integers(1, n)) for n in x.shape[2:]]
    out = [data.draw(st.integers(1, n - k + 1)) for n, k in zip(x.shape[2:], kernel, strict=True)]
    samples = np.random.default_rng(data.draw(seeds)).random((*x.shape[:2], rank))
    in_order = samples[..., ::-1] if rank == 2 else samples

    def windows(n, c):
        along = zip(x.shape[2:], kernel, out, in_order[n, c].tolist(), strict=True)
        return [definition.fractional(*axis) for axis in along]

    expected = definition.parts(definition.pooled(definition.first_largest, x, windows))
    pool = of_rank(reference, "fractional_max_pool", rank)
    both = pool(x, tuple(kernel), tuple(out), return_indices=True, random_samples=samples)
    assert_same(both.output, expected[0].astype(x.dtype))
    assert_same(both.indices, expected[1])
    one = pool(x[0], tuple(kernel), tuple(out), random_samples=samples[:1])
    assert_same(one, both.output[0])


def test_a_ratio_stands_for_a_size():
    x, samples = integers((1, 2, 7, 9), 1), np.full((1, 2, 2), 0.25)
    by_ratio = reference.fractional_max_pool2d(x, 2, output_ratio=(0.5, 0.4), random_samples=samples)
    assert_same(by_ratio, reference.fractional_max_pool2d(x, 2, (3, 3), random_samples=samples))
    same = reference.fractional_max_pool2d(x, 2, output_ratio=0.5, random_samples=samples)
    assert same.shape == (1, 2, 3, 4)


@given(pool_calls(pairs=False, dilated=False, rules=[False]), seeds)
def test_unpooling_puts_back_what_pooling_took(call, seed):
    x = np.random.default_rng(seed).permutation(call.arrays["input"].size).reshape(call.arrays["input"].shape) + 1
    pooled = of_rank(reference, "max_pool", call.rank)(x, **call.attributes, return_indices=True)
    window = {name: call.attributes[name] for name in ("kernel_size", "stride", "padding")}
    unpool, spatial = of_rank(reference, "max_unpool", call.rank), x.shape[-call.rank :]
    back = unpool(*pooled, **window, output_size=spatial)
    expected = np.zeros_like(x)
    planes = [a.reshape(math.prod(x.shape[: -call.rank]), -1) for a in (expected, x, pooled.indices)]
    for put, plane, index in zip(*planes, strict=True):
        put[index] = plane[index]
    assert_same(back, expected)
    assert_same(unpool(*pooled, **window, output_size=(7, 7, *spatial)), back)


def test_the_last_of_equal_indices_is_kept():
    assert_same(reference.max_unpool1d([[1, 2, 3]], [[4, 0, 4]], 2), np.array([[2, 0, 0, 0, 3, 0]]))
    many = np.arange(100_000)
    assert reference.max_unpool1d(many[None], many[None] * 0, 1)[0, 0] == 99_999


def test_unpooling_takes_padding_off():
    output = reference.max_unpool1d([[1, 2]], [[0, 2]], 3, stride=2, padding=((1, 0),))
    assert_same(output, np.array([[1, 0, 2, 0]]))
    complex_output = reference.max_unpool2d([[[1j]]], [[[3]]], 2)
    assert_same(complex_output, np.array([[[0, 0], [0, 1j]]]))


@pytest.mark.parametrize("p", [1, 2, 3, -1, 0.5, 2.5, -3])
@given(
    call=pool_calls(dtypes=[np.float64], dilated=False, pairs=False),
    seed=seeds,
    sign_rule=st.sampled_from(["power", "absolute"]),
    overhang=st.sampled_from(["rescale", "sum"]),
)
@settings(max_examples=20)
def test_power_average(p, call, seed, sign_rule, overhang):
    """Every root is within the bound that the docstring tells of the one that mpmath finds."""
    mp = pytest.importorskip("mpmath", reason="the definition in many digits needs it; it comes with torch")
    attributes = {name: call.attributes[name] for name in ("kernel_size", "stride")}
    attributes["ceil_mode"] = call.attributes["ceil_mode"] if call.attributes["padding"] == 0 else False
    x = np.random.default_rng(seed).standard_normal(call.batched()["input"].shape) * 3
    x = x if sign_rule == "absolute" or p in (1, 2, 3, -1, -3) else np.abs(x)
    try:
        axes = definition.regular(x.shape[2:], **attributes)
    except reference.ConstraintError:
        return  # the windows needed the padding
    pool = of_rank(reference, "lp_pool", call.rank)
    with mp.workdps(60):
        output = pool(x, p, **attributes, sign_rule=sign_rule, overhang=overhang)
        norm = definition.norm(mp, p, sign_rule, overhang, definition.taps(attributes, call.rank))
        for ours, (root, condition, n) in zip(output.ravel(), definition.pooled(norm, x, axes).ravel(), strict=True):
            if root is None:
                assert math.isnan(ours) or ours in (0, INF)
            else:
                bound = ((n + 4) / abs(p) * condition + abs(mp.log(abs(root))) + 2) * abs(root) * UNIT_ROUNDOFF
                assert abs(mp.mpf(float(ours)) - root) <= bound * (1 + mp.mpf(2) ** -20)


def test_power_average_conventions():
    x = [[-3.0, 4.0, 12.0]]
    assert_same(reference.lp_pool1d(x, 2, 2, ceil_mode=True), np.array([[5.0, math.sqrt(288)]]))
    assert_same(reference.lp_pool1d(x, 2, 2, ceil_mode=True, overhang="sum"), np.array([[5.0, 12.0]]))
    assert_same(reference.lp_pool1d(x, 1, 2), np.array([[1.0]]))
    assert_same(reference.lp_pool1d(x, 1, 2, sign_rule="absolute"), np.array([[7.0]]))
    assert_same(reference.lp_pool1d([[-3.0, 1.0]], 3, 2), np.array([[NAN]]))
    assert_same(reference.lp_pool1d([[-3.0, 1.0]], 1.5, 2), np.array([[NAN]]))
    assert_same(reference.lp_pool1d([[-4.0, 0.0]], 0.5, 2, sign_rule="absolute"), np.array([[4.0]]))
    assert_same(reference.lp_pool1d([[-0.0, 2.0]], -1, 2), np.array([[-0.0]]))
    beyond = {"kernel_size": 1, "stride": 3, "ceil_mode": "ceil_keep"}
    assert_same(reference.lp_pool1d([[1, 7]], 2, **beyond), np.array([[1.0, NAN]]))
    assert_same(reference.lp_pool1d([[1, 7]], 2, **beyond, overhang="sum"), np.array([[1.0, 0.0]]))


def test_infinite_norms():
    x = [[[-3, 2], [1, -4]]]
    assert_same(reference.lp_pool2d(x, INF, 2), np.array([[[4.0]]]))
    assert_same(reference.lp_pool2d(x, -INF, 2), np.array([[[1.0]]]))
    assert_same(reference.lp_pool1d([[1.0, NAN, 2.0]], -INF, 2, 1), np.array([[NAN, NAN]]))


@pytest.mark.parametrize("nan", ["propagate", "ignore"])
@pytest.mark.parametrize("dtype", [np.int64, np.float64])
@given(call=pool_calls(), seed=seeds)
@settings(max_examples=50)
def test_maxima_of_what_nothing_is_below(nan, dtype, call, seed):
    """Windows that hold nothing but the least number have an index all the same, unless it is an ignored NaN."""
    least = -INF if dtype is np.float64 else np.iinfo(np.int64).min
    x = np.random.default_rng(seed).choice(np.array([least, least, least, 0], dtype), call.batched()["input"].shape)
    if dtype is np.float64:
        x[np.random.default_rng(seed + 1).random(x.shape) < 0.4] = NAN
    axes = definition.regular(x.shape[2:], **call.attributes)
    largest = definition.first_largest if nan == "propagate" else definition.first_number
    pairs = definition.pooled(largest, x, axes)
    both = of_rank(reference, "max_pool", call.rank)(x, **call.attributes, return_indices=True, nan=nan)
    assert_same(both.indices, definition.parts(pairs)[1])
    found = both.indices >= 0
    planes = np.indices(both.indices.shape)[:2]
    assert_same(both.output[found], x.reshape(*x.shape[:2], -1)[planes[0], planes[1], both.indices][found])
    assert np.all(both.output[~found] == least)


@pytest.mark.parametrize(("kernel", "stride"), [(20, 1), (20, 20), (30, None), ((40, 3), (1, 3))])
def test_maxima_of_large_kernels(kernel, stride):
    """So many taps that their numbers fill more than a byte, and so few windows that those are gone through."""
    x = integers((2, 1, 40, 40), 1)
    both = reference.max_pool2d(x, kernel, stride, return_indices=True)
    axes = definition.regular((40, 40), kernel, stride)
    expected = definition.parts(definition.pooled(definition.first_largest, x, axes))
    assert_same(both.output, expected[0].astype(np.int64))
    assert_same(both.indices, expected[1])


def test_integers_are_told_apart_to_the_last_digit():
    x = np.array([[2**62, 2**62 + 1, 2**62]])
    assert_same(reference.max_pool1d(x, 3, return_indices=True).output, np.array([[2**62 + 1]]))
    assert_same(reference.adaptive_max_pool1d(x, 1, return_indices=True).indices, np.array([[1]]))


@pytest.mark.parametrize("rule", CEIL_RULES)
def test_windows_beyond_the_input(rule):
    both = reference.max_pool1d([[5.0, 7.0]], 1, stride=3, ceil_mode=rule, return_indices=True)
    kept = rule in ("ceil_caffe", "ceil_keep")
    assert_same(both.output, np.array([[5.0, -INF] if kept else [5.0]]))
    assert_same(both.indices, np.array([[0, -1] if kept else [0]]))
    large = reference.max_pool1d(np.ones((1, 5001)), 5000, stride=6000, ceil_mode=rule, return_indices=True)
    assert_same(large.indices, both.indices)


@pytest.mark.parametrize("out", [1, 2])
def test_complex_means(out):
    x = np.array([[[1 + 2j, 3 - 1j]]])
    expected = x if out == 2 else np.array([[[2 + 0.5j]]])
    assert_same(reference.adaptive_avg_pool1d(x, out), expected)
    with reference.exact():
        assert_same(reference.adaptive_avg_pool1d(x, out), expected)
        mixed = reference.avg_pool1d([[complex(INF, 1), complex(1, 2)]], 2)
    assert_same(mixed, np.array([[complex(INF, 1.5)]]))
    assert_same(reference.avg_pool1d([[complex(INF, 1), complex(1, 2)]], 2), mixed)
    assert_same(reference.textbook.avg_pool([[[complex(INF, 1), complex(1, 2)]]], 2), mixed[np.newaxis])


def test_global_pooling_is_adaptive_pooling_to_one():
    x = integers((2, 3, 5, 7), 1)
    assert_same(reference.adaptive_avg_pool2d(x, 1)[..., 0, 0], x.sum((2, 3)) / 35)
    both = reference.adaptive_max_pool2d(x, 1, return_indices=True)
    assert_same(both.output, x.max((2, 3), keepdims=True))
    assert_same(both.indices[..., 0, 0], x.reshape(2, 3, -1).argmax(-1))


@pytest.mark.parametrize("divisor", [2**53, -(2**53), -1])
def test_divisors_of_any_size(divisor):
    for block in (reference.exact, reference.textbook.np.errstate):
        with block():
            output = reference.avg_pool1d([[3.0, 4.0]], 2, divisor_override=divisor)
        assert_same(output, np.array([[7 / divisor]]))


def test_adaptive_sizes_are_spelled_in_many_ways():
    x = integers((1, 1, 4, 6), 1)
    for spelling in (None, (None,), (None, None), [4, None], (4, 6), np.array(1), (1,)):
        output = reference.adaptive_max_pool2d(x, spelling)
        assert output.shape[2:] in ((4, 6), (1, 1))
    assert reference.adaptive_avg_pool2d(x, (0, 3)).shape == (1, 1, 0, 3)
    assert_within(reference.adaptive_avg_pool2d(x, None), x, 0)


@given(pool_calls(special=True), st.sampled_from(["propagate", "ignore"]))
def test_indices_are_the_same_on_every_way_to_them(call, nan):
    """All windows at once, tap by tap, window by window: which way is taken depends on the size alone."""
    pool = getattr(reference, f"max_pool{call.rank}d")
    expected = pool(**call.arrays, **call.attributes, nan=nan, return_indices=True)
    for few_windows in (lambda _: False, lambda _: True):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(max_pooling, "FEW", 0)
            patch.setattr(max_pooling, "few_windows", few_windows)
            actual = pool(**call.arrays, **call.attributes, nan=nan, return_indices=True)
        assert_same(actual.output, expected.output)
        assert_same(actual.indices, expected.indices)
