"""Ways to misread an array that lies otherwise in memory than in rows; every operator has some of them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle, islice

import numpy as np

from conformance.formats import DTYPES, Array
from conformance.honest import fault
from conformance.mistakes import Call, Mistake, calling
from conformance.model import Fault
from conformance.operators import operators


def misreading(read: Callable[[Array], Array], only: str = "") -> Mistake:
    """Return the mistake of reading arrays, or the one of that name, otherwise than they lie."""

    def change(call: Call) -> Call:
        arrays = {name: value for name, value in call.items() if isinstance(value, np.ndarray) and only in ("", name)}
        return {name: np.ascontiguousarray(read(array)).reshape(array.shape) for name, array in arrays.items()}

    return calling(change)


def _as_rows(array: Array) -> Array:
    """Read the numbers in the order in which they lie."""
    return array.ravel(order="K")


def _without_gaps(array: Array) -> Array:
    """Read the last axis as if its numbers lay next to one another."""
    if not array.ndim or array.strides[-1] <= array.itemsize:
        return array
    return np.lib.stride_tricks.as_strided(array, array.shape, (*array.strides[:-1], array.itemsize))


def _forwards(array: Array) -> Array:
    """Read an axis of negative stride from its start in memory."""
    backwards = tuple(axis for axis, stride in enumerate(array.strides) if stride < 0)
    return np.flip(array, backwards) if backwards else array


def _once(array: Array) -> Array:
    """Read an axis whose numbers share their memory as one number and zeros."""
    shared = [axis for axis, stride in enumerate(array.strides) if stride == 0 and array.shape[axis] > 1]
    if not shared:
        return array
    copy = np.zeros_like(array, order="C")
    first = tuple(slice(1) if axis in shared else slice(None) for axis in range(array.ndim))
    copy[first] = array[first]
    return copy


def _aligned(array: Array) -> Array:
    """Read dense numbers from the last address that a vector instruction likes."""
    if not array.flags.c_contiguous or array.ctypes.data % (2 * array.itemsize) == 0:
        return array
    return np.roll(array.ravel(), 1)


MISREAD: tuple[tuple[str, str, Callable[[Array], Array]], ...] = (
    ("memory-order", "numbers are read in the order in which they lie in memory", _as_rows),
    ("gaps-read", "gaps between the numbers of the last axis are read as numbers", _without_gaps),
    ("negative-stride", "an axis of negative stride is read from its start in memory", _forwards),
    ("stride-zero", "an axis of stride 0 is read once, and as zeros from there on", _once),
    ("aligned-loads", "an array that is not aligned is read from the aligned address before it", _aligned),
)


def _turns() -> tuple[Fault, ...]:
    """Return two of the mistakes for each operator, in turn."""
    turn, dtypes = cycle(MISREAD), cycle(DTYPES)
    return tuple(
        fault(f"{name}-{slug}", told, name, "layouts", misreading(read), dtype=next(dtypes), kind="layout")
        for name in operators()
        for slug, told, read in islice(turn, 2)
    )


FAULTS = (
    *_turns(),
    fault(
        "conv2d-weight-memory-order",
        "the weight alone is read in the order in which it lies in memory",
        "conv2d",
        "layouts",
        misreading(_as_rows, "weight"),
        kind="layout",
    ),
)
