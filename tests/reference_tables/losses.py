"""Calls of softmax and cross-entropy."""

from __future__ import annotations

import numpy as np
from reference_tables.activation import REAL
from reference_tables.common import zeros

import reference

ALONG = [
    *REAL,
    ("dim", "dim", "at least -2", {"dim": -3}),
    ("dim", "dim", "less than 2", {"dim": 2}),
    ("dim", "dim", "less than 1", {"input": 1.0, "dim": 1}),
    ("dim", "dim", "whole number", {"dim": None}),
]
CALLS = {
    "softmax": ({"input": zeros(2, 3)}, ALONG),
    "log_softmax": ({"input": zeros(2, 3)}, ALONG),
    "cross_entropy": (
        {"input": zeros(2, 3), "target": [0, 2], "weight": zeros(3) + 1},
        [
            *REAL,
            ("dtype", "target", "must be real", {"target": zeros(2, 3) * 1j}),
            ("dtype", "target", "whole numbers for indices", {"target": zeros(2)}),
            ("dtype", "target", "floats for probabilities", {"target": np.zeros((2, 3), int)}),
            ("dtype", "weight", "must be real", {"weight": zeros(3) * 1j}),
            ("input-rank", "input", "(C,) or (N, C, *)", {"input": 1.0}),
            ("classes", "input", "at least one class", {"input": zeros(2, 0)}),
            ("target-shape", "target", "(2,) for indices or (2, 3)", {"target": [0]}),
            ("target-shape", "target", "() for indices or (3,)", {"input": zeros(3), "target": [0]}),
            ("weight", "weight", "must be (3,)", {"weight": zeros(2)}),
            ("target", "target", "must be 0 to 2, or ignore_index=-100", {"target": [0, 3]}),
            ("target", "target", "must be 0 to 2, or ignore_index=7", {"target": [-1, 7], "ignore_index": 7}),
            ("ignore-index", "ignore_index", "whole number", {"ignore_index": None}),
            ("ignore-index", "ignore_index", "must be negative", {"target": zeros(2, 3), "ignore_index": 0}),
            ("reduction", "reduction", "one of mean, sum, none", {"reduction": "batchmean"}),
            ("label-smoothing", "label_smoothing", "at least 0 and finite", {"label_smoothing": -0.1}),
            ("label-smoothing", "label_smoothing", "at most 1", {"label_smoothing": 1.5}),
        ],
    ),
}
TARGET = np.array([[0, 1, 3]])
ARRAYS = {
    "softmax": (reference.softmax, [(3, 4)], False, True),
    "log_softmax": (lambda x: reference.log_softmax(x, 0), [(3, 4)], False, True),
    "cross_entropy": (
        lambda x, w: reference.cross_entropy(x, TARGET, w, reduction="none"),
        [(1, 4, 3), (4,)],
        False,
        True,
    ),
    "vjp.softmax": (reference.vjp.softmax, [(3, 4), (3, 4)], False, True),
    "vjp.log_softmax": (reference.vjp.log_softmax, [(3, 4), (3, 4)], False, True),
    "vjp.cross_entropy": (
        lambda g, x: reference.vjp.cross_entropy(g, x, TARGET, reduction="none").input,
        [(1, 3), (1, 4, 3)],
        False,
        True,
    ),
}
EMPTY = [
    (reference.softmax, (np.zeros((0, 2)),), (0, 2)),
    (reference.softmax, (np.zeros((2, 0)),), (2, 0)),
    (reference.log_softmax, (np.zeros((2, 0)),), (2, 0)),
    (reference.vjp.softmax, (np.zeros((2, 0)),) * 2, (2, 0)),
    (reference.vjp.log_softmax, (np.zeros((2, 0)),) * 2, (2, 0)),
    (reference.cross_entropy, (np.zeros((0, 2)), np.zeros(0, int), None, -100, "none"), (0,)),
    (
        lambda *arguments: reference.vjp.cross_entropy(*arguments).input,
        (np.zeros(()), np.zeros((0, 2)), np.zeros(0, int), None, -100, "sum"),
        (0, 2),
    ),
]
