"""A failure as a script of its own: it exits with 1 as long as the backend answers as it did, and else with 0."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from conformance_cases import cell, judged_on, numpy_backend, verdict

import conformance.isolation  # noqa: F401  (else a session within this process imports it, and forgets it)
from conformance.__main__ import main
from conformance.backends.torch import BACKENDS
from conformance.backends.torch.scripts import script as torch_script
from conformance.discovery import find_backend
from conformance.lines import parse
from conformance.model import Outcome
from conformance.replay import cell_of
from conformance.repro import _alike, _literal, script, scripts, write_first

TESTS = Path(__file__).parents[1]
TORCH = BACKENDS[0]
MODULE = """
import numpy as np
from conformance.model import Backend
WRONG = Backend("wrong", {"relu": lambda input: np.maximum(input, 0) + (input == 3)}, dtypes=("float32",))
"""
CONV = (
    "conv2d(input=normal(float32[1,2,3,3]), weight=normal(float32[2,2,2,2], seed=1), bias=ramp(float32[2]), stride=2)"
)
HONEST = numpy_backend(address="failing_backends:HONEST")
RIGHT = (
    CONV,
    CONV.replace("float32", "bfloat16"),
    "max_pool2d(input=nonfinite(float16[1,2,4,4], scale=9), kernel_size=2, return_indices=True)",
    "relu(input=negative_zeros(float64[4]))",
    'relu(input=tiny(float32[5], scale=3, layout="strided"))',
    "linear(input=huge(float32[2,3]), weight=integers(float32[2,3], scale=9))",
    "batch_norm(input=normal(float32[3,2,2]), running_mean=normal(float32[2]), running_var=positive(float32[2]), "
    "training=True)",
    'flatten(input=ramp(float32[2,0,3], layout="strided"))',
    "vjp.conv2d(cotangent=integers(float32[1,2,1,1]), input=ramp(float32[1,2,3,3]), weight=ramp(float32[2,2,2,2]), "
    "stride=2)",
    "conv1d(input=ramp(float32[1,1,2]), weight=ramp(float32[1,1,5]))",
    "cross_entropy(input=normal(float64[3,4]), target=labels(int64[3], scale=4))",
)


# Runs scripts in one process, since importing a framework takes longer than all of them, and prints each exit code.
PLAYER = """
import runpy, sys
for path in sys.argv[1:]:
    try:
        runpy.run_path(path)
        code = 0
    except SystemExit as stop:
        code = int(stop.code or 0)
    except Exception as error:
        code = repr(error)
    print(f"code: {code}")
