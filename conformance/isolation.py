"""A backend in a process of its own: a crash or a hang costs one case, and the parent goes on.

The parent sends lines and computes references while the worker answers; `worker` says what the two share. The worker is
the only one of a pool, which starts it, starts it again when it died, and ends it.
"""

from __future__ import annotations

import json
import mmap
import re
import signal
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import replace
from types import TracebackType
from typing import Any

from pebble import ProcessExpired, ProcessFuture, ProcessPool

from conformance import answers, worker
from conformance.answers import ADDRESS, Answer, Died, Limits, WorkerError, unpacked
from conformance.journal import Journal
from conformance.model import Backend, Case, Outcome
from conformance.processes import Spawn, WorkerProcess
from conformance.worker import ANSWERED, CHUNK, HEAD, OUT_OF_MEMORY, PID, RETIRED, STOP

GLANCE_SECONDS = 1e-4  # between two looks at whether an answer has come
PATIENCE_SECONDS = 0.25  # without an answer, before it is asked whether the worker lives
GRACE_SECONDS = 5  # after which a case over its limit is ended from here, since the kernel did not
LINES_KEPT, CHARACTERS_KEPT = 12, 300
OUR_FRAME = re.compile("|".join(re.escape(f'  File "{module.__file__}"') for module in (answers, worker)))


