"""Laws of activations: what an activation is of its mirror image, and of its neighbours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from conformance.formats import Array
from conformance.laws.numbers import same, wide
from conformance.model import Arrays, Attributes, Call, Law


def _and_mirrored(operator: str, arrays: Arrays, attributes: Attributes) -> list[Call]:
    return [Call(operator, {"input": x}, attributes) for x in (arrays["input"], -arrays["input"])]


def _reflection(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    reach = float(np.max(np.abs(wide(arrays["input"])), initial=0)) * attributes.get("beta", 1.0)
    if operator == "softplus" and reach > attributes.get("threshold", 20.0):
        return ()  # beyond which it is cut short
    return _and_mirrored(operator, arrays, attributes)


def _differ_by_the_input(arrays: Arrays, attributes: Attributes, outputs: Sequence[Array]) -> tuple[Array, Array]:
    return outputs[0], wide(arrays["input"]) + outputs[1]


def _complement(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    zeros = {"input": np.zeros_like(arrays["input"])}
    return [*_and_mirrored(operator, arrays, attributes), Call(operator, zeros, attributes)]


def _add_up(arrays: Arrays, attributes: Attributes, outputs: Sequence[Array]) -> tuple[Array, Array]:
    return outputs[0] + outputs[1], 2 * outputs[2]


def _logistic(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    x = arrays["input"]
    inputs = (("tanh", x), ("sigmoid", np.zeros_like(x)), ("sigmoid", x + x))
    return [Call(name, {"input": array}, {}) for name, array in inputs]


def _is_logistic(arrays: Arrays, attributes: Attributes, outputs: Sequence[Array]) -> tuple[Array, Array]:
    return outputs[0] + 2 * outputs[1], 2 * outputs[2]


def _soft(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    # A softplus is cut short at 20, a logsigmoid never is.
    x = np.clip(wide(arrays["input"]), -16, 16).astype(arrays["input"].dtype)
    return [Call("logsigmoid", {"input": x}, {}), Call("softplus", {"input": -x}, {})]


def _cancel(arrays: Arrays, attributes: Attributes, outputs: Sequence[Array]) -> tuple[Array, Array]:
    return outputs[0] + 2 * outputs[1], outputs[1]  # one is minus the other; so there is something to compare


def _saturation(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    alpha = attributes.get("alpha", 1.0)
    doubled = {**attributes, "alpha": 2 * alpha}
    return [Call(operator, arrays, attributes), Call(operator, arrays, doubled), Call("relu", arrays, {})]


def _is_steeper(arrays: Arrays, attributes: Attributes, outputs: Sequence[Array]) -> tuple[Array, Array]:
    return 2 * outputs[0], outputs[1] + outputs[2]


def _clamping(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    x = arrays["input"]
    larger = {"input": x * x.dtype.type(4)}  # so that some numbers lie beyond 6
    return [Call("relu6", larger, {}), Call("hardtanh", larger, {"min_val": 0.0, "max_val": 6.0})]


def _one_slope(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    weight = arrays["weight"].reshape(-1)[:1]
    slope = {"negative_slope": float(weight[0])}
    return [Call("prelu", {**arrays, "weight": weight}, {}), Call("leaky_relu", {"input": arrays["input"]}, slope)]


LAWS = (
    Law(
        "reflection",
        "the answers to an input and to its negative differ by the input",
        ("relu", "gelu", "silu", "hardswish", "softplus"),
        _reflection,
        _differ_by_the_input,
    ),
    Law(
        "complement",
        "the answers to an input and to its negative add up to twice that to 0",
        ("sigmoid", "hardsigmoid"),
        _complement,
        _add_up,
    ),
    Law("logistic", "tanh(x) + 1 is twice the sigmoid of 2 x", ("tanh", "sigmoid"), _logistic, _is_logistic),
    Law("soft", "the logarithm of a sigmoid is minus the softplus of -x", ("logsigmoid", "softplus"), _soft, _cancel),
    Law(
        "saturation", "an elu with twice the alpha is twice the elu, less the relu", ("elu",), _saturation, _is_steeper
    ),
    Law("clamping", "relu6 is hardtanh from 0 to 6", ("relu6", "hardtanh"), _clamping, same),
    Law("one_slope", "a prelu with one weight is a leaky relu of that slope", ("prelu",), _one_slope, same),
)
