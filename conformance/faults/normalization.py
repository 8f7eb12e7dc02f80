"""Ways for batch normalization to be wrong: its formula and its statistics."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from conformance.formats import Array, numpy_dtype, round_bits
from conformance.honest import Binding, fault, honest, like
from conformance.mistakes import (
    Call,
    Mistake,
    answering,
    calling,
    given,
    parameter,
    taking,
    where,
)
from conformance.model import Fault

Statistics = Callable[[Array, Call], tuple[Array, Array]]


def _values(name: str, sentence: str, mistake: Mistake, **more: Any) -> Fault:
    return fault(name, sentence, "batch_norm", "values", mistake, **more)


def training(call: Call) -> bool:
    """Whether the statistics are those of the batch."""
    return bool(call.get("training", False))


def _eps(call: Call) -> float:
    return float(call.get("eps", 1e-5))


def _axes(x: Array) -> tuple[int, ...]:
    return (0, *range(2, x.ndim))


def _values_per_channel(x: Array) -> int:
    return math.prod(x.shape[a] for a in _axes(x))


def _two_passes(x: Array, axes: tuple[int, ...]) -> tuple[Array, Array]:
    mean = x.mean(axes, keepdims=True)
    return mean, np.square(x - mean).mean(axes, keepdims=True)


def _kept(call: Call) -> tuple[Array, Array]:
    """Return the mean and the variance to normalize by, in float64, shaped to broadcast."""
    x = call["input"].astype(np.float64)
    if training(call):
        return _two_passes(x, _axes(x))
    mean, var = (parameter(call[name].astype(np.float64), x.ndim) for name in ("running_mean", "running_var"))
    return mean, var


def _normalized(call: Call, mean: Array, scale: Array) -> Array:
    """Return (input - mean) * scale * weight + bias in the input's dtype, computed in that of mean and scale."""
    x = call["input"].astype(mean.dtype)
    output = (x - mean) * scale
    if "weight" in call:
        output = output * parameter(call["weight"].astype(mean.dtype), x.ndim)
    if "bias" in call:
        output = output + parameter(call["bias"].astype(mean.dtype), x.ndim)
    return like(output, call["input"].dtype)


def _normalizing(mistake: Callable[[Call, Array, Array], tuple[Array, Array]]) -> Mistake:
    """Return the mistake of another mean and scale: mistake(call, right mean, right variance)."""

    def changed(output: Array, call: Call) -> Array:
        with np.errstate(all="ignore"):
            return _normalized(call, *mistake(call, *_kept(call)))

    return answering(changed)


def _scaling(scale: Callable[[Call, Array], Array]) -> Mistake:
    return _normalizing(lambda call, mean, var: (mean, scale(call, var)))


def _over(axes: Callable[[Array], tuple[int, ...]]) -> Mistake:
    """Return the mistake of statistics over other axes in training."""

    def mistake(call: Call, mean: Array, var: Array) -> tuple[Array, Array]:
        mean, var = _two_passes(call["input"].astype(np.float64), axes(call["input"]))
        return mean, 1 / np.sqrt(var + _eps(call))

    return where(training, _normalizing(mistake))


def _in_float32(right: Binding, variance: Callable[[Array, Array, tuple[int, ...]], Array], **call: Any) -> Any:
    """Normalize in float32 by a variance(x, mean, axes) of one's own."""

    def changed(output: Array, call: Call) -> Array:
        x = call["input"].astype(np.float32)
        mean = x.mean(_axes(x), keepdims=True)
        with np.errstate(all="ignore"):
            root = np.sqrt(variance(x, mean, _axes(x)) + np.float32(_eps(call)))
            return _normalized(call, mean, 1 / root)

    return where(training, answering(changed))(right, **call)


def _textbook(x: Array, mean: Array, axes: tuple[int, ...]) -> Array:
    return np.asarray(np.square(x).mean(axes, keepdims=True) - np.square(mean))


def _deviations(x: Array, mean: Array, axes: tuple[int, ...]) -> Array:
    return np.asarray(np.square(x - mean).mean(axes, keepdims=True))


def _unbiased(call: Call, var: Array) -> Array:
    m = _values_per_channel(call["input"]) if training(call) else 0
    return 1 / np.sqrt(var * (m / (m - 1)) + _eps(call))


