"""Gradients of normalization layers: against the definition, differentiated with sixty digits, and by hand."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from normalization_bounds import bounds, layer, local_response_bounds
from reference_cases import assert_same, assert_within, integers

import reference
from reference import vjp

mpmath = pytest.importorskip("mpmath", reason="mpmath comes with PyTorch and computes with as many digits as wanted")

DIGITS = 60
STEP = mpmath.mpf(10) ** -20  # so that a central difference is off by some 1e-40 in either of its two ways
extended = np.frompyfunc(mpmath.mpf, 1, 1)
root = np.frompyfunc(mpmath.sqrt, 1, 1)


def normalized(form):
    """The definition; `form` has weight and bias, and all its arrays hold numbers of any kind."""
    x, m = form.x, math.prod(form.x.shape[a] for a in form.axes)
    mean = x.sum(form.axes, keepdims=True) / m if form.centered else 0
    var = ((x - mean) ** 2).sum(form.axes, keepdims=True) / m
    if form.given is not None:
        mean, var = form.given
    return (x - mean) / root(var + mpmath.mpf(form.eps)) * form.weight + form.bias


def derivatives(function, array, g):
    """Return the derivative of sum(g * function(array)) with respect to every element."""
    with mpmath.workdps(DIGITS):
        result = np.empty(array.shape, object)
        for index in np.ndindex(*array.shape):
            step = extended(np.zeros(array.shape))
            step[index] = STEP
            change = function(array + step) - function(array - step)
            result[index] = (change * g).sum() / (2 * STEP)
    return result


def real(rng, *shape):
    return 2.0 ** rng.integers(-3, 4) * (rng.standard_normal(shape) + rng.choice([0.0, -20.0]))


def check(name, arrays, attributes):
    """Compare the output and every gradient with the definition, under the bound of one honest side."""
    form = layer(name, arrays, attributes)
    g = integers(arrays["input"].shape, 7, np.float64)
    one, zero = np.ones((1, 1, 1, 1)), np.zeros((1, 1, 1, 1))
    with mpmath.workdps(DIGITS):
        full = form._replace(
            x=extended(form.x),
            weight=extended(one if form.weight is None else form.weight),
            bias=extended(zero if form.bias is None else form.bias),
            given=form.given and tuple(extended(s) for s in form.given),
        )
        output = normalized(full)
    allowed = bounds(form, g)
    answer = getattr(reference, name)(**arrays, **attributes)
    answer = answer[0] if isinstance(answer, tuple) else answer
    assert_exact_within(answer, output, allowed["output"])
    gradients = getattr(vjp, name)(g, **arrays, **attributes)
    for argument, field in (("input", "x"), ("weight", "weight"), ("bias", "bias")):
        if argument not in arrays:
            assert getattr(gradients, argument, None) is None
            continue

        def of(array, field=field):
            return normalized(full._replace(**{field: array}))

        exact = derivatives(of, getattr(full, field), extended(g.reshape(form.x.shape)))
        assert_exact_within(getattr(gradients, argument), exact, allowed[f"gradient of {argument}"])


def assert_exact_within(actual, exact, bound):
    """Assert that float64 numbers are no farther from extended ones than a bound."""
    assert actual.dtype == np.float64
    difference = np.asarray(extended(actual).reshape(exact.shape) - exact, np.float64)
    assert_within(difference, 0, np.asarray(bound, np.float64))


seeds = given(st.integers(0, 2**16))
few = settings(max_examples=40)


def affine(rng, *shape, names=("weight", "bias")):
    return {name: real(rng, *shape) for name in names if rng.random() < 0.7}


@pytest.mark.parametrize(("name", "flag"), [("batch_norm", "training"), ("instance_norm", "use_input_stats")])
@pytest.mark.parametrize("own", [True, False])
@seeds
@few
def test_batch_and_instance_norm(name, flag, own, seed):
    rng = np.random.default_rng(seed)
    shape = [(2, 2, 2), (3, 1, 2, 2), (1, 2, 3), (2, 3, 1, 1, 2)][rng.integers(4)]
    arrays = {"input": real(rng, *shape)} | affine(rng, shape[1])
    if not own:
        arrays |= {"running_mean": real(rng, shape[1]), "running_var": np.abs(real(rng, shape[1])) + 0.25}
    check(name, arrays, {flag: own, "eps": float(rng.choice([1e-5, 0.5]))})


@seeds
@few
def test_group_norm(seed):
    rng = np.random.default_rng(seed)
    groups, shape = [(1, (2, 3)), (2, (1, 4, 2)), (3, (2, 3, 2)), (2, (2, 4)), (4, (2, 4))][rng.integers(5)]
    arrays = {"input": real(rng, *shape)} | affine(rng, shape[1])
    check("group_norm", arrays, {"num_groups": groups, "eps": float(rng.choice([1e-5, 0.5]))})


@pytest.mark.parametrize("name", ["layer_norm", "rms_norm"])
@seeds
@few
def test_layer_and_rms_norm(name, seed):
    rng = np.random.default_rng(seed)
    lead, shape = [((), (3,)), ((2,), (3,)), ((2, 2), (2,)), ((2,), (2, 3)), ((3,), (1,))][rng.integers(5)]
    arrays = {"input": real(rng, *lead, *shape)}
    arrays |= affine(rng, *shape, names=("weight", "bias") if name == "layer_norm" else ("weight",))
    attributes = {"normalized_shape": shape, "eps": float(rng.choice([1e-5, 0.5]))}
    if name == "rms_norm" and rng.random() < 0.3:
        attributes["eps"] = None
    check(name, arrays, attributes)


@pytest.mark.parametrize("extra", ["lower", "upper"])
@pytest.mark.parametrize("scale", ["mean", "sum"])
@seeds
@few
def test_local_response_norm(extra, scale, seed):
    rng = np.random.default_rng(seed)
    size, channels = int(rng.integers(1, 6)), int(rng.integers(1, 5))
    x = real(rng, int(rng.integers(1, 3)), channels, 2)
    alpha, beta, k = (float(rng.choice(values)) for values in ([0.0, 0.5, 2.0], [0.75, 1.0, -0.5], [1.0, 0.25]))
    attributes = {"size": size, "alpha": alpha, "beta": beta, "k": k, "extra": extra, "scale": scale}
    before, after = (size // 2, (size - 1) // 2) if extra == "lower" else ((size - 1) // 2, size // 2)
    taps = [(c, d) for c in range(channels) for d in range(channels) if c - before <= d <= c + after]
    per_square = alpha / size if scale == "mean" else alpha
    g = integers(x.shape, 7, np.float64)
    power = np.frompyfunc(lambda base: base ** mpmath.mpf(beta), 1, 1)

    def definition(x):
        squares = x * 0
        for c, d in taps:
            squares[:, c] += x[:, d] ** 2
        factor = mpmath.mpf(alpha) / size if scale == "mean" else mpmath.mpf(alpha)
        return x / power(k + factor * squares)

    allowed = local_response_bounds(x, g, taps, per_square, beta, k)
    with mpmath.workdps(DIGITS):
        output = definition(extended(x))
    assert_exact_within(reference.local_response_norm(x, **attributes), output, allowed["output"])
    exact = derivatives(definition, extended(x), extended(g))
    assert_exact_within(vjp.local_response_norm(g, x, **attributes), exact, allowed["gradient of input"])


CALLS = {
    "batch_norm": (partial(vjp.batch_norm, training=True), (2, 2, 100), (2,)),
    "batch_norm running": (partial(vjp.batch_norm, running_mean=[1, 2], running_var=[3, 4]), (2, 2, 100), (2,)),
    "instance_norm": (vjp.instance_norm, (2, 2, 100), (2,)),
    "group_norm": (partial(vjp.group_norm, num_groups=2), (3, 4, 100), (4,)),
    "layer_norm": (partial(vjp.layer_norm, normalized_shape=(2, 100)), (3, 2, 100), (2, 100)),
    "rms_norm": (partial(vjp.rms_norm, normalized_shape=(2, 100)), (3, 2, 100), (2, 100)),
}


@pytest.mark.parametrize("name", CALLS)
@settings(max_examples=10)
@given(st.integers(0, 99))
def test_gradients_are_linear_in_the_cotangent(name, seed):
    """Rows are long enough here for the other way to sum them; powers of two change no digit."""
    gradient, shape, parameter = CALLS[name]
    x, g, w = (integers(s, seed + i, np.float64) for i, s in enumerate((shape, shape, parameter)))
    once, more = gradient(g, x, weight=w), gradient(-4 * g, x, weight=w)
    for part, same in zip(once, more, strict=True):
        assert (part is None) == (same is None)
        if part is not None:
            assert_same(-4 * part, same)


def closed_form(form, g):
    """Return output and gradients by the formulas of the docstrings, which the tests above prove."""
    m, every = math.prod(form.x.shape[a] for a in form.axes), (0, 3)
    x, g = form.x.astype(np.longdouble), g.reshape(form.x.shape)

    def mean_of(a):
        return a.sum(form.axes, keepdims=True) / m

    mean = mean_of(x) if form.centered else 0
    mean, var = (mean, mean_of((x - mean) ** 2)) if form.given is None else form.given
    r = 1 / np.sqrt(var + form.eps)
    z, h = (x - mean) * r, form.weight * g
    of_input = r * h
    if form.given is None:
        of_input -= r * (mean_of(h) * form.centered + z * mean_of(h * z))
    return {
        "output": z * form.weight + (0 if form.bias is None else form.bias),
        "gradient of input": of_input,
        "gradient of weight": (g * z).sum(every, keepdims=True),
        "gradient of bias": g.sum(every, keepdims=True),
    }


LARGE = [
    ("batch_norm", (2, 3, 40, 40), (3,), {"training": True}),
    ("batch_norm", (2, 3, 40, 40), (3,), {}),
    ("batch_norm", (3000, 3), (3,), {"training": True}),
    ("instance_norm", (2, 3, 40, 40), (3,), {}),
    ("group_norm", (2, 4, 40, 40), (4,), {"num_groups": 2}),
    ("group_norm", (1000, 12), (12,), {"num_groups": 3}),
    ("layer_norm", (3, 40, 80), (40, 80), {"normalized_shape": (40, 80)}),
    ("layer_norm", (100, 300), (300,), {"normalized_shape": (300,)}),
    ("layer_norm", (1001, 9), (9,), {"normalized_shape": (9,)}),
    ("rms_norm", (3, 40, 80), (40, 80), {"normalized_shape": (40, 80)}),
    ("rms_norm", (1000, 9), (9,), {"normalized_shape": (9,)}),
]


@pytest.mark.parametrize("block", [2**18, 2**10])
@pytest.mark.parametrize(("name", "shape", "parameter", "attributes"), LARGE)
def test_large_arrays(name, shape, parameter, attributes, block, monkeypatch):
    """Long rows are summed another way than short ones, in blocks, and NumPy's buffer is changed, and changed back."""
    monkeypatch.setattr("reference.moments.BLOCK", block)
    rng = np.random.default_rng(1)
    arrays = {"input": rng.standard_normal(shape), "weight": rng.standard_normal(parameter)}
    if name != "rms_norm":
        arrays["bias"] = rng.standard_normal(parameter)
    if name == "batch_norm" and not attributes:
        arrays |= {"running_mean": rng.standard_normal(parameter), "running_var": rng.random(parameter)}
    form, g = layer(name, arrays, attributes), integers(shape, 1, np.float64)
    allowed, exact, buffer = bounds(form, g), closed_form(form, g), np.getbufsize()
    answer = getattr(reference, name)(**arrays, **attributes)
    gradients = getattr(vjp, name)(g, **arrays, **attributes)
    assert np.getbufsize() == buffer
    parts = {"output": answer[0] if isinstance(answer, tuple) else answer}
    parts |= {f"gradient of {part}": getattr(gradients, part) for part in ("input", "weight", "bias") if part in arrays}
    for part, value in parts.items():
        assert_within(value.reshape(exact[part].shape), exact[part], allowed[part])
    plain = getattr(vjp, name)(g, **{k: a for k, a in arrays.items() if k not in ("weight", "bias")}, **attributes)
    ones = getattr(vjp, name)(g, **arrays | {"weight": np.ones(parameter)}, **attributes)
    allowed = bounds(form._replace(weight=None), g)["gradient of input"].reshape(shape)
    assert_within(plain.input, ones.input, 2 * allowed)


