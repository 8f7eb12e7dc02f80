"""The pytest plugin: one test for each cell, skips with their reasons, and the grid below the results.

It is imported in every pytest run of an environment that has it, so that it imports the suite only when it is used.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conformance.profiles import PROFILES

if TYPE_CHECKING:
    from conformance.answers import Asked, Limits
    from conformance.cells import Cell
    from conformance.model import Backend
    from conformance.record import Record, Tell
    from conformance.report.tally import Tally

HERE = Path(__file__).with_name("test_conformance.py")
PROPERTY = "convformance"
ASKED = pytest.StashKey[list["Backend"]]()
WORKERS = pytest.StashKey[ExitStack]()
RECORD: pytest.StashKey[Record] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that say what to judge, and how long."""
    group = parser.getgroup("convformance", "conformance of convolution, pooling and normalization")
    group.addoption("--backend", action="append", metavar="NAME", help="judge this backend, or package.module:OBJECT")
    group.addoption(
        "--convformance-examples",
        type=_word(_examples),
        metavar="N",
        help="geometries for each cell, in place of those of the profile",
    )
    group.addoption(
        "--convformance-profile",
        choices=list(PROFILES),
        default="default",
        help="how many geometries for each cell, by name: "
        + ", ".join(f"{name} {examples}" for name, examples in PROFILES.items()),
    )
    group.addoption(
        "--convformance-seed",
        type=_word(_seed),
        default=0,
        metavar="S",
        help="seed of the search, or random for a fresh one (0)",
    )
    group.addoption(
        "--convformance-json",
        metavar="FILE",
        help="write the verdicts on one --backend as `convformance run --json` does; until the session ends, they are "
        "in parts beside FILE",
    )
    group.addoption(
        "--convformance-in-process",
        action="store_true",
        help="ask backends in this process, for debuggers",
    )
    group.addoption(
        "--convformance-limit-seconds",
        type=_word(_seconds),
        default=30.0,
        metavar="T",
        help="what a case may take (30)",
    )
    group.addoption(
        "--convformance-limit-mebibytes",
        type=_word(_mebibytes),
        default=4096,
        metavar="M",
        help="likewise; 0: no limit (4096)",
    )
    group.addoption(
        "--convformance-deviations",
        metavar="FILE",
        help="what the backends that are asked for are known to do otherwise (docs/deviations.md)",
    )
    group.addoption(
        "--convformance-repro",
        metavar="FILE",
        help="write the first failure as a script; one of a law, of purity or of large arrays replays its line",
    )


def _examples(word: str) -> int:
    if int(word) < 1:
        raise ValueError(f"examples={word}: must be at least 1")
    return int(word)


