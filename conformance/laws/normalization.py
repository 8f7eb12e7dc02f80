"""Laws of normalization: what it takes away from its input, and when two norms are one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from conformance.formats import Array
from conformance.laws.numbers import NORMS, first, same, without
from conformance.model import Arrays, Attributes, Call, Law

EPS = 1e-5
RUNNING = ("running_mean", "running_var")


def _eps(attributes: Attributes) -> float:
    # rms_norm may have none, which is the least step of the format: that does not grow with the input.
    eps = attributes.get("eps", EPS)
    return EPS if eps is None else float(eps)


def _of_data(arrays: Arrays, attributes: Attributes) -> bool:
    """Whether the statistics are those of the input rather than given ones."""
    return bool(attributes.get("training", "running_mean" not in arrays) and attributes.get("use_input_stats", True))


def _affine(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    x, eps = first(arrays), _eps(attributes)
    dtype = x.dtype.type
    offset = dtype(0 if operator == "rms_norm" else 3)
    changed = {**arrays, "input": x * dtype(2) + offset}
    if "running_mean" in arrays:
        changed["running_mean"] = arrays["running_mean"] * dtype(2) + offset
        changed["running_var"] = arrays["running_var"] * dtype(4)
    return [
        Call(operator, {**arrays, "input": x}, {**attributes, "eps": eps}),
        Call(operator, changed, {**attributes, "eps": 4 * eps}),
    ]


def _by_itself(arrays: Arrays, attributes: Attributes) -> bool:
    """Whether every channel of every sample can be normalized by itself, from more than one value."""
    x = arrays["input"]
    return x.ndim > 2 and math.prod(x.shape[2:]) > 1 and _of_data(arrays, attributes)


def _instance(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    if not _by_itself(arrays, attributes):
        return ()
    given, eps = without(arrays, *RUNNING), {"eps": _eps(attributes)}
    channels = {"num_groups": arrays["input"].shape[1]}
    return [Call("instance_norm", given, eps), Call("group_norm", given, {**channels, **eps})]


def _single_batch(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    if not _by_itself(arrays, attributes):
        return ()
    x, eps = arrays["input"], {"eps": _eps(attributes)}
    merged = x.reshape(1, -1, *x.shape[2:])
    return [
        Call("instance_norm", {"input": x}, eps),
        Call("batch_norm", {"input": merged}, {**eps, "training": True}),
    ]


def _is_reshaped(arrays: Arrays, attributes: Attributes, outputs: Sequence[Array]) -> tuple[Array, Array]:
    return outputs[0].reshape(-1), outputs[1].reshape(-1)


def _one_group(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    x, eps = arrays["input"], {"eps": _eps(attributes)}
    features = math.prod(attributes["normalized_shape"])
    if features < 2 or x.size == 0:
        return ()
    rows = x.reshape(-1, features)
    return [
        Call("layer_norm", {"input": x}, {**attributes, **eps}),
        Call("group_norm", {"input": rows}, {"num_groups": 1, **eps}),
    ]


def _repetition(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    x = arrays["input"]
    if not _of_data(arrays, attributes) or (operator in ("instance_norm", "group_norm") and x.ndim < 3):
        return ()
    given, axis = without(arrays, *RUNNING), _repeated_axis(attributes)
    twice = {**given, "input": np.concatenate((x, x), axis)}
    changed: dict[str, Any] = dict(attributes)
    if "normalized_shape" in attributes:
        *others, last = attributes["normalized_shape"]
        changed["normalized_shape"] = (*others, 2 * last)
        twice |= {k: np.concatenate((v, v), -1) for k, v in given.items() if k != "input"}
    return [Call(operator, given, attributes), Call(operator, twice, changed)]


def _repeated_axis(attributes: Attributes) -> int:
    return 0 if "training" in attributes else -1


def _is_repeated(arrays: Arrays, attributes: Attributes, outputs: Sequence[Array]) -> tuple[Array, Array]:
    return np.concatenate((outputs[0], outputs[0]), _repeated_axis(attributes)), outputs[1]


def _parameters(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    if "weight" not in arrays:
        return ()
    doubled = {name: array + array if name in ("weight", "bias") else array for name, array in arrays.items()}
    return [Call(operator, arrays, attributes), Call(operator, doubled, attributes)]


def _is_double(arrays: Arrays, attributes: Attributes, outputs: Sequence[Array]) -> tuple[Array, Array]:
    return 2 * outputs[0], outputs[1]


def _translation(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    x = first(arrays)
    moved = {**arrays, "input": x + x.dtype.type(3)}
    return [Call(operator, {**arrays, "input": x}, attributes), Call(operator, moved, attributes)]


def _partition(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    x, dim = arrays["input"], attributes.get("dim", -1)
    if x.ndim == 0:
        return ()
    alone = {"input": np.take(x, [0], dim)}
    return [Call(operator, arrays, attributes), Call(operator, alone, attributes)]


def _is_whole(arrays: Arrays, attributes: Attributes, outputs: Sequence[Array]) -> tuple[Array, Array]:
    return outputs[0].sum(attributes.get("dim", -1), keepdims=True), outputs[1]


def _classes(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    x = arrays["input"]
    if x.ndim == 0:
        return ()
    if operator != "cross_entropy":
        turned = {"input": np.flip(x, attributes.get("dim", -1))}
        return [Call(operator, arrays, attributes), Call(operator, turned, attributes)]
    axis, target = 0 if x.ndim == 1 else 1, arrays["target"]
    turned = {**arrays, "input": np.flip(x, axis)}
    if "weight" in arrays:
        turned["weight"] = arrays["weight"][::-1]
    ignored, classes = attributes.get("ignore_index", -100), x.shape[axis]
    if target.dtype.kind != "i":
        turned["target"] = np.flip(target, axis)
    elif 0 <= ignored < classes:
        return ()  # which is told by its number
    else:
        turned["target"] = np.where(target == ignored, target, classes - 1 - target)
    return [Call(operator, arrays, attributes), Call(operator, turned, attributes)]


def _is_of_classes(arrays: Arrays, attributes: Attributes, outputs: Sequence[Array]) -> tuple[Array, Array]:
    if "target" in arrays:
        return outputs[0], outputs[1]
    return outputs[0], np.flip(outputs[1], attributes.get("dim", -1))


def _reduction(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    return [Call(operator, arrays, {**attributes, "reduction": reduction}) for reduction in ("sum", "none")]


def _is_total(arrays: Arrays, attributes: Attributes, outputs: Sequence[Array]) -> tuple[Array, Array]:
    return outputs[0], np.asarray(outputs[1].sum())


LAWS = (
    Law(
        "affine",
        "a norm is blind to a change of unit and of origin of its input, its eps in that unit too",
        NORMS,
        _affine,
        same,
    ),
    Law(
        "instance",
        "instance norm is group norm with as many groups as channels",
        ("instance_norm", "group_norm"),
        _instance,
        same,
    ),
    Law(
        "single_batch",
        "instance norm is batch norm of one sample whose channels are those of all",
        ("instance_norm",),
        _single_batch,
        _is_reshaped,
    ),
    Law("one_group", "layer norm is group norm with a single group", ("layer_norm",), _one_group, _is_reshaped),
    Law(
        "repetition", "what is normalized along with its own copy is normalized alike", NORMS, _repetition, _is_repeated
    ),
    Law("parameters", "twice the weight and the bias of a norm give twice the answer", NORMS, _parameters, _is_double),
    Law(
        "translation",
        "scores that are all higher by the same give the same answer",
        ("softmax", "log_softmax", "cross_entropy"),
        _translation,
        same,
    ),
    Law("partition", "probabilities add up to that of a class that is alone", ("softmax",), _partition, _is_whole),
    Law(
        "classes",
        "classes in reverse order give the answer in that order",
        ("softmax", "log_softmax", "cross_entropy"),
        _classes,
        _is_of_classes,
    ),
    Law("reduction", "a sum of losses is the sum of those of all positions", ("cross_entropy",), _reduction, _is_total),
)
