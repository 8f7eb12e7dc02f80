"""Ask PyTorch and the references the same drawn calls, in float64, forward and backward; print what differs.

    python tests/agreement.py --calls 100000 --seed 7
    python tests/agreement.py --only batch_norm --only conv2d

Every function has its share of the calls; what a call looks like is told in tests/agreements/. Whole numbers must
agree bit for bit, others within a bound that is derived. Exit status 1 where something differs.
"""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import click
import numpy as np
from agreements.call import Call
from rich.progress import track

Draw = Callable[[np.random.Generator], Call]


def draws() -> dict[str, Draw]:
    """Return what every family of functions draws; the folder is the list of them."""
    names = sorted({path.stem for path in (Path(__file__).parent / "agreements").glob("*.py")} - {"call"})
    return {name: draw for family in names for name, draw in import_module(f"agreements.{family}").DRAWS.items()}


def asked(names: list[str], calls: int, seed: int) -> Iterator[tuple[str, list[str]]]:
    """Ask that many calls, in turn of each function; yield the function and a line for each difference."""
    table = draws()
    # One generator a function: what is drawn for one does not depend on which others are asked.
    generators = {name: np.random.default_rng([seed, *name.encode()]) for name in names}
    for i in range(calls):
        name = names[i % len(names)]
        yield name, list(table[name](generators[name]).differences())


@click.command()
@click.option("--calls", default=100_000, show_default=True, type=click.IntRange(1), help="How many, in all.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Of all that is drawn.")
@click.option("--only", multiple=True, type=click.Choice(sorted(draws())), help="A function; may be repeated.")
def main(calls: int, seed: int, only: tuple[str, ...]) -> None:
    """Ask PyTorch and the references the same drawn calls."""
    import torch

    torch.set_num_threads(1)
    warnings.filterwarnings("error")
    warnings.filterwarnings("ignore", "Using padding='same' with even kernel")  # what it warns of is wanted
    names, count, differing = list(only) or sorted(draws()), Counter[str](), 0
    for name, lines in track(asked(names, calls, seed), total=calls, disable=not sys.stderr.isatty()):
        count[name] += 1
        differing += bool(lines)
        for line in lines:
            click.echo(line)
    fewest, name = min((count[name], name) for name in names)
    click.echo(
        f"{calls} calls of {len(names)} functions, seed {seed}, torch {torch.__version__}: {differing} differ "
        f"(at least {fewest} calls of each, {name} the fewest)"
    )
    sys.exit(differing > 0)


if __name__ == "__main__":
    main()
