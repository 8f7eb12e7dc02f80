"""The files that a worker and its parent share, in a folder that outlives both if they end badly.

A case is on disk before it is called. When all ends well the folder is removed; a folder that nobody holds any longer
tells the next run what was being asked when its own run ended.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

ASKING, ANSWERS, OUTPUT = "asking", "answers", "output"
LARGEST_FILE = 2**31
LONGEST_OUTPUT = 20_000


def begun(count: int) -> bytes:
    """Return the first line of `asking`."""
    return b"%7d begun\n" % count


def state() -> Path:
    """Return the folder of this user for what must survive a crash; a temporary one where it cannot be made."""
    try:
        chosen = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
        folder = Path(chosen) / "convformance"
        folder.mkdir(parents=True, exist_ok=True)
        usable = os.access(folder, os.W_OK)
    except (OSError, RuntimeError):  # no home
        usable = False
    if not usable:
        folder = Path(tempfile.gettempdir()) / f"convformance-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.stat().st_uid != os.getuid():
            raise OSError(errno.EPERM, "belongs to somebody else", str(folder))
    return folder


class Journal:
    """The folder of one worker, locked as long as its parent lives."""

    def __init__(self, backend: str) -> None:
        hidden = Path(tempfile.mkdtemp(prefix=".new-", dir=state()))
        self._asking = (hidden / ASKING).open("w+b", buffering=0)
        with suppress(OSError):  # some file systems know no locks
            fcntl.flock(self._asking, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.folder = hidden.with_name(f"{_safe(backend)}-{os.getpid()}-{hidden.name[5:]}")
        hidden.rename(self.folder)  # only now can another run see it, and it sees that it is held
        (self.folder / OUTPUT).touch()
        self.answers = (self.folder / ANSWERS).open("w+b")
        self.answers.write(bytes(mmap.PAGESIZE))  # where nothing is, a full disk would end who looks there
        self.answers.flush()
        self.answers.truncate(LARGEST_FILE)  # takes no room until it is written to
        self.lines: Sequence[str] = ()

    def write(self, lines: Sequence[str]) -> None:
        """Have on disk what is about to be asked."""
        self.lines = lines
        text = begun(0) + "".join(f"{line}\n" for line in lines).encode()
        os.pwrite(self._asking.fileno(), text, 0)
        os.ftruncate(self._asking.fileno(), len(text))
        os.fsync(self._asking.fileno())

    def begun(self) -> int:
        """Return how many of the lines were begun."""
        return int(os.pread(self._asking.fileno(), len(begun(0)), 0).split()[0])

    def printed(self) -> str:
        """Return the end of what the case in hand printed."""
        with (self.folder / OUTPUT).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - LONGEST_OUTPUT))
            return file.read().decode("utf-8", "replace")

    def close(self) -> None:
        """Remove the folder: all that was asked was answered."""
        self.answers.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        self._asking.close()


def unfinished() -> Iterator[str]:
    """Yield, for every run that did not live to its end, its backend and what it was asking; once."""
    for folder in sorted(state().glob("[!.]*")):
        try:
            with (folder / ASKING).open("r+b") as asking:
                fcntl.flock(asking, fcntl.LOCK_EX | fcntl.LOCK_NB)
                first, *lines = asking.read().decode("utf-8", "replace").splitlines() or [""]
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # it is held by a run that lives, or no such folder
            continue
        count = int(first.split()[0]) if first[:7].strip().isdigit() else 0
        asked = lines[max(0, count - 1) :]
        if asked:
            backend, *_ = folder.name.rsplit("-", 2)
            yield f"{backend}: {asked[0]}"


def _safe(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in name)[:50]
