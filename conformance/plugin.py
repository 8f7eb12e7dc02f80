"""The pytest plugin: one test for each cell, skips with their reasons, and the grid below the results.

It is imported in every pytest run of an environment that has it, so that it imports the suite only when it is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conformance.cells import Cell
    from conformance.model import Backend
    from conformance.report.tally import Tally

HERE = Path(__file__).with_name("test_conformance.py")
PROPERTY = "convformance"
ASKED = pytest.StashKey[list["Backend"]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that say what to judge, and how long."""
    group = parser.getgroup("convformance", "conformance of convolution, pooling and normalization")
    group.addoption("--backend", action="append", metavar="NAME", help="judge this backend, or package.module:OBJECT")
    group.addoption(
        "--convformance-examples", type=int, default=100, metavar="N", help="geometries for each cell (100)"
    )
    group.addoption("--convformance-seed", type=int, default=0, metavar="S", help="seed of the search (0)")


def pytest_configure(config: pytest.Config) -> None:
    """Find the backends that are asked for, so that a name that nothing answers to is told before anything runs."""
    if config.getoption("--backend"):
        from conformance.discovery import UsageError, find_backend

        try:
            config.stash[ASKED] = [find_backend(name) for name in config.getoption("--backend")]
        except UsageError as error:
            raise pytest.UsageError(str(error)) from error


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Put the cells in the place of conformance/test_conformance.py."""
    return CellFile.from_parent(parent, path=module_path) if module_path == HERE else None


class CellFile(pytest.File):
    """Collects the cells of the chosen backends, or of every backend there is."""

    def collect(self) -> Iterator[pytest.Item]:
        """Yield a test for each cell; a backend that is not there and was not asked for is one skipped test."""
        from conformance.cells import cells
        from conformance.discovery import backends

        asked = self.config.stash.get(ASKED, [])
        for backend in asked or backends().values():
            missing = backend.unavailable()
            if missing is not None:
                name = f"available[{backend.name}]"
                yield Unavailable.from_parent(self, name=name, reason=missing, asked=bool(asked))
                continue
            for cell in cells(backend):
                yield CellItem.from_parent(self, name=cell.id, cell=cell)


class Unavailable(pytest.Item):
    """A backend that cannot run here: skipped with its reason, or failed with it where it was asked for by name."""

    def __init__(self, *, reason: str, asked: bool, **rest: Any) -> None:
        super().__init__(**rest)
        self.reason, self.asked = reason, asked

    def runtest(self) -> None:
        """Say why."""
        (pytest.fail if self.asked else pytest.skip)(f"{self.name}: {self.reason}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> str:
        """Return the reason alone."""
        return str(excinfo.value)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Return what the report calls this test."""
        return self.path, None, self.name


class CellFailure(Exception):  # noqa: N818  (not an error of this suite but its finding)
    """A cell that does not conform."""


class CellItem(pytest.Item):
    """One cell, as one test."""

    def __init__(self, *, cell: Cell, **rest: Any) -> None:
        super().__init__(**rest)
        self.cell = cell

    def runtest(self) -> None:
        """Judge the cell; its tally travels with the test's report, from xdist's workers too."""
        from conformance.report.tally import Tally
        from conformance.run import run_cell

        cell = self.cell
        tally = Tally(cell.backend.name, cell.check.name, cell.operator.name, cell.dtype)
        option = self.config.getoption
        run_cell(cell, tally.add, examples=option("--convformance-examples"), seed=option("--convformance-seed"))
        self.user_properties.append((PROPERTY, _packed(tally)))
        if tally.failed:
            raise CellFailure(_why(tally, cell.backend.address))
        if not tally.compared and tally.outcome != "deviates":
            pytest.skip(f"{tally.outcome}: {tally.reason}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Return the finding in a few lines; an error of the suite itself keeps its traceback."""
        if isinstance(excinfo.value, CellFailure):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Return what the report calls this test."""
        return self.path, None, self.name


def _why(tally: Tally, address: str) -> str:
    from conformance.report.grid import failure

    if tally.witness is not None:
        return failure(tally.witness, address)
    return f"vacuous: {tally.counts['vacuous']} of {tally.cases} cases could not have differed"


def _packed(tally: Tally) -> dict[str, Any]:
    """Return the tally in plain words and numbers, which can travel between processes."""
    counts = {str(outcome): count for outcome, count in tally.counts.items()}
    outcome = None if tally.witness is None else str(tally.witness.outcome)
    names = ("backend", "check", "operator", "dtype", "compared", "share", "reason")
    return {name: getattr(tally, name) for name in names} | {"counts": counts, "witness": outcome}


def _unpacked(packed: dict[str, Any]) -> Tally:
    from collections import Counter

    from conformance.model import Outcome, Verdict
    from conformance.report.tally import Tally

    words = dict(packed)
    outcome, counts = words.pop("witness"), Counter(words.pop("counts"))
    tally = Tally(**words, counts=counts)
    if outcome is not None:
        tally.witness = Verdict(tally.backend, tally.check, tally.operator, tally.dtype, Outcome(outcome))
    return tally


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the grid of all cells that were judged."""
    reports = [report for group in ("passed", "failed", "skipped") for report in terminalreporter.getreports(group)]
    packed = [value for report in reports for name, value in report.user_properties if name == PROPERTY]
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
    terminalreporter.write_line(f"{len(tallied)} cells, {compared} numbers compared, {deviating} deviate as declared")
