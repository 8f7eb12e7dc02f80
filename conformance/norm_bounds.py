"""How far honest normalization and its gradients may be from the reference; docs/numerics.md has the derivations.

Batch, instance, group, layer and root-mean-square norm are one here: a call is seen as arrays that broadcast, with the
axes along which a mean and a variance are shared.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from conformance.bounds import REFERENCE, gamma, stored, sum_of_products
from conformance.formats import Array
from conformance.model import Arithmetic, Arrays, Bound

SHORT = 2.0**6  # up to where halves of whole numbers are short: their products need no bit that float32 has not


@dataclass(frozen=True)
class Norm:
    """A call of a normalization in a form in which everything broadcasts.

    axes: along them lies what shares a mean and a variance. weight, bias: of as many axes as x. centered: whether the
    mean is subtracted; else it is taken for 0. given: the mean and the variance, where they are not those of x.
    """

    x: Array
    axes: tuple[int, ...]
    weight: Array | None
    bias: Array | None
    eps: float
    centered: bool = True
    given: tuple[Array, Array] | None = None

    @property
    def count(self) -> int:
        """How many numbers share a mean."""
        return math.prod(self.x.shape[a] for a in self.axes)


class Moments(NamedTuple):
    """What a call normalizes by, how far what was used may be from it, and where nothing of it needs rounding."""

    mean: Array
    var: Array
    far_mean: Array
    far_var: Array
    exact: Array

    def inverse_root(self, eps: float, arithmetic: Arithmetic) -> tuple[Array, Array]:
        """Return 1 / sqrt(var + eps) and its relative error; infinite where the variance may be lost altogether."""
        u = arithmetic.accumulator.roundoff
        # Of the three steps from a variance of the data to the inverse root, so many are rounded to the output format.
        kept = gamma(min(arithmetic.partials, 3), arithmetic.output.roundoff) if self.far_mean.ndim else 0.0
        rho = self.far_var / (self.var + eps) + 2 * u
        slip = np.where(rho < 1, (1 - rho) ** -0.5 * (1 + gamma(6, u)) * (1 + kept) - 1, np.inf)
        return 1 / np.sqrt(self.var + eps), slip


def _own(arithmetic: Arithmetic) -> float:
    """Return what a bound is multiplied by for the reference's errors too: a bound is convex in its roundoff."""
    return 1 + REFERENCE / arithmetic.accumulator.roundoff


def _least(arithmetic: Arithmetic) -> float:
    """Return what one operation may lose to underflow."""
    accumulator = arithmetic.accumulator
    return 2 * accumulator.least_normal if arithmetic.flushes else accumulator.least_subnormal


def _short(*parts: Array | None) -> Array:
    """Where all numbers are halves of whole numbers, and small."""
    short = [(2 * p == np.rint(2 * p)) & (np.abs(p) <= SHORT) for p in parts if p is not None]
    return np.asarray(math.prod(short[1:], start=short[0]))


def moments(norm: Norm, arithmetic: Arithmetic) -> Moments:
    """Return the mean and the biased variance of a call and how far honest ones may be from them.

    By the class that the arithmetic declares. Source: Chan, Golub and LeVeque, Algorithms for computing the sample
    variance, 1983.
    """
    with np.errstate(all="ignore"):
        if norm.given is not None:
            nothing = np.zeros(())
            return _with_exact(norm, Moments(*norm.given, nothing, nothing, np.ones((), bool)), arithmetic)
        mean = _mean(norm, norm.x) if norm.centered else np.zeros((1,) * norm.x.ndim)
        var = _mean(norm, np.square(norm.x - mean))
        far_mean, far_var = _far(norm, mean, var, arithmetic)
        kept = arithmetic.output.least_subnormal if arithmetic.partials else 0.0
        far_mean, far_var = (far * _own(arithmetic) + 2 * (_least(arithmetic) + kept) for far in (far_mean, far_var))
        exact = _exact_moments(norm, mean, arithmetic)
        return _with_exact(norm, Moments(mean, var, far_mean * norm.centered, far_var, exact), arithmetic)


