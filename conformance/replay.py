"""One case, looked at closely: expected, actual and bound, and what fed the worst element."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import numpy as np

from conformance.answers import Answer, Died, Raised
from conformance.calls import VJP
from conformance.cells import Cell, standing
from conformance.checks import CHECKS
from conformance.diagnosis import explained
from conformance.discovery import UsageError
from conformance.laws import laws
from conformance.model import Backend, Case, Operator, Verdict
from conformance.operators import operators
from conformance.purity import PURITY
from conformance.report.grid import element, printable
from conformance.verdicts import bounds_of, expectation, fed, judge_answer
from reference.constraints import ConstraintError


def cell_of(case: Case, backend: Backend, check: str | None = None) -> Cell:
    """Return the cell that a case belongs to; without a check, the one that its data call for."""
    known = operators()
    if case.operator not in known:
        raise UsageError(f"operator={case.operator!r}: must be one of {', '.join(known)}")
    operator = known[case.operator]
    _check_manner(case, operator, backend)
    pulled = case.pulled or case.manner == VJP
    function = operator.gradient.reference if pulled and operator.gradient else operator.reference
    signature = inspect.signature(function)
    told = dict.fromkeys(name for name in operator.conventions if name in signature.parameters)
    try:
        signature.bind(**case.inputs, **case.attributes, **told)  # conventions are the dialect's to tell
    except TypeError as error:
        raise UsageError(f"{case.function}: {error}") from None
    if case.manner not in ("", VJP):
        return Cell(backend, operator, case.dtype, CHECKS["purity" if case.manner in PURITY else "laws"])
    finite = all(np.isfinite(fill.array().astype(np.float64)).all() for fill in case.inputs.values())
    called_for = "gradients" if case.manner else "values" if finite else "special"
    if any(fill.layout for fill in case.inputs.values()):
        called_for = "layouts"
    try:
        with np.errstate(all="ignore"):
            expectation(operator, case, backend.dialect)
    except ConstraintError:
        called_for = "rejections"
    except (ValueError, MemoryError) as error:  # such as a result too large for any memory
        raise UsageError(f"{case.operator}: {error}") from None
    asked = CHECKS[check or called_for]
    if not asked.applies(operator):
        raise UsageError(f"check={check!r}: asks nothing of {operator.name}")
    return Cell(backend, operator, case.dtype, asked)


def _check_manner(case: Case, operator: Operator, backend: Backend) -> None:
    """Refuse what no cell asks: manners, gradients and layouts that are not there."""
    if case.manner == VJP:
        if operator.gradient is None:
            raise UsageError(f"{case.function}: {case.operator} has no gradient")
    elif case.manner and case.manner not in (*PURITY, *laws()):
        raise UsageError(f"{case.function}: {case.manner!r} must be one of {', '.join((VJP, *PURITY, *laws()))}")
    elif case.manner in laws() and case.operator not in laws()[case.manner].operators:
        raise UsageError(f"{case.function}: the law speaks of {', '.join(laws()[case.manner].operators)}")
    for name, fill in case.inputs.items():
        if fill.layout and fill.layout not in backend.layouts:
            known = ", ".join(backend.layouts) or "none"
            raise UsageError(f"{name}: layout={fill.layout!r} must be one that {backend.name} names: {known}")


def replay(cell: Cell, case: Case) -> tuple[Verdict, str]:
    """Put the case to the backend once more; return the verdict and a text on all that went into it."""
    settled = standing(cell)
    if settled is not None:
        return settled, printable(settled.reason)
    answered = next(cell.answers([case]))
    verdict = judge_answer(cell, case, answered)
    lines = [printable(f"{verdict.outcome}: {verdict.reason}" if verdict.reason else str(verdict.outcome))]
    with np.printoptions(threshold=200, edgeitems=4, linewidth=110), np.errstate(all="ignore"):
        lines += _arrays(cell, case, answered)
        if "index" in verdict.details:
            lines += _worst(cell, case, verdict)
        if verdict.failed:
            verdict = explained(cell, verdict)
            lines += [printable(verdict.details[name]) for name in ("diagnosis",) if name in verdict.details]
    return verdict, "\n".join(lines)


def _arrays(cell: Cell, case: Case, answered: Answer) -> Iterator[str]:
    if isinstance(answered, Raised):
        yield printable(f"actual: {answered}")
    if isinstance(answered, Died):
        yield printable(f"actual: the process {answered.reason}")
        yield from map(printable, answered.printed)
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
        outputs = [output for output in answered if output is not None]
        for name, output in zip(expected, outputs, strict=False):
            yield f"actual {name} {output.shape} {output.dtype}:\n{output}"
        for name, bound in bounds_of(cell, case, inputs, expected).items():
            yield f"bound of {name}:\n{bound.absolute}"


def _worst(cell: Cell, case: Case, verdict: Verdict) -> Iterator[str]:
    inputs, _ = expectation(cell.operator, case, cell.backend.dialect)
    yield f"worst element: {element(verdict)}"
    if case.manner:
        return  # of several calls, or of gradients
    for name, part in fed(cell.operator, inputs, case.attributes, verdict.details["index"]).items():
        yield f"its window of {name}:\n{part}"
