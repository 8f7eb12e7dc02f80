"""Discovery: backends of this package, of a user's module and of installed packages; what is none is refused."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from conformance.discovery import UsageError, backends, find_backend
from conformance.model import Outcome
from conformance.run import run

MODULE = """
import numpy as np
from conformance.model import Backend
BACKEND = Backend("mine", {"relu": lambda input: np.maximum(input, 0)})


class Shelf:
    deeper = BACKEND
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A user's folder, which is also where the user is; what is imported from it is forgotten afterwards."""
    (tmp_path / "users_module.py").write_text(MODULE, encoding="utf-8")
    (tmp_path / "broken_module.py").write_text("raise RuntimeError('broken')", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    for name in ("users_module", "broken_module"):
        sys.modules.pop(name, None)


def test_the_backends_of_the_package_are_found():
    assert {"torch-cpu", "torch-cuda", "torch-cuda-tf32"} <= set(backends())
    assert find_backend("torch-cpu").name == "torch-cpu"


@pytest.mark.parametrize("path", ["users_module:BACKEND", "users_module:Shelf.deeper"])
def test_an_object_of_a_users_module_is_found(folder, path):
    backend = find_backend(path)
    assert backend.name == "mine"
    assert sys.path[-1] == str(folder)  # what is installed comes first, here and in a worker
    verdicts = list(run(path, operators=["linear", "relu"], dtypes=["float32"], checks=["sizes"], examples=20))
    assert {(v.operator, v.outcome) for v in verdicts} == {("linear", Outcome.UNBOUND), ("relu", Outcome.CONFORMS)}
    assert sys.path.count(str(folder)) == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("mine", "backend='mine': must be one of scipy, torch-cpu, .*, or package.module:OBJECT"),
        (":BACKEND", "must be one of"),
        ("users_module:", "must be one of"),
        ("no_such_module:BACKEND", "backend='no_such_module:BACKEND': ModuleNotFoundError: No module named"),
        ("users_module:MISSING", "AttributeError: .* has no attribute 'MISSING'"),
        ("users_module:Shelf", "backend='users_module:Shelf': is a type, must be a conformance.model.Backend"),
        ("broken_module:BACKEND", "backend='broken_module:BACKEND': RuntimeError: broken"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_what_is_no_backend_is_refused(name, text):
    with pytest.raises(UsageError, match=text):
        find_backend(name)


def test_an_installed_package_offers_its_backends(folder):
    info = folder / "users_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: users-package\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[convformance.backends]\nmine = users_module:BACKEND\n", encoding="utf-8")
    sys.path.insert(0, str(folder))
    assert backends()["mine"].name == "mine"
    assert find_backend("mine") is backends()["mine"]
    # And in a process of its own, as a user would see it.
    env = {**os.environ, "PYTHONPATH": str(folder)}
    listed = subprocess.run(
        [sys.executable, "-m", "conformance", "list"], env=env, capture_output=True, text=True, check=True, cwd=folder
    )
    assert "backend   mine" in listed.stdout


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("broken_module:BACKEND", "broken_module:BACKEND cannot be loaded: RuntimeError: broken"),
        ("users_module:Shelf", "users_module:Shelf is a type, not a Backend"),
    ],
)
def test_a_broken_offer_costs_no_other_backend(folder, path, reason):
    info = folder / "broken_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-package\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[convformance.backends]\nbroken = {path}\n", encoding="utf-8")
    sys.path.insert(0, str(folder))
    assert {"torch-cpu", "broken"} <= set(backends())
    assert backends()["broken"].unavailable() == reason
