"""Pooling: the largest or the mean of each window.

The windows, their number and the ways to round it are those of `reference.windows`. What is told here is
which elements of a window count: padding never wins a maximum, and may or may not count in a mean.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from reference.arrays import Array, widen
from reference.constraints import per_axis, refuse, whole
from reference.windows import (
    Padding,
    Pair,
    Sizes,
    kernel_extent,
    padded,
    pool_output_size,
    resolve_padding,
    tap_slices,
)

NAN_RULES = ("propagate", "ignore")


class MaxPool(NamedTuple):
    """Maxima, and where each was found: a flat index into the spatial axes of the unpadded input."""

    output: Array
    indices: Array


def max_pool1d(
    input: ArrayLike,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Padding = 0,
    dilation: Sizes = 1,
    ceil_mode: bool | str = False,
    return_indices: bool = False,
    nan: str = "propagate",
) -> Array | MaxPool:
    """Take the largest element of each window along one spatial axis; see `max_pool2d`.

    >>> max_pool1d([[[1, 3, 2, 2]]], 2)
    array([[[3, 2]]])
    """
    return _max_pool(1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices, nan)


def max_pool2d(
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
    without a ceil rule the extent is at most the padded input; `ceil-mode`: a bool or a rule of
    `pool_output_size`; `nan`: one of the two rules.

    Accuracy: exact, every output is one of its inputs.

    Source: PyTorch, torch.nn.functional.max_pool2d.

    >>> max_pool2d([[[0, 1, 2], [3, 4, 5], [6, 7, 8]]], 2, stride=1)
    array([[[4, 5],
            [7, 8]]])
    """
    return _max_pool(2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices, nan)


def max_pool3d(
    input: ArrayLike,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Padding = 0,
    dilation: Sizes = 1,
    ceil_mode: bool | str = False,
    return_indices: bool = False,
    nan: str = "propagate",
) -> Array | MaxPool:
    """Take the largest element of each window over three spatial axes; see `max_pool2d`.

    >>> max_pool3d(np.arange(8).reshape(1, 2, 2, 2), 2)
    array([[[[7]]]])
    """
    return _max_pool(3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices, nan)


