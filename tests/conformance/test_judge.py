"""The one comparison: for everything that it looks at, a right answer that passes and a wrong twin that does not."""

from __future__ import annotations

import numpy as np
import pytest

from conformance.formats import format_of
from conformance.judge import judge_shapes, judge_values
from conformance.model import Bound, Outcome

FLOAT32 = format_of("float32")
CONFORMS, DIFFERS, VACUOUS = Outcome.CONFORMS, Outcome.DIFFERS, Outcome.VACUOUS


def shapes(actual, expected=None):
    expected = {"output": np.zeros((2, 3))} if expected is None else expected
    return judge_shapes(expected, actual, np.dtype(np.float32))


def values(expected, actual, absolute=0.0, output=FLOAT32, **bound):
    """Judge one output; a bound that is one number holds everywhere."""
    e, a = np.asarray(expected), np.asarray(actual)
    limit = np.broadcast_to(np.asarray(absolute, np.float64), e.shape)
    return judge_values({"output": e}, {"output": a}, {"output": Bound(limit, **bound)}, output)


@pytest.mark.parametrize(
    ("actual", "reason"),
    [
        (np.zeros((2, 3), np.float32), ""),
        (np.zeros((3, 2), np.float32), "output has shape (3, 2), expected (2, 3)"),
        (np.zeros((2, 3, 1), np.float32), "output has shape (2, 3, 1), expected (2, 3)"),
        (np.zeros((), np.float32), "output has shape (), expected (2, 3)"),
        (np.zeros((2, 3), np.float64), "output has dtype float64, expected float32"),
        (np.zeros((2, 3), np.int32), "output has dtype int32, expected float32"),
    ],
)
def test_shapes_and_dtypes(actual, reason):
    finding = shapes({"output": actual})
    assert finding.outcome is (DIFFERS if reason else CONFORMS)
    assert finding.reason == reason
    assert finding.compared == 2  # every axis is a comparison


def test_a_wrong_shape_is_told_with_both():
    finding = shapes({"output": np.zeros((3, 2), np.float32)})
    assert finding.details == {"output": "output", "expected": (2, 3), "actual": (3, 2)}
    assert finding.share == np.inf


def test_a_shape_without_axes_is_one_comparison():
    finding = shapes({"output": np.zeros((), np.float32)}, {"output": np.zeros(())})
    assert (finding.outcome, finding.compared) == (CONFORMS, 1)


@pytest.mark.parametrize(("dtype", "outcome"), [(np.int64, CONFORMS), (np.uint8, CONFORMS), (np.float32, DIFFERS)])
def test_indices_are_integers_of_any_size(dtype, outcome):
    finding = shapes({"indices": np.zeros(4, dtype)}, {"indices": np.zeros(4, np.int64)})
    assert finding.outcome is outcome
    assert finding.reason in ("", "indices has dtype float32, expected integers")


def test_outputs_are_known_by_name():
    array = np.zeros(1, np.float32)
    finding = shapes({"output": array}, {"output": array, "indices": array})
    assert (finding.outcome, finding.reason) == (DIFFERS, "returns output, expected output, indices")
    assert shapes({}, {"output": array}).reason == "returns nothing, expected output"


def test_equal_values_conform_under_a_bound_of_0_and_others_do_not():
    finding = values([1.0, 2.0], [1.0, 2.0])
    assert (finding.outcome, finding.compared, finding.share) == (CONFORMS, 2, 0)
    finding = values([1.0, 2.0], [1.0, 2.0 + 2**-22])
    assert (finding.outcome, finding.compared, finding.share) == (DIFFERS, 2, np.inf)
    assert finding.reason == "1 of 2 values of output are further from the reference than their bound"


@pytest.mark.parametrize(("error", "outcome"), [(0.5, CONFORMS), (1.0, CONFORMS), (1.01, DIFFERS)])
def test_an_error_is_measured_as_a_share_of_its_bound(error, outcome):
    finding = values([1.0, 8.0, 4.0], [1.0, 8.0 + 0.25 * error, 4.0 + 0.0625 * error], [0.0, 0.25, 0.25])
    assert finding.outcome is outcome
    assert finding.share == pytest.approx(error, rel=2**-40)
    assert finding.details["index"] == (1,)


def test_the_worst_element_is_told_in_ulps():
    ulp = 2.0**-23
    finding = values([[1.0, 1.0], [1.0, 1.5]], [[1.0, 1.0], [1.0, 1.5 + 3 * ulp]], ulp)
    assert finding.details == {
        "output": "output",
        "index": (1, 1),
        "expected": 1.5,
        "actual": 1.5 + 3 * ulp,
        "bound": ulp,
        "error_ulps": 3.0,
    }


