"""What the arrays of a case hold: recipes of a kind, a dtype, a shape and a seed, never element by element.

A recipe is a few words long, shrinks to readable data, and lets a worker process make its own arrays. Kinds come in the
order in which a shrunk case should prefer them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from conformance.formats import Array, format_of, numpy_dtype

Random = np.random.RandomState
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Fill:
    """A recipe for one array.

    >>> Fill("ramp", "float32", (2, 3))
    ramp(float32[2,3])
    >>> Fill("integers", "float32", (4,), seed=7, scale=3).array().tolist()
    [2.0, -2.0, 1.0, 1.0]
    """

    kind: str
    dtype: str
    shape: Shape
    seed: int = 0
    scale: float = 1

    def __repr__(self) -> str:
        extents = ",".join(map(str, self.shape)) or "()"
        more = "".join(
            f", {name}={value!r}"
            for name, value, default in (("seed", self.seed, 0), ("scale", self.scale, 1))
            if value != default
        )
        return f"{self.kind}({self.dtype}[{extents}]{more})"

    def array(self) -> Array:
        """Return the array, read-only; equal recipes give equal arrays in every version of NumPy."""
        return _array(self)


@lru_cache(maxsize=64)
def _array(fill: Fill) -> Array:
    # RandomState is old, but its stream is frozen for good: a replayed recipe must mean the same array for ever.
    values = KINDS[fill.kind](Random(fill.seed), fill)
    with np.errstate(over="ignore"):
        array = np.asarray(values, np.float64).reshape(fill.shape).astype(numpy_dtype(fill.dtype))
    array.flags.writeable = False
    return array


def _size(fill: Fill) -> int:
    return math.prod(fill.shape)


def _ramp(random: Random, fill: Fill) -> Any:
    """1, 2, 3 ... and again from 1 after `scale` elements (1: after 97), so that no two neighbours are equal."""
    return np.arange(_size(fill)) % (int(fill.scale) if fill.scale > 1 else 97) + 1


def _integers(random: Random, fill: Fill) -> Any:
    """Integers from -scale to scale, without 0."""
    scale = int(fill.scale)
    values = random.randint(-scale, scale, _size(fill))
    return np.where(values >= 0, values + 1, values)


def _odd(random: Random, fill: Fill) -> Any:
    """Odd integers of exactly `scale` bits, of either sign: no shorter format holds one."""
    half = 2 ** (int(fill.scale) - 2)
    values = 2 * random.randint(half, 2 * half, _size(fill), dtype=np.int64) + 1
    return values * random.choice((-1, 1), _size(fill))


def _normal(random: Random, fill: Fill) -> Any:
    """Normal values of standard deviation `scale`."""
    return random.standard_normal(_size(fill)) * fill.scale


def _positive(random: Random, fill: Fill) -> Any:
    """Values between 0.5 and 1.5 times `scale`: nothing cancels."""
    return (random.random_sample(_size(fill)) + 0.5) * fill.scale


def _spread(random: Random, fill: Fill) -> Any:
    """Normal values times powers of two from 2**-8 to 2**8: small terms beside large ones."""
    return np.ldexp(random.standard_normal(_size(fill)), random.randint(-8, 9, _size(fill)))


def _offset(random: Random, fill: Fill) -> Any:
    """Normal values around `scale`: the mean is many standard deviations away from 0."""
    return random.standard_normal(_size(fill)) + fill.scale


def _paired(random: Random, fill: Fill) -> Any:
    """For each channel (axis 1) an integer centre, plus and minus `scale`, equally often: the variance is scale**2."""
    batch, channels, *spatial = fill.shape
    values = np.empty((channels, batch * math.prod(spatial)))
    for row in values:
        signs = np.where(np.arange(row.size) % 2, fill.scale, -fill.scale)
        random.shuffle(signs)
        row[:] = random.randint(-8, 9) + signs
    return values.reshape(channels, batch, *spatial).swapaxes(0, 1)


def _roots(random: Random, fill: Fill) -> Any:
    """Variances of 4**k - scale, above 0: with eps = scale the square root is a power of two."""
    return random.choice((4, 16, 64) if fill.scale < 4 else (16, 64), _size(fill)) - fill.scale


def _nans(random: Random, fill: Fill) -> Any:
    """Small positive integers and `scale` times NaN."""
    return _with_guests(random, fill, [np.nan])


def _infinities(random: Random, fill: Fill) -> Any:
    """Small positive integers and `scale` infinities of either sign."""
    return _with_guests(random, fill, [np.inf, -np.inf])


def _nonfinite(random: Random, fill: Fill) -> Any:
    """Small positive integers and `scale` of NaN and infinities, mixed."""
    return _with_guests(random, fill, [np.nan, np.inf, -np.inf])


def _bottom(random: Random, fill: Fill) -> Any:
    """Negative infinities and `scale` small integers: most windows hold no finite value."""
    values = np.full(_size(fill), -np.inf)
    spots = random.choice(values.size, min(int(fill.scale), values.size), replace=False)
    values[spots] = random.randint(-3, 4, spots.size)
    return values


def _with_guests(random: Random, fill: Fill, guests: list[float]) -> Array:
    values = random.randint(1, 4, _size(fill)).astype(np.float64)
    spots = random.choice(values.size, min(int(fill.scale), values.size), replace=False)
    values[spots] = random.choice(guests, spots.size)
    return values


def _negative_zeros(random: Random, fill: Fill) -> Any:
    """Negative zeros and negative integers: a positive zero never comes out honestly."""
    return random.choice((-0.0, -0.0, -1.0, -2.0), _size(fill))


def _huge(random: Random, fill: Fill) -> Any:
    """Values of either sign from a quarter of the largest finite number up to it."""
    largest = format_of(fill.dtype).largest
    values: Array = (0.25 + 0.75 * random.random_sample(_size(fill))) * largest
    return values * random.choice((-1, 1), _size(fill))


KINDS: dict[str, Callable[[Random, Fill], Any]] = {
    "ramp": _ramp,
    "integers": _integers,
    "odd": _odd,
    "normal": _normal,
    "positive": _positive,
    "spread": _spread,
    "offset": _offset,
    "paired": _paired,
    "roots": _roots,
    "nans": _nans,
    "infinities": _infinities,
    "nonfinite": _nonfinite,
    "bottom": _bottom,
    "negative_zeros": _negative_zeros,
    "huge": _huge,
}
