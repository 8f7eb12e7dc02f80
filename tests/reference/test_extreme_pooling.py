"""Pooling at its limits: windows, strides and divisors beyond what integers and float64 hold, sums that overflow."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pool_definitions as definition
import pytest
from reference_cases import UNIT_ROUNDOFF, assert_same, assert_within

import reference
from reference import vjp

INF, NAN = np.inf, np.nan


def test_divisors_are_products_of_any_size():
    """Two windows along each axis, of 2**31 taps and of one less that counts; int64 does not hold their product."""
    x = np.ones((1, 2, 2, 2))
    window = {"kernel_size": 2**31, "stride": 3, "padding": 2**30, "ceil_mode": True}
    lengths = np.array([Fraction(2**31), Fraction(2**31 - 1)])
    expected = definition.nearest(8 / np.multiply.outer(np.multiply.outer(lengths, lengths), lengths))[np.newaxis]
    assert_within(reference.avg_pool3d(x, **window), expected, 6 * UNIT_ROUNDOFF * expected)
    with reference.exact():
        assert_same(reference.avg_pool3d(x, **window), expected)
        assert_same(reference.avg_pool3d(x.astype(np.int64), **window), expected)
        assert_same(reference.avg_pool3d(x * 1j, **window).imag, expected)
    flat = {"kernel_size": (2**31, 2**31), "padding": 2**30}
    for block in (reference.exact, np.errstate):
        with block():
            assert_same(reference.avg_pool2d(x[0], **flat), np.full((2, 1, 1), 2.0**-60))


@pytest.mark.parametrize("special", [1.0, INF, -INF, NAN])
def test_a_window_of_nothing_beside_one_of_more_taps_than_float64_counts(special):
    x = np.full((1, 2, 2, 2), special)
    x[..., 0, 0, 0] = 1
    window = {"kernel_size": (2**31, 2**31, 1), "stride": (1, 1, 5), "padding": (2**30, 2**30, 0)}
    for block in (reference.exact, np.errstate):
        with block():
            output = reference.avg_pool3d(x, **window, ceil_mode="ceil_keep")
        assert_same(output[0, 0, 0], np.array([4 / 2**62 if special == 1 else special, NAN]))


@pytest.mark.parametrize("stride", [4, 2**61, 2**62])
def test_a_second_window_is_empty_however_far_away(stride):
    x, beyond = [[1.0, 3.0, 2.0]], {"kernel_size": 2, "stride": stride, "padding": ((0, 1),), "ceil_mode": "ceil_keep"}
    both = reference.max_pool1d(x, **beyond, return_indices=True)
    assert_same(both.output, np.array([[3.0, -INF]]))
    assert_same(both.indices, np.array([[1, -1]]))
    assert_same(reference.max_pool1d(x, 2, stride), np.array([[3.0]]))
    for counted in (False, True):
        assert_same(reference.avg_pool1d(x, **beyond, count_include_pad=counted), np.array([[2.0, NAN]]))
    del beyond["padding"]
    assert_same(reference.lp_pool1d(x, 1, **beyond), np.array([[4.0, NAN]]))
    assert_same(reference.lp_pool1d(x, INF, **beyond), np.array([[3.0, 0.0]]))


def test_windows_of_almost_all_whole_numbers():
    both = reference.max_pool1d([[1, 2]], 2, 2**62, 2**61 - 1, 2**62 - 2, ceil_mode="ceil_keep", return_indices=True)
    assert_same(both.indices, np.array([[-1, -1]]))
    both = reference.max_pool1d([[1, 2]], 2**62, 1, 2**61, return_indices=True)
    assert_same(both.indices, np.array([[1, 1, 1]]))


def test_sums_that_overflow_are_infinite_and_what_is_undefined_is_nan():
    """Without a warning: tests run with warnings as errors."""
    x = np.array([[1e308, 1e308, -INF, INF]])
    expected = np.array([[INF, -INF, NAN]])
    assert_same(reference.avg_pool1d(x, 2, stride=1), expected)
    assert_same(reference.textbook.avg_pool(x[np.newaxis], 2, stride=1), expected[np.newaxis])
    assert_same(reference.avg_pool1d(x.astype(complex), 2, stride=1).real, expected)
    assert_same(reference.adaptive_avg_pool1d(x[:, :2], 1), np.array([[INF]]))
    large = np.full((1, 2), 2**62)
    assert_same(reference.adaptive_avg_pool1d(large, 1), np.array([[2.0**62]]))
    assert_same(reference.textbook.avg_pool(large[np.newaxis], 2), np.array([[[2.0**62]]]))


@pytest.mark.parametrize("value", [1.0, -INF])
def test_divisors_with_a_common_multiple_beyond_the_largest_number(value):
    x, cotangent = np.zeros((1, 850)), np.zeros((1, 851))
    cotangent[0, 0] = value  # a window of the first half of its taps
    expected = np.where(np.arange(850) < 400, value / 400, 0)[np.newaxis]
    with reference.exact():
        assert_same(vjp.avg_pool1d(cotangent, x, 800, 1, 400, count_include_pad=False), expected)


def test_divisors_of_gradients_are_products_of_any_size():
    x, window = np.ones((1, 2, 2, 2)), {"kernel_size": 2**31, "stride": 3, "padding": 2**30, "ceil_mode": True}
    expected = np.full(x.shape, float((Fraction(1, 2**31) + Fraction(1, 2**31 - 1)) ** 3))
    assert_within(vjp.avg_pool3d(x, x, **window), expected, 13 * UNIT_ROUNDOFF * expected)
    with reference.exact():
        assert_same(vjp.avg_pool3d(x, x, **window), expected)
        flat = vjp.avg_pool2d(x[0, :, :1, :1], x[0], 2**31, padding=2**30)
        assert_same(flat, np.full((2, 2, 2), 2.0**-62))


@pytest.mark.parametrize("stride", [3, 2**62])
def test_a_second_window_gives_nothing_however_far_away(stride):
    x, g, window = [[1.0, 2.0, 3.0]], [[6.0, 7.0]], {"kernel_size": 2, "stride": stride, "ceil_mode": "ceil_keep"}
    for ties in ("first", "share"):
        assert_same(vjp.max_pool1d(g, x, **window, ties=ties), np.array([[0.0, 6.0, 0.0]]))
    assert_same(vjp.avg_pool1d(g, x, **window), np.array([[3.0, 3.0, 0.0]]))
    assert_same(vjp.lp_pool1d(g, x, 1, **window), np.array([[6.0, 6.0, 0.0]]))


def test_sums_of_cotangents_overflow_without_a_warning():
    for number, total in ((1e308, INF), (INF, INF)):
        g = [[number, number]]
        assert_same(vjp.avg_pool1d(g, [[1.0, 3.0, 1.0]], 2, 1, divisor_override=1), np.array([[number, total, number]]))
        for ties in ("first", "share"):
            assert_same(vjp.max_pool1d(g, [[1.0, 3.0, 1.0]], 2, 1, ties=ties), np.array([[0.0, total, 0.0]]))
    opposed = [[INF, -INF]]
    assert_same(vjp.avg_pool1d(opposed, [[1.0, 3.0, 1.0]], 2, 1), np.array([[INF, NAN, -INF]]))
    assert_same(vjp.max_pool1d(opposed, [[1.0, 3.0, 1.0]], 2, 1, ties="share"), np.array([[0.0, NAN, 0.0]]))


def test_an_infinite_part_of_a_cotangent_leaves_the_other_alone():
    assert_same(vjp.avg_pool1d([[complex(INF, 2)]], [[1.0, 1.0]], 2), np.full((1, 2), complex(INF, 1)))
