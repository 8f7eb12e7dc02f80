"""Ways for softmax and its logarithm to be wrong."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from conformance.formats import Array
from conformance.honest import fault
from conformance.mistakes import (
    Call,
    Mistake,
    accepting,
    answering,
    calling,
    leaking,
    refusing,
    where,
    without_nan,
)
from conformance.model import Fault


def _along(function: Callable[[Array, int], Array]) -> Mistake:
    """Return the mistake of another function of the scores along their axis."""

    def change(output: Array, call: Call) -> Array:
        x = np.atleast_1d(call["input"].astype(np.result_type(call["input"], np.float32)))
        with np.errstate(all="ignore"):
            return function(x, call["dim"]).reshape(output.shape).astype(output.dtype)

    return answering(change)


def _shares(x: Array, dim: int) -> Array:
    powers = np.exp(x - x.max(dim, keepdims=True, initial=-np.inf))
    return np.asarray(powers / powers.sum(dim, keepdims=True))


def _as_powers(x: Array, dim: int) -> Array:
    return np.asarray(np.exp(x) / np.exp(x).sum(dim, keepdims=True))


def _from_all(x: Array, dim: int) -> Array:
    powers = np.exp(x - x.max(initial=-np.inf))
    return np.asarray(powers / powers.sum(dim, keepdims=True))


def _pulled(function: Callable[[Array, Array, int], Array]) -> Mistake:
    """Return the mistake of another gradient: function(shares, cotangent, dim)."""

    def change(output: Array, call: Call) -> Array:
        shares = _shares(call["input"].astype(np.float64), call["dim"])
        return function(shares, call["cotangent"].astype(np.float64), call["dim"]).astype(output.dtype)

    return answering(change)


_LAST = calling(lambda call: {"dim": -1})
_FIRST = where(lambda call: call["input"].shape[:1] == call["input"].shape[-1:], calling(lambda call: {"dim": 0}))


FAULTS: tuple[Fault, ...] = (
    fault(
        "softmax-overflows",
        "the largest score is not taken off, and exponentials overflow",
        "softmax",
        "values",
        _along(_as_powers),
        kind="special",
    ),
    fault(
        "softmax-largest-of-all",
        "the largest score of all rows is taken off, and others vanish",
        "softmax",
        "special",
        _along(_from_all),
        kind="special",
    ),
    fault("softmax-last-axis", "it is always along the last axis", "softmax", "values", _LAST, "float16", kind="axes"),
    fault(
        "softmax-unnormalized",
        "the exponentials are not divided by their sum",
        "softmax",
        "values",
        _along(lambda x, dim: np.exp(x - x.max(dim, keepdims=True, initial=-np.inf))),
        "float64",
        kind="divisor",
    ),
    fault(
        "softmax-all-axes",
        "the sum is that of all axes",
        "softmax",
        "values",
        _along(lambda x, dim: np.exp(x - x.max(initial=-np.inf)) / np.exp(x - x.max(initial=-np.inf)).sum()),
        "bfloat16",
        kind="axes",
    ),
    fault(
        "softmax-transposed",
        "the outputs have their axes reversed",
        "softmax",
        "sizes",
        answering(lambda y, call: y.T),
        kind="shape",
    ),
    fault(
        "softmax-empty-refused",
        "an array without elements raises",
        "softmax",
        "rejections",
        where(lambda call: not call["input"].size, refusing),
        "float16",
        kind="acceptance",
    ),
    fault(
        "softmax-axis-wraps",
        "an axis that there is not is counted on from the first",
        "softmax",
        "rejections",
        accepting("dim", calling(lambda call: {"dim": call["dim"] % max(call["input"].ndim, 1)})),
        kind="acceptance",
    ),
    fault(
        "softmax-nan-leaks",
        "a NaN in one row reaches the others",
        "softmax",
        "special",
        answering(leaking),
        "float64",
        kind="special",
    ),
    fault(
        "softmax-diagonal-alone",
        "the gradient leaves out what other scores do",
        "softmax",
        "gradients",
        _pulled(lambda p, g, dim: p * (1 - p) * g),
        kind="gradient",
    ),
    fault(
        "softmax-gradient-axis",
        "where its first and last axis are as long the gradient is along the first",
        "softmax",
        "gradients",
        _FIRST,
        "float64",
        kind="axes",
    ),
    fault(
        "log_softmax-log-of-shares",
        "the logarithm of a share of 0 is infinite",
        "log_softmax",
        "values",
        _along(lambda x, dim: np.log(_shares(x, dim))),
        kind="special",
    ),
    fault(
        "log_softmax-overflows",
        "the largest score is not taken off, and exponentials overflow",
        "log_softmax",
        "values",
        _along(lambda x, dim: x - np.log(np.exp(x).sum(dim, keepdims=True))),
        "float64",
        kind="special",
    ),
    fault(
        "log_softmax-base-two",
        "the logarithm is that of base 2",
        "log_softmax",
        "values",
        answering(lambda y, call: (y / np.log(2)).astype(y.dtype)),
        "bfloat16",
        kind="rounding",
    ),
    fault(
        "log_softmax-last-axis",
        "it is always along the last axis",
        "log_softmax",
        "values",
        _LAST,
        "float16",
        kind="axes",
    ),
    fault(
        "log_softmax-transposed",
        "the outputs have their axes reversed",
        "log_softmax",
        "sizes",
        answering(lambda y, call: y.T),
        "bfloat16",
        kind="shape",
    ),
    fault(
        "log_softmax-axis-wraps",
        "an axis that there is not is counted on from the first",
        "log_softmax",
        "rejections",
        accepting("dim", calling(lambda call: {"dim": call["dim"] % max(call["input"].ndim, 1)})),
        kind="acceptance",
    ),
    fault(
        "log_softmax-nan-as-zero",
        "a NaN is taken for 0",
        "log_softmax",
        "special",
        calling(lambda call: {"input": without_nan(call["input"]).astype(call["input"].dtype)}),
        kind="special",
    ),
    fault(
        "log_softmax-own-share",
        "the gradient takes off the share of its own cotangent alone",
        "log_softmax",
        "gradients",
        _pulled(lambda p, g, dim: g - p * g),
        kind="gradient",
    ),
    fault(
        "log_softmax-gradient-of-softmax",
        "the gradient is that of softmax",
        "log_softmax",
        "gradients",
        _pulled(lambda p, g, dim: p * (g - (g * p).sum(dim, keepdims=True))),
        "float16",
        kind="gradient",
    ),
)
