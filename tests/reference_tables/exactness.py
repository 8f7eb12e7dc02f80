"""The switch to correct rounding takes no arguments."""

from __future__ import annotations

from typing import Any

CALLS: dict[str, Any] = {"exact": ({}, [])}
ARRAYS: dict[str, Any] = {}
EMPTY: list[Any] = []
