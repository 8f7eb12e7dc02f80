"""What the verdicts of one cell add up to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from conformance.model import Outcome, Verdict

# Above this share of cases that could not have differed, a cell has not been tested and fails.
VACUOUS_SHARE = 0.02


@dataclass
class Tally:
    """The verdicts of a cell, counted; the outcome of the cell follows from them."""

    backend: str
    check: str
    operator: str
    dtype: str
    counts: Counter[str] = field(default_factory=Counter)
    compared: int = 0
    share: float = 0.0
    reason: str = ""
    witness: Verdict | None = None

    @classmethod
    def of(cls, verdict: Verdict) -> Tally:
        """Return an empty tally for the cell that the verdict belongs to."""
        return cls(verdict.backend, verdict.check, verdict.operator, verdict.dtype)

    def add(self, verdict: Verdict) -> None:
        """Count a verdict."""
        self.counts[str(verdict.outcome)] += 1
        self.reason = self.reason or verdict.reason
        if verdict.failed:
            self.witness = verdict
            self.reason = verdict.reason
        if verdict.outcome is not Outcome.DEVIATES:  # what is declared to be far off says nothing of the rest
            self.compared += verdict.compared
            self.share = max(self.share, verdict.share)

    @property
    def cases(self) -> int:
        """How many cases were judged."""
        settled = (Outcome.UNAVAILABLE, Outcome.UNBOUND, Outcome.UNSUPPORTED)
        return self.counts.total() - sum(self.counts[outcome] for outcome in settled)

    @property
    def outcome(self) -> Outcome:
        """The outcome of the cell: that of its witness if it has one, else what its cases add up to."""
        if self.witness is not None:
            return self.witness.outcome
        for settled in (Outcome.UNAVAILABLE, Outcome.UNBOUND, Outcome.UNSUPPORTED):
            if self.counts[settled] and not self.cases:
                return settled
        vacuous = self.counts[Outcome.VACUOUS]
        # A single one is no pattern, however few cases were asked for.
        if not self.compared or (vacuous > 1 and vacuous > VACUOUS_SHARE * self.cases):
            return Outcome.DEVIATES if self.counts[Outcome.DEVIATES] == self.cases else Outcome.VACUOUS
        return Outcome.DEVIATES if self.counts[Outcome.DEVIATES] else Outcome.CONFORMS

    @property
    def failed(self) -> bool:
        """Whether the cell fails a run."""
        return self.witness is not None or self.outcome is Outcome.VACUOUS


def tallies(verdicts: Iterable[Verdict]) -> dict[tuple[str, str, str, str], Tally]:
    """Return the tallies of the cells that the verdicts belong to, in the order in which they come."""
    found: dict[tuple[str, str, str, str], Tally] = {}
    for verdict in verdicts:
        key = (verdict.backend, verdict.check, verdict.operator, verdict.dtype)
        found.setdefault(key, Tally.of(verdict)).add(verdict)
    return found
