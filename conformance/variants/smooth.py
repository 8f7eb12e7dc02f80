"""Activations by other formulas than those that their papers write down."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import reference
from conformance.formats import Array
from conformance.orders import in_accumulator
from conformance.variants import Variant


def of_array(function: Callable[..., Array], wide: bool = False) -> Callable[..., Any]:
    """Return the activation that computes in the accumulator, or in a wider format."""

    @in_accumulator
    def activate(acc: np.dtype[Any], input: Array, **attributes: Any) -> Array:
        getattr(reference, function.__name__)(np.zeros(input.shape), **attributes)  # which refuses what it must
        return function(input.astype(np.promote_types(acc, np.float64) if wide else acc), **attributes)

    return activate


def sigmoid(x: Array) -> Array:
    """Return 1 / (1 + exp(-|x|)), or exp(-|x|) times it below 0: nothing overflows."""
    small = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1, np.where(np.isnan(x), x, small)) / (1 + small))


def softplus(x: Array, beta: float = 1.0, threshold: float = 20.0) -> Array:
    """Return log(exp(0) + exp(z)) / beta as NumPy has it."""
    z = x * x.dtype.type(beta)
    return np.where(z > threshold, x, np.logaddexp(0, z) / x.dtype.type(beta))


def silu(x: Array) -> Array:
    """Return x / (1 + exp(-x)), which is 0 where the denominator overflows."""
    return np.asarray(np.where(x == -np.inf, 0, x) / (1 + np.exp(-x)))


def tanh(x: Array) -> Array:
    """Return -t / (t + 2) with t = exp(-2 |x|) - 1, and the sign of x."""
    t = np.expm1(-2 * np.abs(x))
    return np.asarray(np.copysign(-t / (t + 2), x))


def softsign(x: Array) -> Array:
    """Return the number divided by 1 more than its size."""
    return np.where(np.isinf(x), np.sign(x), x / (1 + np.abs(x)))


def gelu(x: Array, approximate: str = "none") -> Array:
    """Return x / 2 times the complementary error function, or by the logistic function where tanh is asked for."""
    if approximate == "none":
        share = np.array([math.erfc(-v / math.sqrt(2)) / 2 for v in x.ravel().tolist()]).reshape(x.shape)
    else:
        share = 1 / (1 + np.exp(-2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))
    return np.asarray(np.where(x == -np.inf, 0, x) * share)


def softmax(x: Array, dim: int) -> Array:
    """Return the softmax whose sum is rescaled whenever a larger number comes: one pass for largest and sum."""
    rows = np.moveaxis(np.atleast_1d(x), dim, -1)
    largest, total = np.full(rows.shape[:-1], -np.inf, x.dtype), np.zeros(rows.shape[:-1], x.dtype)
    for i in range(rows.shape[-1]):
        before, largest = largest, np.maximum(largest, rows[..., i])
        kept = np.where(before == largest, 1, np.exp(before - largest))
        total = total * kept + np.where(largest == -np.inf, 0, np.exp(rows[..., i] - largest))
    output: Array = np.exp(rows - largest[..., np.newaxis]) / total[..., np.newaxis]
    return np.moveaxis(output, -1, dim).reshape(x.shape)


def log_softmax(x: Array, dim: int) -> Array:
    """Return the number less the largest one and the logarithm of the sum of exponentials."""
    rows = np.atleast_1d(x)
    largest = rows.max(dim, keepdims=True, initial=-np.inf)
    logarithm = np.log(np.exp(rows - largest).sum(dim, keepdims=True))
    return np.asarray(rows - largest - logarithm).reshape(x.shape)


VARIANTS = tuple(
    Variant(f"{operator}-{name}", sentence, operator, of_array(function, wide))
    for operator, name, sentence, function, wide in (
        ("sigmoid", "by-cases", "one formula above 0 and one below", sigmoid, False),
        ("sigmoid", "wider", "computed in float64", sigmoid, True),
        ("tanh", "expm1", "by the exponential less 1", tanh, False),
        ("silu", "quotient", "divided by 1 + exp(-x)", silu, False),
        ("softplus", "logaddexp", "by NumPy's logaddexp", softplus, False),
        ("softsign", "wider", "computed in float64", softsign, True),
        ("gelu", "erfc", "by the complementary error function, in float64", gelu, True),
        ("softmax", "online", "rescaled whenever a larger number comes", softmax, False),
        ("log_softmax", "wider", "computed in float64", log_softmax, True),
    )
)
