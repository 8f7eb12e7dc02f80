"""What other people's tests see of the faults that this suite is measured by.

    python benchmarks/peers.py [--power FILE] [--markdown docs/peers.md]

PyTorch's OpInfo draws sample inputs, and compares with its default tolerances; ONNX's node tests bring inputs, outputs
and tolerances. Each fault of the bank answers all of those that are about its operator. It is caught if one of them
objects to it that does not object to its honest twin.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent))  # PYTHONSAFEPATH leaves it out

import click
from oracles import onnx_nodes, opinfo
from oracles.samples import Sample
from rich.console import Console
from rich.progress import track
from rich.table import Table

from conformance.faults import faults
from conformance.honest import honest
from conformance.model import KINDS_OF_FAULTS, Fault
from conformance.operators import operators
from conformance.power import try_fault
from conformance.variants import GRADIENTS, variants

ORACLES = (opinfo, onnx_nodes)
Line = tuple[str, ...]


class Seen(NamedTuple):
    """Whether a test of an oracle could have met a fault, and whether one objected to it."""

    met: bool
    caught: bool


@cache
def asked(oracle: ModuleType, operator: str, dtype: str) -> list[Sample]:
    """Return what an oracle asks of an operator."""
    return list(oracle.samples(operator, dtype))


@cache
def fair(oracle: ModuleType, operator: str, dtype: str, gradient: bool) -> list[Sample]:
    """Return what an oracle asks and lets the honest binding pass."""
    right = honest(f"vjp.{operator}" if gradient else operator)
    return [s for s in asked(oracle, operator, dtype) if s.gradient == gradient and s.passes(right)]


def seen(oracle: ModuleType, fault: Fault) -> Seen:
    """Return whether the tests of an oracle see a fault, in its dtype and in float32."""
    gradient = fault.check == "gradients"
    own = fault.twin is not honest(f"vjp.{fault.operator}" if gradient else fault.operator)
    met = False
    for dtype in _dtypes(oracle, fault.dtype):
        for sample in fair(oracle, fault.operator, dtype, gradient):
            if own and not sample.passes(fault.twin):
                continue
            met = True
            if not sample.passes(fault.wrong):
                return Seen(met, True)
    return Seen(met, False)


def _dtypes(oracle: ModuleType, *wanted: str) -> Iterable[str]:
    return [dtype for dtype in dict.fromkeys(("float32", *wanted)) if dtype in oracle.DTYPES]


def objections(oracle: ModuleType, of_operators: Sequence[str]) -> tuple[int, int]:
    """Return to how many honest variants an oracle objects, and how many it meets, where it lets the reference pass."""
    met = against = 0
    for variant in variants().values():
        if of_operators and variant.operator not in of_operators:
            continue
        gradient = variant.checks == GRADIENTS
        dtypes = _dtypes(oracle, *variant.dtypes)
        samples = [sample for dtype in dtypes for sample in fair(oracle, variant.operator, dtype, gradient)]
        met += bool(samples)
        against += not all(sample.passes(variant.binding) for sample in samples)
    return against, met


def caught_by_the_suite(path: Path | None) -> set[str]:
    """Return the faults that the suite catches with every seed that `convformance power` was told, or with seed 0."""
    if path is None:
        tried = (try_fault(fault) for fault in track(faults().values(), "this suite"))
        return {trial.name for trial in tried if trial.caught is not None}
    told = json.loads(path.read_text(encoding="utf-8"))["faults"]
    missed = {trial["name"] for trial in told if trial["caught"] is None}
    return {trial["name"] for trial in told} - missed


def table(
    found: dict[str, dict[str, Seen]], ours: set[str], group: Callable[[Fault], str], names: Sequence[str]
) -> list[Line]:
    """Return the lines of the table: for each group of faults, and for all, how many each side catches."""
    lines = [("", "faults", *(f"{o.NAME}: {what}" for o in ORACLES for what in ("could meet", "caught")), "this suite")]
    bank = [fault for fault in faults().values() if fault.name in found]
    for name in (*names, "all"):
        some = [fault.name for fault in bank if name == "all" or group(fault) == name]
        if some:
            counts = [
                str(sum(getattr(found[fault][oracle.NAME], what) for fault in some))
                for oracle in ORACLES
                for what in ("met", "caught")
            ]
            lines.append((name, str(len(some)), *counts, str(sum(fault in ours for fault in some))))
    return lines


def page(tables: dict[str, list[Line]], honest_ones: dict[str, tuple[int, int]]) -> str:
    """Return the page of the documentation."""
    versions = ", ".join(f"{oracle.NAME} of {oracle.VERSION}" for oracle in ORACLES)
    parts = ["# Peers\n", f"Made by `python benchmarks/peers.py`, with {versions}.\n", f"{INTRODUCTION}\n"]
    for title, (headings, *lines) in tables.items():
        rows = [headings, ("---",) * len(headings), *lines]
        parts += [f"## {title}\n", *(f"| {' | '.join(row)} |" for row in rows), ""]
    parts.append("## Honest variants\n")
    for name, (against, met) in honest_ones.items():
        parts.append(f"- {name}: objects to {against} of the {met} honest variants that it meets.")
    return "\n".join(parts) + "\n"


INTRODUCTION = """\
The bank of faults of this suite, put to the tests of others. OpInfo: every sample input that PyTorch's own tests draw,
in the dtype of the fault and in float32, also out of order in memory, the gradients of each, and the calls that must be
refused; PyTorch's answer is right, within the default tolerances of `torch.testing.assert_close`. ONNX: every node test
of an operator that has a counterpart here, with its own tolerances. A fault is caught if one test objects to it that
lets its honest twin pass; `could meet` counts those faults about whose function it asks anything. The bank was made for
this suite: what the others miss says what they do not ask, and no more. Calls on which they object to the reference
itself, correctly rounded as it is, are left out: there are such among PyTorch's in half formats."""


@click.command(help=__doc__)
@click.option("--power", type=click.Path(path_type=Path, exists=True), help="What `convformance power --json` wrote.")
@click.option(
    "-o", "--operator", "of_operators", multiple=True, type=click.Choice(list(operators())), metavar="OPERATOR"
)
@click.option("--markdown", type=click.Path(path_type=Path), help="Write the page.")
def main(power: Path | None, of_operators: tuple[str, ...], markdown: Path | None) -> None:
    """Measure, print the tables, and write them."""
    bank = [fault for fault in faults().values() if not of_operators or fault.operator in of_operators]
    found = {
        fault.name: {oracle.NAME: seen(oracle, fault) for oracle in ORACLES}
        for fault in track(sorted(bank, key=lambda fault: fault.operator), "peers", transient=True)
    }
    ours = caught_by_the_suite(power)
    checks = tuple(dict.fromkeys(fault.check for fault in bank))
    tables = {
        "Faults caught, by what they are a mistake in": table(found, ours, lambda f: f.kind, KINDS_OF_FAULTS),
        "Faults caught, by the check of this suite that is about them": table(found, ours, lambda f: f.check, checks),
    }
    honest_ones = {oracle.NAME: objections(oracle, of_operators) for oracle in ORACLES}
    console = Console(width=140)
    for title, (headings, *lines) in tables.items():
        shown = Table(*headings, title=title)
        for line in lines:
            shown.add_row(*line)
        console.print(shown)
    for name, (against, met) in honest_ones.items():
        console.print(f"{name} objects to {against} of {met} honest variants")
    if markdown is not None:
        markdown.write_text(page(tables, honest_ones), encoding="utf-8")


if __name__ == "__main__":
    main()
