"""Gradients of `unfold` and `fold`, which are each other's, and of the matrix of a convolution."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

import reference.unfolding as forward
from reference.arrays import Array
from reference.vjp.cotangents import checked
from reference.windows import Padding, Sizes


def unfold(
    cotangent: ArrayLike,
    input: ArrayLike,
    kernel_size: Sizes,
    dilation: Sizes = 1,
    padding: Padding = 0,
    stride: Sizes = 1,
    rank: int = 2,
) -> Array:
    """Return the gradient of sum(cotangent * unfold(input, ...)).

    Formula: fold(cotangent, the size of input, ...).

    Shapes: cotangent as the output, the gradient as input.

    Units: those of cotangent.

    Constraints: as `reference.unfold`; `cotangent`: the shape of the output.

    Accuracy: as `reference.fold`.

    Source: PyTorch, torch.nn.functional.fold, "Fold calculates each combined value by summing all values".

    >>> unfold([[1], [1], [1], [1]], [[[1, 2], [3, 4]]], 2)
    array([[[1, 1],
            [1, 1]]])
    """
    x, batched, at = forward.unfold_call(input, kernel_size, dilation, padding, stride, rank)
    shape = (x.shape[1] * math.prod(at.kernel), math.prod(at.windows))
    g = checked(cotangent, (x.shape[0], *shape) if batched else shape)
    return forward.fold(g, at.size, at.kernel, at.dilation, at.padding, at.stride, rank)


def fold(
    cotangent: ArrayLike,
    input: ArrayLike,
    output_size: Sizes,
    kernel_size: Sizes,
    dilation: Sizes = 1,
    padding: Padding = 0,
    stride: Sizes = 1,
    rank: int = 2,
) -> Array:
    """Return the gradient of sum(cotangent * fold(input, output_size, ...)).

    Formula: unfold(cotangent, ...).

    Shapes: cotangent as the output, the gradient as input.

    Units: those of cotangent.

    Constraints: as `reference.fold`; `cotangent`: the shape of the output.

    Accuracy: exact, copies only.

    Source: PyTorch, torch.nn.functional.unfold.

    >>> fold([[[1, 2, 3]]], [[0, 0], [0, 0]], (1, 3), (1, 2)).tolist()
    [[1, 2], [2, 3]]
    """
    x, batched, at = forward.fold_call(input, output_size, kernel_size, dilation, padding, stride, rank)
    shape = (x.shape[1] // math.prod(at.kernel), *at.size)
    g = checked(cotangent, (x.shape[0], *shape) if batched else shape)
    return forward.unfold(g, at.kernel, at.dilation, at.padding, at.stride, rank)


def conv_matrix(
    cotangent: ArrayLike,
    weight: ArrayLike,
    input_size: Sizes,
    stride: Sizes = 1,
    padding: Padding = 0,
    dilation: Sizes = 1,
    groups: int = 1,
    padding_mode: str = "zeros",
) -> Array:
    """Return the gradient of sum(cotangent * conv_matrix(weight, input_size, ...)).

    Formula: each weight gets the sum of the cotangent over the entries of the matrix that it is shared by.

    Shapes: cotangent as the matrix, the gradient as weight.

    Units: those of cotangent.

    Constraints: as `reference.conv_matrix`; `cotangent`: the shape of the output.

    Accuracy: within gamma(n) * sum |cotangent| of float64, n entries each; integers exactly.

    Source: Goodfellow, Bengio and Courville, Deep Learning, 2016, section 9.1, parameter sharing.

    >>> conv_matrix([[1, 10, 100], [1000, 10000, 100000]], [[[0, 0]]], 3)
    array([[[ 10001, 100010]]])
    """
    call = forward.matrix_call(weight, input_size, stride, padding, dilation, groups, padding_mode)
    (*outputs, _, _, _), positions = call.shape, call.shape[-1] - 1
    g = checked(cotangent, (math.prod(outputs), call.shape[3] * call.shape[4] * positions))
    g = g.reshape(*call.shape[:-1], positions)
    padded = np.concatenate([np.zeros((*call.shape[:-1], 1), g.dtype), g], axis=-1)
    gradient = np.zeros(call.w.shape, np.result_type(g, call.w))
    for group, tap, entries in call.shared():
        gradient[group, :, :, tap] = padded[entries].sum(0)
    return gradient.reshape(np.shape(weight))
