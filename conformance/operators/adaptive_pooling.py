"""Adaptive pooling: as many windows as are asked for, of sizes that follow."""

from __future__ import annotations

import math
from typing import Any

import reference.vjp
from conformance.formats import Array
from conformance.model import Arithmetic, Arrays, Attributes, Bound, Breakages, Geometry, Gradient, Operator
from conformance.operators import pools
from conformance.strategies import WRAP, Choices, drawn, shorter_along, widened
from reference.adaptive_pooling import regions
from reference.pooling_windows import Windows


def _geometries(rank: int, average: bool) -> Any:
    @drawn
    def geometries(choose: Choices, purpose: str) -> Geometry:
        batch, channels, large = pools.planes(choose, purpose, rank)
        reach = pools.reach_of("" if large == "kernel" else large, purpose, rank).output
        sizes = [_axis(choose, purpose, min(reach, 9), large if i == rank - 1 else "") for i in range(rank)]
        outputs = [o for _, o in sizes]
        output_size: Any = outputs[0] if len(set(outputs)) == 1 and choose.flag() else tuple(outputs)
        if rank > 1 and choose.whole(0, 3) == 3:
            output_size = (None, *outputs[1:])
            sizes[0] = (sizes[0][0], sizes[0][0])
        attributes: dict[str, Any] = {"output_size": output_size}
        if not average and choose.flag() and purpose not in ("gradients", "layouts"):
            attributes["return_indices"] = True
        terms = math.prod(-(-n // max(o, 1)) + 1 for n, o in sizes)
        return Geometry({"input": (batch, channels, *(n for n, _ in sizes))}, attributes, terms)

    return geometries


def _axis(choose: Choices, purpose: str, reach: int, large: str) -> tuple[int, int]:
    """Draw an input and an output size: any, windows that all have one size, one window, or more than elements."""
    n = choose.whole(1, reach) + widened(choose, large == "wide")
    o = choose.whole(0 if purpose == "sizes" else 1, reach)
    if large == "kernel":
        return pools.LONG * o, o
    relation = choose.one_of(("any", "any", "even", "one", "more"))
    return {"any": (n, o), "even": (n * max(o, 1), max(o, 1)), "one": (n, 1), "more": (n, n + o)}[relation]


def _windows(rank: int, inputs: Arrays, attributes: Attributes) -> tuple[Windows, list[Array]]:
    """Return the regions, and how many elements each has along each axis."""
    w = regions(rank, inputs["input"], attributes["output_size"])
    return w, [line.lengths() for line in w.lines]


def _average_bounds(rank: int) -> Any:
    """Return the bounds of means, which may be divided by the length of a region along one axis after the other."""

    def bounds(inputs: Arrays, attributes: Attributes, expected: Arrays, arithmetic: Arithmetic) -> dict[str, Bound]:
        w, along = _windows(rank, inputs, attributes)
        return {"output": pools.mean_bound(w, along, expected["output"], arithmetic, divisions=rank)}

    return bounds


def _average_gradient(rank: int) -> Gradient:
    def bounds(inputs: Arrays, attributes: Attributes, expected: Arrays, arithmetic: Arithmetic) -> dict[str, Bound]:
        w, along = _windows(rank, inputs, attributes)
        g = inputs["cotangent"]
        return {"input": pools.mean_gradient_bound(g, w.lines, along, expected["input"], arithmetic, divisions=rank)}

    return Gradient(getattr(reference.vjp, f"adaptive_avg_pool{rank}d"), pools.means_cotangents, bounds)


def _window(rank: int) -> Any:
    def window(inputs: Arrays, attributes: Attributes, index: tuple[int, ...]) -> Arrays:
        return pools.region(_windows(rank, inputs, attributes)[0], index)

    return window


def _rejections(rank: int) -> Any:
    def rejections(geometry: Geometry) -> Breakages:
        x = geometry.shapes["input"]
        assert x is not None
        return [
            ("input-rank", {"input": (*x, 1, 1)}),
            ("input-rank", {"input": x[2:]}),
            ("spatial-size", {"input": (*x[:2], 0, *x[3:])}),
            *(("output-size", {"output_size": size}) for size in (-1, 1 - WRAP)),
            ("output-size", {"output_size": (*(2,) * (rank - 1), -1)}),
            ("output-size", {"output_size": (2,) * (rank + 1)}),
            ("output-size", {"output_size": ()}),
        ]

    return rejections


def _accepted(geometry: Geometry) -> Breakages:
    x = geometry.shapes["input"]
    assert x is not None
    small = {"input": (*x[:2], *(1 for _ in x[2:]))}
    return [
        ("a single element may fill all windows", {**small, "output_size": 3}),
        ("there may be no batch axis", {"input": x[1:]}),
        ("there may be one window", {"output_size": 1}),
    ]


_LAYERS = ((512, 14, 7), (256, 13, 6), (512, 7, 1))  # of real networks: channels, size, how many windows


def _layers(rank: int) -> Any:
    def layers(shorter: int) -> list[Geometry]:
        found = []
        for channels, size, windows in _LAYERS:
            length = max(size // shorter_along(rank, shorter), 1)
            shape = (1, channels, *(length,) * rank)
            found.append(Geometry({"input": shape}, {"output_size": windows}, (-(-length // windows) + 1) ** rank))
        return found

    return layers


def _operator(rank: int, average: bool) -> Operator:
    name = f"adaptive_{'avg' if average else 'max'}_pool{rank}d"
    return Operator(
        name=name,
        reference=getattr(reference, name),
        geometries=_geometries(rank, average),
        exact=pools.means_exact if average else pools.maxima_exact,
        real=pools.means_real if average else pools.maxima_real,
        special=pools.means_special if average else pools.maxima_special,
        bounds=_average_bounds(rank) if average else pools.maxima_bounds,
        window=_window(rank),
        rejections=_rejections(rank),
        accepted=_accepted,
        gradient=_average_gradient(rank) if average else pools.maxima_gradient(name),
        per_sample=pools.batched,
        layers=_layers(rank),
        conventions={} if average else {"nan": "max_pool_nan"},
    )


OPERATORS = tuple(_operator(rank, average) for average in (False, True) for rank in (1, 2, 3))
