"""Bounds of sums: honest arithmetic of every kind stays within them, and what is not honest does not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from conformance_arithmetic import (
    ACCUMULATORS,
    ORDERS,
    assert_conforms,
    backwards,
    cut,
    drawn_call,
    fused_one_by_one,
    judge,
    one_by_one,
    pairwise,
    summed,
    tensor_core,
    transposed,
)
from conformance_cases import OPERATORS
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.bounds import UNLIKELY, copies, gamma, sum_of_products
from conformance.fills import Fill
from conformance.formats import format_of, numpy_dtype, round_bits
from conformance.model import Arithmetic, Outcome

SUMS = ["conv1d", "conv2d", "conv3d", "linear", "avg_pool1d", "avg_pool2d", "avg_pool3d"]


@pytest.mark.parametrize("dtype", ACCUMULATORS)
@pytest.mark.parametrize("name", SUMS)
@settings(max_examples=25)
@given(data=st.data())
def test_sums_in_any_order_conform(name, dtype, data):
    attributes, arrays = drawn_call(data, name, dtype)
    for order in ORDERS:
        answer = summed(name, arrays, attributes, order, ACCUMULATORS[dtype])
        assert_conforms(name, arrays, attributes, answer, Arithmetic.of(dtype))


@pytest.mark.parametrize("name", ["conv2d", "linear", "avg_pool2d"])
@settings(max_examples=15)
@given(data=st.data())
def test_wider_sums_and_fused_multiply_add_conform(name, data):
    attributes, arrays = drawn_call(data, name, "float32")
    wide = summed(name, arrays, attributes, one_by_one, np.float64).astype(np.float32)
    assert_conforms(name, arrays, attributes, wide, Arithmetic.of("float32"))
    fused = summed(name, arrays, attributes, fused_one_by_one, np.float64).astype(np.float32)
    assert_conforms(name, arrays, attributes, fused, Arithmetic.of("float32"))


@pytest.mark.parametrize("dtype", ACCUMULATORS)
@pytest.mark.parametrize("name", ["conv_transpose1d", "conv_transpose2d", "conv_transpose3d"])
@settings(max_examples=12)
@given(data=st.data(), back=st.booleans())
def test_scattered_sums_conform(name, dtype, data, back):
    attributes, arrays = drawn_call(data, name, dtype)
    accumulator = ACCUMULATORS[dtype]
    answer = transposed(arrays, attributes, accumulator, accumulator, back)
    assert_conforms(name, arrays, attributes, answer, Arithmetic.of(dtype))


@settings(max_examples=40)
@given(data=st.data(), dtype=st.sampled_from(("float16", "bfloat16")))
def test_partial_sums_in_the_output_format_conform_where_they_are_declared(data, dtype):
    attributes, arrays = drawn_call(data, "conv_transpose2d", dtype)
    taps = math.prod(arrays["weight"].shape[2:])
    answer = transposed(arrays, attributes, np.float32, numpy_dtype(dtype))
    assert_conforms("conv_transpose2d", arrays, attributes, answer, Arithmetic.of(dtype, partials=taps + 1))


def test_partial_sums_in_the_output_format_differ_where_they_are_not_declared():
    arrays = {
        "input": Fill("normal", "bfloat16", (2, 3, 6), 1).array(),
        "weight": Fill("normal", "bfloat16", (3, 2, 5), 2).array(),
    }
    answer = transposed(arrays, {}, np.float32, numpy_dtype("bfloat16"))
    assert judge("conv_transpose1d", arrays, {}, answer, Arithmetic.of("bfloat16")).outcome is Outcome.DIFFERS
    assert_conforms("conv_transpose1d", arrays, {}, answer, Arithmetic.of("bfloat16", partials=6))


@pytest.mark.parametrize("read", [round_bits, cut], ids=["rounded", "truncated"])
@settings(max_examples=60)
@given(data=st.data(), name=st.sampled_from(("conv1d", "conv2d", "linear")))
def test_operands_read_with_11_bits_conform_where_that_is_declared(read, data, name):
    attributes, arrays = drawn_call(data, name, "float32")
    answer = summed(
        name, arrays, attributes, one_by_one, np.float32, lambda a: read(a.astype(np.float64), 11).astype("f4")
    )
    assert_conforms(name, arrays, attributes, answer, Arithmetic.of("float32", input_bits=11))


def test_operands_read_with_11_bits_differ_where_that_is_not_declared():
    arrays = {
        "input": Fill("normal", "float32", (4, 9), 1).array(),
        "weight": Fill("normal", "float32", (5, 9), 2).array(),
    }
    answer = summed(
        "linear", arrays, {}, one_by_one, np.float32, lambda a: round_bits(a.astype(np.float64), 11).astype("f4")
    )
    finding = judge("linear", arrays, {}, answer, Arithmetic.of("float32"))
    assert finding.outcome is Outcome.DIFFERS
    assert finding.share > 10
    # Nor is there room for them where the data have no more bits than are read.
    short = {k: round_bits(v.astype(np.float64), 11).astype(np.float32) for k, v in arrays.items()}
    wrong = summed(
        "linear", short, {}, one_by_one, np.float32, lambda a: round_bits(a.astype(np.float64), 8).astype("f4")
    )
    arithmetic = Arithmetic.of("float32", input_bits=11)
    assert judge("linear", short, {}, wrong, arithmetic).outcome is Outcome.DIFFERS
    assert_conforms("linear", short, {}, summed("linear", short, {}, one_by_one, np.float32), arithmetic)


@pytest.mark.parametrize("block", [4, 8, 16])
@settings(max_examples=25)
@given(data=st.data(), name=st.sampled_from(("conv2d", "linear")), dtype=st.sampled_from(("float32", "float16")))
def test_aligned_and_truncated_sums_conform_where_they_are_declared(block, data, name, dtype):
    attributes, arrays = drawn_call(data, name, dtype)
    answer = summed(name, arrays, attributes, tensor_core(block), np.float64)
    assert_conforms(name, arrays, attributes, answer, Arithmetic.of(dtype, truncating=True))


def test_truncation_differs_where_it_is_not_declared():
    # Every addition of 1 + 2**-24 to a total loses the last bit, always downwards.
    arrays = {"input": np.full((3, 64), 1 + 2.0**-23, np.float32), "weight": np.full((2, 64), 1 + 2.0**-23, np.float32)}
    answer = summed("linear", arrays, {}, tensor_core(4), np.float64)
    arithmetic = Arithmetic.of("float32")
    rounded = summed("linear", arrays, {}, one_by_one, np.float32)
    assert_conforms("linear", arrays, {}, rounded, arithmetic)
    worse = judge("linear", arrays, {}, answer, arithmetic)
    declared = judge("linear", arrays, {}, answer, Arithmetic.of("float32", truncating=True))
    assert declared.outcome is Outcome.CONFORMS
    assert worse.share > declared.share


def test_integers_that_fill_the_accumulator_leave_no_room_but_for_truncation():
    x, w = np.array([[2.0**12, 2.0**12]]), np.array([[2.0**11, 2.0**11]])

    def bound(**changes):
        return sum_of_products(x @ w.T, 2, x @ w.T, [x, w], Arithmetic.of("float32", **changes)).absolute

    assert not bound().any()  # 2**24 in all
    assert bound(truncating=True).all()  # an aligned sum keeps one bit less
    assert bound(input_bits=11).max() == 0  # powers of two survive any reading
    x = x + 1
    assert bound(input_bits=11).all()


def flushed(values):
    return np.where(np.abs(values) < format_of("float32").least_normal, 0, values).astype(np.float32)


def test_flushed_subnormals_conform_where_they_are_declared_and_differ_elsewhere():
    least = format_of("float32").least_normal
    arrays = {"input": np.full((2, 3), 0.3 * least, np.float32), "weight": np.full((2, 3), 0.25, np.float32)}
    exact = summed("linear", arrays, {}, one_by_one, np.float32)
    answer = flushed(summed("linear", arrays, {}, one_by_one, np.float32))
    assert not answer.any()
    assert exact.all()
    assert_conforms("linear", arrays, {}, exact, Arithmetic.of("float32"))
    assert judge("linear", arrays, {}, answer, Arithmetic.of("float32")).outcome is Outcome.DIFFERS
    assert_conforms("linear", arrays, {}, answer, Arithmetic.of("float32", flushes=True))


def test_subnormal_results_of_half_formats_conform():
    arrays = {"input": np.full((2, 3), 2.0**-16, np.float16), "weight": np.full((2, 3), 0.3, np.float16)}
    assert_conforms("linear", arrays, {}, summed("linear", arrays, {}, backwards, np.float32), Arithmetic.of("float16"))
    gone = np.zeros((2, 2), np.float16)
    assert judge("linear", arrays, {}, gone, Arithmetic.of("float16")).outcome is Outcome.DIFFERS
    assert_conforms("linear", arrays, {}, gone, Arithmetic.of("float16", flushes=True))


def test_a_partial_sum_that_may_overflow_waives_its_output():
    big = np.float32(3e38)
    arrays = {"input": np.array([[big, big, -big], [1, 1, 1]], np.float32), "weight": np.ones((1, 3), np.float32)}
    with np.errstate(over="ignore"):
        answer = summed("linear", arrays, {}, one_by_one, np.float32)
        other = summed("linear", arrays, {}, backwards, np.float32)
    assert np.isposinf(answer[0, 0])
    assert other[0, 0] == big
    for given_back in (answer, other):
        assert_conforms("linear", arrays, {}, given_back, Arithmetic.of("float32"))
    # In a half format whose sums are kept in float32 nothing overflows on the way, but with partial sums it does.
    x, w = np.array([[6e4, 6e4, -6e4]]), np.ones((1, 3))
    half = Arithmetic.of("float16")
    assert np.isfinite(sum_of_products(np.abs(x) @ w.T, 3, x @ w.T, [x, w], half).absolute).all()
    stored = Arithmetic.of("float16", partials=3)
    assert np.isposinf(sum_of_products(np.abs(x) @ w.T, 3, x @ w.T, [x, w], stored).absolute).all()


def test_a_float16_sum_that_overflows_must_be_infinite():
    arrays = {"input": np.full((1, 2), 4e4, np.float16), "weight": np.ones((1, 2), np.float16)}
    answer = summed("linear", arrays, {}, one_by_one, np.float32)
    assert np.isposinf(answer).all()
    assert_conforms("linear", arrays, {}, answer, Arithmetic.of("float16"))
    saturated = np.full((1, 1), 65504, np.float16)
    assert judge("linear", arrays, {}, saturated, Arithmetic.of("float16")).outcome is Outcome.DIFFERS


@pytest.mark.parametrize("n", [1, 7, 1000])
def test_gamma_bounds_what_n_roundings_add_up_to(n):
    u = 2.0**-11
    worst = abs(math.prod([1 + u] * n) - 1)
    assert worst <= gamma(n, u)
    assert gamma(n, u) <= 2 * n * u or n * u > 0.5
    assert gamma(2**11, u) == math.inf


def test_copies_leave_no_room():
    bounds = copies({"output": np.ones((2, 3)), "indices": np.ones(2)}, zero_sign=True)
    assert {k: b.absolute.shape for k, b in bounds.items()} == {"output": (2, 3), "indices": (2,)}
    assert not any(b.absolute.any() or b.squares is not None for b in bounds.values())
    assert all(b.zero_sign for b in bounds.values())


def squares_of(shape=(8, 16), seed=0, **changes):
    x, w = Fill("normal", "float32", shape, seed).array(), Fill("normal", "float32", (4, shape[1]), seed + 1).array()
    x, w = x.astype(np.float64), w.astype(np.float64)
    arithmetic = Arithmetic.of(changes.pop("dtype", "float32"), **changes)
    return sum_of_products(np.abs(x) @ np.abs(w).T, shape[1], x @ w.T, [x, w], arithmetic)


def test_squared_errors_are_bounded_only_where_roundings_are_independent():
    assert squares_of().squares > 0
    assert squares_of(dtype="float16").squares > 0
    assert squares_of(truncating=True).squares is None
    assert squares_of(partials=2).squares is None
    assert squares_of(input_bits=11).squares is None
    assert squares_of((0, 4)).squares is None  # nothing to add up


def test_the_bound_on_squares_is_tighter_than_the_bounds_of_all_elements():
    bound = squares_of((64, 100))
    assert bound.squares < np.square(bound.absolute).sum() / 20
    assert UNLIKELY == 40


def test_errors_that_are_all_alike_break_the_bound_on_squares():
    x = Fill("positive", "float32", (64, 100), 1).array()
    w = Fill("positive", "float32", (16, 100), 2).array()
    arrays = {"input": x, "weight": w}
    right = summed("linear", arrays, {}, pairwise, np.float32)
    assert_conforms("linear", arrays, {}, right, Arithmetic.of("float32"))
    wrong = (right.astype(np.float64) * (1 + 2.0**-19)).astype(np.float32)  # every one is within its own bound
    finding = judge("linear", arrays, {}, wrong, Arithmetic.of("float32"))
    assert finding.outcome is Outcome.DIFFERS
    assert "squared errors" in finding.reason


def test_a_mean_is_exact_where_its_divisor_is_a_power_of_two():
    x = Fill("integers", "float32", (2, 1, 8), 1, 9).array().astype(np.float64)
    for kernel, room in ((4, False), (3, True)):
        expected = {"output": OPERATORS["avg_pool1d"].reference(x, kernel)}
        attributes = {"kernel_size": kernel}
        bound = OPERATORS["avg_pool1d"].bounds({"input": x}, attributes, expected, Arithmetic.of("float32"))
        assert bound["output"].absolute.any() == room
