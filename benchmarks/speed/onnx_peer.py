"""ONNX's ReferenceEvaluator: one model of one node for every call, made before the clock runs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import helper
from onnx.reference import ReferenceEvaluator

from speed.calls import Array, Call

NAME, VERSION = "onnx", onnx.__version__
# Attributes of ONNX are float32 (an epsilon of 1e-5 is another number there), and some functions cast to it.
PRECISION = 16 * float(np.finfo(np.float32).eps)
GROUPS = "onnx writes one channel a group"
MAXIMUM = "onnx reduces axes (rank, rank + 1), which are the spatial ones in two dimensions only"
WRONG = {
    "conv_transpose2d, 2 groups": GROUPS,
    "conv_transpose2d, depthwise": "onnx gives every group the bias of the first",
    "adaptive_max_pool1d, to 1": MAXIMUM,
    "adaptive_max_pool3d, to 1": MAXIMUM,
    "local_response_norm": "onnx loops over the samples where it should over the channels",
}


class Node(NamedTuple):
    """An operator of ONNX, its inputs, and its attributes."""

    operator: str
    inputs: tuple[Array | None, ...]
    attributes: dict[str, Any] = {}  # noqa: RUF012  # nobody writes to it
    outputs: int = 1


def _per_axis(rank: int, **numbers: int) -> dict[str, list[int]]:
    """Return attributes in ONNX's spelling, from one number each for all axes."""
    names = {"kernel_size": "kernel_shape", "stride": "strides", "dilation": "dilations", "padding": "pads"}
    return {names[n]: [value] * (2 * rank if n == "padding" else rank) for n, value in numbers.items()}


def _convolution(operator: str) -> Callable[..., Node]:
    def node(input: Array, weight: Array, bias: Array, groups: int = 1, **numbers: int) -> Node:
        rank = input.ndim - 2
        return Node(operator, (input, weight, bias), {"group": groups, **_per_axis(rank, kernel_size=3, **numbers)})

    return node


def _max_pool(input: Array, return_indices: bool = False, **numbers: int) -> Node:
    return Node("MaxPool", (input,), _per_axis(input.ndim - 2, **numbers), 1 + return_indices)


def _avg_pool(input: Array, **numbers: int) -> Node:
    return Node("AveragePool", (input,), {"count_include_pad": 1, **_per_axis(input.ndim - 2, **numbers)})


def _lp_pool(input: Array, norm_type: float, **numbers: int) -> Node:
    return Node("LpPool", (input,), {"p": int(norm_type), **_per_axis(input.ndim - 2, **numbers)})


def _global_pool(operator: str) -> Callable[..., Node | None]:
    return lambda input, output_size: Node(operator, (input,)) if output_size == 1 else None


def _max_unpool(input: Array, indices: Array, kernel_size: int) -> Node:
    rank = input.ndim - 2
    planes = np.arange(math.prod(input.shape[:2])).reshape(*input.shape[:2], *[1] * rank)
    everywhere = indices + planes * math.prod(n * kernel_size for n in input.shape[2:])  # ours are within a plane
    return Node("MaxUnpool", (input, everywhere), _per_axis(rank, kernel_size=kernel_size, stride=kernel_size))


def _batch_norm(training: bool = False, **arrays: Array) -> Node:
    inputs = tuple(arrays[name] for name in ("input", "weight", "bias", "running_mean", "running_var"))
    return Node("BatchNormalization", inputs, {"training_mode": int(training)}, 3 if training else 1)


def _group_norm(input: Array, weight: Array, bias: Array, num_groups: int) -> Node:
    return Node("GroupNormalization", (input, weight, bias), {"num_groups": num_groups})


def _layer_norm(input: Array, weight: Array, bias: Array, normalized_shape: tuple[int, ...]) -> Node:
    return Node("LayerNormalization", (input, weight, bias), {"axis": -len(normalized_shape)})


def _rms_norm(input: Array, weight: Array, normalized_shape: tuple[int, ...], eps: float) -> Node:
    return Node("RMSNormalization", (input, weight), {"axis": -len(normalized_shape), "epsilon": eps})


def _clip(low: float, high: float) -> Callable[..., Node]:
    return lambda input: Node("Clip", (input, np.float64(low), np.float64(high)))


