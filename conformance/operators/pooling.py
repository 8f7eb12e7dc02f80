"""Pooling: the largest or the mean of each window."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import reference
from conformance.bounds import copies, sum_of_products
from conformance.formats import Array, format_of
from conformance.model import Arithmetic, Arrays, Attributes, Bound, Breakages, Geometry, Operator, Pattern
from conformance.patterns import limit_of
from conformance.strategies import Choices, batch_size, drawn, ranges, spelled, stretched, window_axis
from reference.constraints import per_axis
from reference.windows import padded, resolve_padding


def _geometries(rank: int, average: bool) -> Any:
    @drawn
    def geometries(choose: Choices, purpose: str) -> Geometry:
        large = stretched(choose, "batch", "channels", "wide") if purpose == "values" and rank < 3 else "none"
        batch = batch_size(choose, purpose) + 4 * (large == "batch")
        channels = choose.whole(1, 6 if purpose == "values" else 3) + 12 * (large == "channels")
        reach, ceil_mode = ranges(purpose, rank), choose.flag()
        axes = [
            window_axis(
                choose, reach, pool=True, ceil=ceil_mode, dilated=not average, wide=large == "wide" and i == rank - 1
            )
            for i in range(rank)
        ]
        kernel, stride = tuple(a.kernel for a in axes), tuple(a.stride for a in axes)
        attributes: dict[str, Any] = spelled(kernel_size=(kernel, None))
        if stride != kernel or choose.flag():
            attributes |= spelled(stride=(stride, None))
        attributes |= spelled(
            padding=(tuple(a.padding for a in axes), 0), dilation=(tuple(a.dilation for a in axes), 1)
        )
        if ceil_mode:
            attributes["ceil_mode"] = True
        attributes |= _average_attributes(choose, rank) if average else _maximum_attributes(choose)
        return Geometry({"input": (batch, channels, *(a.size for a in axes))}, attributes, math.prod(kernel))

    return geometries


def _average_attributes(choose: Choices, rank: int) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    if choose.flag():
        attributes["count_include_pad"] = False
    # torch.nn.functional.avg_pool1d has no divisor_override; no framework has one that the others lack.
    if rank > 1 and choose.whole(0, 3) == 3:
        attributes["divisor_override"] = choose.whole(1, 7)
    return attributes


def _maximum_attributes(choose: Choices) -> dict[str, Any]:
    return {"return_indices": True} if choose.flag() else {}


def _maximum_patterns(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    """Return data with many ties, and data with none."""
    large = 2 ** min(format_of(dtype).bits, 31) - 1
    return (
        Pattern(("ramp", 1)),
        Pattern(("integers", 1)),
        Pattern(("integers", 3)),
        Pattern(("integers", large if dtype != "float16" else 2047)),
    )


def _maximum_real(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    return (Pattern(("normal", 1)), Pattern(("positive", 1)), Pattern(("offset", -8)))


def _maximum_special(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    shape = geometry.shapes["input"]
    assert shape is not None
    # Few enough of them that most windows hold something else.
    few = max(1, math.prod(shape) // (3 * geometry.terms))
    kinds: tuple[tuple[str, float], ...] = (
        ("nans", few),
        ("infinities", few),
        ("nonfinite", few),
        ("bottom", few),
        ("negative_zeros", 1),
        ("tiny", 3),
        ("huge", 1),
    )
    return tuple(map(Pattern, kinds))


def _maximum_bounds(
    inputs: Arrays, attributes: Attributes, expected: Arrays, arithmetic: Arithmetic
) -> dict[str, Bound]:
    # Which zero is the larger is not specified: the sign is promised only where all zeros have one.
    x = inputs["input"]
    zeros = np.signbit(x[x == 0])
    return copies(expected, zero_sign=bool(zeros.size and (zeros.all() or not zeros.any())))


def _average_exact(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    large = max(3, min(2 ** min(format_of(dtype).bits, 31) - 1, limit_of(dtype) // geometry.terms))
    return (Pattern(("ramp", 1)), Pattern(("integers", 3)), Pattern(("integers", large)))


def _average_real(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    return (Pattern(("normal", 1)), Pattern(("positive", 1)), Pattern(("spread", 1)))


def _average_special(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    guests = (Pattern(("nans", 1)), Pattern(("infinities", 1)))
    # In float16 a sum leaves the format where the mean does not; in wider formats the accumulator would overflow too.
    return (*guests, Pattern(("huge", 1))) if dtype == "float16" else guests


def _average_bounds(function: Callable[..., Array]) -> Any:
    def bounds(inputs: Arrays, attributes: Attributes, expected: Arrays, arithmetic: Arithmetic) -> dict[str, Bound]:
        x = inputs["input"]
        plain = {k: v for k, v in attributes.items() if k not in ("divisor_override", "count_include_pad")}
        total = function(np.abs(x), **plain, divisor_override=1)
        divisor: Any = attributes.get("divisor_override")
        if divisor is None:
            ones = np.ones((1, 1, *x.shape[2:]))
            share = function(ones, **{k: v for k, v in attributes.items() if k != "divisor_override"})
            divisor = np.rint(function(ones, **plain, divisor_override=1) / share)
        terms = math.prod(per_axis("kernel-size", "kernel_size", attributes["kernel_size"], x.ndim - 2, 1))
        return {"output": sum_of_products(total, terms, expected["output"], [x], arithmetic, divisor)}

    return bounds


def _window(rank: int) -> Any:
    def window(inputs: Arrays, attributes: Attributes, index: tuple[int, ...]) -> Arrays:
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

    return window


def _rejections(rank: int, average: bool) -> Any:
    def rejections(geometry: Geometry) -> Breakages:
        x = geometry.shapes["input"]
        assert x is not None
        broken: Breakages = [
            ("input-rank", {"input": (*x, 1, 1)}),
            ("spatial-size", {"input": (*x[:2], 0, *x[3:])}),
            ("kernel-size", {"kernel_size": 0}),
            ("kernel-size", {"kernel_size": -1}),
            ("kernel-size", {"kernel_size": (2,) * (rank + 1), "padding": 0}),
            ("stride", {"stride": 0}),
            ("stride", {"stride": -1}),
            ("padding", {"padding": -1}),
            ("padding", {"padding": (0,) * (rank + 1)}),
            ("pool-padding", {"kernel_size": 3, "padding": 4, "dilation": 1}),
            ("kernel-fits", {"kernel_size": max(x[2:]) + 100, "padding": 0, "ceil_mode": False}),
        ]
        if average:
            broken = [(label, {k: v for k, v in c.items() if k != "dilation"}) for label, c in broken]
            if rank > 1:
                broken.append(("divisor-override", {"divisor_override": 0}))
        else:
            broken += [("dilation", {"dilation": 0}), ("dilation", {"dilation": (1,) * (rank + 1)})]
        return broken

    return rejections


def _operator(rank: int, average: bool) -> Operator:
    name = f"{'avg' if average else 'max'}_pool{rank}d"
    function = getattr(reference, name)
    return Operator(
        name=name,
        reference=function,
        geometries=_geometries(rank, average),
        exact=_average_exact if average else _maximum_patterns,
        real=_average_real if average else _maximum_real,
        special=_average_special if average else _maximum_special,
        bounds=_average_bounds(function) if average else _maximum_bounds,
        window=_window(rank),
        rejections=_rejections(rank, average),
        conventions={} if average else {"nan": "max_pool_nan"},
    )


OPERATORS = tuple(_operator(rank, average) for average in (False, True) for rank in (1, 2, 3))
