"""Ways for adaptive pooling to answer wrongly: where its regions lie, what they are divided by, and its indices."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from conformance.formats import Array
from conformance.honest import Binding, fault, honest, like
from conformance.mistakes import Call, Mistake, answering, calling, where, zeroed
from conformance.model import Fault

Border = Callable[[int, int, int], int]


def _starts(i: int, n: int, o: int) -> int:
    return i * n // o


def _ends(i: int, n: int, o: int) -> int:
    return -(-(i + 1) * n // o)


def _by_region(operator: str, start: Border, end: Border, right: Binding, **call: Any) -> Any:
    """Pool one axis after the other over regions from start(i, n, o) to before end(i, n, o)."""
    if call.get("return_indices"):
        return right(**call)
    y, average = call["input"].astype(np.float64), "avg" in operator
    divisor: Any = 1.0
    for axis, o in enumerate(right(**call).shape[2:], 2):
        n = y.shape[axis]
        regions = [np.arange(start(i, n, o), end(i, n, o)) for i in range(o)]
        parts = [(np.sum if average else np.max)(y.take(region, axis), axis) for region in regions]
        y = np.stack(parts, axis)
        divisor = np.multiply.outer(divisor, [region.size for region in regions]) if average else divisor
    y = y / divisor
    return like(y, call["input"].dtype)


def _regions(name: str, sentence: str, operator: str, start: Border, end: Border, dtype: str = "float32") -> Fault:
    """Return the fault of other regions, beside the right ones."""
    right = honest(operator)
    wrong, twin = (partial(_by_region, operator, *pair) for pair in ((start, end), (_starts, _ends)))
    return fault(f"{operator}-{name}", sentence, operator, "values", wrong, dtype, partial(twin, right), "index")


def _equal_start(i: int, n: int, o: int) -> int:
    return i * max(n // o, 1) if o <= n else _starts(i, n, o)


def _equal_end(i: int, n: int, o: int) -> int:
    return n if i == o - 1 else min(n, _equal_start(i, n, o) + max(n // o, 1))


def _short_end(i: int, n: int, o: int) -> int:
    return max((i + 1) * n // o, _starts(i, n, o) + 1)


def _rounded_start(i: int, n: int, o: int) -> int:
    return min(round(i * n / o), n - 1)


def _rounded_end(i: int, n: int, o: int) -> int:
    return max(round((i + 1) * n / o), _rounded_start(i, n, o) + 1)


def _long_start(i: int, n: int, o: int) -> int:
    return max(_starts(i, n, o) - (i > 0), 0)


def _indices(change: Callable[[Array, Call], Array]) -> Mistake:
    return where(lambda call: call.get("return_indices"), answering(change, output=1))


def _in_region(indices: Array, call: Call) -> Array:
    """Return indices that count from the start of their region, along the last axis."""
    n, o = call["input"].shape[-1], indices.shape[-1]
    return np.asarray(indices - np.arange(o) * n // max(o, 1))


def _in_tensor(indices: Array, call: Call) -> Array:
    plane = int(np.prod(call["input"].shape[2:]))
    return np.asarray(indices + plane * np.arange(indices.shape[1]).reshape(-1, *(1,) * (indices.ndim - 2)))


def _by_the_kernel(output: Array, call: Call) -> Array:
    """Return means whose sums are divided by the size of a region if all were equal."""
    spatial, sizes = call["input"].shape[2:], output.shape[2:]
    factor: Any = 1.0
    for axis, (n, o) in enumerate(zip(spatial, sizes, strict=True)):
        counts = np.array([_ends(i, n, o) - _starts(i, n, o) for i in range(o)], np.float64)
        factor = factor * (counts * o / n).reshape(-1, *(1,) * (len(sizes) - 1 - axis))
    return like(output * factor, output.dtype)


def _after(channels: int) -> Mistake:
    """Return the mistake of repeating the first channel after so many."""

    def change(output: Array, call: Call) -> Array:
        kept = np.arange(output.shape[1])
        return np.take(output, np.where(kept < channels, kept, 0), 1)

    return answering(change)


def _reversed_sizes(call: Call) -> Call:
    size, spatial = call["output_size"], call["input"].shape[2:]
    entries = size if isinstance(size, tuple) else (size,) * len(spatial)
    return {"output_size": tuple(n if o is None else o for o, n in zip(entries, spatial, strict=True))[::-1]}


MEANS = (
    _regions(
        "equal-regions", "all regions but the last have one size", "adaptive_avg_pool1d", _equal_start, _equal_end
    ),
    _regions("short-regions", "a region ends where the next one begins", "adaptive_avg_pool2d", _starts, _short_end),
    _regions("rounded-regions", "borders are rounded to nearest", "adaptive_avg_pool3d", _rounded_start, _rounded_end),
    fault(
        "adaptive_avg_pool2d-even-divisor",
        "every sum is divided by elements over regions",
        "adaptive_avg_pool2d",
        "values",
        answering(_by_the_kernel),
        "float64",
        kind="divisor",
    ),
    fault(
        "adaptive_avg_pool1d-wide-rows",
        "the last window is lost in rows of more than 32",
        "adaptive_avg_pool1d",
        "values",
        where(lambda call: call["input"].shape[-1] > 32, answering(lambda y, call: zeroed(y, ..., -1))),
        "bfloat16",
        kind="size",
    ),
    fault(
        "adaptive_avg_pool2d-more-than-16-channels",
        "channels after the sixteenth repeat the first",
        "adaptive_avg_pool2d",
        "values",
        _after(16),
        kind="size",
    ),
    fault(
        "adaptive_avg_pool3d-axes-swapped",
        "the output sizes are taken in reverse order",
        "adaptive_avg_pool3d",
        "values",
        calling(_reversed_sizes),
        "float16",
        kind="axes",
    ),
)

MAXIMA = (
    _regions(
        "equal-regions", "all regions but the last have one size", "adaptive_max_pool2d", _equal_start, _equal_end
    ),
    _regions(
        "short-regions",
        "a region ends where the next one begins",
        "adaptive_max_pool1d",
        _starts,
        _short_end,
        "bfloat16",
    ),
    _regions("long-regions", "a region begins an element early", "adaptive_max_pool3d", _long_start, _ends, "float16"),
    fault(
        "adaptive_max_pool1d-starts-at-zero",
        "the search for the largest starts at 0",
        "adaptive_max_pool1d",
        "values",
        answering(lambda y, call: np.maximum(y, 0)),
        kind="padding",
    ),
    fault(
        "adaptive_max_pool2d-indices-in-region",
        "indices count from the start of the region",
        "adaptive_max_pool2d",
        "values",
        _indices(_in_region),
        kind="index",
    ),
    fault(
        "adaptive_max_pool3d-indices-in-tensor",
        "indices count over channels too",
        "adaptive_max_pool3d",
        "values",
        _indices(_in_tensor),
        kind="index",
    ),
    fault(
        "adaptive_max_pool1d-indices-wrap",
        "indices are kept in 4 bits",
        "adaptive_max_pool1d",
        "values",
        _indices(lambda i, call: i % 16),
        "float64",
        kind="dtype",
    ),
    fault(
        "adaptive_max_pool2d-more-than-32-channels",
        "channels after the 32nd repeat the first",
        "adaptive_max_pool2d",
        "values",
        _after(32),
        "float16",
        kind="size",
    ),
)

FAULTS: tuple[Fault, ...] = (*MEANS, *MAXIMA)
