"""Ways for activations that have another slope, or an exponential, below 0 to be wrong."""

from __future__ import annotations

import numpy as np

from conformance.faults.elementwise import giving, sloped
from conformance.formats import Array
from conformance.honest import fault
from conformance.mistakes import Call, accepting, answering, calling, taking, where
from conformance.model import Fault
from reference.activation import SELU_ALPHA, SELU_SCALE


def _along_last(output: Array, call: Call) -> Array:
    """Return prelu with the weights along the last axis."""
    x = call["input"]
    return np.asarray(np.where(x > 0, x, x * np.resize(call["weight"], x.shape[-1])), output.dtype)


def _several(call: Call) -> bool:
    """Whether prelu has a weight for each of several channels."""
    return bool(call["weight"].size > 1)


_INNER = calling(lambda call: {"kink": "inner"})

FAULTS: tuple[Fault, ...] = (
    fault(
        "leaky_relu-other-side",
        "the slope is that of what is positive",
        "leaky_relu",
        "values",
        giving(lambda x, negative_slope=0.01: np.where(x < 0, x, negative_slope * x), "negative_slope"),
        kind="index",
    ),
    fault(
        "leaky_relu-slope-ignored",
        "the slope is always 0.01",
        "leaky_relu",
        "values",
        giving(lambda x: np.where(x < 0, x * x.dtype.type(0.01), x)),
        "float64",
        kind="dtype",
    ),
    fault(
        "leaky_relu-as-maximum",
        "the larger of both sides is taken, also for slopes above 1",
        "leaky_relu",
        "values",
        giving(lambda x, negative_slope=0.01: np.maximum(x, x * x.dtype.type(negative_slope)), "negative_slope"),
        "float16",
        kind="index",
    ),
    fault(
        "leaky_relu-passes-at-zero",
        "the gradient at 0 is the cotangent",
        "leaky_relu",
        "gradients",
        _INNER,
        kind="gradient",
    ),
    fault(
        "leaky_relu-no-slope",
        "the gradient below 0 is 0",
        "leaky_relu",
        "gradients",
        sloped(lambda x: (x > 0) * 1.0),
        "bfloat16",
        kind="gradient",
    ),
    fault(
        "prelu-first-channel",
        "all channels have the weight of the first",
        "prelu",
        "values",
        taking("weight", lambda w: np.full_like(w, w.reshape(-1)[0])),
        kind="groups",
    ),
    fault(
        "prelu-channels-last",
        "the weights belong to the last axis",
        "prelu",
        "values",
        where(_several, answering(_along_last)),
        "float64",
        kind="axes",
    ),
    fault(
        "prelu-other-side",
        "the weight is that of what is positive",
        "prelu",
        "values",
        answering(lambda y, call: np.where(call["input"] < 0, call["input"], -y)),
        "float16",
        kind="index",
    ),
    fault(
        "prelu-weights-cut",
        "more weights than channels are cut",
        "prelu",
        "rejections",
        accepting("weight", calling(lambda call: {"weight": call["weight"].reshape(-1)[: call["input"].shape[1]]})),
        kind="acceptance",
    ),
    fault(
        "prelu-weight-averaged",
        "the gradient of the weight is a mean",
        "prelu",
        "gradients",
        answering(lambda y, call: (y / max(call["input"].size // max(y.size, 1), 1)).astype(y.dtype), 1),
        kind="gradient",
    ),
    fault(
        "prelu-weight-everywhere",
        "what is positive counts in the gradient of the weight",
        "prelu",
        "gradients",
        calling(lambda call: {"input": -np.abs(call["input"])}),
        "float64",
        kind="gradient",
    ),
    fault(
        "prelu-passes-at-zero",
        "the gradient at 0 is the cotangent",
        "prelu",
        "gradients",
        _INNER,
        "float16",
        kind="gradient",
    ),
    fault(
        "elu-exp-less-one",
        "exp(x) - 1 cancels near 0",
        "elu",
        "values",
        giving(lambda x, alpha=1.0: np.where(x > 0, x, x.dtype.type(alpha) * (np.exp(x) - 1)), "alpha"),
        kind="rounding",
    ),
    fault(
        "elu-alpha-ignored",
        "alpha is always 1",
        "elu",
        "values",
        giving(lambda x: np.maximum(x, 0) + np.expm1(np.minimum(x, 0))),
        "float64",
        kind="dtype",
    ),
    fault(
        "elu-alpha-outside",
        "alpha is taken off after the exponential",
        "elu",
        "values",
        giving(lambda x, alpha=1.0: np.where(x > 0, x, np.exp(x) - alpha), "alpha"),
        "bfloat16",
        kind="index",
    ),
    fault(
        "elu-gradient-of-output",
        "the gradient takes the input for the output",
        "elu",
        "gradients",
        sloped(lambda x, alpha=1.0: np.where(x > 0, 1, x + alpha), "alpha"),
        kind="gradient",
    ),
    fault(
        "elu-passes-at-zero",
        "the gradient at 0 is the cotangent, whatever alpha is",
        "elu",
        "gradients",
        _INNER,
        "float64",
        kind="gradient",
    ),
    fault(
        "celu-as-elu",
        "alpha does not divide the exponent",
        "celu",
        "values",
        giving(lambda x, alpha=1.0: np.where(x > 0, x, x.dtype.type(alpha) * np.expm1(x)), "alpha"),
        kind="divisor",
    ),
    fault(
        "celu-exponent-multiplied",
        "alpha multiplies the exponent",
        "celu",
        "values",
        giving(
            lambda x, alpha=1.0: np.where(x > 0, x, x.dtype.type(alpha) * np.expm1(x * x.dtype.type(alpha))), "alpha"
        ),
        "float16",
        kind="divisor",
    ),
    fault(
        "celu-no-alpha",
        "alpha 0 is taken for 1",
        "celu",
        "rejections",
        accepting("alpha", calling(lambda call: {"alpha": 1.0})),
        "bfloat16",
        kind="acceptance",
    ),
    fault(
        "celu-slope-divided",
        "the gradient below 0 is divided by alpha",
        "celu",
        "gradients",
        sloped(lambda x, alpha=1.0: np.where(x > 0, 1, np.exp(x / x.dtype.type(alpha)) / x.dtype.type(alpha)), "alpha"),
        kind="gradient",
    ),
    fault(
        "selu-short-constants",
        "the constants have five digits",
        "selu",
        "values",
        giving(lambda x: x.dtype.type(1.0507) * np.where(x > 0, x, x.dtype.type(1.67326) * np.expm1(x))),
        kind="rounding",
    ),
    fault(
        "selu-constants-swapped",
        "alpha and the scale are swapped",
        "selu",
        "values",
        giving(lambda x: SELU_ALPHA * np.where(x > 0, x, SELU_SCALE * np.expm1(x))),
        "float16",
        kind="index",
    ),
    fault(
        "selu-single-constants",
        "the constants are float32 in float64",
        "selu",
        "values",
        giving(lambda x: float(np.float32(SELU_SCALE)) * np.where(x > 0, x, SELU_ALPHA * np.expm1(x))),
        "float64",
        kind="dtype",
    ),
    fault(
        "selu-unscaled-slope",
        "the gradient above 0 is not scaled",
        "selu",
        "gradients",
        sloped(lambda x: np.where(x > 0, 1, SELU_SCALE * SELU_ALPHA * np.exp(x))),
        kind="gradient",
    ),
    fault(
        "selu-passes-at-zero",
        "the gradient at 0 is that above it",
        "selu",
        "gradients",
        _INNER,
        "float64",
        kind="gradient",
    ),
)
