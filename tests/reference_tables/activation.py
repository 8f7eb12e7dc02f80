"""Calls of activations and of the fully connected layer."""

from __future__ import annotations

import numpy as np
from reference_tables.common import BOOLEANS, COMPLEX, zeros

import reference

CALLS = {
    "relu": (
        {"input": zeros(2)},
        [
            ("dtype", "input", "must be real", {"input": COMPLEX}),
            ("dtype", "input", "must hold", {"input": BOOLEANS}),
            ("nan", "nan", "must be one of propagate, zero", {"nan": "ignore"}),
        ],
    ),
    "linear": (
        {"input": zeros(2, 3), "weight": zeros(4, 3), "bias": zeros(4)},
        [
            ("dtype", "weight", "must hold", {"weight": np.ones((4, 3), bool)}),
            ("dtype", "bias", "must hold", {"bias": np.array([None] * 4)}),
            ("input-rank", "input", "at least one axis", {"input": 1.0}),
            ("weight-rank", "weight", "(out_features, in_features)", {"weight": zeros(1, 4, 3)}),
            ("weight-rank", "weight", "(out_features, in_features)", {"weight": 1.0}),
            ("input-features", "input", "must have 3 features", {"input": zeros(3, 2)}),
            ("bias", "bias", "must be (4,)", {"bias": zeros(3)}),
            ("bias", "bias", "must be ()", {"weight": zeros(3), "bias": zeros(1)}),
        ],
    ),
}
ARRAYS = {
    "relu": (reference.relu, [(3, 4)], False, False),
    "linear": (reference.linear, [(2, 3), (4, 3), (4,)], True, False),
}
EMPTY = [
    (reference.linear, (np.zeros((0, 2)), np.zeros((3, 2))), (0, 3)),
    (reference.relu, (np.zeros((0, 2)),), (0, 2)),
]
