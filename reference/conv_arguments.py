"""The arguments of convolution layers and of their transposes, checked, and what follows from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from reference.arrays import Array, widen
from reference.constraints import one_of, per_axis, refuse, whole
from reference.im2col import Geometry
from reference.padding import pad
from reference.ranks import with_batch_axis
from reference.windows import (
    Padding,
    Pair,
    Sizes,
    kernel_extent,
    resolve_padding,
    transposed_sizes,
    window_counts,
)

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class ConvCall(NamedTuple):
    """The checked arguments of a convolution layer or of its transpose."""

    x: Array  # with a batch axis, and with its padding in a mode other than zeros
    w: Array
    bias: Array | None  # ready to be broadcast against the output
    batched: bool
    at: Geometry
    output_channels: int
    margin: tuple[Pair, ...] = ()  # (low, high) of every axis of x, in a mode other than zeros

    def finished(self, output: Array) -> Array:
        """Return the output, without a batch axis if the input came without."""
        return output if self.batched else output[0]

    def lanes(self, left: int, right: int) -> tuple[int, int] | None:
        """Return axes whose parts meet one by one in a sum of products: none where channels form groups."""
        return (left, right) if self.at.groups == 1 else None

    def output_shape(self, spatial: Sequence[int]) -> tuple[int, ...]:
        """Return the shape of the output that has these spatial axes."""
        batch = (self.x.shape[0],) if self.batched else ()
        return (*batch, self.output_channels, *spatial)


def conv_call(
    rank: int,
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None,
    stride: Sizes,
    padding: Padding,
    dilation: Sizes,
    groups: int,
    padding_mode: str,
) -> ConvCall:
    """Check the arguments of a convolution."""
    x, w, b, batched = _operands(rank, input, weight, bias)
    kernel, spatial = w.shape[2:], x.shape[2:]
    s, d, g = _steps(rank, stride, dilation, groups)
    p = resolve_padding(padding, spatial, kernel, s, d)
    if x.shape[1] != w.shape[1] * g:
        refuse(
            "input-channels",
            "input",
            x.shape,
            f"must have {w.shape[1]} channels times {g} groups for weight {w.shape}, not {x.shape[1]}",
        )
    if w.shape[0] == 0 or w.shape[0] % g:
        refuse("output-channels", "weight", w.shape, f"out_channels must be at least 1 and divisible by groups={g}")
    b = _along_channels(b, w.shape[0], rank)
    windows = window_counts(zip(spatial, kernel, s, p, d, strict=True))
    margin: tuple[Pair, ...] = ()
    if one_of("padding-mode", "padding_mode", padding_mode, PADDING_MODES) != "zeros":
        _check_margin(padding, p, spatial, padding_mode)
        margin, p = ((0, 0), (0, 0), *p), ((0, 0),) * rank
        x = pad(x, [n for pair in reversed(margin) for n in pair], padding_mode)
    at = Geometry(x.shape[2:], kernel, s, p, d, windows, g)
    return ConvCall(x, w, b, batched, at, w.shape[0], margin)


def conv_transpose_call(
    rank: int,
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None,
    stride: Sizes,
    padding: Padding,
    output_padding: Sizes,
    groups: int,
    dilation: Sizes,
    output_size: Sizes | None,
) -> ConvCall:
    """Check the arguments of a transposed convolution; the geometry is that of the convolution it transposes."""
    x, w, b, batched = _operands(rank, input, weight, bias)
    kernel, spatial = w.shape[2:], x.shape[2:]
    s, d, g = _steps(rank, stride, dilation, groups)
    extra = per_axis("output-padding", "output_padding", output_padding, rank, 0)
    if isinstance(padding, str):
        refuse("padding", "padding", padding, "must be numbers; a transposed convolution has no padding by name")
    p = resolve_padding(padding, spatial, kernel, s, d)
    if x.shape[1] != w.shape[0] or x.shape[1] % g:
        refuse(
            "input-channels",
            "input",
            x.shape,
            f"in_channels must be {w.shape[0]} for weight {w.shape} and divisible by groups={g}",
        )
    if w.shape[1] == 0:
        refuse("output-channels", "weight", w.shape, "out_channels must be at least 1")
    b = _along_channels(b, w.shape[1] * g, rank)
    if output_size is None:
        size = transposed_sizes(tuple(zip(spatial, kernel, s, p, d, strict=True)), extra)
    else:
        if any(extra):
            refuse("output-padding", "output_padding", output_padding, "must be 0 where output_size is given")
        size = _given_size(output_size, spatial, kernel, s, p, d)
    at = Geometry(size, kernel, s, p, d, spatial, g)
    return ConvCall(x, w, b, batched, at, w.shape[1] * g)


def _given_size(
    output_size: Sizes,
    spatial: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[Pair],
    dilation: Sequence[int],
) -> tuple[int, ...]:
    """Return the output size that was asked for, if some output padding leads to it."""
    size = per_axis("output-size", "output_size", output_size, len(kernel), 1)
    for n, m, k, s, pair, d in zip(size, spatial, kernel, stride, padding, dilation, strict=True):
        least = (m - 1) * s - sum(pair) + kernel_extent(k, d)
        if not least <= n < least + max(s, d):
            rule = f"must be {least} or more, by less than stride {s} or dilation {d}, not {n}"
            refuse("output-size", "output_size", output_size, rule)
    return size


def _check_margin(padding: Padding, pairs: Sequence[Pair], spatial: Sequence[int], mode: str) -> None:
    """Refuse more padding than there are elements to copy."""
    for n, pair in zip(spatial, pairs, strict=True):
        most = {"reflect": n - 1, "circular": n}.get(mode)
        if most is not None and max(pair) > most:
            refuse("pad-size", "padding", padding, f"in mode {mode} must be at most {most} on an axis of length {n}")


def _operands(
    rank: int, input: ArrayLike, weight: ArrayLike, bias: ArrayLike | None
) -> tuple[Array, Array, Array | None, bool]:
    """Return input with a batch axis, weight and bias in one dtype, and whether there was a batch axis."""
    x, w = widen("input", input), widen("weight", weight)
    b = None if bias is None else widen("bias", bias)
    dtype = np.result_type(x, w) if b is None else np.result_type(x, w, b)
    x, batched = with_batch_axis(rank, x.astype(dtype, copy=False))
    if w.ndim != rank + 2:
        refuse("weight-rank", "weight", w.shape, f"must have {rank + 2} axes, {rank} of them the kernel's")
    if 0 in w.shape[2:]:
        refuse("kernel-size", "weight", w.shape, "must not have a kernel axis of length 0")
    return x, w.astype(dtype, copy=False), None if b is None else b.astype(dtype, copy=False), batched


def _steps(rank: int, stride: Sizes, dilation: Sizes, groups: int) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """Return stride and dilation along every axis, and groups."""
    checked = whole("groups", "groups", groups, 1)
    along = per_axis("stride", "stride", stride, rank, 1), per_axis("dilation", "dilation", dilation, rank, 1)
    return *along, checked


def _along_channels(bias: Array | None, channels: int, rank: int) -> Array | None:
    """Return the bias in a shape that can be added to the output, or refuse it."""
    if bias is None:
        return None
    if bias.shape != (channels,):
        refuse("bias", "bias", bias.shape, f"must be ({channels},), one number for each output channel")
    return bias.reshape(channels, *(1,) * rank)
