"""Mistakes in what blocks and vectors leave over, and from one algorithm to the next: they show at some sizes only."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from conformance.formats import Array
from conformance.honest import Binding
from conformance.honest import fault as make_fault
from conformance.mistakes import Call, Mistake, answering, taking, where, zeroed
from conformance.model import Fault

fault = partial(make_fault, kind="size")
FLIPPED = taking("weight", lambda w: np.flip(w, tuple(range(2, w.ndim))))


def _tail(step: int, axis: int = -1) -> Callable[[Array, Call], Array]:
    """Return the change that loses what blocks of `step` leave over along an axis, where there is a block at all."""

    def change(output: Array, call: Call) -> Array:
        n = output.shape[axis] if output.ndim else 0
        places = np.arange(n) >= (n // step * step or n)
        return np.where(places.reshape(-1, *(1,) * (-1 - axis)), 0, output).astype(output.dtype)

    return change


def _flat_tail(step: int) -> Callable[[Array, Call], Array]:
    """Return the change that gives back the input where it is left over by blocks of its whole memory."""

    def change(output: Array, call: Call) -> Array:
        flat, kept = output.ravel().copy(), output.size // step * step
        if kept:
            flat[kept:] = call["input"].ravel()[kept:]
        return flat.reshape(output.shape)

    return change


def _beyond(axis: int, most: int) -> Callable[[Array, Call], Array]:
    """Return the change that repeats what stands first along an axis, after `most` of them."""

    def change(output: Array, call: Call) -> Array:
        kept = np.arange(output.shape[axis])
        return np.take(output, np.where(kept < most, kept, 0), axis)

    return change


def _skipping(axis: int, most: int) -> Mistake:
    """Return the mistake of skipping what the weight has beyond `most` along an axis."""
    return taking("weight", lambda w: zeroed(w, *(slice(None),) * axis, slice(most, None)))


def _wide(call: Call) -> bool:
    return bool(call["input"].shape[-1] > 16)


def _channels(call: Call) -> int:
    return int(call["input"].shape[1])


def _rows_above(most: int, mistake: Mistake) -> Mistake:
    return where(lambda call: call["input"].shape[-1] > most, mistake)


def _last_sample_lost(right: Binding, **call: Any) -> Any:
    """Take the last sample of a batch of an odd number for zeros."""
    g = call["cotangent"]
    return right(**{**call, "cotangent": zeroed(g, -1) if len(g) % 2 and len(g) > 1 else g})


# (operator, name, sentence, dtype, mistake)
VALUES: tuple[tuple[str, str, str, str, Mistake], ...] = (
    ("conv2d", "more-than-sixteen-channels", "input channels after the 16th are skipped", "float32", _skipping(1, 16)),
    (
        "conv2d",
        "exactly-sixteen-channels",
        "with 16 input channels the kernel is flipped",
        "float32",
        where(lambda call: _channels(call) == 16, FLIPPED),
    ),
    ("conv1d", "long-kernel", "taps after the fifth are skipped", "float32", _skipping(2, 5)),
    ("conv2d", "long-kernel", "taps of a row after the fifth are skipped", "float16", _skipping(3, 5)),
    ("conv1d", "tail-of-eight", "what blocks of eight leave over of a row is lost", "float64", answering(_tail(8))),
    (
        "conv2d",
        "outputs-tail-of-eight",
        "what blocks of eight leave over of the output channels is lost",
        "bfloat16",
        answering(_tail(8, -3)),
    ),
    (
        "conv_transpose1d",
        "more-than-eight-channels",
        "input channels after the eighth are skipped",
        "float32",
        _skipping(0, 8),
    ),
    (
        "linear",
        "more-than-four-rows",
        "rows after the fourth repeat the first",
        "float32",
        where(lambda call: call["input"].ndim == 2, answering(_beyond(0, 4))),
    ),
    (
        "linear",
        "tail-of-eight",
        "what blocks of eight leave over of the features is skipped",
        "float32",
        taking("weight", lambda w: zeroed(w, ..., slice(w.shape[-1] // 8 * 8 or w.shape[-1], None))),
    ),
    (
        "adaptive_avg_pool2d",
        "tail-of-four",
        "what blocks of four leave over of a row is lost",
        "float32",
        answering(_tail(4)),
    ),
    (
        "adaptive_max_pool1d",
        "wide-rows",
        "the last window is lost in rows of more than 32",
        "float32",
        _rows_above(32, answering(lambda y, call: zeroed(y, ..., -1))),
    ),
    (
        "lp_pool2d",
        "more-than-eight-channels",
        "channels after the eighth repeat the first",
        "float32",
        answering(_beyond(1, 8)),
    ),
    ("max_pool3d", "tail-of-four", "what blocks of four leave over of a row is lost", "float64", answering(_tail(4))),
    (
        "instance_norm",
        "more-than-eight-channels",
        "channels after the eighth repeat the first",
        "float32",
        answering(_beyond(1, 8)),
    ),
    (
        "group_norm",
        "more-than-sixteen-channels",
        "channels after the 16th repeat the first",
        "float32",
        answering(_beyond(1, 16)),
    ),
    ("layer_norm", "tail-of-eight", "what blocks of eight leave over of a row is lost", "float32", answering(_tail(8))),
    (
        "rms_norm",
        "wide-rows",
        "rows of more than 32 are not scaled",
        "float32",
        _rows_above(32, lambda right, **call: call["input"].copy()),
    ),
    (
        "local_response_norm",
        "more-than-eight-channels",
        "channels after the eighth repeat the first",
        "float32",
        answering(_beyond(1, 8)),
    ),
    ("softmax", "tail-of-four", "what blocks of four leave over of a row is lost", "float32", answering(_tail(4))),
    *(
        (
            name,
            "tail-of-eight",
            "what blocks of eight leave over of the input is passed on",
            dtype,
            answering(_flat_tail(8)),
        )
        for name, dtype in (
            ("gelu", "float32"),
            ("sigmoid", "float16"),
            ("silu", "float32"),
            ("elu", "bfloat16"),
            ("tanh", "float64"),
            ("leaky_relu", "float32"),
            ("hardswish", "float32"),
        )
    ),
)

WIDE = (
    *(("pad", "float32"), ("flatten", "bfloat16"), ("pixel_shuffle", "float64"), ("pixel_unshuffle", "float16")),
    *(("max_unpool1d", "float32"), ("max_unpool3d", "float32"), ("fractional_max_pool3d", "float64")),
    *(("adaptive_avg_pool3d", "float32"), ("adaptive_max_pool3d", "float16"), ("lp_pool3d", "float32")),
    ("cross_entropy", "float32"),
)
FAULTS: tuple[Fault, ...] = (
    *(
        fault(
            f"{operator}-wide-rows",
            "the last element is lost in rows of more than 16",
            operator,
            "values",
            where(_wide, taking("input", lambda x: zeroed(x, ..., -1))),
            dtype,
        )
        for operator, dtype in WIDE
    ),
    *(fault(f"{op}-{name}", sentence, op, "values", mistake, dtype) for op, name, sentence, dtype, mistake in VALUES),
    *(
        fault(
            f"{operator}-odd-batch-gradient",
            "the last sample of an odd number adds nothing to any gradient",
            operator,
            "gradients",
            _last_sample_lost,
            dtype,
        )
        for operator, dtype in (("conv2d", "float32"), ("linear", "float64"), ("layer_norm", "float32"))
    ),
    fault(
        "conv1d-tail-gradient",
        "what blocks of four leave over of the gradient of the input is lost",
        "conv1d",
        "gradients",
        answering(_tail(4)),
    ),
    fault(
        "max_pool2d-tail-gradient",
        "what blocks of four leave over of the gradient is lost",
        "max_pool2d",
        "gradients",
        answering(_tail(4)),
        "bfloat16",
    ),
)
