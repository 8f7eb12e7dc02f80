"""Gradients of the activations with a kink, where `kink` says which of the two derivatives counts.

Frameworks differ there: PyTorch takes the derivative of the branch outside of the interval in which the function is
active ("outer"); the one inside ("inner") and the mean of both ("mean", as of a maximum in JAX) are other choices.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from reference.activation import (
    RELU_NAN_RULES,
    SELU_ALPHA,
    SELU_SCALE,
    celu_alpha,
    hardtanh_limits,
    prelu_arrays,
)
from reference.arrays import Array
from reference.constraints import finite, one_of
from reference.elementwise import floats
from reference.vjp.cotangents import checked
from reference.vjp.elementwise import times_derivative, with_kinks


def relu(cotangent: ArrayLike, input: ArrayLike, nan: str = "propagate", kink: str = "outer") -> Array:
    """Return the gradient of sum(cotangent * relu(input)).

    Formula: cotangent where x > 0, 0 where x < 0, elementwise.

    Shapes: any; all the same.

    Units: those of cotangent. `nan`: at NaN the gradient is the cotangent ("propagate": PyTorch) or 0 ("zero").
    `kink`: at 0 it is 0 ("outer": PyTorch), the cotangent ("inner") or half of it ("mean").

    Constraints: as `reference.relu`; `kink`: outer, inner or mean; `cotangent`: the shape of the output.

    Accuracy: exact.

    Source: PyTorch, aten/src/ATen/native/cpu/Activation.cpp, threshold.

    >>> relu([1.0, 2.0, 4.0], [-1.0, 0.0, 3.0]), relu([1.0, 2.0, 4.0], [-1.0, 0.0, 3.0], kink="mean")
    (array([0., 0., 4.]), array([0., 1., 4.]))
    """
    x = floats("input", input)
    one_of("nan", "nan", nan, RELU_NAN_RULES)
    derivative = with_kinks(kink, 0.0, np.inf, lambda _, inside: inside)
    return times_derivative(cotangent, x, lambda x: np.nan_to_num(derivative(x), nan=nan == "propagate"))


def relu6(cotangent: ArrayLike, input: ArrayLike, kink: str = "outer") -> Array:
    """Return the gradient of sum(cotangent * relu6(input)).

    Formula: cotangent where 0 < x < 6, 0 where x < 0 or x > 6, elementwise.

    Shapes: any; all the same.

    Units: those of cotangent. `kink`: at 0 and 6 the gradient is 0 ("outer": PyTorch), the cotangent ("inner") or
    half of it ("mean").

    Constraints: as `reference.relu6`; `kink`: outer, inner or mean; `cotangent`: the shape of the output.

    Accuracy: exact.

    Source: PyTorch, aten/src/ATen/native/cpu/Activation.cpp, hardtanh_backward.

    >>> relu6([1.0, 2.0, 4.0], [0.0, 3.0, 6.0])
    array([0., 2., 0.])
    """
    x = floats("input", input)
    return times_derivative(cotangent, x, with_kinks(kink, 0.0, 6.0, lambda _, inside: inside))


def hardtanh(
    cotangent: ArrayLike, input: ArrayLike, min_val: float = -1.0, max_val: float = 1.0, kink: str = "outer"
) -> Array:
    """Return the gradient of sum(cotangent * hardtanh(input, min_val, max_val)).

    Formula: cotangent where min_val < x < max_val, 0 where x < min_val or x > max_val, elementwise.

    Shapes: any; all the same.

    Units: those of cotangent. `kink`: at both limits the gradient is 0 ("outer": PyTorch), the cotangent ("inner")
    or half of it ("mean"). At NaN it is NaN (PyTorch: the cotangent).

    Constraints: as `reference.hardtanh`; `kink`: outer, inner or mean; `cotangent`: the shape of the output.

    Accuracy: exact.

    Source: PyTorch, aten/src/ATen/native/cpu/Activation.cpp, hardtanh_backward.

    >>> hardtanh([1.0, 2.0, 4.0], [-1.0, 0.5, 1.0]), hardtanh([1.0, 2.0, 4.0], [-1.0, 0.5, 1.0], kink="inner")
    (array([0., 2., 0.]), array([1., 2., 4.]))
    """
    x = floats("input", input)
    return times_derivative(
        cotangent, x, with_kinks(kink, *hardtanh_limits(min_val, max_val), lambda _, inside: inside)
    )


def hardsigmoid(cotangent: ArrayLike, input: ArrayLike, kink: str = "outer") -> Array:
    """Return the gradient of sum(cotangent * hardsigmoid(input)).

    Formula: cotangent / 6 where -3 < x < 3, 0 where x < -3 or x > 3, elementwise.

    Shapes: any; all the same.

    Units: those of cotangent. `kink`: at -3 and 3 the gradient is 0 ("outer": PyTorch), a sixth ("inner") or a
    twelfth of the cotangent ("mean"). At NaN it is NaN (PyTorch: 0).

    Constraints: as `reference.hardsigmoid`; `kink`: outer, inner or mean; `cotangent`: the shape of the output.

    Accuracy: within 2 u |gradient|, u = 2**-53, plus 2**-1074. PyTorch 2.13 multiplies with 1/6 in float32 in float64
    too.

    Source: PyTorch, aten/src/ATen/native/cpu/Activation.cpp, hardsigmoid_backward.

    >>> hardsigmoid([6.0, 6.0, 6.0], [-4.0, 0.0, 3.0])
    array([0., 1., 0.])
    """
    x = floats("input", input)
    return times_derivative(cotangent, x, with_kinks(kink, -3.0, 3.0, lambda _, inside: inside / 6))


def hardswish(cotangent: ArrayLike, input: ArrayLike, kink: str = "outer") -> Array:
    """Return the gradient of sum(cotangent * hardswish(input)).

    Formula: cotangent * (x / 3 + 1 / 2) where -3 < x < 3, 0 where x < -3, cotangent where x > 3, elementwise.

    Shapes: any; all the same.

    Units: those of cotangent. `kink`: at -3 and 3 the gradient is 0 and the cotangent ("outer": PyTorch), -1/2 and
    3/2 of it ("inner") or -1/4 and 5/4 of it ("mean"). At NaN it is NaN (PyTorch: the cotangent).

    Constraints: as `reference.hardswish`; `kink`: outer, inner or mean; `cotangent`: the shape of the output.

    Accuracy: within 4 u |cotangent| (|x| / 3 + 1 / 2), u = 2**-53, plus 2**-1074.

    Source: PyTorch, aten/src/ATen/native/cpu/Activation.cpp, hardswish_backward.

    >>> hardswish([6.0, 6.0, 6.0], [-3.0, 0.0, 3.0]), hardswish([6.0, 6.0, 6.0], [-3.0, 0.0, 3.0], kink="inner")
    (array([0., 3., 6.]), array([-3.,  3.,  9.]))
    """
    x = floats("input", input)
    return times_derivative(
        cotangent, x, with_kinks(kink, -3.0, 3.0, lambda x, inside: np.where(inside, x / 3 + 0.5, x > 0))
    )


def leaky_relu(cotangent: ArrayLike, input: ArrayLike, negative_slope: float = 0.01, kink: str = "outer") -> Array:
    """Return the gradient of sum(cotangent * leaky_relu(input, negative_slope)).

    Formula: cotangent where x > 0, negative_slope * cotangent where x < 0, elementwise.

    Shapes: any; all the same.

    Units: those of cotangent. `kink`: at 0 the gradient is that of x < 0 ("outer": PyTorch), that of x > 0
    ("inner") or the mean of both ("mean"). At NaN it is NaN (PyTorch: as where x < 0).

    Constraints: as `reference.leaky_relu`; `kink`: outer, inner or mean; `cotangent`: the shape of the output.

    Accuracy: within 2 u |gradient|, u = 2**-53, plus 2**-1074 (1 + |cotangent|).

    Source: PyTorch, aten/src/ATen/native/cpu/Activation.cpp, leaky_relu_backward.

    >>> leaky_relu([4.0, 4.0, 4.0], [-2.0, 0.0, 2.0], negative_slope=0.25)
    array([1., 1., 4.])
    """
    slope = finite("negative-slope", "negative_slope", negative_slope)
    x = floats("input", input)
    return times_derivative(cotangent, x, with_kinks(kink, 0.0, np.inf, lambda _, inside: np.where(inside, 1, slope)))


class PreluGradients(NamedTuple):
    """Gradients with respect to the input and the weight."""

    input: Array
    weight: Array


def prelu(cotangent: ArrayLike, input: ArrayLike, weight: ArrayLike, kink: str = "outer") -> PreluGradients:
    """Return the gradients of sum(cotangent * prelu(input, weight)).

    Formula: of input: cotangent where x > 0, weight[c] * cotangent where x < 0; of weight[c]: the sum of
    cotangent * min(x, 0) over the elements of channel c.

    Shapes: cotangent as the output; each gradient as its argument.

    Units: those of cotangent times those of the other factor. `kink`: at 0 the gradient of input is that of x < 0
    ("outer": PyTorch), that of x > 0 ("inner") or the mean of both ("mean"). At NaN it is NaN (PyTorch: as where
    x < 0).

    Constraints: as `reference.prelu`; `kink`: outer, inner or mean; `cotangent`: the shape of the output.

    Accuracy: of input within 2 u |gradient|, u = 2**-53, plus 2**-1074 (1 + |cotangent|); of weight within
    gamma(n) * sum |cotangent * x| + 2**-1074 n, n elements a channel.

    Source: He et al., Delving deep into rectifiers, 2015, section 2.1.

    >>> prelu([[4, 4, 4]], [[-2, 0, 3]], [0.25])
    PreluGradients(input=array([[1., 1., 4.]]), weight=array([-8.]))
    """
    x, w = prelu_arrays(input, weight)
    derivative = with_kinks(kink, 0.0, np.inf, lambda _, inside: np.where(inside, 1, w))
    g = checked(cotangent, x.shape)
    with np.errstate(invalid="ignore", over="ignore"):
        of_weight = g * np.minimum(x, 0.0)
        axes = None if w.size == 1 else (0, *range(2, x.ndim))
        return PreluGradients(g * derivative(x), of_weight.sum(axes).reshape(np.shape(weight)))


def elu(cotangent: ArrayLike, input: ArrayLike, alpha: float = 1.0, kink: str = "outer") -> Array:
    """Return the gradient of sum(cotangent * elu(input, alpha)).

    Formula: cotangent where x > 0, cotangent * alpha * exp(x) where x < 0, elementwise.

    Shapes: any; all the same.

    Units: those of cotangent. `kink`: at 0 the gradient is alpha * cotangent ("outer": PyTorch), the cotangent
    ("inner") or the mean of both ("mean"). At NaN it is NaN (PyTorch: the cotangent).

    Constraints: as `reference.elu`; `kink`: outer, inner or mean; `cotangent`: the shape of the output.

    Accuracy: within 5 u |gradient|, u = 2**-53, plus 2**-1074 (1 + (1 + |alpha|) |cotangent|).

    Source: Clevert, Unterthiner and Hochreiter, Fast and accurate deep network learning by exponential linear
    units, 2015, section 3.

    >>> elu([4.0, 4.0, 4.0], [-np.inf, 0.0, 2.0], alpha=3)
    array([ 0., 12.,  4.])
    """
    return _exponential(cotangent, input, 1.0, finite("alpha", "alpha", alpha), kink)


def celu(cotangent: ArrayLike, input: ArrayLike, alpha: float = 1.0) -> Array:
    """Return the gradient of sum(cotangent * celu(input, alpha)).

    Formula: cotangent where x > 0, cotangent * exp(x / alpha) elsewhere, elementwise: there is no kink.

    Shapes: any; all the same.

    Units: those of cotangent. At NaN the gradient is NaN (PyTorch: the cotangent).

    Constraints: as `reference.celu`; `cotangent`: the shape of the output.

    Accuracy: within (4 + |x / alpha|) u |gradient|, u = 2**-53, plus 2**-1074 (1 + |cotangent|); the term with x
    is the rounding of x / alpha.

    Source: Barron, Continuously differentiable exponential linear units, 2017.

    >>> celu([4.0, 4.0, 4.0], [-np.inf, 0.0, 2.0], alpha=3)
    array([0., 4., 4.])
    """
    alpha = celu_alpha(alpha)
    return times_derivative(cotangent, floats("input", input), lambda x: np.exp(np.minimum(x, 0) / alpha))


def selu(cotangent: ArrayLike, input: ArrayLike, kink: str = "outer") -> Array:
    """Return the gradient of sum(cotangent * selu(input)).

    Formula: scale * cotangent where x > 0, scale * alpha * exp(x) * cotangent where x < 0, elementwise; the numbers
    are those of `reference.selu`.

    Shapes: any; all the same.

    Units: those of cotangent. `kink`: at 0 the gradient is scale * alpha * cotangent ("outer": PyTorch), scale *
    cotangent ("inner") or the mean of both ("mean"). At NaN it is NaN (PyTorch: scale * cotangent).

    Constraints: as `reference.selu`; `kink`: outer, inner or mean; `cotangent`: the shape of the output.

    Accuracy: within 8 u |gradient|, u = 2**-53, plus 2**-1073 (1 + |cotangent|).

    Source: Klambauer et al., Self-normalizing neural networks, 2017, equation 2.

    >>> selu([1.0, 1.0, 1.0], [-np.inf, 0.0, 2.0])
    array([0.        , 1.75809934, 1.05070099])
    """
    return _exponential(cotangent, input, SELU_SCALE, SELU_SCALE * SELU_ALPHA, kink)


def _exponential(cotangent: ArrayLike, input: ArrayLike, slope: float, alpha: float, kink: str) -> Array:
    """Return the gradient where the derivative is `slope` above 0 and alpha * exp(x) below."""

    def branches(x: Array, inside: Array) -> Array:
        return np.where(inside, slope, alpha * np.exp(np.minimum(x, 0)))

    return times_derivative(cotangent, floats("input", input), with_kinks(kink, 0.0, np.inf, branches))
