"""Gradients that are exact on whole numbers: of the fully connected layer, of padding, of what moves elements."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference_cases import assert_same, integers, pad_calls, sizes

import reference
from reference import vjp
from reference.padding import PAD_MODES

DTYPES = st.sampled_from([np.int64, np.float64, np.complex128])
SEEDS = st.integers(0, 2**32)


def inner(a, b):
    return (np.asarray(a) * np.conj(b)).sum()


def assert_gradients(name, arrays, attributes, seed):
    """Check a function that is linear in every array: <A x, y> = <x, A' y>, and every difference quotient."""
    function, gradient = getattr(reference, name), getattr(vjp, name)
    output = function(**arrays, **attributes)
    cotangent = integers(output.shape, seed, output.dtype)
    gradients = gradient(cotangent, **arrays, **attributes)
    for i, (argument, array) in enumerate(arrays.items()):
        slope = getattr(gradients, argument) if isinstance(gradients, tuple) else gradients
        assert (slope.shape, slope.dtype) == (array.shape, output.dtype)
        step = integers(array.shape, seed + i + 1, array.dtype)
        moved = function(**{**arrays, argument: array + step}, **attributes)
        assert inner(moved - output, cotangent) == inner(step, slope)
        for index in np.ndindex(array.shape):
            unit = np.zeros(array.shape, array.dtype)
            unit[index] = 1
            moved = function(**{**arrays, argument: array + unit}, **attributes)
            assert inner(cotangent, moved - output) == slope[index]


@given(st.data(), DTYPES, SEEDS)
def test_linear(data, dtype, seed):
    lead, (i, o) = sizes(data.draw, data.draw(st.integers(0, 2)), 0, 3), sizes(data.draw, 2, 0, 3)
    out = data.draw(st.sampled_from([[o], []]))
    shapes = {"input": [*lead, i], "weight": [*out, i], "bias": out}
    if data.draw(st.booleans()):
        del shapes["bias"]
    arrays = {name: integers(shape, seed + k, dtype) for k, (name, shape) in enumerate(shapes.items())}
    assert_gradients("linear", arrays, {}, seed)


def test_gradients_of_linear_are_correctly_rounded_inside_exact():
    hidden, ones = [[1e16], [1.0], [-1e16]], np.ones((3, 1))
    with reference.exact():
        gradients = vjp.linear(hidden, ones, [[1.0]], [0.0])
        assert gradients.weight.item() == gradients.bias.item() == 1.0
        assert vjp.linear([[1e16, 1.0, -1e16]], [[1.0]], ones).input.item() == 1.0
    rng = np.random.default_rng(0)
    g, x = rng.normal(size=(9, 2)), rng.normal(size=(9, 3)) * 2.0 ** rng.integers(-30, 30, (9, 3))
    with reference.exact():
        gradients = vjp.linear(g, x, np.zeros((2, 3)), np.zeros(2))
    assert gradients.bias.tolist() == [math.fsum(column) for column in g.T]


def test_a_gradient_of_complex_numbers_is_conjugate():
    gradients = vjp.linear([1 + 1j], [2j], [[3 - 1j]])
    assert_same(gradients.input, np.array([(1 + 1j) * (3 + 1j)]))
    assert_same(gradients.weight, np.array([[(1 + 1j) * -2j]]))


@pytest.mark.parametrize("mode", PAD_MODES)
@given(st.data(), DTYPES, SEEDS)
def test_pad(mode, data, dtype, seed):
    call = data.draw(pad_calls(mode, crop=True))
    x = call.arrays["input"].astype(dtype)
    value = data.draw(st.sampled_from([None, 2])) if mode == "constant" else None
    assert_gradients("pad", {"input": x}, {**call.attributes, "value": value}, seed)


@pytest.mark.parametrize(
    ("mode", "pad", "expected"),
    [
        ("constant", (2, 1), [100, 1000, 10000]),
        ("constant", (-1, 0), [0, 1, 10]),
        ("replicate", (2, 1), [111, 1000, 110000]),
        ("reflect", (2, 2), [1000100, 101010, 10001]),
        ("circular", (3, 2), [1001001, 10010010, 100100]),
        ("circular", (3, -2), [1001, 10, 100]),
        ("circular", (1, -1), [10, 100, 1]),
        ("reflect", (2, -3), [0, 10, 1]),
    ],
)
def test_copies_are_added_back(mode, pad, expected):
    n = 3 + sum(pad)
    assert_same(vjp.pad(10 ** np.arange(n), np.zeros(3, int), pad, mode), np.array(expected))


def test_every_combination_of_edges_is_added_back():
    assert_same(vjp.pad(np.ones((5, 7), int), np.zeros((1, 1), int), (4, 2, 1, 3), "replicate"), np.array([[35]]))
    assert_same(vjp.pad(np.ones((4, 4), int), np.zeros((2, 2), int), (1, 1, 1, 1), "reflect"), np.full((2, 2), 4))


def test_nothing_warns_where_copies_overflow():
    assert_same(vjp.pad([1e308] * 4, [0.0, 0.0], (2, 0), "replicate"), np.array([np.inf, 1e308]))
    assert_same(vjp.pad([np.inf, -np.inf, 0.0], [0.0, 0.0], (1, 0), "replicate"), np.array([np.nan, 0.0]))


def test_integers_that_are_padded_with_a_float_become_floats():
    assert reference.pad([2**53 + 1], (1, 0), mode="replicate").tolist() == [2**53 + 1] * 2
    assert reference.pad([2**53 + 1], (1, 0), value=0.0).tolist() == [0.0, 2.0**53]


@given(st.data(), DTYPES, SEEDS)
def test_flatten(data, dtype, seed):
    shape = sizes(data.draw, data.draw(st.integers(0, 4)), 0, 3)
    start, end = sorted(sizes(data.draw, 2, 0, max(len(shape) - 1, 0)))
    assert_gradients("flatten", {"input": integers(shape, seed, dtype)}, {"start_dim": start, "end_dim": end}, seed)


@given(st.data(), DTYPES, SEEDS)
def test_pixel_shuffle(data, dtype, seed):
    r, c, h, w = (data.draw(st.integers(low, 3)) for low in (1, 0, 0, 0))
    lead = sizes(data.draw, data.draw(st.integers(0, 2)), 0, 2)
    channels = integers((*lead, c * r * r, h, w), seed, dtype)
    image = reference.pixel_shuffle(channels, r)
    assert image.shape == (*lead, c, h * r, w * r)
    assert_same(reference.pixel_unshuffle(image, r), channels)
    for *n, k, y, x in np.ndindex(image.shape):
        assert image[(*n, k, y, x)] == channels[(*n, (k * r + y % r) * r + x % r, y // r, x // r)]
    assert_gradients("pixel_shuffle", {"input": channels}, {"upscale_factor": r}, seed)
    assert_gradients("pixel_unshuffle", {"input": image}, {"downscale_factor": r}, seed)
