"""The pytest plugin: what it collects, what it fails and skips, and the grid below the results."""

from __future__ import annotations

import os
import tempfile

import pytest
import torch

import conformance.__main__
import conformance.isolation

MODULE = """
import numpy as np
from conformance.model import Backend, Declaration, Outcome

def honest(input):
    return np.maximum(input, 0)

GOOD = Backend("good", {"relu": honest})
WRONG = Backend("wrong", {"relu": lambda input: honest(input) + (input == 3)})
GONE = Backend("gone", {}, unavailable=lambda: "no such device")
BROKEN = Backend("broken", {"relu": honest}, arithmetic=lambda case: 1 / 0)
SAME = Backend("same", {"relu": lambda input: honest(input[:0])}, dtypes=("float32",))
DECLARED = Backend("declared", {"relu": lambda input: input}, dtypes=("float32",), declarations=(
    Declaration(Outcome.DEVIATES, ("relu",), lambda case: True, "leaks", "https://example.org", "2026-11-21",
                "relu(input=negative_zeros(float32[5]), nan=1)", checks=("values", "special", "sizes")),
))
"""


@pytest.fixture
def suite(pytester):
    """Run the suite within this process, from a folder of a user, on a backend of that folder's module."""
    pytester.makepyfile(mine=MODULE)

    def run(backend, *words, examples=10):
        asked = [] if backend is None else ["--backend", backend if "-" in backend else f"mine:{backend}"]
        drawn = [] if examples is None else [f"--convformance-examples={examples}"]
        return pytester.runpytest_inprocess("--pyargs", "conformance", *asked, *drawn, "-p", "no:cacheprovider", *words)

    return run


def counted(result):
    """Return how many tests had which outcome, but for those that -k left out."""
    return {outcome: count for outcome, count in result.parseoutcomes().items() if outcome != "deselected"}


def test_cells_are_tests_with_names_that_k_selects(suite):
    result = suite("torch-cpu", "--collect-only", "-q")
    names = [line.rpartition("::")[2] for line in result.outlines if "[" in line]
    assert "values[torch-cpu-conv2d-float32]" in names
    assert "rejections[torch-cpu-max_pool3d-bfloat16]" in names
    assert len(names) == len(set(names)) > 200
    some = suite("torch-cpu", "--collect-only", "-q", "-k", "conv2d and float32 and values")
    some.stdout.fnmatch_lines(["*values?torch-cpu-conv2d-float32?", "1/*tests collected*"])


def test_a_backend_that_conforms_passes_and_has_a_grid(suite):
    result = suite("GOOD", "-k", "good-relu-float32 and (values or sizes or special)")
    assert result.ret == 0
    assert counted(result) == {"passed": 3}
    result.stdout.fnmatch_lines(
        [
            "*good*",
            "*operator*float32*",
            "*relu*conforms*",
            "3 cells, * numbers compared, 0 deviate as declared, seed 0",
        ]
    )


def test_what_is_not_bound_is_skipped_with_its_reason(suite):
    result = suite("GOOD", "-k", "conv1d and float32 and values", "-rs")
    assert counted(result) == {"skipped": 1}
    result.stdout.fnmatch_lines(["SKIPPED * unbound: good binds no conv1d"])


def test_a_failing_backend_shows_the_line_that_replays_it(suite):
    result = suite("WRONG", "-k", "wrong-relu-float32 and values", examples=50)
    assert result.ret == 1
    assert counted(result) == {"failed": 1}
    text = result.stdout.str()
    result.stdout.fnmatch_lines(
        [
            "*_ values?wrong-relu-float32? _*",
            "differs: relu float32 on wrong: * of output are further from the reference than their bound",
            "  output?*: expected 3.0, actual 4.0, bound 0, off by * ulps",
            "  convformance replay 'relu(input=*)' -b mine:WRONG --check values",
            "*relu*differs: values*",
        ]
    )
    assert "Traceback" not in text
    assert "plugin.py" not in text


def test_an_error_of_the_suite_keeps_its_traceback(suite):
    result = suite("BROKEN", "-k", "broken-relu-float32 and values")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*ZeroDivisionError*"])


