"""Normalization by a mean and a variance, those of the numbers themselves or some that were kept.

The five layers differ in which numbers share statistics and in which share a weight; `reference.norm_arguments` brings
them into one form, `reference.moments` computes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from numpy.typing import ArrayLike

from reference.arrays import Array
from reference.moments import normalize
from reference.norm_arguments import channel_norm_call, group_norm_call, layer_norm_call


class BatchNorm(NamedTuple):
    """The normalized values, and the running statistics after the call (None where none were given)."""

    output: Array
    running_mean: Array | None
    running_var: Array | None


class InstanceNorm(NamedTuple):
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
    shape (C,); `training`: True or False; `running-statistics`: both or neither in training, both otherwise;
    `values-per-channel`: more than 1 in training; `eps`: at least 0, finite; `momentum`: finite;
    `running-variance`: unbiased or biased; `momentum-weights`: new or old.

    Accuracy: the mean within e = gamma(m) * mean |input| and the variance, in a second pass, within
    gamma(m + 3) * (variance + e^2) + e^2 of float64; then at most 7 roundings a value, if none of them
    overflows or underflows. Inside `exact()` outputs and running statistics are correctly rounded, for all
    finite numbers. Integers become float64 first, which rounds those beyond 2**53. Nothing is written in place.

    Source: Ioffe and Szegedy, Batch normalization, 2015, algorithm 1; PyTorch,
    torch.nn.functional.batch_norm.

    >>> y, mean, variance = batch_norm([[1.0], [3.0]], [0.0], [1.0], training=True, eps=0.0)
    >>> y.tolist(), mean.tolist(), variance.tolist()
    ([[-1.0], [1.0]], [0.2], [1.1])
    """
    call = channel_norm_call(
        True,
        input,
        running_mean,
        running_var,
        weight,
        bias,
        training,
        momentum,
        eps,
        running_variance,
        momentum_weights,
    )
    return BatchNorm(*normalize(call))


def instance_norm(
    input: ArrayLike,
    running_mean: ArrayLike | None = None,
    running_var: ArrayLike | None = None,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
    running_variance: str = "unbiased",
    momentum_weights: str = "new",
) -> InstanceNorm:
    """Normalize every channel of every sample by its own mean and variance over the spatial axes.

    Formula: that of `batch_norm` for each sample alone; without `use_input_stats`, with the running statistics
    for all samples. The running statistics blend in the mean over the batch of the samples' statistics.

    Shapes: input (N, C, *spatial), or (N, C) without `use_input_stats`; running_mean, running_var, weight, bias
    (C,); output as input. There is no form without N: as with PyTorch's function, and unlike its modules,
    the first two axes are always batch and channels.

    Units: as `batch_norm`.

    Constraints: `dtype`: real; `input-rank`: at least 2; `weight`, `bias`, `running-mean`, `running-var`:
    shape (C,); `use-input-stats`: True or False; `running-statistics`: both or neither with it, both without;
    `values-per-channel`: more than 1 in each sample with it; `eps`: at least 0, finite; `momentum`: finite;
    `running-variance`: unbiased or biased; `momentum-weights`: new or old.

    Accuracy: as `batch_norm`. Running statistics after an empty batch are NaN, as PyTorch's.

    Source: Ulyanov, Vedaldi and Lempitsky, Instance normalization: the missing ingredient for fast stylization,
    2016, equation 2; PyTorch, torch.nn.functional.instance_norm.

    >>> y, mean, variance = instance_norm([[[1.0, 3.0]], [[2.0, 8.0]]], [0.0], [0.0], momentum=0.5, eps=0.0)
    >>> y.tolist(), mean.tolist(), variance.tolist()
    ([[[-1.0, 1.0]], [[-1.0, 1.0]]], [1.75], [5.0])
    """
    call = channel_norm_call(
        False,
        input,
        running_mean,
        running_var,
        weight,
        bias,
        use_input_stats,
        momentum,
        eps,
        running_variance,
        momentum_weights,
    )
    return InstanceNorm(*normalize(call))


