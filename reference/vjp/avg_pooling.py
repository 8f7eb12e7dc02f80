"""Gradients of average pooling: every element gets its part of each window's cotangent."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from reference.arrays import Array
from reference.avg_pooling import LARGEST_DIVISOR, by_integers, divisors, outer
from reference.contraction import part_by_part, sum_of_products
from reference.exactness import is_exact
from reference.pooling_windows import Line, Windows, pool_windows, spread
from reference.ranks import of_rank
from reference.vjp.cotangents import checked
from reference.windows import Padding, Sizes


def avg_pool(
    rank: int,
    cotangent: ArrayLike,
    input: ArrayLike,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Padding = 0,
    ceil_mode: bool | str = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """Return the gradient of sum(cotangent * avg_pool(input, ...)).

    Formula: sum over the windows u that have the element of cotangent[n, c, u] / divisor[u], with the divisors of
    `reference.avg_pool2d`; windows without an element have none.

    Shapes: cotangent as the output; gradient as input.

    Units: those of cotangent.

    Constraints: as `reference.avg_pool2d`; `cotangent`: the shape of the output.

    Accuracy: within gamma(m + 1) * sum |cotangent / divisor| + 2**-1074 m of float64, m windows that have the element
    (m + 6 with divisors beyond 2**53), if no sum overflows; correctly rounded inside `exact()`. Integers become float64
    first, which rounds those beyond 2**53.

    Source: PyTorch, ATen/native/cpu/AvgPoolKernel.cpp, cpu_avg_pool_backward.

    >>> avg_pool1d([[2, 4]], [[5, 5, 5]], 2, stride=1)
    array([[1., 3., 2.]])
    """
    w = pool_windows(rank, input, kernel_size, stride, padding, 1, ceil_mode)
    along = divisors(w, count_include_pad, divisor_override)
    return w.finished(mean_adjoint(cotangent_of(cotangent, w), w.lines, along))


avg_pool1d = of_rank(1, avg_pool)
avg_pool2d = of_rank(2, avg_pool)
avg_pool3d = of_rank(3, avg_pool)


def cotangent_of(cotangent: ArrayLike, w: Windows) -> Array:
    """Return the checked cotangent, with a batch axis and in no integers, since they are divided."""
    g = checked(cotangent, w.output_shape)
    g = g.astype(np.float64) if g.dtype.kind == "i" else g
    return g.reshape(*w.x.shape[:2], *g.shape[-len(w.lines) :])


def mean_adjoint(g: Array, lines: Sequence[Line], along: Sequence[Array]) -> Array:
    """Return for each element the sum over the windows that have it of g over the window's divisor."""
    if is_exact():
        return part_by_part(lambda part: _rounded_once(part, lines, along), g)
    divisor = outer(along)

    def shared(part: Array) -> Array:
        shares = part / divisor
        return spread(shares if np.all(divisor) else np.where(divisor, shares, 0), lines)

    with np.errstate(all="ignore"):  # a window without an element has a divisor of 0; sums may overflow
        return part_by_part(shared, g)


def _rounded_once(g: Array, lines: Sequence[Line], along: Sequence[Array]) -> Array:
    """Return the gradient as one sum of products over one divisor, so that it is correctly rounded.

    With a common multiple m of the divisors d it is sum(g * (m / d)) / m.
    """
    multiples, weights = zip(*map(_common_multiple, along), strict=True)
    multiple, weight = math.prod(multiples), np.asarray(outer(weights, object), object)
    if multiple <= LARGEST_DIVISOR:
        count = math.prod(line.overlap for line in lines)
        return sum_of_products(lambda a, b: spread(a * b, lines), g, weight.astype(float), count, divisor=multiple)
    # Weights may be larger than any float64; of an infinity's weight the sign is all that matters.
    signs = np.asarray(np.sign(weight), float)
    return by_integers(lambda a: spread(a * (weight if a.dtype == object else signs), lines), g, multiple)


def _common_multiple(divisors: Array) -> tuple[int, Array]:
    """Return the least common multiple of the divisors that occur, and it over each of them, 0 for 0."""
    numbers = divisors.tolist()
    multiple = math.lcm(*set(numbers) - {0})
    return multiple, np.array([multiple // n if n else 0 for n in numbers], object)
