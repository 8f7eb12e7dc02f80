"""Ways for activations that are limited on one side or on both to be wrong."""

from __future__ import annotations

import numpy as np

from conformance.faults.elementwise import giving, sloped
from conformance.formats import Array
from conformance.honest import fault
from conformance.mistakes import Call, accepting, answering, calling, refusing, saturated, where
from conformance.model import Fault


def _leaky(output: Array, call: Call) -> Array:
    x = call["input"]
    return np.where(x < 0, 0.01 * x, output).astype(output.dtype)


def _tail_unprocessed(output: Array, call: Call) -> Array:
    """Return the output with the input itself in what a loop of eight leaves over."""
    flat, tail = output.ravel(), output.size - output.size % 8
    flat[tail:] = call["input"].ravel()[tail:]
    return flat.reshape(output.shape)


_INNER = calling(lambda call: {"kink": "inner"})

FAULTS: tuple[Fault, ...] = (
    fault("relu-leaky", "a hundredth of what is negative passes", "relu", "values", answering(_leaky), kind="rounding"),
    fault(
        "relu-clipped",
        "what exceeds 6 becomes 6",
        "relu",
        "values",
        answering(lambda y, call: np.minimum(y, 6)),
        "float16",
        kind="special",
    ),
    fault(
        "relu-absolute",
        "what is negative changes its sign",
        "relu",
        "values",
        answering(lambda y, call: np.abs(call["input"])),
        "bfloat16",
        kind="index",
    ),
    fault(
        "relu-small-as-zero",
        "what is below 0.001 becomes 0",
        "relu",
        "values",
        answering(lambda y, call: np.where(y < 1e-3, 0, y)),
        "float64",
        kind="rounding",
    ),
    fault(
        "relu-tail-unprocessed",
        "what a loop of eight leaves over is not processed",
        "relu",
        "values",
        answering(_tail_unprocessed),
        kind="size",
    ),
    fault(
        "relu-empty-refused",
        "an empty input raises",
        "relu",
        "sizes",
        where(lambda call: not call["input"].size, refusing),
        kind="acceptance",
    ),
    fault(
        "relu-nan-as-zero", "a NaN becomes 0", "relu", "special", calling(lambda call: {"nan": "zero"}), kind="special"
    ),
    fault(
        "relu-infinity-clamped",
        "infinity becomes the largest finite number",
        "relu",
        "special",
        answering(saturated),
        "float16",
        kind="special",
    ),
    fault("relu-passes-at-zero", "the gradient at 0 is the cotangent", "relu", "gradients", _INNER, kind="gradient"),
    fault(
        "relu-halves-at-zero",
        "the gradient at 0 is half of the cotangent",
        "relu",
        "gradients",
        calling(lambda call: {"kink": "mean"}),
        "bfloat16",
        kind="gradient",
    ),
    fault(
        "relu6-uncapped", "what exceeds 6 passes", "relu6", "values", giving(lambda x: np.maximum(x, 0)), kind="index"
    ),
    fault(
        "relu6-of-sixths",
        "the answer is divided by 6",
        "relu6",
        "values",
        giving(lambda x: np.clip(x, 0, 6) / 6),
        "float16",
        kind="divisor",
    ),
    fault(
        "relu6-passes-at-six", "the gradient at 0 and 6 is the cotangent", "relu6", "gradients", _INNER, kind="gradient"
    ),
    fault(
        "relu6-passes-above",
        "the gradient above 6 is the cotangent",
        "relu6",
        "gradients",
        sloped(lambda x: (x > 0) * 1.0),
        "float64",
        kind="gradient",
    ),
    fault(
        "hardtanh-limits-ignored",
        "the limits are always -1 and 1",
        "hardtanh",
        "values",
        giving(lambda x: np.clip(x, -1, 1)),
        kind="dtype",
    ),
    fault(
        "hardtanh-symmetric",
        "the lower limit is the upper one with another sign",
        "hardtanh",
        "values",
        giving(lambda x, max_val=1.0: np.clip(x, -max_val, max_val), "max_val"),
        "bfloat16",
        kind="index",
    ),
    fault(
        "hardtanh-limits-swapped",
        "limits in the wrong order are swapped",
        "hardtanh",
        "rejections",
        accepting("limits", calling(lambda call: {"min_val": call["max_val"], "max_val": call["min_val"]})),
        "float64",
        kind="acceptance",
    ),
    fault(
        "hardtanh-passes-at-limits",
        "the gradient at a limit is the cotangent",
        "hardtanh",
        "gradients",
        _INNER,
        "float16",
        kind="gradient",
    ),
    fault(
        "hardsigmoid-of-keras",
        "the slope is 0.2",
        "hardsigmoid",
        "values",
        giving(lambda x: np.clip(x * 0.2 + 0.5, 0, 1)),
        kind="divisor",
    ),
    fault(
        "hardsigmoid-uncapped",
        "it is not limited from above",
        "hardsigmoid",
        "values",
        giving(lambda x: np.maximum(x + 3, 0) / 6),
        "float16",
        kind="index",
    ),
    fault(
        "hardsigmoid-slope-of-one",
        "the gradient is not divided by 6",
        "hardsigmoid",
        "gradients",
        sloped(lambda x: (np.abs(x) < 3) * 1.0),
        kind="gradient",
    ),
    fault(
        "hardsigmoid-passes-at-three",
        "the gradient at -3 and 3 is a sixth of the cotangent",
        "hardsigmoid",
        "gradients",
        _INNER,
        "float64",
        kind="gradient",
    ),
    fault(
        "hardswish-as-silu",
        "the logistic function takes the place of its straight line",
        "hardswish",
        "values",
        giving(lambda x: x / (1 + np.exp(-x))),
        kind="rounding",
    ),
    fault(
        "hardswish-sixth-in-half",
        "a sixth is rounded to float16",
        "hardswish",
        "values",
        giving(lambda x: x * np.clip(x + 3, 0, 6) * np.float32(np.float16(1 / 6))),
        "float64",
        kind="rounding",
    ),
    fault(
        "hardswish-half-slope",
        "the gradient between -3 and 3 is that of the line alone",
        "hardswish",
        "gradients",
        sloped(lambda x: np.where(np.abs(x) < 3, x / 6 + 0.5, x > 0)),
        kind="gradient",
    ),
    fault(
        "hardswish-inner",
        "the gradient at -3 and 3 is that of the parabola",
        "hardswish",
        "gradients",
        _INNER,
        "bfloat16",
        kind="gradient",
    ),
)
