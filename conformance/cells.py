"""Cells: one check of one operator in one dtype on one backend, and what is known of one before anything is drawn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from conformance.answers import Answer, Asked, answer
from conformance.checks import CHECKS, Check
from conformance.discovery import UsageError
from conformance.model import Backend, Case, Operator, Outcome, Verdict
from conformance.operators import operators as all_operators


@dataclass(frozen=True)
class Cell:
    """One check of one operator in one dtype on one backend."""

    backend: Backend
    operator: Operator
    dtype: str
    check: Check
    asked: Asked | None = None  # where the backend is asked; None: in this process

    def on(self, asked: Asked | None) -> Cell:
        """Return the same cell of the backend as it is asked there."""
        return self if asked is None else replace(self, backend=asked.backend, asked=asked)

    def answers(self, cases: Sequence[Case]) -> Iterator[Answer]:
        """Put cases to the backend, and return its answers as they come."""
        return self.asked.ask(cases) if self.asked is not None else (answer(self.backend, case) for case in cases)

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


def standing(cell: Cell) -> Verdict | None:
    """Return what is known of a cell before any case is drawn: None, or that it cannot be asked."""
    reason = cell.backend.unavailable()
    if reason is not None:
        return cell.verdict(Outcome.UNAVAILABLE, reason)
    if cell.operator.name not in cell.backend.functions():
        return cell.verdict(Outcome.UNBOUND, f"{cell.backend.name} binds no {cell.operator.name}")
    lacking = cell.check.lacking(cell.operator, cell.backend)
    return None if lacking is None else cell.verdict(Outcome.UNBOUND, lacking)
