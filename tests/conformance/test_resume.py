"""A run that was broken off is gone on with, and ends as if nothing had happened."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from click.testing import CliRunner

from conformance.__main__ import main
from conformance.report.jsonl import read

MODULE = """
import os
import time

import numpy as np
from conformance.model import Backend, Declaration, Outcome

PAUSE = float(os.environ.get("PAUSE", 0))

def relu(input):
    time.sleep(PAUSE)
    return np.maximum(input, 0)

def linear(input, weight, bias=None):
    time.sleep(PAUSE)
    output = input @ weight.T + (0 if bias is None else bias)
    return output.astype(input.dtype) + (input.ndim == 3)

LEAKS = Declaration(Outcome.DEVIATES, ("relu",), lambda case: case.inputs["input"].kind == "ramp", "leaks",
                    "https://example.org", "2026-11-21", "relu(input=ramp(float32[2]))", here=lambda: False)
NOW = "1"
BACKEND = Backend("mine", {"relu": relu, "linear": linear}, dtypes=("float32",), declarations=(LEAKS,),
                  about=lambda: f"mine {NOW}")
"""
WORDS = (
    *("-o", "relu", "-o", "linear", "-o", "pad"),
    *("-c", "sizes", "-c", "special", "-c", "rejections"),
    *("--examples", "40"),
)
KILLS, CHAINS = 20, 4


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A user's folder, with a backend in it that fails in one of its cells."""
    (tmp_path / "resumed_module.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    sys.modules.pop("resumed_module", None)


def call(*words):
    return CliRunner().invoke(main, ["run", *map(str, words)])


def begun(path, *words):
    return call("resumed_module:BACKEND", *WORDS, "--json", path, "--in-process", *words)


@pytest.fixture(scope="module")
def unbroken():
    """Keep what a run without a break has written and printed."""
    return []


@pytest.fixture
def whole(folder, unbroken):
    """Return the file of a run without a break, and what that run printed."""
    path = folder / "whole.jsonl"
    if not unbroken:
        result = begun(path)
        assert result.exit_code == 1, result.output
        unbroken += [path.read_bytes(), result.output]
    path.write_bytes(unbroken[0])
    return path, unbroken[1]


def resume(path, *words):
    return call("resumed_module:BACKEND", "--resume", path, *words)


def start(*words):
    # What is killed while it writes down what it covers leaves a file that cannot be read.
    unmeasured = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    return subprocess.Popen(
        [sys.executable, "-m", "conformance", "run", *map(str, words)],
        env={**unmeasured, "OMP_NUM_THREADS": "1", "PAUSE": "0.0005"},  # slow enough to be killed at any case
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def kill_at(process, path, size, how=signal.SIGKILL):
    """Send a signal when the file has grown to a size, if it ever does; return what the process printed."""
    while process.poll() is None and not (path.exists() and path.stat().st_size >= size):
        time.sleep(0.001)
    process.send_signal(how)
    return process.communicate()[0]


def chain(path, sizes, whole):
    """Run and resume, killed whenever the file has grown to the next size; return how often it was still at work."""
    killed = 0
    for size in sizes:
        begin = ("--resume", path) if path.exists() else (*WORDS, "--json", path)
        process = start("resumed_module:BACKEND", *begin)
        kill_at(process, path, size)
        killed += process.returncode == -signal.SIGKILL
        left = path.read_bytes()
        kept = left[: left.rfind(b"\n") + 1]
        assert whole.startswith(kept)
        assert left == kept or (whole[len(kept) :].partition(b"\n")[0] + b"\n").startswith(left[len(kept) :])
    process = start("resumed_module:BACKEND", "--resume", path)
    output, _ = process.communicate()
    assert process.returncode == 1, output
    assert path.read_bytes() == whole
    return killed


def test_whenever_a_run_is_killed_it_is_gone_on_with(folder, whole):
    expected = whole[0].read_bytes()
    source = random.Random(4)
    head = expected.index(b"\n") + 1
    sizes = sorted(source.randrange(head, len(expected)) for _ in range(KILLS))
    with ThreadPoolExecutor(2) as pool:
        chains = [(folder / f"{i}.jsonl", sizes[i::CHAINS], expected) for i in range(CHAINS)]
        killed = sum(pool.map(chain, *zip(*chains, strict=True)))
    assert killed > KILLS / 2


def test_whenever_a_run_is_interrupted_it_is_gone_on_with(folder, whole):
    expected = whole[0].read_bytes()
    path = folder / "interrupted.jsonl"
    process = start("resumed_module:BACKEND", *WORDS, "--json", path)
    output = kill_at(process, path, len(expected) // 2, signal.SIGINT)
    assert process.returncode == 130, output
    assert f"and in {path}, with which --resume goes on\n" in output
    assert path.read_bytes().endswith(b'\n{"end": "interrupted"}\n')
    assert expected.startswith(path.read_bytes()[:-23])
    assert resume(path).exit_code == 1
    assert path.read_bytes() == expected


def report_of(output):
    return output[output.index("\n\n") :]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_resumed_run_reports_all_there_is(folder, whole, share):
    expected, printed = whole
    text = expected.read_bytes()
    head = text.index(b"\n") + 1
    path = folder / "half.jsonl"
    path.write_bytes(text[: head + int((len(text) - head) * share)])
    count = len(list(read(path)))
    result = resume(path, "--in-process")
    assert result.exit_code == 1
    assert path.read_bytes() == text
    assert f"going on with {path} after {count} verdicts\n" in result.output
    assert report_of(result.output.replace(f"going on with {path} after {count} verdicts\n", "")) == report_of(printed)


def test_nothing_that_was_told_is_asked_again(folder, whole, monkeypatch):
    text = whole[0].read_bytes()
    path = folder / "nearly.jsonl"
    path.write_bytes(text[: text.rindex(b'{"end"')])
    asked = []
    monkeypatch.setattr("conformance.cells.answer", lambda *words: asked.append(words))
    assert resume(path, "--in-process").exit_code == 1
    assert path.read_bytes() == text
    assert not asked


def test_a_run_that_stops_at_the_first_failure_does_so_when_it_is_resumed(folder):
    path = folder / "first.jsonl"
    assert begun(path, "--stop-at-first").exit_code == 1
    text = path.read_bytes()
    assert b'"pad"' not in text[text.index(b"\n") :]
    for cut in (len(text) // 2, text.rindex(b'{"end"')):
        path.write_bytes(text[:cut])
        assert resume(path, "--in-process").exit_code == 1
        assert path.read_bytes() == text


def test_a_complete_file_is_reported_without_the_backend(folder, whole):
    path, printed = whole
    text = path.read_bytes()
    (folder / "resumed_module.py").unlink()
    sys.modules.pop("resumed_module", None)
    result = call("--resume", path)
    assert result.exit_code == 1
    assert result.output.startswith(f"{path} is complete: nothing is left to do\n")
    assert report_of(printed).strip() in result.output
    assert path.read_bytes() == text


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--seed", "5"), "seed=5: {path} was begun with 0"),
        (("--examples", "7"), "examples=7: {path} was begun with 40"),
        (("--profile", "quick"), "examples=6: {path} was begun with 40"),
        (("-o", "relu"), "operators=['relu']: {path} was begun with ['relu', 'linear', 'pad']"),
        (("-d", "float64"), "dtypes=['float64']: {path} was begun with ['float32']"),
        (("--limit-seconds", "2"), "limit_seconds=2.0: {path} was begun with 30.0"),
        (("--stop-at-first",), "stop_at_first=True: {path} was begun with False"),
        (("other:BACKEND",), "backend='other:BACKEND': {path} was begun with 'resumed_module:BACKEND'"),
        (("--json", "other.jsonl"), "--json is for a new run"),
    ],
)
def test_options_that_say_otherwise_are_refused(whole, words, text):
    path, _ = whole
    before = path.read_bytes()
    result = call("--resume", path, *words)
    assert result.exit_code == 2
    assert text.format(path=path) in result.output
    assert path.read_bytes() == before


def test_options_that_say_the_same_are_taken(whole):
    path, _ = whole
    assert call("resumed_module:BACKEND", *WORDS, "-o", "relu", "--seed", "0", "--resume", path).exit_code == 1


def changed_head(**fields):
    def change(text):
        first, _, rest = text.partition(b"\n")
        return json.dumps({**json.loads(first), **fields}).encode() + b"\n" + rest

    return change


def always(found):
    return lambda _: found


def without_end(text):
    return text[: text.rindex(b'{"end"')]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (always(b""), "line 1: not the head of a report"),
        (always(b"\x89PNG\r\n"), "line 1: not JSON"),
        (always(b'{"convformance": "0.0.1"}\n'), "was written by convformance '0.0.1', this is "),
        (changed_head(seed="0"), "line 1: seed='0': must be a whole number"),
        (changed_head(examples=0), "line 1: examples=0: must be a whole number of at least 1"),
        (changed_head(limit_seconds=0), "line 1: limit_seconds=0: must be a number above 0"),
        (changed_head(limit_mebibytes=True), "line 1: limit_mebibytes=True: must be a whole number of at least 0"),
        (changed_head(operators="relu"), "line 1: operators='relu': must be a list of names"),
        (changed_head(stop_at_first=0), "line 1: stop_at_first=0: must be true or false"),
        (changed_head(address=None), "line 1: address=None: must be a text"),
        (
            changed_head(address="other:BACKEND"),
            "backend='resumed_module:BACKEND': {path} was begun with 'other:BACKEND'",
        ),
        (lambda text: text.partition(b"\n")[0], "line 1: was cut short; a newline must end it"),
        (changed_head(operators=["relu", "swiglu"]), "operator='swiglu': must be one of"),
        (changed_head(operators=[]), "was begun with operators=[], and here it is ['relu', 'relu6', "),
        (changed_head(about="mine 0"), "was begun with about='mine 0', and here it is 'mine 1'"),
        (changed_head(machine="pdp11"), "was begun with machine='pdp11', and here it is "),
        (changed_head(numpy="0.9"), "was begun with numpy='0.9', and here it is "),
        (changed_head(more=1), "was begun with more=1, and here it is None"),
        (changed_head(seed=1), "the earlier results of sizes[mine-relu-float32] are not of this run"),
        (changed_head(operators=["relu"]), "'linear', 'float32'), where None comes next"),
        (changed_head(operators=["linear", "relu", "pad"]), "'relu', 'float32'), where ('mine', 'sizes', 'linear'"),
        (lambda text: text + b'{"end": "incomplete"}\n', "what is missing is not all at its end"),
        (lambda text: text[:3000] + b"\xff" + text[3000:], "line 14: not JSON: 'utf-8' codec can't decode"),
        (lambda text: text + b"x" * 2**21, "has more than 1048576 bytes"),
    ],
)
def test_a_file_that_is_not_of_such_a_run_is_refused_and_kept(folder, whole, change, text):
    path = folder / "other.jsonl"
    found = change(without_end(whole[0].read_bytes()))
    if "are not of this run" in text:  # only the last cell is drawn again
        found = found[: found.index(b'"check": "special"')].rpartition(b"\n")[0] + b"\n"
    path.write_bytes(found)
    result = resume(path, "--in-process")
    assert result.exit_code == 2, result.output
    assert text.format(path=path) in result.output.replace("\n", " ")
    assert path.read_bytes().removesuffix(b'{"end": "interrupted"}\n') == found


