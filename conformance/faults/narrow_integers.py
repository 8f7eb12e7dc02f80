"""Whole numbers of which 32 bits are read, so that one of more may look legal."""

from __future__ import annotations

from typing import Any

from conformance.formats import DTYPES
from conformance.honest import fault
from conformance.mistakes import Call, calling
from conformance.model import Fault

HALF = 2**31


def _narrow(value: Any) -> Any:
    """Return what 32 bits hold of a number, or of each in a tuple."""
    if isinstance(value, tuple):
        return tuple(map(_narrow, value))
    return (value + HALF) % (2 * HALF) - HALF if type(value) is int else value


def _in_32_bits(call: Call) -> Call:
    return {name: _narrow(value) for name, value in call.items()}


OPERATORS = (
    *("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "conv_matrix"),
    *("max_pool1d", "max_pool2d", "max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d"),
    *("lp_pool1d", "lp_pool2d", "lp_pool3d", "fractional_max_pool2d", "fractional_max_pool3d"),
    *("adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d"),
    *("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d"),
    *("max_unpool1d", "max_unpool2d", "max_unpool3d", "unfold", "fold"),
    *("pad", "flatten", "pixel_shuffle", "pixel_unshuffle"),
    *("group_norm", "layer_norm", "rms_norm", "local_response_norm", "softmax", "log_softmax"),
)
FAULTS: tuple[Fault, ...] = tuple(
    fault(
        f"{operator}-narrow-integers",
        "of whole numbers 32 bits are read",
        operator,
        "rejections",
        calling(_in_32_bits),
        DTYPES[place % len(DTYPES)],
        kind="acceptance",
    )
    for place, operator in enumerate(OPERATORS)
)
