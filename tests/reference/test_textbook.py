"""The fast forms give what the literal loops give, bit for bit: integer data leave nothing to rounding."""

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
from reference import textbook
from reference.padding import PAD_MODES

REAL = [np.int64, np.float64]


def fast(name, rank):
    return getattr(reference, f"{name}{rank}d")


@given(conv_calls())
@settings(max_examples=200)
def test_conv(call):
    expected = call.unbatch(textbook.conv(**call.batched(), **call.attributes))
    assert_same(fast("conv", call.rank)(**call.arrays, **call.attributes), expected)


@given(conv_calls(transposed=True))
@settings(max_examples=200)
def test_conv_transpose(call):
    expected = call.unbatch(textbook.conv_transpose(**call.batched(), **call.attributes))
    assert_same(fast("conv_transpose", call.rank)(**call.arrays, **call.attributes), expected)


@given(conv_calls(dtypes=REAL))
def test_conv_transpose_is_the_adjoint_of_conv(call):
    """<conv(x, w), y> = <x, conv_transpose(y, w)>, with the output padding that restores the size of x."""
    conv, conv_transpose = fast("conv", call.rank), fast("conv_transpose", call.rank)
    x, w = call.arrays["input"], call.arrays["weight"]
    product = conv(x, w, **call.attributes)
    y = integers(product.shape, 7, x.dtype)
    missing = tuple(
        (n + low + high - d * (k - 1) - 1) % s
        for n, (k, s, (low, high), d) in zip(x.shape[-call.rank :], call.axes, strict=True)
    )
    back = conv_transpose(y, w, output_padding=missing, **call.attributes)
    assert back.shape == x.shape
    assert (product * y).sum() == (x * back).sum()


@given(conv_calls(dtypes=REAL), st.sampled_from(["valid", "same_upper", "same_lower"]))
def test_conv_with_padding_by_name(call, padding):
    x, w = call.arrays["input"], call.arrays["weight"]
    spatial = x.shape[-call.rank :]
    if padding == "valid":
        pairs = ((0, 0),) * call.rank
        fits = [(0, max(0, d * (k - 1) + 1 - n)) for n, (k, _, _, d) in zip(spatial, call.axes, strict=True)]
        x = np.pad(x, [(0, 0)] * (x.ndim - call.rank) + fits)
    else:
        pairs = tuple(
            reference.same_padding(n, k, s, d, side=padding.removeprefix("same_"))
            for n, (k, s, _, d) in zip(spatial, call.axes, strict=True)
        )
    conv = fast("conv", call.rank)
    rest = {**call.attributes, "bias": call.arrays.get("bias")}
    assert_same(conv(x, w, **{**rest, "padding": padding}), conv(x, w, **{**rest, "padding": pairs}))


@given(pool_calls(special=True), st.sampled_from(["propagate", "ignore"]))
@settings(max_examples=300)
def test_max_pool(call, nan):
    output, indices = textbook.max_pool(call.batched()["input"], **call.attributes, nan=nan)
    pool, x = fast("max_pool", call.rank), call.arrays["input"]
    assert_same(pool(x, **call.attributes, nan=nan), call.unbatch(output))
    both = pool(x, **call.attributes, nan=nan, return_indices=True)
    assert_same(both.output, call.unbatch(output))
    assert_same(both.indices, call.unbatch(indices))


@given(
    pool_calls(dtypes=[np.int64, np.float64, np.complex128], dilated=False),
    st.booleans(),
    st.sampled_from([None, 1, 3, -2]),
)
@settings(max_examples=300)
def test_avg_pool(call, count_include_pad, divisor_override):
    call.attributes |= {"count_include_pad": count_include_pad, "divisor_override": divisor_override}
    expected = call.unbatch(textbook.avg_pool(call.batched()["input"], **call.attributes))
    assert_same(fast("avg_pool", call.rank)(call.arrays["input"], **call.attributes), expected)


@given(st.data())
def test_batch_norm_with_running_statistics(data):
    """Variances that are powers of 4 have exact square roots, so that nothing is rounded."""
    rank, channels = data.draw(st.integers(0, 3)), data.draw(st.integers(1, 3))
    x = integers((data.draw(st.integers(0, 3)), channels, *sizes(data.draw, rank, 0, 3)), 1)
    variances = 4.0 ** integers(channels, 2)
    means, weight, bias = (integers(channels, seed) if data.draw(st.booleans()) else None for seed in (3, 4, 5))
    means = np.zeros(channels) if means is None else means
    result = reference.batch_norm(x, means, variances, weight, bias, eps=0)
    expected = textbook.batch_norm(x, means, variances, weight, bias, eps=0)
    assert_same(result.output, expected[0])
    assert_same(result.running_mean, means.astype(float))
    assert_same(result.running_var, variances)


