"""Gradients of the fully connected layer."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from reference.arrays import Array
from reference.contraction import contract, sum_of_products
from reference.linear import linear_call
from reference.vjp.cotangents import checked


class LinearGradients(NamedTuple):
    """Gradients with respect to the input, the weight and the bias (None where there is no bias)."""

    input: Array
    weight: Array
    bias: Array | None


def linear(cotangent: ArrayLike, input: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None) -> LinearGradients:
    """Return the gradients of sum(cotangent * linear(input, weight, bias)).

    Formula: with g the cotangent, of input: sum over o of g[..., o] * conj(weight[o, i]); of weight: sum over ... of
    g[..., o] * conj(input[..., i]); of bias: sum over ... of g[..., o].

    Shapes: cotangent as the output; each gradient as its argument.

    Units: those of cotangent times those of the other factor.

    Constraints: as `reference.linear`; `cotangent`: the shape of the output.

    Accuracy: within gamma(n) * sum |cotangent| |other factor| of float64, n products each; integers exactly;
    correctly rounded inside `exact()`.

    Source: Goodfellow, Bengio and Courville, Deep Learning, 2016, section 6.5.6.

    >>> gradients = linear([[1, 10]], [[5, 7]], [[1, 2], [3, 4]], [0, 0])
    >>> gradients.input.tolist(), gradients.weight.tolist(), gradients.bias.tolist()
    ([[31, 42]], [[5, 7], [50, 70]], [1, 10])
    """
    call = linear_call(input, weight, bias)
    g = checked(cotangent, call.output)
    dtype = np.result_type(g, call.x)
    w = np.atleast_2d(call.w).astype(dtype, copy=False).conj()
    x = call.x.astype(dtype, copy=False).reshape(call.rows, w.shape[1]).conj()
    g = g.astype(dtype, copy=False).reshape(call.rows, w.shape[0])
    one = np.ones(call.rows, dtype)
    return LinearGradients(
        sum_of_products(contract, g, w, w.shape[0]).reshape(call.x.shape),
        sum_of_products(contract, g.T, x, call.rows).reshape(call.w.shape),
        None if call.b is None else sum_of_products(contract, g.T, one, call.rows).reshape(call.b.shape),
    )
