"""What is known of torch's pooling on the CPU: its arithmetic, and where it does otherwise."""

from __future__ import annotations

import math
from typing import Any

from conformance.model import Arithmetic, Case, Declaration, Outcome

HALF_FORMATS = ("float16", "bfloat16")


def _spatial(case: Case) -> tuple[int, ...]:
    """Return the spatial axes of the input, which may have no batch axis."""
    return case.inputs["input"].shape[-int(case.operator[-2]) :]


def _along(case: Case, name: str, default: Any) -> tuple[Any, ...]:
    """Return an attribute as one number for each spatial axis."""
    value = case.attributes.get(name, default)
    return value if isinstance(value, tuple) else (value,) * int(case.operator[-2])


def _pools_nothing(case: Case) -> bool:
    """Whether indices are asked for and some window has all of its taps on padding, between which the input lies."""
    if not case.attributes.get("return_indices"):
        return False
    kernel = _along(case, "kernel_size", None)
    axes = zip(
        _spatial(case),
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


def _roundings(case: Case) -> int:
    """Return how many times a gradient may be rounded: as often as windows have an element, or are divided by sizes."""
    size = _spatial(case)
    if "kernel_size" not in case.attributes:
        windows = zip(size, _along(case, "output_size", None), strict=True)
        return math.prod(-(-(o or n) // n) + 1 for n, o in windows) + len(size) - 1
    kernel = _along(case, "kernel_size", None)
    if case.operator.startswith("fractional"):
        return math.prod(k + 1 for k in kernel)
    steps = zip(kernel, _along(case, "stride", kernel), _along(case, "dilation", 1), strict=True)
    return math.prod(min(k, -(-(d * (k - 1) + 1) // s)) for k, s, d in steps)


def arithmetic(case: Case) -> Arithmetic | None:
    """Return what torch was measured to do where that is not the usual."""
    if case.dtype not in HALF_FORMATS or "pool" not in case.operator or "unpool" in case.operator:
        return None
    if case.operator == "adaptive_avg_pool3d" and not case.pulled:  # sums are kept in the format of the input
        return Arithmetic.of(case.dtype, partials=math.prod(_spatial(case)) + 3)
    if case.pulled:  # cotangents are added up in the format of the input
        return Arithmetic.of(case.dtype, partials=_roundings(case))
    if case.operator.startswith("lp_pool"):  # powers, means, sums and roots are layers of their own
        return Arithmetic.of(case.dtype, partials=4)
    return None


EVERY_CHECK = ("values", "sizes", "rejections", "special", "gradients", "layouts", "purity", "laws")
SOURCES = "https://github.com/pytorch/pytorch/blob/main/aten/src/ATen/native"


def _exceeds_its_input(case: Case) -> bool:
    return any(k > n for k, n in zip(_along(case, "kernel_size", 1), _spatial(case), strict=False))


def _finite_norm(case: Case) -> bool:
    return not math.isinf(case.attributes.get("norm_type", 2))


def _one_window_of_anything(case: Case) -> bool:
    """Whether one window is asked for of an input of another rank, or without elements."""
    size, shape, rank = case.attributes["output_size"], case.inputs["input"].shape, int(case.operator[-2])
    sizes = size if isinstance(size, tuple) else (size,) * rank
    one = len(sizes) == rank and all(
        o == 1 or (o is None and n == 1) for o, n in zip(sizes, shape[-rank:], strict=False)
    )
    return one and (len(shape) not in (rank + 1, rank + 2) or 0 in shape[-rank:])


def _fits_tightly(case: Case) -> bool:
    """Whether windows leave no room to move in, along some axis."""
    shape, given = _spatial(case), case.attributes
    kernel, output, ratio = (given.get(name) for name in ("kernel_size", "output_size", "output_ratio"))
    kernel, output = ((value,) * 3 if isinstance(value, int) else value for value in (kernel, output))
    if output is None:
        output = tuple(int(n * r) for n, r in zip(shape, ratio, strict=True)) if ratio else ()
    return any(k + o - 1 == n for k, o, n in zip(kernel or (), output, shape, strict=False))


DECLARATIONS = (
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
        operators=("avg_pool3d", "lp_pool3d"),
        applies=lambda case: case.dtype in HALF_FORMATS and _finite_norm(case),
        reason="there is no kernel for half formats",
        link="https://github.com/pytorch/pytorch/pull/176393",
        date="2026-11-21",
        witness="avg_pool3d(input=ramp(float16[1,1,1,1,1]), kernel_size=1)",
        checks=EVERY_CHECK,
    ),
    Declaration(
        Outcome.DEVIATES,
        operators=("avg_pool3d", "lp_pool3d"),
        applies=lambda case: _exceeds_its_input(case) and _finite_norm(case),
        reason="a kernel larger than its input is refused, although padding or ceil_mode makes it fit",
        link="https://github.com/pytorch/pytorch/blob/main/aten/src/ATen/native/Pool.h",
        date="2026-11-21",
        witness="avg_pool3d(input=ramp(float32[1,1,1,1,1]), kernel_size=(1, 1, 2), stride=1, padding=(0, 0, 1))",
        checks=EVERY_CHECK,
    ),
    Declaration(
        Outcome.DEVIATES,
        operators=("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d"),
        applies=_one_window_of_anything,
        reason="one window is a mean over the last axes, however many there are, and whether or not they have elements",
        link=f"{SOURCES}/AdaptiveAveragePooling.cpp",
        date="2026-11-21",
        witness="adaptive_avg_pool2d(input=ramp(float32[2,1,1,1,1,1]), output_size=1)",
        checks=("rejections",),
    ),
    Declaration(
        Outcome.DEVIATES,
        operators=("fractional_max_pool2d", "fractional_max_pool3d"),
        applies=lambda case: 0 in (case.attributes["kernel_size"], case.attributes.get("output_size")),
        reason="windows without elements, and no windows at all, are accepted",
        link=f"{SOURCES}/FractionalMaxPool2d.cpp",
        date="2026-11-21",
        witness="fractional_max_pool2d(input=ramp(float32[2,1,2,2]), random_samples=unit(float32[2,1,2]), "
        "kernel_size=0, output_size=1)",
        checks=("rejections",),
    ),
    Declaration(
        Outcome.DEVIATES,
        operators=("fractional_max_pool2d", "fractional_max_pool3d"),
        applies=lambda case: min(_along(case, "kernel_size", 1)) < 0,
        reason="a negative kernel size is accepted: windows are empty, or as large as its lower 32 bits say",
        link=f"{SOURCES}/FractionalMaxPool2d.cpp",
        date="2026-11-22",
        witness="fractional_max_pool2d(input=ramp(float32[2,1,2,2]), random_samples=unit(float32[2,1,2]), "
        "kernel_size=-4294967295, output_size=1)",
        checks=("rejections",),
    ),
    Declaration(
        Outcome.DEVIATES,
        operators=("fractional_max_pool3d",),
        applies=_fits_tightly,
        reason="windows that fit tightly are refused, in three dimensions only",
        link=f"{SOURCES}/FractionalMaxPool3d.cpp",
        date="2026-11-21",
        witness="fractional_max_pool3d(input=ramp(float32[1,1,1,1,1]), random_samples=unit(float32[1,1,3]), "
        "kernel_size=1, output_size=1)",
        checks=EVERY_CHECK,
    ),
    Declaration(
        Outcome.DEVIATES,
        operators=("max_unpool1d", "max_unpool2d", "max_unpool3d"),
        applies=lambda case: (
            min(_along(case, "kernel_size", 1)) <= 0
            or min(_along(case, "stride", 1)) <= 0
            or min(_along(case, "padding", 0)) < 0
        ),
        reason="kernel, stride and padding are not looked at, only the size of the output that follows from them",
        link="https://github.com/pytorch/pytorch/blob/main/torch/nn/functional.py",
        date="2026-11-21",
        witness="max_unpool2d(input=ramp(float32[2,1,1,1]), indices=places(int64[2,1,1,1]), kernel_size=0)",
        checks=("rejections",),
    ),
    Declaration(
        Outcome.DEVIATES,
        operators=("max_unpool1d", "max_unpool2d", "max_unpool3d"),
        applies=lambda case: case.pulled and case.inputs["indices"].layout != "",
        reason="the gradient is refused where the indices are not contiguous",
        link="https://github.com/pytorch/pytorch/blob/main/torch/csrc/autograd/FunctionsManual.cpp",
        date="2026-11-21",
        witness="vjp.max_unpool2d(cotangent=ramp(float32[1,1,2,2]), input=ramp(float32[1,1,2,2]), "
        'indices=places(int64[1,1,2,2], scale=4, layout="transposed"), kernel_size=1)',
        checks=("layouts",),
    ),
)
