"""Ways for padding to be wrong."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import reference
import reference.vjp
from conformance.formats import Array
from conformance.honest import fault
from conformance.mistakes import (
    Call,
    Mistake,
    answering,
    calling,
    leaking,
    refusing,
    saturated,
    taking,
    where,
    without_nan,
)
from conformance.model import Fault

Pairs = list[tuple[int, int]]


def _pad_as(change: Callable[[Pairs], Pairs]) -> Mistake:
    """Return the mistake of padding by other pairs (low, high), the last axis first."""

    def changed(call: Call) -> Call:
        pad = call["pad"]
        pairs = change(list(zip(pad[::2], pad[1::2], strict=True)))
        return {"pad": tuple(n for pair in pairs for n in pair)}

    return calling(changed)


def _symmetric(output: Array, call: Call) -> Array:
    """Return the reflection that repeats the edge."""
    x, pad = call["input"], call["pad"]
    pairs = list(zip(pad[::2], pad[1::2], strict=True))[::-1]
    return np.pad(x, [(0, 0)] * (x.ndim - len(pairs)) + pairs, mode="symmetric")


def _in_mode(mode: str, mistake: Mistake) -> Mistake:
    return where(lambda call: call.get("mode", "constant") == mode, mistake)


def _as_constant(modes: tuple[str, ...]) -> Mistake:
    return where(lambda call: call.get("mode", "constant") in modes, calling(lambda call: {"mode": "constant"}))


def _over_copies(output: Array, call: Call) -> Array:
    ones = np.ones(call["cotangent"].shape)
    counts = reference.vjp.pad(ones, call["input"].astype(np.float64), call["pad"], call.get("mode", "constant"))
    return np.asarray(output / np.maximum(counts, 1)).astype(output.dtype)


FAULTS: tuple[Fault, ...] = (
    fault(
        "pad-sides-swapped",
        "low and high padding are swapped",
        "pad",
        "values",
        _pad_as(lambda pairs: [(high, low) for low, high in pairs]),
        kind="padding",
    ),
    fault(
        "pad-axes-reversed",
        "the first pair pads the first axis",
        "pad",
        "values",
        _pad_as(lambda pairs: pairs[::-1]),
        dtype="float16",
        kind="axes",
    ),
    fault(
        "pad-reflect-symmetric",
        "a reflection repeats the edge",
        "pad",
        "values",
        _in_mode("reflect", answering(_symmetric)),
        kind="padding",
    ),
    fault(
        "pad-circular-replicates",
        "circular padding repeats the edge",
        "pad",
        "values",
        _in_mode("circular", calling(lambda call: {"mode": "replicate"})),
        dtype="bfloat16",
        kind="padding",
    ),
    fault(
        "pad-replicate-zeros",
        "replication pads with zeros",
        "pad",
        "values",
        _in_mode("replicate", calling(lambda call: {"mode": "constant"})),
        dtype="float64",
        kind="padding",
    ),
    fault(
        "pad-value-ignored",
        "constant padding is always 0",
        "pad",
        "values",
        calling(lambda call: {"value": None}),
        kind="padding",
    ),
    fault(
        "pad-value-truncated",
        "the value is read as a whole number",
        "pad",
        "values",
        calling(lambda call: {"value": int(call["value"])} if "value" in call else {}),
        kind="dtype",
    ),
    fault(
        "pad-crops-other-side",
        "negative padding crops the other side",
        "pad",
        "values",
        _pad_as(lambda pairs: [(high, low) if min(low, high) < 0 else (low, high) for low, high in pairs]),
        kind="index",
    ),
    fault(
        "pad-never-crops",
        "negative padding is taken for 0",
        "pad",
        "sizes",
        _pad_as(lambda pairs: [(max(low, 0), max(high, 0)) for low, high in pairs]),
        kind="shape",
    ),
    fault(
        "pad-last-axis-only",
        "only the last axis is padded",
        "pad",
        "sizes",
        _pad_as(lambda pairs: pairs[:1]),
        kind="axes",
    ),
    fault(
        "pad-empty-batch-refused",
        "an empty batch raises",
        "pad",
        "sizes",
        where(lambda call: not len(call["input"]), refusing),
        dtype="float16",
        kind="acceptance",
    ),
    fault(
        "pad-zero-unsigned",
        "a negative zero loses its sign",
        "pad",
        "special",
        answering(lambda y, call: y + np.zeros(1, y.dtype)),
        kind="special",
    ),
    fault(
        "pad-nan-as-zero",
        "a NaN becomes 0",
        "pad",
        "special",
        taking("input", without_nan),
        dtype="bfloat16",
        kind="special",
    ),
    fault(
        "pad-infinity-clamped",
        "infinities become the largest finite number",
        "pad",
        "special",
        answering(saturated),
        kind="special",
    ),
    fault(
        "pad-nan-leaks",
        "padding holds zero times what is padded",
        "pad",
        "special",
        _in_mode("constant", answering(leaking)),
        dtype="float64",
        kind="special",
    ),
    fault(
        "pad-empty-axis-refused",
        "an axis without elements raises, although padding fills it",
        "pad",
        "rejections",
        where(lambda call: 0 in call["input"].shape, refusing),
        dtype="float64",
        kind="acceptance",
    ),
    fault(
        "pad-crop-before-padding-refused",
        "a crop of a whole axis raises, although the other side is padded",
        "pad",
        "rejections",
        where(lambda call: min(call["pad"], default=0) <= -call["input"].shape[-1], refusing),
        kind="acceptance",
    ),
    fault(
        "pad-gradient-cropped",
        "the gradient of what was copied is not added back",
        "pad",
        "gradients",
        _as_constant(("reflect", "replicate", "circular")),
        kind="gradient",
    ),
    fault(
        "pad-gradient-of-edge",
        "the gradient of a reflection goes to the edge",
        "pad",
        "gradients",
        _in_mode("reflect", calling(lambda call: {"mode": "replicate"})),
        dtype="float64",
        kind="gradient",
    ),
    fault(
        "pad-gradient-of-circle-lost",
        "the gradient of circular padding is that of zeros",
        "pad",
        "gradients",
        _as_constant(("circular",)),
        dtype="bfloat16",
        kind="gradient",
    ),
    fault(
        "pad-gradient-averaged",
        "the gradient of what was copied is the mean over its copies",
        "pad",
        "gradients",
        answering(_over_copies),
        dtype="float16",
        kind="gradient",
    ),
)
