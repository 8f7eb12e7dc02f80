"""The command `convformance power`: run the bank of faults and the honest variants, and show what the checks see."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from conformance import __version__
from conformance.checks import CHECKS
from conformance.operators import operators
from conformance.options import with_examples
from conformance.power import Task, perform_all, tasks
from conformance.report.power_table import facts, markdown, print_tables
from conformance.report.trials import Clearance, Trial, shortfalls

FALLS_SHORT, INTERRUPTED = 1, 130


@click.command()
@click.option("--seed", "seeds", multiple=True, type=int, default=(0,), show_default=True, help="May be repeated.")
@with_examples
@click.option(
    "-o",
    "--operator",
    "of_operators",
    multiple=True,
    type=click.Choice(list(operators())),
    metavar="OPERATOR",
    help="Only faults and variants of this operator; may be repeated.",
)
@click.option(
    "-c",
    "--check",
    "of_checks",
    multiple=True,
    type=click.Choice(list(CHECKS)),
    help="Only this check; may be repeated.",
)
@click.option(
    "-j", "--processes", default=os.cpu_count() or 1, type=click.IntRange(1), help="How many to use; default: as cores."
)
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write every trial.")
@click.option("--markdown", "markdown_path", type=click.Path(path_type=Path), help="Write the tables as a page.")
def power(
    seeds: tuple[int, ...],
    examples: int,
    of_operators: tuple[str, ...],
    of_checks: tuple[str, ...],
    processes: int,
    json_path: Path | None,
    markdown_path: Path | None,
) -> None:
    """Run the bank: which known faults the checks catch, after how many cases, and whether honest code passes.

    Exits with 0 if with every seed all structural faults are caught, and 95 % of all, without a false alarm; with 1 if
    not, 2 on wrong usage, 130 if interrupted: what was tried is shown and written all the same.
    """
    todo = tasks(seeds, examples=examples, of_operators=of_operators, of_checks=of_checks)
    console = Console()
    console = console if console.is_terminal else Console(width=120)
    found, interrupted = _performed(console, todo, processes)
    trials = [result for result in found if isinstance(result, Trial)]
    clearances = [result for result in found if isinstance(result, Clearance)]
    print_tables(console, trials, clearances)
    if interrupted:
        console.print(f"interrupted after {len(found)} trials")
    if json_path is not None:
        settings = {"version": __version__, "examples": examples, "seeds": seeds, "interrupted": interrupted}
        json_path.write_text(json.dumps(facts(trials, clearances, settings), indent=1) + "\n", encoding="utf-8")
    if markdown_path is not None:
        words = [f"--seed {seed}" for seed in seeds] + [f"--examples {examples}"]
        words += [f"-o {name}" for name in of_operators] + [f"-c {name}" for name in of_checks]
        command = f"convformance power {' '.join(words)}"
        markdown_path.write_text(markdown(trials, clearances, command), encoding="utf-8")
    if interrupted:
        sys.exit(INTERRUPTED)
    sys.exit(FALLS_SHORT if shortfalls(trials, clearances) or not found else 0)


def _performed(console: Console, todo: list[Task], processes: int) -> tuple[list[Trial | Clearance], bool]:
    """Perform the tasks behind a progress bar; return the results in order, and whether there was an interruption."""
    columns = (TextColumn("power"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    found: list[Any] = []
    interrupted = False
    with Progress(*columns, console=console, transient=True) as progress:
        try:
            for results in progress.track(perform_all(todo, processes), total=len(todo)):
                found += results
        except KeyboardInterrupt:
            interrupted = True
    found.sort(key=lambda result: (result.operator, result.name, result.seed))
    return found, interrupted
