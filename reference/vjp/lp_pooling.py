"""Gradients of power-average pooling."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from reference.arrays import Array
from reference.lp_pooling import norm_windows
from reference.max_pooling import first_largest
from reference.pooling_windows import spread
from reference.ranks import of_rank
from reference.vjp.max_pooling import real_cotangent, scattered
from reference.windows import Sizes


def lp_pool(
    rank: int,
    cotangent: ArrayLike,
    input: ArrayLike,
    norm_type: float,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    ceil_mode: bool | str = False,
    sign_rule: str = "power",
    overhang: str = "rescale",
) -> Array:
    """Return the gradient of sum(cotangent * lp_pool(input, ...)).

    Formula: x**(p - 1) * sum over the windows u that have the element of cotangent[n, c, u] * r * t[u]**(1/p - 1),
    with x the element, t[u] = r * sum of the window's powers, and x**(p - 1) = |x|**(p - 1) * sign(x) where powers
    are those of absolute values. A window with t[u] = 0 gives 0, as PyTorch has it; so does a window without an
    element. With p = inf, -inf it is that of the largest, smallest absolute value, which the first of equal ones has.

    Shapes: cotangent as the output; gradient as input.

    Units: those of cotangent.

    Constraints: as `reference.lp_pool2d`; `cotangent`: real, of the shape of the output.

    Accuracy: within the sum of (m + 8 + |1/p - 1| (n + 4) * sum |input|**p / |sum input**p| + 2 |ln |t[u]|| + |ln |x||)
    |x**(p - 1) * cotangent * r * t[u]**(1/p - 1)| unit roundoffs of float64, to first order, m windows that have the
    element, n taps each, where no power overflows or underflows.

    Source: the chain rule; PyTorch, torch.nn.functional.lp_pool2d, for sums of 0.

    >>> lp_pool1d([[10, 10]], [[3, 4, 0, 0]], 2, 2)
    array([[6., 8., 0., 0.]])
    """
    norm = norm_windows(rank, input, norm_type, kernel_size, stride, ceil_mode, sign_rule, overhang)
    w, p = norm.windows, norm.p
    g = real_cotangent(cotangent, w)
    with np.errstate(all="ignore"):
        if math.isinf(p):
            size = np.abs(norm.x)
            index = first_largest(size if p > 0 else -size, w.lines).indices
            return w.finished(scattered(g, index, norm.x.shape) * np.sign(norm.x))
        scale = norm.scale()
        total = norm.total(scale)
        slopes: Array = np.where((total == 0) | np.isinf(scale), 0, g * scale * total ** (1 / p - 1))
        return w.finished(spread(slopes, w.lines) * norm.power(p - 1))


lp_pool1d = of_rank(1, lp_pool)
lp_pool2d = of_rank(2, lp_pool)
lp_pool3d = of_rank(3, lp_pool)
