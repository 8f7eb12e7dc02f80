"""The one comparison in the project: expected, actual and bound in, what differs out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from conformance.formats import Array, Format
from conformance.model import Bound, Outcome


@dataclass(frozen=True)
class Finding:
    """What a comparison found: an outcome with its evidence, in the terms of a Verdict."""

    outcome: Outcome
    compared: int
    share: float = 0.0
    reason: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


def judge_shapes(expected: Mapping[str, Array], actual: Mapping[str, Array], dtype: np.dtype[Any]) -> Finding:
    """Compare the names, shapes and dtypes of outputs; every axis is one comparison."""
    if expected.keys() != actual.keys():
        return Finding(Outcome.DIFFERS, 1, np.inf, f"returns {_names(actual)}, expected {_names(expected)}")
    compared = 0
    for name, e in expected.items():
        a = actual[name]
        compared += max(e.ndim, 1)
        if a.shape != e.shape:
            details = {"output": name, "expected": e.shape, "actual": a.shape}
            reason = f"{name} has shape {a.shape}, expected {e.shape}"
            return Finding(Outcome.DIFFERS, compared, np.inf, reason, details)
        if e.dtype.kind == "i" and a.dtype.kind not in "iu":
            return Finding(Outcome.DIFFERS, compared, np.inf, f"{name} has dtype {a.dtype}, expected integers")
        if e.dtype.kind != "i" and a.dtype != dtype:
            return Finding(Outcome.DIFFERS, compared, np.inf, f"{name} has dtype {a.dtype}, expected {dtype}")
    return Finding(Outcome.CONFORMS, compared)


def judge_values(
    expected: Mapping[str, Array], actual: Mapping[str, Array], bounds: Mapping[str, Bound], output: Format
) -> Finding:
    """Compare the values of outputs whose shapes are equal, and stop at the first output that does not conform."""
    compared, share, telling = 0, 0.0, False
    details: Mapping[str, Any] = {}
    for name, e in expected.items():
        a = actual[name].astype(e.dtype if e.dtype.kind == "i" else np.float64, copy=False)
        limit, e = overflown(e, bounds[name], output) if e.dtype.kind != "i" else (bounds[name].absolute, e)
        if _identical(e, a, limit, bounds[name]):
            compared += e.size
            telling = telling or bool(e.any()) or _telling(e, limit, bounds[name])
            continue
        finding = _compare(name, e, a, limit, bounds[name], output)
        compared += finding.compared
        if finding.share > share or not details:
            share, details = max(share, finding.share), finding.details
        if finding.outcome is not Outcome.CONFORMS:
            return Finding(finding.outcome, compared, finding.share, finding.reason, finding.details)
        telling = telling or _telling(e, limit, bounds[name])
    if not telling:
        return Finding(Outcome.VACUOUS, compared, share, "all expected values are 0, NaN or waived", details)
    return Finding(Outcome.CONFORMS, compared, share, "", details)


def _telling(expected: Array, limit: Array, bound: Bound) -> bool:
    """Whether an answer could have differed: not all of it is 0, NaN or waived."""
    asked = np.isfinite(limit)
    missing = np.isnan(expected) & asked
    if np.any((expected != 0) & ~missing & asked):
        return True
    partly_missing = bool(missing.any() and not missing.all())
    return partly_missing or (bound.zero_sign is not False and bool(np.signbit(expected).any()))


def _names(outputs: Mapping[str, Array]) -> str:
    return ", ".join(outputs) or "nothing"


def overflown(expected: Array, bound: Bound, output: Format) -> tuple[Array, Array]:
    """Return limits and expected values: infinity where these lie beyond the format for sure, waived on its edge."""
    size, absolute = np.abs(expected), np.where(bound.waived, np.inf, bound.absolute)
    if not size.size or size.max() < output.largest / 2:
        return absolute, expected
    edge = output.largest * (1 + output.roundoff)
    with np.errstate(invalid="ignore"):
        beyond = (size - absolute >= edge) & np.isfinite(expected)
        unsure = (size + absolute >= output.largest * (1 - output.roundoff)) & (size != output.largest) & ~beyond
    limit = np.where(unsure & np.isfinite(expected), np.inf, np.where(beyond, 0.0, absolute))
    limit = np.where(
        np.isfinite(expected) | bound.waived, limit, 0.0
    )  # what is no number is right or wrong, never near
    return limit, np.where(beyond, np.copysign(np.inf, expected), expected)


def _errors(expected: Array, actual: Array, limit: Array, zero_sign: Array | bool) -> tuple[Array, Array]:
    """Return every error, and that error as a share of its bound.

    Equal values, infinities included, have no error; where only one of the two is finite or a NaN it is infinite.
    """
    with np.errstate(all="ignore"):
        error = np.abs(actual - expected)
        if not np.isfinite(error).all():
            same = (actual == expected) | (np.isnan(actual) & np.isnan(expected))
            error = np.where(np.isfinite(error), error, np.where(same, 0.0, np.inf))
        if zero_sign is not False:
            wrong = (expected == 0) & (actual == 0) & (np.signbit(actual) != np.signbit(expected)) & zero_sign
            error = np.where(wrong, np.inf, error)
        error = np.where(np.isposinf(limit), 0.0, error)
        shares = np.where(error == 0, 0.0, error / limit)
        return error, np.where(np.isnan(shares), np.inf, shares)  # a bound that is no number lets nothing else pass


def _compare(name: str, expected: Array, actual: Array, limit: Array, bound: Bound, output: Format) -> Finding:
    error, shares = _errors(expected, actual, limit, bound.zero_sign)
    compared = int(expected.size - np.count_nonzero(np.isposinf(limit)))
    if not compared:
        return Finding(Outcome.CONFORMS, 0)
    worst = int(np.argmax(shares))
    share = float(shares.flat[worst])
    details = _element(name, worst, expected, actual, limit, output)
    if share > 1:
        count = int(np.count_nonzero(shares > 1))
        reason = f"{count} of {compared} values of {name} are further from the reference than their bound"
        return Finding(Outcome.DIFFERS, compared, share, reason, details)
    if bound.squares is not None:
        total = float(np.square(error[np.isfinite(limit)]).sum())
        if total > bound.squares:
            reason = (
                f"the squared errors of {name} add up to {total:.3g}, more than honest rounding's {bound.squares:.3g}"
            )
            return Finding(Outcome.DIFFERS, compared, total / bound.squares, reason, details)
    return Finding(Outcome.CONFORMS, compared, share, "", details)


def _identical(expected: Array, actual: Array, limit: Array, bound: Bound) -> bool:
    """Whether nothing needs a closer look: all values are equal and finite, so are zeros' signs, and none is waived."""
    if not np.array_equal(expected, actual) or not expected.size or limit.max() == np.inf:
        return False
    return bound.zero_sign is False or np.array_equal(np.signbit(expected), np.signbit(actual))


def _element(name: str, flat: int, expected: Array, actual: Array, limit: Array, output: Format) -> dict[str, Any]:
    index = tuple(int(i) for i in np.unravel_index(flat, expected.shape))
    e, a = float(expected[index]), float(actual[index])
    # One unit in the last place of the output format at the expected value.
    above = math.ldexp(1, math.frexp(e)[1] - output.bits) if e else 0.0
    ulp = max(above, output.least_subnormal) if math.isfinite(e) else math.nan
    return {
        "output": name,
        "index": index,
        "expected": expected[index].item(),
        "actual": actual[index].item(),
        "bound": float(limit[index]),
        "error_ulps": abs(a - e) / ulp,
    }
