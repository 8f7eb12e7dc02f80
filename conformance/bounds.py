"""How far an honest answer may be from the reference: conditioning times arithmetic, derived, never tuned.

Notation: u a unit roundoff, gamma(n, u) = n u / (1 - n u), S the same operator on absolute values, n the number of
products that meet in one output. docs/numerics.md has the derivations; where the data make every partial sum
representable the bound is 0, so that integers are compared bit by bit without a switch of their own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from conformance.formats import Array, format_of, round_bits
from conformance.model import Arithmetic, Bound

REFERENCE = format_of("float64").roundoff

# The chance that honest rounding errors break the bound on their sum of squares, for one case: exp(-40) is 4e-18.
UNLIKELY = 40.0


def gamma(n: float, u: float) -> float:
    """Return the relative error that n roundings can add up to; infinite where it is no bound any more.

    Source: Higham, Accuracy and Stability of Numerical Algorithms, 2002, lemma 3.1.

    >>> gamma(2, 0.25), gamma(4, 0.25)
    (1.0, inf)
    """
    return n * u / (1 - n * u) if n * u < 1 else math.inf


def copies(expected: Mapping[str, Array], zero_sign: Array | bool = False) -> dict[str, Bound]:
    """Return the bound of an operator that only copies or selects: 0 everywhere."""
    return {name: Bound(np.zeros(array.shape), zero_sign=zero_sign) for name, array in expected.items()}


def sum_of_products(
    magnitude: Array,
    terms: int,
    expected: Array,
    operands: Sequence[Array],
    arithmetic: Arithmetic,
    divisor: Array | float = 1.0,
) -> Bound:
    """Return the bound of sums of at most `terms` products (a bias is one), divided by `divisor`.

    magnitude is S before the division. Any order of summation, any blocking, fused multiply-add or not.
    """
    acc = arithmetic.accumulator
    loss = _operand_loss(operands, arithmetic)
    exact = _exact(magnitude, operands, arithmetic, loss)
    if np.all(exact) and np.ndim(divisor) == 0 and divisor == 1 and arithmetic.output == acc:
        return Bound(np.zeros(expected.shape))
    slots = terms + 1
    growth = gamma((3 if arithmetic.truncating else 1) * slots, acc.roundoff)
    small = slots * (2 * acc.least_normal if arithmetic.flushes else acc.least_subnormal)
    with np.errstate(over="ignore", invalid="ignore"):
        size = magnitude / np.abs(divisor)
        dyadic = np.frexp(divisor)[0] == 0.5
        quotient = np.where(dyadic, 0.0, np.abs(expected))
        general = size * (loss + growth * (1 + loss)) + small
        if arithmetic.partials:
            general += arithmetic.partials * arithmetic.output.roundoff * size * (1 + loss) * (1 + growth)
        own = np.where(exact, gamma(2, REFERENCE) * quotient, gamma(slots, REFERENCE) * size)
        absolute = np.where(exact, gamma(2, acc.roundoff) * quotient, general)
        fits = exact & dyadic & (np.abs(expected * divisor) <= 2.0**arithmetic.output.bits)
        absolute = stored(absolute, expected, arithmetic, fits) + own
        if terms > 1:  # a partial sum may overflow where the whole one does not
            limit = arithmetic.output.largest if arithmetic.partials else acc.largest
            absolute = np.where(magnitude * (1 + growth) >= limit, np.inf, absolute)
        random = arithmetic.partials == 0 and not arithmetic.truncating and loss == 0
        spread = np.where(exact, absolute, _spread(size, slots, small, expected, arithmetic) + own)
    return Bound(absolute, _squares(spread, absolute) if random else None)


def _operand_loss(operands: Sequence[Array], arithmetic: Arithmetic) -> float:
    """Return the relative error of a product from operands that are read with fewer bits; 0 if all of them fit."""
    bits = arithmetic.input_bits
    if bits is None or all(np.array_equal(round_bits(o, bits), o) for o in operands):
        return 0.0
    loss = 2.0 ** (1 - bits)  # truncation; rounding to nearest would be half of it
    return 2 * loss + loss * loss


def _exact(magnitude: Array, operands: Sequence[Array], arithmetic: Arithmetic, loss: float) -> Array | bool:
    """Where every partial sum, in any order, is a representable integer."""
    if loss or not all(map(_whole, operands)):
        return False
    bits = arithmetic.output.bits if arithmetic.partials else arithmetic.accumulator.bits
    return magnitude <= 2.0 ** (bits - arithmetic.truncating)


def _whole(operand: Array) -> bool:
    """Whether all numbers of an operand are whole; infinities and NaN are no rounding's business."""
    whole = operand == np.rint(operand)
    return bool(whole.all() or (whole | np.isnan(operand)).all())


def stored(absolute: Array, expected: Array, arithmetic: Arithmetic, fits: Array | bool = False) -> Array:
    """Return a bound with the rounding to the output format, if that is not the accumulator's, or `fits` in it."""
    out = arithmetic.output
    if out.bits >= arithmetic.accumulator.bits:
        return absolute
    least = out.least_normal if arithmetic.flushes else out.least_subnormal / 2
    return absolute + np.where(fits, 0.0, out.roundoff * (np.abs(expected) + absolute) + least)


def _spread(size: Array, slots: int, small: float, expected: Array, arithmetic: Arithmetic) -> Array:
    """Return the scale of one output's error if its roundings are independent with mean zero.

    Each of at most 2 * slots roundings, of a product or of a partial sum, is at most u * S.
    """
    spread = math.sqrt(2 * slots) * arithmetic.accumulator.roundoff * size + small
    return stored(spread, expected, arithmetic)


def _squares(spread: Array, absolute: Array) -> float | None:
    """Return what the sum of squared errors of independent sub-Gaussian errors exceeds with a chance of exp(-UNLIKELY).

    Source: Hsu, Kakade and Zhang, A tail inequality for quadratic forms of subgaussian random vectors, 2012.
    """
    variances = np.square(spread[np.isfinite(absolute)])
    if not variances.size or not np.all(np.isfinite(variances)):
        return None
    deviation = 2 * math.sqrt(UNLIKELY * float(np.square(variances).sum()))
    return float(variances.sum()) + deviation + 2 * UNLIKELY * float(variances.max())
