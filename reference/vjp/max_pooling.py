"""Gradients of max pooling: a window's cotangent goes to its largest element, or is shared among the largest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import ArrayLike

from reference.arrays import Array
from reference.constraints import one_of, refuse
from reference.max_pooling import few_windows, first_largest, largest, max_windows
from reference.pooling_windows import Windows, pool_windows
from reference.ranks import of_rank
from reference.vjp.cotangents import checked
from reference.windows import Padding, Sizes

TIES = ("first", "share")


def max_pool(
    rank: int,
    cotangent: ArrayLike,
    input: ArrayLike,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Padding = 0,
    dilation: Sizes = 1,
    ceil_mode: bool | str = False,
    nan: str = "propagate",
    ties: str = "first",
) -> Array:
    """Return the gradient of sum(cotangent * max_pool(input, ...)).

    Formula: sum over the windows u that have the element of cotangent[n, c, u] * share, where share is 1 at the
    index that `reference.max_pool2d` gives and 0 elsewhere (`ties` "first": PyTorch), or one over the number of
    elements that are largest in the window, at each of them ("share": MLX, tinygrad). A window whose output is NaN
    goes to its index under either rule; a window without an element goes nowhere.

    Shapes: cotangent as the output; gradient as input.

    Units: those of cotangent.

    Constraints: as `reference.max_pool2d`; `cotangent`: real, of the shape of the output; `ties`: one of the two rules.

    Accuracy: within gamma(m) * sum |cotangent| * share + 2**-1074 m of float64, m windows that have the element.

    Source: PyTorch, ATen/native/DilatedMaxPool2d.cpp, max_pool2d_with_indices_backward_cpu.

    >>> max_pool1d([[10, 20]], [[1, 3, 3, 2]], 3, stride=1)
    array([[ 0., 30.,  0.,  0.]])
    >>> max_pool1d([[10, 20]], [[1, 3, 3, 2]], 3, stride=1, ties="share")
    array([[ 0., 15., 15.,  0.]])
    """
    w = max_windows(pool_windows(rank, input, kernel_size, stride, padding, dilation, ceil_mode), nan)
    one_of("ties", "ties", ties, TIES)
    g = real_cotangent(cotangent, w)
    return w.finished(to_first(g, w, nan) if ties == "first" else _to_all(g, w, nan))


max_pool1d = of_rank(1, max_pool)
max_pool2d = of_rank(2, max_pool)
max_pool3d = of_rank(3, max_pool)


def real_cotangent(cotangent: ArrayLike, w: Windows) -> Array:
    """Return the checked cotangent in float64, with a batch axis."""
    g = checked(cotangent, w.output_shape)
    if g.dtype.kind == "c":
        refuse("cotangent", "cotangent", g.dtype.name, "must be real, as the output is")
    return g.astype(np.float64, copy=False).reshape(*w.x.shape[:2], *g.shape[-len(w.lines) :])


def to_first(g: Array, w: Windows, nan: str = "propagate") -> Array:
    """Return the gradient where each window has one element that counts."""
    return scattered(g, first_largest(w.x, w.lines, nan).indices, w.x.shape)


def scattered(g: Array, indices: Array, shape: Sequence[int]) -> Array:
    """Add every number to the element of its plane that its index names; -1 names none."""
    planes, size = shape[0] * shape[1], math.prod(shape[2:])
    first = np.arange(planes).reshape(*shape[:2], *(1,) * (len(shape) - 2)) * size
    flat, somewhere = indices + first, indices >= 0
    if not somewhere.all():
        flat, g = flat[somewhere], g[somewhere]
    sums = np.bincount(flat.ravel(), g.ravel(), planes * size)
    return sums.reshape(shape).astype(np.float64, copy=False)  # of nothing at all they are integers


def _to_all(g: Array, w: Windows, nan: str) -> Array:
    """Return the gradient where all of the largest elements of a window share its cotangent."""
    best, few, spatial = largest(w.x, w.lines, nan), few_windows(w.lines), tuple(range(2, w.x.ndim))
    along = [list(line.spans()) if few else [tap[1:] for tap in line.taps()] for line in w.lines]
    pairs = [tuple((..., *parts) for parts in zip(*step, strict=True)) for step in product(*along)]
    count, gradient = np.zeros(best.shape), np.zeros(w.x.shape)
    for windows, elements in pairs:
        equal = w.x[elements] == best[windows]
        count[windows] += equal.sum(spatial, keepdims=True) if few else equal
    shares = np.divide(g, count, out=np.zeros(g.shape), where=count > 0)
    undefined = np.isnan(best)
    with np.errstate(over="ignore", invalid="ignore"):
        for windows, elements in pairs:
            gradient[elements] += np.where(w.x[elements] == best[windows], shares[windows], 0)
        if undefined.any():
            gradient += to_first(np.where(undefined, g, 0), w, nan)
    return gradient
