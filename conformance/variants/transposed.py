"""Transposed convolutions: gathered from an input with zeros between its elements, or scattered onto the output."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from conformance.formats import Array
from conformance.orders import (
    Order,
    backwards,
    compensated,
    every,
    in_accumulator,
    matrix_product,
    pairwise,
    wider,
)
from conformance.variants import Variant
from reference.conv_arguments import ConvCall, conv_transpose_call
from reference.im2col import add_columns, cropped, padded_size
from reference.windows import Index, kernel_extent, padded, tap_slices, window_views

DEFAULTS = {
    **{"bias": None, "stride": 1, "padding": 0, "output_padding": 0},
    **{"groups": 1, "dilation": 1, "output_size": None},
}


def called(rank: int, acc: np.dtype[Any], **call: Any) -> ConvCall:
    """Return the checked call with its arrays in the accumulator."""
    checked = conv_transpose_call(rank, **{**DEFAULTS, **call})
    bias = None if checked.bias is None else checked.bias.astype(acc)
    return checked._replace(x=checked.x.astype(acc), w=checked.w.astype(acc), bias=bias)


def finished(call: ConvCall, output: Array) -> Array:
    """Return the output in its shape, with its bias."""
    result = output.reshape(len(call.x), call.output_channels, *call.at.size)
    return call.finished(result if call.bias is None else result + call.bias)


def grouped(call: ConvCall) -> tuple[Array, Array]:
    """Return the input as (N, groups, C / groups, *spatial) and the weight as (groups, C / groups, O, *kernel)."""
    groups, per_group = call.at.groups, len(call.w) // call.at.groups
    x = call.x.reshape(len(call.x), groups, per_group, *call.x.shape[2:])
    return x, call.w.reshape(groups, per_group, *call.w.shape[1:])


def gather(call: ConvCall, order: Order) -> Array:
    """Return the convolution, by the flipped kernel, of the input with stride - 1 zeros between its elements."""
    (x, w), at = grouped(call), call.at
    rank = len(at.kernel)
    spaced = [(n - 1) * s + 1 for n, s in zip(at.windows, at.stride, strict=True)]
    stretched = np.zeros((*x.shape[:3], *spaced), x.dtype)
    apart: Index = (..., *(slice(None, None, s) for s in at.stride))
    stretched[apart] = x
    reach = [kernel_extent(k, d) - 1 for k, d in zip(at.kernel, at.dilation, strict=True)]
    wide = padded(stretched, [(r, n + r) for n, r in zip(at.size, reach, strict=True)])
    sides = zip(at.padding, at.size, reach, strict=True)
    inside: Index = (..., *(slice(low, low + n + r) for (low, _), n, r in sides))
    views = window_views(wide[inside], at.kernel, (1,) * rank, at.dilation, at.size)
    views = np.moveaxis(views, tuple(range(3, 3 + rank)), tuple(range(-rank, 0)))  # taps before windows
    terms = math.prod(views.shape[2 : 3 + rank])
    rows = np.flip(w, tuple(range(3, 3 + rank))).swapaxes(1, 2).reshape(at.groups, w.shape[2], terms)
    return finished(call, order(rows, views.reshape(*views.shape[:2], terms, math.prod(at.size))))


def gathered(rank: int, order: Order) -> Callable[..., Any]:
    """Return the transposed convolution that gathers, in that order."""

    @in_accumulator
    def convolve(acc: np.dtype[Any], **arguments: Any) -> Array:
        return gather(called(rank, acc, **arguments), order)

    return convolve


def scattered(rank: int, order: Callable[[Any], Any]) -> Callable[..., Any]:
    """Return the sum, tap after tap, of the input times the tap, each put where the tap takes it."""

    @in_accumulator
    def convolve(acc: np.dtype[Any], **arguments: Any) -> Array:
        call = called(rank, acc, **arguments)
        (x, w), at = grouped(call), call.at
        canvas = np.zeros((*x.shape[:2], w.shape[2], *padded_size(at)), acc)
        for tap, part in order(tap_slices(at.kernel, at.stride, at.dilation, at.windows)):
            canvas[part] += np.einsum("ngc...,gco->ngo...", x, w[(..., *tap)])
        return finished(call, cropped(at, canvas))

    return convolve


def by_columns(rank: int) -> Callable[..., Any]:
    """Return the matrix product that makes the columns of all windows, which are then added onto the output."""

    @in_accumulator
    def convolve(acc: np.dtype[Any], **arguments: Any) -> Array:
        call = called(rank, acc, **arguments)
        (x, w), at = grouped(call), call.at
        rows = w.reshape(*w.shape[:2], math.prod(w.shape[2:])).swapaxes(1, 2)
        columns = np.matmul(rows, x.reshape(*x.shape[:3], math.prod(at.windows)))
        canvas = np.zeros((*x.shape[:2], w.shape[2], *padded_size(at)), acc)
        add_columns(at, columns.reshape(*canvas.shape[:3], *at.kernel, *at.windows), canvas)
        return finished(call, cropped(at, canvas))

    return convolve


STUFFED = "a convolution of the input with zeros between its elements"
VARIANTS = (
    *(
        Variant(f"conv_transpose{rank}d-{name}", f"{STUFFED}, {how}", f"conv_transpose{rank}d", gathered(rank, order))
        for rank, name, how, order in (
            (1, "pairwise", "halves of the products, and halves of these", pairwise),
            (1, "wider", "added up in a wider format", wider),
            (2, "matrix", "windows as columns, times a matrix", matrix_product),
            (2, "backwards", "the last product first", backwards),
            (2, "compensated", "what additions lose is added in the end", compensated),
            (3, "split", "four partial sums of every fourth product", every(4)),
        )
    ),
    *(
        Variant(f"conv_transpose{rank}d-{name}", sentence, f"conv_transpose{rank}d", binding)
        for rank, name, sentence, binding in (
            (1, "scattered", "scattered tap after tap", scattered(1, iter)),
            (2, "scattered", "scattered tap after tap, the last one first", scattered(2, reversed)),
            (2, "columns", "columns of windows by a matrix product, then added up", by_columns(2)),
            (3, "columns", "columns of windows by a matrix product, then added up", by_columns(3)),
        )
    ),
)
