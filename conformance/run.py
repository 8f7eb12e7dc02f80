"""The pipe: the only module that sees both the reference and a backend.

A cell is one check of one operator in one dtype on one backend. What can be said of a cell without asking is said
first; then hypothesis draws cases, both sides answer, the judge compares, and verdicts come out as they are reached.
"""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from conformance.checks import CHECKS, Check
from conformance.discovery import UsageError, find_backend
from conformance.formats import Array, format_of, numpy_dtype
from conformance.judge import Finding, judge_shapes, judge_values
from conformance.lines import parse
from conformance.model import Backend, Case, Operator, Outcome, Verdict
from conformance.operators import operators as all_operators
from conformance.search import search
from reference.arrays import widen
from reference.constraints import ConstraintError
from reference.dialects import DIALECTS

EXAMPLES = 100


@dataclass(frozen=True)
class Cell:
    """One check of one operator in one dtype on one backend."""

    backend: Backend
    operator: Operator
    dtype: str
    check: Check

    @property
    def id(self) -> str:
        """The name of the cell in reports and in pytest."""
        return f"{self.check.name}[{self.backend.name}-{self.operator.name}-{self.dtype}]"

    def verdict(self, outcome: Outcome, reason: str = "", case: Case | None = None) -> Verdict:
        """Return a verdict of this cell that compared nothing."""
        return Verdict(self.backend.name, self.check.name, self.operator.name, self.dtype, outcome, case, reason=reason)


def cells(
    backend: Backend,
    operators: Iterable[str] | None = None,
    dtypes: Iterable[str] | None = None,
    checks: Iterable[str] | None = None,
) -> list[Cell]:
    """Return the cells that the names select, all of them where a selection is None."""
    known = all_operators()
    return [
        Cell(backend, known[o], d, CHECKS[c])
        for o in _selected("operator", operators, known)
        for d in _selected("dtype", dtypes, backend.dtypes)
        for c in _selected("check", checks, CHECKS)
        if CHECKS[c].applies(known[o])
    ]


def _selected(what: str, asked: Iterable[str] | None, known: Iterable[str]) -> list[str]:
    names = list(known)
    for name in asked or ():
        if name not in names:
            raise UsageError(f"{what}={name!r}: must be one of {', '.join(names)}")
    return names if asked is None else list(dict.fromkeys(asked))


def run(
    backend: str | Backend,
    *,
    operators: Iterable[str] | None = None,
    dtypes: Iterable[str] | None = None,
    checks: Iterable[str] | None = None,
    examples: int = EXAMPLES,
    seed: int = 0,
    stop_at_first: bool = False,
) -> Iterator[Verdict]:
    """Judge a backend: yield a verdict for every case, and one for every cell that has none.

    A failing case is shrunk; its cell ends with the smallest one that was found.
    """
    if examples < 1:
        raise UsageError(f"examples={examples}: must be at least 1")
    chosen = backend if isinstance(backend, Backend) else find_backend(backend)
    for cell in cells(chosen, operators, dtypes, checks):
        verdicts: list[Verdict] = []
        run_cell(cell, verdicts.append, examples=examples, seed=seed)
        yield from verdicts
        if stop_at_first and any(verdict.failed for verdict in verdicts):
            return


def run_cell(
    cell: Cell,
    tell: Callable[[Verdict], object],
    *,
    examples: int = EXAMPLES,
    seed: int = 0,
    shrink: bool = True,
) -> None:
    """Judge one cell and tell every verdict as it is reached; the last one is the witness of a failure.

    Without `shrink` the witness is the first failing case, not the smallest.
    """
    settled = standing(cell)
    if settled is not None:
        tell(settled)
        return
    for verdict in _probes(cell):
        tell(verdict)
    witness: list[Verdict] = []

    def trial(cases: list[Case]) -> bool:
        for case in cases:
            verdict = ask_and_judge(cell, case)
            if verdict.failed:
                witness.append(verdict)
                return False
            if not witness:  # what passes while a witness is being shrunk is no news
                tell(verdict)
        return True

    again = search(
        cell.check.strategy(cell.operator, cell.dtype),
        trial,
        draws=cell.check.draws(examples),
        seed=zlib.crc32(f"{seed} {cell.id}".encode()),
        shrink=shrink,
    )
    if again is True:
        tell(witness[-1])
    elif again is False:
        flaky = "the same call differed once and conformed when it was repeated"
        tell(replace(witness[0], reason=f"{witness[0].reason}; {flaky}"))


