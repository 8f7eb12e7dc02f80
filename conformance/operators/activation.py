"""Activations with a kink, and what all elementwise operators have in common."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

import reference
from conformance.bounds import sum_of_products
from conformance.formats import Array
from conformance.intervals import Interval, Steps, where
from conformance.model import Arithmetic, Arrays, Attributes, Bound, Breakages, Geometry, Gradient, Operator, Pattern
from conformance.strategies import Choices, batch_size, drawn
from reference.activation import SELU_ALPHA, SELU_SCALE

Formula = Callable[..., Interval]
VECTORS = (8, 16, 32, 64)  # elements of a vector, or of a loop over several of them
KINK = ("paired", 1)  # whole numbers around a centre for each channel: with enough of them some are 0
CHANNELS = 16


def shape_of(choose: Choices, purpose: str) -> tuple[int, ...]:
    """Draw a shape: of any rank, or of rows about as long as a few vectors, where the tail of a loop begins."""
    if purpose == "special":
        return (choose.whole(1, 3), choose.one_of(VECTORS) + choose.whole(-1, 1))
    middle = tuple(choose.whole(1, 4) for _ in range(choose.whole(0, 3)))
    return (batch_size(choose, purpose, 4), *middle, choose.whole(7, 40))


def geometries_of(spellings: Sequence[Attributes], sloping: Sequence[Attributes] = ()) -> Any:
    """Return the geometries of an operator of one array, with any of these attributes; `sloping`: for gradients."""

    @drawn
    def geometries(choose: Choices, purpose: str) -> Geometry:
        fitting = sloping if sloping and purpose in ("gradients", "layouts") else spellings
        return Geometry({"input": shape_of(choose, purpose)}, choose.one_of(fitting))

    return geometries


def exact(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    """Return whole numbers: what bends at one of them is met there."""
    return (Pattern(("ramp", 1)), Pattern(("integers", 8)), Pattern(("integers", 100)))


def real(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    """Return numbers near 0, and so far from it that exponentials overflow or vanish."""
    return (Pattern(("normal", 1)), Pattern(("normal", 8)), Pattern(("spread", 1)))


def special(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    """Return what is not finite, subnormal, huge or a negative zero; in a few places, and so anywhere in time."""
    few = max(1, math.prod(geometry.shapes["input"] or ()) // 4)
    kinds = [(kind, few) for kind in ("nans", "infinities", "nonfinite")]
    kinds += [("tiny", 100), ("huge", 1), ("integers", 1000)]
    kinds += [("normal", 2**61)] if dtype != "float16" else []
    return tuple(Pattern(fill) for fill in kinds)


def pulled(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    """Return data for gradients: on both sides of every kink, on it, and far from it."""
    whole = dict.fromkeys(geometry.shapes, ("integers", 3))
    near = dict.fromkeys(geometry.shapes, ("normal", 1))
    channels = (*(geometry.shapes["input"] or ()), 1, 1)[1]
    integers = (("ramp", 1), ("integers", 8), *((KINK,) if channels >= CHANNELS else ()))
    return (
        *(Pattern(("integers", 3), {**whole, "input": x}) for x in integers),
        *(Pattern(("normal", 1), {**near, "input": x}) for x in (("normal", 1), ("normal", 8), ("spread", 1))),
    )


def window(inputs: Arrays, attributes: Attributes, index: tuple[int, ...]) -> Arrays:
    """Return the one number."""
    return {"input": inputs["input"][index]}


def batched(attributes: Attributes) -> tuple[str, ...]:
    """Return that every sample of the input is answered by itself."""
    return ("input",)


def odd_shapes(geometry: Geometry) -> Breakages:
    """Return the shapes that are not expected of an array, and are none the less."""
    return [("an empty array", {"input": (0,)}), ("no rows", {"input": (2, 0)}), ("a single number", {"input": ()})]


def nothing(geometry: Geometry) -> Breakages:
    """Return no way to break a constraint: every real array is legal, and a case cannot spell another."""
    return []


def elementwise(
    name: str,
    formula: Formula,
    slope: Formula,
    spellings: Sequence[Attributes] = ({},),
    sloping: Sequence[Attributes] = (),
    rejections: Callable[[Geometry], Breakages] = nothing,
    conventions: Mapping[str, str] | None = None,
) -> Operator:
    """Return the operator of a function of one number.

    formula, slope: the function and its derivative for an interval and the attributes; where a framework computes the
    latter otherwise, it is by terms of the same size. spellings: attributes to draw from, the simplest first;
    sloping: those of them for gradients, if with others most whole numbers have none.
    """

    def bounds(inputs: Arrays, attributes: Attributes, expected: Arrays, arithmetic: Arithmetic) -> dict[str, Bound]:
        x = Interval(Steps.of(arithmetic), inputs["input"])
        found = formula(x, **attributes).bound(expected["output"], arithmetic).absolute
        # Where the formula says nothing of an infinity its limit is expected.
        return {"output": Bound(np.where(np.isinf(x.low) & np.isinf(found), 0.0, found))}

    def pulled_bounds(
        inputs: Arrays, attributes: Attributes, expected: Arrays, arithmetic: Arithmetic
    ) -> dict[str, Bound]:
        g = Interval(Steps.of(arithmetic), inputs["cotangent"])
        x = Interval(g.steps.before(g.low), inputs["input"])
        return {"input": (slope(x, **attributes) * g).bound(expected["input"], arithmetic)}

    return Operator(
        name=name,
        reference=getattr(reference, name),
        geometries=geometries_of(spellings, sloping),
        exact=exact,
        real=real,
        special=special,
        bounds=bounds,
        window=window,
        rejections=rejections,
        accepted=odd_shapes,
        gradient=Gradient(getattr(reference.vjp, name), pulled, pulled_bounds),
        per_sample=batched,
        layers=lambda shorter: [Geometry({"input": (2, 64, 56 // shorter, 56)}, a) for a in (sloping or spellings)[:1]],
        conventions=conventions or {},
    )


def _limited(x: Interval, low: float, high: float) -> Interval:
    """Return the derivative of what is limited: 1 between the limits."""
    return where((x.low > low) & (x.low < high), x.like(1), x.like(0))


def _hardswish_slope(x: Interval) -> Interval:
    return where(x.low <= -3, x.like(0), where(x.low < 3, x / 3 + 0.5, x.like(1)))


def _elu(x: Interval, alpha: float = 1.0) -> Interval:
    return where(x.low > 0, x, x.expm1() * alpha)


def _celu(x: Interval, alpha: float = 1.0) -> Interval:
    return where(x.low > 0, x, (x / alpha).expm1() * alpha)


def _selu(x: Interval) -> Interval:
    return where(x.low > 0, x * SELU_SCALE, x.expm1() * (x.like(SELU_ALPHA) * SELU_SCALE))


def _selu_slope(x: Interval) -> Interval:
    return where(x.low > 0, x.like(SELU_SCALE), x.exp() * (x.like(SELU_ALPHA) * SELU_SCALE))


@drawn
def _prelu_geometries(choose: Choices, purpose: str) -> Geometry:
    shape = shape_of(choose, purpose)
    weight = choose.one_of(((1,), (shape[1],), ()))
    return Geometry({"input": shape, "weight": weight}, {}, math.prod(shape))


def _prelu_slope(steps: Steps, x: Array, weight: Array) -> Interval:
    along = weight.reshape(-1, *(1,) * (x.ndim - 2)) if weight.size > 1 else weight.reshape(())
    return Interval(steps, np.where(x > 0, 1.0, along))


def _prelu_bounds(inputs: Arrays, attributes: Attributes, expected: Arrays, arithmetic: Arithmetic) -> dict[str, Bound]:
    steps = Steps.of(arithmetic)
    product = _prelu_slope(steps, inputs["input"], inputs["weight"]) * Interval(steps, inputs["input"])
    return {"output": product.bound(expected["output"], arithmetic)}


def _prelu_gradient_bounds(
    inputs: Arrays, attributes: Attributes, expected: Arrays, arithmetic: Arithmetic
) -> dict[str, Bound]:
    g, x, w = (inputs[k] for k in ("cotangent", "input", "weight"))
    steps = Steps.of(arithmetic)
    sizes = reference.vjp.prelu(-np.abs(g), np.minimum(x, 0), w).weight
    of_input = (_prelu_slope(steps, x, w) * Interval(steps, g)).bound(expected["input"], arithmetic)
    of_weight = sum_of_products(sizes, x.size // max(w.size, 1), expected["weight"], [g, x], arithmetic)
    return {"input": of_input, "weight": of_weight}


def _prelu_window(inputs: Arrays, attributes: Attributes, index: tuple[int, ...]) -> Arrays:
    x, w = inputs["input"], inputs["weight"]
    return {"input": x[index], "weight": w[index[1]] if w.size > 1 else w.reshape(())}


def _prelu_rejections(geometry: Geometry) -> Breakages:
    x = geometry.shapes["input"] or ()
    return [("weight", {"weight": (x[1] + 1,)}), ("weight", {"weight": (1, x[1])})]


def _prelu_accepted(geometry: Geometry) -> Breakages:
    one = {"weight": (1,)}
    return [("an empty array", {**one, "input": (0,)}), ("a single number", {**one, "input": ()})]


OPERATORS = (
    elementwise(
        "relu",
        lambda x: x.clip(0, math.inf),
        lambda x: _limited(x, 0, math.inf),
        conventions={"nan": "relu_nan", "kink": "kink"},
    ),
    elementwise("relu6", lambda x: x.clip(0, 6), lambda x: _limited(x, 0, 6), conventions={"kink": "kink"}),
    elementwise(
        "hardtanh",
        lambda x, min_val=-1.0, max_val=1.0: x.clip(min_val, max_val),
        lambda x, min_val=-1.0, max_val=1.0: _limited(x, min_val, max_val),
        spellings=({}, {"min_val": -2.0, "max_val": 5.0}, {"max_val": 2.5}, {"min_val": -math.inf}),
        sloping=(
            {"min_val": -2.0, "max_val": 5.0},
            {"min_val": 0.0, "max_val": 9.0},
            {"min_val": -math.inf, "max_val": 9.0},
        ),
        rejections=lambda geometry: [("limits", {"min_val": 2.0, "max_val": 1.0})],
        conventions={"kink": "kink"},
    ),
    elementwise(
        "hardsigmoid",
        lambda x: (x + 3).clip(0, 6) / 6,
        lambda x: _limited(x, -3, 3) * (1 / 6),
        conventions={"kink": "kink"},
    ),
    elementwise("hardswish", lambda x: (x + 3).clip(0, 6) * x / 6, _hardswish_slope, conventions={"kink": "kink"}),
    elementwise(
        "leaky_relu",
        lambda x, negative_slope=0.01: where(x.low > 0, x, x * negative_slope),
        lambda x, negative_slope=0.01: where(x.low > 0, x.like(1), x.like(negative_slope)),
        spellings=({}, *({"negative_slope": slope} for slope in (0.25, 0.3, -0.5, 2.0, 0.0))),
        conventions={"kink": "kink"},
    ),
    elementwise(
        "elu",
        _elu,
        lambda x, alpha=1.0: where(x.low > 0, x.like(1), x.exp() * alpha),
        spellings=({}, *({"alpha": alpha} for alpha in (0.5, 3.0, 0.3, -1.5))),
        conventions={"kink": "kink"},
    ),
    elementwise(
        "celu",
        _celu,
        lambda x, alpha=1.0: where(x.low > 0, x.like(1), (x / alpha).exp()),
        spellings=({}, *({"alpha": alpha} for alpha in (0.5, 3.0, 0.3, -1.5))),
        rejections=lambda geometry: [("alpha", {"alpha": 0.0})],
    ),
    elementwise("selu", _selu, _selu_slope, conventions={"kink": "kink"}),
    Operator(
        name="prelu",
        reference=reference.prelu,
        geometries=_prelu_geometries,
        exact=exact,
        real=real,
        special=special,
        bounds=_prelu_bounds,
        window=_prelu_window,
        rejections=_prelu_rejections,
        accepted=_prelu_accepted,
        gradient=Gradient(reference.vjp.prelu, pulled, _prelu_gradient_bounds),
        per_sample=batched,
        layers=lambda shorter: [Geometry({"input": (2, 64, 56 // shorter, 56), "weight": (64,)}, {})],
        conventions={"kink": "kink"},
    ),
)
