"""Verdicts as JSON lines: a head, one line for each verdict as it comes, and an end that says how the run ended."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from conformance import __version__
from conformance.lines import parse
from conformance.model import Backend, Outcome, Verdict

FIELDS = ("backend", "check", "operator", "dtype", "outcome", "case", "compared", "share", "reason", "details")


class ReportError(ValueError):
    """A file that is not a report of verdicts; the message names file, line and rule."""


class Writer:
    """Writes verdicts to a file, each flushed as it comes, so that an interrupted run keeps what it has."""

    def __init__(self, path: Path, backend: Backend, **settings: Any) -> None:
        self.end = "complete"
        self._file = path.open("w", encoding="utf-8")
        head = {"convformance": __version__, "backend": backend.name, "about": _about(backend), **settings}
        head |= {"numpy": np.__version__, "python": platform.python_version(), "machine": platform.machine()}
        try:
            self._put(head)
        except OSError:
            self.__exit__(OSError, None, None)
            raise

    def write(self, verdict: Verdict) -> None:
        """Write one verdict."""
        line = {name: getattr(verdict, name) for name in FIELDS}
        self._put({**line, "case": None if verdict.case is None else repr(verdict.case)})

    def _put(self, line: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(_plain(line), allow_nan=False) + "\n")
        self._file.flush()

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError), self._file:  # a full disk is what may have ended the run
            self._put({"end": self.end if kind is None else "interrupted"})


def read(path: Path) -> Iterator[Verdict]:
    """Yield the verdicts of a report, skipping its head and its end.

    A last line that was cut short by a crash is left out; any other line that is no verdict raises ReportError.
    """
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True) or ["{}"]
    for number, line in enumerate(lines, 1):
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as error:  # ValueError: of JSON, and of numbers with too many digits
            if 1 < number == len(lines) and not line.endswith("\n"):
                return
            raise ReportError(f"{path}, line {number}: not JSON: {error}") from None
        if number == 1:
            if not isinstance(found, dict) or "convformance" not in found:
                raise ReportError(f"{path}, line 1: not the head of a report; it must hold 'convformance'")
        elif not isinstance(found, dict):
            raise ReportError(f"{path}, line {number}: must be an object, not {type(found).__name__}")
        elif "end" not in found:
            yield _verdict(path, number, found)


def _verdict(path: Path, number: int, found: Mapping[str, Any]) -> Verdict:
    if set(found) != set(FIELDS):
        wrong = ", ".join(sorted(set(found) ^ set(FIELDS)))
        raise ReportError(f"{path}, line {number}: a verdict holds exactly {', '.join(FIELDS)}; not so: {wrong}")
    values = dict(found)
    try:
        values["share"] = float(found["share"])
        values["outcome"] = Outcome(found["outcome"])
        values["case"] = None if found["case"] is None else parse(found["case"])
        values["details"] = {name: _restored(value) for name, value in found["details"].items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise ReportError(f"{path}, line {number}: {error}") from None
    return Verdict(**values)


def _plain(value: Any) -> Any:
    """Return the value in JSON's terms; numbers that JSON lacks become the words inf, -inf and nan."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _restored(value: Any) -> Any:
    """Return the number that a word stands for, and sequences as the tuples that they were."""
    if isinstance(value, list):
        return tuple(map(_restored, value))
    return float(value) if value in ("inf", "-inf", "nan") else value


def _about(backend: Backend) -> str:
    return backend.about() if backend.unavailable() is None else ""
