"""The verdicts of a session of pytest in a file: the same bytes as those of `convformance run`, whoever judged."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

import conformance.isolation
import conformance.record  # (pytester takes away again what is first imported within it)
from conformance.__main__ import main
from conformance.report.jsonl import ReportError, Writer, hold, line_of, read

MODULE = """
import os
import time

import numpy as np
from conformance.model import Backend

def relu(input):
    time.sleep(float(os.environ.get("PAUSE", 0)))
    return np.maximum(input, 0)

GOOD = Backend("good", {"relu": relu}, dtypes=("float32", "float16"), about=lambda: "mine 1")
WRONG = Backend("wrong", {"relu": lambda input: relu(input) + (input == 3)}, dtypes=("float32",))
GONE = Backend("gone", {}, unavailable=lambda: "no such device")
BROKEN = Backend("broken", {"relu": relu}, arithmetic=lambda case: 1 / 0)
"""
REVERSED = "def pytest_collection_modifyitems(items): items.reverse()"
TWICE = """
def pytest_collection_modifyitems(items): items[:] = [item for item in items for _ in range(2)]
"""


@pytest.fixture
def folder(pytester, monkeypatch):
    pytester.makepyfile(recorded=MODULE)
    pytester.makeini("[pytest]\npythonpath = .\n")
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield pytester.path
    sys.modules.pop("recorded", None)


def words(backend, *more, path="pytest.jsonl", examples=40):
    return (
        *("--pyargs", "conformance", "-p", "no:cacheprovider", "--backend", f"recorded:{backend}"),
        *(f"--convformance-examples={examples}", f"--convformance-json={path}", *more),
    )


def run(backend, *more, examples=40):
    """Return what `convformance run` writes."""
    CliRunner().invoke(main, ["run", f"recorded:{backend}", f"--examples={examples}", "--json", "run.jsonl", *more])
    with open("run.jsonl", "rb") as file:  # noqa: PTH123  (where pytester is)
        return file.read()


def parts(folder):
    return sorted(path.name for path in folder.iterdir() if path.suffix in (".part", ".joined"))


@pytest.mark.parametrize("backend", ["GOOD", "WRONG", "GONE"])
def test_a_session_writes_what_a_run_writes(pytester, folder, backend):
    (folder / "pytest.jsonl.gw7.part").write_text("of a session that was killed", encoding="utf-8")
    result = pytester.runpytest_inprocess(*words(backend))
    assert result.ret == (0 if backend == "GOOD" else 1)
    assert (folder / "pytest.jsonl").read_bytes() == run(backend)
    assert not parts(folder)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_workers_together_write_what_a_run_writes(pytester, folder, workers):
    (folder / "pytest.jsonl.gw7.part").write_text("of a session that was killed", encoding="utf-8")
    result = pytester.runpytest_subprocess(*words("GOOD", "-n", str(workers)))
    assert result.ret == 0
    result.stdout.fnmatch_lines([f"verdicts in {folder / 'pytest.jsonl'}: complete"])
    assert (folder / "pytest.jsonl").read_bytes() == run("GOOD")
    assert not parts(folder)


@pytest.mark.parametrize("conftest", [REVERSED, TWICE], ids=["reversed", "twice"])
def test_the_order_of_tests_does_not_change_what_is_written(pytester, folder, conftest):
    pytester.makeconftest(conftest)
    assert pytester.runpytest_inprocess(*words("WRONG")).ret == 1
    assert (folder / "pytest.jsonl").read_bytes() == run("WRONG")


def test_a_selection_writes_what_a_run_of_it_writes(pytester, folder):
    assert (
        pytester.runpytest_inprocess(*words("GOOD", "-k", "good-relu-float16 and (values or sizes or special)")).ret
        == 0
    )
    assert (folder / "pytest.jsonl").read_bytes() == run("GOOD", "-o", "relu", "-d", "float16", "-c", "values", "-c",
                                                         "sizes", "-c", "special")  # fmt: skip


def ending(folder):
    return json.loads((folder / "pytest.jsonl").read_bytes().splitlines()[-1])["end"]


def test_a_selection_that_no_run_has_is_incomplete(pytester, folder):
    result = pytester.runpytest_inprocess(*words("GOOD", "-k", "(good-relu- and values) or (linear and special)"))
    result.stdout.fnmatch_lines([f"verdicts in {folder / 'pytest.jsonl'}: incomplete"])
    assert ending(folder) == "incomplete"
    resumed = CliRunner().invoke(main, ["run", "recorded:GOOD", "--resume", "pytest.jsonl"])
    assert resumed.exit_code == 2
    assert "what is missing is not all at its end" in resumed.output


def test_a_session_that_stops_early_is_gone_on_with_by_a_run(pytester, folder):
    assert pytester.runpytest_inprocess(*words("WRONG", "-x")).ret == 1
    assert ending(folder) == "interrupted"
    assert CliRunner().invoke(main, ["run", "recorded:WRONG", "--resume", "pytest.jsonl"]).exit_code == 1
    assert (folder / "pytest.jsonl").read_bytes() == run("WRONG")


def test_a_cell_that_an_error_of_the_suite_ended_is_not_finished(pytester, folder):
    assert pytester.runpytest_inprocess(*words("BROKEN", "-k", "broken-relu-float32")).ret == 1
    assert ending(folder) == "incomplete"
    assert not parts(folder)


def test_what_is_not_run_writes_nothing(pytester, folder):
    pytester.runpytest_inprocess(*words("GOOD", "-k", "nothing"))
    assert not (folder / "pytest.jsonl").exists()


@pytest.mark.parametrize("more", [("--collect-only",), ("-k", "nothing"), ("-k", "nothing", "-n", "2")])
def test_what_begins_no_cell_leaves_the_parts_of_a_session_that_was_killed(pytester, folder, more):
    for name in ("main", "gw0", "gw7"):
        (folder / f"pytest.jsonl.{name}.part").write_text("of a session that was killed", encoding="utf-8")
    before = parts(folder)
    pytester.runpytest_subprocess(*words("GOOD", *more))
    assert parts(folder) == before
    assert not (folder / "pytest.jsonl").exists()


def test_tests_that_are_no_cells_leave_the_parts_of_a_session_that_was_killed(pytester, folder):
    pytester.makepyfile(test_other="def test_other(): pass")
    (folder / "pytest.jsonl.gw7.part").write_text("of a session that was killed", encoding="utf-8")
    assert pytester.runpytest_inprocess(*words("GOOD", "test_other.py", "-k", "test_other")).ret == 0
    assert parts(folder) == ["pytest.jsonl.gw7.part"]


def test_files_that_only_look_like_parts_are_left_alone(pytester, folder):
    names = ["pytest.jsonl.gw.part", "pytest.jsonl.mine.part", "pytest.jsonl.old.gw1.part", "pytestxjsonl.gw1.part"]
    for name in names:
        (folder / name).write_text("of somebody else", encoding="utf-8")
    assert pytester.runpytest_inprocess(*words("GOOD", "-k", "good-relu- and values")).ret == 0
    assert parts(folder) == sorted(names)


@pytest.mark.parametrize("more", [(), ("-n", "2")], ids=["alone", "workers"])
def test_a_file_that_a_living_session_writes_to_is_wrong_usage(pytester, folder, more):
    for name in ("main", "gw7"):
        (folder / f"pytest.jsonl.{name}.part").write_text("of a session", encoding="utf-8")
    before = parts(folder)
    with (folder / "pytest.jsonl.main.part").open("rb") as held:
        hold(held.fileno())
        result = pytester.runpytest_subprocess(*words("GOOD", "-k", "relu", *more))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --convformance-json=*pytest.jsonl.main.part: another run is writing to it"])
    assert parts(folder) == before
    assert not (folder / "pytest.jsonl").exists()


def test_a_session_that_is_killed_leaves_parts_that_are_read(folder, monkeypatch):
    monkeypatch.setenv("PAUSE", "0.01")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    command = [sys.executable, "-m", "pytest", *words("GOOD", "-n", "2", "-k", "good-relu-", examples=400)]
    # What is killed while it writes down what it covers leaves a file that cannot be read.
    unmeasured = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    session = subprocess.Popen(
        command, cwd=folder, env=unmeasured, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    written = [folder / f"pytest.jsonl.gw{i}.part" for i in range(2)]
    while session.poll() is None and not all(path.exists() and path.stat().st_size > 5000 for path in written):
        time.sleep(0.01)
    session.send_signal(signal.SIGKILL)
    session.wait()
    assert not (folder / "pytest.jsonl").exists()
    for path in written:
        found = list(read(path))
        assert len(found) > 10
        assert {verdict.operator for verdict in found} == {"relu"}


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (("--backend", "recorded:WRONG"), "*pytest.jsonl: holds the verdicts of one --backend, not of: good, wrong"),
        (("--convformance-json=missing/pytest.jsonl",), "*missing/pytest.jsonl: must be a file in a folder that is *"),
        (("--convformance-json=.",), "ERROR: --convformance-json=*: must be a file in a folder that is there"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_a_file_that_cannot_be_is_wrong_usage(pytester, more, text):
    result = pytester.runpytest_inprocess(*words("GOOD", *more))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([text])


@pytest.mark.usefixtures("folder")
def test_verdicts_of_no_backend_in_particular_are_wrong_usage(pytester):
    result = pytester.runpytest_inprocess("--convformance-json=pytest.jsonl")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*holds the verdicts of one --backend, not of: none"])


def test_a_part_that_cannot_be_written_fails_its_test_with_the_message(pytester, folder, monkeypatch):
    (folder / "pytest.jsonl.main.part").mkdir()
    monkeypatch.setattr(conformance.record.Record, "_parts", lambda _: [])  # or it would be taken for an old one
    result = pytester.runpytest_inprocess(*words("GOOD", "-k", "good-relu-float32 and values"))
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*_ values?good-relu-float32? _*", "*pytest.jsonl.main.part: Is a directory"])
    assert "Traceback" not in result.stdout.str()


def test_where_the_parts_cannot_be_joined_they_stay(pytester, folder):
    (folder / "pytest.jsonl.joined").mkdir()
    result = pytester.runpytest_inprocess(*words("GOOD", "-k", "good-relu-float32 and values"))
    assert result.ret == 2
    result.stderr.fnmatch_lines([f"*pytest.jsonl: Is a directory; the verdicts are in {folder}/pytest.jsonl.main.part"])
    assert len(list(read(folder / "pytest.jsonl.main.part"))) > 10


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("part + b'rubbish\\n'", r"gw7.part, line \d+: not JSON: Expecting value.*"),
        ("part + b'\\xff\\n'", r"gw7.part, line \d+: not JSON: 'utf-8' codec.*"),
        ("part + b'[1]\\n'", r"gw7.part, line \d+: must be an object, not list"),
        ("b'rubbish\\n' + part", r"gw7.part, line 1: not JSON: Expecting value.*"),
        ("part.replace(b'\"seed\": 0', b'\"seed\": []')", r"gw7.part, line 1: seed=\[\]: must be a whole number"),
    ],
)
def test_a_part_that_is_corrupt_is_told_and_stays(pytester, folder, what, text):
    pytester.makeconftest(f"""
