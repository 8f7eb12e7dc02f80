"""Calls of cross-correlation and convolution of one channel."""

from __future__ import annotations

import numpy as np
from reference_tables.common import zeros

import reference

ROWS = [
    ("dtype", "input", "must hold", {"input": np.ones((3, 3), bool)}),
    ("rank", "kernel", "as many axes", {"kernel": zeros(2)}),
    ("rank", "kernel", "at least one", {"input": 1.0, "kernel": 1.0}),
    ("not-empty", "input", "length 0", {"input": zeros(3, 0)}),
    ("not-empty", "kernel", "length 0", {"kernel": zeros(0, 3)}),
    ("mode", "mode", "must be one of full, same, valid", {"mode": "circular"}),
    ("mode", "mode", "must be one of full, same, valid", {"mode": np.array(["full", "same"])}),
    ("dtype", "kernel", "rows of one length", {"kernel": [[1], [1, 2]]}),
    ("kernel-fits", "kernel", "no larger or no smaller", {"kernel": zeros(1, 4), "mode": "valid"}),
]
CALLS = {
    "cross_correlate": ({"input": zeros(3, 3), "kernel": zeros(2, 2)}, ROWS),
    "convolve": ({"input": zeros(3, 3), "kernel": zeros(2, 2)}, ROWS),
}
ARRAYS = {
    "cross_correlate": (lambda x, k: reference.cross_correlate(x, k), [(4, 5), (2, 3)], True, False),
    "convolve": (lambda x, k: reference.convolve(x, k, "valid"), [(4, 5), (2, 3)], True, False),
}
EMPTY: list = []
