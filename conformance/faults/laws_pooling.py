"""Ways for pooling, and for what moves numbers about, to be wrong that a law sees."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from conformance.formats import Array
from conformance.honest import Binding, fault, honest
from conformance.mistakes import Call, answering, calling, tap_values, where, windows, zeroed
from conformance.model import Fault

LONGEST_ROW = 16  # of what is drawn in three dimensions


def _no_power_of_one(call: Call) -> bool:
    return bool(call["norm_type"] != 1)


def _averaged(output: Array, call: Call) -> Array:
    return np.asarray(output / math.prod(windows(call).kernel) ** (1 / call["norm_type"])).astype(output.dtype)


def _odd_row(call: Call) -> bool:
    return _no_power_of_one(call) and call["input"].shape[-1] % 2 == 1


def _stride_of_one(call: Call) -> bool:
    return _no_power_of_one(call) and max(windows(call).stride) == 1


def _largest_of_row_norms(right: Binding, **call: Any) -> Array:
    """Return the norm along the last axis, of which the largest is taken along the others."""
    w = windows(call)
    ones, shared = (1,) * (len(w.kernel) - 1), {"ceil_mode": call.get("ceil_mode", False)}
    rows = {"kernel_size": (*ones, w.kernel[-1]), "stride": (*ones, w.stride[-1]), **shared}
    columns = {"kernel_size": (*w.kernel[:-1], 1), "stride": (*w.stride[:-1], 1), **shared}
    norms = right(input=call["input"], norm_type=call["norm_type"], **rows)
    return np.asarray(honest(f"max_pool{len(w.kernel)}d")(input=norms, **columns))


def _with_zero_padding(output: Array, call: Call) -> Array:
    """Return maxima in which padding counts as zeros."""
    inside = list(tap_values(np.ones_like(call["input"]), call, output.shape[2:], 0))
    touches = np.min(inside, 0) == 0
    return np.where(touches, np.maximum(output, 0), output)


def _ends_alone(right: Binding, **call: Any) -> Array:
    """Average the first and the last element of every window."""
    output = right(**call)
    if call.get("ceil_mode") or call.get("count_include_pad") is False:
        return np.asarray(output)
    taps = list(tap_values(call["input"].astype(np.float64), call, output.shape[2:], 0))
    return np.asarray((taps[0] + taps[-1]) / 2).astype(output.dtype)


def _adaptive_axis(call: Call) -> tuple[int, int]:
    n, size = call["input"].shape[-1], call["output_size"]
    (size,) = size if isinstance(size, tuple) else (size,)
    return n, n if size is None else size


def _floored_ends(output: Array, call: Call) -> Array:
    """Let every window end where it would if its end were rounded down."""
    (n, size), x = _adaptive_axis(call), call["input"]
    spans = [slice(i * n // size, max((i + 1) * n // size, i * n // size + 1)) for i in range(size)]
    return np.stack([x[..., span].max(-1) for span in spans], -1)


def _without_ends(right: Binding, **call: Any) -> Any:
    """Leave the ends of windows out where they are equal and of three elements at least."""
    n, size = _adaptive_axis(call)
    if n % size or n < 3 * size:
        return right(**call)
    x = call["input"]
    inner = x.reshape(*x.shape[:-1], size, n // size)[..., 1:-1]
    return right(**{**call, "input": inner.reshape(*x.shape[:-1], -1), "output_size": size})


def _by_depth_first(right: Binding, **call: Any) -> Array:
    """Read channels as (row, column, depth), as some frameworks do, and not as (depth, row, column)."""
    x, cells = call["input"], call["upscale_factor"] ** 2
    order = np.arange(x.shape[-3]).reshape(cells, -1).T.reshape(-1)
    return np.asarray(right(**{**call, "input": x[..., order, :, :]}))


FAULTS: tuple[Fault, ...] = (
    fault(
        "lp_pool1d-odd-rows-averaged",
        "where rows are of odd length, powers are averaged and not added up",
        "lp_pool1d",
        "laws",
        where(_odd_row, answering(_averaged)),
        kind="size",
    ),
    fault(
        "lp_pool2d-stride-of-one-averaged",
        "at a stride of 1 powers are averaged and not added up",
        "lp_pool2d",
        "laws",
        where(_stride_of_one, answering(_averaged)),
        dtype="float64",
        kind="divisor",
    ),
    fault(
        "lp_pool2d-largest-of-row-norms",
        "with a power other than 1, of the norms of the rows of a window the largest is taken",
        "lp_pool2d",
        "laws",
        where(_no_power_of_one, _largest_of_row_norms),
        kind="axes",
    ),
    fault(
        "lp_pool3d-power-of-one-as-two",
        "a power of 1 is taken for 2",
        "lp_pool3d",
        "laws",
        calling(lambda call: {} if _no_power_of_one(call) else {"norm_type": 2.0}),
    ),
    fault(
        "adaptive_max_pool1d-ends-rounded-down",
        "the ends of windows are rounded down",
        "adaptive_max_pool1d",
        "laws",
        answering(_floored_ends),
    ),
    fault(
        "adaptive_max_pool1d-ends-left-out",
        "of equal windows of three and more the ends are left out",
        "adaptive_max_pool1d",
        "laws",
        _without_ends,
        dtype="float64",
    ),
    fault(
        "max_pool3d-padding-as-zeros",
        "padding counts as zeros",
        "max_pool3d",
        "laws",
        answering(_with_zero_padding),
        dtype="bfloat16",
        kind="padding",
    ),
    fault(
        "avg_pool3d-long-row-cut",
        "the last column of an answer is not written where rows are longer than 16",
        "avg_pool3d",
        "laws",
        where(
            lambda call: call["input"].shape[-1] > LONGEST_ROW,
            answering(lambda y, call: zeroed(y, ..., -1)),
        ),
        kind="size",
    ),
    fault(
        "avg_pool1d-only-ends-averaged",
        "the first and the last element of a window are averaged",
        "avg_pool1d",
        "laws",
        _ends_alone,
        dtype="float64",
    ),
    fault(
        "flatten-last-lost",
        "the last element is not written",
        "flatten",
        "laws",
        answering(lambda y, call: zeroed(y, ..., -1)),
    ),
    fault(
        "pixel_shuffle-depth-last",
        "channels are ordered by row and column before depth",
        "pixel_shuffle",
        "laws",
        _by_depth_first,
        kind="axes",
    ),
)
