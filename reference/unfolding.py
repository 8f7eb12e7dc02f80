"""A convolution as linear algebra: windows as columns, columns added back, the whole layer as one matrix."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from reference.arrays import Array, widen
from reference.constraints import per_axis, refuse, whole
from reference.contraction import part_by_part, sum_of_products
from reference.conv_arguments import conv_call
from reference.im2col import Geometry, add_columns, cropped, padded_size, windows_of
from reference.padding import pad
from reference.ranks import with_batch_axis
from reference.windows import Index, Padding, Sizes, resolve_padding, window_counts


def unfold(
    input: ArrayLike,
    kernel_size: Sizes,
    dilation: Sizes = 1,
    padding: Padding = 0,
    stride: Sizes = 1,
    rank: int = 2,
) -> Array:
    """Lay every window out as a column (im2col), so that a convolution layer becomes a matrix product.

    Formula: output[n, c * taps + t, u] = input[n, c, u * stride + t * dilation - low], with zeros outside the
    input, t counting the taps of a kernel and u the windows, in row-major order.

    Shapes: input (N, C, *spatial) or (C, *spatial); output (N, C * taps, windows) or (C * taps, windows), windows
    = the product of `conv_output_size`.

    Units: those of input. `rank` is the number of spatial axes, which PyTorch fixes at 2.

    Constraints: `rank`: at least 1; `dtype`: numeric; `input-rank`: spatial axes and 1 or 2 more; `spatial-size`:
    no spatial axis of length 0; `kernel-size`, `stride`, `dilation`: at least 1, 1 or rank entries; `padding`: as
    `conv_output_size`; `kernel-fits`: the extent is at most the padded input.

    Accuracy: exact, copies only.

    Source: PyTorch, torch.nn.functional.unfold; Chellapilla, Puri and Simard, High performance convolutional
    neural networks for document processing, 2006, section 2.

    >>> unfold([[[1, 2, 3], [4, 5, 6]]], 2)
    array([[1, 2],
           [2, 3],
           [4, 5],
           [5, 6]])
    """
    call = unfold_call(input, kernel_size, dilation, padding, stride, rank)
    (n, channels), taps = call.x.shape[:2], math.prod(call.at.kernel)
    columns = windows_of(call.at, call.x).copy().reshape(n, channels * taps, math.prod(call.at.windows))
    return columns if call.batched else columns[0]


def fold(
    input: ArrayLike,
    output_size: Sizes,
    kernel_size: Sizes,
    dilation: Sizes = 1,
    padding: Padding = 0,
    stride: Sizes = 1,
    rank: int = 2,
) -> Array:
    """Add columns back onto the windows that they stand for (col2im): the adjoint of `unfold`, not its inverse.

    Formula: output[n, c, v] = sum over t, u with u * stride + t * dilation - low = v of input[n, c * taps + t, u].

    Shapes: input (N, C * taps, windows) or (C * taps, windows); output (N, C, *output_size) or (C,
    *output_size).

    Units: those of input. `rank` is the number of spatial axes, which PyTorch fixes at 2.

    Constraints: `rank`: at least 1; `dtype`: numeric; `input-rank`: 2 or 3; `spatial-size`: an output size of at
    least 1; `kernel-size`, `stride`, `dilation`: at least 1, 1 or rank entries; `padding`: as
    `conv_output_size`; `kernel-fits`: the extent is at most the padded output; `columns`: C * taps is a multiple
    of taps; `windows`: as many as `unfold` would make.

    Accuracy: within gamma(n) * sum |input| of float64, n taps each; integers exactly; correctly rounded inside
    `exact()`.

    Source: PyTorch, torch.nn.functional.fold.

    >>> fold([[1, 2], [2, 3], [4, 5], [5, 6]], (2, 3), 2)
    array([[[ 1,  4,  3],
            [ 4, 10,  6]]])
    """
    call = fold_call(input, output_size, kernel_size, dilation, padding, stride, rank)
    at, shape = call.at, (*call.x.shape[:1], call.x.shape[1] // math.prod(call.at.kernel))

    def added(columns: Array, one: Array) -> Array:
        canvas = np.zeros((*shape, *padded_size(at)), columns.dtype)
        add_columns(at, (columns * one).reshape(*shape, *at.kernel, *at.windows), canvas)
        return cropped(at, canvas)

    def sums(part: Array) -> Array:
        return sum_of_products(added, part, np.ones((), part.dtype), math.prod(at.kernel))

    result = part_by_part(sums, call.x)
    return result if call.batched else result[0]


def conv_matrix(
    weight: ArrayLike,
    input_size: Sizes,
    stride: Sizes = 1,
    padding: Padding = 0,
    dilation: Sizes = 1,
    groups: int = 1,
    padding_mode: str = "zeros",
) -> Array:
    """Return the matrix of a convolution layer: its product with a flattened input is the flattened output.

    Formula: conv(x, weight, ...).ravel() = matrix @ x.ravel(). Without stride the matrix is Toeplitz along one
    axis, doubly block Toeplitz along two: most of its entries are zero (local connection), the others are the few
    of the kernel, again and again (weight sharing).

    Shapes: weight (O, C / groups, *kernel); output (O * windows, C * n), n the product of input_size.

    Units: those of weight. `input_size` is of the spatial axes, as many as the weight has.

    Constraints: `weight-rank`: at least 3 axes; `input-size`: at least 1, 1 or rank entries; `dtype`,
    `kernel-size`, `stride`, `padding`, `dilation`, `groups`, `output-channels`, `kernel-fits`, `padding-mode`,
    `pad-size`: as `conv2d`.

    Accuracy: exact, copies only; where padding copies an element, sums of weights, within gamma(n) of float64.

    Source: Goodfellow, Bengio and Courville, Deep Learning, 2016, section 9.1.

    >>> conv_matrix([[[1, 2]]], 4)
    array([[1, 2, 0, 0],
           [0, 1, 2, 0],
           [0, 0, 1, 2]])
    """
    call = matrix_call(weight, input_size, stride, padding, dilation, groups, padding_mode)
    matrix = np.zeros(call.shape, call.w.dtype)
    for group, tap, entries in call.shared():
        matrix[entries] += call.w[group, :, :, tap]
    outputs, inputs = math.prod(call.shape[:3]), math.prod(call.shape[3:-1]) * (call.shape[-1] - 1)
    return matrix[..., 1:].reshape(outputs, inputs)


class UnfoldCall(NamedTuple):
    """The checked arguments of `unfold` or of `fold`: x has a batch axis."""

    x: Array
    batched: bool
    at: Geometry


def unfold_call(
    input: ArrayLike, kernel_size: Sizes, dilation: Sizes, padding: Padding, stride: Sizes, rank: int
) -> UnfoldCall:
    """Check the arguments of `unfold`."""
    x, batched = with_batch_axis(whole("rank", "rank", rank, 1), widen("input", input))
    return UnfoldCall(x, batched, _geometry(x.shape[2:], kernel_size, dilation, padding, stride))


def fold_call(
    input: ArrayLike,
    output_size: Sizes,
    kernel_size: Sizes,
    dilation: Sizes,
    padding: Padding,
    stride: Sizes,
    rank: int,
) -> UnfoldCall:
    """Check the arguments of `fold`."""
    x = widen("input", input)
    size = per_axis("spatial-size", "output_size", output_size, whole("rank", "rank", rank, 1), 1)
    if x.ndim not in (2, 3):
        refuse("input-rank", "input", x.shape, "must be (N, C * taps, windows) or (C * taps, windows)")
    at = _geometry(size, kernel_size, dilation, padding, stride)
    taps, windows = math.prod(at.kernel), math.prod(at.windows)
    if x.shape[-2] % taps:
        refuse("columns", "input", x.shape, f"must have a multiple of {taps} numbers in a column, not {x.shape[-2]}")
    if x.shape[-1] != windows:
        refuse("windows", "input", x.shape, f"must have {windows} columns, one for each window, not {x.shape[-1]}")
    return UnfoldCall(x if x.ndim == 3 else x[np.newaxis], x.ndim == 3, at)


class MatrixCall(NamedTuple):
    """The checked arguments of `conv_matrix`, and which entries of the matrix are one weight.

    w: (groups, O / groups, C / groups, taps). positions: (taps, windows), of what a tap meets in a channel of the
    input, counted from 1; 0 is padding. shape: (groups, O / groups, windows, groups, C / groups, 1 + positions).
    """

    w: Array
    positions: Array
    shape: tuple[int, ...]

    def shared(self) -> Iterator[tuple[int, int, Index]]:
        """Yield a group, a tap, and the index of the entries (windows, O / groups, C / groups) that are its weights."""
        windows = np.arange(self.positions.shape[1])
        for group in range(self.shape[0]):
            for tap, position in enumerate(self.positions):
                yield group, tap, (group, slice(None), windows, group, slice(None), position)


def matrix_call(
    weight: ArrayLike,
    input_size: Sizes,
    stride: Sizes,
    padding: Padding,
    dilation: Sizes,
    groups: int,
    padding_mode: str,
) -> MatrixCall:
    """Check the arguments of `conv_matrix`."""
    w = widen("weight", weight)
    if w.ndim < 3:
        refuse("weight-rank", "weight", w.shape, "must be (O, C / groups, *kernel)")
    size = per_axis("input-size", "input_size", input_size, w.ndim - 2, 1)
    channels = w.shape[1] * whole("groups", "groups", groups, 1)
    nothing = np.broadcast_to(np.zeros((), w.dtype), (1, channels, *size))
    call = conv_call(w.ndim - 2, nothing, w, None, stride, padding, dilation, groups, padding_mode)
    index = np.arange(1, math.prod(size) + 1).reshape(1, 1, *size)
    if call.margin:
        index = pad(index, [n for pair in reversed(call.margin) for n in pair], padding_mode)
    positions = windows_of(call.at, index).reshape(math.prod(call.at.kernel), math.prod(call.at.windows))
    per_group = w.shape[0] // groups
    shape = (groups, per_group, positions.shape[1], groups, w.shape[1], 1 + math.prod(size))
    return MatrixCall(w.reshape(groups, per_group, w.shape[1], len(positions)), positions, shape)


def _geometry(size: Sequence[int], kernel_size: Sizes, dilation: Sizes, padding: Padding, stride: Sizes) -> Geometry:
    rank = len(size)
    k = per_axis("kernel-size", "kernel_size", kernel_size, rank, 1)
    s, d = per_axis("stride", "stride", stride, rank, 1), per_axis("dilation", "dilation", dilation, rank, 1)
    p = resolve_padding(padding, size, k, s, d)
    windows = window_counts(zip(size, k, s, p, d, strict=True))
    return Geometry(tuple(size), k, s, p, d, windows)