@given(
    st.data(),
    st.sampled_from(["unbiased", "biased"]),
    st.sampled_from(["new", "old"]),
    st.sampled_from([0.0, 0.25, 1.0]),
)
def test_batch_norm_in_training(data, running_variance, momentum_weights, momentum):
    """With 2, 4 or 8 values in a channel the statistics are exact; what follows rounds a few times."""
    shape = data.draw(st.sampled_from([(2, 3), (4, 2), (2, 1, 2), (1, 3, 2, 2), (2, 2, 4), (1, 2, 2, 2, 2)]))
    x, channels = integers(shape, data.draw(st.integers(0, 99))), shape[1]
    old = (integers(channels, 1), np.abs(integers(channels, 2)))
    affine = (integers(channels, 3), integers(channels, 4)) if data.draw(st.booleans()) else (None, None)
    convention = {"running_variance": running_variance, "momentum_weights": momentum_weights}
    result = reference.batch_norm(x, *old, *affine, training=True, momentum=momentum, **convention)
    output, mean, variance = textbook.batch_norm(x, *old, *affine, training=True, momentum=momentum, **convention)
    along = (-1, *[1] * (x.ndim - 2))
    weight, bias = (1, 0) if affine[0] is None else (a.reshape(along) for a in affine)
    # Square root, reciprocal or quotient, product, product, sum: at most 4 roundings on either side.
    bound = 8 * UNIT_ROUNDOFF * (np.abs(output - bias) + np.abs(weight) + np.abs(bias))
    assert_within(result.output, output, bound)
    assert_same(result.running_mean, mean)
    # m / (m - 1) is rounded before the product by one side, the quotient after it by the other.
    assert_within(result.running_var, variance, 4 * UNIT_ROUNDOFF * (np.abs(variance) + old[1]))
    assert_same(reference.batch_norm(x, None, None, *affine, training=True).output, result.output)


def test_batch_norm_without_running_statistics_returns_none_for_them():
    result = reference.batch_norm([[1.0], [3.0]], training=True)
    assert result.running_mean is None
    assert result.running_var is None
    assert textbook.batch_norm([[1.0], [3.0]], eps=0.0)[0].tolist() == [[1.0], [3.0]]


@given(st.data(), st.sampled_from([np.int64, np.float64, np.complex128]), st.booleans())
def test_linear(data, dtype, with_bias):
    n, o, i = sizes(data.draw, 3, 1, 4)
    x, w = integers((n, i), 1, dtype), integers((o, i), 2, dtype)
    b = integers(o, 3, dtype) if with_bias else None
    expected = textbook.linear(x, w, b)
    assert_same(reference.linear(x, w, b), expected)
    assert_same(reference.linear(x[0], w, b), expected[0])
    assert_same(reference.linear(x[:, None], w, b), expected[:, None])
    assert_same(reference.linear(x, w[0], None if b is None else b[0]), expected[:, 0])
    assert_same(reference.linear(x[0], w[0], None if b is None else b[0]), np.asarray(expected[0, 0]))


@pytest.mark.parametrize("nan", ["propagate", "zero"])
@pytest.mark.parametrize("values", [[3, -2, 0], [[1.5, -1.5, np.nan, np.inf, -np.inf, 0.0]], 2.0, []])
def test_relu(values, nan):
    assert_same(reference.relu(values, nan=nan), textbook.relu(values, nan=nan))


@pytest.mark.parametrize("mode", PAD_MODES)
@given(st.data())
def test_pad(mode, data):
    call = data.draw(pad_calls(mode, crop=True))
    x = call.arrays["input"].astype(data.draw(st.sampled_from([np.int64, np.float64, np.complex128])))
    value = data.draw(st.sampled_from([None, 2, 2.5, np.nan])) if mode == "constant" else None
    expected = textbook.pad(x, **call.attributes, value=0 if value is None else value)
    assert_same(reference.pad(x, **call.attributes, value=value), expected)


@given(conv_calls(ranks=[2]), st.booleans())
def test_the_two_spellings_of_the_loops_agree_with_the_definition(call, with_bias):
    arrays, attributes = call.batched(), {key: call.attributes[key] for key in ("stride", "padding")}
    x, w = arrays["input"], arrays["weight"]
    # The two know neither groups nor dilation; a dense kernel fits wherever the dilated one does.
    arrays["weight"] = integers((3, x.shape[1], *w.shape[2:]), 5, x.dtype)
    arrays["bias"] = integers(3, 6, x.dtype) if with_bias else None
    expected = textbook.conv(**arrays, **attributes)
    assert_same(textbook.conv2d_four_loops(**arrays, **attributes), expected)
    assert_same(textbook.conv2d_seven_loops(**arrays, **attributes), expected)


@pytest.mark.parametrize("dtype", [np.int64, np.float64, np.complex128])
def test_the_matrix_forms_agree_with_the_layers(dtype):
    x, k = integers((2, 5, 6), 1, dtype), integers((3, 2, 2, 3), 2, dtype)
    assert_same(textbook.corr2d_multi_in_out(x, k), reference.conv2d(x, k))
    assert_same(textbook.corr2d_multi_in(x, k[0]), reference.conv2d(x, k[:1])[0])
    assert_same(textbook.corr2d(x[0], k[0, 0]), reference.cross_correlate(x[0], k[0, 0].conj(), mode="valid"))
    assert_same(textbook.corr2d_multi_in_out_1x1(x, k[:, :, :1, :1]), reference.conv2d(x, k[:, :, :1, :1]))


def test_pool2d_agrees_with_the_layers():
    x = integers((5, 6), 1, np.float64)
    assert_same(textbook.pool2d(x, (2, 3)), reference.max_pool2d(x[None], (2, 3), 1)[0])
    # Means of 4 taps: a division by a power of 2 is exact, whichever way the sum is formed.
    assert_same(textbook.pool2d(x, (2, 2), mode="avg"), reference.avg_pool2d(x[None], 2, 1)[0])