def _softmax(operator: str) -> Callable[..., Node]:
    return lambda input, dim: Node(operator, (input,), {"axis": dim})


def _pad(input: Array, pad: tuple[int, ...], mode: str) -> Node:
    low, high = (0, 0, *pad[-2::-2]), (0, 0, *pad[-1::-2])
    name = {"replicate": "edge", "circular": "wrap"}.get(mode, mode)
    return Node("Pad", (input, np.array(low + high)), {"mode": name})


def _fold(input: Array, output_size: tuple[int, int], kernel_size: int, padding: int) -> Node:
    kernel = np.array([kernel_size] * 2)
    return Node("Col2Im", (input, np.array(output_size), kernel), {"pads": [padding] * 4})


def _elementwise(operator: str, **attributes: Any) -> Callable[..., Node]:
    return lambda input: Node(operator, (input,), attributes)


NODES: dict[str, Callable[..., Node | None]] = {
    "batch_norm": _batch_norm,
    "celu": _elementwise("Celu", alpha=1.0),
    "cross_entropy": lambda input, target: Node("SoftmaxCrossEntropyLoss", (input, target)),
    "elu": _elementwise("Elu"),
    "flatten": lambda input, start_dim: Node("Flatten", (input,), {"axis": start_dim}),
    "fold": _fold,
    "gelu": lambda input, approximate="none": Node("Gelu", (input,), {"approximate": approximate}),
    "group_norm": _group_norm,
    "hardsigmoid": _elementwise("HardSigmoid", alpha=1 / 6, beta=0.5),
    "hardswish": _elementwise("HardSwish"),
    "hardtanh": _clip(-1, 1),
    "instance_norm": lambda input, weight, bias: Node("InstanceNormalization", (input, weight, bias)),
    "layer_norm": _layer_norm,
    "leaky_relu": _elementwise("LeakyRelu"),
    "linear": lambda input, weight, bias: Node("Gemm", (input, weight, bias), {"transB": 1}),
    "local_response_norm": lambda input, size: Node("LRN", (input,), {"size": size}),
    "log_softmax": _softmax("LogSoftmax"),
    "mish": _elementwise("Mish"),
    "pad": _pad,
    "pixel_shuffle": lambda input, upscale_factor: Node(
        "DepthToSpace", (input,), {"blocksize": upscale_factor, "mode": "CRD"}
    ),
    "prelu": lambda input, weight: Node("PRelu", (input, weight[:, None, None])),
    "relu": _elementwise("Relu"),
    "relu6": _clip(0, 6),
    "rms_norm": _rms_norm,
    "selu": _elementwise("Selu"),
    "sigmoid": _elementwise("Sigmoid"),
    "silu": _elementwise("Swish"),
    "softmax": _softmax("Softmax"),
    "softplus": _elementwise("Softplus"),
    "softsign": _elementwise("Softsign"),
    "tanh": _elementwise("Tanh"),
}
for _rank in (1, 2, 3):
    NODES |= {
        f"conv{_rank}d": _convolution("Conv"),
        f"conv_transpose{_rank}d": _convolution("ConvTranspose"),
        f"max_pool{_rank}d": _max_pool,
        f"avg_pool{_rank}d": _avg_pool,
        f"lp_pool{_rank}d": _lp_pool,
        f"adaptive_avg_pool{_rank}d": _global_pool("GlobalAveragePool"),
        f"adaptive_max_pool{_rank}d": _global_pool("GlobalMaxPool"),
        f"max_unpool{_rank}d": _max_unpool,
    }


def answerer(call: Call) -> Callable[[], Array] | None:
    """Return what answers the call, or None where ONNX has no such operator."""
    make = NODES.get(call.name)
    node = make(**call.arrays, **call.attributes) if make else None
    if node is None:
        return None
    feeds = {f"x{i}": np.asarray(array) for i, array in enumerate(node.inputs)}
    outputs = [f"y{i}" for i in range(node.outputs)]
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
        for name, array in feeds.items()
    ]
    results = [helper.make_tensor_value_info(name, onnx.TensorProto.DOUBLE, None) for name in outputs]
    graph = helper.make_graph(
        [helper.make_node(node.operator, list(feeds), outputs, **node.attributes)], "one", inputs, results
    )
    evaluator = ReferenceEvaluator(helper.make_model(graph))
    return lambda: evaluator.run(None, feeds)[0]
