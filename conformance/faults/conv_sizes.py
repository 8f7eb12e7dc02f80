"""Ways for a convolution layer to be wrong where it is large: beyond a vector, a block of channels, a fast kernel."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from conformance.formats import Array
from conformance.honest import fault
from conformance.mistakes import Call, answering, taking, where, windows, zeroed
from conformance.model import Fault

VECTOR = 16

_large = partial(fault, check="values", kind="size")


def _beyond(axis: int, most: int) -> Callable[[Array], Array]:
    """Return the change that takes what lies beyond `most` along an axis for 0."""
    return lambda array: zeroed(array, *(slice(None),) * axis, slice(most, None))


def _tail(length: int) -> slice:
    """Return what a loop over whole vectors leaves over, where there is a whole vector at all."""
    return slice(length - length % VECTOR if length > VECTOR else length, None)


def _without_tail(output: Array, call: Call) -> Array:
    return zeroed(output, ..., _tail(output.shape[-1]))


def _position_repeated(output: Array, call: Call) -> Array:
    changed = output.copy()
    changed[..., VECTOR : VECTOR + 1] = changed[..., VECTOR - 1 : VECTOR][..., : max(output.shape[-1] - VECTOR, 0)]
    return changed


def _outputs_repeated(output: Array, call: Call) -> Array:
    kept = np.arange(output.shape[1])
    return output[:, np.where(kept < 2 * VECTOR, kept, kept - 2 * VECTOR)]


FAULTS: tuple[Fault, ...] = (
    _large(
        "conv2d-after-32-channels",
        "input channels after the 32nd are skipped",
        "conv2d",
        mistake=taking("input", _beyond(1, 32)),
    ),
    _large(
        "conv1d-after-16-of-a-group",
        "input channels of a group after the 16th are skipped",
        "conv1d",
        mistake=taking("weight", _beyond(1, 16)),
        dtype="bfloat16",
    ),
    _large(
        "conv3d-after-32-outputs",
        "output channels after the 32nd repeat the first",
        "conv3d",
        mistake=answering(_outputs_repeated),
    ),
    _large("conv1d-at-row-17", "the 17th output repeats the 16th", "conv1d", mistake=answering(_position_repeated)),
    _large(
        "conv2d-tail-of-16",
        "in rows of more than 16, what is left over by sixteens is 0",
        "conv2d",
        mistake=answering(_without_tail),
        dtype="float16",
    ),
    _large(
        "conv2d-after-7-taps",
        "taps of a row of the kernel after the seventh are skipped",
        "conv2d",
        mistake=taking("weight", lambda w: zeroed(w, ..., slice(7, None))),
        dtype="float64",
    ),
    _large(
        "conv1d-large-kernel-flipped",
        "kernels of more than six taps are flipped",
        "conv1d",
        mistake=where(
            lambda call: max(windows(call).kernel) > 6,
            taking("weight", lambda w: np.flip(w, tuple(range(2, w.ndim)))),
        ),
    ),
    _large(
        "conv_transpose2d-after-32-channels",
        "input channels after the 32nd are skipped",
        "conv_transpose2d",
        mistake=taking("input", _beyond(1, 32)),
    ),
    _large(
        "conv_transpose1d-tail-of-16",
        "in rows of more than 16, what is left over by sixteens is not read",
        "conv_transpose1d",
        mistake=taking("input", lambda x: zeroed(x, ..., _tail(x.shape[-1]))),
    ),
)
