"""Ways for cross-entropy to be wrong."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.honest import Binding, fault
from conformance.mistakes import (
    Call,
    accepting,
    answering,
    calling,
    given,
    leaking,
    where,
)
from conformance.model import Fault


def _by_index(call: Call) -> bool:
    return bool(call["target"].dtype.kind == "i")


def _classes(call: Call) -> int:
    shape = call["input"].shape
    return int(shape[min(1, len(shape) - 1)])


def _below(call: Call) -> Any:
    return (call["target"] < 0) & (call["target"] != call.get("ignore_index", -100))


def _is_mean(call: Call) -> bool:
    return bool(call.get("reduction", "mean") == "mean")


def _mean_of_all(right: Binding, **call: Any) -> Any:
    """Answer the mean over all positions, of what they weigh and also of those that are ignored."""
    return np.asarray(right(**{**call, "reduction": "none"}).astype(np.float64).mean()).astype(call["input"].dtype)


def _mean_of_batch(right: Binding, **call: Any) -> Any:
    """Answer the sum over the size of the batch."""
    total = right(**{**call, "reduction": "sum"}).astype(np.float64)
    return np.asarray(total / max(len(call["input"]), 1)).astype(call["input"].dtype)


def _smoothed_over_others(call: Call) -> Call:
    """Return the smoothing that gives the label nothing of what is shared out, where the formula gives it a share."""
    smoothing, classes = call.get("label_smoothing", 0.0), _classes(call)
    return {"label_smoothing": min(1.0, smoothing * classes / max(classes - 1, 1))}


def _next_label(call: Call) -> Call:
    t = call["target"]
    return {"target": np.where(t == call.get("ignore_index", -100), t, (t + 1) % _classes(call))}


def _normalized(call: Call) -> Call:
    t, along = call["target"].astype(np.float64), min(1, call["target"].ndim - 1)
    return {"target": (t / t.sum(along, keepdims=True)).astype(call["target"].dtype)}


FAULTS: tuple[Fault, ...] = (
    fault(
        "cross_entropy-ignored-counted",
        "what is ignored counts in the mean",
        "cross_entropy",
        "values",
        where(lambda call: "ignore_index" in call and not given("weight")(call) and _is_mean(call), _mean_of_all),
        kind="divisor",
    ),
    fault(
        "cross_entropy-weights-uncounted",
        "the mean is over positions, not over their weights",
        "cross_entropy",
        "values",
        where(lambda call: given("weight")(call) and _by_index(call) and _is_mean(call), _mean_of_all),
        "float64",
        kind="divisor",
    ),
    fault(
        "cross_entropy-mean-of-batch",
        "the mean is over samples, not over positions",
        "cross_entropy",
        "values",
        where(lambda call: call["input"].ndim > 2 and _is_mean(call), _mean_of_batch),
        "bfloat16",
        kind="divisor",
    ),
    fault(
        "cross_entropy-weight-ignored",
        "all classes weigh alike",
        "cross_entropy",
        "values",
        calling(lambda call: {"weight": None}),
        "float16",
        kind="groups",
    ),
    fault(
        "cross_entropy-smoothing-ignored",
        "labels are not smoothed",
        "cross_entropy",
        "values",
        calling(lambda call: {"label_smoothing": 0.0}),
        kind="dtype",
    ),
    fault(
        "cross_entropy-smoothed-over-others",
        "smoothing leaves out the label itself",
        "cross_entropy",
        "values",
        where(_by_index, calling(_smoothed_over_others)),
        "float64",
        kind="divisor",
    ),
    fault(
        "cross_entropy-label-from-one",
        "labels are counted from 1",
        "cross_entropy",
        "values",
        where(_by_index, calling(_next_label)),
        kind="index",
    ),
    fault(
        "cross_entropy-probabilities-normalized",
        "probabilities are made to add up to 1",
        "cross_entropy",
        "values",
        where(lambda call: not _by_index(call), calling(_normalized)),
        kind="divisor",
    ),
    fault(
        "cross_entropy-ignore-nothing",
        "positions are never ignored",
        "cross_entropy",
        "values",
        calling(lambda call: {"ignore_index": -100}),
        kind="index",
    ),
    fault(
        "cross_entropy-one-number",
        "without a reduction there is one number",
        "cross_entropy",
        "sizes",
        where(
            lambda call: call.get("reduction") == "none",
            answering(lambda y, call: y.reshape(-1)[:1].sum(keepdims=False).astype(y.dtype).reshape(())),
        ),
        kind="shape",
    ),
    fault(
        "cross_entropy-any-smoothing",
        "a smoothing beyond 1 is taken for 1",
        "cross_entropy",
        "rejections",
        accepting(
            "label-smoothing", calling(lambda call: {"label_smoothing": float(np.clip(call["label_smoothing"], 0, 1))})
        ),
        kind="acceptance",
    ),
    fault(
        "cross_entropy-negative-from-the-end",
        "negative labels count from the last class",
        "cross_entropy",
        "rejections",
        where(_by_index, calling(lambda call: {"target": call["target"] + _classes(call) * _below(call)})),
        "float16",
        kind="acceptance",
    ),
    fault(
        "cross_entropy-any-reduction",
        "an unknown reduction is taken for a sum",
        "cross_entropy",
        "rejections",
        accepting("reduction", calling(lambda call: {"reduction": "sum"})),
        "bfloat16",
        kind="acceptance",
    ),
    fault(
        "cross_entropy-weight-cut",
        "a weight for more classes is cut",
        "cross_entropy",
        "rejections",
        accepting("weight", calling(lambda call: {"weight": call["weight"][:-1]})),
        "float64",
        kind="acceptance",
    ),
    fault(
        "cross_entropy-nan-leaks",
        "a NaN at one position reaches the others",
        "cross_entropy",
        "special",
        answering(leaking),
        kind="special",
    ),
    fault(
        "cross_entropy-infinite-share",
        "a class without a share adds its infinity times 0",
        "cross_entropy",
        "special",
        answering(
            lambda y, call: np.where(
                np.isneginf(call["input"].astype(np.float64)).any(min(1, call["input"].ndim - 1)), np.nan, y
            ).astype(y.dtype)
        ),
        "float64",
        kind="special",
    ),
    fault(
        "cross_entropy-gradient-summed",
        "the gradient of a mean is that of a sum",
        "cross_entropy",
        "gradients",
        calling(lambda call: {"reduction": "sum"} if _is_mean(call) else {}),
        kind="gradient",
    ),
    fault(
        "cross_entropy-gradient-of-ignored",
        "what is ignored has a gradient",
        "cross_entropy",
        "gradients",
        calling(lambda call: {"ignore_index": -100}),
        "float64",
        kind="gradient",
    ),
    fault(
        "cross_entropy-gradient-unweighted",
        "the gradient knows no weights",
        "cross_entropy",
        "gradients",
        where(
            given("weight"), answering(lambda y, call: (y / call["weight"].astype(np.float64).mean()).astype(y.dtype))
        ),
        kind="gradient",
    ),
)
