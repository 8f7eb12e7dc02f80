"""Calls that a sloppy kernel answers, though they break a constraint: it repairs an argument and goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from conformance.formats import Array
from conformance.honest import Binding, fault
from conformance.mistakes import Call, Mistake, accepting, calling, padded_with
from conformance.model import Fault


def _accepted(name: str, sentence: str, operator: str, label: str, answer: Mistake, dtype: str = "float32") -> Fault:
    """Return the fault of giving `answer` where the constraint of that label is broken."""
    return fault(name, sentence, operator, "rejections", accepting(label, answer), dtype, kind="acceptance")


def _for(name: str, illegal: Any, legal: Any) -> Mistake:
    """Return the answer of taking one value of an argument for another; any other is refused after all."""
    return calling(lambda call: {name: legal} if call.get(name) == illegal else {})


def _resized(name: str, size: Callable[[Call], int]) -> Mistake:
    """Return the answer of reading as many numbers of an array as there should be, from its start again if need be."""
    return calling(lambda call: {name: np.resize(call[name], size(call))})


def _channels(call: Call) -> int:
    return int(call["input"].shape[1])


def _first_channels(call: Call) -> Call:
    return {"input": call["input"][:, : call["weight"].shape[1] * call.get("groups", 1)]}


def _whole_groups(call: Call) -> Call:
    groups = call["groups"]
    return {"weight": call["weight"][: len(call["weight"]) // groups * groups]}


def _nothing(right: Binding, **call: Any) -> Array:
    """Answer with no windows at all."""
    x = call["input"]
    channels = len(call["weight"]) if "weight" in call else x.shape[1]
    return np.zeros((len(x), channels, *(0,) * (x.ndim - 2)), x.dtype)


def _cropped(call: Call) -> Call:
    x = call["input"]
    return {"input": x[(..., *(slice(1, -1),) * (x.ndim - 2))], "padding": 0} if call["padding"] == -1 else {}


def _filled_up(right: Binding, **call: Any) -> Array:
    """Answer with zeros for the output padding."""
    extra = (0, call["output_padding"])
    output = right(**{**call, "output_padding": 0})
    return np.pad(output, ((0, 0), (0, 0), *(extra,) * (output.ndim - 2)))


def _zeros(right: Binding, **call: Any) -> Any:
    """Answer with zeros: a single value is its own mean."""
    return np.zeros_like(call["input"]), call.get("running_mean"), call.get("running_var")


def _ones_for_variance(call: Call) -> Call:
    return {"running_var": np.ones_like(call["running_mean"])} if "running_mean" in call else {}


def _matching_features(call: Call) -> Call:
    return {"input": call["input"][..., : call["weight"].shape[-1]]}


def _clamped_pad(call: Call) -> Call:
    x, pad = call["input"], call["pad"]
    limits = [n - (call["mode"] == "reflect") for n in reversed(x.shape) for _ in range(2)]
    return {"pad": tuple(map(min, pad, limits))}


def _merged_axes(call: Call) -> Call:
    x, rank = call["input"], call["weight"].ndim
    return {"input": x.reshape(*x.shape[: rank - 1], -1)}


CONVOLUTION = (
    _accepted(
        "conv2d-accepts-channels",
        "input channels beyond the weight's are left out",
        "conv2d",
        "input-channels",
        calling(_first_channels),
    ),
    _accepted(
        "conv2d-accepts-groups",
        "output channels that groups do not divide are left out",
        "conv2d",
        "output-channels",
        calling(_whole_groups),
    ),
    _accepted(
        "conv1d-accepts-no-groups",
        "no groups are taken for one",
        "conv1d",
        "groups",
        _for("groups", 0, 1),
        dtype="float64",
    ),
    _accepted(
        "conv3d-accepts-bias",
        "a bias of another length is cut off",
        "conv3d",
        "bias",
        _resized("bias", lambda call: len(call["weight"])),
    ),
    _accepted("conv2d-accepts-stride-zero", "stride 0 is taken for 1", "conv2d", "stride", _for("stride", 0, 1)),
    _accepted(
        "conv1d-accepts-dilation-zero",
        "dilation 0 is taken for 1",
        "conv1d",
        "dilation",
        _for("dilation", 0, 1),
        dtype="float16",
    ),
    _accepted(
        "conv2d-accepts-negative-padding", "negative padding crops the input", "conv2d", "padding", calling(_cropped)
    ),
    _accepted(
        "conv1d-accepts-large-kernel",
        "a kernel larger than its input gives an empty output",
        "conv1d",
        "kernel-fits",
        _nothing,
    ),
    _accepted(
        "conv2d-accepts-no-kernel",
        "a kernel without elements gives an empty output",
        "conv2d",
        "kernel-size",
        _nothing,
        dtype="bfloat16",
    ),
    _accepted(
        "conv1d-accepts-strided-same",
        'padding "same" is accepted with a stride',
        "conv1d",
        "padding",
        _for("padding", "same", "same_upper"),
    ),
    _accepted(
        "conv1d-accepts-more-axes",
        "axes beyond the last are merged into it",
        "conv1d",
        "input-rank",
        calling(_merged_axes),
    ),
    _accepted(
        "conv_transpose2d-accepts-output-padding",
        "output padding of a whole stride is accepted",
        "conv_transpose2d",
        "output-padding",
        _filled_up,
    ),
    _accepted(
        "conv_transpose1d-accepts-padding-name",
        'padding "same" is taken for 0',
        "conv_transpose1d",
        "padding",
        _for("padding", "same", 0),
    ),
    _accepted(
        "conv_transpose3d-accepts-padding",
        "padding of more than the output gives an empty one",
        "conv_transpose3d",
        "output-size",
        _nothing,
    ),
)

POOLING = (
    _accepted(
        "max_pool2d-accepts-padding",
        "padding of more than half the kernel is accepted",
        "max_pool2d",
        "pool-padding",
        padded_with(constant_values=-np.inf),
    ),
    _accepted(
        "max_pool1d-accepts-large-kernel",
        "a kernel larger than its input gives an empty output",
        "max_pool1d",
        "kernel-fits",
        _nothing,
    ),
    _accepted(
        "max_pool3d-accepts-dilation-zero",
        "dilation 0 is taken for 1",
        "max_pool3d",
        "dilation",
        _for("dilation", 0, 1),
    ),
    _accepted(
        "avg_pool2d-accepts-divisor-zero",
        "divisor_override 0 is taken for none",
        "avg_pool2d",
        "divisor-override",
        _for("divisor_override", 0, None),
        dtype="float16",
    ),
    _accepted(
        "avg_pool1d-accepts-stride-zero",
        "stride 0 is taken for the kernel size",
        "avg_pool1d",
        "stride",
        _for("stride", 0, None),
    ),
    _accepted(
        "avg_pool3d-accepts-no-kernel",
        "a kernel of 0 elements is taken for 1",
        "avg_pool3d",
        "kernel-size",
        calling(lambda call: {"kernel_size": 1, "padding": 0} if call["kernel_size"] == 0 else {}),
    ),
)

OTHERS = (
    _accepted(
        "batch_norm-accepts-negative-eps",
        "a negative eps is taken for 0",
        "batch_norm",
        "eps",
        calling(lambda call: {"eps": max(call["eps"], 0.0)}),
    ),
    _accepted(
        "batch_norm-accepts-mean-alone",
        "a running mean without a variance gets ones for it",
        "batch_norm",
        "running-statistics",
        calling(_ones_for_variance),
    ),
    _accepted(
        "batch_norm-accepts-one-value",
        "one value per channel is normalized to 0",
        "batch_norm",
        "values-per-channel",
        _zeros,
        dtype="float64",
    ),
    _accepted(
        "batch_norm-accepts-weight",
        "a weight of another length is cut off",
        "batch_norm",
        "weight",
        _resized("weight", _channels),
        dtype="bfloat16",
    ),
    _accepted(
        "linear-accepts-features",
        "features beyond the weight's are left out",
        "linear",
        "input-features",
        calling(_matching_features),
    ),
    _accepted(
        "linear-accepts-bias",
        "a bias of another length is cut off",
        "linear",
        "bias",
        _resized("bias", lambda call: len(call["weight"])),
    ),
    _accepted(
        "pad-accepts-odd-length",
        "the last of an odd number of widths is left out",
        "pad",
        "pad",
        calling(lambda call: {"pad": call["pad"][: len(call["pad"]) // 2 * 2]}),
    ),
    _accepted(
        "pad-accepts-large-reflection",
        "padding by more than there is to copy is cut short",
        "pad",
        "pad-size",
        calling(_clamped_pad),
    ),
    _accepted(
        "pad-accepts-mode",
        "an unknown mode is taken for constant",
        "pad",
        "mode",
        calling(lambda call: {"mode": "constant"}),
        dtype="float16",
    ),
)

FAULTS: tuple[Fault, ...] = (*CONVOLUTION, *POOLING, *OTHERS)
