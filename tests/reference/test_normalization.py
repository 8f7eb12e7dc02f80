"""Normalization layers by hand-written examples, and how they are made of one another."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from normalization_bounds import bounds, layer
from reference_cases import assert_same, assert_within, integers

import reference
from reference import ConstraintError


def both_ways(x, shape, eps):
    """Return how far two honest layer norms may be from each other."""
    form = layer("layer_norm", {"input": x}, {"normalized_shape": shape, "eps": eps})
    return 2 * bounds(form, np.zeros(x.shape))["output"].reshape(x.shape)


def test_instance_norm_is_batch_norm_of_each_sample():
    x, w, b = (integers(shape, i, np.float64) for i, shape in enumerate([(3, 2, 4), 2, 2]))
    output = reference.instance_norm(x, None, None, w, b).output
    for sample, normalized in zip(x, output, strict=True):
        alone = reference.batch_norm(sample[np.newaxis], None, None, w, b, training=True).output[0]
        assert_same(normalized, alone)


def test_instance_norm_with_running_statistics_is_batch_norm():
    x, mean = integers((3, 2, 4), 0), integers(2, 1)
    ours = reference.instance_norm(x, mean, [1, 4], use_input_stats=False)
    theirs = reference.batch_norm(x, mean, [1, 4])
    for one, other in zip(ours, theirs, strict=True):
        assert_same(one, other)
    assert reference.instance_norm(x[..., 0], mean, [1, 4], use_input_stats=False).output.shape == (3, 2)


def test_instance_norm_keeps_the_mean_over_samples_of_their_statistics():
    x = np.array([[[0.0, 2.0]], [[10.0, 14.0]]])  # means 1 and 12, variances 2 and 8 (unbiased)
    kept = reference.instance_norm(x, [0], [0], momentum=1.0)
    assert (kept.running_mean.item(), kept.running_var.item()) == (6.5, 5.0)
    kept = reference.instance_norm(x, [4], [4], momentum=0.25, running_variance="biased", momentum_weights="old")
    assert (kept.running_mean.item(), kept.running_var.item()) == (0.25 * 4 + 0.75 * 6.5, 0.25 * 4 + 0.75 * 2.5)


def test_an_empty_batch_has_no_statistics_to_keep():
    kept = reference.instance_norm(np.zeros((0, 2, 3)), [1, 1], [1, 1])
    assert kept.output.shape == (0, 2, 3)
    assert_same(kept.running_mean, np.full(2, np.nan))
    assert_same(kept.running_var, np.full(2, np.nan))


def test_one_group_is_a_layer_and_as_many_groups_as_channels_are_instances():
    x = integers((2, 4, 3), 0, np.float64)
    # Rows are summed in another order.
    assert_within(
        reference.group_norm(x, 1, eps=1.0), reference.layer_norm(x, (4, 3), eps=1.0), both_ways(x, (4, 3), 1.0)
    )
    assert_same(reference.group_norm(x, 4, eps=1.0), reference.instance_norm(x, eps=1.0).output)


@given(st.sampled_from([(3,), (2, 3)]), st.booleans(), st.booleans())
def test_a_weight_of_one_and_a_bias_of_zero_change_nothing(shape, with_weight, with_bias):
    x = integers((4, *shape), 0)
    given = {"weight": np.ones(shape)} if with_weight else {}
    given |= {"bias": np.zeros(shape)} if with_bias else {}
    # Rows are summed in another order where there is no weight.
    assert_within(reference.layer_norm(x, shape, **given), reference.layer_norm(x, shape), both_ways(x, shape, 1e-5))


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64, np.int64, np.int8])
def test_epsilon_of_rms_norm_is_that_of_the_type_it_is_computed_in(dtype):
    """PyTorch computes float16 and bfloat16 in float32; integers are computed in float64 here."""
    narrow = np.dtype(dtype).name in ("float16", "bfloat16", "float32")
    eps = 2.0**-23 if narrow else 2.0**-52
    x = np.array([1, 0, 0, 0]).astype(dtype)
    assert_same(reference.rms_norm(x, (4,)), reference.rms_norm(x, (4,), eps=eps))
    assert reference.rms_norm(np.zeros(4, dtype), (4,)).tolist() == [0.0] * 4
    assert reference.rms_norm([1.0, 0, 0, 0], [4], eps=None)[0] == 2 / np.sqrt(1 + 2.0**-50)


def test_one_value_a_group_is_refused_as_torch_refuses_it():
    assert_same(reference.group_norm([[1.0, 2.0], [3.0, 4.0]], 2, bias=[5, 6]), np.array([[5.0, 6], [5, 6]]))
    with pytest.raises(ConstraintError, match="values-per-group"):
        reference.group_norm([[1.0, 2.0]], 2)


def test_there_is_no_instance_norm_without_a_batch():
    """torch's modules take (C, length); its function does not, and reads (C, height, width) as (N, C, length)."""
    with pytest.raises(ConstraintError, match="values-per-channel"):
        reference.instance_norm(np.zeros((2, 3)))
    x = integers((2, 3, 4), 0)
    assert_same(reference.instance_norm(x[0:1]).output[0], reference.instance_norm(x).output[0])


