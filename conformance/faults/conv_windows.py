"""Ways for a convolution layer to be wrong in where its windows lie: stride, padding, dilation and sizes."""

from __future__ import annotations

import numpy as np

from conformance.honest import fault
from conformance.mistakes import (
    Call,
    answering,
    calling,
    first_axis_at_one,
    in_the_right_shape,
    padded_with,
    padding_as,
    refusing,
    reversed_axes,
    sized,
    where,
    windows,
)
from conformance.model import Fault


def _wrapped_rows(call: Call) -> Call:
    """Return the input whose rows run on into the next one, in place of the padding on their right."""
    x, padding = call["input"], windows(call).padding
    low, high = padding[-1]
    following = np.roll(x, -1, -2)[..., :high]
    return {"input": np.concatenate([x, following], -1), "padding": (*padding[:-1], (low, high - following.shape[-1]))}


def _same_undilated(call: Call) -> Call:
    return {"padding": windows({**call, "dilation": 1}).padding}


WINDOWS = (
    fault(
        "conv2d-strides-swapped",
        "the strides of the axes are swapped",
        "conv2d",
        "values",
        reversed_axes("stride"),
        kind="axes",
    ),
    fault(
        "conv2d-paddings-swapped",
        "the axes swap their padding",
        "conv2d",
        "values",
        reversed_axes("padding"),
        kind="axes",
    ),
    fault(
        "conv2d-dilations-swapped",
        "the axes swap their dilation",
        "conv2d",
        "values",
        reversed_axes("dilation"),
        kind="axes",
    ),
    fault(
        "conv1d-dilation-ignored",
        "the taps are read without their dilation, in as many windows as with it",
        "conv1d",
        "values",
        in_the_right_shape(calling(lambda call: {"dilation": 1})),
        dtype="bfloat16",
        kind="index",
    ),
    fault(
        "conv3d-dilation-ignored-in-depth",
        "the dilation of the first axis is ignored",
        "conv3d",
        "values",
        in_the_right_shape(first_axis_at_one("dilation")),
        kind="axes",
    ),
    fault(
        "conv2d-stride-ignored-in-height",
        "the stride of the first axis is ignored, in as many windows as with it",
        "conv2d",
        "values",
        in_the_right_shape(first_axis_at_one("stride")),
        kind="axes",
    ),
    fault(
        "conv1d-stride-ignored",
        "the stride is taken for 1",
        "conv1d",
        "values",
        calling(lambda call: {"stride": 1}),
        kind="index",
    ),
    fault(
        "conv2d-padding-on-low-side",
        "all padding goes to the low side",
        "conv2d",
        "values",
        padding_as(lambda pair: (sum(pair), 0)),
        dtype="float16",
        kind="padding",
    ),
    fault(
        "conv1d-padding-shifted",
        "padding is one element too long on the low side and too short on the high side",
        "conv1d",
        "values",
        padding_as(lambda pair: (pair[0] + 1, pair[1] - 1) if pair[1] else pair),
        kind="padding",
    ),
    fault(
        "conv2d-padded-with-edge",
        "the edge is repeated for padding",
        "conv2d",
        "values",
        padded_with(mode="edge"),
        kind="padding",
    ),
    fault(
        "conv2d-padded-with-thousandth",
        "padding holds 0.001 in place of 0",
        "conv2d",
        "values",
        padded_with(constant_values=1e-3),
        kind="padding",
    ),
    fault(
        "conv2d-rows-wrap",
        "padding on the right reads the next row",
        "conv2d",
        "values",
        calling(_wrapped_rows),
        kind="padding",
    ),
    fault(
        "conv1d-same-lower",
        'padding "same" puts the odd element on the low side',
        "conv1d",
        "values",
        calling(lambda call: {"padding": "same_lower"} if call.get("padding") == "same" else {}),
        kind="padding",
    ),
)

SIZES = (
    fault(
        "conv2d-one-too-large",
        "there is one window too many",
        "conv2d",
        "sizes",
        sized(lambda n, e, s, k: (n - e) // s + 2),
        kind="shape",
    ),
    fault(
        "conv3d-one-too-small",
        "there is one window too few",
        "conv3d",
        "sizes",
        sized(lambda n, e, s, k: (n - e) // s),
        kind="shape",
    ),
    fault(
        "conv2d-ceil",
        "the number of windows is rounded up",
        "conv2d",
        "sizes",
        sized(lambda n, e, s, k: -((e - n) // s) + 1),
        kind="shape",
    ),
    fault(
        "conv1d-round-half",
        "the number of windows is rounded to nearest",
        "conv1d",
        "sizes",
        sized(lambda n, e, s, k: (2 * (n - e) + s) // (2 * s) + 1),
        kind="shape",
    ),
    fault(
        "conv2d-size-undilated",
        "the number of windows leaves the dilation out",
        "conv2d",
        "sizes",
        sized(lambda n, e, s, k: (n - k) // s + 1),
        dtype="float16",
        kind="shape",
    ),
    fault(
        "conv1d-same-undilated",
        'padding "same" leaves the dilation out',
        "conv1d",
        "sizes",
        where(lambda call: call.get("padding") == "same", calling(_same_undilated)),
        kind="padding",
    ),
    fault(
        "conv2d-empty-batch-refused",
        "an empty batch raises",
        "conv2d",
        "sizes",
        where(lambda call: not len(call["input"]), refusing),
        kind="acceptance",
    ),
    fault(
        "conv1d-empty-batch-of-one",
        "an empty batch gives one sample",
        "conv1d",
        "sizes",
        answering(lambda y, call: y if len(y) else np.zeros((1, *y.shape[1:]), y.dtype)),
        kind="shape",
    ),
    fault(
        "conv3d-no-channels-refused",
        "an input without channels raises",
        "conv3d",
        "sizes",
        where(lambda call: not call["input"].shape[1], refusing),
        kind="acceptance",
    ),
    fault(
        "conv2d-squeezed",
        "axes of length 1 are dropped",
        "conv2d",
        "sizes",
        answering(lambda y, call: y.squeeze()),
        kind="shape",
    ),
    fault(
        "conv1d-widened",
        "the output is float64 whatever the input is",
        "conv1d",
        "sizes",
        answering(lambda y, call: y.astype(np.float64)),
        dtype="bfloat16",
        kind="dtype",
    ),
)

FAULTS: tuple[Fault, ...] = (*WINDOWS, *SIZES)