def _word(kind: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return what reads the word of an option, and tells of one that is wrong whatever else is asked for."""

    def read(word: str) -> Any:
        try:
            return kind(word)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read


def _seed(word: str) -> int:
    """Return the seed as a number; a fresh one is printed, so that the session can be repeated."""
    from conformance.search import seed_of

    return seed_of(word)


def _seconds(word: str) -> float:
    from conformance.answers import Limits

    return Limits(seconds=float(word)).seconds


def _mebibytes(word: str) -> int:
    from conformance.answers import Limits

    return Limits(mebibytes=int(word)).mebibytes


def pytest_configure(config: pytest.Config) -> None:
    """Find the backends that are asked for, so that a name that nothing answers to is told before anything runs."""
    handed_on = getattr(config, "workerinput", {})
    if config.option.convformance_examples is None:
        config.option.convformance_examples = PROFILES[config.option.convformance_profile]
    config.option.convformance_seed = handed_on.get(PROPERTY, config.option.convformance_seed)
    if config.getoption("--backend"):
        from conformance.deviations import with_deviations
        from conformance.discovery import find_backend
        from conformance.report.grid import printable

        try:
            found = [find_backend(name) for name in config.getoption("--backend")]
            config.stash[ASKED] = [with_deviations(backend, _deviations(config)) for backend in found]
        except ValueError as error:
            raise pytest.UsageError(printable(str(error))) from error
    if config.getoption("--convformance-repro"):
        from conformance.record import file_named_by

        file_named_by(config, "--convformance-repro")
    if config.getoption("--convformance-json"):
        from conformance.record import Record

        config.stash[RECORD] = Record.of(config, config.stash.get(ASKED, []), _limits(config))
        config.pluginmanager.register(config.stash[RECORD])


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Hand the seed on to a worker of xdist, which parses the options for itself: a fresh one is drawn once."""
    node.workerinput[PROPERTY] = node.config.getoption("--convformance-seed")


def _limits(config: pytest.Config) -> Limits:
    from conformance.answers import Limits

    return Limits(config.getoption("--convformance-limit-seconds"), config.getoption("--convformance-limit-mebibytes"))


def _deviations(config: pytest.Config) -> str:
    """Return the path of the file of deviations, from wherever pytest was called; nothing if there is none."""
    path = config.getoption("--convformance-deviations")
    return str(config.invocation_params.dir / path) if path else ""


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say what is asked of whom and where, and what earlier runs did not live to tell."""
    if ASKED not in config.stash:
        return []
    from conformance import __version__
    from conformance.report.grid import printable

    option, limits = config.getoption, _limits(config)
    names = ", ".join(backend.name for backend in config.stash[ASKED])
    where, lines = "in this process", []
    if not option("--convformance-in-process"):
        from conformance.journal import unfinished

        where = f"in a worker, {limits.seconds:g} seconds and {limits.mebibytes} MiB a case"
        try:
            lines = [printable(f"an earlier run ended while it asked {line}") for line in unfinished()]
        except OSError as error:
            raise pytest.UsageError(printable(str(error))) from error
    settings = f"seed {option('--convformance-seed')}, {option('--convformance-examples')} examples a cell, {where}"
    return [printable(f"convformance {__version__}: {names}, {settings}"), *lines]


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the workers."""
    config.stash.get(WORKERS, ExitStack()).close()


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Put the cells in the place of conformance/test_conformance.py."""
    return CellFile.from_parent(parent, path=module_path) if module_path == HERE else None


class CellFile(pytest.File):
    """Collects the cells of the chosen backends, or of every backend there is."""

    def collect(self) -> Iterator[pytest.Item]:
        """Yield a test for each cell; a backend that is not there and was not asked for is one skipped test."""
        from conformance.cells import cells
        from conformance.discovery import backends
        from conformance.report.grid import printable

        asked = self.config.stash.get(ASKED, [])
        for found in asked or backends().values():
            elsewhere = self._worker(found)
            backend = found if elsewhere is None else elsewhere.backend
            missing = backend.unavailable()
            every = [cell.on(elsewhere) for cell in cells(backend)]
            if missing is not None:
                name = printable(f"available[{backend.name}]")
                yield Unavailable.from_parent(self, name=name, cells=every, reason=missing, asked=bool(asked))
                continue
            for cell in every:
                yield CellItem.from_parent(self, name=printable(cell.id), cells=[cell])

    def _worker(self, backend: Backend) -> Asked | None:
        """Start the worker of a backend, which lives as long as the session."""
        from conformance.run import asking

        in_process = self.config.getoption("--convformance-in-process")
        try:
            elsewhere = asking(backend, in_process=in_process, limits=_limits(self.config))
            return self.config.stash.setdefault(WORKERS, ExitStack()).enter_context(elsewhere)
        except _plain_errors() as error:
            raise self.CollectError(str(error)) from error


class CellFailure(Exception):  # noqa: N818  (not an error of this suite but its finding)
    """A cell that does not conform."""


class CellTest(pytest.Item):
    """A test about cells."""

    def __init__(self, *, cells: Sequence[Cell], **rest: Any) -> None:
        super().__init__(**rest)
        self.cells = cells

    def judge(self, cell: Cell, tell: Tell) -> None:
        """Judge a cell, and have its verdicts told and, where that was asked for, written."""
        from conformance.run import run_cell

        option, record = self.config.getoption, self.config.stash.get(RECORD, None)
        with nullcontext(tell) if record is None else record.of_cell(self, cell, tell) as told:
            run_cell(cell, told, examples=option("--convformance-examples"), seed=option("--convformance-seed"))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Return the finding in a few lines; only an error of the suite itself keeps its traceback."""
        if isinstance(excinfo.value, (CellFailure, pytest.fail.Exception, *_plain_errors())):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Return what the report calls this test."""
        return self.path, None, self.name


class Unavailable(CellTest):
    """A backend that cannot run here: skipped with its reason, or failed with it where it was asked for by name."""

    def __init__(self, *, reason: str, asked: bool, **rest: Any) -> None:
        super().__init__(**rest)
        self.reason, self.asked = reason, asked

    def runtest(self) -> None:
        """Say why, of every cell where verdicts are written."""
        for cell in self.cells if RECORD in self.config.stash else ():
            self.judge(cell, lambda verdict: None)
        from conformance.report.grid import printable

        (pytest.fail if self.asked else pytest.skip)(printable(f"{self.name}: {self.reason}"))


class CellItem(CellTest):
    """One cell, as one test."""

    def runtest(self) -> None:
        """Judge the cell; its tally travels with the test's report, from xdist's workers too."""
        from conformance.report.grid import printable
        from conformance.report.tally import Tally

        (cell,) = self.cells
        tally = Tally(cell.backend.name, cell.check.name, cell.operator.name, cell.dtype)
        self.judge(cell, tally.add)
        packed = _packed(tally)
        if self.config.getoption("--convformance-repro"):
            from conformance.repro import scripts

            packed["scripts"] = list(scripts([(cell, tally.witness)]))
        self.user_properties.append((PROPERTY, packed))
        if tally.failed:
            raise CellFailure(_why(tally, cell.backend.address))
        if not tally.compared and tally.outcome != "deviates":
            pytest.skip(printable(f"{tally.outcome}: {tally.reason}"))


def _plain_errors() -> tuple[type[Exception], ...]:
    """Return the errors that say all in their message: no traceback helps with them."""
    from conformance.answers import WorkerError
    from conformance.discovery import UsageError
    from conformance.report.jsonl import ReportError

    return UsageError, WorkerError, ReportError, OSError


def _why(tally: Tally, address: str) -> str:
    from conformance.report.grid import failure

    if tally.witness is not None:
        return failure(tally.witness, address)
    return f"vacuous: {tally.counts['vacuous']} of {tally.cases} cases could not have differed"


def _packed(tally: Tally) -> dict[str, Any]:
    """Return the tally in plain words and numbers, which can travel between processes."""
    counts = {str(outcome): count for outcome, count in tally.counts.items()}
    outcome = None if tally.witness is None else str(tally.witness.outcome)
    names = ("backend", "check", "operator", "dtype", "compared", "share", "reason", "calls", "vacuous_calls")
    return {name: getattr(tally, name) for name in names} | {"counts": counts, "witness": outcome}


def _unpacked(packed: dict[str, Any]) -> Tally:
    from collections import Counter

    from conformance.model import Outcome, Verdict
    from conformance.report.tally import Tally

    words = {name: word for name, word in packed.items() if name != "scripts"}
    outcome, counts = words.pop("witness"), Counter(words.pop("counts"))
    tally = Tally(**words, counts=counts)
    if outcome is not None:
        tally.witness = Verdict(tally.backend, tally.check, tally.operator, tally.dtype, Outcome(outcome))
    return tally


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the grid of all cells that were judged."""
    reports = [report for group in ("passed", "failed", "skipped") for report in terminalreporter.getreports(group)]
    # What was not even collected, such as a module that skips itself, has none.
    told = [pair for report in reports for pair in getattr(report, "user_properties", ())]
    packed = [value for name, value in told if name == PROPERTY]
    if not packed:
        return
    from rich.console import Console

    from conformance.model import Outcome
    from conformance.operators import operators
    from conformance.report.grid import grid

    order = list(operators())
    tallied = sorted(map(_unpacked, packed), key=lambda t: (t.backend, order.index(t.operator)))
    console = Console(width=max(terminalreporter._tw.fullwidth, 110))
    with console.capture() as capture:
        console.print(grid(tallied))
    terminalreporter.write_line("")
    terminalreporter.write(capture.get())
    compared = sum(tally.compared for tally in tallied)
    deviating = sum(tally.outcome is Outcome.DEVIATES for tally in tallied)
    seed = terminalreporter.config.getoption("--convformance-seed")
    counted = f"{len(tallied)} cells, {compared} numbers compared, {deviating} deviate as declared, seed {seed}"
    terminalreporter.write_line(counted)
    path = terminalreporter.config.getoption("--convformance-repro")
    if path:
        from conformance.repro import write_first

        found = sorted(tuple(pair) for words in packed for pair in words["scripts"])
        terminalreporter.write_line(write_first(terminalreporter.config.invocation_params.dir / path, found))
    record = terminalreporter.config.stash.get(RECORD, None)
    if record is not None:
        terminalreporter.write_line(f"verdicts in {record.path}: {record.end}")
