"""Window arithmetic against windows counted one by one, receptive fields against what is really seen."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reference
from reference import CEIL_RULES, ConstraintError, Layer, ReceptiveField
from reference.windows import window_views


def covered(start, k, d):
    """Return the positions of the taps of a window."""
    return [start + t * d for t in range(k)]


def counted(n, k, s, low, high, d, rule="floor"):
    """Count windows by laying them down from position -low on."""
    fitting = [start for start in range(-low, n + high, s) if max(covered(start, k, d)) < n + high]
    last = fitting[-1] if fitting else -low - s
    if rule == "floor" or max(covered(last, k, d)) >= n + high - 1:
        return len(fitting)  # nothing is left over that a further window would reach
    if rule == "ceil_keep" or (rule == "ceil_caffe" and not low and not high):
        return len(fitting) + 1
    return len(fitting) + (last + s < n)


WINDOWS = [
    (n, k, s, low, high, d)
    for n, k, s, d in product(range(1, 8), range(1, 4), range(1, 5), range(1, 3))
    for low, high in product(range(3), range(3))
]
FITTING = [window for window in WINDOWS if counted(*window)]


def test_conv_output_size_is_the_number_of_windows():
    for n, k, s, low, high, d in FITTING:
        assert reference.conv_output_size(n, k, s, ((low, high),), d) == (counted(n, k, s, low, high, d),)


@pytest.mark.parametrize("rule", CEIL_RULES)
def test_pool_output_size_is_the_number_of_windows(rule):
    for n, k, s, low, high, d in WINDOWS:
        if max(low, high) > (d * (k - 1) + 1) // 2:
            continue  # no pooling is defined with so much padding
        if expected := counted(n, k, s, low, high, d, rule):
            assert reference.pool_output_size(n, k, s, ((low, high),), d, rule) == (expected,)
        else:
            with pytest.raises(ConstraintError, match="kernel-fits"):
                reference.pool_output_size(n, k, s, ((low, high),), d, rule)


def test_a_window_that_is_dropped_is_not_the_only_one():
    with pytest.raises(ConstraintError, match="kernel-fits"):
        reference.pool_output_size(0, 1, 2, ceil_mode=True)


def test_the_flag_of_ceil_mode_names_the_rules_of_pytorch():
    assert reference.pool_output_size(4, 3, 2, ceil_mode=True) == 2
    assert reference.pool_output_size(4, 3, 2, ceil_mode=np.True_) == 2
    assert reference.pool_output_size(4, 3, 2, ceil_mode=False) == 1
    assert reference.pool_output_size(2, 1, 2, ceil_mode=True) == 1
    assert reference.pool_output_size(7, 3) == 2  # the stride is the kernel size


def test_conv_transpose_output_size_undoes_conv_output_size():
    for n, k, s, low, high, d in FITTING:
        padding = ((low, high),)
        (windows,) = reference.conv_output_size((n,), k, s, padding, d)
        left_over = (n + low + high - d * (k - 1) - 1) % s
        assert reference.conv_transpose_output_size((windows,), k, s, padding, left_over, d) == (n,)


def test_numbers_give_a_number_and_a_sequence_anywhere_a_tuple():
    assert reference.conv_output_size(np.int64(5), np.int64(2)) == 4
    assert reference.conv_output_size(5, 2, padding="same") == 5
    assert reference.conv_output_size(5, 2, padding="valid") == 4
    assert reference.conv_output_size([5], 2) == (4,)
    assert reference.conv_output_size(5, 2, (1, 2)) == (4, 2)
    assert reference.conv_output_size(5, (2,), padding=((0, 1), (0, 0))) == (5, 4)
    assert reference.pool_output_size(5, (2, 5)) == (2, 1)
    assert reference.conv_transpose_output_size(5, 2, 2) == 10
    assert reference.conv_transpose_output_size(5, 2, 2, output_padding=np.int64(1)) == 11
    assert reference.conv_transpose_output_size(5, 2, 2, output_padding=(0, 1)) == (10, 11)


def test_same_padding_is_the_least_that_gives_the_ceiling():
    for n, k, s, d in product(range(1, 8), range(1, 5), range(1, 5), range(1, 3)):
        least = next(p for p in range(20) if n + p > d * (k - 1) and counted(n, k, s, 0, p, d) >= -(-n // s))
        assert reference.same_padding(n, k, s, d) == (least // 2, least - least // 2)
        assert reference.same_padding(n, k, s, d, "lower") == (least - least // 2, least // 2)
        assert reference.conv_output_size(n, k, s, "same_upper", d) == -(-n // s)


def test_windows_are_read_only_views():
    x = np.arange(7)
    views = window_views(x, (2,), (2,), (3,), (2,))
    assert views.tolist() == [[0, 3], [2, 5]]
    assert not views.flags.writeable
    assert np.shares_memory(views, x)


def support(layers, n, u):
    """Return which inputs change element u of the output of a stack of convolutions, and how long that is."""
    units = np.eye(n, dtype=np.int64)[:, None]
    for kernel, stride, padding, dilation in layers:
        units = reference.conv1d(units, np.ones((1, 1, kernel), np.int64), None, stride, padding, dilation)
    return np.flatnonzero(units[:, 0, u]), units.shape[2]


layer = st.builds(Layer, st.integers(1, 3), st.integers(1, 3), st.integers(0, 1), st.integers(1, 2))


@given(st.lists(layer, min_size=1, max_size=3))
def test_receptive_field_is_the_support_that_perturbations_show(layers):
    """An element in the middle sees no padding, so that the ends of its field are where they should be."""
    size, jump, start = reference.receptive_field(layers)
    margin = size - start  # more than any layer pads, counted in elements of the input
    middle = -(-margin // jump)
    n = middle * jump + start + size + jump + margin
    for u in (middle, middle + 1):
        seen, outputs = support(layers, n, u)
        assert u < outputs
        assert (seen[0], seen[-1]) == (start + u * jump, start + u * jump + size - 1)


def test_a_receptive_field_may_begin_before_and_end_after_the_input():
    layers = [Layer(3, 1, 1), Layer(3, 1, 1)]
    assert reference.receptive_field(layers) == ReceptiveField(size=5, stride=1, start=-2)
    seen, _ = support(layers, 2, 0)
    assert seen.tolist() == [0, 1]
    assert reference.receptive_field([]) == ReceptiveField(1, 1, 0)


def test_receptive_field_of_layers_with_strides():
    """LeNet's convolutions and poolings: 5 same, 2 by 2, 5, 2 by 2."""
    assert reference.receptive_field([(5, 1, 2), (2, 2), (5,), (2, 2)]) == (16, 4, -2)
