"""The one sum of products that all references use: in float64, or correctly rounded inside `exact()`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from reference.arrays import Array
from reference.error_free import Bilinear, as_nearest
from reference.exactness import correctly_rounded, is_exact


def contract(left: Array, right: Array) -> Array:
    """Return the sums of products left[..., i, k] * right[..., k, j] over k.

    Accuracy: integers exactly (modulo 2**64); floats within gamma(n) times the sum of absolute products, in
    an order that the linear-algebra library chooses.
    """
    return np.asarray(np.matmul(left, right))


def sum_of_products(
    function: Bilinear,
    left: Array,
    right: Array,
    count: int,
    plus: Array | None = None,
    divisor: Array | int | None = None,
    lanes: tuple[int, int] | None = None,
) -> Array:
    """Return (function(left, right) + plus) / divisor, correctly rounded as a whole inside `exact()`.

    `function` is linear in either array and makes nothing but sums of at most `count` products of an element
    of the one and an element of the other, also of arrays of Python's integers. `plus` and `divisor` (whole
    numbers) broadcast against its result. `lanes` are an axis of left and one of right, if there are such, for
    which result[i, j] comes of the i-th part of left and the j-th of right alone: that saves time inside `exact()`.
    """
    whole = left.dtype.kind == "i"
    if is_exact() and not whole:
        return correctly_rounded(function, left, right, count, plus, divisor, lanes)
    if whole and divisor is not None:  # the sum may be more than int64 holds, and what follows is a float
        kind = object if is_exact() else np.float64
        left, right = left.astype(kind), right.astype(kind)
    with np.errstate(over="ignore", invalid="ignore"):
        result = function(left, right)
        if plus is not None:
            result = result + plus
    if divisor is None:
        return result
    if is_exact():
        nearest = as_nearest(result, 0, np.where(np.equal(divisor, 0), 1, divisor))
        return np.where(np.equal(divisor, 0), np.nan, nearest)
    with np.errstate(divide="ignore", invalid="ignore"):  # a divisor may be 0: nothing was summed
        return np.asarray(result / divisor)


def part_by_part(function: Callable[[Array], Array], x: Array) -> Array:
    """Return a real linear function of real and imaginary parts on their own: infinities must not mix."""
    if x.dtype.kind != "c":
        return function(x)
    real = function(x.real)
    result = np.empty(real.shape, np.complex128)
    result.real, result.imag = real, function(x.imag)
    return result
