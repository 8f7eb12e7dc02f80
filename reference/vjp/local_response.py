"""Gradient of local response normalization."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from reference.arrays import Array
from reference.elementwise import floats
from reference.local_response import channel_sums, local_call
from reference.vjp.cotangents import checked


def local_response_norm(
    cotangent: ArrayLike,
    input: ArrayLike,
    size: int,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 1.0,
    extra: str = "lower",
    scale: str = "mean",
) -> Array:
    """Return the gradient of sum(cotangent * local_response_norm(input, ...)) with respect to input.

    Formula: with g the cotangent, b = k + alpha * s the base of the power, a = alpha / size (alpha where `scale` is
    "sum"): g / b^beta - 2 * a * beta * input * (the sum of g * input / b^(beta + 1) over the channels in whose
    windows this one is).

    Shapes: cotangent and gradient as input.

    Units: those of cotangent.

    Constraints: as `reference.local_response_norm`; `cotangent`: real, the shape of the output.

    Accuracy: that of the base and of its power, and a sum over `size` channels of float64.

    Source: Krizhevsky, Sutskever and Hinton, ImageNet classification with deep convolutional neural networks,
    2012, section 3.3, differentiated.

    >>> local_response_norm([[[4.0]]], [[[1.0]]], 1, alpha=1.0, beta=1.0).tolist()
    [[[0.0]]]
    """
    call = local_call(input, size, alpha, beta, k, extra, scale)
    g = floats("cotangent", checked(cotangent, call.shape)).reshape(call.x.shape)
    of_input = np.empty(g.shape)
    with np.errstate(all="ignore"):
        for block in call.blocks():
            x, base = call.x[block], call.base(call.x[block])
            direct = np.divide(g[block], np.power(base, call.beta), out=of_input[block])
            pulled = channel_sums(direct * x / base, call.above, call.below)  # the windows the other way round
            pulled *= x
            pulled *= 2 * call.alpha * call.beta
            direct -= pulled
    return of_input.reshape(call.shape)
