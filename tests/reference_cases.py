"""What tests of the reference library share: integer data, drawn calls, comparisons without tolerances.

Calls are legal by construction: an input is drawn last, at least as large as its windows need. Hypothesis
draws shapes, attributes and a seed; what the arrays hold follows from the seed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np
from hypothesis import strategies as st

from reference import CEIL_RULES

UNIT_ROUNDOFF = 2.0**-53


def assert_same(actual: Any, expected: Any) -> None:
    """Assert that dtype, shape and every value agree; a NaN agrees with a NaN, and zero with minus zero."""
    assert isinstance(actual, np.ndarray)
    np.testing.assert_array_equal(actual, expected, strict=True)


def assert_within(actual: Any, expected: Any, bound: Any) -> None:
    """Assert that no value is farther from the expected one than a bound, which the caller derives."""
    difference = np.abs(np.asarray(actual) - np.asarray(expected))
    assert np.all(difference <= bound), f"worst excess {np.max(difference - bound)}"


def assert_prints_as(actual: Any, printed: str) -> None:
    """Assert that values round to the printed ones: at most half a unit in the last printed place away."""
    values, texts = np.ravel(actual).tolist(), printed.split()
    assert len(values) == len(texts)
    for value, text in zip(values, texts, strict=True):
        published = Decimal(text)
        half_a_unit = Decimal(5).scaleb(published.as_tuple().exponent - 1)
        assert abs(Decimal(value) - published) <= half_a_unit, f"{value} is published as {text}"


def integers(shape: Any, seed: int, dtype: Any = np.int64) -> np.ndarray:
    """Return whole numbers from -9 to 9, so that sums of products are exact in any order."""
    rng = np.random.default_rng(seed)
    values = rng.integers(-9, 10, shape).astype(dtype)
    if np.dtype(dtype).kind == "c":
        values += 1j * rng.integers(-9, 10, shape)
    return values


@dataclass
class Call:
    """A drawn call: its rank, its arrays and its other arguments, which repr shows when a test fails."""

    rank: int
    arrays: dict[str, np.ndarray]
    attributes: dict[str, Any] = field(default_factory=dict)
    axes: list[tuple[int, int, tuple[int, int], int]] = field(default_factory=list)  # kernel, stride, padding, dilation

    def batched(self) -> dict[str, np.ndarray]:
        """Return the arrays with a batch axis, which the textbook always wants."""
        x = self.arrays["input"]
        return {**self.arrays, "input": x if x.ndim == self.rank + 2 else x[np.newaxis]}

    def unbatch(self, output: np.ndarray) -> np.ndarray:
        return output if self.arrays["input"].ndim == self.rank + 2 else output[0]


def sizes(draw: Any, rank: int, low: int, high: int) -> list[int]:
    return draw(st.lists(st.integers(low, high), min_size=rank, max_size=rank))


def spelled(draw: Any, values: list[Any]) -> Any:
    """Return per-axis values as a sequence, or as one value where they are all alike and it is drawn so."""
    if len(set(values)) == 1 and isinstance(values[0], int) and draw(st.booleans()):
        return draw(st.sampled_from([values[0], (values[0],)]))
    return tuple(values)


def paddings(draw: Any, most: list[int], pairs: bool) -> list[tuple[int, int]]:
    lows = [draw(st.integers(0, m)) for m in most]
    return [(low, draw(st.integers(0, m)) if pairs else low) for low, m in zip(lows, most, strict=True)]


def spell_padding(draw: Any, padding: list[tuple[int, int]]) -> Any:
    if all(low == high for low, high in padding):
        return spelled(draw, [low for low, _ in padding])
    return tuple(padding)


def input_sizes(draw: Any, extents: list[int], padding: list[tuple[int, int]], slack: int) -> list[int]:
    return [
        max(1, extent - low - high) + draw(st.integers(0, slack))
        for extent, (low, high) in zip(extents, padding, strict=True)
    ]


@st.composite
def conv_calls(
    draw: Any,
    dtypes: Any = (np.int64, np.float64, np.complex128),
    pairs: bool = True,
    transposed: bool = False,
    ranks: Any = (1, 2, 3),
) -> Call:
    rank = draw(st.sampled_from(ranks))
    groups = draw(st.integers(1, 3))
    per_group_in, per_group_out = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    kernel = sizes(draw, rank, 1, 4 - rank // 2)
    stride, dilation = sizes(draw, rank, 1, 3), sizes(draw, rank, 1, 2)
    extents = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    attributes = {"stride": spelled(draw, stride), "dilation": spelled(draw, dilation), "groups": groups}
    if transposed:
        # So much padding may be taken off that at least one element is left of the smallest output.
        padding = [(low, high) for low, high in paddings(draw, [(e - 1) // 2 for e in extents], pairs)]
        spatial = sizes(draw, rank, 1, 3)
        extra = [draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True)]
        attributes["output_padding"] = spelled(draw, extra)
        weight_shape = (groups * per_group_in, per_group_out, *kernel)
    else:
        padding = paddings(draw, [2] * rank, pairs)
        spatial = input_sizes(draw, extents, padding, 3 if rank < 3 else 1)
        weight_shape = (groups * per_group_out, per_group_in, *kernel)
    attributes["padding"] = spell_padding(draw, padding)
    seed, dtype = draw(st.integers(0, 2**16)), draw(st.sampled_from(dtypes))
    lead = draw(st.sampled_from([(), (1,), (2,)]))
    arrays = {
        "input": integers((*lead, groups * per_group_in, *spatial), seed, dtype),
        "weight": integers(weight_shape, seed + 1, dtype),
    }
    if draw(st.booleans()):
        arrays["bias"] = integers(groups * per_group_out, seed + 2, dtype)
    return Call(rank, arrays, attributes, list(zip(kernel, stride, padding, dilation, strict=True)))


@st.composite
def pool_calls(
    draw: Any,
    dtypes: Any = (np.int64, np.float64),
    pairs: bool = True,
    dilated: bool = True,
    rules: Any = (False, True, *CEIL_RULES),
    special: bool = False,
    for_torch: bool = False,
) -> Call:
    """Draw a pooling call; torch wants padding of at most half the dense kernel, and in 3-D no input below it."""
    rank = draw(st.integers(1, 3))
    kernel = sizes(draw, rank, 1, 4 - rank // 2)
    dilation = sizes(draw, rank, 1, 2) if dilated else [1] * rank
    extents = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    padding = paddings(draw, [n // 2 for n in (kernel if for_torch else extents)], pairs)
    rule = draw(st.sampled_from(rules))
    stride = None if draw(st.booleans()) else sizes(draw, rank, 1, 4)
    # Where the number of windows is rounded up, the only one may overhang by less than a stride.
    reach = [
        extent - (s - 1 if rule not in (False, "floor") else 0)
        for extent, s in zip(extents, stride or kernel, strict=True)
    ]
    spatial = input_sizes(draw, reach, padding, 4 if rank < 3 else 2)
    if for_torch and rank == 3:
        spatial = [max(n, k) for n, k in zip(spatial, kernel, strict=True)]
    attributes = {
        "kernel_size": spelled(draw, kernel),
        "stride": None if stride is None else spelled(draw, stride),
        "padding": spell_padding(draw, padding),
        "ceil_mode": rule,
    }
    if dilated:
        attributes["dilation"] = spelled(draw, dilation)
    seed, dtype = draw(st.integers(0, 2**16)), draw(st.sampled_from(dtypes))
    x = integers((*draw(st.sampled_from([(), (1,), (2,)])), draw(st.integers(1, 2)), *spatial), seed, dtype)
    if special and dtype == np.float64:
        rng = np.random.default_rng(seed)
        x[rng.random(x.shape) < 0.3] = np.nan
        x[rng.random(x.shape) < 0.3] = -np.inf
    return Call(rank, {"input": x}, attributes)


@st.composite
def pad_calls(draw: Any, mode: str, crop: bool) -> Call:
    """Draw an input (N, C, *spatial) and padding of its spatial axes; reflect and circular limit it."""
    rank = draw(st.integers(1, 3))
    spatial = sizes(draw, rank, 1, 4)
    entries: list[int] = []
    for n in reversed(spatial):
        most = {"reflect": n - 1, "circular": n}.get(mode, 3)
        low = draw(st.integers(-n if crop else 0, most))
        entries += [low, draw(st.integers(max(-n, -n - low) if crop else 0, most))]
    x = integers((1, 2, *spatial), draw(st.integers(0, 2**16)), np.float64)
    return Call(rank, {"input": x}, {"pad": tuple(entries), "mode": mode})
