"""Gradients of power-average pooling: difference quotients in many digits, and what is said of kinks."""

from __future__ import annotations

import numpy as np
import pool_definitions as definition
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_cases import UNIT_ROUNDOFF, assert_same, integers, pool_calls

from reference import vjp

seeds = st.integers(0, 2**32)
INF, NAN = np.inf, np.nan


def of_rank(module, name, rank):
    return getattr(module, f"{name}{rank}d")


@pytest.mark.parametrize("sign_rule", ["power", "absolute"])
@pytest.mark.parametrize("p", [1, 2, 3, -1, 0.5, 2.5, -3])
@given(call=pool_calls(dtypes=[np.float64], dilated=False, pairs=False), seed=seeds, rescale=st.booleans())
@settings(max_examples=8)
def test_power_average(p, sign_rule, call, seed, rescale):
    """Central differences in 60 digits, within the bound that the docstring tells, at a point away from kinks."""
    mp = pytest.importorskip("mpmath", reason="the difference quotient in many digits needs it; it comes with torch")
    overhang = "rescale" if rescale else "sum"
    attributes = {name: call.attributes[name] for name in ("kernel_size", "stride")}
    spatial = [max(n, 4) for n in call.batched()["input"].shape[2:]]
    attributes["ceil_mode"] = call.attributes["ceil_mode"] if attributes["stride"] is None else False
    x = np.random.default_rng(seed).uniform(0.5, 3, (1, 1, *spatial))
    if sign_rule == "absolute":
        x *= np.random.default_rng(seed + 1).choice([-1, 1], x.shape)
    axes, n = definition.regular(spatial, **attributes), definition.taps(attributes, call.rank)
    norm = definition.norm(mp, p, sign_rule, overhang, n)
    cotangent = integers((1, 1, *map(len, axes)), seed)
    gradient = of_rank(vjp, "lp_pool", call.rank)(cotangent, x, p, **attributes, sign_rule=sign_rule, overhang=overhang)
    with mp.workdps(60):
        exact = np.frompyfunc(lambda v: mp.mpf(float(v)), 1, 1)(x)

        def root(values, places):
            return norm(values, places)[0] or mp.mpf(0)

        g = cotangent.astype(object)
        slopes, sizes = (definition.gradient(root, exact, axes, c, mp.mpf(10) ** -20) for c in (g, abs(g)))
        logs = max(abs(mp.log(abs(r))) if r else 0 for r in definition.pooled(root, exact, axes).ravel())
        # Powers do not cancel here; sums of n of them are powers of the root; |ln x| is at most ln 3.
        error = definition.volume(axes) + 8 + abs(1 / p - 1) * (n + 4) + 2 * abs(p) * logs + mp.log(3)
        for ours, slope, size in zip(gradient.ravel(), slopes.ravel(), sizes.ravel(), strict=True):
            assert abs(mp.mpf(float(ours)) - slope) <= error * abs(size) * UNIT_ROUNDOFF * (1 + mp.mpf(2) ** -20)


def test_power_average_at_its_kinks():
    """What PyTorch says where there is no derivative: 0 for a window whose powers add up to 0."""
    ones = [[1.0]]
    assert_same(vjp.lp_pool1d(ones, [[0.0, 0.0]], 2, 2), np.zeros((1, 2)))
    assert_same(vjp.lp_pool1d(ones, [[1.0, -1.0]], 1, 2), np.zeros((1, 2)))
    assert_same(vjp.lp_pool1d(ones, [[1.0, -1.0]], 3, 2), np.zeros((1, 2)))
    assert_same(vjp.lp_pool1d(ones, [[0.0, 4.0]], 1, 2, sign_rule="absolute"), np.array([[0.0, 1.0]]))
    assert_same(vjp.lp_pool1d(ones, [[0.0, 4.0]], 0.5, 2), np.array([[INF, 1.0]]))
    assert_same(vjp.lp_pool1d(ones, [[1.0, -3.0]], 3, 2), np.array([[NAN, NAN]]))
    assert_same(vjp.lp_pool1d([[1.0, 7.0]], [[5.0, 1.0]], 2, 1, 3, "ceil_keep"), np.array([[1.0, 0.0]]))
    assert_same(vjp.lp_pool1d(ones, [[3.0, -3.0]], INF, 2), np.array([[1.0, 0.0]]))
    assert_same(vjp.lp_pool1d(ones, [[3.0, -2.0]], -INF, 2), np.array([[0.0, -1.0]]))
    assert_same(vjp.lp_pool1d(ones, [[0.0, 0.0]], INF, 2), np.zeros((1, 2)))
