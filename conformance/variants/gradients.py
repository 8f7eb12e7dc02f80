"""Gradients by other orders and other algorithms than those of the reference."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from conformance.formats import Array
from conformance.orders import (
    Order,
    backwards,
    blocks_of,
    compensated,
    einsum,
    every,
    in_accumulator,
    matrix_product,
    pairwise,
    signs_apart,
    wider,
)
from conformance.variants import GRADIENTS, Variant, convolution, transposed
from reference.conv_arguments import ConvCall
from reference.im2col import add_columns, cropped, padded_size, windows_of
from reference.linear import linear_call
from reference.windows import padded, tap_slices

Three = tuple[Array, Array, Array | None]


def _grouped(call: ConvCall, cotangent: Array, acc: np.dtype[Any]) -> Array:
    """Return the cotangent of a convolution as (N, groups, O / groups, windows)."""
    per_group = len(call.w) // call.at.groups
    shape = len(call.x), call.at.groups, per_group, math.prod(call.at.windows)
    return cotangent.astype(acc).reshape(shape)


def _sum_of(g: Array, order: Order) -> Array:
    """Return the gradient of the bias: the sums over samples and pixels."""
    n, groups, outputs, pixels = g.shape
    columns = g.transpose(0, 3, 1, 2).reshape(n * pixels, groups * outputs)
    return np.asarray(order(np.ones((1, n * pixels), g.dtype), columns)[0])


def by_columns(rank: int, order: Order) -> Callable[..., Three]:
    """Return the gradients of a convolution as matrix products with the windows as columns, in that order."""

    @in_accumulator
    def gradients(acc: np.dtype[Any], cotangent: Array, **arguments: Any) -> Three:
        call = convolution.called(rank, acc, **arguments)
        at, g = call.at, _grouped(call, cotangent, acc)
        n, groups, outputs, pixels = g.shape
        terms = math.prod(call.w.shape[1:])
        columns = windows_of(at, call.x).reshape(n, groups, terms, pixels)
        rows = call.w.reshape(groups, outputs, terms)
        canvas = np.zeros((n, groups, call.w.shape[1], *padded_size(at)), acc)
        spread = order(rows.swapaxes(1, 2), g)
        add_columns(at, spread.reshape(*canvas.shape[:3], *at.kernel, *at.windows), canvas)
        of_input = cropped(at, canvas).reshape(call.x.shape)
        # All samples and pixels meet in one sum.
        left = g.transpose(1, 2, 0, 3).reshape(groups, outputs, n * pixels)
        right = columns.transpose(1, 0, 3, 2).reshape(groups, n * pixels, terms)
        of_weight = order(left, right).reshape(call.w.shape)
        return call.finished(of_input), of_weight, None if call.bias is None else _sum_of(g, order)

    return gradients


def tap_after_tap(rank: int, order: Callable[[Any], Any]) -> Callable[..., Three]:
    """Return the gradients of a convolution tap after tap: one is scattered, the other a sum for each sample first."""

    @in_accumulator
    def gradients(acc: np.dtype[Any], cotangent: Array, **arguments: Any) -> Three:
        call = convolution.called(rank, acc, **arguments)
        at = call.at
        g = _grouped(call, cotangent, acc)
        total = _sum_of(g, backwards)
        g = g.reshape(*g.shape[:3], *at.windows)
        x = padded(call.x, at.padding)
        x = x.reshape(len(x), at.groups, x.shape[1] // at.groups, *x.shape[2:])
        w = call.w.reshape(at.groups, len(call.w) // at.groups, *call.w.shape[1:])
        canvas, of_weight = np.zeros(x.shape, acc), np.zeros(w.shape, acc)
        for tap, part in order(tap_slices(at.kernel, at.stride, at.dilation, at.windows)):
            canvas[part] += np.einsum("ngo...,goc->ngc...", g, w[(..., *tap)])
            of_weight[(..., *tap)] = np.einsum("ngom,ngcm->ngoc", *(_flat(a, 3) for a in (g, x[part]))).sum(0)
        of_input = cropped(at, canvas).reshape(call.x.shape)
        return call.finished(of_input), of_weight.reshape(call.w.shape), None if call.bias is None else total

    return gradients


def _flat(array: Array, lead: int) -> Array:
    """Return the array with one axis for all that follow the first ones."""
    return array.reshape(*array.shape[:lead], math.prod(array.shape[lead:]))


def by_transposed_convolution(rank: int, order: Order) -> Callable[..., Three]:
    """Return the gradients of a convolution, that of its input as a transposed convolution of the cotangent."""

    @in_accumulator
    def gradients(acc: np.dtype[Any], cotangent: Array, **arguments: Any) -> Three:
        call = convolution.called(rank, acc, **arguments)
        at, g = call.at, _grouped(call, cotangent, acc)
        transposing = call._replace(
            x=g.reshape(len(call.x), len(call.w), *at.windows), bias=None, output_channels=call.x.shape[1]
        )
        _, of_weight, of_bias = by_columns(rank, order)(cotangent=cotangent.astype(acc), **_wide(arguments, acc))
        return transposed.gather(transposing, order), of_weight, of_bias

    return gradients


def _wide(arguments: dict[str, Any], acc: np.dtype[Any]) -> dict[str, Any]:
    return {name: value.astype(acc) if isinstance(value, np.ndarray) else value for name, value in arguments.items()}


def of_linear(order: Order) -> Callable[..., Three]:
    """Return the gradients of a fully connected layer, added up in that order."""

    @in_accumulator
    def gradients(
        acc: np.dtype[Any], cotangent: Array, input: Array, weight: Array, bias: Array | None = None
    ) -> Three:
        call = linear_call(input, weight, bias)
        features = call.x.shape[-1]
        x = call.x.reshape(call.rows, features).astype(acc)
        w = call.w.reshape(math.prod(call.w.shape[:-1]), features).astype(acc)
        g = cotangent.reshape(call.rows, len(w)).astype(acc)
        of_bias = None if bias is None else order(np.ones((1, call.rows), acc), g).reshape(bias.shape)
        return order(g, w).reshape(input.shape), order(g.T, x).reshape(weight.shape), of_bias

    return gradients


def _columns(rank: int, name: str, how: str, order: Order) -> Variant:
    sentence = f"gradients as products with columns, {how}"
    return Variant(f"conv{rank}d-{name}-gradients", sentence, f"conv{rank}d", by_columns(rank, order), checks=GRADIENTS)


VARIANTS = (
    _columns(1, "pairwise", "halves of the products, and halves of these", pairwise),
    _columns(1, "compensated", "what additions lose is added in the end", compensated),
    _columns(2, "matrix", "by the library for linear algebra", matrix_product),
    _columns(2, "split", "eight partial sums of every eighth product", every(8)),
    _columns(2, "signs-apart", "positive and negative products apart", signs_apart),
    _columns(2, "wider", "added up in a wider format", wider),
    _columns(3, "blocked", "partial sums of sixteen neighbours", blocks_of(16)),
    *(
        Variant(
            f"conv{rank}d-tap-by-tap-gradients",
            "gradients tap after tap, that of the weight for each sample first",
            f"conv{rank}d",
            tap_after_tap(rank, order),
            checks=GRADIENTS,
        )
        for rank, order in ((1, reversed), (2, iter), (3, reversed))
    ),
    Variant(
        "conv2d-transposed-gradients",
        "the gradient of the input as a transposed convolution",
        "conv2d",
        by_transposed_convolution(2, backwards),
        checks=GRADIENTS,
    ),
    *(
        Variant(f"linear-{name}-gradients", f"gradients, {how}", "linear", of_linear(order), checks=GRADIENTS)
        for name, how, order in (
            ("einsum", "added up by NumPy's einsum", einsum),
            ("blocked", "partial sums of four neighbours", blocks_of(4)),
            ("compensated", "what additions lose is added in the end", compensated),
        )
    ),
)