def test_blocks_of_local_response_norm(monkeypatch):
    x, g = integers((5, 3, 9, 20), 1, np.float64), integers((5, 3, 9, 20), 2, np.float64)
    whole = reference.local_response_norm(x, 3), vjp.local_response_norm(g, x, 3)
    monkeypatch.setattr("reference.local_response.BLOCK", 200)
    for part, same in zip((reference.local_response_norm(x, 3), vjp.local_response_norm(g, x, 3)), whole, strict=True):
        assert_same(part, same)


def test_what_is_not_given_has_no_gradient():
    x, g = integers((2, 2, 3), 1, np.float64), integers((2, 2, 3), 2, np.float64)
    kept = [1.0, 2.0], [3.0, 4.0]
    for gradients in (vjp.batch_norm(g, x, *kept, training=True), vjp.batch_norm(g, x, *kept)):
        assert gradients._fields == ("input", "running_mean", "running_var", "weight", "bias")
        assert gradients[1:] == (None,) * 4
    assert vjp.instance_norm(g, x, *kept, bias=[0, 0]).weight is None
    assert_same(vjp.instance_norm(g, x, *kept, bias=[0, 0]).bias, g.sum((0, 2)))
    assert vjp.group_norm(g, x, 1)[1:] == (None, None)
    assert vjp.layer_norm(g, x, (3,))._fields == ("input", "weight", "bias")
    assert vjp.rms_norm(g, x, (3,))._fields == ("input", "weight")


