"""The examples run as their readers run them, and say what the worked examples say."""

from __future__ import annotations

import gzip
import re
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

EXAMPLES = Path(__file__).parents[1] / "examples"
# How far apart, relatively, the two loss curves may be in their first 200 steps, as examples/README.md promises.
PROMISED = 1e-9


def load(name):
    """Return what a script defines."""
    return SimpleNamespace(**runpy.run_path(str(EXAMPLES / f"{name}.py")))


def printed(name, capsys):
    """Return what a script prints."""
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    return capsys.readouterr().out


def test_edges(capsys):
    edges = load("edges")
    upright = np.zeros((6, 7), int)
    upright[:, 1], upright[:, 5] = 1, -1
    np.testing.assert_array_equal(edges.edges(edges.IMAGE), upright)
    np.testing.assert_array_equal(edges.edges(edges.IMAGE.T), np.zeros((8, 5), int))
    assert printed("edges", capsys).count("[ 0  1  0  0  0 -1  0]") == 6


def test_flipped_kernels(capsys):
    said = printed("flipped_kernels", capsys)
    assert said.count("bit for bit: True") == 2
    assert "[[1. 2. 3.]\n [4. 5. 6.]\n [7. 8. 9.]]" in said
    assert "[[9. 8. 7.]\n [6. 5. 4.]\n [3. 2. 1.]]" in said


@pytest.mark.parametrize(("bias", "rate", "steps"), [(None, 0.03, 10), (np.zeros(1), 0.01, 20)])
def test_learned_kernel(bias, rate, steps):
    start = np.array([[[[0.25, 0.125]]]])
    kernel, bias, losses = load("learned_kernel").learn(start, bias, rate, steps)
    np.testing.assert_array_equal(np.rint(kernel), [[[[1, -1]]]])
    assert bias is None or np.rint(bias) == 0
    assert (np.diff(losses) < 0).all()  # each step contracts a quadratic form


def test_the_published_kernel_has_the_published_loss():
    published = np.array([0.9935, -0.9952])
    # A step multiplies the error of the kernel by this matrix. The loss was printed before the last step was taken.
    step = np.eye(2) - 2 * 0.03 * np.array([[18, 12], [12, 18]])
    before = np.array([1, -1]) + np.linalg.solve(step, published - [1, -1])
    kernel, _, losses = load("learned_kernel").learn(before.reshape(1, 1, 1, 2), None, 0.03, 1)
    assert [f"{number:.4f}" for number in kernel.ravel()] == ["0.9935", "-0.9952"]
    assert f"{losses[0]:.3f}" == "0.001"


def test_learned_kernel_prints_losses_and_kernels(capsys):
    said = printed("learned_kernel", capsys)
    assert "without a bias:\n  step  2, loss " in said
    assert "  step 20, loss " in said
    assert said.count("kernel [") == 2


@pytest.fixture(scope="module")
def lenet():
    return load("lenet")


@pytest.fixture
def invoke(lenet):
    """Return a function that runs LeNet with options, and returns how it ended and what it printed."""
    return lambda *options: CliRunner().invoke(lenet.main, [str(option) for option in options])


def curves(lenet, rate, torch_rate):
    """Return the losses of five steps on random images, in both."""
    rng = np.random.default_rng(0)
    data = lenet.Data(rng.random((12, 1, 28, 28)), rng.integers(0, 10, 12))
    parameters = lenet.initial_parameters(rng)
    networks = {"reference": lenet.in_reference(parameters, rate), "torch": lenet.in_torch(parameters, torch_rate)}
    return lenet.train(networks, data, rng, steps=5, batch=8)[0]


