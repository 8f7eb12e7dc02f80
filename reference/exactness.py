"""Correct rounding: inside `exact()` a sum of products is the float64 number nearest to its exact value.

How, for any function that is linear in both of its arrays x and w: scale both below 1 and cut the leading bits
off, x = X0 + X1 + ... + rest, so few bits in each slice that function(Xi, Wj) is a float64 sum without any
rounding. The slices of low order are added without error (two numbers that carry what one cannot), what is left
of the arrays contributes little, with an error that is bounded. Where every number within that bound rounds
alike, that is the answer. Where not, more slices are taken; at last the function is called on Python's integers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import frexp
from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Array
from reference.error_free import UNIT_ROUNDOFF, Bilinear, added, as_integers, as_nearest, quotient, slices, unit_of

ORDERS = (2, 3, 4)  # numbers of slices that are tried before Python's integers
UNDERFLOW = 2.0**-1000  # far more than all products that underflow can make up, for numbers scaled below 1
CHUNK = 2**13  # numbers that are added up at a time: what that needs stays in the cache
SMALLEST_NORMAL = float(np.finfo(np.float64).smallest_normal)

_active: ContextVar[bool] = ContextVar("exact", default=False)


@contextmanager
def exact() -> Iterator[None]:
    """Make every sum of products inside the `with` block correctly rounded.

    Formula: RN(sum of left * right + bias), or RN(sum / divisor): one rounding, to nearest, ties to even.

    Units: none. It holds for convolution layers, their transposes, `linear`, `fold`, average pooling, adaptive or
    not, and the gradients of these in `reference.vjp`, in this thread or task only; means, variances and outputs of
    batch, instance, group, layer and RMS norm are correctly rounded too. Complex results are rounded part by part.
    Integers are exact without it, but for a division; where they meet floats they become floats, which rounds
    those beyond 2**53.

    Constraints: none.

    Accuracy: half a unit in the last place, subnormal results included. A result beyond the largest number is
    infinite; a sum that overflows on the way and comes back is finite. A NaN or an infinity among the numbers
    that a result is made of gives what IEEE 754 gives: infinity times zero and infinity minus infinity are
    NaN.

    Source: Ozaki, Ogita, Oishi and Rump, Error-free transformations of matrix multiplication, 2012.

    >>> from reference import linear
    >>> with exact():
    ...     print(linear([1e16, 1.0, -1e16], [1.0, 1.0, 1.0]))
    1.0
    """
    token = _active.set(True)
    try:
        yield
    finally:
        _active.reset(token)


def is_exact() -> bool:
    """Return whether the caller is inside `exact()`."""
    return _active.get()


class Sums(NamedTuple):
    """(the sum of function(x, w) over the pairs + plus) / divisor, of real numbers.

    length: the most products that one result is made of. lanes: an axis of x and one of w, if there are such, for
    which result[i, j] is made of the i-th part of x and the j-th of w alone.
    """

    function: Bilinear
    pairs: tuple[tuple[Array, Array], ...]
    length: int
    plus: Array | None
    divisor: Array | None
    lanes: tuple[int, int] | None

    def lane(self, i: int, j: int, shape: tuple[int, ...]) -> Sums:
        """Return the sums of one lane of results of that shape."""
        assert self.lanes is not None
        a, b = self.lanes
        pairs = tuple((x.take([i], a), w.take([j], b)) for x, w in self.pairs)
        plus, divisor = (
            None if array is None else np.broadcast_to(array, shape)[i : i + 1, j : j + 1]
            for array in (self.plus, self.divisor)
        )
        return Sums(self.function, pairs, self.length, plus, divisor, None)


def correctly_rounded(
    function: Bilinear,
    left: Array,
    right: Array,
    count: int,
    plus: Array | None = None,
    divisor: Array | int | None = None,
    lanes: tuple[int, int] | None = None,
) -> Array:
    """Return (function(left, right) + plus) / divisor with one rounding; see `contraction.sum_of_products`."""
    by = None if divisor is None else np.asarray(divisor, np.float64)
    if left.dtype.kind != "c":
        return _rounded(Sums(function, ((left, right),), count, plus, by, lanes))
    a, b, c, d = left.real, left.imag, right.real, right.imag
    real = Sums(function, ((a, c), (-b, d)), count, None if plus is None else plus.real, by, lanes)
    imaginary = Sums(function, ((a, d), (b, c)), count, None if plus is None else plus.imag, by, lanes)
    parts = _rounded(real), _rounded(imaginary)
    result = np.empty(parts[0].shape, np.complex128)
    result.real, result.imag = parts
    return result


def _rounded(sums: Sums) -> Array:
    """Return the sums, whatever numbers they are made of."""
    arrays = [array for pair in sums.pairs for array in pair] + ([] if sums.plus is None else [sums.plus])
    if (sums.divisor is None or sums.divisor.all()) and all(np.isfinite(array).all() for array in arrays):
        return _nearest(sums)
    with np.errstate(invalid="ignore", divide="ignore"):
        # Signs in place of numbers cannot overflow, so what is not finite here is so by IEEE's rules.
        special = sum((sums.function(_signs(x), _signs(w)) for x, w in sums.pairs), np.zeros(()))
        special = special if sums.plus is None else special + _signs(sums.plus)
        special = special if sums.divisor is None else special / sums.divisor
    kept = sums._replace(
        pairs=tuple((_finite(x), _finite(w)) for x, w in sums.pairs),
        plus=None if sums.plus is None else _finite(sums.plus),
        divisor=None if sums.divisor is None else np.where(sums.divisor == 0, 1, sums.divisor),
    )
    return np.where(np.isfinite(special), _nearest(kept), special)


def _signs(array: Array) -> Array:
    return np.where(np.isfinite(array), np.sign(array), array)


def _finite(array: Array) -> Array:
    return np.where(np.isfinite(array), array, 0.0)


def _nearest(sums: Sums) -> Array:
    """Return sums of finite numbers: by slices, and where those do not decide lane by lane, or by integers."""
    result, is_open = _by_slices(sums)
    if not is_open.any():
        return result
    if sums.lanes is None:
        return _by_integers(sums)
    for i, j in np.argwhere(is_open.any(axis=tuple(range(2, is_open.ndim)))):
        result[i, j] = _nearest(sums.lane(i, j, result.shape))[0, 0]
    return result


def _by_slices(sums: Sums) -> tuple[Array, Array]:
    """Return the sums, and where their rounding is left open."""
    left, right = (_exponent([pair[side] for pair in sums.pairs]) for side in (0, 1))
    cut = [(_scaled(x, -left), _scaled(w, -right)) for x, w in sums.pairs]
    with np.errstate(over="ignore", under="ignore"):  # a bias may be that much larger than the products
        bias = None if sums.plus is None else _scaled(sums.plus, -left - right)
    kept = all(
        np.array_equal(_scaled(a, left), x) and np.array_equal(_scaled(b, right), w)
        for (a, b), (x, w) in zip(cut, sums.pairs, strict=True)
    ) and (bias is None or sums.plus is None or np.array_equal(_scaled(bias, left + right), sums.plus))
    result, is_open = np.zeros(0), np.zeros(0, bool)
    if not kept:  # scaling has made a number subnormal, or infinite
        x, w = cut[0]
        shape = np.shape(sums.function(np.zeros_like(x), np.zeros_like(w)))
        return np.zeros(shape), np.ones(shape, bool)
    for order in ORDERS if sums.lanes is None else ORDERS[:1]:
        terms, error = _products(sums._replace(pairs=tuple(cut)), order)
        if bias is not None:
            terms.append(np.broadcast_to(bias, terms[0].shape))
        result, is_open = _settled(terms, error, sums.divisor, left + right)
        if not is_open.any():
            break
    return result, is_open


def _exponent(arrays: list[Array]) -> int:
    """Return the least e for which all numbers are below 2**e."""
    return frexp(max(float(np.abs(array).max(initial=0.0)) for array in arrays))[1]


def _scaled(array: Array, exponent: int) -> Array:
    """Return the array times 2**exponent."""
    return np.asarray(array * 2.0**exponent if abs(exponent) < 1000 else np.ldexp(array, exponent))


def _products(sums: Sums, order: int) -> tuple[list[Array], Array | float]:
    """Return what adds up to the sum over the pairs: exact terms, then one with an error, and a bound on that.

    The exact ones hold the products of slices i and j with i + j = 0, 1, ... below `order`. What remains is
    left[i] * (right less its first order - i slices) for each i, and what is left of the left array * right.
    """
    # So few bits that all products with the same i + j can be added without rounding.
    bits = (53 - (sums.length * len(sums.pairs) * order).bit_length()) // 2
    exactly: list[Any] = [None] * order
    nearly = size = None  # `size`: the sum of the absolute products behind `nearly`, or more
    for x, w in sums.pairs:
        xs, ws = slices(x, order, bits), slices(w, order, bits)
        for i in range(order):
            for j in range(order - i):
                if i + j == 0 or (xs[i][0].any() and ws[j][0].any()):
                    exactly[i + j] = _plus(exactly[i + j], sums.function(xs[i][0], ws[j][0]))
        rests = [*((xs[i][0], ws[order - 1 - i][1]) for i in range(order)), (xs[-1][1], w)]
        rests = [(a, b) for a, b in rests if a.any() and b.any()]
        for a, b in rests:
            nearly = _plus(nearly, sums.function(a, b))
        if rests:
            # One product of sums in place of a sum of products; weighted, since a falls as b rises.
            weights = [2.0 ** (i * (bits + 1)) for i in range(len(rests))]
            left = sum((np.abs(a) * weight for (a, _), weight in zip(rests, weights, strict=True)), np.zeros(()))
            right = sum((np.abs(b) / weight for (_, b), weight in zip(rests, weights, strict=True)), np.zeros(()))
            size = _plus(size, sums.function(left, right))
    terms = [np.asarray(term) for term in (*exactly, nearly) if term is not None]
    # gamma(length) for each sum and a few roundings more for adding them; and what no product falls below.
    return terms, 0.0 if size is None else (sums.length + 8) * UNIT_ROUNDOFF * 1.001 * size + UNDERFLOW


def _plus(total: Array | None, term: Array) -> Array:
    return term if total is None else total + term


def _settled(terms: list[Array], error: Array | float, divisor: Array | None, exponent: int) -> tuple[Array, Array]:
    """Return the sum of the terms, over the divisor, times 2**exponent, and where `error` leaves its rounding open."""
    result = np.empty(terms[0].shape)
    is_open = np.empty(result.shape, bool)
    lines = [term.reshape(-1) for term in terms]
    errors = np.broadcast_to(error, result.shape).reshape(-1)
    divisors = None if divisor is None else np.broadcast_to(divisor, result.shape).reshape(-1)
    rounded, undecided = result.reshape(-1), is_open.reshape(-1)
    for start in range(0, rounded.size, CHUNK):
        part = slice(start, start + CHUNK)
        high, low, margin = added([line[part] for line in lines], errors[part])
        if divisors is not None:
            high, low, margin = quotient(high, low, margin, divisors[part])
        with np.errstate(over="ignore", under="ignore"):  # beyond the largest number lies infinity
            rounded[part] = _scaled(high, exponent)
        exact = (np.abs(rounded[part]) > SMALLEST_NORMAL) | (high == 0)  # a subnormal would be rounded twice
        undecided[part] = ~(_is_nearest(high, low, margin) & exact)
    return result, is_open


def _is_nearest(high: Array, low: Array, margin: Array) -> Array:
    """Return where every number within `margin` of high + low rounds to high."""
    # The sums below are rounded themselves; where nothing is missing they need not be right, as high is.
    wide = margin * (1 + 8 * UNIT_ROUNDOFF) + np.abs(low) * (4 * UNIT_ROUNDOFF)
    return np.asarray((margin == 0) | ((high + (low + wide) == high) & (high + (low - wide) == high)))


def _by_integers(sums: Sums) -> Array:
    """Return the sums, made of Python's integers and rounded once; slow, and right for all finite numbers."""
    left, right = (min(unit_of(pair[side]) for pair in sums.pairs) for side in (0, 1))
    products = [sums.function(as_integers(x, left), as_integers(w, right)) for x, w in sums.pairs]
    total, unit = sum(products[1:], products[0]), left + right
    if sums.plus is not None:
        low = min(unit, unit_of(sums.plus))
        total, unit = total * 2 ** (unit - low) + as_integers(sums.plus, low), low
    return as_nearest(total, unit, 1 if sums.divisor is None else sums.divisor)
