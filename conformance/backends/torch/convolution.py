"""What is known of torch's convolutions on the CPU: their arithmetic, and where they do otherwise."""

from __future__ import annotations

import math

from conformance.backends.torch.cases import along
from conformance.model import Arithmetic, Case, Declaration, Outcome

_CONV = ("conv1d", "conv2d", "conv3d")
_CONV_TRANSPOSE = ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
_BY_ONEDNN = ("conv2d", "conv3d", "conv_transpose2d", "conv_transpose3d")  # if channels may lie last


def _channels(case: Case) -> int:
    """Return how many input channels a group of a convolution has."""
    weight = case.inputs["weight"].shape
    groups: int = case.attributes.get("groups", 1)
    return weight[0] // groups if case.operator.startswith("conv_transpose") else weight[1]


def _samples(case: Case) -> int:
    """Return how many samples the input has."""
    lead = case.inputs["input"].shape[: 1 - len(case.inputs["weight"].shape)]
    return math.prod(lead)


def _bfloat16_dot_products() -> bool:
    """Whether this processor has the bfloat16 dot product that oneDNN uses where it can."""
    import torch

    return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)())


def arithmetic(case: Case) -> Arithmetic | None:
    """Return what torch was measured to do where that is not the usual.

    In half formats kernel taps are added up in the output format where they are scattered: in `fold`, in a transposed
    convolution, the bias after them, and in the gradient of a convolution; gradients of weights are added up in it
    sample by sample. Where oneDNN has a path of its own for bfloat16 it is better than that, but not all processors
    have it, nor is it taken for all calls; its dot product takes subnormals for 0 (Intel, Software Developer's Manual,
    VDPBF16PS).
    """
    if case.dtype not in ("float16", "bfloat16"):
        return None
    if case.function in ("fold", "vjp.unfold"):
        kernel = case.attributes["kernel_size"]
        return Arithmetic.of(case.dtype, partials=math.prod(kernel) if isinstance(kernel, tuple) else kernel**2)
    if case.operator not in _CONV + _CONV_TRANSPOSE:
        return None
    taps, transposed = math.prod(case.inputs["weight"].shape[2:]), case.operator in _CONV_TRANSPOSE
    forward, backward = (taps + 1, 1) if transposed else (0, taps)
    backward = max(backward, _samples(case))
    partials = backward if case.pulled else forward
    return Arithmetic.of(case.dtype, partials=partials, flushes=case.dtype == "bfloat16")


def _long(case: Case, name: str, least: int) -> bool:
    """Whether an attribute is at least so large along some axis."""
    return any(n >= least for n in along(case, name, 1) if isinstance(n, int))


def _channels_last(case: Case) -> bool:
    """Whether the convolution is in bfloat16, and one whose channels lie last: these are oneDNN's."""
    layouts = {case.inputs[name].layout for name in ("input", "weight")}
    return case.dtype == "bfloat16" and "channels_last" in layouts


def _padding_alone(case: Case) -> bool:
    """Whether a kernel of one tap, dilated, meets nothing but padding along the last axis of what it slides over."""
    slides = case.inputs["input" if case.operator in _CONV else "cotangent"].shape[-1]
    stride, padding, dilation = (along(case, *known)[-1] for known in (("stride", 1), ("padding", 0), ("dilation", 1)))
    if case.inputs["weight"].shape[-1] > 1 or dilation == 1 or not isinstance(padding, int):
        return False
    return not any(0 <= place < slides for place in range(-padding, slides + padding, stride))


DECLARATIONS = (
    Declaration(  # before what deviates in the same calls, since it is not to be asked
        Outcome.CRASHED,
        operators=_BY_ONEDNN,
        applies=lambda case: _channels_last(case) and (case.pulled or case.operator in _CONV) and _padding_alone(case),
        reason="where channels lie last and all windows lie in the padding, the process is killed by SIGSEGV",
        link="https://github.com/pytorch/pytorch/issues/195394",
        date="2026-11-22",
        witness='conv2d(input=ramp(bfloat16[1,2,2,1], layout="channels_last"), weight=ramp(bfloat16[2,2,1,1]), '
        "stride=2, padding=(0, 1), dilation=2)",
        checks=("layouts",),
        here=_bfloat16_dot_products,
    ),
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
            and any(fill.kind in ("nans", "infinities", "nonfinite") for fill in case.inputs.values())
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
        applies=lambda case: 0 in along(case, "dilation", 1),
        reason="dilation 0 is accepted on some paths, where others refuse it",
        link="https://github.com/pytorch/pytorch/issues/127732",
        date="2026-11-21",
        witness="conv_transpose2d(input=ramp(float32[1,2,1,1]), weight=ramp(float32[2,1,1,1]), groups=2, dilation=0)",
        checks=("rejections",),
    ),
    Declaration(
        Outcome.DEVIATES,
        operators=_CONV,
        applies=lambda case: _long(case, "dilation", 2**62),
        reason="the extent of a kernel overflows 64 bits, so that one that is far too large is taken for one that fits",
        link="https://github.com/pytorch/pytorch/blob/main/aten/src/ATen/native/Convolution.cpp",
        date="2026-11-21",
        witness="conv2d(input=ramp(float64[2,1,1,1]), weight=ramp(float64[2,1,3,3]), dilation=4611686018427387904)",
        checks=("rejections",),
    ),
    Declaration(
        Outcome.DEVIATES,
        operators=("conv3d",),
        applies=lambda case: case.dtype == "float64" and _long(case, "stride", 2**62),
        reason="a stride that overflows 64 bits, counted in bytes, leaves the input uncopied, and stale memory is read",
        link="https://github.com/pytorch/pytorch/blob/main/aten/src/ATen/native/ConvolutionMM3d.cpp",
        date="2026-11-21",
        witness="conv3d(input=ramp(float64[2,1,1,1,4]), weight=ramp(float64[2,1,1,1,1]), stride=4611686018427387904)",
        checks=("rejections",),
    ),
    Declaration(
        Outcome.DEVIATES,
        operators=_BY_ONEDNN,
        applies=lambda case: case.pulled and _channels_last(case),
        reason="where channels of the input or the weight lie last, part of a gradient may be stale memory",
        link="https://github.com/pytorch/pytorch/blob/main/aten/src/ATen/native/mkldnn/Conv.cpp",
        date="2026-11-22",
        # Of three dimensions, since this one is wrong whatever the memory held; those of two are right where it held 0.
        witness="vjp.conv_transpose3d(cotangent=ramp(bfloat16[1,1,1,1,1], scale=5), "
        'input=ramp(bfloat16[1,2,2,1,1], scale=5, layout="channels_last"), '
        "weight=ramp(bfloat16[2,1,2,1,1], scale=5), padding=(1, 0, 0))",
        checks=("layouts",),
        here=_bfloat16_dot_products,
    ),
    Declaration(
        Outcome.DEVIATES,
        operators=_CONV_TRANSPOSE,
        applies=lambda case: _long(case, "dilation", 2**31) or _long(case, "stride", 2**31),
        reason="a stride or a dilation of more than 31 bits is cut off, and refused where that leaves none above 0",
        link="https://github.com/pytorch/pytorch/blob/main/aten/src/ATen/native/NaiveConvolutionTranspose2d.cpp",
        date="2026-11-21",
        witness="conv_transpose2d(input=ramp(float64[2,1,1,1]), weight=ramp(float64[1,2,1,1]), dilation=2147483648)",
        checks=("rejections",),
    ),
)
