"""Ways for max unpooling to be wrong: where it puts numbers, and what size its output has."""

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
    given,
    leaking,
    refusing,
    taking,
    where,
    without_nan,
    zeroed,
)
from conformance.model import Fault


def _in_order(indices: Array) -> Array:
    return np.broadcast_to(np.arange(indices[0, 0].size).reshape(indices.shape[2:]), indices.shape)


def _column_major(right: Binding, **call: Any) -> Array:
    """Read indices as those of a plane in column-major order."""
    output = right(**call)
    spatial = output.shape[2:]
    swapped = np.swapaxes(output.reshape(*output.shape[:2], *spatial[::-1]), 2, -1)
    return np.ascontiguousarray(swapped).reshape(output.shape)


def _of_the_first(axis: int) -> Any:
    return taking("indices", lambda i: np.broadcast_to(np.take(i, [0], axis), i.shape))


def _in_bytes(indices: Array) -> Array:
    return indices % 16


def _added(right: Binding, **call: Any) -> Array:
    """Put numbers onto a plane that holds the input's least number in place of zeros."""
    output, x = right(**call), call["input"]
    return np.asarray(np.where(output == 0, x.min(initial=0), output), x.dtype)


def _clipped(right: Binding, **call: Any) -> Array:
    """Put what lies outside at the end."""
    x, indices = call["input"], call["indices"]
    inside = np.resize(np.minimum(indices, 0), x.shape)
    return np.asarray(right(**{**call, "indices": inside}))


def _without_sign(output: Array, call: Call) -> Array:
    return np.where(output == 0, np.abs(output), output)


def _finite(output: Array, call: Call) -> Array:
    return np.where(np.isinf(output), 0, output).astype(output.dtype)


def _fewer_sizes(call: Call) -> Call:
    return {"output_size": None}


def _wide(call: Call) -> bool:
    return bool(call["input"].shape[-1] > 32)


def _wider(output: Array, call: Call) -> Array:
    return np.concatenate([output, output[..., -1:]], -1)


FAULTS: tuple[Fault, ...] = (
    fault(
        "max_unpool1d-in-order",
        "numbers are put in the order of memory",
        "max_unpool1d",
        "values",
        taking("indices", _in_order),
        kind="index",
    ),
    fault(
        "max_unpool2d-column-major", "indices count along columns", "max_unpool2d", "values", _column_major, kind="axes"
    ),
    fault(
        "max_unpool3d-column-major",
        "indices count along columns",
        "max_unpool3d",
        "values",
        _column_major,
        "float64",
        kind="axes",
    ),
    fault(
        "max_unpool2d-indices-of-the-first-channel",
        "the indices of the first channel serve all channels",
        "max_unpool2d",
        "values",
        _of_the_first(1),
        "float16",
        kind="index",
    ),
    fault(
        "max_unpool1d-indices-of-the-first-sample",
        "the indices of the first sample serve all samples",
        "max_unpool1d",
        "values",
        _of_the_first(0),
        "bfloat16",
        kind="index",
    ),
    fault(
        "max_unpool3d-indices-wrap",
        "indices are kept in 4 bits",
        "max_unpool3d",
        "values",
        taking("indices", _in_bytes),
        kind="dtype",
    ),
    fault(
        "max_unpool2d-filled-with-least",
        "what no index names is the least number of the input, not 0",
        "max_unpool2d",
        "values",
        _added,
        "float64",
        kind="padding",
    ),
    fault(
        "max_unpool2d-wide-rows",
        "the last column is lost in rows of more than 32",
        "max_unpool2d",
        "values",
        where(_wide, answering(lambda y, call: zeroed(y, ..., -1))),
        kind="size",
    ),
    fault(
        "max_unpool1d-output-size-ignored",
        "the output size is ignored",
        "max_unpool1d",
        "sizes",
        where(given("output_size"), answering(_wider)),
        kind="shape",
    ),
    fault(
        "max_unpool2d-padding-kept",
        "the output has a column that the padding takes away",
        "max_unpool2d",
        "sizes",
        where(given("padding"), answering(_wider)),
        "bfloat16",
        kind="shape",
    ),
    fault(
        "max_unpool3d-stride-wide",
        "where a stride is given the output is wider",
        "max_unpool3d",
        "sizes",
        where(given("stride"), answering(_wider)),
        "float16",
        kind="shape",
    ),
    fault(
        "max_unpool1d-accepts-outside",
        "indices outside the output are taken for the first",
        "max_unpool1d",
        "rejections",
        accepting("indices", _clipped),
        kind="acceptance",
    ),
    fault(
        "max_unpool2d-accepts-output-size",
        "an output size that no pooling could have had is ignored",
        "max_unpool2d",
        "rejections",
        accepting("output-size", calling(_fewer_sizes)),
        "float64",
        kind="acceptance",
    ),
    fault(
        "max_unpool3d-accepts-outside",
        "indices outside the output are taken for the first",
        "max_unpool3d",
        "rejections",
        accepting("indices", _clipped),
        "bfloat16",
        kind="acceptance",
    ),
    fault(
        "max_unpool2d-negative-as-first",
        "negative indices are taken for the first",
        "max_unpool2d",
        "rejections",
        where(lambda call: bool((call["indices"] < 0).any()), taking("indices", lambda i: np.maximum(i, 0))),
        kind="acceptance",
    ),
    fault(
        "max_unpool2d-refuses-batch-in-size",
        "an output size with batch and channels is refused",
        "max_unpool2d",
        "rejections",
        where(lambda call: len(call.get("output_size") or ()) == 4, refusing),
        kind="acceptance",
    ),
    fault(
        "max_unpool1d-nan-as-zero",
        "a NaN becomes 0",
        "max_unpool1d",
        "special",
        taking("input", without_nan),
        kind="special",
    ),
    fault(
        "max_unpool2d-zero-unsigned",
        "a negative zero loses its sign",
        "max_unpool2d",
        "special",
        answering(_without_sign),
        "float16",
        kind="special",
    ),
    fault(
        "max_unpool3d-infinity-dropped",
        "infinities become 0",
        "max_unpool3d",
        "special",
        answering(_finite),
        kind="special",
    ),
    fault(
        "max_unpool2d-nan-leaks",
        "a NaN in one sample reaches the others",
        "max_unpool2d",
        "special",
        answering(leaking),
        kind="special",
    ),
)
