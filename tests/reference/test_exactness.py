"""Inside `exact()` sums of products are the float64 numbers nearest to what Fractions give."""

from __future__ import annotations

import math
import threading
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference_cases import assert_same, conv_calls, pool_calls

import reference
from reference import error_free, exactness, im2col
from reference.conv_arguments import conv_call, conv_transpose_call
from reference.padding import pad_adjoint

LARGEST = np.finfo(np.float64).max


def normal(rng, shape):
    return rng.standard_normal(shape)


def wide(rng, shape):
    """Exponents so different that no slices hold all bits."""
    return np.ldexp(rng.standard_normal(shape), rng.integers(-300, 300, shape))


def extreme(rng, shape):
    """From the smallest subnormal numbers to the largest ones: products over- and underflow."""
    return np.ldexp(rng.standard_normal(shape), rng.integers(-1074, 1023, shape))


def subnormal(rng, shape):
    """Products of these lie around the smallest subnormal number."""
    return np.ldexp(rng.standard_normal(shape), -537)


def cancelling(rng, shape):
    """Values whose sums are far smaller than they are, with ties among the bits that decide."""
    return rng.choice([1.0, -1.0, 1 + 2.0**-52, -1 - 2.0**-52, 2.0**-53, 2.0**-106, 2.0**53 + 2], shape)


def whole(rng, shape):
    return rng.integers(-9, 10, shape).astype(np.float64)


