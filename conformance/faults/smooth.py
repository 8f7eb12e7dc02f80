"""Ways for activations without a kink to be wrong: other functions, and forms that cancel or overflow."""

from __future__ import annotations

import numpy as np

from conformance.faults.elementwise import giving, sloped
from conformance.formats import Array
from conformance.honest import fault
from conformance.mistakes import accepting, answering, calling, through
from conformance.model import Fault


def _logistic(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


FAULTS: tuple[Fault, ...] = (
    fault(
        "sigmoid-overflows",
        "exp(x) / (1 + exp(x)) is infinity over infinity far above 0",
        "sigmoid",
        "values",
        giving(lambda x: np.exp(x) / (1 + np.exp(x))),
        kind="special",
    ),
    fault(
        "sigmoid-by-tanh",
        "half of 1 + tanh(x / 2) cancels far below 0",
        "sigmoid",
        "values",
        giving(lambda x: (1 + np.tanh(x / 2)) / 2),
        "float64",
        kind="rounding",
    ),
    fault(
        "sigmoid-hard",
        "a straight line takes the place of the curve",
        "sigmoid",
        "values",
        giving(lambda x: np.clip(x / 4 + 0.5, 0, 1)),
        "bfloat16",
        kind="rounding",
    ),
    fault("sigmoid-in-half", "it is computed in float16", "sigmoid", "values", through("float16"), kind="dtype"),
    fault(
        "sigmoid-slope-of-output",
        "the gradient takes the input for the output",
        "sigmoid",
        "gradients",
        sloped(lambda x: x * (1 - x)),
        kind="gradient",
    ),
    fault(
        "sigmoid-slope-unfinished",
        "the gradient is the cotangent times the output",
        "sigmoid",
        "gradients",
        sloped(_logistic),
        "float64",
        kind="gradient",
    ),
    fault(
        "tanh-by-exp",
        "1 - 2 / (exp(2 x) + 1) cancels near 0",
        "tanh",
        "values",
        giving(lambda x: 1 - 2 / (np.exp(2 * x) + 1)),
        kind="rounding",
    ),
    fault(
        "tanh-overflows",
        "a quotient of exponentials is infinity over infinity far above 0",
        "tanh",
        "values",
        giving(lambda x: (np.exp(2 * x) - 1) / (np.exp(2 * x) + 1)),
        "float64",
        kind="special",
    ),
    fault(
        "tanh-rational",
        "a rational function takes the place of it",
        "tanh",
        "values",
        giving(lambda x: np.clip(x * (27 + x * x) / (27 + 9 * x * x), -1, 1)),
        "float16",
        kind="rounding",
    ),
    fault(
        "tanh-slope-unsquared",
        "the gradient is 1 less the output, not less its square",
        "tanh",
        "gradients",
        sloped(lambda x: 1 - np.tanh(x)),
        kind="gradient",
    ),
    fault(
        "softplus-threshold-on-input",
        "the threshold is compared with the input, not with beta times it",
        "softplus",
        "values",
        giving(
            lambda x, beta=1.0, threshold=20.0: np.where(x > threshold, x, np.log1p(np.exp(beta * x)) / beta),
            "beta",
            "threshold",
        ),
        kind="index",
    ),
    fault(
        "softplus-undivided",
        "the logarithm is not divided by beta",
        "softplus",
        "values",
        giving(
            lambda x, beta=1.0, threshold=20.0: np.where(beta * x > threshold, x, np.log1p(np.exp(beta * x))),
            "beta",
            "threshold",
        ),
        "float64",
        kind="divisor",
    ),
    fault(
        "softplus-overflows",
        "there is no threshold, and the exponential overflows",
        "softplus",
        "values",
        giving(lambda x, beta=1.0: np.log1p(np.exp(x * x.dtype.type(beta))) / x.dtype.type(beta), "beta"),
        kind="special",
    ),
    fault(
        "softplus-log",
        "log(1 + exp(x)) is 0 far below 0",
        "softplus",
        "values",
        giving(
            lambda x, beta=1.0, threshold=20.0: np.where(
                beta * x > threshold, x, np.log(1 + np.exp(x * x.dtype.type(beta))) / x.dtype.type(beta)
            ),
            "beta",
            "threshold",
        ),
        kind="rounding",
    ),
    fault(
        "softplus-no-beta",
        "beta 0 is taken for 1",
        "softplus",
        "rejections",
        accepting("beta", calling(lambda call: {"beta": 1.0})),
        "float16",
        kind="acceptance",
    ),
    fault(
        "softplus-slope-beta",
        "the gradient is multiplied with beta",
        "softplus",
        "gradients",
        answering(lambda y, call: (y * call.get("beta", 1.0)).astype(y.dtype)),
        kind="gradient",
    ),
    fault(
        "softplus-slope-threshold",
        "the gradient knows the threshold of the input alone",
        "softplus",
        "gradients",
        calling(lambda call: {"threshold": 0.0}),
        "bfloat16",
        kind="gradient",
    ),
    fault(
        "logsigmoid-log-of-sigmoid",
        "the logarithm of 0 is infinite far below 0",
        "logsigmoid",
        "values",
        giving(lambda x: np.log(_logistic(x))),
        kind="special",
    ),
    fault(
        "logsigmoid-negated",
        "it is softplus of the input",
        "logsigmoid",
        "values",
        giving(lambda x: np.logaddexp(0, x)),
        "float16",
        kind="index",
    ),
    fault(
        "logsigmoid-slope-of-x",
        "the gradient is the logistic function of x, not of -x",
        "logsigmoid",
        "gradients",
        sloped(_logistic),
        kind="gradient",
    ),
    fault(
        "softsign-no-absolute",
        "the divisor is 1 + x",
        "softsign",
        "values",
        giving(lambda x: x / (1 + x)),
        kind="divisor",
    ),
    fault(
        "softsign-squared",
        "the divisor is the square root of 1 + x * x",
        "softsign",
        "values",
        giving(lambda x: x / np.sqrt(1 + x * x)),
        "float64",
        kind="divisor",
    ),
    fault(
        "softsign-slope-unsquared",
        "the divisor of the gradient is not squared",
        "softsign",
        "gradients",
        sloped(lambda x: 1 / (1 + np.abs(x))),
        kind="gradient",
    ),
    fault(
        "tanh-infinity-clamped",
        "an infinity is clamped before, and a NaN with it",
        "tanh",
        "special",
        answering(lambda y, call: np.where(np.isnan(y), np.ones((), y.dtype), y)),
        "bfloat16",
        kind="special",
    ),
    fault(
        "softplus-huge-lost",
        "what exceeds 1e30 becomes infinite",
        "softplus",
        "special",
        answering(lambda y, call: np.where(y > 1e30, np.inf, y).astype(y.dtype)),
        kind="special",
    ),
)
