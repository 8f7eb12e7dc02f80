"""Average pooling: the mean of each window, where padding may count or not."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from reference.arrays import Array
from reference.constraints import flag, refuse, whole
from reference.contraction import part_by_part, sum_of_products
from reference.error_free import as_integers, as_nearest
from reference.exactness import is_exact
from reference.pooling_windows import Line, Windows, pool_windows, pooled
from reference.ranks import of_rank
from reference.windows import Padding, Sizes

LARGEST_DIVISOR = 2**53  # beyond it float64 does not hold every whole number
SMALLEST_EXPONENT = -1074  # all float64 numbers are multiples of 2 to its power


def avg_pool(
    rank: int,
    input: ArrayLike,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Padding = 0,
    ceil_mode: bool | str = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """Take the mean of each window.

    Formula: output[n, c, u] = (sum over taps t of input[n, c, u * stride + t - low]) / divisor, with zeros
    outside the input. The divisor is `divisor_override` if given; else the number of taps that lie inside the
    padded input (with `count_include_pad`) or inside the input (without). Taps beyond the high padding, which
    only a ceil rule can make, never count.

    Shapes: input (N, C, *spatial) or (C, *spatial); output (N, C, *windows), windows = `pool_output_size`.

    Units: those of input. `stride` None is the kernel size.

    Constraints: `dtype`: numeric; `input-rank`, `spatial-size`, `kernel-size`, `stride`, `padding`,
    `pool-padding`, `kernel-fits`, `ceil-mode`: as `max_pool2d`; `count-include-pad`: True or False;
    `divisor-override`: None or a whole number other than 0, of at most 2**53 in size.

    Accuracy: within gamma(n + 1) * sum |input / divisor| + 2**-1074 of float64, n elements each (n + 6 with integers or
    divisors beyond 2**53), if no sum overflows; correctly rounded inside `exact()`; NaN where the divisor is 0. Real
    and imaginary parts do not mix.

    Source: PyTorch, torch.nn.functional.avg_pool2d.

    >>> avg_pool2d([[[0, 1, 2], [3, 4, 5], [6, 7, 8]]], 2, stride=1)
    array([[[2., 3.],
            [5., 6.]]])
    """
    w = pool_windows(rank, input, kernel_size, stride, padding, 1, ceil_mode)
    return w.finished(mean(w.x, w.lines, divisors(w, count_include_pad, divisor_override)))


avg_pool1d = of_rank(1, avg_pool)
avg_pool2d = of_rank(2, avg_pool)
avg_pool3d = of_rank(3, avg_pool)


def divisors(w: Windows, count_include_pad: bool, divisor_override: int | None) -> list[Array]:
    """Return along each axis what counts in each window; their outer product divides the sums of the windows."""
    counted = flag("count-include-pad", "count_include_pad", count_include_pad)
    if divisor_override is None:
        margins = w.padding if counted else ((0, 0),) * len(w.lines)
        return [line.lengths(*margin) for line, margin in zip(w.lines, margins, strict=True)]
    divisor = whole("divisor-override", "divisor_override", divisor_override, -LARGEST_DIVISOR)
    if divisor == 0 or divisor > LARGEST_DIVISOR:
        refuse("divisor-override", "divisor_override", divisor, "must not be 0, nor larger than 2**53")
    return [np.array([divisor]), *[np.ones(1, np.int64)] * (len(w.lines) - 1)]


def mean(x: Array, lines: Sequence[Line], along: Sequence[Array]) -> Array:
    """Return the sum of each window over its divisor."""

    def total(a: Array, b: Array) -> Array:
        if all(line.whole for line in lines):
            count = math.prod(a.shape[2:])
            sums = np.matmul(a.reshape(*a.shape[:2], count), np.repeat(b, count))
            return np.asarray(sums.reshape(*a.shape[:2], *(1,) * len(lines)))
        sums = pooled(np.add, a, lines, 0)
        sums *= b
        return sums

    def means(part: Array) -> Array:
        if part.dtype.kind == "f" and is_exact() and math.prod(line.depth for line in lines) > LARGEST_DIVISOR:
            return by_integers(lambda a: pooled(np.add, a, lines, 0), part, outer(along, object))
        count = math.prod(min(line.depth, line.size) for line in lines)
        return sum_of_products(total, part, np.ones(1, part.dtype), count, divisor=outer(along))

    return part_by_part(means, x)


def outer(along: Sequence[Array], dtype: Any = np.float64) -> Array | int:
    """Return the product of numbers along each axis, for every window; one number, which is faster, if all agree."""
    if all(numbers.size == 1 for numbers in along):
        return math.prod(int(numbers[0]) for numbers in along)
    return reduce(np.multiply.outer, [numbers.astype(dtype) for numbers in along])


def by_integers(function: Callable[[Array], Array], x: Array, divisor: Array | int) -> Array:
    """Return function(x) / divisor with one rounding, if the function adds up and no float64 holds the divisor."""
    divisor = np.asarray(divisor, object)
    finite, nothing = np.isfinite(x), divisor == 0
    total = function(as_integers(np.where(finite, x, 0), SMALLEST_EXPONENT))
    result = as_nearest(total, SMALLEST_EXPONENT, np.where(nothing, 1, divisor))
    with np.errstate(invalid="ignore"):
        result = result + function(np.where(finite, 0, x))
    return np.where(nothing, np.nan, result)
