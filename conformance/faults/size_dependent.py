"""Mistakes that show at some sizes only: tails of vectors, fast paths, wide rows, large batches."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from conformance.formats import Array
from conformance.honest import fault as make_fault
from conformance.mistakes import (
    Call,
    Mistake,
    answering,
    calling,
    groups_of,
    in_the_right_shape,
    padded_with,
    taking,
    where,
    windows,
    zeroed,
)
from conformance.model import Fault

fault = partial(make_fault, kind="size")
FLIPPED = taking("weight", lambda w: np.flip(w, tuple(range(2, w.ndim))))
LAST_COLUMN_ZERO = answering(lambda y, call: zeroed(y, ..., -1))


def _into(call: Call) -> int:
    """Return how many input channels a group has."""
    return int(call["weight"].shape[1])


def _batch(call: Call) -> int:
    return len(call["input"])


def _width(call: Call) -> int:
    return int(call["input"].shape[-1])


def _repeated_after(axis: int, most: int) -> Callable[[Array, Call], Array]:
    """Return the change that repeats what stands first along an axis, after `most` of them."""

    def change(output: Array, call: Call) -> Array:
        kept = np.arange(output.shape[axis])
        return np.take(output, np.where(kept < most, kept, 0), axis)

    return change


def _depthwise(call: Call) -> bool:
    return groups_of(call) > 1 and _into(call) == 1


def _extents(call: Call) -> tuple[int, ...]:
    w = windows(call)
    return tuple(d * (k - 1) + 1 for k, d in zip(w.kernel, w.dilation, strict=True))


def _channels_from(first: int) -> Mistake:
    """Return the mistake of skipping the input channels of each group from `first` on."""
    return taking("weight", lambda w: zeroed(w, slice(None), slice(first, None)))


CONVOLUTION = (
    fault(
        "conv2d-odd-channels",
        "the last of an odd number of channels is skipped",
        "conv2d",
        "values",
        where(lambda call: _into(call) % 2 and _into(call) > 1, taking("weight", lambda w: zeroed(w, slice(None), -1))),
    ),
    fault(
        "conv1d-more-than-eight-channels",
        "input channels after the eighth are skipped",
        "conv1d",
        "values",
        _channels_from(8),
    ),
    fault(
        "conv2d-more-than-eight-outputs",
        "output channels after the eighth repeat the first",
        "conv2d",
        "values",
        where(lambda call: groups_of(call) == 1, answering(_repeated_after(1, 8))),
    ),
    fault(
        "conv2d-six-channels",
        "with six input channels the kernel is flipped",
        "conv2d",
        "values",
        where(lambda call: call["input"].shape[1] == 6, FLIPPED),
    ),
    fault(
        "conv2d-wide-rows",
        "the last column is lost in rows of more than 32",
        "conv2d",
        "values",
        where(lambda call: _width(call) > 32, LAST_COLUMN_ZERO),
    ),
    fault(
        "conv1d-batch-above-four",
        "samples after the fourth repeat the first",
        "conv1d",
        "values",
        answering(_repeated_after(0, 4)),
    ),
    fault(
        "conv2d-single-sample-unbiased",
        "a batch of one gets no bias",
        "conv2d",
        "values",
        where(lambda call: _batch(call) == 1, calling(lambda call: {"bias": None})),
    ),
    fault(
        "conv1d-pointwise-padding",
        "a kernel of one element wraps the input around for padding",
        "conv1d",
        "values",
        where(lambda call: max(windows(call).kernel) == 1, padded_with(mode="wrap")),
    ),
    fault(
        "conv2d-pointwise-unstrided",
        "a kernel of one element reads the first elements, whatever the stride is",
        "conv2d",
        "values",
        where(
            lambda call: max(windows(call).kernel) == 1 and max(windows(call).stride) > 1,
            in_the_right_shape(calling(lambda call: {"stride": 1})),
        ),
    ),
    fault(
        "conv2d-stride-above-kernel",
        "the last column is lost where a stride exceeds its kernel",
        "conv2d",
        "values",
        where(
            lambda call: any(s > k for s, k in zip(windows(call).stride, windows(call).kernel, strict=True)),
            LAST_COLUMN_ZERO,
        ),
    ),
    fault(
        "conv1d-kernel-above-input",
        "where the kernel exceeds the input, padding repeats the edge",
        "conv1d",
        "values",
        where(lambda call: max(_extents(call)) > _width(call), padded_with(mode="edge")),
    ),
    fault(
        "conv2d-depthwise-flipped",
        "the kernel is flipped in depthwise layers",
        "conv2d",
        "values",
        where(_depthwise, FLIPPED),
    ),
    fault(
        "conv3d-depthwise-flipped",
        "the kernel is flipped in depthwise layers",
        "conv3d",
        "values",
        where(_depthwise, FLIPPED),
        dtype="float16",
    ),
    fault(
        "conv2d-stride-three",
        "the last column is lost where a stride is 3",
        "conv2d",
        "values",
        where(lambda call: 3 in windows(call).stride, LAST_COLUMN_ZERO),
        dtype="bfloat16",
    ),
    fault(
        "conv2d-tail-of-four",
        "the one column that blocks of four leave over is lost",
        "conv2d",
        "values",
        answering(lambda y, call: zeroed(y, ..., -1) if y.shape[-1] % 4 == 1 else y),
    ),
    fault(
        "conv_transpose1d-stride-two",
        "the kernel is flipped where the stride is 2",
        "conv_transpose1d",
        "values",
        where(lambda call: 2 in windows(call).stride, FLIPPED),
    ),
    fault(
        "conv_transpose2d-wide-rows",
        "the last column is lost in rows of more than 32",
        "conv_transpose2d",
        "values",
        where(lambda call: _width(call) > 32, LAST_COLUMN_ZERO),
    ),
)

OTHERS = (
    fault(
        "max_pool2d-wide-rows",
        "the last column is lost in rows of more than 32",
        "max_pool2d",
        "values",
        where(lambda call: _width(call) > 32, LAST_COLUMN_ZERO),
    ),
    fault(
        "avg_pool1d-batch-above-four",
        "samples after the fourth repeat the first",
        "avg_pool1d",
        "values",
        answering(_repeated_after(0, 4)),
    ),
    fault(
        "avg_pool2d-more-than-eight-channels",
        "channels after the eighth repeat the first",
        "avg_pool2d",
        "values",
        answering(_repeated_after(1, 8)),
    ),
    fault(
        "max_pool1d-stride-above-kernel",
        "the last window is lost where the stride exceeds the kernel",
        "max_pool1d",
        "values",
        where(lambda call: windows(call).stride > windows(call).kernel, LAST_COLUMN_ZERO),
    ),
    fault(
        "batch_norm-more-than-eight-channels",
        "channels after the eighth repeat the first",
        "batch_norm",
        "values",
        answering(_repeated_after(1, 8)),
    ),
    fault(
        "batch_norm-batch-above-four",
        "samples after the fourth repeat the first",
        "batch_norm",
        "values",
        answering(_repeated_after(0, 4)),
    ),
    fault(
        "linear-more-than-32-features",
        "features after the 32nd are skipped",
        "linear",
        "values",
        taking("weight", lambda w: zeroed(w, ..., slice(32, None))),
    ),
    fault(
        "linear-single-row-unbiased",
        "a batch of one gets no bias",
        "linear",
        "values",
        where(lambda call: _batch(call) == 1, calling(lambda call: {"bias": None})),
    ),
)

FAULTS: tuple[Fault, ...] = (*CONVOLUTION, *OTHERS)
