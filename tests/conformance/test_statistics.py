"""Bounds of statistics: each class of algorithms stays within its own, and not within a narrower one."""

from __future__ import annotations

import numpy as np
import pytest
from conformance_arithmetic import (
    ACCUMULATORS,
    assert_conforms,
    batch_norm,
    drawn_call,
    judge,
    textbook,
    two_pass,
    welford,
)
from conformance_cases import OPERATORS
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.fills import Fill
from conformance.formats import numpy_dtype
from conformance.model import Arithmetic, Outcome

KINDS = ("normal", "positive", "offset", "integers", "paired")


@pytest.mark.parametrize("dtype", ACCUMULATORS)
@pytest.mark.parametrize(
    ("variance", "compute"), [("two-pass", two_pass), ("updating", welford), ("textbook", textbook)]
)
@settings(max_examples=40, deadline=None)
@given(data=st.data(), folded=st.booleans())
def test_statistics_conform_under_their_class(dtype, variance, compute, data, folded):
    attributes, arrays = drawn_call(data, "batch_norm", dtype, KINDS[:4], "gradients")
    answer = batch_norm(arrays, attributes, compute, folded)
    assert_conforms("batch_norm", arrays, attributes, answer, Arithmetic.of(dtype, variance=variance))


def test_textbook_statistics_differ_where_two_passes_are_promised():
    arrays = {"input": Fill("offset", "float32", (64, 2), 3, 300).array()}
    attributes = {"training": True}
    answer = batch_norm(arrays, attributes, textbook)
    assert judge("batch_norm", arrays, attributes, answer, Arithmetic.of("float32")).outcome is Outcome.DIFFERS
    assert_conforms("batch_norm", arrays, attributes, answer, Arithmetic.of("float32", variance="textbook"))
    right = batch_norm(arrays, attributes, two_pass)
    assert_conforms("batch_norm", arrays, attributes, right, Arithmetic.of("float32"))


def test_statistics_that_are_kept_in_a_half_format_must_be_declared():
    arrays = {"input": Fill("offset", "bfloat16", (16, 3), 5, 30).array()}

    def rounded(rows):
        return tuple(part.astype(numpy_dtype("bfloat16")).astype(np.float32) for part in two_pass(rows))

    attributes = {"training": True}
    answer = batch_norm(arrays, attributes, rounded)
    assert judge("batch_norm", arrays, attributes, answer, Arithmetic.of("bfloat16")).outcome is Outcome.DIFFERS


@settings(max_examples=40, deadline=None)
@given(data=st.data(), dtype=st.sampled_from(("float16", "bfloat16")))
def test_half_statistics_conform_where_they_are_declared(data, dtype):
    attributes, arrays = drawn_call(data, "batch_norm", dtype, KINDS[:4], "gradients")
    if attributes.get("training") and "running_mean" in arrays:  # the old statistics are kept in the dtype anyway
        answer = batch_norm(arrays, attributes, two_pass)
        narrow = numpy_dtype(dtype).type
        share, kept = narrow(attributes.get("momentum", 0.1)), {}
        _, mean, var = batch_norm(arrays, {**attributes, "momentum": 1.0}, two_pass)
        for name, new in (("running_mean", mean), ("running_var", var)):
            kept[name] = (narrow(1 - share) * arrays[name] + share * new).astype(narrow)
        answer = (answer[0], kept["running_mean"], kept["running_var"])
        assert_conforms("batch_norm", arrays, attributes, answer, Arithmetic.of(dtype, partials=1))


@settings(max_examples=40, deadline=None)
@given(data=st.data(), training=st.booleans())
def test_exact_statistics_leave_no_room(data, training):
    channels, half = data.draw(st.integers(1, 3)), data.draw(st.sampled_from((1, 2, 4)))
    seed = data.draw(st.integers(0, 999))
    arrays = {
        "input": Fill("paired", "float32", (2 * half, channels), seed, 1).array().astype(np.float64),
        "running_mean": Fill("integers", "float32", (channels,), seed, 4).array().astype(np.float64),
        "running_var": Fill("roots", "float32", (channels,), seed, 3).array().astype(np.float64),
    }
    attributes = {"eps": 3.0, "training": training}
    expected = OPERATORS["batch_norm"].reference(**arrays, **attributes)._asdict()

    def room(**changes):
        bounds = OPERATORS["batch_norm"].bounds(arrays, attributes, expected, Arithmetic.of("float32", **changes))
        return bounds["output"].absolute

    assert not room().any()
    assert room(variance="updating").any() == training  # an update divides by every number up to m
    assert room(input_bits=11).all()
    arrays["input"] = arrays["input"] + 0.25
    expected = OPERATORS["batch_norm"].reference(**arrays, **attributes)._asdict()
    assert room().all()
