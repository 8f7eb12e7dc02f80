"""Ways for instance norm to be wrong: what its statistics are of, and what it keeps of them."""

from __future__ import annotations

import math
from typing import Any

from conformance.faults.group_norms import eps_outside, mean_of_means, mean_over, unbiased, values
from conformance.faults.norm_steps import over, scaling
from conformance.honest import Binding
from conformance.mistakes import Call, calling, given, where
from conformance.model import Fault


def _first_sample_kept(right: Binding, **call: Any) -> Any:
    """Blend only the statistics of the first sample into the running ones."""
    return right(**call)[0], *right(**{**call, "input": call["input"][:1]})[1:]


def _given(call: Call) -> bool:
    return not call.get("use_input_stats", True) and math.prod(call["input"].shape[2:]) > 1


def _own_instead(right: Binding, **call: Any) -> Any:
    return right(**{**call, "use_input_stats": True})[0], *right(**call)[1:]


FAULTS: tuple[Fault, ...] = (
    values(
        "instance_norm",
        "over-batch",
        "the statistics are over the samples too",
        over("instance_norm", mean_over(0, 2, 3)),
        kind="axes",
    ),
    values(
        "instance_norm",
        "over-channels",
        "the statistics are over channels too",
        over("instance_norm", mean_over(1, 2, 3)),
        dtype="bfloat16",
        kind="axes",
    ),
    values(
        "instance_norm",
        "eps-outside-root",
        "eps is added to the root of the variance",
        scaling("instance_norm", eps_outside),
        kind="statistics",
    ),
    values(
        "instance_norm",
        "unbiased",
        "the values are normalized by the unbiased variance",
        scaling("instance_norm", unbiased),
        dtype="float16",
        kind="statistics",
    ),
    values(
        "instance_norm",
        "mean-of-means",
        "a mean of more than 32 numbers is that of the means of blocks",
        over("instance_norm", mean_of_means),
        kind="size",
    ),
    values(
        "instance_norm",
        "first-sample-kept",
        "only the first sample's statistics are kept",
        where(given("running_mean"), _first_sample_kept),
        kind="state",
    ),
    values(
        "instance_norm",
        "running-biased",
        "the running variance keeps the biased one",
        calling(lambda call: {"running_variance": "biased"}),
        dtype="float64",
        kind="statistics",
    ),
    values(
        "instance_norm",
        "momentum-reversed",
        "momentum weights the old value",
        calling(lambda call: {"momentum_weights": "old"}),
        kind="statistics",
    ),
    values(
        "instance_norm",
        "given-ignored",
        "the statistics that are given are not used",
        where(_given, _own_instead),
        kind="state",
    ),
)
