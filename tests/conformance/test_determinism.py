"""The same version, seed and backend give the same bytes, whatever else is there: files, modules, hashes, processes."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import traceback

import pytest
from hypothesis import settings
from hypothesis import strategies as st

from conformance.search import search, seed_of

MODULE = """
import numpy as np
from conformance.model import Backend

def relu(input):
    return np.maximum(input, 0) + (input == 3)

def linear(input, weight, bias=None):
    return (input @ weight.T + (0 if bias is None else bias)).astype(input.dtype)

BACKEND = Backend("mine", {"relu": relu, "linear": linear})
"""
# What hypothesis would mix into its draws: integers below 2**16, and bytes as long as a geometry's.
STRANGE = "\n".join(f"NUMBER_{i} = {1000 + 61 * i}\nBYTES_{i} = b'{chr(97 + i % 26) * 30}'" for i in range(400))
WORDS = ("-o", "relu", "-o", "linear", "-d", "float32", "--examples", "200")


def judged_in(folder, *words, module=MODULE, **environment):
    """Return what a run writes in a folder of a user, whose module is the backend."""
    folder.mkdir()
    (folder / "determined.py").write_text(module, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "conformance", "run", "determined:BACKEND", *WORDS, "--json", "verdicts.jsonl", *words],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert {found.name for found in folder.iterdir()} - {"__pycache__"} == {"determined.py", "verdicts.jsonl"}
    return (folder / "verdicts.jsonl").read_bytes()


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return judged_in(tmp_path_factory.mktemp("plain") / "folder", PYTHONHASHSEED="1")


def test_constants_of_a_users_module_do_not_change_what_is_drawn(plain, tmp_path):
    assert judged_in(tmp_path / "strange", module=MODULE + STRANGE) == plain


def test_neither_hashes_nor_the_profile_of_hypothesis_change_what_is_drawn(plain, tmp_path):
    assert judged_in(tmp_path / "other", PYTHONHASHSEED="2", CI="true") == plain


def test_a_worker_and_this_process_write_the_same(plain, tmp_path):
    assert judged_in(tmp_path / "inside", "--in-process") == plain


def test_defaults_that_are_given_do_not_change_what_is_written(plain, tmp_path):
    assert judged_in(tmp_path / "ordered", "--limit-seconds", "30", "--seed", "0") == plain


STRATEGY = st.tuples(st.binary(min_size=5, max_size=5), st.integers(0, 2**16 - 1), st.booleans())


def drawn(seed, passes=lambda _: True):
    """Return all that a search draws, and how it ends."""
    seen = []

    def trial(draw):
        seen.append(draw)
        return passes(draw)

    return search(STRATEGY, trial, draws=30, seed=seed), seen


def test_a_search_is_a_function_of_its_seed():
    before = drawn(5)
    random.seed(1)
    with_profile = settings.get_profile("repeatable")
    settings.register_profile("other", with_profile, max_examples=3, derandomize=False, database=None)
    settings.load_profile("other")
    try:
        assert drawn(5) == before
    finally:
        settings.load_profile("repeatable")
    assert drawn(6) != before
    assert before[0] is None
    assert len(set(before[1])) == 30


def test_the_smallest_failing_draw_is_the_last_one():
    found, seen = drawn(0, lambda draw: draw[0][1] < 200 or draw[1] < 300)
    assert (found, seen[-1]) == (True, (b"\x00\xc8\x00\x00\x00", 300, False))


def test_a_draw_that_passes_when_it_is_repeated_is_told():
    answers = iter([True, False])
    assert drawn(0, lambda _: next(answers, True))[0] is False


def test_what_a_trial_raises_ends_the_search_at_once():
    seen = []

    def broken(draw):
        seen.append(draw)
        raise ZeroDivisionError("of a trial")

    with pytest.raises(ZeroDivisionError, match="of a trial") as raised:
        search(STRATEGY, broken, draws=30, seed=0)
    assert len(seen) == 1
    assert raised.value.__cause__ is None
    assert "in broken" in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize(
    ("strategy", "what"),
    [(st.floats(), "a float"), (st.text(), "a string"), (st.integers(), "an integer without bounds")],
)
def test_what_no_geometry_is_drawn_from_is_refused(strategy, what):
    with pytest.raises(NotImplementedError, match=f"^{what} is to be drawn; choose bytes"):
        search(strategy, lambda drawn: drawn is not None, draws=30, seed=0)


def test_a_seed_is_a_whole_number_or_a_fresh_one():
    assert seed_of("-3") == -3
    assert seed_of("random") != seed_of("random")
    with pytest.raises(ValueError, match=r"^'x' is neither a whole number nor 'random'$"):
        seed_of("x")
