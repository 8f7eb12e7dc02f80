"""Drawn calls of the fully connected layer: whole numbers, so the bits must agree."""

from __future__ import annotations

import numpy as np
from agreements.call import Call
from torch.nn import functional as F


def draw_linear(rng: np.random.Generator) -> Call:
    lead = rng.integers(0, 4, rng.integers(0, 4)).tolist()
    features = int(rng.integers(0, 5))
    out = [[], [int(rng.integers(0, 5))]][int(rng.random() < 0.8)]
    shapes = {"input": (*lead, features), "weight": (*out, features)}
    if out and rng.random() < 0.5:  # torch has no bias for a weight of one axis
        shapes["bias"] = tuple(out)
    dtype = np.complex128 if rng.random() < 0.2 else np.float64
    arrays = {name: rng.integers(-9, 10, shape).astype(dtype) for name, shape in shapes.items()}
    if dtype == np.complex128:
        arrays = {name: array + 1j * rng.integers(-9, 10, array.shape) for name, array in arrays.items()}
    return Call("linear", {name: np.asarray(array) for name, array in arrays.items()}, {}, F.linear)


DRAWS = {"linear": draw_linear}
