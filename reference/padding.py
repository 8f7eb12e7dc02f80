"""Padding as an operator: torch.nn.functional.pad, in all its modes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from reference.arrays import Array, widen
from reference.constraints import refuse, whole

PAD_MODES = ("constant", "reflect", "replicate", "circular")


def pad(input: ArrayLike, pad: Sequence[int], mode: str = "constant", value: Any = None) -> Array:
    """Pad the last axes of an array, or crop them where the padding is negative.

    Formula: along an axis of length n, output[i] = input[f(i - low)] with f the identity, and `value` outside
    ("constant"); |j| mirrored again at n - 1 ("reflect"); clipped to 0 .. n - 1 ("replicate"); modulo n
    ("circular").

    Shapes: input any; pad (low, high) of the last axis, then (low, high) of the one before, and so on; output
    n + low + high along each padded axis.

    Units: those of input; `value` (None: 0) has them too.

    Constraints: `dtype`: numeric; `pad`: whole numbers, an even count of them, at most two for each axis;
    `mode`: constant, reflect, replicate or circular; `value`: one number, None outside mode constant;
    `pad-size`: padding of less than n (reflect), of at most n (circular), on a non-empty axis (replicate);
    `output-size`: no axis of negative length.

    Accuracy: exact, copies only; the sign of zero is kept.

    Source: PyTorch, torch.nn.functional.pad.

    >>> pad([[1, 2, 3]], (2, 1), mode="reflect")
    array([[3, 2, 1, 2, 3, 2]])
    >>> pad([[1, 2, 3]], (-1, 1, 1, 0), value=9)
    array([[9, 9, 9],
           [2, 3, 9]])
    """
    x = widen("input", input)
    pairs = _pairs(pad, x)
    if mode not in PAD_MODES:
        refuse("mode", "mode", mode, f"must be one of {', '.join(PAD_MODES)}")
    if mode != "constant" and value is not None:
        refuse("value", "value", value, f"must be None in mode {mode}")
    fill = widen("value", 0 if value is None else value)
    if fill.ndim:
        refuse("value", "value", value, "must be one number")
    for axis, (low, high) in pairs:
        n = x.shape[axis]
        if n + low + high < 0:
            refuse("output-size", "pad", tuple(pad), f"leaves axis {axis} of length {n} with a negative length")
        limit = {"constant": None, "reflect": n - 1, "replicate": None if n else 0, "circular": n}[mode]
        if limit is not None and max(low, high) > limit:
            refuse(
                "pad-size",
                "pad",
                tuple(pad),
                f"in mode {mode} must be at most {limit} on axis {axis} of length {n}",
            )
    for axis, (low, high) in pairs:
        x = _pad_axis(x, axis, low, high, mode, fill)
    return x


def _pairs(pad: Sequence[int], x: Array) -> list[tuple[int, tuple[int, int]]]:
    if not isinstance(pad, Sequence) or isinstance(pad, str):
        refuse("pad", "pad", pad, "must be a sequence of whole numbers")
    numbers = [whole("pad", "pad", n, -(2**62)) for n in pad]
    if len(numbers) % 2 or len(numbers) > 2 * x.ndim:
        refuse(
            "pad",
            "pad",
            tuple(pad),
            f"must have an even number of entries, at most two for each of {x.ndim} axes",
        )
    return [(x.ndim - 1 - i, (numbers[2 * i], numbers[2 * i + 1])) for i in range(len(numbers) // 2)]


def _pad_axis(x: Array, axis: int, low: int, high: int, mode: str, fill: Array) -> Array:
    n = x.shape[axis]
    source = np.arange(-low, n + high)
    if mode == "constant":
        inside = (source >= 0) & (source < n)
        shape = list(x.shape)
        shape[axis] = len(source)
        result = np.full(shape, fill, np.result_type(x, fill))
        front = (slice(None),) * axis
        result[(*front, inside)] = x[(*front, source[inside])]
        return result
    if mode == "reflect":
        source = np.abs(source)
        source = np.where(source >= n, 2 * (n - 1) - source, source)
    elif mode == "replicate":
        source = np.clip(source, 0, n - 1)
    else:
        source = source % max(n, 1)
    return np.take(x, source, axis)
