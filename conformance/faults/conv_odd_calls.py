"""Ways for a convolution layer to be wrong with odd data, and in which odd calls it takes."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from conformance.formats import Array, format_of, numpy_dtype
from conformance.honest import Binding, fault, like
from conformance.mistakes import (
    Call,
    accepting,
    answering,
    calling,
    refusing,
    taking,
    tap_by_tap,
    where,
    without_nan,
)
from conformance.model import Fault

_special = partial(fault, check="special", kind="special")
_refused = partial(fault, check="rejections", kind="acceptance")


def _flushed(array: Array) -> Array:
    """Return the array with 0 for what is subnormal."""
    return np.where(np.abs(array) < format_of(array.dtype.name).least_normal, 0, array).astype(array.dtype)


def _in_half(total: Array, part: Array) -> Array:
    with np.errstate(all="ignore"):
        return like(like(total + part, numpy_dtype("float16")), numpy_dtype("float32"))


def _half_sums(right: Binding, **call: Any) -> Array:
    return tap_by_tap(right, _in_half, **call)


def _numbers_in_tail(x: Array) -> Array:
    """Return the array with 0 for every NaN after the sixteenth element of a row."""
    return np.concatenate([x[..., :16], without_nan(x[..., 16:])], -1)


def _of(call: Call, name: str, default: int = 1) -> tuple[Any, ...]:
    value = call.get(name, default)
    return value if isinstance(value, tuple) else (value,)


def _unbatched(call: Call) -> bool:
    return bool(call["input"].ndim < call["weight"].ndim)


def _large_kernel(call: Call) -> bool:
    return bool(call["weight"].shape[-1] > call["input"].shape[-1])


def _output_padding_beyond_stride(call: Call) -> bool:
    return bool(max(_of(call, "output_padding", 0)) >= max(_of(call, "stride")))


SPECIAL = (
    _special(
        "conv2d-subnormal-outputs-flushed",
        "subnormal outputs become 0",
        "conv2d",
        mistake=answering(lambda y, call: _flushed(y)),
    ),
    _special(
        "conv3d-subnormal-inputs-flushed",
        "a subnormal input is read as 0",
        "conv3d",
        mistake=taking("input", _flushed),
        dtype="float16",
    ),
    _special(
        "conv_transpose1d-subnormal-inputs-flushed",
        "a subnormal input is read as 0",
        "conv_transpose1d",
        mistake=taking("input", _flushed),
        dtype="float64",
    ),
    _special(
        "conv1d-limited-to-1e29",
        "what exceeds 1e29 is taken for 1e29, as by a mask that is thought to be large enough",
        "conv1d",
        mistake=answering(lambda y, call: np.clip(y, -1e29, 1e29).astype(y.dtype)),
    ),
    _special(
        "conv2d-half-sums-overflow",
        "sums are kept in float16, where they overflow on their way to what fits",
        "conv2d",
        mistake=where(lambda call: np.isfinite(call["input"]).all(), _half_sums),
        dtype="float16",
    ),
    _special(
        "conv2d-nan-bias-as-zero", "a NaN in the bias is read as 0", "conv2d", mistake=taking("bias", without_nan)
    ),
    _special(
        "conv_transpose2d-nan-bias-everywhere",
        "a NaN in the bias reaches all channels",
        "conv_transpose2d",
        mistake=taking("bias", lambda b: b + 0 * b.sum()),
    ),
    _special(
        "conv1d-infinite-weight-clamped",
        "an infinite weight is read as the largest finite number",
        "conv1d",
        mistake=taking("weight", lambda w: np.where(np.isinf(w), np.sign(w) * np.finfo(w.dtype).max, w)),
    ),
    _special(
        "conv1d-nan-as-zero-in-tail",
        "a NaN after the sixteenth element of a row is read as 0",
        "conv1d",
        mistake=taking("input", _numbers_in_tail),
    ),
    _special(
        "conv_transpose3d-nan-as-zero",
        "a NaN in the input is read as 0",
        "conv_transpose3d",
        mistake=taking("input", without_nan),
        dtype="bfloat16",
    ),
)

ODD_CALLS = (
    _refused(
        "conv2d-refuses-unbatched",
        "an input without a batch axis raises",
        "conv2d",
        mistake=where(_unbatched, refusing),
    ),
    _refused(
        "conv_transpose2d-batches",
        "an input without a batch axis is answered with one",
        "conv_transpose2d",
        mistake=answering(lambda y, call: y[np.newaxis] if _unbatched(call) else y),
        kind="shape",
    ),
    _refused(
        "conv1d-refuses-large-kernel",
        "a kernel larger than its input raises, although padding makes it fit",
        "conv1d",
        mistake=where(_large_kernel, refusing),
        dtype="float64",
    ),
    _refused(
        "conv3d-refuses-huge-stride",
        "a stride of more than 31 bits raises",
        "conv3d",
        mistake=where(lambda call: max(_of(call, "stride")) >= 2**31, refusing),
    ),
    _refused(
        "conv2d-accepts-huge-dilation",
        "a dilation of 2**31 overflows 32 bits, and the kernel seems to fit",
        "conv2d",
        mistake=accepting(
            "kernel-fits",
            where(lambda call: _of(call, "dilation")[0] == 2**31, calling(lambda call: {"dilation": 1, "padding": 2})),
        ),
    ),
    _refused(
        "conv1d-accepts-fraction",
        "a stride of 1.5 is cut off to 1",
        "conv1d",
        mistake=accepting("stride", where(lambda call: call["stride"] == 1.5, calling(lambda call: {"stride": 1}))),
        dtype="bfloat16",
    ),
    _refused(
        "conv_transpose2d-refuses-output-padding",
        "output padding of a stride or more raises, although it is below the dilation",
        "conv_transpose2d",
        mistake=where(_output_padding_beyond_stride, refusing),
    ),
    _refused(
        "conv_transpose1d-refuses-huge-dilation",
        "a dilation of more than 31 bits raises, although there is but one tap",
        "conv_transpose1d",
        mistake=where(lambda call: max(_of(call, "dilation")) >= 2**31, refusing),
        dtype="float16",
    ),
)

FAULTS: tuple[Fault, ...] = (*SPECIAL, *ODD_CALLS)
