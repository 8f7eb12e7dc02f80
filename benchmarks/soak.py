"""A long honest run: backends that ought to conform are judged a million times, and nothing must be found.

    python benchmarks/soak.py [BACKEND ...] [--cases N] [--seed N] [--examples N] [--markdown FILE] [--json FILE]

It tries the suite, not the backends: a verdict that nobody can explain is a wrong bound, a wrong reference or a wrong
worker. It also tells whether the memory of the suite grows with the cases that it judges, and how many it judges in a
second. The backends take turns, cell by cell, in round after round of all cells, each with the next seed.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import resource
import shlex
import sys
import time
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read by the libraries when they are imported: this comes before
sys.path.insert(0, str(Path(__file__).parent))  # PYTHONSAFEPATH leaves it out; workers get it from here

import click
import numpy as np
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from speed.command import machine

from conformance import __version__
from conformance.answers import Asked
from conformance.cells import Cell, cells, standing
from conformance.discovery import UsageError, find_backend
from conformance.model import Outcome, Verdict
from conformance.profiles import EXAMPLES
from conformance.report.grid import failure
from conformance.report.tally import Tally
from conformance.run import asking, run_cell

BACKENDS = ("torch-cpu", "tap_by_tap:BACKEND")
WARM_UP_SHARE = 0.1  # of the cases, before which caches fill
UNEXPLAINED, INTERRUPTED = 1, 130
Rows = list[list[str]]


def held(process: int | str = "self") -> tuple[float, float]:
    """Return how many KiB of memory a process has resident: what is its own, and what it shares, such as files.

    Where there is no /proc: the most that this process has had so far, all of it as its own.
    """
    try:
        pages = Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return (most / (1024 if sys.platform == "darwin" else 1) if process == "self" else math.nan), math.nan
    resident, shared = (int(number) * os.sysconf("SC_PAGE_SIZE") / 1024 for number in pages[1:3])
    return resident - shared, shared


@dataclass
class Memory:
    """How much of some memory was held, in KiB, after so many cases."""

    name: str
    cases: array[float] = field(default_factory=lambda: array("d"))
    kibibytes: array[float] = field(default_factory=lambda: array("d"))

    def add(self, cases: int, kibibytes: float) -> None:
        """Keep a sample."""
        self.cases.append(cases)
        self.kibibytes.append(kibibytes)

    def slope(self) -> tuple[float, float]:
        """Return KiB for 1,000 cases once warm, by least squares, and its standard error."""
        cases, kibibytes = np.array(self.cases), np.array(self.kibibytes)
        warm = cases > WARM_UP_SHARE * cases.max(initial=0)
        if len(set(cases[warm])) < 3 or np.isnan(kibibytes).any():
            return math.nan, math.nan
        line, covariance = np.polyfit(cases[warm] / 1000, kibibytes[warm], 1, cov=True)
        return float(line[0]), float(np.sqrt(covariance[0, 0]))

    def facts(self) -> dict[str, Any]:
        """Return what is reported, and the samples."""
        slope, error = self.slope()
        mebibytes = [kibibytes / 1024 for kibibytes in self.kibibytes] or [math.nan]
        return {
            "memory": self.name,
            "first_mebibytes": mebibytes[0],
            "last_mebibytes": mebibytes[-1],
            "peak_mebibytes": max(mebibytes),
            "kibibytes_for_1000_cases": slope,
            "standard_error": error,
            "samples": [list(self.cases), list(self.kibibytes)],
        }


class Soaked:
    """One backend under the run: where it is asked, and what its verdicts add up to. No verdict is kept."""

    def __init__(self, address: str, asked: Asked) -> None:
        self.address, self.asked, self.backend = address, asked, asked.backend
        self.cells = [cell for cell in (c.on(asked) for c in cells(asked.backend)) if standing(cell) is None]
        self.counts: Counter[str] = Counter()
        self.cases = self.compared = self.unexplained = 0
        self.seconds = 0.0
        self.memory = Memory(f"worker of {self.backend.name}")

    def judge(self, cell: Cell, seed: int, examples: int) -> Iterator[str]:
        """Judge one cell, and yield what cannot be explained, each with the line that replays it."""
        tally, failed = Tally(cell.backend.name, cell.check.name, cell.operator.name, cell.dtype), list[Verdict]()

        def tell(verdict: Verdict) -> None:
            tally.add(verdict)
            if verdict.failed:
                failed.append(verdict)

        start = time.perf_counter()
        run_cell(cell, tell, examples=examples, seed=seed)
        self.seconds += time.perf_counter() - start
        self.counts += tally.counts
        self.cases += tally.cases
        self.compared += tally.compared
        found = [failure(verdict, self.address) for verdict in failed]
        if tally.failed and not found:
            found = [f"{tally.outcome}: {cell.id}: {tally.counts[Outcome.VACUOUS]} of {tally.cases} cases"]
        self.unexplained += len(found)
        words = ("convformance", "run", self.address, "-o", cell.operator.name, "-d", cell.dtype, "-c", cell.check.name)
        again = shlex.join((*words, "--examples", str(examples), "--seed", str(seed)))
        yield from (f"{text}\n  the whole cell: {again}" for text in found)

    def facts(self) -> dict[str, Any]:
        """Return what is reported."""
        return {
            "backend": self.backend.name,
            "about": self.backend.about(),
            "cases": self.cases,
            "compared": self.compared,
            "seconds": self.seconds,
            "outcomes": dict(self.counts),
            "unexplained": self.unexplained,
        }


class Soak:
    """The run: the backends, the samples of this process's memory, and whose each worker is."""

    def __init__(self, stack: ExitStack, addresses: Sequence[str]) -> None:
        self.own, self.shared = Memory("the suite"), Memory("the suite, files that it maps")
        self.owners: dict[int | None, Soaked] = {}
        self.soaked: list[Soaked] = []
        self.last_seed: int | None = None
        for address in addresses:
            asked = stack.enter_context(asking(find_backend(address)))
            assert asked is not None
            missing = asked.backend.unavailable()
            if missing is not None:
                raise UsageError(f"backend={address!r}: is unavailable: {missing}")
            self.soaked.append(Soaked(address, asked))
            self._sample(self.soaked[-1])

    @property
    def cases(self) -> int:
        """How many cases were judged, on all backends."""
        return sum(one.cases for one in self.soaked)

    def _sample(self, one: Soaked) -> None:
        """Keep what this process holds, and the worker of the backend that was asked last: a new one is its own."""
        for child in multiprocessing.active_children():
            self.owners.setdefault(child.pid, one)
            if self.owners[child.pid] is one:
                one.memory.add(one.cases, held(child.pid)[0])
        for memory, kibibytes in zip((self.own, self.shared), held(), strict=True):
            memory.add(self.cases, kibibytes)

    def run(self, cases: int, seed: int, examples: int, console: Console) -> None:
        """Judge cells until there were so many cases, and print what cannot be explained."""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task("", total=cases)
            for of, turn in self._turns(seed):
                if self.cases >= cases:
                    break
                for one, cell in turn:
                    progress.update(task, description=f"seed {of}, {cell.id}", completed=self.cases)
                    for text in one.judge(cell, of, examples):
                        console.print(text, markup=False, highlight=False, soft_wrap=True)
                    self._sample(one)
                    self.last_seed = of

    def _turns(self, seed: int) -> Iterator[tuple[int, list[tuple[Soaked, Cell]]]]:
        """Yield the next cell of each backend, round after round, as long as a round judges anything."""
        before = -1
        while before < self.cases:
            before = self.cases
            for turn in zip_longest(*(one.cells for one in self.soaked)):
                yield seed, [(one, cell) for one, cell in zip(self.soaked, turn, strict=True) if cell is not None]
            seed += 1

    def facts(self) -> dict[str, Any]:
        """Return what is reported."""
        return {
            "convformance": __version__,
            "machine": machine({}, {}),
            "last_seed": self.last_seed,
            "backends": [one.facts() for one in self.soaked],
            "memory": [memory.facts() for memory in (self.own, self.shared, *(one.memory for one in self.soaked))],
        }


