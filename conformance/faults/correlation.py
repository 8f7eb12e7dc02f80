"""Ways for convolution and cross-correlation of one channel to be wrong."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.formats import Array
from conformance.honest import Binding, fault
from conformance.mistakes import (
    Call,
    accepting,
    answering,
    calling,
    refusing,
    taking,
    where,
    without_nan,
    zeroed,
)
from conformance.model import Fault


def _mode(call: Call) -> str:
    return str(call.get("mode", "full"))


def _circular(right: Binding, **call: Any) -> Array:
    """Wrap what exceeds the input around, as a transform without padding does."""
    full: Array = right(**call)
    if _mode(call) != "full":
        return full
    wrapped = full.copy()
    n = call["input"].shape[-1]
    spill = full[..., n:]
    wrapped[..., : spill.shape[-1]] += spill[..., : wrapped.shape[-1]]
    return wrapped


def _same_shifted(output: Array, call: Call) -> Array:
    """Return "same" with its centre one element too low where the kernel is even."""
    even = _mode(call) == "same" and call["kernel"].shape[-1] % 2 == 0
    return np.asarray(np.roll(output, 1, -1)) if even else output


def _larger_same(output: Array, call: Call) -> Array:
    """Return "same" as large as the larger array, as numpy.convolve does."""
    if _mode(call) != "same":
        return output
    more = [(0, max(k - n, 0)) for n, k in zip(call["input"].shape, call["kernel"].shape, strict=True)]
    return np.asarray(np.pad(output, more))


def _spread(output: Array, call: Call) -> Array:
    """Return NaN everywhere where there is one, as through a transform."""
    return np.asarray(output + 0 * output.sum())


def _kernel_larger(call: Call) -> bool:
    return any(k > n for n, k in zip(call["input"].shape, call["kernel"].shape, strict=True))


def _swapped_gradients(right: Binding, **call: Any) -> Any:
    of_input, of_kernel = right(**call)
    return (of_kernel, of_input) if of_input.shape == of_kernel.shape else (of_input, of_kernel)


FLIPPED = taking("kernel", np.flip)

FAULTS: tuple[Fault, ...] = (
    fault(
        "convolve-unflipped",
        "the kernel is not flipped: a cross-correlation",
        "convolve",
        "values",
        FLIPPED,
        kind="index",
    ),
    fault(
        "convolve-wraps",
        "the end of a row wraps around to its start",
        "convolve",
        "values",
        _circular,
        dtype="float64",
        kind="padding",
    ),
    fault(
        "convolve-same-shifted",
        'the centre of "same" lies one element too low where the kernel is even',
        "convolve",
        "values",
        answering(_same_shifted),
        kind="index",
    ),
    fault(
        "convolve-tail-of-16",
        "elements after the last sixteenth of a row are skipped",
        "convolve",
        "values",
        taking("input", lambda x: zeroed(x, ..., slice(max(x.shape[-1] // 16, 1) * 16, None))),
        kind="size",
    ),
    fault(
        "convolve-larger-same",
        'the mode "same" is as large as the larger array',
        "convolve",
        "sizes",
        answering(_larger_same),
        kind="shape",
    ),
    fault(
        "convolve-accepts-mode",
        "a mode that there is not is taken for full",
        "convolve",
        "rejections",
        accepting("mode", calling(lambda call: {"mode": "full"})),
        kind="acceptance",
    ),
    fault(
        "convolve-nan-everywhere",
        "a NaN reaches every output, as through a transform",
        "convolve",
        "special",
        answering(_spread),
        kind="special",
    ),
    fault(
        "convolve-gradient-unflipped",
        "the input's gradient takes the kernel as if it had not been flipped",
        "convolve",
        "gradients",
        FLIPPED,
        kind="gradient",
    ),
    fault(
        "convolve-gradient-swapped",
        "the gradients of an input and a kernel of one size are swapped",
        "convolve",
        "gradients",
        _swapped_gradients,
        dtype="float64",
        kind="gradient",
    ),
    fault(
        "cross_correlate-flipped",
        "the kernel is flipped: a convolution",
        "cross_correlate",
        "values",
        FLIPPED,
        dtype="float16",
        kind="index",
    ),
    fault(
        "cross_correlate-flipped-last-axis",
        "the kernel is flipped along its last axis",
        "cross_correlate",
        "values",
        taking("kernel", lambda k: np.flip(k, -1)),
        kind="axes",
    ),
    fault(
        "cross_correlate-backwards",
        "where the kernel is the larger one the output is not read backwards",
        "cross_correlate",
        "values",
        where(lambda call: _mode(call) == "valid" and _kernel_larger(call), answering(lambda y, call: np.flip(y))),
        kind="index",
    ),
    fault(
        "cross_correlate-one-too-small",
        "there is one window too few",
        "cross_correlate",
        "sizes",
        answering(lambda y, call: y[..., :-1]),
        dtype="bfloat16",
        kind="shape",
    ),
    fault(
        "cross_correlate-refuses-large-kernel",
        "a kernel larger than its input raises",
        "cross_correlate",
        "rejections",
        where(_kernel_larger, refusing),
        kind="acceptance",
    ),
    fault(
        "cross_correlate-nan-as-zero",
        "a NaN in the input is read as 0",
        "cross_correlate",
        "special",
        taking("input", without_nan),
        kind="special",
    ),
    fault(
        "cross_correlate-gradient-of-a-sum",
        "the cotangent is taken to be ones, as of a sum",
        "cross_correlate",
        "gradients",
        taking("cotangent", np.ones_like),
        dtype="bfloat16",
        kind="gradient",
    ),
)
