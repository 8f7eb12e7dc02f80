"""Laws of what slides a window: each takes one argument apart, so that what is left is the plain operator.

A stride is what a stride of 1 gives, read in steps; padding is what was put around the input by hand; and so on.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from conformance.formats import Array
from conformance.laws.numbers import CONVOLUTIONS, MAXIMA, MEANS, POWERS, TRANSPOSED, same
from conformance.model import Arrays, Attributes, Call, Law

Pairs = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Windows:
    """The window arguments of a call, a number for each spatial axis; padding may also be a name."""

    sizes: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: Any

    @property
    def extent(self) -> tuple[int, ...]:
        """How many elements a window reaches over."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True))

    @property
    def pairs(self) -> Pairs:
        """How much is put before and behind each axis; a name counts as what it stands for at a stride of 1."""
        if self.padding == "same":
            return tuple(((e - 1) // 2, e // 2) for e in self.extent)
        widths = per_axis(0 if self.padding == "valid" else self.padding, len(self.sizes))
        return tuple((p, p) for p in widths)

    @property
    def room(self) -> tuple[int, ...]:
        """How far the first window could move on each axis; negative where it does not fit."""
        return tuple(n + sum(p) - e for n, p, e in zip(self.sizes, self.pairs, self.extent, strict=True))

    @property
    def fit(self) -> bool:
        """Whether at least one window fits on each axis."""
        return min(self.room) >= 0

    @property
    def counts(self) -> tuple[int, ...]:
        """How many windows fit on each axis."""
        return tuple(room // s + 1 for room, s in zip(self.room, self.stride, strict=True))

    @property
    def left_over(self) -> tuple[int, ...]:
        """How many elements of the padded input lie behind the last window."""
        return tuple(room % s for room, s in zip(self.room, self.stride, strict=True))


def per_axis(value: Any, rank: int) -> tuple[int, ...]:
    """Return one number for each axis."""
    return tuple(value) if isinstance(value, tuple | list) else (value,) * rank


def windows_of(arrays: Arrays, attributes: Attributes, **changes: Any) -> Windows:
    """Return the window arguments of a convolution or a pooling, some of them changed."""
    given = {**attributes, **changes}
    sizes = arrays["input"].shape[2:]
    rank = len(sizes)
    kernel = arrays["weight"].shape[2:] if "weight" in arrays else per_axis(given["kernel_size"], rank)
    stride = given.get("stride", 1 if "weight" in arrays else kernel)
    dilation = per_axis(given.get("dilation", 1), rank)
    return Windows(sizes, kernel, per_axis(stride, rank), dilation, given.get("padding", 0))


def floored(attributes: Attributes) -> dict[str, Any]:
    """Return the attributes without a ceil mode."""
    return {name: value for name, value in attributes.items() if name != "ceil_mode"}


def whole(attributes: Attributes) -> dict[str, Any]:
    """Return the attributes of a transpose of which nothing is cut off and to which nothing is added."""
    return {name: value for name, value in attributes.items() if name not in ("padding", "output_padding")}


def around(array: Array, pairs: Sequence[tuple[int, int]], value: float = 0) -> Array:
    """Return an array with a value put around its spatial axes."""
    return np.pad(array, ((0, 0), (0, 0), *pairs), constant_values=value)


def spread(array: Array, steps: Sequence[int]) -> Array:
    """Return an array with zeros between the elements of its spatial axes, which then lie `steps` apart."""
    sizes = tuple(d * (k - 1) + 1 for k, d in zip(array.shape[2:], steps, strict=True))
    result = np.zeros((*array.shape[:2], *sizes), array.dtype)
    result[every(steps)] = array
    return result


def at(axes: Iterable[slice]) -> tuple[Any, ...]:
    """Return the index of a part of each spatial axis."""
    return (..., *axes)


def every(steps: Sequence[int]) -> tuple[Any, ...]:
    """Return the index of every so many-th element of each spatial axis."""
    return at(slice(None, None, s) for s in steps)


def _stride(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    given = floored(attributes)
    w = windows_of(arrays, given)
    if max(w.stride) == 1 or not w.fit:
        return ()
    return [Call(operator, arrays, given), Call(operator, arrays, {**given, "stride": 1})]


def _is_every(arrays: Arrays, attributes: Attributes, outputs: Sequence[Array]) -> tuple[Array, Array]:
    return outputs[0], outputs[1][every(windows_of(arrays, attributes).stride)]


def _padding(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    given = floored(attributes)
    w = windows_of(arrays, given)
    if max(map(max, w.pairs)) == 0 or given.get("count_include_pad") is False:
        return ()
    plain = {**given, "padding": 0}
    if operator in TRANSPOSED:  # which takes it off the answer
        return [Call(operator, arrays, given), Call(operator, arrays, plain)]
    if not w.fit:
        return ()
    outside = -math.inf if operator in MAXIMA else 0
    by_hand = {**arrays, "input": around(arrays["input"], w.pairs, outside)}
    return [Call(operator, arrays, given), Call(operator, by_hand, plain)]


def _is_padded(arrays: Arrays, attributes: Attributes, outputs: Sequence[Array]) -> tuple[Array, Array]:
    sizes = zip(outputs[0].shape[2:], outputs[1].shape[2:], strict=True)
    return outputs[0], outputs[1][at(slice((b - a) // 2, b - (b - a) // 2) for a, b in sizes)]


def _composition(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    given = floored(attributes)
    w = windows_of(arrays, given)
    step, reach = _apart(arrays, given), w.extent[-1]
    if not w.fit or w.room[-1] < step:
        return ()
    if operator in MAXIMA:
        if step > reach or w.dilation[-1] > 1:
            return ()  # what lies between the windows would be seen as well
        wider = {**given, "stride": w.stride, "kernel_size": (*w.kernel[:-1], reach + step)}
        return [Call(operator, arrays, given), Call(operator, arrays, wider)]
    weight = spread(arrays["weight"], (*(1,) * (len(w.kernel) - 1), w.dilation[-1]))
    gap = np.zeros((*weight.shape[:-1], step - reach), weight.dtype)
    both = {name: array + array for name, array in arrays.items() if name == "bias"}
    padded = around(arrays["input"], w.pairs)
    plain = {**given, "padding": 0, "dilation": (*w.dilation[:-1], 1)}
    inputs = {"input": padded, "weight": np.concatenate((weight, gap, weight), -1), **both}
    return [Call(operator, arrays, given), Call(operator, inputs, plain)]


def _apart(arrays: Arrays, attributes: Attributes) -> int:
    """Return how many elements two windows lie apart: neighbours of a pool, those of a layer that share nothing."""
    w = windows_of(arrays, attributes)
    return w.stride[-1] * (-(-w.extent[-1] // w.stride[-1]) if "weight" in arrays else 1)


def _is_composed(arrays: Arrays, attributes: Attributes, outputs: Sequence[Array]) -> tuple[Array, Array]:
    step = _apart(arrays, attributes) // windows_of(arrays, attributes).stride[-1]
    one, other = outputs[0][..., :-step], outputs[0][..., step:]
    return one + other if "weight" in arrays else np.maximum(one, other), outputs[1]


def _dilation(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    w = windows_of(arrays, attributes)
    if not any(k > 1 and d > 1 for k, d in zip(w.kernel, w.dilation, strict=True)):
        return ()
    given = whole(attributes) if operator in TRANSPOSED else attributes
    stuffed = {**arrays, "weight": spread(arrays["weight"], w.dilation)}
    return [Call(operator, arrays, given), Call(operator, stuffed, {**given, "dilation": 1})]


SLIDING = (*CONVOLUTIONS, *MAXIMA, *MEANS, *POWERS)

LAWS = (
    Law("stride", "a stride takes every so many-th of the answers at a stride of 1", SLIDING, _stride, _is_every),
    Law(
        "padding",
        "padding is the same as what is put around the input by hand, or taken off the answer of a transpose",
        (*CONVOLUTIONS, *TRANSPOSED, *MAXIMA, *MEANS),
        _padding,
        _is_padded,
    ),
    Law(
        "composition",
        "two windows, added or compared, are one window that reaches over both",
        (*CONVOLUTIONS, *MAXIMA),
        _composition,
        _is_composed,
    ),
    Law(
        "dilation",
        "a dilated kernel is the same as one with zeros between its taps",
        (*CONVOLUTIONS, *TRANSPOSED),
        _dilation,
        same,
    ),
)
