"""Ways to write to what was given, to keep what should be forgotten, and to share memory; every operator has some.

Each has a memory of its own: a mistake that remembers is made anew for every fault.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import cycle, islice
from typing import Any

import numpy as np

from conformance.formats import DTYPES, Array
from conformance.honest import Binding, fault
from conformance.mistakes import Call, Mistake
from conformance.model import Fault
from conformance.operators import operators


def _floats(call: Call) -> list[Array]:
    return [value for value in call.values() if isinstance(value, np.ndarray) and value.dtype.kind != "i"]


def _first(result: Any) -> Array:
    array: Array = result[0] if isinstance(result, tuple) else result
    return array


def _with_first(result: Any, first: Array) -> Any:
    return (first, *result[1:]) if isinstance(result, tuple) else first


def _key(call: Call) -> tuple[Any, ...]:
    return tuple((name, value.shape, value.dtype) for name, value in call.items() if isinstance(value, np.ndarray))


def _writes_to_input() -> Mistake:
    def mistake(right: Binding, **call: Any) -> Any:
        result = right(**call)
        _floats(call)[0][...] *= 0.5
        return result

    return mistake


def _writes_to_last() -> Mistake:
    def mistake(right: Binding, **call: Any) -> Any:
        result = right(**call)
        np.negative(_floats(call)[-1], out=_floats(call)[-1])
        return result

    return mistake


def _sign_of_zeros() -> Mistake:
    """Give every other answer with -0 for 0."""
    sign = cycle((0.0, -0.0))

    def mistake(right: Binding, **call: Any) -> Any:
        result = right(**call)
        first = _first(result)
        return _with_first(result, np.where(first == 0, next(sign), first).astype(first.dtype))

    return mistake


def _one_buffer() -> Mistake:
    kept: dict[tuple[Any, ...], Array] = {}

    def mistake(right: Binding, **call: Any) -> Any:
        result = right(**call)
        buffer = kept.setdefault((_first(result).shape, _first(result).dtype), np.empty_like(_first(result)))
        buffer[...] = _first(result)
        return _with_first(result, buffer)

    return mistake


def _plan_by_shapes() -> Mistake:
    """Keep the answer's first number for every shape: what a plan remembers without looking at the attributes."""
    plans: dict[tuple[Any, ...], dict[str, Any]] = {}

    def mistake(right: Binding, **call: Any) -> Any:
        arrays = {name: value for name, value in call.items() if isinstance(value, np.ndarray)}
        attributes = {name: value for name, value in call.items() if name not in arrays}
        result, key = right(**call), _key(call)
        if plans.get(key, attributes) != attributes:
            result = _with_first(result, _first(result) + np.ones((), _first(result).dtype))
        plans[key] = attributes
        return result

    return mistake


def _not_cleared() -> Mistake:
    """Add to what the last call of the same shapes left behind."""
    left: dict[tuple[Any, ...], Array] = {}

    def mistake(right: Binding, **call: Any) -> Any:
        result, key = right(**call), _key(call)
        total = _first(result) + left.get(key, np.zeros_like(_first(result)))
        left[key] = _first(result)
        return _with_first(result, total.astype(_first(result).dtype))

    return mistake


def _scratch_read() -> Mistake:
    """Multiply by 0, and add, what the scratch memory held before."""
    scratch = [0.0]

    def mistake(right: Binding, **call: Any) -> Any:
        result = right(**call)
        with np.errstate(all="ignore"):
            before, scratch[0] = 0 * scratch[0], float(sum(part.astype(np.float64).sum() for part in _floats(call)))
            return _with_first(result, (_first(result) + before).astype(_first(result).dtype))

    return mistake


def _now_and_then() -> Mistake:
    """Lose the last number in every third call."""
    calls = [0]

    def mistake(right: Binding, **call: Any) -> Any:
        result = right(**call)
        calls[0] += 1
        if calls[0] % 3 == 0 and _first(result).size:
            _first(result)[(-1,) * _first(result).ndim] += 1
        return result

    return mistake


def _for_one_thread() -> Mistake:
    """Work in memory that a second thread writes to meanwhile."""
    lock = threading.Lock()

    def mistake(right: Binding, **call: Any) -> Any:
        if not lock.acquire(blocking=False):
            result = right(**call)
            return _with_first(result, _first(result) + np.ones((), _first(result).dtype))
        try:
            threading.Event().wait(0.002)  # long enough for the other threads to come
            return right(**call)
        finally:
            lock.release()

    return mistake


REMEMBERED: tuple[tuple[str, str, str, Callable[[], Mistake]], ...] = (
    ("writes-to-input", "the first array is halved in place", "aliasing", _writes_to_input),
    ("one-buffer", "all answers of a shape share one buffer", "aliasing", _one_buffer),
    ("not-cleared", "what the last call of the same shapes left behind is added", "state", _not_cleared),
    ("scratch-read", "scratch memory is read before it is written", "state", _scratch_read),
    ("now-and-then", "every third call gets its last number wrong", "nondeterminism", _now_and_then),
    ("writes-to-last", "the last array changes its sign in place", "aliasing", _writes_to_last),
)


def _turns() -> tuple[Fault, ...]:
    """Return two of the mistakes for each operator, in turn."""
    turn, dtypes = cycle(REMEMBERED), cycle(DTYPES)
    return tuple(
        fault(f"{name}-{slug}", told, name, "purity", made(), dtype=next(dtypes), kind=kind)
        for name in operators()
        for slug, told, kind, made in islice(turn, 2)
    )


# What keeps a plan must have attributes that a plan could depend on.
PLANNED = ("conv1d", "conv2d", "conv_transpose2d", "max_pool2d", "avg_pool2d", "batch_norm", "layer_norm", "pad")
FAULTS = (
    *_turns(),
    *(
        fault(
            f"{name}-plan-by-shapes",
            "a plan that is kept by the shapes alone serves other attributes too",
            name,
            "purity",
            _plan_by_shapes(),
            kind="state",
        )
        for name in PLANNED
    ),
    *(
        fault(
            f"{name}-for-one-thread",
            "two threads work in the same memory",
            name,
            "purity",
            _for_one_thread(),
            kind="nondeterminism",
        )
        for name in ("conv2d", "relu", "batch_norm")
    ),
    *(
        fault(
            f"{name}-signs-of-zeros",
            "the sign of a zero is another one every other time",
            name,
            "purity",
            _sign_of_zeros(),
            kind="nondeterminism",
        )
        for name in ("relu", "conv2d", "pad")
    ),
)
