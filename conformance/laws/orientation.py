"""Laws of where things lie in a plane: moved, cut, read backwards, or with two axes swapped."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from conformance.formats import Array
from conformance.laws.numbers import (
    ADAPTIVE_MAXIMA,
    ADAPTIVE_MEANS,
    CONVOLUTIONS,
    MAXIMA,
    MEANS,
    ONE_CHANNEL,
    POWERS,
    TRANSPOSED,
)
from conformance.laws.windows import SLIDING, around, at, floored, whole, windows_of
from conformance.model import Arrays, Attributes, Call, Law

ADAPTIVE = (*ADAPTIVE_MAXIMA, *ADAPTIVE_MEANS)
OF_TWO_AXES = tuple(
    name
    for names in (CONVOLUTIONS, TRANSPOSED, MAXIMA, MEANS, POWERS, ADAPTIVE_MAXIMA, ADAPTIVE_MEANS)
    for name in names[1:]
)
AXIS_WISE = ("kernel_size", "stride", "padding", "dilation", "output_padding", "output_size")


def reversed_spatially(array: Array) -> Array:
    """Return an array read backwards along all its spatial axes."""
    return np.flip(array, tuple(range(2, array.ndim)))


def _shift(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    steps = (1,) * (arrays["input"].ndim - 2)
    if operator in CONVOLUTIONS:
        steps = windows_of(arrays, attributes).stride
    shifted = around(arrays["input"], [(s, 0) for s in steps])
    return [Call(operator, arrays, attributes), Call(operator, {**arrays, "input": shifted}, attributes)]


def _is_shifted(arrays: Arrays, attributes: Attributes, outputs: Sequence[Array]) -> tuple[Array, Array]:
    first, second = outputs
    return first, second[at(slice(b - a, None) for a, b in zip(first.shape[2:], second.shape[2:], strict=True))]


def _slicing(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    plain = {**attributes, "padding": 0} if operator not in POWERS else attributes
    axes = _sliced(arrays, plain)
    if not windows_of(arrays, plain).fit or not any(axes):
        return ()
    part = arrays["input"][at(slice(cut, None) for cut in axes)]
    return [Call(operator, arrays, plain), Call(operator, {**arrays, "input": part}, plain)]


def _sliced(arrays: Arrays, attributes: Attributes) -> list[int]:
    """Return by how much each axis can be cut at its start: by one stride, where two windows fit."""
    w = windows_of(arrays, attributes)
    return [s if n >= e + s else 0 for n, e, s in zip(w.sizes, w.extent, w.stride, strict=True)]


def _is_sliced(arrays: Arrays, attributes: Attributes, outputs: Sequence[Array]) -> tuple[Array, Array]:
    axes = _sliced(arrays, {**attributes, "padding": 0})
    return outputs[0][at(slice(1 if cut else 0, None) for cut in axes)], outputs[1]


def _reversal(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    x, given = arrays["input"], whole(attributes) if operator in TRANSPOSED else floored(attributes)
    turned = dict(arrays)
    if operator in ONE_CHANNEL:
        if attributes.get("mode") == "same":  # whose centre lies on one side where the kernel is even
            return ()
        turned = {name: np.flip(array) for name, array in arrays.items()}
        return [Call(operator, arrays, given), Call(operator, turned, given)]
    if operator not in (*ADAPTIVE, *TRANSPOSED):
        w = windows_of(arrays, given)
        if not w.fit or any(low != high for low, high in w.pairs):
            return ()
        if min(n - rest for n, rest in zip(w.sizes, w.left_over, strict=True)) < 1:
            return ()  # the only window lies in the padding but for what is left over
        x = x[at(slice(n - rest) for n, rest in zip(w.sizes, w.left_over, strict=True))]
    turned["input"] = reversed_spatially(x)
    if "weight" in arrays:
        turned["weight"] = reversed_spatially(arrays["weight"])
    return [Call(operator, {**arrays, "input": x}, given), Call(operator, turned, given)]


def _is_reversed(arrays: Arrays, attributes: Attributes, outputs: Sequence[Array]) -> tuple[Array, Array]:
    return outputs[0], np.flip(outputs[1]) if "kernel" in arrays else reversed_spatially(outputs[1])


def _transposition(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    turned = {name: array.swapaxes(-1, -2) if array.ndim > 3 else array for name, array in arrays.items()}
    swapped = {
        name: (*value[:-2], value[-1], value[-2]) if name in AXIS_WISE and isinstance(value, tuple) else value
        for name, value in attributes.items()
    }
    return [Call(operator, arrays, attributes), Call(operator, turned, swapped)]


def _is_transposed(arrays: Arrays, attributes: Attributes, outputs: Sequence[Array]) -> tuple[Array, Array]:
    return outputs[0], outputs[1].swapaxes(-1, -2)


LAWS = (
    Law(
        "shift",
        "zeros put before the input move the answer and change nothing else",
        (*CONVOLUTIONS, *TRANSPOSED),
        _shift,
        _is_shifted,
    ),
    Law(
        "slicing",
        "an input that begins a stride later gives the answer without its first",
        SLIDING,
        _slicing,
        _is_sliced,
    ),
    Law(
        "reversal",
        "reading everything backwards gives the answer backwards",
        (*SLIDING, *TRANSPOSED, *ADAPTIVE, *ONE_CHANNEL),
        _reversal,
        _is_reversed,
    ),
    Law(
        "transposition",
        "swapping the last two axes of everything swaps those of the answer",
        OF_TWO_AXES,
        _transposition,
        _is_transposed,
    ),
)
