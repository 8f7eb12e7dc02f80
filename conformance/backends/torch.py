"""PyTorch, on the CPU and on CUDA devices."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from functools import cache, partial, wraps
from typing import Any

import numpy as np

from conformance.formats import DTYPES, Array, numpy_dtype
from conformance.model import Arithmetic, Backend, Case, Declaration, Outcome

OPERATORS = (
    *(f"{kind}{rank}d" for kind in ("conv", "conv_transpose", "max_pool", "avg_pool") for rank in (1, 2, 3)),
    *("linear", "pad", "relu"),
)


@cache
def _bindings() -> Mapping[str, Callable[..., Any]]:
    import torch
    import torch.nn.functional as F

    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)  # on small cases a second thread spins for longer than the first one computes

    def batch_norm(
        input: Any, running_mean: Any = None, running_var: Any = None, **attributes: Any
    ) -> tuple[Any, Any, Any]:
        # torch writes the running statistics in place; the arrays are this call's own, so they are the answer.
        return F.batch_norm(input, running_mean, running_var, **attributes), running_mean, running_var

    return {name: getattr(F, name) for name in OPERATORS} | {"batch_norm": batch_norm}


@cache
def _cuda_bindings(tf32: bool) -> Mapping[str, Callable[..., Any]]:
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

    return {name: at(function) for name, function in _bindings().items()}


def _from_numpy(array: Array, device: str = "cpu") -> Any:
    import torch

    if array.dtype == numpy_dtype("bfloat16"):
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16).to(device)
    return torch.from_numpy(array).to(device)


def _to_numpy(tensor: Any) -> Array:
    import torch

    tensor = tensor.detach().cpu()
    if tensor.dtype == torch.bfloat16:
        bits: Array = tensor.view(torch.int16).numpy()
        return bits.view(numpy_dtype("bfloat16"))
    array: Array = tensor.numpy()
    return array


def _no_torch() -> str | None:
    try:
        import torch  # noqa: F401  (only to know whether it is there)
    except ImportError as error:
        return f"torch cannot be imported ({error}); pip install 'convformance[torch]'"
    return None


def _no_cuda() -> str | None:
    missing = _no_torch()
    if missing is not None:
        return missing
    import torch

    return None if torch.cuda.is_available() else "torch sees no CUDA device"


def _about(cuda: bool) -> str:
    import torch

    _bindings()  # which settles the number of threads
    device = torch.cuda.get_device_name() if cuda else torch.backends.cpu.get_cpu_capability()
    return f"torch {torch.__version__}, {device}, threads: {torch.get_num_threads()}"


def _cpu_arithmetic(case: Case) -> Arithmetic:
    """Return what torch was measured to do: half formats accumulate in float32, but for two operators."""
    if case.dtype in ("float16", "bfloat16"):
        if case.operator.startswith("conv_transpose"):
            # Kernel taps are added up in the output format, and the bias after them.
            return Arithmetic.of(case.dtype, partials=math.prod(case.inputs["weight"].shape[2:]) + 1)
        if case.operator == "batch_norm":
            # The mean, eps, the square root and its reciprocal are each kept in the format of the input.
            return Arithmetic.of(case.dtype, partials=3)
    return Arithmetic.of(case.dtype)


def _cuda_arithmetic(case: Case, tf32: bool) -> Arithmetic:
    """Return what CUDA's libraries document: tensor cores align and truncate, statistics are updated (Welford)."""
    if case.operator == "batch_norm":
        return Arithmetic.of(case.dtype, variance="updating")
    if case.dtype == "float32" and tf32:
        return Arithmetic.of(case.dtype, input_bits=11, truncating=True)
    return Arithmetic.of(case.dtype, truncating=case.dtype in ("float16", "bfloat16"))


def _channels(case: Case) -> int:
    """Return how many input channels a group of a convolution has."""
    weight = case.inputs["weight"].shape
    groups: int = case.attributes.get("groups", 1)
    return weight[0] // groups if case.operator.startswith("conv_transpose") else weight[1]


def _along(case: Case, name: str, default: Any) -> tuple[int, ...]:
    """Return an attribute as one number for each spatial axis."""
    value = case.attributes.get(name, default)
    return value if isinstance(value, tuple) else (value,) * (len(case.inputs["input"].shape) - 2)


def _pools_nothing(case: Case) -> bool:
    """Whether indices are asked for and some window has all of its taps on padding, between which the input lies."""
    if not case.attributes.get("return_indices"):
        return False
    kernel = _along(case, "kernel_size", None)
    axes = zip(
        case.inputs["input"].shape[2:],
        kernel,
        _along(case, "stride", kernel),
        _along(case, "padding", 0),
        _along(case, "dilation", 1),
        strict=True,
    )
    ceil = bool(case.attributes.get("ceil_mode"))
    return any(
        all(not 0 <= start + t * d < n for t in range(k))
        for n, k, s, p, d in axes
        for start in range(-p, n + p - d * (k - 1) + (s - 1) * ceil, s)  # where a window starts, and no further
        if start < n
    )


