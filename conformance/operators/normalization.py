"""Normalization of every channel, over the batch or sample by sample; and what all normalizations share."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

import reference
import reference.vjp
from conformance.fills import Shape
from conformance.formats import Array
from conformance.model import (
    Arithmetic,
    Arrays,
    Attributes,
    Bound,
    Breakages,
    Geometry,
    Gradient,
    Operator,
    Pattern,
)
from conformance.norm_bounds import Moments, Norm, blended, gradients, moments, normalized
from conformance.patterns import LARGE
from conformance.strategies import Choices, batch_size, drawn, stretched

EPS = 1e-5
EPSILONS = (EPS, 1e-3, 0.1, 1e-8)
MOMENTUM = 0.1
LENGTHS = (32, 15, 16, 17, 31, 33, 64, 1024)  # on both sides of the widths of vectors, and a long one
PARAMETERS = {"running_mean": ("integers", 4), "weight": ("integers", 2), "bias": ("integers", 3)}
View = Callable[[Arrays, Attributes], Norm]
Data = Callable[[Geometry, str], tuple[Pattern, ...]]


def extents(choose: Choices, rank: int) -> tuple[int, ...]:
    """Draw so many lengths, powers of two more often: means of them can be exact."""
    return tuple(choose.one_of((1, 2, 4, 3, 5)) for _ in range(rank))


def affine(choose: Choices, shape: Shape) -> dict[str, Shape | None]:
    """Draw whether there is a weight and a bias: neither, both, or one of them."""
    has = choose.one_of(((False, False), (True, True), (True, True), (True, False), (False, True)))
    return {name: shape if there else None for name, there in zip(("weight", "bias"), has, strict=True)}


def with_eps(attributes: dict[str, Any], eps: float) -> dict[str, Any]:
    """Return the attributes with an eps, unless it is the usual one."""
    return attributes | ({"eps": eps} if eps != EPS else {})


def exact_norms(*fills: tuple[str, float, float]) -> tuple[Pattern, ...]:
    """Return exact data from (kind, scale, eps), for which the standard deviation is a power of two."""
    return tuple(
        Pattern(("integers", 2), {"input": (kind, scale), **PARAMETERS, "running_var": ("roots", eps)}, {"eps": eps})
        for kind, scale, eps in fills
    )


def real_norms(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    """Return values around 0, of small variance (where eps tells), around another mean, and of one sign."""
    parameters = {"running_mean": ("normal", 0.5), "running_var": ("positive", 1), "weight": ("normal", 1)}
    small = {"input": ("normal", 2.0**-7), **parameters, "running_var": ("positive", 2.0**-12)}
    far = 30.0 if dtype in ("float16", "bfloat16") else 1000.0
    offset = {"input": ("offset", far), **parameters, "running_mean": ("offset", far)}
    return (
        Pattern(("normal", 1), parameters),
        Pattern(("normal", 1), small),
        Pattern(("normal", 1), offset),
        Pattern(("positive", 1)),
    )


def special_norms(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    """Return NaN and infinities, which reach only what shares statistics with them; subnormals; and no variance.

    Last, values as large as their squares allow.
    """
    half = dtype in ("float16", "bfloat16")  # in which statistics may be kept, and the least eps be lost beside them
    variances = {"running_var": ("positive", 4)}
    tiny = {"input": ("tiny", 500), "running_mean": ("tiny", 500), **variances}
    patterns = [Pattern(("integers", 3), {"input": (kind, 1), **variances}) for kind in ("nans", "infinities")]
    patterns.append(Pattern(("integers", 3), tiny, {"eps": 0.1} if half else {}))
    if "bias" not in geometry.shapes or geometry.shapes["bias"] is not None:  # else a constant less its mean is 0
        constant = {"input": ("paired", 2.0**-60), **variances}
        patterns.append(Pattern(("integers", 3), constant, {"eps": 0.1} if half else {}))
    if dtype != "float16":
        patterns.append(Pattern(("integers", 3), {"input": ("normal", LARGE), **variances}))
    return tuple(patterns)


def huge_norms(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    """Return special data, in float16 also near the largest number: only a wider format holds their squares."""
    huge = Pattern(("integers", 3), {"input": ("huge", 1)})
    return (*special_norms(geometry, dtype), *((huge,) if dtype == "float16" else ()))


def norm_operator(
    name: str,
    view: View,
    exact: Sequence[Pattern],
    real: Data = real_norms,
    special: Data = special_norms,
    **fields: Any,
) -> Operator:
    """Return a normalization with its gradients, from how it is seen as a norm and from its data."""

    def pulled(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
        whole = [replace(p, kinds={**p.kinds, "cotangent": ("integers", 3)}) for p in exact]
        normal = [replace(p, kinds={**p.kinds, "cotangent": ("normal", 1)}) for p in real_norms(geometry, dtype)]
        return (*whole, *normal, replace(normal[0], kinds={**normal[0].kinds, "cotangent": ("ramp", 1)}))

    def bounds(inputs: Arrays, attributes: Attributes, expected: Arrays, arithmetic: Arithmetic) -> dict[str, Bound]:
        norm = view(inputs, attributes)
        return gradients(norm, inputs["cotangent"], moments(norm, arithmetic), expected, arithmetic)

    return Operator(
        name=name,
        reference=getattr(reference, name),
        exact=_fitting(lambda geometry, dtype: tuple(exact)),
        real=_fitting(real),
        special=_fitting(special),
        gradient=Gradient(getattr(reference.vjp, name), _fitting(pulled), bounds),
        **fields,
    )


def _fitting(data: Data) -> Data:
    """Return the data without fills for arrays that an operator does not have."""

    def fitted(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
        patterns = data(geometry, dtype)
        return tuple(replace(p, kinds={k: v for k, v in p.kinds.items() if k in geometry.shapes}) for p in patterns)

    return fitted


def reshaped(inputs: Arrays, shape: Sequence[int], *names: str) -> list[Array | None]:
    """Return the arrays of those names in another shape, None for each that there is not."""
    return [inputs[name].reshape(shape) if name in inputs else None for name in names]


def _switch(pooled: bool) -> tuple[str, bool]:
    """Return the attribute that says whether a channel's own statistics are used, and its default."""
    return ("training", False) if pooled else ("use_input_stats", True)


