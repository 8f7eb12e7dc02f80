"""Ways for max pooling to be wrong: its windows, its indices, and what it makes of NaN, infinities and zeros."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from conformance.formats import Array
from conformance.honest import Binding, fault, honest
from conformance.mistakes import (
    Call,
    Mistake,
    answering,
    calling,
    first_axis_at_one,
    in_the_right_shape,
    leaking,
    padded_with,
    reversed_axes,
    saturated,
    sized,
    taking,
    tap_values,
    where,
    windows,
)
from conformance.model import Fault

Wins = Callable[[Array, Array, Array], Array]


def _scan(right: Binding, wins: Wins, **call: Any) -> Any:
    """Take, window by window, every value that wins(value, best, index) over what there is; index -1: nothing yet."""
    x = call["input"]
    shape = right(**{**call, "return_indices": True})[1].shape
    places = np.arange(math.prod(x.shape[2:])).reshape(x.shape[2:])
    best, index = np.full(shape, -np.inf, x.dtype), np.full(shape, -1)
    values, positions = tap_values(x, call, shape[2:], -np.inf), tap_values(places, call, shape[2:], -1)
    for value, position in zip(values, positions, strict=True):
        taken = wins(value, best, index) & (position >= 0)
        best, index = np.where(taken, value, best), np.where(taken, position, index)
    return (best, index) if call.get("return_indices") else best


def _scanning(name: str, sentence: str, operator: str, check: str, wins: Wins, dtype: str = "float32") -> Fault:
    """Return the fault of a scan in which the wrong values win, beside the scan in which the right ones do."""
    right = honest(operator)
    twin = partial(_scan, right, lambda value, best, index: (value > best) | (index < 0) | np.isnan(value))
    return fault(name, sentence, operator, check, lambda _, **call: _scan(right, wins, **call), dtype, twin)


def _ceil_as(rule: str) -> Mistake:
    return calling(lambda call: {"ceil_mode": rule} if call.get("ceil_mode") else {})


def _indices(change: Callable[[list[Array], Call], Array]) -> Mistake:
    """Return the mistake of other indices: change(positions along the axes, call)."""

    def changed(indices: Array, call: Call) -> Array:
        return change(list(np.unravel_index(indices, call["input"].shape[2:])), call)

    return where(lambda call: call.get("return_indices"), answering(changed, output=1))


def _in_padded_plane(positions: list[Array], call: Call) -> Array:
    padding, sizes = windows(call).padding, call["input"].shape[2:]
    shape = tuple(n + low + high for n, (low, high) in zip(sizes, padding, strict=True))
    moved = tuple(p + low for p, (low, _) in zip(positions, padding, strict=True))
    return np.asarray(np.ravel_multi_index(moved, shape))


def _in_window(positions: list[Array], call: Call) -> Array:
    w, taps = windows(call), []
    for axis, position in enumerate(positions):
        first = np.arange(position.shape[2 + axis]) * w.stride[axis] - w.padding[axis][0]
        along = first.reshape(-1, *(1,) * (len(positions) - 1 - axis))
        taps.append((position - along) // w.dilation[axis])
    return np.asarray(np.ravel_multi_index(tuple(taps), w.kernel))


def _in_tensor(positions: list[Array], call: Call) -> Array:
    shape = call["input"].shape
    lead = np.indices((*positions[0].shape[:2], *(1,) * len(positions)))[:2]
    return np.asarray(np.ravel_multi_index((*lead, *positions), shape))


def _column_major(positions: list[Array], call: Call) -> Array:
    return np.asarray(np.ravel_multi_index(tuple(positions), call["input"].shape[2:], order="F"))


def _without_sign(output: Array, call: Call) -> Array:
    return np.where(output == 0, np.abs(output), output)


PLAIN = where(lambda call: not (call.get("ceil_mode") or call.get("return_indices")), padded_with(constant_values=0))
WITH_INDICES = where(lambda call: call.get("return_indices"), calling(lambda call: {"nan": "ignore"}))

WINDOWS = (
    fault(
        "max_pool2d-floor",
        "the number of windows is always rounded down",
        "max_pool2d",
        "values",
        calling(lambda call: {"ceil_mode": False}),
    ),
    fault(
        "max_pool1d-ceil",
        "the number of windows is always rounded up",
        "max_pool1d",
        "sizes",
        calling(lambda call: {"ceil_mode": True}),
        dtype="float16",
    ),
    fault(
        "max_pool2d-ceil-keep",
        "a window that starts in the high padding is kept",
        "max_pool2d",
        "sizes",
        _ceil_as("ceil_keep"),
    ),
    fault(
        "max_pool3d-ceil-caffe",
        "a window that starts beyond an unpadded input is kept",
        "max_pool3d",
        "sizes",
        _ceil_as("ceil_caffe"),
    ),
    fault(
        "max_pool1d-size-undilated",
        "the number of windows leaves the dilation out",
        "max_pool1d",
        "sizes",
        sized(lambda n, e, s, k: (n - k) // s + 1),
    ),
    fault("max_pool2d-padded-with-zero", "padding holds 0 in place of minus infinity", "max_pool2d", "values", PLAIN),
    fault(
        "max_pool1d-starts-at-zero",
        "the search for the largest starts at 0",
        "max_pool1d",
        "values",
        answering(lambda y, call: np.maximum(y, 0)),
        dtype="bfloat16",
    ),
    fault(
        "max_pool2d-dilation-ignored",
        "the taps are read without their dilation",
        "max_pool2d",
        "values",
        in_the_right_shape(calling(lambda call: {"dilation": 1})),
    ),
    fault(
        "max_pool3d-dilation-ignored-in-depth",
        "the dilation of the first axis is ignored",
        "max_pool3d",
        "values",
        in_the_right_shape(first_axis_at_one("dilation")),
    ),
    fault(
        "max_pool1d-stride-one-by-default",
        "a stride that is left out is 1",
        "max_pool1d",
        "values",
        calling(lambda call: {"stride": call.get("stride", 1)}),
    ),
    fault(
        "max_pool3d-strides-swapped",
        "the strides of the axes are swapped",
        "max_pool3d",
        "values",
        reversed_axes("stride"),
        dtype="float64",
    ),
    fault(
        "max_pool2d-last-row-skipped",
        "the last row of the input is never read",
        "max_pool2d",
        "values",
        taking("input", lambda x: np.where(np.arange(x.shape[2])[:, None] == x.shape[2] - 1, -np.inf, x)),
    ),
    fault(
        "max_pool2d-empty-batch-of-one",
        "an empty batch gives one sample",
        "max_pool2d",
        "sizes",
        answering(lambda y, call: y if len(y) else np.zeros((1, *y.shape[1:]), y.dtype)),
    ),
)

INDICES = (
    fault(
        "max_pool2d-indices-in-padded-plane",
        "indices count the padding",
        "max_pool2d",
        "values",
        _indices(_in_padded_plane),
    ),
    fault(
        "max_pool3d-indices-in-window", "indices count within the window", "max_pool3d", "values", _indices(_in_window)
    ),
    fault(
        "max_pool1d-indices-in-tensor",
        "indices count over batch and channels too",
        "max_pool1d",
        "values",
        _indices(_in_tensor),
    ),
    fault(
        "max_pool2d-indices-column-major",
        "indices count along columns",
        "max_pool2d",
        "values",
        _indices(_column_major),
    ),
    fault(
        "max_pool2d-indices-wrap",
        "indices are kept in 8 bits",
        "max_pool2d",
        "values",
        _indices(
            lambda positions, call: np.ravel_multi_index(tuple(positions), call["input"].shape[2:]).astype(np.int8)
        ),
    ),
    fault(
        "max_pool1d-indices-float",
        "indices have the dtype of the input",
        "max_pool1d",
        "sizes",
        answering(lambda i, call: i.astype(np.float32), output=1),
    ),
    _scanning(
        "max_pool2d-last-tie",
        "of equal values the last one counts",
        "max_pool2d",
        "values",
        lambda value, best, index: (value >= best) | np.isnan(value),
    ),
)

SPECIAL = (
    fault(
        "max_pool2d-nan-dropped", "a NaN never wins", "max_pool2d", "special", calling(lambda call: {"nan": "ignore"})
    ),
    fault(
        "max_pool1d-nan-dropped-with-indices",
        "a NaN never wins where indices are asked for",
        "max_pool1d",
        "special",
        WITH_INDICES,
    ),
    _scanning(
        "max_pool2d-nan-only-first",
        "a NaN counts only as the first of its window",
        "max_pool2d",
        "special",
        lambda value, best, index: (value > best) | (index < 0),
    ),
    _scanning(
        "max_pool3d-nan-only-last",
        "a NaN gives way to what follows it",
        "max_pool3d",
        "special",
        lambda value, best, index: ~(value <= best) | (index < 0),
    ),
    _scanning(
        "max_pool2d-index-of-bottom",
        "where all is minus infinity the index stays -1",
        "max_pool2d",
        "special",
        lambda value, best, index: (value > best) | np.isnan(value),
    ),
    fault(
        "max_pool3d-starts-at-lowest",
        "the search starts at the lowest finite number",
        "max_pool3d",
        "special",
        answering(lambda y, call: np.maximum(y, np.finfo(y.dtype).min)),
        dtype="float16",
    ),
    fault(
        "max_pool1d-infinity-clamped",
        "infinities become the largest finite number",
        "max_pool1d",
        "special",
        answering(saturated),
    ),
    fault(
        "max_pool2d-zero-unsigned", "a negative zero loses its sign", "max_pool2d", "special", answering(_without_sign)
    ),
    fault(
        "max_pool3d-nan-leaks", "a NaN in one sample reaches the others", "max_pool3d", "special", answering(leaking)
    ),
)

FAULTS: tuple[Fault, ...] = (*WINDOWS, *INDICES, *SPECIAL)
