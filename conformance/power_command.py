"""The command `convformance power`: run the bank of faults and the honest variants, and show what the checks see."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from conformance import __version__
from conformance.checks import CHECKS
from conformance.operators import operators
from conformance.options import Writable, with_examples
from conformance.power import Task, perform_all, tasks
from conformance.report.power_table import facts, markdown, print_tables
from conformance.report.trials import Clearance, Trial, shortfalls

FALLS_SHORT, INTERRUPTED = 1, 130
KEPT_AFTER = 10.0  # seconds


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
@click.option("--faults/--no-faults", default=True, help="Whether the faults are tried.")
@click.option("--variants/--no-variants", default=True, help="Whether the honest variants are tried too.")
@click.option("--json", "json_path", type=Writable(), help="Write every trial.")
@click.option("--markdown", "markdown_path", type=Writable(), help="Write the tables as a page.")
def power(
    seeds: tuple[int, ...],
    examples: int,
    of_operators: tuple[str, ...],
    of_checks: tuple[str, ...],
    processes: int,
    faults: bool,
    variants: bool,
    json_path: Path | None,
    markdown_path: Path | None,
) -> None:
    """Run the bank: which known faults the checks catch, after how many cases, and whether honest code passes.

    Exits with 0 if with every seed all structural faults are caught, and 95 % of all, without a false alarm; with 1 if
    not, 2 on wrong usage, 130 if interrupted: what was tried is shown and written all the same.
    """
    todo = tasks(
        seeds,
        examples=examples,
        of_operators=of_operators,
        of_checks=of_checks,
        with_faults=faults,
        with_variants=variants,
    )
    if not todo:
        raise click.UsageError("there is no fault and no variant of what is named")
    console = Console()
    console = console if console.is_terminal else Console(width=120)

    def keep(found: Sequence[Trial | Clearance], interrupted: bool) -> None:
        if json_path is not None:
            settings = {"version": __version__, "examples": examples, "seeds": seeds, "interrupted": interrupted}
            _write(json_path, facts(*_apart(found), settings))

    found, interrupted = _performed(console, todo, processes, keep)
    trials, clearances = _apart(found)
    print_tables(console, trials, clearances)
    if interrupted:
        console.print(f"interrupted after {len(found)} trials")
    if markdown_path is not None:
        words = [f"--seed {seed}" for seed in seeds] + [f"--examples {examples}"]
        words += [f"-o {name}" for name in of_operators] + [f"-c {name}" for name in of_checks]
        words += [*([] if faults else ["--no-faults"]), *([] if variants else ["--no-variants"])]
        command = f"convformance power {' '.join(words)}"
        markdown_path.write_text(markdown(trials, clearances, command), encoding="utf-8")
    if interrupted:
        sys.exit(INTERRUPTED)
    sys.exit(FALLS_SHORT if shortfalls(trials, clearances) else 0)


def _apart(found: Sequence[Trial | Clearance]) -> tuple[list[Trial], list[Clearance]]:
    """Return the trials of faults, and of variants."""
    trials = [result for result in found if isinstance(result, Trial)]
    return trials, [result for result in found if isinstance(result, Clearance)]


def _write(path: Path, told: dict[str, Any]) -> None:
    """Write a file so that it is whole at any time."""
    fresh = path.with_name(f"{path.name}.part")
    fresh.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    fresh.replace(path)


def _performed(
    console: Console, todo: list[Task], processes: int, keep: Callable[[Sequence[Trial | Clearance], bool], None]
) -> tuple[list[Trial | Clearance], bool]:
    """Perform the tasks behind a progress bar; return the results in order, and whether there was an interruption.

    keep: writes what there is so far, from time to time, so that whoever is killed loses little.
    """
    columns = (TextColumn("power"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    found: list[Any] = []
    interrupted, kept = False, time.monotonic()
    with Progress(*columns, console=console, transient=True) as progress:
        try:
            for results in progress.track(perform_all(todo, processes), total=len(todo)):
                found += results
                if time.monotonic() - kept > KEPT_AFTER:
                    keep(found, True)
                    kept = time.monotonic()
        except KeyboardInterrupt:
            interrupted = True
    found.sort(key=lambda result: (result.operator, result.name, result.seed))
    keep(found, interrupted)
    return found, interrupted
