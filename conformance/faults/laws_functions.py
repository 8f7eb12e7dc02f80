"""Ways for norms, softmax and activations to be wrong that a law sees."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.formats import Array
from conformance.honest import Binding, fault, like
from conformance.mistakes import Call, answering, calling, parameter, taking, where
from conformance.model import Fault

EPS = 1e-5


def _eps(call: Call) -> float:
    eps = call.get("eps", EPS)
    return EPS if eps is None else float(eps)


def _eps_twice(call: Call) -> Call:
    return {"eps": 2 * _eps(call)}


def _eps_of_the_deviation(right: Binding, **call: Any) -> Any:
    """Add eps to the standard deviation of the input, not to its variance."""
    if not call.get("training"):
        return right(**call)
    x = call["input"].astype(np.float64)
    axes = (0, *range(2, x.ndim))
    centred = x - x.mean(axes, keepdims=True)
    output = centred / (np.sqrt(np.square(centred).mean(axes, keepdims=True)) + _eps(call))
    for name, combine in (("weight", np.multiply), ("bias", np.add)):
        if name in call:
            output = combine(output, parameter(call[name].astype(np.float64), x.ndim))
    return like(output, call["input"].dtype), *right(**call)[1:]


def _of_all_samples(right: Binding, **call: Any) -> Array:
    x = call["input"].astype(np.float64)
    distances = x - x.max(initial=-np.inf)
    return like(distances - np.log(np.exp(distances).sum()), call["input"].dtype)


def _one_less(right: Binding, **call: Any) -> Array:
    """Divide the sum of squares by one less than there are numbers."""
    count = int(np.prod(call["normalized_shape"]))
    share = max(count - 1, 1) / count
    output = right(**{**call, "eps": _eps(call) * share}).astype(np.float64) * np.sqrt(share)
    return np.asarray(output).astype(call["input"].dtype)


def _first_sample_alone(right: Binding, **call: Any) -> Array:
    """Take alpha twice but in the first sample."""
    output = right(**{**call, "alpha": 2 * call.get("alpha", 1e-4)})
    output[:1] = right(**call)[:1]
    return np.asarray(output)


def _with_one_more(output: Array, call: Call) -> Array:
    """Return softmax with one more in its denominator, as beside the largest score."""
    x, dim = call["input"].astype(np.float64), call.get("dim", -1)
    shares = np.exp(x - x.max(dim, keepdims=True))
    return np.asarray(shares / (1 + shares.sum(dim, keepdims=True))).astype(output.dtype)


def _last_class_as_before(scores: Array) -> Array:
    axis = 0 if scores.ndim == 1 else 1
    kept = np.minimum(np.arange(scores.shape[axis]), max(scores.shape[axis] - 2, 0))
    return np.take(scores, kept, axis)


def _next_weight(weight: Array) -> Array:
    return np.roll(weight, -1)


def _rational_tanh(output: Array, call: Call) -> Array:
    x = np.clip(call["input"].astype(np.float64), -3, 3)
    return np.asarray(x * (27 + x * x) / (27 + 9 * x * x)).astype(output.dtype)


def _steep_softsign(output: Array, call: Call) -> Array:
    x = call["input"].astype(np.float64)
    return np.where(x < 0, x / (2 - x), output).astype(output.dtype)


def _log_of_a_little_more(output: Array, call: Call) -> Array:
    return np.log(np.exp(output.astype(np.float64)) + 2.0**-6).astype(output.dtype)


def _gentle_below(output: Array, call: Call) -> Array:
    x = call["input"].astype(np.float64)
    return np.where(x < 0, np.clip(x / 8 + 0.5, 0, 1), output).astype(output.dtype)


def _falling_and_rising(output: Array, call: Call) -> Array:
    x = call["input"].astype(np.float64)
    return np.where(x < 0, x * np.exp(np.minimum(x, 0)), output).astype(output.dtype)


def _as_silu(output: Array, call: Call) -> Array:
    x = call["input"].astype(np.float64)
    return np.asarray(x / (1 + np.exp(-x))).astype(output.dtype)


FAULTS: tuple[Fault, ...] = (
    fault(
        "batch_norm-plain-eps-twice",
        "without a weight eps is added twice",
        "batch_norm",
        "laws",
        where(lambda call: "weight" not in call, calling(_eps_twice)),
        dtype="float64",
        kind="statistics",
    ),
    fault(
        "batch_norm-eps-of-the-deviation",
        "eps is added to the standard deviation, not to the variance",
        "batch_norm",
        "laws",
        _eps_of_the_deviation,
        kind="statistics",
    ),
    fault(
        "instance_norm-weight-limited",
        "a weight beyond 3 is cut to it",
        "instance_norm",
        "laws",
        taking("weight", lambda w: np.clip(w, -3, 3)),
        dtype="bfloat16",
    ),
    fault(
        "group_norm-single-channels-eps-twice",
        "with one channel to a group eps is added twice",
        "group_norm",
        "laws",
        where(lambda call: call["num_groups"] == call["input"].shape[1], calling(_eps_twice)),
        kind="groups",
    ),
    fault(
        "instance_norm-plain-eps-twice",
        "without a weight eps is added twice",
        "instance_norm",
        "laws",
        where(lambda call: "weight" not in call, calling(_eps_twice)),
        kind="statistics",
    ),
    fault(
        "layer_norm-eps-twice",
        "eps is added twice",
        "layer_norm",
        "laws",
        calling(_eps_twice),
        dtype="float64",
        kind="statistics",
    ),
    fault(
        "rms_norm-unbiased",
        "the sum of squares is divided by one less than there are numbers",
        "rms_norm",
        "laws",
        _one_less,
        kind="divisor",
    ),
    fault(
        "local_response_norm-first-sample-alone",
        "alpha counts twice but in the first sample",
        "local_response_norm",
        "laws",
        _first_sample_alone,
        kind="index",
    ),
    fault(
        "softmax-scores-limited",
        "scores beyond 4 are cut to it",
        "softmax",
        "laws",
        taking("input", lambda x: np.clip(x, -4, 4)),
    ),
    fault(
        "softmax-one-more",
        "the denominator counts the largest score once more",
        "softmax",
        "laws",
        answering(_with_one_more),
        dtype="float64",
        kind="divisor",
    ),
    fault(
        "cross_entropy-last-class-as-before",
        "the score of the last class is read from the class before it",
        "cross_entropy",
        "laws",
        taking("input", _last_class_as_before),
    ),
    fault(
        "cross_entropy-sum-as-mean",
        "a sum is divided as a mean is",
        "cross_entropy",
        "laws",
        calling(lambda call: {"reduction": "mean"} if call.get("reduction") == "sum" else {}),
        dtype="float64",
        kind="divisor",
    ),
    fault(
        "prelu-next-weight",
        "a channel is scaled by the weight of the next one",
        "prelu",
        "laws",
        where(lambda call: call["weight"].ndim, taking("weight", _next_weight)),
    ),
    fault(
        "prelu-slope-in-size",
        "the sign of a slope is ignored",
        "prelu",
        "laws",
        taking("weight", np.abs),
        dtype="float64",
    ),
    fault(
        "softsign-negative-side",
        "what is negative is divided by 2 more than its size",
        "softsign",
        "laws",
        answering(_steep_softsign),
    ),
    fault(
        "mish-many-axes-as-silu",
        "an input of more than two axes gets silu",
        "mish",
        "laws",
        where(lambda call: call["input"].ndim > 2, answering(_as_silu)),
        kind="axes",
    ),
    fault(
        "log_softmax-of-all-samples",
        "the probabilities of all samples together add up to 1",
        "log_softmax",
        "laws",
        _of_all_samples,
        kind="axes",
    ),
    fault(
        "silu-negative-as-zero",
        "what is negative becomes 0",
        "silu",
        "laws",
        answering(lambda y, call: np.where(call["input"] < 0, 0, y).astype(y.dtype)),
        dtype="float16",
    ),
    fault(
        "hardsigmoid-gentle-below",
        "the slope below 0 is an eighth",
        "hardsigmoid",
        "laws",
        answering(_gentle_below),
    ),
    fault(
        "tanh-fraction",
        "a fraction of two polynomials stands for tanh",
        "tanh",
        "laws",
        answering(_rational_tanh),
        kind="rounding",
    ),
    fault(
        "logsigmoid-guarded-logarithm",
        "a 64th is added before the logarithm is taken",
        "logsigmoid",
        "laws",
        answering(_log_of_a_little_more),
        dtype="float64",
        kind="rounding",
    ),
    fault(
        "leaky_relu-limited",
        "what exceeds 8 becomes 8",
        "leaky_relu",
        "laws",
        answering(lambda y, call: np.minimum(y, 8)),
        dtype="float16",
    ),
    fault(
        "selu-falls-and-rises",
        "what is negative is multiplied by its exponential, which lets the answer rise again",
        "selu",
        "laws",
        answering(_falling_and_rising),
    ),
    fault("elu-alpha-always-one", "alpha is 1 whatever is given", "elu", "laws", calling(lambda call: {"alpha": 1.0})),
    fault(
        "relu6-without-six",
        "nothing is cut to 6",
        "relu6",
        "laws",
        answering(lambda y, call: np.maximum(call["input"], 0)),
        dtype="bfloat16",
    ),
)
