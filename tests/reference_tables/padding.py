"""Calls of padding."""

from __future__ import annotations

import numpy as np
from reference_tables.common import BOOLEANS, zeros

import reference

CALLS = {
    "pad": (
        {"input": zeros(2, 3), "pad": (1, 1)},
        [
            ("dtype", "input", "must hold", {"input": BOOLEANS}),
            ("dtype", "value", "must hold", {"value": "1"}),
            ("pad", "pad", "sequence", {"pad": 1}),
            ("pad", "pad", "sequence", {"pad": "12"}),
            ("pad", "pad", "sequence", {"pad": b"\1\1"}),
            ("pad", "pad", "whole number", {"pad": (1.0, 1)}),
            ("pad", "pad", "even number", {"pad": (1,)}),
            ("pad", "pad", "at most two for each of 2 axes", {"pad": (1,) * 6}),
            ("mode", "mode", "must be one of constant", {"mode": "edge"}),
            ("value", "value", "must be None in mode reflect", {"mode": "reflect", "value": 0}),
            ("value", "value", "must be one number", {"value": [1, 2]}),
            ("pad-size", "pad", "at most 2 on axis 1 of length 3", {"mode": "reflect", "pad": (3, 0)}),
            ("pad-size", "pad", "at most 3 on axis 1 of length 3", {"mode": "circular", "pad": (0, 4)}),
            ("pad-size", "pad", "at most 0", {"mode": "replicate", "pad": (0, 1), "input": zeros(0)}),
            ("output-size", "pad", "negative length", {"pad": (-2, -2)}),
        ],
    ),
}
ARRAYS = {
    "pad": (lambda x: reference.pad(x, (1, -1, 2, 0)), [(4, 3)], True, False),
    "pad reflect": (lambda x: reference.pad(x, (1, -1, 2, 0), mode="reflect"), [(4, 3)], True, False),
    "pad by nothing": (lambda x: reference.pad(x, ()), [(4, 3)], True, False),
    "vjp.pad": (lambda g, x: reference.vjp.pad(g, x, (1, -1, 2, 0)), [(6, 3), (4, 3)], True, False),
    "vjp.pad replicate": (lambda g, x: reference.vjp.pad(g, x, (1, 2), "replicate"), [(2, 6), (2, 3)], True, False),
    "vjp.pad by nothing": (lambda g, x: reference.vjp.pad(g, x, ()), [(2, 3), (2, 3)], True, False),
}
EMPTY = [
    (reference.pad, (np.zeros((0, 2)), (1, 1)), (0, 4)),
    (reference.pad, (np.zeros((2, 0)), (0, 0), "reflect"), (2, 0)),
    (reference.pad, (np.zeros((2, 0)), (1, 1)), (2, 2)),
    (reference.vjp.pad, (np.zeros((2, 2)), np.zeros((2, 0)), (1, 1)), (2, 0)),
    (reference.vjp.pad, (np.zeros(()), np.zeros(()), ()), ()),
]
