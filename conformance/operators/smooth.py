"""Activations that have a derivative everywhere: each formula is the one that their papers write down."""

from __future__ import annotations

import math

import numpy as np

from conformance.formats import Array
from conformance.intervals import Interval, hull
from conformance.model import Breakages, Geometry
from conformance.operators.activation import elementwise
from reference.normal import cdf

CUBIC = 0.044715


def _logistic(x: Interval) -> Interval:
    return 1 / ((-x).exp() + 1)


def _sigmoid_slope(x: Interval) -> Interval:
    y = _logistic(x)
    return (1 - y) * y


def _tanh_slope(x: Interval) -> Interval:
    y = x.tanh()
    return 1 - y * y


def _softplus(x: Interval, beta: float = 1.0, threshold: float = 20.0) -> Interval:
    z = x * beta
    return hull(z.low > threshold, z.high > threshold, x, z.exp().log1p() / beta)


def _softplus_slope(x: Interval, beta: float = 1.0, threshold: float = 20.0) -> Interval:
    z = x * beta
    return hull(z.low > threshold, z.high > threshold, x.like(1), _logistic(z))


def _logsigmoid(x: Interval) -> Interval:
    return x.clip(-math.inf, 0) - (-abs(x)).exp().log1p()


def _softsign_slope(x: Interval) -> Interval:
    """Return the derivative by the rule for quotients, whose terms cancel far from 0."""
    below = abs(x) + 1
    return 1 / below - abs(x) / below / below


def _silu_slope(x: Interval) -> Interval:
    y = _logistic(x)
    return y * (x * (1 - y) + 1)


def _mish_factor(x: Interval) -> Interval:
    return x.exp().log1p().tanh()


def _mish_slope(x: Interval) -> Interval:
    factor = _mish_factor(x)
    return factor + x * _logistic(x) * (1 - factor * factor)


def _erf(x: Interval) -> Interval:
    """Return erf(x); fast forms of it have an absolute error (Abramowitz and Stegun 7.1.26: 1.5e-7)."""
    return x.increasing(_error_function, -1, 1, absolute=1)


def _error_function(z: Array) -> Array:
    """Return erf(z), to the accuracy of float64 in absolute terms: where it is small, 1 is added to it."""
    return 2 * cdf(np.atleast_1d(z) * math.sqrt(2)).reshape(np.shape(z)) - 1


def _gelu(x: Interval, approximate: str = "none") -> Interval:
    return x * 0.5 * (1 + _gelu_error(x, approximate))


def _gelu_error(x: Interval, approximate: str) -> Interval:
    """Return 2 * cdf(x) - 1, or what approximates it."""
    if approximate == "none":
        return _erf(x * math.sqrt(0.5))
    return ((x * x * x * CUBIC + x) * math.sqrt(2 / math.pi)).tanh()


def _gelu_slope(x: Interval, approximate: str = "none") -> Interval:
    error = _gelu_error(x, approximate)
    if approximate == "none":
        return (1 + error) * 0.5 + x * (x * x * -0.5).exp() * math.sqrt(0.5 / math.pi)
    inner = (x * x * (3 * CUBIC) + 1) * math.sqrt(2 / math.pi)
    return (1 + error) * 0.5 + x * 0.5 * (1 - error * error) * inner


def _softplus_rejections(geometry: Geometry) -> Breakages:
    return [("beta", {"beta": 0.0})]


def _gelu_rejections(geometry: Geometry) -> Breakages:
    return [("approximate", {"approximate": "erf"})]


SOFTPLUS = ({"beta": 2.0}, {"beta": 0.5, "threshold": 3.0}, {"beta": 3.0}, {"threshold": 0.0}, {"beta": -1.0})

OPERATORS = (
    elementwise("sigmoid", _logistic, _sigmoid_slope),
    elementwise("tanh", Interval.tanh, _tanh_slope),
    elementwise("softplus", _softplus, _softplus_slope, ({}, *SOFTPLUS), rejections=_softplus_rejections),
    elementwise("logsigmoid", _logsigmoid, lambda x: 1 / (x.exp() + 1)),
    elementwise("softsign", lambda x: x / (abs(x) + 1), _softsign_slope),
    elementwise("silu", lambda x: x / ((-x).exp() + 1), _silu_slope),
    elementwise("mish", lambda x: x * _mish_factor(x), _mish_slope),
    elementwise("gelu", _gelu, _gelu_slope, ({}, {"approximate": "tanh"}), rejections=_gelu_rejections),
)
