"""Honest implementations in NumPy: the reference, rounded once to the dtype of its input.

They are the twins of the faults, and what a fault is made from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from operator import attrgetter
from typing import Any

import numpy as np

import reference
import reference.vjp
from conformance.formats import Array
from conformance.layouts import NUMPY_LAYOUTS
from conformance.model import Arithmetic, Backend, Case, Fault, usual_arithmetic
from conformance.operators import operators

Binding = Callable[..., Any]


@cache
def honest(operator: str) -> Binding:
    """Return the binding of an operator, or of `vjp.` and its name, that is right: the same one every time.

    >>> honest("relu")(input=np.array([-1, 2], np.float32))
    array([0., 2.], dtype=float32)
    """
    return partial(_rounded, attrgetter(operator)(reference))


def function_of(operator: str, check: str) -> str:
    """Return the name of the function that a check asks: of the operator, or of its gradients."""
    return f"vjp.{operator}" if check == "gradients" else operator


def backend_with(
    name: str, function: str, binding: Binding, arithmetic: Callable[[Case], Arithmetic] = usual_arithmetic
) -> Backend:
    """Return the honest backend with another binding of one function, which may be `vjp.` and an operator's name."""
    return Backend(name, {**_honest_bindings(), function: binding}, arithmetic=arithmetic, layouts=NUMPY_LAYOUTS)


@cache
def _honest_bindings() -> Mapping[str, Binding]:
    differentiable = (f"vjp.{name}" for name, operator in operators().items() if operator.gradient is not None)
    return {name: honest(name) for name in (*operators(), *differentiable)}


def _rounded(function: Binding, **call: Any) -> Any:
    dtype = next(value.dtype for value in call.values() if isinstance(value, np.ndarray))
    with np.errstate(all="ignore"):
        result = function(**call)
    if isinstance(result, tuple):
        return tuple(None if output is None else like(output, dtype) for output in result)
    return like(result, dtype)


def like(output: Array, dtype: np.dtype[Any]) -> Array:
    """Round an output to the dtype; indices stay integers."""
    with np.errstate(over="ignore"):
        return output if output.dtype.kind == "i" else output.astype(dtype)


def fault(
    name: str,
    sentence: str,
    operator: str,
    check: str,
    mistake: Callable[..., Any],
    dtype: str = "float32",
    twin: Binding | None = None,
    kind: str = "index",
) -> Fault:
    """Return the fault that `mistake` makes of the honest binding, its first argument; the rest is the call.

    twin: the right implementation of the same design, where that is not the honest binding itself.
    """
    right = honest(function_of(operator, check))
    return Fault(name, sentence, operator, check, partial(mistake, right), twin or right, dtype, kind)
