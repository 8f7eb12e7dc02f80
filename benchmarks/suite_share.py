"""What share of a case's time is drawing, reference, bound, backend and judging.

    python benchmarks/suite_share.py [BACKEND] [--examples N]

The suite's own part is what is left when the reference (on the values and, for the bound, on their absolute values)
and the backend are taken away: drawing cases, making their arrays, the formulas of the bounds, comparing. Reference is
what `reference` itself computes, wherever it is called from. The backend is asked in this process, so that what it
takes is known.
"""

from __future__ import annotations

import inspect
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from types import ModuleType
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

import reference
import reference.vjp

# The modules of `conformance` are imported late, when the functions that they take of `reference` are under the clock.
if TYPE_CHECKING:
    from conformance.model import Backend, Operator


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
    from conformance import cells
    from conformance import run as pipe
    from conformance.report.tally import Tally

    tally = Tally(backend.name, "all", operator.name, "all")
    gradient = operator.gradient
    gradient = gradient and replace(gradient, bounds=clock.timed("bound", gradient.bounds))
    timed = replace(operator, bounds=clock.timed("bound", operator.bounds), gradient=gradient)
    for cell in cells.cells(backend, [operator.name]):
        clocked = cells.Cell(backend, timed, cell.dtype, cell.check)
        clock.timed("drawing", pipe.run_cell)(clocked, tally.add, examples=examples)
    return tally.counts.total()


def wrap_reference(clock: Clock, module: ModuleType) -> None:
    """Put what a module has of the functions of `reference` under the clock, but those that only look at arguments."""
    for name, function in list(vars(module).items()):
        computes = inspect.isfunction(function) and function.__module__ not in (
            "reference.arrays",
            "reference.constraints",
        )
        if computes and function.__module__.startswith("reference."):
            setattr(module, name, clock.timed("reference", inspect.unwrap(function)))


@click.command()
@click.argument("backend", default="torch-cpu")
@click.option("--examples", default=100, show_default=True)
def main(backend: str, examples: int) -> None:
    """Print the shares for every operator of BACKEND."""
    clock = Clock()
    wrap_reference(clock, reference)
    wrap_reference(clock, reference.vjp)
    from conformance import cells
    from conformance import run as pipe
    from conformance.discovery import find_backend
    from conformance.fills import Fill
    from conformance.operators import operators as all_operators

    chosen, operators = find_backend(backend), all_operators()
    for name in list(sys.modules):
        if name.startswith("conformance."):
            wrap_reference(clock, sys.modules[name])
    parts = ("drawing", "arrays", "reference", "bound", "backend", "judging")
    table = Table("operator", "cases", "us a case", *parts, "suite's own", title=f"share of a case's time, {backend}")
    list(pipe.run(chosen, operators=["relu"], examples=1))  # imports the framework before the clock runs
    cells.answer = clock.timed("backend", cells.answer)
    pipe.judge_answer = clock.timed("judging", pipe.judge_answer)
    Fill.array = clock.timed("arrays", Fill.array)  # type: ignore[method-assign]
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
