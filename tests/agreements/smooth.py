"""Drawn calls of the activations that have a derivative everywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from agreements.call import Call
from torch.nn import functional as F

UNIT_ROUNDOFF = 2.0**-53
ROUNDINGS = 24  # of either side: no function here takes more than a dozen steps
LARGEST_COTANGENT = 9


def numbers(rng: np.random.Generator) -> np.ndarray:
    """Return an array of any shape, whole numbers or not, all of them near the origin."""
    shape = tuple(rng.integers(0, 4, rng.integers(0, 4)))
    if rng.random() < 0.4:
        return np.asarray(rng.integers(-8, 9, shape).astype(np.float64))
    return np.asarray(rng.normal(0, rng.choice([1e-3, 1, 4]), shape))


def within(output: Any, derivative: Any) -> Callable[[str, np.ndarray], Any]:
    """Return the bound for a sum of absolute terms of the formula that torch uses, and of its derivative."""
    of_part = {"output": output, "gradient of input": LARGEST_COTANGENT * derivative}
    return lambda part, _: ROUNDINGS * UNIT_ROUNDOFF * of_part[part]


def logistic(x: np.ndarray) -> Any:
    return 1 / (1 + np.exp(-x))


def curve(name: str, peer: Callable[[torch.Tensor], torch.Tensor], output: Any, derivative: Any) -> Any:
    """Return a draw of a function without attributes."""

    def draw(rng: np.random.Generator) -> Call:
        x = numbers(rng)
        return Call(name, {"input": x}, {}, peer, within(output(x), derivative(x)))

    return draw


def draw_softplus(rng: np.random.Generator) -> Call:
    x = numbers(rng)
    attributes = {
        name: float(rng.choice(values))
        for name, values in {"beta": (1, 0.7, 2, -1.5), "threshold": (20, 3, -1, np.inf)}.items()
        if rng.random() < 0.6
    }
    z = attributes.get("beta", 1.0) * x
    size = (1 + np.abs(z)) * np.log1p(np.exp(-np.abs(z))) + np.maximum(z, 0)
    return Call(
        "softplus",
        {"input": x},
        attributes,
        lambda input: F.softplus(input, **attributes),
        within(size / np.abs(attributes.get("beta", 1.0)), (1 + np.abs(z)) * logistic(z)),
    )


def draw_gelu(rng: np.random.Generator) -> Call:
    x = numbers(rng)
    attributes = {} if rng.random() < 0.3 else {"approximate": str(rng.choice(["none", "tanh"]))}
    size = np.abs(x)  # torch adds 1 and an error function, or a hyperbolic tangent, that may be nearly -1
    return Call(
        "gelu",
        {"input": x},
        attributes,
        lambda input: F.gelu(input, **attributes),
        within(size, 1 + size * (1 + size * size)),
    )


DRAWS = {
    "sigmoid": curve("sigmoid", F.sigmoid, logistic, logistic),
    "tanh": curve("tanh", F.tanh, lambda x: np.abs(np.tanh(x)), lambda x: np.ones(x.shape)),  # torch: 1 - tanh**2
    "softplus": draw_softplus,
    "logsigmoid": curve(
        "logsigmoid",
        F.logsigmoid,
        lambda x: np.log1p(np.exp(-np.abs(x))) - np.minimum(x, 0),
        lambda x: logistic(-x),
    ),
    "softsign": curve("softsign", F.softsign, np.abs, lambda x: 1 / (1 + np.abs(x))),  # torch: a difference
    "silu": curve("silu", F.silu, np.abs, lambda x: (1 + np.abs(x)) * logistic(x)),
    "mish": curve("mish", F.mish, np.abs, lambda x: 1 + np.abs(x)),
    "gelu": draw_gelu,
}
