"""Local response normalization: division by a power of the mean square of neighbouring channels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

import reference
import reference.vjp
from conformance.bounds import REFERENCE, gamma, stored
from conformance.formats import Array, Format
from conformance.model import Arithmetic, Arrays, Attributes, Bound, Breakages, Geometry, Gradient, Operator, Pattern
from conformance.patterns import LARGE
from conformance.strategies import WRAP, Choices, batch_size, drawn, stretched
from reference.local_response import LocalCall, channel_sums, local_call

DEFAULTS: dict[str, Any] = {"alpha": 1e-4, "beta": 0.75, "k": 1.0}


@drawn
def _geometries(choose: Choices, purpose: str) -> Geometry:
    large = stretched(choose, "channels", "spatial") if purpose == "values" else "none"
    channels = choose.whole(1, 6) + choose.one_of((8, 13, 29)) * (large == "channels")
    spatial = tuple(choose.whole(1, 4) for _ in range(choose.whole(1, 3)))
    if large == "spatial":
        spatial = (*spatial[:1], choose.one_of((15, 16, 17, 31, 32, 33, 64)))
    size = choose.one_of((1, 2, 3, 4, 5, 2 * channels + 1))
    drawn = {
        "alpha": choose.one_of((1e-4, 1.0, 0.5, 3.0)),
        "beta": choose.one_of((0.75, 0.5, 1.0, 2.0)),
        "k": choose.one_of((1.0, 2.0, 0.5)),
    }
    attributes = {"size": size, **{name: value for name, value in drawn.items() if value != DEFAULTS[name]}}
    return Geometry({"input": (batch_size(choose, purpose), channels, *spatial)}, attributes, size + 1)


def _exact(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    """Return data for which the base of the power is whole, and the power is the first."""
    return tuple(
        Pattern((kind, scale), attributes={"size": size, "alpha": float(size), "beta": 1.0, "k": k})
        for kind, scale, size, k in (("integers", 1, 2, 2.0), ("integers", 1, 4, 4.0), ("integers", 3, 2, 3.0))
    )


def _real(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    usual = {"alpha": 1.0, "beta": 0.75}  # so that what is divided by is not almost 1
    return (
        Pattern(("normal", 1)),
        Pattern(("normal", 1), attributes=usual),
        Pattern(("positive", 4), attributes=usual),
        Pattern(("normal", 2.0**-4), attributes={**usual, "k": 2.0**-8}),
    )


def _special(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    """Return NaN and infinities, which reach only channels near them, and subnormals, whose squares are 0.

    Last, values as large as their squares allow; of larger ones these overflow without a wider accumulator.
    """
    guests = (("nans", 1), ("infinities", 1), ("tiny", 100))
    patterns = [Pattern(guest, attributes={"alpha": 1.0}) for guest in guests]
    if dtype != "float16":
        patterns.append(Pattern(("normal", LARGE), attributes={"alpha": 1.0, "beta": 0.75}))
    return tuple(patterns)


def _call(inputs: Arrays, attributes: Attributes) -> LocalCall:
    given = {**DEFAULTS, **attributes}
    return local_call(inputs["input"], given["size"], given["alpha"], given["beta"], given["k"], "lower", "mean")


class _Power(NamedTuple):
    """base**-beta: the base, the relative error of the power, where the base is exact, and how far its powers reach."""

    base: Array
    slip: Array
    exact: Array
    reach: Array


def _format(arithmetic: Arithmetic) -> Format:
    """Return what the base and its power are kept in."""
    return arithmetic.output if arithmetic.partials else arithmetic.accumulator


def _power(call: LocalCall, size: int, beta: float, arithmetic: Arithmetic) -> _Power:
    """Return what is divided by, a power `beta` of the base, and its error but for that of taking the power."""
    kept, format = gamma(arithmetic.partials, arithmetic.output.roundoff), _format(arithmetic)
    squares = channel_sums(np.square(call.x), call.below, call.above)
    base = call.k + call.alpha * squares
    magnitude = abs(call.k) + abs(call.alpha) * squares
    least = 2 * format.least_normal if arithmetic.flushes else format.least_subnormal
    far = (gamma(size + 6, arithmetic.accumulator.roundoff) + kept) * magnitude + least * (1 + abs(call.alpha) * size)
    # A mean of whole squares over a power of two, times a whole number that makes it whole again.
    whole = size & (size - 1) == 0 and call.alpha == np.rint(call.alpha) and call.k == np.rint(call.k)
    exact = (call.x == np.rint(call.x)) & (magnitude * size <= 2.0**format.bits) & whole
    exact = channel_sums(1.0 - exact, call.below, call.above) == 0
    rho = np.where(exact, 0.0, far / np.abs(base))
    slip = np.where(rho < 1, (1 - rho) ** -abs(beta) - 1, np.inf)
    return _Power(base, slip, exact, np.maximum(np.abs(base), 1 / np.abs(base)))


def _bounds(inputs: Arrays, attributes: Attributes, expected: Arrays, arithmetic: Arithmetic) -> dict[str, Bound]:
    call, acc, out = _call(inputs, attributes), arithmetic.accumulator, arithmetic.output
    with np.errstate(all="ignore"):
        base, slip, exact, reach = _power(call, attributes["size"], call.beta, arithmetic)
        y, first = expected["output"].reshape(call.x.shape), exact & (call.beta == 1)
        # The power has an error of its own, unless it is the first: 4 units in the last place, and the rounding of it.
        power = np.where(first, 0.0, gamma(8, acc.roundoff) + (out.roundoff if arithmetic.partials else 0.0))
        quotient = np.where(np.frexp(base)[0] == 0.5, 0.0, gamma(1, acc.roundoff))
        absolute = np.abs(y) * ((1 + slip) * (1 + power) * (1 + quotient) - 1) * (1 + REFERENCE / acc.roundoff)
        absolute += np.where(first, 0.0, 2 * acc.least_subnormal)
        absolute = stored(absolute, y, arithmetic, first & (quotient == 0) & (np.abs(call.x) <= 2.0**out.bits))
        return {"output": _within(absolute, reach ** max(abs(call.beta), 1), call, expected["output"], arithmetic)}


def _gradient_bounds(
    inputs: Arrays, attributes: Attributes, expected: Arrays, arithmetic: Arithmetic
) -> dict[str, Bound]:
    """Return the bound of g / b**beta - 2 alpha beta x * (sum of g x / b**(beta + 1)), in any association.

    The powers are made of at most beta + 2 factors that have the error of the base.
    """
    ((name, gradient),) = expected.items()
    call, acc, size = _call(inputs, attributes), arithmetic.accumulator, attributes["size"]
    g = inputs["cotangent"].reshape(call.x.shape)
    with np.errstate(all="ignore"):
        base, slip, _, reach = _power(call, size, abs(call.beta) + 2, arithmetic)
        direct = np.abs(g) * np.abs(base) ** -call.beta
        each = direct * np.abs(call.x / base)
        powers = reach ** max(abs(call.beta), abs(call.beta - 1))
        spoiled, pulled = _pulled(call, each * slip), _pulled(call, each * (1 + slip))
        factor = 2 * abs(call.alpha * call.beta) * np.abs(call.x)
        steps = gamma(size + 24, acc.roundoff)
        if arithmetic.partials:  # every operation of the way back is rounded to the output format
            steps += gamma(size + 12, arithmetic.output.roundoff)
        absolute = direct * slip + factor * spoiled + steps * (direct * (1 + slip) + factor * pulled)
        absolute = absolute * (1 + REFERENCE / acc.roundoff)
        absolute += 8 * _format(arithmetic).least_subnormal * (1 + factor) * (1 + _pulled(call, powers))
        absolute = stored(absolute, gradient.reshape(call.x.shape), arithmetic)
        square = direct * np.abs(call.x) * np.abs(base) ** -call.beta
        furthest = np.maximum(powers, (1 + factor) * _pulled(call, np.maximum(direct, np.maximum(each, square))))
        return {name: _within(absolute, furthest, call, gradient, arithmetic)}


def _pulled(call: LocalCall, values: Array) -> Array:
    """Return the sums over the channels in whose windows each channel is."""
    return channel_sums(values, call.above, call.below)


def _within(absolute: Array, reach: Array, call: LocalCall, expected: Array, arithmetic: Arithmetic) -> Bound:
    """Return the bound, waived where a square or a power on the way may leave the numbers that are normal."""
    format = _format(arithmetic)
    squares = channel_sums(np.square(call.x), call.below, call.above) * max(1.0, abs(call.alpha))
    beyond = (squares * 1.01 >= format.largest) | (reach * 1.01 >= min(format.largest, 1 / format.least_normal))
    unknown = np.isnan(absolute) & np.isfinite(expected.reshape(call.x.shape))
    return Bound(np.where(beyond | unknown, np.inf, absolute).reshape(expected.shape))


def _gradient_patterns(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    whole = [replace(p, kinds={**p.kinds, "cotangent": ("integers", 2)}) for p in _exact(geometry, dtype)]
    real = [replace(p, kinds={**p.kinds, "cotangent": ("normal", 1)}) for p in _real(geometry, dtype)]
    return (*whole, *real)


def _window(inputs: Arrays, attributes: Attributes, index: tuple[int, ...]) -> Arrays:
    n, c, *at = index
    size = attributes["size"]
    channels = slice(max(c - size // 2, 0), c + (size - 1) // 2 + 1)
    plane: tuple[int | slice, ...] = (n, channels, *at)
    return {"input": inputs["input"][plane]}


def _rejections(geometry: Geometry) -> Breakages:
    x = geometry.shapes["input"]
    assert x is not None
    broken: Breakages = [
        ("input-rank", {"input": x[:2]}),
        ("input-rank", {"input": x[:1]}),
        *(("size", {"size": size}) for size in (0, -1, 1 - WRAP)),
    ]
    return broken


def _accepted(geometry: Geometry) -> Breakages:
    x = geometry.shapes["input"]
    assert x is not None
    odd: Breakages = [
        ("a window wider than all channels", {"size": 2 * x[1] + 7}),
        ("a power of 0", {"beta": 0.0}),
        ("a negative power", {"beta": -0.5}),
        ("no squares", {"alpha": 0.0, "k": 2.0}),
        ("a constant of 0", {"input": (x[0], x[1], 2), "k": 0.0, "alpha": 1.0}),
    ]
    return odd


OPERATORS = (
    Operator(
        name="local_response_norm",
        reference=reference.local_response_norm,
        geometries=_geometries,
        exact=_exact,
        real=_real,
        special=_special,
        bounds=_bounds,
        window=_window,
        rejections=_rejections,
        accepted=_accepted,
        gradient=Gradient(reference.vjp.local_response_norm, _gradient_patterns, _gradient_bounds),
        # Both of the network that it was made for.
        layers=lambda shorter: [
            Geometry({"input": (1, channels, n // shorter, n // shorter)}, {"size": 5, "k": 2.0}, 6)
            for channels, n in ((96, 55), (256, 27))
        ],
        per_sample=lambda attributes: ("input",),
        conventions={"extra": "lrn_extra", "scale": "lrn_scale"},
    ),
)
