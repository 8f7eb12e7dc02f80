"""The one sum of products that all references use."""

from __future__ import annotations

import numpy as np

from reference.arrays import Array


def contract(left: Array, right: Array) -> Array:
    """Return the sums of products left[..., i, k] * right[..., k, j] over k.

    Accuracy: integers exactly (modulo 2**64); floats within gamma(n) times the sum of absolute products, in
    an order that the linear-algebra library chooses.
    """
    return np.asarray(np.matmul(left, right))
