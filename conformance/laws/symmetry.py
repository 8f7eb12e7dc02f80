"""Laws of places: samples, channels and rows may change places, stand alone, or be laid end to end."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from conformance.formats import Array
from conformance.laws.numbers import (
    ADAPTIVE_MAXIMA,
    ADAPTIVE_MEANS,
    CONVOLUTIONS,
    FRACTIONAL,
    MAXIMA,
    MEANS,
    MONOTONE,
    POWERS,
    TRANSPOSED,
    UNPOOLS,
)
from conformance.model import Arrays, Attributes, Call, Law
from conformance.operators import operators

POOLS = (*MAXIMA, *MEANS, *POWERS, *ADAPTIVE_MAXIMA, *ADAPTIVE_MEANS)
ELEMENTWISE = (*MONOTONE, "gelu", "silu", "mish", "hardswish")
BY_CHANNEL = (*POOLS, *FRACTIONAL, *UNPOOLS, "batch_norm", "instance_norm", "group_norm", "prelu")
MOVING = ("unfold", "fold", "pad", "pixel_shuffle", "pixel_unshuffle")
BY_SAMPLE = ("layer_norm", "rms_norm", "local_response_norm", "softmax", "log_softmax", "cross_entropy")
LAYERS = (*CONVOLUTIONS, *TRANSPOSED, "linear")
# The least number of axes with which the first axis is one of samples.
LEAST = {"unfold": 4, "fold": 3, "pixel_shuffle": 4, "pixel_unshuffle": 4}
OF_SAMPLES = ("input", "indices", "random_samples", "target")


def samples(operator: str, arrays: Arrays, attributes: Attributes) -> bool:
    """Whether the first axis of the input is one of samples, each of which is answered by itself."""
    x = arrays["input"]
    rank = int(operator[-2]) + 2 if operator[-2:] in ("1d", "2d", "3d") else LEAST.get(operator, 2)
    untouched = x.ndim - max(len(attributes.get("pad", ())) // 2, len(attributes.get("normalized_shape", ())))
    return x.ndim >= rank and untouched > 0


def _batch(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    if not samples(operator, arrays, attributes) or len(arrays["input"]) < 2:
        return ()
    turned = {name: array[::-1] if name in OF_SAMPLES else array for name, array in arrays.items()}
    return [Call(operator, arrays, attributes), Call(operator, turned, attributes)]


def _is_turned(arrays: Arrays, attributes: Attributes, outputs: Sequence[Array]) -> tuple[Array, Array]:
    return outputs[0], outputs[1][::-1] if outputs[1].ndim else outputs[1]


def _alone(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    apart = operators()[operator].per_sample(attributes)
    first = attributes.get("dim") in (0, -arrays["input"].ndim)  # is what is answered together
    if first or not apart or not samples(operator, arrays, attributes) or len(arrays["input"]) < 2:
        return ()
    lone = {name: array[-1:] if name in apart else array for name, array in arrays.items()}
    return [Call(operator, arrays, attributes), Call(operator, lone, attributes)]


def _is_the_last(arrays: Arrays, attributes: Attributes, outputs: Sequence[Array]) -> tuple[Array, Array]:
    return outputs[0][-1:], outputs[1]


def _channels(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    x = arrays["input"]
    if not samples(operator, arrays, attributes) or x.shape[1] < 2:
        return ()
    turned: dict[str, Array] = {}
    for name, array in arrays.items():
        if name == "weight" and operator in LAYERS:
            turned[name] = array[::-1, ::-1]
        elif name in OF_SAMPLES:
            turned[name] = np.flip(array, _channel_axis(operator))
        else:
            turned[name] = array[::-1] if array.ndim else array
    return [Call(operator, arrays, attributes), Call(operator, turned, attributes)]


def _channel_axis(operator: str) -> int:
    return -1 if operator == "linear" else 1


def _is_turned_by_channel(arrays: Arrays, attributes: Attributes, outputs: Sequence[Array]) -> tuple[Array, Array]:
    flat = arrays.get("weight", np.empty(0)).ndim == 2  # of a linear layer, whose features come last
    return outputs[0], np.flip(outputs[1], -1 if flat else 1)


def _fewer(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    weight = arrays["weight"]
    half = _half(weight)
    if attributes.get("groups", 1) > 1 or not half:
        return ()
    few = {name: array[:half] if name != "input" else array for name, array in arrays.items()}
    return [Call(operator, arrays, attributes), Call(operator, few, attributes)]


def _half(weight: Array) -> int:
    return len(weight) // 2


def _is_first(arrays: Arrays, attributes: Attributes, outputs: Sequence[Array]) -> tuple[Array, Array]:
    axis = -1 if arrays["weight"].ndim == 2 else 1
    return np.take(outputs[0], range(_half(arrays["weight"])), axis), outputs[1]


def _merging(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    x = arrays["input"]
    if operator in ELEMENTWISE:
        shape: tuple[int, ...] = (x.size,)
    elif operator == "linear":
        shape = (math.prod(x.shape[:-1]), x.shape[-1])
    elif samples(operator, arrays, attributes):
        shape = (1, x.shape[0] * x.shape[1], *x.shape[2:])
    else:
        return ()
    merged: Mapping[str, Any] = {**arrays, "input": x.reshape(shape)}
    return [Call(operator, arrays, attributes), Call(operator, merged, attributes)] if shape != x.shape else ()


def _is_merged(arrays: Arrays, attributes: Attributes, outputs: Sequence[Array]) -> tuple[Array, Array]:
    return outputs[0].reshape(-1), outputs[1].reshape(-1)


LAWS = (
    Law(
        "batch",
        "samples in another order give the answers in that order",
        (*LAYERS, *BY_CHANNEL, *ELEMENTWISE, *MOVING, *BY_SAMPLE),
        _batch,
        _is_turned,
    ),
    Law(
        "alone",
        "a sample is answered by itself as it is among others",
        (*LAYERS, *BY_CHANNEL, *ELEMENTWISE, *MOVING, *BY_SAMPLE),
        _alone,
        _is_the_last,
    ),
    Law(
        "channels",
        "channels in reverse order, with their parameters, give the answers in that order",
        (*LAYERS, *BY_CHANNEL),
        _channels,
        _is_turned_by_channel,
    ),
    Law(
        "fewer_outputs",
        "half the rows of a weight give half of the answer",
        (*CONVOLUTIONS, "linear"),
        _fewer,
        _is_first,
    ),
    Law(
        "merging",
        "axes that an operator does not tell apart may be laid end to end",
        (*POOLS, *ELEMENTWISE, "linear"),
        _merging,
        _is_merged,
    ),
)
