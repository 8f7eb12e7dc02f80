"""Cross-correlation and convolution of one channel: the signal-processing pair, along any number of axes.

Deep-learning frameworks call cross-correlation "convolution". Here the two names mean what they say: one slides the
kernel as it is, the other turns it by 180 degrees first. `reference.convolution` has the layers.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from reference.arrays import Array, widen_together
from reference.constraints import one_of, refuse
from reference.contraction import sum_of_products
from reference.im2col import Geometry, correlate

MODES = ("full", "same", "valid")


def cross_correlate(input: ArrayLike, kernel: ArrayLike, mode: str = "full") -> Array:
    """Cross-correlate one channel with a kernel: slide, multiply, sum, without flipping.

    Formula: output[u] = sum over t of input[u + t - low] * conj(kernel[t]), with zeros outside the input.

    Shapes: input (n1, ..., nr), kernel (k1, ..., kr), any rank r; output n + k - 1 ("full"), n ("same", the
    centre of "full") or n - k + 1 ("valid") along each axis. In "valid" either may be the larger one.

    Units: those of input times those of kernel.

    Constraints: `dtype`: numeric; `rank`: both have the same number of axes, at least one; `not-empty`: no
    axis of length 0; `mode`: one of full, same, valid; `kernel-fits`: in "valid" one of the two is at least
    as large as the other along every axis.

    Accuracy: within gamma(n) * sum |input| |kernel| of float64; integers exactly; correctly rounded inside
    `exact()`.

    Source: scipy.signal.correlate, whose modes these are.

    >>> x = [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    >>> cross_correlate(x, [[0, 1], [2, 3]], mode="valid")
    array([[19, 25],
           [37, 43]])
    """
    x, k = checked_pair(input, kernel, mode)
    if mode == "valid" and not covers(x, k):
        # scipy's convention: correlating with a larger kernel is the same sums read backwards.
        return np.flip(cross_correlate(k, x, mode).conj())
    return _slide(x, k.conj(), mode)


def convolve(input: ArrayLike, kernel: ArrayLike, mode: str = "full") -> Array:
    """Convolve one channel with a kernel: cross-correlation with the kernel turned by 180 degrees.

    Formula: output[u] = sum over t of input[u - t] * kernel[t]; the indices of the two factors add up to u.

    Shapes: as `cross_correlate`.

    Units: those of input times those of kernel.

    Constraints: `dtype`, `rank`, `not-empty`, `mode`, `kernel-fits`: as `cross_correlate`.

    Accuracy: as `cross_correlate`.

    Source: scipy.signal.convolve, whose modes these are.

    >>> convolve([1, 2, 3], [0, 1, 10])
    array([ 0,  1, 12, 23, 30])
    """
    x, k = checked_pair(input, kernel, mode)
    if mode == "valid" and not covers(x, k):
        x, k = k, x  # convolution commutes
    return _slide(x, np.flip(k), mode)


def checked_pair(input: ArrayLike, kernel: ArrayLike, mode: str) -> list[Array]:
    """Return input and kernel in one dtype, if they fit each other."""
    x, k = widen_together(input=input, kernel=kernel)
    one_of("mode", "mode", mode, MODES)
    if x.ndim != k.ndim or x.ndim == 0:
        refuse("rank", "kernel", k.shape, f"must have as many axes as the input of shape {x.shape}, at least one")
    for name, array in (("input", x), ("kernel", k)):
        if array.size == 0:
            refuse("not-empty", name, array.shape, "must not have an axis of length 0")
    if mode == "valid" and not covers(x, k) and not covers(k, x):
        refuse(
            "kernel-fits",
            "kernel",
            k.shape,
            f"must be no larger or no smaller than {x.shape} along every axis",
        )
    return [x, k]


def covers(left: Array, right: Array) -> bool:
    """Return whether the left array is at least as large as the right one along every axis."""
    return all(a >= b for a, b in zip(left.shape, right.shape, strict=True))


def _slide(x: Array, k: Array, mode: str) -> Array:
    """Cross-correlate without conjugation, as a convolution layer of one channel."""
    at = windows_in(x, k, mode)
    result = sum_of_products(partial(correlate, at), one_channel(x), one_channel(k), k.size)
    return np.asarray(result[0, 0])


def one_channel(array: Array) -> Array:
    """Return a batch of one sample of one channel."""
    return array[np.newaxis, np.newaxis]


def windows_in(x: Array, k: Array, mode: str) -> Geometry:
    """Return the windows of a mode, which decides how much zero padding there is."""
    if mode == "full":
        padding = [(n - 1, n - 1) for n in k.shape]
    elif mode == "same":
        padding = [(n // 2, (n - 1) // 2) for n in k.shape]
    else:
        padding = [(0, 0)] * k.ndim
    ones = (1,) * x.ndim
    windows = tuple(n + sum(p) - m + 1 for n, m, p in zip(x.shape, k.shape, padding, strict=True))
    return Geometry(x.shape, k.shape, ones, tuple(padding), ones, windows)
