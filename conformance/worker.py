"""What runs in the process of a backend: it makes the arrays of a case from its line, and writes down the answers.

It shares three files with `isolation`, its parent: `asking` (the lines, headed by how many of them were begun: that is
on disk before a case is called), `answers` (a head of four numbers, then one answer after the other) and `output` (all
that the case in hand prints). Nothing but these, a signal or an exit code says what became of a case.
"""

from __future__ import annotations

import ctypes
import faulthandler
import json
import mmap
import os
import resource
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from conformance.answers import Limits, Raised, answer, packed
from conformance.discovery import find_backend
from conformance.formats import Array
from conformance.journal import ANSWERS, ASKING, LARGEST_FILE, OUTPUT, begun
from conformance.lines import parse
from conformance.model import Backend

HEAD = 64  # bytes of `answers` before the first one: four numbers, as below
PID, CHUNK, ANSWERED, STOP = range(4)
FULL = 2**26  # what `answers` may hold before the parent must read it
RETIRED, OUT_OF_MEMORY = 99, 98  # exit codes of a worker that makes room for a fresh one
START_SECONDS = 300  # a large framework on a slow disk
MOST_THREADS = 32


class Worker:
    """The state of this process: the backend, the files, and what it looked like before anything was asked."""

    def __init__(self, address: str, folder: str, limits: Limits) -> None:
        os.setpgid(0, 0)  # Ctrl-C is for the parent, which then ends this process
        _die_with_parent()
        self.limits = limits
        self.output = os.open(Path(folder, OUTPUT), os.O_RDWR | os.O_APPEND)
        for stream in (1, 2):
            os.dup2(self.output, stream)
        faulthandler.enable(self.output)
        # The kernel ends a case that takes too long, whatever it is doing; before, Python says what that is.
        faulthandler.register(signal.SIGALRM, self.output, all_threads=False, chain=True)
        signal.setitimer(signal.ITIMER_REAL, START_SECONDS)
        self.asking = os.open(Path(folder, ASKING), os.O_RDWR)
        self.answers = os.open(Path(folder, ANSWERS), os.O_RDWR)
        self.head = memoryview(mmap.mmap(self.answers, HEAD)).cast("q")
        self.pid = os.getpid()
        self.problem = ""
        try:
            self.backend = find_backend(address)
            self.introduction = _introduce(self.backend)
        except Exception as error:
            self.problem = f"{type(error).__name__}: {error}"
        self._limit_resources()
        self.free_handle = free_handle(self.answers)
        self.threads = threading.active_count()
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _limit_resources(self) -> None:
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.most_handles = min(soft, 4096) // 2
        _limit(resource.RLIMIT_FSIZE, LARGEST_FILE)
        _limit(resource.RLIMIT_CORE, 0)
        self.held = _memory("VmData")
        if self.limits.mebibytes:
            _limit(resource.RLIMIT_DATA, self.held + self.limits.mebibytes * 2**20)

    def _took_most_of_its_memory(self, refused: bool) -> bool:
        """Whether a case that raised came near the limit: it still holds what it took, or was refused more of it.

        Who asks for far too much at once, and gets nothing, took nothing.
        """
        most = self.limits.mebibytes * 2**20
        taken = _memory("VmData") - self.held
        if refused:
            taken = max(taken, _memory("VmPeak") - self.peak)
        return 0 < most < 2 * taken

    @staticmethod
    def _packed(found: list[Array | None] | Raised, mark: int) -> Sequence[bytes]:
        """Return the bytes of an answer; copying one that is not contiguous may need more memory than there is."""
        try:
            return packed(found, mark)
        except MemoryError:
            os._exit(OUT_OF_MEMORY)

    def worn(self) -> bool:
        """Whether cases before have left behind, or taken away, so much that those to come might suffer."""
        handle = free_handle(self.answers)
        return (
            not self.free_handle <= handle < self.free_handle + self.most_handles
            or threading.active_count() > self.threads + MOST_THREADS
        )

    def answer_lines(self, chunk: int, lines: Sequence[str]) -> int:
        """Answer the lines one by one; return how many, fewer than there are if `answers` is full."""
        end = HEAD
        self.head[PID] = self.pid
        self.head[ANSWERED] = 0
        self.head[CHUNK] = chunk
        self.peak = _memory("VmPeak")
        for count, line in enumerate(lines, 1):
            if self.head[STOP] == chunk or end > FULL:
                break
            os.pwrite(self.asking, begun(count), 0)
            if os.fstat(self.output).st_size:
                os.ftruncate(self.output, 0)
            signal.setitimer(signal.ITIMER_REAL, self.limits.seconds)
            found = answer(self.backend, parse(line), BaseException)
            signal.setitimer(signal.ITIMER_REAL, 0)
            if os.getpid() != self.pid:  # a backend forked, and this is the copy
                os._exit(0)
            out_of_memory = isinstance(found, Raised) and found.kind == "MemoryError"
            if isinstance(found, Raised) and self._took_most_of_its_memory(out_of_memory):
                os._exit(OUT_OF_MEMORY)
            end += write(self.answers, self._packed(found, stamp(chunk, count)), end)
            self.head[ANSWERED] = count
            if out_of_memory or self.worn():
                os._exit(RETIRED)
        return int(self.head[ANSWERED])


def _limit(what: int, most: int) -> None:
    """Lower a limit of this process, for good; one that is lower already stays."""
    _, hard = resource.getrlimit(what)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (most, most))


def stamp(chunk: int, count: int) -> int:
    """Return the number that tells one answer from all others of a worker: the count-th of a chunk."""
    return chunk << 32 | count


def write(handle: int, pieces: Sequence[bytes], at: int) -> int:
    """Write all of an answer, and return how many bytes it has."""
    length = sum(map(len, pieces))
    written = os.pwritev(handle, pieces, at)
    if written != length:
        raise OSError(f"only {written} of {length} bytes of an answer could be written")
    return length


def free_handle(handle: int) -> int:
    """Return the number that the next file gets: files left open raise it, and closing one lowers it."""
    try:
        free = os.dup(handle)
    except OSError:  # there is none left
        return sys.maxsize
    os.close(free)
    return free


def _introduce(backend: Backend) -> str:
    """Return in JSON what a parent needs to know of a backend, and what only its framework can say."""
    missing = backend.unavailable()
    here = missing is None
    return json.dumps(
        {
            "unavailable": missing,
            "about": backend.about() if here else "",
            "operators": list(backend.functions()) if here else [],
            "here": [declaration.here() for declaration in backend.declarations] if here else [],
        }
    )


def _memory(name: str) -> int:
    """Return one of Linux's figures on the memory of this process, in bytes; 0 on other systems."""
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="ascii", errors="replace").splitlines() if status.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:")), 0)


def _die_with_parent() -> None:
    """Ask Linux to end this process with its parent; elsewhere it ends at the limit of its case, or when idle."""
    if sys.platform == "linux":  # pragma: no branch  (other systems have no such call)
        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)


_here: list[Worker] = []


def start(address: str, folder: str, limits: Limits) -> None:
    """Make this process the worker of a backend."""
    _here[:] = [Worker(address, folder, limits)]


def introduce() -> str:
    """Return what the backend of this worker is, in JSON; raise what kept it from being imported."""
    (worker,) = _here
    if worker.problem:
        raise ImportError(worker.problem)
    return worker.introduction


def answer_lines(chunk: int, lines: Sequence[str]) -> int:
    """Let this worker answer the lines of a chunk."""
    (worker,) = _here
    return worker.answer_lines(chunk, lines)
