"""Drawn calls of normalization layers: real numbers, within the errors that both sides may make."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from agreements.call import Call
from normalization_bounds import bounds, layer, local_response_bounds
from torch.nn import functional as F

EPS = (1e-5, 1e-3, 0.5)


def values(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Return numbers of a size and around a mean that are drawn too."""
    return 2.0 ** rng.integers(-4, 5) * (rng.standard_normal(shape) + some(rng, 0, 0, 1, -30))


def some(rng: np.random.Generator, *choices: Any) -> Any:
    return choices[rng.integers(len(choices))]


def affine(rng: np.random.Generator, names: tuple[str, ...], *shape: int) -> dict[str, np.ndarray]:
    """Return some of the named arrays."""
    return {name: values(rng, *shape) for name in names if rng.random() < 0.7}


def called(
    rng: np.random.Generator,
    name: str,
    arrays: dict[str, np.ndarray],
    attributes: dict[str, Any],
    peer: Callable[..., Any],
    errors: Callable[[np.ndarray], dict[str, np.ndarray]],
) -> Call:
    """Return the call; `errors` of a cotangent are what each of the two sides may be off by."""
    seed, parts = int(rng.integers(2**16)), {}

    def bound(part: str, expected: np.ndarray) -> Any:
        if part == "gradient of bias":
            return 0.0  # a sum of whole numbers
        if not parts:
            cotangent = np.random.default_rng(seed).integers(-9, 10, arrays["input"].shape).astype(np.float64)
            parts.update(errors(cotangent))
        return 2 * parts[part].reshape(expected.shape)

    return Call(name, arrays, attributes, peer, bound, ("running_mean", "running_var"), seed)


def normalized(
    rng: np.random.Generator,
    name: str,
    arrays: dict[str, np.ndarray],
    attributes: dict[str, Any],
    peer: Callable[..., Any],
) -> Call:
    """Return the call of a layer with a mean or a variance; some of torch's update it number by number."""
    form = layer(name, arrays, attributes)
    return called(rng, name, arrays, attributes, peer, lambda g: bounds(form, g, any_variance=True))


def draw_channel_norm(rng: np.random.Generator, name: str, flag: str) -> Call:
    own, n, c = bool(rng.random() < 0.7), int(rng.integers(1, 4)), int(rng.integers(1, 4))
    spatial = rng.integers(1, 4, rng.integers(0, 4)).tolist()
    if own and math.prod(spatial) * (n if name == "batch_norm" else 1) < 2:
        spatial = [*spatial, 2] if len(spatial) < 3 else [2, *spatial[1:]]
    arrays = {"input": values(rng, n, c, *spatial)} | affine(rng, ("weight", "bias"), c)
    if not own or rng.random() < 0.5:
        arrays |= {"running_mean": values(rng, c), "running_var": np.abs(values(rng, c)) + 2.0**-9}
    attributes: dict[str, Any] = {flag: own}
    if name == "instance_norm" and own and rng.random() < 0.5:
        attributes = {}
    if rng.random() < 0.5:
        attributes["eps"] = some(rng, *EPS)
    momentum = 0.1
    if rng.random() < 0.7:
        momentum = attributes["momentum"] = some(rng, 0.0, 0.25, 0.5, 0.75, 1.0, 0, 1)
    old = "momentum" in attributes and rng.random() < 0.3
    biased = rng.random() < 0.3
    theirs = dict(attributes)
    if old:  # what is 1 - momentum is the new value's share; these momenta have no rounding there
        attributes["momentum_weights"], momentum = "old", 1 - momentum
        theirs["momentum"] = float(momentum)
    if biased:
        attributes["running_variance"] = "biased"

    def peer(input: torch.Tensor, running_mean: Any = None, running_var: Any = None, **a: torch.Tensor) -> Any:
        mean, var = (None if s is None else s.clone() for s in (running_mean, running_var))
        output = getattr(F, name)(input, mean, var, **a, **theirs)
        if biased and own and var is not None:  # torch has the unbiased one only
            axes = [0, *range(2, input.ndim)] if name == "batch_norm" else list(range(2, input.ndim))
            new = input.detach().var(axes, correction=0)
            var = (1 - momentum) * running_var + momentum * (new if new.ndim == 1 else new.mean(0))
        return output, mean, var

    form = layer(name, arrays, attributes)._replace(momentum=momentum)

    def errors(g: np.ndarray) -> dict[str, np.ndarray]:
        parts = bounds(form, g, any_variance=True)
        for i, part in ((1, "mean"), (2, "var")):
            parts[f"output {i}"] = parts[f"running {part}"] if form.running is not None else np.zeros((1, c, 1, 1))
        return parts

    return called(rng, name, arrays, attributes, peer, errors)


