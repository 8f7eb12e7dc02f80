"""Ways to be right in shape and wrong in the last bits: lost bits of operands, sums and outputs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from conformance.formats import Array, numpy_dtype, round_bits
from conformance.honest import Binding, honest, like
from conformance.honest import fault as make_fault
from conformance.mistakes import Call, Mistake, answering, parameter, taking, tap_by_tap, through
from conformance.model import Fault

fault = partial(make_fault, kind="rounding")
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


def _last_off_by(ulps: int, output: int = 0) -> Mistake:
    def changed(values: Array | None, call: Call) -> Any:
        if values is None:
            return None
        last = (-1,) * values.ndim
        values[last] += ulps * np.spacing(values[last])
        return values

    return answering(changed, output)


def _bias_gradient(gradient: Array | None, call: Call, dtype: np.dtype[Any]) -> Any:
    """Return the gradient of the bias, if there is one: sums of the cotangent that are kept in a dtype."""
    if gradient is None:
        return None
    rows = np.moveaxis(call["cotangent"], 1, 0).reshape(len(gradient), -1).astype(dtype)
    total = np.zeros(gradient.shape, dtype)
    for part in rows.T:
        total += part
    return total.astype(gradient.dtype)


def _output_through(dtype: np.dtype[Any]) -> Mistake:
    return answering(lambda y, call: like(like(y, dtype), y.dtype))


def _gradients_in(name: str) -> Mistake:
    """Return the mistake of computing the gradients in another format."""

    def mistake(right: Binding, **call: Any) -> Any:
        found = right(**{k: like(v, numpy_dtype(name)) if isinstance(v, np.ndarray) else v for k, v in call.items()})
        parts = found if isinstance(found, tuple) else (found,)
        return tuple(None if part is None else like(part, call["cotangent"].dtype) for part in parts)

    return mistake


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
)

OUTPUTS = (
    fault("conv2d-output-in-half", "the output is rounded to float16", "conv2d", "values", _output_through(HALF)),
    fault("conv2d-output-cut-off", "the output is rounded toward zero", "conv2d", "values", _cut_off, "bfloat16"),
    fault(
        "conv3d-eight-ulps",
        "the last output is eight units in the last place too large",
        "conv3d",
        "values",
        _last_off_by(8),
    ),
)

ONE_ULP = tuple(
    fault(
        f"{operator}-one-ulp{'-gradient' * (check == 'gradients')}",
        f"the last number of the {what} is one unit in the last place too large",
        operator,
        check,
        _last_off_by(1, output),
        dtype,
    )
    for operator, check, what, output, dtype in (
        ("conv1d", "values", "output", 0, "float32"),
        ("conv2d", "values", "output", 0, "float64"),
        ("conv_transpose2d", "values", "output", 0, "float32"),
        ("linear", "values", "output", 0, "float64"),
        ("avg_pool2d", "values", "output", 0, "float32"),
        ("adaptive_avg_pool1d", "values", "output", 0, "float32"),
        ("max_pool1d", "values", "output", 0, "bfloat16"),
        ("batch_norm", "values", "output", 0, "float32"),
        ("group_norm", "values", "output", 0, "float32"),
        ("pad", "values", "output", 0, "float16"),
        ("relu", "values", "output", 0, "float32"),
        ("conv2d", "gradients", "gradient of the weight", 1, "float32"),
        ("conv3d", "gradients", "gradient of the input", 0, "float32"),
        ("linear", "gradients", "gradient of the bias", 2, "float32"),
    )
)

GRADIENTS = (
    fault(
        "conv2d-half-weight-gradient",
        "the gradient of the weight is rounded to float16",
        "conv2d",
        "gradients",
        answering(lambda g, call: like(like(g, HALF), g.dtype), 1),
    ),
    fault(
        "conv2d-half-bias-gradient",
        "the gradient of the bias is added up in float16",
        "conv2d",
        "gradients",
        answering(lambda g, call: _bias_gradient(g, call, HALF), 2),
        "float16",
        lambda **call: answering(lambda g, call: _bias_gradient(g, call, SINGLE), 2)(honest("vjp.conv2d"), **call),
    ),
    fault(
        "conv1d-tf32-cotangent",
        "the cotangent is read with 11 bits",
        "conv1d",
        "gradients",
        taking("cotangent", _bits(11)),
    ),
    fault(
        "linear-bfloat16-cotangent",
        "the cotangent is rounded to bfloat16",
        "linear",
        "gradients",
        taking("cotangent", lambda g: like(g, BRAIN)),
    ),
)

# The wrong dtype altogether.
IN_ANOTHER_DTYPE = tuple(
    make_fault(
        f"{operator}-{name}",
        f"{dtype} is {verb} {through_what}",
        operator,
        check,
        (_gradients_in if check == "gradients" else through)(through_what.split()[-1]),
        dtype,
        kind="dtype",
    )
    for operator, name, dtype, verb, through_what, check in (
        ("conv2d", "in-single", "float64", "computed in", "float32", "values"),
        ("conv_transpose3d", "in-single", "float64", "computed in", "float32", "values"),
        ("linear", "in-single", "float64", "computed in", "float32", "values"),
        ("batch_norm", "in-single", "float64", "computed in", "float32", "values"),
        ("layer_norm", "in-single", "float64", "computed in", "float32", "values"),
        ("avg_pool1d", "in-single", "float64", "computed in", "float32", "values"),
        ("softmax", "in-single", "float64", "computed in", "float32", "values"),
        ("gelu", "in-single", "float64", "computed in", "float32", "values"),
        ("tanh", "in-half", "float32", "computed in", "float16", "values"),
        ("conv3d", "in-bfloat16", "float16", "computed", "by way of bfloat16", "values"),
        ("max_pool3d", "in-half", "float32", "copied", "by way of float16", "values"),
        ("pad", "in-half", "float32", "copied", "by way of float16", "values"),
        ("relu", "in-bfloat16", "float32", "copied", "by way of bfloat16", "values"),
        ("conv2d", "gradient-in-single", "float64", "differentiated in", "float32", "gradients"),
        ("avg_pool2d", "gradient-in-single", "float64", "differentiated in", "float32", "gradients"),
        ("batch_norm", "gradient-in-half", "float32", "differentiated in", "float16", "gradients"),
    )
)

FAULTS: tuple[Fault, ...] = (*OPERANDS, *SUMS, *OUTPUTS, *ONE_ULP, *GRADIENTS, *IN_ANOTHER_DTYPE)
