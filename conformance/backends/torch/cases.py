"""What predicates of declarations ask of a case."""

from __future__ import annotations

from typing import Any

from conformance.model import Case


def along(case: Case, name: str, default: Any) -> tuple[int, ...]:
    """Return an attribute as one number for each spatial axis."""
    value = case.attributes.get(name, default)
    return value if isinstance(value, tuple) else (value,) * (len(case.inputs["input"].shape) - 2)
