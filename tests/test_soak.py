"""A long honest run, shortened: what it reports and finds, and that its second implementation deserves the name."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from conformance.discovery import find_backend
from conformance.operators import operators
from conformance.report.tally import tallies
from conformance.run import run

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SECOND = "tap_by_tap:BACKEND"
ZERO = """
from conformance.model import Backend

BACKEND = Backend("zero", {"relu": lambda input: input * 0}, dtypes=("float32",))
"""
INTERRUPT = """
import os, signal, time

BACKEND.bindings["relu"] = lambda input: (os.kill(os.getppid(), signal.SIGINT), time.sleep(60))
"""


def soak(*words, folder):
    command = [sys.executable, str(BENCHMARKS / "soak.py"), *words, "--examples", "1"]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder)


@pytest.fixture
def beside_the_benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def test_both_backends_are_judged_and_all_is_explained(tmp_path):
    done = soak("--cases", "300", "--markdown", "soak.md", "--json", "soak.json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    written = (tmp_path / "soak.md").read_text(encoding="utf-8")
    for text in (done.stdout, written):
        for word in ("torch-cpu", "tap-by-tap", "cases a second", "the suite", "worker of tap-by-tap"):
            assert word in text
    assert "`python benchmarks/soak.py --cases 300 --seed 1000 --examples 1`" in written
    assert str(tmp_path) not in written
    facts = json.loads((tmp_path / "soak.json").read_text(encoding="utf-8"))
    assert sum(backend["cases"] for backend in facts["backends"]) >= 300
    for backend in facts["backends"]:
        assert (backend["outcomes"], backend["unexplained"]) == ({"conforms": backend["cases"]}, 0)
    for memory in facts["memory"]:
        assert 0 < memory["first_mebibytes"] <= memory["peak_mebibytes"]
        cases, held = memory["samples"]
        assert len(cases) == len(held)
        assert cases == sorted(cases)


def test_a_wrong_backend_fails_the_run_with_the_line_that_replays_it(tmp_path):
    (tmp_path / "zero.py").write_text(ZERO, encoding="utf-8")
    done = soak("zero:BACKEND", "--cases", "20", folder=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "differs: relu float32 on zero" in done.stdout
    assert "convformance replay 'relu(input=" in done.stdout
    assert "-b zero:BACKEND --check values" in done.stdout
    assert "convformance run zero:BACKEND -o relu -d float32 -c values --examples 1 --seed 1000" in done.stdout


def test_an_interrupted_run_reports_what_there_is(tmp_path):
    (tmp_path / "interrupting.py").write_text(ZERO + INTERRUPT, encoding="utf-8")
    done = soak("interrupting:BACKEND", "--markdown", "soak.md", folder=tmp_path)
    assert done.returncode == 130, done.stderr
    assert "which was interrupted" in done.stdout
    assert "which was interrupted" in (tmp_path / "soak.md").read_text(encoding="utf-8")


def test_a_backend_that_is_not_there_is_wrong_usage(tmp_path):
    assert "must be one of" in soak("nobody", folder=tmp_path).stderr
    (tmp_path / "absent.py").write_text(f"{ZERO.strip()[:-1]}, unavailable=lambda: 'sold out')", encoding="utf-8")
    done = soak("absent:BACKEND", folder=tmp_path)
    assert done.returncode == 2
    assert "is unavailable: sold out" in done.stderr


@pytest.mark.usefixtures("beside_the_benchmarks")
@pytest.mark.parametrize("operator", operators())
def test_the_second_implementation_conforms(operator):
    found = tallies(run(SECOND, operators=[operator], examples=3, in_process=True)).values()
    assert {tally.dtype for tally in found} == {"float64", "float32", "float16", "bfloat16"}
    assert not [tally for tally in found if tally.failed]


@pytest.mark.usefixtures("beside_the_benchmarks")
def test_the_second_implementation_binds_operators_of_every_family():
    bound = find_backend(SECOND).functions().keys()
    assert len(bound) == 16
    assert bound <= operators().keys()


def test_the_second_implementation_knows_nothing_of_the_reference():
    tree = ast.parse((BENCHMARKS / "tap_by_tap.py").read_text(encoding="utf-8"))
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert not [name for name in names if name.split(".")[0] not in ("conformance", *sys.stdlib_module_names, "numpy")]
