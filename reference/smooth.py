"""Activations that have a derivative everywhere, in forms that neither cancel nor overflow.

With t = exp(-|x|), which is at most 1, each is a quotient of sums of positive terms, or a logarithm of 1 + t. What
differs on either side of 0 is not chosen but computed: processors predict the signs of real data badly.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from reference.arrays import Array
from reference.constraints import finite, one_of, refuse
from reference.elementwise import at_once, blockwise, floats, limit
from reference.normal import cdf

GELU_FORMS = ("none", "tanh")
LOW = -700.0  # exp(-x) does not overflow from here on; a comparison with it also tells whether there is a NaN
FAR = 800.0  # exp(-FAR) is 0, so that x * sigmoid(x) and its like are at their limit below -FAR


def sigmoid(input: ArrayLike) -> Array:
    """Return the logistic function.

    Formula: 1 / (1 + exp(-x)), elementwise.

    Shapes: any; the output has the shape of the input.

    Units: none.

    Constraints: `dtype`: real.

    Accuracy: within 6 u |output|, u = 2**-53, plus 2**-1074.

    Source: PyTorch, torch.nn.functional.sigmoid.

    >>> sigmoid([-np.inf, -1000.0, 0.0, 1000.0])
    array([0. , 0. , 0.5, 1. ])
    """
    return at_once(logistic, floats("input", input))


def tanh(input: ArrayLike) -> Array:
    """Return the hyperbolic tangent.

    Formula: (exp(x) - exp(-x)) / (exp(x) + exp(-x)), elementwise.

    Shapes: any; the output has the shape of the input.

    Units: none.

    Constraints: `dtype`: real.

    Accuracy: that of numpy.tanh, here within 4 u |output|, u = 2**-53.

    Source: PyTorch, torch.nn.functional.tanh.

    >>> tanh([-np.inf, 0.0, 1000.0])
    array([-1.,  0.,  1.])
    """
    return np.asarray(np.tanh(floats("input", input)))


def softplus(input: ArrayLike, beta: float = 1.0, threshold: float = 20.0) -> Array:
    """Return a smooth version of max(x, 0), or x itself where beta * x exceeds the threshold.

    Formula: log(1 + exp(beta * x)) / beta, elementwise; x where beta * x > threshold.

    Shapes: any; the output has the shape of the input.

    Units: those of input; those of `beta` are one over them, and `threshold` has none.

    Constraints: `dtype`: real; `beta`: finite, not 0; `threshold`: a real number that float64 holds, or
    infinite: then the formula holds everywhere.

    Accuracy: within (6 + |beta * x|) u |output|, u = 2**-53, plus 2**-1074 (1 + 1 / |beta|); the term with x is the
    rounding of beta * x, which a power of two does not need.

    Source: PyTorch, torch.nn.functional.softplus; Dugas et al., Incorporating second-order functional knowledge for
    better option pricing, 2001.

    >>> softplus([-np.inf, -1000.0, 25.0]), softplus([0.0], beta=2) * 2 == np.log(2)
    (array([ 0.,  0., 25.]), array([ True]))
    """
    beta, threshold = softplus_numbers(beta, threshold)

    def curve(x: Array) -> Array:
        z = beta * x
        return np.where(z > threshold, x, (np.maximum(z, 0) + _log1p_exp(z)) / beta)

    return blockwise(curve, floats("input", input))


def logsigmoid(input: ArrayLike) -> Array:
    """Return the logarithm of the logistic function.

    Formula: log(1 / (1 + exp(-x))), elementwise.

    Shapes: any; the output has the shape of the input.

    Units: none.

    Constraints: `dtype`: real.

    Accuracy: within 6 u |output|, u = 2**-53, plus 2**-1074.

    Source: PyTorch, torch.nn.functional.logsigmoid.

    >>> logsigmoid([-1000.0, np.inf])
    array([-1000.,     0.])
    """
    return blockwise(lambda x: np.minimum(x, 0) - _log1p_exp(x), floats("input", input))


def softsign(input: ArrayLike) -> Array:
    """Return the argument over 1 more than its absolute value.

    Formula: x / (1 + |x|), elementwise.

    Shapes: any; the output has the shape of the input.

    Units: none.

    Constraints: `dtype`: real.

    Accuracy: within 2 u |output|, u = 2**-53: a sum and a quotient.

    Source: PyTorch, torch.nn.functional.softsign; Bergstra et al., Quadratic polynomials learn better image
    features, 2009.

    >>> softsign([-np.inf, -1.0, 3.0])
    array([-1.  , -0.5 ,  0.75])
    """
    x = floats("input", input)
    try:
        with np.errstate(invalid="raise"):
            return _softsign(x)
    except FloatingPointError:  # infinity over infinity; from 2**60 on the quotient is 1 to the last bit
        return _softsign(np.clip(x, -(2.0**60), 2.0**60))


def _softsign(x: Array) -> Array:
    below = np.abs(x, out=np.empty(x.shape))
    below += 1
    return np.divide(x, below, out=below)


def silu(input: ArrayLike) -> Array:
    """Return the argument weighted with its logistic function.

    Formula: x / (1 + exp(-x)), elementwise.

    Shapes: any; the output has the shape of the input.

    Units: none.

    Constraints: `dtype`: real.

    Accuracy: within 7 u |output|, u = 2**-53, plus 2**-1064 (where exp(x) is subnormal).

    Source: Hendrycks and Gimpel, Gaussian error linear units, 2016; PyTorch, torch.nn.functional.silu.

    >>> silu([-np.inf, 0.0, 1000.0])
    array([  -0.,    0., 1000.])
    """

    def curve(x: Array) -> Array:
        if not x.min(initial=0.0) >= LOW:
            return np.asarray(np.maximum(x, -FAR) * logistic(x))
        below = _one_and_exp(x)
        return np.divide(x, below, out=below)

    return at_once(curve, floats("input", input))


def mish(input: ArrayLike) -> Array:
    """Return the argument weighted with the hyperbolic tangent of its softplus.

    Formula: x * tanh(log(1 + exp(x))), elementwise, which with e = exp(x) is x * e * (e + 2) / (e * (e + 2) + 2).

    Shapes: any; the output has the shape of the input.

    Units: none.

    Constraints: `dtype`: real.

    Accuracy: within 9 u |output|, u = 2**-53, plus 2**-1064 (where exp(x) is subnormal).

    Source: Misra, Mish: a self regularized non-monotonic activation function, 2019; PyTorch,
    torch.nn.functional.mish.

    >>> mish([-np.inf, 0.0, 1000.0])
    array([  -0.,    0., 1000.])
    """

    def curve(x: Array) -> Array:
        above, below = mish_parts(x)
        return np.asarray(np.maximum(x, -FAR) * (above / below))

    return blockwise(curve, floats("input", input))


def gelu(input: ArrayLike, approximate: str = "none") -> Array:
    """Return the argument weighted with the probability that a normal variable is below it.

    Formula: x * cdf(x), elementwise, cdf(x) = erfc(-x / sqrt(2)) / 2; with approximate="tanh" x / (1 + exp(-s)),
    s = 2 * sqrt(2 / pi) * (x + 0.044715 * x**3), which is x * (1 + tanh(s / 2)) / 2.

    Shapes: any; the output has the shape of the input.

    Units: none.

    Constraints: `dtype`: real; `approximate`: none or tanh.

    Accuracy: within 7 u |output|, u = 2**-53, plus 2**-1064; with approximate="tanh" within
    (7 + 5 |min(s, 0)|) u |output|, plus 2**-1064.

    Source: Hendrycks and Gimpel, Gaussian error linear units, 2016; PyTorch, torch.nn.functional.gelu.

    >>> gelu([-np.inf, 0.0, 1000.0])
    array([  -0.,    0., 1000.])
    >>> -1e-300 < gelu(-38.0).item() < 0
    True
    """
    one_of("approximate", "approximate", approximate, GELU_FORMS)

    def curve(x: Array) -> Array:
        share = cdf(x) if approximate == "none" else logistic(gelu_argument(x))
        return np.maximum(x, -FAR) * share

    return blockwise(curve, floats("input", input))


def logistic(x: Array) -> Array:
    """Return 1 / (1 + exp(-x))."""
    if not x.min(initial=0.0) >= LOW:
        t = np.exp(-np.abs(x))
        return np.asarray(np.maximum(t, x >= 0) / (1 + t))
    below = _one_and_exp(x)
    return np.divide(1.0, below, out=below)


def _one_and_exp(x: Array) -> Array:
    """Return 1 + exp(-x), with few passes over the array; for numbers from LOW on."""
    t = np.negative(x)
    np.exp(t, out=t)
    t += 1
    return t


def mish_parts(x: Array) -> tuple[Array, Array]:
    """Return numerator and denominator of tanh(log(1 + exp(x))), both scaled by exp(-2 * x) where x >= 0."""
    t = np.exp(-np.abs(x))
    square = t * t
    above = 2 * t + np.maximum(square, x >= 0)
    return above, above + 2 * np.maximum(square, x < 0)


GELU_SLOPE = 2 * math.sqrt(2 / math.pi)
GELU_CUBIC = GELU_SLOPE * 0.044715


def gelu_argument(x: Array) -> Array:
    """Return s of gelu's approximation, for numbers that are no farther from 0 than matters."""
    near = np.clip(x, -FAR, FAR)
    return np.asarray(near * (GELU_SLOPE + GELU_CUBIC * (near * near)))


def softplus_numbers(beta: float, threshold: float) -> tuple[float, float]:
    """Return both, checked."""
    if finite("beta", "beta", beta) == 0:
        refuse("beta", "beta", beta, "must not be 0")
    return float(beta), limit("threshold", "threshold", threshold)


def _log1p_exp(z: Array) -> Array:
    """Return log(1 + exp(-|z|))."""
    return np.asarray(np.log1p(np.exp(-np.abs(z))))
