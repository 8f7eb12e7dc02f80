"""Operators that only move elements: every result is a copy."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from reference.arrays import Array, widen
from reference.constraints import refuse, whole


def flatten(input: ArrayLike, start_dim: int = 0, end_dim: int = -1) -> Array:
    """Merge neighbouring axes into one.

    Formula: the elements in their order, the last axis running fastest.

    Shapes: input any; output with one axis in place of the axes start_dim to end_dim, which count from the end
    where they are negative; (1,) for a single number.

    Units: those of input.

    Constraints: `dtype`: numeric; `start-dim`, `end-dim`: axes of the input; `dim-order`: start_dim is not behind
    end_dim.

    Accuracy: exact, copies only.

    Source: PyTorch, torch.flatten.

    >>> flatten([[[1, 2], [3, 4]], [[5, 6], [7, 8]]], start_dim=1)
    array([[1, 2, 3, 4],
           [5, 6, 7, 8]])
    """
    x = widen("input", input)
    return x.copy().reshape(flat_shape(x.shape, start_dim, end_dim))


def flat_shape(shape: tuple[int, ...], start_dim: int, end_dim: int) -> tuple[int, ...]:
    """Return the shape of the output, from checked arguments."""
    start, end = axis("start-dim", "start_dim", start_dim, shape), axis("end-dim", "end_dim", end_dim, shape)
    if start > end:
        refuse("dim-order", "start_dim", start_dim, f"must not be behind end_dim={end_dim}")
    return (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :])


def axis(label: str, argument: str, value: object, shape: tuple[int, ...]) -> int:
    """Return an axis of an array of that shape, from 0 on, or refuse; a single number counts as one axis."""
    rank = max(len(shape), 1)
    number = whole(label, argument, value, -rank)
    if number >= rank:
        refuse(label, argument, value, f"must be less than {rank}")
    return number % rank


def pixel_shuffle(input: ArrayLike, upscale_factor: int) -> Array:
    """Trade channels for space: every r * r channels become one, r times as high and wide.

    Formula: output[..., c, h * r + i, w * r + j] = input[..., (c * r + i) * r + j, h, w], r the factor.

    Shapes: input (*, C, H, W); output (*, C / r**2, H * r, W * r).

    Units: those of input.

    Constraints: `dtype`: numeric; `input-rank`: at least 3; `upscale-factor`: at least 1; `channels`: divisible by
    the square of the factor.

    Accuracy: exact, copies only.

    Source: PyTorch, torch.nn.functional.pixel_shuffle; Shi et al., Real-time single image and video super-resolution
    using an efficient sub-pixel convolutional neural network, 2016, equation 4, where channels have another order.

    >>> pixel_shuffle([[[1]], [[2]], [[3]], [[4]]], 2)
    array([[[1, 2],
            [3, 4]]])
    """
    return to_space(*pixel_shuffle_call(input, upscale_factor))


def pixel_shuffle_call(input: ArrayLike, upscale_factor: int) -> tuple[Array, int]:
    """Return the checked arguments."""
    x, r = _image(input), whole("upscale-factor", "upscale_factor", upscale_factor, 1)
    if x.shape[-3] % r**2:
        refuse("channels", "input", x.shape, f"must have a number of channels divisible by {r**2}")
    return x, r


def pixel_unshuffle(input: ArrayLike, downscale_factor: int) -> Array:
    """Trade space for channels: undo `pixel_shuffle`.

    Formula: output[..., (c * r + i) * r + j, h, w] = input[..., c, h * r + i, w * r + j], r the factor.

    Shapes: input (*, C, H, W); output (*, C * r**2, H / r, W / r).

    Units: those of input.

    Constraints: `dtype`: numeric; `input-rank`: at least 3; `downscale-factor`: at least 1; `spatial-size`: height
    and width divisible by the factor.

    Accuracy: exact, copies only.

    Source: PyTorch, torch.nn.functional.pixel_unshuffle.

    >>> pixel_unshuffle([[[1, 2], [3, 4]]], 2).tolist()
    [[[1]], [[2]], [[3]], [[4]]]
    """
    return to_channels(*pixel_unshuffle_call(input, downscale_factor))


def pixel_unshuffle_call(input: ArrayLike, downscale_factor: int) -> tuple[Array, int]:
    """Return the checked arguments."""
    x, r = _image(input), whole("downscale-factor", "downscale_factor", downscale_factor, 1)
    if x.shape[-2] % r or x.shape[-1] % r:
        refuse("spatial-size", "input", x.shape, f"must have a height and a width divisible by {r}")
    return x, r


def _image(input: ArrayLike) -> Array:
    x = widen("input", input)
    if x.ndim < 3:
        refuse("input-rank", "input", x.shape, "must have at least three axes, (*, C, H, W)")
    return x


def to_space(x: Array, r: int) -> Array:
    """Return `pixel_shuffle`, which `to_channels` undoes and is the adjoint of."""
    *lead, c, h, w = x.shape
    parts = x.reshape(*lead, c // r**2, r, r, h, w)
    result = np.empty((*lead, c // r**2, h * r, w * r), x.dtype)
    for i, j in np.ndindex(r, r):  # three times as fast as one copy of the transposed axes
        result[..., i::r, j::r] = parts[..., i, j, :, :]
    return result


def to_channels(x: Array, r: int) -> Array:
    """Return `pixel_unshuffle`."""
    *lead, c, h, w = x.shape
    n = len(lead)
    parts = x.reshape(*lead, c, h // r, r, w // r, r).transpose(*range(n), n, n + 2, n + 4, n + 1, n + 3)
    return parts.copy().reshape(*lead, c * r**2, h // r, w // r)
