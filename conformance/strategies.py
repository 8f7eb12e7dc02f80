"""Geometries, legal by construction: what is drawn is output sizes and remainders, and the input size follows.

Nothing is filtered. Drawing the remainder, rather than making windows divide the input exactly, is what tells floor
from ceil; padding up to the extent makes kernels that are larger than their input.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, TypeVar

from hypothesis import strategies as st

from conformance.fills import WHOLE_KINDS, Fill
from conformance.model import Case, Geometry, Pattern

T = TypeVar("T")
Draw = Callable[[st.SearchStrategy[Any]], Any]
LONGEST_GEOMETRY = 30
_BYTES = st.binary(min_size=LONGEST_GEOMETRY, max_size=LONGEST_GEOMETRY)


class Choices:
    """Small decisions read off one string of bytes; a byte of 0 is the simplest choice.

    Hypothesis spends some twenty microseconds on every value that it draws, however small. One string for a whole
    geometry costs as much as one number, and shrinks byte by byte all the same.
    """

    def __init__(self, raw: bytes) -> None:
        self._raw = iter(raw)

    def whole(self, low: int, high: int) -> int:
        """Choose a whole number from low to high: the simplest is low, or 0 where low is negative."""
        step = next(self._raw) % (high - low + 1)
        simplest = max(low, 0)
        return simplest + step if simplest + step <= high else high - simplest - step

    def flag(self) -> bool:
        """Choose False or True."""
        return self.whole(0, 1) == 1

    def one_of(self, options: Sequence[T]) -> T:
        """Choose an option; the first is the simplest."""
        return options[self.whole(0, len(options) - 1)]


def drawn(function: Callable[[Choices, str], Geometry]) -> Callable[[str], st.SearchStrategy[Geometry]]:
    """Turn a function of choices and a purpose into a strategy for each purpose."""

    @cache
    def geometries(purpose: str) -> st.SearchStrategy[Geometry]:
        return _BYTES.map(lambda raw: function(Choices(raw), purpose))

    return geometries


@dataclass(frozen=True)
class Ranges:
    """The largest values to draw along an axis, for one purpose and rank."""

    output: int
    kernel: int
    stride: int
    dilation: int
    padding: int
    beyond: int = 0  # how far padding may exceed extent - 1; then a window may hold padding alone


_VALUES = {1: Ranges(80, 5, 4, 3, 4, 1), 2: Ranges(16, 5, 3, 3, 3, 1), 3: Ranges(7, 3, 2, 2, 2, 1)}
_SPECIAL = {1: Ranges(9, 5, 4, 3, 4), 2: Ranges(5, 4, 3, 3, 3), 3: Ranges(3, 3, 2, 2, 2)}
_SIZES = {1: Ranges(9, 7, 6, 4, 12, 2), 2: Ranges(6, 5, 5, 4, 8, 2), 3: Ranges(4, 4, 4, 3, 5, 2)}
BEYOND = 32, 13, 29  # added to a few: on both sides of the widths of vectors
FEW = 4
WRAP = 2**32  # what 32 bits lose: a number looks as if this were not added


def ranges(purpose: str, rank: int) -> Ranges:
    """Return how far the axes of a geometry may reach: further where only shapes are compared."""
    return {"sizes": _SIZES, "special": _SPECIAL}.get(purpose, _VALUES)[rank]


def pointwise(reach: Ranges) -> Ranges:
    """Return ranges for kernels of one tap on every axis, for which engines have paths of their own."""
    return replace(reach, kernel=1)


@dataclass(frozen=True)
class Axis:
    """One spatial axis: as many elements as `kernel`, `stride`, `padding`, `dilation` and `output` ask for."""

    size: int
    kernel: int
    stride: int
    padding: int
    dilation: int
    output: int


def window_axis(
    choose: Choices, reach: Ranges, *, pool: bool = False, ceil: bool = False, dilated: bool = True, wide: bool = False
) -> Axis:
    """Draw an axis on which `output` windows fit, with up to stride - 1 elements left over, or missing under ceil."""
    kernel, stride = choose.whole(1, reach.kernel), choose.whole(1, reach.stride)
    dilation = choose.whole(1, reach.dilation) if dilated and kernel > 1 else 1
    output = _extent(choose, reach) + widened(choose, wide)
    span = (output - 1) * stride + dilation * (kernel - 1) + 1
    most = kernel // 2 if pool else min(reach.padding, dilation * (kernel - 1) + reach.beyond)
    padding = choose.whole(0, min(most, (span - 1) // 2))
    remainder = choose.whole(0, stride - 1)
    size = max(1, span - remainder - 2 * padding) if ceil else span + remainder - 2 * padding
    if not _meets(size, padding, kernel, stride, dilation, output):
        padding, size = 0, span
    return Axis(size, kernel, stride, padding, dilation, output)


def _extent(choose: Choices, reach: Ranges) -> int:
    """Choose how many windows, few of them half of the time: then kernels are often larger than their input."""
    return choose.whole(1, reach.output if choose.flag() else min(reach.output, FEW))


def _meets(size: int, padding: int, kernel: int, stride: int, dilation: int, output: int) -> bool:
    """Whether a tap of some window lies on an element rather than on padding."""
    return any(
        0 <= o * stride + t * dilation - padding < size for o in range(min(output, 2 + padding)) for t in range(kernel)
    )


def transposed_axis(choose: Choices, reach: Ranges, *, wide: bool = False) -> tuple[Axis, int]:
    """Draw an axis of a transposed convolution whose padding leaves something, and its output padding."""
    kernel, stride = choose.whole(1, reach.kernel), choose.whole(1, reach.stride)
    dilation = choose.whole(1, reach.dilation) if kernel > 1 else 1
    size = _extent(choose, reach) + widened(choose, wide)
    extra = choose.whole(0, max(stride, dilation) - 1)
    full = (size - 1) * stride + dilation * (kernel - 1) + 1 + extra
    padding = choose.whole(0, min(reach.padding, dilation * (kernel - 1) + reach.beyond, (full - 1) // 2))
    if not _meets(full - 2 * padding, padding, kernel, stride, dilation, size):
        padding = 0
    return Axis(size, kernel, stride, padding, dilation, full - 2 * padding), extra


def spelled(**attributes: tuple[tuple[Any, ...], Any]) -> dict[str, Any]:
    """Return attributes from (values along the axes, default): one number where all are equal, none at the default."""
    result = {}
    for name, (values, default) in attributes.items():
        value = values[0] if len(set(values)) == 1 else values
        if value != default:
            result[name] = value
    return result


def filled(operator: str, geometry: Geometry, pattern: Pattern, dtype: str, seed: int, manner: str = "") -> Case:
    """Return the case that a pattern makes of a geometry; every array has a seed of its own."""
    inputs = {}
    for offset, (name, shape) in enumerate(geometry.shapes.items()):
        if shape is not None:
            kind, scale = pattern.kinds.get(name, pattern.rest)
            own = "int64" if kind in WHOLE_KINDS else dtype
            # As kinds of whole numbers spell it; a line has no larger integers than that.
            scale = int(scale) if scale == int(scale) and abs(scale) < 2**53 else scale
            inputs[name] = Fill(kind, own, shape, 0 if kind == "ramp" else seed + offset, scale)
    return Case(operator, inputs, {**geometry.attributes, **pattern.attributes}, manner)


def batch_size(choose: Choices, purpose: str, most: int = 3) -> int:
    """Draw a batch: empty ones where shapes are compared, two at least where one sample must stay clean."""
    return choose.whole({"sizes": 0, "special": 2}.get(purpose, 1), most)


def stretched(choose: Choices, *dimensions: str) -> str:
    """Draw which one dimension is large in this case, most often none: vector widths and odd tails are crossed."""
    return choose.one_of(("none",) * 3 + dimensions)


def widened(choose: Choices, wide: bool) -> int:
    """Draw by how much an axis is longer that is the one that is large in this case; 0 for the others."""
    return choose.one_of(BEYOND) if wide else 0


def shorter_along(rank: int, shorter: int) -> int:
    """Return how many times shorter axes are: three of them are not as long as two."""
    return shorter if rank < 3 else 8 * shorter
