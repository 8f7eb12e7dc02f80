"""Which cell a line belongs to, whatever the manner of its call, and what a replay of it shows."""

from __future__ import annotations

from dataclasses import replace

import pytest
from conformance_cases import OPERATORS, numpy_backend
from failing_backends import FLIPPED, LEAKY, WRITING

from conformance.discovery import UsageError
from conformance.lines import parse
from conformance.model import Outcome
from conformance.replay import cell_of, replay

CONV = "conv2d(input=ramp(float32[1,1,3,3]), weight=ramp(float32[1,1,2,2]))"
GRADIENT = "vjp.relu(cotangent=ramp(float32[4]), input=integers(float32[4]))"


@pytest.mark.parametrize(
    ("line", "check"),
    [
        (CONV, "values"),
        (CONV.replace("ramp", "nans"), "special"),
        (CONV[:-1] + ", stride=0)", "rejections"),
        (CONV.replace("3,3]", '3,3], layout="strided"'), "layouts"),
        (GRADIENT, "gradients"),
        (GRADIENT.replace("[4])", '[4], layout="strided")'), "layouts"),
        (f"repeat.{CONV}", "purity"),
        (f"oddness.{CONV}", "laws"),
    ],
)
def test_a_line_belongs_to_the_check_that_its_data_and_its_manner_call_for(line, check):
    assert cell_of(parse(line), numpy_backend()).check.name == check


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (f"often.{CONV}", "'often' must be one of vjp, repeat"),
        ("saturation.linear(input=ramp(float32[2]), weight=ramp(float32[2]))", "the law speaks of elu"),
        (CONV.replace("3,3]", '3,3], layout="upside_down"'), "must be one that honest names: channels_last"),
        (GRADIENT.replace("cotangent", "weight"), "vjp.relu: missing a required argument"),
    ],
)
def test_what_no_cell_asks_is_wrong_usage(line, told):
    with pytest.raises(UsageError, match=told):
        cell_of(parse(line), numpy_backend())


def test_an_operator_may_have_no_gradient(monkeypatch):
    monkeypatch.setattr("conformance.replay.operators", lambda: {"relu": replace(OPERATORS["relu"], gradient=None)})
    with pytest.raises(UsageError, match="relu has no gradient"):
        cell_of(parse(GRADIENT), numpy_backend())


def test_a_backend_without_layouts_names_none():
    with pytest.raises(UsageError, match="names: none"):
        cell_of(parse(CONV.replace("3,3]", '3,3], layout="strided"')), numpy_backend(layouts={}))


def test_a_replay_ends_with_what_the_failure_looks_like():
    verdict, text = replay(cell_of(parse(CONV), FLIPPED), parse(CONV))
    assert text.splitlines()[-1] == "behaves as if the kernel is flipped: a convolution, not a cross-correlation"
    assert verdict.details["diagnosis"] == text.splitlines()[-1]


def test_a_replay_of_gradients_or_of_several_calls_shows_no_window():
    for backend, line in ((LEAKY, GRADIENT), (WRITING, "repeat.relu(input=integers(float32[4]))")):
        verdict, text = replay(cell_of(parse(line), backend), parse(line))
        assert verdict.outcome is Outcome.DIFFERS
        assert "worst element" in text
        assert "window" not in text


def test_a_check_that_asks_nothing_of_the_operator_is_refused():
    with pytest.raises(UsageError, match="check='laws': asks nothing of conv_matrix"):
        cell_of(parse("conv_matrix(weight=ramp(float32[1,1,2]), input_size=(3,))"), numpy_backend(), "laws")


def test_a_line_that_is_to_be_refused_may_be_replayed_under_another_check():
    leaky = numpy_backend(bindings={"hardtanh": lambda input, **_: input})
    case = parse("hardtanh(input=ramp(float32[4]), min_val=3.0, max_val=1.0)")
    verdict, text = replay(cell_of(case, leaky, "gradients"), case)
    assert verdict.outcome is Outcome.DIFFERS
    assert "expected: a refusal" in text
