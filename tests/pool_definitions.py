"""Pooling as it is defined: a window is a list of positions along each axis, an output a function of what is there.

Elements are whatever adds and compares: integers, Fractions, numbers of mpmath.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from math import floor, prod

import numpy as np

import reference
from reference.constraints import per_axis
from reference.windows import resolve_padding


def regular(spatial, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    """Return the windows of a pooling layer along each axis."""
    rank = len(spatial)
    k, d = (per_axis("", "", value, rank, 1) for value in (kernel_size, dilation))
    s = k if stride is None else per_axis("", "", stride, rank, 1)
    p = resolve_padding(padding, spatial, k, s, d)
    counts = reference.pool_output_size(spatial, k, s, p, d, ceil_mode)
    return [
        [[q for q in range(u * s[a] - p[a][0], u * s[a] - p[a][0] + k[a] * d[a], d[a]) if 0 <= q < n] for u in range(o)]
        for a, (n, o) in enumerate(zip(spatial, counts, strict=True))
    ]


def divisors(spatial, counted, kernel_size, stride=None, padding=0, ceil_mode=False):
    """Return how many taps of each window lie inside the input, or inside the padded input."""
    rank = len(spatial)
    k = per_axis("", "", kernel_size, rank, 1)
    s = k if stride is None else per_axis("", "", stride, rank, 1)
    p = resolve_padding(padding, spatial, k, s, (1,) * rank)
    counts = reference.pool_output_size(spatial, k, s, p, 1, ceil_mode)
    low, high = ([pair[i] * counted for pair in p] for i in (0, 1))
    lines = [
        [
            sum(-low[a] <= q < n + high[a] for q in range(u * s[a] - p[a][0], u * s[a] - p[a][0] + k[a]))
            for u in range(counts[a])
        ]
        for a, n in enumerate(spatial)
    ]
    return np.array([prod(counts) for counts in product(*lines)], object).reshape([len(line) for line in lines])


def adaptive(spatial, sizes):
    """Return so many regions along each axis."""
    return [
        [list(range(i * n // o, -(-(i + 1) * n // o))) for i in range(o)] for n, o in zip(spatial, sizes, strict=True)
    ]


def fractional(n, kernel, windows, sample):
    """Return windows along one axis, placed by a random number."""
    pace = (n - kernel) / max(windows - 1, 1)
    starts = [floor((i + sample) * pace) - floor(sample * pace) for i in range(windows - 1)]
    return [list(range(start, start + kernel)) for start in [*starts, n - kernel]]


def windows(x, axes):
    """Yield every window's index, and the places of its elements; `axes` may be a function of the plane."""
    for n, c in np.ndindex(*x.shape[:2]):
        along = axes(n, c) if callable(axes) else axes
        for u in np.ndindex(*map(len, along)):
            yield (
                (n, c, *u),
                [(n, c, *place) for place in product(*(line[i] for line, i in zip(along, u, strict=True)))],
            )


def pooled(function, x, axes):
    """Return the function of the elements of each window, and of their flat places in the plane."""
    counts = map(len, axes(0, 0) if callable(axes) else axes)
    output = np.empty((*x.shape[:2], *counts), object)
    for index, places in windows(x, axes):
        flat = [int(np.ravel_multi_index(place[2:], x.shape[2:])) for place in places]
        output[index] = function([x[place] for place in places], flat)
    return output


def gradient(function, x, axes, cotangent, step):
    """Return the gradient of sum(cotangent * pooled(function, x, axes)): difference quotients, window by window."""
    slopes = x * 0
    for index, places in windows(x, axes):
        values = [x[place] for place in places]
        for i, place in enumerate(places):
            ahead, behind = (function([*values[:i], values[i] + move, *values[i + 1 :]], []) for move in (step, -step))
            slopes[place] += (ahead - behind) * cotangent[index] / (2 * step)
    return slopes


def mean(values, _places):
    return sum(values, Fraction(0)) / len(values)


def first_largest(values, places):
    """Return the largest element and its place: the first one's, or the last NaN's; -inf and -1 of nothing."""
    best, index = -np.inf, -1
    for value, place in zip(values, places, strict=True):
        if value != value or index == -1 or value > best:
            best, index = value, place
    return best, index


def first_number(values, places):
    """Return the same, NaN being no element."""
    kept = [(value, place) for value, place in zip(values, places, strict=True) if value == value]
    return first_largest([value for value, _ in kept], [place for _, place in kept])


def taps(attributes, rank):
    """Return how many taps a kernel has."""
    return prod(per_axis("", "", attributes["kernel_size"], rank, 1))


def norm(mp, p, sign_rule, overhang, kernel):
    """Return the root of a window's powers, how badly they cancel, and how many they are; None for no root."""

    def of_window(values, _places):
        numbers = [mp.mpf(v) for v in values]
        powers = [(abs(v) if sign_rule == "absolute" else v) ** mp.mpf(p) for v in numbers]
        total = sum(powers, mp.mpf(0))
        if not total or (total < 0 and abs(p) != 1):
            return None, None, None
        scale = mp.mpf(kernel) / len(numbers) if overhang == "rescale" else 1
        return (scale * total) ** (1 / mp.mpf(p)), sum(map(abs, powers)) / abs(total), len(numbers)

    return of_window


def parts(pairs):
    """Return an array of pairs as two arrays, of floats and of indices."""
    split = np.frompyfunc(lambda pair: pair[0], 1, 1), np.frompyfunc(lambda pair: pair[1], 1, 1)
    return split[0](pairs).astype(float), split[1](pairs).astype(np.int64)


def fractions(array):
    return np.frompyfunc(Fraction, 1, 1)(array)


def nearest(array):
    """Return the float64 numbers nearest to Fractions."""
    return np.frompyfunc(float, 1, 1)(array).astype(float)


def volume(axes):
    """Return how many elements the largest window has."""
    return prod(max(map(len, line)) for line in axes)
