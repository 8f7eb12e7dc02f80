"""Answers: what becomes of what a backend returns or raises, and the bytes in which it leaves a worker."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from conformance_cases import LINE, relu_backend
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from conformance.answers import (
    LARGEST_ANSWER,
    LENGTHS,
    LONGEST_MESSAGE,
    NOTHING,
    Limits,
    Raised,
    answer,
    packed,
    unpacked,
)
from conformance.formats import numpy_dtype
from conformance.lines import parse

BFLOAT16 = numpy_dtype("bfloat16")
KINDS = st.one_of(
    npst.boolean_dtypes(),
    npst.integer_dtypes(endianness="?"),
    npst.floating_dtypes(endianness="?"),
    npst.complex_number_dtypes(endianness="?"),
)
SHAPES = npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
ARRAYS = st.builds(lambda dtype, shape: np.arange(np.prod(shape)).reshape(shape).astype(dtype), KINDS, SHAPES)


def answered(binding):
    return answer(relu_backend(bindings={"relu": binding}), parse(LINE))


def through(found):
    """Return an answer as its bytes bring it, and check that they are all used."""
    data = b"".join(map(bytes, packed(found, 7)))
    again, length = unpacked(memoryview(data), 7)
    assert length == len(data)
    return again


def same(a, b):
    return (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())


@given(st.lists(st.none() | ARRAYS | ARRAYS.map(np.transpose), max_size=4))
def test_arrays_come_through_bit_by_bit(arrays):
    again = through(arrays)
    assert len(again) == len(arrays)
    assert all(b is None if a is None else same(a, b) for a, b in zip(arrays, again, strict=True))


def test_bfloat16_and_strides_come_through():
    array = np.arange(12, dtype=np.float32).astype(BFLOAT16).reshape(3, 4)[::-1, ::2]
    (again,) = through([array])
    assert same(array, again)


@given(st.text(), st.text())
def test_what_was_raised_comes_through(kind, message):
    assert through(Raised(kind, message)) == Raised(kind, message)


def test_several_answers_are_read_one_after_the_other():
    found = [[np.ones((2, 3), np.float32)], Raised("A", "b"), [None, np.zeros(5, np.int64)]]
    data = memoryview(b"".join(bytes(piece) for each in found for piece in packed(each, 7)))
    (first,), length = unpacked(data, 7)
    second, more = unpacked(data[length:], 7)
    third, rest = unpacked(data[length + more :], 7)
    assert same(first, found[0][0])
    assert second == found[1]
    assert same(third[1], found[2][1])
    assert length + more + rest == len(data)


@pytest.mark.parametrize("shape", [(10**9, 10**9), (LARGEST_ANSWER + 1,)])
def test_what_is_too_large_to_bring_back_comes_without_its_values(shape):
    (again,) = through([np.broadcast_to(np.int8(1), shape)])
    assert again.shape == shape
    assert again.dtype == NOTHING.dtype


@pytest.mark.parametrize("value", ["text", object(), np.array([None, 1]), np.array("2026-01-01", "datetime64[D]")])
def test_what_holds_no_numbers_says_so_by_its_dtype(value):
    (found,) = answered(lambda **_: value)
    assert found.dtype == NOTHING.dtype
    assert found.shape == np.shape(value)


def test_an_exception_that_cannot_say_what_it_is_harms_nobody():
    class Worse(Exception):  # noqa: N818
        def __str__(self):
            raise RuntimeError

    def raises(**_):
        raise Worse

    assert answered(raises) == Raised("Worse", "(its message raises RuntimeError)")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "[1]",
        "{}",
        '{"kind": 1}',
        "[[]]",
        '[["|O", 2]]',
        '[["|V8", 2]]',
        '[["<M8[s]", 2]]',
        '[["<f4", -1]]',
        '[["<f4", 1.5]]',
        '[["<f4", "2"]]',
        '[["<f4", 1000]]',
        '[["<f4", 4611686018427387904, 4]]',
        '[["no such dtype", 2]]',
        "[" * 100_000,
    ],
)
def test_bytes_that_are_no_answer_are_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011  (of NumPy, of JSON or of this module)
        unpacked(memoryview(LENGTHS.pack(7, len(text)) + text.encode() + bytes(100)), 7)


def test_an_answer_of_another_time_is_refused():
    data = b"".join(map(bytes, packed(Raised("A", "b"), 6)))
    with pytest.raises(ValueError, match="not the answer 7, but 6"):
        unpacked(memoryview(data), 7)


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_be_refused(data):
    with suppress(ValueError):
        unpacked(memoryview(data), 7)


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        ({"seconds": 0}, "limit_seconds=0: must be above 0, and at most 1000000"),
        ({"seconds": float("nan")}, "limit_seconds=nan: must be above 0"),
        ({"seconds": float("inf")}, "limit_seconds=inf: must be above 0"),
        ({"mebibytes": 2**31}, "limit_mebibytes=2147483648: must be 0"),
        ({"mebibytes": -1}, "limit_mebibytes=-1: must be 0, which is no limit, to"),
    ],
)
def test_limits_that_are_none_are_refused(limits, text):
    with pytest.raises(ValueError, match=text):
        Limits(**limits)


def test_long_messages_are_cut():
    def raises(**_):
        raise ValueError("x" * 10**6)

    assert answered(raises) == Raised("ValueError", "x" * LONGEST_MESSAGE)


def test_messages_hold_no_addresses():
    def raises(**_):
        raise ValueError(f"bad {object()}")

    assert answered(raises) == Raised("ValueError", "bad <object object at 0x...>")
