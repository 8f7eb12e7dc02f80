"""The package as a whole: what it imports, what it offers, and the dialects."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import numpy as np
import pytest

import reference
from reference import CEIL_RULES, dialects
from reference.activation import RELU_NAN_RULES
from reference.norm_arguments import MOMENTUM_WEIGHTS, VARIANCES
from reference.max_pooling import NAN_RULES
from reference.windows import SAME_SIDES

SOURCES = sorted(Path(reference.__file__).parent.rglob("*.py"))

# -S keeps site-packages' startup files from importing anything before the finder is in place.
ALONE = """
import sys
sys.path[:0] = sys.argv[1:]

class NothingElse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in {"numpy", "reference", *sys.stdlib_module_names}:
            raise ImportError(f"{name} is not to be imported")

sys.meta_path.insert(0, NothingElse())
import reference
print(reference.conv1d([[[1, 2]]], [[[1, 10]]]))
"""


def test_it_works_with_numpy_alone():
    folders = {str(Path(module.__file__).parent.parent) for module in (reference, np)}
    run = subprocess.run(
        [sys.executable, "-S", "-c", ALONE, *sorted(folders)], capture_output=True, text=True, check=False
    )
    assert run.stdout == "[[[21]]]\n", run.stderr


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_it_imports_numpy_itself_and_the_standard_library(path):
    imported = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide what is imported"
            imported.add(node.module)
    assert {name.partition(".")[0] for name in imported} <= {"numpy", "reference", *sys.stdlib_module_names}


def test_the_textbook_shares_no_arithmetic_with_the_fast_forms():
    tree = ast.parse(Path(reference.textbook.__file__).read_text(encoding="utf-8"))
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name for name in modules if name.startswith("reference")} == {"reference.arrays"}


def test_every_public_name_exists_and_is_described():
    assert reference.__all__ == sorted(set(reference.__all__), key=reference.__all__.index)
    for name in reference.__all__:
        value = getattr(reference, name)
        assert not callable(value) or inspect.getdoc(value), name


ALLOWED = {
    "convolution": {"cross_correlation", "convolution"},
    "layout": {"nc*", "n*c", "*"},
    "kernel_layout": {"oi*", "*io", "*"},
    "pool_ceil": set(CEIL_RULES),
    "same_side": set(SAME_SIDES),
    "running_variance": set(VARIANCES),
    "momentum_weights": set(MOMENTUM_WEIGHTS),
    "max_pool_nan": set(NAN_RULES),
    "relu_nan": set(RELU_NAN_RULES),
    "index_scope": {"spatial", "tensor"},
}


@pytest.mark.parametrize("dialect", dialects.DIALECTS.values(), ids=lambda dialect: dialect.name)
def test_dialects_speak_in_words_that_the_references_take(dialect):
    assert dialects.DIALECTS[dialect.name] is dialect
    assert dialect.source.startswith("https://")
    assert {f.name for f in fields(dialect)} == {"name", "source", *ALLOWED}
    for name, words in ALLOWED.items():
        assert getattr(dialect, name) in words | {None}
    assert dialect.convolution is not None
    with pytest.raises(FrozenInstanceError):
        dialect.name = "other"


def default(function, argument):
    return inspect.signature(function).parameters[argument].default


def test_the_defaults_are_those_of_pytorch():
    pytorch = dialects.PYTORCH
    assert default(reference.batch_norm, "running_variance") == pytorch.running_variance
    assert default(reference.batch_norm, "momentum_weights") == pytorch.momentum_weights
    assert default(reference.max_pool2d, "nan") == pytorch.max_pool_nan
    assert default(reference.relu, "nan") == pytorch.relu_nan
    assert default(reference.same_padding, "side") == pytorch.same_side
    sizes = [reference.pool_output_size(2, 1, 2, ceil_mode=rule) for rule in (True, pytorch.pool_ceil)]
    assert sizes[0] == sizes[1]


def test_caffe_keeps_a_window_that_pytorch_drops():
    windows = {
        name: reference.pool_output_size(2, 1, 2, ceil_mode=dialects.DIALECTS[name].pool_ceil)
        for name in ("pytorch", "onnx", "caffe")
    }
    assert windows == {"pytorch": 1, "onnx": 1, "caffe": 2}


def test_onnx_keeps_other_running_statistics_than_pytorch():
    x, old = [[1.0], [3.0]], ([0.0], [0.0])
    kept = {}
    for dialect in (dialects.PYTORCH, dialects.ONNX):
        result = reference.batch_norm(
            x,
            *old,
            training=True,
            momentum=0.75,
            running_variance=dialect.running_variance,
            momentum_weights=dialect.momentum_weights,
        )
        kept[dialect.name] = (*result.running_mean, *result.running_var)
    assert kept == {"pytorch": (1.5, 1.5), "onnx": (0.5, 0.25)}


def test_scipy_speaks_of_convolution_as_signal_processing_does():
    assert dialects.SCIPY.convolution == "convolution"
    assert {d.convolution for d in dialects.DIALECTS.values() if d is not dialects.SCIPY} == {"cross_correlation"}
