"""Local response normalization: by the squares of a few neighbouring channels, not by statistics of many numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from reference.arrays import Array
from reference.constraints import finite, one_of, refuse, whole
from reference.elementwise import floats

EXTRA_SIDES = ("lower", "upper")
SCALES = ("mean", "sum")
BLOCK = 2**16  # numbers, so that several arrays of so many stay in cache


class LocalCall(NamedTuple):
    """A checked call; a window reaches from `below` channels before its own to `above` channels after it."""

    x: Array  # (N, C, L)
    shape: tuple[int, ...]  # of input and output
    below: int
    above: int
    alpha: float  # by which the sum of squares is multiplied
    beta: float
    k: float

    def blocks(self) -> Iterator[tuple[slice, slice, slice]]:
        """Return where in x blocks are that have all channels."""
        n, c, m = self.x.shape
        samples, columns = max(1, BLOCK // max(c * m, 1)), max(64, BLOCK // max(c, 1))
        for i in range(0, n, samples):
            for j in range(0, m, columns):
                yield slice(i, i + samples), slice(None), slice(j, j + columns)

    def base(self, x: Array) -> Array:
        """Return what input is divided by a power of."""
        result = channel_sums(np.square(x), self.below, self.above)
        result *= self.alpha
        result += self.k
        return result


def local_call(input: ArrayLike, size: int, alpha: float, beta: float, k: float, extra: str, scale: str) -> LocalCall:
    """Return the call, checked."""
    x = floats("input", input)
    if x.ndim < 3:
        refuse("input-rank", "input", x.shape, "must be (N, C, *spatial) with at least one spatial axis")
    width = whole("size", "size", size, 1)
    factor = finite("alpha", "alpha", alpha)
    power, constant = finite("beta", "beta", beta), finite("k", "k", k)
    lower = one_of("extra", "extra", extra, EXTRA_SIDES) == "lower"
    if one_of("scale", "scale", scale, SCALES) == "mean":
        factor /= width
    sides = width // 2, (width - 1) // 2
    below, above = sides if lower else sides[::-1]
    n, c, *spatial = x.shape
    return LocalCall(x.reshape(n, c, math.prod(spatial)), x.shape, below, above, factor, power, constant)


def channel_sums(x: Array, below: int, above: int) -> Array:
    """Return, for every channel, the sum over it, `below` channels before it and `above` after it."""
    total, channels = x.copy(), x.shape[1]
    for step in range(1, min(max(below, above), channels - 1) + 1):
        if step <= below:
            total[:, step:] += x[:, :-step]
        if step <= above:
            total[:, :-step] += x[:, step:]
    return total


def local_response_norm(
    input: ArrayLike,
    size: int,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 1.0,
    extra: str = "lower",
    scale: str = "mean",
) -> Array:
    """Divide every number by a power of the mean square of the channels around it, at the same place.

    Formula: output[n, c] = input[n, c] / (k + alpha * s[n, c])^beta, where s[n, c] is the sum of input[n, d]^2
    over the `size` channels d around c, those outside being 0, divided by `size`.

    Shapes: input (N, C, *spatial), with at least one spatial axis; output as input.

    Units: those of input where k + alpha * s has none. `extra`: on which side a window of even size has one
    channel more, "lower" (PyTorch) or "upper" (ONNX). `scale`: "mean" (PyTorch, ONNX, Caffe), or "sum", which
    does not divide by `size` (TensorFlow, whose depth_radius r is a size of 2 r + 1).

    Constraints: `dtype`: real; `input-rank`: at least 3; `size`: at least 1; `alpha`, `beta`, `k`: finite;
    `extra`: lower or upper; `scale`: mean or sum.

    Accuracy: the base within gamma(size + 4) * (|k| + |alpha| s) of float64, and the power of it within 4 units
    in the last place, if nothing overflows or underflows; also inside `exact()`. Integers become float64 first, which
    rounds those beyond 2**53. A negative base has no power (NaN), and 0 divides as IEEE 754 says.

    Source: Krizhevsky, Sutskever and Hinton, ImageNet classification with deep convolutional neural networks,
    2012, section 3.3; PyTorch, torch.nn.functional.local_response_norm.

    >>> local_response_norm([[[1.0], [2.0], [2.0]]], 2, alpha=2.0, beta=1.0, k=0.0).ravel().tolist()
    [1.0, 0.4, 0.25]
    """
    call = local_call(input, size, alpha, beta, k, extra, scale)
    output = np.empty(call.x.shape)
    with np.errstate(all="ignore"):
        for block in call.blocks():
            x = call.x[block]
            base = call.base(x)
            np.divide(x, np.power(base, call.beta, out=base), out=output[block])
    return output.reshape(call.shape)
