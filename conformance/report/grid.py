"""The terminal's view of a run: a grid of operators and dtypes, and the failures below it.

Names, reasons and details come from backends and from files, so that all of them pass through `printable`.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from conformance.model import Outcome, Verdict
from conformance.report.tally import Tally

LONGEST_TEXT = 500

STYLES = {
    Outcome.CONFORMS: "green",
    Outcome.DEVIATES: "yellow",
    Outcome.UNSUPPORTED: "dim",
    Outcome.UNBOUND: "dim",
    Outcome.UNAVAILABLE: "dim",
}
SETTLED = (Outcome.UNAVAILABLE, Outcome.UNBOUND)
GRAVITY = (
    Outcome.CRASHED,
    Outcome.TIMED_OUT,
    Outcome.DIFFERS,
    Outcome.ERRORED,
    Outcome.STALE,
    Outcome.VACUOUS,
    Outcome.DEVIATES,
    Outcome.CONFORMS,
    Outcome.UNSUPPORTED,
    Outcome.UNBOUND,
    Outcome.UNAVAILABLE,
)


def printable(text: str) -> str:
    r"""Return the text as one line that only shows itself, of at most LONGEST_TEXT characters and three dots.

    What is not printable, such as a line break, an escape sequence or a change of direction, becomes its escape.

    >>> printable("done\x1b[2J\rconforms")
    'done\\x1b[2J\\rconforms'
    """
    shown = "".join(mark if mark.isprintable() else ascii(mark)[1:-1] for mark in text[: LONGEST_TEXT + 1])
    return shown if len(shown) <= LONGEST_TEXT else f"{shown[:LONGEST_TEXT]}..."


def grid(tallied: Iterable[Tally]) -> RenderableType:
    """Return a table for each backend: outcome, cases, elements compared and worst share of the bound."""
    by_backend: dict[str, list[Tally]] = {}
    for tally in tallied:
        by_backend.setdefault(tally.backend, []).append(tally)
    return Group(*(_table(backend, cells) for backend, cells in by_backend.items()))


def _table(backend: str, cells: Sequence[Tally]) -> Table:
    dtypes = list(dict.fromkeys(cell.dtype for cell in cells))
    caption = "cases / elements compared / worst error as a share of its bound"
    table = Table(title=Text(printable(backend), "table.title"), caption=caption)
    table.add_column("operator", no_wrap=True)
    for dtype in dtypes:
        table.add_column(Text(printable(dtype)), overflow="fold")
    for operator in dict.fromkeys(cell.operator for cell in cells if cell.outcome not in SETTLED):
        row = [[c for c in cells if (c.operator, c.dtype) == (operator, dtype)] for dtype in dtypes]
        table.add_row(Text(printable(operator)), *map(_entry, row))
    return table


def _entry(cells: Sequence[Tally]) -> Text:
    if not cells:
        return Text("-", style="dim")
    worst = min((cell.outcome for cell in cells), key=GRAVITY.index)
    failing = [cell.check for cell in cells if cell.failed]
    outcome = f"{worst}: {', '.join(failing)}" if failing else str(worst)
    cases, compared = sum(c.cases for c in cells), sum(c.compared for c in cells)
    share = max(c.share for c in cells)
    numbers = f"\n{cases} / {_short(compared)} / {share:.2g}" if cases else ""
    seen = "".join(
        f"\n{printable(c.reason)}" for c in cells if c.check == "precision" and c.outcome is Outcome.CONFORMS
    )
    return Text(printable(outcome) + numbers + seen, style=STYLES.get(worst, "bold red"))


def _short(number: int) -> str:
    for size, letter in ((10**6, "M"), (10**3, "k")):
        if number >= size:
            return f"{number / size:.3g}{letter}"
    return str(number)


def failure(verdict: Verdict, address: str = "") -> str:
    """Return a failure in a few lines: what differs, the worst element and what fed it, what it looks like, last words.

    The last line replays it.

    address: what leads to the backend on a command line, where that is not its name.
    """
    lines = [printable(f"{verdict.outcome}: {verdict.operator} {verdict.dtype} on {verdict.backend}: {verdict.reason}")]
    lines += [f"  {element(verdict)}"] if "index" in verdict.details else []
    lines += [f"  fed by {printable(line)}" for line in verdict.details.get("window", ())]
    lines += [f"  {printable(verdict.details['diagnosis'])}"] if "diagnosis" in verdict.details else []
    lines += [f"  | {printable(line)}" for line in verdict.details.get("printed", ())]
    if verdict.case is not None:
        lines.append(f"  {replay_line(repr(verdict.case), address or verdict.backend, verdict.check)}")
    return "\n".join(lines)


def replay_line(case: str, backend: str, check: str) -> str:
    """Return the command that replays a case, quoted so that a shell runs nothing else when it is pasted there."""
    return shlex.join(("convformance", "replay", case, "-b", printable(backend), "--check", printable(check)))


def element(verdict: Verdict) -> str:
    """Return one line on the worst element of a verdict."""
    d = verdict.details
    where = ", ".join(map(str, d["index"]))
    text = f"{d['output']}[{where}]: expected {d['expected']!r}, actual {d['actual']!r}, bound {d['bound']:.3g}"
    return printable(f"{text}, off by {d['error_ulps']:.3g} ulps" if math.isfinite(d["error_ulps"]) else text)


def print_report(console: Console, tallied: Sequence[Tally], address: str = "") -> None:
    """Print the grid, and below it why cells fail and what was declared."""
    if any(tally.outcome not in SETTLED for tally in tallied):
        console.print(grid(tallied))
    for tally in tallied:
        if tally.witness is not None:
            console.print(Text(failure(tally.witness, address)), soft_wrap=True)
        elif tally.outcome is Outcome.VACUOUS:
            vacuous = tally.counts[Outcome.VACUOUS]
            cell = f"{tally.check}[{tally.backend}-{tally.operator}-{tally.dtype}]"
            console.print(Text(printable(f"vacuous: {cell}: {vacuous} of {tally.cases} cases could not have differed")))
    for note in _notes(tallied):
        console.print(Text(printable(note), style="dim"), soft_wrap=True)


def _notes(tallied: Sequence[Tally]) -> Iterator[str]:
    """Yield why cells deviate, are not supported, or were not judged at all; each reason once."""
    yield from dict.fromkeys(
        f"{tally.outcome}: {tally.operator}: {tally.reason}"
        for tally in tallied
        if tally.outcome in (Outcome.DEVIATES, Outcome.UNSUPPORTED)
    )
    yield from dict.fromkeys(f"{t.outcome}: {t.reason}" for t in tallied if t.outcome is Outcome.UNAVAILABLE)
    unbound = dict.fromkeys(tally.operator for tally in tallied if tally.outcome is Outcome.UNBOUND)
    if unbound:
        yield f"unbound: {', '.join(unbound)}"
