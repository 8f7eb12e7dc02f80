"""Ways for group, layer and root-mean-square norm to be wrong."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from conformance.faults.norm_steps import axes_of, moments_of, normalizing, over, root_of, scaling
from conformance.formats import Array, numpy_dtype
from conformance.honest import Binding, fault, honest, like
from conformance.mistakes import Call, Mistake, calling, given, taking, where
from conformance.model import Fault
from reference.norm_arguments import NormCall


def values(operator: str, name: str, sentence: str, mistake: Mistake, **more: Any) -> Fault:
    """Return a fault that the check of values must catch."""
    return fault(f"{operator}-{name}", sentence, operator, "values", mistake, **more)


def eps_outside(form: NormCall, var: Array) -> Array:
    """Return one over what eps is added to the root of."""
    return np.asarray(1 / (np.sqrt(var) + form.eps))


def unbiased(form: NormCall, var: Array) -> Array:
    """Return one over the root of the unbiased variance."""
    return root_of(form, var * (form.values / max(form.values - 1, 1)))


def mean_over(*axes: int) -> Callable[[Array], Array]:
    """Return the function that takes the mean over axes of (N, G, K, L)."""
    return lambda numbers: np.asarray(numbers.mean(axes, keepdims=True))


def mean_of_means(numbers: Array) -> Array:
    """Return the mean of the means of blocks of 32, the last of which may be shorter."""
    rows = numbers.reshape(*numbers.shape[:2], -1)
    means = [rows[..., i : i + 32].mean(-1) for i in range(0, rows.shape[-1], 32)]
    return np.asarray(np.mean(means, 0)[..., np.newaxis, np.newaxis])


def _textbook(form: NormCall, mean: Array) -> Array:
    return np.asarray(np.square(form.x).mean(axes_of(form), keepdims=True) - np.square(mean))


def _deviations(form: NormCall, mean: Array) -> Array:
    return np.asarray(np.square(form.x - mean).mean(axes_of(form), keepdims=True))


def _in_float32(operator: str, variance: Callable[[NormCall, Array], Array]) -> Mistake:
    """Return the design of statistics in float32, by a variance(form, mean)."""

    def statistics(form: NormCall) -> tuple[Array, Array]:
        narrow = form._replace(x=form.x.astype(np.float32))
        mean = narrow.x.mean(axes_of(form), keepdims=True)
        return mean, np.asarray(1 / np.sqrt(variance(narrow, mean) + np.float32(form.eps)))

    return normalizing(operator, statistics)


def _centered(form: NormCall) -> tuple[Array, Array]:
    mean, var = moments_of(form._replace(centered=True))
    return mean, root_of(form, var)


def _interleaved(x: Array, groups: int) -> Array:
    """Let channel i be in group i % groups."""
    n, c, *spatial = x.shape
    return np.asarray(x.reshape(n, c // groups, groups, *spatial).swapaxes(1, 2).reshape(x.shape))


def _in_interleaved_groups(right: Binding, **call: Any) -> Array:
    x, groups = call["input"], call["num_groups"]
    plain = {k: v for k, v in call.items() if k not in ("weight", "bias")}
    y = right(**{**plain, "input": _interleaved(x, groups)})
    y = _interleaved(y, x.shape[1] // groups)
    along = (-1, *(1,) * (x.ndim - 2))
    y = y.astype(np.float64) * call["weight"].reshape(along) if "weight" in call else y
    return like(y + call["bias"].reshape(along) if "bias" in call else y, x.dtype)


def _weight_of_group(call: Call) -> Call:
    c, groups = call["input"].shape[1], call["num_groups"]
    return {"weight": call["weight"][np.arange(c) // (c // groups)]}


def _several_axes(call: Call) -> bool:
    return len(call["normalized_shape"]) > 1


def _last_axis_alone(right: Binding, **call: Any) -> Array:
    x, last = call["input"], call["normalized_shape"][-1:]
    y = right(input=x, normalized_shape=last, **({"eps": call["eps"]} if "eps" in call else {}))
    y = y.astype(np.float64) * call["weight"] if "weight" in call else y
    return like(y + call["bias"] if "bias" in call else y, x.dtype)


def _weight_transposed(call: Call) -> Call:
    return {"weight": call["weight"].T.reshape(call["weight"].shape)}


def _stored_before_weight(right: Binding, **call: Any) -> Array:
    return np.asarray(right(**{**call, "weight": None}) * call["weight"])


GROUP = (
    values(
        "group_norm",
        "groups-ignored",
        "all channels are one group",
        over("group_norm", mean_over(1, 2, 3)),
        kind="groups",
    ),
    values(
        "group_norm",
        "per-channel",
        "every channel has statistics of its own",
        over("group_norm", mean_over(3)),
        dtype="float16",
        kind="groups",
    ),
    values(
        "group_norm",
        "interleaved",
        "a group's channels lie as far apart as there are groups",
        _in_interleaved_groups,
        kind="groups",
    ),
    values(
        "group_norm",
        "weight-of-group",
        "a group has the weight of the channel of its own number",
        where(given("weight"), calling(_weight_of_group)),
        dtype="float64",
        kind="groups",
    ),
    values(
        "group_norm",
        "over-batch",
        "the statistics are over the samples too",
        over("group_norm", mean_over(0, 2, 3)),
        dtype="bfloat16",
        kind="axes",
    ),
    values(
        "group_norm",
        "eps-outside-root",
        "eps is added to the root of the variance",
        scaling("group_norm", eps_outside),
        kind="statistics",
    ),
    values(
        "group_norm",
        "unbiased",
        "the variance is the unbiased one",
        scaling("group_norm", unbiased),
        kind="statistics",
    ),
    values(
        "group_norm",
        "mean-of-means",
        "a mean of more than 32 numbers is that of the means of blocks",
        over("group_norm", mean_of_means),
        kind="size",
    ),
    values(
        "group_norm",
        "weight-in-bfloat16",
        "the weight is rounded to bfloat16",
        taking("weight", lambda w: w.astype(numpy_dtype("bfloat16"))),
        kind="rounding",
    ),
)

LAYER = (
    values(
        "layer_norm",
        "last-axis-alone",
        "of several axes only the last is normalized",
        where(_several_axes, _last_axis_alone),
        kind="axes",
    ),
    values(
        "layer_norm",
        "over-everything",
        "the statistics are over all rows",
        over("layer_norm", mean_over(0, 2, 3)),
        dtype="float16",
        kind="axes",
    ),
    values(
        "layer_norm",
        "eps-outside-root",
        "eps is added to the root of the variance",
        scaling("layer_norm", eps_outside),
        dtype="float64",
        kind="statistics",
    ),
    values(
        "layer_norm",
        "unbiased",
        "the variance is the unbiased one",
        scaling("layer_norm", unbiased),
        dtype="bfloat16",
        kind="statistics",
    ),
    values(
        "layer_norm", "eps-of-batch-norm", "eps is 1e-5 always", calling(lambda call: {"eps": 1e-5}), kind="statistics"
    ),
    values(
        "layer_norm",
        "weight-transposed",
        "the weight is read with its axes reversed",
        where(given("weight"), calling(_weight_transposed)),
        kind="index",
    ),
    values("layer_norm", "bias-ignored", "the bias is not added", calling(lambda call: {"bias": None}), kind="index"),
    values(
        "layer_norm",
        "mean-of-means",
        "a mean of more than 32 numbers is that of the means of blocks",
        over("layer_norm", mean_of_means),
        kind="size",
    ),
    values(
        "layer_norm",
        "textbook",
        "the variance is the mean of squares less the square of the mean",
        _in_float32("layer_norm", _textbook),
        twin=partial(_in_float32("layer_norm", _deviations), honest("layer_norm")),
        kind="rounding",
    ),
)

RMS = (
    values(
        "rms_norm", "centered", "the mean is subtracted first", normalizing("rms_norm", _centered), kind="statistics"
    ),
    values(
        "rms_norm",
        "eps-outside-root",
        "eps is added to the root of the mean square",
        scaling("rms_norm", eps_outside),
        kind="statistics",
    ),
    values(
        "rms_norm",
        "sum",
        "the squares are summed, not averaged",
        scaling("rms_norm", lambda form, var: root_of(form, var * form.values)),
        dtype="bfloat16",
        kind="divisor",
    ),
    values(
        "rms_norm",
        "one-less",
        "the divisor of the mean is one less",
        scaling("rms_norm", unbiased),
        dtype="float16",
        kind="divisor",
    ),
    values(
        "rms_norm",
        "last-axis-alone",
        "of several axes only the last is normalized",
        where(_several_axes, _last_axis_alone),
        kind="axes",
    ),
    values(
        "rms_norm",
        "weight-plus-one",
        "one is added to the weight",
        taking("weight", lambda w: w + 1),
        dtype="float64",
        kind="index",
    ),
    values(
        "rms_norm",
        "stored-before-weight",
        "what the weight multiplies has been rounded to bfloat16",
        where(given("weight"), _stored_before_weight),
        dtype="bfloat16",
        kind="rounding",
    ),
    values(
        "rms_norm",
        "mean-of-means",
        "a mean of more than 32 numbers is that of the means of blocks",
        over("rms_norm", mean_of_means),
        kind="size",
    ),
)

FAULTS: tuple[Fault, ...] = (*GROUP, *LAYER, *RMS)
