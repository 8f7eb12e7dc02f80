"""Ways to be right in shape and wrong in the last bits: lost bits of operands, sums and outputs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from conformance.formats import Array, numpy_dtype, round_bits
from conformance.honest import Binding, fault, honest, like
from conformance.mistakes import Call, Mistake, answering, parameter, taking, tap_by_tap, through
from conformance.model import Fault

SINGLE, HALF, BRAIN = map(numpy_dtype, ("float32", "float16", "bfloat16"))


def _bits(count: int) -> Callable[[Array], Array]:
    return lambda values: round_bits(values.astype(np.float64), count)


def _fewer_bits(count: int) -> Mistake:
    """Return the mistake of reading input and weight with that many significant bits."""

    def mistake(right: Binding, **call: Any) -> Any:
        read = {name: _bits(count)(call[name]).astype(call[name].dtype) for name in ("input", "weight")}
        return right(**{**call, **read})

    return mistake


def _truncated(values: Array) -> Array:
    """Return the values with the last 13 of their 23 bits cut off, as tensor cores read them."""
    return (values.view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32)


def _in_half(total: Array, part: Array) -> Array:
    return like(like(total + part, HALF), SINGLE)


def _split(right: Binding, keep: np.dtype[Any], **call: Any) -> Array:
    """Add up, in float32, two partial sums of every other product each, that were kept in another dtype."""
    weight, bias = call.pop("weight"), call.pop("bias", None)
    even = (np.arange(weight[0].size) % 2 == 0).reshape(weight.shape[1:])
    halves = (right(weight=np.where(mask, weight, 0).astype(weight.dtype), **call) for mask in (even, ~even))
    total = sum(like(like(half, keep), SINGLE) for half in halves)
    assert isinstance(total, np.ndarray)
    return total if bias is None else total + parameter(bias, total.ndim)


def _cut_off(right: Binding, **call: Any) -> Array:
    """Round the float32 result to bfloat16 toward zero, by dropping its low half."""
    wide = right(**{k: like(v, SINGLE) if isinstance(v, np.ndarray) else v for k, v in call.items()})
    return like((wide.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32), BRAIN)


def _last_off_by(ulps: int) -> Mistake:
    def changed(output: Array, call: Call) -> Array:
        last = (-1,) * output.ndim
        output[last] += ulps * np.spacing(output[last])
        return output

    return answering(changed)


def _output_through(dtype: np.dtype[Any]) -> Mistake:
    return answering(lambda y, call: like(like(y, dtype), y.dtype))


def _half_accumulation(operator: str) -> Fault:
    return fault(
        f"{operator}-half-accumulation",
        "sums are kept in float16",
        operator,
        "values",
        lambda right, **call: tap_by_tap(right, _in_half, **call),
        "float16",
        partial(tap_by_tap, honest(operator), np.add),
    )


OPERANDS = (
    fault("conv2d-tf32", "input and weight are read with 11 bits", "conv2d", "values", _fewer_bits(11)),
    fault(
        "conv3d-tf32-truncated", "the input is cut off after 11 bits", "conv3d", "values", taking("input", _truncated)
    ),
    fault("conv1d-bfloat16-operands", "input and weight are read with 8 bits", "conv1d", "values", _fewer_bits(8)),
    fault(
        "conv2d-half-weight",
        "the weight is rounded to float16",
        "conv2d",
        "values",
        taking("weight", lambda w: like(w, HALF)),
    ),
    fault(
        "conv1d-bfloat16-bias",
        "the bias is rounded to bfloat16",
        "conv1d",
        "values",
        taking("bias", lambda b: like(b, BRAIN)),
    ),
    fault(
        "conv_transpose2d-tf32", "input and weight are read with 11 bits", "conv_transpose2d", "values", _fewer_bits(11)
    ),
    fault("linear-tf32", "input and weight are read with 11 bits", "linear", "values", _fewer_bits(11)),
    fault(
        "linear-bfloat16-weight",
        "the weight is rounded to bfloat16",
        "linear",
        "values",
        taking("weight", lambda w: like(w, BRAIN)),
    ),
)

SUMS = (
    _half_accumulation("conv2d"),
    _half_accumulation("conv_transpose2d"),
    fault(
        "conv2d-bfloat16-partials",
        "two partial sums are kept in bfloat16 before they are added",
        "conv2d",
        "values",
        lambda right, **call: _split(right, BRAIN, **call),
        twin=lambda **call: _split(honest("conv2d"), SINGLE, **call),
    ),
    fault("conv2d-in-single", "float64 is computed in float32", "conv2d", "values", through("float32"), "float64"),
    fault(
        "conv_transpose3d-in-single",
        "float64 is computed in float32",
        "conv_transpose3d",
        "values",
        through("float32"),
        "float64",
    ),
    fault("linear-in-single", "float64 is computed in float32", "linear", "values", through("float32"), "float64"),
    fault(
        "batch_norm-in-single", "float64 is computed in float32", "batch_norm", "values", through("float32"), "float64"
    ),
    fault(
        "conv3d-in-bfloat16",
        "float16 is computed by way of bfloat16",
        "conv3d",
        "values",
        through("bfloat16"),
        "float16",
    ),
)

OUTPUTS = (
    fault("conv2d-output-in-half", "the output is rounded to float16", "conv2d", "values", _output_through(HALF)),
    fault("conv2d-output-cut-off", "the output is rounded toward zero", "conv2d", "values", _cut_off, "bfloat16"),
    fault(
        "conv1d-one-ulp", "the last output is one unit in the last place too large", "conv1d", "values", _last_off_by(1)
    ),
    fault(
        "conv3d-eight-ulps",
        "the last output is eight units in the last place too large",
        "conv3d",
        "values",
        _last_off_by(8),
    ),
    fault(
        "avg_pool1d-in-single", "float64 is computed in float32", "avg_pool1d", "values", through("float32"), "float64"
    ),
    fault("max_pool3d-in-half", "the output is rounded to float16", "max_pool3d", "values", _output_through(HALF)),
    fault("pad-in-half", "float32 is copied by way of float16", "pad", "values", _output_through(HALF)),
    fault("relu-in-bfloat16", "float32 is copied by way of bfloat16", "relu", "values", _output_through(BRAIN)),
)

FAULTS: tuple[Fault, ...] = (*OPERANDS, *SUMS, *OUTPUTS)
