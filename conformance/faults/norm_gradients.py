"""Ways for the gradients of normalizations to be wrong: what they leave out, and what they sum over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from conformance.faults.norm_steps import Steps, axes_of, moments_of, pulling
from conformance.formats import Array, numpy_dtype
from conformance.honest import Binding, fault, honest, like
from conformance.mistakes import Call, calling, taking
from conformance.model import Fault
from reference.norm_arguments import NormCall

Change = Callable[[NormCall, Steps], Mapping[str, Any]]


def _own(form: NormCall) -> bool:
    return form.given is None


def _constant(form: NormCall, steps: Steps) -> Steps:
    return {"total": 0.0, "tilt": 0.0} if "total" in steps else {}


def _without_mean(form: NormCall, steps: Steps) -> Steps:
    return {"total": 0.0} if "total" in steps else {}


def _without_variance(form: NormCall, steps: Steps) -> Steps:
    return {"tilt": 0.0} if "tilt" in steps else {}


def _unbiased(form: NormCall, steps: Steps) -> Steps:
    if "z" in steps or not _own(form):
        return {}
    return {"root": 1 / np.sqrt(steps["var"] * (form.values / max(form.values - 1, 1)) + form.eps)}


def _without_eps(form: NormCall, steps: Steps) -> Steps:
    return {} if "z" in steps else {"root": 1 / np.sqrt(steps["var"])}


def _tilt_without_eps(form: NormCall, steps: Steps) -> Steps:
    return {"tilt": steps["tilt"] * (1 + form.eps / steps["var"])} if "tilt" in steps else {}


def _without_weight(form: NormCall, steps: Steps) -> Steps:
    return {"h": steps["g"]} if "h" in steps else {}


def _sums_without_weight(form: NormCall, steps: Steps) -> Steps:
    if "total" not in steps or not _own(form):
        return {}
    total = steps["g"].mean(axes_of(form), keepdims=True) * form.centered
    return {"total": total, "tilt": (steps["g"] * steps["z"]).mean(axes_of(form), keepdims=True)}


def _weight_of_input(form: NormCall, steps: Steps) -> Steps:
    return {"weight": (steps["g"] * form.x).sum((0, 3))} if "input" in steps else {}


def _weight_uncentered(form: NormCall, steps: Steps) -> Steps:
    return {"weight": (steps["g"] * form.x * steps["root"]).sum((0, 3))} if "input" in steps else {}


def _weight_unscaled(form: NormCall, steps: Steps) -> Steps:
    return {"weight": (steps["g"] * (form.x - steps["mean"])).sum((0, 3))} if "input" in steps else {}


def _first_sample(form: NormCall, steps: Steps) -> Steps:
    if "input" not in steps:
        return {}
    return {"weight": (steps["g"] * steps["z"])[:1].sum((0, 3)), "bias": steps["g"][:1].sum((0, 3))}


def _bias_mean(form: NormCall, steps: Steps) -> Steps:
    return {"bias": steps["g"].mean((0, 3))} if "input" in steps else {}


def _per_sample(form: NormCall, steps: Steps) -> Steps:
    if "total" not in steps or not _own(form):
        return {}
    total = steps["h"].mean((2, 3), keepdims=True)
    return {"total": total, "tilt": (steps["h"] * steps["z"]).mean((2, 3), keepdims=True)}


def _last_block_skipped(form: NormCall, steps: Steps) -> Steps:
    """Leave what a loop over blocks of 16 has left out of the sums for the input, of long rows only."""
    length = form.x.shape[3] if form.x.shape[3] > 1 else form.x.shape[2]
    if "total" not in steps or not _own(form) or length <= 32 or length % 16 == 0:
        return {}
    cut: tuple[slice, ...] = (slice(None),) * (3 if form.x.shape[3] > 1 else 2) + (slice(length - length % 16),)
    count, tilt = form.values, steps["h"] * steps["z"]
    total = steps["h"][cut].sum(axes_of(form), keepdims=True) / count * form.centered
    return {"total": total, "tilt": tilt[cut].sum(axes_of(form), keepdims=True) / count}


def _as_in_training(form: NormCall, steps: Steps) -> Steps:
    if "total" not in steps or _own(form):
        return {}
    total = steps["h"].mean(axes_of(form), keepdims=True)
    return {"total": total, "tilt": (steps["h"] * steps["z"]).mean(axes_of(form), keepdims=True)}


def _own_in_evaluation(form: NormCall, steps: Steps) -> Steps:
    if "z" in steps or _own(form) or form.x.shape[3] < 2:
        return {}
    mean, var = moments_of(form._replace(given=None))
    return {"mean": mean, "root": 1 / np.sqrt(var + form.eps)}


def _gradient(
    operator: str, name: str, sentence: str, change: Change, dtype: str = "float32", kind: str = "gradient"
) -> Fault:
    return fault(
        f"{operator}-gradient-{name}", sentence, operator, "gradients", pulling(operator, change), dtype, kind=kind
    )


BATCH = (
    _gradient("batch_norm", "statistics-constant", "mean and variance are taken for constants", _constant),
    _gradient("batch_norm", "mean-constant", "the mean is taken for a constant", _without_mean, "float64"),
    _gradient("batch_norm", "variance-constant", "the variance is taken for a constant", _without_variance, "bfloat16"),
    _gradient("batch_norm", "unbiased", "the variance is the unbiased one", _unbiased, "float16", "statistics"),
    _gradient("batch_norm", "eps-forgotten", "eps is left out", _without_eps, kind="statistics"),
    _gradient("batch_norm", "eps-in-tilt", "eps is left out of the term of the variance", _tilt_without_eps),
    _gradient("batch_norm", "weight-forgotten", "the input's does not have the weight as a factor", _without_weight),
    _gradient("batch_norm", "weight-of-input", "the weight's is made of the input as it is", _weight_of_input),
    _gradient(
        "batch_norm", "weight-uncentered", "the weight's is of the scaled input, its mean left in", _weight_uncentered
    ),
    _gradient("batch_norm", "weight-unscaled", "the weight's is not divided by the root", _weight_unscaled),
    _gradient(
        "batch_norm",
        "first-sample",
        "those of weight and bias are of the first sample alone",
        _first_sample,
        kind="axes",
    ),
    _gradient("batch_norm", "bias-mean", "the bias's is a mean, not a sum", _bias_mean, "float16", "divisor"),
    _gradient("batch_norm", "per-sample", "the sums for the input are of each sample alone", _per_sample, kind="axes"),
    _gradient(
        "batch_norm",
        "as-in-training",
        "inference has the terms of mean and variance too",
        _as_in_training,
        kind="state",
    ),
    _gradient(
        "batch_norm",
        "own-in-evaluation",
        "inference is by the batch's own statistics",
        _own_in_evaluation,
        kind="state",
    ),
    fault(
        "batch_norm-gradient-cotangent-in-bfloat16",
        "the cotangent is rounded to bfloat16",
        "batch_norm",
        "gradients",
        taking("cotangent", lambda g: g.astype(numpy_dtype("bfloat16"))),
        kind="rounding",
    ),
)

OTHERS = (
    _gradient(
        "instance_norm", "statistics-constant", "mean and variance are taken for constants", _constant, "float64"
    ),
    _gradient(
        "instance_norm",
        "first-sample",
        "those of weight and bias are of the first sample alone",
        _first_sample,
        kind="axes",
    ),
    _gradient("instance_norm", "mean-constant", "the mean is taken for a constant", _without_mean, "float16"),
    _gradient(
        "instance_norm",
        "weight-uncentered",
        "the weight's is of the scaled input, its mean left in",
        _weight_uncentered,
    ),
    _gradient(
        "instance_norm",
        "last-block",
        "what blocks of 16 leave over is not in the sums",
        _last_block_skipped,
        kind="size",
    ),
    _gradient("group_norm", "statistics-constant", "mean and variance are taken for constants", _constant, "bfloat16"),
    _gradient("group_norm", "sums-unweighted", "the sums over a group leave the weight out", _sums_without_weight),
    _gradient("group_norm", "unbiased", "the variance is the unbiased one", _unbiased, "float64", "statistics"),
    _gradient(
        "group_norm",
        "first-sample",
        "those of weight and bias are of the first sample alone",
        _first_sample,
        kind="axes",
    ),
    _gradient("layer_norm", "statistics-constant", "mean and variance are taken for constants", _constant, "float16"),
    _gradient("layer_norm", "mean-constant", "the mean is taken for a constant", _without_mean),
    _gradient(
        "layer_norm", "sums-unweighted", "the sums over a row leave the weight out", _sums_without_weight, "float64"
    ),
    _gradient(
        "layer_norm", "weight-of-input", "the weight's is made of the input as it is", _weight_of_input, "bfloat16"
    ),
    _gradient(
        "layer_norm", "last-block", "what blocks of 16 leave over is not in the sums", _last_block_skipped, kind="size"
    ),
    _gradient("rms_norm", "statistics-constant", "the mean square is taken for a constant", _constant, "bfloat16"),
    _gradient("rms_norm", "sums-unweighted", "the sum over a row leaves the weight out", _sums_without_weight),
    _gradient("rms_norm", "weight-of-input", "the weight's is made of the input as it is", _weight_of_input, "float16"),
    _gradient(
        "rms_norm", "eps-in-tilt", "eps is left out of the term of the mean square", _tilt_without_eps, "float64"
    ),
)


def _own_channel(call: Call) -> Call:
    return {"size": 1, "alpha": call.get("alpha", 1e-4) / call["size"]}


def _square_constant(right: Binding, cotangent: Array, **call: Any) -> Array:
    x = call["input"].astype(np.float64)
    y = honest("local_response_norm")(**{**call, "input": x})
    return like(cotangent * (y / x), cotangent.dtype)


LOCAL_RESPONSE = tuple(
    fault(
        f"local_response_norm-gradient-{name}", sentence, "local_response_norm", "gradients", mistake, dtype, kind=kind
    )
    for name, sentence, mistake, dtype, kind in (
        (
            "windows-unreversed",
            "an even window reaches further on the other side",
            calling(lambda call: {"extra": "upper"}),
            "float32",
            "index",
        ),
        ("own-channel", "a channel is in no window but its own", calling(_own_channel), "float64", "axes"),
        (
            "sum",
            "the sum of squares is not divided by the size of the window",
            calling(lambda call: {"scale": "sum"}),
            "bfloat16",
            "divisor",
        ),
        (
            "square-constant",
            "what is divided by is taken for a constant",
            _square_constant,
            "float16",
            "gradient",
        ),
    )
)

FAULTS: tuple[Fault, ...] = (*BATCH, *OTHERS, *LOCAL_RESPONSE)
