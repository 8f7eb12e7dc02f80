"""The verdict on one answer: what the reference says to the same case, within which bound, and what the judge finds."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from conformance.answers import Answer, Died, Raised
from conformance.cells import Cell
from conformance.formats import Array, format_of, numpy_dtype
from conformance.judge import Finding, judge_shapes, judge_values
from conformance.model import Case, Operator, Outcome, Verdict
from reference.arrays import widen
from reference.constraints import ConstraintError
from reference.dialects import DIALECTS


def expectation(operator: Operator, case: Case, dialect: str) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return the widened inputs and the reference's outputs by name, under a dialect's conventions."""
    inputs = {name: widen(name, fill.array()) for name, fill in case.inputs.items()}
    spoken = DIALECTS[dialect]
    told = {name: getattr(spoken, field) for name, field in operator.conventions.items()}
    conventions = {name: value for name, value in told.items() if value is not None}
    result = operator.reference(**inputs, **case.attributes, **conventions)
    named: Mapping[str, Array | None] = result._asdict() if isinstance(result, tuple) else {"output": result}  # type: ignore[attr-defined]
    return inputs, {name: output for name, output in named.items() if output is not None}


def judge_answer(cell: Cell, case: Case, answered: Answer) -> Verdict:
    """Compute reference and bound, and compare the answer with them."""
    if isinstance(answered, Died):
        finding = Finding(answered.outcome, 0, reason=answered.reason, details={"printed": answered.printed})
    else:
        finding = _judge(cell, case, answered)
    return Verdict(
        cell.backend.name,
        cell.check.name,
        cell.operator.name,
        cell.dtype,
        finding.outcome,
        case,
        finding.compared,
        finding.share,
        finding.reason,
        finding.details,
    )


def _judge(cell: Cell, case: Case, answered: list[Array | None] | Raised) -> Finding:
    with np.errstate(all="ignore"):
        try:
            inputs, expected = expectation(cell.operator, case, cell.backend.dialect)
        except ConstraintError as error:
            return _judge_refusal(error, answered)
        return _judge_outputs(cell, case, inputs, expected, answered)


def _judge_refusal(error: ConstraintError, answered: list[Array | None] | Raised) -> Finding:
    if isinstance(answered, Raised):
        return Finding(Outcome.CONFORMS, 1)
    shapes = ", ".join(str(output.shape) for output in answered if output is not None)
    return Finding(Outcome.DIFFERS, 1, np.inf, f"accepts what must be rejected ({error}); answers with shape {shapes}")


def _judge_outputs(
    cell: Cell,
    case: Case,
    inputs: Mapping[str, Array],
    expected: Mapping[str, Array],
    answered: list[Array | None] | Raised,
) -> Finding:
    if isinstance(answered, Raised):
        return Finding(Outcome.ERRORED, 0, reason=f"raises {answered}".splitlines()[0][:300])
    given_back = [output for output in answered if output is not None]
    actual = dict(zip(expected, given_back, strict=False))
    if len(given_back) != len(expected):
        count = f"returns {len(given_back)} outputs, expected {len(expected)}: {', '.join(expected)}"
        return Finding(Outcome.DIFFERS, 1, np.inf, count)
    shapes = judge_shapes(expected, actual, numpy_dtype(case.dtype))
    if shapes.outcome is not Outcome.CONFORMS or cell.check.shapes_only:
        return shapes
    wide = {name: output if output.dtype.kind in "iu" else widen(name, output) for name, output in actual.items()}
    arithmetic = cell.backend.arithmetic(case)
    bounds = cell.operator.bounds(inputs, case.attributes, expected, arithmetic)
    return judge_values(expected, wide, bounds, format_of(case.dtype))
