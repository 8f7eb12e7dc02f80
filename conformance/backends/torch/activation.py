"""What is known of torch's activations and losses on the CPU: their arithmetic, and where they do otherwise."""

from __future__ import annotations

import struct

from conformance.model import Arithmetic, Case, Declaration, Outcome

_HALF = ("float16", "bfloat16")
_INFINITE = ("infinities", "nonfinite")
# Gradients made of an answer that was stored in the format of the input; and what stores its steps in it anyway.
_FROM_OUTPUT = ("sigmoid", "tanh", "logsigmoid", "prelu")
_IN_STEPS = ("softsign", "softmax", "log_softmax", "cross_entropy")
_SOURCE = "https://github.com/pytorch/pytorch/blob/main/aten/src/ATen/native/"


def _holds(case: Case, kinds: tuple[str, ...]) -> bool:
    return case.inputs["input"].kind in kinds


def _single(number: float) -> bool:
    """Whether float32 holds a number."""
    return bool(struct.unpack("f", struct.pack("f", number))[0] == number)


def arithmetic(case: Case) -> Arithmetic | None:
    """Return what torch was measured to do where that is not the usual."""
    if case.dtype in _HALF:
        if case.operator in _IN_STEPS or (case.pulled and case.operator in _FROM_OUTPUT):
            return Arithmetic.of(case.dtype, partials=1)
        if case.operator == "gelu" and case.dtype == "bfloat16":
            return Arithmetic.of(case.dtype, flushes=True)
    return None


DECLARATIONS = (
    *(
        Declaration(
            Outcome.DEVIATES,
            operators=(operator,),
            applies=lambda case: _holds(case, _INFINITE),
            reason="infinity times 0, or over infinity, is NaN, where the function has a limit",
            link=link,
            date="2026-11-21",
            witness=f"{operator}(input=infinities(float32[1,8], scale=2))",
            checks=("special",),
        )
        for operator, link in (
            ("gelu", "https://github.com/pytorch/pytorch/issues/185770"),
            ("silu", "https://github.com/pytorch/pytorch/issues/160876"),
            ("hardswish", _SOURCE + "cpu/Activation.cpp"),
            ("mish", _SOURCE + "cpu/Activation.cpp"),
            ("softsign", "https://github.com/pytorch/pytorch/blob/main/torch/nn/functional.py"),
        )
    ),
    Declaration(
        Outcome.DEVIATES,
        operators=("leaky_relu",),
        applies=lambda case: case.attributes.get("negative_slope") == 0 and _holds(case, _INFINITE),
        reason="a slope of 0 times infinity is NaN, where relu is 0",
        link=_SOURCE + "cpu/Activation.cpp",
        date="2026-11-21",
        witness="leaky_relu(input=infinities(float32[1,8], scale=2), negative_slope=0.0)",
        checks=("special",),
    ),
    Declaration(
        Outcome.DEVIATES,
        operators=("hardswish", "gelu"),
        applies=lambda case: _holds(case, ("huge",)),
        reason="x is multiplied with 6, or 2, before it is divided by it: what is finite overflows",
        link=_SOURCE + "cpu/Activation.cpp",
        date="2026-11-21",
        witness="hardswish(input=huge(float32[1,8]))",
        checks=("special",),
    ),
    Declaration(
        Outcome.DEVIATES,
        operators=("hardsigmoid",),
        applies=lambda case: case.pulled and case.dtype == "float64",
        reason="the gradient is multiplied with 1/6 in float32, whatever the dtype",
        link=_SOURCE + "cpu/Activation.cpp",
        date="2026-11-21",
        witness="vjp.hardsigmoid(cotangent=ramp(float64[1,7]), input=ramp(float64[1,7]))",
        checks=("gradients", "layouts"),
    ),
    Declaration(
        Outcome.DEVIATES,
        operators=("celu",),
        applies=lambda case: case.pulled and case.dtype == "float64" and not _single(case.attributes.get("alpha", 1.0)),
        reason="the gradient is computed with alpha in float32, whatever the dtype",
        link="https://github.com/pytorch/pytorch/blob/main/tools/autograd/derivatives.yaml",
        date="2026-11-21",
        witness="vjp.celu(cotangent=integers(float64[1,7], scale=3), input=integers(float64[1,7], scale=8), alpha=0.3)",
        checks=("gradients", "layouts"),
    ),
    Declaration(
        Outcome.DEVIATES,
        operators=("softplus",),
        applies=lambda case: case.attributes.get("beta") == 0,
        reason="beta 0 is accepted, and divided by",
        link="https://github.com/pytorch/pytorch/issues/83169",
        date="2026-11-21",
        witness="softplus(input=ramp(float32[1,8]), beta=0.0)",
        checks=("rejections",),
    ),
    Declaration(
        Outcome.DEVIATES,
        operators=("cross_entropy",),
        applies=lambda case: case.attributes.get("label_smoothing", 0) < 0,
        reason="a negative smoothing is accepted",
        link="https://github.com/pytorch/pytorch/issues/134767",
        date="2026-11-21",
        witness="cross_entropy(input=ramp(float32[2,2]), target=ramp(float32[2,2]), label_smoothing=-0.25)",
        checks=("rejections",),
    ),
    Declaration(
        Outcome.DEVIATES,
        operators=("softmax", "log_softmax"),
        applies=lambda case: case.dtype in _HALF and case.manner == "threaded",
        reason="how columns are rounded on the way depends on how the threads share them",
        link=_SOURCE + "cpu/SoftMaxKernel.cpp",
        date="2026-11-21",
        witness="threaded.softmax(input=integers(float16[3,5,11], seed=15920, scale=8), dim=0)",
        checks=("purity",),
    ),
    Declaration(
        Outcome.DEVIATES,
        operators=("cross_entropy",),
        applies=lambda case: case.inputs["input"].shape[1:2] == (0,),
        reason="scores without any class are accepted",
        link=_SOURCE + "LossNLL.cpp",
        date="2026-11-21",
        witness='cross_entropy(input=ramp(float32[2,0]), target=ramp(float32[2,0]), reduction="none")',
        checks=("rejections",),
    ),
    Declaration(
        Outcome.DEVIATES,
        operators=("cross_entropy",),
        applies=lambda case: case.attributes.get("label_smoothing") == 1 and _holds(case, (*_INFINITE, "bottom")),
        reason="the share of 0 that full smoothing leaves to the label, times infinity, is NaN",
        link=_SOURCE + "LossNLL.cpp",
        date="2026-11-21",
        witness="cross_entropy(input=bottom(float32[4,3], scale=8), target=labels(int64[4], scale=3), "
        'reduction="none", label_smoothing=1.0)',
        checks=("special",),
    ),
)
