"""Max unpooling: numbers are put back where indices say."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import reference.vjp
from conformance.bounds import copies
from conformance.model import Arithmetic, Arrays, Attributes, Bound, Breakages, Geometry, Gradient, Operator, Pattern
from conformance.operators import pools
from conformance.strategies import FEW, WRAP, Choices, Ranges, drawn, shorter_along, spelled, widened
from reference.constraints import per_axis


def _geometries(rank: int) -> Any:
    @drawn
    def geometries(choose: Choices, purpose: str) -> Geometry:
        batch, channels, large = pools.planes(choose, purpose, rank)
        reach = pools.reach_of(large, purpose, rank)
        axes = [_axis(choose, reach, large == "wide" and i == rank - 1) for i in range(rank)]
        windows, kernel, stride, padding, output = zip(*axes, strict=True)
        attributes = spelled(kernel_size=(kernel, None))
        if stride != kernel or choose.flag():
            attributes |= spelled(stride=(stride, None))
        attributes |= spelled(padding=(padding, 0))
        if output != _plain(windows, kernel, stride, padding) or choose.flag():
            attributes["output_size"] = output
        shape = (batch, channels, *windows)
        return Geometry({"input": shape, "indices": shape}, attributes)

    return geometries


def _axis(choose: Choices, reach: Ranges, wide: bool) -> tuple[int, int, int, int, int]:
    """Draw windows, kernel, stride, padding and output size along an axis, with a place for every window."""
    windows = choose.whole(1, min(reach.output, 9) if choose.flag() else FEW) + widened(choose, wide)
    kernel, stride, change = choose.whole(1, reach.kernel), choose.whole(1, reach.stride), choose.whole(0, 6) - 3
    padding = choose.whole(0, kernel // 2)
    if (windows - 1) * stride + kernel - 2 * padding < windows:
        padding = 0
    output = (windows - 1) * stride + kernel - 2 * padding
    changed = output + max(1 - stride, min(change, stride - 1))
    return windows, kernel, stride, padding, changed if changed >= windows else output


def _plain(windows: Any, kernel: Any, stride: Any, padding: Any) -> tuple[int, ...]:
    axes = zip(windows, kernel, stride, padding, strict=True)
    return tuple((n - 1) * s + k - 2 * p for n, k, s, p in axes)


def _size(geometry: Geometry) -> tuple[int, ...]:
    """Return the spatial axes of the output."""
    given, windows = geometry.attributes, (geometry.shapes["input"] or ())[2:]
    kernel = per_axis("kernel-size", "kernel_size", given["kernel_size"], len(windows), 1)
    stride = per_axis("stride", "stride", given.get("stride", kernel), len(windows), 1)
    padding = per_axis("padding", "padding", given.get("padding", 0), len(windows), 0)
    plain = _plain(windows, kernel, stride, padding)
    return tuple(given["output_size"]) if given.get("output_size") else plain


def _placed(*kinds: tuple[str, float]) -> Any:
    """Return patterns with indices beside them, no two of them the same."""

    def patterns(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
        places = {"indices": ("places", math.prod(_size(geometry)))}
        wide = ("integers", pools.wide_of(dtype) if dtype != "float16" else 2047)
        return tuple(Pattern(wide if kind == "wide" else (kind, scale), places) for kind, scale in kinds)

    return patterns


def _special(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    few = pools.few_of(geometry)
    kinds = [(kind, few) for kind in ("nans", "infinities", "nonfinite")]
    found: tuple[Pattern, ...] = _placed(*kinds, ("negative_zeros", 1), ("tiny", 3), ("huge", 1))(geometry, dtype)
    return found


def _bounds(inputs: Arrays, attributes: Attributes, expected: Arrays, arithmetic: Arithmetic) -> dict[str, Bound]:
    """Return bounds of 0, with the signs of zeros: nothing is computed."""
    return copies(expected, zero_sign=True)


def _cotangents(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    patterns = _placed(("integers", 3), ("integers", 3), ("normal", 1))(geometry, dtype)
    fills = (("ramp", 1.0), ("integers", 100.0), ("normal", 1.0))
    return tuple(Pattern(p.rest, {**p.kinds, "cotangent": g}) for p, g in zip(patterns, fills, strict=True))


def _window(inputs: Arrays, attributes: Attributes, index: tuple[int, ...]) -> Arrays:
    n, c, *_ = index
    return {"input": inputs["input"][n, c], "indices": inputs["indices"][n, c], "position": np.asarray(index[2:])}


def _rejections(rank: int) -> Any:
    def rejections(geometry: Geometry) -> Breakages:
        x = geometry.shapes["input"]
        assert x is not None
        places, axes = math.prod(_size(geometry)), (1,) * (rank - 1)
        plain = {"output_size": None, "padding": 0}
        broken: Breakages = [
            ("input-rank", {"input": (*x, 1, 1), "indices": (*x, 1, 1)}),
            ("spatial-size", {"input": (*x[:2], 0, *x[3:]), "indices": (*x[:2], 0, *x[3:])}),
            *(("kernel-size", {**plain, "kernel_size": size}) for size in (0, -1, 1 - WRAP)),
            *(("stride", {**plain, "stride": step}) for step in (0, 1 - WRAP)),
            ("padding", {"padding": -1, "output_size": None}),
            ("output-size", {"output_size": tuple(n + 1000 for n in _size(geometry))}),
            ("output-size", {"output_size": (*_size(geometry), 1)}),
            *(("output-size", {"output_size": None, "padding": wide}) for wide in (1000, WRAP)),
            ("indices", {"indices": (*x[:-1], x[-1] + 1)}),
            ("indices", {"indices": ("below", 1)}),
        ]
        if places > 1:  # as many windows as there are indices, all of which then occur; the output lacks one element
            shape = (1, 1, places, *axes)
            short = {"kernel_size": (2, *axes), "stride": 1, "padding": (1, *(0 for _ in axes)), "output_size": None}
            broken.append(("indices", {"input": shape, "indices": shape, **short}))
        return broken

    return rejections


def _accepted(geometry: Geometry) -> Breakages:
    x = geometry.shapes["input"]
    assert x is not None
    return [
        ("an output size may name batch and channels", {"output_size": (*x[:2], *_size(geometry))}),
        ("there may be no batch axis", {"input": x[1:], "indices": x[1:]}),
    ]


def _layers(rank: int) -> Any:
    """Return what undoes the last pools of networks that segment images: many planes, and few windows of each."""

    def layers(shorter: int) -> list[Geometry]:
        shape = (1, 64, *(max(28 // shorter_along(rank, shorter), 1),) * rank)
        return [Geometry({"input": shape, "indices": shape}, {"kernel_size": 2})]

    return layers


def _operator(rank: int) -> Operator:
    name = f"max_unpool{rank}d"
    return Operator(
        name=name,
        reference=getattr(reference, name),
        geometries=_geometries(rank),
        exact=_placed(("ramp", 1), ("integers", 3), ("wide", 1)),
        real=_placed(("normal", 1), ("spread", 1)),
        special=_special,
        bounds=_bounds,
        window=_window,
        rejections=_rejections(rank),
        accepted=_accepted,
        gradient=Gradient(getattr(reference.vjp, name), _cotangents, _bounds),
        per_sample=lambda attributes: ("input", "indices"),
        layers=_layers(rank),
    )


OPERATORS = tuple(map(_operator, (1, 2, 3)))