def standing(cell: Cell) -> Verdict | None:
    """Return what is known of a cell before any case is drawn: None, or that it cannot be asked."""
    reason = cell.backend.unavailable()
    if reason is not None:
        return cell.verdict(Outcome.UNAVAILABLE, reason)
    if cell.operator.name not in cell.backend.functions():
        return cell.verdict(Outcome.UNBOUND, f"{cell.backend.name} binds no {cell.operator.name}")
    return None


def _probes(cell: Cell) -> Iterator[Verdict]:
    """Replay the witness of every declaration that concerns the cell: it must still show what is declared."""
    for declaration in cell.backend.declarations:
        case = parse(declaration.witness)
        if case.operator == cell.operator.name and case.dtype == cell.dtype and cell.check.name in declaration.checks:
            if not declaration.here():
                continue
            verdict = judge_answer(cell, case, answer(cell.backend, case))
            stale = verdict.outcome is Outcome.CONFORMS
            outcome = Outcome.STALE if stale else declaration.outcome
            reason = f"no longer true: {declaration.reason}" if stale else declaration.reason
            yield replace(verdict, outcome=outcome, reason=reason)


def ask_and_judge(cell: Cell, case: Case) -> Verdict:
    """Put one case to the backend, unless it is declared to be unsupported, and judge the answer."""
    declaration = next((d for d in cell.backend.declarations if d.covers(cell.check.name, case)), None)
    if declaration is not None and declaration.outcome is Outcome.UNSUPPORTED:
        return cell.verdict(Outcome.UNSUPPORTED, declaration.reason, case)
    verdict = judge_answer(cell, case, answer(cell.backend, case))
    if declaration is not None and verdict.failed:
        return replace(verdict, outcome=Outcome.DEVIATES, reason=declaration.reason)
    return verdict


def answer(backend: Backend, case: Case) -> Sequence[Array | None] | Exception:
    """Return what the backend answers: its outputs as arrays, or the exception that it raised."""
    function = backend.functions()[case.operator]
    try:
        tensors = {name: backend.from_numpy(fill.array().copy()) for name, fill in case.inputs.items()}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a warning is not part of the answer
            result = function(**tensors, **case.attributes)
        outputs = result if isinstance(result, tuple) else (result,)
        return [None if output is None else np.asarray(backend.to_numpy(output)) for output in outputs]
    except Exception as error:  # whatever a backend raises is its answer
        return error


def expectation(operator: Operator, case: Case, dialect: str) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return the widened inputs and the reference's outputs by name, under a dialect's conventions."""
    inputs = {name: widen(name, fill.array()) for name, fill in case.inputs.items()}
    spoken = DIALECTS[dialect]
    told = {name: getattr(spoken, field) for name, field in operator.conventions.items()}
    conventions = {name: value for name, value in told.items() if value is not None}
    result = operator.reference(**inputs, **case.attributes, **conventions)
    named: Mapping[str, Array | None] = result._asdict() if isinstance(result, tuple) else {"output": result}  # type: ignore[attr-defined]
    return inputs, {name: output for name, output in named.items() if output is not None}


def judge_answer(cell: Cell, case: Case, answered: Sequence[Array | None] | Exception) -> Verdict:
    """Compute reference and bound, and compare the answer with them."""
    with np.errstate(all="ignore"):
        try:
            inputs, expected = expectation(cell.operator, case, cell.backend.dialect)
        except ConstraintError as error:
            finding = _judge_refusal(error, answered)
        else:
            finding = _judge_outputs(cell, case, inputs, expected, answered)
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


def _judge_refusal(error: ConstraintError, answered: Sequence[Array | None] | Exception) -> Finding:
    if isinstance(answered, Exception):
        return Finding(Outcome.CONFORMS, 1)
    shapes = ", ".join(str(output.shape) for output in answered if output is not None)
    return Finding(Outcome.DIFFERS, 1, np.inf, f"accepts what must be rejected ({error}); answers with shape {shapes}")


def _judge_outputs(
    cell: Cell,
    case: Case,
    inputs: Mapping[str, Array],
    expected: Mapping[str, Array],
    answered: Sequence[Array | None] | Exception,
) -> Finding:
    if isinstance(answered, Exception):
        return Finding(Outcome.ERRORED, 0, reason=f"raises {type(answered).__name__}: {answered}".splitlines()[0][:300])
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
