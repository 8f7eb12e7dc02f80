"""What tests of the conformance core share: backends made of NumPy, cells, and cases of every kind.

A backend here is the reference itself, rounded once to the dtype of its input, so that it is honest by construction;
a test that wants a mistake changes one binding of it.
"""

from __future__ import annotations

import inspect
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from operator import attrgetter
from types import FunctionType
from typing import Any

import numpy as np
from hypothesis import strategies as st

import reference
from conformance.cells import Cell
from conformance.checks import CHECKS
from conformance.fills import Fill
from conformance.formats import DTYPES
from conformance.layouts import NUMPY_LAYOUTS
from conformance.model import Backend, Case, Declaration, Outcome, Verdict
from conformance.operators import operators
from conformance.run import ask_and_judge, run_cell

OPERATORS = operators()
LINE = "relu(input=ramp(float32[2,3]))"


def rounded(output: Any, dtype: Any) -> Any:
    """Round what a reference returns to a dtype; indices stay integers, and what is absent stays absent."""
    if isinstance(output, tuple):
        return tuple(rounded(part, dtype) for part in output)
    with np.errstate(over="ignore"):
        return output if output is None or output.dtype.kind == "i" else output.astype(dtype)


def honest(name: str) -> Callable[..., Any]:
    """Return the binding of an operator that is right, under PyTorch's conventions."""

    def binding(*first: Any, **call: Any) -> Any:
        call = dict(zip(("input",), first, strict=False)) | call
        dtype = next(part.dtype for part in call.values() if isinstance(part, np.ndarray))
        with np.errstate(all="ignore"):
            return rounded(attrgetter(name)(reference)(**call), dtype)

    return binding


def numpy_backend(name: str = "honest", **fields: Any) -> Backend:
    """Return an honest backend of all operators and their gradients; `bindings` replaces some of them."""
    differentiable = [f"vjp.{o.name}" for o in OPERATORS.values() if o.gradient is not None]
    bindings = {function: honest(function) for function in (*OPERATORS, *differentiable)} | fields.pop("bindings", {})
    return Backend(name, bindings, **{"layouts": NUMPY_LAYOUTS, **fields})


def flipped(input: Any, weight: Any, **call: Any) -> Any:
    """Answer conv2d with a flipped kernel: the classical mistake."""
    return honest("conv2d")(input=input, weight=np.flip(weight, (2, 3)), **call)


def flipped_backend(**fields: Any) -> Backend:
    return numpy_backend("flipped", bindings={"conv2d": flipped}, **fields)


def constant_relu(value: float) -> Callable[..., Any]:
    """Answer relu with one number everywhere."""
    return lambda input: np.full_like(input, value)


def declare(outcome: Outcome = Outcome.DEVIATES, **changes: Any) -> Declaration:
    """Return a declaration about relu that covers every case of it."""
    fields = {
        "operators": ("relu",),
        "applies": bool,  # every case is true
        "reason": "answers otherwise",
        "link": "https://example.org/issue",
        "date": "2026-11-21",
        "witness": LINE,
    }
    return Declaration(outcome, **(fields | changes))


def cell(operator: str = "relu", dtype: str = "float32", check: str = "values", backend: Backend | None = None) -> Cell:
    return Cell(backend or numpy_backend(), OPERATORS[operator], dtype, CHECKS[check])


def judged(of: Cell, examples: int = 20, seed: int = 0) -> list[Verdict]:
    """Return all verdicts of a cell."""
    verdicts: list[Verdict] = []
    run_cell(of, verdicts.append, examples=examples, seed=seed)
    return verdicts


def judged_on(of: Cell, case: Case) -> Verdict:
    """Return the verdict on one case."""
    return next(ask_and_judge(of, [case]))


def outcomes_of(verdicts: Iterable[Verdict]) -> Counter[Outcome]:
    """Count the outcomes."""
    return Counter(v.outcome for v in verdicts)


def verdict(outcome: Outcome = Outcome.CONFORMS, **changes: Any) -> Verdict:
    """Return a verdict on relu, as a report would hold it."""
    fields = {"case": Case("relu", {"input": Fill("ramp", "float32", (2,))}, {}), "compared": 2}
    return Verdict("honest", "values", "relu", "float32", outcome, **(fields | changes))


HONEST = numpy_backend()


def drawn_cases(operator: str) -> st.SearchStrategy[Case]:
    """Return a strategy of the cases that the suite asks of an operator: any check, any dtype."""
    checks = [check for check in CHECKS.values() if check.applies(OPERATORS[operator]) and not check.grades]
    pairs = st.tuples(st.sampled_from(checks), st.sampled_from(DTYPES))
    lists = pairs.flatmap(lambda pair: pair[0].strategy(OPERATORS[operator], pair[1], HONEST))
    return lists.filter(bool).flatmap(st.sampled_from)


def labels_of(name: str) -> set[str]:
    """Return the labels in the Constraints part of a reference's docstring, or of the one that it refers to."""
    text = inspect.getdoc(getattr(reference, name)) or ""
    part = re.search(r"^Constraints: (.*?)\n\n", text, re.DOTALL | re.MULTILINE)
    if part is None:
        return labels_of(re.search(r"see `(\w+)`", text)[1])
    words = re.findall(r"`([\w-]+)`", part[1])
    return {word for word in words if not isinstance(getattr(reference, word, None), FunctionType)} | (
        {name} & set(words)
    )


def until(true: Callable[[], Any]) -> Any:
    """Wait until something is true, and return it."""
    for _ in range(3000):
        found = true()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError("it never came to be")


relu_backend = partial(numpy_backend, "custom")
