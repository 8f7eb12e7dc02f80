"""The elementwise and the fully connected parts of a small network."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from reference.arrays import Array, widen, widen_together
from reference.constraints import refuse
from reference.contraction import contract

RELU_NAN_RULES = ("propagate", "zero")


def relu(input: ArrayLike, nan: str = "propagate") -> Array:
    """Return the input where it is positive, and zero elsewhere.

    Formula: max(x, 0), elementwise.

    Shapes: any; the output has the shape of the input.

    Units: those of input. `nan`: "propagate" (relu(NaN) is NaN: PyTorch) or "zero" (it is 0).

    Constraints: `dtype`: real; `nan`: one of the two rules.

    Accuracy: exact; the sign of a zero is not specified.

    Source: Nair and Hinton, Rectified linear units improve restricted Boltzmann machines, 2010.

    >>> relu([-1.5, 0.0, 2.0])
    array([0., 0., 2.])
    """
    x = widen("input", input)
    if x.dtype.kind == "c":
        refuse("dtype", "input", x.dtype.name, "must be real: complex numbers have no order")
    if nan not in RELU_NAN_RULES:
        refuse("nan", "nan", nan, f"must be one of {', '.join(RELU_NAN_RULES)}")
    return np.asarray(np.maximum(x, 0) if nan == "propagate" else np.fmax(x, 0))


def linear(input: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None) -> Array:
    """Apply a fully connected layer to the last axis.

    Formula: output[..., o] = bias[o] + sum over i of input[..., i] * weight[o, i].

    Shapes: input (*, I); weight (O, I) or (I,); bias (O,) or (); output (*, O), or (*) where weight is (I,).

    Units: those of input times those of weight.

    Constraints: `dtype`: numeric; `input-rank`: at least 1; `weight-rank`: 1 or 2; `input-features`: the last
    axis of input is as long as the last axis of weight; `bias`: shape (O,), or () where weight is (I,).

    Accuracy: within gamma(I) * sum |input| |weight| of float64; integers exactly.

    Source: PyTorch, torch.nn.functional.linear.

    >>> linear([[1, 2]], [[3, 4], [5, 6]], [100, 200])
    array([[111, 217]])
    """
    if bias is None:
        x, w = widen_together(input=input, weight=weight)
        b = None
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
    result = contract(x, w.T)
    return result if b is None else np.asarray(result + b)