def _batch_in_evaluation(right: Binding, **call: Any) -> Any:
    return right(**{**call, "training": True})[0], *right(**call)[1:]


def several(call: Call) -> bool:
    """Whether a channel has several values in a sample."""
    return not training(call) and _values_per_channel(call["input"]) > 1


def _swapped(call: Call) -> Call:
    return {"weight": call["bias"], "bias": call["weight"]}


def _after_update(right: Binding, **call: Any) -> Any:
    """Normalize by the running statistics as they are after the update."""
    _, mean, var = kept = right(**call)
    return right(**{**call, "training": False, "running_mean": mean, "running_var": var})[0], *kept[1:]


FORMULA = (
    _values(
        "batch_norm-eps-outside-root",
        "eps is added to the root of the variance",
        _scaling(lambda call, var: 1 / (np.sqrt(var) + _eps(call))),
        kind="statistics",
    ),
    _values("batch_norm-eps-ignored", "eps is ignored", calling(lambda call: {"eps": 0.0}), kind="statistics"),
    _values(
        "batch_norm-eps-twice", "eps is added twice", calling(lambda call: {"eps": 2 * _eps(call)}), kind="statistics"
    ),
    _values(
        "batch_norm-eps-half-more",
        "eps is 1.5 times what it should be, on real data only",
        where(lambda call: _eps(call) < 1, calling(lambda call: {"eps": 1.5 * _eps(call)})),
        kind="statistics",
    ),
    _values(
        "batch_norm-weight-and-bias-swapped",
        "weight and bias are swapped",
        where(lambda call: "weight" in call and "bias" in call, calling(_swapped)),
        kind="index",
    ),
    _values(
        "batch_norm-bias-ignored",
        "the bias is not added",
        calling(lambda call: {"bias": None}),
        dtype="float64",
        kind="index",
    ),
    _values(
        "batch_norm-weight-in-bfloat16",
        "the weight is rounded to bfloat16",
        taking("weight", lambda w: w.astype(numpy_dtype("bfloat16"))),
        kind="rounding",
    ),
    _values(
        "batch_norm-coarse-root",
        "one over the root has 12 bits",
        _scaling(lambda call, var: round_bits(1 / np.sqrt(var + _eps(call)), 12)),
        kind="rounding",
    ),
    _values(
        "batch_norm-statistics-swapped",
        "mean and variance are swapped in evaluation",
        where(
            lambda call: not training(call),
            _normalizing(lambda call, mean, var: (var, 1 / np.sqrt(mean + _eps(call)))),
        ),
        kind="statistics",
    ),
)

STATISTICS = (
    _values(
        "batch_norm-unbiased",
        "the values are normalized by the unbiased variance",
        where(training, _scaling(_unbiased)),
        kind="statistics",
    ),
    _values(
        "batch_norm-textbook",
        "the variance is the mean of squares less the square of the mean",
        lambda right, **call: _in_float32(right, _textbook, **call),
        twin=partial(_in_float32, honest("batch_norm"), _deviations),
        kind="rounding",
    ),
    _values(
        "batch_norm-per-sample",
        "every sample has statistics of its own",
        where(lambda call: call["input"].ndim > 2, _over(lambda x: tuple(range(2, x.ndim)))),
        dtype="bfloat16",
        kind="axes",
    ),
    _values(
        "batch_norm-over-channels",
        "the statistics are over the channels of a sample too",
        _over(lambda x: tuple(range(1, x.ndim))),
        kind="axes",
    ),
    _values(
        "batch_norm-training-ignored",
        "the running statistics are used in training too",
        where(given("running_mean"), calling(lambda call: {"training": False})),
        kind="state",
    ),
    _values(
        "batch_norm-evaluation-ignored",
        "the statistics of the batch are used in evaluation too",
        where(several, _batch_in_evaluation),
        kind="state",
    ),
    _values(
        "batch_norm-after-update",
        "training normalizes by the updated running statistics",
        where(lambda call: training(call) and "running_mean" in call, _after_update),
        kind="state",
    ),
)

FAULTS: tuple[Fault, ...] = (*FORMULA, *STATISTICS)