@pytest.mark.parametrize("address", ["resumed_module:BACKEND", "imported_by_a_file:BACKEND", "nothing"])
def test_a_file_does_not_say_what_is_imported(folder, whole, address):
    (folder / "imported_by_a_file.py").write_text("raise SystemExit('imported')", encoding="utf-8")
    path = folder / "anybodys.jsonl"
    found = changed_head(address=address)(without_end(whole[0].read_bytes()))
    path.write_bytes(found)
    sys.modules.pop("resumed_module", None)
    result = call("--resume", path, "--in-process")
    assert result.exit_code == 2
    assert f"{path} was written for '{address}'; name it as BACKEND to have it imported\n" in result.output
    assert "resumed_module" not in sys.modules
    assert path.read_bytes() == found


def test_a_backend_that_is_known_by_name_is_gone_on_with_without_being_named(folder):
    path = folder / "known.jsonl"
    words = ("-o", "relu", "-d", "float32", "-c", "sizes", "--examples", "5", "--in-process")
    assert call("torch-cpu", *words, "--json", path).exit_code == 0
    text = path.read_bytes()
    path.write_bytes(without_end(text))
    assert call("--resume", path, "--in-process").exit_code == 0
    assert path.read_bytes() == text


@pytest.mark.parametrize("name", ["missing.jsonl", "."])
def test_what_is_no_file_is_refused(folder, name):
    result = call("--resume", folder / name)
    assert result.exit_code == 2
    assert f"Error: {folder / name}: must be a file that a run has written\n" in result.output
    assert not (folder / "missing.jsonl").exists()
