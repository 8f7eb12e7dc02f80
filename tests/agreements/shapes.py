"""Drawn calls of what only moves elements: the bits must agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from agreements.call import Call
from torch.nn import functional as F


def draw_flatten(rng: np.random.Generator) -> Call:
    shape = rng.integers(0, 4, rng.integers(0, 5)).tolist()
    rank = max(len(shape), 1)
    start, end = sorted(rng.integers(0, rank, 2).tolist())
    attributes: dict[str, Any] = {}
    if rng.random() < 0.8:
        attributes["start_dim"] = start - rank * int(rng.random() < 0.5)
    if rng.random() < 0.8:
        attributes["end_dim"] = end - rank * int(rng.random() < 0.5)
    x = np.asarray(rng.integers(-9, 10, shape).astype(np.float64))
    return Call("flatten", {"input": x}, attributes, lambda input: torch.flatten(input, **attributes))


def image(rng: np.random.Generator) -> tuple[int, list[int], int, int, int]:
    """Return a factor and the sizes of an image; torch 2.13 cannot go back where there are no elements."""
    r, c, h, w = rng.integers(1, 4, 4).tolist()
    return r, rng.integers(1, 3, rng.integers(0, 3)).tolist(), c, h, w


def draw_pixel_shuffle(rng: np.random.Generator) -> Call:
    r, lead, c, h, w = image(rng)
    x = rng.integers(-9, 10, (*lead, c * r * r, h, w)).astype(np.float64)
    return Call("pixel_shuffle", {"input": x}, {"upscale_factor": r}, lambda input: F.pixel_shuffle(input, r))


def draw_pixel_unshuffle(rng: np.random.Generator) -> Call:
    r, lead, c, h, w = image(rng)
    x = rng.integers(-9, 10, (*lead, c, h * r, w * r)).astype(np.float64)
    return Call("pixel_unshuffle", {"input": x}, {"downscale_factor": r}, lambda input: F.pixel_unshuffle(input, r))


DRAWS = {"flatten": draw_flatten, "pixel_shuffle": draw_pixel_shuffle, "pixel_unshuffle": draw_pixel_unshuffle}
