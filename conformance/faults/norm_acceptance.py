"""Ways for normalizations of samples to accept what must be refused, and to refuse what must be accepted."""

from __future__ import annotations

from typing import Any

from conformance.honest import fault
from conformance.mistakes import Mistake, accepting, refusing, where
from conformance.model import Fault


def _fault(operator: str, name: str, sentence: str, mistake: Mistake, dtype: str = "float32") -> Fault:
    return fault(f"{operator}-{name}", sentence, operator, "rejections", mistake, dtype, kind="acceptance")


def _input_back(right: Any, **call: Any) -> Any:
    """Answer with the input, and with the running statistics as they were given."""
    if "running_mean" in call or "use_input_stats" in call:
        return call["input"], call.get("running_mean"), call.get("running_var")
    return call["input"]


FAULTS: tuple[Fault, ...] = (
    _fault(
        "instance_norm",
        "accepts-one-value",
        "one value to a channel of a sample is accepted",
        accepting("values-per-channel", _input_back),
    ),
    _fault(
        "instance_norm",
        "accepts-negative-eps",
        "a negative eps is accepted",
        accepting("eps", _input_back),
    ),
    _fault(
        "instance_norm",
        "zero-eps-refused",
        "an eps of 0 raises",
        where(lambda call: call.get("eps") == 0, refusing),
    ),
    _fault(
        "group_norm",
        "accepts-uneven-groups",
        "groups that do not divide the channels are accepted",
        accepting("num-groups", _input_back),
    ),
    _fault(
        "group_norm",
        "accepts-weight",
        "a weight of another shape is accepted",
        accepting("weight", _input_back),
        dtype="float64",
    ),
    _fault(
        "group_norm",
        "lone-values-refused",
        "one value to a group of several samples raises",
        where(lambda call: call["input"].size == call["input"].shape[0] * call["num_groups"], refusing),
    ),
    _fault(
        "layer_norm",
        "accepts-shape",
        "a normalized shape that is not the input's is accepted",
        accepting("normalized-shape", _input_back),
    ),
    _fault(
        "layer_norm",
        "accepts-negative-eps",
        "a negative eps is accepted",
        accepting("eps", _input_back),
        dtype="float16",
    ),
    _fault(
        "layer_norm",
        "whole-input-refused",
        "all axes cannot be normalized",
        where(lambda call: call["input"].ndim == len(call["normalized_shape"]), refusing),
    ),
    _fault(
        "rms_norm",
        "accepts-weight",
        "a weight of another shape is accepted",
        accepting("weight", _input_back),
    ),
    _fault(
        "rms_norm",
        "accepts-no-shape",
        "an empty normalized shape is accepted",
        accepting("normalized-shape", _input_back),
        dtype="bfloat16",
    ),
    _fault(
        "local_response_norm",
        "accepts-no-size",
        "a window of no channels is accepted",
        accepting("size", _input_back),
    ),
    _fault(
        "local_response_norm",
        "accepts-no-plane",
        "an input without spatial axes is accepted",
        accepting("input-rank", _input_back),
        dtype="float16",
    ),
)
