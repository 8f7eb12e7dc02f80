"""Options that commands share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from conformance.profiles import EXAMPLES, PROFILES

Command = TypeVar("Command", bound=Callable[..., Any])


class Writable(click.Path):
    """A file that can be written, which is seen before there is anything to write."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False, writable=True, path_type=Path)

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        """Return the path, if its folder is there and can be written to."""
        path = Path(os.fsdecode(super().convert(value, parameter, context)))
        if not os.access(path.parent, os.W_OK):
            self.fail(f"{path}: must be a file in a folder that is there and can be written to", parameter, context)
        return path


def _profile(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value is not None:  # a default that is not that of the option, but gives way to what is said
        context.default_map = {**(context.default_map or {}), "examples": PROFILES[value]}


def with_examples(command: Command) -> Command:
    """Add the options that say how many geometries are drawn for each cell."""
    told = ", ".join(f"{name}: {examples}" for name, examples in PROFILES.items())
    profile = click.option(
        "--profile",
        type=click.Choice(list(PROFILES)),
        callback=_profile,
        expose_value=False,
        is_eager=True,
        help=f"How many --examples there are, by name ({told}).",
    )
    examples = click.option(
        "--examples",
        default=EXAMPLES,
        show_default=True,
        type=click.IntRange(1),
        help="Geometries to draw for each cell.",
    )
    return profile(examples(command))
