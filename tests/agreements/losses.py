"""Drawn calls of softmax and cross-entropy."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from agreements.call import Call
from torch.nn import functional as F

UNIT_ROUNDOFF = 2.0**-53
LARGEST_COTANGENT = 9
LARGEST_LOGARITHM = 40  # scores lie within -12 .. 12
# Of either side, of each logarithm and its absolute terms: differences, at most 6 exponentials, sums, products.
ROUNDINGS = 64


def scores(rng: np.random.Generator, shape: Any) -> np.ndarray:
    if rng.random() < 0.3:
        return np.asarray(rng.integers(-3, 4, shape).astype(np.float64))
    return np.asarray(np.clip(rng.normal(0, rng.choice([0.1, 1, 6]), shape), -12, 12))


def draw_softmax(name: str) -> Any:
    def draw(rng: np.random.Generator) -> Call:
        shape = rng.integers(0, 6, rng.integers(0, 4)).tolist()
        rank = max(len(shape), 1)
        dim = int(rng.integers(-rank, rank))
        n = shape[dim] if shape else 1
        size = {
            "output": LARGEST_LOGARITHM if name == "log_softmax" else 1,
            "gradient of input": LARGEST_COTANGENT * (n + 1),
        }
        return Call(
            name,
            {"input": scores(rng, shape)},
            {"dim": dim} if dim != -1 or rng.random() < 0.5 else {},
            lambda input: getattr(torch, name)(input, dim),
            lambda part, _: ROUNDINGS * UNIT_ROUNDOFF * size[part],
        )

    return draw


def draw_cross_entropy(rng: np.random.Generator) -> Call:
    classes = int(rng.integers(1, 6))
    lead = [] if rng.random() < 0.2 else [int(rng.integers(0, 4))]
    rest = rng.integers(0, 3, rng.integers(0, 3)).tolist() if lead else []
    arrays = {"input": scores(rng, (*lead, classes, *rest))}
    positions = (*lead, *rest)
    attributes: dict[str, Any] = {}
    if rng.random() < 0.7:
        attributes["reduction"] = str(rng.choice(["mean", "sum", "none"]))
    if rng.random() < 0.5:
        attributes["label_smoothing"] = float(rng.choice([0.0, 0.1, 0.75, 1.0]))
    by_index = rng.random() < 0.6
    if by_index:
        ignored = -100
        if rng.random() < 0.5:
            ignored = attributes["ignore_index"] = int(rng.integers(-2, classes + 2))
        targets = rng.integers(0, classes, positions)
        arrays["target"] = np.asarray(np.where(rng.random(positions) < 0.3, ignored, targets))
    else:
        arrays["target"] = np.asarray(rng.integers(0, 5, (*lead, classes, *rest)) / 4)
    if rng.random() < 0.5:
        arrays["weight"] = rng.integers(1, 9, classes) / 4
    count = max(int(np.prod(positions)), 1) * classes
    size = LARGEST_COTANGENT * LARGEST_LOGARITHM * 4 * count  # weights are at most 2, probabilities at most 1
    # torch has no gradient of the weight for indices.
    return Call(
        "cross_entropy",
        arrays,
        attributes,
        lambda **tensors: F.cross_entropy(**tensors, **attributes),
        lambda _part, _: (ROUNDINGS + count) * UNIT_ROUNDOFF * size,
        constant=("weight",) if by_index else (),
    )


DRAWS = {
    "softmax": draw_softmax("softmax"),
    "log_softmax": draw_softmax("log_softmax"),
    "cross_entropy": draw_cross_entropy,
}
