"""Arithmetic without error: slices, sums and products that carry what one float64 number cannot, integers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from reference.arrays import Array

Bilinear = Callable[[Array, Array], Array]

UNIT_ROUNDOFF = 2.0**-53


def slices(array: Array, order: int, bits: int) -> list[tuple[Array, Array]]:
    """Return the leading `bits` bits of every number, then the next ones, ...; and after each what is left."""
    result, rest, unit = [], array, bits
    for _ in range(order):
        head = np.rint(rest * 2.0**unit) * 2.0**-unit
        rest = rest - head
        result.append((head, rest))
        unit += bits + 1  # rounding left no more than half a unit
    return result


def added(terms: Sequence[Array], error: Array) -> tuple[Array, Array, Array]:
    """Return the sum as high + low, high being its nearest neighbour, and a bound on what is missing."""
    high, roundings = terms[0], []
    for term in terms[1:]:
        high, rounding = two_sum(high, term)
        roundings.append(rounding)
    low, missing = np.zeros_like(high), error
    for rounding in roundings:
        low, rest = two_sum(low, rounding)
        missing = missing + 2 * np.abs(rest)
    high, low = two_sum(high, low)
    return high, low, missing


def two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """Return a + b rounded, and what the rounding took away (Knuth)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def two_product(a: Array, b: Array) -> tuple[Array, Array]:
    """Return a * b rounded, and what the rounding took away (Dekker, Veltkamp)."""
    product = a * b
    (a1, a2), (b1, b2) = _halves(a), _halves(b)
    return product, a2 * b2 - (((product - a1 * b1) - a2 * b1) - a1 * b2)


def _halves(a: Array) -> tuple[Array, Array]:
    scaled = a * (2.0**27 + 1)
    head = scaled - (scaled - a)
    return head, a - head


def quotient(high: Array, low: Array, error: Array, divisor: Array) -> tuple[Array, Array, Array]:
    """Return (high + low) / divisor in the same form."""
    quotient = high / divisor
    product, rounding = two_product(quotient, divisor)
    rest = ((high - product) - rounding) + low
    correction = rest / divisor
    result, low = two_sum(quotient, correction)
    # `rest` and its quotient are rounded three times; a remainder of 0 leaves nothing to round.
    return result, low, error / np.abs(divisor) + 8 * UNIT_ROUNDOFF * (np.abs(rest) / np.abs(divisor))


def unit_of(array: Array) -> int:
    """Return an exponent e such that all numbers are multiples of 2**e."""
    exponents = np.frexp(array)[1][array != 0]
    return max(int(exponents.min(initial=1024)) - 53, -1074)


def as_integers(array: Array, unit: int) -> Array:
    """Return every number as a Python integer, in units of 2**unit."""
    mantissa, exponent = np.frexp(array)
    digits = np.ldexp(mantissa, 53).astype(np.int64).astype(object)
    shift = np.where(array == 0, 0, exponent - 53 - unit).astype(object)
    # A subnormal number has trailing zeros in place of the digits that its unit lacks.
    shifted = np.frompyfunc(lambda n, s: n << s if s >= 0 else n >> -s, 2, 1)(digits, shift)
    return np.asarray(shifted, object)


def as_nearest(total: Array, unit: int, divisor: Array | int) -> Array:
    """Return the float64 numbers nearest to total * 2**unit / divisor; all are integers."""
    nearest = np.frompyfunc(lambda n, d: _ratio(int(n), unit, int(d)), 2, 1)(total, divisor)
    return np.asarray(nearest, np.float64)


def _ratio(total: int, unit: int, divisor: int) -> float:
    """Return the nearest float64: Python's division of integers rounds correctly, subnormal results too."""
    above, below = (total << unit, divisor) if unit >= 0 else (total, divisor << -unit)
    try:
        return above / below
    except OverflowError:
        return float("-inf") if (total < 0) != (divisor < 0) else float("inf")
