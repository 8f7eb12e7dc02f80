"""Padding as an operator."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import reference
from conformance.bounds import copies, sum_of_products
from conformance.model import Arithmetic, Arrays, Attributes, Bound, Breakages, Geometry, Gradient, Operator, Pattern
from conformance.strategies import WRAP, Choices, batch_size, drawn, stretched, widened


@drawn
def _geometries(choose: Choices, purpose: str) -> Geometry:
    mode = choose.one_of(("constant", "reflect", "replicate", "circular"))
    rank = choose.whole(1, 3)
    large = stretched(choose, "channels", "wide") if purpose == "values" else "none"
    spatial = [choose.whole(1, 6) for _ in range(rank)]
    spatial[-1] += widened(choose, large == "wide")
    shape = (batch_size(choose, purpose), choose.whole(1, 3) + widened(choose, large == "channels"), *spatial)
    if mode == "constant":
        axes = choose.whole(1, rank)
        most, least = dict.fromkeys(shape, 4), 3
    else:
        # Frameworks pad by copies only along all the spatial axes, and never crop in these modes.
        axes = rank
        most, least = {n: {"reflect": n - 1, "replicate": 4, "circular": n}[mode] for n in shape}, 0
    pad: list[int] = []
    for n in reversed(shape[-axes:]):
        low = choose.whole(-min(least, (n - 1) // 2), most[n])
        pad += (low, choose.whole(-min(least, (n - 1) // 2), most[n]))
    attributes: dict[str, Any] = {"pad": tuple(pad)}
    if mode != "constant":
        attributes["mode"] = mode
    elif choose.flag():
        attributes["value"] = choose.one_of((1.5, -2.5, 0.0))
    return Geometry({"input": shape}, attributes)


def _exact(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    return (Pattern(("ramp", 1)), Pattern(("integers", 100)))


def _real(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    return (Pattern(("normal", 1)), Pattern(("positive", 1)), Pattern(("spread", 1)))


def _special(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    shape = geometry.shapes["input"]
    assert shape is not None
    few = max(1, math.prod(shape) // 4)
    return tuple(Pattern((kind, few)) for kind in ("nans", "infinities", "nonfinite", "negative_zeros", "tiny", "huge"))


def _pulled(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    return (Pattern(("ramp", 1)), Pattern(("integers", 10)), Pattern(("normal", 1)), Pattern(("spread", 1)))


def _pulled_bounds(
    inputs: Arrays, attributes: Attributes, expected: Arrays, arithmetic: Arithmetic
) -> dict[str, Bound]:
    """Return the bound of sums over all that are copies of an element: that of a constant padding is a copy itself."""
    g, x, call = inputs["cotangent"], inputs["input"], {k: v for k, v in attributes.items() if k != "value"}
    magnitude = reference.vjp.pad(np.abs(g), x, **call)
    terms = int(reference.vjp.pad(np.ones(g.shape), x, **call).max(initial=1))
    return {"input": sum_of_products(magnitude, terms, expected["input"], [g], arithmetic)}


def _bounds(inputs: Arrays, attributes: Attributes, expected: Arrays, arithmetic: Arithmetic) -> dict[str, Bound]:
    return copies(expected, zero_sign=True)


def _window(inputs: Arrays, attributes: Attributes, index: tuple[int, ...]) -> Arrays:
    """Return the input along the last axis, which padding changes first."""
    x, pad = inputs["input"], attributes["pad"]
    lows = [0] * (x.ndim - len(pad) // 2) + [pad[2 * i] for i in reversed(range(len(pad) // 2))]
    row = tuple(min(max(i - low, 0), n - 1) for i, low, n in zip(index, lows, x.shape, strict=True))
    return {"input along the last axis": x[row[:-1]], "position": np.asarray(index[-1] - lows[-1])}


def _rejections(geometry: Geometry) -> Breakages:
    x = geometry.shapes["input"]
    assert x is not None
    plain = {"mode": "constant", "value": None}
    reach = 2 * (len(x) - 2)
    broken: Breakages = [
        ("pad", {**plain, "pad": (1,)}),
        ("pad", {**plain, "pad": (1,) * (2 * len(x) + 2)}),
        *(("output-size", {**plain, "pad": pad}) for pad in ((-x[-1], -1), (-WRAP, 1))),
        ("mode", {"mode": "everywhere", "value": None}),
        ("value", {"mode": "replicate", "value": 1.5, "pad": (1,) * reach}),
        ("pad-size", {"mode": "reflect", "value": None, "pad": (x[-1], *(0,) * (reach - 1))}),
        ("pad-size", {"mode": "circular", "value": None, "pad": (x[-1] + 1, *(0,) * (reach - 1))}),
        *(
            ("pad-size", {"mode": mode, "value": None, "pad": (0, WRAP) * (reach // 2)})
            for mode in ("reflect", "circular")
        ),
    ]
    return broken


def _accepted(geometry: Geometry) -> Breakages:
    plain = {"mode": "constant", "value": None}
    return [
        ("an empty axis that padding fills", {**plain, "input": (2, 0), "pad": (1, 2)}),
        ("an axis that is cropped to nothing", {**plain, "input": (2, 3), "pad": (-2, -1)}),
        ("a crop of one side that the other makes up for", {**plain, "input": (2, 3), "pad": (-3, 4)}),
        ("no padding", {**plain, "pad": (0, 0)}),
        ("every axis padded", {**plain, "input": (1, 2, 3), "pad": (1, 0, 0, 2, 1, 1)}),
    ]


OPERATORS = (
    Operator(
        name="pad",
        reference=reference.pad,
        geometries=_geometries,
        exact=_exact,
        real=_real,
        special=_special,
        bounds=_bounds,
        window=_window,
        rejections=_rejections,
        accepted=_accepted,
        gradient=Gradient(reference.vjp.pad, _pulled, _pulled_bounds),
        per_sample=lambda attributes: ("input",),
        layers=lambda shorter: [
            Geometry({"input": (1, 64, 56 // shorter, 56)}, {"pad": (1, 1, 1, 1)}),
            Geometry({"input": (1, 64, 56 // shorter, 56)}, {"pad": (3, 3, 3, 3), "mode": "reflect"}),
        ],
    ),
)
