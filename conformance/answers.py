"""What a backend answers to a case, however it was asked; and the bytes in which an answer leaves a worker.

Those bytes are read by a grammar of their own: a head in JSON says what follows, and nothing in it is run.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from conformance.calls import NOTHING, perform
from conformance.formats import Array, numpy_dtype
from conformance.model import Backend, Case, Outcome

LONGEST_MESSAGE = 2_000
LONGEST_SECONDS, MOST_MEBIBYTES = 10**6, 2**30  # more than any case may need, and than the system's calls take
LARGEST_ANSWER = 2**29
ADDRESS = re.compile("0x[0-9a-f]{6,}")
ALIGNED = 64
LENGTHS = struct.Struct("=qQ")  # at the start of an answer: its stamp, and the length of its head
BFLOAT16 = "bfloat16"


@dataclass(frozen=True)
class Limits:
    """What one case may take: seconds, and mebibytes beyond what the worker holds when it is idle (0: no limit)."""

    seconds: float = 30.0
    mebibytes: int = 4096

    def __post_init__(self) -> None:
        if not 0 < self.seconds <= LONGEST_SECONDS:
            raise ValueError(f"limit_seconds={self.seconds}: must be above 0, and at most {LONGEST_SECONDS}")
        if not 0 <= self.mebibytes <= MOST_MEBIBYTES:
            raise ValueError(f"limit_mebibytes={self.mebibytes}: must be 0, which is no limit, to {MOST_MEBIBYTES}")


class WorkerError(RuntimeError):
    """The worker of a backend cannot be started, or cannot bring its answers back: no case is to blame."""


@dataclass(frozen=True)
class Raised:
    """The exception that a backend raised instead of answering."""

    kind: str
    message: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


@dataclass(frozen=True)
class Died:
    """The end of the process that was asked: CRASHED or TIMED_OUT, how, and the last lines that it printed."""

    outcome: Outcome
    reason: str
    printed: tuple[str, ...] = ()


Answer = list[Array | None] | Raised | Died


class Asked(Protocol):
    """A backend that is asked elsewhere than in this process; its record says what was found out there."""

    backend: Backend
    limits: Limits

    def ask(self, cases: Sequence[Case]) -> Iterator[Answer]:
        """Put cases to the backend, and return its answers as they come."""


def answer(backend: Backend, case: Case, caught: type[BaseException] = Exception) -> list[Array | None] | Raised:
    """Return what the backend answers: its outputs as arrays, or what it raised."""
    try:
        return perform(backend, case)
    except caught as error:  # whatever a backend raises is its answer
        return Raised(type(error).__name__, _message(error))


def _message(error: BaseException) -> str:
    try:
        return ADDRESS.sub("0x...", str(error)[:LONGEST_MESSAGE])  # which differ from run to run
    except Exception as worse:  # an exception of a backend may fail at this too
        return f"(its message raises {type(worse).__name__})"


def packed(answered: list[Array | None] | Raised, stamp: int) -> list[Any]:
    """Return an answer as pieces of bytes, which are views of its arrays where these are contiguous.

    stamp: a number that tells it from answers that were written to the same place before.
    What is too large to bring back, which may be one number that claims to be a great many, goes without its values: no
    case that the suite draws has such an answer.
    """
    if isinstance(answered, Raised):
        head: Any = {"kind": answered.kind, "message": answered.message}
        arrays = []
    else:
        large = sum(a.nbytes for a in answered if a is not None) > LARGEST_ANSWER
        told = [np.broadcast_to(NOTHING, a.shape) if a is not None and large else a for a in answered]
        head = [None if a is None else [_name(a.dtype), *a.shape] for a in told]
        arrays = [np.ascontiguousarray(a) for a in told if a is not None and a.dtype != NOTHING.dtype and a.size]
    text = json.dumps(head).encode("ascii")
    pieces: list[Any] = [LENGTHS.pack(stamp, len(text)), text, bytes(-(LENGTHS.size + len(text)) % ALIGNED)]
    for array in arrays:
        pieces += [array.reshape(-1).view(np.uint8).data, bytes(-array.nbytes % ALIGNED)]
    return pieces


def unpacked(buffer: memoryview, stamp: int) -> tuple[list[Array | None] | Raised, int]:
    """Return the answer at the start of the buffer, its arrays as views of it, and how many bytes it takes.

    Bytes that are no answer raise ValueError: the process that wrote them may have lost control of its memory.
    """
    try:
        found, length = LENGTHS.unpack_from(buffer)
        if found != stamp:
            raise ValueError(f"not the answer {stamp}, but {found}")
        end = LENGTHS.size + length
        head = json.loads(bytes(buffer[LENGTHS.size : end]))
        end += -end % ALIGNED
        if isinstance(head, dict):
            return Raised(str(head["kind"]), str(head["message"])), end
        outputs: list[Array | None] = []
        for entry in head:
            array = None if entry is None else _array(buffer, end, *entry)
            outputs.append(array)
            if array is not None and array.dtype != NOTHING.dtype:
                end += array.nbytes + -array.nbytes % ALIGNED
    except (struct.error, KeyError, TypeError, RecursionError, OverflowError) as error:
        raise ValueError(f"not an answer: {error}") from None
    return outputs, end


def _array(buffer: memoryview, start: int, name: str, *shape: int) -> Array:
    dtype = numpy_dtype(BFLOAT16) if name == BFLOAT16 else np.dtype(str(name))
    if not all(type(extent) is int and extent >= 0 for extent in shape):
        raise ValueError(f"not an answer: an array of shape {shape}")
    if dtype == NOTHING.dtype or 0 in shape:
        return np.broadcast_to(np.zeros((), dtype), shape)
    if dtype.kind not in "biufc" and dtype != numpy_dtype(BFLOAT16):  # others hold pointers, or code
        raise ValueError(f"not an answer: an array of dtype {name}")
    return np.ndarray(shape, dtype, buffer, start)


def _name(dtype: np.dtype[Any]) -> str:
    """Return what `unpacked` knows a dtype by; the order of its bytes belongs to it."""
    return BFLOAT16 if dtype == numpy_dtype(BFLOAT16) else dtype.str
