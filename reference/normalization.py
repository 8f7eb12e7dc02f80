"""Normalization by the mean and the variance of a batch, or by statistics that were kept."""

from __future__ import annotations

import math
from numbers import Real
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from reference.arrays import Array, widen
from reference.constraints import refuse

VARIANCES = ("unbiased", "biased")
MOMENTUM_WEIGHTS = ("new", "old")


class BatchNorm(NamedTuple):
    """The normalized values, and the running statistics after the call (None where none were given)."""

    output: Array
    running_mean: Array | None
    running_var: Array | None


def batch_norm(
    input: ArrayLike,
    running_mean: ArrayLike | None = None,
    running_var: ArrayLike | None = None,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    running_variance: str = "unbiased",
    momentum_weights: str = "new",
) -> BatchNorm:
    """Normalize every channel by its mean and variance over the batch and the spatial axes.

    Formula: output = (input - mean) / sqrt(variance + eps) * weight + bias. In training, mean and variance
    are those of the m values of the channel, the variance biased (divided by m); else they are the running
    ones. In training the running statistics become (1 - momentum) * old + momentum * new, where the new
    variance is unbiased (divided by m - 1) or biased as `running_variance` says, and `momentum_weights` "old"
    swaps the two factors.

    Shapes: input (N, C) or (N, C, *spatial); running_mean, running_var, weight, bias (C,); output as input.

    Units: weight and bias have those of output, the mean those of input, the variance and eps their square;
    momentum is a share, of the new value (PyTorch) or of the old one (ONNX, Keras).

    Constraints: `dtype`: real; `input-rank`: at least 2; `weight`, `bias`, `running-mean`, `running-var`:
    shape (C,); `running-statistics`: both or neither in training, both otherwise; `values-per-channel`: more
    than 1 in training; `eps`: at least 0, finite; `momentum`: finite; `running-variance`: unbiased or biased;
    `momentum-weights`: new or old.

    Accuracy: mean and variance by two passes in float64, relative error about m * u; nothing is written in
    place.

    Source: Ioffe and Szegedy, Batch normalization, 2015, algorithm 1; PyTorch,
    torch.nn.functional.batch_norm.

    >>> y, mean, variance = batch_norm([[1.0], [3.0]], [0.0], [1.0], training=True, eps=0.0)
    >>> y.tolist(), mean.tolist(), variance.tolist()
    ([[-1.0], [1.0]], [0.2], [1.1])
    """
    x = _real("input", input)
    if x.ndim < 2:
        refuse("input-rank", "input", x.shape, "must be (N, C) or (N, C, *spatial)")
    channels = x.shape[1]
    w, b = _parameter("weight", weight, channels), _parameter("bias", bias, channels)
    old_mean = _parameter("running_mean", running_mean, channels)
    old_var = _parameter("running_var", running_var, channels)
    _check_numbers(momentum, eps, running_variance, momentum_weights)
    if (old_mean is None) != (old_var is None):
        refuse("running-statistics", "running_var", running_var, "must be given exactly where running_mean is")
    if training:
        mean, var, new_mean, new_var = _statistics(
            x, old_mean, old_var, momentum if momentum_weights == "new" else 1 - momentum, running_variance
        )
    elif old_mean is None or old_var is None:
        refuse("running-statistics", "running_mean", running_mean, "must be given where training is False")
    else:
        mean, var = new_mean, new_var = old_mean, old_var
    along = (-1, *(1,) * (x.ndim - 2))
    with np.errstate(divide="ignore", invalid="ignore"):  # a variance below -eps gives NaN, a zero one infinities
        scale = 1 / np.sqrt(var + eps)
        output = (x - mean.reshape(along)) * scale.reshape(along)
    if w is not None:
        output = output * w.reshape(along)
    if b is not None:
        output = output + b.reshape(along)
    return BatchNorm(output, new_mean, new_var)


def _statistics(
    x: Array, old_mean: Array | None, old_var: Array | None, share: float, running_variance: str
) -> tuple[Array, Array, Array | None, Array | None]:
    """Return mean and biased variance of every channel, and the running statistics after them."""
    axes = (0, *range(2, x.ndim))
    m = math.prod(x.shape[a] for a in axes)
    if m < 2:
        refuse(
            "values-per-channel",
            "input",
            x.shape,
            f"must hold more than 1 value per channel in training, not {m}",
        )
    mean = x.mean(axes)
    var = np.square(x - x.mean(axes, keepdims=True)).mean(axes)
    if old_mean is None or old_var is None:
        return mean, var, None, None
    kept = var * (m / (m - 1)) if running_variance == "unbiased" else var
    return mean, var, (1 - share) * old_mean + share * mean, (1 - share) * old_var + share * kept


def _check_numbers(momentum: float, eps: float, running_variance: str, momentum_weights: str) -> None:
    if not isinstance(eps, Real) or not 0 <= eps < math.inf:
        refuse("eps", "eps", eps, "must be at least 0 and finite")
    if not isinstance(momentum, Real) or not math.isfinite(momentum):
        refuse("momentum", "momentum", momentum, "must be finite")
    if running_variance not in VARIANCES:
        refuse("running-variance", "running_variance", running_variance, f"must be one of {', '.join(VARIANCES)}")
    if momentum_weights not in MOMENTUM_WEIGHTS:
        refuse(
            "momentum-weights",
            "momentum_weights",
            momentum_weights,
            f"must be one of {', '.join(MOMENTUM_WEIGHTS)}",
        )


def _real(name: str, value: ArrayLike) -> Array:
    array = widen(name, value)
    if array.dtype.kind == "c":
        refuse("dtype", name, array.dtype.name, "must be real")
    return array.astype(np.float64, copy=False)


def _parameter(name: str, value: ArrayLike | None, channels: int) -> Array | None:
    if value is None:
        return None
    array = _real(name, value)
    if array.shape != (channels,):
        refuse(name.replace("_", "-"), name, array.shape, f"must be ({channels},), one number for each channel")
    return array
