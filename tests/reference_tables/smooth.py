"""Calls of the activations that have a derivative everywhere."""

from __future__ import annotations

import numpy as np
from reference_tables.activation import REAL
from reference_tables.common import zeros

import reference

CALLS = {
    **{name: ({"input": zeros(2)}, REAL) for name in ("sigmoid", "tanh", "logsigmoid", "softsign", "silu", "mish")},
    "softplus": (
        {"input": zeros(2)},
        [
            *REAL,
            ("beta", "beta", "finite", {"beta": np.inf}),
            ("beta", "beta", "must not be 0", {"beta": 0.0}),
            ("threshold", "threshold", "a real number", {"threshold": np.nan}),
            ("threshold", "threshold", "that float64 holds", {"threshold": -(10**400)}),
        ],
    ),
    "gelu": (
        {"input": zeros(2)},
        [*REAL, ("approximate", "approximate", "must be one of none, tanh", {"approximate": "erf"})],
    ),
}
ARRAYS = {
    **{name: (getattr(reference, name), [(3, 4)], False, True) for name in CALLS},
    "vjp.silu": (reference.vjp.silu, [(3, 4), (3, 4)], False, True),
    "vjp.gelu": (reference.vjp.gelu, [(3, 4), (3, 4)], False, True),
}
EMPTY = [
    *[(getattr(reference, name), (np.zeros((0, 2)),), (0, 2)) for name in CALLS],
    *[(getattr(reference.vjp, name), (np.zeros((0, 2)),) * 2, (0, 2)) for name in CALLS],
]
