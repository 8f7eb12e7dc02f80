"""Calls of pooling layers."""

from __future__ import annotations

import numpy as np
from reference_tables.common import zeros

import reference


def window_rows(r):
    return [
        ("dtype", "input", "must hold", {"input": np.ones((1, 1, *(4,) * r), bool)}),
        ("input-rank", "input", "spatial axes", {"input": zeros(*(4,) * r)}),
        ("spatial-size", "input", "length 0", {"input": zeros(2, 1, *(4,) * (r - 1), 0)}),
        ("kernel-size", "kernel_size", "at least 1", {"kernel_size": 0}),
        ("kernel-size", "kernel_size", "entries", {"kernel_size": (1,) * (r + 1)}),
        ("kernel-size", "kernel_size", "whole number", {"kernel_size": b"\2" * r}),
        ("stride", "stride", "at least 1", {"stride": 0}),
        ("kernel-fits", "kernel_size", "spans 5 elements", {"kernel_size": 5}),
        ("ceil-mode", "ceil_mode", "must be a bool or one of floor", {"ceil_mode": "up"}),
        ("ceil-mode", "ceil_mode", "must be a bool or one of floor", {"ceil_mode": 2}),
    ]


def pool_rows(r):
    return [
        *window_rows(r),
        ("padding", "padding", "no padding by name", {"padding": "same"}),
        ("padding", "padding", "at least 0", {"padding": -1}),
        ("pool-padding", "padding", "at most half of the extent 2", {"padding": 2}),
    ]


def real_rows(r):
    return [("dtype", "input", "must be real", {"input": zeros(1, 1, *(4,) * r) + 1j})]


NAN_ROWS = [
    ("nan", "nan", "must be one of propagate, ignore", {"nan": "zero"}),
    ("nan", "nan", "must be one of propagate, ignore", {"nan": None}),
]


INDEX_ROWS = [
    ("return-indices", "return_indices", "True or False", {"return_indices": "no"}),
    ("return-indices", "return_indices", "True or False", {"return_indices": 1}),
]


def max_pool_rows(r):
    return [
        *pool_rows(r),
        *real_rows(r),
        *NAN_ROWS,
        *INDEX_ROWS,
        ("dilation", "dilation", "at least 1", {"dilation": 0}),
        ("kernel-fits", "kernel_size", "more than 2**62", {"kernel_size": 3, "dilation": 2**62, "padding": 2**62}),
    ]


def avg_pool_rows(r):
    return [
        *pool_rows(r),
        ("count-include-pad", "count_include_pad", "True or False", {"count_include_pad": "no"}),
        ("count-include-pad", "count_include_pad", "True or False", {"count_include_pad": 1, "divisor_override": 2}),
        ("divisor-override", "divisor_override", "must not be 0", {"divisor_override": 0}),
        ("divisor-override", "divisor_override", "nor larger", {"divisor_override": 2**53 + 1}),
        ("divisor-override", "divisor_override", "at least -9007199254740992", {"divisor_override": -(2**53) - 1}),
        ("divisor-override", "divisor_override", "whole number", {"divisor_override": 0.5}),
    ]


def lp_pool_rows(r):
    return [
        *window_rows(r),
        *real_rows(r),
        ("norm-type", "norm_type", "not be 0", {"norm_type": 0}),
        ("norm-type", "norm_type", "a real number", {"norm_type": np.nan}),
        ("norm-type", "norm_type", "a real number", {"norm_type": "2"}),
        ("norm-type", "norm_type", "that float64 holds", {"norm_type": 10**400}),
        ("sign-rule", "sign_rule", "must be one of power, absolute", {"sign_rule": "odd"}),
        ("overhang", "overhang", "must be one of rescale, sum", {"overhang": True}),
    ]


def adaptive_avg_pool_rows(r):
    return [
        *window_rows(r)[:3],
        ("output-size", "output_size", "at least 0", {"output_size": -1}),
        ("output-size", "output_size", "whole number", {"output_size": (1.5,) * r}),
        ("output-size", "output_size", "entries", {"output_size": (None,) * (r + 1)}),
        ("output-size", "output_size", "entries", {"output_size": "2" * r}),
        ("output-size", "output_size", "entries", {"output_size": b"\2" * r}),
        ("output-size", "output_size", "entries", {"output_size": ()}),
        ("output-size", "output_size", "at most 2**62", {"output_size": 2**70}),
    ]


def adaptive_max_pool_rows(r):
    return [*adaptive_avg_pool_rows(r), *real_rows(r), *NAN_ROWS, *INDEX_ROWS]


