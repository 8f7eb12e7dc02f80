"""Processes as workers need them: started without the parent's main module, and remembered when they have ended."""

from __future__ import annotations

import sys
import threading
from multiprocessing.context import SpawnContext, SpawnProcess
from types import ModuleType
from typing import Any

PROCESSES_KEPT = 8  # of those that ended: each holds on to two handles
_STARTING = threading.Lock()


class WorkerProcess(SpawnProcess):
    """A process that runs nothing of its parent's main module."""

    def start(self) -> None:
        """Start as usual, but for the main module, which may be a user's script without a guard."""
        with _STARTING:
            main = sys.modules["__main__"]
            sys.modules["__main__"] = ModuleType("__main__")
            try:
                super().start()
            finally:
                sys.modules["__main__"] = main


class Spawn(SpawnContext):
    """A way to start processes that knows those that it started: the pool forgets how its workers ended."""

    def __init__(self) -> None:
        self.started: list[WorkerProcess] = []
        self._changing = threading.Lock()  # the pool starts processes in a thread of its own

    def Process(self, *args: Any, **kwargs: Any) -> WorkerProcess:  # type: ignore[override]  # noqa: N802  (as in its base)
        with self._changing:
            while len(self.started) > PROCESSES_KEPT and self.started[0].exitcode is not None:
                self.started.pop(0).close()
            self.started.append(WorkerProcess(*args, **kwargs))
            return self.started[-1]

    def find(self, pid: int) -> WorkerProcess | None:
        """Return the process of that number, the latest if there were several."""
        with self._changing:
            return next((process for process in reversed(self.started) if process.pid == pid), None)

    def last_ended(self) -> WorkerProcess | None:
        """Return the latest of the processes that have ended."""
        with self._changing:
            return next((process for process in reversed(self.started) if process.exitcode is not None), None)

    def latest(self) -> WorkerProcess | None:
        """Return the latest of the processes that were started."""
        with self._changing:
            return next((process for process in reversed(self.started) if process.pid is not None), None)
