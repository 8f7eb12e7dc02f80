"""What the arrays of a case hold: recipes of a kind, a dtype, a shape and a seed, never element by element.

A recipe is a few words long, shrinks to readable data, and lets a worker process make its own arrays. Kinds come in the
order in which a shrunk case should prefer them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np

from conformance.formats import Array, format_of, numpy_dtype

Shape = tuple[int, ...]

TAPE_LENGTH = 2**16
LARGEST_KEPT = 2**16  # elements of an array that is worth keeping for the next case


@cache
def _tapes() -> tuple[Array, Array]:
    """Return the uniform and the normal numbers that all recipes read from.

    RandomState is old, but its stream is frozen for good: a replayed recipe must mean the same array for ever.
    """
    random = np.random.RandomState(20_000)
    return random.random_sample(TAPE_LENGTH), random.standard_normal(TAPE_LENGTH)


class Tape:
    """Random numbers read from fixed tapes, each seed from a place of its own: no array sets up a generator."""

    def __init__(self, seed: int) -> None:
        self._at = seed * 40_503 % TAPE_LENGTH  # an odd step, so that the first 2**16 seeds start at as many places

    def uniform(self, size: int) -> Array:
        """Return numbers from 0 to below 1."""
        return self._read(_tapes()[0], size)

    def normal(self, size: int) -> Array:
        """Return normal numbers of mean 0 and standard deviation 1."""
        return self._read(_tapes()[1], size)

    def integers(self, low: int, high: int, size: int) -> Array:
        """Return whole numbers from low to high, both included."""
        numbers: Array = np.floor(self.uniform(size) * (high - low + 1)) + low
        return numbers

    def choice(self, options: Sequence[float], size: int) -> Array:
        """Return elements of the options."""
        return np.asarray(options, np.float64)[self.integers(0, len(options) - 1, size).astype(np.intp)]

    def places(self, count: int, size: int) -> Array:
        """Return at most `count` different positions below `size`, in no order."""
        return np.argsort(self.uniform(size))[:count]

    def _read(self, tape: Array, size: int) -> Array:
        start, self._at = self._at, (self._at + size) % TAPE_LENGTH
        if start + size <= TAPE_LENGTH:
            return tape[start : start + size]
        return np.take(tape, np.arange(start, start + size), mode="wrap")


@dataclass(frozen=True)
class Fill:
    """A recipe for one array; layout: the name that the backend has for how it lies in memory, empty for C order.

    >>> Fill("ramp", "float32", (2, 3))
    ramp(float32[2,3])
    >>> Fill("integers", "float32", (4,), seed=7, scale=3).array().tolist()
    [1.0, 1.0, 2.0, -3.0]
    """

    kind: str
    dtype: str
    shape: Shape
    seed: int = 0
    scale: float = 1
    layout: str = ""

    def __repr__(self) -> str:
        extents = ",".join(map(str, self.shape)) or "()"
        more = "".join(
            f", {name}={value!r}"
            for name, value, default in (("seed", self.seed, 0), ("scale", self.scale, 1))
            if value != default
        )
        laid = f', layout="{self.layout}"' if self.layout else ""
        return f"{self.kind}({self.dtype}[{extents}]{more}{laid})"

    def array(self) -> Array:
        """Return the array, read-only; equal recipes give equal arrays in every version of NumPy."""
        return _kept(self) if math.prod(self.shape) <= LARGEST_KEPT else _array(self)


@lru_cache(maxsize=64)
def _kept(fill: Fill) -> Array:
    return _array(fill)


def _array(fill: Fill) -> Array:
    values = KINDS[fill.kind](Tape(fill.seed), fill)
    with np.errstate(over="ignore"):
        array = np.asarray(values, np.float64).reshape(fill.shape).astype(numpy_dtype(fill.dtype))
    array.flags.writeable = False
    return array


def _size(fill: Fill) -> int:
    return math.prod(fill.shape)


def _ramp(tape: Tape, fill: Fill) -> Array:
    """1, 2, 3 ... and again from 1 after `scale` elements (1: after 97), so that no two neighbours are equal."""
    return np.arange(_size(fill)) % (int(fill.scale) if fill.scale > 1 else 97) + 1


def _integers(tape: Tape, fill: Fill) -> Array:
    """Integers from -scale to scale, without 0."""
    scale = int(fill.scale)
    values = tape.integers(-scale, scale - 1, _size(fill))
    return values + (values >= 0)


def _odd(tape: Tape, fill: Fill) -> Array:
    """Odd integers of exactly `scale` bits, of either sign: no shorter format holds one."""
    half = 2 ** (int(fill.scale) - 2)
    values = 2 * tape.integers(half, 2 * half - 1, _size(fill)) + 1
    return values * tape.choice((-1, 1), _size(fill))


def _normal(tape: Tape, fill: Fill) -> Array:
    """Normal values of standard deviation `scale`."""
    return tape.normal(_size(fill)) * fill.scale


def _positive(tape: Tape, fill: Fill) -> Array:
    """Values between 0.5 and 1.5 times `scale`: nothing cancels."""
    return (tape.uniform(_size(fill)) + 0.5) * fill.scale


def _spread(tape: Tape, fill: Fill) -> Array:
    """Normal values times powers of two from 2**-8 to 2**8: small terms beside large ones."""
    return tape.normal(_size(fill)) * np.exp2(tape.integers(-8, 8, _size(fill)))


def _offset(tape: Tape, fill: Fill) -> Array:
    """Normal values around `scale`: the mean is many standard deviations away from 0."""
    return tape.normal(_size(fill)) + fill.scale


def _paired(tape: Tape, fill: Fill) -> Array:
    """For each channel (axis 1) an integer centre, plus and minus `scale`, equally often: the variance is scale**2."""
    batch, channels, *spatial = fill.shape
    values = np.empty((channels, batch * math.prod(spatial)))
    for row, centre in zip(values, tape.integers(-8, 8, channels), strict=True):
        row[:] = centre + fill.scale
        row[tape.places(row.size // 2, row.size)] = centre - fill.scale
    return values.reshape(channels, batch, *spatial).swapaxes(0, 1)


def _roots(tape: Tape, fill: Fill) -> Array:
    """Variances of 4**k - scale, above 0: with eps = scale the square root is a power of two."""
    return tape.choice((4, 16, 64) if fill.scale < 4 else (16, 64), _size(fill)) - fill.scale


def _nans(tape: Tape, fill: Fill) -> Array:
    """Small positive integers and `scale` times NaN."""
    return _with_guests(tape, fill, [np.nan])


def _infinities(tape: Tape, fill: Fill) -> Array:
    """Small positive integers and `scale` infinities of either sign."""
    return _with_guests(tape, fill, [np.inf, -np.inf])


def _nonfinite(tape: Tape, fill: Fill) -> Array:
    """Small positive integers and `scale` of NaN and infinities, mixed."""
    return _with_guests(tape, fill, [np.nan, np.inf, -np.inf])


def _bottom(tape: Tape, fill: Fill) -> Array:
    """Negative infinities and `scale` small integers: most windows hold no finite value."""
    values = np.full(_size(fill), -np.inf)
    spots = tape.places(int(fill.scale), values.size)
    values[spots] = tape.integers(-3, 3, spots.size)
    return values


def _with_guests(tape: Tape, fill: Fill, guests: Sequence[float]) -> Array:
    values = tape.integers(1, 3, _size(fill))
    spots = tape.places(int(fill.scale), values.size)
    values[spots] = tape.choice(guests, spots.size)
    return values


def _negative_zeros(tape: Tape, fill: Fill) -> Array:
    """Negative zeros and negative integers: a positive zero never comes out honestly."""
    return tape.choice((-0.0, -0.0, -1.0, -2.0), _size(fill))


def _tiny(tape: Tape, fill: Fill) -> Array:
    """Subnormal values: integers from -scale to scale, without 0, times the least number above 0."""
    return _integers(tape, fill) * format_of(fill.dtype).least_subnormal


def _repeated(tape: Tape, fill: Fill) -> Array:
    """Integers from -scale to scale, without 0, the same for all indices of the first axis."""
    row = _integers(tape, Fill("integers", fill.dtype, fill.shape[1:], fill.seed, fill.scale))
    return np.broadcast_to(row.reshape(fill.shape[1:]), fill.shape)


def _labels(tape: Tape, fill: Fill) -> Array:
    """Whole numbers from 0 to below `scale`, such as classes."""
    return tape.integers(0, int(fill.scale) - 1, _size(fill))


def _places(tape: Tape, fill: Fill) -> Array:
    """Different whole numbers from 0 to below `scale` for every plane, such as flat indices; again if it has more."""
    planes, most, size = math.prod(fill.shape[:2]), int(fill.scale), math.prod(fill.shape[2:])
    order = np.argsort(tape.uniform(planes * most).reshape(planes, most), axis=1)
    return order[:, np.arange(size) % most].reshape(fill.shape)


def _below(tape: Tape, fill: Fill) -> Array:
    """Whole numbers from -scale to -1, which name nothing."""
    return tape.integers(-int(fill.scale), -1, _size(fill))


def _huge(tape: Tape, fill: Fill) -> Array:
    """Values of either sign from a quarter of the largest finite number up to it."""
    values = (0.25 + 0.75 * tape.uniform(_size(fill))) * format_of(fill.dtype).largest
    return values * tape.choice((-1, 1), _size(fill))


def _unit(tape: Tape, fill: Fill) -> Array:
    """Odd multiples of 1/16 between 0 and 1: every format holds them, and their sums with whole numbers below 16."""
    return tape.integers(0, 7, _size(fill)) / 8 + 1 / 16


KINDS: dict[str, Callable[[Tape, Fill], Array]] = {
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
    "tiny": _tiny,
    "huge": _huge,
    "repeated": _repeated,
    "labels": _labels,
    "places": _places,
    "below": _below,
    "unit": _unit,
}
# Whole numbers that name things, of dtype int64 whatever the floats beside them are.
WHOLE_KINDS = frozenset({"labels", "places", "below"})
# What an operator asks for because other numbers would mean nothing to it.
MEANINGFUL_KINDS = WHOLE_KINDS | {"unit"}
