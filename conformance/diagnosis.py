"""What mistake a backend that differs looks like: every known one is tried on the case that shows it, and around it.

A fault of the bank is a mistake made on an honest binding, so that it can be made on any other: what is known of one
operator is suspected in all of them. A suspect must answer as the backend does wherever both are asked.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from conformance.answers import Answer, Died, Raised, answer
from conformance.calls import VJP
from conformance.cells import Cell
from conformance.faults import faults
from conformance.formats import Array, format_of
from conformance.honest import backend_with, honest
from conformance.judge import judge_values
from conformance.mistakes import REFUSED
from conformance.model import Backend, Bound, Case, Fault, Geometry, Outcome, Verdict
from conformance.purity import PURITY
from conformance.search import search
from conformance.verdicts import bounds_of, expectation, fed, judge_answer
from reference.constraints import ConstraintError

UNKNOWN = "no known fault fits"
MOST_NAMED = 3
ROUNDS = 4  # of draws around a witness, each of some twenty geometries; no more once one of them clears nobody
TRIES = 8  # of a mistake that comes and goes, to be made where the backend makes it, and not where it does not
LARGEST_NUMBER = 2**16  # in the attributes of a case that mistakes may be tried on which were not made for such
MEANT = Raised("ValueError", REFUSED)  # by the mistake of refusing; others raise where they do not fit


@dataclass(frozen=True)
class Suspect:
    """A mistake of the bank on the operator in question. distance: how far it is from what it was told of."""

    fault: Fault
    backend: Backend
    distance: int

    def answer(self, case: Case) -> Answer:
        """Return what the mistake makes of a case."""
        with np.errstate(all="ignore"):
            return answer(self.backend, case)


def diagnose(cell: Cell, witness: Verdict, bank: Iterable[Fault] | None = None) -> str:
    """Return which known mistakes a failing backend behaves like, in words; nothing where no answer can tell.

    bank: the faults to think of, all of them where it is None.
    """
    if witness.case is None or witness.outcome not in (Outcome.DIFFERS, Outcome.ERRORED):
        return ""
    sentences = dict.fromkeys(suspect.fault.sentence for suspect in fitting(cell, witness.case, bank))
    named = [f"as if {sentence}" for sentence in list(sentences)[:MOST_NAMED]]
    return f"behaves {'; or '.join(named)}" if named else UNKNOWN


def fitting(cell: Cell, case: Case, bank: Iterable[Fault] | None = None) -> list[Suspect]:
    """Return the suspects that answer like the backend on a case that shows a difference and on those around it."""
    left = _suspects(cell, case, faults().values() if bank is None else bank)
    left, died = _sifted(cell, [case], left, shows=True)
    for cases in _around(cell, case):
        if not left or died:
            break
        before = len(left)
        left, died = _sifted(cell, cases, left)
        if len(left) == before or len({suspect.fault.sentence for suspect in _nearest(left)}) == 1:
            break
    return _nearest(left)


def _sifted(
    cell: Cell, cases: Sequence[Case], suspects: list[Suspect], *, shows: bool = False
) -> tuple[list[Suspect], bool]:
    """Return which suspects answer all cases like the backend, and whether that died of one, which is asked no more."""
    answers = cell.answers(cases)
    for case in cases:
        answered = next(answers)
        if isinstance(answered, Died):
            return ([] if shows else suspects), True
        exhibit = Exhibit(cell, case, answered)
        suspects = [suspect for suspect in suspects if exhibit.fits(suspect, shows=shows)]
        if not suspects:
            break
    return suspects, False


def _suspects(cell: Cell, case: Case, bank: Iterable[Fault]) -> list[Suspect]:
    function = f"{VJP}.{case.operator}" if case.pulled else case.operator
    sane = all(abs(number) <= LARGEST_NUMBER for number in _numbers(case.attributes.values()))
    found = []
    for fault in bank:
        distance = _distance(fault.operator, case.operator)
        if _speaks_of(fault, case) and (sane or not distance):
            # What is kept and shared is a mistake around a function, be it that of the answer or of its gradients.
            own = not distance and (fault.check != "purity" or function == case.operator)
            binding = fault.wrong if own else None
            if binding is None and isinstance(fault.wrong, partial):
                binding = partial(fault.wrong.func, honest(function))
            if binding is not None:
                found.append(Suspect(fault, backend_with(fault.name, function, binding), distance))
    return sorted(found, key=lambda suspect: (suspect.distance, suspect.fault.check != cell.check.name))


def _speaks_of(fault: Fault, case: Case) -> bool:
    """Whether a fault is in what the case asks for: gradients, what is kept and shared, or answers."""
    asked = {"gradients": case.manner == VJP, "purity": case.manner in PURITY}
    return asked.get(fault.check, not any(asked.values()))


def _distance(one: str, other: str) -> int:
    """Return 0 for the same operator, 1 for another rank of it, 2 for any other."""
    if one == other:
        return 0
    return 1 if re.sub(r"\dd$", "", one) == re.sub(r"\dd$", "", other) else 2


def _nearest(suspects: Sequence[Suspect]) -> list[Suspect]:
    least = min((suspect.distance for suspect in suspects), default=0)
    return [suspect for suspect in suspects if suspect.distance == least]


def _numbers(values: Iterable[Any]) -> Iterator[float]:
    for value in values:
        if isinstance(value, tuple):
            yield from _numbers(value)
        elif isinstance(value, (int, float)):
            yield value


def _around(cell: Cell, case: Case) -> Iterator[list[Case]]:
    """Yield cases of the witness's own geometry with other data, and then cases drawn as the check draws them."""
    own = []
    if cell.check.name not in ("rejections", "sizes"):
        shapes = {name: fill.shape for name, fill in case.inputs.items() if name != "cotangent"}
        # More than the products that can meet, so that integers are small enough for any sum of them.
        terms = max(fill.array().size for fill in case.inputs.values())
        geometry = Geometry(shapes, case.attributes, max(terms, 1))
        with suppress(ConstraintError):  # of a line that is judged under a check that does not call for it
            own = cell.check.cases(cell.operator, geometry, cell.dtype, 1, cell.backend)
    for place in range(ROUNDS):
        cases = own + drawn(cell, place)
        own = []
        alike = [c for c in cases if c.pulled == case.pulled and not _ambiguous(c)]  # a mistake is in one of the two
        yield [c for c in alike if not any(d.covers(cell.check.name, c) for d in cell.backend.declarations)]


