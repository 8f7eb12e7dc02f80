"""Max pooling: the largest element of each window, and where it is.

Padding never wins. `largest` and `first_largest` serve every layer that takes maxima, whatever its windows are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from reference.arrays import Array
from reference.constraints import flag, one_of, refuse
from reference.pooling_windows import Line, Windows, at, picked, pool_windows, pooled
from reference.ranks import of_rank
from reference.windows import Padding, Sizes

FEW = 2**12  # elements of all windows together: looking at so few at once is faster than a loop
NAN_RULES = ("propagate", "ignore")


class MaxPool(NamedTuple):
    """Maxima, and where each was found: a flat index into the spatial axes of the unpadded input."""

    output: Array
    indices: Array


def max_pool(
    rank: int,
    input: ArrayLike,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Padding = 0,
    dilation: Sizes = 1,
    ceil_mode: bool | str = False,
    return_indices: bool = False,
    nan: str = "propagate",
) -> Array | MaxPool:
    """Take the largest element of each window.

    Formula: output[n, c, u] = max over taps t of input[n, c, u * stride + t * dilation - low], over the taps
    that lie inside the input; -inf (integers: the least one) where none does.

    Shapes: input (N, C, *spatial) or (C, *spatial); output (N, C, *windows), windows = `pool_output_size`;
    indices alike, each a flat index into the spatial axes, -1 where no tap lies inside. Of equal elements the
    first counts.

    Units: those of input. `stride` None is the kernel size. `nan`: "propagate" (a NaN wins, the last one
    gives the index: PyTorch) or "ignore" (a NaN never wins, -inf where there is nothing else).

    Constraints: `dtype`: real; `input-rank`: spatial axes and 1 or 2 more; `spatial-size`: no spatial axis of
    length 0; `kernel-size`, `stride`, `dilation`: at least 1, 1 or rank entries; `padding`: at least 0, 1 or
    rank entries or pairs; `pool-padding`: at most half of the extent; `kernel-fits`: there is a window;
    without a ceil rule the extent is at most the padded input, and never more than 2**62; `ceil-mode`: a bool or
    a rule of `pool_output_size`; `return-indices`: True or False; `nan`: one of the two rules.

    Accuracy: exact, every output is one of its inputs; of 0 and -0 either.

    Source: PyTorch, torch.nn.functional.max_pool2d.

    >>> max_pool2d([[[0, 1, 2], [3, 4, 5], [6, 7, 8]]], 2, stride=1)
    array([[[4, 5],
            [7, 8]]])
    >>> max_pool1d([[1, 3, 3, 2]], 2, return_indices=True).indices
    array([[1, 2]])
    """
    w = max_windows(pool_windows(rank, input, kernel_size, stride, padding, dilation, ceil_mode), nan)
    return maxima(w, return_indices, nan)


max_pool1d = of_rank(1, max_pool)
max_pool2d = of_rank(2, max_pool)
max_pool3d = of_rank(3, max_pool)


def max_windows(w: Windows, nan: str = "propagate") -> Windows:
    """Return the windows if there is a maximum of what is in them."""
    refuse_complex(w.x)
    one_of("nan", "nan", nan, NAN_RULES)
    return w


def refuse_complex(x: Array) -> None:
    """Refuse an input of complex numbers."""
    if x.dtype.kind == "c":
        refuse("dtype", "input", x.dtype.name, "must be real: complex numbers have no order")


def maxima(w: Windows, return_indices: bool, nan: str = "propagate") -> Array | MaxPool:
    """Return the maxima of the windows, with their indices if those are asked for."""
    if not flag("return-indices", "return_indices", return_indices):
        return w.finished(largest(w.x, w.lines, nan))
    output, indices = first_largest(w.x, w.lines, nan)
    return MaxPool(w.finished(output), w.finished(indices))


def least(x: Array) -> Any:
    """Return what no element is below."""
    return np.iinfo(x.dtype).min if x.dtype.kind == "i" else -np.inf


def largest(x: Array, lines: Sequence[Line], nan: str = "propagate") -> Array:
    """Return the largest element of each window."""
    if nan == "ignore" and x.dtype.kind == "f":
        x = np.where(np.isnan(x), -np.inf, x)
    return pooled(np.maximum, x, lines, least(x))


def first_largest(x: Array, lines: Sequence[Line], nan: str = "propagate") -> MaxPool:
    """Return the largest element of each window and its flat index: the first one's, or the last NaN's."""
    best = largest(x, lines, nan)
    elements = max(math.prod(x.shape[:2]), 1) * math.prod(line.windows * line.depth for line in lines)
    if elements <= FEW and all(isinstance(line.starts, range) for line in lines):
        indices = _at_once(x, best, tuple(lines))
    else:
        indices = (_window_by_window if few_windows(lines) else _tap_by_tap)(x, best, lines)
    if nan == "propagate" and np.isnan(best).any():
        position = np.arange(math.prod(x.shape[2:])).reshape(x.shape[2:])
        last = pooled(np.maximum, np.where(np.isnan(x), position, -1), lines, -1)
        indices = np.where(last < 0, indices, last)
    return MaxPool(best, indices)


def _at_once(x: Array, best: Array, lines: tuple[Line, ...]) -> Array:
    """Return the index of the first element of each window that equals its largest, -1 where none does."""
    members = _members(lines)
    planes = x.reshape(*x.shape[:2], math.prod(x.shape[2:]))
    equal = planes.take(members, 2) == best.reshape(*x.shape[:2], len(members), 1)
    equal &= members >= 0
    first = equal.argmax(-1)
    found = np.where(equal.any(-1), members[np.arange(len(members)), first], -1)
    return found.reshape(best.shape)


@lru_cache(maxsize=64)  # layers are called with the same windows again and again
def _members(lines: tuple[Line, ...]) -> Array:
    """Return the flat indices of the elements of each window, (windows, taps), -1 outside the input."""
    flat, inside = np.zeros((1, 1), np.int64), np.ones((1, 1), bool)
    for line in lines:
        at = line.origins()[:, np.newaxis] + np.arange(line.depth) * line.step
        within = (at >= 0) & (at < line.size)
        flat = _crossed(np.add, flat * line.size, at)
        inside = _crossed(np.logical_and, inside, within)
    return np.where(inside, flat, -1)


def _crossed(ufunc: np.ufunc, left: Array, right: Array) -> Array:
    """Return the ufunc of every row of one with every row of the other, and so of the columns."""
    both = ufunc(left[:, np.newaxis, :, np.newaxis], right[np.newaxis, :, np.newaxis, :])
    return np.asarray(both.reshape(len(left) * len(right), left.shape[1] * right.shape[1]))


def few_windows(lines: Sequence[Line]) -> bool:
    """Return whether there are far fewer windows than taps, so that a loop over windows is shorter."""
    windows, taps = math.prod(line.windows for line in lines), math.prod(line.depth for line in lines)
    return 2 * windows < taps and not lines[0].planewise


def _window_by_window(x: Array, best: Array, lines: Sequence[Line]) -> Array:
    """Return the index of the first element of each window that equals its largest, -1 where none does."""
    position = np.arange(math.prod(x.shape[2:])).reshape(x.shape[2:])
    indices = np.full(best.shape, -1)
    for spans in product(*(line.spans() for line in lines)):
        windows, elements = ((..., *parts) for parts in zip(*spans, strict=True))
        here = position[elements].ravel()
        if here.size:
            equal = (x[elements] == best[windows]).reshape(*x.shape[:2], here.size)
            found = np.where(equal.any(-1), here[equal.argmax(-1)], -1)
            indices[windows] = found.reshape(*x.shape[:2], *(1,) * len(lines))
    return indices


def _tap_by_tap(x: Array, best: Array, lines: Sequence[Line]) -> Array:
    """Return the same, finding the number of the tap first, in integers as small as will do: they are faster."""
    count = math.prod(line.depth for line in lines)
    number = np.full(best.shape, count, np.min_scalar_type(count))
    _number_first(x, best, number, lines, 0)
    return _flat_indices(number, lines, x.shape, count)


def _number_first(x: Array, best: Array, number: Array, lines: Sequence[Line], offset: int) -> None:
    """Write the number of the first tap that equals the largest: go through all taps, the first one last."""
    axis, line = -len(lines), lines[0]
    for tap, windows, elements in reversed(line.taps()):
        here, value, this = at(axis, windows), picked(x, axis, elements), offset * line.depth + tap
        if axis < -1:
            _number_first(value, best[here], number[here], lines[1:], this)
        else:
            # number = where(value == best, this, number), but many times faster; what wraps around wraps back.
            held = number[here]
            change = number.dtype.type(this) - held
            change *= (value == best[here]).view(np.uint8)
            held += change


def _flat_indices(number: Array, lines: Sequence[Line], shape: tuple[int, ...], count: int) -> Array:
    """Return flat indices from the numbers of taps, -1 where there is none of them."""
    offsets, origin = np.zeros((), np.int64), np.zeros((1,) * (len(shape) - len(lines)), np.int64)
    for line in lines:
        starts = line.origins()
        if line.planewise:
            starts = starts.reshape(*starts.shape[:2], *(1,) * (origin.ndim - 2), starts.shape[-1])
        offsets = np.add.outer(offsets * line.size, np.arange(line.depth) * line.step)
        origin = origin[..., np.newaxis] * line.size + starts
    indices = np.add(offsets.take(number, mode="clip"), origin)
    nowhere = number == count
    if nowhere.any():
        indices[nowhere] = -1
    return indices
