"""What is known of torch's padding, linear layers and reshaping on the CPU, and where they do otherwise."""

from __future__ import annotations

import math

from conformance.model import Arithmetic, Case, Declaration, Outcome


def _copies(case: Case) -> int:
    """Return how many elements of a padded array may be copies of the same one."""
    pad: tuple[int, ...] = case.attributes["pad"]
    mode = case.attributes.get("mode", "constant")
    if mode == "constant":
        return 1
    most = {"reflect": 3, "circular": 3}.get(mode, math.inf)
    sides = zip(pad[::2], pad[1::2], strict=True)
    return int(math.prod(min(1 + max(low, 0) + max(high, 0), most) for low, high in sides))


def arithmetic(case: Case) -> Arithmetic | None:
    """Return what torch was measured to do where that is not the usual."""
    if case.operator == "pad" and case.pulled and case.dtype in ("float16", "bfloat16"):
        # What was copied is added up in the output format.
        return Arithmetic.of(case.dtype, partials=_copies(case) - 1)
    if case.operator == "linear" and case.dtype == "bfloat16":
        return Arithmetic.of(case.dtype, flushes=True)
    return None


DECLARATIONS = (
    Declaration(
        Outcome.DEVIATES,
        operators=("pixel_unshuffle",),
        applies=lambda case: 0 in case.inputs["input"].shape,
        reason="an array without elements comes back in the shape that it had",
        link="https://github.com/pytorch/pytorch/blob/main/aten/src/ATen/native/cpu/PixelShuffleKernel.cpp",
        date="2026-11-21",
        witness="pixel_unshuffle(input=ramp(float32[0,1,4,4]), downscale_factor=2)",
        checks=("sizes", "rejections"),
    ),
    Declaration(
        Outcome.UNSUPPORTED,
        operators=("pixel_shuffle", "pixel_unshuffle"),
        applies=lambda case: (
            len(case.inputs["input"].shape) == 5
            and any(fill.layout == "channels_last" for fill in case.inputs.values())
        ),
        reason="five axes with the channels last are refused",
        link="https://github.com/pytorch/pytorch/issues/133665",
        date="2026-11-21",
        witness='pixel_shuffle(input=ramp(float32[2,2,8,1,4], layout="channels_last"), upscale_factor=2)',
        checks=("layouts",),
    ),
    Declaration(
        Outcome.DEVIATES,
        operators=("flatten",),
        applies=lambda case: bool(case.manner),
        reason="the answer is a view of the input, as is documented",
        link="https://docs.pytorch.org/docs/stable/generated/torch.flatten.html",
        date="2026-11-21",
        witness="repeat.flatten(input=ramp(float32[2,3]))",
        checks=("purity",),
    ),
)
