"""Calls of what only moves elements."""

from __future__ import annotations

import numpy as np
from reference_tables.common import BOOLEANS, zeros

import reference

CALLS = {
    "flatten": (
        {"input": zeros(2, 3)},
        [
            ("dtype", "input", "must hold", {"input": BOOLEANS}),
            ("start-dim", "start_dim", "less than 2", {"start_dim": 2}),
            ("start-dim", "start_dim", "whole number", {"start_dim": 0.5}),
            ("end-dim", "end_dim", "at least -2", {"end_dim": -3}),
            ("dim-order", "start_dim", "not be behind end_dim=-2", {"start_dim": 1, "end_dim": -2}),
        ],
    ),
    "pixel_shuffle": (
        {"input": zeros(4, 2, 3), "upscale_factor": 2},
        [
            ("dtype", "input", "must hold", {"input": BOOLEANS}),
            ("input-rank", "input", "at least three axes", {"input": zeros(4, 2)}),
            ("upscale-factor", "upscale_factor", "at least 1", {"upscale_factor": 0}),
            ("channels", "input", "divisible by 9", {"upscale_factor": 3}),
        ],
    ),
    "pixel_unshuffle": (
        {"input": zeros(1, 2, 4), "downscale_factor": 2},
        [
            ("dtype", "input", "must hold", {"input": BOOLEANS}),
            ("input-rank", "input", "at least three axes", {"input": zeros(4, 2)}),
            ("downscale-factor", "downscale_factor", "whole number", {"downscale_factor": 2.0}),
            ("spatial-size", "input", "divisible by 2", {"input": zeros(1, 3, 4)}),
            ("spatial-size", "input", "divisible by 2", {"input": zeros(1, 4, 3)}),
        ],
    ),
}
ARRAYS = {
    "flatten": (reference.flatten, [(3, 4)], True, False),
    "flatten one axis": (lambda x: reference.flatten(x, 1), [(3, 4)], True, False),
    "pixel_shuffle": (lambda x: reference.pixel_shuffle(x, 2), [(2, 4, 3, 2)], True, False),
    "pixel_shuffle by 1": (lambda x: reference.pixel_shuffle(x, 1), [(2, 4, 3)], True, False),
    "pixel_unshuffle": (lambda x: reference.pixel_unshuffle(x, 2), [(2, 4, 2)], True, False),
    "pixel_unshuffle by 1": (lambda x: reference.pixel_unshuffle(x, 1), [(2, 4, 3)], True, False),
    "vjp.flatten": (reference.vjp.flatten, [(12,), (3, 4)], True, False),
    "vjp.pixel_shuffle": (lambda g, x: reference.vjp.pixel_shuffle(g, x, 2), [(1, 2, 4), (4, 1, 2)], True, False),
    "vjp.pixel_unshuffle": (lambda g, x: reference.vjp.pixel_unshuffle(g, x, 2), [(4, 1, 2), (1, 2, 4)], True, False),
}
EMPTY = [
    (reference.flatten, (np.zeros((0, 2, 3)), 1), (0, 6)),
    (reference.flatten, (np.zeros(()),), (1,)),
    (reference.pixel_shuffle, (np.zeros((0, 4, 2, 3)), 2), (0, 1, 4, 6)),
    (reference.pixel_unshuffle, (np.zeros((2, 0, 2, 4)), 2), (2, 0, 1, 2)),
]
