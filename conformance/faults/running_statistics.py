"""Ways for batch normalization to be wrong in what it keeps from call to call, and in its shapes and special values."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.faults.normalization import several, training
from conformance.honest import Binding, fault
from conformance.mistakes import Call, Mistake, answering, calling, given, leaking, refusing, taking, where, without_nan
from conformance.model import Fault


def _values(name: str, sentence: str, mistake: Mistake, **more: Any) -> Fault:
    return fault(name, sentence, "batch_norm", "values", mistake, **more)


def _not_updated(name: str) -> Mistake:
    return where(
        given(name), answering(lambda kept, call: call[name], output=("running_mean", "running_var").index(name) + 1)
    )


def _updated_in_evaluation(right: Binding, **call: Any) -> Any:
    output, *_ = right(**call)
    return output, *right(**{**call, "training": True})[1:]


def _remembering() -> Mistake:
    """Return the mistake of an inference by the statistics of the last batch that trained as many channels."""
    last: dict[tuple[int, Any], Call] = {}

    def mistake(right: Binding, **call: Any) -> Any:
        x = call["input"]
        key = x.shape[1], x.dtype
        if training(call):
            axes = (0, *range(2, x.ndim))
            wide = x.astype(np.float64)
            found = {"running_mean": wide.mean(axes), "running_var": wide.var(axes)}
            last[key] = {name: value.astype(x.dtype) for name, value in found.items()}
            return right(**call)
        return right(**{**call, **last.get(key, {})})[0], *right(**call)[1:]

    return mistake


RUNNING = (
    _values(
        "batch_norm-running-biased",
        "the running variance keeps the biased one",
        calling(lambda call: {"running_variance": "biased"}),
        kind="statistics",
    ),
    _values(
        "batch_norm-momentum-reversed",
        "momentum weights the old value",
        calling(lambda call: {"momentum_weights": "old"}),
        dtype="float16",
        kind="statistics",
    ),
    _values(
        "batch_norm-momentum-ignored",
        "momentum is 0.1 always",
        calling(lambda call: {"momentum": 0.1}),
        kind="statistics",
    ),
    _values(
        "batch_norm-running-mean-kept", "the running mean is not updated", _not_updated("running_mean"), kind="state"
    ),
    _values(
        "batch_norm-running-var-kept", "the running variance is not updated", _not_updated("running_var"), kind="state"
    ),
    _values(
        "batch_norm-evaluation-updates",
        "the running statistics are updated in evaluation",
        where(several, _updated_in_evaluation),
        kind="state",
    ),
)

STATE = (
    _values(
        "batch_norm-remembers-training",
        "inference uses the statistics of the last batch in training with as many channels",
        _remembering(),
        kind="state",
    ),
)

OTHERS = (
    fault(
        "batch_norm-running-missing",
        "the running statistics are not given back",
        "batch_norm",
        "sizes",
        lambda right, **call: right(**call)[0],
        kind="shape",
    ),
    fault(
        "batch_norm-plane-added",
        "an input without spatial axes gets one",
        "batch_norm",
        "sizes",
        answering(lambda y, call: y[:, :, np.newaxis] if y.ndim == 2 else y),
        dtype="float16",
        kind="shape",
    ),
    fault(
        "batch_norm-empty-batch-refused",
        "an empty batch raises",
        "batch_norm",
        "sizes",
        where(lambda call: not len(call["input"]), refusing),
        kind="acceptance",
    ),
    fault(
        "batch_norm-nan-leaks",
        "a NaN in one channel reaches the others",
        "batch_norm",
        "special",
        answering(leaking),
        kind="special",
    ),
    fault(
        "batch_norm-nan-as-zero",
        "a NaN is read as 0",
        "batch_norm",
        "special",
        taking("input", without_nan),
        dtype="bfloat16",
        kind="special",
    ),
)

FAULTS: tuple[Fault, ...] = (*RUNNING, *STATE, *OTHERS)
