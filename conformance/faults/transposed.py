"""Ways for a transposed convolution to be wrong."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from conformance.formats import Array
from conformance.honest import Binding, fault, honest
from conformance.mistakes import (
    Call,
    answering,
    calling,
    first_axis_at_one,
    groups_of,
    in_the_right_shape,
    leaking,
    padding_as,
    reversed_axes,
    saturated,
    taking,
    tap_by_tap,
    where,
    windows,
)
from conformance.model import Fault
from reference.constraints import per_axis


def _extra(call: Call) -> tuple[int, ...]:
    rank = call["input"].ndim - 2
    return per_axis("output-padding", "output_padding", call.get("output_padding", 0), rank, 0)


def _filled_up(low_side: bool) -> Any:
    """Return the mistake of adding output padding as zeros, on the low or on the high side."""

    def mistake(right: Binding, **call: Any) -> Any:
        output = right(**{**call, "output_padding": 0})
        return np.pad(output, ((0, 0), (0, 0), *((e, 0) if low_side else (0, e) for e in _extra(call))))

    return where(lambda call: any(_extra(call)), mistake)


def _gathered_first_group(call: Call) -> Call:
    x = call["input"].copy()
    size = x.shape[1] // groups_of(call)
    return {"input": np.tile(x[:, :size], (1, groups_of(call), *(1,) * (x.ndim - 2)))}


def _overwriting(right: Binding, **call: Any) -> Array:
    return tap_by_tap(right, lambda total, part: np.where(part != 0, part, total), **call)


FAULTS: tuple[Fault, ...] = (
    fault(
        "conv_transpose2d-flipped",
        "the kernel is flipped, as in a gather that forgot to",
        "conv_transpose2d",
        "values",
        taking("weight", lambda w: np.flip(w, (2, 3))),
        kind="index",
    ),
    fault(
        "conv_transpose1d-flipped",
        "the kernel is flipped",
        "conv_transpose1d",
        "values",
        taking("weight", lambda w: np.flip(w, 2)),
        dtype="bfloat16",
        kind="index",
    ),
    fault(
        "conv_transpose2d-weight-swapped",
        "the weight is read as (out, in) where there are as many",
        "conv_transpose2d",
        "values",
        taking("weight", lambda w: w.swapaxes(0, 1) if w.shape[0] == w.shape[1] else w),
        kind="axes",
    ),
    fault(
        "conv_transpose2d-overwriting",
        "where kernels overlap the last one overwrites the others",
        "conv_transpose2d",
        "values",
        _overwriting,
        twin=partial(tap_by_tap, honest("conv_transpose2d"), np.add),
        kind="index",
    ),
    fault(
        "conv_transpose1d-output-padding-low",
        "output padding is added on the low side",
        "conv_transpose1d",
        "values",
        _filled_up(low_side=True),
        kind="padding",
    ),
    fault(
        "conv_transpose2d-output-padding-zeros",
        "output padding is filled with zeros: it has neither bias nor products",
        "conv_transpose2d",
        "values",
        _filled_up(low_side=False),
        dtype="float64",
        kind="padding",
    ),
    fault(
        "conv_transpose3d-output-padding-swapped",
        "the axes swap their output padding",
        "conv_transpose3d",
        "values",
        calling(lambda call: {"output_padding": _extra(call)[::-1]}),
        kind="axes",
    ),
    fault(
        "conv_transpose2d-dilation-ignored-when-strided",
        "the dilation is ignored where there is a stride",
        "conv_transpose2d",
        "values",
        where(
            lambda call: max(windows(call).stride) > 1,
            in_the_right_shape(calling(lambda call: {"dilation": 1, "output_padding": 0})),
        ),
        kind="index",
    ),
    fault(
        "conv_transpose3d-dilation-ignored-in-depth",
        "the dilation of the first axis is ignored",
        "conv_transpose3d",
        "values",
        in_the_right_shape(first_axis_at_one("dilation")),
        kind="axes",
    ),
    fault(
        "conv_transpose2d-strides-swapped",
        "the strides of the axes are swapped",
        "conv_transpose2d",
        "values",
        in_the_right_shape(reversed_axes("stride")),
        kind="axes",
    ),
    fault(
        "conv_transpose1d-cropped-on-low-side",
        "all padding is taken off the low side",
        "conv_transpose1d",
        "values",
        padding_as(lambda pair: (sum(pair), 0)),
        dtype="float16",
        kind="padding",
    ),
    fault(
        "conv_transpose2d-groups-ignored",
        "every group reads the first one's channels",
        "conv_transpose2d",
        "values",
        calling(_gathered_first_group),
        kind="groups",
    ),
    fault(
        "conv_transpose3d-bias-ignored",
        "the bias is not added",
        "conv_transpose3d",
        "values",
        calling(lambda call: {"bias": None}),
        kind="index",
    ),
    fault(
        "conv_transpose1d-bias-once-a-tap",
        "the bias is added once for each tap of the kernel",
        "conv_transpose1d",
        "values",
        where(lambda call: "bias" in call, calling(lambda call: {"bias": call["bias"] * call["weight"].shape[2]})),
        kind="index",
    ),
    fault(
        "conv_transpose2d-output-padding-ignored",
        "output padding is ignored",
        "conv_transpose2d",
        "sizes",
        calling(lambda call: {"output_padding": 0}),
        kind="shape",
    ),
    fault(
        "conv_transpose1d-size-undilated",
        "the output size leaves the dilation out",
        "conv_transpose1d",
        "sizes",
        calling(lambda call: {"dilation": 1, "output_padding": 0}),
        kind="shape",
    ),
    fault(
        "conv_transpose3d-whole-windows",
        "every input element takes the room of a whole stride",
        "conv_transpose3d",
        "sizes",
        answering(lambda y, call: np.pad(y, [(0, 0), (0, 0), *((0, s - 1) for s in windows(call).stride)])),
        kind="shape",
    ),
    fault(
        "conv_transpose2d-nan-leaks",
        "a NaN in one sample reaches the others",
        "conv_transpose2d",
        "special",
        answering(leaking),
        kind="special",
    ),
    fault(
        "conv_transpose1d-overflow-saturates",
        "what exceeds float16 becomes its largest number",
        "conv_transpose1d",
        "special",
        where(lambda call: np.isfinite(call["input"]).all(), answering(saturated)),
        dtype="float16",
        kind="special",
    ),
    fault(
        "conv_transpose3d-infinity-clamped",
        "infinities become the largest finite number",
        "conv_transpose3d",
        "special",
        answering(saturated),
        kind="special",
    ),
)
