"""The references of TVM's own tests, `tvm.topi.testing`: loops over planes that call scipy, and plain NumPy."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import tvm
from tvm.topi import testing

from speed.calls import Array, Call

NAME, VERSION = "tvm", f"{tvm.__version__} (topi.testing)"
PRECISION = 16 * float(np.finfo(np.float32).eps)  # its group, layer and RMS norm cast to float32
WRONG: dict[str, str] = {}
LAYOUTS = ("NCW", "NCHW", "NCDHW")


def _biased(result: Array, bias: Array) -> Array:
    return np.asarray(result + bias.reshape(-1, *[1] * (result.ndim - 2)))


def _conv(input: Array, weight: Array, bias: Array, padding: int, stride: int = 1, groups: int = 1) -> Array:
    if input.ndim == 3:
        return _biased(testing.conv1d_ncw_python(input, weight, stride, padding, 1), bias)
    function = testing.conv2d_nchw_python if input.ndim == 4 else testing.conv3d_ncdhw_python
    return _biased(function(input, weight, stride, padding, groups), bias)


def _conv_transpose(input: Array, weight: Array, bias: Array, padding: int, stride: int = 1, groups: int = 1) -> Array:
    if input.ndim == 3:
        return _biased(testing.conv1d_transpose_ncw_python(input, weight, stride, padding, (0,)), bias)
    planes = input.ndim == 4
    function = testing.conv2d_transpose_nchw_python if planes else testing.conv3d_transpose_ncdhw_python
    return _biased(function(input, weight, stride, padding, 0, groups), bias)


def _pool(kind: str, input: Array, kernel_size: int, stride: int, padding: int) -> Array:
    each = [(n,) * (input.ndim - 2) for n in (kernel_size, stride, 1, padding, padding)]
    answer = testing.poolnd_python(input, *each, kind, kind == "avg", dtype="float64")
    return np.asarray(answer)


def _adaptive_pool(kind: str, input: Array, output_size: int) -> Array:
    rank = input.ndim - 2
    return np.asarray(testing.adaptive_pool(input, (output_size,) * rank, kind, LAYOUTS[rank - 1]))


def _batch_norm(
    input: Array, running_mean: Array, running_var: Array, weight: Array, bias: Array, training: bool = False
) -> Array:
    statistics = running_mean, running_var
    answer = testing.batch_norm(input, weight, bias, *statistics, 1, 1e-5, True, True, training, 0.1)
    return np.asarray(answer[0])


def _instance_norm(input: Array, weight: Array, bias: Array) -> Array:
    return np.asarray(testing.instance_norm_python(input, weight[:, None, None], bias[:, None, None], (2, 3)))


def _group_norm(input: Array, weight: Array, bias: Array, num_groups: int) -> Array:
    return np.asarray(testing.group_norm_python(input, weight, bias, num_groups, 1, [2, 3]))


def _layer_norm(input: Array, weight: Array, bias: Array, normalized_shape: tuple[int, ...]) -> Array:
    return np.asarray(testing.layer_norm_python(input, weight, bias, tuple(range(-len(normalized_shape), 0))))


def _rms_norm(input: Array, weight: Array, normalized_shape: tuple[int, ...], eps: float) -> Array:
    return np.asarray(testing.rms_norm_python(input, weight, tuple(range(-len(normalized_shape), 0)), eps))


ANSWERS: dict[str, Callable[..., Any]] = {
    "batch_norm": _batch_norm,
    "group_norm": _group_norm,
    "instance_norm": _instance_norm,
    "layer_norm": _layer_norm,
    "linear": lambda input, weight, bias: testing.dense(input, weight, bias, use_bias=True),
    "local_response_norm": lambda input, size: testing.lrn_python(input, size, 1, 1.0, 1e-4, 0.75),
    "log_softmax": lambda input, dim: testing.log_softmax_python(input, dim),
    "rms_norm": _rms_norm,
    "softmax": lambda input, dim: testing.softmax_python(input, dim),
}
for _rank in (1, 2, 3):
    ANSWERS |= {
        f"conv{_rank}d": _conv,
        f"conv_transpose{_rank}d": _conv_transpose,
        f"max_pool{_rank}d": partial(_pool, "max"),
        f"avg_pool{_rank}d": partial(_pool, "avg"),
        f"adaptive_max_pool{_rank}d": partial(_adaptive_pool, "max"),
        f"adaptive_avg_pool{_rank}d": partial(_adaptive_pool, "avg"),
    }


def answerer(call: Call) -> Callable[[], Any] | None:
    """Return what answers the call, or None where there is nothing that does."""
    if call.name not in ANSWERS or not {"dilation", "return_indices"}.isdisjoint(call.attributes):
        return None
    return partial(ANSWERS[call.name], **call.arrays, **call.attributes)
