"""The folder is the registry: collect what the modules of a package offer under one name."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any


def collect(package: str, path: Iterable[str], offer: str) -> Iterator[Any]:
    """Yield the members of every `offer` tuple in the modules of a package, in order of their names."""
    for module in sorted(pkgutil.iter_modules(path), key=lambda m: m.name):
        yield from getattr(import_module(f"{package}.{module.name}"), offer)
