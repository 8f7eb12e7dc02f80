"""The three sums of products behind every convolution, on checked arguments, with a batch and groups of channels.

`correlate` is a convolution layer without its bias. It is linear in the input and in the weight; its two adjoints
are the gradients of it, and the first of them is the transposed convolution. All three lay windows out as columns
(im2col) or add columns back onto windows (col2im), so that a matrix product does the work, and all three go block
by block, so that the columns never need much memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from reference.arrays import Array
from reference.contraction import contract
from reference.windows import Index, Pair, padded, tap_slices, window_views

BLOCK = 2**18  # numbers in the columns of one block: they are still in the cache when they are multiplied


class Geometry(NamedTuple):
    """Where the windows of a convolution lie, along every spatial axis, and how many groups its channels form."""

    size: tuple[int, ...]  # of the input of the convolution: the output of its transpose
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[Pair, ...]
    dilation: tuple[int, ...]
    windows: tuple[int, ...]  # their number: the size of the output of the convolution
    groups: int = 1


def correlate(at: Geometry, x: Array, w: Array) -> Array:
    """Return output[n, o, u] = sum over c, t of x[n, first + c, u * stride + t * dilation - low] * w[o, c, t].

    Shapes: x (N, C, *size), w (O, C / groups, *kernel), output (N, O, *windows).
    """
    rows = w.reshape(at.groups, w.shape[0] // at.groups, math.prod(w.shape[1:]))
    result = np.empty((x.shape[0], *rows.shape[:2], math.prod(at.windows)), x.dtype)
    for block, columns in column_blocks(at, x):
        result[block] = contract(rows, columns)
    return result.reshape(x.shape[0], w.shape[0], *at.windows)


def input_adjoint(at: Geometry, y: Array, w: Array) -> Array:
    """Return x with <correlate(x', w), y> = <x', x> for all x': each y[n, o, u] adds w[o] onto its window."""
    per_group, channels, taps = w.shape[0] // at.groups, w.shape[1], math.prod(at.kernel)
    pixels = math.prod(at.windows)
    rows = w.reshape(at.groups, per_group, channels * taps).swapaxes(1, 2)
    columns = y.reshape(y.shape[0], at.groups, per_group, pixels)
    canvas = np.zeros((y.shape[0], at.groups, channels, *padded_size(at)), y.dtype)
    for n, c in _blocks(y.shape[0], channels, at.groups * taps * pixels):
        part = canvas[n, :, c]
        product = contract(rows[:, c.start * taps : c.stop * taps], columns[n])
        add_columns(at, product.reshape(*part.shape[:3], *at.kernel, *at.windows), part)
    return cropped(at, canvas.reshape(y.shape[0], at.groups * channels, *canvas.shape[3:]))


def weight_adjoint(at: Geometry, y: Array, x: Array) -> Array:
    """Return w with <correlate(x, w'), y> = <w', w> for all w': the windows of x, each times its y, added up."""
    per_group, channels = y.shape[1] // at.groups, x.shape[1] // at.groups
    pixels = y.reshape(y.shape[0], at.groups, per_group, math.prod(at.windows))
    result = np.zeros((at.groups, per_group, channels * math.prod(at.kernel)), y.dtype)
    for block, columns in column_blocks(at, x):
        result += contract(pixels[block], columns.swapaxes(2, 3)).sum(0)
    return result.reshape(y.shape[1], channels, *at.kernel)


def column_blocks(at: Geometry, x: Array) -> Iterator[tuple[Index, Array]]:
    """Yield the windows of x as columns (n, groups, C / groups * taps, pixels), and where in N and pixels they lie."""
    rank, channels, taps = len(at.kernel), x.shape[1], math.prod(at.kernel)
    views, row = windows_of(at, x), math.prod(at.windows[1:])
    for n, rows in _blocks(x.shape[0], at.windows[0], channels * taps * row):
        here: Index = (n, ..., rows, *(slice(None),) * (rank - 1))
        part = views[here]
        shape = (part.shape[0], at.groups, channels // at.groups * taps, (rows.stop - rows.start) * row)
        yield (n, ..., slice(rows.start * row, rows.stop * row)), part.reshape(shape)


def windows_of(at: Geometry, x: Array) -> Array:
    """Return a view of shape (N, C, *kernel, *windows) onto the windows of x, padded."""
    rank = len(at.kernel)
    views = window_views(padded(x, at.padding), at.kernel, at.stride, at.dilation, at.windows)
    return views.transpose(0, 1, *range(2 + rank, 2 + 2 * rank), *range(2, 2 + rank))


def add_columns(at: Geometry, columns: Array, canvas: Array) -> None:
    """Add columns (..., *kernel, *windows) onto the windows that they belong to, in a canvas with padding."""
    lead = (slice(None),) * (columns.ndim - 2 * len(at.kernel))
    for tap, part in tap_slices(at.kernel, at.stride, at.dilation, at.windows):
        canvas[part] += columns[(*lead, *tap)]


def cropped(at: Geometry, canvas: Array) -> Array:
    """Return the canvas without its padding."""
    if not any(low or high for low, high in at.padding):
        return canvas
    inside: Index = (..., *(slice(low, low + n) for n, (low, _) in zip(at.size, at.padding, strict=True)))
    return canvas[inside]


def padded_size(at: Geometry) -> tuple[int, ...]:
    """Return the size of the input with its padding."""
    return tuple(n + low + high for n, (low, high) in zip(at.size, at.padding, strict=True))


def _blocks(samples: int, parts: int, size: int) -> Iterator[tuple[slice, slice]]:
    """Yield slices of samples and of their parts, so that each holds about BLOCK numbers of `size` to a part."""
    if samples * parts * size <= BLOCK:
        yield slice(0, samples), slice(0, parts)
        return
    step = max(1, BLOCK // size)
    for n in range(samples):
        for first in range(0, parts, step):
            yield slice(n, n + 1), slice(first, min(first + step, parts))