def avg_pool1d(
    input: ArrayLike,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Padding = 0,
    ceil_mode: bool | str = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """Take the mean of each window along one spatial axis; see `avg_pool2d`.

    >>> avg_pool1d([[[1, 3, 2, 2]]], 2)
    array([[[2., 2.]]])
    """
    return _avg_pool(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def avg_pool2d(
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
    `pool-padding`, `kernel-fits`, `ceil-mode`: as `max_pool2d`; `divisor-override`: None or a whole number
    other than 0.

    Accuracy: within gamma(n + 1) * mean |input| of float64, n taps each; NaN where the divisor is 0.

    Source: PyTorch, torch.nn.functional.avg_pool2d.

    >>> avg_pool2d([[[0, 1, 2], [3, 4, 5], [6, 7, 8]]], 2, stride=1)
    array([[[2., 3.],
            [5., 6.]]])
    """
    return _avg_pool(2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def avg_pool3d(
    input: ArrayLike,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Padding = 0,
    ceil_mode: bool | str = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """Take the mean of each window over three spatial axes; see `avg_pool2d`.

    >>> avg_pool3d(np.arange(8).reshape(1, 2, 2, 2), 2)
    array([[[[3.5]]]])
    """
    return _avg_pool(3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


class _Windows(NamedTuple):
    """Checked pooling arguments, and what follows from them."""

    x: Array
    batched: bool
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[Pair, ...]
    dilation: tuple[int, ...]
    output: tuple[int, ...]

    def reach(self) -> list[Pair]:
        """Return the padding that covers every tap of every window, the overhang of a ceil rule too."""
        return [
            (low, max(high, (o - 1) * s + kernel_extent(k, d) - low - n))
            for n, k, s, (low, high), d, o in zip(
                self.x.shape[2:],
                self.kernel,
                self.stride,
                self.padding,
                self.dilation,
                self.output,
                strict=True,
            )
        ]


def _windows(
    rank: int,
    input: ArrayLike,
    kernel_size: Sizes,
    stride: Sizes | None,
    padding: Padding,
    dilation: Sizes,
    ceil_mode: bool | str,
) -> _Windows:
    x = widen("input", input)
    if x.ndim not in (rank + 1, rank + 2):
        refuse(
            "input-rank",
            "input",
            x.shape,
            f"must be (N, C, *spatial) or (C, *spatial) with {rank} spatial axes",
        )
    batched = x.ndim == rank + 2
    x = x if batched else x[np.newaxis]
    if 0 in x.shape[2:]:
        refuse("spatial-size", "input", x.shape, "must not have a spatial axis of length 0")
    k = per_axis("kernel-size", "kernel_size", kernel_size, rank, 1)
    s = k if stride is None else per_axis("stride", "stride", stride, rank, 1)
    d = per_axis("dilation", "dilation", dilation, rank, 1)
    if isinstance(padding, str):
        refuse("padding", "padding", padding, "must be numbers; pooling has no padding by name")
    p = resolve_padding(padding, x.shape[2:], k, s, d)
    for pair, extent in zip(p, map(kernel_extent, k, d), strict=True):
        if max(pair) > extent // 2:
            refuse("pool-padding", "padding", padding, f"must be at most half of the extent {extent}")
    output = pool_output_size(x.shape[2:], k, s, p, d, ceil_mode)
    assert isinstance(output, tuple)
    return _Windows(x, batched, k, s, p, d, output)


def _max_pool(
    rank: int,
    input: ArrayLike,
    kernel_size: Sizes,
    stride: Sizes | None,
    padding: Padding,
    dilation: Sizes,
    ceil_mode: bool | str,
    return_indices: bool,
    nan: str,
) -> Array | MaxPool:
    w = _windows(rank, input, kernel_size, stride, padding, dilation, ceil_mode)
    if w.x.dtype.kind == "c":
        refuse("dtype", "input", w.x.dtype.name, "must be real: complex numbers have no order")
    if nan not in NAN_RULES:
        refuse("nan", "nan", nan, f"must be one of {', '.join(NAN_RULES)}")
    least = np.iinfo(w.x.dtype).min if w.x.dtype.kind == "i" else -np.inf
    plane = padded(w.x, w.reach(), least)
    best = np.full((*w.x.shape[:2], *w.output), least, w.x.dtype)
    taps = tap_slices(w.kernel, w.stride, w.dilation, w.output)
    if not return_indices:
        larger = np.maximum if nan == "propagate" else np.fmax
        for _, part in taps:
            larger(best, plane[part], out=best)
        return best if w.batched else best[0]
    spatial = w.x.shape[2:]
    positions = padded(np.arange(np.prod(spatial)).reshape(spatial), w.reach(), -1)
    indices = np.full(best.shape, -1, np.int64)
    for _, part in taps:
        value, position = plane[part], positions[part]
        # The first element inside the input counts whatever it is; after it only a larger one, or a NaN.
        missing = np.isnan(value)
        wins = (value > best) | ((indices < 0) & ~missing)
        if nan == "propagate":
            wins |= missing
        wins &= position >= 0
        np.copyto(best, value, where=wins)
        np.copyto(indices, position, where=wins)
    return MaxPool(best, indices) if w.batched else MaxPool(best[0], indices[0])


def _avg_pool(
    rank: int,
    input: ArrayLike,
    kernel_size: Sizes,
    stride: Sizes | None,
    padding: Padding,
    ceil_mode: bool | str,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Array:
    w = _windows(rank, input, kernel_size, stride, padding, 1, ceil_mode)
    if divisor_override is not None and whole("divisor-override", "divisor_override", divisor_override, -(2**62)) == 0:
        refuse("divisor-override", "divisor_override", divisor_override, "must not be 0")
    plane = padded(w.x, w.reach())
    total = np.zeros((*w.x.shape[:2], *w.output), plane.dtype)
    for _, part in tap_slices(w.kernel, w.stride, w.dilation, w.output):
        total += plane[part]
    divisor = _taps_inside(w, count_include_pad) if divisor_override is None else divisor_override
    with np.errstate(divide="ignore", invalid="ignore"):
        mean: Array = total / divisor
    return mean if w.batched else mean[0]


def _taps_inside(w: _Windows, count_include_pad: bool) -> Array:
    """Return how many taps of each window lie inside the input, or inside the padded input."""
    count: Array = np.ones(())
    for n, k, s, pair, o in zip(w.x.shape[2:], w.kernel, w.stride, w.padding, w.output, strict=True):
        low, high = pair if count_include_pad else (0, 0)
        start = np.arange(o) * s - pair[0]
        inside = np.minimum(start + k, n + high) - np.maximum(start, -low)
        count = np.multiply.outer(count, np.maximum(inside, 0))
    return count
