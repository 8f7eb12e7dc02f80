"""Ways for columns that are added back onto windows, and for the matrix of a convolution, to be wrong."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from conformance.faults.unfolding import kernel_of, taps_flipped
from conformance.formats import Array
from conformance.honest import Binding, fault
from conformance.mistakes import Call, accepting, answering, calling, leaking, taking
from conformance.model import Fault


def _averaged(right: Binding, **call: Any) -> Array:
    """Divide by how many columns meet, as for an inverse of unfold."""
    counts = right(**{**call, "input": np.ones_like(call["input"])})
    return np.asarray(right(**call) / np.maximum(counts, 1)).astype(call["input"].dtype)


def _channels_last_of(call: Call) -> Array:
    n, rows, count = call["input"].shape
    taps = math.prod(kernel_of(call))
    return np.asarray(call["input"].reshape(n, taps, rows // taps, count).swapaxes(1, 2).reshape(n, rows, count))


def _margins(call: Call) -> list[tuple[int, int]]:
    padding = call.get("padding", 0)
    return [(p, p) for p in (padding if isinstance(padding, tuple) else (padding, padding))]


def _fitting_columns(call: Call) -> Call:
    """Return the call without its last column, which is one too many."""
    return {"input": call["input"][..., :-1]}


def _first_window_only(call: Call) -> Call:
    g, rows = call["cotangent"], len(call["cotangent"]) // len(call["weight"])
    kept = np.arange(len(g)) % rows == 0
    return {"cotangent": np.where(kept[:, np.newaxis], g, 0).astype(g.dtype)}


def _ungrouped(right: Binding, **call: Any) -> Array:
    """Give all groups the rows of the first one."""
    matrix, groups = right(**call), call.get("groups", 1)
    block = matrix[: matrix.shape[0] // groups, : matrix.shape[1] // groups]
    return np.asarray(np.kron(np.eye(groups, dtype=matrix.dtype), block))


FOLD = (
    fault(
        "fold-averaged",
        "where columns meet, their mean is taken, as for an inverse of unfold",
        "fold",
        "values",
        _averaged,
        kind="divisor",
    ),
    fault(
        "fold-channels-last",
        "a column is read as taps first, then the channels of each",
        "fold",
        "values",
        calling(lambda call: {"input": _channels_last_of(call)}),
        kind="axes",
    ),
    fault(
        "fold-flipped",
        "the taps of a window are read in reverse order",
        "fold",
        "values",
        calling(lambda call: {"input": taps_flipped(call["input"], call)}),
        dtype="float64",
        kind="index",
    ),
    fault(
        "fold-uncropped",
        "the padding stays in the output",
        "fold",
        "sizes",
        answering(lambda y, call: np.pad(y, [(0, 0), (0, 0), *_margins(call)])),
        kind="shape",
    ),
    fault(
        "fold-accepts-columns",
        "a column for which there is no window is left out",
        "fold",
        "rejections",
        accepting("windows", calling(_fitting_columns)),
        kind="acceptance",
    ),
    fault(
        "fold-nan-leaks",
        "a NaN in one sample reaches the others",
        "fold",
        "special",
        answering(leaking),
        kind="special",
    ),
    fault(
        "fold-gradient-of-a-sum",
        "the cotangent is taken to be ones, as of a sum",
        "fold",
        "gradients",
        taking("cotangent", np.ones_like),
        kind="gradient",
    ),
)

MATRIX = (
    fault(
        "conv_matrix-flipped",
        "the kernel is flipped, as in the matrix of a true convolution",
        "conv_matrix",
        "values",
        taking("weight", lambda w: np.flip(w, tuple(range(2, w.ndim)))),
        kind="index",
    ),
    fault(
        "conv_matrix-of-first-group",
        "every group has the weights of the first one",
        "conv_matrix",
        "values",
        _ungrouped,
        dtype="float64",
        kind="groups",
    ),
    fault(
        "conv_matrix-transposed",
        "the matrix has inputs along its rows",
        "conv_matrix",
        "sizes",
        answering(lambda y, call: y.T),
        kind="axes",
    ),
    fault(
        "conv_matrix-accepts-groups",
        "output channels that fill no group are left out",
        "conv_matrix",
        "rejections",
        accepting("output-channels", calling(lambda call: {"weight": call["weight"][:2]})),
        kind="acceptance",
    ),
    fault(
        "conv_matrix-nan-spreads",
        "a NaN reaches the zeros of its row",
        "conv_matrix",
        "special",
        answering(lambda y, call: y + 0 * y.sum(1, keepdims=True)),
        kind="special",
    ),
    fault(
        "conv_matrix-gradient-of-first-window",
        "a weight gets the gradient of the first window only",
        "conv_matrix",
        "gradients",
        calling(_first_window_only),
        kind="gradient",
    ),
)

FAULTS: tuple[Fault, ...] = (*FOLD, *MATRIX)
