"""Ways for fractional max pooling to be wrong: where the random numbers put its windows."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.formats import Array
from conformance.honest import Binding, fault
from conformance.mistakes import (
    Call,
    accepting,
    answering,
    calling,
    leaking,
    refusing,
    saturated,
    taking,
    where,
    zeroed,
)
from conformance.model import Fault

POOLS = ("fractional_max_pool2d", "fractional_max_pool3d")


def _same_for_all(axis: int) -> Any:
    """Return the mistake of one set of random numbers along an axis of them."""
    return taking("random_samples", lambda s: np.broadcast_to(np.take(s, [0], axis), s.shape))


def _nan_as_bottom(x: Array) -> Array:
    return np.where(np.isnan(x), -np.inf, x)


def _sizes(call: Call) -> tuple[int, ...]:
    """Return the output size along every axis, from either spelling."""
    spatial = call["input"].shape[2:]
    if call.get("output_ratio") is not None:
        return tuple(int(n * r) for n, r in zip(spatial, call["output_ratio"], strict=True))
    size = call["output_size"]
    return size if isinstance(size, tuple) else (size,) * len(spatial)


def _rounded_up(call: Call) -> Call:
    ratio = call.get("output_ratio")
    if ratio is None:
        return {}
    sizes = tuple(int(np.ceil(n * r)) for n, r in zip(call["input"].shape[2:], ratio, strict=True))
    kernel = call["kernel_size"] if isinstance(call["kernel_size"], tuple) else (call["kernel_size"],) * len(sizes)
    fits = all(k + o - 1 <= n for k, o, n in zip(kernel, sizes, call["input"].shape[2:], strict=True))
    return {"output_ratio": None, "output_size": sizes} if fits else {}


def _one_window_less(right: Binding, **call: Any) -> Any:
    """Forget the window at the end where there are several."""
    fewer = tuple(max(o - 1, 1) for o in _sizes(call))
    return right(**{**call, "output_ratio": None, "output_size": fewer})


def _one_at_least(call: Call) -> Call:
    return {"output_ratio": None, "output_size": 1}


def _cut_samples(call: Call) -> Call:
    x, samples = call["input"], call["random_samples"]
    batch = x.shape[: 2 if x.ndim == samples.shape[-1] + 2 else 1]
    return {"random_samples": np.resize(samples, (*x.shape[:2], x.ndim - 2) if batch else samples.shape)}


def _in_row(indices: Array, call: Call) -> Array:
    return np.asarray(indices % call["input"].shape[-1])


def _column_major(indices: Array, call: Call) -> Array:
    spatial = call["input"].shape[2:]
    return np.asarray(np.ravel_multi_index(np.unravel_index(indices, spatial), spatial, order="F"))


def _wide(call: Call) -> bool:
    return bool(call["input"].shape[-1] > 32)


FAULTS: tuple[Fault, ...] = (
    *(
        fault(
            f"{name}-samples-reversed",
            "the random numbers are those of the axes in reverse order",
            name,
            "values",
            taking("random_samples", lambda s: np.flip(s, -1)),
            dtype,
            kind="axes",
        )
        for name, dtype in zip(POOLS, ("float32", "float64"), strict=True)
    ),
    fault(
        "fractional_max_pool2d-samples-of-the-first-channel",
        "all channels have the windows of the first",
        POOLS[0],
        "values",
        _same_for_all(1),
        "float64",
        kind="index",
    ),
    fault(
        "fractional_max_pool3d-samples-of-the-first-sample",
        "all samples have the windows of the first",
        POOLS[1],
        "values",
        _same_for_all(0),
        kind="index",
    ),
    fault(
        "fractional_max_pool2d-centred",
        "every random number is taken for 1/2",
        POOLS[0],
        "values",
        taking("random_samples", lambda s: np.full(s.shape, 0.5)),
        kind="statistics",
    ),
    fault(
        "fractional_max_pool3d-indices-in-row",
        "indices count along the last axis alone",
        POOLS[1],
        "values",
        where(lambda call: call.get("return_indices"), answering(_in_row, output=1)),
        "bfloat16",
        kind="index",
    ),
    fault(
        "fractional_max_pool2d-indices-column-major",
        "indices count along columns",
        POOLS[0],
        "values",
        where(lambda call: call.get("return_indices"), answering(_column_major, output=1)),
        "float16",
        kind="axes",
    ),
    fault(
        "fractional_max_pool3d-starts-at-zero",
        "the search for the largest starts at 0",
        POOLS[1],
        "values",
        answering(lambda y, call: np.maximum(y, 0)),
        "float16",
        kind="padding",
    ),
    fault(
        "fractional_max_pool2d-wide-rows",
        "the last column is lost in rows of more than 32",
        POOLS[0],
        "values",
        where(_wide, answering(lambda y, call: zeroed(y, ..., -1))),
        kind="size",
    ),
    fault(
        "fractional_max_pool2d-ratio-rounded-up",
        "a size by ratio is rounded up",
        POOLS[0],
        "sizes",
        calling(_rounded_up),
        kind="shape",
    ),
    fault(
        "fractional_max_pool3d-end-forgotten",
        "the window at the end is forgotten",
        POOLS[1],
        "sizes",
        _one_window_less,
        "float16",
        kind="shape",
    ),
    fault(
        "fractional_max_pool2d-accepts-no-windows",
        "an output size of 0 is taken for 1",
        POOLS[0],
        "rejections",
        accepting("output-size", calling(_one_at_least)),
        kind="acceptance",
    ),
    fault(
        "fractional_max_pool2d-accepts-large-kernel",
        "windows that do not fit are fewer",
        POOLS[0],
        "rejections",
        accepting("kernel-fits", calling(lambda call: {"kernel_size": 1, "output_size": 1, "output_ratio": None})),
        "float64",
        kind="acceptance",
    ),
    fault(
        "fractional_max_pool3d-accepts-samples",
        "random numbers of another shape are read in the order of memory",
        POOLS[1],
        "rejections",
        accepting("random-samples", calling(_cut_samples)),
        "bfloat16",
        kind="acceptance",
    ),
    fault(
        "fractional_max_pool3d-refuses-one-sample",
        "an input without a batch axis is refused",
        POOLS[1],
        "rejections",
        where(lambda call: call["input"].ndim == 4, refusing),
        kind="acceptance",
    ),
    *(
        fault(
            f"{name}-nan-dropped",
            "a NaN never wins",
            name,
            "special",
            taking("input", _nan_as_bottom),
            dtype,
            kind="special",
        )
        for name, dtype in zip(POOLS, ("float32", "bfloat16"), strict=True)
    ),
    fault(
        "fractional_max_pool2d-infinity-clamped",
        "infinities become the largest finite number",
        POOLS[0],
        "special",
        answering(saturated),
        "float16",
        kind="special",
    ),
    fault(
        "fractional_max_pool3d-nan-leaks",
        "a NaN in one sample reaches the others",
        POOLS[1],
        "special",
        answering(leaking),
        kind="special",
    ),
)
