"""Where pooling windows lie, axis by axis, and the loops that go over them.

The largest element of a box is the largest of its rows' largest, and its sum the sum of its rows' sums: k + k steps
for k x k taps. So a window is a line along each axis here. Nothing is padded: what lies outside the input is left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from reference.arrays import Array, widen
from reference.constraints import LARGEST, per_axis, refuse
from reference.ranks import with_batch_axis
from reference.windows import Index, Padding, Pair, Sizes, ceil_rule, kernel_extent, resolve_padding, window_counts

Part = slice | Array


class Line(NamedTuple):
    """The windows along one axis: window i has every `step`-th element from starts[i] on and before ends[i].

    `depth` is the number of elements of the longest. Windows that are equally spaced and long have ranges as starts
    and ends, which may lie outside the axis. Others have arrays, whose numbers lie inside: of shape (windows,), or
    (N, C, windows) if every plane has windows of its own, all equally long.
    """

    size: int
    starts: range | Array
    ends: range | Array
    depth: int
    step: int = 1

    @property
    def windows(self) -> int:
        """Return how many windows there are."""
        return len(self.starts) if isinstance(self.starts, range) else int(self.starts.shape[-1])

    @property
    def whole(self) -> bool:
        """Return whether there is one window that has every element."""
        one = isinstance(self.starts, range) and self.windows == self.step == 1
        return one and self.starts[0] <= 0 and self.size <= self.ends[0]

    @property
    def planewise(self) -> bool:
        """Return whether every plane has windows of its own."""
        return not isinstance(self.starts, range) and self.starts.ndim > 1

    @property
    def overlap(self) -> int:
        """Return a number that no element is in more windows than."""
        return min(self.depth, self.windows) if isinstance(self.starts, range) else self.transposed().depth

    def origins(self) -> Array:
        """Return the starts as an array."""
        r = self.starts
        return np.arange(r.start, r.stop, r.step) if isinstance(r, range) else r

    def lengths(self, low: int = 0, high: int = 0) -> Array:
        """Return how many elements of the axis with its padding each window has; one number if all have as many.

        For windows of neighbouring elements only.
        """
        if not isinstance(self.starts, range):
            return np.subtract(self.ends, self.starts)
        if not self.starts or (-low <= self.starts[0] and self.ends[-1] <= self.size + high):
            return np.array([self.depth])
        starts = self.origins()
        return np.asarray(np.maximum(np.minimum(starts + self.depth, self.size + high) - np.maximum(starts, -low), 0))

    def taps(self, nothing: int | None = None) -> Sequence[tuple[int, slice, Part]]:
        """Return the number of every tap, the windows that have it inside the axis, and the elements there.

        Windows that are not equally long are all named; a shorter one has its last element again, or `nothing`.
        """
        if isinstance(self.starts, range):
            return _equal_taps(self.size, self.starts, self.depth, self.step)
        elements = [self.starts + tap for tap in range(self.depth)]
        if not self.planewise:
            filler = np.subtract(self.ends, 1) if nothing is None else nothing
            elements = [np.where(part < self.ends, part, filler) for part in elements]
        return tuple((tap, slice(0, self.windows), part) for tap, part in enumerate(elements))

    def spans(self) -> Iterator[tuple[slice, slice]]:
        """Yield every window and its elements, where all planes have the same windows."""
        for i, (start, end) in enumerate(zip(self.starts, self.ends, strict=True)):
            first = start if start >= 0 else start % self.step
            yield slice(i, i + 1), slice(first, max(0, min(end, self.size)), self.step)

    def transposed(self) -> Line:
        """Return the line that has a window for every element, in it the windows that have the element.

        For windows of neighbouring elements that start and end one after the other, without a gap.
        """
        elements = np.arange(self.size)
        starts = np.searchsorted(self.ends, elements, side="right")
        ends = np.searchsorted(self.starts, elements, side="right")
        return Line(self.windows, starts, ends, int(np.max(ends - starts)))


@lru_cache(maxsize=256)  # layers are called with the same windows again and again
def _equal_taps(size: int, starts: range, depth: int, step: int) -> tuple[tuple[int, slice, slice], ...]:
    """Return the taps of windows that are equally spaced and long."""
    found = []
    for tap in range(depth):
        at = starts.start + tap * step
        low, high = max(0, -(at // starts.step)), min(len(starts), (size - 1 - at) // starts.step + 1)
        if low < high:
            part = slice(at + low * starts.step, at + (high - 1) * starts.step + 1, starts.step)
            found.append((tap, slice(low, high), part))
    return tuple(found)


class Windows(NamedTuple):
    """Checked arguments of a pooling layer: the input with a batch axis, and its windows."""

    x: Array
    batched: bool
    lines: list[Line]
    padding: tuple[Pair, ...]

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Return the shape of what the call returns, which has a batch axis only if the input had one."""
        return (*self.x.shape[not self.batched : 2], *(line.windows for line in self.lines))

    def finished(self, result: Array) -> Array:
        """Return what the call returns, from what was computed with a batch axis."""
        return result if self.batched else result[0]


