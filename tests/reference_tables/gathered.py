"""All tables, gathered from the modules of this folder."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

_NAMES = sorted({path.stem for path in Path(__file__).parent.glob("*.py")} - {"common", "gathered"})
_TABLES = [import_module(f"reference_tables.{name}") for name in _NAMES]
CALLS = {name: call for table in _TABLES for name, call in table.CALLS.items()}
ARRAYS = {name: call for table in _TABLES for name, call in table.ARRAYS.items()}
EMPTY = [call for table in _TABLES for call in table.EMPTY]
