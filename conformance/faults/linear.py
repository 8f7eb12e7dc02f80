"""Ways for a fully connected layer to be wrong."""

from __future__ import annotations

import numpy as np

from conformance.formats import Array
from conformance.honest import fault
from conformance.mistakes import Call, answering, calling, given, leaking, refusing, saturated, taking, where, zeroed
from conformance.model import Fault


def _nan_in_row(output: Array, call: Call) -> Array:
    """Return the output with a NaN in all features of a row where one of them has it."""
    return np.where(np.isnan(output).any(-1, keepdims=True), np.nan, output).astype(output.dtype)


def _averaged(output: Array, call: Call) -> Array:
    rows = call["cotangent"].size // max(output.size, 1)
    return np.asarray(output / max(rows, 1)).astype(output.dtype)


def _of_first_sample(output: Array, call: Call) -> Array:
    g, x = (call[k][:1].reshape(-1, call[k].shape[-1]).astype(np.float64) for k in ("cotangent", "input"))
    return np.asarray(g.T @ x).astype(output.dtype)


def _through(output: Array, g: Array, weight: Array) -> Array:
    if weight.shape[0] != weight.shape[1]:
        return output
    return np.asarray(g.astype(np.float64) @ weight.astype(np.float64).T).astype(output.dtype)


FAULTS: tuple[Fault, ...] = (
    fault(
        "linear-weight-transposed",
        "a square weight is read as (in, out)",
        "linear",
        "values",
        taking("weight", lambda w: w.T if w.shape[0] == w.shape[1] else w),
        kind="axes",
    ),
    fault(
        "linear-bias-ignored",
        "the bias is not added",
        "linear",
        "values",
        calling(lambda call: {"bias": None}),
        dtype="float64",
        kind="index",
    ),
    fault(
        "linear-bias-reversed",
        "the bias is added from the last feature to the first",
        "linear",
        "values",
        taking("bias", lambda b: b[::-1]),
        dtype="bfloat16",
        kind="index",
    ),
    fault(
        "linear-last-feature-skipped",
        "the last feature is skipped",
        "linear",
        "values",
        taking("input", lambda x: zeroed(x, ..., -1)),
        dtype="float16",
        kind="size",
    ),
    fault(
        "linear-no-features-nan",
        "without features the output is of another shape",
        "linear",
        "sizes",
        answering(lambda y, call: y if call["weight"].size else y[..., :0]),
        kind="shape",
    ),
    fault(
        "linear-flattened",
        "the leading axes are merged",
        "linear",
        "sizes",
        answering(lambda y, call: y.reshape(int(np.prod(y.shape[:-1])), y.shape[-1])),
        kind="shape",
    ),
    fault(
        "linear-widened",
        "the output is float64 whatever the input is",
        "linear",
        "sizes",
        answering(lambda y, call: y.astype(np.float64)),
        kind="dtype",
    ),
    fault(
        "linear-nan-leaks",
        "a NaN in one row of the input reaches the others",
        "linear",
        "special",
        answering(leaking),
        kind="special",
    ),
    fault(
        "linear-nan-in-row",
        "a NaN in one row of the weight reaches the other features",
        "linear",
        "special",
        answering(_nan_in_row),
        kind="special",
    ),
    fault(
        "linear-infinity-clamped",
        "infinities become the largest finite number",
        "linear",
        "special",
        answering(saturated),
        dtype="float64",
        kind="special",
    ),
    fault(
        "linear-accepts-no-output",
        "a weight without output features raises",
        "linear",
        "rejections",
        where(lambda call: not call["weight"].shape[0], refusing),
        kind="acceptance",
    ),
    fault(
        "linear-bias-averaged",
        "the gradient of the bias is a mean over the rows",
        "linear",
        "gradients",
        where(given("bias"), answering(_averaged, 2)),
        kind="gradient",
    ),
    fault(
        "linear-first-row-alone",
        "the gradient of the weight is that of the first sample",
        "linear",
        "gradients",
        answering(_of_first_sample, 1),
        dtype="float64",
        kind="gradient",
    ),
    fault(
        "linear-gradient-transposed",
        "the gradient of the input goes by a square weight, not by its transpose",
        "linear",
        "gradients",
        answering(lambda y, call: _through(y, call["cotangent"], call["weight"]), 0),
        dtype="bfloat16",
        kind="gradient",
    ),
    fault(
        "linear-gradient-in-half",
        "the gradient of the weight is added up in float16",
        "linear",
        "gradients",
        answering(lambda y, call: y.astype(np.float16).astype(y.dtype), 1),
        kind="rounding",
    ),
)
