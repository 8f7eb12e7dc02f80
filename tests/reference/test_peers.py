"""Agreement with scipy.signal, and with PyTorch on what tests/agreements leaves out: complex numbers, NaN in pooling.

Bit for bit, on integer data.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_cases import (
    assert_same,
    conv_calls,
    integers,
    pool_calls,
    sizes,
)

import reference

signal = pytest.importorskip("scipy.signal", reason="scipy is a peer to compare with, not a dependency")
torch = pytest.importorskip("torch", reason="PyTorch is a peer to compare with, not a dependency")
F = torch.nn.functional

TORCH_RULES = [False, True]
FLOATS = [np.float64]


def tensors(arrays):
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def of_rank(module, name, rank):
    return getattr(module, f"{name}{rank}d")


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@given(st.data(), st.sampled_from([np.int64, np.float64, np.complex128]))
def test_scipy_correlate_and_convolve(mode, data, dtype):
    rank = data.draw(st.integers(1, 3))
    small, more = sizes(data.draw, rank, 1, 4), sizes(data.draw, rank, 0, 3)
    shapes = [tuple(small), tuple(n + m for n, m in zip(small, more, strict=True))]
    if mode != "valid":
        shapes[1] = tuple(sizes(data.draw, rank, 1, 5))  # neither needs to cover the other
    if data.draw(st.booleans()):
        shapes.reverse()
    x, k = integers(shapes[0], data.draw(st.integers(0, 999)), dtype), integers(shapes[1], 3, dtype)
    assert_same(reference.cross_correlate(x, k, mode), signal.correlate(x, k, mode, method="direct"))
    assert_same(reference.convolve(x, k, mode), signal.convolve(x, k, mode, method="direct"))


def test_scipy_correlate2d():
    x, k = integers((5, 6), 1), integers((3, 5), 2)
    assert_same(reference.cross_correlate(x, k, "valid"), signal.correlate2d(x, k, "valid"))
    assert_same(
        reference.cross_correlate(reference.pad(x, (2, 2, 1, 1), mode="circular"), k, "valid"),
        signal.correlate2d(x, k, "same", boundary="wrap"),
    )


def test_scipy_polyphase_filter_is_a_transposed_convolution():
    x, k = integers(7, 1, np.float64), integers(5, 2, np.float64)
    expected = signal.upfirdn(k, x, up=3)
    assert_same(reference.conv_transpose1d(x[None], k[None, None], stride=3)[0], expected)
    assert_same(
        reference.conv_transpose1d(x[None], k[None, None], stride=3)[0, ::2],
        signal.upfirdn(k, x, up=3, down=2),
    )


@given(conv_calls(dtypes=[np.complex128], pairs=False))
@settings(max_examples=150)
def test_torch_conv(call):
    expected = of_rank(F, "conv", call.rank)(**tensors(call.arrays), **call.attributes).numpy()
    assert_same(of_rank(reference, "conv", call.rank)(**call.arrays, **call.attributes), expected)


@given(conv_calls(dtypes=[np.complex128], pairs=False, transposed=True))
@settings(max_examples=150)
def test_torch_conv_transpose(call):
    expected = of_rank(F, "conv_transpose", call.rank)(**tensors(call.arrays), **call.attributes).numpy()
    assert_same(of_rank(reference, "conv_transpose", call.rank)(**call.arrays, **call.attributes), expected)


@given(pool_calls(dtypes=FLOATS, pairs=False, rules=TORCH_RULES, special=True, for_torch=True))
@settings(max_examples=200)
def test_torch_max_pool_and_its_indices(call):
    """A window with no tap inside has no index: ours is -1, torch's points outside the input."""
    x = call.arrays["input"]
    expected = of_rank(F, "max_pool", call.rank)(torch.from_numpy(x), **call.attributes, return_indices=True)
    actual = of_rank(reference, "max_pool", call.rank)(x, **call.attributes, return_indices=True)
    assert_same(actual.output, expected[0].numpy())
    assert_same(actual.indices, np.where(actual.indices < 0, -1, expected[1].numpy()))
