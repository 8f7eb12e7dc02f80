"""Calls of normalization layers."""

from __future__ import annotations

import numpy as np
from reference_tables.common import COMPLEX, zeros

import reference

BATCH_NORM_ROWS = [
    ("dtype", "input", "must be real", {"input": COMPLEX}),
    ("dtype", "weight", "must be real", {"weight": np.ones(3) * 1j}),
    ("input-rank", "input", "(N, C)", {"input": zeros(3)}),
    ("weight", "weight", "must be (3,)", {"weight": zeros(2)}),
    ("bias", "bias", "must be (3,)", {"bias": zeros(1, 3)}),
    ("running-mean", "running_mean", "must be (3,)", {"running_mean": zeros(2), "running_var": zeros(3)}),
    ("running-var", "running_var", "must be (3,)", {"running_mean": zeros(3), "running_var": 1.0}),
    ("running-statistics", "running_var", "exactly where", {"running_mean": zeros(3)}),
    ("running-statistics", "running_var", "exactly where", {"running_var": zeros(3)}),
    ("running-statistics", "running_mean", "where training is False", {"training": False}),
    ("values-per-channel", "input", "more than 1 value", {"input": zeros(1, 3)}),
    ("values-per-channel", "input", "not 0", {"input": zeros(0, 3)}),
    ("eps", "eps", "at least 0 and finite", {"eps": -1e-5}),
    ("eps", "eps", "at least 0 and finite", {"eps": np.nan}),
    ("eps", "eps", "at least 0 and finite", {"eps": None}),
    ("momentum", "momentum", "finite", {"momentum": np.inf}),
    ("momentum", "momentum", "finite", {"momentum": None}),
    ("running-variance", "running_variance", "unbiased, biased", {"running_variance": "sample"}),
    ("momentum-weights", "momentum_weights", "new, old", {"momentum_weights": "both"}),
]
CALLS = {"batch_norm": ({"input": zeros(2, 3), "training": True}, BATCH_NORM_ROWS)}
ARRAYS = {
    "batch_norm": (
        lambda x, w, b: reference.batch_norm(x, None, None, w, b, training=True).output,
        [(2, 3, 4), (3,), (3,)],
        False,
        True,
    ),
    "batch_norm running": (
        lambda x, mean, var: reference.batch_norm(x, mean, var).output,
        [(2, 3, 4), (3,), (3,)],
        False,
        True,
    ),
}
EMPTY: list = []
