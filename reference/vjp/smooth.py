"""Gradients of the activations that have a derivative everywhere: none cancels where that is not 0."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from reference.arrays import Array
from reference.constraints import one_of
from reference.elementwise import floats
from reference.normal import cdf, density
from reference.smooth import (
    FAR,
    GELU_CUBIC,
    GELU_FORMS,
    GELU_SLOPE,
    gelu_argument,
    logistic,
    mish_parts,
    softplus_numbers,
)
from reference.vjp.elementwise import times_derivative


def sigmoid(cotangent: ArrayLike, input: ArrayLike) -> Array:
    """Return the gradient of sum(cotangent * sigmoid(input)).

    Formula: cotangent * t / (1 + t)**2, elementwise, t = exp(-|x|).

    Shapes: any; all the same.

    Units: those of cotangent over those of input.

    Constraints: as `reference.sigmoid`; `cotangent`: the shape of the output.

    Accuracy: within 8 u |gradient|, u = 2**-53, plus 2**-1074 (1 + |cotangent|).

    Source: the derivative of the formula in `reference.sigmoid`.

    >>> sigmoid([8.0, 8.0], [0.0, -np.inf])
    array([2., 0.])
    """
    return times_derivative(cotangent, floats("input", input), _bell)


def tanh(cotangent: ArrayLike, input: ArrayLike) -> Array:
    """Return the gradient of sum(cotangent * tanh(input)).

    Formula: cotangent * (1 - tanh(x)**2), elementwise, which is cotangent * 4 * t / (1 + t)**2, t = exp(-2 * |x|).

    Shapes: any; all the same.

    Units: those of cotangent over those of input.

    Constraints: as `reference.tanh`; `cotangent`: the shape of the output.

    Accuracy: within 8 u |gradient|, u = 2**-53, plus 2**-1072 (1 + |cotangent|).

    Source: the derivative of the formula in `reference.tanh`.

    >>> tanh([8.0, 8.0], [0.0, -np.inf])
    array([8., 0.])
    """
    return times_derivative(cotangent, floats("input", input), lambda x: 4 * _bell(2 * x))


def softplus(cotangent: ArrayLike, input: ArrayLike, beta: float = 1.0, threshold: float = 20.0) -> Array:
    """Return the gradient of sum(cotangent * softplus(input, beta, threshold)).

    Formula: cotangent / (1 + exp(-beta * x)), elementwise; cotangent where beta * x > threshold.

    Shapes: any; all the same.

    Units: those of cotangent.

    Constraints: as `reference.softplus`; `cotangent`: the shape of the output.

    Accuracy: within (7 + |beta * x|) u |gradient|, u = 2**-53, plus 2**-1074 (1 + |cotangent|); the term with x
    is the rounding of beta * x, which a power of two does not need.

    Source: the derivative of the formula in `reference.softplus`.

    >>> softplus([8.0, 8.0], [0.0, 30.0])
    array([4., 8.])
    """
    beta, threshold = softplus_numbers(beta, threshold)

    def derivative(x: Array) -> Array:
        z = beta * x
        return np.where(z > threshold, 1, logistic(z))

    return times_derivative(cotangent, floats("input", input), derivative)


def logsigmoid(cotangent: ArrayLike, input: ArrayLike) -> Array:
    """Return the gradient of sum(cotangent * logsigmoid(input)).

    Formula: cotangent / (1 + exp(x)), elementwise.

    Shapes: any; all the same.

    Units: those of cotangent over those of input.

    Constraints: as `reference.logsigmoid`; `cotangent`: the shape of the output.

    Accuracy: within 7 u |gradient|, u = 2**-53, plus 2**-1074 (1 + |cotangent|).

    Source: the derivative of the formula in `reference.logsigmoid`.

    >>> logsigmoid([8.0, 8.0], [0.0, -np.inf])
    array([4., 8.])
    """
    return times_derivative(cotangent, floats("input", input), lambda x: logistic(-x))


def softsign(cotangent: ArrayLike, input: ArrayLike) -> Array:
    """Return the gradient of sum(cotangent * softsign(input)).

    Formula: cotangent / (1 + |x|)**2, elementwise.

    Shapes: any; all the same.

    Units: those of cotangent over those of input.

    Constraints: as `reference.softsign`; `cotangent`: the shape of the output.

    Accuracy: within 6 u |gradient|, u = 2**-53, plus 2**-1074 (1 + |cotangent|).

    Source: the derivative of the formula in `reference.softsign`.

    >>> softsign([8.0, 8.0], [-1.0, np.inf])
    array([2., 0.])
    """
    return times_derivative(cotangent, floats("input", input), lambda x: np.square(1 / (1 + np.abs(x))))


def silu(cotangent: ArrayLike, input: ArrayLike) -> Array:
    """Return the gradient of sum(cotangent * silu(input)).

    Formula: cotangent * (s + x * s * (1 - s)), elementwise, s = sigmoid(x).

    Shapes: any; all the same.

    Units: those of cotangent.

    Constraints: as `reference.silu`; `cotangent`: the shape of the output.

    Accuracy: within 10 u |cotangent| (s + |x| * s * (1 - s)), u = 2**-53, plus 2**-1064 (1 + |cotangent|).

    Source: the derivative of the formula in `reference.silu`.

    >>> silu([8.0, 8.0, 8.0], [-np.inf, 0.0, np.inf])
    array([0., 4., 8.])
    """
    return times_derivative(cotangent, floats("input", input), lambda x: logistic(x) + _near(x) * _bell(x))


def mish(cotangent: ArrayLike, input: ArrayLike) -> Array:
    """Return the gradient of sum(cotangent * mish(input)).

    Formula: cotangent * (w + x * (1 - w**2) * s), elementwise, w = tanh(softplus(x)), s = sigmoid(x); with e = exp(x)
    (1 - w**2) * s = 4 * e * (1 + e) / (e * (e + 2) + 2)**2.

    Shapes: any; all the same.

    Units: those of cotangent.

    Constraints: as `reference.mish`; `cotangent`: the shape of the output.

    Accuracy: within 16 u |cotangent| (w + |x| * (1 - w**2) * s), u = 2**-53, plus 2**-1064 (1 + |cotangent|).

    Source: the derivative of the formula in `reference.mish`.

    >>> mish([8.0, 5.0, 8.0], [-np.inf, 0.0, np.inf])
    array([0., 3., 8.])
    """

    def derivative(x: Array) -> Array:
        t = np.exp(-np.abs(x))
        above, below = mish_parts(x)
        slope = 4 * t * (1 + t) * np.maximum(t, x < 0) / np.square(below)
        return np.asarray(above / below + _near(x) * slope)

    return times_derivative(cotangent, floats("input", input), derivative)


def gelu(cotangent: ArrayLike, input: ArrayLike, approximate: str = "none") -> Array:
    """Return the gradient of sum(cotangent * gelu(input, approximate)).

    Formula: cotangent * (cdf(x) + x * density(x)), elementwise, density(x) = exp(-x * x / 2) / sqrt(2 * pi); with
    approximate="tanh" cotangent * (l + x * l * (1 - l) * ds/dx), l = 1 / (1 + exp(-s)),
    ds/dx = 2 * sqrt(2 / pi) * (1 + 3 * 0.044715 * x**2).

    Shapes: any; all the same.

    Units: those of cotangent.

    Constraints: as `reference.gelu`; `cotangent`: the shape of the output.

    Accuracy: within 9 u |cotangent| (cdf + |x| density), u = 2**-53, plus 2**-1064 (1 + |cotangent|); with
    approximate="tanh" within (16 + 5 |s|) u |cotangent| (l + |x| * l * (1 - l) * ds/dx), plus
    2**-1050 (1 + |cotangent|).

    Source: the derivative of the formula in `reference.gelu`.

    >>> gelu([8.0, 8.0, 8.0], [-np.inf, 0.0, np.inf])
    array([0., 4., 8.])
    """
    one_of("approximate", "approximate", approximate, GELU_FORMS)

    def exact(x: Array) -> Array:
        return np.asarray(cdf(x) + _near(x) * density(x))

    def approximation(x: Array) -> Array:
        s, near = gelu_argument(x), _near(x)
        slope = GELU_SLOPE + 3 * GELU_CUBIC * (near * near)
        return np.asarray(logistic(s) + near * slope * _bell(s))

    return times_derivative(cotangent, floats("input", input), exact if approximate == "none" else approximation)


def _bell(x: Array) -> Array:
    """Return the derivative of the logistic function."""
    t = np.exp(-np.abs(x))
    return np.asarray(t / np.square(1 + t))


def _near(x: Array) -> Array:
    """Return x without its infinities, as far from 0 as it matters where it is multiplied with a derivative."""
    return np.clip(x, -FAR, FAR)
