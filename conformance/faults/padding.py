"""Ways for padding to be wrong."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

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


FAULTS: tuple[Fault, ...] = (
    fault(
        "pad-sides-swapped",
        "low and high padding are swapped",
        "pad",
        "values",
        _pad_as(lambda pairs: [(high, low) for low, high in pairs]),
    ),
    fault(
        "pad-axes-reversed",
        "the first pair pads the first axis",
        "pad",
        "values",
        _pad_as(lambda pairs: pairs[::-1]),
        dtype="float16",
    ),
    fault(
        "pad-reflect-symmetric",
        "a reflection repeats the edge",
        "pad",
        "values",
        _in_mode("reflect", answering(_symmetric)),
    ),
    fault(
        "pad-circular-replicates",
        "circular padding repeats the edge",
        "pad",
        "values",
        _in_mode("circular", calling(lambda call: {"mode": "replicate"})),
        dtype="bfloat16",
    ),
    fault(
        "pad-replicate-zeros",
        "replication pads with zeros",
        "pad",
        "values",
        _in_mode("replicate", calling(lambda call: {"mode": "constant"})),
        dtype="float64",
    ),
    fault("pad-value-ignored", "constant padding is always 0", "pad", "values", calling(lambda call: {"value": None})),
    fault(
        "pad-value-truncated",
        "the value is read as a whole number",
        "pad",
        "values",
        calling(lambda call: {"value": int(call["value"])} if "value" in call else {}),
    ),
    fault(
        "pad-crops-other-side",
        "negative padding crops the other side",
        "pad",
        "values",
        _pad_as(lambda pairs: [(high, low) if min(low, high) < 0 else (low, high) for low, high in pairs]),
    ),
    fault(
        "pad-never-crops",
        "negative padding is taken for 0",
        "pad",
        "sizes",
        _pad_as(lambda pairs: [(max(low, 0), max(high, 0)) for low, high in pairs]),
    ),
    fault("pad-last-axis-only", "only the last axis is padded", "pad", "sizes", _pad_as(lambda pairs: pairs[:1])),
    fault(
        "pad-empty-batch-refused",
        "an empty batch raises",
        "pad",
        "sizes",
        where(lambda call: not len(call["input"]), refusing),
        dtype="float16",
    ),
    fault(
        "pad-zero-unsigned",
        "a negative zero loses its sign",
        "pad",
        "special",
        answering(lambda y, call: y + np.zeros(1, y.dtype)),
    ),
    fault("pad-nan-as-zero", "a NaN becomes 0", "pad", "special", taking("input", without_nan), dtype="bfloat16"),
    fault(
        "pad-infinity-clamped", "infinities become the largest finite number", "pad", "special", answering(saturated)
    ),
    fault(
        "pad-nan-leaks",
        "padding holds zero times what is padded",
        "pad",
        "special",
        _in_mode("constant", answering(leaking)),
        dtype="float64",
    ),
)
