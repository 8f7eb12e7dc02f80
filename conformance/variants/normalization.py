"""Normalization by other statistics: other passes over the data, in other orders, and other forms of the last step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from conformance.formats import Array
from conformance.model import Arithmetic, Case
from conformance.orders import in_accumulator
from conformance.variants import FORWARD, Variant
from reference.norm_arguments import NormCall, channel_norm_call, group_norm_call, layer_norm_call

CHANNEL = {
    **{"running_mean": None, "running_var": None, "weight": None, "bias": None},
    **{"momentum": 0.1, "eps": 1e-5, "running_variance": "unbiased", "momentum_weights": "new"},
}
AFFINE = {"weight": None, "bias": None, "eps": 1e-5}
# What the arguments of each operator come to: a call of one form, in which a mean is over some axes of (N, G, K, L).
CALLS: dict[str, Callable[..., NormCall]] = {
    "batch_norm": lambda training=False, **call: channel_norm_call(pooled=True, own=training, **{**CHANNEL, **call}),
    "instance_norm": lambda use_input_stats=True, **call: channel_norm_call(
        pooled=False, own=use_input_stats, **{**CHANNEL, **call}
    ),
    "group_norm": lambda **call: group_norm_call(**{**AFFINE, **call}),
    "layer_norm": lambda **call: layer_norm_call(**{**AFFINE, **call}, centered=True),
    "rms_norm": lambda **call: layer_norm_call(**{**AFFINE, "eps": None, **call}, centered=False),
}
KEEPING = ("batch_norm", "instance_norm")  # running statistics
# (rows (..., m)) -> mean and variance of each, (..., 1)
Statistics = Callable[[Array], tuple[Array, Array]]


def two_passes(rows: Array) -> tuple[Array, Array]:
    """Return the mean, and the mean square of the distances from it; NumPy adds up in pairs of blocks."""
    mean = rows.mean(-1, keepdims=True)
    return mean, np.square(rows - mean).mean(-1, keepdims=True)


def one_by_one(rows: Array) -> tuple[Array, Array]:
    """Return the same, added up one after the other."""
    mean = _summed(rows) / rows.dtype.type(rows.shape[-1])
    return mean, _summed(np.square(rows - mean)) / rows.dtype.type(rows.shape[-1])


def _summed(rows: Array) -> Array:
    total = np.zeros((*rows.shape[:-1], 1), rows.dtype)
    for i in range(rows.shape[-1]):
        total += rows[..., i : i + 1]
    return total


def corrected(rows: Array) -> tuple[Array, Array]:
    """Return the same, the square of the mean distance taken off: Björck's corrected two passes."""
    mean = rows.mean(-1, keepdims=True)
    far = (rows - mean).mean(-1, keepdims=True)
    return mean, np.square(rows - mean).mean(-1, keepdims=True) - np.square(far)


def wider(rows: Array) -> tuple[Array, Array]:
    """Return statistics that were computed in a wider format."""
    mean, var = two_passes(rows.astype(np.longdouble if rows.dtype == np.float64 else np.float64))
    return mean.astype(rows.dtype), var.astype(rows.dtype)


def welford(rows: Array) -> tuple[Array, Array]:
    """Return statistics that every number updates (Welford, 1962)."""
    mean, squares = np.zeros((*rows.shape[:-1], 1), rows.dtype), np.zeros((*rows.shape[:-1], 1), rows.dtype)
    for i in range(rows.shape[-1]):
        x = rows[..., i : i + 1]
        before, mean = mean, mean + (x - mean) / rows.dtype.type(i + 1)
        squares = squares + (x - before) * (x - mean)
    return mean, squares / rows.dtype.type(rows.shape[-1])


