"""The elementwise and the fully connected parts of a small network."""

from __future__ import annotations

import math

import numpy as np

import reference
from conformance.bounds import copies, sum_of_products
from conformance.model import Arithmetic, Arrays, Attributes, Bound, Breakages, Geometry, Operator, Pattern
from conformance.patterns import exact_products, real_products
from conformance.strategies import Choices, batch_size, drawn


@drawn
def _relu_geometries(choose: Choices, purpose: str) -> Geometry:
    shape = (
        batch_size(choose, purpose, 4),
        *(choose.whole(1, 7) for _ in range(choose.whole(0, 3))),
        choose.whole(5, 40),
    )
    return Geometry({"input": shape}, {})


@drawn
def _linear_geometries(choose: Choices, purpose: str) -> Geometry:
    lead = (batch_size(choose, purpose, 5), *(choose.whole(1, 3) for _ in range(choose.whole(0, 2))))
    features = choose.whole(0 if purpose == "sizes" else 1, choose.one_of((4, 4, 40)))
    out = choose.whole(2 if purpose == "special" else 1, choose.one_of((4, 4, 20)))
    bias = choose.flag()
    shapes = {"input": (*lead, features), "weight": (out, features), "bias": (out,) if bias else None}
    return Geometry(shapes, {}, max(features, 1) + bias)


def _relu_exact(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    return (Pattern(("ramp", 1)), Pattern(("integers", 1)), Pattern(("integers", 100)))


def _relu_real(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    return (Pattern(("normal", 1)), Pattern(("positive", 1)), Pattern(("spread", 1)))


def _relu_special(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    shape = geometry.shapes["input"]
    assert shape is not None
    few = max(1, math.prod(shape) // 4)
    return tuple(Pattern((kind, few)) for kind in ("nans", "infinities", "nonfinite", "tiny", "huge"))


def _linear_special(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    return tuple(
        Pattern(("integers", 2), {name: (kind, 1)}) for name in ("input", "weight") for kind in ("nans", "infinities")
    )


def _relu_bounds(inputs: Arrays, attributes: Attributes, expected: Arrays, arithmetic: Arithmetic) -> dict[str, Bound]:
    return copies(expected)


def _linear_bounds(
    inputs: Arrays, attributes: Attributes, expected: Arrays, arithmetic: Arithmetic
) -> dict[str, Bound]:
    magnitude = reference.linear(**{k: np.abs(v) for k, v in inputs.items()})
    terms = max(inputs["weight"].shape[-1], 1) + ("bias" in inputs)
    return {"output": sum_of_products(magnitude, terms, expected["output"], list(inputs.values()), arithmetic)}


def _relu_window(inputs: Arrays, attributes: Attributes, index: tuple[int, ...]) -> Arrays:
    return {"input": inputs["input"][index]}


def _linear_window(inputs: Arrays, attributes: Attributes, index: tuple[int, ...]) -> Arrays:
    *lead, o = index
    bias = {"bias": inputs["bias"][o]} if "bias" in inputs else {}
    return {"input": inputs["input"][tuple(lead)], "weight": inputs["weight"][o], **bias}


def _linear_rejections(geometry: Geometry) -> Breakages:
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


OPERATORS = (
    Operator(
        name="relu",
        reference=reference.relu,
        geometries=_relu_geometries,
        exact=_relu_exact,
        real=_relu_real,
        special=_relu_special,
        bounds=_relu_bounds,
        window=_relu_window,
        rejections=None,  # every real array is legal, and a case cannot spell another
        conventions={"nan": "relu_nan"},
    ),
    Operator(
        name="linear",
        reference=reference.linear,
        geometries=_linear_geometries,
        exact=exact_products,
        real=real_products,
        special=_linear_special,
        bounds=_linear_bounds,
        window=_linear_window,
        rejections=_linear_rejections,
    ),
)
