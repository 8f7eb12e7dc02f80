"""Convolution layers; what their transposes share with them is here too."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import reference
import reference.vjp
from conformance.formats import Array
from conformance.model import Arrays, Attributes, Breakages, Geometry, Operator, Pattern
from conformance.operators.products import Shapes, product_bounds, product_gradient
from conformance.patterns import exact_products, real_products, special_products
from conformance.strategies import (
    FEW,
    WRAP,
    Axis,
    Choices,
    Ranges,
    batch_size,
    drawn,
    pointwise,
    ranges,
    shorter_along,
    spelled,
    stretched,
    window_axis,
)
from reference.constraints import per_axis
from reference.windows import padded, resolve_padding, window_views

HUGE = 2**31, 2**62
# On both sides of where vectors end and kernels for many channels begin.
CHANNELS = (8, 9, 16, 17, 32, 33, 64)
ROWS = (15, 16, 17, 31, 32, 33, 40, 65)
LONG_KERNELS = (7, 9, 11)


@dataclass(frozen=True)
class Scale:
    """How large a case is: batch, groups, channels of a group in and out.

    rows, taps: how many windows, or taps of a window, the last axis has, along which memory runs; 0: as drawn.
    """

    batch: int
    groups: int
    into: int
    out: int
    rows: int = 0
    taps: int = 0


def scaled(choose: Choices, purpose: str, rank: int) -> tuple[Scale, Ranges]:
    """Draw how large a case is, and how far axes reach: one dimension at most is large, and then these hold little."""
    reach = ranges(purpose, rank)
    layer = ("pointwise", "batch", "in", "out", "rows", "taps")
    dimensions = {"values": layer, "special": ("in", "out", "rows")}.get(purpose, ())
    large = stretched(choose, *dimensions) if dimensions else "none"
    batch = batch_size(choose, purpose) + 4 * (large == "batch")
    if purpose == "sizes":
        return Scale(batch, 1, choose.whole(0, 2), choose.whole(1, 2)), reach
    if large == "pointwise":
        reach = pointwise(reach)
    elif large in ("in", "out", "rows", "taps"):
        reach = replace(reach, output=min(reach.output, FEW))
    most = {"values": 8, "special": 2}.get(purpose, 3)
    groups = choose.whole(1, 3)
    into = choose.one_of(CHANNELS) if large == "in" else choose.whole(1, most)
    out = choose.one_of(CHANNELS) if large == "out" else choose.whole(2 if purpose == "special" else 1, most)
    # Read in any case: then large ones shrink.
    long = choose.one_of(LONG_KERNELS if large == "taps" else ROWS)
    return Scale(batch, groups, into, out, long * (large == "rows"), long * (large == "taps")), reach


# Real layers: groups, channels of a group in and out; size, kernel, stride, padding, dilation.
_LAYERS = (
    (1, 24, 32, (112, 3, 1, 2, 2)),  # dilated, as for segmentation
    (1, 3, 32, (224, 7, 2, 3, 1)),  # the first of a ResNet
    (1, 3, 24, (227, 11, 4, 2, 1)),  # the first of AlexNet
    (1, 64, 64, (56, 3, 1, 1, 1)),
    (1, 64, 96, (56, 1, 1, 0, 1)),
    (48, 1, 1, (112, 3, 2, 1, 1)),  # depthwise
    (32, 4, 4, (56, 3, 1, 1, 1)),
)


def _layers(rank: int) -> Any:
    def layers(shorter: int) -> list[Geometry]:
        found = []
        for place, (groups, into, out, numbers) in enumerate(_LAYERS):
            axis = Axis(*numbers, output=0)
            extent = axis.dilation * (axis.kernel - 1) + 1
            axis = replace(axis, size=max(axis.size // shorter_along(rank, shorter), extent))
            found.append(_geometry(Scale(1, groups, into, out), [axis] * rank, place % 2 == 1))
        return found

    return layers


def _geometries(rank: int) -> Any:
    @drawn
    def geometries(choose: Choices, purpose: str) -> Geometry:
        scale, reach = scaled(choose, purpose, rank)
        axes = [window_axis(choose, reach) for _ in range(rank)]
        axes[-1] = _lengthened(axes[-1], scale)
        return _geometry(scale, axes, choose.flag(), choose.one_of((None,) * 5 + ("valid", "same")))

    return geometries


def _lengthened(axis: Axis, scale: Scale) -> Axis:
    """Return the axis with as many windows, and taps of each, as the scale asks for."""
    rows, taps = scale.rows or axis.output, scale.taps or axis.kernel
    size = axis.size + (rows - axis.output) * axis.stride + (taps - axis.kernel) * axis.dilation
    return replace(axis, size=size, kernel=taps, output=rows)


def _geometry(scale: Scale, axes: Sequence[Axis], bias: bool, named: str | None = None) -> Geometry:
    if named == "valid":
        axes = [replace(a, size=a.size + 2 * a.padding, padding=0) for a in axes]
    elif named == "same":
        # The taps of an even kernel may all step over an axis that is shorter than its dilation.
        axes = [replace(a, size=max(a.size, a.dilation * (1 - a.kernel % 2)), stride=1, padding=0) for a in axes]
    attributes = spelled(
        stride=(tuple(a.stride for a in axes), 1),
        padding=(tuple(a.padding for a in axes), 0),
        dilation=(tuple(a.dilation for a in axes), 1),
        groups=((scale.groups,), 1),
    )
    if named is not None:
        attributes["padding"] = named
    outputs = scale.groups * scale.out
    shapes = {
        "input": (scale.batch, scale.groups * scale.into, *(a.size for a in axes)),
        "weight": (outputs, scale.into, *(a.kernel for a in axes)),
        "bias": (outputs,) if bias else None,
    }
    return Geometry(shapes, attributes, _terms(shapes, attributes))


def shape_of(shapes: Shapes, name: str) -> tuple[int, ...]:
    """Return the shape of an array that there always is."""
    shape = shapes[name]
    assert shape is not None
    return shape


def along(attributes: Attributes, name: str, rank: int, default: int = 1) -> tuple[int, ...]:
    """Return an attribute as one number for each spatial axis."""
    return per_axis(name, name, attributes.get(name, default), rank, default)


def landing_taps(spatial: Sequence[int], kernel: Sequence[int], attributes: Attributes) -> int:
    """Return how many taps of windows, of which there are `spatial`, can meet at one place of what they slide over."""
    rank = len(kernel)
    steps = zip(along(attributes, "stride", rank), along(attributes, "dilation", rank), strict=True)
    # Of the taps along an axis only every s / gcd(s, d)-th can meet the same place.
    meet = (-(-k // (s // math.gcd(s, d))) for k, (s, d) in zip(kernel, steps, strict=True))
    return math.prod(map(min, spatial, meet))


def _terms(shapes: Shapes, attributes: Attributes) -> int:
    """Return the most products that meet in one output, the bias counted as one."""
    w = shape_of(shapes, "weight")
    return max(w[1], 1) * math.prod(w[2:]) + (shapes.get("bias") is not None)


def _gradient_terms(shapes: Shapes, attributes: Attributes) -> dict[str, int]:
    g, w = shape_of(shapes, "cotangent"), shape_of(shapes, "weight")
    pixels = g[0] * math.prod(g[2:])
    onto_input = w[0] // int(attributes.get("groups", 1)) * landing_taps(g[2:], w[2:], attributes)
    return {"input": onto_input, "weight": pixels, "bias": pixels}


def _window(rank: int) -> Any:
    def window(inputs: Arrays, attributes: Attributes, index: tuple[int, ...]) -> Arrays:
        x, index = batched(inputs["input"], rank, index)
        w, (n, o, *at) = inputs["weight"], index
        kernel, groups = w.shape[2:], attributes.get("groups", 1)
        s = per_axis("stride", "stride", attributes.get("stride", 1), rank, 1)
        d = per_axis("dilation", "dilation", attributes.get("dilation", 1), rank, 1)
        p = resolve_padding(attributes.get("padding", 0), x.shape[2:], kernel, s, d)
        first = o // (w.shape[0] // groups) * w.shape[1]
        plane = padded(x[n, first : first + w.shape[1]], p)
        views = window_views(plane, kernel, s, d, tuple(i + 1 for i in at))
        at_output: tuple[Any, ...] = (slice(None), *at)
        return {"input": views[at_output], "weight": w[o], **bias_at(inputs, o)}

    return window


def batched(x: Array, rank: int, index: tuple[int, ...]) -> tuple[Array, tuple[int, ...]]:
    """Return an input with a batch axis, and the index of an output with one."""
    return (x, index) if x.ndim == rank + 2 else (x[None], (0, *index))


def bias_at(inputs: Arrays, channel: int) -> dict[str, Array]:
    """Return the bias of an output channel, if there is one."""
    return {"bias": inputs["bias"][channel]} if "bias" in inputs else {}


def _special(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    patterns = special_products(geometry, dtype)
    if dtype == "float16":  # whose sums are kept in more bits: what fits in the end must come out, however large
        patterns = (*patterns, Pattern(("integers", 2), {"input": ("huge", 1)}))
    return (*patterns, *(Pattern(("integers", 2), {"weight": (kind, 1)}) for kind in ("nans", "infinities")))


def _in_padding(function: Any) -> Any:
    """Return what finds outputs in which a weight that is no number meets padding: NaN or nothing, both in use."""

    def outputs(inputs: Arrays, attributes: Attributes) -> Array | bool:
        strange = ~np.isfinite(inputs["weight"])
        if not strange.any():
            return False
        inside = function(np.ones(inputs["input"].shape), strange.astype(np.float64), **attributes)
        every = strange.reshape(len(strange), -1).sum(1)
        return np.asarray(inside < every.reshape(-1, *(1,) * (strange.ndim - 2)))

    return outputs


def layer_rejections(geometry: Geometry) -> Breakages:
    """Return what breaks a convolution and its transpose alike."""
    x, w = shape_of(geometry.shapes, "input"), shape_of(geometry.shapes, "weight")
    rank = len(w) - 2
    numbers = ("stride", 1), ("dilation", 1), ("padding", 0)
    broken: Breakages = [
        ("input-rank", {"input": (*x, 1, 1)}),
        ("input-rank", {"input": x[2:]}),
        ("input-channels", {"input": (x[0], x[1] + 1, *x[2:])}),
        ("weight-rank", {"weight": (*w, 1)}),
        ("weight-rank", {"weight": w[:-1]}),
        ("kernel-size", {"weight": (*w[:2], 0, *w[3:])}),
        ("groups", {"groups": 0}),
        ("groups", {"groups": -1}),
        ("groups", {"groups": 1.5}),
        *(("input-channels", {"groups": n}) for n in (*HUGE, WRAP + geometry.attributes.get("groups", 1))),
        ("spatial-size", {"input": (*x[:2], 0, *x[3:]), "padding": 0}),
    ]
    for name, least in numbers:
        wrong = (least - 1, least + 0.5, (least,) * (rank + 1), *(-huge for huge in HUGE), least - WRAP)
        broken += [(name, {name: value}) for value in wrong]
    return [*broken, ("stride", {"stride": -1}), ("padding", {"padding": "everywhere"})]


def wrong_biases(outputs: int) -> Breakages:
    """Return biases that do not fit so many output channels."""
    return [("bias", {"bias": shape}) for shape in ((outputs + 1,), (outputs, 1), (0,), ())]


def _rejections(geometry: Geometry) -> Breakages:
    x, w = shape_of(geometry.shapes, "input"), shape_of(geometry.shapes, "weight")
    rank = len(w) - 2
    return [
        *layer_rejections(geometry),
        *wrong_biases(w[0]),
        ("output-channels", {"input": (x[0], 4, *x[2:]), "weight": (5, 2, *w[2:]), "bias": None, "groups": 2}),
        ("kernel-fits", {"weight": (*w[:-1], x[-1] + 100), "padding": 0}),
        # Not 2**62, whose extent overflows 64 bits: who takes that for a fit may then fill all memory there is.
        *(
            ("kernel-fits", {"weight": (*w[:2], *(3,) * rank), "dilation": n, "padding": 0})
            for n in (HUGE[0], WRAP, WRAP + 1)
        ),
        ("padding", {"padding": "same", "stride": 2}),
    ]


def layer_acceptances(geometry: Geometry) -> Breakages:
    """Return what looks illegal and is not, of a convolution and of its transpose alike (empty ones: see sizes)."""
    x, w = shape_of(geometry.shapes, "input"), shape_of(geometry.shapes, "weight")
    tap: dict[str, Any] = {"weight": (*w[:2], *(1,) * (len(w) - 2)), "padding": 0}
    return [
        ("no batch axis", {"input": x[1:]}),
        *(("a huge dilation of a single tap", tap | {"dilation": huge}) for huge in HUGE),
    ]


def _accepted(geometry: Geometry) -> Breakages:
    x, w = shape_of(geometry.shapes, "input"), shape_of(geometry.shapes, "weight")
    rank = len(w) - 2
    extents = tuple(d * (k - 1) + 1 for k, d in zip(w[2:], along(geometry.attributes, "dilation", rank), strict=True))
    enough = tuple(e - 1 for e in extents)
    return [
        *layer_acceptances(geometry),
        ("padding that makes a kernel fit", {"input": (*x[:2], *(1,) * rank), "padding": enough}),
        ("windows in padding alone", {"padding": extents}),
        *(("a stride beyond the input", {"stride": huge, "padding": enough}) for huge in HUGE),
        ("one number in a sequence", {"stride": (1,), "dilation": (1,), "padding": (max(w[2:]),)}),
    ]


def _operator(rank: int) -> Operator:
    name = f"conv{rank}d"
    function = getattr(reference, name)
    return Operator(
        name=name,
        reference=function,
        geometries=_geometries(rank),
        exact=exact_products,
        real=real_products,
        special=_special,
        bounds=product_bounds(function, _terms, _in_padding(function)),
        window=_window(rank),
        rejections=_rejections,
        accepted=_accepted,
        gradient=product_gradient(getattr(reference.vjp, name), _gradient_terms),
        per_sample=lambda attributes: ("input",),
        layers=_layers(rank),
    )


OPERATORS = tuple(map(_operator, (1, 2, 3)))
