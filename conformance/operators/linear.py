"""The fully connected layer."""

from __future__ import annotations

import math

import reference
from conformance.model import Arrays, Attributes, Breakages, Geometry, Operator, Pattern
from conformance.operators.products import Shapes, product_bounds, product_gradient
from conformance.patterns import LARGE, exact_products, real_products
from conformance.strategies import Choices, batch_size, drawn


@drawn
def _geometries(choose: Choices, purpose: str) -> Geometry:
    lead = (batch_size(choose, purpose, 5), *(choose.whole(1, 3) for _ in range(choose.whole(0, 2))))
    features = choose.whole(0 if purpose == "sizes" else 1, choose.one_of((4, 4, 40)))
    out = choose.whole(2 if purpose in ("special", "layouts") else 1, choose.one_of((4, 4, 20)))
    bias = choose.flag()
    shapes = {"input": (*lead, features), "weight": (out, features), "bias": (out,) if bias else None}
    return Geometry(shapes, {}, _terms(shapes, {}))


def _layers(shorter: int) -> list[Geometry]:
    found = []
    for rows, features, out in ((128, 784, 256), (32, 2048, 1000), (196, 192, 576)):
        shapes = {"input": (rows // shorter, features), "weight": (out, features), "bias": (out,)}
        found.append(Geometry(shapes, {}, _terms(shapes, {})))
    return found


def _terms(shapes: Shapes, attributes: Attributes) -> int:
    return max((shapes["weight"] or ())[-1], 1) + (shapes.get("bias") is not None)


def _gradient_terms(shapes: Shapes, attributes: Attributes) -> dict[str, int]:
    rows = max(math.prod((shapes["input"] or ())[:-1]), 1)
    return {"input": max((shapes["weight"] or ())[0], 1), "weight": rows, "bias": rows}


def _special(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    guests = ("nans", "infinities", "nonfinite")
    patterns = [Pattern(("integers", 2), {name: (kind, 1)}) for name in ("input", "weight") for kind in guests]
    patterns.append(Pattern(("integers", 2), {"input": ("tiny", 100), "bias": ("tiny", 100)}))
    return (*patterns, *(() if dtype == "float16" else (Pattern(("normal", LARGE)),)))


def _window(inputs: Arrays, attributes: Attributes, index: tuple[int, ...]) -> Arrays:
    *lead, o = index
    bias = {"bias": inputs["bias"][o]} if "bias" in inputs else {}
    return {"input": inputs["input"][tuple(lead)], "weight": inputs["weight"][o], **bias}


def _rejections(geometry: Geometry) -> Breakages:
    x, w = geometry.shapes["input"], geometry.shapes["weight"]
    assert x is not None
    assert w is not None
    broken: Breakages = [
        ("input-rank", {"input": ()}),
        ("weight-rank", {"weight": (1, 1, *w)}),
        ("input-features", {"input": (*x[:-1], x[-1] + 1)}),
        ("bias", {"bias": (w[0] + 1,)}),
    ]
    return broken


def _accepted(geometry: Geometry) -> Breakages:
    o, i = geometry.shapes["weight"] or ()
    return [
        ("an input without a batch", {"input": (i,)}),
        ("a batch of nothing", {"input": (0, i)}),
        ("no output features", {"weight": (0, i), "bias": None}),
        ("no input features", {"input": (2, 0), "weight": (o, 0)}),
        ("a weight of one axis", {"weight": (i,), "bias": None}),
    ]


OPERATORS = (
    Operator(
        name="linear",
        reference=reference.linear,
        geometries=_geometries,
        exact=exact_products,
        real=real_products,
        special=_special,
        bounds=product_bounds(reference.linear, _terms),
        window=_window,
        rejections=_rejections,
        accepted=_accepted,
        gradient=product_gradient(reference.vjp.linear, _gradient_terms),
        per_sample=lambda attributes: ("input",),
        layers=_layers,
    ),
)
