"""Backends that misbehave: on arrays of seven elements only, everywhere else they answer relu as they should.

They are imported by workers alone; what they do would end the process of the tests. Each takes what the evil needs from
the system itself, so that nothing is pretended.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from conformance import worker as worker_module
from conformance.model import Backend

EVIL = 7
HOARD: list[Any] = []


def misbehaves(evil: Callable[[], object]) -> Backend:
    """Return a backend that does something on its way to the right answer for arrays of seven elements."""

    def relu(input: Any) -> Any:
        if input.size == EVIL:
            evil()
        return np.maximum(input, 0)

    name = evil.__name__.replace("_", "-")
    return Backend(name, {"relu": relu}, dtypes=("float32",), address=f"misbehaving:{evil.__name__.upper()}")


def segfaults() -> None:
    ctypes.string_at(0)


def aborts() -> None:
    print("about to abort", file=sys.stderr, flush=True)
    os.abort()


def leaves() -> None:
    os._exit(3)


def leaves_with_0() -> None:
    os._exit(0)


def divides_by_zero() -> None:
    signal.raise_signal(signal.SIGFPE)  # what an integer division does on most processors


def throws() -> None:
    """Throw a C++ exception that nobody catches."""
    cpp = ctypes.CDLL("libstdc++.so.6")
    cpp.__cxa_allocate_exception.restype = ctypes.c_void_p
    exception = ctypes.c_void_p(cpp.__cxa_allocate_exception(ctypes.c_size_t(4)))
    cpp.__cxa_throw(exception, ctypes.byref(ctypes.c_char.in_dll(cpp, "_ZTIi")), None)


def loops() -> None:
    while True:
        pass


def sleeps_with_the_lock() -> None:
    ctypes.PyDLL(None).sleep(10_000)  # C code that keeps the interpreter's lock


def is_deaf() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    while True:
        time.sleep(1)


def stops() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def allocates() -> None:
    while True:
        HOARD.append(bytearray(2**24))


def allocates_in_c() -> None:
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    while True:
        ctypes.memset(libc.malloc(ctypes.c_size_t(2**24)) or 0, 1, 2**24)


def closes_stdout() -> None:
    os.close(1)
    os.close(2)


def closes_everything() -> None:
    os.closerange(0, 1024)


def prints_megabytes() -> None:
    libc = ctypes.CDLL(None)
    line = b"x" * 2**20
    for _ in range(20):
        libc.write(1, line, len(line))
        libc.write(2, line, len(line))


def leaks_handles() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    try:
        while True:
            HOARD.append(Path(__file__).open("rb"))  # noqa: SIM115  (that is the evil)
    except OSError:
        pass


def leaks_threads() -> None:
    threading.stack_size(2**16)
    for _ in range(100):
        threading.Thread(target=time.sleep, args=(10_000,)).start()


def overwrites() -> None:
    """Write at random, as a kernel without a bound may: here where its process keeps what it is to tell."""
    for worker in worker_module._here:
        worker.head[worker_module.ANSWERED] = 1 << 40
    time.sleep(10_000)


def forks() -> None:
    os.fork()


def raises_system_exit() -> None:
    sys.exit("that is enough")


def raises_keyboard_interrupt() -> None:
    raise KeyboardInterrupt


def raises_memory_error() -> None:
    raise MemoryError("far too much")


def is_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)  # as by the kernel when the machine runs out of memory


SEGFAULTS, ABORTS, LEAVES, LEAVES_WITH_0 = map(misbehaves, (segfaults, aborts, leaves, leaves_with_0))
DIVIDES_BY_ZERO, THROWS, IS_KILLED = map(misbehaves, (divides_by_zero, throws, is_killed))
LOOPS, SLEEPS_WITH_THE_LOCK, IS_DEAF, STOPS = map(misbehaves, (loops, sleeps_with_the_lock, is_deaf, stops))
ALLOCATES, ALLOCATES_IN_C = map(misbehaves, (allocates, allocates_in_c))
CLOSES_STDOUT, CLOSES_EVERYTHING, PRINTS_MEGABYTES = map(
    misbehaves, (closes_stdout, closes_everything, prints_megabytes)
)
LEAKS_HANDLES, LEAKS_THREADS, FORKS, OVERWRITES = map(misbehaves, (leaks_handles, leaks_threads, forks, overwrites))
RAISES_SYSTEM_EXIT, RAISES_KEYBOARD_INTERRUPT = map(misbehaves, (raises_system_exit, raises_keyboard_interrupt))
RAISES_MEMORY_ERROR = misbehaves(raises_memory_error)