def test_lenet_on_digits(invoke, tmp_path):
    for module in ("sklearn", "matplotlib", "torch"):
        pytest.importorskip(module, reason=f"{module} is not installed")
    plot = tmp_path / "curves.png"
    result = invoke("--steps", 5, "--batch", 8, "--plot", plot)
    assert result.exit_code == 0, result.output
    assert "1,437 images to train on: 5 steps of 8 at rate 0.3, seed 0" in result.output
    assert "reference: loss from " in result.output
    assert "torch: loss from " in result.output
    assert float(re.search(r"difference of the losses: (\S+)", result.output).group(1)) <= PROMISED
    assert "accuracy on 360 images held out: 0." in result.output
    assert plot.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_lenet_learns_in_torch_as_in_the_reference(lenet):
    pytest.importorskip("torch", reason="torch is not installed")
    both = curves(lenet, 0.3, 0.3)
    assert lenet.differences(both).max() <= PROMISED
    assert len(set(both["reference"])) == 5
    np.testing.assert_array_equal(curves(lenet, 0.3, 0.3)["reference"], both["reference"])
    slightly_off = curves(lenet, 0.3, 0.3 * (1 + 2**-20))
    assert lenet.differences(slightly_off).max() > PROMISED


def test_lenet_has_the_shapes_of_the_worked_example(lenet):
    parameters = lenet.initial_parameters(np.random.default_rng(0))
    values = lenet.forward(parameters, np.zeros((2, 1, 28, 28)))
    shapes = [(6, 28, 28)] * 2 + [(6, 14, 14)] + [(16, 10, 10)] * 2 + [(16, 5, 5), (400,)]
    assert [value.shape[1:] for value in values[1:]] == [*shapes, *[(120,)] * 2, *[(84,)] * 2, (10,)]


@pytest.mark.parametrize("options", [["--no-torch"], []])
def test_lenet_without_torch(invoke, folder, monkeypatch, tmp_path, options):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    monkeypatch.setitem(sys.modules, "torch", None)
    result = invoke("--idx", folder, "--steps", 2, "--batch", 4, "--plot", tmp_path / "a.png", *options)
    assert result.exit_code == 0, result.output
    assert ("torch is not installed: the reference trains alone" in result.output) == (not options)
    assert "torch: loss" not in result.output
    assert "difference" not in result.output


@pytest.mark.parametrize("module", ["sklearn", "matplotlib"])
def test_lenet_says_what_to_install(invoke, folder, monkeypatch, tmp_path, module):
    monkeypatch.setitem(sys.modules, module, None)
    data = ["--idx", folder] if module == "matplotlib" else []
    result = invoke("--plot", tmp_path / "a.png", *data)
    assert result.exit_code == 1
    assert f"{module} is not installed: pip install '.[examples]'" in result.output


def test_lenet_refuses_a_batch_that_is_too_large(invoke, folder):
    result = invoke("--idx", folder, "--batch", 9)
    assert result.exit_code == 2
    assert "there are 8 images to train on" in result.output


def idx(array):
    """Return an array of bytes as an IDX file."""
    lengths = b"".join(n.to_bytes(4, "big") for n in array.shape)
    return bytes([0, 0, 8, array.ndim]) + lengths + array.astype(np.uint8).tobytes()


