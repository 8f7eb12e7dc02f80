"""The verdict on one answer: what the reference says to the same case, within which bound, and what the judge finds."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from conformance.answers import Answer, Died, Raised
from conformance.calls import VJP, arrays_of, differentiated
from conformance.cells import Cell
from conformance.fast import ALGORITHMS, CONVOLUTIONS
from conformance.fills import Fill
from conformance.formats import Array, format_of, numpy_dtype
from conformance.judge import Finding, judge_shapes, judge_values
from conformance.laws import laws
from conformance.model import Arithmetic, Arrays, Attributes, Bound, Call, Case, Law, Operator, Outcome, Verdict
from conformance.operators import operators
from conformance.purity import PURITY, Purity
from reference.arrays import widen
from reference.constraints import ConstraintError
from reference.dialects import DIALECTS


def expectation(operator: Operator, case: Case, dialect: str) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return the widened inputs and the reference's outputs, or gradients, by name, under a dialect's conventions."""
    inputs = {name: _wide(name, fill.array()) for name, fill in case.inputs.items()}
    if case.manner != VJP:
        return inputs, _expected(operator, inputs, case.attributes, dialect)
    assert operator.gradient is not None  # or nobody would have asked
    result = _told(operator.gradient.reference, operator, inputs, case.attributes, dialect)
    names = differentiated(case)
    named = result._asdict() if isinstance(result, tuple) else {names[0]: result}  # type: ignore[attr-defined]
    return inputs, {name: named[name] for name in names}


def _expected(operator: Operator, inputs: Arrays, attributes: Attributes, dialect: str) -> dict[str, Array]:
    result = _told(operator.reference, operator, inputs, attributes, dialect)
    named: Mapping[str, Array | None] = result._asdict() if isinstance(result, tuple) else {"output": result}  # type: ignore[attr-defined]
    return {name: output for name, output in named.items() if output is not None}


def _told(function: Any, operator: Operator, inputs: Arrays, attributes: Attributes, dialect: str) -> Any:
    """Return what the reference says under a dialect; conventions of no concern to the function are left out."""
    spoken, known = DIALECTS[dialect], _parameters(function)
    told = {name: getattr(spoken, field) for name, field in operator.conventions.items() if name in known}
    conventions = {name: value for name, value in told.items() if value is not None}
    return function(**inputs, **attributes, **conventions)


@cache
def _parameters(function: Any) -> frozenset[str]:
    return frozenset(inspect.signature(function).parameters)


def _wide(name: str, array: Array) -> Array:
    return array if array.dtype.kind in "iub" else widen(name, array)


def judge_answer(cell: Cell, case: Case, answered: Answer) -> Verdict:
    """Compute reference and bound, and compare the answer with them; or compare answers that must agree."""
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
        if case.manner not in ("", VJP):
            if isinstance(answered, Raised):
                return _raised(answered)
            arrays = [output for output in answered if output is not None]
            if case.manner in PURITY:
                return _judge_purity(case, PURITY[case.manner], arrays)
            return _judge_law(cell, case, laws()[case.manner], arrays)
        try:
            inputs, expected = expectation(cell.operator, case, cell.backend.dialect)
        except ConstraintError as error:
            return _judge_refusal(error, answered)
        return _judge_outputs(cell, case, inputs, expected, answered)


def _raised(answered: Raised) -> Finding:
    return Finding(Outcome.ERRORED, 0, reason=f"raises {answered}".splitlines()[0][:300])


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
        return _raised(answered)
    given_back = [output for output in answered if output is not None]
    actual = dict(zip(expected, given_back, strict=False))
    if len(given_back) != len(expected):
        count = f"returns {len(given_back)} outputs, expected {len(expected)}: {', '.join(expected)}"
        return Finding(Outcome.DIFFERS, 1, np.inf, count)
    shapes = judge_shapes(expected, actual, numpy_dtype(case.dtype))
    if shapes.outcome is not Outcome.CONFORMS or cell.check.shapes_only:
        return shapes
    wide = {name: _wide(name, output) for name, output in actual.items()}
    finding = judge_values(expected, wide, bounds_of(cell, case, inputs, expected), format_of(case.dtype))
    if finding.outcome is Outcome.VACUOUS and cell.check.by_acceptance:
        return Finding(Outcome.CONFORMS, shapes.compared)
    return finding


def bounds_of(cell: Cell, case: Case, inputs: Arrays, expected: Arrays) -> Mapping[str, Bound]:
    """Return how far the backend's outputs, or gradients, may be from those that are expected."""
    arithmetic = cell.backend.arithmetic(case)
    if case.manner == VJP and cell.operator.gradient is not None:
        return cell.operator.gradient.bounds(inputs, case.attributes, expected, arithmetic)
    return bounds_under(arithmetic, cell.operator, inputs, case.attributes, expected)


