"""The literal loops: each definition as one would write it on a blackboard, slow and obvious.

Only the choice of dtype is shared with the fast forms, so that their agreement means something: windows are
counted by laying them down one after another, and a tap is in the padding if its position is outside the
array. Arguments are those of the fast forms and are not checked; inputs have a batch axis, and the rank
is that of the arrays.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from reference.arrays import Array, widen, widen_together


def corr2d(x: ArrayLike, k: ArrayLike) -> Array:
    """Cross-correlate two matrices: output[i, j] = sum over a, b of x[i + a, j + b] * k[a, b].

    >>> corr2d([[0, 1, 2], [3, 4, 5], [6, 7, 8]], [[0, 1], [2, 3]]).tolist()
    [[19, 25], [37, 43]]
    """
    a, b = widen_together(x=x, k=k)
    h, w = b.shape
    output = np.zeros((a.shape[0] - h + 1, a.shape[1] - w + 1), a.dtype)
    for i in range(output.shape[0]):
        for j in range(output.shape[1]):
            output[i, j] = (a[i : i + h, j : j + w] * b).sum()
    return output


def corr2d_multi_in(x: ArrayLike, k: ArrayLike) -> Array:
    """Cross-correlate channel by channel and add: output = sum over c of corr2d(x[c], k[c]).

    >>> corr2d_multi_in([[[1, 2]], [[3, 4]]], [[[1]], [[10]]]).tolist()
    [[31, 42]]
    """
    return np.asarray(sum(corr2d(x_c, k_c) for x_c, k_c in zip(widen("x", x), widen("k", k), strict=True)))


def corr2d_multi_in_out(x: ArrayLike, k: ArrayLike) -> Array:
    """Stack one result for each output channel: output[o] = corr2d_multi_in(x, k[o]).

    >>> corr2d_multi_in_out([[[1, 2]]], [[[[1]]], [[[10]]]]).tolist()
    [[[1, 2]], [[10, 20]]]
    """
    return np.stack([corr2d_multi_in(x, k_o) for k_o in widen("k", k)])


def corr2d_multi_in_out_1x1(x: ArrayLike, k: ArrayLike) -> Array:
    """Apply a 1x1 kernel as a matrix product at every pixel: k (c_out, c_in) times x (c_in, h * w).

    >>> corr2d_multi_in_out_1x1([[[1, 2]]], [[[[1]]], [[[10]]]]).tolist()
    [[[1, 2]], [[10, 20]]]
    """
    a, b = widen_together(x=x, k=k)
    c_in, h, w = a.shape
    c_out = b.shape[0]
    return np.asarray(b.reshape(c_out, c_in) @ a.reshape(c_in, h * w)).reshape(c_out, h, w)


def pool2d(x: ArrayLike, pool_size: tuple[int, int], mode: str = "max") -> Array:
    """Pool a matrix with stride 1: output[i, j] = max or mean of x[i : i + h, j : j + w].

    >>> pool2d([[0, 1, 2], [3, 4, 5], [6, 7, 8]], (2, 2)).tolist()
    [[4, 5], [7, 8]]
    """
    a = widen("x", x)
    h, w = pool_size
    rows, columns = range(a.shape[0] - h + 1), range(a.shape[1] - w + 1)
    windows = [[a[i : i + h, j : j + w] for j in columns] for i in rows]
    return np.array([[window.max() if mode == "max" else window.mean() for window in row] for row in windows])


def conv2d_four_loops(
    input: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None, stride: Any = 1, padding: Any = 0
) -> Array:
    """Loop over sample, output channel, row, column: output[n, o, i, j] = bias[o] + sum(window * weight[o]).

    >>> conv2d_four_loops([[[[1, 2, 3]]]], [[[[1, 10]]]], padding=(0, 1)).tolist()
    [[[[10, 21, 32, 3]]]]
    """
    x, w, b = _operands(input, weight, bias)
    (s, r), ((top, bottom), (left, right)) = _each(stride, 2), _pairs(padding, 2)
    (height, width), (h, v) = x.shape[2:], w.shape[2:]
    padded = np.zeros((*x.shape[:2], top + height + bottom, left + width + right), x.dtype)
    padded[:, :, top : top + height, left : left + width] = x
    rows, columns = _count(height, h, s, top, bottom), _count(width, v, r, left, right)
    output = np.zeros((x.shape[0], w.shape[0], rows, columns), x.dtype)
    for n in range(x.shape[0]):
        for o in range(w.shape[0]):
            for i in range(rows):
                for j in range(columns):
                    window = padded[n, :, i * s : i * s + h, j * r : j * r + v]
                    output[n, o, i, j] = (window * w[o]).sum() + b[o]
    return output


def conv2d_seven_loops(
    input: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None, stride: Any = 1, padding: Any = 0
) -> Array:
    """Seven loops: output[n, o, i, j] += input[n, c, i*s + a - top, j*r + d - left] * weight[o, c, a, d].

    >>> conv2d_seven_loops([[[[1, 2, 3]]]], [[[[1, 10]]]], padding=(0, 1)).tolist()
    [[[[10, 21, 32, 3]]]]
    """
    x, w, b = _operands(input, weight, bias)
    (s, r), ((top, bottom), (left, right)) = _each(stride, 2), _pairs(padding, 2)
    height, width = x.shape[2:]
    rows, columns = _count(height, w.shape[2], s, top, bottom), _count(width, w.shape[3], r, left, right)
    output = np.zeros((x.shape[0], w.shape[0], rows, columns), x.dtype)
    for n in range(x.shape[0]):
        for o in range(w.shape[0]):
            output[n, o] = b[o]
            for c in range(w.shape[1]):
                for i in range(rows):
                    for j in range(columns):
                        for a in range(w.shape[2]):
                            for d in range(w.shape[3]):
                                row, column = i * s + a - top, j * r + d - left
                                if 0 <= row < height and 0 <= column < width:
                                    output[n, o, i, j] += x[n, c, row, column] * w[o, c, a, d]
    return output


def conv(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Array:
    """Convolve: output[n, o, u] = bias[o] + sum of input[n, group + c, u*s + t*d - low] * weight[o, c, t].

    >>> conv([[[1, 2, 3, 4]]], [[[1, 10]]], stride=2, padding=((1, 0),), dilation=2).tolist()
    [[[20, 42]]]
    """
    x, w, b = _operands(input, weight, bias)
    rank = w.ndim - 2
    s, p, d = _each(stride, rank), _pairs(padding, rank), _each(dilation, rank)
    size = [_count(x.shape[2 + a], (w.shape[2 + a] - 1) * d[a] + 1, s[a], *p[a]) for a in range(rank)]
    output = np.zeros((x.shape[0], w.shape[0], *size), x.dtype)
    for n, o, *u in np.ndindex(*output.shape):
        total = b[o]
        group = o // (w.shape[0] // groups)
        for c, *t in np.ndindex(*w.shape[1:]):
            position = [u[a] * s[a] + t[a] * d[a] - p[a][0] for a in range(rank)]
            if _inside(position, x.shape[2:]):
                total = total + x[(n, group * w.shape[1] + c, *position)] * w[(o, c, *t)]
        output[(n, o, *u)] = total
    return output


def conv_transpose(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Array:
    """Scatter: output[n, o, u*s + t*d - low] += input[n, c, u] * weight[c, o, t] from zero, then add bias[o].

    >>> conv_transpose([[[1, 2]]], [[[1, 10]]], stride=2, output_padding=1).tolist()
    [[[1, 10, 2, 20, 0]]]
    """
    x, w = widen_together(input=input, weight=weight)
    rank = w.ndim - 2
    s, p, d = _each(stride, rank), _pairs(padding, rank), _each(dilation, rank)
    farthest = [(x.shape[2 + a] - 1) * s[a] + (w.shape[2 + a] - 1) * d[a] for a in range(rank)]
    extra = _each(output_padding, rank)
    size = [farthest[a] + 1 - p[a][0] - p[a][1] + extra[a] for a in range(rank)]
    output = np.zeros((x.shape[0], w.shape[1] * groups, *size), x.dtype)
    for n, c, *u in np.ndindex(*x.shape):
        group = c // (x.shape[1] // groups)
        for o, *t in np.ndindex(*w.shape[1:]):
            position = [u[a] * s[a] + t[a] * d[a] - p[a][0] for a in range(rank)]
            if _inside(position, size):
                output[(n, group * w.shape[1] + o, *position)] += x[(n, c, *u)] * w[(c, o, *t)]
    return output if bias is None else output + widen("bias", bias).reshape(-1, *[1] * rank)


def max_pool(
    input: ArrayLike,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: Any = False,
    nan: str = "propagate",
) -> tuple[Array, Array]:
    """Pool: output[n, c, u] = max over t of input[n, c, u*s + t*d - low], and the flat index where it is.

    >>> [y.tolist() for y in max_pool([[[1, 3, 2, 2]]], 2)]
    [[[[3, 2]]], [[[1, 2]]]]
    """
    x = widen("input", input)
    k, s, p, d, size = _pooling(x, kernel_size, stride, padding, dilation, ceil_mode)
    output = np.zeros((*x.shape[:2], *size), x.dtype)
    indices = np.full(output.shape, -1)
    for n, c, *u in np.ndindex(*output.shape):
        best = np.iinfo(x.dtype).min if x.dtype.kind == "i" else -np.inf
        index = -1
        for t in product(*map(range, k)):
            position = [u[a] * s[a] + t[a] * d[a] - p[a][0] for a in range(len(k))]
            if not _inside(position, x.shape[2:]):
                continue
            value = x[(n, c, *position)]
            if nan == "propagate" if value != value else value > best or index == -1:
                best, index = value, int(np.ravel_multi_index(position, x.shape[2:]))
        output[(n, c, *u)], indices[(n, c, *u)] = best, index
    return output, indices


def avg_pool(
    input: ArrayLike,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: Any = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """Pool: output[n, c, u] = (sum over t of input[n, c, u*s + t - low]) / (number of taps that count).

    >>> avg_pool([[[1, 3, 2, 4]]], 2, padding=1, count_include_pad=False).tolist()
    [[[1.0, 2.5, 4.0]]]
    """
    x = widen("input", input)
    k, s, p, _, size = _pooling(x, kernel_size, stride, padding, 1, ceil_mode)
    output = np.zeros((*x.shape[:2], *size), np.result_type(x, np.float64))
    for n, c, *u in np.ndindex(*output.shape):
        total, count = output.dtype.type(0), 0
        for t in product(*map(range, k)):
            position = [u[a] * s[a] + t[a] - p[a][0] for a in range(len(k))]
            if _inside(position, x.shape[2:]):
                with np.errstate(over="ignore", invalid="ignore"):
                    total = total + x[(n, c, *position)]
                count += 1
            elif all(q < m + high for q, m, (_, high) in zip(position, x.shape[2:], p, strict=True)):
                count += bool(count_include_pad)
        divisor = count if divisor_override is None else divisor_override
        # Part by part: NumPy's quotient of complex numbers makes NaN of infinities.
        real, imag = (part / divisor if divisor else np.nan for part in (total.real, total.imag))
        output[(n, c, *u)] = complex(real, imag) if output.dtype.kind == "c" else real
    return output


def batch_norm(
    input: ArrayLike,
    running_mean: ArrayLike | None = None,
    running_var: ArrayLike | None = None,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    running_variance: str = "unbiased",
    momentum_weights: str = "new",
) -> tuple[Array, Array, Array]:
    """Normalize: (x - mean) / sqrt(variance + eps) * weight + bias, channel by channel; None is 0, 1, 1, 0.

    >>> batch_norm([[1.0], [3.0]], training=True, eps=0.0)[0].tolist()
    [[-1.0], [1.0]]
    """
    x = widen("input", input)
    output = np.zeros(x.shape)
    means, variances, scale, shift = (
        np.full(x.shape[1], default) if given is None else widen("input", given).astype(np.float64)
        for given, default in ((running_mean, 0.0), (running_var, 1.0), (weight, 1.0), (bias, 0.0))
    )
    share = momentum if momentum_weights == "new" else 1 - momentum
    for c in range(x.shape[1]):
        mean, var = means[c], variances[c]
        if training:
            values = x[:, c].ravel().tolist()
            m = len(values)
            mean = sum(values) / m
            squares = sum((v - mean) ** 2 for v in values)
            var = squares / m
            means[c] = (1 - share) * means[c] + share * mean
            kept = squares / (m - 1) if running_variance == "unbiased" else var
            variances[c] = (1 - share) * variances[c] + share * kept
        output[:, c] = (x[:, c] - mean) / np.sqrt(var + eps) * scale[c] + shift[c]
    return output, means, variances


def linear(input: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None) -> Array:
    """Map vectors: output[n, o] = bias[o] + sum over i of input[n, i] * weight[o, i].

    >>> linear([[1, 2]], [[3, 4], [5, 6]], [100, 200]).tolist()
    [[111, 217]]
    """
    x, w, b = _operands(input, weight, bias)
    output = np.zeros((x.shape[0], w.shape[0]), x.dtype)
    for n, o in np.ndindex(*output.shape):
        output[n, o] = b[o] + sum(x[n, i] * w[o, i] for i in range(w.shape[1]))
    return output


def relu(input: ArrayLike, nan: str = "propagate") -> Array:
    """Keep what is positive: output = input if input > 0 else 0; a NaN stays one, or ("zero") does not.

    >>> relu([-1, 2]).tolist()
    [0, 2]
    """
    output = widen("input", input).copy()
    for index in np.ndindex(*output.shape):
        value = output[index]
        if not value > 0 and (value == value or nan == "zero"):
            output[index] = 0
    return output


def pad(input: ArrayLike, pad: Any, mode: str = "constant", value: Any = 0) -> Array:
    """Extend: output[i] = input[i - low]; outside, `value` or what a mirror, the edge, the next turn shows.

    >>> pad([1, 2, 3], (2, 1), mode="reflect").tolist()
    [3, 2, 1, 2, 3, 2]
    """
    x, fill = widen_together(input=input, value=value)
    low_high = [(0, 0)] * (x.ndim - len(pad) // 2) + list(zip(pad[::2], pad[1::2], strict=True))[::-1]
    output = np.zeros([n + low + high for n, (low, high) in zip(x.shape, low_high, strict=True)], x.dtype)
    for index in np.ndindex(*output.shape):
        source = [i - low for i, (low, _) in zip(index, low_high, strict=True)]
        if mode != "constant":
            source = [_walk_in(i, n, mode) for i, n in zip(source, x.shape, strict=True)]
        output[index] = x[tuple(source)] if _inside(source, x.shape) else fill
    return output


def _walk_in(i: int, n: int, mode: str) -> int:
    """Return the position in 0 .. n - 1 from which padding at i copies."""
    while not 0 <= i < n:
        if mode == "reflect":
            i = -i if i < 0 else 2 * (n - 1) - i
        else:
            i += (1 if mode == "replicate" else n) * (1 if i < 0 else -1)
    return i


def _inside(position: Any, shape: Any) -> bool:
    return all(0 <= i < n for i, n in zip(position, shape, strict=True))


def _operands(input: ArrayLike, weight: ArrayLike, bias: ArrayLike | None) -> list[Array]:
    """Return the three in one dtype, and zeros for a bias that is not given."""
    return widen_together(input=input, weight=weight, bias=[0] * len(widen("weight", weight)) if bias is None else bias)


def _each(value: Any, rank: int) -> list[Any]:
    entries = list(value) if isinstance(value, (list, tuple)) else [value]
    return entries * rank if len(entries) == 1 else entries


def _pairs(padding: Any, rank: int) -> list[tuple[int, int]]:
    return [tuple(p) if isinstance(p, (list, tuple)) else (p, p) for p in _each(padding, rank)]


def _count(n: int, extent: int, stride: int, low: int, high: int, rule: Any = "floor") -> int:
    """Count windows, laying down one after another."""
    total, starts = low + n + high, [0]
    if rule in (False, "floor"):  # while the next one fits
        while starts[-1] + stride + extent <= total:
            starts.append(starts[-1] + stride)
        return len(starts)
    while starts[-1] + extent < total:  # until the last element is reached, though the window may overhang
        starts.append(starts[-1] + stride)
    if rule in (True, "ceil_drop") or (rule == "ceil_caffe" and (low or high)):
        starts = [start for start in starts if start < low + n]  # none that begins in the high padding
    return len(starts)


def _pooling(x: Array, kernel_size: Any, stride: Any, padding: Any, dilation: Any, rule: Any) -> Any:
    """Return kernel, stride, padding, dilation and number of windows along every spatial axis."""
    rank = x.ndim - 2
    k, p, d = _each(kernel_size, rank), _pairs(padding, rank), _each(dilation, rank)
    s = k if stride is None else _each(stride, rank)
    size = [_count(x.shape[2 + a], (k[a] - 1) * d[a] + 1, s[a], *p[a], rule) for a in range(rank)]
    return k, s, p, d, size
