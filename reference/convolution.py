"""Convolution layers and their transposes, with many channels and a batch.

Deep-learning frameworks call these convolutions although the kernel is not flipped: `reference.correlation` has the
pair of operations that the name confuses. One N-dimensional body serves all ranks.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from reference.arrays import Array, widen
from reference.constraints import per_axis, refuse, whole
from reference.contraction import contract
from reference.windows import (
    Index,
    Padding,
    Sizes,
    conv_output_size,
    conv_transpose_output_size,
    padded,
    resolve_padding,
    tap_slices,
    window_views,
)


def conv1d(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Sizes = 1,
    padding: Padding = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Array:
    """Apply a convolution layer over one spatial axis; see `conv2d`.

    >>> conv1d([[[1, 2, 3, 4]]], [[[1, 10]]])
    array([[[21, 32, 43]]])
    """
    return _conv(1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Sizes = 1,
    padding: Padding = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Array:
    """Apply a convolution layer, which is a cross-correlation over the channels of a group.

    Formula: output[n, o, u] = bias[o] + sum over c, t of input[n, first + c, u * stride + t * dilation - low]
    * weight[o, c, t], with zeros outside the input, first = (o // (O / groups)) * (C / groups), and u, t, low
    one number for each spatial axis.

    Shapes: input (N, C, *spatial) or (C, *spatial); weight (O, C / groups, *kernel); bias (O,);
    output (N, O, *windows) or (O, *windows), windows = `conv_output_size`.

    Units: those of input times those of weight. Stride, padding and dilation count elements; padding is a
    number, one number for each axis, (low, high) for each axis, "valid", "same" (stride 1), "same_upper" or
    "same_lower".

    Constraints: `dtype`: numeric; `input-rank`: spatial axes and 1 or 2 more; `weight-rank`: spatial axes and
    2 more; `kernel-size`: no axis of length 0; `stride`, `dilation`: at least 1, 1 or rank entries;
    `padding`: at least 0, 1 or rank entries or pairs, or a name; `groups`: at least 1; `input-channels`: as
    many as the weight has, times groups; `output-channels`: at least 1 and divisible by groups; `bias`: shape
    (O,); `kernel-fits`: the extent is at most the padded input; `spatial-size`: no spatial axis of length 0.

    Accuracy: within gamma(n) * sum |input| |weight| of float64, n products each; integers exactly.

    Source: PyTorch, torch.nn.functional.conv2d; Dumoulin and Visin, 2016, sections 2 to 4.

    >>> conv2d([[[[0, 1, 2], [3, 4, 5], [6, 7, 8]]]], [[[[0, 1], [2, 3]]]])
    array([[[[19, 25],
             [37, 43]]]])
    """
    return _conv(2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Sizes = 1,
    padding: Padding = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Array:
    """Apply a convolution layer over three spatial axes; see `conv2d`.

    >>> int(conv3d(np.ones((1, 2, 3, 3, 3), int), np.ones((1, 2, 2, 2, 2), int)).max())
    16
    """
    return _conv(3, input, weight, bias, stride, padding, dilation, groups)


def conv_transpose1d(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Sizes = 1,
    padding: Padding = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Array:
    """Apply a transposed convolution layer over one spatial axis; see `conv_transpose2d`.

    >>> conv_transpose1d([[[1, 2]]], [[[1, 10]]], stride=2)
    array([[[ 1, 10,  2, 20]]])
    """
    return _conv_transpose(1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Sizes = 1,
    padding: Padding = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Array:
    """Apply a transposed convolution layer: every input element adds a scaled kernel to the output.

    Formula: output[n, o, v] = bias[o] + sum over c, u, t with u * stride + t * dilation - low = v of input[n,
    first + c, u] * weight[first + c, o mod (O / groups), t]. It is the adjoint of the convolution that has
    the same weight, and the gradient of it with respect to its input.

    Shapes: input (N, C, *spatial) or (C, *spatial); weight (C, O / groups, *kernel); bias (O,); output (N, O,
    *out) or (O, *out), out = `conv_transpose_output_size`.

    Units: those of input times those of weight. Padding is taken off the output; `output_padding` is added to
    it, on the high side.

    Constraints: `dtype`: numeric; `input-rank`: spatial axes and 1 or 2 more; `weight-rank`: spatial axes and
    2 more; `kernel-size`: no axis of length 0; `stride`, `dilation`: at least 1, 1 or rank entries;
    `padding`: at least 0, 1 or rank entries or pairs; `output-padding`: at least 0 and less than the stride
    or the dilation; `groups`: at least 1; `input-channels`: as many as the weight has, divisible by groups;
    `output-channels`: at least 1; `bias`: shape (O,); `output-size`: padding leaves at least one element;
    `spatial-size`: no spatial axis of length 0.

    Accuracy: within gamma(n) * sum |input| |weight| of float64, n products each; integers exactly.

    Source: PyTorch, torch.nn.functional.conv_transpose2d; Dumoulin and Visin, 2016, section 4.

    >>> conv_transpose2d([[[[1, 2], [3, 4]]]], [[[[1, 1], [1, 1]]]])
    array([[[[ 1,  3,  2],
             [ 4, 10,  6],
             [ 3,  7,  4]]]])
    """
    return _conv_transpose(2, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Sizes = 1,
    padding: Padding = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Array:
    """Apply a transposed convolution layer over three spatial axes; see `conv_transpose2d`.

    >>> int(conv_transpose3d(np.ones((1, 2, 2, 2, 2), int), np.ones((2, 1, 2, 2, 2), int)).max())
    16
    """
    return _conv_transpose(3, input, weight, bias, stride, padding, output_padding, groups, dilation)


def _conv(
    rank: int,
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None,
    stride: Sizes,
    padding: Padding,
    dilation: Sizes,
    groups: int,
) -> Array:
    x, w, b, batched = _operands(rank, input, weight, bias)
    kernel, spatial = w.shape[2:], x.shape[2:]
    s, d, g = _steps(rank, stride, dilation, groups)
    p = resolve_padding(padding, spatial, kernel, s, d)
    if x.shape[1] != w.shape[1] * g:
        refuse(
            "input-channels",
            "input",
            x.shape,
            f"must have {w.shape[1]} channels times {g} groups for weight {w.shape}, not {x.shape[1]}",
        )
    if w.shape[0] == 0 or w.shape[0] % g:
        refuse("output-channels", "weight", w.shape, f"out_channels must be at least 1 and divisible by groups={g}")
    _check_bias(b, w.shape[0])
    output = conv_output_size(spatial, kernel, s, p, d)
    assert isinstance(output, tuple)
    views = window_views(padded(x, p), kernel, s, d, output)
    # (N, C, *output, *kernel) -> (N, groups, C / groups * taps, windows): the one copy of the im2col form.
    order = (0, 1, *range(2 + rank, 2 + 2 * rank), *range(2, 2 + rank))
    columns = views.transpose(order).reshape(x.shape[0], g, w.shape[1] * math.prod(kernel), math.prod(output))
    rows = w.reshape(g, w.shape[0] // g, columns.shape[2])
    result = contract(rows, columns).reshape(x.shape[0], w.shape[0], *output)
    return _finish(result, b, batched)


def _conv_transpose(
    rank: int,
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None,
    stride: Sizes,
    padding: Padding,
    output_padding: Sizes,
    groups: int,
    dilation: Sizes,
) -> Array:
    x, w, b, batched = _operands(rank, input, weight, bias)
    kernel, spatial = w.shape[2:], x.shape[2:]
    s, d, g = _steps(rank, stride, dilation, groups)
    extra = per_axis("output-padding", "output_padding", output_padding, rank, 0)
    if isinstance(padding, str):
        refuse("padding", "padding", padding, "must be numbers; a transposed convolution has no padding by name")
    p = resolve_padding(padding, spatial, kernel, s, d)
    if x.shape[1] != w.shape[0] or x.shape[1] % g:
        refuse(
            "input-channels",
            "input",
            x.shape,
            f"in_channels must be {w.shape[0]} for weight {w.shape} and divisible by groups={g}",
        )
    if w.shape[1] == 0:
        refuse("output-channels", "weight", w.shape, "out_channels must be at least 1")
    channels = w.shape[1] * g
    _check_bias(b, channels)
    output = conv_transpose_output_size(spatial, kernel, s, p, extra, d)
    assert isinstance(output, tuple)
    columns = _scaled_kernels(x, w, g, channels, math.prod(kernel)).reshape(x.shape[0], channels, *kernel, *spatial)
    whole_size = [o + low + high for o, (low, high) in zip(output, p, strict=True)]
    canvas = np.zeros((x.shape[0], channels, *whole_size), columns.dtype)
    for tap, part in tap_slices(kernel, s, d, spatial):
        here: Index = (slice(None), slice(None), *tap)
        canvas[part] += columns[here]
    crop: Index = (..., *(slice(low, low + o) for o, (low, _) in zip(output, p, strict=True)))
    return _finish(canvas[crop], b, batched)


def _scaled_kernels(x: Array, w: Array, g: int, channels: int, taps: int) -> Array:
    """Return every kernel tap times every input element, summed over the channels of a group."""
    rows = w.reshape(g, x.shape[1] // g, channels // g * taps).swapaxes(1, 2)
    pixels = x.reshape(x.shape[0], g, x.shape[1] // g, math.prod(x.shape[2:]))
    return contract(rows, pixels)


def _operands(
    rank: int, input: ArrayLike, weight: ArrayLike, bias: ArrayLike | None
) -> tuple[Array, Array, Array | None, bool]:
    """Return input with a batch axis, weight and bias in one dtype, and whether there was a batch axis."""
    x, w = widen("input", input), widen("weight", weight)
    b = None if bias is None else widen("bias", bias)
    dtype = np.result_type(x, w) if b is None else np.result_type(x, w, b)
    x, w = x.astype(dtype, copy=False), w.astype(dtype, copy=False)
    b = None if b is None else b.astype(dtype, copy=False)
    if x.ndim not in (rank + 1, rank + 2):
        refuse(
            "input-rank",
            "input",
            x.shape,
            f"must be (N, C, *spatial) or (C, *spatial) with {rank} spatial axes",
        )
    if w.ndim != rank + 2:
        refuse("weight-rank", "weight", w.shape, f"must have {rank + 2} axes, {rank} of them the kernel's")
    if 0 in w.shape[2:]:
        refuse("kernel-size", "weight", w.shape, "must not have a kernel axis of length 0")
    if 0 in x.shape[x.ndim - rank :]:
        refuse("spatial-size", "input", x.shape, "must not have a spatial axis of length 0")
    batched = x.ndim == rank + 2
    return (x if batched else x[np.newaxis]), w, b, batched


def _steps(rank: int, stride: Sizes, dilation: Sizes, groups: int) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """Return stride and dilation along every axis, and groups."""
    checked = whole("groups", "groups", groups, 1)
    along = per_axis("stride", "stride", stride, rank, 1), per_axis("dilation", "dilation", dilation, rank, 1)
    return *along, checked


def _check_bias(bias: Array | None, channels: int) -> None:
    if bias is not None and bias.shape != (channels,):
        refuse("bias", "bias", bias.shape, f"must be ({channels},), one number for each output channel")


def _finish(result: Array, bias: Array | None, batched: bool) -> Array:
    if bias is not None:
        result = result + bias.reshape(-1, *(1,) * (result.ndim - 2))
    return result if batched else result[0]
