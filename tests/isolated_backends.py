"""Backends of a user's module, as a worker imports them: honest ones, some that die, and what is declared of them."""

from __future__ import annotations

import mmap
import os
import resource
import sys
from functools import partial
from typing import Any

import numpy as np
from conformance_cases import LINE, declare, honest, numpy_backend

from conformance.journal import ASKING, state
from conformance.model import Backend, Outcome

HONEST = numpy_backend()
MATRIX = "conv_matrix(weight=ramp(float32[1,1,2]), input_size=3)"
HOARD: list[Any] = []


def _dies(**_: Any) -> None:
    os._exit(3)


def _dies_on_large(input: Any) -> Any:
    if input.size > 8:
        os._exit(3)
    return np.maximum(input, 0)


def _dies_on_batches(input: Any) -> Any:
    if len(input) > 1:
        os._exit(3)
    return np.maximum(input, 0)


def _hoards(**_: Any) -> Any:
    """Take memory without end, and say of the end what some allocators say of it."""
    hoard = []
    try:
        while True:
            hoard.append(np.ones(2**20))
    except MemoryError:
        HOARD.append(hoard)
        raise RuntimeError("cannot allocate") from None


def _reserves(input: Any) -> Any:
    if input.size == 7:
        raise MemoryError("far too much")
    HOARD.append(mmap.mmap(-1, 2**30, prot=0))
    return np.maximum(input, 0)


def _claims(input: Any) -> Any:
    return np.broadcast_to(np.float32(1), (2**27,)) if input.size == 7 else np.maximum(input, 0)


def _real_time(**_: Any) -> None:
    os.kill(os.getpid(), 40)


def _raises() -> Any:
    raise RuntimeError("no driver")


def _leaves() -> Any:
    print("goodbye", file=sys.stderr, flush=True)
    os._exit(5)


def _fills_the_disk(input: Any, left: int = 0) -> Any:
    resource.setrlimit(resource.RLIMIT_FSIZE, (left, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    return np.maximum(input, 0)


def _reads_its_journal(**_: Any) -> Any:
    raise RuntimeError(next(state().glob(f"dying-{os.getppid()}-*/{ASKING}")).read_text(encoding="utf-8"))


def _relu(binding: Any, *declarations: Any) -> Backend:
    return Backend("dying", {"relu": binding}, dtypes=("float32",), declarations=declarations)


def _death(outcome: Outcome) -> Any:
    return declare(outcome, reason="it dies", witness=LINE, checks=("values", "sizes", "special"))


DIES = Backend("dying", {"conv2d": _dies}, dtypes=("float32",))
DIES_ON_LARGE, DIES_ON_BATCHES = _relu(_dies_on_large), _relu(_dies_on_batches)
DECLARED = _relu(_dies, _death(Outcome.CRASHED))
DECLARED_TO_TIME_OUT = _relu(_dies, _death(Outcome.TIMED_OUT))
DECLARED_WRONGLY = _relu(_dies_on_large, _death(Outcome.CRASHED))
DECLARED_WHERE_NOTHING_IS_ASKED = Backend(
    "living",
    {"conv_matrix": honest("conv_matrix")},
    dtypes=("float32",),
    declarations=(declare(Outcome.CRASHED, operators=("conv_matrix",), witness=MATRIX, checks=("laws", "values")),),
)
DECLARED_TO_DEVIATE = _relu(_dies, _death(Outcome.DEVIATES))
FRAMEWORK_RAISES = Backend("driver", _raises, dtypes=("float32",))
FRAMEWORK_LEAVES = Backend("leaving", partial(os._exit, 0), dtypes=("float32",))
HOARDS, RESERVES, CLAIMS, REAL_TIME = map(_relu, (_hoards, _reserves, _claims, _real_time))
FRAMEWORK_DIES = Backend("dying", _leaves, dtypes=("float32",))
READS_ITS_JOURNAL = _relu(_reads_its_journal)
FULL_DISK, NEARLY_FULL_DISK = _relu(_fills_the_disk), _relu(partial(_fills_the_disk, left=100))
