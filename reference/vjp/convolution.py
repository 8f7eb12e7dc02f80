"""Gradients of convolution layers and of their transposes: each is made of the adjoints in `reference.im2col`."""

from __future__ import annotations

import math
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from reference.arrays import Array
from reference.contraction import part_by_part, sum_of_products
from reference.conv_arguments import ConvCall, conv_call, conv_transpose_call
from reference.im2col import Geometry, correlate, input_adjoint, weight_adjoint
from reference.padding import pad_adjoint
from reference.ranks import of_rank
from reference.vjp.cotangents import checked
from reference.windows import Padding, Sizes


class ConvGradients(NamedTuple):
    """Gradients with respect to the input, the weight and the bias (None where there is no bias)."""

    input: Array
    weight: Array
    bias: Array | None


def conv(
    rank: int,
    cotangent: ArrayLike,
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Sizes = 1,
    padding: Padding = 0,
    dilation: Sizes = 1,
    groups: int = 1,
    padding_mode: str = "zeros",
) -> ConvGradients:
    """Return the gradients of sum(cotangent * conv(input, weight, bias, ...)).

    Formula: with g the cotangent, of input: sum over o, u, t with u * stride + t * dilation - low = v of
    g[n, o, u] * conj(weight[o, c, t]), padding that copies the input added back onto what it copies; of weight:
    sum over n, u of g[n, o, u] * conj(input[n, first + c, u * stride + t * dilation - low]); of bias: sum over
    n, u of g[n, o, u].

    Shapes: cotangent as the output; each gradient as its argument.

    Units: those of cotangent times those of the other factor.

    Constraints: as `reference.conv2d`; `cotangent`: the shape of the output.

    Accuracy: within gamma(n) * sum |cotangent| |other factor| of float64, n products each; integers exactly;
    correctly rounded inside `exact()`.

    Source: Goodfellow, Bengio and Courville, Deep Learning, 2016, section 9.5, equations 9.11 to 9.13.

    >>> gradients = conv2d([[[[1, 10]]]], [[[[1, 2, 3]]]], [[[[5, 7]]]])
    >>> gradients.input.tolist(), gradients.weight.tolist(), gradients.bias
    ([[[[5, 57, 70]]]], [[[[21, 32]]]], None)
    """
    call = conv_call(rank, input, weight, bias, stride, padding, dilation, groups, padding_mode)
    call, g = _with_cotangent(call, cotangent, call.at.windows)
    at = call.at
    # No element is copied to more places than its line is padded by, and it is there itself.
    copies = math.prod(1 + low + high for low, high in call.margin)
    unpadded = tuple(n - low - high for n, (low, high) in zip(at.size, call.margin[2:], strict=False))
    count = call.output_channels // at.groups * math.prod(at.kernel) * copies

    def onto_input(y: Array, w: Array) -> Array:
        canvas = input_adjoint(at, y, w)
        return pad_adjoint(canvas, (*canvas.shape[:2], *unpadded), call.margin, padding_mode) if call.margin else canvas

    return ConvGradients(
        call.finished(sum_of_products(onto_input, g, call.w.conj(), count, lanes=call.lanes(0, 1))),
        _of_weight(at, g, call.x.conj(), call.lanes(1, 1)),
        _of_bias(g, bias),
    )


conv1d = of_rank(1, conv)
conv2d = of_rank(2, conv)
conv3d = of_rank(3, conv)


def conv_transpose(
    rank: int,
    cotangent: ArrayLike,
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Sizes = 1,
    padding: Padding = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
    output_size: Sizes | None = None,
) -> ConvGradients:
    """Return the gradients of sum(cotangent * conv_transpose(input, weight, bias, ...)).

    Formula: with g the cotangent, of input: the convolution of g with conj(weight), which the layer transposes;
    of weight: sum over n, u of conj(input[n, c, u]) * g[n, o, u * stride + t * dilation - low]; of bias: sum
    over n, v of g[n, o, v].

    Shapes: cotangent as the output; each gradient as its argument.

    Units: those of cotangent times those of the other factor.

    Constraints: as `reference.conv_transpose2d`; `cotangent`: the shape of the output.

    Accuracy: within gamma(n) * sum |cotangent| |other factor| of float64, n products each; integers exactly;
    correctly rounded inside `exact()`.

    Source: Dumoulin and Visin, A guide to convolution arithmetic for deep learning, 2016, section 4.1.

    >>> gradients = conv_transpose1d([[[1, 10, 100]]], [[[2, 3]]], [[[5, 7]]], [0])
    >>> gradients.input.tolist(), gradients.weight.tolist(), gradients.bias.tolist()
    ([[[75, 750]]], [[[32, 320]]], [111])
    """
    call = conv_transpose_call(
        rank, input, weight, bias, stride, padding, output_padding, groups, dilation, output_size
    )
    call, g = _with_cotangent(call, cotangent, call.at.size)
    at = call.at
    count = math.prod(call.w.shape[1:])
    return ConvGradients(
        call.finished(sum_of_products(partial(correlate, at), g, call.w.conj(), count, lanes=call.lanes(0, 0))),
        _of_weight(at, call.x.conj(), g, call.lanes(1, 1)),
        _of_bias(g, bias),
    )


conv_transpose1d = of_rank(1, conv_transpose)
conv_transpose2d = of_rank(2, conv_transpose)
conv_transpose3d = of_rank(3, conv_transpose)


def _with_cotangent(call: ConvCall, cotangent: ArrayLike, spatial: tuple[int, ...]) -> tuple[ConvCall, Array]:
    """Return the call and the cotangent, with a batch axis, in one dtype."""
    g = checked(cotangent, call.output_shape(spatial))
    dtype = np.result_type(g, call.x)
    g = g.astype(dtype, copy=False)
    call = call._replace(x=call.x.astype(dtype, copy=False), w=call.w.astype(dtype, copy=False))
    return call, (g if call.batched else g[np.newaxis])


def _of_weight(at: Geometry, y: Array, x: Array, lanes: tuple[int, int] | None) -> Array:
    """Return the gradient of a weight that maps windows of x onto elements of y."""
    return sum_of_products(partial(weight_adjoint, at), y, x, len(y) * math.prod(at.windows), lanes=lanes)


def _of_bias(g: Array, bias: ArrayLike | None) -> Array | None:
    """Return the sums of the cotangent over all but the channels."""
    if bias is None:
        return None
    axes, count = (0, *range(2, g.ndim)), g.size // max(g.shape[1], 1)

    def sums(part: Array) -> Array:
        return sum_of_products(lambda y, one: np.asarray(y.sum(axes) * one), part, np.ones((), part.dtype), count)

    return part_by_part(sums, g)
