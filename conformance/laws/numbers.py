"""Laws of what numbers do to an operator, and no knowledge of windows: sums, multiples, signs and order.

Whatever is done to the data is exact in every format, so that nothing but the operator itself can round.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from conformance.formats import Array
from conformance.model import Arrays, Attributes, Call, Law

RANKS = (1, 2, 3)
CONVOLUTIONS = tuple(f"conv{rank}d" for rank in RANKS)
TRANSPOSED = tuple(f"conv_transpose{rank}d" for rank in RANKS)
ONE_CHANNEL = ("convolve", "cross_correlate")
MAXIMA = tuple(f"max_pool{rank}d" for rank in RANKS)
MEANS = tuple(f"avg_pool{rank}d" for rank in RANKS)
POWERS = tuple(f"lp_pool{rank}d" for rank in RANKS)
ADAPTIVE_MAXIMA = tuple(f"adaptive_max_pool{rank}d" for rank in RANKS)
ADAPTIVE_MEANS = tuple(f"adaptive_avg_pool{rank}d" for rank in RANKS)
FRACTIONAL = ("fractional_max_pool2d", "fractional_max_pool3d")
UNPOOLS = tuple(f"max_unpool{rank}d" for rank in RANKS)
PRODUCTS = (*CONVOLUTIONS, *TRANSPOSED, *ONE_CHANNEL, "linear")
LINEAR = (*PRODUCTS, *MEANS, *ADAPTIVE_MEANS, *UNPOOLS, "unfold", "fold", "pad")
LARGEST_MAXIMA = (*MAXIMA, *ADAPTIVE_MAXIMA, *FRACTIONAL)
MONOTONE = (
    *("relu", "relu6", "leaky_relu", "hardtanh", "hardsigmoid", "elu", "celu", "selu"),
    *("sigmoid", "tanh", "softplus", "softsign", "logsigmoid"),
)
# What must be doubled, halved ... with the input, so that the output doubles: (argument, default, factor).
DOUBLED_WITH: dict[str, tuple[tuple[str, float, float], ...]] = {
    "hardtanh": (("min_val", -1.0, 2.0), ("max_val", 1.0, 2.0)),
    "celu": (("alpha", 1.0, 2.0),),
    "softplus": (("beta", 1.0, 0.5),),
    "local_response_norm": (("alpha", 1e-4, 0.25),),
    "pad": (("value", 0.0, 2.0),),
}
NORMS = ("batch_norm", "instance_norm", "group_norm", "layer_norm", "rms_norm")
POSITIVELY = ("relu", "leaky_relu", "prelu", "hardtanh", "celu", "softplus", "local_response_norm")
SMALL = 64  # of which four times as much is still exact in bfloat16


def first(arrays: Arrays) -> Array:
    """Return the array that an operator is a function of before all others, in small whole numbers.

    What is whole and small already stays as it is.
    """
    return np.clip(np.rint(wide(arrays["input"])), -SMALL, SMALL).astype(arrays["input"].dtype)


def weight_of(arrays: Arrays) -> str:
    """Return the name of the array that the input meets in products."""
    return "kernel" if "kernel" in arrays else "weight"


def without(arrays: Arrays, *names: str) -> dict[str, Array]:
    """Return the arrays but those of some names."""
    return {name: array for name, array in arrays.items() if name not in names}


def wide(array: Array) -> Array:
    """Return an array in float64, in which whatever a relation adds up is exact."""
    return np.asarray(array, np.float64)


def rolled(array: Array) -> Array:
    """Return the same numbers, each one place further."""
    return np.roll(array.reshape(-1), 1).reshape(array.shape)


def same(arrays: Arrays, attributes: Attributes, outputs: Sequence[Array]) -> tuple[Array, Array]:
    """Return the only two outputs: the relation that they are equal."""
    return outputs[0], outputs[1]


def _linearity(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    if attributes.get("value"):
        return ()
    return _combined("input", operator, {**arrays, "input": first(arrays)}, attributes)


def _weight_linearity(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    return _combined(weight_of(arrays), operator, arrays, attributes)


def _combined(name: str, operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    x, y, others = arrays[name], rolled(arrays[name]), without(arrays, "bias")
    return [Call(operator, {**others, name: part}, attributes) for part in (x, y, x + y + y + y)]


def _is_combined(arrays: Arrays, attributes: Attributes, outputs: Sequence[Array]) -> tuple[Array, Array]:
    return outputs[0] + 3 * outputs[1], outputs[2]


def _homogeneity(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    given = without(arrays, "bias")
    scaled = {
        name: attributes.get(name, default) * factor
        for name, default, factor in DOUBLED_WITH.get(operator, ())
        if name in attributes or operator != "pad"
    }
    doubled = {**given, "input": arrays["input"] * arrays["input"].dtype.type(2)}
    return [Call(operator, given, attributes), Call(operator, doubled, {**attributes, **scaled})]


def _is_double(arrays: Arrays, attributes: Attributes, outputs: Sequence[Array]) -> tuple[Array, Array]:
    return 2 * outputs[0], outputs[1]


def _oddness(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    if attributes.get("value"):
        return ()
    given = without(arrays, "bias")
    turned = {name: -array if name in ("input", "running_mean") else array for name, array in given.items()}
    return [Call(operator, given, attributes), Call(operator, turned, attributes)]


def _is_negative(arrays: Arrays, attributes: Attributes, outputs: Sequence[Array]) -> tuple[Array, Array]:
    # f(x) + f(-x) = 0, with f(x) on both sides, so that there is something to compare.
    return 2 * outputs[0] + outputs[1], outputs[0]


def _monotonicity(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    if min(attributes.get(name, 0) for name in ("alpha", "negative_slope")) < 0:
        return ()
    x, y = arrays["input"], rolled(arrays["input"])
    return [Call(operator, {**arrays, "input": part}, attributes) for part in (x, y, np.maximum(x, y))]


def _is_largest(arrays: Arrays, attributes: Attributes, outputs: Sequence[Array]) -> tuple[Array, Array]:
    # Of bounds too: what is monotone moves no further than the further of its arguments.
    return np.maximum(outputs[0], outputs[1]), outputs[2]


def _bias(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    if "bias" not in arrays:
        return ()
    return [Call(operator, arrays, attributes), Call(operator, without(arrays, "bias"), attributes)]


def _is_less_by_bias(arrays: Arrays, attributes: Attributes, outputs: Sequence[Array]) -> tuple[Array, Array]:
    bias, ndim = wide(arrays["bias"]), outputs[0].ndim
    last = "normalized_shape" in attributes or ndim == 2 or arrays.get("weight", bias).ndim == 2
    return outputs[0], outputs[1] + (bias if last else bias.reshape(-1, *(1,) * (ndim - 2)))


def _neutral(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    plain = without(arrays, "bias", *(("weight",) if operator in NORMS else ()))
    made: dict[str, Callable[..., Any]] = {"bias": np.zeros, "weight": np.ones}
    given = {
        name: make(_parameter_shape(name, operator, arrays, attributes), arrays["input"].dtype)
        for name, make in made.items()
        if name not in plain and not (operator == "rms_norm" and name == "bias")
    }
    return [Call(operator, plain, attributes), Call(operator, {**plain, **given}, attributes)]


def _parameter_shape(name: str, operator: str, arrays: Arrays, attributes: Attributes) -> tuple[int, ...]:
    if "normalized_shape" in attributes:
        return tuple(attributes["normalized_shape"])
    if operator in NORMS:
        return (arrays["input"].shape[1],)
    weight = arrays["weight"]
    return (weight.shape[1] * attributes.get("groups", 1) if operator in TRANSPOSED else weight.shape[0],)


LAYERS = (*CONVOLUTIONS, *TRANSPOSED, "linear")

LAWS = (
    Law("linearity", "the answer to x + 3 y is that to x and three times that to y", LINEAR, _linearity, _is_combined),
    Law(
        "weight_linearity",
        "the answer under the weights v + 3 w is that under v and three times that under w",
        PRODUCTS,
        _weight_linearity,
        _is_combined,
    ),
    Law(
        "homogeneity",
        "twice the input gives twice the answer",
        (*LINEAR, *LARGEST_MAXIMA, *POWERS, *POSITIVELY),
        _homogeneity,
        _is_double,
    ),
    Law(
        "oddness",
        "the input with its sign changed gives the answer with its sign changed",
        (*LINEAR, *NORMS, "local_response_norm", "tanh", "softsign"),
        _oddness,
        _is_negative,
    ),
    Law(
        "monotonicity",
        "the answer to the larger of two inputs, element by element, is the larger of the answers",
        (*LARGEST_MAXIMA, *MONOTONE),
        _monotonicity,
        _is_largest,
    ),
    Law(
        "bias",
        "a bias is added to every element of its channel",
        (*LAYERS, "batch_norm", "instance_norm", "group_norm", "layer_norm"),
        _bias,
        _is_less_by_bias,
    ),
    Law(
        "neutral",
        "a bias of zeros, and in a norm a weight of ones, are the same as none",
        (*LAYERS, *NORMS),
        _neutral,
        same,
    ),
)
