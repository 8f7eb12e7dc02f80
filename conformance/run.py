"""The pipe: cases are drawn, the backend is asked, its answers are judged, and verdicts come out as they are reached.

What can be said of a cell without asking is said first, then what the witnesses of declarations show, then all else.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from conformance.answers import Asked, Limits
from conformance.cells import Cell, cells, standing
from conformance.checks import CHECKS
from conformance.discovery import UsageError, find_backend
from conformance.grading import grade
from conformance.lines import parse
from conformance.model import DEATHS, Backend, Case, Declaration, Outcome, Verdict
from conformance.profiles import EXAMPLES
from conformance.search import search
from conformance.verdicts import judge_answer

# What a cell may spend on deaths while it shrinks: seconds that are counted, not measured, so that every run of it ends
# with the same witness. A time-out counts its limit; a crash counts what it takes to start a large framework anew.
SHRINKING_SECONDS = 60
CRASH_SECONDS = 1


def asking(
    backend: Backend,
    *,
    in_process: bool = False,
    limits: Limits = Limits(),  # noqa: B008  (frozen)
) -> AbstractContextManager[Asked | None]:
    """Return where the backend is to be asked: in a process of its own, or None: in this one, for debuggers."""
    if in_process:
        return nullcontext()
    from conformance.isolation import Isolated  # needs POSIX, which is no reason not to import the rest elsewhere

    return Isolated(backend, limits)


def run(
    backend: str | Backend,
    *,
    operators: Iterable[str] | None = None,
    dtypes: Iterable[str] | None = None,
    checks: Iterable[str] | None = None,
    examples: int = EXAMPLES,
    seed: int = 0,
    stop_at_first: bool = False,
    in_process: bool = False,
    limits: Limits = Limits(),  # noqa: B008  (frozen)
) -> Iterator[Verdict]:
    """Judge a backend: yield a verdict for every case, and one for every cell that has none.

    A failing case is shrunk; its cell ends with the smallest one that was found. A backend given by name or address is
    asked in a process of its own, unless it is to be asked `in_process`; a record that is given stays in this one.
    """
    if examples < 1:
        raise UsageError(f"examples={examples}: must be at least 1")
    chosen = backend if isinstance(backend, Backend) else find_backend(backend)
    selected = cells(chosen, operators, dtypes, checks)
    with asking(chosen, in_process=in_process or chosen is backend, limits=limits) as asked:
        for cell in selected:
            verdicts: list[Verdict] = []
            run_cell(cell.on(asked), verdicts.append, examples=examples, seed=seed)
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
    remembered: Iterable[Verdict] = (),
) -> None:
    """Judge one cell and tell every verdict as it is reached; the last one is the witness of a failure.

    Without `shrink` the witness is the first failing case, not the smallest, and its cause is not looked for. What an
    earlier run has told of the cell may be `remembered`, in order: then it is neither asked nor told again.
    """
    trials, probes = _Trials(cell, tell, remembered), list(_witnesses(cell))
    if trials.complete(len(probes)):
        return
    settled = standing(cell)
    if settled is not None:
        tell(settled)
        return
    if cell.check.grades:
        tell(_graded(cell))
        return
    for declaration, case in probes:
        if not trials.recall(case):
            tell(_probe(cell, declaration, case))
    draws, each = cell.check.budget(examples)
    again = search(
        cell.check.strategy(cell.operator, cell.dtype, cell.backend, each),
        trials.passes,
        draws=draws,
        seed=zlib.crc32(f"{seed} {cell.id}".encode()),
        shrink=shrink,
    )
    if trials.empty and not probes:
        tell(cell.verdict(Outcome.UNSUPPORTED, "all that it would ask needs what is declared or not bound"))
    if again is True:
        tell(_explained(cell, trials.witnesses[-1]) if shrink else trials.witnesses[-1])
    elif again is False:
        seen = trials.witnesses[0]
        flaky = "the same call differed once and conformed when it was repeated"
        tell(replace(seen, reason=f"{seen.reason}; {flaky}"))


def _graded(cell: Cell) -> Verdict:
    """Return the class of arithmetic that is seen: a failure where it is worse than declared."""
    found = grade(cell)
    if found is None:
        return cell.verdict(Outcome.UNSUPPORTED, "all cases that tell classes apart are declared")
    if found.worse:
        verdict = cell.verdict(Outcome.DIFFERS, f"worse than declared: {found.seen}, declared {found.declared}")
    else:
        verdict = cell.verdict(Outcome.CONFORMS, found.seen)
    return replace(verdict, compared=found.compared)


def _explained(cell: Cell, witness: Verdict) -> Verdict:
    from conformance.diagnosis import explained  # late, since it needs all faults, and most runs none

    return explained(cell, witness)


class _Trials:
    """The cases of a cell as they are tried: what is told, what an earlier run told already, and what failed."""

    def __init__(self, cell: Cell, tell: Callable[[Verdict], object], remembered: Iterable[Verdict]) -> None:
        self._cell, self._tell = cell, tell
        self._remembered = deque(remembered)
        self.witnesses: list[Verdict] = []
        self.empty = True
        self._deadly: dict[str, Verdict] = {}
        self._seconds = 0.0

    def complete(self, probes: int) -> bool:
        """Whether all was told already: after its probes a cell ends with its witness, or with what cannot be asked."""
        if not self._remembered:
            return False
        last = self._remembered[-1]
        return last.case is None or (last.failed and len(self._remembered) > probes)

    def recall(self, case: Case) -> bool:
        """Return whether an earlier run told of this case, which is the next one."""
        if not self._remembered:
            return False
        seen = self._remembered.popleft()
        if repr(seen.case) != repr(case):
            told = f"it tells of {repr(seen.case)[:200]} where this run draws {repr(case)[:200]}"
            raise UsageError(f"the earlier results of {self._cell.id} are not of this run: {told}")
        return True

    def passes(self, cases: Sequence[Case]) -> bool:
        """Try cases until one fails; what passes while a witness is being shrunk is no news."""
        self.empty = self.empty and not cases
        fresh = [case for case in cases if not self.recall(case)]
        if self._seconds >= SHRINKING_SECONDS:
            return not self._fails_as_before(cases)
        for verdict in ask_and_judge(self._cell, fresh):
            if verdict.failed:
                self._fail(verdict)
                return False
            if not self.witnesses:
                self._tell(verdict)
        return True

    def _fail(self, verdict: Verdict) -> None:
        if verdict.outcome in DEATHS:
            if self.witnesses:
                asked = self._cell.asked
                limit = asked.limits.seconds if asked is not None else 0.0
                self._seconds += limit if verdict.outcome is Outcome.TIMED_OUT else CRASH_SECONDS
            self._deadly[repr(verdict.case)] = verdict
        self.witnesses.append(verdict)

    def _fails_as_before(self, cases: Sequence[Case]) -> bool:
        """Return whether one of the cases is known to be deadly: none is asked any more."""
        known = next((self._deadly[line] for line in map(repr, cases) if line in self._deadly), None)
        if known is not None:
            self.witnesses.append(known)
        return known is not None


def _witnesses(cell: Cell) -> Iterator[tuple[Declaration, Case]]:
    """Yield every declaration that concerns the cell, and its witness; of a death only where it costs a worker."""
    for declaration in cell.backend.declarations:
        case = parse(declaration.witness)
        probed = declaration.checks
        if declaration.outcome in DEATHS:
            asked = [name for name in declaration.checks if CHECKS[name].applies(cell.operator)]
            probed = tuple(asked[:1]) if cell.asked is not None else ()
        concerned = (case.operator, case.dtype) == (cell.operator.name, cell.dtype) and cell.check.name in probed
        if concerned and declaration.here():
            yield declaration, case


def _probe(cell: Cell, declaration: Declaration, case: Case) -> Verdict:
    """Replay the witness of a declaration: it must still show what is declared."""
    verdict = judge_answer(cell, case, next(cell.answers([case])))
    if declaration.outcome in DEATHS:
        outcome = Outcome.DEVIATES if verdict.outcome is declaration.outcome else Outcome.STALE
    elif verdict.outcome in DEATHS:
        return verdict  # which nobody declared
    else:
        outcome = Outcome.STALE if verdict.outcome is Outcome.CONFORMS else declaration.outcome
    reason = f"no longer true: {declaration.reason}" if outcome is Outcome.STALE else declaration.reason
    return replace(verdict, outcome=outcome, reason=reason)


def ask_and_judge(cell: Cell, cases: Sequence[Case]) -> Iterator[Verdict]:
    """Put cases to the backend, unless they are declared not to be asked, and judge the answers as they come."""
    declared = [next((d for d in cell.backend.declarations if d.covers(cell.check.name, case)), None) for case in cases]
    asked = [case for case, d in zip(cases, declared, strict=True) if d is None or d.outcome is Outcome.DEVIATES]
    answers = cell.answers(asked)
    for case, declaration in zip(cases, declared, strict=True):
        if declaration is not None and declaration.outcome is not Outcome.DEVIATES:
            outcome = Outcome.DEVIATES if declaration.outcome in DEATHS else declaration.outcome
            yield cell.verdict(outcome, declaration.reason, case)
            continue
        verdict = judge_answer(cell, case, next(answers))
        if declaration is not None and verdict.failed and verdict.outcome not in DEATHS:
            verdict = replace(verdict, outcome=Outcome.DEVIATES, reason=declaration.reason)
        yield verdict
