"""What share of a case's time is drawing, reference, bound, backend and judging.

    python benchmarks/suite_share.py [BACKEND] [--examples N]

The suite's own part is what is left when the reference (on the values and, for the bound, on their absolute values)
and the backend are taken away: drawing cases, making their arrays, the formulas of the bounds, comparing. The backend
is asked in this process, so that what it takes is known.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.table import Table

from conformance import cells
from conformance import run as pipe
from conformance.discovery import find_backend
from conformance.fills import Fill
from conformance.model import Backend, Gradient, Operator
from conformance.operators import operators as all_operators
from conformance.report.tally import Tally

Timed = TypeVar("Timed", Operator, Gradient)


class Clock:
    """Adds up the time spent in wrapped functions; the time of an inner one does not count for the outer one."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._inner = [0.0]
        self._overhead = 0.0
        nothing, rounds = self.timed("nothing", lambda: None), 100_000
        start = time.perf_counter()
        for _ in range(rounds):
            nothing()
        # What the clock itself costs outside of what it measures: nobody's time.
        self._overhead = (time.perf_counter() - start - self.seconds.pop("nothing")) / rounds

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with its own time added to a part."""

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            self._inner.append(0.0)
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                spent = time.perf_counter() - start
                self.seconds[part] += spent - self._inner.pop()
                self._inner[-1] += spent + self._overhead

        return call


def measure(clock: Clock, backend: Backend, operator: Operator, examples: int) -> int:
    """Judge all cells of one operator under the clock; return how many cases were judged."""
    tally = Tally(backend.name, "all", operator.name, "all")
    gradient = operator.gradient and _timed(clock, operator.gradient)
    timed = replace(_timed(clock, operator), gradient=gradient)
    for cell in cells.cells(backend, [operator.name]):
        clocked = cells.Cell(backend, timed, cell.dtype, cell.check)
        clock.timed("drawing", pipe.run_cell)(clocked, tally.add, examples=examples)
    return tally.counts.total()


def _timed(clock: Clock, asked: Timed) -> Timed:
    """Return an operator, or its gradient, whose reference and bounds are under the clock."""
    return replace(
        asked,
        reference=clock.timed("reference", asked.reference),
        bounds=clock.timed("reference", asked.bounds),
    )


@click.command()
@click.argument("backend", default="torch-cpu")
@click.option("--examples", default=100, show_default=True)
def main(backend: str, examples: int) -> None:
    """Print the shares for every operator of BACKEND."""
    chosen = find_backend(backend)
    parts = ("drawing", "arrays", "reference", "bound", "backend", "judging")
    table = Table("operator", "cases", "us a case", *parts, "suite's own", title=f"share of a case's time, {backend}")
    clock = Clock()
    operators = all_operators()
    list(pipe.run(chosen, operators=["relu"], examples=1))  # imports the framework before the clock runs
    cells.answer = clock.timed("backend", cells.answer)
    pipe.judge_answer = clock.timed("judging", pipe.judge_answer)
    Fill.array = clock.timed("arrays", Fill.array)  # type: ignore[method-assign]
    for module in list(sys.modules.values()):
        for formula in ("sum_of_products", "normalized", "statistics", "blended", "copies"):
            if module.__name__.startswith("conformance.operators.") and hasattr(module, formula):
                setattr(module, formula, clock.timed("bound", getattr(module, formula)))
    total: dict[str, float] = defaultdict(float)
    everything = 0
    for name, operator in operators.items():
        clock.seconds.clear()
        cases = measure(clock, chosen, operator, examples)
        everything += cases
        for part, seconds in clock.seconds.items():
            total[part] += seconds
        table.add_row(name, str(cases), *row(clock.seconds, cases, parts))
    table.add_section()
    table.add_row("all", str(everything), *row(total, everything, parts))
    Console(width=130).print(table)


def row(seconds: dict[str, float], cases: int, parts: tuple[str, ...]) -> list[str]:
    """Return the microseconds a case, the share of each part, and that of the suite itself."""
    whole = sum(seconds.values())
    own = whole - seconds["reference"] - seconds["backend"]
    return [f"{whole / cases * 1e6:.0f}", *(f"{seconds[p] / whole:.0%}" for p in parts), f"{own / whole:.0%}"]


if __name__ == "__main__":
    main()
