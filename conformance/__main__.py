"""The command line: convformance run | list | replay."""

from __future__ import annotations

import random
import sys
from contextlib import ExitStack
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from conformance import __version__
from conformance.cells import Cell, cells
from conformance.checks import CHECKS
from conformance.discovery import UsageError, backends, find_backend
from conformance.formats import DTYPES
from conformance.lines import LineError, parse
from conformance.model import Outcome, Verdict
from conformance.operators import operators
from conformance.replay import cell_of
from conformance.replay import replay as replay_case
from conformance.report.grid import print_report
from conformance.report.jsonl import Writer
from conformance.report.tally import Tally
from conformance.run import EXAMPLES, run_cell

CONFORMS, FAILS, NOTHING_COMPARED, INTERRUPTED = 0, 1, 3, 130


def _seed(context: click.Context, parameter: click.Parameter, value: str) -> int:
    """Return the seed as a number; a fresh one is printed with the report, so that the run can be repeated."""
    if value == "random":
        return random.SystemRandom().randrange(2**32)
    try:
        return int(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is neither a whole number nor 'random'", context, parameter) from None


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="convformance")
def main() -> None:
    """Ask an array backend whether its convolution, pooling and normalization are right."""


@main.command()
@click.argument("backend")
@click.option("-o", "--operator", "names", multiple=True, help="Only this operator; may be repeated.")
@click.option("-d", "--dtype", "dtypes", multiple=True, help="Only this dtype; may be repeated.")
@click.option("-c", "--check", "checks", multiple=True, help="Only this check; may be repeated.")
@click.option(
    "--examples", default=EXAMPLES, show_default=True, type=click.IntRange(1), help="Geometries to draw for each cell."
)
@click.option("--seed", default="0", show_default=True, callback=_seed, help="A whole number, or random.")
@click.option("--stop-at-first", is_flag=True, help="Stop after the first cell that fails.")
@click.option("--json", "path", type=click.Path(dir_okay=False, path_type=Path), help="Write verdicts as JSON lines.")
def run(
    backend: str,
    names: tuple[str, ...],
    dtypes: tuple[str, ...],
    checks: tuple[str, ...],
    examples: int,
    seed: int,
    stop_at_first: bool,
    path: Path | None,
) -> None:
    """Judge BACKEND: a name that `convformance list` shows, or package.module:OBJECT.

    Exits with 0 if all conforms or deviates as declared, 1 if something fails, 2 on wrong usage, 3 if nothing was
    compared, 130 if interrupted.
    """
    try:
        chosen = find_backend(backend)
        selected = cells(chosen, names or None, dtypes or None, checks or None)
    except UsageError as error:
        raise click.UsageError(str(error)) from error
    console = _console()
    about = chosen.about() if chosen.unavailable() is None else "unavailable"
    name = f"{chosen.name} ({about})" if about else chosen.name
    console.print(f"convformance {__version__}: {name}, seed {seed}, {examples} examples a cell", markup=False)
    with ExitStack() as stack:
        try:
            writer = None if path is None else stack.enter_context(Writer(path, chosen, seed=seed, examples=examples))
            tallied, interrupted = _judge(console, selected, writer, examples, seed, stop_at_first)
        except OSError as error:
            raise click.UsageError(f"json={str(path)!r}: {error.strerror}; what was written is kept") from error
    print_report(console, tallied, chosen.address)
    if interrupted:
        done = f"interrupted after {len(tallied)} of {len(selected)} cells; what was judged is above"
        console.print(f"{done}{f' and in {path}' if path else ''}", markup=False, soft_wrap=True)
    sys.exit(INTERRUPTED if interrupted else exit_code(tallied))


def _judge(
    console: Console, selected: list[Cell], writer: Writer | None, examples: int, seed: int, stop_at_first: bool
) -> tuple[list[Tally], bool]:
    """Run the cells behind a progress bar; return their tallies, and whether the user stopped it."""
    tallied: list[Tally] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=len(selected))
        for cell in selected:
            progress.update(task, description=cell.id)
            tally = Tally(cell.backend.name, cell.check.name, cell.operator.name, cell.dtype)

            def tell(verdict: Verdict, tally: Tally = tally) -> None:
                tally.add(verdict)
                if writer is not None:
                    writer.write(verdict)

            try:
                run_cell(cell, tell, examples=examples, seed=seed)
            except KeyboardInterrupt:
                if writer is not None:
                    writer.end = "interrupted"
                return ([*tallied, tally] if tally.counts else tallied), True
            tallied.append(tally)
            progress.advance(task)
            if stop_at_first and tally.failed:
                break
    return tallied, False


def _console() -> Console:
    """Return a console that is wide enough for the grid where nobody looks at a terminal."""
    console = Console()
    return console if console.is_terminal else Console(width=120)


def exit_code(tallied: list[Tally]) -> int:
    """Return the exit code that the cells add up to."""
    if any(tally.failed for tally in tallied):
        return FAILS
    told = any(tally.compared or tally.outcome is Outcome.DEVIATES for tally in tallied)
    return CONFORMS if told else NOTHING_COMPARED


@main.command("list")
@click.option("-b", "--backend", help="Instead, what this backend declares to do otherwise, with a witness to replay.")
def list_(backend: str | None) -> None:
    """List backends, with why one is unavailable, and operators, dtypes and checks."""
    if backend is not None:
        _list_declarations(backend)
        return
    for name, found in backends().items():
        missing = found.unavailable()
        click.echo(f"backend   {name:18} {found.about() if missing is None else f'unavailable: {missing}'}")
    for kind, names in (("operator", operators()), ("dtype", DTYPES), ("check", CHECKS)):
        click.echo(f"{kind:9} {', '.join(names)}")


def _list_declarations(backend: str) -> None:
    try:
        declarations = find_backend(backend).declarations
    except UsageError as error:
        raise click.UsageError(str(error)) from error
    for d in declarations:
        click.echo(f"{d.outcome}: {', '.join(d.operators)}: {d.reason}")
        click.echo(f"  since {d.date} at the latest, {d.link}")
        click.echo(f"  convformance replay '{d.witness}' -b {backend} --check {d.checks[0]}")


@main.command()
@click.argument("line")
@click.option("-b", "--backend", required=True, help="A name that `convformance list` shows, or package.module:OBJECT.")
@click.option("-c", "--check", type=click.Choice(list(CHECKS)), help="Judge as under this check.")
def replay(line: str, backend: str, check: str | None) -> None:
    """Replay LINE, one case as a failure prints it, and show expected, actual, bound and the window."""
    try:
        case = parse(line)
        verdict, text = replay_case(cell_of(case, find_backend(backend), check), case)
    except (UsageError, LineError) as error:
        raise click.UsageError(str(error)) from error
    click.echo(text)
    if verdict.failed:
        sys.exit(FAILS)
    sys.exit(NOTHING_COMPARED if verdict.outcome in (Outcome.UNAVAILABLE, Outcome.UNBOUND) else CONFORMS)


if __name__ == "__main__":
    main()
