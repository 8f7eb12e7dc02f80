"""What may import what, read from the syntax trees; and words that must not occur anywhere."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import conformance
import reference

CONFORMANCE, REFERENCE = (Path(package.__file__).parent for package in (conformance, reference))
TESTS = Path(__file__).parents[1]
SOURCES = sorted([*CONFORMANCE.rglob("*.py"), *REFERENCE.rglob("*.py")])
ALL = sorted([*SOURCES, *TESTS.rglob("*.py")])
THIRD_PARTY = {"numpy", "hypothesis", "pytest", "click", "rich", "ml_dtypes", "pebble"}

# Which modules of the suite a module may import, beside the standard library; packages end in a dot.
NOUNS = {"conformance.formats", "conformance.fills", "conformance.model"}
ARROWS = {
    "reference.": ({"reference."}, {"numpy"}),
    "conformance.formats": (set(), {"numpy", "ml_dtypes"}),
    "conformance.fills": ({"conformance.formats"}, {"numpy"}),
    "conformance.model": ({"conformance.formats", "conformance.fills"}, {"hypothesis"}),
    "conformance.lines": (NOUNS, set()),
    "conformance.conditions": (NOUNS | {"conformance.lines"}, set()),
    "conformance.deviations": (
        NOUNS | {"conformance.lines", "conformance.conditions", "conformance.checks", "conformance.operators."},
        set(),
    ),
    "conformance.bounds": (NOUNS, {"numpy"}),
    "conformance.norm_bounds": (NOUNS | {"conformance.bounds"}, {"numpy"}),
    "conformance.intervals": (NOUNS | {"conformance.bounds"}, {"numpy"}),
    "conformance.fast": (NOUNS | {"conformance.bounds", "reference."}, {"numpy"}),
    "conformance.judge": (NOUNS, {"numpy"}),
    "conformance.patterns": (NOUNS, set()),
    "conformance.strategies": (NOUNS, {"hypothesis"}),
    "conformance.checks": (
        NOUNS | {"conformance.strategies", "conformance.calls", "conformance.laws", "conformance.purity"},
        {"hypothesis", "numpy"},
    ),
    "conformance.calls": (NOUNS | {"conformance.laws", "conformance.purity", "reference."}, {"numpy"}),
    "conformance.purity": (NOUNS | {"conformance.calls", "reference", "reference.vjp"}, {"numpy"}),
    "conformance.layouts": (NOUNS, {"numpy"}),
    # An operator says which of its inputs hold samples.
    "conformance.laws.": (
        NOUNS | {"conformance.laws.", "conformance.operators", "conformance.registry", "reference."},
        {"numpy"},
    ),
    "conformance.registry": (set(), set()),
    "conformance.answers": (NOUNS | {"conformance.calls"}, {"numpy"}),
    "conformance.journal": (set(), set()),
    "conformance.processes": (set(), set()),
    "conformance.worker": (
        NOUNS | {"conformance.answers", "conformance.discovery", "conformance.journal", "conformance.lines"},
        set(),
    ),
    "conformance.isolation": (
        NOUNS | {"conformance.answers", "conformance.journal", "conformance.processes", "conformance.worker"},
        {"pebble"},
    ),
    "conformance.discovery": (NOUNS | {"conformance.registry"}, set()),
    "conformance.search": (set(), {"hypothesis"}),
    "conformance.operators.": (
        NOUNS
        | {"conformance.bounds", "conformance.norm_bounds", "conformance.intervals", "conformance.patterns"}
        | {"conformance.strategies", "conformance.registry"}
        | {"conformance.operators.", "reference."},
        {"numpy", "hypothesis"},
    ),
    "conformance.backends.": ({"conformance.formats", "conformance.model", "conformance.backends."}, {"numpy"}),
    "conformance.report.": (NOUNS | {"conformance", "conformance.lines", "conformance.report."}, {"numpy", "rich"}),
}
# Who may see both the reference and a backend.
BOTH = {"conformance.run", "conformance.replay", "conformance.plugin", "conformance.__main__"}
HEAVY = {"conformance.operators", "conformance.strategies", "conformance.search", "reference"}


def name_of(path):
    """Return the dotted name of a source file."""
    root = CONFORMANCE if path.is_relative_to(CONFORMANCE) else REFERENCE
    parts = path.relative_to(root.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def tree_of(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(tree, typing_too=True):
    """Yield (module, whether it is imported at module level) for every import; `from package import module` counts."""
    within = {id(node) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) for node in ast.walk(f)}
    for block in ast.walk(tree):
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING" and not typing_too:
            within |= {id(node) for node in ast.walk(block)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, id(node) not in within
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide what is imported"
            for alias in node.names:
                module = f"{node.module}.{alias.name}"
                yield (module if is_module(module) else node.module), id(node) not in within


def is_module(name):
    path = CONFORMANCE.parent.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def allowed(module, names):
    return any(module == name or (name.endswith(".") and f"{module}.".startswith(name)) for name in names)


def rule_of(name):
    rules = [rule for rule in ARROWS if allowed(name, {rule})]
    return ARROWS[rules[0]] if rules else None


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_a_module_imports_only_what_its_layer_may(path):
    rule = rule_of(name_of(path))
    if rule is None:
        assert name_of(path) not in ("conformance.backends", "conformance.operators")
        return
    ours, theirs = rule
    for module, at_top in imports(tree_of(path)):
        top = module.partition(".")[0]
        if top in ("conformance", "reference"):
            assert allowed(module, ours), f"{name_of(path)} imports {module}"
        elif top not in {*sys.stdlib_module_names, *theirs}:
            assert name_of(path).startswith("conformance.backends."), f"{name_of(path)} imports {module}"
            assert not at_top, f"{module} must be imported within functions"


def test_a_wrong_arrow_would_be_seen():
    tree = ast.parse("import torch.nn\nfrom conformance import run\ndef later():\n    from reference import windows\n")
    assert list(imports(tree)) == [("torch.nn", True), ("conformance.run", True), ("reference.windows", False)]
    ours, _ = rule_of("conformance.backends.torch")
    assert not allowed("conformance.run", ours)
    assert not allowed("reference", ours)
    assert allowed("conformance.model", ours)
    ours, _ = rule_of("conformance.operators.convolution")
    assert allowed("reference.windows", ours)
    assert not allowed("conformance.backends.torch", ours)
    assert not allowed("conformance.run", ours)


def test_every_rule_is_used():
    names = list(map(name_of, SOURCES))
    for rule in ARROWS:
        assert any(allowed(name, {rule}) for name in names), rule


def reached(name, seen):
    """Return every module of ours that importing a module imports, directly or not, at module level."""
    if name in seen or not is_module(name):
        return seen
    seen.add(name)
    path = CONFORMANCE.parent.joinpath(*name.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    for module, at_top in imports(tree_of(path), typing_too=False):
        if at_top and module.partition(".")[0] in ("conformance", "reference"):
            reached(module, seen)
    return seen


def test_backends_are_found_only_by_those_that_see_both_sides():
    for path in SOURCES:
        name = name_of(path)
        text = path.read_text(encoding="utf-8")
        if "conformance.backends" in text:
            assert name == "conformance.discovery" or name.startswith("conformance.backends"), name
        sees_run = any(module == "conformance.run" for module, _ in imports(tree_of(path)))
        assert not sees_run or name in BOTH or name == "conformance.power", name


def test_backends_reach_no_mathematics():
    for path in (CONFORMANCE / "backends").rglob("*.py"):
        ours = reached(name_of(path), set())
        assert not {name for name in ours if name.startswith(("reference", "conformance.operators", "conformance.run"))}


def test_a_worker_reaches_neither_the_reference_nor_the_search():
    assert not {name for name in reached("conformance.worker", set()) if name.startswith(tuple(HEAVY))}


def test_operators_reach_no_backend():
    for path in (CONFORMANCE / "operators").glob("*.py"):
        ours = reached(name_of(path), set())
        assert not {name for name in ours if name.startswith(("conformance.backends", "conformance.run"))}
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"torch-c|tolerance *=", text)


ALONE = """
import sys
class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "reference", "hypothesis"):
            raise ImportError(f"{name} is not to be imported")
