"""Adaptive pooling: as many windows as are asked for, of sizes that follow; one window is global pooling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from reference.arrays import Array, widen
from reference.avg_pooling import mean
from reference.constraints import refuse, whole
from reference.max_pooling import MaxPool, max_windows, maxima
from reference.pooling_windows import Line, Windows
from reference.ranks import of_rank, with_batch_axis

OptionalSizes = int | None | Sequence[int | None]


def adaptive_avg_pool(rank: int, input: ArrayLike, output_size: OptionalSizes) -> Array:
    """Take the mean of each of so many regions.

    Formula: output[n, c, i] = mean of input[n, c, j] over floor(i * size / out) <= j < ceil((i + 1) * size / out),
    along each axis. Regions may overlap by an element.

    Shapes: input (N, C, *spatial) or (C, *spatial); output (N, C, *output_size); None is the size of the input.

    Units: those of input.

    Constraints: `dtype`: numeric; `input-rank`: spatial axes and 1 or 2 more; `spatial-size`: no spatial axis of
    length 0; `output-size`: at least 0 or None, 1 or rank entries.

    Accuracy: as `avg_pool2d`, the divisor being n.

    Source: PyTorch, torch.nn.functional.adaptive_avg_pool2d; ATen/native/AdaptivePooling.h.

    >>> adaptive_avg_pool1d([[1, 2, 3, 4, 5]], 3)
    array([[1.5, 3. , 4.5]])
    >>> adaptive_avg_pool2d([[[1, 2], [3, 6]]], 1)
    array([[[3.]]])
    """
    w = regions(rank, input, output_size)
    return w.finished(mean(w.x, w.lines, [line.lengths() for line in w.lines]))


def adaptive_max_pool(
    rank: int,
    input: ArrayLike,
    output_size: OptionalSizes,
    return_indices: bool = False,
    nan: str = "propagate",
) -> Array | MaxPool:
    """Take the largest element of each of so many regions.

    Formula: output[n, c, i] = max of input[n, c, j] over floor(i * size / out) <= j < ceil((i + 1) * size / out),
    along each axis. Regions may overlap by an element.

    Shapes: input (N, C, *spatial) or (C, *spatial); output (N, C, *output_size); None is the size of the input;
    indices alike, as of `max_pool2d`.

    Units: those of input. `nan` as in `max_pool2d`.

    Constraints: `dtype`: real; `input-rank`: spatial axes and 1 or 2 more; `spatial-size`: no spatial axis of
    length 0; `output-size`: at least 0 or None, 1 or rank entries; `return-indices`: True or False; `nan`: one of
    the two rules.

    Accuracy: exact, every output is one of its inputs; of 0 and -0 either.

    Source: PyTorch, torch.nn.functional.adaptive_max_pool2d; ATen/native/AdaptivePooling.h.

    >>> adaptive_max_pool1d([[1, 2, 3, 5, 4]], 3, return_indices=True)
    MaxPool(output=array([[2, 5, 5]]), indices=array([[1, 3, 3]]))
    """
    return maxima(max_windows(regions(rank, input, output_size), nan), return_indices, nan)


adaptive_avg_pool1d = of_rank(1, adaptive_avg_pool)
adaptive_avg_pool2d = of_rank(2, adaptive_avg_pool)
adaptive_avg_pool3d = of_rank(3, adaptive_avg_pool)
adaptive_max_pool1d = of_rank(1, adaptive_max_pool)
adaptive_max_pool2d = of_rank(2, adaptive_max_pool)
adaptive_max_pool3d = of_rank(3, adaptive_max_pool)


def regions(rank: int, input: ArrayLike, output_size: OptionalSizes) -> Windows:
    """Check the arguments of an adaptive pooling."""
    x, batched = with_batch_axis(rank, widen("input", input))
    entries = list(output_size) if isinstance(output_size, Sequence) else [output_size]
    if len(entries) not in (1, rank) or isinstance(output_size, (str, bytes)):
        refuse("output-size", "output_size", output_size, f"must have 1 or {rank} entries, one for each spatial axis")
    if len(entries) != rank:
        entries *= rank
    lines = [
        _line(n, n if o is None else whole("output-size", "output_size", o, 0))
        for n, o in zip(x.shape[2:], entries, strict=True)
    ]
    return Windows(x, batched, lines, ((0, 0),) * rank)


def _line(n: int, o: int) -> Line:
    """Return the regions along one axis."""
    if o == 0 or n % o == 0:
        size = n // max(o, 1)
        return Line(n, range(0, o * size, size), range(size, size + o * size, size), size)
    i = np.arange(o + 1)
    starts, ends = i[:-1] * n // o, -(-i[1:] * n // o)
    return Line(n, starts, ends, int(np.max(ends - starts)))
