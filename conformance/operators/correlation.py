"""Convolution and cross-correlation of one channel, as signal processing means them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import reference
import reference.vjp
from conformance.model import Arrays, Attributes, Breakages, Geometry, Operator, Pattern
from conformance.operators.convolution import shape_of
from conformance.operators.products import Shapes, product_bounds, product_gradient
from conformance.patterns import LARGE, exact_products, real_products
from conformance.strategies import Choices, drawn, ranges, stretched

MODES = ("full", "same", "valid")
_ROWS = (15, 16, 17, 31, 32, 33)


@drawn
def _geometries(choose: Choices, purpose: str) -> Geometry:
    rank, mode = choose.whole(1, 3), choose.one_of(MODES)
    reach = ranges("special" if purpose == "values" else purpose, rank)
    kernel = [choose.whole(1, reach.kernel) for _ in range(rank)]
    x = [choose.whole(1, reach.output + 2) for _ in range(rank)]
    if purpose == "values" and stretched(choose, "rows") == "rows":
        x[-1] = choose.one_of(_ROWS)
    if purpose == "special":  # some windows must miss what is in one place
        x[-1] += kernel[-1]
    if mode == "valid":
        x = [n + k - 1 for n, k in zip(x, kernel, strict=True)]
        if choose.flag() and purpose != "special":  # then it is the kernel that the input slides along
            x, kernel = kernel, x
    shapes = {"input": tuple(x), "kernel": tuple(kernel)}
    return Geometry(shapes, {} if mode == "full" else {"mode": mode}, _terms(shapes, {}))


def _terms(shapes: Shapes, attributes: Attributes) -> int:
    """Return the most products that meet in one output: along no axis more than the shorter array has elements."""
    return math.prod(map(min, shape_of(shapes, "input"), shape_of(shapes, "kernel")))


def _gradient_terms(shapes: Shapes, attributes: Attributes) -> dict[str, int]:
    """Return how many products meet in the gradients: each is one of an element of the cotangent."""
    outputs = math.prod(shape_of(shapes, "cotangent"))
    x, k = (math.prod(shape_of(shapes, name)) for name in ("input", "kernel"))
    return {"input": min(outputs, k), "kernel": min(outputs, x)}


def _special(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    patterns = [Pattern(("integers", 2), {"input": (kind, 1)}) for kind in ("nans", "infinities")]
    patterns.append(Pattern(("integers", 2), {"input": ("tiny", 100)}))
    return (*patterns, Pattern(("normal", LARGE))) if dtype != "float16" else tuple(patterns)


def _window(flipped: bool) -> Any:
    def window(inputs: Arrays, attributes: Attributes, index: tuple[int, ...]) -> Arrays:
        """Return the input as far as the kernel reaches, padded with zeros, and the kernel, as they are multiplied."""
        x, k, mode = inputs["input"], inputs["kernel"], attributes.get("mode", "full")
        small = mode == "valid" and any(a < b for a, b in zip(x.shape, k.shape, strict=True))
        if small:  # the same sums, read from the other side
            x, k = k, x
        if small and not flipped:
            index = tuple(n - m - i for n, m, i in zip(x.shape, k.shape, index, strict=True))
        low = [{"full": n - 1, "same": n // 2, "valid": 0}[mode] for n in k.shape]
        plane = np.pad(x, [(n, m) for n, m in zip(low, k.shape, strict=True)])
        part = plane[tuple(slice(i, i + n) for i, n in zip(index, k.shape, strict=True))]
        return {"input": part, "kernel": np.flip(k) if flipped else k}

    return window


def _rejections(geometry: Geometry) -> Breakages:
    x, k = shape_of(geometry.shapes, "input"), shape_of(geometry.shapes, "kernel")
    return [
        ("rank", {"kernel": (*k, 1)}),
        ("rank", {"input": (*x, 1, 1)}),
        ("not-empty", {"input": (0, *x[1:])}),
        ("not-empty", {"kernel": (*k[:-1], 0)}),
        ("mode", {"mode": "circular"}),
        ("mode", {"mode": 1}),
        ("kernel-fits", {"input": (2, 5), "kernel": (3, 2), "mode": "valid"}),
    ]


def _accepted(geometry: Geometry) -> Breakages:
    x = shape_of(geometry.shapes, "input")
    larger = tuple(n + 2 for n in x)
    return [(f"a kernel larger than its input, {mode}", {"kernel": larger, "mode": mode}) for mode in MODES]


def _operator(name: str) -> Operator:
    function = getattr(reference, name)
    return Operator(
        name=name,
        reference=function,
        geometries=_geometries,
        exact=exact_products,
        real=real_products,
        special=_special,
        bounds=product_bounds(function, _terms),
        window=_window(name == "convolve"),
        rejections=_rejections,
        accepted=_accepted,
        gradient=product_gradient(getattr(reference.vjp, name), _gradient_terms),
    )


OPERATORS = tuple(map(_operator, ("convolve", "cross_correlate")))
