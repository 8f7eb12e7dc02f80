"""Intervals hold what honest steps could lead to, and nothing where nothing is lost."""

from __future__ import annotations

import math

import numpy as np
import pytest

from conformance.intervals import Interval, Steps, hull, where
from conformance.model import Arithmetic

SINGLE = Arithmetic.of("float32")
STEPS = Steps.of(SINGLE)


def interval(low, high=None):
    return Interval(STEPS, np.asarray(low, np.float64), None if high is None else np.asarray(high, np.float64))


def test_whole_numbers_stay_exact_and_others_are_rounded_once():
    total = interval([3.0, 0.1]) + interval([4.0, 2**-40])
    assert total.low[0] == total.high[0] == 7
    assert total.low[1] < 0.1 + 2**-40 < total.high[1]
    assert total.high[1] - total.low[1] < 2**-22 * 0.1
    assert not (interval([3.0]) + 4).bound(np.array([7.0]), SINGLE).absolute.any()


def test_a_sum_that_float64_absorbs_is_not_exact():
    assert not (interval([1e20]) + 1).point


def test_constants_are_rounded_and_infinite_ones_are_not():
    tenth = interval([1.0]).like(0.1)
    assert tenth.low < 0.1 < tenth.high
    assert interval([1.0]).like(math.inf).point
    assert interval([1.0]).like(tenth) is tenth


def test_division_by_what_may_be_0_could_give_anything():
    quotient = interval([1.0, 1.0]) / interval([-1.0, 1.0], [1.0, 2.0])
    assert quotient.low[0] == -np.inf
    assert quotient.high[0] == np.inf
    assert 0.4 < quotient.low[1] < 0.5
    assert 1 <= quotient.high[1] < 1.1


def test_a_quotient_by_a_power_of_two_is_exact_and_others_are_not():
    assert (interval([3.0]) / 4).point
    assert not (interval([3.0]) / 3).point
    assert (1 / interval(4.0)).low == 0.25


def test_products_and_absolute_values_know_every_sign():
    factor = interval([-2.0], [1.0])
    product = factor * interval([-3.0], [5.0])
    assert product.low <= -10 <= product.high
    assert product.high >= 6
    assert (abs(factor).low, abs(factor).high) == (0, 2)
    assert (abs(-interval([1.0], [2.0])).low, abs(interval([-3.0])).low) == (1, 3)
    assert ((2 * factor).low <= -4, (1 - factor).high >= 3, (1 + factor).low <= -1) == (True, True, True)


def test_an_exponential_that_may_overflow_is_finite_or_infinite():
    with np.errstate(over="ignore"):
        power, beyond = interval([100.0, 1.0]).exp(), interval([1000.0]).expm1()
    assert np.isfinite(power.low).all()
    assert power.high[0] == np.inf
    assert np.isfinite(power.high[1])
    assert beyond.low < np.inf == beyond.high


def test_logarithms_invert_exponentials_within_their_errors():
    x = interval([0.5, 2.0])
    for found in (x.exp().log(), x.expm1().log1p()):
        assert np.all(found.low < x.low)
        assert np.all(found.high > x.high)
        assert np.all(found.high - found.low < 2**-18)


def test_a_library_function_is_exact_at_0_and_within_its_limits():
    assert (interval([0.0]).tanh().low, interval([0.0]).tanh().high) == (0, 0)
    assert interval([1e9]).tanh().high == 1
    rough = interval([0.0]).increasing(np.tanh, -1, 1, absolute=1)
    assert rough.low < 0 < rough.high


def test_sums_of_whole_numbers_are_exact_until_they_are_too_large():
    assert interval([1.0, 2.0, 3.0]).sum(0).point
    wide = interval([2.0**24, 1.0]).sum(0)
    assert wide.low < 2**24 + 1 < wide.high
    assert interval([1.0, 1.0], [1.0, 2.0]).sum(0, keepdims=False).low.shape == ()
    with np.errstate(over="ignore"):
        assert interval([1e38] * 4).sum(0).high == np.inf
        assert np.isfinite(interval([3e38]).sum(0).high).all()


def test_steps_in_a_half_format_lose_its_bits():
    fine, coarse = (Steps.of(Arithmetic.of("bfloat16", partials=p)) for p in (0, 1))
    widths = [(tenth * tenth).high - 0.01 for tenth in (Interval(s, np.array([0.1])) for s in (fine, coarse))]
    assert widths[1] > 2**10 * widths[0]
    assert Steps.of(Arithmetic.of("float32", flushes=True)).least > STEPS.least


@pytest.mark.parametrize("flushes", [False, True])
def test_what_is_stored_in_a_narrower_format_is_rounded_once_more(flushes):
    half = Arithmetic.of("float16", flushes=flushes)
    x = Interval(Steps.of(half), np.array([0.5, 0.1]))
    bound = x.bound(x.low, half).absolute
    assert bound[0] == 0
    assert 2**-11 * 0.1 <= bound[1] < 2**-10 * 0.1 + flushes * 2**-13


def test_a_factor_that_comes_first_makes_less_of_what_is_subnormal():
    steps = STEPS.before(np.array([0.0, 0.25, 8.0]))
    assert (steps.least / STEPS.least).tolist() == [1, 4, 1]


def test_choices_keep_points_and_hulls_hold_both():
    few, many = interval([1.0, 1.0]), interval([2.0, 2.0], [3.0, 3.0])
    condition = np.array([True, False])
    assert where(condition, few, 5).point
    assert where(condition, few, many).high.tolist() == [1, 3]
    assert where(condition, 5, many).low.tolist() == [5, 2]
    both = hull(condition, np.array([True, True]), few, many)
    assert (both.low.tolist(), both.high.tolist()) == ([1, 1], [1, 3])
    neither = hull(condition, condition, few, many)
    assert neither.low.tolist() == [1, 2]
    assert many.reshaped((2, 1)).high.shape == (2, 1)
    assert few.reshaped((2, 1)).point
