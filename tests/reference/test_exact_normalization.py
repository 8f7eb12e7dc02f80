"""Inside `exact()` normalization is correctly rounded: fractions decide, which round nothing themselves."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from normalization_bounds import layer
from reference_cases import assert_same

import reference
from reference import vjp

LEAST = 2.0**-1074
BEYOND = Fraction(2) ** 1024  # the number that would follow the largest one
fractions = np.frompyfunc(Fraction, 1, 1)


def value(y: float) -> Fraction:
    return Fraction(y) if math.isfinite(y) else Fraction(math.copysign(1, y)) * BEYOND


def interval(y: float) -> tuple[Fraction, Fraction]:
    """Return between which two numbers all round to y."""
    low, high = ((value(y) + value(math.nextafter(y, end))) / 2 for end in (-math.inf, math.inf))
    return (low, high) if math.isfinite(y) else ((low, low * BEYOND**4) if y > 0 else (high * BEYOND**4, high))


def nearest(fraction: Fraction) -> float:
    """Return the nearest float64: Python rounds fractions correctly."""
    try:
        return float(fraction)
    except OverflowError:
        return math.inf if fraction > 0 else -math.inf


def signed_square(fraction: Fraction) -> Fraction:
    return fraction * abs(fraction)


def assert_nearest(actual, x, mean, spread, weight, bias):
    """Assert that each y is nearest to t + bias, where t = (x - mean) * weight / sqrt(spread), by comparing squares."""
    arrays = np.broadcast_arrays(actual, x, mean, spread, weight, bias)
    for y, number, center, s, w, b in zip(*(array.ravel() for array in arrays), strict=True):
        if s == 0:
            assert math.isnan(y)
            continue
        above = signed_square((Fraction(number) - center) * Fraction(w))
        low, high = interval(float(y))
        assert signed_square(low - Fraction(b)) * s <= above <= signed_square(high - Fraction(b)) * s


def check(name, arrays, attributes):
    """Assert that the output is nearest to its exact value; return the answer and the statistics."""
    with reference.exact():
        answer = getattr(reference, name)(**arrays, **attributes)
    form = layer(name, arrays, attributes)
    if form.given is None:
        x, m = fractions(form.x), math.prod(form.x.shape[a] for a in form.axes)
        mean = x.sum(form.axes, keepdims=True) / Fraction(m) * form.centered
        var = ((x - mean) ** 2).sum(form.axes, keepdims=True) / Fraction(m)
    else:
        mean, var = (fractions(s) for s in form.given)
    output = answer[0] if isinstance(answer, tuple) else answer
    assert output.dtype == np.float64
    one, zero = np.ones((1, 1, 1, 1)), np.zeros((1, 1, 1, 1))
    weight, bias = one if form.weight is None else form.weight, zero if form.bias is None else form.bias
    assert_nearest(output.reshape(form.x.shape), form.x, mean, var + Fraction(form.eps), weight, bias)
    return answer, mean, var


KINDS = {
    "plain": lambda rng, shape: rng.standard_normal(shape),
    "wide": lambda rng, shape: np.ldexp(rng.standard_normal(shape), rng.integers(-1070, 1020, shape)),
    "offset": lambda rng, shape: 2.0**40 + rng.integers(0, 3, shape) * 2.0**-12,
    "subnormal": lambda rng, shape: rng.integers(-9, 10, shape) * LEAST,
    "huge": lambda rng, shape: rng.integers(-9, 10, shape) * 2.0**1020,
    "whole": lambda rng, shape: rng.integers(-3, 4, shape).astype(np.float64),
    "equal": lambda rng, shape: np.full(shape, rng.standard_normal()),
}
kinds = st.sampled_from(sorted(KINDS))
epsilons = st.sampled_from([0.0, 1e-5, 1.0, LEAST, 2.0**1000])
drawn = given(st.integers(0, 2**32), kinds, kinds, epsilons, st.booleans())


def arrays_of(seed, kind, parameters, shape, places, names=("weight", "bias")):
    rng = np.random.default_rng(seed)
    arrays = {"input": KINDS[kind](rng, shape)}
    arrays |= {name: KINDS[parameters](rng, places) for name in names if rng.random() < 0.7}
    return rng, arrays


@pytest.mark.parametrize("name", ["batch_norm", "instance_norm"])
@drawn
@settings(max_examples=150)
def test_batch_and_instance_norm(name, seed, kind, parameters, eps, cancels):
    shape = (2, 2, 3)
    rng, arrays = arrays_of(seed, kind, parameters, shape, 2)
    running = {"running_mean": KINDS[parameters](rng, 2), "running_var": np.abs(KINDS[kind](rng, 2))}
    momentum = float(rng.choice([0.1, 0.5, 1.0, 0.0, 1e300, -1e-300]))
    settings = {"eps": eps, "momentum": momentum, "training": True}
    settings |= {"running_variance": str(rng.choice(["biased", "unbiased"]))}
    settings |= {"momentum_weights": str(rng.choice(["new", "old"]))}
    if name == "instance_norm":
        del settings["training"]
    if cancels:
        with reference.exact():
            output = getattr(reference, name)(**arrays | {"bias": np.zeros(2)}, **settings).output[0, :, 0]
        arrays["bias"] = -np.where(np.isfinite(output), output, 0)
    answer, mean, var = check(name, arrays | running, settings)
    m = 6 if name == "batch_norm" else 3
    share = Fraction(momentum)
    keep, take = (1 - share, share) if settings["momentum_weights"] == "new" else (share, 1 - share)
    spread = var * (Fraction(m, m - 1) if settings["running_variance"] == "unbiased" else 1)
    for part, new in (("running_mean", mean), ("running_var", spread)):
        new = new.sum(0).ravel() / Fraction(len(new))
        exact = [nearest(keep * Fraction(o) + take * n) for o, n in zip(running[part], new, strict=True)]
        assert_same(getattr(answer, part), np.array(exact))


@drawn
@settings(max_examples=100)
def test_running_statistics_in_use(seed, kind, parameters, eps, cancels):
    rng, arrays = arrays_of(seed, kind, parameters, (2, 2, 2), 2)
    arrays["running_mean"] = KINDS[kind](rng, 2) if cancels else arrays["input"][0, :, 0].copy()
    arrays["running_var"] = np.abs(KINDS[parameters](rng, 2)) + LEAST
    answer, _, _ = check("batch_norm", arrays, {"eps": eps})
    assert_same(answer.running_mean, arrays["running_mean"])
    assert_same(answer.running_var, arrays["running_var"])


@drawn
@settings(max_examples=150)
def test_group_norm(seed, kind, parameters, eps, cancels):
    _, arrays = arrays_of(seed, kind, parameters, (2, 4, 2), 4)
    check("group_norm", arrays, {"num_groups": 1 + cancels, "eps": eps})


@pytest.mark.parametrize("name", ["layer_norm", "rms_norm"])
@drawn
@settings(max_examples=150)
def test_layer_and_rms_norm(name, seed, kind, parameters, eps, cancels):
    names = ("weight", "bias") if name == "layer_norm" else ("weight",)
    _, arrays = arrays_of(seed, kind, parameters, (2, 2, 3), (2, 3) if cancels else 3, names)
    check(name, arrays, {"normalized_shape": (2, 3) if cancels else (3,), "eps": eps})


def test_a_tie_is_rounded_to_even():
    """Of 9 and eight times -1 the first normalizes to 2 sqrt(2); of 1 and -1 to 1, and half a unit is a tie."""
    with reference.exact():
        for w, b, nearest_even in ((2.0**-53, 1.0, 1.0), (3 * 2.0**-53, 1.0, 1 + 2.0**-51), (LEAST, LEAST, 2 * LEAST)):
            assert reference.layer_norm([1.0, -1.0], (2,), [w, 1], [b, 0], eps=0.0)[0] == nearest_even
        assert reference.layer_norm([1.0, -1.0], (2,), [LEAST, 1], eps=3.0)[0] == 0.0  # half of the least number


def test_digits_of_a_root():
    """sqrt(2) to a hundred digits, of which a bias takes the first 16 away."""
    mpmath = pytest.importorskip("mpmath", reason="mpmath computes with as many digits as wanted")
    x, root = [1.0, -1.0], math.sqrt(2)
    with reference.exact():
        whole = reference.layer_norm(x, (2,), [2, 2], eps=1.0)[0]
        rest = reference.layer_norm(x, (2,), [2, 2], [-root, 0], eps=1.0)[0]
    with mpmath.workdps(100):
        assert whole == float(mpmath.sqrt(2)) == root
        assert rest == float(mpmath.sqrt(2) - root)


def test_squares_that_overflow_or_vanish():
    for size in (1e300, 1e-300, LEAST):
        x = np.array([[size, -size]])
        with reference.exact():
            assert_same(reference.layer_norm(x, (2,), eps=0.0), np.array([[1.0, -1.0]]))
            assert_same(reference.rms_norm(x, (2,), eps=0.0), np.array([[1.0, -1.0]]))


SPECIAL = [0.0, 1.0, -2.0, np.inf, -np.inf, np.nan]
specials = st.lists(st.sampled_from(SPECIAL), min_size=12, max_size=12)


@pytest.mark.parametrize("eps", [0.0, 1.0])
@given(specials, specials, st.integers(0, 3))
@settings(max_examples=150)
def test_what_is_not_finite_is_so_by_the_rules_of_ieee_754(eps, numbers, parameters, seed):
    """Numbers are so small here that nothing overflows in float64 either."""
    x = np.random.default_rng(seed).permutation([*numbers, 3.0, 4.0, 5.0, 6.0]).reshape(2, 2, 4)
    w, b, mean, var = (np.array(parameters[i : i + 2]) for i in (0, 2, 4, 6))
    calls = [
        lambda: reference.batch_norm(x, mean, var, w, b, eps=eps),
        lambda: reference.batch_norm(x, mean, var, w, b, training=True, eps=eps, momentum=seed / 2),
        lambda: reference.instance_norm(x, mean, var, w, b, eps=eps, momentum=seed / 2),
        lambda: [reference.group_norm(x, 1, w, b, eps=eps), reference.layer_norm(x, (4,), np.array(parameters[:4]))],
        lambda: [reference.rms_norm(x, (4,), np.array(parameters[:4]), eps=eps)],
    ]
    for call in calls:
        usual = call()
        with reference.exact():
            exact = call()
        for ours, theirs in zip(exact, usual, strict=True):
            finite = np.isfinite(theirs)
            assert_same(np.isfinite(ours), finite)
            assert_same(ours[~finite], theirs[~finite])


def test_an_infinite_variance_leaves_the_bias():
    with reference.exact():
        assert_same(reference.batch_norm([[5.0]], [1], [np.inf], [3], [7]).output, np.array([[7.0]]))
        assert_same(reference.rms_norm([np.inf, 1.0], (2,)), np.array([np.nan, 0.0]))


def test_empty_arrays():
    with reference.exact():
        assert reference.group_norm(np.zeros((0, 4, 3)), 2, np.ones(4)).shape == (0, 4, 3)
        assert reference.layer_norm(np.zeros((2, 0)), (0,), np.ones(0)).shape == (2, 0)
        kept = reference.instance_norm(np.zeros((0, 1, 2)), [1], [2])
    assert kept.output.shape == (0, 1, 2)
    assert_same(kept.running_mean, np.array([np.nan]))
    assert_same(kept.running_var, np.array([np.nan]))


def test_gradients_and_local_response_norm_are_those_of_float64():
    x, g = np.random.default_rng(0).standard_normal((2, 1, 3, 4))
    usual = [vjp.layer_norm(g, x, (4,)).input, reference.local_response_norm(x, 2)]
    with reference.exact():
        exact = [vjp.layer_norm(g, x, (4,)).input, reference.local_response_norm(x, 2)]
    for a, b in zip(exact, usual, strict=True):
        assert_same(a, b)