KINDS = {f.__name__: f for f in (normal, wide, extreme, subnormal, cancelling, whole)}
kinds = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def nearest(value):
    """Return the float64 number nearest to a Fraction."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def fractions(array):
    return np.frompyfunc(Fraction, 1, 1)(array)


def rounded(array):
    return np.asarray(np.frompyfunc(nearest, 1, 1)(array), np.float64)


@kinds
@given(seed=st.integers(0, 2**32), n=st.integers(1, 30), with_bias=st.booleans())
def test_linear(kind, seed, n, with_bias):
    rng = np.random.default_rng(seed)
    x, w, b = kind(rng, (2, n)), kind(rng, (3, n)), kind(rng, 3) if with_bias else np.zeros(3)
    expected = [
        [nearest(sum(map(Fraction.__mul__, r, s), c)) for s, c in zip(fractions(w), fractions(b), strict=True)]
        for r in fractions(x)
    ]
    with reference.exact():
        assert_same(reference.linear(x, w, b if with_bias else None), np.array(expected))


@kinds
@given(seed=st.integers(0, 2**32), n=st.integers(1, 50))
def test_a_sum_is_what_fsum_gives(kind, seed, n):
    x = kind(np.random.default_rng(seed), n) / 64
    with reference.exact():
        assert_same(reference.linear(x, np.ones(n)), np.float64(math.fsum(x))[...])


def filled(call, kind, seed):
    """Return the arrays of a drawn call with other contents."""
    rng = np.random.default_rng(seed)
    return {name: kind(rng, array.shape) for name, array in call.arrays.items()}


def of_rank(module, name, rank):
    return getattr(module, f"{name}{rank}d")


@kinds
@given(call=conv_calls(dtypes=[np.float64]), seed=st.integers(0, 2**32), mode=st.sampled_from(["zeros", "replicate"]))
def test_convolution_and_its_gradients(kind, call, seed, mode):
    arrays, attributes = filled(call, kind, seed), {**call.attributes, "padding_mode": mode}
    with reference.exact():
        output = of_rank(reference, "conv", call.rank)(**arrays, **attributes)
        g = kind(np.random.default_rng(seed + 1), output.shape)
        gradients = of_rank(reference.vjp, "conv", call.rank)(g, **arrays, **attributes)
    c = conv_call(call.rank, **{"bias": None, **arrays}, **attributes)
    x, w, y = fractions(c.x), fractions(c.w), fractions(g if c.batched else g[np.newaxis])
    bias = 0 if c.bias is None else fractions(c.bias)
    assert_same(output, c.finished(rounded(im2col.correlate(c.at, x, w) + bias)))
    of_input = im2col.input_adjoint(c.at, y, w)
    if c.margin:
        shape = [n - low - high for n, (low, high) in zip(c.x.shape, c.margin, strict=True)]
        of_input = pad_adjoint(of_input, shape, c.margin, mode)
    assert_same(gradients.input, c.finished(rounded(of_input)))
    assert_same(gradients.weight, rounded(im2col.weight_adjoint(c.at, y, x)))
    if c.bias is not None:
        assert_same(gradients.bias, rounded(y.sum((0, *range(2, y.ndim)))))


@kinds
@given(call=conv_calls(dtypes=[np.float64], transposed=True), seed=st.integers(0, 2**32))
def test_transposed_convolution_and_its_gradients(kind, call, seed):
    arrays = filled(call, kind, seed)
    with reference.exact():
        output = of_rank(reference, "conv_transpose", call.rank)(**arrays, **call.attributes)
        g = kind(np.random.default_rng(seed + 1), output.shape)
        gradients = of_rank(reference.vjp, "conv_transpose", call.rank)(g, **arrays, **call.attributes)
    c = conv_transpose_call(call.rank, **{"bias": None, **arrays}, **call.attributes, output_size=None)
    x, w, y = fractions(c.x), fractions(c.w), fractions(g if c.batched else g[np.newaxis])
    bias = 0 if c.bias is None else fractions(c.bias)
    assert_same(output, c.finished(rounded(im2col.input_adjoint(c.at, x, w) + bias)))
    assert_same(gradients.input, c.finished(rounded(im2col.correlate(c.at, y, w))))
    assert_same(gradients.weight, rounded(im2col.weight_adjoint(c.at, x, y)))


@kinds
@given(call=pool_calls(dtypes=[np.float64], dilated=False), seed=st.integers(0, 2**32), counted=st.booleans())
def test_average_pooling_and_its_gradient(kind, call, seed, counted):
    x, attributes = filled(call, kind, seed)["input"], {**call.attributes, "count_include_pad": counted}
    pool = of_rank(reference, "avg_pool", call.rank)
    with reference.exact():
        output = pool(x, **attributes)
        g = kind(np.random.default_rng(seed + 1), output.shape)
        gradient = of_rank(reference.vjp, "avg_pool", call.rank)(g, x, **attributes)
    # What each window does to each element alone is 1 / divisor or nothing; windows without elements are NaN.
    spatial = x.shape[-call.rank :]
    shares = pool(np.eye(math.prod(spatial)).reshape(-1, 1, *spatial), **attributes).reshape(math.prod(spatial), -1)
    empty = np.isnan(shares[0])
    matrix = np.frompyfunc(lambda share: Fraction(1, round(1 / share)) if share else Fraction(0), 1, 1)(
        np.where(np.isnan(shares), 0, shares)
    )
    planes, cotangents = fractions(x).reshape(-1, len(matrix)), fractions(g).reshape(-1, matrix.shape[1])
    expected = rounded(planes @ matrix)
    expected[:, empty] = np.nan
    assert_same(output, expected.reshape(output.shape))
    if not empty.any():
        assert_same(gradient, rounded(cotangents @ matrix.T).reshape(x.shape))


@kinds
@given(seed=st.integers(0, 2**32))
def test_complex_numbers_part_by_part(kind, seed):
    rng = np.random.default_rng(seed)
    x, w, b = (kind(rng, shape) + 1j * kind(rng, shape) for shape in ((2, 4), (3, 4), 3))
    with reference.exact():
        output = reference.linear(x, w, b)
    a, c, p, q = (fractions(part) for part in (x.real, x.imag, w.real.T, w.imag.T))
    assert_same(output.real, rounded(a @ p - c @ q + fractions(b.real)))
    assert_same(output.imag, rounded(a @ q + c @ p + fractions(b.imag)))


def test_many_sums_at_once_of_which_few_stay_open():
    """Two slices decide most sums; those that cancel need more, and are redone with their lane only."""
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 5, 12, 12)), rng.standard_normal((4, 5, 3, 3))
    w[1], x[1, :, 3:6, 3:6] = 0, 0
    w[1, :2, 1, 1], x[0, 1] = (1, -1), x[0, 0] + np.ldexp(x[0, 0], -50)
    with reference.exact():
        output = reference.conv2d(x, w)
    at = conv_call(2, x, w, None, 1, 0, 1, 1, "zeros").at
    assert_same(output, rounded(im2col.correlate(at, fractions(x), fractions(w))))


def test_ties_go_to_even():
    with reference.exact():
        for last, expected in ((2.0**-53, 1.0), (2.0**-53 + 2.0**-105, 1 + 2.0**-52), (3 * 2.0**-53, 1 + 2.0**-51)):
            assert reference.linear([1.0, last], [1.0, 1.0]).item() == expected
            assert reference.linear([-1.0, -last], [1.0, 1.0]).item() == -expected


def test_overflow_and_numbers_that_are_not_finite():
    with reference.exact():
        assert reference.linear([LARGEST, LARGEST], [1.0, 1.0]) == np.inf
        assert reference.linear([LARGEST, -LARGEST], [4.0, 3.0]).item() == LARGEST
        assert reference.linear([LARGEST, -LARGEST], [4.0, 3.5]).item() == LARGEST / 2
        assert reference.linear([-LARGEST, -LARGEST / 2**53], [1.0, 1.0]) == -np.inf  # rounds up to beyond
        assert reference.linear([np.inf, LARGEST], [1.0, -LARGEST]) == np.inf
        assert np.isnan(reference.linear([np.inf, 1.0], [0.0, 1.0]))
        assert np.isnan(reference.linear([np.inf, -np.inf], [1.0, 1.0]))
        assert np.isnan(reference.linear([np.nan, 1.0], [0.0, 1.0]))
        assert_same(reference.linear([[1.0], [np.inf]], [[2.0]], [np.inf]), np.array([[np.inf], [np.inf]]))
        x = np.array([[[1.0, np.inf, LARGEST, LARGEST]]])
        assert_same(reference.conv1d(x, [[[1.0, 1.0]]]), np.array([[[np.inf, np.inf, np.inf]]]))
        assert_same(reference.avg_pool1d(x, 2), np.array([[[np.inf, LARGEST]]]))


def test_what_is_subnormal_until_it_is_rounded_is_rounded_once():
    border = 2.0**-1022
    with reference.exact():
        below = reference.avg_pool1d([[border - 2.0**-1073, border, border]], 3).item()
        small = reference.linear([2.0**-511 * (1 - 2.0**-53), -(2.0**-550)], [2.0**-511, 2.0**-550]).item()
    assert below == small == border - 2.0**-1074


def test_a_bias_may_be_larger_than_all_products():
    with reference.exact():
        assert reference.linear([1e-300, 1e-300], [1e-300, 1e-300], 1e308).item() == 1e308


def test_sums_of_integers_that_are_divided_do_not_wrap():
    assert reference.avg_pool1d([[2**62, 2**62]], 2).item() == 2.0**62
    with reference.exact():
        assert reference.avg_pool1d([[2**62, 2**62 + 2]], 2).item() == 2.0**62


def test_integers_stay_integers():
    with reference.exact():
        assert_same(reference.linear([1, 2], [3, 4]), np.int64(11)[...])
        assert_same(reference.avg_pool1d([[1, 2]], 2), np.array([[1.5]]))
        large = 2**54 + 1  # over 3 it is another number than float64(large) over 3 would be
        assert reference.avg_pool1d([[large, 0, 0]], 3).item() == nearest(Fraction(large, 3))
        assert_same(reference.avg_pool1d([[1, 2]], 1, 2, ceil_mode="ceil_keep"), np.array([[1.0, np.nan]]))


def test_it_ends_with_the_block_and_stays_in_its_thread():
    seen = []
    with reference.exact():
        assert exactness.is_exact()
        with reference.exact():
            pass
        assert exactness.is_exact()
        thread = threading.Thread(target=lambda: seen.append(exactness.is_exact()))
        thread.start()
        thread.join()
    assert seen == [False]
    with pytest.raises(KeyError), reference.exact():
        raise KeyError
    assert not exactness.is_exact()


@given(seed=st.integers(0, 2**32))
def test_slices_add_up_to_the_array(seed):
    array = np.random.default_rng(seed).uniform(-1, 1, 20)
    for order in (1, 2, 5):
        cut = error_free.slices(array, order, 20)
        heads = sum(fractions(head) for head, _ in cut)
        assert (heads + fractions(cut[-1][1]) == fractions(array)).all()
        assert all(np.array_equal(np.ldexp(head, 20 + 21 * i) % 1, np.zeros(20)) for i, (head, _) in enumerate(cut))


@given(seed=st.integers(0, 2**32))
def test_sums_and_quotients_know_their_errors(seed):
    rng = np.random.default_rng(seed)
    terms = [np.ldexp(rng.standard_normal(50), rng.integers(-80, 1, 50)) for _ in range(4)]
    divisor = rng.integers(1, 1000, 50).astype(np.float64)
    high, low, missing = error_free.added(terms, np.zeros(50))
    exact = sum(fractions(term) for term in terms)
    assert (abs(fractions(high) + fractions(low) - exact) <= fractions(missing)).all()
    high, low, missing = error_free.quotient(high, low, missing, divisor)
    assert (abs(fractions(high) + fractions(low) - exact / fractions(divisor)) <= fractions(missing)).all()


def test_integers_of_arrays():
    x = np.array([0.0, 5e-324, -1.5, LARGEST, 2.0**-1022])
    unit = error_free.unit_of(x)
    assert unit == -1074
    assert [n * Fraction(2) ** unit for n in error_free.as_integers(x, unit)] == [Fraction(v) for v in x]
    assert error_free.unit_of(np.zeros(2)) <= 1024
