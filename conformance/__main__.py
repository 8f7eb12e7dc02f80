"""The command line: convformance run | list | replay | power."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from conformance import __version__
from conformance.answers import Limits, WorkerError
from conformance.cells import Cell, cells
from conformance.checks import CHECKS
from conformance.deviations import DeviationError, with_deviations
from conformance.discovery import UsageError, backends, find_backend
from conformance.formats import DTYPES
from conformance.lines import LineError, parse
from conformance.model import Backend, Outcome, Verdict
from conformance.operators import operators
from conformance.options import Writable, with_examples
from conformance.power_command import power
from conformance.replay import cell_of
from conformance.replay import replay as replay_case
from conformance.report.fields import shown
from conformance.report.grid import print_report, printable, replay_line
from conformance.report.head import head_of
from conformance.report.jsonl import ReportError, Writer
from conformance.report.resume import Earlier, earlier
from conformance.report.tally import Tally
from conformance.repro import scripts, write_first
from conformance.run import asking, run_cell
from conformance.search import seed_of

SAID = ParameterSource.COMMANDLINE, ParameterSource.DEFAULT_MAP  # by an option of its own, or by --profile
CONFORMS, FAILS, STOPPED, NOTHING_COMPARED, INTERRUPTED = 0, 1, 2, 3, 130


def _seed(context: click.Context, parameter: click.Parameter, value: str) -> int:
    """Return the seed as a number; a fresh one is printed with the report, so that the run can be repeated."""
    try:
        return seed_of(value)
    except ValueError as error:
        raise click.BadParameter(str(error), context, parameter) from None


def asked_somewhere(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say where a backend is asked, and what a case may take there."""

    @click.option("--in-process", is_flag=True, help="Ask the backend in this process, for debuggers.")
    @click.option(
        "--limit-seconds", default=Limits.seconds, show_default=True, help="What a case may take, before it is ended."
    )
    @click.option(
        "--limit-mebibytes", default=Limits.mebibytes, show_default=True, help="What it may allocate; 0: no limit."
    )
    @wraps(command)
    def with_limits(*, limit_seconds: float, limit_mebibytes: int, **words: Any) -> None:
        try:
            limits = Limits(limit_seconds, limit_mebibytes)
        except ValueError as error:
            raise click.UsageError(str(error)) from None
        command(limits=limits, **words)

    return with_limits