def _mean(norm: Norm, values: Array) -> Array:
    return np.asarray(values.sum(norm.axes, keepdims=True) / np.float64(norm.count))


def _far(norm: Norm, mean: Array, var: Array, arithmetic: Arithmetic) -> tuple[Array, Array]:
    """Return the bounds of mean and variance for the class of algorithm."""
    u, m, variance = arithmetic.accumulator.roundoff, norm.count, arithmetic.variance
    if not norm.centered:
        return np.zeros(()), gamma(m + 3, u) * var
    kept = arithmetic.output.roundoff if arithmetic.partials else 0.0  # of a mean that is stored in between
    if variance == "updating":
        k = m + 3 * math.log2(max(m, 1)) + 8
        largest = np.abs(norm.x).max(norm.axes, keepdims=True, initial=0)
        far = gamma(2 * k, u) * (np.sqrt(var * _mean(norm, np.square(norm.x))) + var)
        return gamma(k, u) * largest + kept * np.abs(mean), far + np.square(kept * mean)
    far_mean = gamma(m + 1, u) * _mean(norm, np.abs(norm.x)) * (1 + kept) + kept * np.abs(mean)
    if variance == "two-pass":
        # The deviations from a wrong mean have a mean square of var + error**2 exactly; the rest is m + 4 roundings.
        return far_mean, gamma(m + 4, u) * (var + far_mean**2) + far_mean**2
    mean_square = _mean(norm, np.square(norm.x))
    textbook = gamma(m + 4, u) * mean_square + 2 * np.abs(mean) * far_mean + far_mean**2
    return far_mean, textbook + 3 * u * (mean_square + mean**2)


def _exact_moments(norm: Norm, mean: Array, arithmetic: Arithmetic) -> Array:
    """Where two passes give the exact mean and variance: short numbers, short means, a power of two of them."""
    if (norm.centered and arithmetic.variance != "two-pass") or norm.count & (norm.count - 1):
        return np.zeros((), bool)
    room = 4 * np.square(np.abs(norm.x) + np.abs(mean)).sum(norm.axes, keepdims=True)
    short = _short(norm.x).all(norm.axes, keepdims=True)
    return np.asarray(short & (room <= 2.0**arithmetic.accumulator.bits))


def _with_exact(norm: Norm, found: Moments, arithmetic: Arithmetic) -> Moments:
    """Leave as exact only where the mean is short too, and 1 / sqrt(var + eps) is a power of two."""
    mantissa, exponent = np.frexp(found.var + norm.eps)
    dyadic = (mantissa == 0.5) & (exponent % 2 == 1) & (np.abs(exponent) <= 7)
    wide = arithmetic.accumulator.bits >= 24 and arithmetic.input_bits is None
    return found._replace(exact=found.exact & dyadic & _short(found.mean) & wide)


def normalized(norm: Norm, by: Moments, expected: Array, arithmetic: Arithmetic) -> Bound:
    """Return the bound of (x - mean) / sqrt(var + eps) * weight + bias, in any association."""
    x, u = norm.x, arithmetic.accumulator.roundoff
    w = 1.0 if norm.weight is None else np.abs(norm.weight)
    b = 0.0 if norm.bias is None else np.abs(norm.bias)
    with np.errstate(all="ignore"):
        root, slip = by.inverse_root(norm.eps, arithmetic)
        size = np.abs(x) + np.abs(by.mean) + by.far_mean
        absolute = w * root * ((1 + slip) * (gamma(6, u) * size + by.far_mean) + np.abs(x - by.mean) * slip)
        absolute = absolute + gamma(3, u) * b + _least(arithmetic) * (4 + w * (1 + root) + size)
        exact = by.exact & _short(x, norm.weight, norm.bias)
        fits = exact & (np.abs(expected / root) <= 2.0 ** (arithmetic.output.bits - 1))
        absolute = stored(np.where(exact, 0.0, absolute * _own(arithmetic)), expected, arithmetic, fits)
        absolute = np.where(_may_overflow(norm, by, root, w, arithmetic), np.inf, absolute)
        absolute = np.where(
            np.isnan(absolute) & np.isfinite(expected), np.inf, absolute
        )  # a slip without limit, times 0
    return Bound(np.broadcast_to(absolute, expected.shape))