def _ambiguous(case: Case) -> bool:
    """Whether a weight that is no number may meet padding: NaN or nothing, and a mistake may move where it does."""
    weight = case.inputs.get("weight")
    return weight is not None and weight.kind in ("nans", "infinities") and bool(case.attributes.get("padding"))


def drawn(cell: Cell, place: int) -> list[Case]:
    """Return cases as the check of a cell draws them; every place has its own."""
    found: list[Case] = []

    def collect(cases: list[Case]) -> bool:
        found[:] = cases
        return True

    small = replace(cell.check, layers=None)  # those of real networks take long, and tell no more
    strategy = small.strategy(cell.operator, cell.dtype, cell.backend)
    # The first draw is the simplest one there is, and says little.
    search(strategy, collect, draws=2, seed=zlib.crc32(f"around {place} {cell.id}".encode()))
    return found


class Exhibit:
    """A case and what the backend answered, to hold the answers of suspects against.

    Where a mistake does not show, both answers are within the reference's bound, and so within twice that of each
    other. Where it shows, no bound is known: there they may be as far apart as sums of so many terms of that size.
    """

    def __init__(self, cell: Cell, case: Case, answered: list[Array | None] | Raised) -> None:
        self._cell, self._case, self._answered = cell, case, answered
        self._expected: list[tuple[Array, Bound]] | None = None

    def fits(self, suspect: Suspect, *, shows: bool) -> bool:
        """Whether a suspect answers like the backend, and where the case shows a difference, differs itself."""
        tries = TRIES if suspect.fault.kind == "nondeterminism" else 1
        return any(self._fits_once(suspect, shows=shows) for _ in range(tries))

    def _fits_once(self, suspect: Suspect, *, shows: bool) -> bool:
        supposed = suspect.answer(self._case)
        assert not isinstance(supposed, Died)
        if isinstance(supposed, Raised) or isinstance(self._answered, Raised):
            both = isinstance(supposed, Raised) and isinstance(self._answered, Raised)
            alike = both and (not suspect.distance or not shows or supposed == MEANT)
        elif self._case.manner in PURITY:
            # What is kept or shared may be anything: alike is what is impure.
            alike = self._impurity(supposed) == self._impurity(self._answered)
        else:
            alike = self._alike(supposed, self._answered)
        return alike and (not shows or judge_answer(self._cell, self._case, supposed).failed)

    def _impurity(self, answered: Answer) -> tuple[Outcome, str]:
        verdict = judge_answer(self._cell, self._case, answered)
        return verdict.outcome, verdict.reason.partition(":")[0]

    def _alike(self, supposed: list[Array | None], answered: list[Array | None]) -> bool:
        ours, theirs = ([output for output in outputs if output is not None] for outputs in (supposed, answered))
        if len(ours) != len(theirs) or not all(map(_of_one_form, ours, theirs)):
            return False
        if self._cell.check.shapes_only:
            return True
        if self._expected is None:
            self._expected = self._from_reference()
        told = [*self._expected, *[None] * len(ours)]
        return all(self._near(a, b, expected) for a, b, expected in zip(ours, theirs, told, strict=False))

    def _from_reference(self) -> list[tuple[Array, Bound]]:
        """Return the expected outputs in order; none where the reference refuses or there are several calls."""
        if self._case.manner not in ("", VJP):
            return []
        with np.errstate(all="ignore"):
            try:
                inputs, expected = expectation(self._cell.operator, self._case, self._cell.backend.dialect)
            except ConstraintError:
                return []
            bounds = bounds_of(self._cell, self._case, inputs, expected)
        return [(value, bounds[name]) for name, value in expected.items()]

    def _near(self, a: Array, b: Array, expected: tuple[Array, Bound] | None) -> bool:
        """Whether an output of the backend, the second, is as near to one of a suspect as one mistake makes them."""
        supposed, answered = a.astype(np.float64), b.astype(np.float64)
        limit = Bound(np.zeros(a.shape) if a.dtype.kind in "iub" else self._apart(supposed))
        with np.errstate(all="ignore"):
            if expected is not None and expected[0].shape == a.shape:
                value, bound = expected
                largest = bound.absolute[np.isfinite(bound.absolute)].max(initial=0)
                same = (np.abs(supposed - value) <= bound.absolute) | (supposed == value)
                same |= np.isnan(supposed) & np.isnan(value)
                absolute = np.where(same, 2 * bound.absolute, np.maximum(limit.absolute, 2 * largest))
                absolute = np.where(np.isposinf(bound.absolute), np.inf, absolute)
                limit = Bound(absolute, zero_sign=bound.zero_sign & same, waived=bound.waived)
            finding = judge_values({"": supposed}, {"": answered}, {"": limit}, format_of(self._case.dtype))
        return finding.outcome is not Outcome.DIFFERS

    def _apart(self, output: Array) -> Array:
        """Return how far apart two sums of as many terms as the case has numbers may be, each rounded to an output."""
        arithmetic = self._cell.backend.arithmetic(self._case)
        terms = max(fill.array().size for fill in self._case.inputs.values())
        size = np.where(np.isfinite(output), np.abs(output), 0.0)
        together = terms * arithmetic.accumulator.roundoff * float(size.max(initial=0))
        return np.asarray(2 * (together + arithmetic.output.roundoff * size))


def _of_one_form(a: Array, b: Array) -> bool:
    return a.shape == b.shape and (a.dtype == b.dtype or (a.dtype.kind in "iu" and b.dtype.kind in "iu"))


def explained(cell: Cell, witness: Verdict) -> Verdict:
    """Return the witness of a failure with what can be said of its cause among its details."""
    told = {"window": _window(cell, witness), "diagnosis": diagnose(cell, witness)}
    return replace(witness, details={**witness.details, **{name: found for name, found in told.items() if found}})


def _window(cell: Cell, witness: Verdict) -> tuple[str, ...]:
    """Return what fed the worst element, a line for each array; of several calls, or of gradients, nothing."""
    if witness.case is None or witness.case.manner or "index" not in witness.details:
        return ()
    inputs, _ = expectation(cell.operator, witness.case, cell.backend.dialect)
    parts = fed(cell.operator, inputs, witness.case.attributes, witness.details["index"])
    return tuple(f"{name} {part.shape}: {_in_one_line(part)}" for name, part in parts.items())


def _in_one_line(array: Array) -> str:
    text = np.array2string(np.asarray(array), threshold=64, edgeitems=2)
    return " ".join(text.split())