@pytest.fixture
def folder(tmp_path):
    """Return a folder of small IDX files: plain ones to train on, gzipped ones held out."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "idx"
    folder.mkdir()
    for part, count in (("train", 8), ("t10k", 4)):
        for name, shape, end in (("images-idx3-ubyte", (28, 28), 256), ("labels-idx1-ubyte", (), 10)):
            data = idx(rng.integers(0, end, (count, *shape)))
            if part == "train":
                (folder / f"train-{name}").write_bytes(data)
            else:
                (folder / f"t10k-{name}.gz").write_bytes(gzip.compress(data, mtime=0))
    return folder


def test_idx_files_are_read_back(lenet, tmp_path):
    for shape in ((3,), (3, 2, 4)):
        array = np.random.default_rng(1).integers(0, 256, shape)
        for name, data in (("plain", idx(array)), ("zipped.gz", gzip.compress(idx(array), mtime=0))):
            path = tmp_path / name
            path.write_bytes(data)
            read = lenet.read_idx(path, len(shape))
            assert read.dtype == np.uint8
            np.testing.assert_array_equal(read, array)


def test_a_folder_of_idx_files_is_read(lenet, folder):
    for part, count in (("train", 8), ("t10k", 4)):
        data = lenet.idx_data(folder, part)
        assert data.images.shape == (count, 1, 28, 28)
        assert 0 <= data.images.min() < 0.1 < 0.9 < data.images.max() <= 1
        assert data.labels.dtype == np.int64


GOOD = idx(np.arange(3))
ZIPPED = gzip.compress(GOOD, mtime=0)


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a", b"", "must begin with the bytes 00 00 08 01, not ''"),
        ("a", b"\1" + GOOD[1:], "must begin with the bytes 00 00 08 01, not '01 00 08 01'"),
        ("a", b"\0\0\x0d\1" + GOOD[4:], "must begin with the bytes 00 00 08 01, not '00 00 0d 01'"),
        ("a", idx(np.zeros((1, 1))), "must begin with the bytes 00 00 08 01, not '00 00 08 02'"),
        ("a", GOOD[:3], "must begin with the bytes 00 00 08 01, not '00 00 08'"),
        ("a", GOOD[:7], "ends before the lengths of its 1 axes do"),
        ("a", idx(np.zeros(0)), "cannot hold the 0 elements of its shape (0,)"),
        ("a", GOOD[:4] + b"\xff" * 4 + GOOD[8:], "cannot hold the 4,294,967,295 elements of its shape (4294967295,)"),
        ("a", GOOD[:-1], "must hold the 3 elements of its shape (3,), but holds 2"),
        ("a", GOOD + b"\0", "must hold the 3 elements of its shape (3,), but holds more"),
        ("a", GOOD[:4] + GOOD[7:3:-1] + GOOD[8:], "cannot hold the 50,331,648 elements"),  # little-endian
        ("a.gz", GOOD, "cannot be read: Not a gzipped file"),
        ("a.gz", b"", "must begin with the bytes 00 00 08 01, not ''"),
        ("a.gz", ZIPPED[:-9], "cannot be read: Compressed file ended"),
        ("a.gz", ZIPPED[:-8] + b"\0" * 8, "cannot be read: CRC check failed"),
        ("a.gz", ZIPPED[:10] + b"\xff" * 20, "cannot be read: Error -3 while decompressing"),
        ("a.gz", gzip.compress(GOOD[:4] + b"\xff" * 4, mtime=0), "cannot hold the 4,294,967,295 elements"),
        ("a.gz", gzip.compress(GOOD[:-1], mtime=0), "must hold the 3 elements of its shape (3,), but holds 2"),
        ("missing", None, "cannot be read: [Errno 2]"),
    ],
)
def test_idx_files_that_are_none_are_refused(lenet, tmp_path, name, data, reason):
    path = tmp_path / name
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(ValueError, match=re.escape(f"{path}: {reason}")):
        lenet.read_idx(path, 1)


@pytest.mark.parametrize(
    ("name", "array", "reason"),
    [
        ("images-idx3", np.zeros((8, 28, 27)), "train-images-idx3-ubyte: images must be 28 x 28, not 28 x 27"),
        ("labels-idx1", np.zeros(7), "train-labels-idx1-ubyte: has 7 labels for 8 images"),
        ("labels-idx1", np.full(8, 10), "train-labels-idx1-ubyte: labels must be 0 to 9, not 10"),
        ("labels-idx1", None, "has neither train-labels-idx1-ubyte nor train-labels-idx1-ubyte.gz"),
    ],
)
def test_idx_files_that_do_not_fit_are_refused(invoke, folder, name, array, reason):
    path = folder / f"train-{name}-ubyte"
    path.unlink() if array is None else path.write_bytes(idx(array))
    result = invoke("--idx", folder)
    assert result.exit_code == 1
    assert reason in result.output
    assert result.output.startswith(f"Error: {folder}")