reproducible = click.option(
    "--repro",
    type=Writable(),
    help="Write the first failure as a script; one of a law, of purity or of large arrays replays its line.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="convformance")
def main() -> None:
    """Ask an array backend whether its convolution, pooling and normalization are right."""


@main.command()
@click.argument("backend", required=False)
@click.option("-o", "--operator", "operators", multiple=True, help="Only this operator; may be repeated.")
@click.option("-d", "--dtype", "dtypes", multiple=True, help="Only this dtype; may be repeated.")
@click.option("-c", "--check", "checks", multiple=True, help="Only this check; may be repeated.")
@with_examples
@click.option("--seed", default="0", show_default=True, callback=_seed, help="A whole number, or random.")
@click.option("--stop-at-first", is_flag=True, help="Stop after the first cell that fails.")
@click.option("--json", "path", type=click.Path(path_type=Path), help="Write verdicts as JSON lines.")
@click.option("--deviations", default="", metavar="FILE", help="What BACKEND is known to do otherwise.")
@click.option("--resume", "resumed", type=click.Path(path_type=Path), help="Go on with the run that wrote this file.")
@reproducible
@asked_somewhere
@click.pass_context
def run(
    context: click.Context,
    /,
    backend: str | None,
    path: Path | None,
    resumed: Path | None,
    repro: Path | None,
    in_process: bool,
    limits: Limits,
    **settings: Any,
) -> None:
    """Judge BACKEND: a name that `convformance list` shows, or package.module:OBJECT.

    Exits with 0 if all conforms or deviates as declared, 1 if something fails, 2 on wrong usage or where the run cannot
    go on, 3 if nothing was compared, 130 if interrupted.

    A resumed run needs no options, and BACKEND only where that is a module of one's own; it leaves the file that it
    would have left without a break. The versions of Python, NumPy, hypothesis, this program and the backend, and the
    kind of machine, must be the same.
    """
    settings |= {"limit_seconds": limits.seconds, "limit_mebibytes": limits.mebibytes}
    past = None
    with _told():
        if resumed is not None:
            past = earlier(resumed)
            _agree(context, past)
            if backend is None and past.end != "complete" and past.head["address"] not in backends():
                then = shown(past.head["address"])  # the file may be anybody's, and is not to say what is imported
                raise click.UsageError(f"{resumed} was written for {then}; name it as BACKEND to have it imported")
            backend, settings, path = past.head["address"], past.settings, resumed
        if backend is None:
            raise click.UsageError("Missing argument 'BACKEND'.")
        if past is not None and past.end == "complete":
            if repro is not None:
                raise click.UsageError(f"{path} is complete; replay a line of it with --repro")
            console = _console()
            console.print(f"{path} is complete: nothing is left to do", markup=False, soft_wrap=True)
            print_report(console, past.tallies, backend)
            sys.exit(exit_code(past.tallies))
        sys.exit(_run(backend, settings, (path, repro), in_process, past))


def _agree(context: click.Context, past: Earlier) -> None:
    """Refuse options that say otherwise than the file that is to be gone on with."""
    if context.params["path"] is not None:
        raise click.UsageError("--json is for a new run; a resumed one goes on writing to its file")
    for name, then in {"backend": past.head["address"], **past.settings}.items():
        given = context.params[name]
        given = list(dict.fromkeys(given)) if isinstance(given, tuple) else given
        if context.get_parameter_source(name) in SAID and given != then:
            raise click.UsageError(f"{name}={given!r}: {past.path} was begun with {shown(then)}")


def _run(
    backend: str, settings: dict[str, Any], files: Sequence[Path | None], in_process: bool, past: Earlier | None
) -> int:
    """Judge the cells, or those that an earlier run left; print what was found, and return the exit code."""
    chosen = with_deviations(find_backend(backend), settings["deviations"])
    every = {"operators": list(operators()), "dtypes": list(chosen.dtypes), "checks": list(CHECKS)}
    settings = settings | {name: list(dict.fromkeys(settings[name])) or names for name, names in every.items()}
    selected = cells(chosen, *(settings[name] for name in every))
    limits = Limits(settings["limit_seconds"], settings["limit_mebibytes"])
    console, writer, (path, repro) = _console(), None, files
    with ExitStack() as stack:
        elsewhere = stack.enter_context(asking(chosen, in_process=in_process, limits=limits))
        chosen = chosen if elsewhere is None else elsewhere.backend
        selected = [cell.on(elsewhere) for cell in selected]
        tallies = [Tally(cell.backend.name, cell.check.name, cell.operator.name, cell.dtype) for cell in selected]
        head = head_of(chosen, settings)
        _introduce(console, chosen, head, in_process)
        if past is not None:
            past.check(head, tallies)
            tallies[: len(past.tallies)] = past.tallies
            console.print(f"going on with {path} after {past.count} verdicts", markup=False, soft_wrap=True)
        if path is not None:
            writer = stack.enter_context(Writer(path, head, 0 if past is None else past.kept))
        stop = _judge(console, list(zip(selected, tallies, strict=True)), writer, settings, past)
        begun = [tally for tally in tallies if tally.counts]
        print_report(console, begun, chosen.address)
        if repro is not None:
            judged = zip(selected, (tally.witness for tally in tallies), strict=True)
            console.print(write_first(repro, scripts(judged)), markup=False, soft_wrap=True)
        if stop is None:
            return exit_code(begun)
        if writer is not None:
            writer.end = "interrupted"
    return _stopped(console, stop, f"after {len(begun)} of {len(selected)} cells", path)


def _introduce(console: Console, backend: Backend, head: Mapping[str, Any], in_process: bool) -> None:
    """Print what the verdicts follow from, and what earlier runs did not live to tell."""
    about = head["about"] if backend.unavailable() is None else "unavailable"
    name = printable(f"{backend.name} ({about})" if about else backend.name)
    text = f"convformance {__version__}: {name}, seed {head['seed']}, {head['examples']} examples a cell"
    console.print(text, markup=False, soft_wrap=True)
    if in_process:
        return
    from conformance.journal import unfinished  # needs POSIX

    for line in unfinished():
        console.print(printable(f"an earlier run ended while it asked {line}"), markup=False, soft_wrap=True)


def _judge(
    console: Console,
    selected: Sequence[tuple[Cell, Tally]],
    writer: Writer | None,
    settings: Mapping[str, Any],
    past: Earlier | None,
) -> BaseException | None:
    """Run the cells behind a progress bar, and tally what they tell; return what stopped them early."""
    finished, remembered = (0, []) if past is None else (past.finished, past.last)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task("", total=len(selected), completed=finished)
            for cell, tally in selected[finished:]:
                progress.update(task, description=escape(printable(cell.id)))

                def tell(verdict: Verdict, tally: Tally = tally) -> None:
                    tally.add(verdict)
                    if writer is not None:
                        writer.write(verdict)

                run_cell(cell, tell, examples=settings["examples"], seed=settings["seed"], remembered=remembered)
                remembered = []
                if writer is not None:
                    writer.settle()
                progress.advance(task)
                if settings["stop_at_first"] and tally.failed:
                    break
    except _stops() as stop:
        return stop
    return None


def _stopped(console: Console, stop: BaseException, how_far: str, path: Path | None) -> int:
    """Print what stopped a run and what is left of it; return the exit code."""
    where = "" if path is None else f" and in {path}, with which --resume goes on"
    console.print(f"interrupted {how_far}; what was judged is above{where}", markup=False, soft_wrap=True)
    if isinstance(stop, KeyboardInterrupt):
        return INTERRUPTED
    click.echo(printable(f"Error: {stop}"), err=True)
    return STOPPED


def _stops() -> tuple[type[BaseException], ...]:
    """Return what may end a command that says all in its message: no traceback helps with it."""
    return KeyboardInterrupt, OSError, UsageError, LineError, DeviationError, ReportError, WorkerError


@contextmanager
def _told() -> Iterator[None]:
    """End a command with the message of an error, or with the exit code of an interruption."""
    try:
        yield
    except _stops() as stop:
        if isinstance(stop, KeyboardInterrupt):
            sys.exit(INTERRUPTED)
        raise click.UsageError(printable(str(stop))) from stop


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
        with _told():
            _list_declarations(find_backend(backend))
        return
    for name, found in backends().items():
        missing = found.unavailable()
        text = found.about() if missing is None else f"unavailable: {missing}"
        click.echo(printable(f"backend   {name:18} {text}"))
    for kind, names in (("operator", operators()), ("dtype", DTYPES), ("check", CHECKS)):
        click.echo(f"{kind:9} {', '.join(names)}")


def _list_declarations(backend: Backend) -> None:
    for d in backend.declarations:
        click.echo(printable(f"{d.outcome}: {', '.join(d.operators)}: {d.reason}"))
        click.echo(printable(f"  since {d.date} at the latest, {d.link}"))
        click.echo(f"  {replay_line(d.witness, backend.address or backend.name, d.checks[0])}")


@main.command()
@click.argument("line")
@click.option("-b", "--backend", required=True, help="A name that `convformance list` shows, or package.module:OBJECT.")
@click.option("-c", "--check", type=click.Choice(list(CHECKS)), help="Judge as under this check.")
@reproducible
@asked_somewhere
def replay(line: str, backend: str, check: str | None, repro: Path | None, in_process: bool, limits: Limits) -> None:
    """Replay LINE, one case as a failure prints it, and show expected, actual, bound and the window."""
    with _told():
        case = parse(line)
        cell = cell_of(case, find_backend(backend), check)
        with asking(cell.backend, in_process=in_process, limits=limits) as elsewhere:
            cell = cell.on(elsewhere)
            verdict, text = replay_case(cell, case)
        if repro is not None:
            text += f"\n{write_first(repro, scripts([(cell, verdict)]))}"
    click.echo(text)
    if verdict.failed:
        sys.exit(FAILS)
    sys.exit(NOTHING_COMPARED if verdict.outcome in (Outcome.UNAVAILABLE, Outcome.UNBOUND) else CONFORMS)


main.add_command(power)

if __name__ == "__main__":
    main()
