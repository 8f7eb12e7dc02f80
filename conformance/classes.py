"""Kinds of arithmetic that engines compute in, each with a name and a way to tell whether an answer may be of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial

import numpy as np

from conformance.fast import ALGORITHMS, CONVOLUTIONS, Bounds
from conformance.formats import DTYPES, Array, Format, format_of, numpy_dtype, round_bits
from conformance.honest import like
from conformance.model import Arithmetic, Arrays, Attributes, Bound, Case

SUMS = re.compile(r"conv[123]d|conv_transpose[123]d|linear|avg_pool[123]d")
NORMS = ("batch_norm", "instance_norm", "group_norm", "layer_norm")
TF32_BITS = 11

Reading = Callable[[Array], Array]
Readings = Mapping[str, Reading]


@dataclass(frozen=True)
class Class:
    """A kind of arithmetic: how operands are read, what is done with them, and how far that may be off.

    bounds: where these are not the operator's own. spreads: whether a NaN reaches further than its windows.
    """

    name: str
    arithmetic: Callable[[Case], Arithmetic]
    reads: Readings = field(default_factory=dict)
    bounds: Bounds | None = None
    spreads: bool = False


def ladder(name: str, dtype: str, declared: Class) -> Iterator[Class]:
    """Yield the classes from strict to loose; what is declared comes where bounds begin to overlap."""
    usual = Arithmetic.of(dtype)
    narrower = [f for f in map(format_of, DTYPES) if f.bits < usual.output.bits]

    def one(arithmetic: Arithmetic, reading: str = "", reads: Readings | None = None) -> Class:
        return Class(words(name, dtype, arithmetic, reading), lambda case: arithmetic, reads or {})

    if not SUMS.fullmatch(name) and name not in NORMS and dtype != "float64":
        yield Class("correctly rounded", lambda case: usual, bounds=partial(_nearest, dtype=dtype))
    for arithmetic in _plain(name, usual):
        yield one(arithmetic)
    for reading, reads in _readings(usual.output.bits):
        for arithmetic in _plain(name, usual)[:2]:
            yield one(arithmetic, reading, reads)
    for f in narrower:
        for reading, reads in (("", {}), (f"{f.name} operands", _through(f, "input", "weight", "bias"))):
            yield one(replace(usual, output=f), reading, reads)
            if SUMS.fullmatch(name):
                yield one(replace(usual, output=_cut_off(f), truncating=True), reading, reads)
            yield one(replace(usual, accumulator=f, output=f), reading, reads)
    if SUMS.fullmatch(name) and usual.output.bits < usual.accumulator.bits:
        yield one(replace(usual, output=_cut_off(usual.output), truncating=True))
    fast = list(ALGORITHMS) if name in CONVOLUTIONS else []
    for algorithm in fast[:1]:  # F(2, 3), which is exact on whole numbers, and may keep a NaN in its windows
        yield one(replace(usual, algorithm=algorithm))
    for f in map(format_of, DTYPES):
        if f.bits < usual.accumulator.bits:
            yield one(replace(usual, output=f, partials=3 if name in NORMS else 2))
        if f == usual.output and f.bits < usual.accumulator.bits:
            yield declared
            yield one(replace(usual, accumulator=f))
    yield declared
    for algorithm in fast[1:]:
        yield replace(one(replace(usual, algorithm=algorithm)), spreads=True)


def _plain(name: str, usual: Arithmetic) -> list[Arithmetic]:
    """Return the kinds of arithmetic of a family in which no operand and no result loses a bit."""
    if SUMS.fullmatch(name):
        return [usual, replace(usual, truncating=True)]
    return [replace(usual, variance=v) for v in ("two-pass", "updating", "textbook")] if name in NORMS else [usual]


def words(name: str, dtype: str, arithmetic: Arithmetic, reading: str = "") -> str:
    """Return the name of a kind of arithmetic: how it reads operands, how it computes, what it rounds to."""
    accumulator, output = arithmetic.accumulator.name, arithmetic.output
    if arithmetic.input_bits is not None:
        reading = "TF32 operands" if arithmetic.input_bits == TF32_BITS else f"{arithmetic.input_bits}-bit operands"
    if name in NORMS:
        plain, between = f"{arithmetic.variance} variance in {accumulator}", "statistics"
    elif SUMS.fullmatch(name):
        order = "truncated {} sums" if arithmetic.truncating else "{} sums in any order"
        plain, between = arithmetic.algorithm or order.format(accumulator), "partial sums"
    else:
        plain, between = f"{accumulator} arithmetic", "steps"
    result = ""
    if arithmetic.partials:
        result = f"{output.name} {between}"
    elif is_cut_off(output):
        result = f"{output.name} output cut off"
    elif output.name != dtype and output != arithmetic.accumulator:
        result = f"{output.name} output"
    return ", ".join(filter(None, (reading, plain, result)))


def _readings(bits: int) -> Iterator[tuple[str, Readings]]:
    """Yield the ways to read operands of so many bits with fewer, by name."""
    if bits > TF32_BITS:
        for name, read in (("TF32 operands", round_bits), ("TF32 operands, cut off", _cut)):
            yield name, dict.fromkeys(("input", "weight"), partial(read, bits=TF32_BITS))
    for f in map(format_of, DTYPES):
        if f.bits < bits:
            for names in (("input", "weight", "bias"), ("input", "weight"), ("input",), ("weight",), ("bias",)):
                yield f"{f.name} {'operands' if len(names) > 1 else names[0]}", _through(f, *names)


@cache
def _through(narrow: Format, *names: str) -> Readings:
    """Return how the inputs of these names are read that are rounded to a format first."""
    return dict.fromkeys(names, lambda array: like(array, numpy_dtype(narrow.name)))


def _cut(values: Array, bits: int) -> Array:
    """Cut float64 values off after so many significant bits."""
    mantissa, exponent = np.frexp(values.astype(np.float64))
    cut: Array = np.ldexp(np.trunc(np.ldexp(mantissa, bits)), exponent - bits)
    return cut


def _cut_off(narrow: Format) -> Format:
    """Return a format for results that are cut off: twice the roundoff, as if it had a bit less."""
    return replace(narrow, bits=narrow.bits - 1)


def is_cut_off(output: Format) -> bool:
    """Whether results are cut off to a format rather than rounded."""
    return output.bits < format_of(output.name).bits


def _nearest(
    inputs: Arrays, attributes: Attributes, expected: Arrays, arithmetic: Arithmetic, dtype: str
) -> dict[str, Bound]:
    """Return the bounds that only the nearest numbers meet."""
    with np.errstate(all="ignore"):
        near = {k: np.abs(like(e, numpy_dtype(dtype)).astype(np.float64) - e) for k, e in expected.items()}
    return {name: Bound(np.where(np.isfinite(distance), distance, 0.0)) for name, distance in near.items()}