"""


def played(folder, texts):
    """Return for each script what it prints and its exit code."""
    paths = [folder / f"script{place}.py" for place in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text, encoding="utf-8")
    # An empty entry would be the current folder, where the checkout lies.
    here = os.pathsep.join(filter(None, [str(TESTS), os.environ.get("PYTHONPATH")]))
    words = [sys.executable, "-c", PLAYER, *map(str, paths)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": here})
    *printed, rest = re.split(r"code: (.*)\n", done.stdout)
    assert not rest
    return list(zip(printed[::2], printed[1::2], strict=True))


def script_of(backend, line, check=None):
    """Return the script of a case."""
    of = cell_of(parse(line), backend, check)
    return script(of, judged_on(of, parse(line)))


@pytest.mark.parametrize("backend", [TORCH, HONEST], ids=["torch", "numpy"])
def test_the_script_of_a_right_answer_exits_with_0(backend, tmp_path):
    pytest.importorskip("torch")
    for line, (printed, code) in zip(
        RIGHT, played(tmp_path, [script_of(backend, line) for line in RIGHT]), strict=True
    ):
        assert code == "0", (line, printed)
        assert printed.splitlines()[-1] == "conforms" or printed.startswith("refused, as it must be")


def test_a_script_for_torch_needs_nothing_but_torch_and_numpy():
    of = cell("conv2d", backend=replace(TORCH, about=lambda: "torch"))
    text = script(of, verdict(Outcome.DIFFERS, case=parse(CONV)))
    assert not [line for line in text.splitlines() if "import" in line and "conformance" in line]
    assert "torch.nn.functional.conv2d(input=input, weight=weight, bias=bias, stride=2)" in text


WRONG = (
    ("FLIPPED", CONV, "DIFFERS"),
    ("FLIPPED", CONV.replace("normal", "ramp"), "DIFFERS"),
    ("LEAKY", "vjp.relu(cotangent=ramp(float32[4]), input=integers(float32[4]))", "DIFFERS"),
    ("WIDE", "relu(input=ramp(float32[3]))", "DIFFERS"),
    ("LENIENT", "conv1d(input=ramp(float32[1,1,2]), weight=ramp(float32[1,1,5]))", "accepted, and must be refused"),
    ("WRITING", "repeat.relu(input=integers(float32[4]))", "input is written to"),
)


def test_the_script_of_a_wrong_answer_shows_it_and_exits_with_1(tmp_path):
    texts = [script_of(find_backend(f"failing_backends:{backend}"), line) for backend, line, _ in WRONG]
    for (_, line, told), (printed, code) in zip(WRONG, played(tmp_path, texts), strict=True):
        assert code == "1", (line, printed)
        assert told in printed


def test_what_is_not_compared_or_too_large_to_be_written_out(tmp_path):
    shapes = script_of(find_backend("failing_backends:FLIPPED"), CONV, "sizes")
    large = script_of(HONEST, "relu(input=ramp(float32[200,200]))")
    assert len(large) < 1000
    assert [code for _, code in played(tmp_path, [shapes, large])] == ["0", "0"]


def test_the_first_failure_is_written_and_a_stale_declaration_is_none(tmp_path):
    of, path = cell("conv2d", backend=find_backend("failing_backends:FLIPPED")), tmp_path / "repro.py"
    stale = verdict(Outcome.STALE)
    assert not list(scripts([(of, replace(verdict(Outcome.DIFFERS), case=None))]))  # as of a class of arithmetic
    assert write_first(path, scripts([(of, None), (of, stale), (of, verdict())])).startswith(
        "nothing fails that a script"
    )
    assert not path.exists()
    failing = judged_on(of, parse(CONV))
    assert write_first(path, scripts([(of, None), (of, failing), (of, stale)])) == f"{path} shows {of.id}"
    assert path.read_text(encoding="utf-8") == script(of, failing)


def test_the_commands_write_a_script_of_what_they_found(tmp_path):
    path, words = tmp_path / "repro.py", ("-b", "failing_backends:FLIPPED", "--in-process")
    told = CliRunner().invoke(main, ["replay", CONV, *words, "--repro", str(path)])
    assert told.output.splitlines()[-1] == f"{path} shows values[flipped-conv2d-float32]"
    run = ["run", "failing_backends:FLIPPED", "--in-process", "-o", "conv2d", "-d", "float32", "-c", "values"]
    done = CliRunner().invoke(main, [*run, "--json", str(tmp_path / "v"), "--repro", str(tmp_path / "run.py")])
    assert f"{tmp_path / 'run.py'} shows values[flipped-conv2d-float32]" in done.output
    head = (tmp_path / "run.py").read_text(encoding="utf-8").splitlines()
    assert "# behaves as if the kernel is flipped: a convolution, not a cross-correlation" in head
    assert "# fed by input (" in "".join(head)
    again = CliRunner().invoke(main, ["run", "--resume", str(tmp_path / "v"), "--repro", str(path)])
    assert (again.exit_code, "replay a line of it with --repro" in again.output) == (2, True)


@pytest.mark.parametrize("path", ["missing/repro.py", "."])
def test_pytest_tells_of_a_script_that_cannot_be_written_before_it_begins(path, pytester):
    told = pytester.runpytest_inprocess("--pyargs", "conformance", f"--convformance-repro={path}")
    assert told.ret == pytest.ExitCode.USAGE_ERROR
    told.stderr.fnmatch_lines(["*--convformance-repro=*: must be a file in a folder that is there"])


def test_a_script_for_scipy_needs_nothing_but_scipy_and_numpy(tmp_path):
    pytest.importorskip("scipy")
    lines = (
        'convolve(input=integers(float32[2,5], seed=1, scale=3), kernel=ramp(float32[2,2]), mode="same")',
        "cross_correlate(input=normal(float64[4], seed=1, scale=1), kernel=ramp(float64[2]))",
        "cross_correlate(input=ramp(float64[0,2]), kernel=ramp(float64[2]))",
    )
    texts = [script_of(find_backend("scipy"), line) for line in lines]
    assert not [text for text in texts if "import conformance" in text or "from conformance" in text]
    assert [code for _, code in played(tmp_path, texts)] == ["0"] * len(lines)


def test_pytest_writes_a_script_of_what_it_found(pytester):
    pytester.makepyfile(mine=MODULE)
    words = ["--pyargs", "conformance", "--backend", "mine:WRONG", "-k", "float32 and values", "-p", "no:cacheprovider"]
    told = pytester.runpytest_inprocess(*words, "--convformance-examples=10", "--convformance-repro=repro.py")
    told.stdout.fnmatch_lines(["*repro.py shows values?wrong-relu-float32?"])
    assert "relu float32 on wrong: differs" in pytester.path.joinpath("repro.py").read_text(encoding="utf-8")


def test_numbers_are_read_back_as_they_are():
    assert _literal(np.float32([[0.1, -0.0], [np.nan, -np.inf]])) == "[[0.10000000149011612, -0.0], [nan, -inf]]"
    assert _alike(np.zeros((2, 3))) == "0.0"
    assert _alike(np.array([[True, False]])) == "np.array([[True, False]])"
    assert _alike(np.zeros((0, 3))) == "np.array([]).reshape((0, 3))"


def test_a_script_for_a_device_names_it_and_its_switches():
    case = parse('conv2d(input=ramp(float32[1,1,2,0]), weight=ramp(float32[1,1,1,1], layout="channels_last"))')
    text = torch_script(case, {"input": "[[[[], []]]]", "weight": "[[[[1.0]]]]"}, (), tf32=True)
    assert "torch.backends.cuda.matmul.allow_tf32 = True" in text
    assert 'input = torch.tensor([[[[], []]]], dtype=torch.float32, device="cuda").reshape((1, 1, 2, 0))' in text
    assert "def channels_last(tensor):" in text
    assert 'weight = channels_last(torch.tensor([[[[1.0]]]], dtype=torch.float32, device="cuda"))' in text
