"""A second implementation of all operators of the suite, in NumPy, by another method than that of `reference`.

Every window is gone through tap by tap: a strided slice of the padded input for each place in the kernel, multiplied
and added up, or compared with the largest so far. Nothing of `reference` is imported. Half formats are computed in
float32 and every result is rounded once, so that the backend promises the usual arithmetic of each dtype.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial, wraps
from typing import Any

import numpy as np

from conformance.model import Backend

Array = np.ndarray[Any, np.dtype[Any]]
Pair = tuple[int, int]


def demand(condition: bool, what: str) -> None:
    """Refuse the call unless the condition holds."""
    if not condition:
        raise ValueError(what)


def along(name: str, value: Any, rank: int, least: int) -> tuple[int, ...]:
    """Return a whole number for each axis from one number or a sequence of them."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    demand(len(values) in (1, rank), f"{name}={value!r}: must be one number, or {rank}")
    demand(all(isinstance(v, int) and v >= least for v in values), f"{name}={value!r}: must be whole, at least {least}")
    return values if len(values) == rank else values * rank


def in_accumulator(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function have its arrays in the accumulator of their dtype, and round what it returns once."""

    @wraps(function)
    def call(*rank: int, input: Array, **given: Any) -> Any:
        def wide(value: Any) -> Any:
            half = isinstance(value, np.ndarray) and value.itemsize < 4
            return value.astype(np.float32) if half else value

        def narrow(value: Any) -> Any:
            return value if value is None or value.dtype.kind == "i" else value.astype(input.dtype, copy=False)

        result = function(*rank, wide(input), **{name: wide(value) for name, value in given.items()})
        return tuple(map(narrow, result)) if isinstance(result, tuple) else narrow(result)

    return call


def batched(function: Callable[..., Any]) -> Callable[..., Any]:
    """Check the axes of the input, and let a function have a batch axis also where there is none."""

    @wraps(function)
    def call(rank: int, input: Array, *args: Any, **given: Any) -> Any:
        demand(input.ndim in (rank + 1, rank + 2), f"input {input.shape}: not {rank} spatial axes and 1 or 2 more")
        demand(all(input.shape[-rank:]), f"input {input.shape}: must have no spatial axis of length 0")
        if input.ndim == rank + 2:
            return function(rank, input, *args, **given)
        result = function(rank, input[np.newaxis], *args, **given)
        return tuple(part[0] for part in result) if isinstance(result, tuple) else result[0]

    return call


def taps(
    kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int], windows: Sequence[int]
) -> Iterator[tuple[tuple[int, ...], tuple[Any, ...]]]:
    """Yield every place in the kernel, and the index of what it meets: one element for each window."""
    for tap in np.ndindex(*kernel):
        first = [t * d for t, d in zip(tap, dilation, strict=True)]
        yield tap, (..., *(slice(f, f + (n - 1) * s + 1, s) for f, s, n in zip(first, stride, windows, strict=True)))


def extents(kernel: Sequence[int], dilation: Sequence[int]) -> tuple[int, ...]:
    """Return how many elements a dilated kernel spans along each axis."""
    return tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))


def check_parameter(name: str, value: Array | None, shape: tuple[int, ...]) -> None:
    """Refuse a parameter of another shape."""
    demand(value is None or value.shape == shape, f"{name}: must have shape {shape}")


def check_weight(rank: int, weight: Array) -> None:
    """Refuse the weight of a convolution that has no kernel."""
    demand(weight.ndim == rank + 2 and all(weight.shape[2:]), f"weight {weight.shape}: not {rank} axes of taps")


def bias_everywhere(bias: Array | None, shape: tuple[int, ...], dtype: Any) -> Array:
    """Return what a sum over taps starts from, in that shape (N, groups, O / groups, *size): the bias, or zeros."""
    start = np.zeros(shape, dtype)
    if bias is not None:
        start += bias.reshape(*shape[1:3], *(1,) * (len(shape) - 3))
    return start


@in_accumulator
@batched
def conv(
    rank: int,
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Array:
    """Convolve: for every tap, add the product of its weights and the elements that it meets."""
    check_weight(rank, weight)
    (groups,) = along("groups", groups, 1, 1)
    s, d = along("stride", stride, rank, 1), along("dilation", dilation, rank, 1)
    batch, channels, *spatial = input.shape
    out, into, *kernel = weight.shape
    demand(channels == into * groups, f"input {input.shape}: must have {into * groups} channels")
    demand(out > 0 and out % groups == 0, f"weight {weight.shape}: must have channels for {groups} groups")
    check_parameter("bias", bias, (out,))
    spans = extents(kernel, d)
    if padding == "same":
        demand(set(s) == {1}, 'padding="same": needs a stride of 1')
        margins = [((e - 1) // 2, e // 2) for e in spans]
    else:
        margins = [(p, p) for p in along("padding", 0 if padding == "valid" else padding, rank, 0)]
    size = [(n + sum(m) - e) // t + 1 for n, m, e, t in zip(spatial, margins, spans, s, strict=True)]
    demand(min(size) > 0, f"weight {weight.shape}: its kernel is larger than the padded input")
    x = np.pad(input, [(0, 0), (0, 0), *margins]).reshape(
        batch, groups, into, *(n + sum(m) for n, m in zip(spatial, margins, strict=True))
    )
    w = weight.reshape(groups, out // groups, into, *kernel)
    total = bias_everywhere(bias, (batch, groups, out // groups, *size), input.dtype)
    for tap, met in taps(kernel, s, d, size):
        total += np.einsum("ngc...,goc->ngo...", x[met], w[(..., *tap)])
    return total.reshape(batch, out, *size)


@in_accumulator
@batched
def conv_transpose(
    rank: int,
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Array:
    """Scatter: for every tap, add the product of its weights and the whole input where the tap takes it."""
    check_weight(rank, weight)
    (groups,) = along("groups", groups, 1, 1)
    s, d = along("stride", stride, rank, 1), along("dilation", dilation, rank, 1)
    p, extra = along("padding", padding, rank, 0), along("output_padding", output_padding, rank, 0)
    batch, channels, *spatial = input.shape
    into, out, *kernel = weight.shape
    demand(channels == into and into % groups == 0, f"input {input.shape}: must have {into} channels, {groups} groups")
    demand(out > 0, f"weight {weight.shape}: must have output channels")
    check_parameter("bias", bias, (out * groups,))
    demand(all(e < max(t, f) for e, t, f in zip(extra, s, d, strict=True)), f"output_padding={extra}: is too large")
    full = [(n - 1) * t + e + o for n, t, e, o in zip(spatial, s, extents(kernel, d), extra, strict=True)]
    demand(all(n > 2 * q for n, q in zip(full, p, strict=True)), f"padding={p}: leaves nothing")
    x = input.reshape(batch, groups, into // groups, *spatial)
    w = weight.reshape(groups, into // groups, out, *kernel)
    total = bias_everywhere(bias, (batch, groups, out, *full), input.dtype)
    for tap, met in taps(kernel, s, d, spatial):
        total[met] += np.einsum("ngc...,gco->ngo...", x, w[(..., *tap)])
    inside = total[(..., *(slice(q, n - q) for q, n in zip(p, full, strict=True)))]
    return inside.reshape(batch, out * groups, *inside.shape[3:])


def pooling(
    rank: int, spatial: Sequence[int], kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> tuple[tuple[int, ...], list[int], list[Pair], list[tuple[Any, ...]]]:
    """Check the arguments of a pooling layer; return padding, output size, what to pad for it, and all taps."""
    kernel, d = along("kernel_size", kernel_size, rank, 1), along("dilation", dilation, rank, 1)
    s = kernel if stride is None else along("stride", stride, rank, 1)
    p, spans = along("padding", padding, rank, 0), extents(kernel, d)
    demand(all(q <= e // 2 for q, e in zip(p, spans, strict=True)), f"padding={padding}: is more than half a kernel")
    size, margins = [], []
    for n, q, e, t in zip(spatial, p, spans, s, strict=True):
        room = n + 2 * q - e
        count = (-(-room // t) if ceil_mode else room // t) + 1
        if ceil_mode and (count - 1) * t >= n + q:  # it would start in the padding behind the input
            count -= 1
        demand(count > 0, f"kernel_size={kernel_size}: is larger than the padded input")
        size.append(count)
        margins.append((q, max(q, (count - 1) * t + e - n - q)))
    return p, size, margins, [met for _, met in taps(kernel, s, d, size)]


@in_accumulator
@batched
def max_pool(
    rank: int,
    input: Array,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Array | tuple[Array, Array]:
    """Keep the largest so far: the first of equal ones, and the last NaN."""
    lead, spatial = input.shape[:2], input.shape[2:]
    _, size, margins, met = pooling(rank, spatial, kernel_size, stride, padding, dilation, ceil_mode)
    x = np.pad(input, [(0, 0), (0, 0), *margins], constant_values=-np.inf)
    place = np.pad(np.arange(math.prod(spatial)).reshape(spatial), margins, constant_values=-1)
    best, index = np.full((*lead, *size), -np.inf, x.dtype), np.full((*lead, *size), -1)
    for at in met:
        wins = (place[at] >= 0) & ((index < 0) | (x[at] > best) | np.isnan(x[at]))
        best, index = np.where(wins, x[at], best), np.where(wins, place[at], index)
    return (best, index) if return_indices else best


@in_accumulator
@batched
def avg_pool(
    rank: int,
    input: Array,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """Add up the elements of each window, and divide by how many of them count."""
    demand(divisor_override != 0, "divisor_override=0: nothing can be divided by it")
    lead, spatial = input.shape[:2], input.shape[2:]
    p, size, margins, met = pooling(rank, spatial, kernel_size, stride, padding, 1, ceil_mode)
    counted = np.pad(np.ones(spatial, int), [(q, q) for q in p], constant_values=int(count_include_pad))
    counted = np.pad(counted, [(0, high - q) for (_, high), q in zip(margins, p, strict=True)])
    x = np.pad(input, [(0, 0), (0, 0), *margins])
    total, count = np.zeros((*lead, *size), x.dtype), np.zeros(size, int)
    for at in met:
        total += x[at]
        count += counted[at]
    return total / (count if divisor_override is None else np.array(divisor_override)).astype(x.dtype)


@in_accumulator
def batch_norm(
    input: Array,
    running_mean: Array | None = None,
    running_var: Array | None = None,
    weight: Array | None = None,
    bias: Array | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> tuple[Array, Array | None, Array | None]:
    """Normalize every channel: the mean in one pass, the mean square of the distances from it in another."""
    demand(input.ndim >= 2, f"input {input.shape}: must have channels")
    channels, count = input.shape[1], math.prod(input.shape[:1] + input.shape[2:])
    given = {"running_mean": running_mean, "running_var": running_var, "weight": weight, "bias": bias}
    for name, value in given.items():
        check_parameter(name, value, (channels,))
    demand((running_mean is None) == (running_var is None), "running_mean, running_var: must be given both or neither")
    demand(training or running_mean is not None, "running_mean: must be given unless training")
    demand(not training or count > 1, f"input {input.shape}: must hold more than 1 value a channel")
    demand(0 <= eps < math.inf and math.isfinite(momentum), f"eps={eps}, momentum={momentum}: must be finite, eps >= 0")
    if running_mean is not None and running_var is not None:  # the answer is nobody's input
        running_mean, running_var = running_mean.copy(), running_var.copy()
    mean, var = running_mean, running_var
    values = np.moveaxis(input, 1, -1)  # so that what a channel has one of broadcasts
    if training:
        mean = values.reshape(-1, channels).sum(0) / count
        var = np.square(values - mean).reshape(-1, channels).sum(0) / count
        if running_mean is not None:
            running_mean = (1 - momentum) * running_mean + momentum * mean
            running_var = (1 - momentum) * running_var + momentum * (var * count / (count - 1))
    result = (values - mean) / np.sqrt(var + eps)
    result = result if weight is None else result * weight
    result = result if bias is None else result + bias
    return np.moveaxis(result, -1, 1), running_mean, running_var


@in_accumulator
def linear(input: Array, weight: Array, bias: Array | None = None) -> Array:
    """Add up feature by feature what it contributes to every output."""
    demand(input.ndim > 0 and weight.ndim in (1, 2), f"input {input.shape}, weight {weight.shape}: have other axes")
    demand(input.shape[-1] == weight.shape[-1], f"weight {weight.shape}: has not the features of input {input.shape}")
    check_parameter("bias", bias, weight.shape[:-1])
    total = np.zeros((*input.shape[:-1], *weight.shape[:-1]), input.dtype)
    total += 0 if bias is None else bias
    for feature in range(input.shape[-1]):
        total += np.multiply.outer(input[..., feature], weight[..., feature])
    return total


@in_accumulator
def relu(input: Array) -> Array:
    """Replace what is below zero."""
    return np.where(input < 0, 0, input)


SOURCES: dict[str, Callable[[Array, int], Array]] = {
    "reflect": lambda at, n: n - 1 - abs(n - 1 - abs(at)),
    "replicate": lambda at, n: at.clip(0, n - 1),
    "circular": lambda at, n: at % n,
}


def pad(input: Array, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Array:
    """Take along each axis the elements that the places of the output are copies of."""
    demand(mode == "constant" or mode in SOURCES, f"mode={mode!r}: is unknown")
    demand(mode == "constant" or value is None, f"value={value}: has no meaning in mode {mode}")
    demand(len(pad) % 2 == 0 and len(pad) <= 2 * input.ndim, f"pad={pad}: must be pairs, one an axis at most")
    for axis, low, high in zip(range(-1, -input.ndim - 1, -1), pad[::2], pad[1::2], strict=False):
        n = input.shape[axis]
        demand(n + low + high >= 0, f"pad={pad}: leaves axis {axis} with a negative length")
        most = {"reflect": n - 1, "replicate": math.inf if n else 0, "circular": n}.get(mode, math.inf)
        demand(max(low, high) <= most or low == high == 0, f"pad={pad}: is more than axis {axis} has in mode {mode}")
        at = np.arange(-low, n + high)
        if mode == "constant":
            outside = 0 if value is None else value
            input = np.insert(input, n, outside, axis).take(np.where((at < 0) | (at >= n), n, at), axis)
        else:
            input = input.take(SOURCES[mode](at, n), axis)
    return input


FAMILIES = {"conv": conv, "conv_transpose": conv_transpose, "max_pool": max_pool, "avg_pool": avg_pool}
BACKEND = Backend(
    "tap-by-tap",
    {
        **{f"{name}{rank}d": partial(body, rank) for name, body in FAMILIES.items() for rank in (1, 2, 3)},
        **{function.__name__: function for function in (batch_norm, linear, relu, pad)},
    },
    about=lambda: f"NumPy {np.__version__}",
)
