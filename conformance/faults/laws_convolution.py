"""Ways for layers to be wrong that a law sees: in what only its other call looks like."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from conformance.formats import Array, round_bits
from conformance.honest import Binding, fault
from conformance.mistakes import Call, answering, groups_of, taking, where, zeroed
from conformance.model import Fault

ENOUGH = 16  # elements, so that what is looked for is not there by chance
SIX = 6  # taps, as two windows of three have together; no kernel that is drawn in three dimensions has so many


def rounded(bits: int) -> Callable[[Array], Array]:
    """Return a function that keeps so many significant bits."""
    return lambda array: round_bits(array.astype(np.float64), bits)


def lanes(array: Array) -> Array:
    """Return which places along the last axis are 0 throughout."""
    return np.asarray((array == 0).all(tuple(range(array.ndim - 1))))


def _after_leading_zeros(call: Call) -> bool:
    empty = lanes(call["input"])
    return bool(empty[0] and not empty[-1])


def _second_skipped(output: Array, call: Call) -> Array:
    return zeroed(output, ..., slice(1, 2))


def _closed_up(array: Array) -> Array:
    """Move what is 0 throughout to the end of the last axis."""
    return array[..., np.argsort(lanes(array), kind="stable")]


def _zeros_inside(call: Call) -> bool:
    empty = lanes(call["input"])
    enough = 4 * call["input"].shape[-1] <= call["input"].size
    return bool(enough and empty.any() and not empty[0] and not empty[-1])


def _block_diagonal(call: Call) -> bool:
    zeros = call["weight"] == 0
    return bool(groups_of(call) == 1 and zeros.all(tuple(range(2, zeros.ndim))).any())


def _unsigned(call: Call) -> bool:
    return bool(call["input"].size >= ENOUGH and (call["input"] >= 0).all())


def _interleaved(right: Binding, **call: Any) -> Array:
    """Let channel c belong to group c mod groups."""
    x, groups = call["input"], groups_of(call)
    order = np.arange(x.shape[1]).reshape(-1, groups).T.reshape(-1)
    return np.asarray(right(**{**call, "input": x[:, order]}))


def _one_tap_by_default(call: Call) -> bool:
    given = {"stride", "padding", "dilation", "groups"} & call.keys()
    return bool(call["weight"][0, 0].size == 1 and not given)


def _twice(output: Array, call: Call) -> Array:
    return output + output


def _products_twice(right: Binding, **call: Any) -> Array:
    bias = call.pop("bias", np.zeros((), call["input"].dtype))
    product = right(**call)
    return np.asarray(product + product + bias)


def _wrapped(output: Array, call: Call) -> Array:
    """Return a full convolution by transforms that are one place too short: its ends lie on one another."""
    ends = output[..., :1] + output[..., -1:]
    return np.concatenate((ends, output[..., 1:-1], ends), -1) if output.shape[-1] > 1 else output


def _kernel_longer(call: Call) -> bool:
    return bool(call["kernel"].shape[-1] > call["input"].shape[-1])


def _flip(axes: int) -> Callable[[Array], Array]:
    return lambda array: np.flip(array, tuple(range(-axes, 0)))


FAULTS: tuple[Fault, ...] = (
    fault(
        "conv1d-input-of-two-bits",
        "two significant bits of every input are kept",
        "conv1d",
        "laws",
        taking("input", rounded(2)),
        kind="rounding",
    ),
    fault(
        "conv2d-weight-of-one-bit",
        "weights are rounded to powers of two",
        "conv2d",
        "laws",
        taking("weight", rounded(1)),
        dtype="bfloat16",
        kind="rounding",
    ),
    fault(
        "conv1d-window-after-zeros-skipped",
        "where zeros lead the input, the window that follows them is skipped with them",
        "conv1d",
        "laws",
        where(_after_leading_zeros, answering(_second_skipped)),
        dtype="float64",
    ),
    fault(
        "conv_transpose2d-pruned-taps-close-up",
        "taps that are 0 in all channels are pruned, and the others move into their places",
        "conv_transpose2d",
        "laws",
        taking("weight", _closed_up),
    ),
    fault(
        "conv_transpose1d-zero-columns-close-up",
        "columns of zeros within the input are skipped, and the others move into their places",
        "conv_transpose1d",
        "laws",
        where(_zeros_inside, taking("input", _closed_up)),
        dtype="float16",
    ),
    fault(
        "conv2d-last-block-of-sparse-weight-skipped",
        "where blocks of the weight are 0, the last output channel is skipped",
        "conv2d",
        "laws",
        where(_block_diagonal, answering(lambda y, call: zeroed(y, slice(None), -1))),
        kind="groups",
    ),
    fault(
        "conv3d-unsigned-last-tap-skipped",
        "where no input is negative, the last tap is skipped",
        "conv3d",
        "laws",
        where(_unsigned, taking("weight", lambda w: zeroed(w, ..., -1))),
    ),
    fault(
        "conv1d-groups-interleaved",
        "channel c belongs to group c modulo the number of groups",
        "conv1d",
        "laws",
        _interleaved,
        dtype="bfloat16",
        kind="groups",
    ),
    fault(
        "conv2d-single-tap-doubled",
        "with nothing given but a kernel of one tap, every product is added twice",
        "conv2d",
        "laws",
        where(_one_tap_by_default, answering(_twice)),
        dtype="float64",
    ),
    fault(
        "conv_transpose3d-kernel-reversed",
        "the kernel is reversed along all its axes",
        "conv_transpose3d",
        "laws",
        taking("weight", _flip(3)),
    ),
    fault(
        "conv1d-true-convolution",
        "the kernel is reversed",
        "conv1d",
        "laws",
        taking("weight", _flip(1)),
        dtype="float16",
    ),
    fault(
        "conv3d-six-taps-cut",
        "the last tap of kernels of six is skipped",
        "conv3d",
        "laws",
        where(lambda call: call["weight"].shape[-1] == SIX, taking("weight", lambda w: zeroed(w, ..., -1))),
        dtype="float64",
        kind="size",
    ),
    fault(
        "linear-bias-subtracted",
        "the bias is subtracted",
        "linear",
        "laws",
        taking("bias", np.negative),
        dtype="float16",
    ),
    fault(
        "linear-odd-rows-counted-twice",
        "where the number of outputs is odd, every product is added twice",
        "linear",
        "laws",
        where(lambda call: call["weight"].shape[0] % 2, _products_twice),
        kind="size",
    ),
    fault(
        "convolve-transform-one-too-short",
        "in the full mode the first and the last element are added to each other",
        "convolve",
        "laws",
        where(lambda call: call.get("mode", "full") == "full", answering(_wrapped)),
        dtype="float64",
        kind="padding",
    ),
    fault(
        "convolve-longer-kernel-reversed",
        "a kernel that is longer than the input is reversed",
        "convolve",
        "laws",
        where(_kernel_longer, taking("kernel", np.flip)),
    ),
    fault(
        "cross_correlate-convolves",
        "the kernel is reversed",
        "cross_correlate",
        "laws",
        taking("kernel", np.flip),
    ),
    fault(
        "unfold-taps-before-channels",
        "rows are ordered by tap before channel",
        "unfold",
        "laws",
        answering(
            lambda y, call: (
                y.reshape(y.shape[0], call["input"].shape[1], -1, y.shape[-1]).swapaxes(1, 2).reshape(y.shape)
                if y.ndim == 3
                else y
            )
        ),
        kind="axes",
    ),
)
