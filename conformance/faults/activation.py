"""Ways for ReLU and for a fully connected layer to be wrong."""

from __future__ import annotations

import numpy as np

from conformance.formats import Array
from conformance.honest import fault
from conformance.mistakes import Call, answering, calling, leaking, refusing, saturated, taking, where, zeroed
from conformance.model import Fault


def _leaky(output: Array, call: Call) -> Array:
    x = call["input"]
    return np.where(x < 0, 0.01 * x, output).astype(output.dtype)


def _tail_unprocessed(output: Array, call: Call) -> Array:
    """Return the output with the input itself in what a loop of eight leaves over."""
    flat, tail = output.ravel(), output.size - output.size % 8
    flat[tail:] = call["input"].ravel()[tail:]
    return flat.reshape(output.shape)


def _nan_in_row(output: Array, call: Call) -> Array:
    """Return the output with a NaN in all features of a row where one of them has it."""
    return np.where(np.isnan(output).any(-1, keepdims=True), np.nan, output).astype(output.dtype)


RELU = (
    fault("relu-leaky", "a hundredth of what is negative passes", "relu", "values", answering(_leaky)),
    fault(
        "relu-clipped",
        "what exceeds 6 becomes 6",
        "relu",
        "values",
        answering(lambda y, call: np.minimum(y, 6)),
        dtype="float16",
    ),
    fault(
        "relu-absolute",
        "what is negative changes its sign",
        "relu",
        "values",
        answering(lambda y, call: np.abs(call["input"])),
        dtype="bfloat16",
    ),
    fault(
        "relu-small-as-zero",
        "what is below 0.001 becomes 0",
        "relu",
        "values",
        answering(lambda y, call: np.where(y < 1e-3, 0, y)),
        dtype="float64",
    ),
    fault(
        "relu-tail-unprocessed",
        "what a loop of eight leaves over is not processed",
        "relu",
        "values",
        answering(_tail_unprocessed),
    ),
    fault(
        "relu-empty-refused",
        "an empty input raises",
        "relu",
        "sizes",
        where(lambda call: not call["input"].size, refusing),
    ),
    fault(
        "relu-flattened",
        "an input of more than two axes comes back with two",
        "relu",
        "sizes",
        answering(lambda y, call: y.reshape(y.shape[0], int(np.prod(y.shape[1:])))),
    ),
    fault("relu-nan-as-zero", "a NaN becomes 0", "relu", "special", calling(lambda call: {"nan": "zero"})),
    fault(
        "relu-infinity-clamped",
        "infinity becomes the largest finite number",
        "relu",
        "special",
        answering(saturated),
        dtype="float16",
    ),
)

LINEAR = (
    fault(
        "linear-weight-transposed",
        "a square weight is read as (in, out)",
        "linear",
        "values",
        taking("weight", lambda w: w.T if w.shape[0] == w.shape[1] else w),
    ),
    fault(
        "linear-bias-ignored",
        "the bias is not added",
        "linear",
        "values",
        calling(lambda call: {"bias": None}),
        dtype="float64",
    ),
    fault(
        "linear-bias-reversed",
        "the bias is added from the last feature to the first",
        "linear",
        "values",
        taking("bias", lambda b: b[::-1]),
        dtype="bfloat16",
    ),
    fault(
        "linear-last-feature-skipped",
        "the last feature is skipped",
        "linear",
        "values",
        taking("input", lambda x: zeroed(x, ..., -1)),
        dtype="float16",
    ),
    fault(
        "linear-no-features-nan",
        "without features the output is of another shape",
        "linear",
        "sizes",
        answering(lambda y, call: y if call["weight"].size else y[..., :0]),
    ),
    fault(
        "linear-flattened",
        "the leading axes are merged",
        "linear",
        "sizes",
        answering(lambda y, call: y.reshape(int(np.prod(y.shape[:-1])), y.shape[-1])),
    ),
    fault(
        "linear-widened",
        "the output is float64 whatever the input is",
        "linear",
        "sizes",
        answering(lambda y, call: y.astype(np.float64)),
    ),
    fault(
        "linear-nan-leaks", "a NaN in one row of the input reaches the others", "linear", "special", answering(leaking)
    ),
    fault(
        "linear-nan-in-row",
        "a NaN in one row of the weight reaches the other features",
        "linear",
        "special",
        answering(_nan_in_row),
    ),
    fault(
        "linear-infinity-clamped",
        "infinities become the largest finite number",
        "linear",
        "special",
        answering(saturated),
        dtype="float64",
    ),
)

FAULTS: tuple[Fault, ...] = (*RELU, *LINEAR)
