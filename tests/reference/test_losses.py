"""Softmax and cross-entropy, forward and backward, against their definitions in many digits."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from reference_cases import UNIT_ROUNDOFF, assert_same, assert_within

import reference
from reference import vjp

mpmath = pytest.importorskip("mpmath", reason="mpmath comes with PyTorch and computes with as many digits as wanted")
mpf = mpmath.mpf

DIGITS = 80
STEP = mpf(10) ** -20  # the central difference is off by its square
extended = np.frompyfunc(mpf, 1, 1)
power = np.frompyfunc(mpmath.exp, 1, 1)
logarithm = np.frompyfunc(mpmath.log, 1, 1)


def softmax(x, along):
    return power(x) / power(x).sum(along, keepdims=True)


def log_softmax(x, along):
    return logarithm(softmax(x, along))


def cross_entropy(x, target, weight, ignored, reduction, s):
    """Return the loss as the sum over classes and positions that defines it."""
    along, total, divisor = min(1, x.ndim - 1), mpf(0), mpf(0)
    logs, classes = log_softmax(x, along), x.shape[along]
    losses = np.full(np.delete(x.shape, along), mpf(0))
    for position in np.ndindex(losses.shape):
        of_class = [(*position[:along], c, *position[along:]) for c in range(classes)]
        if target.shape == x.shape:
            p, share = [target[i] for i in of_class], mpf(1)
        elif target[position] == ignored:
            continue
        else:
            p, share = [mpf(int(target[position] == c)) for c in range(classes)], weight[target[position]]
        divisor += share
        losses[position] = -sum(weight[c] * ((1 - s) * p[c] + s / classes) * logs[i] for c, i in enumerate(of_class))
        total += losses[position]
    return {"none": losses, "sum": total, "mean": total / (divisor or 1)}[reduction]


def quotients(function, cotangent, x):
    """Return the difference quotients of sum(cotangent * function(x))."""
    result = np.empty(x.shape, object)
    for index in np.ndindex(x.shape):
        ends = [x.copy(), x.copy()]
        ends[0][index] += STEP
        ends[1][index] -= STEP
        high, low = (np.sum(cotangent * function(end)) for end in ends)
        result[index] = (high - low) / (2 * STEP)
    return result


SCORES = [
    np.array([[0.25, -1.5, 2.0], [3.0, 3.0, -2.75]]),
    np.array([[0.0, -50.0, -60.0], [700.0, -700.0, 0.5], [1.0, 1.0, 1.0]]),
    np.array([[[1e-9, -1e-9]], [[-3.5, 0.125]]]),
    np.array([-0.5, 12.0, 4.0, 4.0]),
    np.array(2.5),
]


def spread(x, along):
    """Return n, and how far below the largest number along the axis each one is."""
    x = np.atleast_1d(x)
    return x.shape[along], x.max(along, keepdims=True) - x


CASES = [(x, along) for x in SCORES for along in range(-x.ndim, max(x.ndim, 1))]


@pytest.mark.parametrize(("x", "along"), CASES)
def test_softmax(x, along):
    n, below = spread(x, along)
    with mpmath.workdps(DIGITS * 10):  # for exp(-1400) + 1
        wide = extended(np.atleast_1d(x))
        expected = softmax(wide, along)
        bound = (2 * n + 4 + below) * mpf(UNIT_ROUNDOFF) * expected + mpf(2) ** -1074
        assert_within(extended(np.atleast_1d(reference.softmax(x, along))), expected, bound)
        expected = log_softmax(wide, along)
        gap = np.min(below, axis=along, keepdims=True, where=below > 0, initial=2000)
        bound = (2 * n + 8 + gap % 2000) * mpf(UNIT_ROUNDOFF) * np.abs(expected) + n * mpf(2) ** -1074
        assert_within(extended(np.atleast_1d(reference.log_softmax(x, along))), expected, bound)


@pytest.mark.parametrize(("x", "along"), CASES)
def test_gradients_of_softmax(x, along):
    n, below = spread(x, along)
    wide = np.atleast_1d(x)
    g = np.random.default_rng(x.size).integers(-9, 10, wide.shape)
    reach = below.max(along, keepdims=True)
    with mpmath.workdps(DIGITS * 10):
        wide, big = extended(wide), extended(g)
        p = softmax(wide, along)
        actual = vjp.softmax(g.reshape(x.shape), x, along)
        size = p * (abs(big) + (abs(big) * p).sum(along, keepdims=True))
        bound = (5 * n + 12 + 2 * reach) * mpf(UNIT_ROUNDOFF) * size + 9 * n * mpf(2) ** -1073
        expected = quotients(lambda z: softmax(z, along), big, wide)
        assert_within(extended(actual.reshape(wide.shape)), expected, bound + mpf(10) ** -38 * size)
        actual = vjp.log_softmax(g.reshape(x.shape), x, along)
        size = abs(big) + p * abs(big).sum(along, keepdims=True)
        bound = (3 * n + 8 + reach) * mpf(UNIT_ROUNDOFF) * size
        expected = quotients(lambda z: log_softmax(z, along), big, wide)
        assert_within(extended(actual.reshape(wide.shape)), expected, bound + mpf(10) ** -38 * size)


def test_logarithms_of_certainty_are_not_lost():
    assert reference.log_softmax([0.0, -40.0])[0] == -np.exp(-40.0)
    assert reference.cross_entropy([700.0, -700.0, 650.0], 0) == np.exp(-50.0)


def test_infinite_scores():
    assert_same(reference.softmax([0.0, -np.inf]), np.array([1.0, 0.0]))
    assert_same(reference.log_softmax([0.0, -np.inf]), np.array([0.0, -np.inf]))
    for x in ([np.inf, 0.0], [-np.inf, -np.inf], [np.nan, 0.0]):
        assert_same(reference.softmax(x), np.array([np.nan, np.nan]))
        assert_same(reference.log_softmax(x), np.array([np.nan, np.nan]))
        assert_same(vjp.softmax([1, 1], x), np.array([np.nan, np.nan]))
        assert_same(vjp.log_softmax([1, 1], x), np.array([np.nan, np.nan]))


SHAPES = [((3,), ()), ((2, 3), (2,)), ((2, 3, 2), (2, 2)), ((1, 2, 1, 2), (1, 1, 2)), ((2, 1), (2,))]


@pytest.mark.parametrize(
    ("shapes", "kind", "reduction", "weighted", "s"),
    list(
        product(SHAPES, ["indices", "ignoring", "probabilities"], ["mean", "sum", "none"], [False, True], [0.0, 0.25])
    ),
)
def test_cross_entropy(shapes, kind, reduction, weighted, s):
    rng = np.random.default_rng(7)
    shape, positions = shapes
    along = min(1, len(shape) - 1)
    n = shape[along]
    x = rng.normal(0, 4, shape)
    ignored = {"indices": -100, "ignoring": 0, "probabilities": -1}[kind]
    target = rng.random(shape) if kind == "probabilities" else rng.integers(0, n, positions)
    weight = rng.uniform(0.5, 2, n) if weighted else None
    attributes = {"ignore_index": ignored, "reduction": reduction, "label_smoothing": s}
    actual = reference.cross_entropy(x, target, weight, **attributes)
    g = rng.integers(-9, 10, actual.shape)
    gradients = vjp.cross_entropy(g, x, target, weight, **attributes)
    count = int(np.prod(positions)) if reduction != "none" or weighted else 1
    reach = np.ptp(x, axis=along).max()
    with mpmath.workdps(DIGITS):
        wide, w = extended(x), extended(np.ones(n) if weight is None else weight)
        t = extended(target) if kind == "probabilities" else target
        ignoring_all = kind == "ignoring" and not target.any()

        def loss(x=wide, t=t, w=w, r=reduction):
            return cross_entropy(x, t, w, ignored, r, mpf(s))

        u = mpf(UNIT_ROUNDOFF)
        if ignoring_all and reduction == "mean":
            assert np.isnan(actual)
            assert_same(gradients.input, np.zeros(shape))
            return
        # The loss is a sum of positive terms, and so are the absolute terms of all gradients of it.
        assert_within(extended(actual), loss(), (3 * n + 12 + reach + count) * u * loss())
        factor = (4 * n + 16 + 2 * reach + count) * u * 9
        expected = quotients(lambda z: loss(x=z), extended(g), wide)
        total = np.sum(w) * (2 if kind == "probabilities" else 1)
        share = 1 / (w.min() if reduction == "mean" and kind != "probabilities" else 1)
        assert_within(extended(gradients.input), expected, factor * 2 * total * share)
        largest = max(abs(log_softmax(wide, along)).ravel())
        for name, array in {
            "target": t if kind == "probabilities" else None,
            "weight": w if weighted else None,
        }.items():
            gradient = getattr(gradients, name)
            if array is None:
                assert gradient is None
                continue
            expected = quotients(lambda z, name=name: loss(**{name[0]: z}), extended(g), array)
            assert_within(extended(gradient), expected, factor * largest * 2 * total * share * count)


def test_what_is_ignored_has_no_gradient():
    x = [[np.nan, 0.0], [0.0, 0.0]]
    assert reference.cross_entropy(x, [-100, 1]).item() == np.log(2)
    assert_same(vjp.cross_entropy(2.0, x, [-100, 1]).input, np.array([[0.0, 0.0], [1.0, -1.0]]))
    nothing = reference.cross_entropy(x, [-100, -100], reduction="sum")
    assert nothing == 0
    assert_same(reference.cross_entropy(x, [-100, -100]), np.array(np.nan))
    assert_same(vjp.cross_entropy(2.0, x, [-100, -100]).input, np.zeros((2, 2)))
    assert_same(reference.cross_entropy(np.zeros((0, 2)), np.zeros((0, 2))), np.array(np.nan))
    for scores, target in (([[1.0, 2.0]], [-100]), (np.zeros((0, 2)), np.zeros(0, int)), (np.zeros((0, 2)),) * 2):
        assert_same(vjp.cross_entropy(1.0, scores, target, [1.0, 1.0]).weight, np.zeros(2))


def test_nothing_warns_of_what_overflows():
    x, huge = [[0.0, 800.0]], [1e308, 1.0]
    assert reference.cross_entropy(x, [0], huge).item() == np.inf
    assert reference.cross_entropy(x * 2, [0, 0], huge, reduction="sum").item() == np.inf
    assert_same(reference.cross_entropy(x * 2, [0, 0], [1e308, 1e308]), np.array(np.nan))
    gradients = vjp.cross_entropy(1e308, x * 2, [0, 0], huge, reduction="sum")
    assert_same(gradients.input, np.array([[-np.inf, np.inf]] * 2))
    assert_same(gradients.weight, np.array([np.inf, 0.0]))
    assert vjp.softmax([1.7e308, -1.7e308], [0.0, 9.0])[0] == np.inf
    assert_same(vjp.log_softmax([1e308, 1e308], [0.0, 0.0]), np.array([-np.inf, -np.inf]))


def test_whole_cotangents_do_not_wrap():
    assert vjp.log_softmax([2**62, 2**62], [0.0, -np.inf]).tolist() == [-(2.0**62), 2.0**62]


def test_an_impossible_class_counts_only_where_it_is_asked_for():
    x = [[-np.inf, 0.0, 0.0]]
    assert reference.cross_entropy(x, [0]) == np.inf
    assert reference.cross_entropy(x, [1]).item() == np.log(2)
    assert reference.cross_entropy(x, [[0.0, 1.0, 0.0]]).item() == np.log(2)
    assert reference.cross_entropy(x, [1], label_smoothing=0.5) == np.inf
    assert reference.cross_entropy(x, [1], [np.inf, 1.0, 1.0]).item() == np.log(2)
    assert_same(vjp.cross_entropy(2.0, x, [1]).input, np.array([[0.0, -1.0, 1.0]]))
