"""The verdicts of a session of pytest in a file: each process writes a part of its own, and the last one joins them.

A part lies beside the file and is itself a report that can be read, so that a session that is killed has lost nothing.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from conformance.answers import Limits
from conformance.cells import Cell, cells
from conformance.checks import CHECKS
from conformance.model import Backend, Verdict
from conformance.operators import operators
from conformance.report.head import check_head, head_of
from conformance.report.jsonl import ReportError, Writer, hold, line_of, records

FINISHED = "convformance-finished"
Tell = Callable[[Verdict], object]
Key = tuple[str, str, str]


def file_named_by(config: pytest.Config, option: str) -> Path:
    """Return the file that an option names, if its folder is there."""
    path: Path = config.invocation_params.dir / config.getoption(option)
    if path.is_dir() or not path.parent.is_dir():
        raise pytest.UsageError(f"{option}={path}: must be a file in a folder that is there")
    return path


class Record:
    """What this process writes, and where the session ends, what all of them have written."""

    def __init__(self, path: Path, backend: Backend, settings: Mapping[str, Any], worker: str | None) -> None:
        self.path = path
        self.end = "incomplete"
        self._backend, self._settings = backend, settings
        self._joins = worker is None
        self._part = path.with_name(f"{path.name}.{worker or 'main'}.part")
        self._cells: Sequence[Cell] = ()
        self._open = ExitStack()
        self._writer: Writer | None = None
        self._begun: set[str] = set()
        self._finished: set[Key] = set()
        self._alone = False

    @classmethod
    def of(cls, config: pytest.Config, backends: list[Backend], limits: Limits) -> Record:
        """Return the record that a session's options ask for."""
        path = file_named_by(config, "--convformance-json")
        if len(backends) != 1:
            asked = ", ".join(backend.name for backend in backends) or "none"
            raise pytest.UsageError(f"--convformance-json={path}: holds the verdicts of one --backend, not of: {asked}")
        settings = {
            "examples": config.getoption("--convformance-examples"),
            "seed": config.getoption("--convformance-seed"),
            "stop_at_first": False,
            "deviations": config.getoption("--convformance-deviations") or "",
            "limit_seconds": limits.seconds,
            "limit_mebibytes": limits.mebibytes,
        }
        return cls(path, backends[0], settings, getattr(config, "workerinput", {}).get("workerid"))

    def _parts(self) -> list[Path]:
        name = re.compile(rf"{re.escape(self.path.name)}\.(main|gw\d+)\.part")
        return sorted(found for found in self.path.parent.iterdir() if name.fullmatch(found.name))

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note which cells are to be judged."""
        self._cells = [cell for item in session.items for cell in getattr(item, "cells", ())]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> None:
        """Make room before the first cell begins."""
        if hasattr(item, "cells"):
            self._make_room()

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """Make room before the first worker of xdist begins anything, which it does when all have collected."""
        if ids:
            self._make_room()

    def _make_room(self) -> None:
        """Take away the parts of a session that was killed, in whose place this one comes; refuse those of a live one.

        They may be of more workers than there are now, and would be joined with what these write.
        """
        if self._alone or not self._joins:
            return
        stale = self._parts()
        try:
            for part in stale:
                with part.open("rb") as file:
                    hold(file.fileno())
            for part in stale:
                part.unlink()
        except OSError as error:
            raise pytest.UsageError(f"--convformance-json={self.path}: {part}: {error.strerror}") from error
        self._alone = True

    @contextmanager
    def of_cell(self, item: pytest.Item, cell: Cell, tell: Tell) -> Iterator[Tell]:
        """Yield a function that tells and writes the verdicts of a cell; of a test that is repeated only the first."""
        if cell.id in self._begun:
            yield tell
            return
        self._begun.add(cell.id)
        writer = self._writer = self._writer or self._begin(cell.backend)

        def tell_and_write(verdict: Verdict) -> None:
            tell(verdict)
            writer.write(verdict)

        yield tell_and_write
        writer.settle()
        item.user_properties.append((FINISHED, (cell.check.name, cell.operator.name, cell.dtype)))

    def _begin(self, backend: Backend) -> Writer:
        chosen = {
            "operators": _ordered(operators(), {cell.operator.name for cell in self._cells}),
            "dtypes": _ordered(backend.dtypes, {cell.dtype for cell in self._cells}),
            "checks": _ordered(CHECKS, {cell.check.name for cell in self._cells}),
        }
        writer = self._open.enter_context(Writer(self._part, head_of(backend, chosen | dict(self._settings))))
        writer.end = "incomplete"
        return writer

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note which cells were finished, in whatever process."""
        found: list[Any] = [value for name, value in report.user_properties if name == FINISHED]
        self._finished.update((check, operator, dtype) for check, operator, dtype in found)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Close the part of this process; where the session ends, join all of them."""
        self._open.close()
        parts = self._parts() if self._alone else []
        if parts:
            try:
                self._join(parts)
            except (OSError, ValueError) as error:
                where = ", ".join(map(str, parts))
                why = error.strerror if isinstance(error, OSError) else error
                pytest.exit(f"{self.path}: {why}; the verdicts are in {where}", returncode=2)

    def _join(self, parts: Sequence[Path]) -> None:
        """Put the cells in their order, whoever judged them, and take the parts away."""
        begun = {part: lines for part in parts if (lines := _whole_lines(part))}
        if begun:  # or the disk was full from the start, as every test has told
            self._join_lines(begun)
        for part in parts:
            part.unlink()

    def _join_lines(self, begun: Mapping[Path, Sequence[bytes]]) -> None:
        first = next(iter(begun))
        _, head = next(records(first))
        check_head(first, head)
        chosen = cells(self._backend, head["operators"], head["dtypes"], head["checks"])
        order = [(cell.check.name, cell.operator.name, cell.dtype) for cell in chosen]
        found: dict[Key, bytes] = {}
        for part, lines in begun.items():
            for key, group in groupby(_keyed(part, lines), lambda keyed: keyed[0]):
                found.setdefault(key, b"".join(line for _, line in group))
        told = [key for key in order if key in found]
        if set(order) <= self._finished:
            self.end = "complete"
        elif told == order[: len(told)] and set(told[:-1]) <= self._finished:
            self.end = "interrupted"
        joined = self.path.with_name(f"{self.path.name}.joined")
        with joined.open("wb") as file:
            file.writelines([begun[first][0], *(found[key] for key in told), line_of({"end": self.end})])
            file.flush()
            os.fsync(file.fileno())
        joined.replace(self.path)


def _ordered(names: Iterable[str], chosen: set[str]) -> list[str]:
    return [name for name in names if name in chosen]


def _whole_lines(part: Path) -> list[bytes]:
    with part.open("rb") as file:
        return [line for line in file if line.endswith(b"\n")]


def _keyed(part: Path, lines: Iterable[bytes]) -> Iterator[tuple[Key, bytes]]:
    """Yield with each line which cell it tells of; the head and the end of a part tell of none that there is."""
    for number, line in enumerate(lines, 1):
        try:
            found = json.loads(line)
        except ValueError as error:
            raise ReportError(f"{part}, line {number}: not JSON: {error}") from None
        if not isinstance(found, dict):
            raise ReportError(f"{part}, line {number}: must be an object, not {type(found).__name__}")
        yield (str(found.get("check")), str(found.get("operator")), str(found.get("dtype"))), line
