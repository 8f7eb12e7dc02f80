"""Gradients of normalization layers: through the mean and the variance, where those are the input's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from reference.arrays import Array
from reference.elementwise import floats
from reference.moments import blocks, centered, over_groups, row_by_row, row_dots, row_sums, scaled
from reference.norm_arguments import NormCall, channel_norm_call, group_norm_call, layer_norm_call
from reference.vjp.cotangents import checked


class ChannelNormGradients(NamedTuple):
    """Gradients with respect to the arrays of batch and instance norm; running statistics have none."""

    input: Array
    running_mean: None
    running_var: None
    weight: Array | None
    bias: Array | None


class NormGradients(NamedTuple):
    """Gradients with respect to the input, the weight and the bias (None where there is none)."""

    input: Array
    weight: Array | None
    bias: Array | None


class RmsNormGradients(NamedTuple):
    """Gradients with respect to the input and the weight (None where there is none)."""

    input: Array
    weight: Array | None


def batch_norm(
    cotangent: ArrayLike,
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
) -> ChannelNormGradients:
    """Return the gradients of sum(cotangent * batch_norm(input, ...).output).

    Formula: with g the cotangent, r = 1 / sqrt(variance + eps), z = (input - mean) * r and sums over the m values
    of a channel, of bias: sum of g; of weight: sum of g * z; of input: weight * r * (g - sum(g) / m -
    z * sum(g * z) / m) in training, weight * r * g else.

    Shapes: cotangent as the output; each gradient as its argument. The running statistics are not learned: as in
    PyTorch their gradients are None.

    Units: those of cotangent times those of output, divided by those of the argument.

    Constraints: as `reference.batch_norm`; `cotangent`: real, the shape of the output.

    Accuracy: that of mean and variance, and two sums over m values of float64; the same inside `exact()`.

    Source: Ioffe and Szegedy, Batch normalization, 2015, section 3.

    >>> batch_norm([[4.0], [0.0]], [[1.0], [3.0]], weight=[2.0], training=True, eps=3.0).input.tolist()
    [[1.5], [-1.5]]
    """
    settings = (momentum, eps, running_variance, momentum_weights)
    call = channel_norm_call(True, input, running_mean, running_var, weight, bias, training, *settings)
    of_input, of_weight, of_bias = _gradients(call, cotangent)
    return ChannelNormGradients(of_input, None, None, of_weight, of_bias)


def instance_norm(
    cotangent: ArrayLike,
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
) -> ChannelNormGradients:
    """Return the gradients of sum(cotangent * instance_norm(input, ...).output).

    Formula: of input, that of `batch_norm` for each sample alone; of weight and bias, the sums over samples.

    Shapes: cotangent as the output; each gradient as its argument. The running statistics are not learned: as in
    PyTorch their gradients are None.

    Units: those of cotangent times those of output, divided by those of the argument.

    Constraints: as `reference.instance_norm`; `cotangent`: real, the shape of the output.

    Accuracy: as `batch_norm`.

    Source: Ulyanov, Vedaldi and Lempitsky, Instance normalization, 2016, equation 2, differentiated.

    >>> gradients = instance_norm([[[4.0, 0.0]]], [[[1.0, 3.0]]], weight=[2.0], bias=[0.0], eps=3.0)
    >>> gradients.input.tolist(), gradients.weight.tolist(), gradients.bias.tolist()
    ([[[1.5, -1.5]]], [-2.0], [4.0])
    """
    settings = (momentum, eps, running_variance, momentum_weights)
    call = channel_norm_call(False, input, running_mean, running_var, weight, bias, use_input_stats, *settings)
    of_input, of_weight, of_bias = _gradients(call, cotangent)
    return ChannelNormGradients(of_input, None, None, of_weight, of_bias)


def group_norm(
    cotangent: ArrayLike,
    input: ArrayLike,
    num_groups: int,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    eps: float = 1e-5,
) -> NormGradients:
    """Return the gradients of sum(cotangent * group_norm(input, ...)).

    Formula: with g the cotangent, r = 1 / sqrt(variance + eps), z = (input - mean) * r, h = weight * g and sums
    over the m values of a group, of input: r * (h - sum(h) / m - z * sum(h * z) / m); of weight and bias: the
    sums of g * z and of g over all values of a channel.

    Shapes: cotangent as the output; each gradient as its argument.

    Units: those of cotangent times those of output, divided by those of the argument.

    Constraints: as `reference.group_norm`; `cotangent`: real, the shape of the output.

    Accuracy: as `batch_norm`.

    Source: Wu and He, Group normalization, 2018, section 3.1, differentiated.

    >>> group_norm([[4.0, 0.0]], [[1.0, 3.0]], 1, [2.0, 2.0], eps=3.0).input.tolist()
    [[1.5, -1.5]]
    """
    return NormGradients(*_gradients(group_norm_call(input, num_groups, weight, bias, eps), cotangent))


def layer_norm(
    cotangent: ArrayLike,
    input: ArrayLike,
    normalized_shape: Sequence[int],
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    eps: float = 1e-5,
) -> NormGradients:
    """Return the gradients of sum(cotangent * layer_norm(input, ...)).

    Formula: of input, that of `group_norm`, over the last axes; of weight and bias: the sums of g * z and of g
    over the other axes.

    Shapes: cotangent as the output; each gradient as its argument.

    Units: those of cotangent times those of output, divided by those of the argument.

    Constraints: as `reference.layer_norm`; `cotangent`: real, the shape of the output.

    Accuracy: as `batch_norm`.

    Source: Ba, Kiros and Hinton, Layer normalization, 2016, equation 3, differentiated.

    >>> layer_norm([[4.0, 0.0]], [[1.0, 3.0]], (2,), [2.0, 2.0], eps=3.0).weight.tolist()
    [-2.0, 0.0]
    """
    call = layer_norm_call(input, normalized_shape, weight, bias, eps, centered=True)
    return NormGradients(*_gradients(call, cotangent))


def rms_norm(
    cotangent: ArrayLike,
    input: ArrayLike,
    normalized_shape: Sequence[int],
    weight: ArrayLike | None = None,
    eps: float | None = None,
) -> RmsNormGradients:
    """Return the gradients of sum(cotangent * rms_norm(input, ...)).

    Formula: with g the cotangent, r = 1 / sqrt(mean of input^2 + eps), z = input * r, h = weight * g and sums over
    the m values of the last axes, of input: r * (h - z * sum(h * z) / m); of weight: the sum of g * z over the
    other axes.

    Shapes: cotangent as the output; each gradient as its argument.

    Units: those of cotangent times those of output, divided by those of the argument.

    Constraints: as `reference.rms_norm`; `cotangent`: real, the shape of the output.

    Accuracy: within gamma(3 m + 20) * r * (|h| + |z| sum |h z| / m) of float64.

    Source: Zhang and Sennrich, Root mean square layer normalization, 2019, equation 4, differentiated.

    >>> rms_norm([[4.0, 0.0]], [[2.0, 2.0]], (2,), eps=0.0).input.tolist()
    [[1.0, -1.0]]
    """
    call = layer_norm_call(input, normalized_shape, weight, None, eps, centered=False)
    return RmsNormGradients(*_gradients(call, cotangent)[:2])


def _gradients(call: NormCall, cotangent: ArrayLike) -> tuple[Array, Array | None, Array | None]:
    """Return the gradients with respect to input, weight and bias, the last two in the shape of weight."""
    g = np.ascontiguousarray(floats("cotangent", checked(cotangent, call.shape))).reshape(call.x.shape)
    of_input = np.empty(g.shape)
    of_weight, of_bias = (None if part is None else np.zeros(g.shape[1:3]) for part in (call.weight, call.bias))
    with row_by_row(g.size):
        for where, block in blocks(call) if g.size else ():  # of nothing all sums are 0
            weight_share = None if of_weight is None else of_weight[where[1]]
            bias_share = None if of_bias is None else of_bias[where[1]]
            _add_block(block, g[where], of_input[where], weight_share, bias_share)
    return (
        of_input.reshape(call.shape),
        None if of_weight is None else of_weight.reshape(call.parameter_shape),
        None if of_bias is None else of_bias.reshape(call.parameter_shape),
    )


def _add_block(call: NormCall, g: Array, of_input: Array, of_weight: Array | None, of_bias: Array | None) -> None:
    """Write the gradient with respect to the input, and add to those (G, K) with respect to weight and bias."""
    n, groups, k, m = g.shape
    d, var, _ = centered(call)
    scale = 1 / np.sqrt(var + call.eps)
    # Sums over L, as a matrix (N, K) for each group: what is left to do are products with rows and columns.
    products = row_dots(g, d) if m > 1 else np.multiply(g, d, out=of_input)[..., 0]
    sums, products = row_sums(g).transpose(1, 0, 2), products.transpose(1, 0, 2)
    each = np.ones((1, n))
    if of_weight is not None:
        of_weight += np.matmul(scale[..., 0, 0].T[:, np.newaxis] * each, products)[:, 0]
    if of_bias is not None:
        of_bias += np.matmul(each, sums)[:, 0]
    if call.given is not None:
        scaled(call, g, scale, of_input)
        return
    w = np.ones((groups, k, 1)) if call.weight is None else call.weight.reshape(groups, k, 1)
    tilt = over_groups(call, np.matmul(products, w)[..., 0].T) * scale * scale * scale
    d = np.multiply(d, tilt, out=d if call.centered else None)
    if call.centered:
        d += over_groups(call, np.matmul(sums, w)[..., 0].T) * scale
    scaled(call, g, scale, of_input)
    of_input -= d
