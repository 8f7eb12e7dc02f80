"""Calls of the activations with a kink."""

from __future__ import annotations

import numpy as np
from reference_tables.common import BOOLEANS, COMPLEX, zeros

import reference

REAL = [
    ("dtype", "input", "must be real", {"input": COMPLEX}),
    ("dtype", "input", "must hold", {"input": BOOLEANS}),
]
CALLS = {
    "relu": (
        {"input": zeros(2)},
        [
            *REAL,
            ("nan", "nan", "must be one of propagate, zero", {"nan": "ignore"}),
            ("nan", "nan", "must be one of propagate, zero", {"nan": None}),
        ],
    ),
    **{name: ({"input": zeros(2)}, REAL) for name in ("relu6", "hardsigmoid", "hardswish", "selu")},
    "hardtanh": (
        {"input": zeros(2)},
        [
            *REAL,
            ("min-val", "min_val", "a real number", {"min_val": np.nan}),
            ("min-val", "min_val", "a real number", {"min_val": None}),
            ("max-val", "max_val", "a real number", {"max_val": "1"}),
            ("max-val", "max_val", "that float64 holds", {"max_val": 10**400}),
            ("limits", "min_val", "at most max_val=-2", {"max_val": -2}),
        ],
    ),
    "leaky_relu": (
        {"input": zeros(2)},
        [
            *REAL,
            ("negative-slope", "negative_slope", "finite", {"negative_slope": np.inf}),
            ("negative-slope", "negative_slope", "finite", {"negative_slope": 1j}),
        ],
    ),
    "prelu": (
        {"input": zeros(2, 3, 4), "weight": zeros(3)},
        [
            *REAL,
            ("dtype", "weight", "must be real", {"weight": zeros(3) * 1j}),
            ("weight", "weight", "one for each of 3 channels", {"weight": zeros(4)}),
            ("weight", "weight", "one for each of 3 channels", {"weight": zeros(3, 1)}),
            ("weight", "weight", "one for each of 1 channels", {"input": zeros(3)}),
        ],
    ),
    "elu": ({"input": zeros(2)}, [*REAL, ("alpha", "alpha", "finite", {"alpha": np.nan})]),
    "celu": (
        {"input": zeros(2)},
        [
            *REAL,
            ("alpha", "alpha", "finite", {"alpha": np.inf}),
            ("alpha", "alpha", "must not be 0", {"alpha": 0}),
        ],
    ),
}
ARRAYS = {
    "relu": (reference.relu, [(3, 4)], False, False),
    "relu6": (reference.relu6, [(3, 4)], False, False),
    "prelu": (reference.prelu, [(3, 4), (4,)], False, False),
    **{
        name: (getattr(reference, name), [(3, 4)], False, True)
        for name in ("hardtanh", "hardsigmoid", "hardswish", "leaky_relu", "elu", "celu", "selu")
    },
    "vjp.relu": (reference.vjp.relu, [(3, 4), (3, 4)], False, True),
    "vjp.hardswish": (reference.vjp.hardswish, [(3, 4), (3, 4)], False, True),
    "vjp.prelu": (lambda g, x, w: reference.vjp.prelu(g, x, w).weight, [(3, 4), (3, 4), (4,)], False, True),
}
EMPTY = [
    *[(getattr(reference, name), (np.zeros((0, 2)),), (0, 2)) for name in CALLS if name != "prelu"],
    *[(getattr(reference.vjp, name), (np.zeros((0, 2)),) * 2, (0, 2)) for name in CALLS if name != "prelu"],
    (reference.prelu, (np.zeros((2, 0)), np.zeros(0)), (2, 0)),
    (lambda *arrays: reference.vjp.prelu(*arrays).weight, (*[np.zeros((0, 2))] * 2, np.zeros(2)), (2,)),
]