class Isolated:
    """A backend that is asked in a worker process. `backend`: its record, with what the worker found out about it."""

    def __init__(self, backend: Backend, limits: Limits = Limits()) -> None:  # noqa: B008  (frozen)
        self.limits = limits
        self._journal = Journal(backend.name)
        self._answers = mmap.mmap(self._journal.answers.fileno(), 0)
        self._view = memoryview(self._answers)
        self._head = self._view[:HEAD].cast("q")
        self._context = Spawn()
        self._chunk = 1  # `answers` begins with zeros: as long as nothing is sent, nothing is taken
        self._overdue = False
        self._accounted: set[int | None] = set()
        self._future: ProcessFuture[Any] | None = None
        self._address = backend.address or backend.name
        self._start()
        try:
            self.backend = self._introduced(backend)
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        self._pool = ProcessPool(
            1,
            initializer=worker.start,
            initargs=(self._address, str(self._journal.folder), self.limits),
            context=self._context,
        )

    def _introduced(self, backend: Backend) -> Backend:
        """Return the record of a backend as its worker sees it: its framework is there, and not here."""
        self._future = self._pool.schedule(worker.introduce)
        try:
            self._comes(0)
            told = json.loads(self._future.result())
        except ImportError as error:
            told = {"unavailable": f"{self._address} cannot be imported in a worker: {error}"}
        except (ProcessExpired, BrokenProcessPool, CancelledError):
            how = self._death(self._context.last_ended(), worker.START_SECONDS)
            told = {"unavailable": "; ".join((f"its process {how.reason} when it is imported", *how.printed))}
        self._future = None
        here = told.get("here", ())
        split = len(backend.declarations) - len(here)  # what a user declares comes before the backend's own
        more, own = backend.declarations[:split], backend.declarations[split:]
        return replace(
            backend,
            bindings=dict.fromkeys(told.get("operators", ()), _elsewhere),
            unavailable=_always(told["unavailable"]),
            about=_always(told.get("about", "")),
            declarations=(*more, *(replace(d, here=_always(h)) for d, h in zip(own, here, strict=True))),
        )

    def ask(self, cases: Sequence[Case]) -> Iterator[Answer]:
        """Set the worker to the cases at once, and return its answers as they come.

        Their arrays are views of what the worker wrote, and hold until it is asked again.
        """
        self._settle()
        lines = list(map(repr, cases))
        if lines:
            self._send(lines)
        return self._answers_to(lines)

    def _answers_to(self, lines: list[str]) -> Iterator[Answer]:
        barren = 0
        while lines:
            end, got, spoilt = HEAD, 0, None
            while got < len(lines) and self._comes(got):
                try:
                    found, length = unpacked(self._view[end:], worker.stamp(self._chunk, got + 1))
                except ValueError as error:
                    spoilt = Died(Outcome.CRASHED, f"writes over what it is to tell: {error}")
                    self._kill()
                    break
                end, got = end + length, got + 1
                yield found
            if got == len(lines):
                return
            died = spoilt or self._ended(lines, got)
            if died is not None:
                got += 1
                yield died
            barren = 0 if got else barren + 1
            if barren > 1:
                raise WorkerError(f"the worker of {self._address} ends before it answers; it was to answer {lines[0]}")
            lines = lines[got:]
            if lines:
                self._send(lines)

    def _send(self, lines: Sequence[str]) -> None:
        self._chunk += 1
        self._overdue = False
        if self._tell_of_quiet_death(lines[0]):
            self._restart()  # at such a time a worker may have held a lock of the pool
        self._journal.write(lines)
        try:
            self._future = self._pool.schedule(worker.answer_lines, args=(self._chunk, lines))
        except RuntimeError:  # the pool broke when its worker died between two chunks
            self._restart()
            try:
                self._future = self._pool.schedule(worker.answer_lines, args=(self._chunk, lines))
            except RuntimeError as error:
                raise WorkerError(f"no process can be started for {self._address}: {error}") from None

    def _restart(self) -> None:
        self._stop()
        self._start()

    def _taken(self) -> bool:
        """Whether the worker has begun with the chunk in hand."""
        return self._head[CHUNK] == self._chunk

    def _comes(self, place: int) -> bool:
        """Wait for the answer at a place of the chunk; return whether there is one."""
        assert self._future is not None
        taken, since = self._taken(), time.monotonic()
        while not (self._taken() and self._head[ANSWERED] > place):
            if self._future.done():
                return self._taken() and self._head[ANSWERED] > place  # it may have come between the two looks
            time.sleep(GLANCE_SECONDS)
            if taken != self._taken():
                taken, since = self._taken(), time.monotonic()
            elif time.monotonic() - since > PATIENCE_SECONDS:
                self._look_after(time.monotonic() - since)
        return True

    def _look_after(self, waited_seconds: float) -> None:
        """Do for a worker that does not answer what neither the pool nor its alarm did."""
        assert self._future is not None
        taken = self._taken()
        process = self._context.find(self._head[PID]) if taken else self._context.last_ended()
        if process is not None and process.exitcode == 0 and (taken or process.pid not in self._accounted):
            self._future.cancel()  # type: ignore[no-untyped-call]  # the pool takes this for the end of its work
        elif waited_seconds > (self.limits.seconds if taken else worker.START_SECONDS) + GRACE_SECONDS:
            self._overdue = True  # it is stopped, or deaf to its alarm
            self._kill()

    def _kill(self) -> None:
        """End the worker that has the chunk in hand, or is to get it."""
        process = self._context.latest()
        if process is not None and process.exitcode is None:
            process.kill()
            self._accounted.add(process.pid)

    def _ended(self, lines: Sequence[str], got: int) -> Died | None:
        """Return what ended the chunk early: the death of the worker in a case, or None where no case is to blame."""
        assert self._future is not None
        broken = False
        try:
            self._future.result()
            return None  # there was no more room for answers
        except (ProcessExpired, CancelledError):
            pass
        except BrokenProcessPool:  # it died before the pool knew that it was at work
            broken = True
        except OSError as error:
            raise WorkerError(f"the answer to {lines[got]} cannot be brought back: {error}") from None
        died = None
        if self._taken() and self._journal.begun() > got:
            died = self._death(self._context.find(self._head[PID]))
        if broken:
            self._tell_of_quiet_death(lines[got])
            self._restart()
        return died

    def _tell_of_quiet_death(self, line: str) -> bool:
        """Warn of a death that no case can be blamed for; return whether there was one."""
        process = self._context.last_ended()
        quiet = process is not None and process.exitcode != RETIRED and process.pid not in self._accounted
        if quiet:
            told = f"{self._address}: its process {self._death(process).reason} while nothing was asked, before {line}"
            warnings.warn(told, stacklevel=5)
        return quiet

    def _death(self, process: WorkerProcess | None, limit_seconds: float | None = None) -> Died:
        """Return how a worker ended, and take it as told."""
        printed = _last_lines(self._journal.printed())
        if process is not None and not self._overdue:
            process.join(PATIENCE_SECONDS)
        code = None if process is None else process.exitcode
        self._accounted.add(None if process is None else process.pid)
        if self._overdue or code == -signal.SIGALRM:
            limit = limit_seconds or self.limits.seconds
            return Died(Outcome.TIMED_OUT, f"takes longer than {limit:g} seconds", printed)
        if code == OUT_OF_MEMORY:
            return Died(Outcome.CRASHED, f"takes more than {self.limits.mebibytes} MiB of memory", printed)
        if code is not None and code < 0:
            return Died(Outcome.CRASHED, f"is killed by {_signal(-code)}", printed)
        return Died(Outcome.CRASHED, f"leaves with exit code {code}", printed)

    def _settle(self) -> None:
        """Let the worker stop before its next case, and wait until it has: answers that nobody wants may be left."""
        if self._future is None:
            return
        self._head[STOP] = self._chunk
        self._comes(len(self._journal.lines))  # there is no such answer, so that this waits for the end
        if self._journal.begun() > self._head[ANSWERED]:  # it died in a case that nobody waited for
            self._accounted.add(self._head[PID])
        self._future = None

    def close(self) -> None:
        """End the worker, and remove what was shared with it."""
        self._stop()
        self._head.release()
        with suppress(BufferError):  # while somebody still looks at an answer, its memory stays
            self._view.release()
            self._answers.close()
        self._journal.close()

    def _stop(self) -> None:
        if self._future is not None:
            self._head[STOP] = self._chunk
            wait([self._future], PATIENCE_SECONDS)
            if not self._future.done():
                self._kill()  # it may be deaf to what the pool says
        self._pool.stop()  # type: ignore[no-untyped-call]
        self._pool.join()
        self._accounted.update(process.pid for process in self._context.started)

    def __enter__(self) -> Isolated:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _signal(number: int) -> str:
    """Return the name of a signal; those of real time have none."""
    with suppress(ValueError):
        return signal.Signals(number).name
    return f"signal {number}"


def _always(value: Any) -> Callable[[], Any]:
    return lambda: value


def _elsewhere(**_: Any) -> None:
    raise AssertionError("this backend is asked in its worker")


def _last_lines(printed: str) -> tuple[str, ...]:
    """Return the last lines that a worker printed, without what Python's traceback says of the worker itself.

    Addresses differ from run to run, and nobody can look them up.
    """
    before, *_ = OUR_FRAME.split(printed, maxsplit=1)
    lines = [ADDRESS.sub("0x...", line.rstrip()) for line in before.splitlines()]
    return tuple(line[:CHARACTERS_KEPT] for line in list(filter(None, lines))[-LINES_KEPT:])
