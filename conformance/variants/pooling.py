"""Pooling by other traversals: every window's elements as a column, axis by axis, sorted, or compared one by one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from conformance.formats import Array
from conformance.orders import (
    Order,
    ascending,
    backwards,
    compensated,
    forwards,
    in_accumulator,
    matrix_product,
    pairwise,
    signs_apart,
    wider,
)
from conformance.variants import Variant
from reference.avg_pooling import divisors, outer
from reference.pooling_windows import Line, Windows, pool_windows

AVERAGE = ("kernel_size", "stride", "padding", "ceil_mode")
MAXIMUM = (*AVERAGE, "dilation")
Change = Callable[..., Any]


def windows_of(rank: int, arguments: dict[str, Any], names: Sequence[str]) -> tuple[Windows, dict[str, Any]]:
    """Return the checked windows of a call, and the arguments that are not about them."""
    rest = {name: value for name, value in arguments.items() if name not in ("input", *names)}
    return pool_windows(rank, **{"stride": None, **{k: v for k, v in arguments.items() if k not in rest}}), rest


def places(line: Line) -> Array:
    """Return the elements (taps, windows) of an axis that its windows have; the size of the axis outside of it."""
    at = line.origins() + line.step * np.arange(line.depth)[:, np.newaxis]
    return np.where((at >= 0) & (at < line.size), at, line.size)


def along(x: Array, line: Line, axis: int, fill: float) -> Array:
    """Return what the windows along an axis have: two axes, taps and windows, for that one."""
    outside = np.full((*x.shape[:axis], 1, *x.shape[axis + 1 :]), fill, x.dtype)
    return np.concatenate([x, outside], axis).take(places(line), axis)


def columns(x: Array, w: Windows, fill: float) -> Array:
    """Return the elements of every window (N, C, taps, windows); `fill` stands for what lies outside the input."""
    for i, line in enumerate(w.lines):
        x = along(x, line, 2 + 2 * i, fill)
    rank = len(w.lines)
    x = x.transpose(0, 1, *range(2, 2 + 2 * rank, 2), *range(3, 3 + 2 * rank, 2))
    return x.reshape(*x.shape[:2], math.prod(x.shape[2 : 2 + rank]), math.prod(x.shape[2 + rank :]))


def finished(w: Windows, output: Array) -> Array:
    """Return the output in its shape."""
    return w.finished(output.reshape(*w.x.shape[:2], *(line.windows for line in w.lines)))


def summed(w: Windows, acc: np.dtype[Any], order: Order) -> Array:
    """Return the sums of the windows."""
    each = columns(w.x.astype(acc), w, 0)
    sums = order(np.ones((1, each.shape[-2]), acc), each)
    return sums.reshape(*w.x.shape[:2], *(line.windows for line in w.lines))


def axis_by_axis(w: Windows, acc: np.dtype[Any]) -> Array:
    """Return the sums of the windows: along the first axis, of these along the next, and so on."""
    x = w.x.astype(acc)
    for axis, line in enumerate(w.lines, 2):
        x = along(x, line, axis, 0).sum(axis, dtype=acc)
    return x


def average(rank: int, total: Callable[[Windows, np.dtype[Any]], Array], reciprocal: bool = False) -> Change:
    """Return the average pooling that sums in this way, and divides, or multiplies by a rounded reciprocal."""

    @in_accumulator
    def pool(acc: np.dtype[Any], **arguments: Any) -> Array:
        w, rest = windows_of(rank, arguments, AVERAGE)
        by = np.asarray(outer(divisors(w, **{"count_include_pad": True, "divisor_override": None, **rest})), acc)
        sums = total(w, acc)
        return finished(w, sums * (1 / by) if reciprocal else sums / by)

    return pool


Found = tuple[Array, Array]


def maximum(rank: int, find: Callable[[Array, Array], Found]) -> Change:
    """Return the max pooling that finds values and places of the largest in columns of both.

    find: (values, places) (N, C, taps, windows) -> those of the first largest element, or of the last NaN. The place of
    what lies outside the input is -1, its value -inf.
    """

    @in_accumulator
    def pool(acc: np.dtype[Any], **arguments: Any) -> Any:
        w, rest = windows_of(rank, arguments, MAXIMUM)
        position = np.arange(math.prod(w.x.shape[2:])).reshape(1, 1, *w.x.shape[2:])
        values, where = columns(w.x.astype(acc), w, -np.inf), columns(position, w, -1)
        best, index = find(values, np.broadcast_to(where, values.shape))
        return (finished(w, best), finished(w, index)) if rest.get("return_indices") else finished(w, best)

    return pool


def running(values: Array, where: Array) -> Found:
    """Keep the largest so far."""
    best, index = values[:, :, 0], where[:, :, 0]
    for tap in range(1, values.shape[2]):
        value, place = values[:, :, tap], where[:, :, tap]
        wins = (place >= 0) & ((value > best) | np.isnan(value) | (index < 0))
        best, index = np.where(wins, value, best), np.where(wins, place, index)
    return best, index


def from_the_end(values: Array, where: Array) -> Found:
    """Keep the largest so far, from the last element on: later ones win ties, and only the first NaN counts."""
    best, index = values[:, :, -1], where[:, :, -1]
    for tap in reversed(range(values.shape[2] - 1)):
        value, place = values[:, :, tap], where[:, :, tap]
        wins = (place >= 0) & ~np.isnan(best) & ((value >= best) | np.isnan(value) | (index < 0))
        best, index = np.where(wins, value, best), np.where(wins, place, index)
    return best, index


def tournament(values: Array, where: Array) -> Found:
    """Let the winner of one half meet the winner of the other, as the threads of a group do."""
    half = values.shape[2] // 2
    if not half:
        return values[:, :, 0], where[:, :, 0]
    (a, i), (b, j) = (tournament(values[:, :, part], where[:, :, part]) for part in (slice(half), slice(half, None)))
    wins = (j >= 0) & ((b > a) | np.isnan(b) | (i < 0))
    return np.where(wins, b, a), np.where(wins, j, i)


def by_sorting(values: Array, where: Array) -> Found:
    """Sort each window by place within value, NaN being the largest of all, and take the end of it."""
    rank = np.where(np.isnan(values), where, -where)  # of equal ones the first, of NaN the last
    inside = where >= 0
    order = np.lexsort((rank, values, inside), axis=2)[:, :, -1:]
    return np.take_along_axis(values, order, 2)[:, :, 0], np.take_along_axis(where, order, 2)[:, :, 0]


def reduced(values: Array, where: Array) -> Found:
    """Take the maximum of all at once, and look for it again to tell its place."""
    best = np.maximum.reduce(values, 2)
    at = (where >= 0) & ((values == best[:, :, np.newaxis]) | np.isnan(values))
    last = np.where(at, where, -1).max(2)
    first = np.where(at, where, np.iinfo(where.dtype).max).min(2)
    return best, np.where(np.isnan(best) | (last < 0), last, first)


VARIANTS = (
    *(
        Variant(f"max_pool{rank}d-{name}", sentence, f"max_pool{rank}d", maximum(rank, find))
        for rank, name, sentence, find in (
            (1, "running", "compared one after the other", running),
            (1, "sorted", "every window sorted", by_sorting),
            (1, "tournament", "compared two by two", tournament),
            (2, "running", "compared one after the other", running),
            (2, "from-the-end", "compared one after the other, the last one first", from_the_end),
            (2, "sorted", "every window sorted", by_sorting),
            (2, "reduced", "all at once, and looked up again", reduced),
            (3, "tournament", "compared two by two", tournament),
            (3, "reduced", "all at once, and looked up again", reduced),
        )
    ),
    *(
        Variant(f"avg_pool{rank}d-{name}", sentence, f"avg_pool{rank}d", average(rank, total, reciprocal))
        for rank, name, sentence, total, reciprocal in (
            (1, "forwards", "one element after the other", partial(summed, order=forwards), False),
            (1, "reciprocal", "times a rounded reciprocal", partial(summed, order=backwards), True),
            (1, "compensated", "what additions lose is added in the end", partial(summed, order=compensated), False),
            (2, "axis-by-axis", "sums of the sums of rows", axis_by_axis, False),
            (2, "reciprocal", "sums of the sums of rows, times a rounded reciprocal", axis_by_axis, True),
            (2, "pairwise", "halves of the elements, and halves of these", partial(summed, order=pairwise), False),
            (2, "signs-apart", "positive and negative elements apart", partial(summed, order=signs_apart), False),
            (2, "matrix", "times a matrix of ones", partial(summed, order=matrix_product), False),
            (3, "axis-by-axis", "sums of the sums of rows", axis_by_axis, True),
            (3, "wider", "added up in a wider format", partial(summed, order=wider), False),
            (3, "ascending", "the smallest elements first", partial(summed, order=ascending), False),
        )
    ),
)