def pool_windows(
    rank: int,
    input: ArrayLike,
    kernel_size: Sizes,
    stride: Sizes | None,
    padding: Padding = 0,
    dilation: Sizes = 1,
    ceil_mode: bool | str = False,
) -> Windows:
    """Check the arguments that pooling layers share."""
    x, batched = with_batch_axis(rank, widen("input", input))
    size = x.shape[2:]
    k = per_axis("kernel-size", "kernel_size", kernel_size, rank, 1)
    s = k if stride is None else per_axis("stride", "stride", stride, rank, 1)
    d = per_axis("dilation", "dilation", dilation, rank, 1)
    if isinstance(padding, str):
        refuse("padding", "padding", padding, "must be numbers; pooling has no padding by name")
    p = resolve_padding(padding, size, k, s, d)
    extents = list(map(kernel_extent, k, d))
    for pair, extent in zip(p, extents, strict=True):
        if extent > LARGEST:
            refuse("kernel-fits", "kernel_size", kernel_size, f"spans {extent} elements, more than 2**62")
        if max(pair) > extent // 2:
            refuse("pool-padding", "padding", padding, f"must be at most half of the extent {extent}")
    output = window_counts(zip(size, k, s, p, d, strict=True), ceil_rule(ceil_mode))
    # Windows further apart than the padded input is long may as well start where it ends: int64 holds that.
    pace = [min(t, low + n + high) for n, t, (low, high) in zip(size, s, p, strict=True)]
    lines = [
        Line(n, range(-low, o * t - low, t), range(e - low, e + o * t - low, t), taps, step)
        for n, o, t, e, (low, _), taps, step in zip(size, output, pace, extents, p, k, d, strict=True)
    ]
    return Windows(x, batched, lines, p)


def pooled(ufunc: np.ufunc, x: Array, lines: Sequence[Line], identity: Any) -> Array:
    """Return what `ufunc` makes of all elements of each window; the identity where a window has none."""
    rank = len(lines)
    if all(line.whole for line in lines):
        return np.asarray(ufunc.reduce(x, tuple(range(-rank, 0)), keepdims=True, initial=identity))
    for axis, line in enumerate(lines, -rank):
        x = pooled_along(ufunc, x, axis, line, identity)
    return x


def pooled_along(ufunc: np.ufunc, x: Array, axis: int, line: Line, identity: Any) -> Array:
    """Return what `ufunc` makes of the elements of each window along one axis."""
    shape = resized(x.shape, axis, line.windows)
    if by_window(axis, line):
        result = np.empty(shape, x.dtype)
        for window, elements in line.spans():
            ufunc.reduce(x[at(axis, elements)], axis, keepdims=True, initial=identity, out=result[at(axis, window)])
        return result
    if not isinstance(line.starts, range) and not line.planewise:
        x = np.concatenate([x, np.full(resized(x.shape, axis, 1), identity, x.dtype)], axis)
    taps = list(line.taps(nothing=-1))
    everywhere = next((i for i, tap in enumerate(taps) if tap[1] == slice(0, line.windows)), None)
    if everywhere is None:
        result = np.full(shape, identity, x.dtype)
    else:
        result = picked(x, axis, taps.pop(everywhere)[2]).copy()
    for _, windows, part in taps:
        some = result[at(axis, windows)]
        ufunc(some, picked(x, axis, part), out=some)
    return result


def spread(y: Array, lines: Sequence[Line]) -> Array:
    """Return for each element the sum over the windows that have it: the adjoint of `pooled(np.add, ...)`."""
    for axis, line in reversed(list(enumerate(lines, -len(lines)))):
        if isinstance(line.starts, range) or by_window(axis, line):
            result = np.zeros(resized(y.shape, axis, line.size), y.dtype)
            steps: Iterator[tuple[slice, Part]]  # of all taps there may be too many
            steps = line.spans() if by_window(axis, line) else (tap[1:] for tap in line.taps())
            for windows, elements in steps:
                result[at(axis, elements)] += y[at(axis, windows)]
            y = result
        else:
            y = pooled_along(np.add, y, axis, line.transposed(), 0)
    return y


def by_window(axis: int, line: Line) -> bool:
    """Return whether to go through windows and not through taps: the shorter loop, or runs of memory at least."""
    ragged = not isinstance(line.starts, range) and axis < -1
    return not line.planewise and (ragged or 2 * line.windows < line.depth)


def at(axis: int, part: Part) -> Index:
    """Return the index that takes a part of an axis, which is counted from the last."""
    return (..., part, *(slice(None),) * (-1 - axis))


def picked(x: Array, axis: int, part: Part) -> Array:
    """Return part of an axis, which may be another part in every plane."""
    if isinstance(part, slice):
        return x[at(axis, part)]
    if part.ndim == 1:
        return x.take(part, axis)
    planes, before, inner = map(math.prod, (x.shape[:2], x.shape[2:axis], x.shape[x.ndim + axis + 1 :]))
    windows = part.shape[-1]
    first = np.arange(0, planes * before * x.shape[axis], x.shape[axis]).reshape(planes, before, 1)
    some: Array = x.reshape(x.size // inner, inner).take((first + part.reshape(planes, 1, windows)).ravel(), 0)
    return some.reshape(resized(x.shape, axis, windows))


def resized(shape: tuple[int, ...], axis: int, size: int) -> tuple[int, ...]:
    """Return the shape with another size of one axis."""
    changed = list(shape)
    changed[axis] = size
    return tuple(changed)
