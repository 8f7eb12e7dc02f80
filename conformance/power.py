"""Whether the checks see the faults they are there to see, and nothing in the honest twins."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from conformance.cells import Cell
from conformance.checks import CHECKS
from conformance.honest import Binding, honest
from conformance.model import Backend, Fault, Verdict
from conformance.operators import operators
from conformance.run import EXAMPLES, ask_and_judge, run_cell


@dataclass(frozen=True)
class Trial:
    """What a check said of a fault and of its twin: the failing verdict of each, or None."""

    fault: Fault
    caught: Verdict | None
    false_alarm: Verdict | None


def try_fault(fault: Fault, *, examples: int = EXAMPLES, seed: int = 0) -> Trial:
    """Run the fault's check on the fault and on its twin, and the twin also on the case that gave the fault away."""
    caught = _first_failure(fault.name, fault.wrong, fault.operator, fault.check, fault.dtype, examples, seed)
    # Faults of one cell that are made of the honest binding share their twin, and the search that lets it pass.
    twin = "honest" if fault.twin is honest(fault.operator) else f"{fault.name}-twin"
    false_alarm = _first_failure(twin, fault.twin, fault.operator, fault.check, fault.dtype, examples, seed)
    if caught is not None and caught.case is not None and false_alarm is None:
        cell = _cell(twin, fault.twin, fault.operator, fault.check, fault.dtype)
        verdict = next(ask_and_judge(cell, [caught.case]))
        false_alarm = verdict if verdict.failed else None
    return Trial(fault, caught, false_alarm)


def _cell(name: str, binding: Binding, operator: str, check: str, dtype: str) -> Cell:
    return Cell(Backend(name, {operator: binding}), operators()[operator], dtype, CHECKS[check])


@cache
def _first_failure(
    name: str, binding: Binding, operator: str, check: str, dtype: str, examples: int, seed: int
) -> Verdict | None:
    verdicts: list[Verdict] = []
    cell = _cell(name, binding, operator, check, dtype)
    run_cell(cell, verdicts.append, examples=examples, seed=seed, shrink=False)
    return verdicts[-1] if verdicts[-1].failed else None
