"""A case as users of torch would write it, to be pasted into its issue tracker."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence

from conformance.backends.torch.tensors import LAYOUTS
from conformance.model import Case

ANSWERS = "answers = [(str(t.dtype).removeprefix('torch.'), t.detach().cpu().double().numpy()) for t in outputs]"
WITH_STATISTICS = ("batch_norm", "instance_norm")
STATISTICS = ("running_mean", "running_var")


def script(case: Case, literals: Mapping[str, str], leaves: Sequence[str], *, tf32: bool | None = None) -> str:
    """Return the source that makes the call, or asks for the gradients of `leaves`.

    tf32: whether TF32 is allowed on a CUDA device; None: on the CPU.
    """
    names = [name for name in case.inputs if name != "cotangent"]
    laid = dict.fromkeys(fill.layout for fill in case.inputs.values() if fill.layout)
    lines = ["import torch", ""]
    if tf32 is not None:
        lines += [f"torch.backends.{switch}.allow_tf32 = {tf32}" for switch in ("cudnn", "cuda.matmul")]
    lines += [f"\n{_source(layout)}\n" for layout in laid]
    lines += [f"{name} = {_tensor(case, name, literals[name], tf32 is not None)}" for name in case.inputs]
    lines += [f"{name}.requires_grad_()" for name in leaves]
    lines += [f"result = {_function(case.operator)}({', '.join(_arguments(case, names))})"]
    lines += ["outputs = result if isinstance(result, tuple) else (result,)"]
    if leaves:
        lines += [f"outputs = torch.autograd.grad(outputs[0], [{', '.join(leaves)}], cotangent)"]
    elif case.operator in WITH_STATISTICS:
        lines += [f"outputs = ({', '.join(['*outputs', *(name for name in STATISTICS if name in names)])},)"]
    return "\n".join([*lines, ANSWERS, ""])


def _source(layout: str) -> str:
    return inspect.getsource(LAYOUTS[layout]).replace("(tensor: Any) -> Any:", "(tensor):")


def _tensor(case: Case, name: str, literal: str, cuda: bool) -> str:
    fill = case.inputs[name]
    device = ', device="cuda"' if cuda else ""
    shaped = f".reshape({fill.shape})" if 0 in fill.shape else ""
    tensor = f"torch.tensor({literal}, dtype=torch.{fill.dtype}{device}){shaped}"
    return f"{LAYOUTS[fill.layout].__name__}({tensor})" if fill.layout else tensor


def _function(operator: str) -> str:
    return "torch.flatten" if operator == "flatten" else f"torch.nn.functional.{operator}"


def _arguments(case: Case, names: Sequence[str]) -> list[str]:
    given = {**{name: name for name in names}, **{name: repr(value) for name, value in case.attributes.items()}}
    if case.operator in WITH_STATISTICS:
        given = dict.fromkeys(STATISTICS, "None") | given  # which torch wants to be told
    renamed = {"random_samples": "_random_samples"}
    return [f"{renamed.get(name, name)}={word}" for name, word in given.items()]
