"""Which arithmetic a backend seems to use: the first class, from strict to loose, that all of its answers fit into.

A class is judged as a backend is, by reference, bound and judge; only, the reference is given the operands as an engine
of that class reads them, so that no bound has to cover what reading fewer bits costs, and classes hardly overlap.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from conformance.answers import Answer, Died, Raised
from conformance.cells import Cell, standing
from conformance.classes import NORMS, SUMS, Class, Reading, Readings, is_cut_off, ladder, words
from conformance.fills import Fill
from conformance.formats import Array, numpy_dtype
from conformance.honest import like
from conformance.judge import judge_shapes, judge_values
from conformance.model import Arithmetic, Case, Geometry, Operator, Outcome, Pattern
from conformance.search import search
from conformance.strategies import filled
from conformance.verdicts import bounds_under, expectation
from reference.arrays import widen

NO_CLASS = "no class fits"
FEW_TERMS = 2  # whose sum is rounded once, whatever the order
ENOUGH = 16  # inexact results, all of them too small: a chance of 2**-16 if they were rounded to nearest
DRAWN = 4  # geometries, where an operator has no fingerprint of its own
OFFSETS = (10.0, 100.0, 1e3, 1e4)  # means, in standard deviations; float16 ends at 65504


@dataclass(frozen=True)
class Grade:
    """The arithmetic that was seen and the one that is declared, in the same words, and whether it is worse.

    compared: how many numbers that is known from.
    """

    seen: str
    declared: str
    worse: bool
    compared: int


def grade(cell: Cell) -> Grade | None:
    """Put fixed cases to the backend of a cell and name the class of its answers; None where it takes no such case.

    It is worse than declared if its answers do not fit into the arithmetic that it declares.
    """
    if standing(cell) is not None:
        return None
    told = cell.backend.declarations
    probes = [
        probe
        for probe in fingerprint(cell.operator, cell.dtype)
        if not any(d.covers(check, probe.case) for d in told for check in ("values", "special"))
    ]
    if not probes:
        return None
    answers = list(cell.answers([probe.case for probe in probes]))
    seen = [_Seen(cell, probe, answer) for probe, answer in zip(probes, answers, strict=True)]
    arithmetic = cell.backend.arithmetic
    declared = Class(words(cell.operator.name, cell.dtype, arithmetic(probes[0].case)), arithmetic)
    fitting = (c.name for c in ladder(cell.operator.name, cell.dtype, declared) if _fits(c, seen))
    compared = sum(one.size for one in seen)
    found = next(fitting, NO_CLASS)
    refusal = next((answer for answer in answers if isinstance(answer, Raised | Died)), None)
    if found == NO_CLASS and refusal is not None:
        found = f"{NO_CLASS}, since a case is not answered: {refusal}"
    return Grade(found, declared.name, not _fits(declared, seen), compared)


# What the answers say of a class.


@dataclass(frozen=True)
class _Read(Fill):
    """A recipe of an array as an engine reads it."""

    read: Reading = lambda array: array

    def array(self) -> Array:
        with np.errstate(over="ignore"):
            return self.read(super().array())


@dataclass(frozen=True)
class Probe:
    """A case of a fingerprint; terms: the most products that meet in one output, where that is known."""

    case: Case
    terms: int = 0


class _Seen:
    """A probe with its answer, and what the reference says to the operands as a class reads them."""

    def __init__(self, cell: Cell, probe: Probe, answer: Answer) -> None:
        self.probe, self._cell, self._answer = probe, cell, answer
        self._told: dict[object, tuple[dict[str, Array], dict[str, Array]]] = {}

    @property
    def size(self) -> int:
        """How many numbers the answer has; a refusal counts as one."""
        if isinstance(self._answer, Raised | Died):
            return 1
        return sum(output.size for output in self._answer if output is not None)

    def fits(self, candidate: Class) -> bool:
        """Whether the answer may come from an engine of that class."""
        case = self.probe.case
        guest = next(iter(case.inputs.values())).kind == "nans"
        if guest and not candidate.spreads:
            return True  # where a NaN goes tells fast algorithms apart, and is else no matter of precision
        with np.errstate(all="ignore"):
            inputs, expected = self._expectation(candidate.reads)
            actual = self._outputs(expected)
            if actual is None:
                return False
            arithmetic = candidate.arithmetic(case)
            told = inputs, case.attributes, expected
            if candidate.bounds is not None:
                bounds = candidate.bounds(*told, arithmetic)
            else:
                bounds = bounds_under(arithmetic, self._cell.operator, *told)
            if judge_values(expected, actual, bounds, arithmetic.output).outcome is Outcome.DIFFERS:
                return False
            first, exact = next(iter(actual.values())), next(iter(expected.values()))
            if guest:
                return bool(np.isnan(first).sum() > np.isnan(exact).sum())
            return self._storable(first, arithmetic) and self._rounded(first, exact, arithmetic)

    def _expectation(self, reads: Readings) -> tuple[dict[str, Array], dict[str, Array]]:
        key = tuple(reads.items())
        if key not in self._told:
            case = self.probe.case
            read = {k: _Read(**vars(fill), read=reads[k]) for k, fill in case.inputs.items() if k in reads}
            told = replace(case, inputs={**case.inputs, **read})
            self._told[key] = expectation(self._cell.operator, told, self._cell.backend.dialect)
        return self._told[key]

    def _outputs(self, expected: Mapping[str, Array]) -> dict[str, Array] | None:
        """Return the outputs by name, or None where they are none or not in shape: that is no matter of precision."""
        if isinstance(self._answer, Raised | Died):
            return None
        given = [output for output in self._answer if output is not None]
        actual = dict(zip(expected, given, strict=False))
        found = judge_shapes(expected, actual, numpy_dtype(self._cell.dtype))
        if len(given) != len(expected) or found.outcome is not Outcome.CONFORMS:
            return None
        return {k: a if a.dtype.kind in "iu" else widen(k, a) for k, a in actual.items()}

    def _storable(self, output: Array, arithmetic: Arithmetic) -> bool:
        """Whether the output has been in a narrower format, if the arithmetic says so."""
        if arithmetic.partials or (self.probe.terms and "bias" in self.probe.case.inputs):
            return True  # sums are narrow on their way only, or may get their bias after that
        narrow = like(output, numpy_dtype(arithmetic.output.name)).astype(np.float64)
        return np.array_equal(narrow, output, equal_nan=True)

    def _rounded(self, output: Array, exact: Array, arithmetic: Arithmetic) -> bool:
        """Whether sums of so few terms that they are rounded once are all rounded toward zero, or not, as it says."""
        if not 0 < self.probe.terms <= FEW_TERMS:
            return True
        inexact = np.abs(output) != np.abs(exact)
        shrunk = bool(inexact.sum() >= ENOUGH and (np.abs(output) <= np.abs(exact)).all())
        return shrunk if is_cut_off(arithmetic.output) else arithmetic.truncating or not shrunk


def _fits(candidate: Class, seen: list[_Seen]) -> bool:
    return all(one.fits(candidate) for one in seen)


# Fingerprints.


def fingerprint(operator: Operator, dtype: str) -> list[Probe]:
    """Return the cases, always the same ones, that tell the classes of an operator apart in one dtype."""
    name = operator.name
    if SUMS.fullmatch(name):
        return list(_sums(operator, dtype))
    if name == "batch_norm":
        return list(_batch_norms(operator, dtype))
    drawn = list(_drawn(operator, dtype))
    normal = [c for c in drawn if name in NORMS and c.inputs["input"].kind == "normal"]
    far = [_far(case, mean) for case, mean in zip(normal, OFFSETS, strict=False)]
    return list(map(Probe, drawn + far))


def _drawn(operator: Operator, dtype: str) -> Iterator[Case]:
    geometries: list[Geometry] = []

    def keep(geometry: Geometry) -> bool:
        geometries.append(geometry)
        return True

    search(operator.geometries("values"), keep, draws=DRAWN, seed=0)
    for i, geometry in enumerate(geometries):
        for pattern in (*operator.real(geometry, dtype), *operator.exact(geometry, dtype)):
            yield filled(operator.name, geometry, pattern, dtype, 40 * i + 1)


def _far(case: Case, mean: float) -> Case:
    """Return a case of normal data with a mean so far from 0."""
    return replace(case, inputs={**case.inputs, "input": replace(case.inputs["input"], kind="offset", scale=mean)})


def _sums(operator: Operator, dtype: str) -> Iterator[Probe]:
    """Yield real data first, which tell most at once; few terms, which are rounded once; and one NaN."""

    def probes(geometry: Geometry, *patterns: Pattern) -> Iterator[Probe]:
        return (Probe(filled(name, geometry, p, dtype, 40 * i + 1), geometry.terms) for i, p in enumerate(patterns))

    name = operator.name
    pooling = name.startswith("avg_pool")
    shaped = _pool if pooling else _layer
    whole, few = shaped(name, 16, 3), shaped(name, 2, 1)
    exact, real = operator.exact(whole, dtype), operator.real(whole, dtype)
    least = Pattern(("integers", 1))  # whose sums every format holds
    yield from probes(whole, *real, *exact, least)
    yield from probes(few, real[-1])
    if pooling:
        yield from probes(shaped(name, 16, 4), *real, *exact)
        return
    yield from probes(shaped(name, 1, 1), real[-1])
    yield from probes(shaped(name, 1, 3), real[-1])
    biased = whole.changed(bias=(8,))
    yield from probes(replace(biased, terms=whole.terms + 1), real[0], exact[2], least)
    if re.fullmatch(r"conv[123]d", name):
        yield from probes(whole, Pattern(("integers", 2), {"input": ("nans", 1)}))


def _layer(name: str, channels: int, taps: int) -> Geometry:
    """Return a convolution, its transpose or a linear map without a bias, with 8 channels out."""
    if name == "linear":
        return Geometry(
            {"input": (64, channels * taps**2), "weight": (8, channels * taps**2), "bias": None}, {}, channels * taps**2
        )
    rank = int(name[-2])
    channels = min(channels, 4) if rank == 3 else channels
    ways = (channels, 8) if "transpose" in name else (8, channels)
    shapes = {
        "input": (2, channels, *((24, 10, 6)[rank - 1],) * rank),
        "weight": (*ways, *(taps,) * rank),
        "bias": None,
    }
    return Geometry(shapes, {"padding": 1} if taps > 1 else {}, channels * taps**rank)


def _pool(name: str, channels: int, taps: int) -> Geometry:
    """Return an average pooling; of two elements at a time where there is one tap."""
    rank = int(name[-2])
    kernel = (taps,) * rank if taps > 1 else (*(1,) * (rank - 1), 2)
    shape = (2, channels, *((24, 10, 6)[rank - 1],) * rank)
    return Geometry({"input": shape}, {"kernel_size": kernel, "stride": 1}, int(np.prod(kernel)))


def _batch_norms(operator: Operator, dtype: str) -> Iterator[Probe]:
    """Yield means that are ever more standard deviations from 0: the fewer values, the more the algorithm shows."""
    for spatial in ((4,), (4, 16)):
        parameters = ("running_mean", "running_var", "weight", "bias")
        shapes = {"input": (4, 4, *spatial), **dict.fromkeys(parameters, (4,))}
        # With a momentum of 1 the running variance is that of the batch.
        geometry = Geometry(shapes, {"training": True, "momentum": 1.0}, 4 * int(np.prod(spatial)))
        ordinary = {"running_var": ("positive", 1.0)}
        sweep = (Pattern(("normal", 1), {**ordinary, "input": ("offset", scale)}) for scale in OFFSETS)
        for i, pattern in enumerate((*operator.real(geometry, dtype), *operator.exact(geometry, dtype), *sweep)):
            yield Probe(filled(operator.name, geometry, pattern, dtype, 40 * i + 1))