def _may_overflow(norm: Norm, by: Moments, root: Array, w: Array | float, arithmetic: Arithmetic) -> Array:
    """Where a square, a sum of squares or a statistic on its way may overflow."""
    largest = np.maximum(np.abs(norm.x), 1 / root) * np.maximum(w, 1)
    over = largest >= math.sqrt(arithmetic.accumulator.largest) / max(norm.x.size, 1)
    if arithmetic.partials:
        over = over | (np.maximum(np.abs(by.mean), by.var + norm.eps) * 1.01 >= arithmetic.output.largest)
    return np.asarray(over)


def blended(
    share: float, old: Array, new: Array, far: Array, expected: Array, arithmetic: Arithmetic, roundings: int
) -> Bound:
    """Return the bound of the running statistic (1 - share) * old + share * new, `new` off by at most `far`."""
    with np.errstate(all="ignore"):
        size = abs(1 - share) * np.abs(old) + abs(share) * np.abs(new)
        absolute = abs(share) * far + gamma(roundings, arithmetic.accumulator.roundoff) * size * _own(arithmetic)
        absolute += roundings * arithmetic.accumulator.least_subnormal
        if arithmetic.partials:  # both factors, both products and their sum are rounded to the output format
            absolute += gamma(4, arithmetic.output.roundoff) * size + 4 * arithmetic.output.least_subnormal / 2
        absolute = stored(absolute, expected, arithmetic)
        absolute = np.where(size >= arithmetic.accumulator.largest / roundings, np.inf, absolute)
    # What is updated with one infinity after another is inf - inf; what is summed up stays infinite.
    return Bound(absolute, waived=np.isinf(expected) & (arithmetic.variance == "updating"))


class _Terms(NamedTuple):
    """What gradients are made of: the cotangent, 1 / root and its relative error, |x| + |mean|, normalized values."""

    g: Array
    root: Array
    slip: Array
    size: Array
    z: Array
    far_z: Array


def gradients(norm: Norm, cotangent: Array, by: Moments, expected: Arrays, arithmetic: Arithmetic) -> dict[str, Bound]:
    """Return the bounds of the gradients that `expected` names: of input, weight and bias, in any association."""
    g8 = gamma(8, arithmetic.accumulator.roundoff)
    with np.errstate(all="ignore"):
        root, slip = by.inverse_root(norm.eps, arithmetic)
        size = np.abs(norm.x) + np.abs(by.mean) + by.far_mean
        z = (norm.x - by.mean) * root
        far_z = root * (1 + slip) * (g8 * size + by.far_mean) + slip * np.abs(z)
        terms = _Terms(cotangent.reshape(norm.x.shape), root, slip, size, z, far_z)
        return {name: _GRADIENTS[name](norm, by, terms, wanted, arithmetic) for name, wanted in expected.items()}


