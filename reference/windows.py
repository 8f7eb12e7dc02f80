"""Window arithmetic, once: output sizes, padding, receptive fields and views of windows.

Convolution and pooling differ in what they do with a window, not in where the windows lie. Where they lie is
decided here alone.

Terms: along one axis a kernel of k taps with dilation d spans an extent of d * (k - 1) + 1 elements; windows
start every `stride` elements; padding adds elements before ("low") and after ("high") the input.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from reference.arrays import Array
from reference.constraints import LARGEST, one_of, per_axis, refuse, whole

Sizes = int | Sequence[int]
Pair = tuple[int, int]
Padding = int | str | Sequence[int] | Sequence[Sequence[int]]
Index = tuple[Any, ...]
Axis = tuple[int, int, int, Pair, int]  # input size, kernel, stride, padding and dilation

CEIL_RULES = ("floor", "ceil_drop", "ceil_caffe", "ceil_keep")
SAME_SIDES = ("upper", "lower")


def kernel_extent(kernel: int, dilation: int) -> int:
    """Return how many elements a dilated kernel spans, dilation * (kernel - 1) + 1."""
    return dilation * (kernel - 1) + 1


def same_padding(input_size: int, kernel_size: int, stride: int = 1, dilation: int = 1, side: str = "upper") -> Pair:
    """Return the (low, high) padding that makes the output ceil(input_size / stride) long.

    Formula: total = max((ceil(n / s) - 1) * s + d * (k - 1) + 1 - n, 0), halved; where it is odd the extra
    element goes to the high side ("upper": TensorFlow, ONNX SAME_UPPER, torch "same") or to the low side
    ("lower": ONNX SAME_LOWER).

    Units: elements along one axis.

    Constraints: `input-size`: at least 1; `kernel-size`, `stride`, `dilation`: at least 1; `side`: "upper" or
    "lower".

    Accuracy: exact.

    Source: ONNX operator Conv, attribute auto_pad; TensorFlow, tf.nn.convolution, "SAME".

    >>> same_padding(5, 2), same_padding(5, 2, side="lower"), same_padding(7, 3, stride=2)
    ((0, 1), (1, 0), (1, 1))
    """
    n = whole("input-size", "input_size", input_size, 1)
    k = whole("kernel-size", "kernel_size", kernel_size, 1)
    s = whole("stride", "stride", stride, 1)
    d = whole("dilation", "dilation", dilation, 1)
    one_of("side", "side", side, SAME_SIDES)
    total = max((-(-n // s) - 1) * s + kernel_extent(k, d) - n, 0)
    low, high = total // 2, total - total // 2
    return (low, high) if side == "upper" else (high, low)


def resolve_padding(
    padding: object,
    input_size: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
) -> tuple[Pair, ...]:
    """Return (low, high) for every axis from any spelling of padding that the references take."""
    rank = len(input_size)
    if type(padding) is int and 0 <= padding <= LARGEST:  # the common case, and the fast one
        return ((padding, padding),) * rank
    if isinstance(padding, str):
        if padding == "valid":
            return ((0, 0),) * rank
        if padding not in ("same", "same_upper", "same_lower"):
            refuse("padding", "padding", padding, 'must be "valid", "same", "same_upper" or "same_lower"')
        if padding == "same" and any(s != 1 for s in stride):
            refuse("padding", "padding", padding, f'needs stride 1, not {tuple(stride)}; "same_upper" does not')
        side = "lower" if padding == "same_lower" else "upper"
        return tuple(
            same_padding(max(n, 1), k, s, d, side)
            for n, k, s, d in zip(input_size, kernel, stride, dilation, strict=True)
        )
    if isinstance(padding, Sequence) and any(isinstance(entry, Sequence) for entry in padding):
        if len(padding) != rank or not all(isinstance(e, Sequence) and len(e) == 2 for e in padding):
            refuse(
                "padding",
                "padding",
                padding,
                f"must have {rank} pairs (low, high), one for each spatial axis",
            )
        return tuple(
            (whole("padding", "padding", low, 0), whole("padding", "padding", high, 0)) for low, high in padding
        )
    return tuple((p, p) for p in per_axis("padding", "padding", padding, rank, 0))


def conv_output_size(
    input_size: Sizes, kernel_size: Sizes, stride: Sizes = 1, padding: Padding = 0, dilation: Sizes = 1
) -> int | tuple[int, ...]:
    """Return how many windows of a cross-correlation fit, along one axis or along several.

    Formula: floor((n + low + high - d * (k - 1) - 1) / s) + 1.

    Units: elements. Numbers in, a number out; a sequence anywhere, a tuple out.

    Constraints: `input-size`: at least 0; `kernel-size`, `stride`, `dilation`: at least 1; `padding`: at
    least 0, pairs, or a name; `kernel-fits`: the extent is at most the padded input.

    Accuracy: exact.

    Source: Dumoulin and Visin, A guide to convolution arithmetic for deep learning, 2016, section 4.

    >>> conv_output_size(50, 3, stride=2)
    24
    >>> conv_output_size((50, 100), (3, 5), stride=(2, 1), padding=(4, 2), dilation=(3, 1))
    (26, 100)
    """
    scalar, axes = _axes(input_size, kernel_size, stride, padding, dilation)
    sizes = window_counts(axes)
    return sizes[0] if scalar else sizes


def pool_output_size(
    input_size: Sizes,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Padding = 0,
    dilation: Sizes = 1,
    ceil_mode: bool | str = False,
) -> int | tuple[int, ...]:
    """Return how many pooling windows there are, under the rounding rule that `ceil_mode` names.

    Formula: q = (n + low + high - d * (k - 1) - 1) / s, then
      "floor" (False):    floor(q) + 1;
      "ceil_keep":        ceil(q) + 1;
      "ceil_drop" (True): as "ceil_keep", less a last window that would start in the high padding or beyond,
                          (out - 1) * s >= n + low (PyTorch, ONNX from opset 19 on);
      "ceil_caffe":       as "ceil_drop" where there is padding, as "ceil_keep" where there is none (Caffe).

    Units: elements. Numbers in, a number out; a sequence anywhere, a tuple out.

    Constraints: as `conv_output_size`, but under a ceil rule a kernel may reach beyond the padded input by less than a
    stride; `ceil-mode`: False, True or one of the four names.

    Accuracy: exact.

    Source: PyTorch, ATen/native/Pool.h, pooling_output_shape; Caffe, pooling_layer.cpp, Reshape.

    >>> pool_output_size((50, 32), 3, stride=2, padding=1)
    (25, 16)
    >>> [pool_output_size(2, 1, stride=2, ceil_mode=rule) for rule in CEIL_RULES]
    [1, 1, 2, 2]
    """
    rule = ceil_rule(ceil_mode)
    scalar, axes = _axes(input_size, kernel_size, kernel_size if stride is None else stride, padding, dilation)
    sizes = window_counts(axes, rule)
    return sizes[0] if scalar else sizes


def conv_transpose_output_size(
    input_size: Sizes,
    kernel_size: Sizes,
    stride: Sizes = 1,
    padding: Padding = 0,
    output_padding: Sizes = 0,
    dilation: Sizes = 1,
) -> int | tuple[int, ...]:
    """Return the output size of a transposed convolution, along one axis or along several.

    Formula: (n - 1) * s - low - high + d * (k - 1) + 1 + output_padding.

    Units: elements. Numbers in, a number out; a sequence anywhere, a tuple out.

    Constraints: `input-size`, `kernel-size`, `stride`, `dilation`: at least 1; `padding`, `output-padding`:
    at least 0; `output-padding`: less than the stride or the dilation; `output-size`: the result is at least
    1.

    Accuracy: exact.

    Source: Dumoulin and Visin, 2016, section 4; PyTorch, ConvTranspose2d, Shape.

    >>> conv_transpose_output_size(12, 3, stride=2, padding=1, output_padding=1)
    24
    """
    scalar, axes = _axes(input_size, kernel_size, stride, padding, dilation, output_padding)
    extra = per_axis("output-padding", "output_padding", output_padding, len(axes), 0)
    if any(axis[0] < 1 for axis in axes):
        refuse("input-size", "input_size", input_size, "must be at least 1")
    sizes = transposed_sizes(axes, extra)
    return sizes[0] if scalar else sizes


def transposed_sizes(axes: Sequence[Axis], extra: Sequence[int]) -> tuple[int, ...]:
    """Return the sizes of a transposed convolution along checked axes, with that much output padding."""
    sizes = []
    for (n, k, s, pair, d), o in zip(axes, extra, strict=True):
        if o >= max(s, d):
            refuse("output-padding", "output_padding", tuple(extra), f"must be less than stride {s} or dilation {d}")
        size = (n - 1) * s - pair[0] - pair[1] + kernel_extent(k, d) + o
        if size < 1:
            refuse("output-size", "padding", pair, f"leaves an output of size {size}; it must be at least 1")
        sizes.append(size)
    return tuple(sizes)


class Layer(NamedTuple):
    """The window of one layer along one axis."""

    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1


class ReceptiveField(NamedTuple):
    """What one output element sees of the input, along one axis.

    size: elements seen; stride: how far the field moves from one output element to the next; start: the input
    position at which output element 0 begins to see (negative: in the padding).
    """

    size: int
    stride: int
    start: int


def receptive_field(layers: Sequence[Sequence[int]]) -> ReceptiveField:
    """Return the receptive field of a stack of layers, each (kernel, stride=1, padding=0, dilation=1).

    Formula: with jump j and size r (both 1 at first) each layer gives r += (extent - 1) * j,
    start -= padding * j, then j *= stride. The field may exceed the input.

    Units: input elements along one axis.

    Constraints: `layers`: sequences of 1 to 4 numbers; `kernel-size`, `stride`, `dilation`: at least 1;
    `padding`: at least 0.

    Accuracy: exact.

    Source: Araujo, Norris and Sim, Computing receptive fields of convolutional neural networks, 2019.

    >>> receptive_field([(2,), (2,)])
    ReceptiveField(size=3, stride=1, start=0)
    """
    if not isinstance(layers, Sequence):
        refuse("layers", "layers", layers, "must be a sequence of layers")
    size, jump, start = 1, 1, 0
    for layer in layers:
        if not isinstance(layer, Sequence) or not 1 <= len(layer) <= 4:
            refuse("layers", "layers", layer, "must hold sequences (kernel, stride=1, padding=0, dilation=1)")
        kernel, stride, padding, dilation = Layer(*layer)
        k, d = whole("kernel-size", "kernel", kernel, 1), whole("dilation", "dilation", dilation, 1)
        size += (kernel_extent(k, d) - 1) * jump
        start -= whole("padding", "padding", padding, 0) * jump
        jump *= whole("stride", "stride", stride, 1)
    return ReceptiveField(size, jump, start)


def ceil_rule(ceil_mode: object) -> str:
    """Return the name of a rounding rule: PyTorch's flag, or the name itself."""
    if isinstance(ceil_mode, (bool, np.bool_)):
        return "ceil_drop" if ceil_mode else "floor"
    if not isinstance(ceil_mode, str) or ceil_mode not in CEIL_RULES:
        refuse("ceil-mode", "ceil_mode", ceil_mode, f"must be a bool or one of {', '.join(CEIL_RULES)}")
    return ceil_mode


