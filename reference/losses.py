"""From scores to probabilities, and how far these are from a target: softmax and cross-entropy."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from reference.arrays import Array
from reference.constraints import finite, one_of, refuse, whole
from reference.elementwise import floats, real
from reference.shapes import axis

REDUCTIONS = ("mean", "sum", "none")


def softmax(input: ArrayLike, dim: int = -1) -> Array:
    """Return the exponentials along an axis, divided by their sum.

    Formula: exp(x[c]) / sum over k of exp(x[k]), c and k along the axis `dim`.

    Shapes: any; the output has the shape of the input.

    Units: none.

    Constraints: `dtype`: real; `dim`: an axis of the input.

    Accuracy: within (2 n + 4 + max - x) u |output|, u = 2**-53, n the length of the axis, max the largest number
    along it, plus 2**-1074. An infinite maximum makes NaN.

    Source: Goodfellow, Bengio and Courville, Deep Learning, 2016, equation 6.29; PyTorch, torch.softmax.

    >>> softmax([[1000.0, 1000.0, -np.inf]])
    array([[0.5, 0.5, 0. ]])
    """
    x = floats("input", input)
    along = axis("dim", "dim", dim, x.shape)
    return probabilities(np.atleast_1d(x), along).reshape(x.shape)


def log_softmax(input: ArrayLike, dim: int = -1) -> Array:
    """Return the logarithm of `softmax`, relatively accurate also where that is nearly 1.

    Formula: x[c] - max - log(sum over k of exp(x[k] - max)), c and k along the axis `dim`; the sum less 1, which
    its largest term is, goes into log(1 + sum).

    Shapes: any; the output has the shape of the input.

    Units: none.

    Constraints: `dtype`: real; `dim`: an axis of the input.

    Accuracy: within (2 n + 8) u |output|, u = 2**-53, n the length of the axis, plus 2**-1074 n. An infinite
    maximum makes NaN.

    Source: Goodfellow, Bengio and Courville, Deep Learning, 2016, equation 6.30; PyTorch, torch.log_softmax.

    >>> log_softmax([0.0, -50.0]).tolist() == [-np.exp(-50.0), -50.0]
    True
    """
    x = floats("input", input)
    along = axis("dim", "dim", dim, x.shape)
    return log_probabilities(np.atleast_1d(x), along).reshape(x.shape)


def probabilities(x: Array, along: int) -> Array:
    """Return `softmax`."""
    with np.errstate(all="ignore"):
        powers: Array = x - x.max(along, keepdims=True, initial=-np.inf)
        np.exp(powers, out=powers)
        powers /= powers.sum(along, keepdims=True)
    return powers


def log_probabilities(x: Array, along: int) -> Array:
    """Return `log_softmax`."""
    with np.errstate(all="ignore"):
        result: Array = x - x.max(along, keepdims=True, initial=-np.inf)
        below = result < 0
        powers = np.exp(result)
        powers *= below  # all but the largest, of which all but one are added as whole numbers
        ties = x.shape[along] - 1 - below.sum(along, keepdims=True)
        result -= np.log1p(powers.sum(along, keepdims=True) + ties)
    return result


def cross_entropy(
    input: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Array:
    """Return how unlikely the scores make the target: minus the logarithm of its probability.

    Formula: loss[n] = - sum over c of q[n, c] * log_softmax(input)[n, c], where q[n, c] is weight[c] *
    ((1 - s) * p[n, c] + s / C), s = label_smoothing, p the probabilities of the target: 1 for its class and 0 for
    the others where it is an index. All of q[n] is 0 where the index is ignore_index. "sum": the sum of the losses;
    "mean": the sum over the sum of weight[target[n]] of what is not ignored, for probabilities over their number.

    Shapes: input (C,) or (N, C, *), as (*, N) positions; target (*, N) indices, or probabilities in the shape of
    input; weight (C,); output (*, N) without a reduction, else a single number.

    Units: none.

    Constraints: `dtype`: real, indices whole numbers, probabilities floats; `input-rank`: at least 1; `classes`: at
    least 1; `target-shape`: that of input, or that less its classes; `target`: indices 0 to C - 1, or ignore_index;
    `weight`: (C,); `ignore-index`: a whole number, negative for probabilities; `reduction`: mean, sum or none;
    `label-smoothing`: 0 to 1.

    Accuracy: within (3 C + 12 + gap) u sum |q| |log_softmax| a position, u = 2**-53, gap from the largest score to
    the next one; a reduction adds the number of positions to the factor; if nothing underflows. A class with q = 0
    adds nothing, also where its logarithm is -inf; nothing over nothing, as the mean of what is all ignored, is NaN.

    Source: Goodfellow, Bengio and Courville, Deep Learning, 2016, section 6.2.2.3; Szegedy et al., Rethinking the
    Inception architecture, 2015, section 7; PyTorch, torch.nn.functional.cross_entropy.

    >>> cross_entropy([[0.0, 0.0], [0.0, -50.0]], [1, 0], reduction="none").tolist() == [np.log(2), np.exp(-50.0)]
    True
    >>> cross_entropy([[0.0, 0.0], [0.0, -50.0]], [[0.5, 0.5], [0.5, 0.5]]).item() == float(np.log(2) + 25) / 2
    True
    """
    with np.errstate(all="ignore"):  # what overflows is infinite, and nothing over nothing is NaN
        call = cross_entropy_call(input, target, weight, ignore_index, reduction, label_smoothing)
        products = weighted(call.q, log_probabilities(call.x, call.along))
        if reduction == "none":
            return np.asarray(-products.sum(call.along))
        return np.asarray(np.divide(products.sum(), -call.divisor))


def weighted(shares: Array, numbers: Array) -> Array:
    """Return the products, 0 where the share is 0, also of what is infinite."""
    return np.multiply(shares, numbers, out=np.zeros(shares.shape), where=shares != 0)


class CrossEntropyCall(NamedTuple):
    """Checked arguments, and what follows from them: q of the formula, and `shares`, which is q without weights.

    weights broadcast against the input; kept: which positions are not ignored, which does so too, and chosen: their
    classes, None for probabilities; divisor: of a mean, 1 without one.
    """

    x: Array
    along: int
    weights: Array | None
    smoothing: float
    shares: Array
    q: Array
    kept: Array | None
    chosen: Array | None
    divisor: float

    @property
    def positions(self) -> tuple[int, ...]:
        return (*self.x.shape[: self.along], *self.x.shape[self.along + 1 :])


def cross_entropy_call(
    input: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None,
    ignore_index: int,
    reduction: str,
    label_smoothing: float,
) -> CrossEntropyCall:
    """Return the checked call."""
    x, t = floats("input", input), real("target", target)
    w = None if weight is None else floats("weight", weight)
    if x.ndim < 1:
        refuse("input-rank", "input", x.shape, "must be (C,) or (N, C, *)")
    along = min(1, x.ndim - 1)
    classes, lead, rest = x.shape[along], x.shape[:along], x.shape[along + 1 :]
    if classes < 1:
        refuse("classes", "input", x.shape, "must have at least one class")
    by_index = t.shape == lead + rest
    if not by_index and t.shape != x.shape:
        refuse("target-shape", "target", t.shape, f"must be {lead + rest} for indices or {x.shape} for probabilities")
    if by_index != (t.dtype.kind == "i"):
        refuse("dtype", "target", t.dtype.name, "must be whole numbers for indices, floats for probabilities")
    if w is not None and w.shape != (classes,):
        refuse("weight", "weight", w.shape, f"must be {(classes,)}, one number for each class")
    ignored = whole("ignore-index", "ignore_index", ignore_index, -(2**62))
    one_of("reduction", "reduction", reduction, REDUCTIONS)
    s = finite("label-smoothing", "label_smoothing", label_smoothing, 0)
    if s > 1:
        refuse("label-smoothing", "label_smoothing", label_smoothing, "must be at most 1")
    across = np.arange(classes).reshape(-1, *[1] * len(rest))
    shares, kept, chosen = _shares(t.reshape(*lead, 1, *rest) if by_index else t, across, ignored)
    if s:
        shares = shares * (1 - s) + s / classes * (1 if kept is None else kept)
    q, weights, divisor = shares, None, 1.0
    if w is not None:
        weights = w[across]
        q = weighted(shares, weights)
    if reduction == "mean":
        counted = math.prod(lead + rest) if chosen is None else chosen.size
        divisor = float(counted if chosen is None or w is None else w[chosen].sum())
    return CrossEntropyCall(x, along, weights, s, shares, q, kept, chosen, divisor)


def _shares(t: Array, across: Array, ignored: int) -> tuple[Array, Array | None, Array | None]:
    """Return the shares of the classes and, of indices, which positions are kept and their classes."""
    if t.dtype.kind != "i":
        if ignored >= 0:
            refuse("ignore-index", "ignore_index", ignored, "must be negative: probabilities are not ignored")
        return t, None, None
    kept = t != ignored
    chosen = t[kept]
    wrong = chosen[chosen.view(np.uint64) >= across.size]  # as unsigned numbers negative ones are large
    if wrong.size:
        refuse("target", "target", int(wrong[0]), f"must be 0 to {across.size - 1}, or ignore_index={ignored}")
    shares: Array = t == across
    return (shares & kept if 0 <= ignored < across.size else shares), kept, chosen
