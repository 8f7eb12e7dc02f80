"""From scores to probabilities, and how far these are from a target: softmax and cross-entropy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import reference
from conformance.fills import Shape
from conformance.formats import Array
from conformance.intervals import Interval, Steps, where
from conformance.model import Arithmetic, Arrays, Attributes, Bound, Breakages, Geometry, Gradient, Operator, Pattern
from conformance.operators.activation import VECTORS
from conformance.strategies import WRAP, Choices, batch_size, drawn

FAR = 1000.0  # from where on an exponential overflows, or vanishes, in all formats


def scores(fill: tuple[str, float], geometry: Geometry) -> Pattern:
    """Return data for the scores; weights and probabilities are positive, labels are classes."""
    shape, target = geometry.shapes["input"] or (), geometry.shapes.get("target")
    kinds: dict[str, tuple[str, float]] = {"input": fill, "weight": ("positive", 1.0)}
    if target is not None and len(target) < len(shape):
        kinds["target"] = ("labels", shape[_axis(shape)])
    return Pattern(("positive", 1), {name: kinds[name] for name in kinds if name in geometry.shapes})


def _exact(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    return tuple(scores(fill, geometry) for fill in (("ramp", 1), ("integers", 8)))


def _real(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    """Return scores of every spread, and some so far from 0 that their exponentials overflow, or all vanish."""
    fills = (("normal", 1.0), ("normal", 8.0), ("offset", FAR), ("offset", -FAR))
    return tuple(scores(fill, geometry) for fill in fills)


def _special(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    half = max(1, math.prod(geometry.shapes["input"] or ()) // 2)
    guests = [("nans", 1), ("infinities", 1), ("bottom", half), ("tiny", 100)]
    # A loss may overflow on the way to what a weight below 1 makes of it.
    guests += [] if "target" in geometry.shapes else [("huge", 1)]
    return tuple(scores(fill, geometry) for fill in guests)


def _pulled(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    found = []
    for fill, cotangent in ((("ramp", 1), ("integers", 3)), (("normal", 1.0), ("normal", 1.0))):
        pattern = scores(fill, geometry)
        found.append(Pattern(pattern.rest, {**pattern.kinds, "cotangent": cotangent}))
    pattern = scores(("normal", 8.0), geometry)
    return (*found, Pattern(pattern.rest, {**pattern.kinds, "cotangent": ("normal", 1.0)}))


@drawn
def _softmax_geometries(choose: Choices, purpose: str) -> Geometry:
    if purpose == "special":
        shape: Shape = (choose.whole(2, 4), choose.one_of(VECTORS) + choose.whole(-1, 1))
        return Geometry({"input": shape}, {"dim": choose.one_of((1, -1))})
    # Along an axis of 1 the logarithm is 0, and like cotangents along a short one leave no gradient.
    least = {"sizes": 0, "layouts": 4}.get(purpose, 2)
    shape = (batch_size(choose, purpose, 4), *(choose.whole(least, 5) for _ in range(choose.whole(0, 2))))
    shape = (*shape, choose.whole(least, choose.one_of((6, 40))))
    # Rows that share their memory are alike, and along them there is no gradient.
    dim = choose.whole(int(shape[0] < least or purpose == "layouts"), len(shape) - 1)
    # The first axis is always counted from the front, so that its number alone tells it.
    return Geometry({"input": shape}, {"dim": dim - len(shape) if dim and choose.flag() else dim})


def _many_classes(shorter: int) -> list[Geometry]:
    """Return the scores of a classifier, and those of the tokens of a sentence for every other."""
    return [Geometry({"input": (8 // shorter, 1000)}, {"dim": -1}), Geometry({"input": (2, 4, 64, 64)}, {"dim": 3})]


def _softmax_rejections(geometry: Geometry) -> Breakages:
    rank = len(geometry.shapes["input"] or ())
    return [("dim", {"dim": dim}) for dim in (rank, -rank - 1, WRAP, -WRAP)]


def _softmax_accepted(geometry: Geometry) -> Breakages:
    return [
        ("an axis of nothing", {"input": (2, 0), "dim": 1}),
        ("no rows", {"input": (0, 3), "dim": 1}),
        ("a single number", {"input": (), "dim": 0}),
    ]


def _softmax_window(inputs: Arrays, attributes: Attributes, index: tuple[int, ...]) -> Arrays:
    """Return all numbers along the axis, and which one of them it is."""
    along = attributes["dim"] % len(index)
    line: tuple[Any, ...] = (*index[:along], slice(None), *index[along + 1 :])
    return {"input": inputs["input"][line], "position": np.asarray(index[along])}


def _powers(x: Interval, along: int) -> tuple[Interval, Interval]:
    """Return the distances to the largest number, and the sum of their exponentials."""
    most = Interval(x.steps, x.low.max(along, keepdims=True, initial=-np.inf))
    distances = x - most
    return distances, distances.exp().sum(along)


def _softmax(x: Interval, along: int) -> Interval:
    distances, total = _powers(x, along)
    return distances.exp() / total


def _log_softmax(x: Interval, along: int) -> Interval:
    distances, total = _powers(x, along)
    return distances - total.log()


def _softmax_gradient(x: Interval, g: Interval, along: int) -> Interval:
    shares = _softmax(x, along)
    return shares * (g - (g * shares).sum(along))


def _log_softmax_gradient(x: Interval, g: Interval, along: int) -> Interval:
    """Return the gradient from the logarithms, which are what backends keep."""
    return g - _log_softmax(x, along).exp() * g.sum(along)


def _softmax_operator(
    name: str, formula: Callable[[Interval, int], Interval], pulled: Callable[[Interval, Interval, int], Interval]
) -> Operator:
    def bounds(inputs: Arrays, attributes: Attributes, expected: Arrays, arithmetic: Arithmetic) -> dict[str, Bound]:
        x = Interval(Steps.of(arithmetic), np.atleast_1d(inputs["input"]))
        found = formula(x, attributes["dim"])
        return {"output": found.reshaped(inputs["input"].shape).bound(expected["output"], arithmetic)}

    def pulled_bounds(
        inputs: Arrays, attributes: Attributes, expected: Arrays, arithmetic: Arithmetic
    ) -> dict[str, Bound]:
        x, g = (Interval(Steps.of(arithmetic), inputs[k]) for k in ("input", "cotangent"))
        return {"input": pulled(x, g, attributes["dim"]).bound(expected["input"], arithmetic)}

    return Operator(
        name=name,
        reference=getattr(reference, name),
        geometries=_softmax_geometries,
        exact=_exact,
        real=_real,
        special=_special,
        bounds=bounds,
        window=_softmax_window,
        rejections=_softmax_rejections,
        accepted=_softmax_accepted,
        gradient=Gradient(getattr(reference.vjp, name), _pulled, pulled_bounds),
        per_sample=lambda attributes: () if attributes["dim"] == 0 else ("input",),
        layers=_many_classes,
    )


def _axis(shape: Shape) -> int:
    return min(1, len(shape) - 1)


@drawn
def _cross_entropy_geometries(choose: Choices, purpose: str) -> Geometry:
    classes = choose.whole(2, choose.one_of((6, 6, 33)))
    positions = (batch_size(choose, purpose, 4), *(choose.whole(1, 4) for _ in range(choose.whole(0, 2))))
    reduction = choose.one_of(("none", "mean", "sum", "mean")) if purpose != "special" else "none"
    if reduction != "none" and choose.flag() and choose.flag():
        positions = ()
    shape = (*positions[:1], classes, *positions[1:])
    # Where shapes are compared all arrays are floats, and so the target holds probabilities.
    named = choose.one_of((True, True, False)) and purpose != "sizes"
    attributes: dict[str, Any] = {"reduction": reduction} if reduction != "mean" else {}
    if named and classes > 2 and math.prod(positions) > 5 and choose.one_of((False, True, True)):
        attributes["ignore_index"] = choose.whole(0, classes - 1)
    smoothing = choose.one_of((0.0, 0.0, 0.25, 0.1, 1.0))
    attributes |= {"label_smoothing": smoothing} if smoothing else {}
    weight = (classes,) if choose.flag() else None
    return Geometry({"input": shape, "target": positions if named else shape, "weight": weight}, attributes)


def _shares(inputs: Arrays, attributes: Attributes, steps: Steps) -> tuple[Interval, Interval]:
    """Return the weighted shares q of the classes, and the divisor of a mean."""
    x, t = inputs["input"], inputs["target"]
    along, smoothing = _axis(x.shape), attributes.get("label_smoothing", 0.0)
    across = [1] * x.ndim
    across[along] = -1
    named = t.ndim < x.ndim
    kept = np.ones(t.shape) if not named else 1.0 * (t != attributes.get("ignore_index", -100))
    if named:
        t, kept = (np.expand_dims(part, along) for part in (t, kept))
        t = kept * (t == np.arange(x.shape[along]).reshape(across))
    shares = Interval(steps, t.astype(np.float64))
    if smoothing:
        spread = Interval(steps, kept) * (shares.like(smoothing) / x.shape[along])
        shares = shares * (1 - shares.like(smoothing)) + spread
    weights = Interval(steps, inputs["weight"].reshape(across)) if "weight" in inputs else shares.like(1)
    counted = (Interval(steps, t) * weights).sum(None) if named else shares.like(x.size // x.shape[along])
    return shares * weights, counted


def _pieces(
    inputs: Arrays, attributes: Attributes, arithmetic: Arithmetic
) -> tuple[Interval, Interval, Interval, int, str]:
    """Return logarithms, shares and divisor, the axis of the classes, and the reduction."""
    steps, along = Steps.of(arithmetic), _axis(inputs["input"].shape)
    shares, divisor = _shares(inputs, attributes, steps)
    reduction = attributes.get("reduction", "mean")
    logarithms = _log_softmax(Interval(steps, inputs["input"]), along)
    return logarithms, shares, divisor if reduction == "mean" else shares.like(1), along, reduction


def _times(shares: Interval, logarithms: Interval) -> Interval:
    """Return the products, 0 where the share is 0, also of what is infinite."""
    return where(shares.high != 0, shares * logarithms, shares.like(0))


def _cross_entropy_bounds(
    inputs: Arrays, attributes: Attributes, expected: Arrays, arithmetic: Arithmetic
) -> dict[str, Bound]:
    logarithms, shares, divisor, along, reduction = _pieces(inputs, attributes, arithmetic)
    losses = _times(shares, -logarithms).sum(along, keepdims=False)
    if reduction != "none":
        losses = losses.sum(None, keepdims=False) / divisor
    return {"output": losses.reshaped(expected["output"].shape).bound(expected["output"], arithmetic)}


def _cross_entropy_pulled_bounds(
    inputs: Arrays, attributes: Attributes, expected: Arrays, arithmetic: Arithmetic
) -> dict[str, Bound]:
    logarithms, shares, divisor, along, reduction = _pieces(inputs, attributes, arithmetic)
    g: Array = inputs["cotangent"]
    each = Interval(shares.steps, np.expand_dims(g, along) if reduction == "none" else g) / divisor
    pulled = -(each * shares)
    bounds = {"input": (pulled - logarithms.exp() * pulled.sum(along)).bound(expected["input"], arithmetic)}
    if "target" in expected:
        weights = inputs.get("weight", np.ones(()))
        lead = [1] * logarithms.low.ndim
        lead[along] = -1
        left = 1 - shares.like(attributes.get("label_smoothing", 0.0))
        of_target = each * -logarithms * Interval(shares.steps, weights.reshape(lead)) * left
        bounds["target"] = of_target.bound(expected["target"], arithmetic)
    return bounds


def _cross_entropy_window(inputs: Arrays, attributes: Attributes, index: tuple[int, ...]) -> Arrays:
    """Return the scores and the target of the position, or all of them where they were reduced."""
    x, t = inputs["input"], inputs["target"]
    if attributes.get("reduction", "mean") != "none":
        return dict(inputs)
    line: tuple[Any, ...] = (*index[:1], slice(None), *index[1:])
    weight = {"weight": inputs["weight"]} if "weight" in inputs else {}
    return {"input": x[line], "target": t[line] if t.ndim == x.ndim else t[index], **weight}


def _target_of(geometry: Geometry) -> Callable[[Shape], Shape]:
    """Return how the shape of the target follows from that of the scores: labels lack the axis of the classes."""
    shape, target = geometry.shapes["input"] or (), geometry.shapes["target"] or ()
    if len(target) == len(shape):
        return lambda scores: scores
    return lambda scores: (*scores[: _axis(scores)], *scores[_axis(scores) + 1 :])


def _cross_entropy_rejections(geometry: Geometry) -> Breakages:
    shape, target_of = geometry.shapes["input"] or (), _target_of(geometry)
    broken: Breakages = [
        ("input-rank", {"input": (), "target": (), "weight": None}),
        ("classes", {"input": (2, 0), "target": target_of((2, 0)), "weight": None}),
        ("target-shape", {"target": (*target_of(shape), 2, 2)}),
        ("weight", {"weight": (shape[_axis(shape)] + 1,)}),
        ("reduction", {"reduction": "median"}),
        ("label-smoothing", {"label_smoothing": 1.5}),
        ("label-smoothing", {"label_smoothing": -0.25}),
    ]
    if target_of(shape) == shape:  # probabilities
        broken += [
            ("dtype", {"target": (*shape[: _axis(shape)], *shape[_axis(shape) + 1 :])}),
            ("ignore-index", {"ignore_index": 1}),
        ]
    else:  # labels of more classes than there are, of so many samples that some name one of these
        broken += [
            ("target", {"input": (40, 1), "target": (40,), "weight": None, "ignore_index": -100}),
            ("target", {"target": ("below", 1), "ignore_index": -100}),
        ]
    return broken


def _cross_entropy_accepted(geometry: Geometry) -> Breakages:
    target_of, plain = _target_of(geometry), {"weight": None, "reduction": "sum"}
    odd: Breakages = [
        ("an empty batch", {**plain, "input": (0, 3), "target": target_of((0, 3))}),
        ("no positions", {**plain, "input": (2, 3, 0), "target": target_of((2, 3, 0))}),
    ]
    return [*odd, ("one class", {**plain, "input": (2, 1), "target": (2, 1)})] if target_of((2, 1)) == (2, 1) else odd


OPERATORS = (
    _softmax_operator("softmax", _softmax, _softmax_gradient),
    _softmax_operator("log_softmax", _log_softmax, _log_softmax_gradient),
    Operator(
        name="cross_entropy",
        reference=reference.cross_entropy,
        geometries=_cross_entropy_geometries,
        exact=_exact,
        real=_real,
        special=_special,
        bounds=_cross_entropy_bounds,
        window=_cross_entropy_window,
        rejections=_cross_entropy_rejections,
        accepted=_cross_entropy_accepted,
        gradient=Gradient(reference.vjp.cross_entropy, _pulled, _cross_entropy_pulled_bounds),
        per_sample=lambda attributes: ("input", "target") if attributes.get("reduction") == "none" else (),
        layers=lambda shorter: [
            Geometry({"input": (8 // shorter, 1000), "target": (8 // shorter,), "weight": None}, {})
        ],
    ),
)
