"""Definitions of all activations in mpmath, as they are written, and how accurate the references say that they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

mpmath = pytest.importorskip("mpmath", reason="mpmath comes with PyTorch and computes with as many digits as wanted")
mpf, exp, sqrt = mpmath.mpf, mpmath.exp, mpmath.sqrt

DIGITS = 120
UNDERFLOW = mpf(2) ** -1050


@dataclass(frozen=True)
class Curve:
    """A function of one number.

    units, slope_units: the bounds of the output and of the gradient in unit roundoffs of `output` and of `slope`, the
    sum of the absolute terms of the derivative; None where that is one term, the derivative itself.
    """

    definition: Callable[[Any], Any]
    units: Callable[[Any], Any]
    slope_units: Callable[[Any], Any]
    slope: Callable[[Any], Any] | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    kinks: tuple[float, ...] = ()

    def derivative(self, x: Any) -> Any:
        """Return the central difference quotient; the step is far below every x and far above 10**-DIGITS."""
        step = mpf(10) ** -30
        return (self.definition(x + step) - self.definition(x - step)) / (2 * step)


def units(count: float) -> Callable[[Any], Any]:
    return lambda _: mpf(count)


def logistic(x: Any) -> Any:
    return 1 / (1 + exp(-x))


def bell(x: Any) -> Any:
    return logistic(x) * logistic(-x)


def softplus(x: Any, beta: Any = 1) -> Any:
    return mpmath.log1p(exp(mpf(beta) * x)) / mpf(beta)


def density(x: Any) -> Any:
    return exp(-x * x / 2) / sqrt(2 * mpmath.pi)


def cdf(x: Any) -> Any:
    return mpmath.erfc(-x / sqrt(2)) / 2


def gelu_argument(x: Any) -> Any:
    return 2 * sqrt(2 / mpmath.pi) * (x + mpf("0.044715") * x**3)


def gelu_argument_slope(x: Any) -> Any:
    return 2 * sqrt(2 / mpmath.pi) * (1 + 3 * mpf("0.044715") * x**2)


def selu(x: Any) -> Any:
    alpha, scale = mpf("1.6732632423543772848170429916717"), mpf("1.0507009873554804934193349852946")
    return scale * (x if x > 0 else alpha * mpmath.expm1(x))


def sech_squared(x: Any) -> Any:
    return 1 - mpmath.tanh(softplus(x)) ** 2


def limited(x: Any, low: Any, high: Any) -> Any:
    return min(max(x, mpf(low)), mpf(high))


CURVES = {
    "sigmoid": Curve(logistic, units(6), units(8)),
    "tanh": Curve(mpmath.tanh, units(4), units(8)),
    "softplus": Curve(softplus, units(6), units(7), attributes={"threshold": np.inf}),
    "softplus with beta": Curve(
        lambda x: softplus(x, 0.7),
        lambda x: 6 + abs(0.7 * x),
        lambda x: 7 + abs(0.7 * x),
        attributes={"beta": 0.7, "threshold": np.inf},
    ),
    "softplus with threshold": Curve(
        lambda x: x if -2 * x > 1.5 else softplus(x, -2), units(6), units(7), attributes={"beta": -2, "threshold": 1.5}
    ),
    "logsigmoid": Curve(lambda x: -softplus(-x), units(6), units(7)),
    "softsign": Curve(lambda x: x / (1 + abs(x)), units(2), units(6)),
    "silu": Curve(lambda x: x * logistic(x), units(7), units(10), lambda x: logistic(x) + abs(x) * bell(x)),
    "mish": Curve(
        lambda x: x * mpmath.tanh(softplus(x)),
        units(9),
        units(16),
        lambda x: mpmath.tanh(softplus(x)) + abs(x) * sech_squared(x) * logistic(x),
    ),
    "gelu": Curve(lambda x: x * cdf(x), units(7), units(9), lambda x: cdf(x) + abs(x) * density(x)),
    "gelu by tanh": Curve(
        lambda x: x * logistic(gelu_argument(x)),
        lambda x: 7 + 5 * abs(min(gelu_argument(x), 0)),
        lambda x: 16 + 5 * abs(gelu_argument(x)),
        lambda x: logistic(gelu_argument(x)) + abs(x) * bell(gelu_argument(x)) * gelu_argument_slope(x),
        attributes={"approximate": "tanh"},
    ),
    "relu": Curve(lambda x: max(x, mpf(0)), units(0), units(0), kinks=(0,)),
    "relu6": Curve(lambda x: limited(x, 0, 6), units(0), units(0), kinks=(0, 6)),
    "hardtanh": Curve(
        lambda x: limited(x, -2, 3.5),
        units(0),
        units(0),
        attributes={"min_val": -2, "max_val": 3.5},
        kinks=(-2, 3.5),
    ),
    "hardsigmoid": Curve(lambda x: limited(x + 3, 0, 6) / 6, units(2), units(2), kinks=(-3, 3)),
    "hardswish": Curve(
        lambda x: x * limited(x + 3, 0, 6) / 6, units(3), units(4), lambda x: abs(x) / 3 + mpf(0.5), kinks=(-3, 3)
    ),
    "leaky_relu": Curve(
        lambda x: x if x > 0 else mpf(0.01) * x, units(1), units(2), kinks=(0,), attributes={"negative_slope": 0.01}
    ),
    "leaky_relu steeper": Curve(
        lambda x: x if x > 0 else mpf(1.7) * x, units(1), units(2), kinks=(0,), attributes={"negative_slope": 1.7}
    ),
    "elu": Curve(
        lambda x: x if x > 0 else mpf(0.7) * mpmath.expm1(x), units(5), units(5), kinks=(0,), attributes={"alpha": 0.7}
    ),
    "celu": Curve(
        lambda x: x if x > 0 else mpf(0.7) * mpmath.expm1(x / mpf(0.7)),
        units(6),
        lambda x: 4 + abs(x / 0.7),
        kinks=(0,),  # of the second derivative, which the difference quotient meets
        attributes={"alpha": 0.7},
    ),
    "celu that grows": Curve(
        lambda x: x if x > 0 else mpf(-3) * mpmath.expm1(x / -3),
        lambda x: 6 + abs(x / 3),
        lambda x: 4 + abs(x / 3),
        kinks=(0,),
        attributes={"alpha": -3},
    ),
    "selu": Curve(selu, units(7), units(8), kinks=(0,)),
}


def points(reach: float, curve: Curve) -> np.ndarray:
    """Return numbers of all sizes up to `reach`, kinks and what is next to them left out."""
    rng = np.random.default_rng(0)
    sign = rng.choice([-1.0, 1.0], 60)
    x = np.concatenate(
        [
            rng.normal(0, 1, 60),
            rng.normal(0, 4, 60),
            rng.uniform(-1, 1, 60) * min(reach, 40.0),
            rng.uniform(-1, 1, 60) * min(reach, 800.0),
            sign * 10.0 ** rng.uniform(-12, np.log10(reach), 60),
        ]
    )
    return x[~np.isin(x, curve.kinks)]