def test_without_spread_epsilon_decides():
    assert_same(reference.layer_norm([7.0, 7.0], (2,)), np.zeros(2))
    assert_same(reference.layer_norm([7.0, 7.0], (2,), eps=0.0), np.full(2, np.nan))
    assert_same(reference.rms_norm([0.0, 0.0], (2,), eps=0.0), np.full(2, np.nan))


def test_not_a_number_and_infinities_stay_in_their_statistics():
    x = np.array([[1.0, np.nan], [np.inf, 2.0], [1.0, 3.0]])
    assert_same(np.isnan(reference.layer_norm(x, (2,))), np.array([[True] * 2, [True] * 2, [False] * 2]))
    assert_same(reference.rms_norm(x, (2,))[:2], np.array([[np.nan, np.nan], [np.nan, 0.0]]))


def test_nothing_warns_of_what_overflows():
    assert_same(reference.layer_norm([1e200, -1e200], (2,)), np.array([0.0, -0.0]))
    assert_same(reference.local_response_norm([[[1e200]]], 1), np.zeros((1, 1, 1)))


def test_integers_become_floats_first():
    x = [2**53 + 1, 2**53 + 3]
    assert_same(reference.layer_norm(x, (2,)), reference.layer_norm(np.array(x, float), (2,)))


def test_local_response_norm_of_an_even_size():
    """Of three channels with squares 1, 4, 16 and two in a window: one before, or one after the middle."""
    x = [[[1.0], [2.0], [4.0]]]
    lower = reference.local_response_norm(x, 2, alpha=2, beta=1, k=0)
    upper = reference.local_response_norm(x, 2, alpha=2, beta=1, k=0, extra="upper")
    assert_same(lower.ravel(), np.array([1 / 1, 2 / 5, 4 / 20]))
    assert_same(upper.ravel(), np.array([1 / 5, 2 / 20, 4 / 16]))


def test_local_response_norm_by_the_sum():
    x = integers((2, 5, 3), 0)
    assert_same(
        reference.local_response_norm(x, 4, alpha=2.0, scale="sum"), reference.local_response_norm(x, 4, alpha=8.0)
    )


@given(st.integers(1, 12), st.integers(1, 6), st.sampled_from(["lower", "upper"]))
def test_local_response_norm_by_a_literal_loop(size, channels, extra):
    x = integers((2, channels, 2), size)
    before = size // 2 if extra == "lower" else (size - 1) // 2
    expected = np.zeros(x.shape)
    for c in range(channels):
        window = range(max(0, c - before), min(channels, c - before + size))
        expected[:, c] = x[:, c] / (1 + 2 * sum(x[:, d] ** 2 for d in window)) ** 2.0
    assert_same(reference.local_response_norm(x, size, 2.0, 2.0, 1.0, extra, "sum"), expected)


def test_local_response_norm_of_a_negative_base():
    assert_same(reference.local_response_norm([[[1.0]]], 1, alpha=-2.0, beta=0.5), np.full((1, 1, 1), np.nan))
    assert_same(reference.local_response_norm([[[0.0]]], 1, k=0.0), np.full((1, 1, 1), np.nan))
