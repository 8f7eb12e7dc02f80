"""Ways for activations that weight their argument to be wrong: other constants, other forms."""

from __future__ import annotations

import math

import numpy as np

from conformance.faults.elementwise import giving, sloped
from conformance.formats import Array
from conformance.honest import fault
from conformance.mistakes import accepting, answering, calling, saturated, where
from conformance.model import Fault
from reference.normal import cdf


def _logistic(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


def _tanh_gelu(x: Array, cubic: float = 0.044715) -> Array:
    return np.asarray(x * 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + cubic * x**3))))


def _erf_gelu(x: Array) -> Array:
    return x * cdf(x.astype(np.float64).reshape(-1)).reshape(x.shape)


FAULTS: tuple[Fault, ...] = (
    fault(
        "silu-quick",
        "the logistic function is that of 1.702 x",
        "silu",
        "values",
        giving(lambda x: x * _logistic(1.702 * x)),
        "bfloat16",
        kind="rounding",
    ),
    fault("silu-logistic", "the factor x is missing", "silu", "values", giving(_logistic), "float16", kind="index"),
    fault(
        "silu-overflows",
        "x * exp(x) / (1 + exp(x)) is infinity over infinity far above 0",
        "silu",
        "values",
        giving(lambda x: x * np.exp(x) / (1 + np.exp(x))),
        kind="special",
    ),
    fault(
        "silu-slope-unfinished",
        "the gradient is the logistic function alone",
        "silu",
        "gradients",
        sloped(_logistic),
        kind="gradient",
    ),
    fault(
        "mish-no-tanh",
        "the hyperbolic tangent is missing",
        "mish",
        "values",
        giving(lambda x: x * np.logaddexp(0, x)),
        "float16",
        kind="index",
    ),
    fault(
        "mish-overflows",
        "its form in exponentials is infinity over infinity far above 0",
        "mish",
        "values",
        giving(lambda x: x * (np.exp(2 * x) + 2 * np.exp(x)) / (np.exp(2 * x) + 2 * np.exp(x) + 2)),
        kind="special",
    ),
    fault(
        "mish-slope-unfinished",
        "the gradient leaves out that of the tangent",
        "mish",
        "gradients",
        sloped(lambda x: np.tanh(np.logaddexp(0, x))),
        "float64",
        kind="gradient",
    ),
    fault(
        "gelu-approximate-always",
        "the tangent takes the place of the error function",
        "gelu",
        "values",
        giving(_tanh_gelu),
        kind="rounding",
    ),
    fault(
        "gelu-approximate-never",
        "the error function takes the place of the tangent",
        "gelu",
        "values",
        giving(_erf_gelu),
        "float64",
        kind="rounding",
    ),
    fault(
        "gelu-quick",
        "a logistic function of 1.702 x takes the place of both",
        "gelu",
        "values",
        giving(lambda x: x * _logistic(1.702 * x)),
        "float16",
        kind="rounding",
    ),
    fault(
        "gelu-short-constant",
        "the cubic term has two digits",
        "gelu",
        "values",
        where(lambda call: "approximate" in call, giving(lambda x: _tanh_gelu(x, 0.045))),
        kind="rounding",
    ),
    fault(
        "gelu-any-form",
        "an unknown form is taken for none",
        "gelu",
        "rejections",
        accepting("approximate", calling(lambda call: {"approximate": "none"})),
        kind="acceptance",
    ),
    fault(
        "gelu-slope-unfinished",
        "the gradient leaves out the density",
        "gelu",
        "gradients",
        sloped(lambda x: cdf(x.astype(np.float64).reshape(-1)).reshape(x.shape)),
        kind="gradient",
    ),
    fault(
        "gelu-slope-of-other-form",
        "the gradient is that of the error function in both forms",
        "gelu",
        "gradients",
        calling(lambda call: {"approximate": "none"}),
        "float64",
        kind="gradient",
    ),
    fault(
        "silu-infinity-clamped",
        "infinity becomes the largest finite number",
        "silu",
        "special",
        answering(saturated),
        "float64",
        kind="special",
    ),
    fault(
        "gelu-subnormal-flushed",
        "subnormal numbers become 0",
        "gelu",
        "special",
        answering(lambda y, call: np.where(np.abs(call["input"]) < np.finfo(np.float64).tiny, 0, y)),
        "float64",
        kind="special",
    ),
)
