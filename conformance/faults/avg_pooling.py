"""Ways for average pooling to be wrong: its windows, its divisors, and what it makes of NaN and infinities."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from conformance.formats import Array, numpy_dtype
from conformance.honest import Binding, fault, honest, like
from conformance.mistakes import (
    Call,
    answering,
    at_one_output,
    calling,
    in_the_right_shape,
    leaking,
    padded_with,
    refusing,
    reversed_axes,
    sized,
    taking,
    tap_values,
    where,
    windows,
    without_nan,
)
from conformance.model import Fault

Round = Callable[[Array], Array]


def _divisors(right: Binding, **call: Any) -> Array:
    """Return what every window's sum is divided by, from the sums and the means of ones."""
    ones = {**call, "input": np.ones((1, 1, *call["input"].shape[2:]))}
    means, sums = right(**ones), right(**{**ones, "divisor_override": 1})
    return np.asarray(np.rint(sums / means))


def _summed(right: Binding, keep: Round, share: Round, **call: Any) -> Array:
    """Add up the taps in order, each partial sum kept by `keep`, and multiply by `share` of 1 / divisor, in float32."""
    x, divisors = call["input"], _divisors(right, **call).astype(np.float32)
    total = np.zeros((*x.shape[:2], *divisors.shape[2:]), np.float32)
    for value in tap_values(x.astype(np.float32), call, divisors.shape[2:], 0):
        total = keep(total + value)
    return like(total * share(1 / divisors), x.dtype)


def _rounded_to(dtype: Any) -> Round:
    return lambda values: like(like(values, dtype), np.dtype(np.float32))


def _as_it_is(values: Array) -> Array:
    return values


def _summing(name: str, sentence: str, operator: str, dtype: str, kind: str, **wrong: Round) -> Fault:
    right, exact = honest(operator), {"keep": _as_it_is, "share": _as_it_is}
    twin = partial(_summed, right, **exact)
    return fault(
        name, sentence, operator, "values", lambda _, **call: _summed(right, **exact | wrong, **call), dtype, twin, kind
    )


def _whole_kernel(call: Call) -> Call:
    kernel = windows(call).kernel
    return {"divisor_override": call.get("divisor_override", int(np.prod(kernel)))}


def _nan_onwards(output: Array, call: Call) -> Array:
    """Return the output with NaN wherever one came before it in its row, as running sums have it."""
    return np.where(np.logical_or.accumulate(np.isnan(output), -1), np.nan, output).astype(output.dtype)


FAULTS: tuple[Fault, ...] = (
    fault(
        "avg_pool2d-padding-always-counts",
        "padding counts even where it must not",
        "avg_pool2d",
        "values",
        calling(lambda call: {"count_include_pad": True}),
        kind="divisor",
    ),
    fault(
        "avg_pool1d-padding-never-counts",
        "padding does not count even where it must",
        "avg_pool1d",
        "values",
        calling(lambda call: {"count_include_pad": False}),
        dtype="float16",
        kind="divisor",
    ),
    fault(
        "avg_pool2d-divided-by-kernel",
        "every sum is divided by the number of taps",
        "avg_pool2d",
        "values",
        calling(_whole_kernel),
        kind="divisor",
    ),
    fault(
        "avg_pool3d-overhang-counts",
        "where padding counts, so do taps beyond it",
        "avg_pool3d",
        "values",
        where(lambda call: call.get("count_include_pad", True), calling(_whole_kernel)),
        kind="divisor",
    ),
    fault(
        "avg_pool2d-divisor-override-ignored",
        "divisor_override is ignored",
        "avg_pool2d",
        "values",
        calling(lambda call: {"divisor_override": None}),
        kind="divisor",
    ),
    fault(
        "avg_pool3d-last-undivided",
        "the last sum is not divided",
        "avg_pool3d",
        "values",
        at_one_output(calling(lambda call: {"divisor_override": 1})),
        kind="divisor",
    ),
    fault(
        "avg_pool2d-padded-with-edge",
        "the edge is repeated for padding",
        "avg_pool2d",
        "values",
        where(lambda call: not call.get("ceil_mode") and call.get("count_include_pad", True), padded_with(mode="edge")),
        kind="padding",
    ),
    fault(
        "avg_pool1d-stride-one-by-default",
        "a stride that is left out is 1",
        "avg_pool1d",
        "values",
        calling(lambda call: {"stride": call.get("stride", 1)}),
        kind="index",
    ),
    fault(
        "avg_pool3d-kernel-swapped",
        "the axes of the kernel are swapped",
        "avg_pool3d",
        "values",
        in_the_right_shape(
            calling(
                lambda call: {"kernel_size": windows(call).kernel[::-1], "stride": windows(call).stride, "padding": 0}
            )
        ),
        kind="axes",
    ),
    fault(
        "avg_pool2d-paddings-swapped",
        "the axes swap their padding",
        "avg_pool2d",
        "values",
        reversed_axes("padding"),
        dtype="float64",
        kind="axes",
    ),
    _summing(
        "avg_pool2d-half-accumulation",
        "sums are kept in float16",
        "avg_pool2d",
        "float16",
        keep=_rounded_to(np.dtype(np.float16)),
        kind="rounding",
    ),
    _summing(
        "avg_pool3d-coarse-reciprocal",
        "sums are multiplied by a bfloat16 reciprocal",
        "avg_pool3d",
        "float32",
        share=_rounded_to(numpy_dtype("bfloat16")),
        kind="rounding",
    ),
    fault(
        "avg_pool1d-ceil",
        "the number of windows is always rounded up",
        "avg_pool1d",
        "sizes",
        calling(lambda call: {"ceil_mode": True}),
        kind="shape",
    ),
    fault(
        "avg_pool2d-round-half",
        "the number of windows is rounded to nearest",
        "avg_pool2d",
        "sizes",
        where(lambda call: not call.get("ceil_mode"), sized(lambda n, e, s, k: (2 * (n - e) + s) // (2 * s) + 1)),
        dtype="bfloat16",
        kind="shape",
    ),
    fault(
        "avg_pool3d-empty-batch-refused",
        "an empty batch raises",
        "avg_pool3d",
        "sizes",
        where(lambda call: not len(call["input"]), refusing),
        kind="acceptance",
    ),
    fault(
        "avg_pool2d-nan-as-zero",
        "a NaN counts as 0",
        "avg_pool2d",
        "special",
        taking("input", without_nan),
        kind="special",
    ),
    fault(
        "avg_pool1d-nan-onwards",
        "a NaN reaches all later windows of its row, as in running sums",
        "avg_pool1d",
        "special",
        answering(_nan_onwards),
        kind="special",
    ),
    fault(
        "avg_pool3d-nan-leaks",
        "a NaN in one sample reaches the others",
        "avg_pool3d",
        "special",
        answering(leaking),
        dtype="float64",
        kind="special",
    ),
)
