"""Convolution layers and their transposes, with many channels and a batch.

Deep-learning frameworks call these convolutions although the kernel is not flipped: `reference.correlation` has the
pair of operations that the name confuses. `reference.conv_arguments` checks, `reference.im2col` computes.
"""

from __future__ import annotations

import math
from functools import partial

from numpy.typing import ArrayLike

from reference.arrays import Array
from reference.contraction import sum_of_products
from reference.conv_arguments import conv_call, conv_transpose_call
from reference.im2col import correlate, input_adjoint
from reference.ranks import of_rank
from reference.windows import Padding, Sizes


def conv(
    rank: int,
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Sizes = 1,
    padding: Padding = 0,
    dilation: Sizes = 1,
    groups: int = 1,
    padding_mode: str = "zeros",
) -> Array:
    """Apply a convolution layer, which is a cross-correlation over the channels of a group.

    Formula: output[n, o, u] = bias[o] + sum over c, t of input[n, first + c, u * stride + t * dilation - low]
    * weight[o, c, t], with zeros outside the input, first = (o // (O / groups)) * (C / groups), and u, t, low
    one number for each spatial axis. Outside the input there is what `padding_mode` says, as in `pad`.

    Shapes: input (N, C, *spatial) or (C, *spatial); weight (O, C / groups, *kernel); bias (O,);
    output (N, O, *windows) or (O, *windows), windows = `conv_output_size`.

    Units: those of input times those of weight. Stride, padding and dilation count elements; padding is a
    number, one number for each axis, (low, high) for each axis, "valid", "same" (stride 1), "same_upper" or
    "same_lower".

    Constraints: `dtype`: numeric; `input-rank`: spatial axes and 1 or 2 more; `weight-rank`: spatial axes and
    2 more; `kernel-size`: no axis of length 0; `stride`, `dilation`: at least 1, 1 or rank entries;
    `padding`: at least 0, 1 or rank entries or pairs, or a name; `groups`: at least 1; `input-channels`: as
    many as the weight has, times groups; `output-channels`: at least 1 and divisible by groups; `bias`: shape
    (O,); `kernel-fits`: the extent is at most the padded input; `spatial-size`: no spatial axis of length 0;
    `padding-mode`: zeros, reflect, replicate or circular; `pad-size`: padding of less than n (reflect), of at
    most n (circular).

    Accuracy: within gamma(n) * sum |input| |weight| of float64, n products each; integers exactly; correctly
    rounded inside `exact()`.

    Source: PyTorch, torch.nn.functional.conv2d and, for the modes, torch.nn.Conv2d; Dumoulin and Visin, A
    guide to convolution arithmetic for deep learning, 2016, sections 2 to 4.

    >>> conv2d([[[[0, 1, 2], [3, 4, 5], [6, 7, 8]]]], [[[[0, 1], [2, 3]]]])
    array([[[[19, 25],
             [37, 43]]]])
    >>> conv1d([[1, 2, 3]], [[[1, 10, 100]]], padding=1, padding_mode="circular")
    array([[213, 321, 132]])
    """
    call = conv_call(rank, input, weight, bias, stride, padding, dilation, groups, padding_mode)
    count = math.prod(call.w.shape[1:])
    result = sum_of_products(partial(correlate, call.at), call.x, call.w, count, call.bias, lanes=call.lanes(0, 0))
    return call.finished(result)


conv1d = of_rank(1, conv)
conv2d = of_rank(2, conv)
conv3d = of_rank(3, conv)


def conv_transpose(
    rank: int,
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Sizes = 1,
    padding: Padding = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
    output_size: Sizes | None = None,
) -> Array:
    """Apply a transposed convolution layer: every input element adds a scaled kernel to the output.

    Formula: output[n, o, v] = bias[o] + sum over c, u, t with u * stride + t * dilation - low = v of input[n,
    first + c, u] * weight[first + c, o mod (O / groups), t]. It is the adjoint of the convolution that has
    the same weight, and the gradient of it with respect to its input.

    Shapes: input (N, C, *spatial) or (C, *spatial); weight (C, O / groups, *kernel); bias (O,); output (N, O,
    *out) or (O, *out), out = `conv_transpose_output_size`, or `output_size` if that is given.

    Units: those of input times those of weight. Padding is taken off the output; `output_padding` is added to
    it, on the high side. `output_size`, of the spatial axes, stands for the output padding that leads to it.

    Constraints: `dtype`: numeric; `input-rank`: spatial axes and 1 or 2 more; `weight-rank`: spatial axes and
    2 more; `kernel-size`: no axis of length 0; `stride`, `dilation`: at least 1, 1 or rank entries;
    `padding`: at least 0, 1 or rank entries or pairs; `output-padding`: at least 0 and less than the stride
    or the dilation, and 0 if there is an output size; `groups`: at least 1; `input-channels`: as many as the
    weight has, divisible by groups; `output-channels`: at least 1; `bias`: shape (O,); `output-size`: padding
    leaves at least one element, and a given size is one that some output padding leads to; `spatial-size`: no
    spatial axis of length 0.

    Accuracy: within gamma(n) * sum |input| |weight| of float64, n products each; integers exactly; correctly
    rounded inside `exact()`.

    Source: PyTorch, torch.nn.functional.conv_transpose2d and, for the output size, torch.nn.ConvTranspose2d;
    Dumoulin and Visin, A guide to convolution arithmetic for deep learning, 2016, section 4.

    >>> conv_transpose2d([[[[1, 2], [3, 4]]]], [[[[1, 1], [1, 1]]]])
    array([[[[ 1,  3,  2],
             [ 4, 10,  6],
             [ 3,  7,  4]]]])
    >>> conv_transpose1d([[1, 2]], [[[1, 10]]], stride=3, output_size=6)
    array([[ 1, 10,  0,  2, 20,  0]])
    """
    call = conv_transpose_call(
        rank, input, weight, bias, stride, padding, output_padding, groups, dilation, output_size
    )
    count = call.w.shape[0] // call.at.groups * math.prod(call.at.kernel)
    function = partial(input_adjoint, call.at)
    return call.finished(sum_of_products(function, call.x, call.w, count, call.bias, lanes=call.lanes(0, 1)))


conv_transpose1d = of_rank(1, conv_transpose)
conv_transpose2d = of_rank(2, conv_transpose)
conv_transpose3d = of_rank(3, conv_transpose)
