"""The functions of torch by our names; almost all are those of torch.nn.functional themselves."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cache, wraps
from typing import Any

_RANKS = (1, 2, 3)
OPERATORS = (
    *(f"{kind}{rank}d" for kind in ("conv", "conv_transpose", "max_pool", "avg_pool", "lp_pool") for rank in _RANKS),
    *(f"{kind}{rank}d" for kind in ("adaptive_avg_pool", "adaptive_max_pool", "max_unpool") for rank in _RANKS),
    *("group_norm", "layer_norm", "rms_norm", "local_response_norm"),
    *("celu", "elu", "gelu", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "logsigmoid", "mish", "prelu"),
    *("relu", "relu6", "selu", "sigmoid", "silu", "softplus", "softsign", "tanh", "softmax", "log_softmax"),
    *("cross_entropy", "linear", "pad", "unfold", "fold", "pixel_shuffle", "pixel_unshuffle"),
)


@cache
def bindings() -> Mapping[str, Callable[..., Any]]:
    """Return the bindings on the CPU."""
    import torch
    import torch.nn.functional as F

    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)  # on small cases a second thread spins for longer than the first one computes

    def with_statistics(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(input: Any, running_mean: Any = None, running_var: Any = None, **attributes: Any) -> Any:
            # torch writes the running statistics in place: copies of them are part of the answer.
            kept = [None if part is None else part.clone() for part in (running_mean, running_var)]
            return function(input, *kept, **attributes), *kept

        return call

    def fractional(rank: int) -> Callable[..., Any]:
        function = getattr(F, f"fractional_max_pool{rank}d")

        def call(input: Any, kernel_size: Any, random_samples: Any = None, **attributes: Any) -> Any:
            return function(input, kernel_size, _random_samples=random_samples, **attributes)

        return call

    return {
        **{name: getattr(F, name) for name in OPERATORS},
        "flatten": torch.flatten,
        "batch_norm": with_statistics(F.batch_norm),
        "instance_norm": with_statistics(F.instance_norm),
        **{f"fractional_max_pool{rank}d": fractional(rank) for rank in (2, 3)},
    }


@cache
def cuda_bindings(tf32: bool) -> Mapping[str, Callable[..., Any]]:
    """Return the bindings on a CUDA device, with the arithmetic that was asked for."""
    import torch

    def at(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def call(**arguments: Any) -> Any:
            # Global switches, set at every call: another backend of this process may want them otherwise.
            torch.backends.cudnn.allow_tf32 = tf32
            torch.backends.cuda.matmul.allow_tf32 = tf32
            torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False
            torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
            return function(**arguments)

        return call

    return {name: at(function) for name, function in bindings().items()}
