"""How a case is put to a backend in this process: arrays are made, laid out and handed over, and answers taken back."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from conformance.formats import Array, numpy_dtype
from conformance.laws import laws
from conformance.model import Arrays, Attributes, Backend, Case

VJP = "vjp"
# What the frameworks take for constants, although a gradient could be told.
CONSTANTS = {"running_mean", "running_var"}
CONSTANTS_OF = {"cross_entropy": {"weight"}}
NOTHING = np.zeros((), "V1")


def perform(backend: Backend, case: Case) -> list[Array | None]:
    """Return what the backend answers in the manner of the case; whatever it raises comes through."""
    from conformance.purity import PURITY

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a warning is not part of the answer
        if case.manner in PURITY:
            return PURITY[case.manner].perform(Subject(backend, case))
        if case.manner not in ("", VJP):
            law = laws()[case.manner]
            calls = law.calls(case.operator, arrays_of(case), case.attributes)
            dense = ({name: np.array(array, order="C") for name, array in c.inputs.items()} for c in calls)
            return [
                taken(backend, call(backend, c.operator, tensors_of(backend, arrays), c.attributes)[0])
                for c, arrays in zip(calls, dense, strict=True)
            ]
        subject = Subject(backend, case)
        return [None if output is None else taken(backend, output) for output in subject.call(subject.tensors())]


class Subject:
    """A case and the backend that it is put to, for whoever calls more than once."""

    def __init__(self, backend: Backend, case: Case) -> None:
        self.backend, self.case = backend, case

    def tensors(self, arrays: Arrays | None = None) -> dict[str, Any]:
        """Return fresh tensors of the case, or of other arrays of its names, laid out as it asks."""
        made = arrays_of(self.case) if arrays is None else arrays
        return tensors_of(self.backend, made, {name: fill.layout for name, fill in self.case.inputs.items()})

    def call(self, tensors: Mapping[str, Any]) -> Sequence[Any]:
        """Return the outputs, or the gradients, of one call."""
        return self.asked_with(tensors, self.case.attributes)

    def asked_with(self, tensors: Mapping[str, Any], attributes: Attributes) -> Sequence[Any]:
        """Return the outputs, or the gradients, of one call with other attributes."""
        if self.case.pulled:
            return gradients(self.backend, replace(self.case, attributes=attributes), tensors)
        return call(self.backend, self.case.operator, tensors, attributes)

    def answer(self, tensors: Mapping[str, Any]) -> list[Array]:
        """Return what one call answers, copied, without what is absent."""
        return self.read(self.call(tensors))

    def read(self, outputs: Sequence[Any]) -> list[Array]:
        """Return copies of outputs, without what is absent."""
        return [np.array(taken(self.backend, output)) for output in outputs if output is not None]


def arrays_of(case: Case) -> dict[str, Array]:
    """Return fresh arrays, which whoever gets them may write to."""
    return {name: fill.array().copy() for name, fill in case.inputs.items()}


def tensors_of(backend: Backend, arrays: Arrays, layouts: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return tensors of the arrays, each in its layout."""
    tensors = {name: backend.from_numpy(np.asarray(array)) for name, array in arrays.items()}
    for name, layout in (layouts or {}).items():
        if layout:
            tensors[name] = backend.layouts[layout](tensors[name])
    return tensors


def call(backend: Backend, operator: str, tensors: Mapping[str, Any], attributes: Attributes) -> Sequence[Any]:
    """Return the native outputs of one call."""
    result = backend.functions()[operator](**tensors, **attributes)
    return result if isinstance(result, tuple) else (result,)


def gradients(backend: Backend, case: Case, tensors: Mapping[str, Any]) -> Sequence[Any]:
    """Return the native gradients: by the backend's own function for them, or by its `vjp`."""
    functions, operator = backend.functions(), case.operator
    if f"{VJP}.{operator}" in functions:
        result = functions[f"{VJP}.{operator}"](**tensors, **case.attributes)
        answered, asked, every = (
            result if isinstance(result, tuple) else (result,),
            differentiated(case),
            _fields(operator),
        )
        if len(answered) == len(asked):
            return answered
        if len(answered) != len(every):
            raise TypeError(f"{VJP}.{operator} returns {len(answered)} gradients, expected {', '.join(asked)}")
        return [gradient for name, gradient in zip(every, answered, strict=True) if name in asked]
    if backend.vjp is None:
        raise NotImplementedError(f"{backend.name} has no gradients")
    names = differentiated(case)
    held = {name: tensor for name, tensor in tensors.items() if name not in names and name != "cotangent"}

    def function(**leaves: Any) -> Any:
        return call(backend, operator, {**held, **leaves}, case.attributes)[0]

    found = backend.vjp(function, {name: tensors[name] for name in names}, tensors["cotangent"])
    return [found[name] for name in names]


def differentiated(case: Case) -> tuple[str, ...]:
    """Return the arrays of a case whose gradients are asked for, in the order in which they are answered."""
    constant = CONSTANTS | CONSTANTS_OF.get(case.operator, set())
    return tuple(
        name
        for name in _fields(case.operator)
        if name in case.inputs and name not in constant and case.inputs[name].dtype != "int64"
    )


@cache
def _fields(operator: str) -> tuple[str, ...]:
    """Return by which arrays the reference differentiates the operator."""
    from reference import vjp  # late, since most workers never need it

    function: Callable[..., Any] = getattr(vjp, operator)
    signature = inspect.signature(function)
    fields: tuple[str, ...] | None = getattr(getattr(vjp, signature.return_annotation, None), "_fields", None)
    return fields or (list(signature.parameters)[1],)


def taken(backend: Backend, output: Any) -> Array:
    """Return an output as an array; where it holds no numbers, one of its shape that holds nothing."""
    array = np.asarray(backend.to_numpy(output))
    known = array.dtype.kind in "biufc" or array.dtype == numpy_dtype("bfloat16")
    return array if known else np.broadcast_to(NOTHING, array.shape)
