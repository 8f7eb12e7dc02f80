"""Gradients of cross-correlation and convolution of one channel."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from reference.arrays import Array, widen
from reference.contraction import sum_of_products
from reference.correlation import checked_pair, covers, one_channel, windows_in
from reference.im2col import input_adjoint, weight_adjoint
from reference.vjp.cotangents import checked


class CorrelationGradients(NamedTuple):
    """Gradients with respect to the input and the kernel."""

    input: Array
    kernel: Array


def cross_correlate(
    cotangent: ArrayLike, input: ArrayLike, kernel: ArrayLike, mode: str = "full"
) -> CorrelationGradients:
    """Return the gradients of sum(cotangent * cross_correlate(input, kernel, mode)).

    Formula: with g the cotangent, of input: sum over t of g[v - t + low] * kernel[t], a convolution; of kernel:
    sum over u of conj(g[u]) * input[u + t - low], a cross-correlation.

    Shapes: cotangent as the output; each gradient as its argument.

    Units: those of cotangent times those of the other factor.

    Constraints: as `reference.cross_correlate`; `cotangent`: the shape of the output.

    Accuracy: within gamma(n) * sum |cotangent| |other factor| of float64; integers exactly; correctly rounded
    inside `exact()`.

    Source: Goodfellow, Bengio and Courville, Deep Learning, 2016, section 9.5, equations 9.11 to 9.13.

    >>> gradients = cross_correlate([1, 10], [1, 2, 3], [5, 7], mode="valid")
    >>> gradients.input.tolist(), gradients.kernel.tolist()
    ([5, 57, 70], [21, 32])
    """
    x, k = checked_pair(input, kernel, mode)
    if mode == "valid" and not covers(x, k):  # the forward call swaps them, turns the result and conjugates it
        swapped = cross_correlate(np.flip(widen("cotangent", cotangent).conj()), k, x, mode)
        return CorrelationGradients(swapped.kernel, swapped.input)
    gradients = _slide(cotangent, x, k.conj(), mode)
    return CorrelationGradients(gradients.input, gradients.kernel.conj())


def convolve(cotangent: ArrayLike, input: ArrayLike, kernel: ArrayLike, mode: str = "full") -> CorrelationGradients:
    """Return the gradients of sum(cotangent * convolve(input, kernel, mode)).

    Formula: with g the cotangent, of input: sum over t of g[v + t] * conj(kernel[t]); of kernel: sum over u of
    g[u] * conj(input[u - t]); both cross-correlations.

    Shapes: cotangent as the output; each gradient as its argument.

    Units: those of cotangent times those of the other factor.

    Constraints: as `reference.convolve`; `cotangent`: the shape of the output.

    Accuracy: as `cross_correlate`.

    Source: as `cross_correlate`.

    >>> gradients = convolve([1, 10, 100, 1000], [1, 2, 3], [5, 7])
    >>> gradients.input.tolist(), gradients.kernel.tolist()
    ([75, 750, 7500], [321, 3210])
    """
    x, k = checked_pair(input, kernel, mode)
    if mode == "valid" and not covers(x, k):
        swapped = convolve(cotangent, k, x, mode)
        return CorrelationGradients(swapped.kernel, swapped.input)
    gradients = _slide(cotangent, x, np.flip(k), mode)
    return CorrelationGradients(gradients.input, np.flip(gradients.kernel).copy())


def _slide(cotangent: ArrayLike, x: Array, k: Array, mode: str) -> CorrelationGradients:
    """Return the gradients of a cross-correlation without conjugation."""
    at = windows_in(x, k, mode)
    g = checked(cotangent, at.windows)
    dtype = np.result_type(g, x)
    g, x, k = (one_channel(array.astype(dtype, copy=False)) for array in (g, x, k))
    return CorrelationGradients(
        sum_of_products(partial(input_adjoint, at), g, k.conj(), k.size)[0, 0],
        sum_of_products(partial(weight_adjoint, at), g, x.conj(), g.size)[0, 0],
    )
