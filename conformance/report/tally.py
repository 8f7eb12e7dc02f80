"""What the verdicts of one cell add up to."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from conformance.model import Case, Outcome, Verdict

# Where more calls than this share could not have differed, and that is no chance, a cell has not been tested and fails.
VACUOUS_SHARE = 0.02
STANDARD_DEVIATIONS = 3
_UNASKED = (Outcome.UNAVAILABLE, Outcome.UNBOUND, Outcome.UNSUPPORTED)


@dataclass
class Tally:
    """The verdicts of a cell, counted; the outcome of the cell follows from them.

    calls: how many different ones there were, one after another, and vacuous_calls of them could not have differed: the
    same call in another layout or manner, of the same numbers, is no further evidence.
    """

    backend: str
    check: str
    operator: str
    dtype: str
    counts: Counter[str] = field(default_factory=Counter)
    compared: int = 0
    share: float = 0.0
    reason: str = ""
    witness: Verdict | None = None
    calls: int = 0
    vacuous_calls: int = 0
    _last: object = field(default=None, init=False, repr=False, compare=False)
    _last_vacuous: object = field(default=None, init=False, repr=False, compare=False)

    @classmethod
    def of(cls, verdict: Verdict) -> Tally:
        """Return an empty tally for the cell that the verdict belongs to."""
        return cls(verdict.backend, verdict.check, verdict.operator, verdict.dtype)

    def add(self, verdict: Verdict) -> None:
        """Count a verdict."""
        self.counts[str(verdict.outcome)] += 1
        if verdict.outcome is not Outcome.VACUOUS:  # which gives the cell no outcome if there are few
            self.reason = self.reason or verdict.reason
        if verdict.failed:
            self.witness = verdict
            self.reason = verdict.reason
        if verdict.outcome is not Outcome.DEVIATES:  # what is declared to be far off says nothing of the rest
            self.compared += verdict.compared
            self.share = max(self.share, verdict.share)
        if verdict.case is not None and verdict.outcome not in _UNASKED:
            self._count(_numbers_of(verdict.case), vacuous=verdict.outcome is Outcome.VACUOUS)

    def _count(self, call: object, *, vacuous: bool) -> None:
        if call != self._last:
            self._last, self.calls = call, self.calls + 1
        if vacuous and call != self._last_vacuous:
            self._last_vacuous, self.vacuous_calls = call, self.vacuous_calls + 1

    @property
    def cases(self) -> int:
        """How many cases were judged."""
        return self.counts.total() - sum(self.counts[outcome] for outcome in _UNASKED)

    @property
    def outcome(self) -> Outcome:
        """The outcome of the cell: that of its witness if it has one, else what its cases add up to."""
        if self.witness is not None:
            return self.witness.outcome
        for settled in _UNASKED:
            if self.counts[settled] and not self.cases:
                return settled
        if not self.compared or self._mostly_vacuous:
            return Outcome.DEVIATES if self.counts[Outcome.DEVIATES] == self.cases > 0 else Outcome.VACUOUS
        return Outcome.DEVIATES if self.counts[Outcome.DEVIATES] else Outcome.CONFORMS

    @property
    def _mostly_vacuous(self) -> bool:
        """Whether too many calls could not have differed: more than one, and more than chance makes of the share."""
        expected = VACUOUS_SHARE * self.calls
        limit = expected + STANDARD_DEVIATIONS * math.sqrt(expected * (1 - VACUOUS_SHARE))
        return self.vacuous_calls > max(1, limit)

    @property
    def failed(self) -> bool:
        """Whether the cell fails a run."""
        return self.witness is not None or self.outcome is Outcome.VACUOUS


def _numbers_of(case: Case) -> object:
    """Return what tells calls apart, but for how they are put and how their arrays lie in memory."""
    arrays = tuple((fill.kind, fill.shape, fill.seed, fill.scale) for fill in case.inputs.values())
    return arrays, dict(case.attributes)


def tallies(verdicts: Iterable[Verdict]) -> dict[tuple[str, str, str, str], Tally]:
    """Return the tallies of the cells that the verdicts belong to, in the order in which they come."""
    found: dict[tuple[str, str, str, str], Tally] = {}
    for verdict in verdicts:
        key = (verdict.backend, verdict.check, verdict.operator, verdict.dtype)
        found.setdefault(key, Tally.of(verdict)).add(verdict)
    return found