def bounds_under(
    arithmetic: Arithmetic, operator: Operator, inputs: Arrays, attributes: Attributes, expected: Arrays
) -> Mapping[str, Bound]:
    """Return the bounds of an operator's outputs, or those of the fast algorithm that an arithmetic names."""
    usual = operator.bounds(inputs, attributes, expected, arithmetic)
    if not arithmetic.algorithm or operator.name not in CONVOLUTIONS:
        return usual
    fast = ALGORITHMS[arithmetic.algorithm](inputs, attributes, expected, arithmetic)
    return {name: replace(bound, waived=bound.waived | usual[name].waived) for name, bound in fast.items()}


def fed(operator: Operator, inputs: Arrays, attributes: Attributes, index: tuple[int, ...]) -> Arrays:
    """Return what fed one element of an output; nothing of calls so odd that no window can be told."""
    of_samples = operator.per_sample(attributes)
    batched = {name: array[np.newaxis] if name in of_samples else array for name, array in inputs.items()}
    for told, place in ((inputs, index), (batched, (0, *index))):
        try:
            return operator.window(told, attributes, place)
        except (ArithmeticError, IndexError, TypeError, ValueError):  # a window takes its axes for granted
            continue
    return {}


def _judge_purity(case: Case, purity: Purity, answered: Sequence[Array]) -> Finding:
    compared, telling = 0, False
    for clause, expected, actual in purity.compared(case, answered):
        finding = _judge_equal(expected, actual, case.dtype)
        compared, telling = compared + finding.compared, telling or finding.outcome is Outcome.CONFORMS
        if finding.outcome is Outcome.DIFFERS:
            return replace(finding, compared=compared, reason=f"{clause}: {finding.reason}")
    return Finding(Outcome.CONFORMS if telling else Outcome.VACUOUS, compared)


def _judge_equal(expected: Arrays, actual: Arrays, dtype: str) -> Finding:
    """Compare what must be the same bits."""
    for name, array in expected.items():
        if array.dtype.kind not in "iub" and array.dtype != numpy_dtype(dtype):
            return Finding(Outcome.DIFFERS, 1, np.inf, f"{name} has dtype {array.dtype}, expected {dtype}")
        if array.shape != actual[name].shape or array.dtype != actual[name].dtype:
            shown = f"{actual[name].dtype}{list(actual[name].shape)}, expected {array.dtype}{list(array.shape)}"
            return Finding(Outcome.DIFFERS, 1, np.inf, f"{name} is {shown}")
    wide, again = ({name: _wide(name, array) for name, array in part.items()} for part in (expected, actual))
    bounds = {name: Bound(np.zeros(array.shape), zero_sign=True) for name, array in wide.items()}
    return judge_values(wide, again, bounds, format_of(dtype))


def _judge_law(cell: Cell, case: Case, law: Law, outputs: Sequence[Array]) -> Finding:
    """Compare the two sides: bit by bit, and within their bounds, which take longer, only where they are not equal."""
    arrays = arrays_of(case)
    try:
        left, right = law.relation(arrays, case.attributes, [_wide(case.operator, output) for output in outputs])
        fits = np.shape(left) == np.shape(right)
    except (ValueError, IndexError, TypeError):
        fits = False
    if not fits:
        return _misshapen(law, outputs)
    sides = {law.name: np.asarray(left, np.float64)}, {law.name: np.asarray(right, np.float64)}
    finding = judge_values(*sides, {law.name: Bound(np.zeros(np.shape(left)))}, format_of("float64"))
    if finding.outcome is Outcome.DIFFERS:
        calls = law.calls(case.operator, arrays, case.attributes)
        nothing = {name: np.zeros_like(array) for name, array in arrays.items()}  # what is given has no error
        limits = law.relation(nothing, case.attributes, [_bound_of_call(cell, call) for call in calls])
        if np.shape(limits[0]) != np.shape(left):  # the two sides fit each other, and are not what was asked for
            return _misshapen(law, outputs)
        finding = judge_values(*sides, {law.name: Bound(np.asarray(limits[0] + limits[1]))}, format_of("float64"))
    if finding.outcome is Outcome.VACUOUS:
        return Finding(Outcome.CONFORMS, 0)  # laws take one argument apart, which may be all that is not 0
    return replace(finding, reason=f"{law.sentence}: {finding.reason}") if finding.reason else finding


def _misshapen(law: Law, outputs: Sequence[Array]) -> Finding:
    shapes = ", ".join(str(output.shape) for output in outputs)
    return Finding(Outcome.DIFFERS, 1, np.inf, f"{law.sentence}: shapes that do not fit: {shapes}")


def _bound_of_call(cell: Cell, call: Call) -> Array:
    """Return how far the first output of one call of a law may be from the reference's."""
    operator = operators()[call.operator]
    inputs = {name: _wide(name, array) for name, array in call.inputs.items()}
    expected = _expected(operator, inputs, call.attributes, cell.backend.dialect)
    recipes = {name: Fill("ramp", cell.dtype, array.shape) for name, array in call.inputs.items()}
    arithmetic = cell.backend.arithmetic(Case(call.operator, recipes, call.attributes))
    bounds = bounds_under(arithmetic, operator, inputs, call.attributes, expected)
    return np.asarray(bounds[next(iter(expected))].absolute)
