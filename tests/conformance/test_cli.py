"""The command line: what it prints, and the code that it exits with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from conformance_cases import LINE, constant_relu, declare, flipped_backend, honest, numpy_backend, relu_backend

from conformance import __version__
from conformance.__main__ import main
from conformance.discovery import find_backend
from conformance.model import Backend, Outcome
from conformance.report.jsonl import read
from conformance.report.tally import tallies

THREE = ("-c", "values", "-c", "sizes", "-c", "special")
CALLS = []


def interrupted(input):
    """Answer a few times, and then be what Ctrl-C is."""
    CALLS.append(input)
    if len(CALLS) > 3:
        raise KeyboardInterrupt
    return honest("relu")(input)


def interrupting(allowed):
    """Return a backend that is interrupted after so many answers."""
    CALLS[:] = [None] * (3 - allowed)
    return relu_backend(bindings={"relu": interrupted})


# What --backend leads to: this module is put where a user's would be.
HONEST = numpy_backend()
FLIPPED = flipped_backend()
GONE = numpy_backend("gone", unavailable=lambda: "no such device")
EMPTY = Backend("empty", {})
DEVIATING = relu_backend(bindings={"relu": constant_relu(7)}, declarations=(declare(),))
ZERO = relu_backend(bindings={"relu": constant_relu(0)})
RAISING = relu_backend(bindings={"relu": len})
LEAKY = relu_backend(bindings={"relu": lambda input: input}, about=lambda: "[bold]1.0[/bold]")


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.setitem(sys.modules, "users_backends", sys.modules[__name__])
    monkeypatch.setattr(sys, "path", [*sys.path])


def call(*words):
    return CliRunner().invoke(main, list(map(str, words)))


def run(backend, *words):
    return call("run", f"users_backends:{backend}", "-d", "float32", "--examples", "30", "--in-process", *words)


def replay(line, backend, *words):
    return call("replay", line, "-b", f"users_backends:{backend}", "--in-process", *words)


def test_a_run_that_conforms_exits_with_0():
    result = run("HONEST", "-o", "conv2d", "-o", "relu", "-c", "values", "-c", "sizes")
    assert result.exit_code == 0, result.output
    assert result.output.startswith(f"convformance {__version__}: honest, seed 0, 30 examples a cell\n")
    assert result.output.count(" conforms ") == 2


def test_what_a_backend_says_of_itself_is_printed_as_it_is():
    assert "custom ([bold]1.0[/bold]), seed" in run("LEAKY", "-o", "relu", "-c", "sizes").output


def test_a_run_with_a_failure_exits_with_1_and_shows_how_to_replay_it():
    result = run("FLIPPED", "-o", "conv2d", "-c", "values")
    assert result.exit_code == 1
    assert "differs: conv2d float32 on flipped" in result.output
    (line,) = [line for line in result.output.splitlines() if "convformance replay" in line]
    _, case, rest = line.split("'")
    assert rest.split() == ["-b", "users_backends:FLIPPED", "--check", "values"]
    again = replay(case, "FLIPPED", "--check", "values")
    assert again.exit_code == 1
    assert "differs: " in again.output


def test_a_run_that_deviates_as_declared_exits_with_0():
    result = run("DEVIATING", "-o", "relu", "-c", "values")
    assert result.exit_code == 0, result.output
    assert "deviates: relu: answers otherwise" in result.output


@pytest.mark.parametrize(("backend", "text"), [("GONE", "unavailable: no such device"), ("EMPTY", "unbound: relu")])
def test_a_run_that_compares_nothing_exits_with_3(backend, text):
    result = run(backend, "-o", "relu")
    assert result.exit_code == 3
    assert text in result.output


def test_an_unavailable_backend_is_not_asked_what_it_is():
    assert "gone (unavailable), seed 0" in run("GONE", "-o", "relu").output


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("run",), "Missing argument 'BACKEND'"),
        (("run", "nothing"), "backend='nothing': must be one of scipy, torch-cpu, "),
        (("run", "users_backends:HONEST", "-o", "conv4d"), "operator='conv4d': must be one of relu, relu6"),
        (("run", "users_backends:HONEST", "-d", "int8"), "dtype='int8': must be one of float64"),
        (("run", "users_backends:HONEST", "-c", "speed"), "check='speed': must be one of values"),
        (("run", "users_backends:HONEST", "--examples", "0"), "0 is not in the range x>=1"),
        (("run", "users_backends:HONEST", "--limit-seconds", "nan"), "limit_seconds=nan: must be above 0"),
        (("run", "users_backends:HONEST", "--limit-mebibytes", "-1"), "limit_mebibytes=-1: must be 0, which is no"),
        (("run", "users_backends:HONEST", "--seed", "x"), "'x' is neither a whole number nor 'random'"),
        (("run", "users_backends:call"), "is a function, must be a conformance.model.Backend"),
        (("replay", "relu()", "-b", "users_backends:HONEST"), "column 1: a case has at least one array"),
        (("replay", LINE), "Missing option '-b'"),
        (("replay", LINE, "-b", "nothing"), "backend='nothing': must be one of"),
        (("replay", LINE, "-b", "users_backends:HONEST", "-c", "speed"), "is not one of 'values'"),
        (
            ("replay", LINE.replace("relu", "swiglu"), "-b", "users_backends:HONEST"),
            "operator='swiglu': must be one of relu",
        ),
        (("replay", LINE.replace("input", "x"), "-b", "users_backends:HONEST"), "relu: "),
        (("replay", LINE[:-1] + ', nan="zero")', "-b", "users_backends:HONEST"), "relu: "),
        (("polish",), "No such command 'polish'"),
    ],
)
def test_wrong_usage_exits_with_2(words, text):
    result = call(*words)
    assert result.exit_code == 2, result.output
    assert text in " ".join(result.output.replace("│", " ").split())


def test_the_same_seed_runs_the_same_and_a_random_one_is_told(tmp_path):
    first, again, other = (
        [v.case for v in _run_to(tmp_path / f"{i}.jsonl", "--seed", seed)] for i, seed in enumerate((5, 5, 6))
    )
    assert first == again != other
    result = run("HONEST", "-o", "relu", "-c", "sizes", "--seed", "random")
    seed = int(result.output.split("seed ")[1].split(",")[0])
    assert f"seed {seed}, " not in run("HONEST", "-o", "relu", "-c", "sizes", "--seed", "random").output


def _run_to(path, *words):
    assert run("HONEST", "-o", "relu", "-c", "values", "--json", path, *words).exit_code == 0
    return list(read(path))


def test_verdicts_are_written_as_json_lines(tmp_path):
    path = tmp_path / "verdicts.jsonl"
    result = run("ZERO", "-o", "linear", "-o", "relu", "-c", "values", "--json", path)
    assert result.exit_code == 1
    found = tallies(read(path))
    assert {key[2]: t.outcome for key, t in found.items()} == {"linear": Outcome.CONFORMS, "relu": Outcome.DIFFERS}
    head, *_, end = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    assert (head["seed"], head["examples"], end["end"]) == (0, 30, "complete")


@pytest.mark.parametrize("path", ["missing/verdicts.jsonl", "."])
def test_a_path_that_cannot_be_written_exits_with_2(tmp_path, path):
    result = run("HONEST", "-o", "relu", "--json", tmp_path / path)
    assert result.exit_code == 2
    assert f"Error: {tmp_path / path}: " in result.output.replace("\n", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_a_full_disk_exits_with_2():
    result = run("HONEST", "-o", "relu", "--json", "/dev/full")
    assert result.exit_code == 2
    assert "No space left on device" in " ".join(result.output.split())


def test_a_run_stops_at_the_first_failing_cell_where_that_is_asked(tmp_path):
    path = tmp_path / "verdicts.jsonl"
    words = ("-o", "relu", "-o", "conv2d", "-c", "values", "--json", path)
    assert run("ZERO", *words, "--stop-at-first").exit_code == 1
    assert {v.operator for v in read(path)} == {"relu"}
    assert run("ZERO", *words).exit_code == 1
    assert {v.operator for v in read(path)} == {"relu", "conv2d"}


@pytest.mark.parametrize("to_file", [True, False])
def test_an_interrupted_run_keeps_what_it_has(tmp_path, monkeypatch, to_file):
    monkeypatch.setattr(sys.modules[__name__], "STOPPING", interrupting(3), raising=False)
    path = tmp_path / "verdicts.jsonl"
    words = ("--json", path) if to_file else ()
    result = run("STOPPING", "-o", "relu", "-o", "linear", *THREE, *words)
    assert result.exit_code == 130
    where = f" and in {path}, with which --resume goes on" if to_file else ""
    assert f"interrupted after 1 of 6 cells; what was judged is above{where}\n" in result.output
    assert "relu" in result.output
    if to_file:
        assert len(list(read(path))) == 3
        assert json.loads(path.read_text(encoding="utf-8").splitlines()[-1]) == {"end": "interrupted"}


def test_a_run_that_is_interrupted_at_once_has_no_grid(monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "STOPPING", interrupting(0), raising=False)
    result = run("STOPPING", "-o", "relu", *THREE)
    assert result.exit_code == 130
    assert "interrupted after 0 of 3 cells" in result.output
    assert "operator" not in result.output


def test_the_list_of_a_backend_shows_what_it_declares():
    listed = call("list", "-b", "torch-cpu")
    assert listed.exit_code == 0
    lines = listed.output.splitlines()
    declarations = find_backend("torch-cpu").declarations
    assert len(lines) == 3 * len(declarations)
    for line, declaration in zip(lines[2::3], declarations, strict=True):
        assert line == f"  convformance replay '{declaration.witness}' -b torch-cpu --check {declaration.checks[0]}"
    unknown = call("list", "-b", "no-such")
    assert unknown.exit_code == 2
    assert "backend='no-such': must be one of" in unknown.output


def test_the_list_names_everything():
    result = call("list")
    assert result.exit_code == 0
    for word in ("torch-cpu", "torch-cuda-tf32", "conv_transpose3d", "bfloat16", "rejections"):
        assert word in result.output


def test_a_replay_shows_all_that_went_into_the_verdict():
    line = "conv2d(input=ramp(float32[1,1,3,3]), weight=ramp(float32[1,1,2,2]), bias=ramp(float32[1]))"
    result = replay(line, "HONEST")
    assert result.exit_code == 0, result.output
    assert result.output.startswith("conforms\n")
    for part in ("input (1, 1, 3, 3):", "weight (1, 1, 2, 2):", "bias (1,):", "expected output (1, 1, 2, 2):"):
        assert part in result.output
    assert "actual output (1, 1, 2, 2) float32:" in result.output
    assert "bound of output:" in result.output
    assert "its window" not in result.output


def test_a_replay_of_a_failure_shows_the_window_of_the_worst_element():
    line = "conv2d(input=ramp(float32[1,1,3,3]), weight=ramp(float32[1,1,2,2]))"
    result = replay(line, "FLIPPED")
    assert result.exit_code == 1
    assert result.output.startswith(
        "differs: 4 of 4 values of output are further from the reference than their bound\n"
    )
    assert "worst element: output[0, 0, 0, 0]: expected 37.0, actual 23.0, bound 0" in result.output
    assert "its window of input:" in result.output
    assert "its window of weight:" in result.output


def test_a_replay_tells_rejections_and_special_values_from_the_data():
    illegal = LINE.replace("relu(", "conv2d(weight=ramp(float32[1,1,2,2]), ")
    refused = replay(illegal, "HONEST")
    assert refused.exit_code == 0
    assert "actual: ConstraintError" in refused.output
    assert "expected: a refusal, input=(2, 3)" in refused.output
    special = replay(LINE.replace("ramp", "nans"), "LEAKY")
    assert special.exit_code == 0, special.output
    wrong = replay(LINE.replace("ramp", "negative_zeros"), "LEAKY")
    assert wrong.exit_code == 1
    assert "its window of input" in wrong.output


def test_a_replay_under_a_check_that_compares_shapes_alone():
    assert replay(LINE.replace("ramp", "odd").replace("]", "], scale=9"), "ZERO").exit_code == 1
    result = replay(LINE, "ZERO", "--check", "sizes")
    assert result.exit_code == 0
    assert result.output.startswith("conforms\n")


@pytest.mark.parametrize(("backend", "text"), [("GONE", "no such device"), ("EMPTY", "empty binds no relu")])
def test_a_replay_that_cannot_be_asked_exits_with_3(backend, text):
    result = replay(LINE, backend)
    assert result.exit_code == 3
    assert result.output == f"{text}\n"


def test_a_replay_of_a_case_that_raises_shows_what_was_expected_all_the_same():
    result = replay(LINE, "RAISING")
    assert result.exit_code == 1
    assert result.output.startswith("errored: raises TypeError: ")
    assert "actual: TypeError: " in result.output
    assert "expected output (2, 3):" in result.output
    assert "bound" not in result.output


def test_a_replay_of_several_outputs_shows_those_that_there_are():
    line = "batch_norm(input=ramp(float32[4,1]), training=True)"
    result = replay(line, "HONEST")
    assert result.exit_code == 0
    assert "actual output (4, 1) float32" in result.output
    assert "running_mean" not in result.output


def test_a_result_too_large_for_any_memory_is_wrong_usage():
    line = "pad(input=ramp(float32[4]), pad=(2305843009213693952, 0))"
    assert replay(line, "HONEST").exit_code == 2


def test_attributes_that_no_reference_takes_are_to_be_refused():
    line = "batch_norm(input=ramp(float32[4,1]), training=ramp(float32[2]))"
    assert "expected: a refusal" in replay(line, "HONEST").output


def test_it_is_run_as_a_module_too():
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "conformance", "--version"], env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"convformance, version {__version__}\n"


@pytest.mark.parametrize(
    ("words", "examples"),
    [(("--profile", "quick"), 6), (("--examples", "7", "--profile", "quick"), 7), (("--profile", "default"), 100)],
)
def test_a_profile_is_a_number_of_examples_that_gives_way(words, examples):
    result = call("run", "users_backends:HONEST", "-o", "relu", "-c", "sizes", "--in-process", *words)
    assert f"seed 0, {examples} examples a cell" in result.output
