"""Calls of pooling layers."""

from __future__ import annotations

import numpy as np
from reference_tables.common import zeros

import reference


def pool_rows(r):
    return [
        ("dtype", "input", "must hold", {"input": np.ones((1, 1, *(4,) * r), bool)}),
        ("input-rank", "input", "spatial axes", {"input": zeros(*(4,) * r)}),
        ("spatial-size", "input", "length 0", {"input": zeros(2, 1, *(4,) * (r - 1), 0)}),
        ("kernel-size", "kernel_size", "at least 1", {"kernel_size": 0}),
        ("kernel-size", "kernel_size", "entries", {"kernel_size": (1,) * (r + 1)}),
        ("stride", "stride", "at least 1", {"stride": 0}),
        ("padding", "padding", "no padding by name", {"padding": "same"}),
        ("padding", "padding", "at least 0", {"padding": -1}),
        ("pool-padding", "padding", "at most half of the extent 2", {"padding": 2}),
        ("kernel-fits", "kernel_size", "spans 5 elements", {"kernel_size": 5}),
        ("ceil-mode", "ceil_mode", "must be a bool or one of floor", {"ceil_mode": "up"}),
        ("ceil-mode", "ceil_mode", "must be a bool or one of floor", {"ceil_mode": 2}),
    ]


def max_pool_rows(r):
    return [
        *pool_rows(r),
        ("dtype", "input", "must be real", {"input": zeros(1, 1, *(4,) * r) + 1j}),
        ("dilation", "dilation", "at least 1", {"dilation": 0}),
        ("nan", "nan", "must be one of propagate, ignore", {"nan": "zero"}),
    ]


def avg_pool_rows(r):
    return [
        *pool_rows(r),
        ("divisor-override", "divisor_override", "must not be 0", {"divisor_override": 0}),
        ("divisor-override", "divisor_override", "whole number", {"divisor_override": 0.5}),
    ]


CALLS = {}
for rank in (1, 2, 3):
    pool = {"input": zeros(2, 1, *(4,) * rank), "kernel_size": 2}
    CALLS[f"max_pool{rank}d"] = (pool, max_pool_rows(rank))
    CALLS[f"avg_pool{rank}d"] = (pool, avg_pool_rows(rank))
ARRAYS = {
    "max_pool2d": (lambda x: reference.max_pool2d(x, 2, padding=1), [(2, 2, 5, 4)], False, False),
    "max_pool2d indices": (
        lambda x: reference.max_pool2d(x, 2, padding=1, return_indices=True).output,
        [(2, 2, 5, 4)],
        False,
        False,
    ),
    "avg_pool2d": (lambda x: reference.avg_pool2d(x, 2, padding=1), [(2, 2, 5, 4)], True, True),
}
EMPTY = [
    (reference.max_pool2d, (np.zeros((0, 2, 5, 5)), 2), (0, 2, 2, 2)),
    (reference.avg_pool2d, (np.zeros((0, 2, 5, 5)), 2), (0, 2, 2, 2)),
]
