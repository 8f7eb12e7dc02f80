"""The fully connected layer."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from reference.arrays import Array, widen_together
from reference.constraints import refuse
from reference.contraction import contract, sum_of_products


def linear(input: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None) -> Array:
    """Apply a fully connected layer to the last axis.

    Formula: output[..., o] = bias[o] + sum over i of input[..., i] * weight[o, i].

    Shapes: input (*, I); weight (O, I) or (I,); bias (O,) or (); output (*, O), or (*) where weight is (I,).

    Units: those of input times those of weight.

    Constraints: `dtype`: numeric; `input-rank`: at least 1; `weight-rank`: 1 or 2; `input-features`: the last
    axis of input is as long as the last axis of weight; `bias`: shape (O,), or () where weight is (I,).

    Accuracy: within gamma(I + 1) * (sum |input| |weight| + |bias|) of float64; integers exactly; correctly rounded
    inside `exact()`.

    Source: PyTorch, torch.nn.functional.linear.

    >>> linear([[1, 2]], [[3, 4], [5, 6]], [100, 200])
    array([[111, 217]])
    """
    call = linear_call(input, weight, bias)
    return np.asarray(sum_of_products(contract, call.x, call.w.T, call.x.shape[-1], call.b))


class LinearCall(NamedTuple):
    """Checked arguments of one dtype."""

    x: Array
    w: Array
    b: Array | None

    @property
    def rows(self) -> int:
        return math.prod(self.x.shape[:-1])

    @property
    def output(self) -> tuple[int, ...]:
        return (*self.x.shape[:-1], *self.w.shape[:-1])


def linear_call(input: ArrayLike, weight: ArrayLike, bias: ArrayLike | None) -> LinearCall:
    """Return the checked arguments."""
    b = None
    if bias is None:
        x, w = widen_together(input=input, weight=weight)
    else:
        x, w, b = widen_together(input=input, weight=weight, bias=bias)
    if x.ndim < 1:
        refuse("input-rank", "input", x.shape, "must have at least one axis")
    if w.ndim not in (1, 2):
        refuse("weight-rank", "weight", w.shape, "must be (out_features, in_features) or (in_features,)")
    if x.shape[-1] != w.shape[-1]:
        refuse("input-features", "input", x.shape, f"must have {w.shape[-1]} features along its last axis")
    if b is not None and b.shape != w.shape[:-1]:
        refuse("bias", "bias", b.shape, f"must be {w.shape[:-1]}, one number for each output feature")
    return LinearCall(x, w, b)
