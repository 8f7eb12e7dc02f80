"""The rows that come out, on a terminal and in Markdown."""

from __future__ import annotations

from typing import NamedTuple

from rich.table import Table

COLUMNS = ("workload", "ours", "peer", "peer / ours", "goal", "met")


class Row(NamedTuple):
    """One line; numbers are text already."""

    workload: str
    ours: str
    peer: str
    ratio: str = ""
    goal: str = ""
    met: str = ""


def seconds(value: float) -> str:
    """Return a time with its unit."""
    for unit, factor in (("s", 1.0), ("ms", 1e3)):
        if value * factor >= 1:
            return f"{value * factor:.3g} {unit}"
    return f"{value * 1e6:.1f} µs"


def met(yes: bool) -> str:
    return "yes" if yes else "NO"


def on_terminal(title: str, rows: list[Row]) -> Table:
    table = Table(title=title, title_justify="left")
    for name in COLUMNS:
        table.add_column(name, justify="left" if name in ("workload", "goal", "met") else "right")
    for row in rows:
        table.add_row(*row)
    return table


def in_markdown(title: str, rows: list[Row]) -> str:
    lines = [f"## {title}", "", "| " + " | ".join(COLUMNS) + " |", "|---|--:|--:|--:|---|---|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows), ""])
