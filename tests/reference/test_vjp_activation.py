"""Gradients of activations: differences of their definitions in many digits, kinks and limits by hand."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from reference_cases import UNIT_ROUNDOFF, assert_same, integers
from reference_curves import CURVES, DIGITS, UNDERFLOW, mpf, mpmath, points

import reference
from reference import ConstraintError, vjp

COTANGENT = 3.0


@pytest.mark.parametrize("name", CURVES)
def test_gradients_are_difference_quotients(name):
    curve = CURVES[name]
    x = points(40, curve)
    actual = getattr(vjp, name.split()[0])(np.full(x.shape, COTANGENT), x, **curve.attributes)
    with mpmath.workdps(DIGITS):
        for number, value in zip(map(mpf, x.tolist()), actual.tolist(), strict=True):
            expected = COTANGENT * curve.derivative(number)
            size = abs(expected) if curve.slope is None else COTANGENT * curve.slope(number)
            # The quotient itself is off by the square of its step, 1e-60, times the third derivative.
            bound = curve.slope_units(number) * mpf(UNIT_ROUNDOFF) * size + UNDERFLOW + mpf(10) ** -50 * abs(expected)
            assert abs(value - expected) <= bound, f"{value!r} at {number!r}"


TINY = 5 * 2.0**-1074


@pytest.mark.parametrize("name", CURVES)
def test_the_gradient_of_a_tiny_cotangent_is_rounded(name):
    curve = CURVES[name]
    x = points(10, curve)
    actual = getattr(vjp, name.split()[0])(np.full(x.shape, TINY), x, **curve.attributes)
    shift = {"tanh": 2, "selu": 1}.get(name, 10 if name.startswith(("silu", "mish", "gelu")) else 0)
    absolute = mpf(2) ** (-1074 + (24 if name == "gelu by tanh" else shift))
    with mpmath.workdps(DIGITS):
        for number, value in zip(map(mpf, x.tolist()), actual.tolist(), strict=True):
            expected = TINY * curve.derivative(number)
            assert abs(value - expected) <= absolute * (1 + mpf(10) ** -40), f"{value!r} at {number!r}"


SCALE, ALPHA = reference.activation.SELU_SCALE, reference.activation.SELU_ALPHA
KINKS = [
    ("relu", {}, 0, 0, 1),
    ("relu6", {}, 0, 0, 1),
    ("relu6", {}, 6, 0, 1),
    ("hardtanh", {}, -1, 0, 1),
    ("hardtanh", {"max_val": 2}, 2, 0, 1),
    ("hardtanh", {"min_val": 1, "max_val": 1}, 1, 0, 1),
    ("hardsigmoid", {}, -3, 0, 1 / 6),
    ("hardsigmoid", {}, 3, 0, 1 / 6),
    ("hardswish", {}, -3, 0, -0.5),
    ("hardswish", {}, 3, 1, 1.5),
    ("leaky_relu", {"negative_slope": 0.25}, 0, 0.25, 1),
    ("elu", {"alpha": 3}, 0, 3, 1),
    ("selu", {}, 0, SCALE * ALPHA, SCALE),
]


@pytest.mark.parametrize(("name", "attributes", "at", "outer", "inner"), KINKS)
def test_kinks(name, attributes, at, outer, inner):
    gradient = getattr(vjp, name)
    assert gradient(4, at, **attributes) == gradient(4, at, **attributes, kink="outer") == 4 * outer
    assert gradient(4, at, **attributes, kink="inner") == 4 * inner
    assert gradient(4, at, **attributes, kink="mean") == 4 * ((outer + inner) / 2)
    with pytest.raises(ConstraintError, match=r"must be one of outer, inner, mean \[kink\]"):
        gradient(4, at, **attributes, kink="left")


def test_every_kink_is_looked_at():
    assert {name for name in vjp.__all__ if "kink" in inspect.signature(getattr(vjp, name)).parameters} == {
        row[0] for row in KINKS
    } | {"prelu"}


def test_kinks_agree_with_torch():
    torch = pytest.importorskip("torch", reason="PyTorch is a peer to compare with, not a dependency")
    for name, attributes, at, _, _ in KINKS:
        x = torch.tensor(float(at), dtype=torch.float64, requires_grad=True)
        getattr(torch.nn.functional, name)(x, **attributes).backward()
        assert vjp.__dict__[name](1.0, at, **attributes) == x.grad.item()
    x = torch.tensor([np.nan], dtype=torch.float64, requires_grad=True)
    torch.relu(x).sum().backward()
    assert vjp.relu([1.0], [np.nan]).tolist() == x.grad.tolist()


def test_prelu():
    arrays = {"input": integers((2, 3, 2), 1), "weight": integers(3, 2)}
    cotangent = integers((2, 3, 2), 3)
    x, w = arrays["input"], arrays["weight"][:, None]
    for kink, factor in {"outer": w, "inner": np.ones_like(w), "mean": (1 + w) / 2}.items():
        gradients = vjp.prelu(cotangent, **arrays, kink=kink)
        assert_same(gradients.input, cotangent * np.where(x > 0, 1.0, np.where(x == 0, factor, w)))
    # It is linear in the weight: <prelu(x, w + s) - prelu(x, w), g> = <s, gradient>.
    for weight in (arrays["weight"], np.array([4]), np.array(4)):
        step = integers(weight.shape, 4)
        moved = reference.prelu(x, weight + step) - reference.prelu(x, weight)
        gradient = vjp.prelu(cotangent, x, weight).weight
        assert gradient.shape == weight.shape
        assert (moved * cotangent).sum() == (step * gradient).sum()
    with pytest.raises(ConstraintError, match=r"\[kink\]"):
        vjp.prelu(cotangent, **arrays, kink=None)


@pytest.mark.parametrize("name", CURVES)
def test_a_derivative_at_nan_is_nan(name):
    expected = 1.0 if name == "relu" else np.nan
    gradient = getattr(vjp, name.split()[0])
    assert_same(gradient([1.0], [np.nan], **CURVES[name].attributes), np.array([expected]))


def test_relu_at_nan_follows_the_rule_of_the_function():
    assert vjp.relu(5, np.nan, nan="zero") == 0
    assert_same(vjp.prelu([5.0], [np.nan], 2.0).input, np.array([np.nan]))


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("sigmoid", 0, 0),
        ("tanh", 0, 0),
        ("softplus", 0, 1),
        ("softplus with threshold", 1, 0),
        ("logsigmoid", 1, 0),
        ("softsign", 0, 0),
        ("silu", 0, 1),
        ("mish", 0, 1),
        ("gelu", 0, 1),
        ("gelu by tanh", 0, 1),
        ("relu", 0, 1),
        ("relu6", 0, 0),
        ("hardtanh", 0, 0),
        ("hardsigmoid", 0, 0),
        ("hardswish", 0, 1),
        ("leaky_relu", 0.01, 1),
        ("elu", 0, 1),
        ("celu", 0, 1),
        ("selu", 0, SCALE),
    ],
)
def test_limits(name, low, high):
    gradient = getattr(vjp, name.split()[0])
    for far in (np.inf, 1.7e308):
        actual = gradient([1.0, 1.0], [-far, far], **CURVES[name].attributes)
        assert_same(actual, np.array([low, high], float))


def test_an_infinite_limit_is_no_kink():
    assert_same(vjp.hardtanh([1, 1], [-np.inf, np.inf], -np.inf, np.inf), np.array([1.0, 1.0]))
