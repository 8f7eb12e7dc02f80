"""Ways for max pooling to tell wrong indices."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from conformance.formats import Array
from conformance.honest import fault
from conformance.mistakes import Call, Mistake, answering, where, windows
from conformance.model import Fault


def _indices(change: Callable[[list[Array], Call], Array]) -> Mistake:
    """Return the mistake of other indices: change(positions along the axes, call)."""

    def changed(indices: Array, call: Call) -> Array:
        return change(list(np.unravel_index(indices, call["input"].shape[2:])), call)

    return where(lambda call: call.get("return_indices"), answering(changed, output=1))


def _in_padded_plane(positions: list[Array], call: Call) -> Array:
    padding, sizes = windows(call).padding, call["input"].shape[2:]
    shape = tuple(n + low + high for n, (low, high) in zip(sizes, padding, strict=True))
    moved = tuple(p + low for p, (low, _) in zip(positions, padding, strict=True))
    return np.asarray(np.ravel_multi_index(moved, shape))


def _in_window(positions: list[Array], call: Call) -> Array:
    w, taps = windows(call), []
    for axis, position in enumerate(positions):
        first = np.arange(position.shape[2 + axis]) * w.stride[axis] - w.padding[axis][0]
        along = first.reshape(-1, *(1,) * (len(positions) - 1 - axis))
        taps.append((position - along) // w.dilation[axis])
    return np.asarray(np.ravel_multi_index(tuple(taps), w.kernel))


def _in_tensor(positions: list[Array], call: Call) -> Array:
    shape = call["input"].shape
    lead = np.indices((*positions[0].shape[:2], *(1,) * len(positions)))[:2]
    return np.asarray(np.ravel_multi_index((*lead, *positions), shape))


def _column_major(positions: list[Array], call: Call) -> Array:
    return np.asarray(np.ravel_multi_index(tuple(positions), call["input"].shape[2:], order="F"))


FAULTS: tuple[Fault, ...] = (
    fault(
        "max_pool2d-indices-in-padded-plane",
        "indices count the padding",
        "max_pool2d",
        "values",
        _indices(_in_padded_plane),
        kind="index",
    ),
    fault(
        "max_pool3d-indices-in-window",
        "indices count within the window",
        "max_pool3d",
        "values",
        _indices(_in_window),
        kind="index",
    ),
    fault(
        "max_pool1d-indices-in-tensor",
        "indices count over batch and channels too",
        "max_pool1d",
        "values",
        _indices(_in_tensor),
        kind="index",
    ),
    fault(
        "max_pool2d-indices-column-major",
        "indices count along columns",
        "max_pool2d",
        "values",
        _indices(_column_major),
        kind="axes",
    ),
    fault(
        "max_pool2d-indices-wrap",
        "indices are kept in 8 bits",
        "max_pool2d",
        "values",
        _indices(
            lambda positions, call: np.ravel_multi_index(tuple(positions), call["input"].shape[2:]).astype(np.int8)
        ),
        kind="dtype",
    ),
    fault(
        "max_pool1d-indices-float",
        "indices have the dtype of the input",
        "max_pool1d",
        "sizes",
        answering(lambda i, call: i.astype(np.float32), output=1),
        kind="dtype",
    ),
)
