"""How often a failure is told what mistake it is: every fault of the bank is met as a backend that nobody knows.

    python benchmarks/diagnosis.py [--only TEXT] [--every N] [--seed N] [--processes N] [--markdown FILE]

Only answers are compared, so that a fault is named where it answers like its record and unlike all others. Each is met
as it stands in the bank, made of the reference; then made of another implementation, whose sums are rounded otherwise;
and then while its own record is missing, so that what is named shows how far a diagnosis carries that cannot be right.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read by the libraries when they are imported: this comes before

import click
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import track

from conformance import __version__
from conformance.answers import Died
from conformance.cells import Cell
from conformance.diagnosis import Exhibit, Suspect, drawn, fitting
from conformance.faults import faults
from conformance.model import Fault, Outcome, Verdict
from conformance.power import cell_with
from conformance.report.trials import UNSTRUCTURAL
from conformance.run import run_cell
from conformance.variants import variants

NAMED, EQUAL, OTHER, UNKNOWN, MISSED = "named", "equal", "other", "unknown", "missed"
MOST_TOLD = 30
EXPLAINED = """
*right*: what is named first is the fault itself, or has the same sentence, or answers like it on fresh draws. *other*:
another fault is named first, which no case that was asked could tell from it. *unknown*: the failure says that no known
fault fits. *elsewhere*: how many were met in another implementation. *removed*: met while their own record is missing.
In purity, where what is kept or shared may hold any numbers, to answer alike is to be impure in the same way.
""".strip()
WAYS = ("reference", "variant", "removed")


@dataclass
class Meeting:
    """What was said of a fault in each of the ways to meet it, the seconds of the first one, and who was named."""

    name: str
    check: str
    kind: str
    said: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    named: dict[str, str] = field(default_factory=dict)


def witness_of(cell: Cell, seed: int) -> Verdict | None:
    """Return the smallest failing case that a run finds, which is what a diagnosis starts from."""
    told: list[Verdict] = []
    run_cell(cell, told.append, seed=seed)
    return told[-1] if told[-1].outcome in (Outcome.DIFFERS, Outcome.ERRORED) else None


def meet(name: str, seed: int) -> Meeting:
    """Meet one fault in every way."""
    fault = faults()[name]
    meeting = Meeting(name, fault.check, fault.kind)
    where = fault.operator, fault.check, fault.dtype
    cell = cell_with("unknown", fault.wrong, *where)
    witness = witness_of(cell, seed)
    if witness is None or witness.case is None:
        meeting.said["reference"] = MISSED
        return meeting
    start = time.perf_counter()
    found = fitting(cell, witness.case)
    meeting.seconds = time.perf_counter() - start
    _note(meeting, "reference", fault, cell, found)
    others = [other for other in faults().values() if other.name != name]
    _note(meeting, "removed", fault, cell, fitting(cell, witness.case, others))
    for variant in variants().values():
        fits = variant.operator == fault.operator and fault.check in variant.checks and fault.dtype in variant.dtypes
        if fits and isinstance(fault.wrong, partial):
            elsewhere = cell_with("unknown", partial(fault.wrong.func, variant.binding), *where, variant.arithmetic)
            witness = witness_of(elsewhere, seed)
            if witness is not None and witness.case is not None and witness.outcome is Outcome.DIFFERS:
                _note(meeting, "variant", fault, elsewhere, fitting(elsewhere, witness.case))
                break
    return meeting


def _note(meeting: Meeting, way: str, fault: Fault, cell: Cell, found: list[Suspect]) -> None:
    """Note whether what is named first is right: the fault itself, its sentence, or one that always answers like it."""
    if not found:
        meeting.said[way] = UNKNOWN
        return
    first = found[0]
    meeting.named[way] = f"{first.fault.name}: {first.fault.sentence}"
    if first.fault.name == fault.name or first.fault.sentence == fault.sentence:
        meeting.said[way] = NAMED
    else:
        meeting.said[way] = EQUAL if answers_like(first, cell) else OTHER


def answers_like(suspect: Suspect, cell: Cell) -> bool:
    """Whether a suspect answers like the backend of a cell on draws that no diagnosis has seen."""
    cases = [case for place in range(10, 14) for case in drawn(cell, place)]
    return all(
        not isinstance(answered, Died) and Exhibit(cell, case, answered).fits(suspect, shows=False)
        for case, answered in zip(cases, cell.answers(cases), strict=True)
    )


def rows(meetings: Iterable[Meeting], group: Callable[[Meeting], str]) -> Iterator[list[str]]:
    """Yield a row for each group, and one for all."""
    groups: dict[str, list[Meeting]] = {}
    for meeting in sorted(meetings, key=group):
        for name in (group(meeting), "all"):
            groups.setdefault(name, []).append(meeting)
    for name in sorted(groups, key=lambda name: (name == "all", name)):
        yield [name, *figures(groups[name])]


def figures(meetings: list[Meeting]) -> Iterator[str]:
    """Yield how many there are, and what was said of them in each way."""
    yield str(len(meetings))
    for way in WAYS:
        said = Counter(meeting.said[way] for meeting in meetings if way in meeting.said)
        met = said.total() - said[MISSED]
        if way == "variant":
            yield str(met)
        yield f"{(said[NAMED] + said[EQUAL]) / met:.1%}" if met else "-"
        yield f"{said[OTHER]} / {said[UNKNOWN]}"


HEADINGS = (
    *("faults", "right", "other / unknown"),
    *("elsewhere", "right", "other / unknown"),
    *("removed: right", "other / unknown"),
)


def table(kind: str, found: Iterable[list[str]]) -> str:
    """Return rows as a table of Markdown."""
    head = [f"| {' | '.join((kind, *HEADINGS))} |", f"| --- |{' --: |' * len(HEADINGS)}"]
    return "\n".join([*head, *(f"| {' | '.join(row)} |" for row in found)])


def report(meetings: list[Meeting], command: str, planned: int) -> str:
    """Return the page; planned: how many faults there were to meet."""
    ended = f", which was ended after {len(meetings)} of {planned} faults" if len(meetings) < planned else ""
    structural = [m for m in meetings if m.kind != UNSTRUCTURAL]
    rounding = [m for m in meetings if m.kind == UNSTRUCTURAL]
    seconds = sorted(m.seconds for m in meetings)
    wrong = [
        f"- `{m.name}`: {m.named.get('reference', 'no known fault fits')}"
        for m in structural
        if m.said["reference"] in (OTHER, UNKNOWN, MISSED)
    ]
    parts = [
        "# What a failure looks like: how often the diagnosis is right",
        f"As measured by `{command}` with convformance {__version__}{ended}.",
        __doc__.strip().split("\n\n", 2)[2],
        EXPLAINED,
        f"A diagnosis took {seconds[len(seconds) // 2]:.2f} seconds in the middle and {seconds[-1]:.2f} at most.",
        "## Structural faults",
        table("check", rows(structural, lambda m: m.check)),
        table("kind", rows(structural, lambda m: m.kind)),
        *(["## Rounding", table("check", rows(rounding, lambda m: m.check))] if rounding else []),
        *(["## Structural faults that were not recognized", "\n".join(wrong[:MOST_TOLD])] if wrong else []),
    ]
    return "\n\n".join(parts) + "\n"


@click.command(help=__doc__)
@click.option("--only", default="", help="Only faults whose name holds this text.")
@click.option("--every", default=1, show_default=True, help="Of the faults, take every so many.")
@click.option("--seed", default=0, show_default=True, help="Seed of the runs that find the witnesses.")
@click.option("--processes", default=1, show_default=True, help="How many processes share the work.")
@click.option("--markdown", type=click.Path(path_type=Path), help="Write the page here.")
def main(only: str, every: int, seed: int, processes: int, markdown: Path | None) -> None:
    """Meet the faults, and print what was said of them."""
    names = [name for name in faults() if only in name][::every]
    words: list[Any] = ["python benchmarks/diagnosis.py", *([f"--only {only}"] if only else [])]
    command = " ".join([*words, *([f"--every {every}"] if every > 1 else []), f"--seed {seed}"])
    meetings: list[Meeting] = []
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        for meeting in track(pool.map(partial(meet, seed=seed), names), "meeting faults", len(names)):
            meetings.append(meeting)
            if markdown is not None:  # as they come: the whole bank takes an hour
                markdown.write_text(report(meetings, command, len(names)), encoding="utf-8")
    Console().print(Markdown(report(meetings, command, len(names))))


if __name__ == "__main__":
    main()