def window_views(
    array: Array, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int], output: Sequence[int]
) -> Array:
    """Return a read-only view of shape (*lead, *output, *kernel) onto the windows of a padded array."""
    rank = len(kernel)
    lead = array.ndim - rank
    steps = array.strides[lead:]
    # Where there is one window or one tap only, its distance to the next one may be beyond all bounds.
    strides = (
        array.strides[:lead]
        + tuple(b * s if n > 1 else b for b, s, n in zip(steps, stride, output, strict=True))
        + tuple(b * d if k > 1 else b for b, d, k in zip(steps, dilation, kernel, strict=True))
    )
    return as_strided(array, (*array.shape[:lead], *output, *kernel), strides, writeable=False)


@lru_cache(maxsize=128)  # layers are called with the same windows again and again
def tap_slices(
    kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...], output: tuple[int, ...]
) -> tuple[tuple[Index, Index], ...]:
    """Return the index of every kernel tap, and of what it meets in a padded array, window by window."""
    axes = [
        [slice(t * d, t * d + (o - 1) * s + 1, s) for t in range(k)]
        for k, s, d, o in zip(kernel, stride, dilation, output, strict=True)
    ]
    taps = product(*map(range, kernel))
    return tuple((tap, (..., *(axis[t] for axis, t in zip(axes, tap, strict=True)))) for tap in taps)


