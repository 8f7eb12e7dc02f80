"""Mean and variance, and normalization by them, for all layers that `reference.norm_arguments` makes one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import numpy as np

from reference import exact_normalization
from reference.arrays import Array
from reference.exactness import is_exact
from reference.norm_arguments import NormCall, Running

BUFFER = 1024  # numbers; NumPy's own has room for 8 times as many
BLOCK = 2**18  # numbers; what is freed of larger temporary arrays is mapped anew, which takes longer than to compute it
SHORT = 64  # numbers; rows that are shorter are summed all at once
ONES = np.ones(SHORT)


def row_by_row(size: int) -> AbstractContextManager[None]:
    """Let undefined results be NaN without a warning, and NumPy work on whole rows of arrays that are large.

    Where it broadcasts one number a row, and its buffer has room for several rows, NumPy makes a copy of the number for
    every place in them: a small buffer is two to three times as fast.
    """
    return _small_buffer() if size > 8 * BUFFER else np.errstate(all="ignore")


@contextmanager
def _small_buffer() -> Iterator[None]:
    with np.errstate(all="ignore"):
        before = np.setbufsize(BUFFER)
        try:
            yield
        finally:
            np.setbufsize(before)


def row_sums(a: Array) -> Array:
    """Return the sums over the last axis."""
    *shape, m = a.shape
    if m == 1 or m >= SHORT:
        return a[..., 0] if m == 1 else np.add.reduce(a, -1)
    return np.asarray(a.reshape(math.prod(shape), m) @ ONES[:m]).reshape(shape)


def row_dots(a: Array, b: Array) -> Array:
    """Return the sums of products over the last axis."""
    if a.shape[-1] < SHORT and a.size > BUFFER:  # matmul takes its time for every row
        return np.asarray(np.einsum("...m,...m->...", a, b))
    return np.asarray(np.matmul(a[..., np.newaxis, :], b[..., np.newaxis])[..., 0, 0])


def over_groups(call: NormCall, sums: Array) -> Array:
    """Return means, from sums (N, G), in a form that broadcasts against x."""
    if call.pooled:
        sums = np.add.reduce(sums, 0, keepdims=True)
    return np.asarray(sums / call.values)[..., np.newaxis, np.newaxis]


def centered(call: NormCall) -> tuple[Array, Array, Array | float]:
    """Return x less its mean (x itself where it is not centered), the variance and the mean."""
    n, g, k, m = call.x.shape
    if call.given is not None:
        mean, var = call.given
        return call.x - mean, var, mean
    if not call.centered:
        rows = call.x.reshape(n, g, k * m)
        return call.x, over_groups(call, row_dots(rows, rows)), 0.0
    mean = over_groups(call, row_sums(call.x.reshape(n, g, k * m)))
    d = call.x - mean
    rows = d.reshape(n, g, k * m)
    return d, over_groups(call, row_dots(rows, rows)), mean


def blocks(call: NormCall) -> Iterator[tuple[tuple[slice, slice], NormCall]]:
    """Cut a call into some that have all numbers of their statistics, and say where in (N, G, K, L) each is."""
    n, g, k, m = call.x.shape
    everything = slice(None)
    if call.x.size <= BLOCK or (call.pooled and m < SHORT):  # numbers that are far apart are slower than large arrays
        yield (everything, everything), call
    elif call.pooled:
        step = max(1, BLOCK // (n * k * m))
        for i in range(0, g, step):
            part = slice(i, i + step)
            w = None if call.weight is None else call.weight[:, part]
            given = None if call.given is None else (call.given[0][:, part], call.given[1][:, part])
            yield (everything, part), call._replace(x=call.x[:, part], weight=w, given=given)
    else:
        step = max(1, BLOCK // (g * k * m))
        for i in range(0, n, step):
            yield (slice(i, i + step), everything), call._replace(x=call.x[i : i + step])


def scaled(call: NormCall, values: Array, scale: Array, out: Array | None) -> Array:
    """Return values * scale * weight, the last two multiplied first where that is less work."""
    w = call.weight
    if w is None or len(scale) * w.size < values.size:
        return np.asarray(np.multiply(values, scale if w is None else scale * w, out=out))
    result = np.multiply(values, scale, out=out)
    by_column(np.multiply, result, w)
    return result


def by_column(ufunc: np.ufunc, values: Array, parameter: Array) -> None:
    """Apply a ufunc to values (N, G, K, L), which are overwritten, and to a weight or a bias."""
    if values.shape[-1] == 1 and parameter.size < BUFFER // 2 < values.size:  # several rows at once are faster
        rows = math.gcd(len(values), 32)
        values, parameter = values.reshape(len(values) // rows, rows * parameter.size), np.tile(parameter.ravel(), rows)
    ufunc(values, parameter, out=values)


def normalize(call: NormCall) -> tuple[Array, Array | None, Array | None]:
    """Return the output, and the running mean and variance after the call (None where none were given)."""
    if is_exact():
        output, mean, var = exact_normalization.normalize(call)
    else:
        with row_by_row(call.x.size):
            d, v, m = centered(call)
            output = scaled(call, d, 1 / np.sqrt(v + call.eps), d if call.centered else None)
            if call.bias is not None:
                by_column(np.add, output, call.bias)
            mean, var = (None, None) if call.running is None else _blended(call, call.running, np.asarray(m), v)
    if call.given is not None:
        mean, var = (kept.flatten() for kept in call.given)
    return output.reshape(call.shape), mean, var


def _blended(call: NormCall, old: Running, mean: Array, var: Array) -> tuple[Array, Array]:
    """Return the running statistics after the call."""
    keep, take = (1 - old.momentum, old.momentum) if old.weights == "new" else (old.momentum, 1 - old.momentum)
    unbiased = call.values / (call.values - 1) if old.unbiased else 1.0
    samples = np.float64(len(mean))  # of none the mean is NaN
    return (
        (keep * old.mean + take * (np.add.reduce(mean, 0) / samples)).ravel(),
        (keep * old.var + take * (np.add.reduce(var * unbiased, 0) / samples)).ravel(),
    )
