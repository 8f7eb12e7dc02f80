"""The benchmarks run, and measure every operator. How fast anything is, no test asks."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import reference
from conformance.operators import operators

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
NO_ARRAYS = ("reference.windows", "reference.exactness")  # functions of sizes, and a context manager


@pytest.fixture
def calls(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from speed import calls

    return calls


@pytest.mark.parametrize("module", [reference, reference.vjp])
def test_every_operator_is_measured(calls, module):
    functions = {name for name in module.__all__ if inspect.isfunction(getattr(module, name))}
    public = {name for name in functions if getattr(module, name).__module__ not in NO_ARRAYS}
    timed = [what for call in calls.calls(calls.TINY) for what in (call, *calls.gradients(call))]
    if module is reference:
        assert {call.name for call in timed if isinstance(call, calls.Call)} == public
    else:
        assert {gradient.call.name for gradient in timed if isinstance(gradient, calls.Gradient)} == public


def test_the_suites_share_is_measured_for_every_operator():
    command = [sys.executable, str(BENCHMARKS / "suite_share.py"), "--examples", "1"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert not [name for name in operators() if f" {name} " not in shown]


def test_the_cost_of_isolation_is_measured():
    words = ["--draws", "1", "--rounds", "1", "--only", "relu and float32 and values"]
    command = [sys.executable, str(BENCHMARKS / "isolation_cost.py"), *words]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for row in ("in batches", "one at a time", "in workers"):
        assert row in shown


def test_the_command_measures_and_writes_what_it_measured(tmp_path):
    target = tmp_path / "speed.md"
    command = [sys.executable, str(BENCHMARKS / "reference_speed.py"), "--quick", "--markdown", str(target)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    written = target.read_text(encoding="utf-8")
    for workload in ("conv2d, 1x1x4x4", "gradients of relu, 1x1x4x4", "textbook.conv2d_seven_loops", "kernel 3"):
        assert workload in shown
        assert workload in written
