"""Gradients of convolutions: exact difference quotients, and the adjoint identity bit for bit, on whole numbers.

Agreement with PyTorch is in tests/agreements, correct rounding in test_exactness.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference_cases import assert_same, conv_calls, integers, sizes

import reference

MODES = ["zeros", "replicate", "reflect", "circular"]


def inner(a, b):
    """Return <a, b>, conjugating the second: a whole number, exact."""
    return (np.asarray(a) * np.conj(b)).sum()


def assert_gradients(function, gradient, arrays, attributes, seed):
    """Check what `gradient` yields for a function that is linear in every array: two ways, no rounding in either."""
    output = function(**arrays, **attributes)
    dtype = np.result_type(output, *arrays.values())
    cotangent = integers(output.shape, seed, dtype)
    gradients = gradient(cotangent, **arrays, **attributes)
    for i, (name, array) in enumerate(arrays.items()):
        slope = getattr(gradients, name) if isinstance(gradients, tuple) else gradients
        assert slope.shape == array.shape
        assert slope.dtype == dtype
        step = integers(array.shape, seed + i + 1, array.dtype)
        moved = function(**{**arrays, name: array + step}, **attributes)
        assert inner(moved - output, cotangent) == inner(step, slope)  # <A x, y> = <x, A' y>
        for index in np.random.default_rng(seed).permutation(array.size)[:5]:
            unit = np.zeros(array.size, array.dtype)
            unit[index] = 1
            moved = function(**{**arrays, name: array + unit.reshape(array.shape)}, **attributes)
            assert inner(cotangent, moved - output) == slope.ravel()[index]  # the difference quotient


def of_rank(module, name, rank):
    return getattr(module, f"{name}{rank}d")


@pytest.mark.parametrize("mode", MODES)
@given(call=conv_calls(), seed=st.integers(0, 2**32))
def test_convolution(mode, call, seed):
    limit = {"reflect": -1, "circular": 0}.get(mode)
    spatial = call.arrays["input"].shape[-call.rank :]
    if limit is not None and any(max(axis[2]) > n + limit for axis, n in zip(call.axes, spatial, strict=True)):
        mode = "replicate"  # which takes any padding
    functions = of_rank(reference, "conv", call.rank), of_rank(reference.vjp, "conv", call.rank)
    assert_gradients(*functions, call.arrays, {**call.attributes, "padding_mode": mode}, seed)


@given(call=conv_calls(transposed=True), seed=st.integers(0, 2**32))
def test_transposed_convolution(call, seed):
    functions = of_rank(reference, "conv_transpose", call.rank), of_rank(reference.vjp, "conv_transpose", call.rank)
    assert_gradients(*functions, call.arrays, call.attributes, seed)


@pytest.mark.parametrize("name", ["cross_correlate", "convolve"])
@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@given(data=st.data(), seed=st.integers(0, 2**32), dtype=st.sampled_from([np.int64, np.float64, np.complex128]))
def test_correlation_of_one_channel(name, mode, data, seed, dtype):
    rank = data.draw(st.integers(1, 3))
    small = sizes(data.draw, rank, 1, 3)
    large = [n + m for n, m in zip(small, sizes(data.draw, rank, 0, 2), strict=True)]
    shapes = data.draw(st.permutations([small, large]))
    arrays = {
        name: integers(s, seed + i, dtype) for i, (name, s) in enumerate(zip(("input", "kernel"), shapes, strict=True))
    }
    assert_conjugate_gradients(name, arrays, mode, seed)


def assert_conjugate_gradients(name, arrays, mode, seed):
    """cross_correlate conjugates its kernel: linear in real and imaginary parts, each checked by Re <A x, y>."""
    function, gradient = getattr(reference, name), getattr(reference.vjp, name)
    output = function(**arrays, mode=mode)
    cotangent = integers(output.shape, seed, output.dtype)
    gradients = gradient(cotangent, **arrays, mode=mode)
    for i, (argument, array) in enumerate(arrays.items()):
        for factor in (1, 1j) if array.dtype.kind == "c" else (1,):
            step = (integers(array.shape, seed + i, array.dtype) * factor).astype(array.dtype)
            moved = function(**{**arrays, argument: array + step}, mode=mode)
            assert inner(moved - output, cotangent).real == inner(step, getattr(gradients, argument)).real


@given(data=st.data(), seed=st.integers(0, 2**32), dtype=st.sampled_from([np.int64, np.float64, np.complex128]))
def test_unfold_and_fold(data, seed, dtype):
    rank = data.draw(st.integers(1, 3))
    kernel, stride, dilation = (sizes(data.draw, rank, 1, 2) for _ in range(3))
    padding = [tuple(sizes(data.draw, 2, 0, 1)) for _ in range(rank)]
    size = [d * (k - 1) + 1 + more for k, d, more in zip(kernel, dilation, sizes(data.draw, rank, 0, 2), strict=True)]
    attributes = {"kernel_size": kernel, "dilation": dilation, "padding": padding, "stride": stride, "rank": rank}
    x = integers((*data.draw(st.sampled_from([(), (2,)])), 2, *size), seed, dtype)
    assert_gradients(reference.unfold, reference.vjp.unfold, {"input": x}, attributes, seed)
    columns = integers(reference.unfold(x, **attributes).shape, seed + 9, dtype)
    attributes["output_size"] = size
    assert_gradients(reference.fold, reference.vjp.fold, {"input": columns}, attributes, seed)


@pytest.mark.parametrize("mode", MODES)
@given(call=conv_calls(), seed=st.integers(0, 2**32))
def test_the_matrix_of_a_convolution(mode, call, seed):
    x, w = call.arrays["input"], call.arrays["weight"]
    spatial = x.shape[-call.rank :]
    if any(max(axis[2]) >= n for axis, n in zip(call.axes, spatial, strict=True)):
        mode = "zeros"
    attributes = {**call.attributes, "padding_mode": mode}
    output = of_rank(reference, "conv", call.rank)(x, w, **attributes)
    matrix = reference.conv_matrix(w, spatial, **attributes)
    assert matrix.dtype == w.dtype
    flat = x.reshape(-1, matrix.shape[1])
    assert_same((flat @ matrix.T).reshape(output.shape), output)
    assert_gradients(
        reference.conv_matrix, reference.vjp.conv_matrix, {"weight": w}, {"input_size": spatial, **attributes}, seed
    )


def test_the_matrix_of_a_convolution_is_made_of_copies():
    """A zero of the matrix is no product: a weight that is not finite stays where it is, and so does a cotangent."""
    infinite, undefined = float("inf"), float("nan")
    assert_same(reference.conv_matrix([[[infinite, 1.0]]], 3), np.array([[infinite, 1, 0], [0, infinite, 1]]))
    cotangent = [[1.0, undefined, 1.0], [1.0, 1.0, 1.0]]
    assert_same(reference.vjp.conv_matrix(cotangent, [[[0.0, 0.0]]], 3), np.array([[[2.0, undefined]]]))


def test_a_sum_of_complex_numbers_keeps_infinities_apart():
    infinite = complex(np.inf, 0)
    assert_same(reference.fold([[infinite]], 1, 1, rank=1), np.array([[infinite]]))
    gradients = reference.vjp.conv1d([[infinite]], [[1j]], [[[1.0]]], [0])
    assert_same(gradients.bias, np.array([infinite]))


@pytest.mark.parametrize("far", [2**31, 2**62])
def test_the_way_to_a_window_that_is_not_there_may_be_long(far):
    assert_same(reference.conv1d([[1, 2]], [[[1, 1]]], stride=far), np.array([[3]]))
    assert_same(reference.conv1d([[1, 2]], [[[1]]], dilation=far), np.array([[1, 2]]))
    assert_same(reference.unfold([[[1, 2]]], (1, 2), stride=far), np.array([[1], [2]]))
    assert_same(reference.vjp.conv1d([[1]], [[1, 2]], [[[1, 1]]], stride=far).input, np.array([[1, 1]]))


def test_a_convolution_is_unfold_and_a_matrix_product():
    x, w = integers((2, 3, 5, 4), 1), integers((4, 3, 3, 2), 2)
    columns = reference.unfold(x, (3, 2), padding=1)
    assert_same((w.reshape(4, -1) @ columns).reshape(2, 4, 5, 5), reference.conv2d(x, w, padding=1))


def test_a_kernel_of_one_element_shares_no_memory_with_its_input():
    x = integers((1, 2, 3, 3), 1)
    assert not np.shares_memory(reference.unfold(x, 1), x)
    assert not np.shares_memory(reference.fold(reference.unfold(x, 1), (3, 3), 1), x)


def test_output_size_picks_among_the_sizes_that_a_stride_leads_to():
    x, w = integers((1, 2, 3), 1), integers((2, 1, 3), 2)
    for size in (7, 8):
        by_size = reference.conv_transpose1d(x, w, stride=2, output_size=size)
        assert_same(by_size, reference.conv_transpose1d(x, w, stride=2, output_padding=size - 7))


def test_dtypes_of_cotangent_and_arguments_mix():
    x, w = integers((1, 1, 3), 1), integers((1, 1, 2), 2)
    gradients = reference.vjp.conv1d(np.array([[[1.5, 2.0]]]), x, w, [1])
    assert [g.dtype for g in gradients] == [np.float64] * 3
    assert_same(gradients.bias, np.array([3.5]))
    assert reference.vjp.conv1d(np.ones((1, 1, 2), np.int8), x, w).input.dtype == np.int64


def test_gradients_without_a_batch_or_with_an_empty_one():
    x, w = integers((2, 5), 1), integers((3, 2, 2), 2)
    one = reference.vjp.conv1d(np.ones((3, 4)), x, w)
    many = reference.vjp.conv1d(np.ones((1, 3, 4)), x[np.newaxis], w)
    assert_same(one.input, many.input[0])
    assert_same(one.weight, many.weight)
    none = reference.vjp.conv1d(np.ones((0, 3, 4)), np.zeros((0, 2, 5)), w, np.zeros(3))
    assert none.input.shape == (0, 2, 5)
    assert_same(none.weight, np.zeros(w.shape))
    assert_same(none.bias, np.zeros(3))
    transposed = reference.vjp.conv_transpose1d(np.ones((0, 2, 6)), np.zeros((0, 3, 5)), w)
    assert_same(transposed.weight, np.zeros(w.shape))


def test_large_arrays_go_block_by_block_to_the_same_bits(monkeypatch):
    x, w, y = integers((3, 4, 9, 8), 1), integers((6, 2, 3, 2), 2), integers((3, 6, 9, 4), 3)
    attributes = {"stride": (1, 2), "padding": ((1, 1), (0, 1)), "groups": 2}

    def calls():
        return reference.conv2d(x, w, **attributes), *reference.vjp.conv2d(y, x, w, **attributes)[:2]

    whole = calls()
    for block in (1, 60, 500):
        monkeypatch.setattr(reference.im2col, "BLOCK", block)
        for blocked, once in zip(calls(), whole, strict=True):
            assert_same(blocked, once)
