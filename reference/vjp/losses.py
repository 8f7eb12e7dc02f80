"""Gradients of softmax and cross-entropy."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from reference.arrays import Array
from reference.elementwise import floats
from reference.losses import cross_entropy_call, log_probabilities, probabilities, weighted
from reference.shapes import axis
from reference.vjp.cotangents import checked


def softmax(cotangent: ArrayLike, input: ArrayLike, dim: int = -1) -> Array:
    """Return the gradient of sum(cotangent * softmax(input, dim)).

    Formula: p[c] * (g[c] - sum over k of g[k] * p[k]), g the cotangent, p = softmax(input), c and k along `dim`.

    Shapes: any; all the same.

    Units: those of cotangent.

    Constraints: as `reference.softmax`; `cotangent`: the shape of the output.

    Accuracy: within (5 n + 12 + 2 (max - min)) u p[c] (|g[c]| + sum |g[k]| p[k]), u = 2**-53, n the length of the
    axis, max and min the largest and the least number along it, plus 2**-1072 n (1 + max |g|), if nothing overflows.

    Source: Goodfellow, Bengio and Courville, Deep Learning, 2016, section 6.2.2.3.

    >>> softmax([8.0, 0.0], [1.0, 1.0])
    array([ 2., -2.])
    """
    x = floats("input", input)
    along = axis("dim", "dim", dim, x.shape)
    g = np.atleast_1d(checked(cotangent, x.shape))
    p = probabilities(np.atleast_1d(x), along)
    with np.errstate(all="ignore"):
        result: Array = p * (g - (g * p).sum(along, keepdims=True))
    return result.reshape(x.shape)


def log_softmax(cotangent: ArrayLike, input: ArrayLike, dim: int = -1) -> Array:
    """Return the gradient of sum(cotangent * log_softmax(input, dim)).

    Formula: g[c] - p[c] * sum over k of g[k], g the cotangent, p = softmax(input), c and k along `dim`.

    Shapes: any; all the same.

    Units: those of cotangent.

    Constraints: as `reference.log_softmax`; `cotangent`: the shape of the output.

    Accuracy: within (3 n + 8 + max - min) u (|g[c]| + p[c] sum |g[k]|), u = 2**-53, n the length of the axis, max
    and min the largest and the least number along it, plus 2**-1072 n (1 + max |g|), if nothing overflows.

    Source: Goodfellow, Bengio and Courville, Deep Learning, 2016, section 6.2.2.3.

    >>> log_softmax([8.0, 0.0], [1.0, 1.0])
    array([ 4., -4.])
    """
    x = floats("input", input)
    along = axis("dim", "dim", dim, x.shape)
    g = np.atleast_1d(checked(cotangent, x.shape))
    p = probabilities(np.atleast_1d(x), along)
    with np.errstate(all="ignore"):
        result: Array = g - p * g.sum(along, keepdims=True, dtype=np.result_type(g, p))  # integers would wrap
    return result.reshape(x.shape)


class CrossEntropyGradients(NamedTuple):
    """Gradients with respect to the input, to probabilities as target, and to the weight; None for what is not."""

    input: Array
    target: Array | None
    weight: Array | None


def cross_entropy(
    cotangent: ArrayLike,
    input: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> CrossEntropyGradients:
    """Return the gradients of sum(cotangent * cross_entropy(input, target, weight, ...)).

    Formula: with q and s of `reference.cross_entropy`, p = softmax(input), l = log(p) and g[n] the cotangent, over the
    divisor d if the mean is taken, of input: g[n] * (p[n, c] * sum over k of q[n, k] - q[n, c]); of probabilities:
    -g[n] * (1 - s) * weight[c] * l[n, c]; of weight: - sum over n of g[n] * q[n, c] / weight[c] * l[n, c], for
    the mean of indices less g * loss * the number of targets of class c. Of what is ignored it is 0, also where
    nothing is left to take the mean of.

    Shapes: cotangent as the output; each gradient as its argument.

    Units: those of cotangent.

    Constraints: as `reference.cross_entropy`; `cotangent`: the shape of the output.

    Accuracy: within (4 C + 16 + 2 (max - min)) u, u = 2**-53, of the sum of the absolute terms of the formula, max
    and min those of the scores at a position; what sums over positions adds their number to the factor; if nothing
    underflows.

    Source: Goodfellow, Bengio and Courville, Deep Learning, 2016, section 6.2.2.3.

    >>> cross_entropy(2.0, [[0.0, 0.0], [1.0, 1.0]], [1, 0])
    CrossEntropyGradients(input=array([[ 0.5, -0.5],
           [-0.5,  0.5]]), target=None, weight=None)
    """
    of_target = of_weight = None
    with np.errstate(all="ignore"):
        call = cross_entropy_call(input, target, weight, ignore_index, reduction, label_smoothing)
        g = checked(cotangent, call.positions if reduction == "none" else ())
        if reduction == "none":
            g = np.expand_dims(g, call.along)
        if call.chosen is None or call.weights is not None:
            logarithms = log_probabilities(call.x, call.along)
        g = np.divide(g, call.divisor)
        of_input = g * (probabilities(call.x, call.along) * call.q.sum(call.along, keepdims=True) - call.q)
        if call.kept is not None:
            of_input = np.where(call.kept, of_input, 0)
        else:
            factors = g * (1 - call.smoothing) * (1 if call.weights is None else call.weights)
            of_target = -weighted(np.broadcast_to(factors, call.x.shape), logarithms)
        if call.weights is not None:
            others = tuple(i for i in range(call.x.ndim) if i != call.along)
            of_weight = -weighted(call.shares, g * logarithms).sum(others)
            if reduction == "mean" and call.chosen is not None and call.chosen.size:
                loss = -weighted(call.q, logarithms).sum() / call.divisor
                of_weight -= g * loss * np.bincount(call.chosen, minlength=of_weight.size)
    return CrossEntropyGradients(of_input, of_target, of_weight)
