"""Normalization, forward and backward, in steps each of which a fault can take otherwise.

All layers have the one form of `reference.norm_arguments`: x is (N, G, K, L), its statistics are over K and L, and for
batch norm over N too; weight and bias are (1, G, K, 1).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from conformance.formats import Array
from conformance.honest import Binding, like
from conformance.mistakes import Call, Mistake, answering
from conformance.model import Fault
from reference.norm_arguments import NormCall, channel_norm_call, group_norm_call, layer_norm_call

Statistics = Callable[[NormCall], tuple[Array, Array]]
Steps = dict[str, Any]
FAULTS: tuple[Fault, ...] = ()  # none of its own


def _channel(pooled: bool, switch: str, default: bool) -> Callable[[Call], NormCall]:
    def form(call: Call) -> NormCall:
        mean, var, weight, bias = (call.get(name) for name in ("running_mean", "running_var", "weight", "bias"))
        own, share, eps = call.get(switch, default), call.get("momentum", 0.1), call.get("eps", 1e-5)
        return channel_norm_call(pooled, call["input"], mean, var, weight, bias, own, share, eps, "unbiased", "new")

    return form


def _last_axes(centered: bool) -> Callable[[Call], NormCall]:
    def form(call: Call) -> NormCall:
        eps = call.get("eps", 1e-5 if centered else None)
        shape = call["normalized_shape"]
        return layer_norm_call(call["input"], shape, call.get("weight"), call.get("bias"), eps, centered)

    return form


FORMS: Mapping[str, Callable[[Call], NormCall]] = {
    "batch_norm": _channel(True, "training", False),
    "instance_norm": _channel(False, "use_input_stats", True),
    "group_norm": lambda call: group_norm_call(
        call["input"], call["num_groups"], call.get("weight"), call.get("bias"), call.get("eps", 1e-5)
    ),
    "layer_norm": _last_axes(True),
    "rms_norm": _last_axes(False),
}


def axes_of(form: NormCall) -> tuple[int, ...]:
    """Return the axes of what shares statistics."""
    return (0, 2, 3) if form.pooled else (2, 3)


def moments_of(form: NormCall) -> tuple[Array, Array]:
    """Return the mean and the variance, (., G, 1, 1) each."""
    if form.given is not None:
        return form.given
    mean = form.x.mean(axes_of(form), keepdims=True) if form.centered else np.zeros((1, 1, 1, 1))
    return mean, np.square(form.x - mean).mean(axes_of(form), keepdims=True)


def root_of(form: NormCall, var: Array) -> Array:
    """Return one over the root of a variance and eps."""
    return np.asarray(1 / np.sqrt(var + form.eps))


def normalizing(operator: str, statistics: Statistics) -> Mistake:
    """Return the mistake of another mean and another inverse root, where the statistics are the input's own."""

    def changed(output: Array, call: Call) -> Array:
        form = FORMS[operator](call)
        if form.given is not None:
            return output
        with np.errstate(all="ignore"):
            mean, root = statistics(form)
            result = (form.x - mean) * root
            result = result if form.weight is None else result * form.weight
            result = result if form.bias is None else result + form.bias
        return like(np.broadcast_to(result, form.x.shape).reshape(output.shape), output.dtype)

    return answering(changed)


def scaling(operator: str, scale: Callable[[NormCall, Array], Array]) -> Mistake:
    """Return the mistake of another inverse root: scale(form, variance)."""

    def statistics(form: NormCall) -> tuple[Array, Array]:
        mean, var = moments_of(form)
        return mean, scale(form, var)

    return normalizing(operator, statistics)


def over(operator: str, axes: Callable[[Array], Array]) -> Mistake:
    """Return the mistake of statistics of other numbers: axes(numbers) is their mean, in a form that broadcasts."""

    def statistics(form: NormCall) -> tuple[Array, Array]:
        mean = axes(form.x) if form.centered else np.zeros((1, 1, 1, 1))
        return mean, root_of(form, axes(np.square(form.x - mean)))

    return normalizing(operator, statistics)


def pulling(operator: str, change: Callable[[NormCall, Steps], Mapping[str, Any]]) -> Mistake:
    """Return the mistake of gradients some steps of which are taken otherwise: change(form, the steps so far).

    The steps: g the cotangent, z the normalized input, root, h = g * weight; then total and tilt, the means of h and of
    h * z; then input, weight and bias, the gradients. `change` is asked after each of the three groups.
    """

    def mistake(right: Binding, cotangent: Array, **call: Any) -> tuple[Array | None, ...]:
        answer = right(cotangent=cotangent, **call)
        form = FORMS[operator](call)
        with np.errstate(all="ignore"):
            found = _gradients(form, cotangent.astype(np.float64).reshape(form.x.shape), change)
        places = {0: "input", max(1, len(answer) - 2): "weight"} | (
            {len(answer) - 1: "bias"} if len(answer) > 2 else {}
        )
        return tuple(
            part if part is None else like(np.asarray(found[places[i]]).reshape(part.shape), part.dtype)
            for i, part in enumerate(answer)
        )

    return mistake


def _gradients(form: NormCall, g: Array, change: Callable[[NormCall, Steps], Mapping[str, Any]]) -> Steps:
    axes, own = axes_of(form), form.given is None
    mean, var = moments_of(form)
    steps: Steps = {"g": g, "mean": mean, "var": var, "root": root_of(form, var)}
    steps |= change(form, steps)
    steps |= {"z": (form.x - steps["mean"]) * steps["root"], "h": g if form.weight is None else g * form.weight}
    steps |= change(form, steps)
    steps["total"] = steps["h"].mean(axes, keepdims=True) * (form.centered and own)
    steps["tilt"] = (steps["h"] * steps["z"]).mean(axes, keepdims=True) * own
    steps |= change(form, steps)
    steps["input"] = steps["root"] * (steps["h"] - steps["total"] - steps["z"] * steps["tilt"])
    steps["weight"], steps["bias"] = (steps["g"] * steps["z"]).sum((0, 3)), steps["g"].sum((0, 3))
    steps |= change(form, steps)
    return steps
