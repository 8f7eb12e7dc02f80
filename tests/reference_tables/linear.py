"""Calls of the fully connected layer."""

from __future__ import annotations

import numpy as np
from reference_tables.common import zeros

import reference

CALLS = {
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
GRADIENTS = [(2, 4), (2, 3), (4, 3)]
ARRAYS = {
    "linear": (reference.linear, [(2, 3), (4, 3), (4,)], True, False),
    "vjp.linear input": (lambda *arrays: reference.vjp.linear(*arrays).input, GRADIENTS, True, False),
    "vjp.linear weight": (lambda *arrays: reference.vjp.linear(*arrays).weight, GRADIENTS, True, False),
    "vjp.linear bias": (lambda *arrays: reference.vjp.linear(*arrays, np.zeros(4, int)).bias, GRADIENTS, True, False),
}
EMPTY = [
    (reference.linear, (np.zeros((0, 2)), np.zeros((3, 2))), (0, 3)),
    (
        lambda *arrays: reference.vjp.linear(*arrays).weight,
        (np.zeros((0, 3)), np.zeros((0, 2)), np.zeros((3, 2))),
        (3, 2),
    ),
]
