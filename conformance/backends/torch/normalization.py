"""What is known of torch's normalization on the CPU: its arithmetic, and where it does otherwise."""

from __future__ import annotations

import math
from typing import Any

from conformance.model import Arithmetic, Case, Declaration, Outcome

SOURCES = "https://github.com/pytorch/pytorch/blob/main/aten/src/ATen/native/"
HALF = ("float16", "bfloat16")


def arithmetic(case: Case) -> Arithmetic | None:
    """Return what torch was measured to do where that is not the usual."""
    half = case.dtype in HALF
    if case.operator in ("batch_norm", "instance_norm") and half:
        # The mean, eps, the square root and its reciprocal are each kept in the format of the input.
        return Arithmetic.of(case.dtype, partials=3)
    if case.operator in ("layer_norm", "group_norm"):
        # Moments are updated number by number; for the way back half formats keep the mean and the inverse root.
        return Arithmetic.of(case.dtype, variance="updating", partials=_kept(case) if half else 0)
    if case.operator == "local_response_norm" and half:
        # A square, a mean, a product, a sum and a power one after the other, each of them rounded.
        return Arithmetic.of(case.dtype, partials=4)
    return None


def _kept(case: Case) -> int:
    """Return how many roundings to a half format there are: on the way back of layer norm one for every row."""
    if not case.pulled:
        return 0
    lead = -len(case.attributes.get("normalized_shape", case.inputs["input"].shape))
    return max(1, math.prod(case.inputs["input"].shape[:lead]))


def _laid(case: Case, array: str, *layouts: str) -> bool:
    """Whether an array of a case lies in one of these layouts, when gradients are asked for."""
    return case.pulled and array in case.inputs and case.inputs[array].layout in layouts


def _formats_confused(case: Case) -> bool:
    """Whether the input and the cotangent may each be contiguous in a format of its own."""
    shape = case.inputs["input"].shape
    mixed = (_laid(case, name, "channels_last", "transposed") for name in ("input", "cotangent"))
    return len(shape) > 3 and 1 in shape[:2] and any(mixed)


def _same(*checks: str) -> dict[str, Any]:
    return {"date": "2026-11-21", "checks": checks}


DECLARATIONS = (
    Declaration(
        Outcome.DEVIATES,
        operators=("instance_norm", "group_norm", "layer_norm", "rms_norm"),
        applies=lambda case: (case.attributes.get("eps") or 0.0) < 0,
        reason="a negative eps is accepted",
        link="https://github.com/pytorch/pytorch/pull/166756",
        witness="group_norm(input=ramp(float32[2,2]), num_groups=1, eps=-1.0)",
        **_same("rejections"),
    ),
    Declaration(
        Outcome.DEVIATES,
        operators=("batch_norm",),
        applies=lambda case: bool(case.attributes.get("training")) and case.attributes.get("eps") == 0,
        reason="an eps of 0 is refused in training",
        link="https://github.com/pytorch/pytorch/issues/173337",
        witness="batch_norm(input=ramp(float32[2,1,3]), training=True, eps=0.0)",
        **_same("rejections"),
    ),
    Declaration(
        Outcome.DEVIATES,
        operators=("batch_norm", "instance_norm"),
        applies=lambda case: "weight" in case.inputs and len(case.inputs["weight"].shape) > 1,
        reason="a weight of more axes than one is accepted if it has a number for each channel",
        link=f"{SOURCES}Normalization.cpp",
        witness="batch_norm(input=ramp(float32[2,2]), weight=ramp(float32[2,1]), training=True)",
        **_same("rejections"),
    ),
    Declaration(
        Outcome.DEVIATES,
        operators=("instance_norm",),
        applies=lambda case: case.inputs["input"].shape[0] == 0 and len(case.inputs) > 1,
        reason="an empty batch raises where there is a weight, a bias or a running statistic",
        link=f"{SOURCES}Normalization.cpp",
        witness="instance_norm(input=ramp(float32[0,1,2]), weight=ramp(float32[1]))",
        **_same("sizes"),
    ),
    Declaration(
        Outcome.UNSUPPORTED,
        operators=("group_norm",),
        applies=lambda case: "weight" not in case.inputs and "bias" in case.inputs and case.pulled,
        reason="the gradients raise where there is a bias and no weight",
        link=f"{SOURCES}group_norm.cpp",
        witness="vjp.group_norm(cotangent=ramp(float32[1,2]), input=ramp(float32[1,2]), bias=ramp(float32[2]), "
        "num_groups=1)",
        **_same("gradients", "layouts", "purity"),
    ),
    Declaration(
        Outcome.DEVIATES,
        operators=("batch_norm",),
        applies=lambda case: _laid(case, "weight", "strided", "broadcast"),
        reason="on the way back a weight with gaps is read as if it had none",
        link=f"{SOURCES}cpu/batch_norm_kernel.cpp",
        witness="vjp.batch_norm(cotangent=ramp(float32[2,3]), input=ramp(float32[2,3]), "
        'weight=ramp(float32[3], layout="strided"), training=True)',
        **_same("layouts"),
    ),
    Declaration(
        Outcome.DEVIATES,
        operators=("batch_norm", "instance_norm"),
        applies=_formats_confused,
        reason="the gradient is wrong where input and cotangent are contiguous in formats that differ",
        link=f"{SOURCES}Normalization.cpp",
        witness='vjp.instance_norm(cotangent=ramp(float32[1,2,2,2], scale=3, layout="channels_last"), '
        "input=ramp(float32[1,2,2,2], scale=5))",
        **_same("layouts"),
    ),
    Declaration(
        Outcome.DEVIATES,
        operators=("local_response_norm",),
        applies=lambda case: len(case.inputs["input"].shape) > 4 and case.inputs["input"].layout == "transposed",
        reason="three spatial axes that lie in reverse are refused",
        link="https://github.com/pytorch/pytorch/blob/main/torch/nn/functional.py",
        witness='local_response_norm(input=ramp(float32[2,3,2,2,2], layout="transposed"), size=2)',
        **_same("layouts"),
    ),
    Declaration(
        Outcome.UNSUPPORTED,
        operators=("local_response_norm",),
        applies=lambda case: case.dtype in HALF and len(case.inputs["input"].shape) > 3,
        reason="there is no kernel for half formats of more than one spatial axis",
        link="https://github.com/pytorch/pytorch/issues/171948",
        witness="local_response_norm(input=ramp(float16[1,1,1,1]), size=1)",
        **_same("values", "sizes", "rejections", "special", "gradients", "layouts", "purity", "laws"),
    ),
)
