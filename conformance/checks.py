"""What is asked: each check draws the cases that it is about. How an answer is judged is the same for all.

values: exact and real data, every element compared. sizes: extreme geometry, only shapes and dtypes compared.
rejections: calls that break a constraint, each of which must be refused, and odd ones that must not. special: NaN,
infinities, signed zeros, ties and overflow. gradients: those of every array, for cotangents that are not constant.
layouts: arrays that lie otherwise in memory. purity: nothing is written to, kept or shared. laws: relations between
calls that need no reference. precision: which class of arithmetic the answers fit, and whether it is the declared one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from inspect import signature
from typing import Any

import numpy as np
from hypothesis import strategies as st

from conformance.calls import VJP, arrays_of
from conformance.fills import MEANINGFUL_KINDS, Fill
from conformance.laws import laws
from conformance.model import Backend, Call, Case, Geometry, Operator, Pattern
from conformance.purity import PURITY
from conformance.strategies import Draw, filled

GEOMETRIES_A_DRAW = 20
SEEDS = st.integers(0, 2**16 - 1)


@dataclass(frozen=True)
class Check:
    """A way to draw cases: what a geometry is drawn for, and which cases are made of it.

    cases: (operator, geometry, dtype, seed, backend) -> cases. shapes_only: whether values are left uncompared. of_ten:
    how many geometries are drawn for ten examples. applies: whether the operator gives this check anything to ask.
    lacking: what a backend that has the operator would need besides, in words, or None. grades: whether fixed cases, in
    place of those that are drawn, name the class of arithmetic that is seen. by_acceptance: whether it tells something
    that a call is answered at all, even if no number of the answer could have differed. layers: of so many full draws
    one holds a layer of a real network too, with axes so many times shorter; None: none does.
    """

    name: str
    cases: Callable[[Operator, Geometry, str, int, Backend], list[Case]]
    purpose: str = ""
    shapes_only: bool = False
    of_ten: int = 10
    applies: Callable[[Operator], bool] = lambda operator: True
    lacking: Callable[[Operator, Backend], str | None] = lambda operator, backend: None
    grades: bool = False
    by_acceptance: bool = False
    layers: tuple[int, int] | None = None

    def budget(self, examples: int) -> tuple[int, int]:
        """Return how many draws, of how many geometries, hold those that the examples ask for; few come up twice.

        One draw more, since the first of hypothesis is always the simplest one there is.
        """
        wanted = -(-examples * self.of_ten // 10)
        each = min(wanted, GEOMETRIES_A_DRAW)
        return 1 - (-wanted // each), each

    def strategy(
        self, operator: Operator, dtype: str, backend: Backend, each: int = GEOMETRIES_A_DRAW
    ) -> st.SearchStrategy[list[Case]]:
        """Return a strategy of the cases of one draw, of so many geometries, for what a backend offers."""
        return _several(self, operator, dtype, backend, each)


@st.composite
def _several(draw: Draw, check: Check, operator: Operator, dtype: str, backend: Backend, each: int) -> list[Case]:
    # A draw costs hypothesis as much as a handful of small cases, whatever it holds: several geometries share one.
    seed = draw(SEEDS)
    drawn = [draw(operator.geometries(check.purpose or check.name)) for _ in range(each)]
    # The simplest draw has the simplest geometry in all places: once is enough.
    different = [geometry for place, geometry in enumerate(drawn) if geometry not in drawn[:place]]
    if check.layers is not None:
        draws, shorter = check.layers
        layers = operator.layers(shorter)
        place = draw(st.integers(0, draws * len(layers) * (GEOMETRIES_A_DRAW // each)))
        different += layers[place - 1 : place] if place else ()
    return [
        case
        for place, geometry in enumerate(different)
        for case in check.cases(operator, geometry, dtype, seed + 8 * place, backend)
    ]


def _values(operator: Operator, geometry: Geometry, dtype: str, seed: int, backend: Backend) -> list[Case]:
    patterns = (*operator.exact(geometry, dtype), *operator.real(geometry, dtype))
    return [filled(operator.name, geometry, pattern, dtype, seed) for pattern in patterns]


def simplest(operator: Operator, geometry: Geometry, dtype: str) -> Pattern:
    """Return ramps for all arrays but those whose numbers mean something, such as indices."""
    kinds = plain(operator, geometry, dtype).kinds
    return Pattern(("ramp", 1), {name: fill for name, fill in kinds.items() if fill[0] in MEANINGFUL_KINDS})


def _sizes(operator: Operator, geometry: Geometry, dtype: str, seed: int, backend: Backend) -> list[Case]:
    return [filled(operator.name, geometry, simplest(operator, geometry, dtype), dtype, 0)]


def _rejections(operator: Operator, geometry: Geometry, dtype: str, seed: int, backend: Backend) -> list[Case]:
    broken = operator.rejections(geometry) if operator.rejections is not None else []
    return [changed(operator, geometry, changes, dtype) for _, changes in (*broken, *operator.accepted(geometry))]


def changed(operator: Operator, geometry: Geometry, changes: dict[str, Any], dtype: str) -> Case:
    """Return the simplest case of a geometry after a change: of shapes, of attributes, or of what fills an array."""
    kinds = {name: value for name, value in changes.items() if _is_kind(value)}
    other = geometry.changed(**{name: value for name, value in changes.items() if name not in kinds})
    pattern = simplest(operator, geometry, dtype)
    return filled(operator.name, other, replace(pattern, kinds={**pattern.kinds, **kinds}), dtype, 0)


def _is_kind(change: Any) -> bool:
    """Whether a change is of what fills an array: (kind, scale), where a shape is numbers alone."""
    return isinstance(change, tuple) and isinstance(change[0] if change else None, str)


def _special(operator: Operator, geometry: Geometry, dtype: str, seed: int, backend: Backend) -> list[Case]:
    return [filled(operator.name, geometry, pattern, dtype, seed) for pattern in operator.special(geometry, dtype)]


def plain(operator: Operator, geometry: Geometry, dtype: str) -> Pattern:
    """Return the data for checks that compare answers with one another: small whole numbers where that is possible."""
    patterns = operator.exact(geometry, dtype) or operator.real(geometry, dtype)
    return patterns[min(1, len(patterns) - 1)]


def _with_cotangent(operator: Operator, geometry: Geometry, dtype: str) -> Geometry:
    """Return the geometry with the shape of the cotangent, which is that of the first output, before all others."""
    case = filled(operator.name, geometry, plain(operator, geometry, dtype), dtype, 0)
    with np.errstate(all="ignore"):
        result = operator.reference(**{k: fill.array() for k, fill in case.inputs.items()}, **case.attributes)
    output = result[0] if isinstance(result, tuple) else result
    assert operator.gradient is not None
    known = signature(operator.gradient.reference).parameters  # not whether there are other outputs
    attributes = {name: value for name, value in geometry.attributes.items() if name in known}
    return Geometry({"cotangent": output.shape, **geometry.shapes}, attributes, geometry.terms)


def _gradients(operator: Operator, geometry: Geometry, dtype: str, seed: int, backend: Backend) -> list[Case]:
    assert operator.gradient is not None
    pulled = _with_cotangent(operator, geometry, dtype)
    patterns = operator.gradient.patterns(pulled, dtype)
    return [filled(operator.name, pulled, pattern, dtype, seed, VJP) for pattern in patterns]


def _layouts(operator: Operator, geometry: Geometry, dtype: str, seed: int, backend: Backend) -> list[Case]:
    """Return the case in every layout: of one array or of all of them, for the answer or for its gradients."""
    cases = [filled(operator.name, geometry, plain(operator, geometry, dtype), dtype, seed)]
    if operator.gradient is not None and not lacks_gradients(operator, backend):
        pulled = _with_cotangent(operator, geometry, dtype)
        cases.append(filled(operator.name, pulled, operator.gradient.patterns(pulled, dtype)[0], dtype, seed, VJP))
    return [_laid_out(case, layout, seed + place) for case in cases for place, layout in enumerate(backend.layouts)]


def _laid_out(case: Case, layout: str, choice: int) -> Case:
    names = list(case.inputs)
    chosen = names if choice % (len(names) + 1) == len(names) else names[choice % (len(names) + 1) :][:1]
    laid = {name: _lay(fill, layout) if name in chosen else fill for name, fill in case.inputs.items()}
    return replace(case, inputs=laid)


def _lay(fill: Fill, layout: str) -> Fill:
    if layout == "broadcast" and fill.shape and fill.kind in ("ramp", "integers"):
        fill = replace(fill, kind="repeated", scale=2)  # what shares its memory has the same numbers
    return replace(fill, layout=layout)


def _purity(operator: Operator, geometry: Geometry, dtype: str, seed: int, backend: Backend) -> list[Case]:
    """Return the case in every manner of purity; of gradients, which take longer, only whether they repeat."""
    asked = filled(operator.name, geometry, plain(operator, geometry, dtype), dtype, seed)
    cases = [replace(asked, manner=manner) for manner in PURITY]
    if operator.gradient is not None and not lacks_gradients(operator, backend):
        pulled = _with_cotangent(operator, geometry, dtype)
        cases.append(filled(operator.name, pulled, operator.gradient.patterns(pulled, dtype)[0], dtype, seed, "repeat"))
    return cases


def _laws(operator: Operator, geometry: Geometry, dtype: str, seed: int, backend: Backend) -> list[Case]:
    case = filled(operator.name, geometry, plain(operator, geometry, dtype), dtype, seed)
    arrays, found = arrays_of(case), []
    for law in laws().values():
        calls = law.calls(operator.name, arrays, case.attributes) if operator.name in law.operators else ()
        if calls and all(_promised(backend, call, dtype) for call in calls):
            found.append(replace(case, manner=law.name))
    return found


def _promised(backend: Backend, call: Call, dtype: str) -> bool:
    """Whether a backend has the operator, and declares nothing about such a call."""
    inputs = {name: Fill("ramp", dtype, array.shape) for name, array in call.inputs.items()}
    made = Case(call.operator, inputs, call.attributes)
    return call.operator in backend.functions() and not any(d.covers("values", made) for d in backend.declarations)


def lacks_gradients(operator: Operator, backend: Backend) -> str | None:
    """Return why a backend has no gradients of an operator, or None."""
    if backend.vjp is not None or f"{VJP}.{operator.name}" in backend.functions():
        return None
    return f"{backend.name} has no vjp, and binds no {VJP}.{operator.name}"


CHECKS = {
    check.name: check
    for check in (
        Check("values", _values, layers=(3, 4)),
        Check("sizes", _sizes, shapes_only=True),
        Check(
            "rejections",
            _rejections,
            purpose="special",
            of_ten=3,
            by_acceptance=True,
            applies=lambda o: o.rejections is not None,
        ),
        Check("special", _special),
        Check("gradients", _gradients, applies=lambda o: o.gradient is not None, lacking=lacks_gradients),
        Check(
            "layouts",
            _layouts,
            of_ten=2,
            lacking=lambda operator, backend: None if backend.layouts else f"{backend.name} names no layouts",
        ),
        Check("purity", _purity, of_ten=3),
        Check("precision", lambda *_: [], grades=True),
        Check(
            "laws",
            _laws,
            of_ten=2,
            applies=lambda o: any(o.name in law.operators for law in laws().values()),
            layers=(1, 1),  # without a reference they can be had as large as they are
        ),
    )
}
