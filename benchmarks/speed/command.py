"""The command line: which sections, how long, and where the table goes."""

from __future__ import annotations

import datetime
import os
import platform
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import click
import numpy as np
from rich.console import Console

from speed import sections
from speed.sections import Plan, Rows
from speed.table import in_markdown, on_terminal

TITLES = {
    "onnx": "Against ONNX's ReferenceEvaluator",
    "torch": "Against float64 PyTorch, one thread; gradients against its backward pass",
    "jax": "Against JAX's lax_reference",
    "tvm": "Against TVM's topi.testing",
    "tiny": "Tiny calls, argument checks included",
    "exact": "Correctly rounded, against float64 PyTorch",
    "textbook": "Textbook loops",
    "memory": "Memory of conv2d beyond its arguments and its result",
}


def chosen(plan: Plan, names: tuple[str, ...], found: dict[str, object]) -> Iterator[tuple[str, Rows]]:
    """Yield the sections that can be measured, each not before the one in front of it is."""
    makers = {name: partial(sections.versus_peer, peer) for name, peer in found.items()}
    if "torch" in found:
        makers |= {"torch": partial(sections.versus_torch, found["torch"])}
        makers |= {"exact": partial(sections.exact, found["torch"])}
    makers |= {"tiny": sections.tiny, "textbook": sections.loops, "memory": sections.memory}
    for name in TITLES:
        if name in makers and (not names or name in names):
            yield name, makers[name](plan)


def machine(found: dict[str, object], absent: dict[str, str]) -> str:
    """Return when, where and with what this was measured."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]  # type: ignore[call-overload]
    versions = [
        f"Python {platform.python_version()}",
        f"NumPy {np.__version__} ({blas['name']} {blas['version']})",
        *(f"{name} {peer.VERSION}" for name, peer in found.items()),  # type: ignore[attr-defined]
        *(f"{name} absent ({reason})" for name, reason in absent.items()),
    ]
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    return f"{today}; {model}, {os.cpu_count()} cores, {platform.system()}; one thread; {', '.join(versions)}."


INTRODUCTION = """# Speed and memory

As measured by `{command}`.

{machine}

Both contestants of a row take turns, after their answers were found the same. *ours*, *peer*: best time of a call.
*peer / ours*: their ratio, above 1 where the reference is the faster one, and the quartiles of the ratios of the turns.

"""


@click.command()
@click.option("--section", "names", multiple=True, type=click.Choice(list(TITLES)), help="Only this; repeatable.")
@click.option("--only", multiple=True, help="Only workloads whose line has this text; repeatable.")
@click.option("--seconds", default=0.3, show_default=True, help="Time for each row; a slow peer takes longer.")
@click.option("--quick", is_flag=True, help="Small shapes and next to no time: whether it runs, not how fast it is.")
@click.option("--markdown", type=click.Path(path_type=Path), help="Write the tables to this file as well.")
def main(names: tuple[str, ...], only: tuple[str, ...], seconds: float, quick: bool, markdown: Path | None) -> None:
    """Time `reference` side by side with its peers, on one thread."""
    plan = Plan(0 if quick else seconds, ("small",) if quick else ("small", "medium", "large"), only)
    console = Console(width=None if Console().is_terminal else 160)
    found, absent = sections.peers()
    for name, reason in absent.items():
        console.print(f"{name} is absent: {reason}")
    text = INTRODUCTION.format(
        command=" ".join(["python", "benchmarks/reference_speed.py", *sys.argv[1:]]), machine=machine(found, absent)
    )
    for name, rows in chosen(plan, names, found):
        with console.status(TITLES[name]):
            measured = list(rows)
        if measured:
            console.print(on_terminal(TITLES[name], measured))
            text += in_markdown(TITLES[name], measured) + "\n"
    if markdown:
        markdown.write_text(text.rstrip() + "\n", encoding="utf-8")
    if sections.DIFFERENT in text:
        raise click.ClickException("a peer gives another answer, and nobody knows why")
