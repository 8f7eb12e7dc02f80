"""One case, looked at closely: expected, actual and bound, and what fed the worst element."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import numpy as np

from conformance.checks import CHECKS
from conformance.discovery import UsageError
from conformance.formats import Array
from conformance.model import Backend, Case, Verdict
from conformance.operators import operators
from conformance.report.grid import element
from conformance.run import Cell, answer, expectation, judge_answer, standing
from reference.constraints import ConstraintError


def cell_of(case: Case, backend: Backend, check: str | None = None) -> Cell:
    """Return the cell that a case belongs to; without a check, the one that its data call for."""
    known = operators()
    if case.operator not in known:
        raise UsageError(f"operator={case.operator!r}: must be one of {', '.join(known)}")
    operator = known[case.operator]
    try:
        inspect.signature(operator.reference).bind(**case.inputs, **case.attributes, **operator.conventions)
    except TypeError as error:
        raise UsageError(f"{case.operator}: {error}") from None
    finite = all(np.isfinite(fill.array().astype(np.float64)).all() for fill in case.inputs.values())
    called_for = "values" if finite else "special"
    try:
        with np.errstate(all="ignore"):
            expectation(operator, case, backend.dialect)
    except ConstraintError:
        called_for = "rejections"
    except (ValueError, MemoryError) as error:  # such as a result too large for any memory
        raise UsageError(f"{case.operator}: {error}") from None
    return Cell(backend, operator, case.dtype, CHECKS[check or called_for])


def replay(cell: Cell, case: Case) -> tuple[Verdict, str]:
    """Put the case to the backend once more; return the verdict and a text on all that went into it."""
    settled = standing(cell)
    if settled is not None:
        return settled, settled.reason
    answered = answer(cell.backend, case)
    verdict = judge_answer(cell, case, answered)
    lines = [f"{verdict.outcome}: {verdict.reason}" if verdict.reason else str(verdict.outcome)]
    with np.printoptions(threshold=200, edgeitems=4, linewidth=110), np.errstate(all="ignore"):
        lines += _arrays(cell, case, answered)
        if "index" in verdict.details:
            lines += _worst(cell, case, verdict)
    return verdict, "\n".join(lines)


def _arrays(cell: Cell, case: Case, answered: object) -> Iterator[str]:
    if isinstance(answered, Exception):
        yield f"actual: {type(answered).__name__}: {answered}"
    try:
        inputs, expected = expectation(cell.operator, case, cell.backend.dialect)
    except ConstraintError as error:
        yield f"expected: a refusal, {error}"
        return
    for name, array in inputs.items():
        yield f"{name} {array.shape}:\n{array}"
    for name, array in expected.items():
        yield f"expected {name} {array.shape}:\n{array}"
    if isinstance(answered, list):
        outputs: list[Array] = [output for output in answered if output is not None]
        for name, output in zip(expected, outputs, strict=False):
            yield f"actual {name} {output.shape} {output.dtype}:\n{output}"
        bounds = cell.operator.bounds(inputs, case.attributes, expected, cell.backend.arithmetic(case))
        for name, bound in bounds.items():
            yield f"bound of {name}:\n{bound.absolute}"


def _worst(cell: Cell, case: Case, verdict: Verdict) -> Iterator[str]:
    inputs, _ = expectation(cell.operator, case, cell.backend.dialect)
    yield f"worst element: {element(verdict)}"
    for name, part in cell.operator.window(inputs, case.attributes, verdict.details["index"]).items():
        yield f"its window of {name}:\n{part}"
