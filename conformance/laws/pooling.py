"""Laws of pooling, and of what only moves numbers about."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from conformance.formats import Array
from conformance.laws.numbers import (
    ADAPTIVE_MAXIMA,
    ADAPTIVE_MEANS,
    MAXIMA,
    MEANS,
    POWERS,
    UNPOOLS,
    same,
    wide,
)
from conformance.laws.windows import at, floored, per_axis, windows_of
from conformance.model import Arrays, Attributes, Call, Law

ADAPTIVE = (*ADAPTIVE_MAXIMA, *ADAPTIVE_MEANS)


def _idempotence(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    x = arrays["input"]
    if operator in ADAPTIVE:
        times, plain = (2,) * (x.ndim - 2), {"output_size": x.shape[2:]}
    else:
        times = windows_of(arrays, attributes).kernel
        plain = {"kernel_size": times}
    for axis, count in enumerate(times, 2):
        x = np.repeat(x, count, axis)
    return [Call(operator, {"input": x}, plain)]


def _is_the_input(arrays: Arrays, attributes: Attributes, outputs: Sequence[Array]) -> tuple[Array, Array]:
    return outputs[0], wide(arrays["input"])


def _average(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    given, x = floored(attributes), arrays["input"]
    w = windows_of(arrays, given)
    if not w.fit or given.get("count_include_pad") is False:
        return ()
    layer = {"stride": w.stride, "padding": w.padding, "groups": x.shape[1]}
    ones = {"input": x, "weight": np.ones((x.shape[1], 1, *w.kernel), x.dtype)}
    return [Call(operator, arrays, given), Call(operator.replace("avg_pool", "conv"), ones, layer)]


def _is_sum_over_divisor(arrays: Arrays, attributes: Attributes, outputs: Sequence[Array]) -> tuple[Array, Array]:
    divisor = attributes.get("divisor_override") or math.prod(windows_of(arrays, attributes).kernel)
    return outputs[0] * divisor, outputs[1]


def _power_mean(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    given = floored(attributes)
    if not windows_of(arrays, given).fit:
        return ()
    mean = {name: value for name, value in given.items() if name != "norm_type"}
    sizes = {"input": np.abs(arrays["input"])}
    return [Call(operator, sizes, {**given, "norm_type": 1.0}), Call(operator.replace("lp", "avg"), sizes, mean)]


def _is_sum(arrays: Arrays, attributes: Attributes, outputs: Sequence[Array]) -> tuple[Array, Array]:
    return outputs[0], outputs[1] * math.prod(windows_of(arrays, attributes).kernel)


def _adaptive(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    x = arrays["input"]
    sizes = [
        n if o is None else o for n, o in zip(x.shape[2:], per_axis(attributes["output_size"], x.ndim - 2), strict=True)
    ]
    kernel = tuple(n // o for n, o in zip(x.shape[2:], sizes, strict=True))
    if min(kernel) < 1:
        return ()
    whole = {"input": x[at(slice(k * o) for k, o in zip(kernel, sizes, strict=True))]}
    return [
        Call(operator, whole, {**attributes, "output_size": tuple(sizes)}),
        Call(operator.replace("adaptive_", ""), whole, {"kernel_size": kernel}),
    ]


def _conservation(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    if operator == "fold" and any(per_axis(attributes.get("padding", 0), 2)):
        return ()  # which cuts off what lies in it
    if operator in UNPOOLS:
        places = arrays["indices"].reshape(math.prod(arrays["indices"].shape[:2]), -1)
        if any(len(np.unique(plane)) < len(plane) for plane in places):
            return ()  # where two meet, one is lost
    return [Call(operator, arrays, attributes)]


def _is_conserved(arrays: Arrays, attributes: Attributes, outputs: Sequence[Array]) -> tuple[Array, Array]:
    return np.asarray(outputs[0].sum()), np.asarray(wide(arrays["input"]).sum())


def _inverse(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    if min(attributes.get("pad", (0,))) < 0:
        return ()  # what is cut off does not come back
    return [Call(operator, arrays, attributes)]


def _is_undone(arrays: Arrays, attributes: Attributes, outputs: Sequence[Array]) -> tuple[Array, Array]:
    x, output = wide(arrays["input"]), outputs[0]
    if "pad" in attributes:
        widths = attributes["pad"]
        inner = [slice(low, low + n) for low, n in zip(widths[::2], x.shape[::-1], strict=False)]
        return x, output[at(reversed(inner))]
    lead, channels = output.shape[:-3], output.shape[-3]
    if "upscale_factor" in attributes:
        r = attributes["upscale_factor"]
        cells = output.reshape(*lead, channels, *(m for n in output.shape[-2:] for m in (n // r, r)))
        return x, np.moveaxis(cells, (-3, -1), (-4, -3)).reshape(x.shape)
    r = attributes["downscale_factor"]
    cells = output.reshape(*lead, channels // r**2, r, r, *output.shape[-2:])
    return x, np.moveaxis(cells, (-4, -3), (-3, -1)).reshape(x.shape)


LAWS = (
    Law(
        "idempotence",
        "windows that each hold one number alone give back those numbers",
        (*MAXIMA, *MEANS, *ADAPTIVE),
        _idempotence,
        _is_the_input,
    ),
    Law(
        "average",
        "an average pool is a depthwise layer with a weight of ones, over its divisor",
        MEANS,
        _average,
        _is_sum_over_divisor,
    ),
    Law(
        "power_mean",
        "with a power of 1 an Lp pool adds up, as an average times its kernel",
        POWERS,
        _power_mean,
        _is_sum,
    ),
    Law("adaptive", "where it divides, an adaptive pool is a pool of equal windows", ADAPTIVE, _adaptive, same),
    Law(
        "conservation",
        "numbers that are only moved or added up keep their sum",
        (*UNPOOLS, "fold", "pixel_shuffle", "pixel_unshuffle", "flatten"),
        _conservation,
        _is_conserved,
    ),
    Law(
        "inverse",
        "what was moved or padded is there, and comes back where it came from",
        ("pixel_shuffle", "pixel_unshuffle", "pad"),
        _inverse,
        _is_undone,
    ),
)
