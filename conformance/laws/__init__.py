"""Laws: relations between calls that need no reference; every module names its own in LAWS, as for operators."""

from __future__ import annotations

from functools import cache

from conformance.model import Law
from conformance.registry import collect


@cache
def laws() -> dict[str, Law]:
    """Return every law by name."""
    return {law.name: law for law in collect(__name__, __path__, "LAWS")}
