"""Max unpooling: put numbers back where max pooling found them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from reference.arrays import Array, widen
from reference.constraints import per_axis, refuse
from reference.ranks import of_rank, with_batch_axis
from reference.windows import Padding, Sizes, resolve_padding


def max_unpool(
    rank: int,
    input: ArrayLike,
    indices: ArrayLike,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Padding = 0,
    output_size: Sizes | None = None,
) -> Array:
    """Put every element where its index says, with zeros elsewhere: a partial inverse of `max_pool2d`.

    Formula: output[n, c, indices[n, c, u]] = input[n, c, u], with flat indices into the spatial axes of the output.
    Where an index repeats, the last element in the order of memory is kept.

    Shapes: input and indices (N, C, *windows) or (C, *windows); output (N, C, *out), out = (windows - 1) * stride +
    kernel_size - low - high along each axis, or `output_size`, which may be given with two numbers in front for N and
    C; they are not looked at (PyTorch).

    Units: those of input. `stride` None is the kernel size.

    Constraints: `dtype`: numeric; `input-rank`: spatial axes and 1 or 2 more; `spatial-size`: no spatial axis of
    length 0; `kernel-size`, `stride`: at least 1, 1 or rank entries; `padding`: at least 0, 1 or rank entries or
    pairs; `output-size`: at least 1 and less than a stride away from the size that follows from the formula;
    `indices`: integers, of the shape of input, none outside the output.

    Accuracy: exact.

    Source: PyTorch, torch.nn.functional.max_unpool2d; Zeiler and Fergus, Visualizing and understanding convolutional
    networks, 2013, section 2.1.

    >>> max_unpool1d([[5, 7]], [[0, 3]], 2)
    array([[5, 0, 0, 7]])
    """
    call = unpooling(rank, input, indices, kernel_size, stride, padding, output_size)
    output = np.zeros(math.prod(call.output_shape), call.x.dtype)
    output[call.flat_indices] = call.x.ravel()
    return output.reshape(call.output_shape)


max_unpool1d = of_rank(1, max_unpool)
max_unpool2d = of_rank(2, max_unpool)
max_unpool3d = of_rank(3, max_unpool)


class Unpooling(NamedTuple):
    """Checked arguments: the input, its indices, the spatial axes of the output."""

    x: Array
    indices: Array
    size: tuple[int, ...]

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Return the shape of the output."""
        return (*self.x.shape[: -len(self.size)], *self.size)

    @property
    def flat_indices(self) -> Array:
        """Return indices into the whole output, all in a row."""
        lead, windows = self.x.shape[: -len(self.size)], self.x.shape[-len(self.size) :]
        first: Array = np.arange(math.prod(lead))[:, np.newaxis] * math.prod(self.size)
        return (first + self.indices.reshape(math.prod(lead), math.prod(windows))).ravel()


def unpooling(
    rank: int,
    input: ArrayLike,
    indices: ArrayLike,
    kernel_size: Sizes,
    stride: Sizes | None,
    padding: Padding,
    output_size: Sizes | None,
) -> Unpooling:
    """Check the arguments of a max unpooling."""
    x = widen("input", input)
    windows = with_batch_axis(rank, x)[0].shape[2:]
    k = per_axis("kernel-size", "kernel_size", kernel_size, rank, 1)
    s = k if stride is None else per_axis("stride", "stride", stride, rank, 1)
    if isinstance(padding, str):
        refuse("padding", "padding", padding, "must be numbers; pooling has no padding by name")
    p = resolve_padding(padding, windows, k, s, (1,) * rank)
    size = tuple((n - 1) * t + e - low - high for n, e, t, (low, high) in zip(windows, k, s, p, strict=True))
    if output_size is not None:
        if isinstance(output_size, Sequence) and len(output_size) == rank + 2:
            output_size = output_size[2:]
        given = per_axis("output-size", "output_size", output_size, rank, 1)
        if any(abs(g - n) >= t for g, n, t in zip(given, size, s, strict=True)):
            refuse("output-size", "output_size", output_size, f"must be less than a stride {s} away from {size}")
        size = given
    if min(size) < 1:
        refuse("output-size", "padding", padding, f"leaves an output of size {size}; it must be at least 1")
    positions = widen("indices", indices)
    if positions.dtype.kind != "i" or positions.shape != x.shape:
        refuse("indices", "indices", positions.shape, f"must be integers of the shape of input, {x.shape}")
    if positions.size and not 0 <= positions.min() <= positions.max() < math.prod(size):
        refuse("indices", "indices", positions, f"must lie inside an output of size {size}")
    return Unpooling(x, positions, size)
