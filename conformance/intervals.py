"""Everything that honest arithmetic could give: intervals that every step of a formula widens by its rounding.

A bound of a function is written down as its formula. What a formula loses, by rounding, by cancelling or by overflow on
the way, follows from its steps; no constant is chosen for a function.

A sum, a product or a quotient is rounded once; a quotient by a number that is no power of two twice, since it may be
multiplied with a rounded reciprocal. What comes of numbers without error and is representable itself has no error, so
that whole numbers are compared bit by bit. A function of a library is off by at most LIBRARY units in the last place:
the most that libraries document of functions that are not meant to be rough (Intel oneMKL, Vector Mathematics
Performance and Accuracy Data: 4 in low, 1 in high accuracy; SLEEF: 3.5 of its u35 functions, 1 of the others).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

import numpy as np

from conformance.bounds import REFERENCE, gamma
from conformance.formats import Array, format_of, numpy_dtype
from conformance.model import Arithmetic, Bound

LIBRARY = 4.0
ENDS = 2 * REFERENCE  # the ends of an interval are float64 themselves
LARGEST = format_of("float64").largest
CERTAIN = np.dtype(np.float32)  # what has no more bits than this one is no rounded float64


@dataclass(frozen=True)
class Steps:
    """What a step of an arithmetic may lose: a relative and an absolute part, and from where on it overflows."""

    roundoff: float
    least: float | Array
    largest: float
    formats: tuple[np.dtype[Any], ...]
    kept: float = 0.0

    @classmethod
    @cache
    def of(cls, arithmetic: Arithmetic) -> Steps:
        """Return the steps of an arithmetic; where it has partial roundings, every step is stored in its output."""
        acc, out = arithmetic.accumulator, arithmetic.output
        least = 2 * acc.least_normal if arithmetic.flushes else acc.least_subnormal
        formats = (numpy_dtype(acc.name) if acc.bits <= 24 else CERTAIN,)
        if not arithmetic.partials:
            return cls(acc.roundoff, least, acc.largest, formats)
        return cls(acc.roundoff, out.least_subnormal, acc.largest, (*formats, numpy_dtype(out.name)), out.roundoff)

    @cached_property
    def loss(self) -> float:
        """The relative part, with what the ends of an interval themselves lose."""
        return self.roundoff + self.kept + ENDS

    def before(self, factor: Array) -> Steps:
        """Return the steps where a factor of the result may come in first: what it makes subnormal loses more."""
        size = np.abs(factor)
        return replace(self, least=self.least / np.where(size > 0, np.minimum(size, 1), 1))

    def fits(self, values: Array) -> Array:
        """Where a value is representable wherever a step may keep it."""
        fits = np.isfinite(values)
        for form in self.formats:
            fits &= values.astype(form).astype(np.float64) == values
        return fits


class Interval:
    """For each element the least and the largest number that honest steps could lead to; a point where both are one."""

    __slots__ = ("high", "low", "steps")

    def __init__(self, steps: Steps, low: Array, high: Array | None = None) -> None:
        self.steps, self.low, self.high = steps, low, low if high is None else high

    @property
    def point(self) -> bool:
        """Whether nothing has been lost so far."""
        return self.low is self.high

    def __neg__(self) -> Interval:
        low = -self.high
        return Interval(self.steps, low, low if self.point else -self.low)

    def __add__(self, other: Interval | float) -> Interval:
        other = self.like(other)
        low = self.low + other.low
        if self.point and other.point:
            whole = (low - self.low == other.low) & (low - other.low == self.low)  # nothing was lost in float64
            return self._rounded(low, low, whole)
        return self._rounded(low, self.high + other.high, self._known & other._known)

    def __radd__(self, other: float) -> Interval:
        return self + other

    def __sub__(self, other: Interval | float) -> Interval:
        return self + -self.like(other)

    def __rsub__(self, other: float) -> Interval:
        return -self + other

    def __mul__(self, other: Interval | float) -> Interval:
        return self._combined(self.like(other), np.multiply)

    def __rmul__(self, other: float) -> Interval:
        return self * other

    def __truediv__(self, other: Interval | float) -> Interval:
        divisor = self.like(other)
        dyadic = divisor.point and divisor.low.ndim == 0 and np.frexp(divisor.low)[0] == 0.5
        found = self._combined(divisor, np.divide, 1 if dyadic else 2)
        if divisor.point:
            return found
        unsure = (divisor.low <= 0) & (divisor.high >= 0)
        return Interval(self.steps, np.where(unsure, -np.inf, found.low), np.where(unsure, np.inf, found.high))

    def __rtruediv__(self, other: float) -> Interval:
        return self.like(other) / self

    def __abs__(self) -> Interval:
        if self.point:
            return Interval(self.steps, np.abs(self.low))
        ends = np.abs(self.low), np.abs(self.high)
        least = np.where((self.low <= 0) & (self.high >= 0), 0.0, np.minimum(*ends))
        return Interval(self.steps, least, np.maximum(*ends))

    def like(self, other: Interval | float) -> Interval:
        """Return a constant as the steps know it: rounded, unless it is representable."""
        if isinstance(other, Interval):
            return other
        return Interval(self.steps, *_constant(float(other), self.steps.loss, self.steps.formats))

    def clip(self, low: float, high: float) -> Interval:
        """Return what lies between two numbers, which are rounded as all constants are."""
        least, most = self.like(low), self.like(high)
        found = np.minimum(np.maximum(self.low, least.low), most.low)
        if self.point and least.point and most.point:
            return Interval(self.steps, found)
        return Interval(self.steps, found, np.minimum(np.maximum(self.high, least.high), most.high))

    def increasing(
        self, function: Callable[[Array], Array], least: float, most: float, absolute: float = 0.0
    ) -> Interval:
        """Return a library's increasing function with two limits; exact is only what it is at 0, if that is whole.

        absolute: a number in units of whose last place the function's accuracy is told even where it is smaller.
        """
        low = function(self.low)
        high = low if self.point else function(self.high)
        wide = self._widened(low, high, 2 * LIBRARY)  # a unit in the last place is up to two roundoffs
        margin = 2 * LIBRARY * self.steps.roundoff * absolute
        ends = np.maximum(wide.low - margin, least), np.minimum(wide.high + margin, most)
        sure = (self.low == 0) & (self.high == 0) & (low == np.rint(low))
        if absolute or not sure.any():
            return Interval(self.steps, *ends)
        return Interval(self.steps, np.where(sure, low, ends[0]), np.where(sure, high, ends[1]))

    def exp(self) -> Interval:
        """Return the exponentials; infinite from where they may overflow."""
        return self.increasing(np.exp, 0.0, np.inf)._overflown()

    def expm1(self) -> Interval:
        """Return exp(x) - 1."""
        return self.increasing(np.expm1, -1.0, np.inf)._overflown()

    def log(self) -> Interval:
        """Return the logarithms."""
        return self.increasing(np.log, -np.inf, np.inf)

    def log1p(self) -> Interval:
        """Return log(1 + x)."""
        return self.increasing(np.log1p, -np.inf, np.inf)

    def tanh(self) -> Interval:
        """Return the hyperbolic tangents."""
        return self.increasing(np.tanh, -1.0, 1.0)

    def sum(self, axis: int | tuple[int, ...] | None, keepdims: bool = True) -> Interval:
        """Return sums along axes, in any order of summation."""
        low = self.low.sum(axis, keepdims=keepdims)
        size = np.maximum(np.abs(self.low), np.abs(self.high)).sum(axis, keepdims=keepdims)
        terms = self.low.size // max(low.size, 1)
        if self.point and np.all(self.low == np.rint(self.low)) and np.all(self.steps.fits(size)):
            return Interval(self.steps, low)  # whole numbers, and so is every partial sum
        high = low if self.point else self.high.sum(axis, keepdims=keepdims)
        loss = gamma(terms, self.steps.roundoff + ENDS) + self.steps.kept  # what is kept is the sum
        margin = loss * size + terms * self.steps.least
        if terms > 1:  # a partial sum may overflow where the whole one does not
            margin = np.where(size * (1 + loss) >= self.steps.largest, np.inf, margin)
        return Interval(self.steps, low - margin, high + margin)

    def reshaped(self, shape: tuple[int, ...]) -> Interval:
        """Return the same elements in another shape."""
        low = self.low.reshape(shape)
        return Interval(self.steps, low, low if self.point else self.high.reshape(shape))

    def bound(self, expected: Array, arithmetic: Arithmetic) -> Bound:
        """Return how far from the reference an answer may be that lies in the interval, stored in the output format.

        Where the reference itself does not lie in it, as with another convention at a kink, it is the interval's width.
        """
        acc, out = arithmetic.accumulator, arithmetic.output
        stored = self
        if out.bits < acc.bits:
            least = out.least_normal if arithmetic.flushes else out.least_subnormal / 2
            once = Steps(out.roundoff, least, np.inf, (numpy_dtype(out.name),))
            stored = Interval(once, self.low, self.high)._rounded(self.low, self.high, self._known)
        low, high = stored.low, stored.high
        if stored.point and np.array_equal(low, expected):
            return Bound(np.zeros(expected.shape))
        inside = (low <= expected) & (expected <= high)
        absolute = np.where(inside, np.maximum(high - expected, expected - low), high - low)
        return Bound(np.broadcast_to(absolute, expected.shape))

    def _combined(self, other: Interval, function: Callable[..., Array], roundings: int = 1) -> Interval:
        if self.point and other.point:
            value = function(self.low, other.low)
            return self._rounded(value, value, True, roundings)
        first = (self.low,) if self.point else (self.low, self.high)
        second = (other.low,) if other.point else (other.low, other.high)
        ends = [function(a, b) for a in first for b in second]
        low, high = ends[0], ends[0]
        for end in ends[1:]:
            low, high = np.minimum(low, end), np.maximum(high, end)
        return self._rounded(low, high, self._known & other._known, roundings)

    @property
    def _known(self) -> Array:
        """Where nothing has been lost so far."""
        return np.equal(self.low, self.high)

    def _overflown(self) -> Interval:
        """Let what is too large be infinite or not, since a wider format may still hold it."""
        high = np.where(self.high > self.steps.largest, np.inf, self.high)
        return Interval(self.steps, np.minimum(self.low, LARGEST), high)

    def _rounded(self, low: Array, high: Array, known: Array | bool, roundings: int = 1) -> Interval:
        """Return what a step makes of its ends; where both operands are known it may be representable."""
        if not np.any(known):
            return self._widened(low, high, roundings)
        exact = known & (self.steps.fits(low) if roundings == 1 else low == 0)
        if exact.all():
            return Interval(self.steps, low)
        wide = self._widened(low, high, roundings)
        return Interval(self.steps, np.where(exact, low, wide.low), np.where(exact, low, wide.high))

    def _widened(self, low: Array, high: Array, roundings: float) -> Interval:
        steps = self.steps
        loss, least = steps.loss + (roundings - 1) * steps.roundoff, roundings * steps.least
        # As factors, since infinity less infinity would be nothing.
        low = low * (1 - np.copysign(loss, low)) - least
        return Interval(steps, low, high * (1 + np.copysign(loss, high)) + least)


@cache
def _constant(number: float, loss: float, formats: tuple[np.dtype[Any], ...]) -> tuple[Array, Array]:
    """Return the ends of a constant; one and the same where it is representable, or infinite."""
    point = np.asarray(number)
    if not np.isfinite(point) or all(point.astype(form).astype(np.float64) == point for form in formats):
        return point, point
    return np.asarray(number - abs(number) * loss), np.asarray(number + abs(number) * loss)


def where(condition: Array, chosen: Interval | float, other: Interval | float) -> Interval:
    """Return one interval where a condition holds and another elsewhere; one of the two is no number."""
    steps = chosen.steps if isinstance(chosen, Interval) else other.steps  # type: ignore[union-attr]
    first, second = (Interval(steps, np.zeros(())).like(each) for each in (chosen, other))
    low = np.where(condition, first.low, second.low)
    if first.point and second.point:
        return Interval(steps, low)
    return Interval(steps, low, np.where(condition, first.high, second.high))


def hull(sure: Array, possible: Array, chosen: Interval, other: Interval) -> Interval:
    """Return one interval where it is sure, another where the first is impossible, and both where it is unclear."""
    low = np.where(possible, np.where(sure, chosen.low, np.minimum(chosen.low, other.low)), other.low)
    high = np.where(possible, np.where(sure, chosen.high, np.maximum(chosen.high, other.high)), other.high)
    return Interval(chosen.steps, low, high)
