"""What is left when a run does not end by itself: no process, and on disk the case that was being asked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conformance_cases import until

from conformance import journal
from conformance.discovery import find_backend
from conformance.isolation import Isolated
from conformance.journal import ASKING, Journal, state, unfinished
from conformance.lines import parse

TESTS = Path(__file__).parents[1]
EVIL = "relu(input=ramp(float32[7]))"
RUN = ("-m", "conformance")
REPLAY = ("replay", EVIL, "-b", "misbehaving:LOOPS", "--limit-seconds", "1000")


@pytest.fixture
def states(tmp_path, monkeypatch):
    """A folder of its own for what runs leave behind."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "convformance"


def start(*words, **more):
    environment = {**os.environ, "PYTHONPATH": str(TESTS), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, *words], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more
    )


def being_asked(states):
    """Return the worker's process once it is in the case that never ends."""

    def begun():
        for asking in states.glob("[!.]*/" + ASKING):
            first, *lines = asking.read_text(encoding="utf-8").splitlines() or [""]
            if first.split() == ["1", "begun"] and EVIL in lines:
                return asking
        return None

    asking = until(begun)
    answers = asking.with_name(journal.ANSWERS).read_bytes()[:8]
    return int.from_bytes(answers, sys.byteorder)


def is_running(pid):
    """Whether a process runs; what nobody has waited for yet no longer does."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked up in /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_no_worker_outlives_its_parent(states, number):
    parent = start(*RUN, *REPLAY)
    worker = being_asked(states)
    assert is_running(worker)
    parent.send_signal(number)
    parent.communicate(timeout=60)
    until(lambda: not is_running(worker))


def test_no_worker_outlives_a_session_of_pytest_that_is_stopped(states, tmp_path):
    words = ("--pyargs", "conformance", "--backend", "misbehaving:LOOPS", "-n", "2", "-p", "no:cacheprovider")
    session = start("-m", "pytest", *words, "--convformance-limit-seconds=1000", cwd=tmp_path)
    until(lambda: len(list(states.glob("[!.]*"))) == 2)
    workers = [path.name for path in states.glob("[!.]*")]
    session.send_signal(signal.SIGINT)
    session.communicate(timeout=60)
    until(lambda: not any((states / name).exists() for name in workers))


def test_a_run_that_is_killed_leaves_the_case_that_it_was_asking(states):
    parent = start(*RUN, *REPLAY)
    being_asked(states)
    assert list(unfinished()) == []  # it still runs
    parent.kill()
    parent.communicate(timeout=60)
    assert list(unfinished()) == [f"loops: {EVIL}"]
    assert list(unfinished()) == []
    assert not list(states.iterdir())


def test_a_case_is_on_disk_before_it_is_called():
    backend = find_backend("isolated_backends:READS_ITS_JOURNAL")
    line = "relu(input=ramp(float32[3]))"
    with Isolated(backend) as worker:
        (found,) = worker.ask([parse(line)])
    assert found.message == f"      1 begun\n{line}\n"


def test_a_run_that_ends_leaves_nothing(states):
    with Isolated(find_backend("isolated_backends:HONEST")):
        assert len(list(states.iterdir())) == 1
    assert not list(states.iterdir())


def test_names_of_backends_are_no_paths(states):
    kept = Journal("../../etc/\n passwd" + "x" * 300)
    assert kept.folder.parent == states
    assert kept.folder.name.startswith("______etc___passwdxxx")
    kept.close()


def test_folders_that_nobody_made_here_are_left_alone(states):
    (states / "mine").mkdir(parents=True)
    (states / "mine" / "notes").touch()
    (states / "empty-1-x").mkdir()
    (states / "empty-1-x" / ASKING).write_text("rubbish", encoding="utf-8")
    assert list(unfinished()) == []
    assert (states / "mine" / "notes").exists()


def test_a_state_folder_that_cannot_be_made_is_replaced_by_a_temporary_one(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(journal.tempfile, "gettempdir", lambda: str(tmp_path))
    assert state().parent == tmp_path
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert state() == tmp_path / ".local" / "state" / "convformance"


def test_a_temporary_folder_of_somebody_else_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", "/dev/null/state")
    monkeypatch.setattr(journal.tempfile, "gettempdir", lambda: str(tmp_path))
    uid = os.getuid()
    monkeypatch.setattr(journal.os, "getuid", lambda: uid + 1)
    with pytest.raises(OSError, match="belongs to somebody else"):
        state()


WITHOUT_A_GUARD = """
import sys
from conformance.run import run
found = [v.outcome for v in run("torch-cpu", operators=["relu"], dtypes=["float32"], checks=["values"], examples=5)]
assert "torch" not in sys.modules, "the framework is imported in the worker alone"
print(len(found), *sorted(set(found)))
"""


def test_a_script_needs_no_guard_and_the_parent_no_framework(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(WITHOUT_A_GUARD, encoding="utf-8")
    done = start(str(script))
    out, error = done.communicate(timeout=120)
    assert error == ""
    assert out.split()[1:] == ["conforms"]
