"""Operators that only move elements."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import reference
from conformance.bounds import copies
from conformance.fills import Shape
from conformance.formats import Array
from conformance.model import Arithmetic, Arrays, Attributes, Bound, Breakages, Geometry, Gradient, Operator, Pattern
from conformance.strategies import WRAP, Choices, batch_size, drawn, stretched, widened


def exact(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    """Return whole numbers of which no two neighbours are equal, and others of either sign."""
    return (Pattern(("ramp", 1)), Pattern(("integers", 100)))


def real(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    """Return numbers that use all bits."""
    return (Pattern(("normal", 1)), Pattern(("positive", 1)), Pattern(("spread", 1)))


def special(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    """Return what copies must keep: NaN, infinities, signed zeros, subnormals and the largest numbers."""
    few = max(1, math.prod(geometry.shapes["input"] or ()) // 4)
    return tuple(Pattern((kind, few)) for kind in ("nans", "infinities", "nonfinite", "negative_zeros", "tiny", "huge"))


def pulled(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    """Return cotangents; the input has no part in their way back."""
    return (*exact(geometry, dtype), *real(geometry, dtype)[:1])


def _bounds(inputs: Arrays, attributes: Attributes, expected: Arrays, arithmetic: Arithmetic) -> dict[str, Bound]:
    return copies(expected, zero_sign=True)


def _window(name: str) -> Any:
    """Return a window that finds where an element comes from: the operator moves the places themselves."""

    def window(inputs: Arrays, attributes: Attributes, index: tuple[int, ...]) -> Arrays:
        x: Array = inputs["input"]
        places = getattr(reference, name)(np.arange(x.size).reshape(x.shape), **attributes)
        return {"input": x.reshape(-1)[places[index]], "place": np.asarray(places[index])}

    return window


def _operator(
    name: str,
    geometries: Any,
    rejections: Callable[[Geometry], Breakages],
    accepted: Callable[[Geometry], Breakages],
    per_sample: Callable[[Attributes], tuple[str, ...]],
    layers: Callable[[int], list[Geometry]],
) -> Operator:
    return Operator(
        name=name,
        reference=getattr(reference, name),
        geometries=geometries,
        exact=exact,
        real=real,
        special=special,
        bounds=_bounds,
        window=_window(name),
        rejections=rejections,
        accepted=accepted,
        gradient=Gradient(getattr(reference.vjp, name), pulled, _bounds),
        per_sample=per_sample,
        layers=layers,
    )


@drawn
def _flatten_geometries(choose: Choices, purpose: str) -> Geometry:
    axes = [choose.whole(purpose != "sizes", 5) for _ in range(choose.whole(1, 4))]
    axes[-1] += widened(choose, purpose == "values" and stretched(choose, "wide") == "wide")
    shape = (batch_size(choose, purpose, 4), *axes)
    start = choose.whole(0, len(shape) - 1)
    end = choose.whole(start, len(shape) - 1)
    attributes = {} if start == 0 else {"start_dim": start - len(shape) if choose.flag() else start}
    attributes |= {} if end == len(shape) - 1 else {"end_dim": end - len(shape) if choose.flag() else end}
    return Geometry({"input": shape}, attributes)


def _flatten_rejections(geometry: Geometry) -> Breakages:
    rank = len(geometry.shapes["input"] or ())
    return [
        *(("start-dim", {"start_dim": dim}) for dim in (rank, -rank - 1, WRAP)),
        *(("end-dim", {"end_dim": dim}) for dim in (rank, rank - 1 - WRAP)),
        ("dim-order", {"start_dim": 1, "end_dim": 0}),
    ]


def _flatten_accepted(geometry: Geometry) -> Breakages:
    whole = {"start_dim": 0, "end_dim": -1}
    return [("a single number", {**whole, "input": ()}), ("an empty array", {**whole, "input": (2, 0, 3)})]


def _factor(choose: Choices, purpose: str) -> tuple[int, Shape, Shape, tuple[int, int]]:
    """Draw a factor, the axes before the channels, the channels, and a height and a width."""
    # Where samples are taken apart there must be some, and where one is a NaN there must be others.
    lead = tuple(batch_size(choose, purpose) for _ in range(choose.whole(purpose in ("purity", "laws", "special"), 2)))
    large = stretched(choose, "channels", "wide") if purpose == "values" else "none"
    channels = choose.whole(purpose != "sizes", 3) + widened(choose, large == "channels")
    size = choose.whole(1, 4), choose.whole(1, 5) + widened(choose, large == "wide")
    return choose.whole(1, 4), lead, (channels,), size


@drawn
def _shuffle_geometries(choose: Choices, purpose: str) -> Geometry:
    r, lead, (channels,), size = _factor(choose, purpose)
    return Geometry({"input": (*lead, channels * r * r, *size)}, {"upscale_factor": r})


@drawn
def _unshuffle_geometries(choose: Choices, purpose: str) -> Geometry:
    r, lead, channels, (h, w) = _factor(choose, purpose)
    return Geometry({"input": (*lead, *channels, h * r, w * r)}, {"downscale_factor": r})


def _shuffle_rejections(geometry: Geometry) -> Breakages:
    shape = geometry.shapes["input"] or ()
    return [
        ("input-rank", {"input": shape[-2:]}),
        *(("upscale-factor", {"upscale_factor": factor}) for factor in (0, -2, 1 - WRAP)),
        ("channels", {"input": (*shape[:-3], 4, *shape[-2:]), "upscale_factor": 2 + WRAP}),
        ("channels", {"input": (*shape[:-3], 6, *shape[-2:]), "upscale_factor": 2}),
    ]


def _unshuffle_rejections(geometry: Geometry) -> Breakages:
    shape = geometry.shapes["input"] or ()
    return [
        ("input-rank", {"input": shape[-2:]}),
        *(("downscale-factor", {"downscale_factor": factor}) for factor in (0, -2, 1 - WRAP)),
        ("spatial-size", {"input": (*shape[:-2], 4, 4), "downscale_factor": 2 + WRAP}),
        ("spatial-size", {"input": (*shape[:-2], 3, 4), "downscale_factor": 2}),
        ("spatial-size", {"input": (*shape[:-2], 4, 3), "downscale_factor": 2}),
    ]


def _nothing(geometry: Geometry) -> Breakages:
    factor = dict.fromkeys(geometry.attributes, 2)
    return [
        ("no channels", {**factor, "input": (2, 0, 4, 4)}),
        ("an empty batch", {**factor, "input": (0, 4, 2, 2)}),
        ("no rows", {**factor, "input": (1, 4, 0, 2)}),
    ]


def _of_batches(attributes: Attributes) -> tuple[str, ...]:
    return ("input",)


OPERATORS = (
    _operator(
        "flatten",
        _flatten_geometries,
        _flatten_rejections,
        _flatten_accepted,
        lambda attributes: ("input",) if "start_dim" in attributes else (),
        lambda shorter: [Geometry({"input": (2, 512 // shorter, 7, 7)}, {"start_dim": 1})],
    ),
    _operator(
        "pixel_shuffle",
        _shuffle_geometries,
        _shuffle_rejections,
        _nothing,
        _of_batches,
        lambda shorter: [Geometry({"input": (1, 256, 32 // shorter, 32)}, {"upscale_factor": 2})],
    ),
    _operator(
        "pixel_unshuffle",
        _unshuffle_geometries,
        _unshuffle_rejections,
        _nothing,
        _of_batches,
        lambda shorter: [Geometry({"input": (1, 64, 64 // shorter, 64)}, {"downscale_factor": 2})],
    ),
)
