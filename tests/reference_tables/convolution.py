"""Calls of convolution layers and their transposes."""

from __future__ import annotations

import numpy as np
from reference_tables.common import zeros

import reference


def layer_rows(r):
    """Rows that convolution layers share with their transposes."""
    return [
        ("dtype", "input", "must hold", {"input": np.ones((1, 4, *(4,) * r), bool)}),
        ("dtype", "weight", "must hold", {"weight": np.full((6, 2, *(2,) * r), "text")}),
        ("dtype", "bias", "must hold", {"bias": np.zeros(6, np.uint64)}),
        ("input-rank", "input", "spatial axes", {"input": zeros(*(4,) * r)}),
        ("input-rank", "input", "spatial axes", {"input": zeros(*(4,) * (r + 3))}),
        ("weight-rank", "weight", f"must have {r + 2} axes", {"weight": zeros(6, *(2,) * r)}),
        ("kernel-size", "weight", "length 0", {"weight": zeros(6, 2, *(2,) * (r - 1), 0)}),
        ("spatial-size", "input", "length 0", {"input": zeros(2, 4, *(4,) * (r - 1), 0)}),
        ("groups", "groups", "at least 1", {"groups": 0}),
        ("groups", "groups", "whole number", {"groups": 1.5}),
        ("stride", "stride", "at least 1", {"stride": 0}),
        ("stride", "stride", "at least 1", {"stride": (0,) * r}),
        ("stride", "stride", f"1 or {r} entries", {"stride": (1,) * (r + 1)}),
        ("stride", "stride", "whole number", {"stride": "2"}),
        ("stride", "stride", "whole number", {"stride": None}),
        ("dilation", "dilation", "at least 1", {"dilation": np.int64(0)}),
        ("dilation", "dilation", "whole number", {"dilation": (1.0,)}),
        ("padding", "padding", "at least 0", {"padding": -1}),
        ("padding", "padding", f"must have {r} pairs", {"padding": ((0, 1),) * (r + 1)}),
        ("padding", "padding", f"must have {r} pairs", {"padding": ((0, 1, 2),) * r}),
        ("padding", "padding", "at least 0", {"padding": ((0, -1),) * r}),
        ("input-channels", "input", "channels", {"input": zeros(2, 5, *(4,) * r)}),
        ("bias", "bias", "must be (6,)", {"bias": zeros(5)}),
        ("bias", "bias", "must be (6,)", {"bias": zeros(6, 1)}),
    ]


def conv_rows(r):
    return [
        *layer_rows(r),
        ("padding", "padding", 'must be "valid"', {"padding": "full"}),
        ("padding", "padding", "needs stride 1", {"padding": "same", "stride": 2}),
        ("padding-mode", "padding_mode", "must be one of zeros, reflect", {"padding_mode": "constant"}),
        ("padding-mode", "padding_mode", "must be one of zeros, reflect", {"padding_mode": None}),
        ("pad-size", "padding", "at most 3 on an axis of length 4", {"padding": 4, "padding_mode": "reflect"}),
        ("pad-size", "padding", "at most 4", {"padding": ((0, 5),) * r, "padding_mode": "circular"}),
        (
            "output-channels",
            "weight",
            "divisible by groups=2",
            {"weight": zeros(5, 2, *(2,) * r), "bias": None},
        ),
        ("output-channels", "weight", "at least 1", {"weight": zeros(0, 2, *(2,) * r), "bias": None}),
        ("kernel-fits", "kernel_size", "spans 5 elements", {"weight": zeros(6, 2, *(5,) * r)}),
    ]


def conv_transpose_rows(r):
    return [
        *layer_rows(r),
        ("padding", "padding", "no padding by name", {"padding": "same"}),
        ("input-channels", "input", "divisible by groups=3", {"groups": 3}),
        ("output-channels", "weight", "at least 1", {"weight": zeros(4, 0, *(2,) * r), "bias": None}),
        ("output-padding", "output_padding", "less than stride 1", {"output_padding": 1}),
        ("output-padding", "output_padding", "at least 0", {"output_padding": (-1,)}),
        ("output-size", "padding", "must be at least 1", {"padding": 3}),
        ("output-size", "output_size", "must be 5 or more, by less than stride 1", {"output_size": 4}),
        ("output-size", "output_size", "not 7", {"output_size": 7, "stride": 1, "dilation": 1}),
        ("output-size", "output_size", f"1 or {r} entries", {"output_size": (5,) * (r + 1)}),
        ("output-size", "output_size", "at least 1", {"output_size": 0}),
        (
            "output-padding",
            "output_padding",
            "must be 0 where output_size is given",
            {"output_padding": 1, "output_size": 9, "stride": 2},
        ),
    ]


CALLS = {}
for rank in (1, 2, 3):
    ones = (4,) * rank
    conv = {"input": zeros(2, 4, *ones), "weight": zeros(6, 2, *(2,) * rank), "bias": zeros(6), "groups": 2}
    CALLS[f"conv{rank}d"] = (conv, conv_rows(rank))
    CALLS[f"conv_transpose{rank}d"] = ({**conv, "weight": zeros(4, 3, *(2,) * rank)}, conv_transpose_rows(rank))
ARRAYS = {
    "conv2d circular": (
        lambda x, w: reference.conv2d(x, w, padding=1, padding_mode="circular"),
        [(2, 2, 5, 4), (3, 2, 3, 2)],
        True,
        False,
    ),
    "conv2d 1x1": (lambda x, w: reference.conv2d(x, w), [(2, 2, 5, 4), (3, 2, 1, 1)], True, False),
    "conv1d": (lambda x, w, b: reference.conv1d(x, w, b), [(2, 2, 5), (4, 2, 3), (4,)], True, False),
    "conv2d": (
        lambda x, w, b: reference.conv2d(x, w, b, stride=2, padding=1, groups=2),
        [(2, 2, 5, 4), (4, 1, 3, 2), (4,)],
        True,
        False,
    ),
    "conv_transpose2d": (
        lambda x, w, b: reference.conv_transpose2d(x, w, b, stride=2, padding=1, groups=2),
        [(2, 2, 3, 4), (2, 2, 3, 2), (4,)],
        True,
        False,
    ),
}
EMPTY = [
    (reference.conv1d, (np.zeros((0, 2, 5)), np.zeros((3, 2, 2))), (0, 3, 4)),
    (reference.conv2d, (np.zeros((0, 2, 5, 5)), np.zeros((3, 2, 2, 2)), np.zeros(3), 2, 1), (0, 3, 3, 3)),
    (reference.conv_transpose2d, (np.zeros((0, 2, 5, 5)), np.zeros((2, 3, 2, 2))), (0, 3, 6, 6)),
]
