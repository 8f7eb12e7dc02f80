"""PyTorch's OpInfo: the sample inputs and the erroneous inputs that its own tests draw for every operator."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch.testing._comparison import default_tolerances
from torch.testing._internal.common_methods_invocations import op_db

import reference
import reference.vjp
from conformance.backends.torch.tensors import to_numpy
from oracles.samples import Sample

NAME, VERSION = "OpInfo", torch.__version__.partition("+")[0]
DTYPES = ("float32", "float64", "float16", "bfloat16")
CPU = "cpu"


def samples(operator: str, dtype: str) -> Iterator[Sample]:
    """Yield what OpInfo asks of an operator in one dtype: values, values out of order in memory, gradients, errors."""
    native = getattr(torch, dtype)
    for info in op_db:
        if info.name not in (operator, f"nn.functional.{operator}") or not info.supports_dtype(native, CPU):
            continue
        torch.manual_seed(0)
        relative, absolute = default_tolerances(native)
        for drawn in info.sample_inputs(CPU, native):
            for sample in (drawn, drawn.noncontiguous()):
                yield from _sample(info, operator, sample, (absolute, relative))
        if dtype == "float32" and info.error_inputs_func is not None:
            for error in info.error_inputs(CPU):
                call = _call(operator, error.sample_input)
                if call is not None:
                    yield Sample(operator, call, None, (absolute, relative))


def _call(operator: str, sample: Any) -> dict[str, Any] | None:
    """Return a sample as a call by our names, or None where it cannot be said in them."""
    names = list(inspect.signature(getattr(reference, operator)).parameters)
    given = dict(zip(names, (sample.input, *sample.args), strict=False)) | sample.kwargs
    if len(sample.args) >= len(names) or not given.keys() <= set(names):
        return None
    return {name: _converted(value) for name, value in given.items() if value is not None}


def _converted(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return to_numpy(value)
    return tuple(value) if isinstance(value, list | torch.Size) else value


def _sample(info: Any, operator: str, drawn: Any, limits: tuple[float, float]) -> Iterator[Sample]:
    call = _call(operator, drawn)
    if call is None:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = info.op(drawn.input, *drawn.args, **drawn.kwargs)
        outputs = tuple(result) if isinstance(result, list | tuple) else (result,)
        yield Sample(operator, call, tuple(map(to_numpy, outputs)), limits)
        if outputs[0].is_floating_point() and hasattr(reference.vjp, operator):
            yield from _gradient(info, operator, drawn, call, limits)


def _gradient(
    info: Any, operator: str, drawn: Any, call: dict[str, Any], limits: tuple[float, float]
) -> Iterator[Sample]:
    """Yield the gradients by autograd, for a cotangent of normal numbers."""
    names = list(inspect.signature(getattr(reference, operator)).parameters)
    leaves = {
        name: tensor.detach().clone().requires_grad_()
        for name, tensor in {**dict(zip(names, (drawn.input, *drawn.args), strict=False)), **drawn.kwargs}.items()
        if isinstance(tensor, torch.Tensor) and tensor.is_floating_point() and not name.startswith("running")
    }
    args = [leaves.get(name, value) for name, value in zip(names, (drawn.input, *drawn.args), strict=False)]
    kwargs = {name: leaves.get(name, value) for name, value in drawn.kwargs.items()}
    try:
        result = info.op(*args, **kwargs)
        output = result[0] if isinstance(result, list | tuple) else result
        cotangent = torch.randn_like(output)
        found = torch.autograd.grad(output, list(leaves.values()), cotangent, allow_unused=True)
    except RuntimeError:  # some have no gradient
        return
    gradients = {name: None if g is None else to_numpy(g) for name, g in zip(leaves, found, strict=True)}
    expected = tuple(gradients.get(name) for name in _fields(operator))
    forward = {name: value for name, value in call.items() if name != "return_indices"}
    yield Sample(operator, {"cotangent": to_numpy(cotangent), **forward}, expected, limits, gradient=True)


def _fields(operator: str) -> tuple[str, ...]:
    """Return by which arrays the reference differentiates the operator."""
    annotation = inspect.signature(getattr(reference.vjp, operator)).return_annotation
    fields: tuple[str, ...] | None = getattr(getattr(reference.vjp, str(annotation), None), "_fields", None)
    return fields or ("input",)


def known() -> set[str]:
    """Return the names of the operators that OpInfo has."""
    return {info.name.removeprefix("nn.functional.") for info in op_db}