@pytest.mark.parametrize(
    ("expected", "actual", "ulps"),
    [
        (0.0, 2.0**-149, 1.0),  # near 0 a unit is the least subnormal
        (2.0**-140, 2.0**-140 + 2.0**-148, 2.0),
        (1.0, 1.0 - 2.0**-24, 0.5),
        (-(2.0**24), -(2.0**24) - 2, 1.0),
        (1.0, np.inf, np.inf),
    ],
)
def test_units_in_the_last_place_are_those_of_the_output_format(expected, actual, ulps):
    assert values([expected], [actual]).details["error_ulps"] == ulps


def test_there_are_no_ulps_at_infinity():
    assert np.isnan(values([np.inf], [1.0]).details["error_ulps"])


@pytest.mark.parametrize(
    ("expected", "actual", "outcome"),
    [
        ([np.nan, 1.0], [np.nan, 1.0], CONFORMS),
        ([np.nan, 1.0], [0.0, 1.0], DIFFERS),
        ([np.nan, 1.0], [np.inf, 1.0], DIFFERS),
        ([2.0, 1.0], [np.nan, 1.0], DIFFERS),
        ([np.inf, 1.0], [np.inf, 1.0], CONFORMS),
        ([np.inf, 1.0], [-np.inf, 1.0], DIFFERS),
        ([np.inf, 1.0], [3e38, 1.0], DIFFERS),
        ([np.inf, 1.0], [np.nan, 1.0], DIFFERS),
        ([2.0, 1.0], [-np.inf, 1.0], DIFFERS),
    ],
)
@pytest.mark.parametrize("absolute", [0.0, 1e30])
def test_nan_and_infinity_are_met_by_their_like_whatever_the_bound(expected, actual, outcome, absolute):
    assert values(expected, actual, absolute).outcome is outcome


def test_a_bound_that_is_no_number_passes_nothing_but_equality():
    assert values([1.0, 2.0], [1.0, 2.5], np.nan).outcome is DIFFERS


def test_the_sign_of_a_zero_counts_where_it_is_promised():
    assert values([-0.0, 1.0], [-0.0, 1.0], zero_sign=True).outcome is CONFORMS
    assert values([-0.0, 1.0], [0.0, 1.0], zero_sign=True).outcome is DIFFERS
    assert values([0.0, 1.0], [-0.0, 1.0], zero_sign=True).outcome is DIFFERS
    assert values([-0.0, 1.0], [0.0, 1.0]).outcome is CONFORMS
    somewhere = np.array([False, True])
    assert values([-0.0, -0.0], [0.0, -0.0], zero_sign=somewhere).outcome is CONFORMS
    assert values([-0.0, -0.0], [-0.0, 0.0], zero_sign=somewhere).outcome is DIFFERS


def test_a_waived_element_may_hold_anything_and_is_not_counted():
    for anything in (np.nan, np.inf, -5.0):
        finding = values([1.0, 2.0], [1.0, anything], [0.0, np.inf])
        assert (finding.outcome, finding.compared) == (CONFORMS, 1)
    assert values([1.0, 2.0], [1.5, np.nan], [0.0, np.inf]).outcome is DIFFERS
    # Where infinity is expected there is nothing to waive.
    assert values([1.0, np.inf], [1.0, 2.0], [0.0, np.inf]).outcome is DIFFERS


@pytest.mark.parametrize(
    ("expected", "absolute"),
    [([], 0.0), ([0.0, 0.0], 0.0), ([np.nan, np.nan], 0.0), ([1.0, 2.0], np.inf), ([0.0, 2.0], [0.0, np.inf])],
)
def test_what_could_not_have_differed_is_vacuous(expected, absolute):
    finding = values(np.array(expected), np.array(expected), absolute)
    assert (finding.outcome, finding.reason) == (VACUOUS, "all expected values are 0, NaN or waived")


@pytest.mark.parametrize(
    ("expected", "bound"),
    [
        ([0.0, 1.0], {}),
        ([np.nan, 0.0], {}),  # where the NaN lies is telling
        ([-0.0, -0.0], {"zero_sign": True}),
        ([np.inf, np.inf], {}),
    ],
)
def test_what_could_have_differed_is_evidence(expected, bound):
    assert values(expected, expected, **bound).outcome is CONFORMS