def judged(facts: dict[str, Any]) -> Rows:
    """Return the table of backends, its headings first."""
    met = [o for o in map(str, Outcome) if any(o in backend["outcomes"] for backend in facts["backends"])]
    rows = [["backend", "cases", "numbers compared", "cases a second", *met, "unexplained"]]
    total = {name: sum(b[name] for b in facts["backends"]) for name in ("cases", "compared", "seconds", "unexplained")}
    total |= {"backend": "all", "outcomes": sum((Counter(b["outcomes"]) for b in facts["backends"]), Counter())}
    for row in (*facts["backends"], total):
        numbers = [row["cases"], row["compared"], round(row["cases"] / max(row["seconds"], 1e-9))]
        numbers += [*(row["outcomes"].get(outcome, 0) for outcome in met), row["unexplained"]]
        rows.append([row["backend"], *(f"{number:,}" for number in numbers)])
    return rows


def remembered(facts: dict[str, Any]) -> Rows:
    """Return the table of memory, its headings first."""
    rows = [["memory", "first MiB", "last MiB", "peak MiB", "KiB for 1,000 cases", "standard error"]]
    for memory in facts["memory"]:
        mebibytes = [f"{memory[f'{which}_mebibytes']:.1f}" for which in ("first", "last", "peak")]
        slope = f"{memory['kibibytes_for_1000_cases']:+.2f}"
        rows.append([memory["memory"], *mebibytes, slope, f"{memory['standard_error']:.2f}"])
    return rows


