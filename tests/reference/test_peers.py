"""Agreement with scipy.signal and with float64 PyTorch, bit for bit on integer data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_cases import (
    UNIT_ROUNDOFF,
    assert_same,
    assert_within,
    conv_calls,
    integers,
    pad_calls,
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


@given(conv_calls(dtypes=[np.float64, np.complex128], pairs=False))
@settings(max_examples=150)
def test_torch_conv(call):
    expected = of_rank(F, "conv", call.rank)(**tensors(call.arrays), **call.attributes).numpy()
    assert_same(of_rank(reference, "conv", call.rank)(**call.arrays, **call.attributes), expected)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")  # how it pads is the point
@given(conv_calls(dtypes=FLOATS, pairs=False))
def test_torch_conv_same(call):
    attributes = {**call.attributes, "stride": 1, "padding": "same"}
    expected = of_rank(F, "conv", call.rank)(**tensors(call.arrays), **attributes).numpy()
    assert_same(of_rank(reference, "conv", call.rank)(**call.arrays, **attributes), expected)


@given(conv_calls(dtypes=[np.float64, np.complex128], pairs=False, transposed=True))
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


@given(
    pool_calls(dtypes=FLOATS, pairs=False, dilated=False, rules=TORCH_RULES, for_torch=True),
    st.booleans(),
    st.sampled_from([None, 1, 3, -2]),
)
@settings(max_examples=200)
def test_torch_avg_pool(call, count_include_pad, divisor_override):
    attributes = {**call.attributes, "count_include_pad": count_include_pad}
    if call.rank > 1:  # torch's avg_pool1d has no divisor
        attributes["divisor_override"] = divisor_override
    x = call.arrays["input"]
    expected = of_rank(F, "avg_pool", call.rank)(torch.from_numpy(x), **attributes).numpy()
    assert_same(of_rank(reference, "avg_pool", call.rank)(x, **attributes), expected)


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
@given(st.data())
def test_torch_pad(mode, data):
    call = data.draw(pad_calls(mode, crop=mode == "constant"))
    x, value = call.arrays["input"], 2.5 if mode == "constant" else None
    expected = F.pad(torch.from_numpy(x), **call.attributes, value=value).numpy()
    assert_same(reference.pad(x, **call.attributes, value=value), expected)


@given(st.data(), st.booleans())
def test_torch_batch_norm(data, training):
    """With 2, 4 or 8 values in a channel mean and variance are exact; then either side rounds a few times."""
    shape = data.draw(st.sampled_from([(2, 3), (4, 2), (2, 1, 2), (1, 3, 2, 2), (1, 2, 2, 2, 2)]))
    c = shape[1]
    x, w, b, mean = (integers(s, i, np.float64) for i, s in enumerate([shape, c, c, c], data.draw(st.integers(0, 99))))
    var = np.abs(integers(c, 9, np.float64))
    ours = reference.batch_norm(x, mean, var, w, b, training)
    theirs = [torch.from_numpy(a.copy()) for a in (x, mean, var, w, b)]
    output = F.batch_norm(*theirs, training).numpy()
    axes, along = (0, *range(2, x.ndim)), (1, -1, *[1] * (x.ndim - 2))
    center, spread = (x.mean(axes), x.var(axes)) if training else (mean, var)
    scale = np.abs(w) / np.sqrt(spread + 1e-5)
    # torch folds mean, scale and shift into one product and one sum; no term is rounded more than 4 times.
    size = (np.abs(x) + np.abs(center).reshape(along)) * scale.reshape(along) + np.abs(b).reshape(along)
    assert_within(ours.output, output, 8 * UNIT_ROUNDOFF * size)
    assert_within(ours.running_mean, theirs[1].numpy(), 4 * UNIT_ROUNDOFF * (np.abs(mean) + 9))
    assert_within(ours.running_var, theirs[2].numpy(), 8 * UNIT_ROUNDOFF * (var + 2 * 81))


@given(st.data(), st.booleans())
def test_torch_linear_and_relu(data, with_bias):
    n, o, i = sizes(data.draw, 3, 1, 5)
    arrays = {"input": integers((n, i), 1, np.float64), "weight": integers((o, i), 2, np.float64)}
    if with_bias:
        arrays["bias"] = integers(o, 3, np.float64)
    ours, theirs = reference.linear(**arrays), F.linear(**tensors(arrays))
    assert_same(ours, theirs.numpy())
    assert_same(reference.relu(ours), F.relu(theirs).numpy())
    assert_same(reference.relu([np.nan]), F.relu(torch.tensor([np.nan], dtype=torch.float64)).numpy())
