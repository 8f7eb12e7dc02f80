"""Drawn calls of the activations with a kink, many of them at the kink."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from agreements.call import Call
from agreements.smooth import numbers, within
from torch.nn import functional as F


def copied(name: str, attributes: Callable[[np.random.Generator], dict[str, Any]] = lambda _: {}) -> Any:
    """Return a draw of a function that rounds at most once, which torch does too."""

    def draw(rng: np.random.Generator) -> Call:
        arguments = attributes(rng)
        return Call(name, {"input": numbers(rng)}, arguments, lambda input: getattr(F, name)(input, **arguments))

    return draw


def draw_relu(rng: np.random.Generator) -> Call:
    x = numbers(rng)
    x[rng.random(x.shape) < 0.2] = np.nan
    x[rng.random(x.shape) < 0.2] = rng.choice([np.inf, -np.inf])
    return Call("relu", {"input": x}, {}, F.relu)


def hardtanh_limits(rng: np.random.Generator) -> dict[str, Any]:
    low, high = sorted(rng.integers(-4, 5, 2).tolist())
    return [{}, {"min_val": low, "max_val": high}, {"min_val": min(low, 1)}, {"max_val": max(high, -1)}][
        rng.integers(4)
    ]


def negative_slope(rng: np.random.Generator) -> dict[str, Any]:
    return {} if rng.random() < 0.3 else {"negative_slope": float(rng.choice([0.0, 0.3, 1.0, 2.5, -0.5]))}


def draw_prelu(rng: np.random.Generator) -> Call:
    shape = tuple(rng.integers(1, 4, rng.integers(0, 5)))
    channels = shape[1] if len(shape) > 1 else 1
    weight = [(), (1,), (channels,)][rng.integers(3)]
    arrays = {"input": rng.integers(-3, 4, shape), "weight": rng.integers(-3, 4, weight)}
    return Call("prelu", {name: np.asarray(a, np.float64) for name, a in arrays.items()}, {}, F.prelu)


def draw_exponential(name: str) -> Any:
    def draw(rng: np.random.Generator) -> Call:
        x = numbers(rng)
        attributes: dict[str, Any] = {}
        if name != "selu" and rng.random() < 0.7:
            # Numbers that float32 holds: the gradient of torch 2.13's celu rounds alpha to it also in float64.
            attributes["alpha"] = float(rng.choice([0.5, 1.375, 3.0, -2.0]))
        alpha = attributes.get("alpha", 1.0)
        z = np.minimum(x, 0) / (alpha if name == "celu" else 1.0)
        size = np.where(x > 0, x, np.abs(alpha * np.expm1(z)) + np.abs(alpha * z) * np.exp(z))
        slope = np.where(x > 0, 1, (np.abs(alpha) if name == "elu" else 1) * (1 + np.abs(z)) * np.exp(z))
        scale = 1.8 if name == "selu" else 1.0
        return Call(
            name,
            {"input": x},
            attributes,
            lambda input: getattr(F, name)(input, **attributes),
            within(scale * size, scale * slope),
        )

    return draw


def draw_hardsigmoid(rng: np.random.Generator) -> Call:
    x = numbers(rng)

    def peer(input: torch.Tensor) -> torch.Tensor:
        # The gradient of torch 2.13's function is off by 2**-25 of itself: it has 1/6 in float32 also in float64.
        output = F.relu6(input + 3) / 6
        return output + (F.hardsigmoid(input) - output).detach()

    size = np.clip(x + 3, 0, 6) / 6
    return Call("hardsigmoid", {"input": x}, {}, peer, within(size, np.ones(x.shape) / 6))


def draw_hardswish(rng: np.random.Generator) -> Call:
    x = numbers(rng)
    size = np.abs(x) * np.clip(x + 3, 0, 6) / 6
    return Call("hardswish", {"input": x}, {}, F.hardswish, within(size, np.abs(x) / 3 + 0.5))


DRAWS = {
    "relu": draw_relu,
    "relu6": copied("relu6"),
    "hardtanh": copied("hardtanh", hardtanh_limits),
    "hardsigmoid": draw_hardsigmoid,
    "hardswish": draw_hardswish,
    "leaky_relu": copied("leaky_relu", negative_slope),
    "prelu": draw_prelu,
    "elu": draw_exponential("elu"),
    "celu": draw_exponential("celu"),
    "selu": draw_exponential("selu"),
}