def in_markdown(rows: Rows) -> str:
    """Return a table in Markdown."""
    ruled = [rows[0], ["---", *["--:"] * (len(rows[0]) - 1)], *rows[1:]]
    return "".join(f"| {' | '.join(row)} |\n" for row in ruled)


PAGE = """# A long honest run

As measured by `{command}`{ended}.

Convformance {version}; {machine} {about}

Every case is a call that the reference and the backend both answer, the backend in a process of its own. What is
*unexplained* is a case that differs, raises, ends its process or takes too long without a declaration that says so, a
declaration that is no longer true, or a cell that compared next to nothing: each is printed with the line that replays
it, and fails the run. The numbers of a case that deviates as declared are not counted among those compared. *cases a
second*: with drawing, asking and judging, while the other backends wait.

{judged}
The memory is what is resident after each cell: a process's own, and of the suite also the files that it maps. These are
libraries and, for each backend, a file of answers, of which as much is mapped as the longest answers so far took: at
most 64 MiB and one answer.
The slope is that of a line through the samples, by least squares, without the first {warm_up:.0%} of the cases. Its
standard error takes the samples for independent, which they are not: memory stays as it was from one to the next.

{remembered}"""


@click.command()
@click.argument("backends", nargs=-1)
@click.option("--cases", default=1_000_000, show_default=True, type=click.IntRange(1), help="Judge at least so many.")
@click.option("--seed", default=1000, show_default=True, help="Of the first round; the next has the next seed.")
@click.option("--examples", default=EXAMPLES, show_default=True, type=click.IntRange(1), help="Geometries a cell.")
@click.option("--markdown", type=click.Path(dir_okay=False, path_type=Path), help="Write the tables to this file.")
@click.option("--json", "data", type=click.Path(dir_okay=False, path_type=Path), help="Write all numbers to this file.")
def main(
    backends: tuple[str, ...], cases: int, seed: int, examples: int, markdown: Path | None, data: Path | None
) -> None:
    """Judge BACKENDS, by default PyTorch on the CPU and a second NumPy implementation, again and again.

    Exits with 0 if all can be explained, 1 if something cannot, 2 on wrong usage, 130 if interrupted.
    """
    console = Console(width=None if Console().is_terminal else 160)
    options = ["--cases", str(cases), "--seed", str(seed), "--examples", str(examples)]
    command = shlex.join(["python", "benchmarks/soak.py", *backends, *options])
    interrupted = False
    with ExitStack() as stack:
        try:
            soak = Soak(stack, backends or BACKENDS)
        except UsageError as error:
            raise click.UsageError(str(error)) from error
        try:
            soak.run(cases, seed, examples, console)
        except KeyboardInterrupt:
            interrupted = True
        facts = {"command": command, "interrupted": interrupted, **soak.facts()}
    console.print(Markdown(page(facts)))
    if markdown:
        markdown.write_text(page(facts), encoding="utf-8")
    if data:
        data.write_text(json.dumps(facts) + "\n", encoding="utf-8")
    if any(backend["unexplained"] for backend in facts["backends"]):
        sys.exit(UNEXPLAINED)
    sys.exit(INTERRUPTED if interrupted else 0)


def page(facts: dict[str, Any]) -> str:
    """Return the whole report in Markdown."""
    about = "; ".join(f"{backend['backend']}: {backend['about']}" for backend in facts["backends"])
    return PAGE.format(
        command=facts["command"],
        ended=", which was interrupted" if facts["interrupted"] else "",
        version=facts["convformance"],
        machine=facts["machine"],
        about=f"Backends: {about}.",
        judged=in_markdown(judged(facts)),
        warm_up=WARM_UP_SHARE,
        remembered=in_markdown(remembered(facts)),
    )


if __name__ == "__main__":
    main()
