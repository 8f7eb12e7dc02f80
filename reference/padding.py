"""Padding as an operator: torch.nn.functional.pad, in all its modes.

Every mode copies blocks of the input to blocks of the output. Where they lie is decided once, for the padding and
for its adjoint, which adds every block back onto what it is a copy of.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from reference.arrays import Array, widen
from reference.constraints import one_of, refuse, whole
from reference.windows import Index, Pair

PAD_MODES = ("constant", "reflect", "replicate", "circular")


def pad(input: ArrayLike, pad: Sequence[int], mode: str = "constant", value: Any = None) -> Array:
    """Pad the last axes of an array, or crop them where the padding is negative.

    Formula: along an axis of length n, output[i] = input[f(i - low)] with f the identity, and `value` outside
    ("constant"); |j| mirrored again at n - 1 ("reflect"); clipped to 0 .. n - 1 ("replicate"); modulo n
    ("circular"). In every mode f is that of the whole input, also of what the other side crops.

    Shapes: input any; pad (low, high) of the last axis, then (low, high) of the one before, and so on; output
    n + low + high along each padded axis.

    Units: those of input; `value` (None: 0) has them too.

    Constraints: `dtype`: numeric; `pad`: whole numbers, an even count of them, at most two for each axis;
    `mode`: constant, reflect, replicate or circular; `value`: one number, None outside mode constant;
    `pad-size`: padding of less than n (reflect), of at most n (circular), on a non-empty axis (replicate), or none;
    `output-size`: no axis of negative length.

    Accuracy: exact, copies only; the sign of zero is kept. Integers padded with a float become float64, which
    rounds those beyond 2**53.

    Source: PyTorch, torch.nn.functional.pad; but where one side of an axis is cropped and the other is padded in mode
    "circular", PyTorch 2.13 repeats what cropping leaves, or fails, or returns memory that nobody wrote (its issue
    176254).

    >>> pad([[1, 2, 3]], (2, 1), mode="reflect")
    array([[3, 2, 1, 2, 3, 2]])
    >>> pad([[1, 2, 3]], (-1, 1, 1, 0), value=9)
    array([[9, 9, 9],
           [2, 3, 9]])
    >>> pad([1, 2, 3], (1, -1), mode="circular")
    array([3, 1, 2])
    """
    call = pad_call(input, pad, mode, value)
    if call.fill is None:
        result = np.empty(call.output, call.x.dtype)
    else:
        result = np.full(call.output, call.fill, np.result_type(call.x, call.fill))
    for target, source in _blocks(call.x.shape, call.pairs, call.mode):
        result[target] = call.x[source]
    return result


class PadCall(NamedTuple):
    """Checked arguments of a padding: (low, high) of every axis, and the number outside, if there is one."""

    x: Array
    pairs: list[Pair]
    mode: str
    fill: Array | None

    @property
    def output(self) -> tuple[int, ...]:
        return tuple(n + low + high for n, (low, high) in zip(self.x.shape, self.pairs, strict=True))


def pad_call(input: ArrayLike, pad: Sequence[int], mode: str, value: Any) -> PadCall:
    """Return the checked arguments."""
    x = widen("input", input)
    pairs = _pairs(pad, x.ndim)
    one_of("mode", "mode", mode, PAD_MODES)
    if mode != "constant" and value is not None:
        refuse("value", "value", value, f"must be None in mode {mode}")
    fill = widen("value", 0 if value is None else value)
    if fill.ndim:
        refuse("value", "value", value, "must be one number")
    for axis, (n, (low, high)) in enumerate(zip(x.shape, pairs, strict=True)):
        if low == high == 0:
            continue  # copied as it is, even where it is empty
        if n + low + high < 0:
            refuse("output-size", "pad", tuple(pad), f"leaves axis {axis} of length {n} with a negative length")
        most = {"reflect": n - 1, "circular": n, "replicate": math.inf if n else 0, "constant": math.inf}[mode]
        if max(low, high) > most:
            rule = f"in mode {mode} must be at most {most} on axis {axis} of length {n}"
            refuse("pad-size", "pad", tuple(pad), rule)
    return PadCall(x, pairs, mode, fill if mode == "constant" else None)


def pad_adjoint(y: Array, shape: Sequence[int], pairs: Sequence[Pair], mode: str) -> Array:
    """Return x of that shape with <pad(x', ...), y> = <x', x> for all x': what was copied is added back."""
    result = np.zeros(shape, y.dtype)
    for target, source in _blocks(shape, pairs, mode):
        onto, part = result[(..., *source)], y[target]  # with the dots it is a view also where there is no axis
        repeated = tuple(axis for axis in range(y.ndim) if part.shape[axis] != onto.shape[axis])
        with np.errstate(over="ignore", invalid="ignore"):
            onto += part.sum(repeated, keepdims=True) if repeated else part
    return result


def _pairs(pad: Sequence[int], rank: int) -> list[Pair]:
    """Return (low, high) of every axis, first axis first."""
    if not isinstance(pad, Sequence) or isinstance(pad, (str, bytes)):
        refuse("pad", "pad", pad, "must be a sequence of whole numbers")
    numbers = [whole("pad", "pad", n, -(2**62)) for n in pad]
    if len(numbers) % 2 or len(numbers) > 2 * rank:
        refuse(
            "pad",
            "pad",
            tuple(pad),
            f"must have an even number of entries, at most two for each of {rank} axes",
        )
    pairs = list(zip(numbers[::2], numbers[1::2], strict=True))
    return [(0, 0)] * (rank - len(pairs)) + pairs[::-1]


def _blocks(shape: Sequence[int], pairs: Sequence[Pair], mode: str) -> list[tuple[Index, Index]]:
    """Return blocks of the output, and the block of the input that each one is a copy of."""
    runs = [_runs(n, low, high, mode) for n, (low, high) in zip(shape, pairs, strict=True)]
    targets, sources = ([[run[side] for run in axis] for axis in runs] for side in (0, 1))
    return list(zip(product(*targets), product(*sources), strict=True))


def _runs(n: int, low: int, high: int, mode: str) -> list[tuple[slice, slice]]:
    """Return the runs of an axis of length n: where in the output, and the part of the input that is copied there."""
    if low == high == 0:
        return [(slice(None), slice(None))]
    first, last = -low, n + high  # of the output, counted as the input is
    before, inside, after = (first, min(0, last)), (max(0, first), min(n, last)), (max(n, first), last)
    runs = []
    for start, stop in (inside,) if mode == "constant" else (before, inside, after):
        if start < stop:
            runs.append((slice(start - first, stop - first), _copied(start, stop, n, mode)))
    return runs


def _copied(start: int, stop: int, n: int, mode: str) -> slice:
    """Return what the elements from start to stop are copies of, all inside 0 .. n - 1 or all on one side of it."""
    if 0 <= start < n:
        return slice(start, stop)
    edge = 0 if start < 0 else n - 1
    if mode == "replicate":
        return slice(edge, edge + 1)
    if mode == "circular":
        shift = n if start < 0 else -n
        return slice(start + shift, stop + shift)
    end = 2 * edge - stop
    return slice(2 * edge - start, end if end >= 0 else None, -1)
