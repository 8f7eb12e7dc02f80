"""Files of deviations on the command line and under pytest: what they excuse, and when they are refused."""

from __future__ import annotations

import sys

import pytest
from click.testing import CliRunner

from conformance.__main__ import main
from conformance.report.jsonl import read

MODULE = """
import numpy as np
from conformance.model import Backend
BACKEND = Backend("leaky", {"relu": lambda input: np.where(input.ndim == 2, input, np.maximum(input, 0))},
                  dtypes=("float32",))
"""
KNOWN = """
[[deviation]]
outcome = "deviates"
operators = ["relu"]
where = "input.rank == 2"
checks = ["values"]
reason = "what has two axes is let through"
link = "https://example.org/issue"
date = 2026-11-21
witness = "relu(input=integers(float32[1,3], scale=3))"
"""


@pytest.fixture(autouse=True)
def known(tmp_path, monkeypatch):
    """A user's folder with somebody else's backend, and what is known of it."""
    (tmp_path / "leaky_module.py").write_text(MODULE, encoding="utf-8")
    path = tmp_path / "known.toml"
    path.write_text(KNOWN, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield path
    sys.modules.pop("leaky_module", None)


def run(*words):
    asked = ("leaky_module:BACKEND", "-o", "relu", "-c", "values", "--examples", "200", "--in-process")
    return CliRunner().invoke(main, ["run", *asked, *map(str, words)])


def test_a_file_excuses_what_it_declares_and_nothing_else(known):
    assert run().exit_code == 1
    excused = run("--deviations", known)
    assert excused.exit_code == 0, excused.output
    assert "deviates: relu: what has two axes is let through" in excused.output
    known.write_text(KNOWN.replace("== 2", "== 2 and input.shape[1] == 3"), encoding="utf-8")
    wrong = run("--deviations", known)
    assert wrong.exit_code == 1
    assert "differs: relu float32 on leaky" in wrong.output


def test_a_deviation_that_is_no_longer_true_fails(known):
    known.write_text(KNOWN.replace("integers(float32[1,3], scale=3)", "ramp(float32[1,3])"), encoding="utf-8")
    stale = run("--deviations", known)
    assert stale.exit_code == 1
    assert "stale: relu float32 on leaky: no longer true: what has two axes is let through" in stale.output


def test_a_file_that_is_wrong_is_wrong_usage(known):
    known.write_text(KNOWN.replace("reason", "cause"), encoding="utf-8")
    result = run("--deviations", known)
    assert result.exit_code == 2
    assert "known.toml" in result.output
    assert run("--deviations", "nowhere.toml").exit_code == 2


def test_a_report_says_what_was_declared_and_goes_on_with_nothing_else(known):
    assert run("--deviations", "known.toml", "--json", "report.jsonl").exit_code == 0
    report = known.with_name("report.jsonl")
    assert {str(verdict.outcome) for verdict in read(report)} == {"conforms", "deviates"}
    *whole, _ = report.read_bytes().splitlines(keepends=True)
    report.write_bytes(b"".join(whole[:5]))
    known.write_text(KNOWN + "# changed\n", encoding="utf-8")
    refused = CliRunner().invoke(main, ["run", "leaky_module:BACKEND", "--resume", "report.jsonl", "--in-process"])
    assert refused.exit_code == 2
    assert "was begun with deviations_sha256" in " ".join(refused.output.split())
    known.write_text(KNOWN, encoding="utf-8")
    assert (
        CliRunner().invoke(main, ["run", "leaky_module:BACKEND", "--resume", "report.jsonl", "--in-process"]).exit_code
        == 0
    )
    assert report.read_bytes().splitlines(keepends=True)[:-1] == whole


def test_a_file_counts_under_pytest_too(pytester, known):
    words = ("--pyargs", "conformance", "--backend", "leaky_module:BACKEND", "-k", "relu and values")
    words += ("-p", "no:cacheprovider", "--convformance-in-process", "--convformance-examples=200")
    pytester.makepyfile(leaky_module=MODULE)
    assert pytester.runpytest_inprocess(*words).ret == 1
    excused = pytester.runpytest_inprocess(*words, f"--convformance-deviations={known}")
    assert excused.ret == 0
    excused.stdout.fnmatch_lines(["*1 deviate as declared*"])
    known.write_text("rubbish", encoding="utf-8")
    wrong = pytester.runpytest_inprocess(*words, f"--convformance-deviations={known}")
    assert wrong.ret == pytest.ExitCode.USAGE_ERROR
    wrong.stderr.fnmatch_lines(["ERROR: *known.toml*"])
