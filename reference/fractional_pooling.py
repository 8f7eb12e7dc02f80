"""Fractional max pooling: windows of one size, at distances that vary from plane to plane as random numbers have it."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike

from reference.arrays import Array, widen
from reference.constraints import per_axis, refuse
from reference.max_pooling import MaxPool, maxima, refuse_complex
from reference.pooling_windows import Line, Windows
from reference.ranks import of_rank, with_batch_axis
from reference.windows import Sizes

Ratios = float | Sequence[float]


def fractional_max_pool(
    rank: int,
    input: ArrayLike,
    kernel_size: Sizes,
    output_size: Sizes | None = None,
    output_ratio: Ratios | None = None,
    return_indices: bool = False,
    random_samples: ArrayLike | None = None,
) -> Array | MaxPool:
    """Take the largest element of each window, windows being spread over the input at random.

    Formula: along an axis of size n, window i of o begins at floor((i + s) * a) - floor(s * a) with
    a = (n - kernel) / (o - 1) and s the random number of the plane and the axis; the last one at n - kernel.

    Shapes: input (N, C, *spatial) or (C, *spatial); random_samples (N, C, rank), or (1, C, rank) without a batch;
    output (N, C, *output_size); output_ratio stands for the size floor(size * ratio); indices alike, as of
    `max_pool2d`. In two dimensions the first random number is that of the last axis, in three that of the first.

    Units: those of input. A NaN wins; the last one gives the index.

    Constraints: `dtype`: real; `input-rank`: spatial axes and 1 or 2 more; `spatial-size`: no spatial axis of length
    0; `kernel-size`: at least 1, 1 or rank entries; `output-size`: at least 1, 1 or rank entries, and given exactly if
    no ratio is; `output-ratio`: between 0 and 1, 1 or rank entries; `kernel-fits`: kernel and output together exceed
    no axis by more than 1; `return-indices`: True or False; `random-samples`: given, of that shape, at
    least 0 and less than 1.

    Accuracy: exact, every output is one of its inputs; of 0 and -0 either. Windows are placed in float64.

    Source: Graham, Fractional max-pooling, 2014, section 2; PyTorch, ATen/native/FractionalMaxPool2d.cpp and
    FractionalMaxPool3d.cpp.

    >>> fractional_max_pool2d([[[0, 1, 2], [3, 4, 5], [6, 7, 8]]], 2, output_size=2, random_samples=[[[0.5, 0.5]]])
    array([[[4, 5],
            [7, 8]]])
    """
    w = fractional_windows(rank, input, kernel_size, output_size, output_ratio, random_samples)
    return maxima(w, return_indices)


fractional_max_pool2d = of_rank(2, fractional_max_pool)
fractional_max_pool3d = of_rank(3, fractional_max_pool)


def fractional_windows(
    rank: int,
    input: ArrayLike,
    kernel_size: Sizes,
    output_size: Sizes | None,
    output_ratio: Ratios | None,
    random_samples: ArrayLike | None,
) -> Windows:
    """Check the arguments of a fractional max pooling."""
    x, batched = with_batch_axis(rank, widen("input", input))
    refuse_complex(x)
    spatial = x.shape[2:]
    k = per_axis("kernel-size", "kernel_size", kernel_size, rank, 1)
    o = _output_size(rank, spatial, output_size, output_ratio)
    for n, kernel, out in zip(spatial, k, o, strict=True):
        if out + kernel - 1 > n:
            refuse(
                "kernel-fits", "kernel_size", kernel_size, f"leaves room for {n - kernel + 1} windows, not for {out}"
            )
    samples = _samples(random_samples, (*x.shape[:2], rank))
    lines = []
    for axis, (n, kernel, out) in enumerate(zip(spatial, k, o, strict=True)):
        s = samples[..., 1 - axis if rank == 2 else axis, np.newaxis]
        pace = (n - kernel) / max(out - 1, 1)
        starts = ((np.arange(out) + s) * pace).astype(np.int64) - (s * pace).astype(np.int64)
        starts[..., -1] = n - kernel
        lines.append(Line(n, starts, starts + kernel, kernel))
    return Windows(x, batched, lines, ((0, 0),) * rank)


def _output_size(
    rank: int, spatial: Sequence[int], output_size: Sizes | None, output_ratio: Ratios | None
) -> tuple[int, ...]:
    if (output_size is None) == (output_ratio is None):
        refuse("output-size", "output_size", output_size, "must be given exactly if output_ratio is not")
    if output_size is not None:
        return per_axis("output-size", "output_size", output_size, rank, 1)
    ratios = output_ratio if isinstance(output_ratio, Sequence) else [output_ratio]
    if len(ratios) not in (1, rank) or not all(isinstance(r, Real) and 0 < r < 1 for r in ratios):
        refuse("output-ratio", "output_ratio", output_ratio, f"must be 1 or {rank} numbers between 0 and 1")
    sizes = [int(n * r) for n, r in zip(spatial, [*ratios] * (rank // len(ratios)), strict=True)]
    if min(sizes) < 1:
        refuse("output-ratio", "output_ratio", output_ratio, f"must leave a window along every axis, not {sizes}")
    return tuple(sizes)


def _samples(random_samples: ArrayLike | None, shape: tuple[int, ...]) -> Array:
    if random_samples is None:
        refuse("random-samples", "random_samples", None, "must be given: a reference draws no random numbers")
    samples = widen("random_samples", random_samples)
    if samples.dtype.kind == "c" or samples.shape != shape:
        refuse("random-samples", "random_samples", samples.shape, f"must be real numbers of shape {shape}")
    if not ((samples >= 0) & (samples < 1)).all():
        refuse("random-samples", "random_samples", samples, "must be at least 0 and less than 1")
    return samples
