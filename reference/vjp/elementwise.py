"""What gradients of activations share: the cotangent times a derivative, and what is one at a kink."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from reference.arrays import Array
from reference.constraints import one_of
from reference.elementwise import blockwise
from reference.vjp.cotangents import checked

_OPEN, _CLOSED = (np.greater, np.less), (np.greater_equal, np.less_equal)
KINK_RULES = {"outer": (_OPEN,), "inner": (_CLOSED,), "mean": (_OPEN, _CLOSED)}

Derivative = Callable[[Array], Array]


def times_derivative(cotangent: ArrayLike, x: Array, derivative: Derivative) -> Array:
    """Return cotangent * derivative(x)."""
    return blockwise(lambda g, x: g * derivative(x), checked(cotangent, x.shape), x)


def with_kinks(kink: str, low: float, high: float, branches: Callable[[Array, Array], Array]) -> Derivative:
    """Return the derivative of a function with kinks at low and high; an infinite one is none.

    branches(x, inside) returns the derivative where `inside` tells which numbers are between the kinks. What a kink
    itself belongs to is the rule's: "outer" leaves both out, "inner" takes them in, "mean" is the mean of the two.
    """
    comparisons = [
        (above if low > -np.inf else np.greater_equal, below if high < np.inf else np.less_equal)
        for above, below in KINK_RULES[one_of("kink", "kink", kink, tuple(KINK_RULES))]
    ]

    def derivative(x: Array) -> Array:
        values = [branches(x, above(x, low) & below(x, high)) for above, below in comparisons]
        return np.where(np.isnan(x), x, sum(values) / len(values))

    return derivative
