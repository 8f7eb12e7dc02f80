"""What is asked: each check draws the cases that it is about. How an answer is judged is the same for all.

values: exact and real data, every element compared. sizes: extreme geometry, only shapes and dtypes compared.
rejections: calls that break a constraint, each of which must be refused. special: NaN, infinities, signed zeros, ties
and overflow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import strategies as st

from conformance.model import Case, Geometry, Operator, Pattern
from conformance.strategies import Draw, filled

GEOMETRIES_A_DRAW = 20
SEEDS = st.integers(0, 2**16 - 1)
RAMP = Pattern(("ramp", 1))


@dataclass(frozen=True)
class Check:
    """A way to draw cases: what a geometry is drawn for, and which cases are made of it.

    purpose: what the operator's geometries are drawn for. cases: (operator, geometry, dtype, seed) -> cases.
    shapes_only: whether values are left uncompared. of_ten: how many geometries are drawn for ten examples.
    """

    name: str
    purpose: str
    cases: Callable[[Operator, Geometry, str, int], list[Case]]
    shapes_only: bool = False
    of_ten: int = 10

    def applies(self, operator: Operator) -> bool:
        """Whether the operator gives this check anything to ask."""
        return self.name != "rejections" or operator.rejections is not None

    def draws(self, examples: int) -> int:
        """Return how many draws have room for the geometries that the examples ask for; a few will come up twice.

        One draw more, since the first of hypothesis is always the simplest one there is.
        """
        return 1 - (-examples * self.of_ten // (10 * GEOMETRIES_A_DRAW))

    def strategy(self, operator: Operator, dtype: str) -> st.SearchStrategy[list[Case]]:
        """Return a strategy of the cases of one draw."""
        return _several(self, operator, dtype)


@st.composite
def _several(draw: Draw, check: Check, operator: Operator, dtype: str) -> list[Case]:
    # A draw costs hypothesis as much as a handful of small cases, whatever it holds: several geometries share one.
    seed = draw(SEEDS)
    drawn = [draw(operator.geometries(check.purpose)) for _ in range(GEOMETRIES_A_DRAW)]
    # The simplest draw has the simplest geometry in all places: once is enough.
    different = [geometry for place, geometry in enumerate(drawn) if geometry not in drawn[:place]]
    return [
        case
        for place, geometry in enumerate(different)
        for case in check.cases(operator, geometry, dtype, seed + 8 * place)
    ]


def _values(operator: Operator, geometry: Geometry, dtype: str, seed: int) -> list[Case]:
    patterns = (*operator.exact(geometry, dtype), *operator.real(geometry, dtype))
    return [filled(operator.name, geometry, pattern, dtype, seed) for pattern in patterns]


def _sizes(operator: Operator, geometry: Geometry, dtype: str, seed: int) -> list[Case]:
    return [filled(operator.name, geometry, RAMP, dtype, 0)]


def _rejections(operator: Operator, geometry: Geometry, dtype: str, seed: int) -> list[Case]:
    broken = operator.rejections(geometry) if operator.rejections is not None else []
    return [filled(operator.name, geometry.changed(**changes), RAMP, dtype, 0) for _, changes in broken]


def _special(operator: Operator, geometry: Geometry, dtype: str, seed: int) -> list[Case]:
    return [filled(operator.name, geometry, pattern, dtype, seed) for pattern in operator.special(geometry, dtype)]


CHECKS = {
    check.name: check
    for check in (
        Check("values", "values", _values),
        Check("sizes", "sizes", _sizes, shapes_only=True),
        Check("rejections", "special", _rejections, of_ten=3),
        Check("special", "special", _special),
    )
}
