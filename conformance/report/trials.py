"""What is known of the power of the checks: trials of faults and of honest variants, and what they add up to."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from conformance.model import Verdict

UNSTRUCTURAL = "rounding"  # every other kind is a mistake of structure
STRUCTURAL_SHARE, SHARE = 1.0, 0.95


@dataclass(frozen=True)
class Trial:
    """What its check said, with one seed, of a fault and of its twin: the failing verdict of each, or None.

    cases: how many were judged until the fault was caught, or in all.
    """

    name: str
    operator: str
    check: str
    dtype: str
    kind: str
    seed: int
    cases: int
    caught: Verdict | None
    false_alarm: Verdict | None

    @property
    def structural(self) -> bool:
        """Whether the fault is more than lost precision."""
        return self.kind != UNSTRUCTURAL


@dataclass(frozen=True)
class Clearance:
    """What one check said, with one seed, of an honest variant in one dtype."""

    name: str
    operator: str
    check: str
    dtype: str
    seed: int
    cases: int
    false_alarm: Verdict | None


@dataclass(frozen=True)
class Row:
    """What the trials of some faults add up to.

    caught: with the seed that caught the fewest. median, high: of the cases needed by those that were caught, half of
    them and 95 % needed no more. false_alarms: faults whose twin was not let pass.
    """

    name: str
    faults: int
    caught: int
    median: int | None
    high: int | None
    false_alarms: int


def row(name: str, trials: Iterable[Trial]) -> Row:
    """Add up trials, each fault once whatever the number of seeds."""
    found = list(trials)
    each = [{t.name for t in found if t.seed == seed and t.caught is not None} for seed in {t.seed for t in found}]
    needed = sorted(trial.cases for trial in found if trial.caught is not None)
    alarms = {trial.name for trial in found if trial.false_alarm is not None}
    faults = len({trial.name for trial in found})
    return Row(
        name, faults, min(map(len, each), default=0), _quantile(needed, 0.5), _quantile(needed, 0.95), len(alarms)
    )


def _quantile(ordered: Sequence[int], share: float) -> int | None:
    """Return the least number that this share of them does not exceed."""
    return ordered[math.ceil(share * len(ordered)) - 1] if ordered else None


def rows(trials: Sequence[Trial], group: Callable[[Trial], str], names: Iterable[str]) -> list[Row]:
    """Return a row for every group that has trials, in the order of the names, and one for all."""
    grouped = [row(name, (trial for trial in trials if group(trial) == name)) for name in names]
    structural = row("structural", (trial for trial in trials if trial.structural))
    return [*(r for r in grouped if r.faults), structural, row("all", trials)]


def shortfalls(trials: Sequence[Trial], clearances: Sequence[Clearance]) -> list[str]:
    """Return what the checks do not reach: faults that they miss and honest answers that they object to."""
    found = []
    for seed in sorted({trial.seed for trial in trials}):
        tried = [trial for trial in trials if trial.seed == seed]
        for name, share, some in (
            ("structural faults", STRUCTURAL_SHARE, [trial for trial in tried if trial.structural]),
            ("faults", SHARE, tried),
        ):
            caught = sum(trial.caught is not None for trial in some)
            if caught < share * len(some):
                found.append(f"{caught} of {len(some)} {name} are caught with seed {seed}, less than {share:.0%}")
    alarms = [f"twin of {trial.name}, seed {trial.seed}" for trial in trials if trial.false_alarm is not None]
    alarms += [f"{c.name}, {c.check}, {c.dtype}, seed {c.seed}" for c in clearances if c.false_alarm is not None]
    return [*found, *(f"false alarm: {alarm}" for alarm in alarms)]
