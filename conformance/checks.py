"""What is asked: each check draws the cases that it is about. How an answer is judged is the same for all.

values: exact and real data, every element compared. sizes: extreme geometry, only shapes and dtypes compared.
rejections: calls that break a constraint, each of which must be refused. special: NaN, infinities, signed zeros, ties
and overflow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import strategies as st

from conformance.model import Case, Operator, Pattern
from conformance.strategies import Draw, filled, one_of_patterns

SEEDS = st.integers(0, 2**16 - 1)
RAMP = Pattern(("ramp", 1))


@dataclass(frozen=True)
class Check:
    """A way to draw cases, several to a draw so that one geometry serves them all.

    cases: (operator, dtype) -> a strategy of lists of cases. shapes_only: whether values are left uncompared.
    draws: how many draws make about one case each, of every so many that are asked for.
    """

    name: str
    cases: Callable[[Operator, str], st.SearchStrategy[list[Case]]]
    shapes_only: bool = False
    cases_a_draw: int = 1

    def applies(self, operator: Operator) -> bool:
        """Whether the operator gives this check anything to ask."""
        return self.name != "rejections" or operator.rejections is not None


@st.composite
def _values(draw: Draw, operator: Operator, dtype: str) -> list[Case]:
    geometry = draw(operator.geometries("values"))
    seed = draw(SEEDS)
    exact = one_of_patterns(draw, operator.exact(geometry, dtype))
    real = one_of_patterns(draw, operator.real(geometry, dtype))
    return [filled(operator.name, geometry, pattern, dtype, seed) for pattern in (exact, real)]


@st.composite
def _sizes(draw: Draw, operator: Operator, dtype: str) -> list[Case]:
    return [filled(operator.name, draw(operator.geometries("sizes")), RAMP, dtype, 0)]


@st.composite
def _rejections(draw: Draw, operator: Operator, dtype: str) -> list[Case]:
    assert operator.rejections is not None
    geometry = draw(operator.geometries("values"))
    broken = [geometry.changed(**changes) for _, changes in operator.rejections(geometry)]
    return [filled(operator.name, call, RAMP, dtype, 0) for call in broken]


@st.composite
def _special(draw: Draw, operator: Operator, dtype: str) -> list[Case]:
    geometry = draw(operator.geometries("special"))
    pattern = one_of_patterns(draw, operator.special(geometry, dtype))
    return [filled(operator.name, geometry, pattern, dtype, draw(SEEDS))]


CHECKS = {
    check.name: check
    for check in (
        Check("values", _values, cases_a_draw=2),
        Check("sizes", _sizes, shapes_only=True),
        Check("rejections", _rejections, cases_a_draw=10),
        Check("special", _special),
    )
}
