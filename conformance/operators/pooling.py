"""Pooling over windows of a kernel: the largest or the mean of each."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

import reference.vjp
from conformance.formats import Array
from conformance.model import Arithmetic, Arrays, Attributes, Bound, Breakages, Geometry, Gradient, Operator
from conformance.operators import pools
from conformance.strategies import WRAP, Axis, Choices, drawn, spelled, window_axis
from reference.avg_pooling import divisors
from reference.constraints import per_axis
from reference.pooling_windows import Windows, pool_windows
from reference.windows import padded, resolve_padding


def _geometries(rank: int, average: bool) -> Any:
    @drawn
    def geometries(choose: Choices, purpose: str) -> Geometry:
        batch, channels, large = pools.planes(choose, purpose, rank)
        reach, ceil_mode = pools.reach_of(large, purpose, rank), choose.flag()
        axes = [
            window_axis(
                choose, reach, pool=True, ceil=ceil_mode, dilated=not average, wide=large == "wide" and i == rank - 1
            )
            for i in range(rank)
        ]
        if purpose not in pools.FORWARD:  # what the index of a window without an element is, engines do not agree on
            axes = [replace(a, size=max(a.size, a.dilation)) for a in axes]
        attributes = window_attributes(choose, axes, ceil_mode)
        attributes |= spelled(
            padding=(tuple(a.padding for a in axes), 0), dilation=(tuple(a.dilation for a in axes), 1)
        )
        attributes |= _average_attributes(choose, rank) if average else _maximum_attributes(choose, purpose)
        terms = math.prod(a.kernel for a in axes)
        return Geometry({"input": (batch, channels, *(a.size for a in axes))}, attributes, terms)

    return geometries


def window_attributes(choose: Choices, axes: list[Axis], ceil_mode: bool) -> dict[str, Any]:
    """Return kernel size, stride and ceil mode; a stride that is the kernel size may be left out."""
    kernel, stride = tuple(a.kernel for a in axes), tuple(a.stride for a in axes)
    attributes: dict[str, Any] = spelled(kernel_size=(kernel, None))
    if stride != kernel or choose.flag():
        attributes |= spelled(stride=(stride, None))
    return attributes | ({"ceil_mode": True} if ceil_mode else {})


def _average_attributes(choose: Choices, rank: int) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    if choose.flag():
        attributes["count_include_pad"] = False
    # torch.nn.functional.avg_pool1d has no divisor_override; no framework has one that the others lack.
    if rank > 1 and choose.whole(0, 3) == 3:
        attributes["divisor_override"] = choose.whole(1, 7)
    return attributes


def _maximum_attributes(choose: Choices, purpose: str) -> dict[str, Any]:
    # Layouts are tried on gradients too, whose functions know of no indices.
    return {"return_indices": True} if choose.flag() and purpose not in ("gradients", "layouts") else {}


def _windows(
    rank: int,
    x: Array,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> tuple[Windows, list[Array]]:
    """Return the windows of an average pooling, and along each axis what they are divided by."""
    w = pool_windows(rank, x, kernel_size, stride, padding, 1, ceil_mode)
    return w, divisors(w, count_include_pad, divisor_override)


def _average_bounds(rank: int) -> Any:
    def bounds(inputs: Arrays, attributes: Attributes, expected: Arrays, arithmetic: Arithmetic) -> dict[str, Bound]:
        w, along = _windows(rank, inputs["input"], **attributes)
        return {"output": pools.mean_bound(w, along, expected["output"], arithmetic)}

    return bounds


def _average_gradient(rank: int, vjp: Callable[..., Array]) -> Gradient:
    def bounds(inputs: Arrays, attributes: Attributes, expected: Arrays, arithmetic: Arithmetic) -> dict[str, Bound]:
        w, along = _windows(rank, inputs["input"], **attributes)
        g = inputs["cotangent"]
        return {"input": pools.mean_gradient_bound(g, w.lines, along, expected["input"], arithmetic)}

    return Gradient(vjp, pools.means_cotangents, bounds)


def kernel_window(rank: int, inputs: Arrays, attributes: Attributes, index: tuple[int, ...]) -> Arrays:
    """Return the elements of one window, NaN where it lies on padding."""
    x = inputs["input"]
    n, c, *at = index
    kernel = per_axis("kernel-size", "kernel_size", attributes["kernel_size"], rank, 1)
    s = per_axis("stride", "stride", attributes.get("stride", kernel), rank, 1)
    d = per_axis("dilation", "dilation", attributes.get("dilation", 1), rank, 1)
    p = resolve_padding(attributes.get("padding", 0), x.shape[2:], kernel, s, d)
    far = tuple((low, high + e * (k - 1) + f) for (low, high), k, e, f in zip(p, kernel, d, s, strict=True))
    plane = padded(x[n, c], far, np.nan)
    taps = [[i * f + t * e for t in range(k)] for i, f, k, e in zip(at, s, kernel, d, strict=True)]
    return {"input (NaN: padding)": plane[np.ix_(*taps)]}


def kernel_rejections(rank: int, geometry: Geometry) -> Breakages:
    """Return what breaks a constraint that all windows of a kernel have; padding only where there is some to set."""
    x = geometry.shapes["input"]
    assert x is not None
    return [
        ("input-rank", {"input": (*x, 1, 1)}),
        ("input-rank", {"input": x[2:]}),
        ("spatial-size", {"input": (*x[:2], 0, *x[3:])}),
        *(("kernel-size", {"kernel_size": size}) for size in (0, -1, 1 - WRAP)),
        *(("stride", {"stride": step}) for step in (0, -1, 1 - WRAP)),
        # Along one axis who takes 2**32 taps for a fit may walk over all of them, for many seconds.
        *(
            ("kernel-fits", {"kernel_size": size, "ceil_mode": False})
            for size in (max(x[2:]) + 100, 2**31, WRAP + 1)[: 2 if rank == 1 else 3]
        ),
    ]


def _rejections(rank: int, average: bool) -> Any:
    def rejections(geometry: Geometry) -> Breakages:
        dense = {} if average else {"dilation": 1}
        fits = {"padding": 0, **dense}
        broken = [
            (label, {**changes, **(fits if label == "kernel-fits" else {})})
            for label, changes in kernel_rejections(rank, geometry)
        ]
        broken += [
            ("kernel-size", {"kernel_size": (2,) * (rank + 1), "padding": 0}),
            *(("padding", {"padding": n}) for n in (-1, -WRAP)),
            ("padding", {"padding": (0,) * (rank + 1)}),
            ("pool-padding", {"kernel_size": 3, "padding": 4, **dense}),
        ]
        if not average:
            broken += [
                *(("dilation", {"dilation": n}) for n in (0, -1, 1 - WRAP)),
                ("dilation", {"dilation": (1,) * (rank + 1)}),
            ]
        elif rank > 1:
            broken.append(("divisor-override", {"divisor_override": 0}))
        return broken

    return rejections


def _accepted(average: bool) -> Any:
    def accepted(geometry: Geometry) -> Breakages:
        x = geometry.shapes["input"]
        assert x is not None
        dense = {} if average else {"dilation": 1}
        small = {"input": (*x[:2], *(1 for _ in x[2:])), "ceil_mode": False, **dense}
        return [
            ("padding makes a small input fit", {**small, "kernel_size": 3, "stride": 1, "padding": 1}),
            ("a stride may be longer than the input", {"stride": max(x[2:]) + 100}),
            ("there may be no batch axis", {"input": x[1:]}),
        ]

    return accepted


def _operator(rank: int, average: bool) -> Operator:
    name = f"{'avg' if average else 'max'}_pool{rank}d"
    return Operator(
        name=name,
        reference=getattr(reference, name),
        geometries=_geometries(rank, average),
        exact=pools.means_exact if average else pools.maxima_exact,
        real=pools.means_real if average else pools.maxima_real,
        special=pools.means_special if average else pools.maxima_special,
        bounds=_average_bounds(rank) if average else pools.maxima_bounds,
        window=partial(kernel_window, rank),
        rejections=_rejections(rank, average),
        accepted=_accepted(average),
        gradient=_average_gradient(rank, getattr(reference.vjp, name)) if average else pools.maxima_gradient(name),
        per_sample=pools.batched,
        layers=pools.layers_of(rank),
        conventions={} if average else {"nan": "max_pool_nan"},
    )


OPERATORS = tuple(_operator(rank, average) for average in (False, True) for rank in (1, 2, 3))