def fractional_max_pool_rows(r):
    ratio = {"output_size": None}
    return [
        *window_rows(r)[:6],
        *real_rows(r),
        *INDEX_ROWS,
        ("output-size", "output_size", "at least 1", {"output_size": 0}),
        ("output-size", "output_size", "entries", {"output_size": (1,) * (r + 1)}),
        ("output-size", "output_size", "exactly if", {"output_size": None}),
        ("output-size", "output_size", "exactly if", {"output_ratio": 0.5}),
        ("output-ratio", "output_ratio", "between 0 and 1", {**ratio, "output_ratio": 1}),
        ("output-ratio", "output_ratio", "between 0 and 1", {**ratio, "output_ratio": (0.5,) * (r - 1) + (np.nan,)}),
        ("output-ratio", "output_ratio", "between 0 and 1", {**ratio, "output_ratio": "1" * r}),
        ("output-ratio", "output_ratio", "numbers", {**ratio, "output_ratio": (0.5,) * (r + 1)}),
        ("output-ratio", "output_ratio", "leave a window", {**ratio, "output_ratio": 0.2}),
        ("kernel-fits", "kernel_size", "room for 2 windows", {"kernel_size": 3, "output_size": 3}),
        ("random-samples", "random_samples", "must be given", {"random_samples": None}),
        ("random-samples", "random_samples", f"of shape (2, 1, {r})", {"random_samples": zeros(2, 1, r + 1)}),
        ("random-samples", "random_samples", "real", {"random_samples": zeros(2, 1, r) * 1j}),
        ("random-samples", "random_samples", "less than 1", {"random_samples": zeros(2, 1, r) + 1}),
        ("random-samples", "random_samples", "less than 1", {"random_samples": zeros(2, 1, r) + np.nan}),
    ]


def max_unpool_rows(r):
    indices = np.zeros((2, 1, *(4,) * r), int)
    return [
        *window_rows(r)[:7],
        ("padding", "padding", "no padding by name", {"padding": "same"}),
        ("padding", "padding", "at least 0", {"padding": -1}),
        ("output-size", "padding", "at least 1", {"padding": 4}),
        ("output-size", "output_size", "less than a stride", {"output_size": 10}),
        ("output-size", "output_size", "entries", {"output_size": (8,) * (r + 1)}),
        ("dtype", "indices", "must hold", {"indices": indices > 0}),
        ("indices", "indices", "must be integers", {"indices": indices * 1.0}),
        ("indices", "indices", "of the shape of input", {"indices": indices[:1]}),
        ("indices", "indices", "must lie inside", {"indices": indices - 1}),
        ("indices", "indices", "must lie inside", {"indices": indices + 8**r}),
    ]


CALLS = {}
for rank in (1, 2, 3):
    image = {"input": zeros(2, 1, *(4,) * rank)}
    pool = image | {"kernel_size": 2}
    CALLS[f"max_pool{rank}d"] = (pool, max_pool_rows(rank))
    CALLS[f"avg_pool{rank}d"] = (pool, avg_pool_rows(rank))
    CALLS[f"lp_pool{rank}d"] = (pool | {"norm_type": 2}, lp_pool_rows(rank))
    CALLS[f"adaptive_avg_pool{rank}d"] = (image | {"output_size": 3}, adaptive_avg_pool_rows(rank))
    CALLS[f"adaptive_max_pool{rank}d"] = (image | {"output_size": 3}, adaptive_max_pool_rows(rank))
    CALLS[f"max_unpool{rank}d"] = (pool | {"indices": np.zeros((2, 1, *(4,) * rank), int)}, max_unpool_rows(rank))
    if rank > 1:
        call = pool | {"output_size": 2, "random_samples": zeros(2, 1, rank)}
        CALLS[f"fractional_max_pool{rank}d"] = (call, fractional_max_pool_rows(rank))

