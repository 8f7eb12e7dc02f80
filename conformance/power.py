"""Whether the checks see the faults that they are there to see, and nothing in honest twins and variants."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass, replace
from functools import cache

from pebble import ProcessPool

from conformance.cells import Cell
from conformance.checks import CHECKS
from conformance.faults import faults
from conformance.honest import Binding, backend_with, function_of, honest
from conformance.model import Arithmetic, Case, Fault, Verdict, usual_arithmetic
from conformance.operators import operators
from conformance.processes import Spawn
from conformance.profiles import EXAMPLES
from conformance.report.trials import Clearance, Trial
from conformance.run import ask_and_judge, run_cell
from conformance.variants import Variant, variants

SHORTER = 8  # times, are the axes of layers for variants


def cell_with(
    name: str,
    binding: Binding,
    operator: str,
    check: str,
    dtype: str,
    arithmetic: Callable[[Case], Arithmetic] = usual_arithmetic,
) -> Cell:
    """Return the cell in which a binding is tried, all others being honest."""
    backend = backend_with(name, function_of(operator, check), binding, arithmetic)
    return Cell(backend, operators()[operator], dtype, CHECKS[check])


def try_fault(fault: Fault, *, examples: int = EXAMPLES, seed: int = 0) -> Trial:
    """Run the fault's check on the fault and on its twin, and the twin also on the case that gave the fault away."""
    where = fault.operator, fault.check, fault.dtype
    cases, caught = _tried(cell_with(fault.name, fault.wrong, *where), examples, seed)
    # Faults of one cell that are made of the honest binding share their twin, and the search that lets it pass.
    shared = fault.twin is honest(function_of(fault.operator, fault.check))
    cell = cell_with("honest" if shared else f"{fault.name}-twin", fault.twin, *where)
    false_alarm = _honestly(*where, examples, seed) if shared else _tried(cell, examples, seed)[1]
    if caught is not None and caught.case is not None and false_alarm is None:
        verdict = next(ask_and_judge(cell, [caught.case]))
        false_alarm = verdict if verdict.failed else None
    return Trial(fault.name, *where, fault.kind, seed, cases, caught, false_alarm)


@cache
def _honestly(operator: str, check: str, dtype: str, examples: int, seed: int) -> Verdict | None:
    cell = cell_with("honest", honest(function_of(operator, check)), operator, check, dtype)
    return _tried(cell, examples, seed)[1]


def _tried(cell: Cell, examples: int, seed: int) -> tuple[int, Verdict | None]:
    """Return how many cases were judged, and the failing verdict of the last of them, if it fails."""
    count, last = 0, None

    def tell(verdict: Verdict) -> None:
        nonlocal count, last
        count, last = count + 1, verdict

    run_cell(cell, tell, examples=examples, seed=seed, shrink=False)
    return count, last if last is not None and last.failed else None


def try_variant(
    variant: Variant, *, examples: int = EXAMPLES, seed: int = 0, of_checks: Sequence[str] = ()
) -> Iterator[Clearance]:
    """Run on an honest variant every check that applies, or those that are named, in all its dtypes."""
    for check in CHECKS.values():
        wanted = check.name in variant.checks and (not of_checks or check.name in of_checks)
        if wanted and check.applies(operators()[variant.operator]):
            for dtype in variant.dtypes:
                where = variant.operator, check.name, dtype
                cell = cell_with(variant.name, variant.binding, *where, variant.arithmetic)
                # As far as layers of real networks go: some variants sort what they add up.
                cell = replace(cell, check=replace(cell.check, layers=check.layers and (3, SHORTER)))
                yield Clearance(variant.name, *where, seed, *_tried(cell, examples, seed))


@dataclass(frozen=True)
class Task:
    """What one process does at a time: all faults of a cell, which share a twin, or one variant."""

    faults: tuple[str, ...]
    variant: str
    of_checks: tuple[str, ...]
    seed: int
    examples: int


def perform(task: Task) -> list[Trial | Clearance]:
    """Try what the task names."""
    found: list[Trial | Clearance] = [
        try_fault(faults()[name], examples=task.examples, seed=task.seed) for name in task.faults
    ]
    if task.variant:
        variant = variants()[task.variant]
        found += try_variant(variant, examples=task.examples, seed=task.seed, of_checks=task.of_checks)
    return found


def tasks(
    seeds: Sequence[int],
    *,
    examples: int = EXAMPLES,
    of_operators: Sequence[str] = (),
    of_checks: Sequence[str] = (),
    with_faults: bool = True,
    with_variants: bool = True,
) -> list[Task]:
    """Return what there is to try, the longest first; an empty selection is everything."""
    cells = defaultdict(list)
    for fault in faults().values() if with_faults else ():
        if (not of_operators or fault.operator in of_operators) and (not of_checks or fault.check in of_checks):
            cells[fault.operator, fault.check, fault.dtype].append(fault.name)
    bank = variants().values() if with_variants else ()
    honest_ones = [variant.name for variant in bank if not of_operators or variant.operator in of_operators]
    alike = sorted(cells.values(), key=len, reverse=True)
    return [
        *(Task((), name, tuple(of_checks), seed, examples) for seed in seeds for name in honest_ones),
        *(Task(tuple(names), "", tuple(of_checks), seed, examples) for seed in seeds for names in alike),
    ]


def perform_all(todo: Sequence[Task], processes: int) -> Iterator[list[Trial | Clearance]]:
    """Perform tasks, each in one of several processes, or all in this one; yield results as they come."""
    if processes == 1:
        yield from map(perform, todo)
        return
    pool = ProcessPool(processes, context=Spawn())
    try:
        for future in as_completed([pool.schedule(perform, (task,)) for task in todo]):
            yield future.result()
    finally:
        pool.stop()  # type: ignore[no-untyped-call]
        pool.join()
