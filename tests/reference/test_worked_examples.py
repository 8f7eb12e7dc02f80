"""The worked examples: numbers published in textbook chapters, to the digits that were published."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from reference_cases import UNIT_ROUNDOFF, assert_prints_as, assert_same, assert_within, integers

import reference
from reference import ConstraintError, textbook

GRID = np.array([[0, 1, 2], [3, 4, 5], [6, 7, 8]])
SMALL_KERNEL = np.array([[0, 1], [2, 3]])
EDGES = np.ones((6, 8), int)
EDGES[:, 2:6] = 0
EDGE_KERNEL = np.array([[1, -1]])

ROWS = np.repeat(np.arange(1, 6)[:, None], 5, axis=1)
SAMPLE = np.stack([ROWS * [1, 10, 1, 1, 1], ROWS, ROWS])[None]


def test_01_cross_correlation():
    expected = np.array([[19, 25], [37, 43]])
    assert_same(reference.cross_correlate(GRID, SMALL_KERNEL, "valid"), expected)
    assert_same(textbook.corr2d(GRID, SMALL_KERNEL), expected)
    assert_same(reference.conv2d(GRID[None, None], SMALL_KERNEL[None, None])[0, 0], expected)


def test_02_edge_detection():
    edges = np.zeros((6, 7), int)
    edges[:, 1], edges[:, 5] = 1, -1
    assert_same(reference.cross_correlate(EDGES, EDGE_KERNEL, "valid"), edges)
    assert_same(reference.cross_correlate(EDGES.T, EDGE_KERNEL, "valid"), np.zeros((8, 5), int))


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
def test_03_convolution_is_cross_correlation_with_the_kernel_turned(mode):
    # A kernel of odd size has one centre, so that "same" means the same for both.
    x, k = integers((6, 7), 1), integers((3, 3), 2)
    turned = k[::-1, ::-1]
    assert_same(reference.convolve(x, k, mode), reference.cross_correlate(x, turned, mode))
    assert (reference.convolve(x, k, mode) != reference.cross_correlate(x, k, mode)).any()


def test_04_convolution_commutes_and_its_indices_add_up():
    f, g = integers((3, 4), 1), integers((2, 5), 2)
    full = reference.convolve(f, g)
    assert_same(full, reference.convolve(g, f))
    assert (reference.cross_correlate(f, g) != reference.cross_correlate(g, f)).any()
    sums = np.zeros((4, 8), int)
    for i, j in np.ndindex(*f.shape):
        for a, b in np.ndindex(*g.shape):
            sums[i + a, j + b] += f[i, j] * g[a, b]
    assert_same(full, sums)


def test_05_the_transform_of_a_convolution_is_the_product_of_the_transforms():
    f, g = integers((3, 4), 1), integers((2, 5), 2)
    full = reference.convolve(f, g)
    product = np.fft.fft2(f, full.shape) * np.fft.fft2(g, full.shape)
    # The result is whole, and rounding leaves far less than a half.
    assert_same(np.rint(np.fft.ifft2(product).real).astype(int), full)


def test_06_a_convolution_is_a_matrix_product_with_tied_entries():
    k, n = np.array([5, 7, 11]), 6
    columns = [reference.convolve(unit, k, "valid") for unit in np.eye(n, dtype=int)]
    matrix = np.stack(columns, axis=1)
    x = integers(n, 1)
    assert_same(matrix @ x, reference.convolve(x, k, "valid"))
    for i, j in np.ndindex(*matrix.shape):  # local connection: zeros; weight sharing: equal along diagonals
        assert matrix[i, j] == (k[::-1][j - i] if 0 <= j - i < 3 else 0)


def test_06_in_two_dimensions_the_matrix_is_doubly_block_toeplitz():
    k, shape = np.array([[5, 7], [11, 13]]), (3, 4)
    units = np.eye(12, dtype=int).reshape(12, *shape)
    matrix = np.stack([reference.cross_correlate(u, k, "valid").ravel() for u in units], axis=1)
    x = integers(shape, 1)
    assert_same(matrix @ x.ravel(), reference.cross_correlate(x, k, "valid").ravel())
    blocks = matrix.reshape(2, 3, 3, 4).transpose(0, 2, 1, 3)
    np.testing.assert_array_equal(blocks[0, :2], blocks[1, 1:])
    np.testing.assert_array_equal(blocks[..., :2, :3], blocks[..., 1:, 1:])


@pytest.mark.parametrize(("rate", "steps", "with_bias"), [(0.03, 10, False), (0.01, 20, True)])
def test_07_learning_a_kernel(rate, steps, with_bias):
    """The loss is a quadratic form: each step multiplies the error of the parameters by I - 2 rate A."""
    x, y = EDGES[None, None], reference.cross_correlate(EDGES, EDGE_KERNEL, "valid")[None, None]
    start = np.array([0.25, 0.125, 0.0])
    parameters, target = start.copy(), np.array([1.0, -1.0, 0.0])
    for _ in range(steps):
        difference = reference.conv2d(x, parameters[:2].reshape(1, 1, 1, 2), parameters[2:]) - y
        # The gradient of a sum of squares by the kernel is again a cross-correlation.
        by_kernel = 2 * reference.conv2d(x, difference).ravel()
        parameters[:2] -= rate * by_kernel
        parameters[2] -= rate * 2 * difference.sum() * with_bias
    gram = np.array([[18.0, 12, 18 * with_bias], [12, 18, 18 * with_bias], [18 * with_bias, 18 * with_bias, 42]])
    contraction = np.linalg.norm(np.linalg.matrix_power(np.eye(3) - 2 * rate * gram, steps), 2)
    if not with_bias:
        contraction = max(abs(1 - 2 * rate * 30), abs(1 - 2 * rate * 6)) ** steps  # eigenvalues of the 2x2 part
    assert np.linalg.norm(parameters - target) < contraction * np.linalg.norm(start - target)
    np.testing.assert_array_equal(np.rint(parameters), target)


def test_08_three_channels_with_a_bias():
    output = reference.conv2d(SAMPLE, np.ones((1, 3, 3, 3), int), [1])
    assert_same(output, np.array([[[[109, 109, 55], [163, 163, 82], [217, 217, 109]]]]))


def test_09_channels():
    x, k = np.stack([GRID, GRID + 1]), np.stack([SMALL_KERNEL, SMALL_KERNEL + 1])
    expected = np.array([[[56, 72], [104, 120]], [[76, 100], [148, 172]], [[96, 128], [192, 224]]])
    kernels = np.stack([k, k + 1, k + 2])
    assert_same(textbook.corr2d_multi_in(x, k), expected[0])
    assert_same(textbook.corr2d_multi_in_out(x, kernels), expected)
    assert_same(reference.conv2d(x, kernels), expected)


def test_10_a_one_by_one_convolution_is_a_matrix_product():
    x, k = integers((3, 4, 5), 1), integers((2, 3, 1, 1), 2)
    product = (k.reshape(2, 3) @ x.reshape(3, 20)).reshape(2, 4, 5)
    assert_same(reference.conv2d(x, k), product)
    assert_same(textbook.corr2d_multi_in_out_1x1(x, k), product)
    # The published product has the factors the wrong way round; not even the shapes match.
    with pytest.raises(ValueError, match="matmul"):
        np.matmul(x.reshape(3, 20), k.reshape(2, 3))


@pytest.mark.parametrize(
    ("size", "kernel", "attributes", "expected"),
    [
        ((50, 100), 3, {"stride": 2}, (24, 49)),
        ((50, 100), (3, 5), {"stride": (2, 1), "padding": (4, 2)}, (28, 100)),
        ((50, 100), (3, 5), {"stride": (2, 1), "padding": (4, 2), "dilation": (3, 1)}, (26, 100)),
        ((8, 8), 3, {"padding": 1}, (8, 8)),
        ((8, 8), (5, 3), {"padding": (2, 1)}, (8, 8)),
        ((8, 8), 3, {"padding": 1, "stride": 2}, (4, 4)),
        ((8, 8), (3, 5), {"padding": (0, 1), "stride": (3, 4)}, (2, 2)),
        ((32, 32), (5, 5), {}, (28, 28)),
    ],
)
def test_11_output_sizes(size, kernel, attributes, expected):
    assert reference.conv_output_size(size, kernel, **attributes) == expected
    kernel = (kernel, kernel) if isinstance(kernel, int) else kernel
    output = reference.conv2d(np.zeros((1, 1, *size)), np.zeros((1, 1, *kernel)), **attributes)
    assert output.shape == (1, 1, *expected)


def test_11_shapes_of_a_layer():
    output = reference.conv2d(np.zeros((20, 16, 50, 100)), np.zeros((33, 16, 3, 3)), stride=2)
    assert output.shape == (20, 33, 24, 49)
    assert reference.conv2d(np.zeros((3, 32, 32)), np.zeros((2, 3, 5, 5))).shape == (2, 28, 28)


@pytest.mark.parametrize("total", [(0, 0), (1, 2), (3, 1)])
def test_11_padding_counted_over_both_sides(total):
    padding = tuple((p // 2, p - p // 2) for p in total)
    expected = (7 - 3 + total[0] + 1, 6 - 2 + total[1] + 1)
    assert reference.conv_output_size((7, 6), (3, 2), padding=padding) == expected


def test_12_weight_shapes():
    x = integers((1, 10, 4, 4), 1)
    assert reference.conv2d(x, np.ones((5, 10, 3, 3), int)).shape == (1, 5, 2, 2)
    assert reference.conv2d(x, np.ones((5, 2, 3, 3), int), groups=5).shape == (1, 5, 2, 2)
    depthwise = reference.conv2d(x, np.ones((10, 1, 3, 3), int), groups=10)
    each = [reference.conv2d(x[:, c : c + 1], np.ones((1, 1, 3, 3), int)) for c in range(10)]
    assert_same(depthwise, np.concatenate(each, axis=1))


def test_12_channels_that_groups_do_not_divide():
    x = integers((1, 10, 4, 4), 1)
    with pytest.raises(ConstraintError, match="channels times 6 groups") as caught:
        reference.conv2d(x, np.ones((6, 1, 3, 3), int), groups=6)
    assert caught.value.label == "input-channels"
    with pytest.raises(ConstraintError, match="out_channels must be at least 1 and divisible by groups=5") as caught:
        reference.conv2d(x, np.ones((6, 2, 3, 3), int), groups=5)
    assert caught.value.label == "output-channels"


def test_13_the_literal_loops_in_two_spellings():
    x, w, b = integers((2, 3, 5, 6), 1), integers((2, 3, 2, 3), 2), integers(2, 3)
    for attributes in ({}, {"stride": (2, 1), "padding": (1, 2)}):
        expected = reference.conv2d(x, w, b, **attributes)
        assert_same(textbook.conv2d_four_loops(x, w, b, **attributes), expected)
        assert_same(textbook.conv2d_seven_loops(x, w, b, **attributes), expected)


def test_14_two_small_layers_see_what_one_larger_sees():
    assert reference.receptive_field([(2,), (2,)]) == (3, 1, 0)
    # It may exceed the input: five elements are seen of an input that has two.
    assert reference.receptive_field([(3, 1, 1), (3, 1, 1)]) == (5, 1, -2)
    ones = np.ones((1, 1, 3), int)
    output = reference.conv1d(reference.conv1d([[[1, 1]]], ones, padding=1), ones, padding=1)
    assert output.shape == (1, 1, 2)


def test_15_pooling():
    largest, mean = np.array([[4, 5], [7, 8]]), np.array([[2.0, 3], [5, 6]])
    assert_same(reference.max_pool2d(GRID[None], 2, stride=1)[0], largest)
    assert_same(reference.avg_pool2d(GRID[None], 2, stride=1)[0], mean)
    assert_same(textbook.pool2d(GRID, (2, 2)), largest)
    assert_same(textbook.pool2d(GRID, (2, 2), mode="avg"), mean)


def test_16_max_pooling_with_stride_and_padding():
    x = np.arange(16).reshape(1, 1, 4, 4)
    assert_same(reference.max_pool2d(x, 3), np.array([[[[10]]]]))
    both = reference.max_pool2d(np.concatenate([x, x + 1], axis=1), 3, padding=1, stride=2)
    assert_same(both, np.array([[[[5, 7], [13, 15]], [[6, 8], [14, 16]]]]))


def test_17_rounding_the_size_up():
    assert reference.max_pool2d(np.zeros((20, 16, 50, 32)), 3, stride=2, padding=1).shape == (20, 16, 25, 16)
    assert reference.pool_output_size((50, 32), 3, stride=2, padding=1, ceil_mode=True) == (26, 17)
    # The last window would start beyond the input: PyTorch drops it, Caffe only where there is padding.
    rules = {"floor": 1, "ceil_drop": 1, "ceil_caffe": 2, "ceil_keep": 2}
    assert {rule: reference.pool_output_size(2, 1, 2, ceil_mode=rule) for rule in rules} == rules
    padded = {"floor": 1, "ceil_drop": 1, "ceil_caffe": 1, "ceil_keep": 2}
    assert {rule: reference.pool_output_size(2, 2, 3, padding=1, ceil_mode=rule) for rule in padded} == padded


def test_18_batch_normalization():
    y = reference.batch_norm(SAMPLE, training=True).output[0]
    assert_prints_as(y[0, :, 0], "-0.5883 -0.5088 -0.4293 -0.3498 -0.2703")
    assert_prints_as(y[0, :, 1], "0.1272 0.9221 1.7171 2.5121 3.3070")
    for column in (2, 3, 4):
        assert_same(y[0, :, column], y[0, :, 0])
    for channel in (1, 2):
        for column in range(5):
            assert_prints_as(y[channel, :, column], "-1.4142 -0.7071 0 0.7071 1.4142")
    # Bessel's correction gives a visibly wrong answer.
    with pytest.raises(AssertionError, match="published"):
        assert_prints_as(y[0, :, 1] * np.sqrt(24 / 25), "0.1272 0.9221 1.7171 2.5121 3.3070")


def test_18_running_variance():
    biased, unbiased = (
        reference.batch_norm(SAMPLE, [0] * 3, [0] * 3, training=True, momentum=1.0, running_variance=name).running_var
        for name in ("biased", "unbiased")
    )
    assert_prints_as(biased[1:], "2 2")
    assert_prints_as(unbiased[1:] * 24, "50 50")
    old = reference.batch_norm(SAMPLE, [0] * 3, [1] * 3, training=True, momentum=0.75, momentum_weights="old")
    new = reference.batch_norm(SAMPLE, [0] * 3, [1] * 3, training=True, momentum=0.25)
    assert_same(old.running_mean, new.running_mean)
    assert_same(old.running_var, new.running_var)


def test_19_relu():
    assert_same(reference.relu([[-2, 0], [3, -1]]), np.array([[0, 0], [3, 0]]))


def test_20_the_whole_chain():
    x = np.concatenate([SAMPLE, np.ones((1, 3, 5, 5))]) / 255
    convolved = reference.conv2d(x, np.ones((1, 3, 3, 3)), [1.0])
    assert_prints_as(convolved[0], "1.4235 1.4235 1.2118 1.6353 1.6353 1.3176 1.8471 1.8471 1.4235")
    assert_prints_as(convolved[1], "1.1059 " * 9)
    normalized = reference.batch_norm(convolved, training=True).output
    residue = normalized[0, 0, 1, 2]
    others = np.delete(normalized[0].ravel(), 5)
    assert_prints_as(others, "0.40822 0.40822 -0.40822 1.2247 1.2247 2.0411 2.0411 0.40822")
    assert_prints_as(normalized[1], "-0.81644 " * 9)
    # In exact arithmetic this element is the mean of the 18, so that its normalized value is 0.
    exact = [Fraction(int(n), 255) + 1 for n in (reference.conv2d(SAMPLE, np.ones((1, 3, 3, 3), int))).ravel()]
    exact += [Fraction(27, 255) + 1] * 9
    mean = sum(exact) / 18
    assert exact[5] == mean
    variance = float(sum((v - mean) ** 2 for v in exact) / 18)
    # A division and 27 sums round each convolved value, and so each term of the mean, which is 18 more.
    residue_bound = (28 + 28 + 18) * UNIT_ROUNDOFF * float(max(exact)) / np.sqrt(variance)
    assert_within(residue, 0, residue_bound)
    rectified = reference.relu(normalized)
    assert_same(rectified, np.where(normalized > 0, normalized, 0))
    assert_same(rectified[1], np.zeros((1, 3, 3)))


def test_errata_there_is_no_argument_named_output_channels():
    with pytest.raises(TypeError, match="output_channels"):
        reference.conv2d(SAMPLE, np.ones((1, 3, 3, 3)), output_channels=1)


def test_errata_the_quotient_is_rounded_before_one_is_added():
    # (50 - 3) / 2 + 1 is 24.5; rounded down, the whole and the quotient give the same number.
    assert reference.conv_output_size(50, 3, stride=2) == 24
    assert reference.pool_output_size(50, 3, stride=2, ceil_mode=True) == 25
    # (2 - 1) / 2 + 1 is 1.5: which way it is rounded is a rule with a name, and can depend on padding.
    assert reference.pool_output_size(2, 1, stride=2, ceil_mode=True) == 1
    assert reference.pool_output_size(2, 1, stride=2, ceil_mode="ceil_keep") == 2
