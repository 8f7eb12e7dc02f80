"""What a worker adds to the command line: crashes that cost a case, and errors that no case is to blame for."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from conformance_cases import LINE

from conformance.__main__ import main
from conformance.answers import answer
from conformance.isolation import WorkerError
from conformance.journal import Journal
from conformance.report.jsonl import Writer, read

MODULE = """
import os
import numpy as np
from conformance.model import Backend

def honest(input):
    return np.maximum(input, 0)

def crashing(input):
    os.abort()

HONEST = Backend("honest", {"relu": honest})
CRASHING = Backend("crashing", {"relu": crashing})
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    """A user's folder, with backends that a worker can import."""
    (tmp_path / "workers_backends.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield
    sys.modules.pop("workers_backends", None)


def call(*words):
    return CliRunner().invoke(main, list(map(str, words)))


def run(backend, *words):
    return call("run", f"workers_backends:{backend}", "-d", "float32", "-c", "sizes", "--examples", "40", *words)


def test_a_backend_is_asked_in_a_worker():
    result = run("CRASHING", "-o", "relu")
    assert result.exit_code == 1
    assert "crashed: relu float32 on crashing: is killed by SIGABRT\n" in result.output
    (line,) = [line for line in result.output.splitlines() if "convformance replay" in line]
    again = call("replay", line.split("'")[1], "-b", "workers_backends:CRASHING")
    assert again.exit_code == 1
    assert "actual: the process is killed by SIGABRT\n" in again.output


def test_what_an_earlier_run_did_not_live_to_tell_is_told_once(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    journal = Journal("torch-cpu")
    journal.write([LINE, LINE])
    for file in (journal._asking, journal.answers):  # as when the process is killed
        file.close()
    told = f"an earlier run ended while it asked torch-cpu: {LINE}\n"
    assert told not in run("HONEST", "-o", "linear", "--in-process").output
    assert told in run("HONEST", "-o", "linear").output
    assert told not in run("HONEST", "-o", "linear").output


@pytest.mark.parametrize("error", [WorkerError("cannot be started"), OSError(28, "No space left on device")])
def test_an_error_that_no_case_is_to_blame_for_ends_a_run_that_keeps_what_it_has(tmp_path, monkeypatch, error):
    asked = []

    def answer_or_fail(*words):
        asked.append(words)
        if len(asked) > 10:
            raise error
        return answer(*words)

    monkeypatch.setattr("conformance.cells.answer", answer_or_fail)
    path = tmp_path / "verdicts.jsonl"
    result = run("HONEST", "-o", "relu", "--in-process", "--json", path)
    assert result.exit_code == 2
    assert f"Error: {error}\n" in result.output
    assert f"interrupted after 1 of 1 cells; what was judged is above and in {path}" in result.output
    assert "relu" in result.output
    assert len(list(read(path))) == 10
    monkeypatch.undo()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_a_disk_that_fills_up_ends_a_run_that_keeps_what_it_has(tmp_path, monkeypatch):
    path = tmp_path / "verdicts.jsonl"
    write = Writer.write

    def write_or_fail(writer, verdict):
        if len(list(read(path))) == 5:
            writer._file.close()
            writer._file = Path("/dev/full").open("wb")  # noqa: SIM115  (the writer closes it)
        write(writer, verdict)

    monkeypatch.setattr(Writer, "write", write_or_fail)
    result = run("HONEST", "-o", "relu", "--in-process", "--json", path)
    assert result.exit_code == 2
    assert f"Error: {path}: No space left on device\n" in result.output
    assert "relu" in result.output
    assert len(list(read(path))) == 5
    monkeypatch.undo()
    assert call("run", "workers_backends:HONEST", "--resume", path, "--in-process").exit_code == 0
    assert len(list(read(path))) > 5


def test_an_interruption_before_anything_is_judged_exits_with_130(monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("conformance.__main__.find_backend", interrupt)
    assert run("HONEST").exit_code == 130
