"""Convolution layers and their transposes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

import reference
from conformance.bounds import sum_of_products
from conformance.formats import Array
from conformance.model import Arithmetic, Arrays, Attributes, Bound, Breakages, Geometry, Operator, Pattern
from conformance.patterns import exact_products, real_products, special_products
from conformance.strategies import (
    Choices,
    batch_size,
    drawn,
    pointwise,
    ranges,
    spelled,
    stretched,
    transposed_axis,
    window_axis,
)
from reference.constraints import per_axis
from reference.windows import padded, resolve_padding, window_views


def _channels(choose: Choices, purpose: str, rank: int) -> tuple[int, int, int, int, str]:
    """Draw batch, groups, channels of a group in and out, and which dimension is large, or whether the kernel is 1."""
    dimensions = ("pointwise", "batch", "in", "out", "wide") if rank < 3 else ("pointwise",)
    large = stretched(choose, *dimensions) if purpose == "values" else "none"
    batch = batch_size(choose, purpose) + 4 * (large == "batch")
    if purpose == "sizes":
        return batch, 1, choose.whole(0, 2), choose.whole(1, 2), large
    most = 8 if purpose == "values" else 2
    groups = choose.whole(1, 3)
    into, out = choose.whole(1, most), choose.whole(2 if purpose == "special" else 1, most)
    return batch, groups, into + 12 * (large == "in"), out + 12 * (large == "out"), large


def _geometries(rank: int) -> Any:
    @drawn
    def geometries(choose: Choices, purpose: str) -> Geometry:
        batch, groups, into, out, large = _channels(choose, purpose, rank)
        reach = pointwise(ranges(purpose, rank)) if large == "pointwise" else ranges(purpose, rank)
        axes = [window_axis(choose, reach, wide=large == "wide" and i == rank - 1) for i in range(rank)]
        bias, named = choose.flag(), choose.one_of((None, None, None, None, None, "valid", "same"))
        if named == "valid":
            axes = [replace(a, size=a.size + 2 * a.padding, padding=0) for a in axes]
        elif named == "same":
            # The taps of an even kernel may all step over an axis that is shorter than its dilation.
            axes = [replace(a, size=max(a.size, a.dilation * (1 - a.kernel % 2)), stride=1, padding=0) for a in axes]
        attributes = spelled(
            stride=(tuple(a.stride for a in axes), 1),
            padding=(tuple(a.padding for a in axes), 0),
            dilation=(tuple(a.dilation for a in axes), 1),
            groups=((groups,), 1),
        )
        if named is not None:
            attributes["padding"] = named
        shapes = {
            "input": (batch, groups * into, *(a.size for a in axes)),
            "weight": (groups * out, into, *(a.kernel for a in axes)),
            "bias": (groups * out,) if bias else None,
        }
        return Geometry(shapes, attributes, _terms(False, shapes, attributes))

    return geometries


def _transposed_geometries(rank: int) -> Any:
    @drawn
    def geometries(choose: Choices, purpose: str) -> Geometry:
        batch, groups, into, out, large = _channels(choose, purpose, rank)
        reach = pointwise(ranges(purpose, rank)) if large == "pointwise" else ranges(purpose, rank)
        drawn = [transposed_axis(choose, reach, wide=large == "wide" and i == rank - 1) for i in range(rank)]
        axes, extra = [a for a, _ in drawn], tuple(e for _, e in drawn)
        bias = choose.flag()
        attributes = spelled(
            stride=(tuple(a.stride for a in axes), 1),
            padding=(tuple(a.padding for a in axes), 0),
            output_padding=(extra, 0),
            groups=((groups,), 1),
            dilation=(tuple(a.dilation for a in axes), 1),
        )
        shapes = {
            "input": (batch, groups * into, *(a.size for a in axes)),
            "weight": (groups * into, out, *(a.kernel for a in axes)),
            "bias": (groups * out,) if bias else None,
        }
        return Geometry(shapes, attributes, _terms(True, shapes, attributes))

    return geometries


def _terms(transposed: bool, shapes: Mapping[str, Any], attributes: Attributes) -> int:
    """Return the most products that meet in one output, the bias counted as one."""
    x: tuple[int, ...] = shapes["input"]
    w: tuple[int, ...] = shapes["weight"]
    rank, groups = len(w) - 2, int(attributes.get("groups", 1))
    if not transposed:
        return max(w[1], 1) * math.prod(w[2:]) + (shapes.get("bias") is not None)
    s = per_axis("stride", "stride", attributes.get("stride", 1), rank, 1)
    d = per_axis("dilation", "dilation", attributes.get("dilation", 1), rank, 1)
    # Of the taps along an axis only every s / gcd(s, d)-th can meet the same output.
    taps = [min(n, -(-k // (e // math.gcd(e, f)))) for n, k, e, f in zip(x[2:], w[2:], s, d, strict=True)]
    return max(w[0] // groups, 1) * math.prod(taps) + (shapes.get("bias") is not None)


def _bounds(function: Callable[..., Array], transposed: bool) -> Any:
    def bounds(inputs: Arrays, attributes: Attributes, expected: Arrays, arithmetic: Arithmetic) -> dict[str, Bound]:
        magnitude = function(**{k: np.abs(v) for k, v in inputs.items()}, **attributes)
        terms = _terms(transposed, {k: v.shape for k, v in inputs.items()}, attributes)
        operands = list(inputs.values())
        return {"output": sum_of_products(magnitude, terms, expected["output"], operands, arithmetic)}

    return bounds


def _window(rank: int) -> Any:
    def window(inputs: Arrays, attributes: Attributes, index: tuple[int, ...]) -> Arrays:
        x, w = inputs["input"], inputs["weight"]
        n, o, *at = index
        kernel, groups = w.shape[2:], attributes.get("groups", 1)
        s = per_axis("stride", "stride", attributes.get("stride", 1), rank, 1)
        d = per_axis("dilation", "dilation", attributes.get("dilation", 1), rank, 1)
        p = resolve_padding(attributes.get("padding", 0), x.shape[2:], kernel, s, d)
        first = o // (w.shape[0] // groups) * w.shape[1]
        plane = padded(x[n, first : first + w.shape[1]], p)
        views = window_views(plane, kernel, s, d, tuple(i + 1 for i in at))
        at_output: tuple[Any, ...] = (slice(None), *at)
        return {"input": views[at_output], "weight": w[o], **_bias_at(inputs, o)}

    return window


def _transposed_window(rank: int) -> Any:
    def window(inputs: Arrays, attributes: Attributes, index: tuple[int, ...]) -> Arrays:
        x, w = inputs["input"], inputs["weight"]
        n, o, *at = index
        groups = attributes.get("groups", 1)
        s = per_axis("stride", "stride", attributes.get("stride", 1), rank, 1)
        d = per_axis("dilation", "dilation", attributes.get("dilation", 1), rank, 1)
        p = per_axis("padding", "padding", attributes.get("padding", 0), rank, 0)
        size = w.shape[0] // groups
        first = o // w.shape[1] * size
        meet = [
            [(t, (v + q - t * e) // f) for t in range(k) if (v + q - t * e) % f == 0 and 0 <= (v + q - t * e) // f < m]
            for v, q, k, e, f, m in zip(at, p, w.shape[2:], d, s, x.shape[2:], strict=True)
        ]
        taps: Sequence[tuple[Any, ...]] = list(product(*meet))
        channels = slice(first, first + size)
        pixels = [x[(n, channels, *(u for _, u in tap))] for tap in taps]
        weights = [w[(channels, o % w.shape[1], *(t for t, _ in tap))] for tap in taps]
        empty = np.zeros((0, size))
        return {
            "input": np.stack(pixels, 1) if taps else empty,
            "weight": np.stack(weights, 1) if taps else empty,
            **_bias_at(inputs, o),
        }

    return window


def _bias_at(inputs: Arrays, channel: int) -> dict[str, Array]:
    return {"bias": inputs["bias"][channel]} if "bias" in inputs else {}


def _special(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    patterns = special_products(geometry, dtype)
    if "padding" in geometry.attributes and geometry.attributes["padding"] != "valid":
        return patterns  # an infinite weight times padding is NaN, or nothing at all: both are in use
    return (*patterns, Pattern(("integers", 2), {"weight": ("nans", 1)}))


def _rejections(rank: int, transposed: bool) -> Any:
    def rejections(geometry: Geometry) -> Breakages:
        x, w = geometry.shapes["input"], geometry.shapes["weight"]
        assert x is not None
        assert w is not None
        outputs = w[1] * geometry.attributes.get("groups", 1) if transposed else w[0]
        broken: Breakages = [
            ("input-rank", {"input": (*x, 1, 1)}),
            ("input-channels", {"input": (x[0], x[1] + 1, *x[2:])}),
            ("weight-rank", {"weight": (*w, 1)}),
            ("kernel-size", {"weight": (*w[:2], 0, *w[3:])}),
            ("bias", {"bias": (outputs + 1,)}),
            ("bias", {"bias": (outputs, 1)}),
            ("stride", {"stride": 0}),
            ("stride", {"stride": -1}),
            ("stride", {"stride": (1,) * (rank + 1)}),
            ("dilation", {"dilation": 0}),
            ("dilation", {"dilation": (1,) * (rank + 1)}),
            ("padding", {"padding": -1}),
            ("padding", {"padding": (0,) * (rank + 1)}),
            ("groups", {"groups": 0}),
            ("groups", {"groups": -1}),
            ("spatial-size", {"input": (*x[:2], 0, *x[3:]), "padding": 0}),
        ]
        if transposed:
            three = {"input": (x[0], 4, *x[2:]), "weight": (4, w[1], *w[2:]), "bias": None, "groups": 3}
            stride = geometry.attributes.get("stride", 1), geometry.attributes.get("dilation", 1)
            most = max(n for value in stride for n in (value if isinstance(value, tuple) else (value,)))
            broken += [
                ("input-channels", three),
                ("output-channels", {"weight": (w[0], 0, *w[2:]), "bias": None}),
                ("output-padding", {"output_padding": most}),
                ("output-padding", {"output_padding": -1}),
                ("output-size", {"padding": 1000}),
                ("padding", {"padding": "same"}),
            ]
        else:
            broken += [
                ("output-channels", {"input": (x[0], 4, *x[2:]), "weight": (5, 2, *w[2:]), "bias": None, "groups": 2}),
                ("kernel-fits", {"weight": (*w[:-1], x[-1] + 100), "padding": 0}),
                ("padding", {"padding": "everywhere"}),
                ("padding", {"padding": "same", "stride": 2}),
            ]
        return broken

    return rejections


def _operator(rank: int, transposed: bool) -> Operator:
    name = f"conv_transpose{rank}d" if transposed else f"conv{rank}d"
    return Operator(
        name=name,
        reference=getattr(reference, name),
        geometries=(_transposed_geometries if transposed else _geometries)(rank),
        exact=exact_products,
        real=real_products,
        special=special_products if transposed else _special,
        bounds=_bounds(getattr(reference, name), transposed),
        window=(_transposed_window if transposed else _window)(rank),
        rejections=_rejections(rank, transposed),
    )


OPERATORS = tuple(_operator(rank, transposed) for transposed in (False, True) for rank in (1, 2, 3))