sys.meta_path.insert(0, Nothing())
import conformance.backends.torch
"""


def test_a_backend_is_imported_without_its_framework_and_without_the_reference():
    done = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_plugin_imports_nothing_of_the_suite_until_it_is_used():
    at_top = {module for module, top in imports(tree_of(CONFORMANCE / "plugin.py"), typing_too=False) if top}
    ours = {module for module in at_top if module.partition(".")[0] in ("conformance", "reference", "rich")}
    assert ours == {"conformance.profiles"}
    assert {module for module, _ in imports(tree_of(CONFORMANCE / "profiles.py"), typing_too=False)} <= {"__future__"}


# Written in halves, so that this file holds none of them.
FORBIDDEN_EVERYWHERE = ["r" + "tol", "a" + "tol", "all" + "close"]
FORBIDDEN_IN_SOURCES = [r"\bev" + r"al\(", r"\bex" + r"ec\(", "pick" + "le", r"\bbre" + r"akpoint\("]


@pytest.mark.parametrize("path", ALL, ids=lambda path: "-".join(path.parts[-2:]))
def test_there_are_no_tolerances(path):
    text = path.read_text(encoding="utf-8")
    assert not [word for word in FORBIDDEN_EVERYWHERE if re.search(rf"\b{word}\b|{word}=", text)]


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_nothing_is_evaluated(path):
    text = path.read_text(encoding="utf-8")
    assert not [word for word in FORBIDDEN_IN_SOURCES if re.search(word, text)]


@pytest.mark.parametrize("path", ALL, ids=lambda path: "-".join(path.parts[-2:]))
def test_files_are_short_enough_to_read(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) < 400


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_modules_say_why_they_exist_and_functions_what_they_do(path):
    tree = tree_of(path)
    assert ast.get_docstring(tree)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), node.name


def test_the_folder_is_the_registry():
    for folder, offer in (("operators", "OPERATORS"), ("backends", "BACKENDS")):
        for path in (CONFORMANCE / folder).glob("*.py"):
            assigned = {t.id for n in tree_of(path).body if isinstance(n, ast.Assign) for t in n.targets}
            assert path.stem == "__init__" or offer in assigned


def test_tests_are_no_packages():
    # A tests/conformance/__init__.py would hide the real conformance from whatever lies beside it.
    assert not list(TESTS.rglob("__init__.py"))
