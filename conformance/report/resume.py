"""A report that a run did not finish, read in order to go on with it: what it was to do, and how far it came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

from conformance.model import Verdict
from conformance.report.fields import shown
from conformance.report.head import SETTINGS, check_head
from conformance.report.jsonl import ReportError, records
from conformance.report.tally import Tally


@dataclass
class Earlier:
    """What an earlier run has left behind.

    tallies: of its cells, in order. last: the verdicts of the last one, which may be unfinished. kept: how many bytes
    of the file hold whole verdicts, and so stay. end: how it ended, None where it was killed.
    """

    path: Path
    head: Mapping[str, Any]
    kept: int
    tallies: list[Tally] = field(default_factory=list)
    last: list[Verdict] = field(default_factory=list)
    end: str | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """What the run was asked to do."""
        return {name: self.head[name] for name in SETTINGS}

    @property
    def finished(self) -> int:
        """How many cells are finished for sure: the last one may not be."""
        return max(0, len(self.tallies) - 1)

    @property
    def count(self) -> int:
        """How many verdicts there are."""
        return sum(tally.counts.total() for tally in self.tallies)

    def check(self, head: Mapping[str, Any], cells: Sequence[Tally]) -> None:
        """Refuse to go on with another run: of another version, device or setting, or with other cells."""
        for name in {**head, **self.head}:
            then, now = self.head.get(name), head.get(name)
            if then != now:
                raise ReportError(f"{self.path}: was begun with {name}={shown(then)}, and here it is {shown(now)}")
        for found, expected in zip_longest(map(_key, self.tallies), map(_key, cells[: len(self.tallies)])):
            if found != expected:
                raise ReportError(f"{self.path}: tells of {shown(found)}, where {shown(expected)} comes next")


def _key(of: Verdict | Tally) -> tuple[str, str, str, str]:
    return of.backend, of.check, of.operator, of.dtype


def earlier(path: Path) -> Earlier:
    """Read what an earlier run has left behind."""
    if not path.is_file():
        raise ReportError(f"{path}: must be a file that a run has written")
    found = records(path)
    kept, head = next(found)
    check_head(path, head)
    result = Earlier(path, head, kept)
    for at, read in found:
        if not isinstance(read, Verdict):
            result.end = read
            continue
        if not result.tallies or _key(result.tallies[-1]) != _key(read):
            result.tallies.append(Tally.of(read))
            result.last = []
        result.tallies[-1].add(read)
        result.last.append(read)
        result.kept = at
    if result.end == "incomplete":
        raise ReportError(f"{path}: what is missing is not all at its end, so that it cannot be gone on with")
    return result
