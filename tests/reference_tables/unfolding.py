"""Calls of unfold, fold and conv_matrix."""

from __future__ import annotations

import numpy as np
from reference_tables.common import BOOLEANS, zeros

import reference

WINDOW_ROWS = [
    ("rank", "rank", "at least 1", {"rank": 0}),
    ("rank", "rank", "whole number", {"rank": "2"}),
    ("dtype", "input", "must hold", {"input": BOOLEANS}),
    ("kernel-size", "kernel_size", "at least 1", {"kernel_size": 0}),
    ("kernel-size", "kernel_size", "1 or 2 entries", {"kernel_size": (2, 2, 2)}),
    ("dilation", "dilation", "at least 1", {"dilation": (1, 0)}),
    ("stride", "stride", "at least 1", {"stride": 0}),
    ("padding", "padding", "at least 0", {"padding": -1}),
]
MATRIX_ROWS = [
    ("dtype", "weight", "must hold", {"weight": np.ones((2, 1, 2), bool)}),
    ("weight-rank", "weight", "must be (O, C / groups, *kernel)", {"weight": zeros(2, 2)}),
    ("input-size", "input_size", "at least 1", {"input_size": 0}),
    ("input-size", "input_size", "1 or 1 entries", {"input_size": (3, 3)}),
    ("kernel-size", "weight", "length 0", {"weight": zeros(2, 1, 0)}),
    ("stride", "stride", "at least 1", {"stride": 0}),
    ("padding", "padding", "at least 0", {"padding": -1}),
    ("dilation", "dilation", "at least 1", {"dilation": 0}),
    ("groups", "groups", "at least 1", {"groups": 0}),
    ("output-channels", "weight", "divisible by groups=3", {"groups": 3}),
    ("kernel-fits", "kernel_size", "spans 5 elements", {"weight": zeros(2, 1, 5)}),
    ("padding-mode", "padding_mode", "must be one of", {"padding_mode": "wrap"}),
    ("pad-size", "padding", "at most 4", {"padding": 5, "padding_mode": "circular"}),
]
CALLS = {
    "unfold": (
        {"input": zeros(2, 3, 4, 4), "kernel_size": 2},
        [
            *WINDOW_ROWS,
            ("input-rank", "input", "with 2 spatial axes", {"input": zeros(4, 4)}),
            ("spatial-size", "input", "length 0", {"input": zeros(2, 3, 0, 4)}),
            ("kernel-fits", "kernel_size", "spans 5 elements", {"kernel_size": 5}),
        ],
    ),
    "fold": (
        {"input": zeros(2, 12, 9), "output_size": 4, "kernel_size": 2},
        [
            *WINDOW_ROWS,
            ("input-rank", "input", "(C * taps, windows)", {"input": zeros(9)}),
            ("spatial-size", "output_size", "at least 1", {"output_size": (0, 4)}),
            ("kernel-fits", "kernel_size", "spans 5 elements", {"kernel_size": 5}),
            ("columns", "input", "a multiple of 4", {"input": zeros(2, 10, 9)}),
            ("windows", "input", "must have 9 columns", {"input": zeros(2, 12, 8)}),
        ],
    ),
    "conv_matrix": ({"weight": zeros(4, 1, 2), "input_size": 4, "groups": 2}, MATRIX_ROWS),
}
ARRAYS = {
    "unfold": (lambda x: reference.unfold(x, 2, padding=1), [(2, 2, 3, 4)], True, False),
    "unfold 1x1": (lambda x: reference.unfold(x, 1), [(2, 2, 3, 4)], True, False),
    "fold": (lambda x: reference.fold(x, (3, 4), 2), [(2, 8, 6)], True, False),
    "fold 1x1": (lambda x: reference.fold(x, (3, 4), 1), [(2, 3, 12)], True, False),
    "conv_matrix": (lambda w: reference.conv_matrix(w, 4, padding=1), [(2, 2, 3)], True, False),
}
EMPTY = [
    (reference.unfold, (zeros(0, 2, 4, 4), 2), (0, 8, 9)),
    (reference.fold, (zeros(0, 8, 9), 4, 2), (0, 2, 4, 4)),
]
