"""Gradients of operators that only move elements: each moves them back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from reference.arrays import Array, widen
from reference.shapes import (
    flat_shape,
    pixel_shuffle_call,
    pixel_unshuffle_call,
    to_channels,
    to_space,
)
from reference.vjp.cotangents import checked


def of_common_dtype(cotangent: ArrayLike, shape: Sequence[int], x: Array) -> Array:
    """Return the checked cotangent, in the dtype that it and the input have in common."""
    g = checked(cotangent, shape)
    return g.astype(np.result_type(g, x), copy=False)


def flatten(cotangent: ArrayLike, input: ArrayLike, start_dim: int = 0, end_dim: int = -1) -> Array:
    """Return the gradient of sum(cotangent * flatten(input, start_dim, end_dim)).

    Formula: the elements of the cotangent in their order, the last axis running fastest.

    Shapes: cotangent as the output; the gradient as the input.

    Units: those of cotangent.

    Constraints: as `reference.flatten`; `cotangent`: the shape of the output.

    Accuracy: exact, copies only.

    Source: the transpose of a matrix that only permutes.

    >>> flatten([1, 2, 3, 4], [[0, 0], [0, 0]])
    array([[1, 2],
           [3, 4]])
    """
    x = widen("input", input)
    return of_common_dtype(cotangent, flat_shape(x.shape, start_dim, end_dim), x).copy().reshape(x.shape)


def pixel_shuffle(cotangent: ArrayLike, input: ArrayLike, upscale_factor: int) -> Array:
    """Return the gradient of sum(cotangent * pixel_shuffle(input, upscale_factor)).

    Formula: pixel_unshuffle(cotangent, upscale_factor).

    Shapes: cotangent as the output; the gradient as the input.

    Units: those of cotangent.

    Constraints: as `reference.pixel_shuffle`; `cotangent`: the shape of the output.

    Accuracy: exact, copies only.

    Source: the transpose of a matrix that only permutes.

    >>> pixel_shuffle([[[1, 2], [3, 4]]], [[[0]], [[0]], [[0]], [[0]]], 2).tolist()
    [[[1]], [[2]], [[3]], [[4]]]
    """
    x, r = pixel_shuffle_call(input, upscale_factor)
    *lead, c, h, w = x.shape
    return to_channels(of_common_dtype(cotangent, (*lead, c // r**2, h * r, w * r), x), r)


def pixel_unshuffle(cotangent: ArrayLike, input: ArrayLike, downscale_factor: int) -> Array:
    """Return the gradient of sum(cotangent * pixel_unshuffle(input, downscale_factor)).

    Formula: pixel_shuffle(cotangent, downscale_factor).

    Shapes: cotangent as the output; the gradient as the input.

    Units: those of cotangent.

    Constraints: as `reference.pixel_unshuffle`; `cotangent`: the shape of the output.

    Accuracy: exact, copies only.

    Source: the transpose of a matrix that only permutes.

    >>> pixel_unshuffle([[[1]], [[2]], [[3]], [[4]]], [[[0, 0], [0, 0]]], 2)
    array([[[1, 2],
            [3, 4]]])
    """
    x, r = pixel_unshuffle_call(input, downscale_factor)
    *lead, c, h, w = x.shape
    return to_space(of_common_dtype(cotangent, (*lead, c * r**2, h // r, w // r), x), r)
