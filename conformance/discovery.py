"""Discovery of backends: those of this package, those that installed packages offer, and any object of a module."""

from __future__ import annotations

import sys
from dataclasses import replace
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from operator import attrgetter
from pathlib import Path
from typing import Any

from conformance.model import Backend
from conformance.registry import collect


class UsageError(ValueError):
    """A name that nothing answers to, with the names that would do."""


def backends() -> dict[str, Backend]:
    """Return the backends of this package and those that installed packages offer, by name."""
    package = import_module("conformance.backends")
    found = {backend.name: backend for backend in collect(package.__name__, package.__path__, "BACKENDS")}
    for entry in entry_points(group="convformance.backends"):
        backend = _offered(entry)
        found[backend.name] = backend
    return found


def _offered(entry: EntryPoint) -> Backend:
    """Return the backend of an entry point; one that cannot be loaded is unavailable, and costs no other backend."""
    try:
        found = entry.load()
        problem = None if isinstance(found, Backend) else f"{entry.value} is a {type(found).__name__}, not a Backend"
    except (Exception, SystemExit) as error:  # whatever an installed package raises while it is imported
        problem = f"{entry.value} cannot be loaded: {type(error).__name__}: {error}"
    return found if problem is None else Backend(entry.name, {}, unavailable=lambda: problem)


def find_backend(name: str) -> Backend:
    """Return the backend of that name, or the one that package.module:OBJECT leads to."""
    known = backends()
    if name in known:
        return known[name]
    module, colon, path = name.partition(":")
    if not colon or not module or not path:
        raise UsageError(f"backend={name!r}: must be one of {', '.join(known)}, or package.module:OBJECT")
    if str(Path.cwd()) not in sys.path:  # a user's module lies where the user is, where an installed command is not
        sys.path.append(str(Path.cwd()))  # last: nothing there may stand in for what is installed, in a worker either
    try:
        found: Any = attrgetter(path)(import_module(module))
    except (Exception, SystemExit) as error:  # whatever a user's module raises while it is imported
        raise UsageError(f"backend={name!r}: {type(error).__name__}: {error}") from error
    if not isinstance(found, Backend):
        raise UsageError(f"backend={name!r}: is a {type(found).__name__}, must be a conformance.model.Backend")
    return replace(found, address=name)
