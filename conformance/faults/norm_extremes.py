"""Ways for normalizations of samples to be wrong in shapes and in special values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from conformance.faults.norm_steps import axes_of, moments_of, normalizing, root_of, scaling
from conformance.formats import Array, format_of
from conformance.honest import fault
from conformance.mistakes import Call, Mistake, answering, leaking, refusing, taking, where, without_nan
from conformance.model import Fault
from reference.norm_arguments import NormCall


def _fault(operator: str, check: str, name: str, sentence: str, mistake: Mistake, **more: Any) -> Fault:
    return fault(f"{operator}-{name}", sentence, operator, check, mistake, **more)


def _channels_merged(output: Array, call: Call) -> Array:
    """Return the output with a NaN in a channel of all samples where one of them has it."""
    spoiled = np.isnan(output).any((0, *range(2, output.ndim)), keepdims=True)
    return np.where(spoiled, np.nan, output).astype(output.dtype)


def _samples_merged(output: Array, call: Call) -> Array:
    """Return the output with a NaN in all of a sample where some of it is one."""
    spoiled = np.isnan(output).any(tuple(range(1, output.ndim)), keepdims=True)
    return np.where(spoiled, np.nan, output).astype(output.dtype)


def _squares_in_half(form: NormCall) -> tuple[Array, Array]:
    mean, _ = moments_of(form)
    squares = np.square((form.x - mean).astype(np.float16)).astype(np.float64)
    return mean, root_of(form, squares.mean(axes_of(form), keepdims=True))


def _flushed(x: Array) -> Array:
    return np.where(np.abs(x) < format_of(x.dtype.name).least_normal, 0, x)


def _cut(x: Array) -> Array:
    """Return the array with what is finite brought to 2**40 at most."""
    return np.where(np.isfinite(x), np.clip(x, -(2.0**40), 2.0**40), x).astype(x.dtype)


def _zero_without_variance(form: NormCall, var: Array) -> Array:
    return np.where(var == 0, np.nan, root_of(form, var))


def _flat(output: Array, call: Call) -> Array:
    return output.reshape(*output.shape[:2], math.prod(output.shape[2:]))


def _rows_merged(output: Array, call: Call) -> Array:
    lead = output.ndim - len(call["normalized_shape"])
    return output.reshape(math.prod(output.shape[:lead]), *output.shape[lead:])


def _empty(call: Call) -> bool:
    return not len(call["input"])


SIZES = (
    _fault(
        "instance_norm",
        "sizes",
        "running-missing",
        "the running statistics are not given back",
        lambda right, **call: right(**call)[0],
        kind="shape",
    ),
    _fault(
        "instance_norm",
        "sizes",
        "empty-batch-refused",
        "an empty batch raises",
        where(_empty, refusing),
        kind="acceptance",
    ),
    _fault(
        "group_norm",
        "sizes",
        "flattened",
        "the spatial axes come back as one",
        answering(_flat),
        dtype="float16",
        kind="shape",
    ),
    _fault(
        "group_norm",
        "sizes",
        "widened",
        "the output is float64 whatever the input is",
        answering(lambda y, call: y.astype(np.float64)),
        kind="dtype",
    ),
    _fault(
        "layer_norm", "sizes", "rows-merged", "the leading axes come back as one", answering(_rows_merged), kind="shape"
    ),
    _fault(
        "layer_norm",
        "sizes",
        "empty-batch-refused",
        "an empty batch raises",
        where(_empty, refusing),
        dtype="bfloat16",
        kind="acceptance",
    ),
    _fault(
        "rms_norm",
        "sizes",
        "widened",
        "the output is float32 where the input is narrower",
        answering(lambda y, call: y.astype(np.float32)),
        dtype="bfloat16",
        kind="dtype",
    ),
    _fault(
        "rms_norm",
        "sizes",
        "rows-merged",
        "the leading axes come back as one",
        answering(_rows_merged),
        dtype="float64",
        kind="shape",
    ),
    _fault(
        "local_response_norm", "sizes", "flattened", "the spatial axes come back as one", answering(_flat), kind="shape"
    ),
    _fault(
        "local_response_norm",
        "sizes",
        "wide-refused",
        "a window wider than all channels raises",
        where(lambda call: call["size"] > call["input"].shape[1], refusing),
        kind="acceptance",
    ),
)

SPECIAL = (
    *(
        _fault(
            f"{kind}_norm",
            "special",
            "large-cut",
            "large values are cut off at 2**40",
            taking("input", _cut),
            dtype=dtype,
            kind="special",
        )
        for kind, dtype in (
            *(("batch", "float32"), ("instance", "float64"), ("group", "bfloat16"), ("layer", "float32")),
            *(("rms", "bfloat16"), ("local_response", "float32")),
        )
    ),
    _fault(
        "instance_norm",
        "special",
        "nan-leaks",
        "a NaN reaches that channel in all samples",
        answering(_channels_merged),
        kind="special",
    ),
    _fault(
        "instance_norm",
        "special",
        "nan-as-zero",
        "a NaN is read as 0",
        taking("input", without_nan),
        dtype="float16",
        kind="special",
    ),
    _fault(
        "instance_norm",
        "special",
        "constant-nan",
        "a channel without variance is NaN",
        scaling("instance_norm", _zero_without_variance),
        kind="special",
    ),
    _fault(
        "group_norm",
        "special",
        "nan-leaks",
        "a NaN reaches all groups of its sample",
        answering(_samples_merged),
        kind="special",
    ),
    _fault(
        "group_norm",
        "special",
        "squares-in-half",
        "squares of deviations overflow in float16",
        normalizing("group_norm", _squares_in_half),
        dtype="float16",
        kind="dtype",
    ),
    _fault(
        "group_norm",
        "special",
        "flushed",
        "subnormal numbers are read as 0",
        taking("input", _flushed),
        dtype="float64",
        kind="special",
    ),
    _fault(
        "layer_norm",
        "special",
        "nan-leaks",
        "a NaN reaches all rows",
        answering(leaking),
        dtype="bfloat16",
        kind="special",
    ),
    _fault("layer_norm", "special", "nan-as-zero", "a NaN is read as 0", taking("input", without_nan), kind="special"),
    _fault(
        "layer_norm",
        "special",
        "squares-in-half",
        "squares of deviations overflow in float16",
        normalizing("layer_norm", _squares_in_half),
        dtype="float16",
        kind="dtype",
    ),
    _fault("rms_norm", "special", "nan-leaks", "a NaN reaches all rows", answering(leaking), kind="special"),
    _fault(
        "rms_norm",
        "special",
        "squares-in-half",
        "squares overflow in float16",
        normalizing("rms_norm", _squares_in_half),
        dtype="float16",
        kind="dtype",
    ),
    _fault(
        "rms_norm", "special", "flushed", "subnormal numbers are read as 0", taking("input", _flushed), kind="special"
    ),
    _fault(
        "local_response_norm",
        "special",
        "nan-leaks",
        "a NaN reaches all channels of its sample",
        answering(_samples_merged),
        kind="special",
    ),
    _fault(
        "local_response_norm",
        "special",
        "nan-as-zero",
        "a NaN is read as 0",
        taking("input", without_nan),
        dtype="bfloat16",
        kind="special",
    ),
)

FAULTS: tuple[Fault, ...] = (*SIZES, *SPECIAL)
