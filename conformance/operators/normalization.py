"""Batch normalization."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import reference
from conformance.bounds import blended, normalized, statistics
from conformance.formats import Array
from conformance.model import Arithmetic, Arrays, Attributes, Bound, Breakages, Geometry, Operator, Pattern
from conformance.strategies import Choices, batch_size, drawn, stretched

EPS = 1e-5
MOMENTUM = 0.1


@drawn
def _geometries(choose: Choices, purpose: str) -> Geometry:
    training = choose.flag()
    large = stretched(choose, "batch", "channels", "spatial") if purpose == "values" else "none"
    batch = max(batch_size(choose, purpose, 4), int(training)) + 4 * (large == "batch")
    channels = choose.whole(2 if purpose == "special" else 1, 4) + 8 * (large == "channels")
    spatial = tuple(choose.one_of((1, 2, 4, 3, 5)) for _ in range(choose.whole(0, 3)))
    if training and batch * math.prod(spatial) < 2:
        batch = 2
    if large == "spatial":
        spatial = (*spatial[:2], 32)
    running = not training or choose.flag()
    affine = choose.flag()
    attributes: dict[str, Any] = {"training": True} if training else {}
    momentum = choose.one_of((MOMENTUM, 0.5, 0.0, 1.0, 0.25)) if training and running else MOMENTUM
    eps = choose.one_of((EPS, 1e-3, 0.1, 1e-8))
    attributes |= {"momentum": momentum} if momentum != MOMENTUM else {}
    attributes |= {"eps": eps} if eps != EPS else {}
    parameter = (channels,)
    shapes = {
        "input": (batch, channels, *spatial),
        "running_mean": parameter if running else None,
        "running_var": parameter if running else None,
        "weight": parameter if affine else None,
        "bias": parameter if affine else None,
    }
    return Geometry(shapes, attributes, batch * math.prod(spatial))


def _exact(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    """Return data whose standard deviation is a power of two: variance scale**2 or 4**k - scale, eps to fit."""
    parameters = {"running_mean": ("integers", 4), "weight": ("integers", 2), "bias": ("integers", 3)}
    return tuple(
        Pattern(fill, {"input": fill, **parameters, "running_var": ("roots", eps)}, {"eps": float(eps)})
        for fill, eps in ((("paired", 1), 3), (("integers", 3), 3), (("paired", 3), 7))
    )


def _real(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    """Return values around 0, of small variance (where eps tells), around 30, and of one sign."""
    parameters = {"running_mean": ("normal", 0.5), "running_var": ("positive", 1), "weight": ("normal", 1)}
    small = {"input": ("normal", 2.0**-7), **parameters, "running_var": ("positive", 2.0**-12)}
    return (
        Pattern(("normal", 1), {"input": ("normal", 1), **parameters}),
        Pattern(("normal", 1), small),
        Pattern(("normal", 1), {"input": ("offset", 30), **parameters}),
        Pattern(("positive", 1)),
    )


def _special(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    parameters = {"running_var": ("positive", 4)}
    return tuple(Pattern(("integers", 3), {"input": (kind, 1), **parameters}) for kind in ("nans", "infinities"))


def _bounds(inputs: Arrays, attributes: Attributes, expected: Arrays, arithmetic: Arithmetic) -> dict[str, Bound]:
    x = inputs["input"]
    along = (1, -1, *(1,) * (x.ndim - 2))
    w, b = (inputs[k].reshape(along) if k in inputs else None for k in ("weight", "bias"))
    eps = attributes.get("eps", EPS)
    if not attributes.get("training", False):
        mean, var = inputs["running_mean"].reshape(along), inputs["running_var"].reshape(along)
        exact = _exact_steps(x, mean, var, w, b, eps, arithmetic)
        output = normalized(x, mean, var, w, b, eps, expected["output"], arithmetic, None, exact)
        copied = {k: expected[k] for k in ("running_mean", "running_var")}
        return {"output": output, **{k: Bound(np.zeros(v.shape)) for k, v in copied.items()}}
    axes = (0, *range(2, x.ndim))
    m = math.prod(x.shape[a] for a in axes)
    with np.errstate(all="ignore"):
        mean = x.mean(axes, keepdims=True)
        var = np.square(x - mean).mean(axes, keepdims=True)
        far_mean, far_var = statistics(x, axes, arithmetic)
        exact = _exact_steps(x, mean, var, w, b, eps, arithmetic) & _exact_statistics(x, mean, m, axes, arithmetic)
    bounds = {"output": normalized(x, mean, var, w, b, eps, expected["output"], arithmetic, (far_mean, far_var), exact)}
    if "running_mean" in expected:
        share, unbiased = attributes.get("momentum", MOMENTUM), m / (m - 1)
        for name, new, far, roundings in (
            ("running_mean", mean, far_mean, 6),
            ("running_var", var * unbiased, far_var * unbiased, 8),
        ):
            bounds[name] = blended(share, inputs[name], new.ravel(), far.ravel(), expected[name], arithmetic, roundings)
    return bounds


def _exact_statistics(x: Array, mean: Array, m: int, axes: tuple[int, ...], arithmetic: Arithmetic) -> Array | bool:
    """Where two passes give the exact mean and variance: whole numbers, whole means, a power of two of them."""
    if arithmetic.variance != "two-pass" or m & (m - 1):
        return False
    whole_numbers = (x == np.rint(x)).all(axes, keepdims=True) & (mean == np.rint(mean))
    room = np.square(np.abs(x) + np.abs(mean)).sum(axes, keepdims=True) <= 2.0**arithmetic.accumulator.bits
    return np.asarray(whole_numbers & room)


def _exact_steps(
    x: Array, mean: Array, var: Array, w: Array | None, b: Array | None, eps: float, arithmetic: Arithmetic
) -> Array:
    """Where 1 / sqrt(var + eps) is a power of two and all other factors are small whole numbers."""
    with np.errstate(all="ignore"):
        mantissa, exponent = np.frexp(var + eps)
        exact = (mantissa == 0.5) & (exponent % 2 == 1) & (np.abs(exponent) <= 7)
        for part in (x, mean, *(p for p in (w, b) if p is not None)):
            exact = exact & (part == np.rint(part)) & (np.abs(part) <= 2.0**6)
    return np.asarray(exact & (arithmetic.accumulator.bits >= 24) & (arithmetic.input_bits is None))


def _window(inputs: Arrays, attributes: Attributes, index: tuple[int, ...]) -> Arrays:
    channel = index[1] if len(index) > 1 else index[0]
    parameters = {k: v[channel] for k, v in inputs.items() if k != "input"}
    return {"input": inputs["input"][:, channel], **parameters}


def _rejections(geometry: Geometry) -> Breakages:
    x = geometry.shapes["input"]
    assert x is not None
    channels = x[1]
    given = {"running_mean": (channels,), "running_var": (channels,)}
    broken: Breakages = [
        ("input-rank", {"input": (x[0],)}),
        ("weight", {"weight": (channels + 1,)}),
        ("bias", {"bias": (channels + 1,)}),
        ("running-mean", {**given, "running_mean": (channels + 1,)}),
        ("running-var", {**given, "running_var": (channels + 1,)}),
        ("running-statistics", {"running_mean": None, "running_var": None, "training": False}),
        ("running-statistics", {**given, "running_var": None}),
        ("values-per-channel", {"input": (1, channels), "training": True}),
        ("eps", {"eps": -1.0}),
    ]
    return broken


OPERATORS = (
    Operator(
        name="batch_norm",
        reference=reference.batch_norm,
        geometries=_geometries,
        exact=_exact,
        real=_real,
        special=_special,
        bounds=_bounds,
        window=_window,
        rejections=_rejections,
        conventions={"running_variance": "running_variance", "momentum_weights": "momentum_weights"},
    ),
)
