"""What the documentation shows is what there is."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from conformance import __version__
from conformance.__main__ import main
from conformance.cells import cells
from conformance.discovery import find_backend
from conformance.operators import operators
from conformance.report.tally import tallies
from conformance.run import run

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def beside_the_examples(monkeypatch):
    """Let the examples be found as they are by a user in the checkout; the installed packages stay the ones tested."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "path", [*sys.path, str(ROOT)])


def test_the_readme_shows_the_whole_example_backend():
    source = (ROOT / "examples" / "numpy_backend.py").read_text(encoding="utf-8")
    assert f"```python\n{source}```" in README
    assert len(source.splitlines()) <= 20


@pytest.mark.usefixtures("beside_the_examples")
def test_the_example_backend_conforms():
    backend = find_backend("examples.numpy_backend:BACKEND")
    found = tallies(run(backend, operators=["linear"])).values()
    assert len(found) == len(cells(backend, ["linear"]))
    assert not [tally for tally in found if tally.failed]


@pytest.mark.usefixtures("beside_the_examples")
def test_the_failure_in_the_readme_is_what_a_flipped_kernel_gets(capsys):
    shown = re.search(r"Read a failure.*?```text\n(.*?)```", README, re.DOTALL)
    assert shown is not None
    with pytest.raises(SystemExit) as ended:
        main(["run", "examples.flipped_backend:BACKEND", "-o", "conv2d", "-c", "values"])
    assert ended.value.code == 1
    assert shown.group(1) in capsys.readouterr().out


def test_the_rows_of_the_readme_grid_are_operators():
    rows = set(re.findall(r"^│ (\w+) ", README, re.MULTILINE))
    assert len(rows) == 7
    assert rows <= operators().keys()


def test_the_changelog_has_the_version():
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("script", ["isolation_cost", "reference_speed", "soak", "suite_share"])
def test_benchmarks_say_what_they_measure(script):
    command = [sys.executable, str(ROOT / "benchmarks" / f"{script}.py"), "--help"]
    assert "usage" in subprocess.run(command, capture_output=True, text=True, check=True).stdout.lower()
