"""Honest implementations that differ from the reference in all that engines differ in; the folder is the registry.

The bounds are for any order of summation, any blocking, any algorithm of the class that is declared. These are such
implementations, in NumPy, in the accumulator of their dtype: a check that objects to one of them is wrong. They take
the reading and the checking of arguments from the reference, and none of its arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from conformance.formats import DTYPES
from conformance.model import Arithmetic, Case, usual_arithmetic
from conformance.registry import collect

FORWARD = ("values", "sizes", "rejections", "special", "layouts", "purity", "laws", "precision")
GRADIENTS = ("gradients",)


@dataclass(frozen=True)
class Variant:
    """An honest implementation of an operator, or of its gradients where the check is about these.

    arithmetic: what it declares. checks, dtypes: where it must be let pass.
    """

    name: str
    sentence: str
    operator: str
    binding: Callable[..., Any]
    arithmetic: Callable[[Case], Arithmetic] = usual_arithmetic
    checks: tuple[str, ...] = FORWARD
    dtypes: tuple[str, ...] = DTYPES


@cache
def variants() -> dict[str, Variant]:
    """Return every variant by name."""
    found: dict[str, Variant] = {}
    for variant in collect(__name__, __path__, "VARIANTS"):
        if variant.name in found:
            raise ValueError(f"two variants are named {variant.name!r}")
        found[variant.name] = variant
    return found
