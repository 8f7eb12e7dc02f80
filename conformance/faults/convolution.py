"""Ways for a convolution layer to be wrong in what it multiplies and adds: kernel, bias and groups; and with NaN."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.formats import Array
from conformance.honest import Binding, fault
from conformance.mistakes import (
    Call,
    Mistake,
    answering,
    at_one_output,
    calling,
    given,
    groups_of,
    leaking,
    saturated,
    taking,
    where,
    without_nan,
    zeroed,
)
from conformance.model import Fault


def _flipped(*axes: int) -> Mistake:
    return taking("weight", lambda w: np.flip(w, axes or tuple(range(2, w.ndim))))


def _transposed_kernel(w: Array) -> Array:
    return w.swapaxes(-1, -2) if w.shape[-1] == w.shape[-2] else w


def _bias_along_rows(right: Binding, bias: Any = None, **call: Any) -> Any:
    output = right(**call)
    return output if bias is None else output + np.resize(bias, output.shape[-1])


def _first_group_only(call: Call) -> Call:
    return {"input": call["input"][:, : call["weight"].shape[1]], "groups": 1}


def _interleaved(channels: int, groups: int) -> Array:
    """Return the channels in the order in which channel c belongs to group c mod groups."""
    return np.arange(channels).reshape(-1, groups).T.ravel()


def _last_group_as_first(call: Call) -> Call:
    x, size = call["input"].copy(), call["weight"].shape[1]
    x[:, -size:] = x[:, :size]
    return {"input": x}


def _nan_along_columns(output: Array, call: Call) -> Array:
    """Return the output with a NaN in all rows of a column where one of them has it."""
    return np.where(np.isnan(output).any(-2, keepdims=True), np.nan, output).astype(output.dtype)


LAST_CHANNEL_SKIPPED = taking("input", lambda x: zeroed(x, slice(None), -1))

KERNEL = (
    fault("conv1d-flipped", "the kernel is flipped", "conv1d", "values", _flipped(), dtype="float64", kind="index"),
    fault(
        "conv2d-flipped",
        "the kernel is flipped: a convolution, not a cross-correlation",
        "conv2d",
        "values",
        _flipped(),
        kind="index",
    ),
    fault(
        "conv2d-flipped-in-groups",
        "the kernel is flipped where there are groups",
        "conv2d",
        "values",
        where(lambda call: groups_of(call) > 1, _flipped()),
        kind="groups",
    ),
    fault(
        "conv2d-flipped-rows",
        "the kernel is flipped along its last axis",
        "conv2d",
        "values",
        _flipped(-1),
        kind="axes",
    ),
    fault(
        "conv3d-flipped-depth",
        "the kernel is flipped along its first axis",
        "conv3d",
        "values",
        _flipped(2),
        kind="axes",
    ),
    fault(
        "conv2d-kernel-transposed",
        "the two axes of a square kernel are swapped",
        "conv2d",
        "values",
        taking("weight", _transposed_kernel),
        kind="axes",
    ),
    fault(
        "conv2d-weight-swapped",
        "the weight's input and output channels are swapped where there are as many",
        "conv2d",
        "values",
        taking("weight", lambda w: w.swapaxes(0, 1) if w.shape[0] == w.shape[1] else w),
        kind="axes",
    ),
)

BIAS = (
    fault(
        "conv3d-bias-ignored",
        "the bias is not added",
        "conv3d",
        "values",
        calling(lambda call: {"bias": None}),
        kind="index",
    ),
    fault(
        "conv2d-bias-along-rows",
        "the bias is added along the last axis",
        "conv2d",
        "values",
        _bias_along_rows,
        kind="axes",
    ),
    fault(
        "conv1d-bias-twice",
        "the bias is added twice",
        "conv1d",
        "values",
        taking("bias", lambda b: 2 * b),
        kind="index",
    ),
    fault(
        "conv2d-bias-once-a-channel",
        "the bias is added once for each input channel of a group",
        "conv2d",
        "values",
        where(given("bias"), calling(lambda call: {"bias": call["bias"] * call["weight"].shape[1]})),
        kind="index",
    ),
    fault(
        "conv2d-bias-of-first-group",
        "every group adds the bias of the first one",
        "conv2d",
        "values",
        where(
            given("bias"),
            calling(
                lambda call: {
                    "bias": np.resize(call["bias"][: len(call["bias"]) // groups_of(call)], call["bias"].shape)
                }
            ),
        ),
        kind="groups",
    ),
)

GROUPS = (
    fault(
        "conv2d-groups-ignored",
        "every group reads the first one's channels",
        "conv2d",
        "values",
        calling(_first_group_only),
        kind="groups",
    ),
    fault(
        "conv2d-groups-interleaved",
        "input channel c is taken to belong to group c mod groups",
        "conv2d",
        "values",
        calling(lambda call: {"input": call["input"][:, _interleaved(call["input"].shape[1], groups_of(call))]}),
        kind="groups",
    ),
    fault(
        "conv1d-group-outputs-interleaved",
        "output channel o is taken to belong to group o mod groups",
        "conv1d",
        "values",
        answering(lambda y, call: y[:, _interleaved(y.shape[1], groups_of(call))]),
        kind="groups",
    ),
    fault(
        "conv3d-last-group-as-first",
        "the last group reads the first one's channels",
        "conv3d",
        "values",
        calling(_last_group_as_first),
        kind="groups",
    ),
    fault(
        "conv2d-depthwise-multiplier",
        "a depthwise layer with several outputs a channel orders them by channel last",
        "conv2d",
        "values",
        where(
            lambda call: call["input"].shape[1] == groups_of(call) > 1,
            answering(lambda y, call: y[:, _interleaved(y.shape[1], y.shape[1] // groups_of(call))]),
        ),
        kind="groups",
    ),
    fault(
        "conv1d-last-channel-skipped",
        "the last input channel is skipped",
        "conv1d",
        "values",
        LAST_CHANNEL_SKIPPED,
        kind="index",
    ),
    fault(
        "conv2d-last-channel-skipped-at-one-output",
        "the last input channel is skipped at the last output only",
        "conv2d",
        "values",
        at_one_output(LAST_CHANNEL_SKIPPED),
        kind="index",
    ),
)

SPECIAL = (
    fault(
        "conv2d-nan-leaks",
        "a NaN in one sample reaches the others",
        "conv2d",
        "special",
        answering(leaking),
        kind="special",
    ),
    fault(
        "conv1d-nan-as-zero",
        "a NaN in the input is read as 0",
        "conv1d",
        "special",
        taking("input", without_nan),
        dtype="float16",
        kind="special",
    ),
    fault(
        "conv3d-nan-weight-as-zero",
        "a NaN in the weight is read as 0",
        "conv3d",
        "special",
        taking("weight", without_nan),
        kind="special",
    ),
    fault(
        "conv2d-nan-along-columns",
        "a NaN reaches all rows of the output, as through a transform",
        "conv2d",
        "special",
        answering(_nan_along_columns),
        kind="special",
    ),
    fault(
        "conv2d-infinity-clamped",
        "infinities become the largest finite number",
        "conv2d",
        "special",
        answering(saturated),
        kind="special",
    ),
    fault(
        "conv1d-overflow-saturates",
        "what exceeds float16 becomes its largest number",
        "conv1d",
        "special",
        where(lambda call: np.isfinite(call["input"]).all(), answering(saturated)),
        dtype="float16",
        kind="special",
    ),
)

FAULTS: tuple[Fault, ...] = (*KERNEL, *BIAS, *GROUPS, *SPECIAL)
