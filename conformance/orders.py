"""Orders of summation: the ways in which honest engines add up the same products.

Each takes rows (..., O, T) and columns (..., T, L), both in the accumulator's dtype, and returns their products
(..., O, L) in it. The dtype of the accumulator is float32 for half formats and their own for the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial, wraps
from typing import Any

import numpy as np

from conformance.formats import Array
from conformance.honest import Binding, like

Order = Callable[[Array, Array], Array]


def accumulator(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype that sums of a dtype are usually kept in."""
    return np.dtype(np.float32) if dtype.itemsize < 4 else dtype


def in_accumulator(function: Callable[..., Any]) -> Binding:
    """Let a function have the accumulator as its first argument, and round what it returns once."""

    @wraps(function)
    def call(**arguments: Any) -> Any:
        dtype = next(value.dtype for value in arguments.values() if isinstance(value, np.ndarray))
        with np.errstate(all="ignore"):
            result = function(accumulator(dtype), **arguments)
        if isinstance(result, tuple):
            return tuple(None if part is None else like(part, dtype) for part in result)
        return like(result, dtype)

    return call


def zeros(rows: Array, columns: Array) -> Array:
    """Return what a sum starts from."""
    lead = np.broadcast_shapes(rows.shape[:-2], columns.shape[:-2])
    return np.zeros((*lead, rows.shape[-2], columns.shape[-1]), columns.dtype)


def products(rows: Array, columns: Array, term: int) -> Array:
    """Return the products of one term."""
    return np.asarray(rows[..., :, term, np.newaxis] * columns[..., np.newaxis, term, :])


def matrix_product(rows: Array, columns: Array) -> Array:
    """Leave the order to the library for linear algebra."""
    return np.asarray(np.matmul(rows, columns))


def einsum(rows: Array, columns: Array) -> Array:
    """Leave the order to NumPy's own loops."""
    return np.asarray(np.einsum("...ot,...tl->...ol", rows, columns))


def in_order(rows: Array, columns: Array, order: Callable[[int], Iterable[int]]) -> Array:
    """Add one product after the other."""
    total = zeros(rows, columns)
    for term in order(columns.shape[-2]):
        total += products(rows, columns, term)
    return total


forwards: Order = partial(in_order, order=range)
backwards: Order = partial(in_order, order=lambda terms: reversed(range(terms)))
shuffled: Order = partial(in_order, order=lambda terms: np.random.RandomState(terms).permutation(terms))
inside_out: Order = partial(in_order, order=lambda terms: sorted(range(terms), key=lambda t: abs(2 * t - terms)))


def parted(rows: Array, columns: Array, parts: Callable[[int], list[slice]]) -> Array:
    """Add up each part of the products, then the partial sums."""
    total = zeros(rows, columns)
    for part in parts(columns.shape[-2]):
        total += np.matmul(rows[..., part], columns[..., part, :])
    return total


def blocks_of(size: int) -> Order:
    """Return the order that adds up blocks of neighbours: the tiles of a matrix product."""
    return partial(parted, parts=lambda terms: [slice(first, first + size) for first in range(0, terms, size)])


def every(step: int) -> Order:
    """Return the order in which the lanes of a vector, or the parts of a split-K kernel, add every step-th product."""
    return partial(parted, parts=lambda terms: [slice(first, None, step) for first in range(min(step, terms))])


def pairwise(rows: Array, columns: Array) -> Array:
    """Add up each half, and then the two."""
    terms = columns.shape[-2]
    if terms < 2:
        return forwards(rows, columns)
    half = terms // 2
    return pairwise(rows[..., :half], columns[..., :half, :]) + pairwise(rows[..., half:], columns[..., half:, :])


def compensated(rows: Array, columns: Array) -> Array:
    """Keep what each addition rounds away, and add it in the end (Ogita, Rump and Oishi, sum without the products)."""
    total, lost = zeros(rows, columns), zeros(rows, columns)
    for term in range(columns.shape[-2]):
        product = products(rows, columns, term)
        rounded = total + product
        virtual = rounded - total
        lost += (total - (rounded - virtual)) + (product - virtual)
        total = rounded
    return np.where(np.isfinite(lost), total + lost, total)


def wider(rows: Array, columns: Array) -> Array:
    """Add up in a format of more bits, and round once."""
    wide = np.longdouble if columns.dtype == np.float64 else np.float64
    return forwards(rows.astype(wide), columns.astype(wide)).astype(columns.dtype)


def fused(rows: Array, columns: Array) -> Array:
    """Round each product only together with the sum that it is added to, but for a few double roundings."""
    wide, total = np.longdouble if columns.dtype == np.float64 else np.float64, zeros(rows, columns)
    for term in range(columns.shape[-2]):
        total = (total + products(rows.astype(wide), columns.astype(wide), term)).astype(total.dtype)
    return total


def signs_apart(rows: Array, columns: Array) -> Array:
    """Add up what is positive and what is negative by itself: the largest partial sums there can be."""
    positive, negative = zeros(rows, columns), zeros(rows, columns)
    for term in range(columns.shape[-2]):
        product = products(rows, columns, term)
        positive += np.maximum(product, 0)
        negative += np.minimum(product, 0)
    return positive + negative


def sorted_by(key: Callable[[Array], Array]) -> Order:
    """Return the order in which the products of each output are sorted by a key first."""

    def order(rows: Array, columns: Array) -> Array:
        total = zeros(rows, columns)
        for row in range(rows.shape[-2]):  # all products of all outputs at once would be too many
            each = rows[..., row, :, np.newaxis] * columns
            each = np.take_along_axis(each, np.argsort(key(each), -2), -2)
            total[..., row, :] = forwards(np.ones((1, each.shape[-2]), each.dtype), each)[..., 0, :]
        return total

    return order


ascending = sorted_by(np.abs)
descending = sorted_by(lambda values: -np.abs(values))


def truncating(rows: Array, columns: Array) -> Array:
    """Add up eight products at a time as tensor cores do: exact, aligned to the largest, and cut off after 24 bits.

    Source: Fasi, Higham, Mikaitis and Pranesh, Numerical behavior of NVIDIA tensor cores, 2021.
    """
    wide = zeros(rows, columns).astype(np.float64)
    for first in range(0, columns.shape[-2], 8):
        terms = range(first, min(first + 8, columns.shape[-2]))
        parts = [wide, *(products(rows.astype(np.float64), columns.astype(np.float64), term) for term in terms)]
        _, exponent = np.frexp(np.max(np.abs(parts), 0))
        wide = sum(np.ldexp(np.trunc(np.ldexp(part, 24 - exponent)), exponent - 24) for part in parts)
        mantissa, exponent = np.frexp(wide)
        wide = np.ldexp(np.trunc(np.ldexp(mantissa, 24)), exponent - 24)
    return wide.astype(columns.dtype)