def test_a_vacuous_case_can_still_differ():
    assert values([0.0, 0.0], [0.0, 1.0]).outcome is DIFFERS


def test_squared_errors_are_added_up():
    expected, error = np.ones(100), np.full(100, 0.01)
    # No error is beyond its bound, but all of them together are more than chance.
    assert values(expected, expected + error, 0.1).outcome is CONFORMS
    assert values(expected, expected + error, 0.1, squares=0.011).outcome is CONFORMS
    finding = values(expected, expected + error, 0.1, squares=0.009)
    assert finding.outcome is DIFFERS
    assert finding.share == pytest.approx(1.0 / 0.9, rel=2**-30)
    assert finding.reason == "the squared errors of output add up to 0.01, more than honest rounding's 0.009"


def test_squares_of_waived_elements_are_left_out():
    finding = values([1.0, 2.0], [1.0, 9.0], [1.0, np.inf], squares=1e-9)
    assert finding.outcome is CONFORMS


def test_what_overflows_its_format_is_expected_to_be_infinite():
    half = format_of("float16")
    assert values([65504.0, 1.0], [65504.0, 1.0], output=half).outcome is CONFORMS
    assert values([70000.0, 1.0], [np.inf, 1.0], output=half).outcome is CONFORMS
    assert values([-70000.0, 1.0], [-np.inf, 1.0], output=half).outcome is CONFORMS
    assert values([-70000.0, 1.0], [np.inf, 1.0], output=half).outcome is DIFFERS
    assert values([70000.0, 1.0], [65504.0, 1.0], output=half).outcome is DIFFERS  # saturated
    # The last number that rounds to a finite one lies half a unit above the largest.
    assert values([65519.0, 1.0], [65504.0, 1.0], 16.0, output=half).outcome is CONFORMS
    assert values([65519.0, 1.0], [np.inf, 1.0], 16.0, output=half).outcome is CONFORMS  # on the edge, either way
    assert values([65520.0, 1.0], [np.inf, 1.0], output=half).outcome is CONFORMS
    assert values([65000.0, 1.0], [np.inf, 1.0], 100.0, output=half).outcome is DIFFERS


def test_judging_stops_at_the_first_output_that_differs():
    ones = np.ones(2)
    bounds = {name: Bound(np.zeros(2)) for name in ("output", "mean")}
    both = {"output": ones, "mean": ones}
    finding = judge_values(both, {"output": ones + 1, "mean": ones + 1}, bounds, FLOAT32)
    assert (finding.outcome, finding.compared, finding.details["output"]) == (DIFFERS, 2, "output")
    finding = judge_values(both, {"output": ones, "mean": ones + 1}, bounds, FLOAT32)
    assert (finding.outcome, finding.compared, finding.details["output"]) == (DIFFERS, 4, "mean")


def test_the_worst_share_of_all_outputs_is_kept():
    ones = np.ones(2)
    bounds = {name: Bound(np.full(2, 4.0)) for name in ("output", "mean")}
    finding = judge_values({"output": ones, "mean": ones}, {"output": ones, "mean": ones + 1}, bounds, FLOAT32)
    assert (finding.outcome, finding.share, finding.details["output"]) == (CONFORMS, 0.25, "mean")
    finding = judge_values({"output": ones, "mean": ones}, {"output": ones + 1, "mean": ones}, bounds, FLOAT32)
    assert (finding.share, finding.details["output"]) == (0.25, "output")


def test_indices_are_compared_as_integers():
    expected, large = np.array([2**53 + 1, 3]), np.array([2**53, 3])  # the same in float64
    assert values(expected, expected).outcome is CONFORMS
    assert values(expected, expected.astype(np.uint64)).outcome is CONFORMS
    finding = values(expected, large)
    assert finding.outcome is DIFFERS
    assert finding.details["expected"] == 2**53 + 1


@pytest.mark.parametrize("strange", [np.nan, np.inf, 7.0])
@pytest.mark.parametrize("expected", [np.nan, -np.inf, 3.0])
def test_what_is_waived_may_be_anything_and_the_rest_not(expected, strange):
    waived = np.array([True, False])
    finding = values([expected, 5.0], [strange, 5.0], waived=waived)
    assert (finding.outcome, finding.compared) == (CONFORMS, 2 if np.array_equal(expected, strange) else 1)
    assert values([expected, 5.0], [strange, 4.0], waived=waived).outcome is DIFFERS


def test_nothing_but_what_is_waived_tells_nothing():
    assert values([np.nan, 0.0], [np.nan, 0.0], waived=np.array([True, False])).outcome is VACUOUS