vjp, IMAGE, PLACES = reference.vjp, (2, 2, 5, 4), np.arange(80).reshape(2, 2, 5, 4) % 20
SAMPLES = np.arange(8).reshape(2, 2, 2) / 8
ARRAYS = {
    "max_pool2d": (lambda x: reference.max_pool2d(x, 2, padding=1), [IMAGE], False, False),
    "max_pool2d indices": (
        lambda x: reference.max_pool2d(x, 2, padding=1, return_indices=True).output,
        [IMAGE],
        False,
        False,
    ),
    "avg_pool2d": (lambda x: reference.avg_pool2d(x, 2, padding=1), [IMAGE], True, True),
    "lp_pool2d": (lambda x: reference.lp_pool2d(x, 3, 2), [IMAGE], False, True),
    "adaptive_avg_pool2d": (lambda x: reference.adaptive_avg_pool2d(x, 3), [IMAGE], True, True),
    "adaptive_avg_pool2d global": (lambda x: reference.adaptive_avg_pool2d(x, 1), [IMAGE], True, True),
    "adaptive_avg_pool2d same": (lambda x: reference.adaptive_avg_pool2d(x, None), [IMAGE], True, True),
    "adaptive_max_pool2d": (lambda x: reference.adaptive_max_pool2d(x, (3, None)), [IMAGE], False, False),
    "adaptive_max_pool2d same": (lambda x: reference.adaptive_max_pool2d(x, None), [IMAGE], False, False),
    "fractional_max_pool2d": (
        lambda x: reference.fractional_max_pool2d(x, 2, 2, random_samples=SAMPLES),
        [IMAGE],
        False,
        False,
    ),
    "max_unpool2d": (lambda x: reference.max_unpool2d(x, PLACES, 1), [IMAGE], True, False),
    "gradient of max_pool2d": (lambda g, x: vjp.max_pool2d(g, x, 2, 1), [(2, 2, 4, 3), IMAGE], False, True),
    "gradient of max_pool2d shared": (
        lambda g, x: vjp.max_pool2d(g, x, 2, 1, ties="share"),
        [(2, 2, 4, 3), IMAGE],
        False,
        True,
    ),
    "gradient of avg_pool2d": (lambda g: vjp.avg_pool2d(g, np.ones(IMAGE), 2, 1), [(2, 2, 4, 3)], True, True),
    "gradient of lp_pool2d": (lambda g, x: vjp.lp_pool2d(g, x, 3, 2, 1), [(2, 2, 4, 3), IMAGE], False, True),
    "gradient of adaptive_avg_pool2d": (
        lambda g: vjp.adaptive_avg_pool2d(g, np.ones(IMAGE), (5, 3)),
        [(2, 2, 5, 3)],
        True,
        True,
    ),
    "gradient of adaptive_avg_pool2d same": (
        lambda g: vjp.adaptive_avg_pool2d(g, np.ones(IMAGE), None),
        [IMAGE],
        True,
        True,
    ),
    "gradient of adaptive_max_pool2d": (
        lambda g, x: vjp.adaptive_max_pool2d(g, x, 3),
        [(2, 2, 3, 3), IMAGE],
        False,
        True,
    ),
    "gradient of max_unpool2d": (
        lambda g: vjp.max_unpool2d(g, np.ones(IMAGE), PLACES, 1),
        [IMAGE],
        True,
        False,
    ),
}
NONE = np.zeros((0, 2, 5, 5))
EMPTY = [
    (reference.max_pool2d, (NONE, 2), (0, 2, 2, 2)),
    (reference.avg_pool2d, (NONE, 2), (0, 2, 2, 2)),
    (reference.lp_pool2d, (NONE, 2, 2), (0, 2, 2, 2)),
    (reference.adaptive_avg_pool2d, (NONE, 1), (0, 2, 1, 1)),
    (reference.adaptive_avg_pool2d, (NONE + 1j, (3, 0)), (0, 2, 3, 0)),
    (reference.adaptive_max_pool2d, (NONE, 3), (0, 2, 3, 3)),
    (reference.fractional_max_pool2d, (NONE, 2, 3, None, False, np.zeros((0, 2, 2))), (0, 2, 3, 3)),
    (
        lambda x: reference.fractional_max_pool2d(x, 2, 3, None, True, np.zeros((0, 2, 2))).indices,
        (NONE,),
        (0, 2, 3, 3),
    ),
    (lambda x: reference.max_pool2d(x, 2**40, 1, 2**39, return_indices=True).indices, (NONE,), (0, 2, 6, 6)),
    (reference.max_unpool2d, (NONE, NONE.astype(int), 2), (0, 2, 10, 10)),
    (vjp.max_pool2d, (NONE[..., :2, :2], NONE, 2), NONE.shape),
    (vjp.max_pool2d, (NONE[..., :2, :2], NONE, 2, None, 0, 1, False, "propagate", "share"), NONE.shape),
    (vjp.avg_pool2d, (NONE[..., :2, :2], NONE, 2), NONE.shape),
    (vjp.lp_pool2d, (NONE[..., :2, :2], NONE, 2, 2), NONE.shape),
    (vjp.adaptive_avg_pool2d, (NONE[..., :3, :3], NONE, 3), NONE.shape),
    (vjp.adaptive_max_pool2d, (NONE[..., :0, :3], NONE, (0, 3)), NONE.shape),
    (vjp.fractional_max_pool2d, (NONE[..., :2, :2], NONE, 2, 2, None, np.zeros((0, 2, 2))), NONE.shape),
    (
        vjp.fractional_max_pool2d,
        (np.zeros((2, 0, 2, 2)), np.zeros((2, 0, 5, 5)), 2, 2, None, np.zeros((2, 0, 2))),
        (2, 0, 5, 5),
    ),
    (
        vjp.fractional_max_pool3d,
        (np.zeros((0, 1, 2, 2, 2)), np.zeros((0, 1, 4, 4, 4)), 2, 2, None, np.zeros((0, 1, 3))),
        (0, 1, 4, 4, 4),
    ),
    (vjp.max_unpool2d, (np.zeros((0, 2, 10, 10)), NONE, NONE.astype(int), 2), NONE.shape),
]
