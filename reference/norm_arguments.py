"""What calls of normalization layers have to satisfy, and the one form that all of them are brought into.

Batch, instance, group, layer and root-mean-square normalization differ only in which numbers share a mean and a
variance, and in which share a weight. Seen as (N, G, K, L) they are one: each of G groups has statistics over K and
L, for every n or over N too; every one of its K parts has a weight and a bias.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from reference.arrays import Array
from reference.constraints import finite, flag, one_of, refuse, whole
from reference.elementwise import floats

VARIANCES = ("unbiased", "biased")
MOMENTUM_WEIGHTS = ("new", "old")


class Running(NamedTuple):
    """Statistics that are kept over calls, (1, G, 1, 1) each, and how a new one is blended in."""

    mean: Array
    var: Array
    momentum: float
    weights: str
    unbiased: bool


class NormCall(NamedTuple):
    """A checked call.

    x is (N, G, K, L) in C order; weight and bias are (1, G, K, 1). Own statistics are used where `given` is None,
    else that mean and variance, (1, G, 1, 1) each.
    """

    x: Array
    shape: tuple[int, ...]  # of input and output
    parameter_shape: tuple[int, ...]  # of weight and bias
    weight: Array | None
    bias: Array | None
    eps: float
    pooled: bool = False  # one mean for all n
    centered: bool = True  # else the mean is taken to be 0
    given: tuple[Array, Array] | None = None
    running: Running | None = None

    @property
    def values(self) -> int:
        """How many numbers a mean is of."""
        n, _, k, m = self.x.shape
        values: int = k * m * (n if self.pooled else 1)
        return values


def channel_norm_call(
    pooled: bool,
    input: ArrayLike,
    running_mean: ArrayLike | None,
    running_var: ArrayLike | None,
    weight: ArrayLike | None,
    bias: ArrayLike | None,
    own: bool,
    momentum: float,
    eps: float,
    running_variance: str,
    momentum_weights: str,
) -> NormCall:
    """Return a call of batch norm (pooled) or of instance norm, with its own statistics or with the running ones."""
    x = floats("input", input)
    if x.ndim < 2:
        refuse("input-rank", "input", x.shape, "must be (N, C) or (N, C, *spatial)")
    n, c, *spatial = x.shape
    w, b, mean, var = (
        _parameter(name, value, (c,), (c, 1))
        for name, value in (
            ("weight", weight),
            ("bias", bias),
            ("running_mean", running_mean),
            ("running_var", running_var),
        )
    )
    small = finite("eps", "eps", eps, 0)
    share = finite("momentum", "momentum", momentum)
    unbiased = one_of("running-variance", "running_variance", running_variance, VARIANCES) == "unbiased"
    one_of("momentum-weights", "momentum_weights", momentum_weights, MOMENTUM_WEIGHTS)
    if (mean is None) != (var is None):
        refuse("running-statistics", "running_var", running_var, "must be given exactly where running_mean is")
    switch = "training" if pooled else "use_input_stats"
    given = running = None
    values = math.prod(spatial) * (n if pooled else 1)
    if not flag(switch.replace("_", "-"), switch, own):
        if mean is None or var is None:
            refuse("running-statistics", "running_mean", running_mean, f"must be given where {switch} is False")
        given = mean, var
    elif values < 2:
        each = "channel" if pooled else "channel of a sample"
        refuse("values-per-channel", "input", x.shape, f"must hold more than 1 value per {each}, not {values}")
    elif mean is not None and var is not None:
        running = Running(mean, var, share, momentum_weights, unbiased)
    view = (n, c, 1, math.prod(spatial))
    return NormCall(_viewed(x, view), x.shape, (c,), w, b, small, pooled, given=given, running=running)


def group_norm_call(
    input: ArrayLike, num_groups: int, weight: ArrayLike | None, bias: ArrayLike | None, eps: float
) -> NormCall:
    """Return a call of group norm."""
    x = floats("input", input)
    if x.ndim < 2:
        refuse("input-rank", "input", x.shape, "must be (N, C) or (N, C, *spatial)")
    n, c, *spatial = x.shape
    groups = whole("num-groups", "num_groups", num_groups, 1)
    if c % groups:
        refuse("num-groups", "num_groups", num_groups, f"must divide the number of channels, {c}")
    if x.size == groups:
        refuse("values-per-group", "input", x.shape, f"must not hold 1 value in each of {groups} groups")
    parts = (groups, c // groups)
    w, b = (_parameter(name, value, (c,), parts) for name, value in (("weight", weight), ("bias", bias)))
    return NormCall(_viewed(x, (n, *parts, math.prod(spatial))), x.shape, (c,), w, b, finite("eps", "eps", eps, 0))


def layer_norm_call(
    input: ArrayLike,
    normalized_shape: Sequence[int],
    weight: ArrayLike | None,
    bias: ArrayLike | None,
    eps: float | None,
    centered: bool,
) -> NormCall:
    """Return a call of layer norm (centered) or of root-mean-square norm."""
    x = floats("input", input)
    listed = isinstance(normalized_shape, Sequence) and not isinstance(normalized_shape, (str, bytes))
    if not listed or not normalized_shape:
        refuse("normalized-shape", "normalized_shape", normalized_shape, "must be a sequence of at least one number")
    axes = tuple(whole("normalized-shape", "normalized_shape", n, 0) for n in normalized_shape)
    if x.shape[-len(axes) :] != axes:
        refuse("normalized-shape", "normalized_shape", normalized_shape, f"must be the last axes of {x.shape}")
    n, m = math.prod(x.shape[: -len(axes)]), math.prod(axes)
    w, b = (_parameter(name, value, axes, (1, m)) for name, value in (("weight", weight), ("bias", bias)))
    small = _epsilon(input) if eps is None and not centered else finite("eps", "eps", eps, 0)
    view = (n, 1, 1, m) if w is None and b is None else (n, 1, m, 1)
    return NormCall(_viewed(x, view), x.shape, axes, w, b, small, centered=centered)


def _epsilon(input: ArrayLike) -> float:
    """Return the epsilon of the type that PyTorch computes in: float32 for all narrower floats too."""
    dtype = np.asarray(input).dtype
    narrow = dtype.kind not in "iu" and dtype.itemsize < 8
    return float(np.finfo(np.float32 if narrow else np.float64).eps)


def _parameter(name: str, value: ArrayLike | None, shape: tuple[int, ...], parts: tuple[int, int]) -> Array | None:
    """Return a weight, a bias or a statistic as (1, G, K, 1)."""
    if value is None:
        return None
    array = floats(name, value)
    if array.shape != shape:
        refuse(name.replace("_", "-"), name, array.shape, f"must be {shape}, one number for each place in it")
    return array.reshape(1, *parts, 1)


def _viewed(x: Array, shape: tuple[int, ...]) -> Array:
    return np.ascontiguousarray(x).reshape(shape)
