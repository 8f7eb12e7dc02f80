"""How far an honest normalization layer may be from its definition, forward and backward.

The derivation is that of docs/numerics.md. u is the unit roundoff of float64, gamma(n) what n roundings add up to.
Bounds are themselves computed in extended precision, so that their own rounding does not matter.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from reference_cases import UNIT_ROUNDOFF as U

Array = np.ndarray


def gamma(n: float) -> float:
    return n * U / (1 - n * U)


class Layer(NamedTuple):
    """A layer, its arrays as (N, G, K, L): statistics over `axes`, weight and bias (1, G, K, 1)."""

    x: Array
    axes: tuple[int, ...]
    weight: Array | None
    bias: Array | None
    eps: float
    centered: bool = True
    given: tuple[Array, Array] | None = None
    running: tuple[Array, Array] | None = None
    momentum: float = 0.1

    def parts(self) -> dict[str, Array]:
        """Return the arrays that have a gradient, by name."""
        named = {"input": self.x, "weight": self.weight, "bias": self.bias}
        return {name: array for name, array in named.items() if array is not None}


def layer(name: str, arrays: dict[str, Array], attributes: dict[str, Any]) -> Layer:
    """Return the call of a reference in that form; its arrays may hold numbers of any kind."""
    x = arrays["input"]
    eps, own = attributes.get("eps", 1e-5), True
    if name in ("batch_norm", "instance_norm"):
        view, axes = (*x.shape[:2], 1, math.prod(x.shape[2:])), ((0, 2, 3) if name == "batch_norm" else (2, 3))
        own = attributes.get("training", False) if name == "batch_norm" else attributes.get("use_input_stats", True)
    elif name == "group_norm":
        groups = attributes["num_groups"]
        view, axes = (x.shape[0], groups, x.shape[1] // groups, math.prod(x.shape[2:])), (2, 3)
    else:
        m = math.prod(attributes["normalized_shape"])
        view, axes = (x.size // m, 1, m, 1), (2, 3)
        eps = 2.0**-52 if name == "rms_norm" and attributes.get("eps") is None else eps
    along = (1, view[1], view[2], 1)
    w, b, mean, var = (
        arrays[key].reshape(along) if key in arrays else None
        for key in ("weight", "bias", "running_mean", "running_var")
    )
    kept = None if mean is None else (mean, var)
    given, running = (None, kept) if own else (kept, None)
    momentum = attributes.get("momentum", 0.1)
    return Layer(x.reshape(view), axes, w, b, eps, name != "rms_norm", given, running, momentum)


def bounds(layer: Layer, g: Array, any_variance: bool = False) -> dict[str, Array]:
    """Return the largest honest error of every part of an answer, and of its gradients for the cotangent g.

    The variance is that of two passes, or, with `any_variance`, also one that is updated number by number.
    """
    x, axes = layer.x.astype(np.longdouble), layer.axes
    g = g.reshape(x.shape)
    w = np.ones((1, 1, 1, 1)) if layer.weight is None else layer.weight
    b = np.zeros((1, 1, 1, 1)) if layer.bias is None else layer.bias
    m = math.prod(x.shape[a] for a in axes)

    def sums(a: Array) -> Array:
        return a.sum(axes, keepdims=True)

    far_mean, far_var = np.longdouble(0), np.longdouble(0)
    if layer.given is not None:
        mean, var = layer.given
    elif not layer.centered:
        mean, var = np.longdouble(0), sums(x * x) / m
        far_var = gamma(m + 3) * var
    else:
        mean = sums(x) / m
        var = sums((x - mean) ** 2) / m
        far_mean = gamma(m + 1) * sums(np.abs(x)) / m
        if any_variance:
            far_mean = gamma(m + 3 * math.log2(m) + 8) * np.abs(x).max(axes, keepdims=True)
            updated = gamma(2 * (m + 3 * math.log2(m) + 8)) * (np.sqrt(var * sums(x * x) / m) + var)
        far_var = gamma(m + 4) * (var + far_mean**2) + far_mean**2
        far_var = np.maximum(far_var, updated) if any_variance else far_var
    s = var + layer.eps
    rho = far_var / s + 2 * U
    assert np.all(rho < 1), "data whose variance is lost in its own error"
    r = 1 / np.sqrt(s)
    er = (1 - rho) ** -0.5 * (1 + gamma(6)) - 1
    reach = np.abs(x) + np.abs(mean) + far_mean
    z = (x - mean) * r
    far_z = r * (1 + er) * (gamma(8) * reach + far_mean) + er * np.abs(z)
    result = {"output": np.abs(w) * far_z + gamma(3) * np.abs(b)}
    if layer.running is not None:
        share, spread = layer.momentum, m / (m - 1)
        for part, old, new, far in (
            ("mean", layer.running[0], mean, far_mean),
            ("var", layer.running[1], var, far_var),
        ):
            factor = np.abs(share) * (spread if part == "var" else 1)
            blend = np.abs((1 - share) * old) + factor * np.abs(new)
            far_blend = factor * far + gamma(8 + len(x)) * blend
            result[f"running {part}"] = far_blend.mean(0, keepdims=True)
    # The gradients, with h = weight * g and its two sums.
    h = w * g
    every = (0, 3)  # the axes over which a weight is the same
    n = x.shape[0] * x.shape[3]
    many = gamma(max(m, n) + 8)
    result["gradient of bias"] = gamma(n) * np.abs(g).sum(every, keepdims=True)
    result["gradient of weight"] = (
        (np.abs(g) * far_z).sum(every, keepdims=True)
        + many * (np.abs(g) * (np.abs(z) + far_z)).sum(every, keepdims=True)
        + many * (r * np.abs(g) * (np.abs(x) + np.abs(mean))).sum(every, keepdims=True)
    )
    if layer.given is not None:
        result["gradient of input"] = r * np.abs(h) * (er + gamma(4) * (1 + er))
        return result
    first, second = sums(h) * layer.centered, sums(h * z)
    far_first = many * sums(np.abs(h))
    far_second = r * (1 + er) * (many * sums(np.abs(h) * reach) + far_mean * sums(np.abs(h))) + er * np.abs(second)
    slope = np.abs(second) + far_second
    gradient = r * (h - first / m - z * second / m)
    inside = (
        gamma(8) * (np.abs(h) + (np.abs(first) + far_first) / m + (np.abs(z) + far_z) * slope / m)
        + far_first / m
        + (np.abs(z) * far_second + far_z * slope) / m
        + gamma(8) * r * (1 + er) * reach * slope / m
    )
    result["gradient of input"] = r * (1 + er) * inside + er * np.abs(gradient)
    return result


def local_response_bounds(
    x: Array, g: Array, taps: list[tuple[int, int]], alpha: float, beta: float, k: float
) -> dict[str, Array]:
    """Return the largest honest error of output and gradient.

    taps: (channel, channel in its window). alpha: what multiplies the sum of squares. A power is taken to be within 4
    units in the last place, which is 8 u.
    """
    near = np.zeros((x.shape[1],) * 2)
    near[tuple(np.transpose(taps))] = 1
    many = gamma(x.shape[1] + 20)

    def windows(matrix: Array, a: Array) -> Array:
        return np.einsum("cd,nd...->nc...", matrix, a)

    squares = windows(near, x.astype(np.longdouble) ** 2)
    base = k + alpha * squares
    far = many * (np.abs(k) + np.abs(alpha) * squares) / base

    def power(exponent: float) -> Array:
        return np.exp(np.abs(exponent) * far / (1 - far)) * (1 + 8 * U) - 1

    rho = power(beta)
    result = {"output": np.abs(x) * base**-beta * (rho + many)}
    # torch divides by the power twice and multiplies by that of beta - 1.
    error = 2 * rho + power(beta - 1) + many
    pull = np.abs(g * x) * base ** (-beta - 1)
    direct = np.abs(g) * base**-beta * (rho + many)
    result["gradient of input"] = direct + 2 * np.abs(alpha * beta * x) * windows(near.T, pull * (error + many))
    return result