def padded(array: Array, padding: Sequence[Pair], value: object = 0) -> Array:
    """Return the array with constant padding around its last axes; the array itself where there is none."""
    if not any(low or high for low, high in padding):
        return array
    lead = array.ndim - len(padding)
    shape = array.shape[:lead] + tuple(
        n + low + high for n, (low, high) in zip(array.shape[lead:], padding, strict=True)
    )
    result = np.full(shape, value, array.dtype)
    inside: Index = (..., *(slice(p[0], p[0] + n) for n, p in zip(array.shape[lead:], padding, strict=True)))
    result[inside] = array
    return result


def window_counts(axes: Iterable[Axis], rule: str = "floor") -> tuple[int, ...]:
    """Return how many windows there are along checked axes, under a rule of `pool_output_size`."""
    return tuple(_window_count(rule, *axis) for axis in axes)


def _axes(
    input_size: Sizes,
    kernel_size: Sizes,
    stride: Sizes,
    padding: Padding,
    dilation: Sizes,
    output_padding: Sizes = 0,
) -> tuple[bool, list[Axis]]:
    """Check window arguments and return them axis by axis; the flag says that all were plain numbers."""
    given = (input_size, kernel_size, stride, padding, dilation, output_padding)
    lengths = {len(v) for v in given if isinstance(v, Sequence) and not isinstance(v, str)} - {1}
    rank = max(lengths, default=1)
    n = per_axis("input-size", "input_size", input_size, rank, 0)
    k = per_axis("kernel-size", "kernel_size", kernel_size, rank, 1)
    s = per_axis("stride", "stride", stride, rank, 1)
    d = per_axis("dilation", "dilation", dilation, rank, 1)
    p = resolve_padding(padding, n, k, s, d)
    scalar = all(not isinstance(v, Sequence) or isinstance(v, str) for v in given)
    return scalar, list(zip(n, k, s, p, d, strict=True))


def _window_count(rule: str, n: int, k: int, s: int, pair: Pair, d: int) -> int:
    span = n + pair[0] + pair[1] - kernel_extent(k, d)
    size = span // s + 1 if rule == "floor" else -(-span // s) + 1
    may_drop = rule == "ceil_drop" or (rule == "ceil_caffe" and any(pair))
    if may_drop and (size - 1) * s >= n + pair[0]:
        size -= 1
    if size < 1:
        refuse(
            "kernel-fits",
            "kernel_size",
            k,
            f"with dilation {d} spans {kernel_extent(k, d)} elements, the padded input only {n + sum(pair)}",
        )
    return size