def _of_input(norm: Norm, by: Moments, terms: _Terms, expected: Array, arithmetic: Arithmetic) -> Bound:
    _, root, slip, size, z, far_z = terms
    m = norm.count
    h = terms.g if norm.weight is None else terms.g * norm.weight
    u = arithmetic.accumulator.roundoff
    few, many = gamma(8, u), gamma(m + 6, u)
    exact = np.asarray(by.exact & _short(norm.x, terms.g, norm.weight))
    if norm.given is not None:
        absolute = np.abs(h) * root * (slip + gamma(3, u) * (1 + slip))
        unit = root
    else:
        total, tilt = (a.sum(norm.axes, keepdims=True) for a in (h, h * z))
        sizes = np.abs(h).sum(norm.axes, keepdims=True)
        products = (np.abs(h) * size).sum(norm.axes, keepdims=True)
        far_tilt = root * (1 + slip) * (many * products + by.far_mean * sizes) + slip * np.abs(tilt)
        tilts, centre = np.abs(tilt) + far_tilt, norm.centered * (np.abs(total) + many * sizes)
        absolute = few * (np.abs(h) + centre / m + (np.abs(z) + far_z) * tilts / m)
        absolute += norm.centered * many * sizes / m + (np.abs(z) * far_tilt + far_z * tilts) / m
        absolute += few * root * (1 + slip) * size * tilts / m
        # What is taken away from each, means over all, may be stored before, as statistics are.
        kept = gamma(min(arithmetic.partials, 3), arithmetic.output.roundoff)
        absolute += kept * (centre + (np.abs(z) + far_z) * tilts) / m
        absolute = root * (1 + slip) * absolute + slip * np.abs(expected).reshape(norm.x.shape)
        bits = arithmetic.output.bits if arithmetic.partials else arithmetic.accumulator.bits
        exact &= 4 * ((m * np.abs(h) + sizes) / root**2 + size * products) <= 2.0**bits
        unit = root**3 / (4 * m)
    return _bound(absolute, exact, unit, expected, arithmetic)


def _over(norm: Norm, parameter: Array) -> tuple[int, ...]:
    """Return the axes along which numbers share a weight or a bias."""
    return tuple(a for a in range(norm.x.ndim) if parameter.shape[a] == 1)


def _of_weight(norm: Norm, by: Moments, terms: _Terms, expected: Array, arithmetic: Arithmetic) -> Bound:
    assert norm.weight is not None
    over = _over(norm, norm.weight)
    g, root, size = np.abs(terms.g), np.broadcast_to(terms.root, norm.x.shape), terms.size
    many = gamma(norm.x.size / max(norm.weight.size, 1) + 6, arithmetic.accumulator.roundoff)
    products = g * (np.abs(terms.z) + terms.far_z)
    each = g * terms.far_z + many * (products + g * root * size)
    each += arithmetic.partials * arithmetic.output.roundoff * products
    bits = arithmetic.output.bits if arithmetic.partials else arithmetic.accumulator.bits
    unit = root.min(over, keepdims=True, initial=np.inf) / 4
    exact = (by.exact & _short(norm.x, terms.g)).all(over, keepdims=True)
    exact = exact & ((g * size * root).sum(over, keepdims=True) / unit <= 2.0**bits)
    return _bound(each.sum(over, keepdims=True), exact, unit, expected, arithmetic)


def _of_bias(norm: Norm, by: Moments, terms: _Terms, expected: Array, arithmetic: Arithmetic) -> Bound:
    assert norm.bias is not None
    over = _over(norm, norm.bias)
    magnitude = np.abs(terms.g).sum(over).reshape(expected.shape)
    count = norm.x.size // max(norm.bias.size, 1)
    return sum_of_products(magnitude, count, expected, [terms.g], arithmetic)


def _bound(absolute: Array, exact: Array, unit: Array, expected: Array, arithmetic: Arithmetic) -> Bound:
    """Return the bound of a gradient; where it is exact, it is a whole multiple of the unit."""
    seen = expected.reshape(absolute.shape)
    fits = exact & (np.abs(seen / unit) <= 2.0**arithmetic.output.bits)
    # A product of three inverse roots may have been rounded among the subnormals.
    least = 8 * _least(arithmetic) * (1 + unit)
    bound = stored(np.where(exact, 0.0, absolute * _own(arithmetic) + least), seen, arithmetic, fits)
    bound = np.where(np.isnan(bound) & np.isfinite(seen), np.inf, bound)
    return Bound(bound.reshape(expected.shape))


_GRADIENTS = {"input": _of_input, "weight": _of_weight, "bias": _of_bias}
