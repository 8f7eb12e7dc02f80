"""ONNX's backend node tests: one node each, with inputs, outputs, and the tolerances that its runner uses."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.backend.test.case.node import collect_testcases

from oracles.samples import Array, Sample

NAME, VERSION = "ONNX node tests", onnx.__version__
DTYPES = ("float32",)  # few of them have another, which is then that of their arrays
Attributes = dict[str, Any]
Call = tuple[str, dict[str, Any]] | None


class Node(NamedTuple):
    """The arrays of a node in their order (None: left out), its attributes, and how many outputs it has."""

    inputs: list[Any]
    given: Attributes
    outputs: int


Reader = Callable[[Node], Call]


def _windows(rank: int, given: Attributes) -> dict[str, Any]:
    """Return window attributes by our names."""
    named = {"strides": "stride", "dilations": "dilation", "group": "groups", "ceil_mode": "ceil_mode"}
    call = {ours: _plain(given[name]) for name, ours in named.items() if name in given}
    auto = given.get("auto_pad", b"NOTSET").decode()
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        call["padding"] = auto.lower()
    elif "pads" in given:
        call["padding"] = tuple(zip(given["pads"][:rank], given["pads"][rank:], strict=True))
    return {**call, "ceil_mode": True} if call.pop("ceil_mode", 0) else call


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _named(*names: str) -> Callable[[list[Array | None]], dict[str, Array]]:
    return lambda inputs: {name: array for name, array in zip(names, inputs, strict=False) if array is not None}


def _conv(node: Node) -> Call:
    rank = node.inputs[0].ndim - 2
    return f"conv{rank}d", {**_named("input", "weight", "bias")(node.inputs), **_windows(rank, node.given)}


def _conv_transpose(node: Node) -> Call:
    rank = node.inputs[0].ndim - 2
    call = {**_named("input", "weight", "bias")(node.inputs), **_windows(rank, node.given)}
    sizes = {ours: _plain(node.given[name]) for name, ours in _SIZES.items() if name in node.given}
    return f"conv_transpose{rank}d", {**call, **sizes}


_SIZES = {"output_padding": "output_padding", "output_shape": "output_size"}


def _pool(kind: str) -> Reader:
    def pool(node: Node) -> Call:
        rank = node.inputs[0].ndim - 2
        call = {"input": node.inputs[0], "kernel_size": _plain(node.given["kernel_shape"]), "stride": 1}
        call |= _windows(rank, node.given)
        if kind == "avg_pool":
            call["count_include_pad"] = bool(node.given.get("count_include_pad", 0))
        if kind == "lp_pool":
            call["norm_type"] = float(node.given.get("p", 2))
        return f"{kind}{rank}d", call | ({"return_indices": True} if node.outputs > 1 else {})

    return pool


def _global(kind: str) -> Reader:
    return lambda node: (f"{kind}{node.inputs[0].ndim - 2}d", {"input": node.inputs[0], "output_size": 1})


def _max_unpool(node: Node) -> Call:
    rank, (x, indices) = node.inputs[0].ndim - 2, node.inputs[:2]
    if len(node.inputs) > 2:
        return None
    call = {"input": x, "kernel_size": _plain(node.given["kernel_shape"]), **_windows(rank, node.given)}
    size = math.prod(
        (n - 1) * s + k for n, s, k in zip(x.shape[2:], node.given["strides"], node.given["kernel_shape"], strict=True)
    )
    return f"max_unpool{rank}d", {**call, "indices": indices % size}


def _batch_norm(node: Node) -> Call:
    call: dict[str, Any] = _named("input", "weight", "bias", "running_mean", "running_var")(node.inputs)
    call |= {"training": True, "running_variance": "biased"} if node.given.get("training_mode") else {}
    call |= {"momentum": 1 - node.given.get("momentum", 0.9), "eps": node.given.get("epsilon", 1e-5)}
    return "batch_norm", call


def _norm(operator: str, **fixed: str) -> Reader:
    def norm(node: Node) -> Call:
        call: dict[str, Any] = _named("input", "weight", "bias")(node.inputs)
        if operator in ("layer_norm", "rms_norm"):
            axis = node.given.get("axis", -1)
            call["normalized_shape"] = node.inputs[0].shape[axis:]
        call |= {ours: node.given[name] for name, ours in fixed.items() if name in node.given}
        return operator, {**call, "eps": node.given.get("epsilon", 1e-5)}

    return norm


def _elementwise(operator: str, **fixed: str) -> Reader:
    def call(node: Node) -> Call:
        attributes = {ours: node.given[name] for name, ours in fixed.items() if name in node.given}
        texts = {name: value.decode() if isinstance(value, bytes) else value for name, value in attributes.items()}
        return operator, {"input": node.inputs[0], **texts}

    return call


def _hard_sigmoid(node: Node) -> Call:
    return ("hardsigmoid", {"input": node.inputs[0]}) if abs(node.given.get("alpha", 0.2) - 1 / 6) < 1e-6 else None


def _prelu(node: Node) -> Call:
    x, slope = node.inputs
    return ("prelu", {"input": x, "weight": slope.ravel()}) if slope.size == 1 else None


def _gemm(node: Node) -> Call:
    a, b, *c = node.inputs
    if node.given.get("alpha", 1.0) != 1 or node.given.get("beta", 1.0) != 1 or (c and c[0].ndim != 1):
        return None
    call = {"input": a.T if node.given.get("transA") else a, "weight": b if node.given.get("transB") else b.T}
    return "linear", {**call, **({"bias": c[0]} if c else {})}


def _matmul(node: Node) -> Call:
    return ("linear", {"input": node.inputs[0], "weight": node.inputs[1].T}) if node.inputs[1].ndim == 2 else None


def _pad(node: Node) -> Call:
    x, pads, value, axes = (*node.inputs, None, None)[:4]
    mode = {"edge": "replicate", "wrap": "circular"}.get(*[node.given.get("mode", b"constant").decode()] * 2)
    places = range(x.ndim) if axes is None else [int(a) % x.ndim for a in axes]
    sides = dict(zip(places, zip(pads[: len(pads) // 2], pads[len(pads) // 2 :], strict=True), strict=True))
    flat = [int(n) for axis in reversed(range(x.ndim)) for n in sides.get(axis, (0, 0))]
    while mode != "constant" and flat[-2:] == [0, 0]:
        del flat[-2:]
    return "pad", {"input": x, "pad": tuple(flat), "mode": mode} | (
        {} if value is None or mode != "constant" else {"value": float(value)}
    )


def _depth_to_space(node: Node) -> Call:
    crd = node.given.get("mode", b"DCR") == b"CRD"
    return ("pixel_shuffle", {"input": node.inputs[0], "upscale_factor": node.given["blocksize"]}) if crd else None


def _col2im(node: Node) -> Call:
    x, size, kernel = node.inputs
    call = {"input": x, "output_size": tuple(map(int, size)), "kernel_size": tuple(map(int, kernel)), "rank": len(size)}
    return "fold", {**call, **_windows(len(size), node.given)}


def _flatten(node: Node) -> Call:
    return ("flatten", {"input": node.inputs[0], "start_dim": 1}) if node.given.get("axis", 1) == 1 else None


READERS: dict[str, Reader] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "MaxPool": _pool("max_pool"),
    "AveragePool": _pool("avg_pool"),
    "LpPool": _pool("lp_pool"),
    "GlobalAveragePool": _global("adaptive_avg_pool"),
    "GlobalMaxPool": _global("adaptive_max_pool"),
    "MaxUnpool": _max_unpool,
    "BatchNormalization": _batch_norm,
    "InstanceNormalization": _norm("instance_norm"),
    "GroupNormalization": _norm("group_norm", num_groups="num_groups"),
    "LayerNormalization": _norm("layer_norm"),
    "RMSNormalization": _norm("rms_norm"),
    "LRN": _elementwise("local_response_norm", size="size", alpha="alpha", beta="beta", bias="k"),
    "Relu": _elementwise("relu"),
    "LeakyRelu": _elementwise("leaky_relu", alpha="negative_slope"),
    "Elu": _elementwise("elu", alpha="alpha"),
    "Celu": _elementwise("celu", alpha="alpha"),
    "Selu": _elementwise("selu"),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _elementwise("hardswish"),
    "Sigmoid": _elementwise("sigmoid"),
    "Tanh": _elementwise("tanh"),
    "Softplus": _elementwise("softplus"),
    "Softsign": _elementwise("softsign"),
    "Gelu": _elementwise("gelu", approximate="approximate"),
    "Mish": _elementwise("mish"),
    "Swish": _elementwise("silu"),
    "PRelu": _prelu,
    "Softmax": lambda node: ("softmax", {"input": node.inputs[0], "dim": node.given.get("axis", -1)}),
    "LogSoftmax": lambda node: ("log_softmax", {"input": node.inputs[0], "dim": node.given.get("axis", -1)}),
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Pad": _pad,
    "DepthToSpace": _depth_to_space,
    "Col2Im": _col2im,
    "Flatten": _flatten,
}


@cache
def _tests() -> list[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = collect_testcases(None)
    return [test for test in found if len(test.model.graph.node) == 1 and test.model.graph.node[0].op_type in READERS]


def samples(operator: str, dtype: str) -> Iterator[Sample]:  # noqa: ARG001  (as of any oracle)
    """Yield the node tests of an operator."""
    return (sample for sample in _all() if sample.operator == operator)


@cache
def _all() -> list[Sample]:
    return [sample for test in _tests() for sample in _samples(test)]


def _samples(test: Any) -> Iterator[Sample]:
    node = test.model.graph.node[0]
    given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    absolute, relative = (value for name, value in sorted(vars(test).items()) if name.endswith("tol"))
    for inputs, outputs in test.data_sets:
        arrays = iter(map(_array, inputs))
        read = READERS[node.op_type](Node([next(arrays) if name else None for name in node.input], given, len(outputs)))
        if read is not None:
            operator, call = read
            yield Sample(operator, call, tuple(_expected(operator, outputs, call)), (absolute, relative))


def _array(value: Any) -> Array:
    return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else np.asarray(value)


def _expected(operator: str, outputs: list[Any], call: dict[str, Any]) -> Iterator[Array | None]:
    """Yield the outputs that the operator has by our conventions too: indices count within a plane."""
    arrays = list(map(_array, outputs))
    if operator.endswith("_norm") and operator != "batch_norm":
        arrays = arrays[:1]
    for place, array in enumerate(arrays):
        planes = operator.startswith("max_pool") and place == 1
        yield array % math.prod(call["input"].shape[2:]) if planes else array
