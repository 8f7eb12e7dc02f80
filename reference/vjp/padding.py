"""The gradient of padding: what was copied is added back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike

from reference.arrays import Array
from reference.padding import pad_adjoint, pad_call
from reference.vjp.shapes import of_common_dtype


def pad(cotangent: ArrayLike, input: ArrayLike, pad: Sequence[int], mode: str = "constant", value: Any = None) -> Array:
    """Return the gradient of sum(cotangent * pad(input, pad, mode, value)).

    Formula: the sum of the cotangent over all elements of the output that are copies of an element, 0 where none is.

    Shapes: cotangent as the output; the gradient as the input.

    Units: those of cotangent.

    Constraints: as `reference.pad`; `cotangent`: the shape of the output.

    Accuracy: within gamma(n) * sum |cotangent| of float64, n copies each; integers exactly.

    Source: Goodfellow, Bengio and Courville, Deep Learning, 2016, section 6.5.6.

    >>> pad([1, 10, 100, 1000, 10000], [0, 0, 0], (1, 1), mode="reflect")
    array([   10, 10101,  1000])
    """
    call = pad_call(input, pad, mode, value)
    return pad_adjoint(of_common_dtype(cotangent, call.output, call.x), call.x.shape, call.pairs, mode)