def test_gradients_of_empty_arrays():
    assert_same(vjp.group_norm(np.zeros((0, 4, 3)), np.zeros((0, 4, 3)), 2, np.ones(4)).weight, np.zeros(4))
    assert_same(vjp.layer_norm(np.zeros((0, 4)), np.zeros((0, 4)), (4,), bias=np.ones(4)).bias, np.zeros(4))
    assert vjp.layer_norm(np.zeros((2, 0)), np.zeros((2, 0)), (0,), np.ones(0)).weight.shape == (0,)
    assert_same(vjp.group_norm(np.zeros((2, 4, 0)), np.zeros((2, 4, 0)), 2, np.ones(4)).weight, np.zeros(4))
    assert vjp.local_response_norm(np.zeros((2, 0, 3)), np.zeros((2, 0, 3)), 2).shape == (2, 0, 3)


def test_gradients_of_what_has_no_spread():
    """One value a group is its own mean: its output is the bias whatever it is."""
    gradients = vjp.group_norm([[1.0, 2], [3, 4]], [[5.0, 6], [7, 8]], 2, [9, 9], [0, 0])
    assert_same(gradients.input, np.zeros((2, 2)))
    assert_same(gradients.weight, np.zeros(2))
    assert_same(gradients.bias, np.array([4.0, 6.0]))
    undefined = vjp.layer_norm([[1.0, 0.0]], [[2.0, 2.0]], (2,), eps=0.0).input
    assert_same(undefined, np.full((1, 2), np.nan))


def test_not_a_number_stays_in_its_statistics():
    x = np.array([[1.0, np.nan], [np.inf, 2.0], [1.0, 3.0]])
    gradient = vjp.layer_norm(np.ones((3, 2)), x, (2,), [1.0, 2.0]).input
    assert np.isnan(gradient[:2]).all()
    assert np.isfinite(gradient[2]).all()


def test_a_cotangent_is_real():
    with pytest.raises(reference.ConstraintError, match="must be real"):
        vjp.layer_norm([[1j, 0]], [[1.0, 2.0]], (2,))
