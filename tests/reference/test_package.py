"""The package as a whole: what it imports, and what it offers."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import reference

SOURCES = sorted(Path(reference.__file__).parent.rglob("*.py"))

# -S keeps site-packages' startup files from importing anything before the finder is in place.
ALONE = """
import sys
sys.path[:0] = sys.argv[1:]

class NothingElse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in {"numpy", "reference", *sys.stdlib_module_names}:
            raise ImportError(f"{name} is not to be imported")

sys.meta_path.insert(0, NothingElse())
import reference
print(reference.conv1d([[[1, 2]]], [[[1, 10]]]))
"""


def test_it_works_with_numpy_alone():
    folders = {str(Path(module.__file__).parent.parent) for module in (reference, np)}
    run = subprocess.run(
        [sys.executable, "-S", "-c", ALONE, *sorted(folders)], capture_output=True, text=True, check=False
    )
    assert run.stdout == "[[[21]]]\n", run.stderr


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_it_imports_numpy_itself_and_the_standard_library(path):
    imported = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide what is imported"
            imported.add(node.module)
    assert {name.partition(".")[0] for name in imported} <= {"numpy", "reference", *sys.stdlib_module_names}


def test_the_textbook_shares_no_arithmetic_with_the_fast_forms():
    tree = ast.parse(Path(reference.textbook.__file__).read_text(encoding="utf-8"))
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name for name in modules if name.startswith("reference")} == {"reference.arrays"}


def test_every_public_name_exists_and_is_described():
    assert reference.__all__ == sorted(set(reference.__all__), key=reference.__all__.index)
    for name in reference.__all__:
        value = getattr(reference, name)
        assert not callable(value) or inspect.getdoc(value), name
