"""What activations share: real numbers in, float64 out, a few thousand of them at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Real

import numpy as np

from reference.arrays import Array, widen
from reference.constraints import refuse

BLOCK = 3 * 2**12  # numbers: every temporary array stays in the cache, and is too small to be mapped anew each time


def real(argument: str, value: object) -> Array:
    """Return the argument widened, or refuse complex numbers."""
    x = widen(argument, value)
    if x.dtype.kind == "c":
        refuse("dtype", argument, x.dtype.name, "must be real: complex numbers have no order")
    return x


def floats(argument: str, value: object) -> Array:
    """Return the argument as a float64 array, or refuse complex numbers."""
    return real(argument, value).astype(np.float64, copy=False)


def limit(label: str, argument: str, value: object) -> float:
    """Return a real number, which may be infinite, or refuse."""
    try:
        number = float(value) if isinstance(value, Real) else math.nan
    except OverflowError:  # a whole number that no float64 holds
        number = math.nan
    if math.isnan(number):
        refuse(label, argument, value, "must be a real number that float64 holds")
    return number


def blockwise(function: Callable[..., Array], *arrays: Array) -> Array:
    """Return function(*arrays) of arrays of one shape, where the function works elementwise, on flat arrays."""
    flat = [array.reshape(-1) for array in arrays]
    shape, size = arrays[0].shape, arrays[0].size
    with np.errstate(all="ignore"):  # what overflows or is undefined on the way is meant to
        if size <= BLOCK:
            return function(*flat).reshape(shape)
        result = np.empty(size, np.result_type(np.float64, *arrays))
        for start in range(0, size, BLOCK):
            part = slice(start, start + BLOCK)
            result[part] = function(*[array[part] for array in flat])
    return result.reshape(shape)


def at_once(function: Callable[[Array], Array], array: Array) -> Array:
    """Return function(array) of an elementwise function on flat arrays that makes one array and works in place."""
    with np.errstate(all="ignore"):
        return function(array.reshape(-1)).reshape(array.shape)