def _bfloat16_dot_products() -> bool:
    """Whether this processor has the bfloat16 dot product that oneDNN uses where it can."""
    import torch

    return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)())


_CONV = ("conv1d", "conv2d", "conv3d")
_CONV_TRANSPOSE = ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")

CPU_DECLARATIONS = (
    Declaration(
        Outcome.DEVIATES,
        operators=_CONV,
        applies=lambda case: _channels(case) == 0,
        reason="without input channels the output has no channels either, where the weight has some",
        link="https://github.com/pytorch/pytorch/issues/101356",
        date="2026-11-21",
        witness="conv2d(input=ramp(float32[1,0,3,3]), weight=ramp(float32[2,0,3,3]))",
        checks=("sizes",),
    ),
    Declaration(
        Outcome.UNSUPPORTED,
        operators=_CONV_TRANSPOSE,
        applies=lambda case: _channels(case) == 0,
        reason="a transposed convolution without input channels is refused",
        link="https://github.com/pytorch/pytorch/issues/56998",
        date="2026-11-21",
        witness="conv_transpose2d(input=ramp(float32[1,0,3,3]), weight=ramp(float32[0,2,3,3]))",
        checks=("sizes",),
    ),
    Declaration(
        Outcome.DEVIATES,
        operators=_CONV + _CONV_TRANSPOSE,
        applies=lambda case: (
            case.dtype == "bfloat16"
            and _channels(case) % 2 == 1
            and case.inputs["input"].kind in ("nans", "infinities")
        ),
        reason="with an odd number of input channels a NaN or an infinity reaches outputs whose windows do not hold it",
        link="https://github.com/pytorch/pytorch/issues/157237",
        date="2026-11-21",
        witness="conv2d(input=nans(bfloat16[2,1,1,3]), weight=integers(bfloat16[2,1,1,1], seed=1, scale=2), "
        "stride=(1, 2))",
        checks=("special",),
        here=_bfloat16_dot_products,
    ),
    Declaration(
        Outcome.DEVIATES,
        operators=_CONV_TRANSPOSE,
        applies=lambda case: 0 in _along(case, "dilation", 1),
        reason="dilation 0 is accepted on some paths, where others refuse it",
        link="https://github.com/pytorch/pytorch/issues/127732",
        date="2026-11-21",
        witness="conv_transpose2d(input=ramp(float32[1,2,1,1]), weight=ramp(float32[2,1,1,1]), groups=2, dilation=0)",
        checks=("rejections",),
    ),
    Declaration(
        Outcome.DEVIATES,
        operators=("max_pool1d", "max_pool2d", "max_pool3d"),
        applies=_pools_nothing,
        reason="a window whose taps all lie on padding reports an index beyond its input",
        link="https://github.com/pytorch/pytorch/blob/main/aten/src/ATen/native/cpu/MaxPoolKernel.cpp",
        date="2026-11-21",
        witness="max_pool2d(input=ramp(float32[2,1,1,1]), kernel_size=(1, 2), stride=1, padding=(0, 1), "
        "dilation=(1, 2), return_indices=True)",
    ),
    Declaration(
        Outcome.UNSUPPORTED,
        operators=("avg_pool3d",),
        applies=lambda case: case.dtype in ("float16", "bfloat16"),
        reason="there is no kernel for half formats",
        link="https://github.com/pytorch/pytorch/pull/176393",
        date="2026-11-21",
        witness="avg_pool3d(input=ramp(float16[1,1,1,1,1]), kernel_size=1)",
        checks=("values", "sizes", "rejections", "special"),
    ),
    Declaration(
        Outcome.DEVIATES,
        operators=("avg_pool3d",),
        applies=lambda case: any(
            k > n for k, n in zip(_along(case, "kernel_size", 1), case.inputs["input"].shape[2:], strict=True)
        ),
        reason="a kernel larger than its input is refused, although padding or ceil_mode makes it fit",
        link="https://github.com/pytorch/pytorch/blob/main/aten/src/ATen/native/Pool.h",
        date="2026-11-21",
        witness="avg_pool3d(input=ramp(float32[1,1,1,1,1]), kernel_size=(1, 1, 2), stride=1, padding=(0, 0, 1))",
        checks=("values", "sizes", "special"),
    ),
)


BACKENDS = (
    Backend(
        name="torch-cpu",
        bindings=_bindings,
        from_numpy=_from_numpy,
        to_numpy=_to_numpy,
        arithmetic=_cpu_arithmetic,
        unavailable=_no_torch,
        declarations=CPU_DECLARATIONS,
        about=partial(_about, cuda=False),
    ),
    *(
        Backend(
            name=f"torch-cuda{'-tf32' if tf32 else ''}",
            bindings=partial(_cuda_bindings, tf32),
            from_numpy=partial(_from_numpy, device="cuda"),
            to_numpy=_to_numpy,
            dtypes=("float32",) if tf32 else DTYPES,
            arithmetic=partial(_cuda_arithmetic, tf32=tf32),
            unavailable=_no_cuda,
            about=partial(_about, cuda=True),
        )
        for tf32 in (False, True)
    ),
)