def merged(rows: Array) -> tuple[Array, Array]:
    """Return statistics of halves, merged (Chan, Golub and LeVeque, 1983)."""
    m = rows.shape[-1]
    if m <= 1:
        return rows, np.zeros(rows.shape, rows.dtype)
    (a, u), (b, v) = merged(rows[..., : m // 2]), merged(rows[..., m // 2 :])
    share = rows.dtype.type((m - m // 2) / m)
    apart = b - a
    return a + apart * share, u * (1 - share) + v * share + np.square(apart) * share * (1 - share)


def textbook(rows: Array) -> tuple[Array, Array]:
    """Return the mean, and the mean square less the square of the mean, in one pass."""
    mean = rows.mean(-1, keepdims=True)
    return mean, np.maximum(np.square(rows).mean(-1, keepdims=True) - np.square(mean), 0)


def shifted(rows: Array) -> tuple[Array, Array]:
    """Return the same of the distances from the first number."""
    first = rows[..., :1]
    mean, var = textbook(rows - first)
    return first + mean, var


# (x, mean, variance + eps, weight, bias) -> output
Last = Callable[[Array, Array, Array, Array | None, Array | None], Array]


def plain(x: Array, mean: Array, var: Array, weight: Array | None, bias: Array | None) -> Array:
    """Subtract, divide by the root, and scale."""
    output = (x - mean) / np.sqrt(var)
    output = output if weight is None else output * weight
    return output if bias is None else output + bias


def folded(x: Array, mean: Array, var: Array, weight: Array | None, bias: Array | None) -> Array:
    """Fold all into a scale and a shift."""
    scale = 1 / np.sqrt(var) if weight is None else weight / np.sqrt(var)
    shift = -mean * scale if bias is None else bias - mean * scale
    return x * scale + shift


def inverse_first(x: Array, mean: Array, var: Array, weight: Array | None, bias: Array | None) -> Array:
    """Multiply by the inverse of the root, and that by the weight first."""
    scale = 1 / np.sqrt(var) if weight is None else weight * (1 / np.sqrt(var))
    output = (x - mean) * scale
    return output if bias is None else output + bias


def normalizing(operator: str, statistics: Statistics, last: Last = plain) -> Callable[..., Any]:
    """Return the normalization with these statistics and this last step."""

    @in_accumulator
    def normalize(acc: np.dtype[Any], **arguments: Any) -> Any:
        call = CALLS[operator](**arguments)
        mean, var = _by(call, acc, statistics)
        weight, bias = (None if part is None else part.astype(acc) for part in (call.weight, call.bias))
        output = last(call.x.astype(acc), mean, var + acc.type(call.eps), weight, bias).reshape(call.shape)
        return (output, *_running(call, mean, var)) if operator in KEEPING else output

    return normalize


def _by(call: NormCall, acc: np.dtype[Any], statistics: Statistics) -> tuple[Array, Array]:
    """Return what is normalized by, as it broadcasts against (N, G, K, L)."""
    if call.given is not None:
        return call.given[0].astype(acc), call.given[1].astype(acc)
    x = call.x.astype(acc)
    n, g, k, m = x.shape
    if not call.centered:
        return np.zeros((), acc), np.square(x).mean((2, 3), keepdims=True)
    rows = x.swapaxes(0, 1).reshape(1, g, n * k * m) if call.pooled else x.reshape(n, g, k * m)
    mean, var = statistics(rows)
    return mean[..., np.newaxis], var[..., np.newaxis]


def _running(call: NormCall, mean: Array, var: Array) -> tuple[Array | None, Array | None]:
    """Return the running statistics after the call."""
    if call.given is not None:
        return call.given[0].flatten(), call.given[1].flatten()
    old = call.running
    if old is None:
        return None, None
    one = mean.dtype.type
    share = one(old.momentum if old.weights == "new" else 1 - old.momentum)
    unbiased = one(call.values / (call.values - 1) if old.unbiased else 1)
    new = mean.mean(0).ravel(), (var * unbiased).mean(0).ravel()
    kept = (part.astype(one).ravel() for part in (old.mean, old.var))
    mean, var = ((one(1) - share) * before + share * now for before, now in zip(kept, new, strict=True))
    return mean, var


def declaring(variance: str) -> Callable[[Case], Arithmetic]:
    """Return the arithmetic of a class of algorithm for the variance."""
    return lambda case: Arithmetic.of(case.dtype, variance=variance)


def _variant(
    operator: str, name: str, sentence: str, statistics: Statistics, last: Last = plain, variance: str = "two-pass"
) -> Variant:
    binding = normalizing(operator, statistics, last)
    # The mean of an infinity is a NaN where it is made of distances, as in all engines that update their statistics.
    checks = tuple(c for c in FORWARD if c != "special") if statistics in (welford, merged, shifted) else FORWARD
    return Variant(f"{operator}-{name}", sentence, operator, binding, declaring(variance), checks=checks)


ONE = "statistics added up one after the other"
WIDER = "statistics in a wider format"
FOLDED = "one scale and one shift for all"
WELFORD = "every number updates mean and variance"
MERGED = "statistics of halves, merged"
TEXTBOOK = "mean square less square of mean"
VARIANTS = (
    _variant("batch_norm", "pairwise", "two passes, added up in pairs of blocks", two_passes),
    _variant("batch_norm", "one-by-one", f"two passes, {ONE}", one_by_one, inverse_first),
    _variant("batch_norm", "corrected", "two passes, the rest of the mean taken off", corrected),
    _variant("batch_norm", "wider", WIDER, wider, inverse_first),
    _variant("batch_norm", "folded", FOLDED, two_passes, folded),
    _variant("batch_norm", "welford", WELFORD, welford, plain, "updating"),
    _variant("batch_norm", "merged", MERGED, merged, inverse_first, "updating"),
    _variant("batch_norm", "textbook", TEXTBOOK, textbook, plain, "textbook"),
    _variant("batch_norm", "shifted", f"{TEXTBOOK}, of the distances from the first", shifted, plain, "textbook"),
    _variant("instance_norm", "wider", WIDER, wider, folded),
    _variant("instance_norm", "one-by-one", f"two passes, {ONE}", one_by_one),
    _variant("group_norm", "corrected", "two passes, the rest of the mean taken off", corrected, inverse_first),
    _variant("group_norm", "merged", MERGED, merged, plain, "updating"),
    _variant("group_norm", "folded", FOLDED, one_by_one, folded),
    _variant("layer_norm", "welford", WELFORD, welford, inverse_first, "updating"),
    _variant("layer_norm", "pairwise", "two passes, added up in pairs of blocks", two_passes),
    _variant("layer_norm", "textbook", TEXTBOOK, textbook, inverse_first, "textbook"),
    _variant("rms_norm", "inverse", "times the inverse of the root and the weight", two_passes, inverse_first),
)
