"""Rectification and padding: other ways to copy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from conformance.formats import Array
from conformance.orders import in_accumulator
from conformance.variants import Variant
from reference.padding import pad as check_pad

MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


@in_accumulator
def maximum(acc: np.dtype[Any], input: Array) -> Array:
    """Return the larger of a number and 0."""
    return np.maximum(input, np.zeros((), input.dtype))


@in_accumulator
def masked(acc: np.dtype[Any], input: Array) -> Array:
    """Overwrite what is below 0 in a copy."""
    output = input.astype(acc)
    np.putmask(output, output < 0, 0)
    return output


@in_accumulator
def by_sign_bit(acc: np.dtype[Any], input: Array) -> Array:
    """Keep what has no sign bit, and NaN."""
    x = input.astype(acc)
    return np.where(np.signbit(x) & ~np.isnan(x), np.zeros((), acc), x)


def pairs(input: Array, pad: Sequence[int]) -> list[tuple[int, int]]:
    """Return (low, high) for every axis, the first one first."""
    given = list(zip(pad[::2], pad[1::2], strict=True))[::-1]
    return [(0, 0)] * (input.ndim - len(given)) + given


@in_accumulator
def by_numpy(
    acc: np.dtype[Any], input: Array, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Array:
    """Crop, and let numpy.pad do the rest."""
    check_pad(np.zeros(input.shape), pad, mode, value)
    sides = pairs(input, pad)
    cropped = input[
        tuple(slice(max(-low, 0), n - max(-high, 0)) for n, (low, high) in zip(input.shape, sides, strict=True))
    ]
    widths = [(max(low, 0), max(high, 0)) for low, high in sides]
    options: dict[str, Any] = {"constant_values": value or 0} if mode == "constant" else {}
    padding: Any = np.pad  # whose overloads know no mode that is a variable
    return np.asarray(padding(cropped.astype(acc), widths, MODES[mode], **options))


@in_accumulator
def by_copies(
    acc: np.dtype[Any], input: Array, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Array:
    """Take, axis by axis, for every place of the output the place that it is a copy of."""
    check_pad(np.zeros(input.shape), pad, mode, value)
    x = input.astype(acc)
    for axis, (low, high) in enumerate(pairs(input, pad)):
        n = x.shape[axis]
        at = np.arange(-low, n + high)
        source = {"reflect": n - 1 - abs(n - 1 - abs(at)), "circular": at % max(n, 1)}.get(
            mode, at.clip(0, max(n - 1, 0))
        )
        if mode == "constant":
            x = np.concatenate([x, np.full((*x.shape[:axis], 1, *x.shape[axis + 1 :]), value or 0, acc)], axis)
            source = np.where((at >= 0) & (at < n), at, n)
        x = x.take(source, axis)
    return x


VARIANTS = (
    Variant("relu-maximum", "the larger of the number and 0", "relu", maximum),
    Variant("relu-masked", "a copy in which what is below 0 is overwritten", "relu", masked),
    Variant("relu-sign-bit", "what has its sign bit set is 0", "relu", by_sign_bit),
    Variant("pad-numpy", "cropped, then padded by NumPy", "pad", by_numpy),
    Variant("pad-copies", "every place copied from another, axis by axis", "pad", by_copies),
)