def test_a_wrong_shape_fails(suite):
    result = suite("SAME", "-k", "same-relu-float32 and sizes")
    assert counted(result) == {"failed": 1}
    result.stdout.fnmatch_lines(["differs: relu float32 on same: output has shape *"])


def test_a_cell_that_could_not_have_differed_fails(suite, pytester):
    pytester.makepyfile(
        mine=MODULE
        + """
from conformance.formats import Format, format_of
from conformance.model import Arithmetic
# An accumulator without any range may overflow in every sum of products, so that all of them are waived.
NONE = Format("none", 1, 0.0, 0.0, 0.0)
def linear(input, weight, bias=None):
    output = input @ weight.T
    return output if bias is None else output + bias
WAIVED = Backend("waived", {"linear": linear}, dtypes=("float32",),
                 arithmetic=lambda case: Arithmetic(NONE, format_of(case.dtype)))
"""
    )
    result = suite("WAIVED", "-k", "linear and values")
    assert counted(result) == {"failed": 1}
    result.stdout.fnmatch_lines(["vacuous: * of * cases could not have differed", "*linear*vacuous: values*"])


def test_a_declared_deviation_passes(suite, pytester):
    pytester.makepyfile(mine=MODULE.replace("(float32[5]), nan=1)", "(float32[5]))"))
    result = suite("DECLARED", "-k", "declared-relu-float32 and values")
    assert counted(result) == {"passed": 1}
    result.stdout.fnmatch_lines(["*relu*deviates*", "1 cells, * numbers compared, 1 deviate as declared, seed 0"])


def test_an_unavailable_backend_that_was_asked_for_fails_with_its_reason(suite):
    result = suite("GONE")
    assert result.ret == 1
    assert counted(result) == {"failed": 1}
    result.stdout.fnmatch_lines(["*_ available?gone? _*", "available?gone?: no such device"])


def test_an_unavailable_backend_that_nobody_asked_for_is_skipped(suite):
    result = suite(None, "-k", "cuda", "-rs")
    if torch.cuda.is_available():
        pytest.skip("the backends that are unavailable elsewhere are available here")
    assert result.ret == 0
    assert result.parseoutcomes()["skipped"] == 2
    result.stdout.fnmatch_lines(["SKIPPED *available?torch-cuda?: torch sees no CUDA device"])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("MISSING", "ERROR: backend='mine:MISSING': AttributeError: module 'mine' has no attribute 'MISSING'"),
        ("no-such-backend", "ERROR: backend='no-such-backend': must be one of scipy, torch-cpu, *"),
    ],
)
def test_an_unknown_backend_is_wrong_usage(suite, name, text):
    result = suite(name)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([text])


def test_the_seed_and_the_number_of_examples_are_options(suite):
    few, many, other = (
        suite("GOOD", "-k", "good-relu-float32 and values", f"--convformance-seed={seed}", examples=examples)
        for examples, seed in ((10, 0), (100, 0), (10, 1))
    )
    counts = [next(line for line in result.outlines if "numbers compared" in line) for result in (few, many, other)]
    assert len(set(counts)) == 3


@pytest.mark.parametrize(
    ("words", "examples"),
    [
        (("--profile=quick",), 6),
        (("--profile=quick", "--examples=30"), 30),
        ((), 100),
        (("--profile=thorough",), 2000),
    ],
)
def test_a_profile_is_a_number_of_examples_that_gives_way(suite, words, examples):
    result = suite("GOOD", "--collect-only", *(w.replace("--", "--convformance-") for w in words), examples=None)
    result.stdout.fnmatch_lines([f"convformance *: good, seed 0, {examples} examples a cell, *"])


def test_pytest_is_left_alone_where_the_suite_is_not_asked_for(pytester):
    pytester.makepyfile(test_other="def test_other(): pass")
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    assert counted(result) == {"passed": 1}
    assert "compared" not in result.stdout.str()


def test_a_module_that_skips_itself_is_no_trouble(pytester):
    pytester.makepyfile(test_other="import pytest; pytest.importorskip('no_such_module', reason='it is nowhere')")
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    assert counted(result) == {"skipped": 1}


