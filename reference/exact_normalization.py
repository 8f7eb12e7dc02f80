"""Normalization inside `exact()`: every output and every statistic is the float64 number nearest to its exact value.

Float64 numbers are fractions, and so are their means and variances. What is left is y = t + b, with t the square root
of a fraction up to its sign. An integer square root gives as many digits of t as are asked for and says whether they
are all of it; where they are not, it is enough to know between which two neighbours t lies, if they are so close that
all numbers between them round alike.
"""

from __future__ import annotations

from fractions import Fraction
from math import isqrt
from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Array
from reference.error_free import as_nearest
from reference.norm_arguments import NormCall, Running

# All float64 numbers, and all numbers half way between two of them, are multiples of 2**-DIGITS.
DIGITS = 1075
GUARD = 64  # how many digits of a root are tried before that many

_exactly: Any = np.frompyfunc(Fraction, 1, 1)
_quotient: Any = np.frompyfunc(Fraction, 2, 1)
_above: Any = np.frompyfunc(lambda fraction: fraction.numerator, 1, 1)
_below: Any = np.frompyfunc(lambda fraction: fraction.denominator, 1, 1)
_integer_ratio: Any = np.frompyfunc(float.as_integer_ratio, 1, 2)


class _Numbers:
    """An array, with zeros in place of what is not finite: whole numbers, each over `unit`, a power of two.

    rest holds what is not finite, among zeros, so that IEEE 754's rules for it can be followed apart.
    """

    def __init__(self, array: Array) -> None:
        self.finite = np.isfinite(array)
        self.rest = np.where(self.finite, 0.0, array)
        self.signs = np.where(self.finite, np.sign(array), array)
        above, below = _integer_ratio(np.where(self.finite, array, 0.0))
        self.unit = int(np.max(below, initial=1))
        self.whole: Array = above * (self.unit // below)


class _Moments(NamedTuple):
    """Means and variances as fractions; apart from them those that are not finite, among zeros."""

    mean: Array
    var: Array
    mean_rest: Array
    var_rest: Array


def normalize(call: NormCall) -> tuple[Array, Array | None, Array | None]:
    """Return the output (N, G, K, L), and the mean and variance (G,) that are kept if there are `running` ones."""
    x = _Numbers(call.x)
    w = _Numbers(np.ones((1, 1, 1, 1)) if call.weight is None else call.weight)
    b = _Numbers(np.zeros((1, 1, 1, 1)) if call.bias is None else call.bias)
    with np.errstate(all="ignore"):
        moments = _own(call, x) if call.given is None else _given(*call.given)
        var = moments.var + Fraction(call.eps)
        # x - mean is difference / (x.unit * below), and the square of t is factor**2 / divisor.
        below = _below(moments.mean)
        difference = x.whole * below - _above(moments.mean) * x.unit
        divisor = np.where(var > 0, var, 1) * (below * (x.unit * w.unit)) ** 2
        # Signs in place of numbers cannot overflow, so what is not finite here is so by IEEE's rules.
        scale = np.where(var > 0, 1.0, np.where(var == 0, np.inf, np.nan))
        scale = np.where(np.isfinite(moments.var_rest), scale, 1 / np.sqrt(moments.var_rest))
        sign = np.sign(difference).astype(np.float64)
        sign = np.where(x.finite & np.isfinite(moments.mean_rest), sign, x.rest - moments.mean_rest)
        special = sign * scale * w.signs + b.signs
        factor = np.where(scale == 0, 0, difference * w.whole)
        kept = (None, None) if call.running is None else _blended(call, call.running, moments)
    total = _root_plus(b.unit.bit_length() - 1)(factor, _above(divisor), _below(divisor), b.whole)
    return np.where(np.isfinite(special), as_nearest(total, -DIGITS - 1, 1), special), *kept


def _given(mean: Array, var: Array) -> _Moments:
    center, spread = _Numbers(mean), _Numbers(var)
    return _Moments(
        _quotient(center.whole, center.unit), _quotient(spread.whole, spread.unit), center.rest, spread.rest
    )


def _own(call: NormCall, x: _Numbers) -> _Moments:
    """Return mean and biased variance of every group; the mean of squares where they are not centered."""
    axes, m = ((0, 2, 3) if call.pooled else (2, 3)), max(call.values, 1)
    squares = (x.whole * x.whole).sum(axes, keepdims=True)
    if not call.centered:
        zero = np.zeros(squares.shape)
        rest = np.square(x.rest).sum(axes, keepdims=True)
        return _Moments(_exactly(zero), _quotient(squares, m * x.unit**2), zero, rest)
    total = x.whole.sum(axes, keepdims=True)
    rest = x.rest.sum(axes, keepdims=True)
    far = np.square(x.rest - rest).sum(axes, keepdims=True)
    return _Moments(_quotient(total, m * x.unit), _quotient(m * squares - total**2, (m * x.unit) ** 2), rest, far)


def _blended(call: NormCall, old: Running, new: _Moments) -> tuple[Array, Array]:
    """Return the running statistics after the call."""
    share = Fraction(old.momentum)
    keep, take = (1 - share, share) if old.weights == "new" else (share, 1 - share)
    unbiased = Fraction(call.values, call.values - 1) if old.unbiased else 1
    samples = len(new.mean)
    kept = _given(old.mean, old.var)

    def blend(before: Array, before_rest: Array, after: Array, after_rest: Array) -> Array:
        exact = keep * before + take * (after.sum(0, keepdims=True) / Fraction(max(samples, 1)))
        rest = after_rest.sum(0, keepdims=True) / samples
        special = np.sign(float(keep)) * before_rest + np.sign(float(take)) * rest
        return np.where(np.isfinite(special), as_nearest(_above(exact), 0, _below(exact)), special).flatten()

    return (
        blend(kept.mean, kept.mean_rest, new.mean, new.mean_rest),
        blend(kept.var, kept.var_rest, new.var * unbiased, new.var_rest),
    )


def _root_plus(places: int) -> Any:
    """Return a function of (factor, above, below, bias), elementwise.

    It gives a whole number of units 2**(-DIGITS - 1) that rounds to the same float64 number as y = t + b, where
    t = factor / sqrt(above / below) and b = bias / 2**places.
    """

    def scalar(factor: int, above: int, below: int, bias: int) -> int:
        square = factor * factor * below
        guess = GUARD - (square.bit_length() - above.bit_length()) // 2
        digits = min(max(guess, places), DIGITS)
        while True:
            shifted = square << 2 * digits
            root = isqrt(shifted // above)
            more = root * root * above != shifted
            # The last bit, of half a unit, stands for all digits of t that are left.
            total = 2 * root + more
            total = (total if factor > 0 else -total) + (bias << digits - places + 1)
            # Where y is 2**54 units or more, halves of its last place are whole units: none is between t's neighbours.
            if not more or abs(total) >= 2**56 or digits == DIGITS:
                return total << DIGITS - digits
            digits = DIGITS

    return np.frompyfunc(scalar, 4, 1)
