"""The tests of others, run on this suite's faults: their calls are read as they are meant, and the table is made."""

import subprocess
import sys
from pathlib import Path

import pytest

from conformance.honest import honest

pytest.importorskip("onnx")
pytest.importorskip("expecttest", reason="torch's own test modules import it")

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
MANY = ("conv2d", "conv_transpose2d", "batch_norm", "pad", "linear")


@pytest.fixture
def peers(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import peers

    return peers


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("operator", MANY)
def test_most_of_what_others_ask_is_understood(peers, operator):
    for oracle in peers.ORACLES:
        forward = [sample for sample in peers.asked(oracle, operator, "float32") if not sample.gradient]
        passing = [sample for sample in forward if sample.passes(honest(operator))]
        assert len(passing) >= len(forward) / 2 > 0


@pytest.mark.filterwarnings("ignore")
def test_what_must_be_refused_is_asked_too(peers):
    opinfo, onnx_nodes = peers.ORACLES
    assert any(sample.expected is None for sample in peers.asked(opinfo, "conv2d", "float32"))
    assert any(sample.gradient for sample in peers.asked(opinfo, "conv2d", "float32"))
    assert not any(
        sample.gradient or sample.expected is None for sample in peers.asked(onnx_nodes, "conv2d", "float32")
    )


def test_the_table_is_made(tmp_path):
    page, power = tmp_path / "peers.md", tmp_path / "power.json"
    power.write_text('{"faults": [{"name": "relu-leaky", "caught": "relu()"}]}', encoding="utf-8")
    words = ["-W", "ignore", str(BENCHMARKS / "peers.py"), "-o", "relu", "--power", str(power), "--markdown", str(page)]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    written = page.read_text(encoding="utf-8")
    for text in (done.stdout, written):
        assert "OpInfo" in text
        assert "honest variants" in text
    assert "| all |" in written
