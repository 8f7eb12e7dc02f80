"""PyTorch gives what the references give, forward and backward: a few of the calls that tests/agreement.py asks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import reference

torch = pytest.importorskip("torch", reason="PyTorch is a peer to compare with, not a dependency")

import agreement  # noqa: E402  # it needs torch
from agreements.call import Call  # noqa: E402

DRAWS = agreement.draws()
# Functions that torch does not have, or that are checked against scipy or by hand.
WITHOUT_A_PEER = {
    "conv_matrix",
    "conv_output_size",
    "conv_transpose_output_size",
    "convolve",
    "cross_correlate",
    "exact",
    "pool_output_size",
    "receptive_field",
    "same_padding",
}


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
@pytest.mark.parametrize("name", DRAWS)
def test_calls_agree(name):
    assert [line for _, lines in agreement.asked([name], 60, 0) for line in lines] == []


def test_every_function_is_asked():
    functions = {name for name in reference.__all__ if callable(getattr(reference, name)) and name[0].islower()}
    assert set(DRAWS) == functions - WITHOUT_A_PEER
    assert set(reference.vjp.__all__) & functions == functions - WITHOUT_A_PEER | {
        "conv_matrix",
        "convolve",
        "cross_correlate",
    }


def test_a_difference_is_seen():
    x = np.ones((1, 2))

    def call(peer):
        return Call("flatten", {"input": x}, {}, peer)

    assert list(call(torch.flatten).differences()) == []
    assert len(list(call(lambda input: torch.flatten(input) + 1e-15).differences())) == 1
    assert len(list(call(lambda input: torch.flatten(input) * input.detach().sum() / 2 * 3).differences())) == 2
    assert "has shape" in next(call(lambda input: input.clone()).differences())


def test_the_script_asks_and_counts():
    script = Path(agreement.__file__)
    run = subprocess.run(
        [sys.executable, str(script), "--calls", "20", "--only", "conv1d", "--only", "fold"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(script.parent)},
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "20 calls of 2 functions, seed 0" in run.stdout
    assert "0 differ" in run.stdout
