"""The tables of what the checks catch: for a terminal, for the documentation, and all numbers as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from conformance.model import KINDS_OF_FAULTS, Verdict
from conformance.report.trials import Clearance, Row, Trial, rows, shortfalls

HARDEST = 10
HEADINGS = ("", "faults", "caught", "cases, median", "cases, 95th percentile", "false alarms")
Lines = list[tuple[str, ...]]


def tables(trials: Sequence[Trial], clearances: Sequence[Clearance]) -> dict[str, Lines]:
    """Return the tables by title, each as lines of words of which the first is the heading."""
    checks = dict.fromkeys(trial.check for trial in trials)
    found = {
        "Faults by what they are a mistake in": _of_rows(rows(trials, lambda trial: trial.kind, KINDS_OF_FAULTS)),
        "Faults by the check that must catch them": _of_rows(rows(trials, lambda trial: trial.check, checks)),
        "Faults that took the most cases": _hardest(trials),
        "Honest variants": _of_variants(clearances),
    }
    return {title: lines for title, lines in found.items() if len(lines) > 1}


def _of_rows(summed: Sequence[Row]) -> Lines:
    if not summed[-1].faults:
        return []
    words = [(r.name, r.faults, _share(r.caught, r.faults), r.median, r.high, r.false_alarms) for r in summed]
    return [HEADINGS, *(tuple("-" if word is None else str(word) for word in line) for line in words)]


def _share(caught: int, faults: int) -> str:
    return f"{caught}, {100 * caught / faults:.4g} %" if faults else "0"


def _hardest(trials: Sequence[Trial]) -> Lines:
    """Return the faults that are not caught with some seed, then those for which most cases were needed."""
    worst: dict[str, Trial] = {}
    for trial in sorted(trials, key=lambda t: (t.caught is None, t.cases)):
        worst[trial.name] = trial
    ordered = sorted(worst.values(), key=lambda t: (t.caught is not None, -t.cases, t.name))
    shown = ordered[: max(HARDEST, sum(t.caught is None for t in ordered))]
    told = [(t.name, t.kind, t.check, str(t.cases) if t.caught else f"not in {t.cases}") for t in shown]
    return [("fault", "mistake in", "check", "cases"), *told]


def _of_variants(clearances: Sequence[Clearance]) -> Lines:
    """Return for each operator how many variants were tried under which checks, on how many cases."""
    if not clearances:
        return []
    lines: Lines = [("operator", "variants", "checks", "cases", "false alarms")]
    for operator in dict.fromkeys(c.operator for c in clearances):
        lines.append((operator, *_counts([c for c in clearances if c.operator == operator])))
    return [*lines, ("all", *_counts(clearances))]


def _counts(some: Sequence[Clearance]) -> tuple[str, ...]:
    alarms = {c.name for c in some if c.false_alarm is not None}
    checks = ", ".join(dict.fromkeys(c.check for c in some))
    return str(len({c.name for c in some})), checks, str(sum(c.cases for c in some)), str(len(alarms))


def print_tables(console: Console, trials: Sequence[Trial], clearances: Sequence[Clearance]) -> None:
    """Print the tables, and what the checks do not reach."""
    for title, (headings, *lines) in tables(trials, clearances).items():
        table = Table(title=title)
        for i, heading in enumerate(headings):
            table.add_column(heading, justify="right" if i and lines[0][i][:1].isdigit() else "left")
        for line in lines:
            table.add_row(*line)
        console.print(table)
    for text in shortfalls(trials, clearances):
        console.print(text, markup=False, soft_wrap=True)


def markdown(trials: Sequence[Trial], clearances: Sequence[Clearance], command: str) -> str:
    """Return the page of the documentation that has the tables."""
    seeds = sorted({t.seed for t in trials} | {c.seed for c in clearances})
    parts = ["# Power\n", f"Made by `{command}`. Seeds: {', '.join(map(str, seeds))}.\n"]
    if trials:
        parts.append(
            "A fault is caught if its check objects to it; of several seeds the one that catches the fewest is shown. "
            "Cases are those that were judged until then, over all seeds. A false alarm is an honest twin that is "
            "objected to. Every kind of mistake but rounding counts as structural.\n"
        )
    if clearances:
        parts.append("A variant is another honest way to compute; a false alarm is one that is objected to.\n")
    for title, (headings, *lines) in tables(trials, clearances).items():
        parts += [f"## {title}\n", _row(headings), _row(["---"] * len(headings)), *map(_row, lines), ""]
    parts += [f"- {text}" for text in shortfalls(trials, clearances)] or ["Nothing falls short."]
    return "\n".join(parts) + "\n"


def _row(words: Sequence[str]) -> str:
    return f"| {' | '.join(words)} |"


def facts(trials: Sequence[Trial], clearances: Sequence[Clearance], settings: dict[str, Any]) -> dict[str, Any]:
    """Return all that was seen, in the terms of JSON."""
    return {
        **settings,
        "shortfalls": shortfalls(trials, clearances),
        "faults": [{**vars(t), "caught": _line(t.caught), "false_alarm": _line(t.false_alarm)} for t in trials],
        "variants": [{**vars(c), "false_alarm": _line(c.false_alarm)} for c in clearances],
    }


def _line(verdict: Verdict | None) -> str | None:
    return None if verdict is None else repr(verdict.case)
