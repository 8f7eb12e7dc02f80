"""The dialects: their words, their sources, the page that shows them, and what they make the references do."""

from __future__ import annotations

import inspect
from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest

import reference
from reference import CEIL_RULES
from reference.activation import RELU_NAN_RULES
from reference.dialects import CAFFE, DIALECTS, ONNX, PYTORCH, SCIPY
from reference.local_response import EXTRA_SIDES, SCALES
from reference.lp_pooling import OVERHANG_RULES, SIGN_RULES
from reference.max_pooling import NAN_RULES
from reference.norm_arguments import MOMENTUM_WEIGHTS, VARIANCES
from reference.vjp.elementwise import KINK_RULES
from reference.vjp.max_pooling import TIES
from reference.windows import SAME_SIDES

PAGE = Path(__file__).parents[2] / "docs" / "dialects.md"

WORDS = {
    "convolution": ("cross_correlation", "convolution"),
    "layout": ("nc*", "n*c", "*"),
    "kernel_layout": ("oi*", "*io", "o*i", "*"),
    "pool_ceil": CEIL_RULES,
    "same_side": SAME_SIDES,
    "running_variance": VARIANCES,
    "momentum_weights": MOMENTUM_WEIGHTS,
    "max_pool_nan": NAN_RULES,
    "relu_nan": RELU_NAN_RULES,
    "index_scope": ("spatial", "sample", "tensor"),
    "index_order": ("row", "column"),
    "max_pool_ties": TIES,
    "kink": tuple(KINK_RULES),
    "lp_sign": SIGN_RULES,
    "lp_overhang": OVERHANG_RULES,
    "lrn_extra": EXTRA_SIDES,
    "lrn_scale": SCALES,
}


def test_every_convention_has_its_words():
    assert [f.name for f in fields(PYTORCH)] == ["name", "sources", *WORDS]


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=lambda dialect: dialect.name)
def test_dialects_speak_in_words_that_the_references_take(dialect):
    assert DIALECTS[dialect.name] is dialect
    for convention, words in WORDS.items():
        assert getattr(dialect, convention) in (*words, None)


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=lambda dialect: dialect.name)
def test_every_word_has_a_source_and_nothing_else_has(dialect):
    assert set(dialect.sources) == {name for name in WORDS if getattr(dialect, name) is not None}
    assert all(source.startswith("https://") for source in dialect.sources.values())


def test_dialects_are_constants():
    with pytest.raises(FrozenInstanceError):
        PYTORCH.name = "other"
    with pytest.raises(TypeError):
        PYTORCH.sources["name"] = "other"
    assert len(set(DIALECTS.values())) == len(DIALECTS)


def table():
    """Return the table of the page: a row for each convention, a column for each framework, and all sources."""
    numbers = {}

    def cell(dialect, convention):
        if convention not in dialect.sources:
            return "-"
        source = dialect.sources[convention]
        link = f"[`{getattr(dialect, convention)}`][{numbers.setdefault(source, len(numbers) + 1)}]"
        return f"*{link}*" if source.startswith("https://github.com/") else link

    rows = [["convention", *DIALECTS], ["---"] * (len(DIALECTS) + 1)]
    rows += [[f"`{name}`", *(cell(dialect, name) for dialect in DIALECTS.values())] for name in WORDS]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([*lines, "", *(f"[{number}]: {source}" for source, number in numbers.items())])


def test_the_page_shows_the_table():
    assert table() in PAGE.read_text(encoding="utf-8"), f"docs/dialects.md needs this table:\n{table()}"


def test_the_page_says_what_every_word_means():
    sections = dict(part.split("\n", 1) for part in PAGE.read_text(encoding="utf-8").split("\n### ")[1:])
    assert list(sections) == list(WORDS)
    missing = {(name, word) for name, words in WORDS.items() for word in words if f"`{word}`" not in sections[name]}
    assert not missing


ARGUMENTS = [
    ("same_side", reference.same_padding, "side"),
    ("running_variance", reference.batch_norm, "running_variance"),
    ("momentum_weights", reference.batch_norm, "momentum_weights"),
    ("max_pool_nan", reference.max_pool2d, "nan"),
    ("relu_nan", reference.relu, "nan"),
    ("max_pool_ties", reference.vjp.max_pool2d, "ties"),
    ("kink", reference.vjp.relu, "kink"),
    ("lp_sign", reference.lp_pool2d, "sign_rule"),
    ("lp_overhang", reference.lp_pool2d, "overhang"),
    ("lrn_extra", reference.local_response_norm, "extra"),
    ("lrn_scale", reference.local_response_norm, "scale"),
]


@pytest.mark.parametrize(("convention", "function", "argument"), ARGUMENTS)
def test_the_defaults_are_those_of_pytorch(convention, function, argument):
    assert inspect.signature(function).parameters[argument].default == getattr(PYTORCH, convention)


def test_a_ceil_mode_without_a_rule_is_that_of_pytorch():
    for call in ((2, 1, 2), (4, 2, 3, 1)):
        plain, named = (reference.pool_output_size(*call, ceil_mode=rule) for rule in (True, PYTORCH.pool_ceil))
        assert plain == named


def test_caffe_keeps_a_window_that_pytorch_drops():
    dialects = (PYTORCH, ONNX, CAFFE)
    windows = {d.name: reference.pool_output_size(2, 1, 2, ceil_mode=d.pool_ceil) for d in dialects}
    assert windows == {"pytorch": 1, "onnx": 1, "caffe": 2}


def test_onnx_keeps_other_running_statistics_than_pytorch():
    x, old = [[1.0], [3.0]], ([0.0], [0.0])
    kept = {}
    for dialect in (PYTORCH, ONNX):
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
    assert SCIPY.convolution == "convolution"
    assert {d.convolution for d in DIALECTS.values() if d is not SCIPY} == {"cross_correlation"}
