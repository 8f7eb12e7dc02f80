"""Ways for local response normalization to be wrong: its window, its divisor, its power."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.formats import Array
from conformance.honest import Binding, fault, like
from conformance.mistakes import Call, Mistake, calling
from conformance.model import Fault
from reference.local_response import channel_sums, local_call


def _dividing(base: Any) -> Mistake:
    """Return the mistake of another base of the power: base(numbers, below, above, call)."""

    def mistake(right: Binding, **call: Any) -> Array:
        form = local_call(call["input"], call["size"], 1.0, 1.0, 1.0, "lower", "sum")
        with np.errstate(all="ignore"):
            divisor = base(form.x, form.below, form.above, call) ** call.get("beta", 0.75)
            return like((form.x / divisor).reshape(form.shape), call["input"].dtype)

    return mistake


def _based(call: Call, mean: Array) -> Array:
    return np.asarray(call.get("k", 1.0) + call.get("alpha", 1e-4) * mean)


def _by_those_inside(x: Array, below: int, above: int, call: Call) -> Array:
    counts = channel_sums(np.ones_like(x), below, above)
    return _based(call, channel_sums(np.square(x), below, above) / counts)


def _absolute(x: Array, below: int, above: int, call: Call) -> Array:
    return _based(call, channel_sums(np.abs(x), below, above) / call["size"])


def _outside_power(right: Binding, **call: Any) -> Array:
    """Add k to the power instead of to its base."""
    form = local_call(call["input"], call["size"], call.get("alpha", 1e-4), 1.0, 0.0, "lower", "mean")
    power = call.get("k", 1.0) + form.base(form.x) ** call.get("beta", 0.75)
    return like((form.x / power).reshape(form.shape), call["input"].dtype)


def _block_by_block(right: Binding, **call: Any) -> Array:
    x = call["input"]
    return np.concatenate([right(**{**call, "input": x[:, i : i + 16]}) for i in range(0, x.shape[1], 16)], 1)


def _values(name: str, sentence: str, mistake: Mistake, kind: str, dtype: str = "float32") -> Fault:
    return fault(f"local_response_norm-{name}", sentence, "local_response_norm", "values", mistake, dtype, kind=kind)


FAULTS: tuple[Fault, ...] = (
    _values("upper", "an even window reaches further upwards", calling(lambda call: {"extra": "upper"}), "index"),
    _values(
        "sum",
        "the sum of squares is not divided by the size",
        calling(lambda call: {"scale": "sum"}),
        "divisor",
        "float64",
    ),
    _values("inside", "at the border it is divided by the channels there are", _dividing(_by_those_inside), "divisor"),
    _values("absolute", "absolute values stand for squares", _dividing(_absolute), "statistics", "bfloat16"),
    _values("k-ignored", "the constant is 1 always", calling(lambda call: {"k": 1.0}), "statistics", "float16"),
    _values("k-outside", "the constant is added to the power, not to its base", _outside_power, "statistics"),
    _values("power-of-half", "the power is always a half", calling(lambda call: {"beta": 0.5}), "statistics"),
    _values(
        "wider",
        "a window has one channel more",
        calling(lambda call: {"size": call["size"] + 1, "alpha": call.get("alpha", 1e-4) * (1 + 1 / call["size"])}),
        "index",
    ),
    _values(
        "blocks-of-16",
        "of more than 16 channels a window sees those of its block alone",
        _block_by_block,
        "size",
    ),
)
