"""Ways for windows as columns to be wrong."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from conformance.formats import Array
from conformance.honest import Binding, fault
from conformance.mistakes import (
    Call,
    accepting,
    answering,
    calling,
    padded_with,
    refusing,
    reversed_axes,
    taking,
    where,
    without_nan,
    zeroed,
)
from conformance.model import Fault


def kernel_of(call: Call) -> tuple[int, int]:
    """Return the kernel of a call along both axes."""
    kernel = call["kernel_size"]
    return kernel if isinstance(kernel, tuple) else (kernel, kernel)


def _channels_last(columns: Array, call: Call) -> Array:
    """Return columns whose channels, not taps, lie next to one another."""
    n, rows, count = columns.shape
    taps = math.prod(kernel_of(call))
    return columns.reshape(n, rows // taps, taps, count).swapaxes(1, 2).reshape(columns.shape)


def taps_flipped(columns: Array, call: Call) -> Array:
    """Return columns with the taps of a window in reverse order."""
    n, rows, count = columns.shape
    taps = math.prod(kernel_of(call))
    return columns.reshape(n, rows // taps, taps, count)[:, :, ::-1].reshape(columns.shape)


def _averaged_gradient(right: Binding, **call: Any) -> Array:
    gradient, counts = (right(**{**call, **other}) for other in ({}, {"cotangent": np.ones_like(call["cotangent"])}))
    return np.asarray(gradient / np.maximum(counts, 1)).astype(gradient.dtype)


FAULTS: tuple[Fault, ...] = (
    fault(
        "unfold-channels-last",
        "a column holds its taps first, then the channels of each",
        "unfold",
        "values",
        answering(_channels_last),
        kind="axes",
    ),
    fault(
        "unfold-flipped",
        "the taps of a window come in reverse order",
        "unfold",
        "values",
        answering(taps_flipped),
        dtype="bfloat16",
        kind="index",
    ),
    fault(
        "unfold-padded-with-edge",
        "the edge is repeated for padding",
        "unfold",
        "values",
        padded_with(mode="edge"),
        kind="padding",
    ),
    fault(
        "unfold-strides-swapped",
        "the strides of the axes are swapped",
        "unfold",
        "values",
        reversed_axes("stride"),
        kind="axes",
    ),
    fault(
        "unfold-after-16-channels",
        "channels after the sixteenth are 0",
        "unfold",
        "values",
        taking("input", lambda x: zeroed(x, slice(None), slice(16, None))),
        kind="size",
    ),
    fault(
        "unfold-windows-as-plane",
        "the windows keep their two axes",
        "unfold",
        "sizes",
        answering(lambda y, call: y[..., np.newaxis]),
        kind="shape",
    ),
    fault(
        "unfold-widened",
        "the output is float64 whatever the input is",
        "unfold",
        "sizes",
        answering(lambda y, call: y.astype(np.float64)),
        dtype="float16",
        kind="dtype",
    ),
    fault(
        "unfold-accepts-dilation-zero",
        "dilation 0 is taken for 1",
        "unfold",
        "rejections",
        accepting("dilation", calling(lambda call: {"dilation": 1} if call["dilation"] == 0 else {})),
        kind="acceptance",
    ),
    fault(
        "unfold-refuses-unbatched",
        "an input without a batch axis raises",
        "unfold",
        "rejections",
        where(lambda call: call["input"].ndim < 4, refusing),
        kind="acceptance",
    ),
    fault(
        "unfold-nan-as-zero", "a NaN is read as 0", "unfold", "special", taking("input", without_nan), kind="special"
    ),
    fault(
        "unfold-positive-zeros",
        "a negative zero loses its sign",
        "unfold",
        "special",
        answering(lambda y, call: y + y.dtype.type(0)),
        dtype="float64",
        kind="special",
    ),
    fault(
        "unfold-gradient-averaged",
        "the gradient is divided by the number of windows that hold an element",
        "unfold",
        "gradients",
        _averaged_gradient,
        kind="gradient",
    ),
    fault(
        "unfold-gradient-flipped",
        "the gradient takes the taps of a window in reverse order",
        "unfold",
        "gradients",
        calling(lambda call: {"cotangent": taps_flipped(call["cotangent"], call)}),
        dtype="float16",
        kind="gradient",
    ),
)
