"""Convolution layers: windows as columns, added up in every order; and other traversals and algorithms."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from conformance.formats import Array, round_bits
from conformance.model import Arithmetic, Case
from conformance.orders import (
    Order,
    ascending,
    backwards,
    blocks_of,
    compensated,
    descending,
    einsum,
    every,
    forwards,
    fused,
    in_accumulator,
    inside_out,
    matrix_product,
    pairwise,
    shuffled,
    signs_apart,
    truncating,
    wider,
)
from conformance.variants import Variant
from reference.conv_arguments import ConvCall, conv_call
from reference.im2col import windows_of
from reference.windows import padded, tap_slices

DEFAULTS = {"bias": None, "stride": 1, "padding": 0, "dilation": 1, "groups": 1, "padding_mode": "zeros"}


def called(rank: int, acc: np.dtype[Any], **call: Any) -> ConvCall:
    """Return the checked call with its arrays in the accumulator."""
    checked = conv_call(rank, **{**DEFAULTS, **call})
    bias = None if checked.bias is None else checked.bias.astype(acc)
    return checked._replace(x=checked.x.astype(acc), w=checked.w.astype(acc), bias=bias)


def finished(call: ConvCall, output: Array) -> Array:
    """Return the output in its shape, from (N, groups, O / groups, windows) or (N, O, *windows)."""
    return call.finished(output.reshape(len(call.x), call.output_channels, *call.at.windows))


def with_bias(call: ConvCall, rows: Array, columns: Array) -> tuple[Array, Array]:
    """Return rows and columns in which the bias is one product more, by 1."""
    if call.bias is None:
        return rows, columns
    bias = call.bias.reshape(*rows.shape[:-1], 1)
    ones = np.ones((*columns.shape[:-2], 1, columns.shape[-1]), columns.dtype)
    return np.concatenate([rows, bias], -1), np.concatenate([columns, ones], -2)


def by_columns(rank: int, order: Order) -> Callable[..., Any]:
    """Return the convolution that lays every window out as a column, and adds up its products in that order."""

    @in_accumulator
    def convolve(acc: np.dtype[Any], **arguments: Any) -> Array:
        call = called(rank, acc, **arguments)
        groups, taps = call.at.groups, math.prod(call.w.shape[1:])
        columns = windows_of(call.at, call.x).reshape(len(call.x), groups, taps, math.prod(call.at.windows))
        rows = call.w.reshape(groups, len(call.w) // groups, taps)
        return finished(call, order(*with_bias(call, rows, columns)))

    return convolve


def tap_after_tap(rank: int, order: Callable[[Any], Any], channels_last: bool = False) -> Callable[..., Any]:
    """Return the convolution that adds up matrices of channels, one for each tap of the kernel."""

    @in_accumulator
    def convolve(acc: np.dtype[Any], **arguments: Any) -> Array:
        call = called(rank, acc, **arguments)
        groups, at = call.at.groups, call.at
        x = padded(call.x, at.padding)
        x = x.reshape(len(x), groups, x.shape[1] // groups, *x.shape[2:])
        w = call.w.reshape(groups, len(call.w) // groups, *call.w.shape[1:])
        if channels_last:  # the memory of NHWC under a view of NCHW
            x = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, (1, 2), (-2, -1))), (-2, -1), (1, 2))
        total = np.zeros((len(x), groups, w.shape[1], *at.windows), acc)
        for tap, met in order(tap_slices(at.kernel, at.stride, at.dilation, at.windows)):
            total += np.einsum("ngc...,goc->ngo...", x[met], w[(..., *tap)])
        output = total.reshape(len(x), call.output_channels, *at.windows)
        return finished(call, output if call.bias is None else output + call.bias)

    return convolve


@in_accumulator
def rounded_operands(acc: np.dtype[Any], **arguments: Any) -> Array:
    """Read input and weight with the 11 bits of TF32."""
    read = {name: round_bits(arguments[name].astype(np.float64), 11).astype(acc) for name in ("input", "weight")}
    return np.asarray(by_columns(2, matrix_product)(**{**arguments, **read}))


# Lavin and Gray, Fast algorithms for convolutional neural networks, 2016, equation 8.
INPUT = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
KERNEL = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
OUTPUT = np.array([[1, 1, 1, 0], [0, 1, -1, -1]])


@in_accumulator
def winograd(acc: np.dtype[Any], **arguments: Any) -> Array:
    """Compute tiles of 2 x 2 outputs by F(2, 3), where the kernel is 3 x 3 without stride and dilation."""
    call = called(2, acc, **arguments)
    if (call.at.kernel, call.at.stride, call.at.dilation) != ((3, 3), (1, 1), (1, 1)):
        return np.asarray(by_columns(2, matrix_product)(**arguments))
    groups, (height, width) = call.at.groups, call.at.windows
    b, g, a = INPUT.astype(acc), KERNEL.astype(acc), OUTPUT.astype(acc)
    x = padded(padded(call.x, call.at.padding), [(0, height % 2), (0, width % 2)])
    tiles = np.lib.stride_tricks.sliding_window_view(x, (4, 4), (2, 3))[:, :, ::2, ::2]
    tiles = tiles.reshape(len(x), groups, x.shape[1] // groups, *tiles.shape[2:])
    kernels = g @ call.w.reshape(groups, len(call.w) // groups, *call.w.shape[1:]) @ g.T
    product = np.einsum("ngcyxij,gocij->ngoyxij", b @ tiles @ b.T, kernels)
    blocks = (a @ product @ a.T).swapaxes(-3, -2)
    output = blocks.reshape(len(x), call.output_channels, height + height % 2, width + width % 2)
    output = output[..., :height, :width]
    return finished(call, output if call.bias is None else output + call.bias)


@in_accumulator
def fourier(acc: np.dtype[Any], **arguments: Any) -> Array:
    """Multiply the transforms of the input and of the spread kernel, and take every stride-th output."""
    call = called(1, acc, **arguments)
    at, groups, x = call.at, call.at.groups, padded(call.x, call.at.padding)
    (d,), (s,), n = at.dilation, at.stride, x.shape[-1]
    w = np.zeros((groups, len(call.w) // groups, call.w.shape[1], d * (call.w.shape[2] - 1) + 1), acc)
    w[..., ::d] = call.w.reshape(*w.shape[:3], call.w.shape[2])
    transforms = [np.fft.rfft(part, n) for part in (x.reshape(len(x), groups, w.shape[2], n), w)]
    full = np.fft.irfft(np.einsum("ngcf,gocf->ngof", transforms[0], transforms[1].conj()), n)
    output = full[..., : (at.windows[0] - 1) * s + 1 : s].reshape(len(x), call.output_channels, *at.windows).astype(acc)
    return finished(call, output if call.bias is None else output + call.bias)


def _by(algorithm: str) -> Callable[[Case], Arithmetic]:
    return lambda case: Arithmetic.of(case.dtype, algorithm=algorithm)


def _ordered(operator: str, name: str, sentence: str, order: Order) -> Variant:
    return Variant(f"{operator}-{name}", sentence, operator, by_columns(int(operator[-2]), order))


VARIANTS = (
    _ordered("conv1d", "forwards", "windows as columns, one product after the other", forwards),
    _ordered("conv1d", "descending", "windows as columns, the largest products first", descending),
    _ordered("conv1d", "split", "windows as columns, four partial sums of every fourth product", every(4)),
    _ordered("conv1d", "compensated", "windows as columns, what additions lose is added in the end", compensated),
    _ordered("conv2d", "im2col", "windows as columns, times a matrix", matrix_product),
    _ordered("conv2d", "einsum", "windows as columns, added up by NumPy's einsum", einsum),
    _ordered("conv2d", "backwards", "windows as columns, the last product first", backwards),
    _ordered("conv2d", "shuffled", "windows as columns, products in random order", shuffled),
    _ordered("conv2d", "pairwise", "windows as columns, halves of the products, and halves of these", pairwise),
    _ordered("conv2d", "split", "windows as columns, four partial sums of every fourth product", every(4)),
    _ordered("conv2d", "blocked", "windows as columns, partial sums of eight neighbours", blocks_of(8)),
    _ordered("conv2d", "compensated", "windows as columns, what additions lose is added in the end", compensated),
    _ordered("conv2d", "wider", "windows as columns, added up in a wider format", wider),
    _ordered("conv2d", "fused", "windows as columns, by fused multiplication and addition", fused),
    _ordered("conv2d", "signs-apart", "windows as columns, positive and negative products apart", signs_apart),
    _ordered("conv2d", "ascending", "windows as columns, the smallest products first", ascending),
    _ordered("conv3d", "inside-out", "windows as columns, from the middle of the kernel outwards", inside_out),
    _ordered("conv3d", "wider", "windows as columns, added up in a wider format", wider),
    _ordered("conv3d", "blocked", "windows as columns, partial sums of three neighbours", blocks_of(3)),
    Variant("conv1d-tap-by-tap", "tap after tap, the last one first", "conv1d", tap_after_tap(1, reversed)),
    Variant("conv2d-tap-by-tap", "tap after tap", "conv2d", tap_after_tap(2, iter)),
    Variant("conv2d-channels-last", "tap after tap, channels last in memory", "conv2d", tap_after_tap(2, iter, True)),
    Variant("conv3d-tap-by-tap", "tap after tap, the last one first", "conv3d", tap_after_tap(3, reversed)),
    Variant(
        "conv2d-winograd",
        "3 x 3 kernels by Winograd's F(2, 3)",
        "conv2d",
        winograd,
        _by("Winograd F(2, 3)"),
    ),
    Variant("conv1d-fourier", "by Fourier transforms", "conv1d", fourier, _by("FFT")),
    Variant(
        "conv2d-tensor-cores",
        "eight products at a time, aligned and cut off",
        "conv2d",
        by_columns(2, truncating),
        lambda case: Arithmetic.of(case.dtype, truncating=True),
        dtypes=("float32", "float16", "bfloat16"),
    ),
    Variant(
        "conv2d-tf32",
        "operands read with 11 bits, as declared",
        "conv2d",
        rounded_operands,
        lambda case: Arithmetic.of(case.dtype, input_bits=11),
        dtypes=("float32",),
    ),
)