def _special(pooled: bool) -> Data:
    def special(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
        """Return also values near 1e30 where the statistics are given, so that nothing is squared."""
        switch, default = _switch(pooled)
        near = Pattern(("integers", 3), {"input": ("normal", 2.0**100), "running_var": ("positive", 4)})
        given = dtype != "float16" and not geometry.attributes.get(switch, default)
        return (*special_norms(geometry, dtype), *((near,) if given else ()))

    return special


def _geometries(pooled: bool) -> Any:
    @drawn
    def geometries(choose: Choices, purpose: str) -> Geometry:
        own = choose.flag() == pooled
        large = stretched(choose, "batch", "channels", "spatial") if purpose == "values" else "none"
        batch = max(batch_size(choose, purpose, 4), int(own and pooled)) + 4 * (large == "batch")
        channels = choose.whole(2 if purpose == "special" else 1, 4)
        channels += choose.one_of((8, 13, 29)) if large == "channels" else 0
        spatial = extents(choose, choose.whole(0, 3))
        if own and math.prod(spatial) * (batch if pooled else 1) < 2:
            batch, spatial = (2, spatial) if pooled else (batch, (2,))
        if large == "spatial":
            spatial = (*spatial[:2], choose.one_of(LENGTHS))
        running = not own or choose.flag()
        switch, default = _switch(pooled)
        attributes: dict[str, Any] = {switch: own} if own != default else {}
        momentum = choose.one_of((MOMENTUM, 0.5, 0.0, 1.0, 0.25)) if own and running else MOMENTUM
        eps = choose.one_of(EPSILONS)
        attributes |= {"momentum": momentum} if momentum != MOMENTUM else {}
        kept = (channels,) if running else None
        shapes = {
            "input": (batch, channels, *spatial),
            "running_mean": kept,
            "running_var": kept,
            **affine(choose, (channels,)),
        }
        return Geometry(shapes, with_eps(attributes, eps), batch * math.prod(spatial))

    return geometries


def _view(pooled: bool) -> View:
    def view(inputs: Arrays, attributes: Attributes) -> Norm:
        x = inputs["input"]
        along = (1, -1, *(1,) * (x.ndim - 2))
        weight, bias, mean, var = reshaped(inputs, along, "weight", "bias", "running_mean", "running_var")
        own = attributes.get(*_switch(pooled))
        given = (mean, var) if not own and mean is not None and var is not None else None
        axes = (0, *range(2, x.ndim)) if pooled else tuple(range(2, x.ndim))
        return Norm(x, axes, weight, bias, attributes.get("eps", EPS), given=given)

    return view


def _bounds(view: View) -> Any:
    def bounds(inputs: Arrays, attributes: Attributes, expected: Arrays, arithmetic: Arithmetic) -> dict[str, Bound]:
        norm = view(inputs, attributes)
        by = moments(norm, arithmetic)
        found = {"output": normalized(norm, by, expected["output"], arithmetic)}
        if norm.given is not None:
            return found | {k: Bound(np.zeros(v.shape)) for k, v in expected.items() if k != "output"}
        return found | _running_bounds(norm, by, inputs, attributes, expected, arithmetic)

    return bounds


def _running_bounds(
    norm: Norm, by: Moments, inputs: Arrays, attributes: Attributes, expected: Arrays, arithmetic: Arithmetic
) -> dict[str, Bound]:
    """Return the bounds of running statistics, into which the mean of those of all samples is blended."""
    unbiased, share = norm.count / (norm.count - 1), attributes.get("momentum", MOMENTUM)
    samples = by.mean.shape[0]
    news = {
        "running_mean": (np.abs(by.mean), by.far_mean, 6),
        "running_var": (by.var * unbiased, by.far_var * unbiased, 8),
    }
    found = {}
    for name in expected.keys() & news.keys():
        new, far, roundings = news[name]
        new, far = (part.sum(0).ravel() / np.float64(samples) for part in (new, far))
        found[name] = blended(share, inputs[name], new, far, expected[name], arithmetic, roundings + samples)
    return found


def _window(pooled: bool) -> Any:
    def window(inputs: Arrays, attributes: Attributes, index: tuple[int, ...]) -> Arrays:
        channel = index[1] if len(index) > 1 else index[0]
        sample = index[0] if len(index) > 1 and not pooled else slice(None)
        parameters = {k: v[channel] for k, v in inputs.items() if k not in ("input", "cotangent")}
        return {"input": inputs["input"][sample, channel], **parameters}

    return window


def _rejections(pooled: bool) -> Any:
    def rejections(geometry: Geometry) -> Breakages:
        x = geometry.shapes["input"]
        assert x is not None
        channels, (switch, _) = x[1], _switch(pooled)
        given = {"running_mean": (channels,), "running_var": (channels,)}
        lone = (1, channels) if pooled else (*x[:2], 1)
        broken: Breakages = [
            ("input-rank", {"input": (x[0],)}),
            ("weight", {"weight": (channels + 1,)}),
            ("weight", {"weight": (channels, 1)}),
            ("bias", {"bias": (channels + 1,)}),
            ("running-mean", {**given, "running_mean": (channels + 1,)}),
            ("running-var", {**given, "running_var": (channels + 1,)}),
            ("running-statistics", {"running_mean": None, "running_var": None, switch: False}),
            ("running-statistics", {**given, "running_var": None}),
            ("values-per-channel", {"input": lone, switch: True}),
            ("eps", {"eps": -1.0}),
            ("eps", {"eps": -1e-12}),
        ]
        return broken

    return rejections


def _accepted(pooled: bool) -> Any:
    def accepted(geometry: Geometry) -> Breakages:
        x = geometry.shapes["input"]
        assert x is not None
        switch, _ = _switch(pooled)
        given = {"running_mean": (x[1],), "running_var": (x[1],)}
        odd: Breakages = [
            ("a momentum beyond 1", {"input": (*x[:2], 2), **given, switch: True, "momentum": 1.5}),
            ("an eps of 0", {**given, switch: False, "eps": 0.0}),
            ("an eps of 0 for statistics of its own", {"input": (2, x[1], 3), switch: True, "eps": 0.0}),
            ("no spatial axes where statistics are given", {"input": x[:2], **given, switch: False}),
        ]
        return odd

    return accepted


def _layers(pooled: bool) -> Any:
    """Return what makes the layers of real networks, in training and in use."""

    def layers(shorter: int) -> list[Geometry]:
        found = []
        for channels, size, own in ((64, 56, True), (256, 14, True), (64, 56, False)):
            switch, default = _switch(pooled)
            length = max(size // shorter, 2)
            parameters = dict.fromkeys(("running_mean", "running_var", "weight", "bias"), (channels,))
            shapes = {"input": (2, channels, length, length), **parameters}
            found.append(Geometry(shapes, {switch: own} if own != default else {}, 2 * length**2))
        return found

    return layers


def _operator(name: str, pooled: bool, exact: Sequence[Pattern]) -> Operator:
    view = _view(pooled)
    return norm_operator(
        name,
        view,
        exact,
        special=_special(pooled),
        geometries=_geometries(pooled),
        bounds=_bounds(view),
        window=_window(pooled),
        rejections=_rejections(pooled),
        accepted=_accepted(pooled),
        layers=_layers(pooled),
        per_sample=lambda attributes: () if pooled and attributes.get("training") else ("input",),
        conventions={"running_variance": "running_variance", "momentum_weights": "momentum_weights"},
    )


OPERATORS = (
    _operator("batch_norm", True, exact_norms(("paired", 1, 3.0), ("paired", 3, 7.0), ("integers", 3, 3.0))),
    _operator("instance_norm", False, exact_norms(("ramp", 2, 3.75), ("paired", 3, 7.0), ("ramp", 4, 2.75))),
)
