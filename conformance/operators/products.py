"""What the operators that sum products of two factors share: their bounds, forward and backward."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from conformance.bounds import sum_of_products
from conformance.fills import Shape
from conformance.formats import Array
from conformance.model import Arithmetic, Arrays, Attributes, Bound, Geometry, Gradient, Pattern
from conformance.patterns import exact_products, real_products

Shapes = Mapping[str, Shape | None]
Terms = Callable[[Shapes, Attributes], int]
GradientTerms = Callable[[Shapes, Attributes], Mapping[str, int]]


def product_bounds(
    function: Callable[..., Any],
    terms: Terms,
    waived: Callable[[Arrays, Attributes], Array | bool] = lambda inputs, attributes: False,
) -> Any:
    """Return the bounds of an operator all of whose inputs are factors, or a bias.

    terms: from shapes and attributes, the most products that meet in one output, a bias counted as one. waived: which
    outputs may be anything.
    """

    def bounds(inputs: Arrays, attributes: Attributes, expected: Arrays, arithmetic: Arithmetic) -> dict[str, Bound]:
        magnitude = function(**{k: np.abs(v) for k, v in inputs.items()}, **attributes)
        count = terms({k: v.shape for k, v in inputs.items()}, attributes)
        found = sum_of_products(magnitude, count, expected["output"], list(inputs.values()), arithmetic)
        return {"output": replace(found, waived=waived(inputs, attributes))}

    return bounds


def product_gradient(vjp: Callable[..., Any], terms: GradientTerms) -> Gradient:
    """Return the gradients of such an operator: the cotangent times the other factor, and for a bias by itself.

    terms: the most products that meet in one element of each gradient. The gradient that has most sizes the data.
    """

    def patterns(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
        sized = replace(geometry, terms=max(terms(geometry.shapes, geometry.attributes).values()))
        return (*exact_products(sized, dtype, "cotangent"), *real_products(sized, dtype))

    def bounds(inputs: Arrays, attributes: Attributes, expected: Arrays, arithmetic: Arithmetic) -> dict[str, Bound]:
        magnitudes = vjp(**{k: np.abs(v) for k, v in inputs.items()}, **attributes)
        named = magnitudes._asdict() if isinstance(magnitudes, tuple) else dict.fromkeys(expected, magnitudes)  # type: ignore[attr-defined]
        counts = terms({k: v.shape for k, v in inputs.items()}, attributes)
        return {
            name: sum_of_products(named[name], counts[name], gradient, _factors(name, inputs), arithmetic)
            for name, gradient in expected.items()
        }

    return Gradient(vjp, patterns, bounds)


def _factors(name: str, inputs: Arrays) -> list[Any]:
    """Return what the gradient of an input is made of: the cotangent and, unless it is a bias, the other factor."""
    left_out = inputs.keys() - {"cotangent"} if name == "bias" else {name, "bias"}
    return [array for k, array in inputs.items() if k not in left_out]


OPERATORS = ()  # none of its own
