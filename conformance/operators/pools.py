"""What pooling operators share: how many planes there are, maxima and means of windows, and the gradients of both."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

import reference.vjp
from conformance.bounds import copies, sum_of_products
from conformance.formats import Array, format_of
from conformance.model import Arithmetic, Arrays, Attributes, Bound, Geometry, Gradient, Pattern
from conformance.patterns import limit_of
from conformance.strategies import FEW, Choices, Ranges, batch_size, ranges, shorter_along, stretched
from reference.avg_pooling import outer
from reference.pooling_windows import Line, Windows, pooled, spread
from reference.vjp.max_pooling import scattered

CHANNELS = (8, 16, 17, 32, 33)  # on both sides of the widths of vectors
LONG = 11  # taps of a kernel that is longer than most
FORWARD = ("values", "sizes", "special", "rejections")


def planes(choose: Choices, purpose: str, rank: int) -> tuple[int, int, str]:
    """Draw how many samples and channels there are, and which one dimension is large."""
    kinds = ("channels", "batch", "wide", "kernel") if rank < 3 else ("channels", "wide")
    dimensions = {"values": kinds, "special": ("wide",) if rank < 3 else ()}
    large = stretched(choose, *dimensions.get(purpose, ()))
    batch = batch_size(choose, purpose) + 4 * (large == "batch")
    channels = choose.whole(1, 6 if purpose == "values" else 3)
    return (batch, channels, large) if large != "channels" else (1, choose.one_of(CHANNELS), large)


def reach_of(large: str, purpose: str, rank: int) -> Ranges:
    """Return how far an axis may reach: what is large in one dimension is small in the others."""
    reach = ranges(purpose, rank)
    if large in ("channels", "kernel") or (large == "wide" and rank == 3):
        reach = replace(reach, output=min(reach.output, FEW))
    return replace(reach, kernel=LONG) if large == "kernel" else reach


# Pools of real networks: channels, size, kernel, stride, padding.
_LAYERS = ((64, 112, 3, 2, 1), (32, 112, 2, 2, 0), (512, 7, 7, 7, 0), (96, 28, 3, 1, 1))


def layers_of(rank: int) -> Any:
    """Return the calls of real networks, with axes that are so many times shorter; see `Operator.layers`."""

    def layers(shorter: int) -> list[Geometry]:
        found = []
        for channels, size, kernel, stride, padding in _LAYERS:
            length = max(size // shorter_along(rank, shorter), kernel)
            given = {"kernel_size": kernel, "stride": stride} | ({"padding": padding} if padding else {})
            found.append(Geometry({"input": (1, channels, *(length,) * rank)}, given, kernel**rank))
        return found

    return layers


def per_plane(geometry: Geometry, name: str = "input") -> int:
    """Return how many numbers a plane of an array has."""
    count: int = math.prod((geometry.shapes[name] or ())[2:])
    return max(1, count)


def wide_of(dtype: str) -> int:
    """Return the largest integers to draw, of as many bits as a dtype has."""
    return int(min(2 ** min(format_of(dtype).bits, 31) - 1, limit_of(dtype)))


def maxima_exact(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    """Return data with many ties, and data with none."""
    return (
        Pattern(("ramp", 1)),
        Pattern(("integers", 1)),
        Pattern(("integers", 3)),
        Pattern(("integers", wide_of(dtype) if dtype != "float16" else 2047)),
    )


def maxima_real(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    """Return data of either sign, of one sign, and all below 0, where padding with 0 shows."""
    return (Pattern(("normal", 1)), Pattern(("positive", 1)), Pattern(("offset", -8)))


def few_of(geometry: Geometry) -> int:
    """Return so few places of the input that most windows have none of them."""
    return max(1, math.prod(geometry.shapes["input"] or ()) // (3 * geometry.terms))


def maxima_special(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    """Return what is not finite, few enough of it that most windows hold something else, and what is tiny or huge."""
    few = few_of(geometry)
    kinds: tuple[tuple[str, float], ...] = (
        ("nans", few),
        ("infinities", few),
        ("nonfinite", few),
        ("bottom", few),
        ("negative_zeros", 1),
        ("tiny", 3),
        ("huge", 1),
    )
    return tuple(map(Pattern, kinds))


def maxima_bounds(inputs: Arrays, attributes: Attributes, expected: Arrays, arithmetic: Arithmetic) -> dict[str, Bound]:
    """Return bounds of 0. Which zero is the larger is not specified: its sign is promised where all zeros have one."""
    x = inputs["input"]
    zeros = np.signbit(x[x == 0])
    return copies(expected, zero_sign=bool(zeros.size and (zeros.all() or not zeros.any())))


def scattered_bound(g: Array, indices: Array, expected: Array, arithmetic: Arithmetic) -> Bound:
    """Return the bound of a gradient that adds every cotangent to the element that its index names.

    A sum of as many terms as windows name the element; where it is one at most, that is a copy.
    """
    magnitude, counts = (scattered(part, indices, expected.shape) for part in (np.abs(g), np.ones(g.shape)))
    bound = sum_of_products(magnitude, int(counts.max(initial=1)), expected, [g], arithmetic)
    return replace(bound, absolute=np.where(counts > 1, bound.absolute, 0.0))


def cotangents(geometry: Geometry, dtype: str, least: int = 1) -> tuple[tuple[str, float], ...]:
    """Return fills for the cotangent: whole numbers, as large as the sums of a plane allow; real ones.

    least: how many times larger than the cotangents the whole numbers are that are summed.
    """
    large = max(3, min(wide_of(dtype), limit_of(dtype) // (per_plane(geometry, "cotangent") * least)))
    return (("ramp", 1), ("integers", 3), ("integers", large), ("normal", 1), ("spread", 1))


def maxima_gradient(name: str) -> Gradient:
    """Return the gradient of an operator that selects: the cotangent goes to the first of the largest."""
    function: Callable[..., Any] = getattr(reference, name)

    def patterns(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
        ties, few = ("integers", 1), ("integers", 3)
        data = (few, ties, few, ("normal", 1), ties)
        return tuple(Pattern(x, {"cotangent": g}) for x, g in zip(data, cotangents(geometry, dtype), strict=True))

    def bounds(inputs: Arrays, attributes: Attributes, expected: Arrays, arithmetic: Arithmetic) -> dict[str, Bound]:
        given = {k: v for k, v in inputs.items() if k != "cotangent"}
        indices = function(**given, **attributes, return_indices=True).indices
        return {"input": scattered_bound(inputs["cotangent"], indices, expected["input"], arithmetic)}

    return Gradient(getattr(reference.vjp, name), patterns, bounds)


def means_exact(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    """Return whole numbers, readable ones and as large as the sums allow."""
    large = max(3, min(wide_of(dtype), limit_of(dtype) // geometry.terms))
    return (Pattern(("ramp", 1)), Pattern(("integers", 3)), Pattern(("integers", large)))


def means_real(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    """Return data of either sign, of one sign, and small ones beside large ones."""
    return (Pattern(("normal", 1)), Pattern(("positive", 1)), Pattern(("spread", 1)))


def means_special(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    """Return what is not finite, subnormal, or so large that the sum of a window leaves a narrower format."""
    few = few_of(geometry)
    guests = (Pattern(("nans", 1)), Pattern(("infinities", few)), Pattern(("nonfinite", few)), Pattern(("tiny", 1000)))
    # In float16 the sum of a large window leaves the format where its mean does not.
    return (*guests, Pattern(("positive", 2.0**12 if dtype == "float16" else 2.0**61)))


def mean_bound(
    w: Windows, along: Sequence[Array], expected: Array, arithmetic: Arithmetic, divisions: int = 1
) -> Bound:
    """Return the bound of the sums of windows over their divisors, along: these, axis by axis.

    divisions: by how many numbers in turn a sum may be divided; each but the first rounds once more.
    """
    total, divisor = w.finished(pooled(np.add, np.abs(w.x), w.lines, 0)), outer(along)
    terms = math.prod(line.depth for line in w.lines) + divisions - 1
    bound = sum_of_products(total, terms, expected, [w.x], arithmetic, divisor)
    more = (divisions - 1) * arithmetic.accumulator.roundoff
    if arithmetic.partials:  # what is divided is a partial sum too
        more += divisions * arithmetic.output.roundoff
    if not more or np.all(_dyadic(divisor)):
        return bound
    with np.errstate(invalid="ignore"):
        further = np.where(_dyadic(divisor), 0.0, more * (np.abs(expected) + bound.absolute))
    return _of_stored_quotients(Bound(bound.absolute + further), divisions, arithmetic)


def mean_gradient_bound(
    g: Array, lines: Sequence[Line], along: Sequence[Array], expected: Array, arithmetic: Arithmetic, divisions: int = 1
) -> Bound:
    """Return the bound of the sums of cotangents over their divisors, over the windows that have an element.

    These are sums of the products of g and 1 / divisor: m terms have a rounded reciprocal, a product and m - 1
    additions between them and the sum, as many roundings as `sum_of_products` grants them. Where all divisors are
    powers of two, the shares are whole numbers over the largest, and nothing is rounded.
    """
    divisor = np.asarray(outer(along), np.float64)
    common = float(divisor.max(initial=1)) if np.all(_dyadic(divisor)) else 1.0
    shares = common / divisor
    magnitude = spread(np.abs(g) * shares, lines)
    terms = int(spread(np.ones((1, 1, *g.shape[2:])), lines).max(initial=1)) + divisions - 1
    bound = sum_of_products(magnitude, terms, expected, [g, shares], arithmetic, common)
    return _of_stored_quotients(bound, terms * divisions, arithmetic)


def _of_stored_quotients(bound: Bound, count: int, arithmetic: Arithmetic) -> Bound:
    """Add what quotients lose that are stored on the way, and subnormal there; sums of these would lose nothing."""
    if not arithmetic.partials:
        return bound
    lost = count * arithmetic.output.least_subnormal
    return Bound(np.where(bound.absolute > 0, bound.absolute + lost, bound.absolute))


def means_cotangents(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    """Return data for the gradient of a mean, for which the input does not matter."""
    return tuple(Pattern(("integers", 3), {"cotangent": g}) for g in cotangents(geometry, dtype, geometry.terms))


def _dyadic(divisor: Array | int) -> Any:
    return np.frexp(divisor)[0] == 0.5


def region(w: Windows, index: tuple[int, ...]) -> Arrays:
    """Return the elements of one window of neighbours."""
    n, c, *at = index
    parts: list[Any] = [n, c]
    for line, i in zip(w.lines, at, strict=True):
        starts, ends = (np.asarray(part)[n, c] if line.planewise else part for part in (line.starts, line.ends))
        parts.append(slice(starts[i], ends[i]))
    return {"input": w.x[tuple(parts)]}


def batched(attributes: Attributes) -> tuple[str, ...]:
    """Return that every sample of the input is answered by itself."""
    return ("input",)


OPERATORS = ()  # none of its own
