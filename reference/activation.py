"""Activations with a kink, linear or exponential on either side of it; `reference.smooth` has the others."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from reference.arrays import Array, widen_together
from reference.constraints import finite, one_of, refuse
from reference.elementwise import at_once, blockwise, floats, limit, real

RELU_NAN_RULES = ("propagate", "zero")
SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


def relu(input: ArrayLike, nan: str = "propagate") -> Array:
    """Return the input where it is positive, and zero elsewhere.

    Formula: max(x, 0), elementwise.

    Shapes: any; the output has the shape of the input.

    Units: those of input. `nan`: "propagate" (relu(NaN) is NaN: PyTorch) or "zero" (it is 0).

    Constraints: `dtype`: real; `nan`: one of the two rules.

    Accuracy: exact; the sign of a zero is not specified.

    Source: Nair and Hinton, Rectified linear units improve restricted Boltzmann machines, 2010.

    >>> relu([-1.5, 0.0, 2.0])
    array([0., 0., 2.])
    """
    x = real("input", input)
    one_of("nan", "nan", nan, RELU_NAN_RULES)
    return np.asarray(np.maximum(x, 0) if nan == "propagate" else np.fmax(x, 0))


def relu6(input: ArrayLike) -> Array:
    """Return the input limited to 0 .. 6.

    Formula: min(max(x, 0), 6), elementwise.

    Shapes: any; the output has the shape of the input.

    Units: none.

    Constraints: `dtype`: real.

    Accuracy: exact; the sign of a zero is not specified.

    Source: Krizhevsky, Convolutional deep belief networks on CIFAR-10, 2010.

    >>> relu6([-1, 3, 8])
    array([0, 3, 6])
    """
    return np.asarray(np.clip(real("input", input), 0, 6))


def hardtanh(input: ArrayLike, min_val: float = -1.0, max_val: float = 1.0) -> Array:
    """Return the input limited to min_val .. max_val.

    Formula: min(max(x, min_val), max_val), elementwise.

    Shapes: any; the output has the shape of the input.

    Units: those of input; the limits have them too.

    Constraints: `dtype`: real; `min-val`, `max-val`: real numbers that float64 holds, or infinite; `limits`: min_val
    is at most max_val.

    Accuracy: exact; the sign of a zero is not specified.

    Source: Collobert, Large scale machine learning, 2004; PyTorch, torch.nn.functional.hardtanh.

    >>> hardtanh([-2.0, 0.5, 3.0], max_val=2)
    array([-1. ,  0.5,  2. ])
    """
    return np.asarray(np.clip(floats("input", input), *hardtanh_limits(min_val, max_val)))


def hardtanh_limits(min_val: float, max_val: float) -> tuple[float, float]:
    """Return both, checked."""
    low, high = limit("min-val", "min_val", min_val), limit("max-val", "max_val", max_val)
    if low > high:
        refuse("limits", "min_val", min_val, f"must be at most max_val={max_val}")
    return low, high


def hardsigmoid(input: ArrayLike) -> Array:
    """Return a straight line of slope 1/6 through (0, 1/2), limited to 0 .. 1.

    Formula: min(max(x + 3, 0), 6) / 6, elementwise.

    Shapes: any; the output has the shape of the input.

    Units: none.

    Constraints: `dtype`: real.

    Accuracy: within 2 u |output|, u = 2**-53: a sum and a quotient.

    Source: Howard et al., Searching for MobileNetV3, 2019, section 5.2; PyTorch, torch.nn.functional.hardsigmoid.

    >>> hardsigmoid([-4.0, 0.0, 1.5, 3.0])
    array([0.  , 0.5 , 0.75, 1.  ])
    """
    return at_once(sixths, floats("input", input))


def hardswish(input: ArrayLike) -> Array:
    """Return the argument weighted with `hardsigmoid` of it.

    Formula: x * min(max(x + 3, 0), 6) / 6, elementwise.

    Shapes: any; the output has the shape of the input.

    Units: none.

    Constraints: `dtype`: real.

    Accuracy: within 4 u |output|, u = 2**-53, plus 2**-1074: a sum, two products and 1/6 itself.

    Source: Howard et al., Searching for MobileNetV3, 2019, section 5.2; PyTorch, torch.nn.functional.hardswish.

    >>> hardswish([-np.inf, -1.5, 0.0, 4.0])
    array([-0.   , -0.375,  0.   ,  4.   ])
    """

    def curve(x: Array) -> Array:
        share = _limited(x)
        share *= 1 / 6
        share *= np.maximum(x, -3)
        return share

    return at_once(curve, floats("input", input))


def sixths(x: Array) -> Array:
    """Return `hardsigmoid`."""
    share = _limited(x)
    share /= 6
    return share


def _limited(x: Array) -> Array:
    """Return x + 3, limited to 0 .. 6."""
    total: Array = x + 3
    np.maximum(total, 0, out=total)
    np.minimum(total, 6, out=total)
    return total


def leaky_relu(input: ArrayLike, negative_slope: float = 0.01) -> Array:
    """Return the input where it is positive, and a multiple of it elsewhere.

    Formula: x if x > 0 else negative_slope * x, elementwise.

    Shapes: any; the output has the shape of the input.

    Units: those of input.

    Constraints: `dtype`: real; `negative-slope`: finite.

    Accuracy: within u |output|, u = 2**-53, plus 2**-1074: a product.

    Source: Maas, Hannun and Ng, Rectifier nonlinearities improve neural network acoustic models, 2013.

    >>> leaky_relu([-2.0, 0.0, 2.0], negative_slope=0.25)
    array([-0.5,  0. ,  2. ])
    """
    slope = finite("negative-slope", "negative_slope", negative_slope)
    if slope == 0:
        return relu(floats("input", input))  # 0 times -inf, whose limit is 0, would be NaN
    larger = np.maximum if slope <= 1 else np.minimum  # is x where x > 0
    return blockwise(lambda x: larger(x, slope * x), floats("input", input))


def prelu(input: ArrayLike, weight: ArrayLike) -> Array:
    """Return the input where it is positive, and a multiple of it elsewhere that is learned for each channel.

    Formula: x if x > 0 else weight[c] * x, elementwise, c the channel.

    Shapes: input (N, C, *) or fewer axes, with one channel then; weight (C,), (1,) or (); the output has the shape
    of the input.

    Units: those of input.

    Constraints: `dtype`: real; `weight`: one number, or one for each channel.

    Accuracy: within u |output|, u = 2**-53, plus 2**-1074: a product, which makes NaN of 0 and -inf; integers exactly.

    Source: He et al., Delving deep into rectifiers, 2015, section 2.1; PyTorch, torch.nn.functional.prelu.

    >>> prelu([[-1, 2, -3]], [10, 20, 30])
    array([[-10,   2, -90]])
    """
    x, w = prelu_arrays(input, weight)
    with np.errstate(invalid="ignore", over="ignore"):
        result = np.where(x > 0, 1, w)
        result *= x
    return result


def prelu_arrays(input: ArrayLike, weight: ArrayLike) -> tuple[Array, Array]:
    """Return the input, and the weight so that it broadcasts against it."""
    x, w = widen_together(input=real("input", input), weight=real("weight", weight))
    channels = x.shape[1] if x.ndim > 1 else 1
    if w.shape not in ((), (1,), (channels,)):
        refuse("weight", "weight", w.shape, f"must be one number, or one for each of {channels} channels")
    return x, w.reshape(-1, *[1] * (x.ndim - 2)) if x.ndim > 1 and w.ndim else w.reshape(())


def elu(input: ArrayLike, alpha: float = 1.0) -> Array:
    """Return the input where it is positive, and an exponential that saturates at -alpha elsewhere.

    Formula: x if x > 0 else alpha * (exp(x) - 1), elementwise.

    Shapes: any; the output has the shape of the input.

    Units: none; `alpha` has those of the output.

    Constraints: `dtype`: real; `alpha`: finite.

    Accuracy: within 5 u |output|, u = 2**-53, plus 2**-1074: exp(x) - 1 and a product.

    Source: Clevert, Unterthiner and Hochreiter, Fast and accurate deep network learning by exponential linear
    units, 2015, section 3.

    >>> elu([-np.inf, 0.0, 2.0], alpha=3)
    array([-3.,  0.,  2.])
    """
    alpha = finite("alpha", "alpha", alpha)

    def curve(x: Array) -> Array:
        above, below = _sides(x)
        above += alpha * np.expm1(below, out=below)
        return above

    return blockwise(curve, floats("input", input))


def celu(input: ArrayLike, alpha: float = 1.0) -> Array:
    """Return the input where it is positive, and an exponential of the same slope at 0 elsewhere.

    Formula: x if x > 0 else alpha * (exp(x / alpha) - 1), elementwise.

    Shapes: any; the output has the shape of the input.

    Units: those of input; `alpha` has them too.

    Constraints: `dtype`: real; `alpha`: finite, not 0.

    Accuracy: within 6 u |output|, u = 2**-53, plus 2**-1074 (1 + |alpha|), for a positive alpha; a negative one,
    whose exponential grows, adds |x / alpha| u |output|, the rounding of the quotient.

    Source: Barron, Continuously differentiable exponential linear units, 2017.

    >>> celu([-np.inf, 0.0, 2.0], alpha=3)
    array([-3.,  0.,  2.])
    """
    alpha = celu_alpha(alpha)

    def curve(x: Array) -> Array:
        above, below = _sides(x)
        below /= alpha
        above += alpha * np.expm1(below, out=below)
        return above

    return blockwise(curve, floats("input", input))


def celu_alpha(alpha: float) -> float:
    """Return it, checked."""
    if finite("alpha", "alpha", alpha) == 0:
        refuse("alpha", "alpha", alpha, "must not be 0")
    return float(alpha)


def selu(input: ArrayLike) -> Array:
    """Return `elu` scaled so that mean 0 and variance 1 are kept from layer to layer.

    Formula: scale * (x if x > 0 else alpha * (exp(x) - 1)), elementwise, alpha = 1.6732632423543772848...,
    scale = 1.0507009873554804934...

    Shapes: any; the output has the shape of the input.

    Units: none.

    Constraints: `dtype`: real.

    Accuracy: within 7 u |output|, u = 2**-53, plus 2**-1074: exp(x) - 1, two constants and two products.

    Source: Klambauer et al., Self-normalizing neural networks, 2017, equation 2.

    >>> selu([-np.inf, 0.0, 1.0])
    array([-1.75809934,  0.        ,  1.05070099])
    """

    def curve(x: Array) -> Array:
        above, below = _sides(x)
        above *= SELU_SCALE
        above += SELU_SCALE * SELU_ALPHA * np.expm1(below, out=below)
        return above

    return blockwise(curve, floats("input", input))


def _sides(x: Array) -> tuple[Array, Array]:
    """Return max(x, 0) and min(x, 0)."""
    zero = np.zeros(x.shape)  # NumPy compares with an array twice as fast as with a number
    return np.maximum(x, zero), np.minimum(x, zero)
