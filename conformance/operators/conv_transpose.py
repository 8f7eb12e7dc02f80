"""Transposed convolution layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

import reference
import reference.vjp
from conformance.model import Arrays, Attributes, Breakages, Geometry, Operator
from conformance.operators.convolution import (
    HUGE,
    Scale,
    along,
    batched,
    bias_at,
    landing_taps,
    layer_acceptances,
    layer_rejections,
    scaled,
    shape_of,
    wrong_biases,
)
from conformance.operators.products import Shapes, product_bounds, product_gradient
from conformance.patterns import exact_products, real_products, special_products
from conformance.strategies import WRAP, Axis, Choices, drawn, shorter_along, spelled, transposed_axis

# Real layers: groups, channels of a group in and out; size, kernel, stride, padding, dilation; output padding.
_LAYERS = (
    (1, 32, 16, (56, 2, 2, 0, 1), 0),  # of a U-Net
    (1, 64, 32, (32, 4, 2, 1, 1), 0),  # of a generator
    (1, 16, 24, (56, 3, 2, 1, 1), 1),
    (33, 1, 1, (56, 3, 2, 1, 1), 1),  # depthwise
)


def _layers(rank: int) -> Any:
    def layers(shorter: int) -> list[Geometry]:
        found = []
        for place, (groups, into, out, numbers, more) in enumerate(_LAYERS):
            axis = Axis(*numbers, output=0)
            axis = replace(axis, size=max(axis.size // shorter_along(rank, shorter), 1))
            found.append(_geometry(Scale(1, groups, into, out), [(axis, more)] * rank, place % 2 == 1))
        return found

    return layers


def _geometries(rank: int) -> Any:
    @drawn
    def geometries(choose: Choices, purpose: str) -> Geometry:
        scale, reach = scaled(choose, purpose, rank)
        axes = [transposed_axis(choose, reach) for _ in range(rank)]
        axis, extra = axes[-1]
        axes[-1] = replace(axis, size=max(axis.size, scale.rows), kernel=max(axis.kernel, scale.taps)), extra
        return _geometry(scale, axes, choose.flag())

    return geometries


def _geometry(scale: Scale, drawn_axes: Sequence[tuple[Axis, int]], bias: bool) -> Geometry:
    axes = [axis for axis, _ in drawn_axes]
    attributes = spelled(
        stride=(tuple(a.stride for a in axes), 1),
        padding=(tuple(a.padding for a in axes), 0),
        output_padding=(tuple(extra for _, extra in drawn_axes), 0),
        groups=((scale.groups,), 1),
        dilation=(tuple(a.dilation for a in axes), 1),
    )
    shapes = {
        "input": (scale.batch, scale.groups * scale.into, *(a.size for a in axes)),
        "weight": (scale.groups * scale.into, scale.out, *(a.kernel for a in axes)),
        "bias": (scale.groups * scale.out,) if bias else None,
    }
    return Geometry(shapes, attributes, _terms(shapes, attributes))


def _terms(shapes: Shapes, attributes: Attributes) -> int:
    """Return the most products that meet in one output, the bias counted as one."""
    x, w = shape_of(shapes, "input"), shape_of(shapes, "weight")
    taps = landing_taps(x[2 - len(w) :], w[2:], attributes)
    return max(w[0] // int(attributes.get("groups", 1)), 1) * taps + (shapes.get("bias") is not None)


def _gradient_terms(shapes: Shapes, attributes: Attributes) -> dict[str, int]:
    x, g, w = (shape_of(shapes, name) for name in ("input", "cotangent", "weight"))
    return {"input": math.prod(w[1:]), "weight": x[0] * math.prod(x[2:]), "bias": g[0] * math.prod(g[2:])}


def _window(rank: int) -> Any:
    def window(inputs: Arrays, attributes: Attributes, index: tuple[int, ...]) -> Arrays:
        x, index = batched(inputs["input"], rank, index)
        w, (n, o, *at) = inputs["weight"], index
        groups = attributes.get("groups", 1)
        s, d, p = (
            along(attributes, name, rank, least) for name, least in (("stride", 1), ("dilation", 1), ("padding", 0))
        )
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
            **bias_at(inputs, o),
        }

    return window


def _rejections(geometry: Geometry) -> Breakages:
    x, w = shape_of(geometry.shapes, "input"), shape_of(geometry.shapes, "weight")
    given = geometry.attributes
    most = max(along(given, "stride", len(w) - 2) + along(given, "dilation", len(w) - 2))
    three = {"input": (x[0], 4, *x[2:]), "weight": (4, w[1], *w[2:]), "bias": None, "groups": 3}
    return [
        *layer_rejections(geometry),
        *wrong_biases(w[1] * int(given.get("groups", 1))),
        ("input-channels", three),
        ("output-channels", {"weight": (w[0], 0, *w[2:]), "bias": None}),
        *(("output-padding", {"output_padding": value}) for value in (most, -1, *HUGE)),
        *(("output-size", {"padding": value}) for value in (1000, *HUGE, WRAP)),
        ("padding", {"padding": "same"}),
    ]


def _accepted(geometry: Geometry) -> Breakages:
    x, w = shape_of(geometry.shapes, "input"), shape_of(geometry.shapes, "weight")
    ones = (1,) * (len(w) - 2)
    pixel = {"input": (*x[:2], *ones), "padding": 0, "output_padding": 0}
    return [
        *layer_acceptances(geometry),
        ("output padding below the dilation", {"stride": 1, "dilation": 3, "output_padding": 2, "padding": 0}),
        (
            "padding that leaves one element",
            pixel | {"weight": (*w[:2], *(3 * n for n in ones)), "padding": 1, "dilation": 1},
        ),
        *(("a huge stride of a single element", pixel | {"stride": huge}) for huge in HUGE),
    ]


def _operator(rank: int) -> Operator:
    name = f"conv_transpose{rank}d"
    function = getattr(reference, name)
    return Operator(
        name=name,
        reference=function,
        geometries=_geometries(rank),
        exact=exact_products,
        real=real_products,
        special=special_products,
        bounds=product_bounds(function, _terms),
        window=_window(rank),
        rejections=_rejections,
        accepted=_accepted,
        gradient=product_gradient(getattr(reference.vjp, name), _gradient_terms),
        per_sample=lambda attributes: ("input",),
        layers=_layers(rank),
    )


OPERATORS = tuple(map(_operator, (1, 2, 3)))
