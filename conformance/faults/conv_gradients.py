"""Ways for the gradients of convolution layers and of their transposes to be wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from conformance.formats import Array, numpy_dtype
from conformance.honest import Binding, fault, like
from conformance.mistakes import Call, Mistake, answering, calling, given, groups_of, padding_as, taking, where, windows
from conformance.model import Fault

INPUT, WEIGHT, BIAS = range(3)

_gradient = partial(fault, check="gradients", kind="gradient")


def _only(gradient: int, mistake: Mistake) -> Mistake:
    """Return the mistake that is made in one of the gradients only."""

    def in_one(right: Binding, **call: Any) -> Any:
        wrong = mistake(right, **call)
        return tuple(wrong[i] if i == gradient else part for i, part in enumerate(right(**call)))

    return in_one


def _windows_as(change: Callable[[Call], Mapping[str, Any]]) -> Mistake:
    """Return the mistake of other windows, the cotangent cut, or filled up with zeros, to as many as there are then."""

    def mistake(right: Binding, **call: Any) -> Any:
        other = {**call, **change(call)}
        w, x, g = windows(other), call["input"], call["cotangent"]
        axes = zip(x.shape[2:], w.kernel, w.stride, w.padding, w.dilation, strict=True)
        counts = [max((n + sum(p) - d * (k - 1) - 1) // s + 1, 0) for n, k, s, p, d in axes]
        fitted = np.zeros((*g.shape[:2], *counts), g.dtype)
        common = tuple(slice(min(a, b)) for a, b in zip(g.shape, fitted.shape, strict=True))
        fitted[common] = g[common]
        return right(**{**other, "cotangent": fitted})

    return mistake


def _remainders(call: Call) -> list[int]:
    """Return how many elements of the padded input are left over by the stride, along each axis."""
    w = windows(call)
    axes = zip(call["input"].shape[2:], w.kernel, w.stride, w.padding, w.dilation, strict=True)
    return [(n + sum(p) - d * (k - 1) - 1) % s for n, k, s, p, d in axes]


def _without_last_row(cotangent: Array) -> Array:
    cut = cotangent.copy()
    cut[:, :, -1] = 0
    return cut


def _of_first_group(gradient: Array, call: Call) -> Array:
    return np.resize(gradient[: len(gradient) // groups_of(call)], gradient.shape)


def _summed_over_batch(gradient: Array, call: Call) -> Array:
    g = call["cotangent"]
    return np.asarray(g.sum(0).reshape(g.shape[1], -1)[:, 0])


def _through_half(gradients: Any) -> Any:
    return tuple(
        None if part is None else like(like(part, numpy_dtype("float16")), numpy_dtype("float32")) for part in gradients
    )


def _without_output_padding(call: Call) -> Call:
    extra = call["output_padding"]
    g = call["cotangent"].copy()
    for axis, more in enumerate(extra if isinstance(extra, tuple) else (extra,) * (g.ndim - 2), 2):
        g[(slice(None),) * axis + (slice(g.shape[axis] - more, None),)] = 0
    return {"cotangent": g}


def _strided(call: Call) -> bool:
    return max(windows(call).stride) > 1


def _of_flipped(right: Binding, **call: Any) -> Any:
    """Return the gradients of a convolution in the place of those of a cross-correlation: of all that meets."""
    of_input, of_weight, *of_bias = FLIPPED(right, **call)
    return of_input, np.flip(of_weight, tuple(range(2, of_weight.ndim))), *of_bias


FLIPPED = taking("weight", lambda w: np.flip(w, tuple(range(2, w.ndim))))
ONES = taking("cotangent", np.ones_like)

CONVOLUTION = (
    _gradient(
        "conv1d-gradient-flipped",
        "the gradient of the weight is flipped",
        "conv1d",
        mistake=answering(lambda g, call: np.flip(g, 2), WEIGHT),
        dtype="float64",
    ),
    _gradient(
        "conv2d-gradient-by-flipped-weight",
        "the input's gradient takes the weight flipped: a correlation of the cotangent in place of a convolution",
        "conv2d",
        mistake=_only(INPUT, FLIPPED),
    ),
    _gradient(
        "conv2d-gradients-of-a-convolution",
        "the kernel is flipped on the way there and so on the way back",
        "conv2d",
        mistake=_of_flipped,
    ),
    _gradient(
        "conv2d-gradient-of-a-sum",
        "the cotangent is taken to be ones, as of a sum",
        "conv2d",
        mistake=ONES,
    ),
    _gradient(
        "conv3d-gradient-of-a-sum-for-bias",
        "the bias counts outputs, whatever the cotangent is",
        "conv3d",
        mistake=_only(BIAS, ONES),
    ),
    _gradient(
        "conv2d-gradient-remainder",
        "the last row of windows passes no gradient on where the stride leaves a remainder",
        "conv2d",
        mistake=where(lambda call: _remainders(call)[0], taking("cotangent", _without_last_row)),
    ),
    _gradient(
        "conv2d-gradient-at-the-end",
        "the input's gradient lies against the end of a row where the stride leaves a remainder",
        "conv2d",
        mistake=answering(lambda g, call: np.roll(g, _remainders(call)[-1], -1), INPUT),
    ),
    _gradient(
        "conv2d-gradient-unstrided",
        "the weight's gradient is taken with stride 1",
        "conv2d",
        mistake=_only(WEIGHT, _windows_as(lambda call: {"stride": 1})),
        dtype="float16",
    ),
    _gradient(
        "conv1d-gradient-undilated",
        "the weight's gradient leaves the dilation out",
        "conv1d",
        mistake=_only(WEIGHT, _windows_as(lambda call: {"dilation": 1})),
    ),
    _gradient(
        "conv3d-gradient-undilated-input",
        "the input's gradient leaves the dilation out",
        "conv3d",
        mistake=_only(INPUT, _windows_as(lambda call: {"dilation": 1})),
    ),
    _gradient(
        "conv2d-gradient-shifted",
        "the gradients are those of padding that is one longer on the low side, and one shorter on the high side",
        "conv2d",
        mistake=padding_as(lambda pair: (pair[0] + 1, pair[1] - 1) if pair[1] else pair),
        dtype="bfloat16",
    ),
    _gradient(
        "conv2d-gradient-of-first-group",
        "the weight's gradient in every group is that of the first",
        "conv2d",
        mistake=answering(_of_first_group, WEIGHT),
    ),
    _gradient(
        "conv2d-gradient-grouped-and-strided",
        "the input's gradient is flipped where there are both groups and a stride",
        "conv2d",
        mistake=where(lambda call: groups_of(call) > 1 and _strided(call), _only(INPUT, FLIPPED)),
    ),
    _gradient(
        "conv2d-gradient-of-bias-over-batch",
        "the gradient of the bias is summed over the batch only",
        "conv2d",
        mistake=where(given("bias"), answering(_summed_over_batch, BIAS)),
    ),
    _gradient(
        "conv1d-gradient-of-bias-averaged",
        "the gradient of the bias is averaged over the batch",
        "conv1d",
        mistake=where(given("bias"), answering(lambda g, call: g / g.dtype.type(len(call["input"])), BIAS)),
    ),
    _gradient(
        "conv2d-gradient-of-first-sample",
        "the weight's gradient is that of the first sample",
        "conv2d",
        mistake=_only(WEIGHT, calling(lambda call: {"input": call["input"][:1], "cotangent": call["cotangent"][:1]})),
    ),
    _gradient(
        "conv2d-gradient-through-half",
        "the gradients are rounded to float16",
        "conv2d",
        mistake=lambda right, **call: _through_half(right(**call)),
        kind="rounding",
    ),
)

TRANSPOSED = (
    _gradient(
        "conv_transpose2d-gradient-by-flipped-weight",
        "the input's gradient takes the weight flipped",
        "conv_transpose2d",
        mistake=_only(INPUT, FLIPPED),
    ),
    _gradient(
        "conv_transpose1d-gradient-of-a-sum",
        "the cotangent is taken to be ones, as of a sum",
        "conv_transpose1d",
        mistake=ONES,
        dtype="bfloat16",
    ),
    _gradient(
        "conv_transpose2d-gradient-without-output-padding",
        "what lies in the output padding passes no gradient on",
        "conv_transpose2d",
        mistake=where(given("output_padding"), calling(_without_output_padding)),
    ),
    _gradient(
        "conv_transpose2d-gradient-swapped",
        "the weight's gradient has input and output channels swapped where there are as many",
        "conv_transpose2d",
        mistake=answering(lambda g, call: g.swapaxes(0, 1) if g.shape[0] == g.shape[1] else g, WEIGHT),
    ),
    _gradient(
        "conv_transpose3d-gradient-of-first-group",
        "the weight's gradient in every group is that of the first",
        "conv_transpose3d",
        mistake=answering(_of_first_group, WEIGHT),
    ),
    _gradient(
        "conv_transpose1d-gradient-of-bias-over-batch",
        "the gradient of the bias is summed over the batch only",
        "conv_transpose1d",
        mistake=where(given("bias"), answering(_summed_over_batch, BIAS)),
    ),
)

FAULTS: tuple[Fault, ...] = (*CONVOLUTION, *TRANSPOSED)