def test_the_cells_are_shared_among_workers(pytester):
    pytester.makepyfile(mine=MODULE)
    pytester.makeini("[pytest]\npythonpath = .\n")
    words = [
        "--pyargs",
        "conformance",
        "--backend",
        "mine:WRONG",
        "--convformance-examples=30",
        "-n",
        "2",
        "-p",
        "no:cacheprovider",
    ]
    result = pytester.runpytest_subprocess(*words, "-k", "wrong-relu-float32 and (values or sizes or special)")
    assert result.ret == 1
    # The tallies come back from the workers, infinite shares and all.
    result.stdout.fnmatch_lines(["*convformance replay 'relu(*", "*relu*differs: values*", "3 cells, * compared*"])


@pytest.mark.parametrize(
    "broken", ["run.run_cell", "run.asking"], ids=["while a cell is judged", "before any cell is judged"]
)
@pytest.mark.parametrize("kind", [conformance.isolation.WorkerError, OSError])
def test_an_error_that_no_case_is_to_blame_for_is_told_in_its_message_alone(suite, monkeypatch, broken, kind):
    def fail(*_, **__):
        raise kind("the worker cannot be started")

    monkeypatch.setattr(f"conformance.{broken}", fail)
    result = suite("GOOD", "-k", "good-relu-float32 and values")
    assert result.ret != 0
    result.stdout.fnmatch_lines(["*the worker cannot be started"])
    assert "Traceback" not in result.stdout.str()
    assert "plugin.py" not in result.stdout.str()


def test_the_header_says_what_is_asked_where_and_what_was_left(suite, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    journal = conformance.journal.Journal("torch-cpu")
    journal.write(["relu(input=ramp(float32[2]))"])
    for file in (journal._asking, journal.answers):  # as when the process is killed
        file.close()
    words = ("-k", "good-relu-float32 and values", "--convformance-limit-seconds=5", "--convformance-limit-mebibytes=0")
    inside = suite("GOOD", *words, "--convformance-in-process")
    inside.stdout.fnmatch_lines(
        [f"convformance {conformance.__version__}: good, seed 0, 10 examples a cell, in this *"]
    )
    inside.stdout.no_fnmatch_line("an earlier run*")
    told = "an earlier run ended while it asked torch-cpu: relu(input=ramp(float32[[]2]))"
    suite("GOOD", *words).stdout.fnmatch_lines(["*: good, *, in a worker, 5 seconds and 0 MiB a case", told])
    suite("GOOD", *words).stdout.no_fnmatch_line(told)


@pytest.mark.parametrize(
    ("option", "word", "text"),
    [
        ("limit-seconds", "0", "limit_seconds=0.0: must be above 0*"),
        ("limit-seconds", "x", "could not convert string to float: 'x'"),
        ("limit-mebibytes", "-1", "limit_mebibytes=-1: must be 0, which is no limit*"),
    ],
)
def test_a_limit_that_is_none_is_wrong_usage(suite, option, word, text):
    result = suite("GOOD", f"--convformance-{option}={word}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*--convformance-{option}: {text}"])


def test_a_run_without_examples_is_wrong_usage(suite):
    result = suite("GOOD", "--convformance-examples=0")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*examples=0: must be at least 1"])


def test_a_limit_that_is_none_is_wrong_usage_whoever_is_asked(pytester):
    result = pytester.runpytest_inprocess("--convformance-limit-seconds=0", "--convformance-json=verdicts.jsonl")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--convformance-limit-seconds: limit_seconds=0.0: must be above 0*"])


def test_a_folder_of_state_that_cannot_be_is_told_in_its_message_alone(suite, pytester, monkeypatch):
    (pytester.path / f"convformance-{os.getuid()}").write_text("no folder", encoding="utf-8")
    monkeypatch.setenv("XDG_STATE_HOME", "/dev/null/state")
    monkeypatch.setattr(tempfile, "tempdir", str(pytester.path))
    result = suite("GOOD", "-k", "good-relu-float32 and values")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: * File exists: *convformance-*"])


def test_a_seed_that_is_none_is_wrong_usage(suite):
    result = suite("GOOD", "--convformance-seed=x")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--convformance-seed: 'x' is neither a whole number nor 'random'"])