from pathlib import Path
def pytest_sessionfinish():
    part = Path("pytest.jsonl.main.part").read_bytes()
    Path("pytest.jsonl.gw7.part").write_bytes({what})
""")
    result = pytester.runpytest_inprocess(*words("GOOD", "-k", "good-relu-float32 and values"))
    assert result.ret == 2
    where = ", ".join(f"{folder}/pytest.jsonl.{name}.part" for name in ("gw7", "main"))
    result.stderr.re_match_lines([f".*pytest.jsonl: .*{text}; the verdicts are in {where}"])
    assert parts(folder) == ["pytest.jsonl.gw7.part", "pytest.jsonl.main.part"]
    assert not (folder / "pytest.jsonl").exists()


def test_a_disk_that_is_full_from_the_start_leaves_nothing_to_join(pytester, folder, monkeypatch):
    def put(writer, line):
        writer._file.write(line_of(line)[:10])
        raise ReportError(f"{writer._path}: No space left on device")

    monkeypatch.setattr(Writer, "_put", put)
    result = pytester.runpytest_inprocess(*words("GOOD", "-k", "good-relu-float32 and values"))
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*pytest.jsonl.main.part: No space left on device"])
    assert not parts(folder)
    assert not (folder / "pytest.jsonl").exists()


def test_a_fresh_seed_is_told_and_shared_by_all_workers(pytester, folder):
    result = pytester.runpytest_subprocess(
        *words("GOOD", "-n", "2", "-k", "good-relu- and (values or sizes or special)", "--convformance-seed=random")
    )
    assert result.ret == 0
    (header,) = [line for line in result.outlines if line.startswith("convformance ")]
    seed = header.partition("seed ")[2].partition(",")[0]
    assert any(line.endswith(f"deviate as declared, seed {seed}") for line in result.outlines)
    assert (folder / "pytest.jsonl").read_bytes() == run("GOOD", "-o", "relu", "-c", "values", "-c", "sizes", "-c",
                                                         "special", "--seed", seed)  # fmt: skip
    assert seed != "0"
