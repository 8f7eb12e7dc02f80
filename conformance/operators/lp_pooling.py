"""Power-average pooling: the p-norm of each window."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

import reference.vjp
from conformance.bounds import copies, gamma
from conformance.formats import Array, Format
from conformance.intervals import ENDS, LIBRARY
from conformance.model import Arithmetic, Arrays, Attributes, Bound, Breakages, Geometry, Gradient, Operator, Pattern
from conformance.operators import pools
from conformance.operators.pooling import kernel_rejections, kernel_window, window_attributes
from conformance.strategies import Choices, drawn, window_axis
from reference.lp_pooling import Norm, norm_windows
from reference.pooling_windows import pooled, spread

# Even and odd, whole and not, below 1 and below 0, and the two limits; all that are finite fit every format.
NORMS = (2.0, 1.0, 3.0, 4.0, 1.5, 0.5, -1.0, -2.0, math.inf, -math.inf)


def _geometries(rank: int) -> Any:
    @drawn
    def geometries(choose: Choices, purpose: str) -> Geometry:
        batch, channels, large = pools.planes(choose, purpose, rank)
        reach, ceil_mode = replace(pools.reach_of(large, purpose, rank), padding=0), choose.flag()
        wide = [large == "wide" and i == rank - 1 for i in range(rank)]
        axes = [window_axis(choose, reach, ceil=ceil_mode, dilated=False, wide=w) for w in wide]
        # Arrays that share their memory hold numbers of either sign, whatever the pattern is.
        norms = [p for p in NORMS if _signed(p, "bfloat16")] if purpose == "layouts" else NORMS
        attributes = {"norm_type": choose.one_of(norms), **window_attributes(choose, axes, ceil_mode)}
        shape = (batch, channels, *(a.size for a in axes))
        return Geometry({"input": shape}, attributes, math.prod(a.kernel for a in axes))

    return geometries


def _signed(p: float, dtype: str) -> bool:
    """Whether powers of negative numbers are numbers, and no rounding can turn the sign of their sum."""
    return p in (1, 2, 4, -2) or math.isinf(p) or (p == 3 and dtype in ("float32", "float64"))


def _exact(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    """Return whole numbers, small ones where the powers are large."""
    p = geometry.attributes["norm_type"]
    if not _signed(p, dtype):
        return (Pattern(("ramp", 3)), Pattern(("ramp", 7)))
    return pools.means_exact(geometry, dtype) if p == 1 else (Pattern(("ramp", 7)), Pattern(("integers", 3)))


def _real(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    p = geometry.attributes["norm_type"]
    small = (Pattern(("positive", 1)), Pattern(("positive", 0.25)))
    return (Pattern(("normal", 1)), *small) if _signed(p, dtype) and p != 3 else small


def _special(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    """Return what is not finite, and what is tiny or so large that its powers overflow."""
    few, p = pools.few_of(geometry), geometry.attributes["norm_type"]
    guests: tuple[Pattern, ...] = (Pattern(("nans", 1)), Pattern(("nans", few)))
    if p == 2 or math.isinf(p):
        guests = (*guests, Pattern(("infinities", few)), Pattern(("nonfinite", few)))
    return (*guests, Pattern(("huge", 1)), Pattern(("tiny", 3))) if math.isinf(p) else guests


def _sums(norm: Norm, arithmetic: Arithmetic) -> tuple[Array, Array]:
    """Return the sum of powers of each window, scaled, and how far an honest one may be from it.

    A power of a library is off by LIBRARY units in the last place (two roundoffs each), a square by one rounding. Then
    come n - 1 additions, a division and a multiplication, and where steps are stored in the output format one more
    rounding for each of power, mean and sum. Whole numbers over a power of two are not rounded at all.
    """
    u, scale = arithmetic.accumulator.roundoff, norm.scale()
    total = norm.total(scale)
    size = pooled(np.add, np.abs(norm.power(norm.p)), norm.windows.lines, 0) * scale
    counts = [line.lengths() for line in norm.windows.lines]
    whole = norm.p in (1, 2) and np.array_equal(norm.x, np.rint(norm.x))
    dyadic = all(np.all(np.frexp(count)[0] == 0.5) for count in counts)
    taps, kept = math.prod(line.depth for line in norm.windows.lines), _kept_in(arithmetic)
    # The powers and their reciprocals may vanish on the way.
    loss = (1 + _power_loss(norm.p, u)) * (1 + gamma(taps + 3, u)) * (1 + _stored_loss(arithmetic, 3)) - 1
    far = np.where(size < kept.largest / 2, size * loss + 2 * taps * taps * kept.least_subnormal, np.inf)
    return total, np.where(whole & dyadic & (size * taps <= 2.0**kept.bits), 0.0, far)


def _kept_in(arithmetic: Arithmetic) -> Format:
    """Return the format of what is kept between two steps."""
    return arithmetic.output if arithmetic.partials else arithmetic.accumulator


def _power_loss(exponent: float, u: float) -> float:
    """Return how far a power may be from the exact one, as a share of it."""
    if exponent in (0, 1):
        return ENDS
    return ENDS + (u if exponent == 2 else 2 * LIBRARY * u)


def _stored_loss(arithmetic: Arithmetic, times: int) -> float:
    return gamma(times, arithmetic.output.roundoff) if arithmetic.partials else 0.0


def _powered(total: Array, far: Array, exponent: float, arithmetic: Arithmetic) -> tuple[Array, Array]:
    """Return sums to a power, and how far honest ones may be: infinite where the sign of the sum is not sure.

    The exponent, 1 / p or that less 1, is rounded too, which the logarithm of the sum magnifies.
    """
    kept = _kept_in(arithmetic)
    value = total**exponent
    ends = [np.abs((total + side) ** exponent - value) for side in (-far, far)]
    spelled = 0.0 if math.log2(abs(exponent) or 1).is_integer() else kept.roundoff * (1 + abs(exponent))
    loss = _power_loss(exponent, arithmetic.accumulator.roundoff) + _stored_loss(arithmetic, 1)
    lost = np.abs(value) * (loss + spelled * np.abs(np.log(np.abs(total))))
    limit = np.maximum(*ends) + lost + kept.least_subnormal * (exponent != 1)
    limit = np.where((exponent == 1) & (far == 0), 0.0, limit)
    unsure = (far > 0) & (np.abs(total) <= far) & (exponent != 1)
    return value, np.where(unsure | np.isnan(limit), np.inf, limit)


def _norm(rank: int, inputs: Arrays, attributes: Attributes) -> Norm:
    rest = {"stride": None, "ceil_mode": False, **attributes}
    return norm_windows(rank, inputs["input"], **rest, sign_rule="power", overhang="rescale")


def _bounds(rank: int) -> Any:
    def bounds(inputs: Arrays, attributes: Attributes, expected: Arrays, arithmetic: Arithmetic) -> dict[str, Bound]:
        norm = _norm(rank, inputs, attributes)
        if math.isinf(norm.p):
            return copies(expected)
        with np.errstate(all="ignore"):
            limit = norm.windows.finished(_powered(*_sums(norm, arithmetic), 1 / norm.p, arithmetic)[1])
        return {"output": Bound(_once_more(limit, expected["output"], arithmetic))}

    return bounds


def _once_more(limit: Array, expected: Array, arithmetic: Arithmetic) -> Array:
    """Add the rounding to an output format that is narrower than the accumulator."""
    out = arithmetic.output
    if out.bits >= arithmetic.accumulator.bits:
        return limit
    fits = (limit == 0) & (expected == np.rint(expected)) & (np.abs(expected) <= 2.0**out.bits)
    with np.errstate(all="ignore"):
        return np.where(fits, 0.0, limit + out.roundoff * (np.abs(expected) + limit) + out.least_subnormal)


def _gradient_patterns(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    data = (*_exact(geometry, dtype)[:2], *_real(geometry, dtype)[:2])
    fills = (("ramp", 5.0), ("integers", 3.0), ("normal", 1.0), ("integers", 3.0))
    return tuple(Pattern(x.rest, {"cotangent": g}) for x, g in zip(data, fills, strict=True))


def _gradient(rank: int) -> Gradient:
    def bounds(inputs: Arrays, attributes: Attributes, expected: Arrays, arithmetic: Arithmetic) -> dict[str, Bound]:
        norm, g = _norm(rank, inputs, attributes), inputs["cotangent"]
        if math.isinf(norm.p):
            sizes = np.copysign(np.abs(inputs["input"]), norm.p)
            windows = {k: v for k, v in attributes.items() if k != "norm_type"}
            indices = getattr(reference, f"max_pool{rank}d")(sizes, **windows, return_indices=True).indices
            return {"input": pools.scattered_bound(g, indices, expected["input"], arithmetic)}
        with np.errstate(all="ignore"):
            limit = _slope_bound(norm, g, arithmetic)
        return {"input": Bound(_once_more(limit, expected["input"], arithmetic))}

    return Gradient(getattr(reference.vjp, f"lp_pool{rank}d"), _gradient_patterns, bounds)


def _slope_bound(norm: Norm, g: Array, arithmetic: Arithmetic) -> Array:
    """Return the bound of x**(p - 1) * sum of g * r * t**(1/p - 1), with the sums t of `_sums`.

    The chain rule multiplies with p, 1 / p, the taps of the kernel and their reciprocal too: ten roundings at most,
    beside those of the powers and of the m - 1 additions of m windows that have the element.
    """
    u, p, lines = arithmetic.accumulator.roundoff, norm.p, norm.windows.lines
    total, far = _sums(norm, arithmetic)
    slope, near = _powered(total, far, 1 / p - 1, arithmetic)
    factor = np.abs(g) * norm.scale()
    # At a sum of 0 there is a kink, or a pole; close to it the slope may leave the format that it is kept in.
    taps, kept = math.prod(line.depth for line in lines), _kept_in(arithmetic)
    steep = np.maximum(np.abs(g), 1) * np.abs(slope) * taps * max(abs(p), 1) >= kept.largest
    near = np.where(((np.abs(total) <= far) & (far > 0)) | steep, np.inf, near)
    size = spread(np.where(total == 0, 0.0, factor * np.abs(slope)), lines)
    margin = spread(np.where((total == 0) & (far == 0), 0.0, factor * near), lines)
    count = int(spread(np.ones((1, 1, *g.shape[2:])), lines).max(initial=1))
    steps = (1 + gamma(count + 10, u)) * (1 + _stored_loss(arithmetic, count + 8))
    loss = steps * (1 + _power_loss(p - 1, u)) - 1
    power = np.abs(norm.power(p - 1))
    # Every factor on the way may become subnormal, and is multiplied with others then.
    vanished = (count + 10) * taps * max(abs(p), 1) * kept.least_subnormal
    factors = np.maximum(np.abs(g), 1).max(initial=1)
    limit = power * (margin + (size + margin) * loss + vanished * factors) + vanished * (1 + size + margin)
    limit = np.where(np.maximum(power * max(abs(p), 1), (size + margin) * taps) >= kept.largest, np.inf, limit)
    plain = p == 1 and np.all(norm.scale() == 1) and _dyadic_taps(norm)
    whole = plain and np.array_equal(g, np.rint(g)) and not np.any(far)
    limit = np.where(whole & (size * taps <= 2.0**kept.bits), 0.0, limit)
    return np.where(np.isnan(limit), np.inf, limit)


def _dyadic_taps(norm: Norm) -> bool:
    return all(math.log2(line.depth).is_integer() for line in norm.windows.lines)


def _rejections(rank: int) -> Any:
    def rejections(geometry: Geometry) -> Breakages:
        return [
            *kernel_rejections(rank, geometry),
            ("kernel-size", {"kernel_size": (2,) * (rank + 1)}),
            ("norm-type", {"norm_type": 0.0}),
        ]

    return rejections


def _accepted(geometry: Geometry) -> Breakages:
    x = geometry.shapes["input"]
    assert x is not None
    return [
        ("a stride may be longer than the input", {"stride": max(x[2:]) + 100}),
        ("there may be no batch axis", {"input": x[1:]}),
    ]


def _layers(rank: int) -> Any:
    def layers(shorter: int) -> list[Geometry]:
        found = pools.layers_of(rank)(shorter)
        return [g.changed(norm_type=2.0) for g in found if "padding" not in g.attributes]

    return layers


def _operator(rank: int) -> Operator:
    name = f"lp_pool{rank}d"
    return Operator(
        name=name,
        reference=getattr(reference, name),
        geometries=_geometries(rank),
        exact=_exact,
        real=_real,
        special=_special,
        bounds=_bounds(rank),
        window=partial(kernel_window, rank),
        rejections=_rejections(rank),
        accepted=_accepted,
        gradient=_gradient(rank),
        per_sample=pools.batched,
        layers=_layers(rank),
    )


OPERATORS = tuple(map(_operator, (1, 2, 3)))
