"""Activations within the accuracy that they promise, at their limits, and at NaN."""

from __future__ import annotations

import numpy as np
import pytest
from reference_cases import UNIT_ROUNDOFF, assert_same
from reference_curves import CURVES, DIGITS, UNDERFLOW, cdf, density, mpf, mpmath, points

import reference
from reference import normal, vjp
from reference.elementwise import BLOCK

INFINITE = np.array([-np.inf, np.inf])


def call(name, x):
    return getattr(reference, name.split()[0])(x, **CURVES[name].attributes)


def assert_within_units(actual, x, definition, units, absolute=UNDERFLOW):
    with mpmath.workdps(DIGITS):
        for number, value in zip(map(mpf, x.tolist()), actual.tolist(), strict=True):
            expected = definition(number)
            bound = units(number) * mpf(UNIT_ROUNDOFF) * abs(expected) + absolute
            assert abs(value - expected) <= bound, f"{value!r} at {number!r}"


@pytest.mark.parametrize("name", CURVES)
def test_outputs_are_as_accurate_as_promised(name):
    curve = CURVES[name]
    x = points(1e4, curve)  # beyond it there are only limits
    x = x[x > -2000] if name == "celu that grows" else x
    assert_within_units(call(name, x), x, curve.definition, curve.units)


@pytest.mark.parametrize("name", CURVES)
def test_what_underflows_is_as_accurate_as_promised(name):
    """A rounding there is one of a part of 2**-1074, not of the number; `silu` and its like multiply with exp(x)."""
    curve, x = CURVES[name], np.concatenate([np.arange(-64.0, 65) * 2.0**-1074, np.linspace(-746, -700, 60)])
    given = curve.attributes.get("alpha", 0) if name.startswith("celu") else 1 / curve.attributes.get("beta", np.inf)
    exact = name in ("tanh", "softsign", "hardsigmoid", "relu", "relu6", "hardtanh")
    short = name.startswith(("silu", "mish", "gelu"))
    absolute = mpf(0 if exact else 2.0**-1064 if short else 2.0**-1074) * (1 + abs(mpf(given)))
    assert_within_units(call(name, x), x, curve.definition, curve.units, absolute)


def test_a_subnormal_number_is_rounded():
    assert reference.celu([-5e-324], 5.0).tolist() == [0.0]  # a fifth of it is 0
    assert reference.hardswish([1.5e-323]).tolist() == [1e-323]


@pytest.mark.parametrize(("function", "definition", "units"), [(normal.cdf, cdf, 6), (normal.density, density, 5)])
def test_the_normal_distribution(function, definition, units):
    x = np.concatenate([np.linspace(-39, 9, 400), 10.0 ** np.linspace(-300, 0, 30)])
    assert_within_units(function(x), x, definition, lambda _: units)
    assert_same(function(np.array([-np.inf, np.nan])), np.array([0, np.nan]))
    assert normal.cdf(np.array([0.0, np.inf])).tolist() == [0.5, 1.0]


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("sigmoid", 0, 1),
        ("tanh", -1, 1),
        ("softplus", 0, np.inf),
        ("softplus with threshold", np.inf, 0),
        ("logsigmoid", -np.inf, 0),
        ("softsign", -1, 1),
        ("silu", 0, np.inf),
        ("mish", 0, np.inf),
        ("gelu", 0, np.inf),
        ("gelu by tanh", 0, np.inf),
        ("relu", 0, np.inf),
        ("relu6", 0, 6),
        ("hardtanh", -2, 3.5),
        ("hardsigmoid", 0, 1),
        ("hardswish", 0, np.inf),
        ("leaky_relu", -np.inf, np.inf),
        ("leaky_relu steeper", -np.inf, np.inf),
        ("elu", -0.7, np.inf),
        ("celu", -0.7, np.inf),
        ("celu that grows", -np.inf, np.inf),
        ("selu", -reference.activation.SELU_ALPHA * reference.activation.SELU_SCALE, np.inf),
    ],
)
def test_limits(name, low, high):
    if name == "softplus with threshold":  # beta is negative: minus infinity is beyond the threshold
        low = -np.inf
    assert_same(call(name, INFINITE), np.array([low, high], float))
    assert_same(call(name, np.array([np.nan])), np.array([np.nan]))
    far = call(name, np.array([-1.7e308, 1.7e308]))
    assert not np.isnan(far).any()
    assert_same(far[np.isfinite([low, high])], np.array([low, high], float)[np.isfinite([low, high])])


def test_a_slope_of_0_has_the_limit_0():
    assert_same(reference.leaky_relu(INFINITE, 0), np.array([0, np.inf]))
    assert_same(reference.prelu(INFINITE, 0.0), np.array([np.nan, np.inf]))


def test_prelu_tells_channels_apart():
    x = np.array([[[-1, 2], [-3, -4]], [[5, -6], [0, 7]]])
    assert_same(reference.prelu(x, [10, 100]), np.array([[[-10, 2], [-300, -400]], [[5, -60], [0, 7]]]))
    assert_same(reference.prelu(x, [10]), np.where(x > 0, x, 10 * x))
    assert_same(reference.prelu(x[0, 0], 10), np.array([-10, 2]))


def test_a_weight_of_prelu_does_not_reach_what_is_positive():
    assert_same(reference.prelu([[5.0, 5.0]], [np.inf, np.nan]), np.array([[5.0, 5.0]]))
    assert_same(reference.prelu([[-5.0, -5.0]], [np.inf, np.nan]), np.array([[-np.inf, np.nan]]))
    assert_same(vjp.prelu([[1.0, 1.0]], [[5.0, 5.0]], [np.inf, np.nan]).input, np.array([[1.0, 1.0]]))


def test_long_arrays_are_worked_on_in_blocks():
    x = np.random.default_rng(0).normal(0, 4, 2 * BLOCK + 5)
    assert_same(reference.hardsigmoid(x.reshape(-1, 1))[:, 0], np.clip(x + 3, 0, 6) / 6)
    assert_same(reference.vjp.hardswish(x, x), x * np.where(np.abs(x) < 3, x / 3 + 0.5, x > 0))
