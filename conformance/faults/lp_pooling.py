"""Ways for power-average pooling to be wrong: its powers and roots, its windows, and what is no number."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.formats import Array
from conformance.honest import Binding, fault, honest, like
from conformance.mistakes import (
    Call,
    accepting,
    answering,
    calling,
    leaking,
    refusing,
    reversed_axes,
    saturated,
    sized,
    taking,
    through,
    where,
    windows,
    without_nan,
    zeroed,
)
from conformance.model import Fault


def _finite(call: Call) -> bool:
    return bool(np.isfinite(call["norm_type"]))


def _infinite(call: Call) -> bool:
    return not _finite(call)


def _to(exponent: Any) -> Any:
    """Return the change that takes the output to a power, which follows from p."""

    def change(output: Array, call: Call) -> Array:
        with np.errstate(all="ignore"):
            return like(output.astype(np.float64) ** exponent(call["norm_type"]), output.dtype)

    return answering(change)


def _mean(output: Array, call: Call) -> Array:
    """Return the power mean, for which the sum is divided by the number of taps."""
    taps = float(np.prod(windows(call).kernel))
    return like(output.astype(np.float64) * taps ** (-1 / call["norm_type"]), output.dtype)


def _largest(right: Binding, **call: Any) -> Array:
    """Return the largest element itself, not its size."""
    given = {k: v for k, v in call.items() if k != "norm_type"}
    return np.asarray(honest(f"max_pool{call['input'].ndim - 2}d")(**given))


def _wide(call: Call) -> bool:
    return bool(call["input"].shape[-1] > 32)


VALUES = (
    fault(
        "lp_pool1d-rootless",
        "the root is left out",
        "lp_pool1d",
        "values",
        where(_finite, _to(lambda p: p)),
        kind="statistics",
    ),
    fault(
        "lp_pool2d-always-two",
        "p is always 2",
        "lp_pool2d",
        "values",
        calling(lambda call: {"norm_type": 2.0}),
        "float64",
        kind="statistics",
    ),
    fault(
        "lp_pool3d-mean",
        "the sum of powers is divided by the number of taps",
        "lp_pool3d",
        "values",
        where(_finite, answering(_mean)),
        kind="divisor",
    ),
    fault(
        "lp_pool2d-mean",
        "the sum of powers is divided by the number of taps",
        "lp_pool2d",
        "values",
        where(_finite, answering(_mean)),
        "float16",
        kind="divisor",
    ),
    fault(
        "lp_pool1d-absolute",
        "powers are those of absolute values",
        "lp_pool1d",
        "values",
        calling(lambda call: {"sign_rule": "absolute"}),
        kind="statistics",
    ),
    fault(
        "lp_pool2d-overhang-unscaled",
        "windows that hang over are not scaled",
        "lp_pool2d",
        "values",
        calling(lambda call: {"overhang": "sum"}),
        "bfloat16",
        kind="divisor",
    ),
    fault(
        "lp_pool3d-infinite-signed",
        "with p infinite the largest element is taken, not the largest size",
        "lp_pool3d",
        "values",
        where(lambda call: call["norm_type"] == np.inf, _largest),
        kind="statistics",
    ),
    fault(
        "lp_pool1d-infinite-alike",
        "p = -inf is taken for p = inf",
        "lp_pool1d",
        "values",
        where(_infinite, calling(lambda call: {"norm_type": np.inf})),
        "bfloat16",
        kind="statistics",
    ),
    fault(
        "lp_pool3d-strides-swapped",
        "the strides of the axes are swapped",
        "lp_pool3d",
        "values",
        reversed_axes("stride"),
        "float64",
        kind="axes",
    ),
    fault(
        "lp_pool1d-stride-one-by-default",
        "a stride that is left out is 1",
        "lp_pool1d",
        "values",
        calling(lambda call: {"stride": call.get("stride", 1)}),
        kind="index",
    ),
    fault(
        "lp_pool2d-in-bfloat16",
        "all is computed in bfloat16",
        "lp_pool2d",
        "values",
        through("bfloat16"),
        kind="rounding",
    ),
    fault(
        "lp_pool1d-wide-rows",
        "the last column is lost in rows of more than 32",
        "lp_pool1d",
        "values",
        where(_wide, answering(lambda y, call: zeroed(y, ..., -1))),
        kind="size",
    ),
)

SIZES = (
    fault(
        "lp_pool1d-floor",
        "the number of windows is always rounded down",
        "lp_pool1d",
        "sizes",
        calling(lambda call: {"ceil_mode": False}),
        kind="shape",
    ),
    fault(
        "lp_pool2d-ceil",
        "the number of windows is always rounded up",
        "lp_pool2d",
        "sizes",
        calling(lambda call: {"ceil_mode": True}),
        "float16",
        kind="shape",
    ),
    fault(
        "lp_pool3d-size-of-whole-strides",
        "the number of windows is that of strides that fit",
        "lp_pool3d",
        "sizes",
        sized(lambda n, e, s, k: max(n // s, 1)),
        kind="shape",
    ),
)

REJECTIONS = (
    fault(
        "lp_pool1d-accepts-no-norm",
        "p = 0 counts the elements",
        "lp_pool1d",
        "rejections",
        accepting("norm-type", calling(lambda call: {"norm_type": 1.0})),
        kind="acceptance",
    ),
    fault(
        "lp_pool2d-accepts-stride-zero",
        "stride 0 is taken for the kernel size",
        "lp_pool2d",
        "rejections",
        accepting("stride", calling(lambda call: {"stride": None})),
        "float64",
        kind="acceptance",
    ),
    fault(
        "lp_pool3d-accepts-large-kernel",
        "a kernel larger than its input is cut",
        "lp_pool3d",
        "rejections",
        accepting("kernel-fits", calling(lambda call: {"kernel_size": 1})),
        kind="acceptance",
    ),
    fault(
        "lp_pool2d-refuses-one-sample",
        "an input without a batch axis is refused",
        "lp_pool2d",
        "rejections",
        where(lambda call: call["input"].ndim == 3, refusing),
        "bfloat16",
        kind="acceptance",
    ),
)

SPECIAL = (
    fault(
        "lp_pool1d-nan-as-zero",
        "a NaN counts as 0",
        "lp_pool1d",
        "special",
        where(lambda call: call["norm_type"] > 0, taking("input", without_nan)),
        kind="special",
    ),
    fault(
        "lp_pool2d-nan-leaks",
        "a NaN in one sample reaches the others",
        "lp_pool2d",
        "special",
        answering(leaking),
        "float64",
        kind="special",
    ),
    fault(
        "lp_pool3d-infinity-clamped",
        "infinities become the largest finite number",
        "lp_pool3d",
        "special",
        answering(saturated),
        kind="special",
    ),
)

FAULTS: tuple[Fault, ...] = (*VALUES, *SIZES, *REJECTIONS, *SPECIAL)
