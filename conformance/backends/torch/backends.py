"""PyTorch, on the CPU and on CUDA devices."""

from __future__ import annotations

from functools import partial
from typing import Any

from conformance.backends.torch import activation, convolution, normalization, pooling, shapes
from conformance.backends.torch.bindings import bindings, cuda_bindings
from conformance.backends.torch.scripts import script
from conformance.backends.torch.tensors import LAYOUTS, from_numpy, to_numpy, vjp
from conformance.formats import DTYPES
from conformance.model import Arithmetic, Backend, Case

FAMILIES = (convolution, pooling, normalization, activation, shapes)
CPU_DECLARATIONS = tuple(declaration for family in FAMILIES for declaration in family.DECLARATIONS)


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

    bindings()  # which settles the number of threads
    device = torch.cuda.get_device_name() if cuda else torch.backends.cpu.get_cpu_capability()
    return f"torch {torch.__version__}, {device}, threads: {torch.get_num_threads()}"


def _device(tensor: Any) -> object:
    return tensor.device


def _clear(tensor: Any) -> None:
    tensor.untyped_storage().fill_(0)  # all of it, whatever part of it the tensor shows


def _threads(count: int) -> int:
    import torch

    before: int = torch.get_num_threads()
    torch.set_num_threads(count)
    return before


def _cpu_arithmetic(case: Case) -> Arithmetic:
    """Return what torch was measured to do; what no family knows better is the usual."""
    known = (family.arithmetic(case) for family in FAMILIES)
    return next((arithmetic for arithmetic in known if arithmetic is not None), Arithmetic.of(case.dtype))


def _cuda_arithmetic(case: Case, tf32: bool) -> Arithmetic:
    """Return what CUDA's libraries document: tensor cores align and truncate, statistics are updated (Welford)."""
    if case.operator in ("batch_norm", "instance_norm", "group_norm", "layer_norm"):
        return Arithmetic.of(case.dtype, variance="updating")
    if case.dtype == "float32" and tf32:
        return Arithmetic.of(case.dtype, input_bits=11, truncating=True)
    return Arithmetic.of(case.dtype, truncating=case.dtype in ("float16", "bfloat16"))


BACKENDS = (
    Backend(
        name="torch-cpu",
        bindings=bindings,
        from_numpy=from_numpy,
        to_numpy=to_numpy,
        arithmetic=_cpu_arithmetic,
        unavailable=_no_torch,
        declarations=CPU_DECLARATIONS,
        about=partial(_about, cuda=False),
        vjp=vjp,
        layouts=LAYOUTS,
        threads=_threads,
        device=_device,
        clear=_clear,
        script=script,
    ),
    *(
        Backend(
            name=f"torch-cuda{'-tf32' if tf32 else ''}",
            bindings=partial(cuda_bindings, tf32),
            from_numpy=partial(from_numpy, device="cuda"),
            to_numpy=to_numpy,
            dtypes=("float32",) if tf32 else DTYPES,
            arithmetic=partial(_cuda_arithmetic, tf32=tf32),
            unavailable=_no_cuda,
            about=partial(_about, cuda=True),
            vjp=vjp,
            layouts=LAYOUTS,
            device=_device,
            clear=_clear,
            script=partial(script, tf32=tf32),
        )
        for tf32 in (False, True)
    ),
)