def group_norm(
    input: ArrayLike,
    num_groups: int,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    eps: float = 1e-5,
) -> Array:
    """Normalize groups of channels of every sample by their mean and variance over channels and spatial axes.

    Formula: output = (input - mean) / sqrt(variance + eps) * weight + bias, where group i holds the channels
    i * C / num_groups to (i + 1) * C / num_groups - 1, and the variance is biased.

    Shapes: input (N, C) or (N, C, *spatial); weight, bias (C,); output as input.

    Units: weight and bias have those of output, eps those of input squared.

    Constraints: `dtype`: real; `input-rank`: at least 2; `num-groups`: at least 1, divides C; `values-per-group`:
    not one value in each group of one sample, which is what PyTorch refuses (but not of several samples, whose
    outputs are the bias); `weight`, `bias`: shape (C,); `eps`: at least 0, finite.

    Accuracy: as `batch_norm`, m being the values of a group of a sample.

    Source: Wu and He, Group normalization, 2018, section 3.1; PyTorch, torch.nn.functional.group_norm.

    >>> group_norm([[1.0, 3.0, 2.0, 8.0]], 2, weight=[1, 1, 2, 2], eps=0.0).tolist()
    [[-1.0, 1.0, -2.0, 2.0]]
    """
    return normalize(group_norm_call(input, num_groups, weight, bias, eps))[0]


def layer_norm(
    input: ArrayLike,
    normalized_shape: Sequence[int],
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    eps: float = 1e-5,
) -> Array:
    """Normalize over the last axes.

    Formula: output = (input - mean) / sqrt(variance + eps) * weight + bias, mean and biased variance being those
    over the last axes, and weight and bias having a number for each place in them.

    Shapes: input (*, *normalized_shape); weight, bias as normalized_shape; output as input.

    Units: weight and bias have those of output, eps those of input squared.

    Constraints: `dtype`: real; `normalized-shape`: a sequence, not empty, of the lengths of input's last axes;
    `weight`, `bias`: of that shape; `eps`: at least 0, finite.

    Accuracy: as `batch_norm`, m being the product of normalized_shape.

    Source: Ba, Kiros and Hinton, Layer normalization, 2016, equation 3; PyTorch,
    torch.nn.functional.layer_norm.

    >>> layer_norm([[1.0, 3.0], [2.0, 8.0]], (2,), weight=[1, 10], eps=0.0).tolist()
    [[-1.0, 10.0], [-1.0, 10.0]]
    """
    return normalize(layer_norm_call(input, normalized_shape, weight, bias, eps, centered=True))[0]


def rms_norm(
    input: ArrayLike,
    normalized_shape: Sequence[int],
    weight: ArrayLike | None = None,
    eps: float | None = None,
) -> Array:
    """Divide by the root of the mean square over the last axes.

    Formula: output = input / sqrt(mean of input^2 + eps) * weight. `eps` None is the machine epsilon of the type
    that PyTorch computes in: 2^-23 for an input in float16, bfloat16 or float32, else 2^-52.

    Shapes: input (*, *normalized_shape); weight as normalized_shape; output as input.

    Units: weight has those of output, eps those of input squared.

    Constraints: `dtype`: real; `normalized-shape`, `weight`: as `layer_norm`; `eps`: None, or at least 0, finite.

    Accuracy: relative error gamma(m / 2 + 6) of float64, m being the product of normalized_shape, if nothing
    overflows or underflows. Correctly rounded inside `exact()`, for all finite numbers. Integers: as `batch_norm`.

    Source: Zhang and Sennrich, Root mean square layer normalization, 2019, equation 4; PyTorch,
    torch.nn.functional.rms_norm.

    >>> rms_norm([[4.0, 0.0, 0.0, 0.0]], (4,), weight=[3, 1, 1, 1], eps=0.0).tolist()
    [[6.0, 0.0, 0.0, 0.0]]
    """
    return normalize(layer_norm_call(input, normalized_shape, weight, None, eps, centered=False))[0]
