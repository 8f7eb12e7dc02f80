"""Verdicts as JSON lines: a head, one line for each verdict as it comes, and an end that says how the run ended.

What is read back may come from anywhere: a line has a largest length, and every field its type.
"""

from __future__ import annotations

import errno
import json
import math
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from conformance.model import Verdict
from conformance.report.fields import FIELDS, verdict_of

# interrupted: what is missing comes after what is there. incomplete: what is missing may be anywhere.
ENDS = ("complete", "interrupted", "incomplete")
LONGEST_LINE = 2**20


class ReportError(ValueError):
    """A report that cannot be read or written; the message names the file, where it matters the line, and the rule."""


def line_of(content: Mapping[str, Any]) -> bytes:
    """Return a line of a report."""
    return json.dumps(plain(content), allow_nan=False).encode("ascii") + b"\n"


class Writer:
    """Writes verdicts to a file, each flushed as it comes, so that a run that is killed has lost one at most.

    keep: how many bytes of the file an earlier run has written, after which it is gone on; then no head is written.
    """

    def __init__(self, path: Path, head: Mapping[str, Any], keep: int = 0) -> None:
        self.end = "complete"
        self._path = path
        with _told(path):
            # Not emptied: another run may be writing to it.
            flags = os.O_WRONLY | (0 if keep else os.O_CREAT)
            self._file = os.fdopen(os.open(path, flags, 0o666), "wb")
        try:
            self._begin(head, keep)
        except BaseException:
            with suppress(OSError):
                self._file.close()
            raise

    def _begin(self, head: Mapping[str, Any], keep: int) -> None:
        with _told(self._path):
            found = os.fstat(self._file.fileno())
            self._regular = stat.S_ISREG(found.st_mode)
            if self._regular:
                hold(self._file.fileno())
                if found.st_size < keep:
                    raise OSError(errno.ESTALE, "it has become shorter")
                self._file.truncate(keep)
                self._file.seek(keep)
        if not keep:
            self._put(head)
            self.settle()

    def write(self, verdict: Verdict) -> None:
        """Write one verdict."""
        line = {name: getattr(verdict, name) for name in FIELDS}
        self._put({**line, "case": None if verdict.case is None else repr(verdict.case)})

    def settle(self) -> None:
        """Have on disk what was written, and see that it is still the file that was asked for."""
        if self._regular:
            with _told(self._path):
                os.fsync(self._file.fileno())
                if not os.path.samestat(os.stat(self._path), os.fstat(self._file.fileno())):  # noqa: PTH116
                    raise OSError(errno.ESTALE, "another file was put in its place")

    def _put(self, line: Mapping[str, Any]) -> None:
        text = line_of(line)
        if len(text) > LONGEST_LINE:
            raise ReportError(f"{self._path}: a line of {len(text)} bytes; {LONGEST_LINE} are allowed")
        with _told(self._path):
            self._file.write(text)
            self._file.flush()

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.end = "interrupted"
        # A full disk may be what has ended the run, and is then no news.
        with nullcontext() if self.end == "complete" else suppress(ReportError), _told(self._path), self._file:
            self._put({"end": self.end})
            self.settle()


def hold(handle: int) -> None:
    """Keep other runs from writing to the file; where there are no locks, nothing does."""
    try:
        import fcntl
    except ImportError:  # pragma: no cover  (Windows)
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OSError(errno.EBUSY, "another run is writing to it") from None
    except OSError:  # pragma: no cover  (some network file systems)
        pass


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn what the system says of a file into a ReportError."""
    try:
        yield
    except OSError as error:
        raise ReportError(f"{path}: {error.strerror or error}") from error


def read(path: Path) -> Iterator[Verdict]:
    """Yield the verdicts of a report, one line at a time, skipping its head and its end.

    A last line that was cut short by a crash is left out; any other line that is no verdict raises ReportError.
    """
    return (found for _, found in records(path) if isinstance(found, Verdict))


def records(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield what each whole line of a report holds and where it ends: a dict, then verdicts, then one of ENDS."""
    at, number, found = 0, 0, None
    with _told(path), path.open("rb") as file:
        while True:
            number += 1
            line = file.readline(LONGEST_LINE + 1)
            if number > 1 and not line.endswith(b"\n") and len(line) <= LONGEST_LINE:
                return
            try:
                if isinstance(found, str):
                    raise ValueError("nothing may follow the end")
                found = _content(number, line)
            except (ValueError, RecursionError) as error:
                raise ReportError(f"{path}, line {number}: {error}") from None
            at += len(line)
            yield at, found


def _content(number: int, line: bytes) -> dict[str, Any] | Verdict | str:
    if len(line) > LONGEST_LINE:
        raise ValueError(f"has more than {LONGEST_LINE} bytes")
    try:
        found = json.loads((line or b"{}").decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:  # ValueError: of JSON, UTF-8, and numbers with too many digits
        raise ValueError(f"not JSON: {error}") from None
    if number == 1:
        if not isinstance(found, dict) or not isinstance(found.get("convformance"), str):
            raise ValueError("not the head of a report; it must hold 'convformance', a version")
        if not line.endswith(b"\n"):  # or the first verdict of a run that goes on would come to stand behind it
            raise ValueError("was cut short; a newline must end it")
        return found
    if not isinstance(found, dict):
        raise ValueError(f"must be an object, not {type(found).__name__}")
    if "end" in found:
        if found["end"] not in ENDS or len(found) > 1:
            raise ValueError(f"the end of a report holds 'end', one of {', '.join(ENDS)}, and nothing else")
        return str(found["end"])
    return verdict_of(found)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number of JSON")


def plain(value: Any) -> Any:
    """Return the value in JSON's terms; numbers that JSON lacks become the words inf, -inf and nan."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
