"""What it costs that a backend is asked in a process of its own.

    python benchmarks/isolation_cost.py [BACKEND] [--rounds 3] [--only "conv2d and float32"]

Measures the answers alone, in the batches in which a run asks for them and one at a time, here and in a worker; then
whole runs under pytest, in turns, with one process and with two.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

import click
from rich.console import Console
from rich.table import Table

from conformance.answers import answer
from conformance.cells import cells
from conformance.discovery import find_backend
from conformance.isolation import Isolated
from conformance.model import Case
from conformance.search import search

WHERE = (["--convformance-in-process"], [])
OPERATORS = ("relu", "linear", "conv1d", "conv2d", "conv_transpose2d", "max_pool2d", "avg_pool2d", "batch_norm")


def batches(backend: str, draws: int) -> list[list[Case]]:
    """Return cases in the batches in which a run asks for them."""
    found: list[list[Case]] = []

    def keep(drawn: list[Case]) -> bool:
        found.append(drawn)
        return True

    for cell in cells(find_backend(backend), OPERATORS, ["float32"], ["values"]):
        search(cell.check.strategy(cell.operator, cell.dtype, cell.backend), keep, draws=draws, seed=0)
    return found


def seconds_of(call: Callable[[], object]) -> float:
    """Return how long a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def answers_alone(name: str, draws: int) -> Table:
    """Return a table of the microseconds that an answer takes here, in a worker, and more there than here."""
    table = Table("asked", "cases", "here", "in a worker", "more", title=f"microseconds an answer, median, {name}")
    asked = batches(name, draws)
    alone = [[case] for batch in asked for case in batch[::10]]
    here = find_backend(name)

    def both(group: list[Case]) -> tuple[float, float]:
        inside = seconds_of(lambda: [answer(here, case) for case in group])
        outside = seconds_of(lambda: list(worker.ask(group)))
        return inside / len(group) * 1e6, outside / len(group) * 1e6

    with Isolated(here) as worker:
        for label, groups in (("in batches", asked), ("one at a time", alone)):
            times = list(map(both, groups * 2))[len(groups) :]  # the first time, engines and arrays are made ready
            columns = (*zip(*times, strict=True), [outside - inside for inside, outside in times])
            numbers = (sum(map(len, groups)), *map(statistics.median, columns))
            table.add_row(label, *(f"{number:,.0f}" for number in numbers))
    return table


def whole_runs(name: str, rounds: int, only: str) -> Table:
    """Return a table of the seconds that whole runs take, the least of several that were made in turns."""
    table = Table("processes of pytest", "in process", "in workers", "ratio", title=f"seconds of a whole run, {name}")
    for processes in ((), ("-n", "2")):
        command = [sys.executable, "-m", "pytest", "-q", "--pyargs", "conformance", "--backend", name, "-k", only]
        command += ["-p", "no:cacheprovider", *processes]
        times = [
            [
                seconds_of(partial(subprocess.run, [*command, *where], capture_output=True, check=True))
                for where in WHERE
            ]
            for _ in range(rounds)
        ]
        inside, outside = map(min, zip(*times, strict=True))
        table.add_row(processes[-1] if processes else "1", f"{inside:.1f}", f"{outside:.1f}", f"{outside / inside:.2f}")
    return table


@click.command()
@click.argument("backend", default="torch-cpu")
@click.option("--rounds", default=3, show_default=True, help="Whole runs of each kind; the least time counts.")
@click.option("--draws", default=6, show_default=True, help="Batches for each operator.")
@click.option("--only", default="", help="Cells of the whole runs, in the words of pytest's -k.")
def main(backend: str, rounds: int, draws: int, only: str) -> None:
    """Print what isolation costs on BACKEND."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    console = Console(width=100)
    console.print(answers_alone(backend, draws))
    if rounds:
        console.print(whole_runs(backend, rounds, only))


if __name__ == "__main__":
    main()
