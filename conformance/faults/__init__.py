"""Known ways to be wrong, each beside an honest twin; the folder is the registry, as for operators.

A check earns its place by a fault that it catches and a twin that it lets pass. Faults speak NumPy: each is a binding
like any backend's, made of the reference, one mistake, and one rounding to the dtype of its input.
"""

from __future__ import annotations

from functools import cache

from conformance.model import Fault
from conformance.registry import collect


@cache
def faults() -> dict[str, Fault]:
    """Return every fault by name."""
    found: dict[str, Fault] = {}
    for fault in collect(__name__, __path__, "FAULTS"):
        if fault.name in found:
            raise ValueError(f"two faults are named {fault.name!r}")
        found[fault.name] = fault
    return found
