"""Ways for max pooling to be wrong: its windows, and what it makes of NaN, infinities and zeros."""

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


def _scanning(
    name: str, sentence: str, operator: str, check: str, wins: Wins, dtype: str = "float32", kind: str = "index"
) -> Fault:
    """Return the fault of a scan in which the wrong values win, beside the scan in which the right ones do."""
    right = honest(operator)
    twin = partial(_scan, right, lambda value, best, index: (value > best) | (index < 0) | np.isnan(value))
    return fault(name, sentence, operator, check, lambda _, **call: _scan(right, wins, **call), dtype, twin, kind)


def _ceil_as(rule: str) -> Mistake:
    return calling(lambda call: {"ceil_mode": rule} if call.get("ceil_mode") else {})


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
        kind="shape",
    ),
    fault(
        "max_pool1d-ceil",
        "the number of windows is always rounded up",
        "max_pool1d",
        "sizes",
        calling(lambda call: {"ceil_mode": True}),
        dtype="float16",
        kind="shape",
    ),
    fault(
        "max_pool2d-ceil-keep",
        "a window that starts in the high padding is kept",
        "max_pool2d",
        "sizes",
        _ceil_as("ceil_keep"),
        kind="shape",
    ),
    fault(
        "max_pool3d-ceil-caffe",
        "a window that starts beyond an unpadded input is kept",
        "max_pool3d",
        "sizes",
        _ceil_as("ceil_caffe"),
        kind="shape",
    ),
    fault(
        "max_pool1d-size-undilated",
        "the number of windows leaves the dilation out",
        "max_pool1d",
        "sizes",
        sized(lambda n, e, s, k: (n - k) // s + 1),
        kind="shape",
    ),
    fault(
        "max_pool2d-padded-with-zero",
        "padding holds 0 in place of minus infinity",
        "max_pool2d",
        "values",
        PLAIN,
        kind="padding",
    ),
    fault(
        "max_pool1d-starts-at-zero",
        "the search for the largest starts at 0",
        "max_pool1d",
        "values",
        answering(lambda y, call: np.maximum(y, 0)),
        dtype="bfloat16",
        kind="padding",
    ),
    fault(
        "max_pool2d-dilation-ignored",
        "the taps are read without their dilation",
        "max_pool2d",
        "values",
        in_the_right_shape(calling(lambda call: {"dilation": 1})),
        kind="index",
    ),
    fault(
        "max_pool3d-dilation-ignored-in-depth",
        "the dilation of the first axis is ignored",
        "max_pool3d",
        "values",
        in_the_right_shape(first_axis_at_one("dilation")),
        kind="axes",
    ),
    fault(
        "max_pool1d-stride-one-by-default",
        "a stride that is left out is 1",
        "max_pool1d",
        "values",
        calling(lambda call: {"stride": call.get("stride", 1)}),
        kind="index",
    ),
    fault(
        "max_pool3d-strides-swapped",
        "the strides of the axes are swapped",
        "max_pool3d",
        "values",
        reversed_axes("stride"),
        dtype="float64",
        kind="axes",
    ),
    fault(
        "max_pool2d-last-row-skipped",
        "the last row of the input is never read",
        "max_pool2d",
        "values",
        taking("input", lambda x: np.where(np.arange(x.shape[2])[:, None] == x.shape[2] - 1, -np.inf, x)),
        kind="index",
    ),
    fault(
        "max_pool2d-empty-batch-of-one",
        "an empty batch gives one sample",
        "max_pool2d",
        "sizes",
        answering(lambda y, call: y if len(y) else np.zeros((1, *y.shape[1:]), y.dtype)),
        kind="shape",
    ),
)

SCANS = (
    _scanning(
        "max_pool2d-last-tie",
        "of equal values the last one counts",
        "max_pool2d",
        "values",
        lambda value, best, index: (value >= best) | np.isnan(value),
        kind="index",
    ),
    fault(
        "max_pool2d-nan-dropped",
        "a NaN never wins",
        "max_pool2d",
        "special",
        calling(lambda call: {"nan": "ignore"}),
        kind="special",
    ),
    fault(
        "max_pool1d-nan-dropped-with-indices",
        "a NaN never wins where indices are asked for",
        "max_pool1d",
        "special",
        WITH_INDICES,
        kind="special",
    ),
    _scanning(
        "max_pool2d-nan-only-first",
        "a NaN counts only as the first of its window",
        "max_pool2d",
        "special",
        lambda value, best, index: (value > best) | (index < 0),
        kind="special",
    ),
    _scanning(
        "max_pool3d-nan-only-last",
        "a NaN gives way to what follows it",
        "max_pool3d",
        "special",
        lambda value, best, index: ~(value <= best) | (index < 0),
        kind="special",
    ),
    _scanning(
        "max_pool2d-index-of-bottom",
        "where all is minus infinity the index stays -1",
        "max_pool2d",
        "special",
        lambda value, best, index: (value > best) | np.isnan(value),
        kind="special",
    ),
    fault(
        "max_pool3d-starts-at-lowest",
        "the search starts at the lowest finite number",
        "max_pool3d",
        "special",
        answering(lambda y, call: np.maximum(y, np.finfo(y.dtype).min)),
        dtype="float16",
        kind="special",
    ),
    fault(
        "max_pool1d-infinity-clamped",
        "infinities become the largest finite number",
        "max_pool1d",
        "special",
        answering(saturated),
        kind="special",
    ),
    fault(
        "max_pool2d-zero-unsigned",
        "a negative zero loses its sign",
        "max_pool2d",
        "special",
        answering(_without_sign),
        kind="special",
    ),
    fault(
        "max_pool3d-nan-leaks",
        "a NaN in one sample reaches the others",
        "max_pool3d",
        "special",
        answering(leaking),
        kind="special",
    ),
)

FAULTS: tuple[Fault, ...] = (*WINDOWS, *SCANS)
