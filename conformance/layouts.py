"""How NumPy arrays may lie in memory: layouts for backends whose tensors are NumPy arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from conformance.formats import Array


def _channels_last(array: Array) -> Array:
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 1, -1)), -1, 1) if array.ndim > 2 else array


def _transposed(array: Array) -> Array:
    return np.array(array, order="F")


def _strided(array: Array) -> Array:
    """Let a gap follow every number: NaN, or the largest of whole numbers."""
    wide = np.full((*array.shape, 2), np.nan if array.dtype.kind != "i" else np.iinfo(array.dtype).max, array.dtype)
    wide[..., 0] = array
    return wide[..., 0]


def _offset(array: Array) -> Array:
    wide = np.empty(array.size + 1, array.dtype)
    wide[1:] = array.ravel()
    return wide[1:].reshape(array.shape)


def _broadcast(array: Array) -> Array:
    same = array.ndim > 0 and array.shape[0] > 1 and np.array_equal(array, np.broadcast_to(array[:1], array.shape))
    return np.broadcast_to(array[:1].copy(), array.shape) if same else array


def _reversed(array: Array) -> Array:
    return np.flip(np.flip(array).copy())


NUMPY_LAYOUTS: Mapping[str, Callable[[Array], Array]] = {
    "channels_last": _channels_last,
    "transposed": _transposed,
    "strided": _strided,
    "offset": _offset,
    "broadcast": _broadcast,
    "reversed": _reversed,
}