def draw_group_norm(rng: np.random.Generator) -> Call:
    groups, per_group, n = int(rng.integers(1, 4)), int(rng.integers(1, 4)), int(rng.integers(1, 4))
    spatial = rng.integers(1, 4, rng.integers(0, 4)).tolist()
    n += n * per_group * math.prod(spatial) == 1  # torch refuses one value in each group
    c = groups * per_group
    arrays = {"input": values(rng, n, c, *spatial)} | affine(rng, ("weight", "bias"), c)
    attributes = {"num_groups": groups} | ({"eps": some(rng, *EPS)} if rng.random() < 0.5 else {})

    def peer(input: torch.Tensor, weight: Any = None, bias: Any = None) -> torch.Tensor:
        if weight is None and bias is not None:  # torch 2.13's gradient raises "tensor does not have a device"
            weight = torch.ones_like(bias)
        return F.group_norm(input, weight=weight, bias=bias, **attributes)

    return normalized(rng, "group_norm", arrays, attributes, peer)


def draw_layer_norm(rng: np.random.Generator, name: str) -> Call:
    shape = rng.integers(1, 5, rng.integers(1, 4)).tolist()
    lead = rng.integers(1, 4, rng.integers(0, 3)).tolist()
    names = ("weight", "bias") if name == "layer_norm" else ("weight",)
    arrays = {"input": values(rng, *lead, *shape)} | affine(rng, names, *shape)
    attributes: dict[str, Any] = {"normalized_shape": some(rng, tuple, list, torch.Size)(shape)}
    if rng.random() < 0.5:
        attributes["eps"] = some(rng, *EPS, None) if name == "rms_norm" else some(rng, *EPS)
    return normalized(rng, name, arrays, attributes, lambda **a: getattr(F, name)(**a, **attributes))


def draw_local_response_norm(rng: np.random.Generator) -> Call:
    n, c, size = (int(v) for v in rng.integers(1, (3, 6, 9)))
    arrays = {"input": values(rng, n, c, *rng.integers(1, 4, rng.integers(1, 4)).tolist())}
    attributes: dict[str, Any] = {"size": size}
    if rng.random() < 0.7:
        attributes["alpha"] = some(rng, 1e-4, 0.5, 2, 0.0)
    if rng.random() < 0.7:
        attributes["beta"] = some(rng, 0.75, 0.5, 1, 2.5, 0.0, -0.5)
    if rng.random() < 0.7:
        attributes["k"] = some(rng, 1.0, 0.25, 2)
    theirs = {"alpha": 1e-4, "beta": 0.75, "k": 1.0} | attributes
    extra, scale = some(rng, "lower", "upper"), some(rng, "mean", "sum")
    per_square = theirs["alpha"] / size if scale == "mean" else theirs["alpha"]
    if extra == "upper" or rng.random() < 0.5:
        attributes["extra"] = extra
    if scale == "sum" or rng.random() < 0.5:
        attributes["scale"] = scale
    theirs["alpha"] = per_square * size

    def peer(input: torch.Tensor) -> torch.Tensor:
        # torch has its extra channel before the middle one: channels in reverse have it after.
        if extra == "lower":
            return F.local_response_norm(input, **theirs)
        return F.local_response_norm(input.flip(1), **theirs).flip(1)

    below, above = (size // 2, (size - 1) // 2) if extra == "lower" else ((size - 1) // 2, size // 2)
    taps = [(i, j) for i in range(c) for j in range(c) if i - below <= j <= i + above]

    def errors(g: np.ndarray) -> dict[str, np.ndarray]:
        return local_response_bounds(arrays["input"], g, taps, per_square, theirs["beta"], theirs["k"])

    return called(rng, "local_response_norm", arrays, attributes, peer, errors)


DRAWS = {
    "batch_norm": lambda rng: draw_channel_norm(rng, "batch_norm", "training"),
    "instance_norm": lambda rng: draw_channel_norm(rng, "instance_norm", "use_input_stats"),
    "group_norm": draw_group_norm,
    "layer_norm": lambda rng: draw_layer_norm(rng, "layer_norm"),
    "rms_norm": lambda rng: draw_layer_norm(rng, "rms_norm"),
    "local_response_norm": draw_local_response_norm,
}
