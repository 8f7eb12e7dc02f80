"""The first line of a report: all that its verdicts follow from, and nothing that differs between two equal runs."""

from __future__ import annotations

import hashlib
import math
import platform
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from conformance import __version__
from conformance.model import Backend
from conformance.report.fields import name_of, shown
from conformance.report.jsonl import ReportError, plain

Rule = tuple[Callable[[Any], bool], str]


def _whole(least: float) -> Rule:
    return lambda value: type(value) is int and value >= least, f"a whole number of at least {least}"


NAMES: Rule = lambda value: isinstance(value, list) and all(isinstance(v, str) for v in value), "a list of names"
# What a head says that a run was asked to do, by the names of its options.
SETTINGS: dict[str, Rule] = {
    "operators": NAMES,
    "dtypes": NAMES,
    "checks": NAMES,
    "examples": _whole(1),
    "seed": (lambda value: type(value) is int, "a whole number"),
    "deviations": (lambda value: isinstance(value, str), "the path of a file, or nothing"),
    "stop_at_first": (lambda value: isinstance(value, bool), "true or false"),
    "limit_seconds": (lambda value: type(value) in (int, float) and 0 < value < math.inf, "a number above 0"),
    "limit_mebibytes": _whole(0),
}
ADDRESS: Rule = lambda value: isinstance(value, str), "a text"


def head_of(backend: Backend, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the first line of a report: all that its verdicts follow from, and nothing else."""
    try:
        name = name_of(backend.name)
    except ValueError as error:
        raise ReportError(f"backend={shown(backend.name)}: {error}") from None
    return {
        "convformance": __version__,
        "backend": name,
        "address": backend.address or backend.name,
        "about": backend.about() if backend.unavailable() is None else "",
        **{name: plain(settings[name]) for name in SETTINGS},
        "deviations_sha256": _digest(settings["deviations"]),
        **{package: version(package) for package in ("numpy", "hypothesis")},
        "python": platform.python_version(),
        "machine": platform.machine(),
    }


def _digest(path: str) -> str:
    """Return what a file holds, in short; nothing without a path."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest() if path else ""


def check_head(path: Path, head: Mapping[str, Any]) -> None:
    """Refuse a head of another version, or one whose settings are none."""
    if head["convformance"] != __version__:
        raise ReportError(f"{path}: was written by convformance {shown(head['convformance'])}, this is {__version__}")
    for name, (fits, rule) in {"address": ADDRESS, **SETTINGS}.items():
        if not fits(head.get(name)):
            raise ReportError(f"{path}, line 1: {name}={shown(head.get(name))}: must be {rule}")
