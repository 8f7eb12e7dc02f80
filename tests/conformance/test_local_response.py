"""Local response normalization: honest arithmetic stays within its bounds, and exact data leave one rounding."""

from __future__ import annotations

import numpy as np
import pytest
from conformance_arithmetic import ACCUMULATORS, assert_conforms
from conformance_cases import OPERATORS
from conformance_norms import drawn_arrays
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.backends.torch import normalization as torch_norms
from conformance.fills import Fill
from conformance.formats import DTYPES, numpy_dtype
from conformance.judge import judge_values
from conformance.model import Arithmetic, Outcome


def local_response(arrays, attributes, dtype, rounded=lambda a: a):
    """Answer in the accumulator, with each step rounded further."""
    x = arrays["input"].astype(ACCUMULATORS[dtype])
    size = attributes["size"]
    below, above = size // 2, (size - 1) // 2
    square = np.pad(rounded(x * x), ((0, 0), (below, above), *((0, 0),) * (x.ndim - 2)))
    total = sum(square[:, i : i + x.shape[1]] for i in range(size))
    base = rounded(
        rounded(rounded(total / x.dtype.type(size)) * attributes.get("alpha", 1e-4)) + attributes.get("k", 1.0)
    )
    power = rounded(np.power(base, x.dtype.type(attributes.get("beta", 0.75))))
    return (x / power).astype(arrays["input"].dtype)


@pytest.mark.parametrize("dtype", ACCUMULATORS)
@settings(max_examples=40)
@given(data=st.data(), half=st.booleans())
def test_honest_local_response_conforms(dtype, data, half):
    arrays, attributes = drawn_arrays(data, "local_response_norm", dtype, "values", ("normal", "positive", "integers"))
    narrow = numpy_dtype(dtype)
    steps = (lambda a: a.astype(narrow).astype(a.dtype)) if half else (lambda a: a)
    arithmetic = Arithmetic.of(dtype, partials=4 * half)
    with np.errstate(all="ignore"):
        answer = local_response(arrays, attributes, dtype, steps)
    assert_conforms("local_response_norm", arrays, attributes, answer, arithmetic)


def local_response_gradient(x, g, size, alpha, beta, rounded):
    """Return the gradient step by step, each of them rounded, as by automatic differentiation."""
    below, above = size // 2, (size - 1) // 2
    sides = [(0, 0)] * (x.ndim - 2)
    square = np.pad(rounded(x * x), ((0, 0), (below, above), *sides))
    mean = rounded(sum(square[:, i : i + x.shape[1]] for i in range(size)) / x.dtype.type(size))
    base = rounded(rounded(mean * x.dtype.type(alpha)) + 1)
    power = rounded(base ** x.dtype.type(beta))
    of_power = rounded(-g * rounded(rounded(x / power) / power))
    of_base = rounded(of_power * rounded(x.dtype.type(beta) * rounded(base ** x.dtype.type(beta - 1))))
    of_mean = np.pad(rounded(of_base * x.dtype.type(alpha)), ((0, 0), (above, below), *sides))
    of_square = rounded(sum(of_mean[:, i : i + x.shape[1]] for i in range(size)) / x.dtype.type(size))
    return rounded(rounded(g / power) + rounded(rounded(of_square * x) * 2))


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=30)
@given(seed=st.integers(0, 999), size=st.integers(1, 5), beta=st.sampled_from((0.5, 0.75, 1.0, 2.0)))
def test_honest_gradients_of_local_response_conform(dtype, seed, size, beta):
    narrow, acc = numpy_dtype(dtype), ACCUMULATORS[dtype]
    x, g = (Fill("normal", dtype, (2, 6, 5), seed + i).array() for i in range(2))
    attributes = {"size": size, "alpha": 0.5, "beta": beta}
    rounding = (lambda a: a.astype(narrow).astype(acc)) if dtype in torch_norms.HALF else (lambda a: a)
    with np.errstate(all="ignore"):
        answer = local_response_gradient(x.astype(acc), g.astype(acc), size, 0.5, beta, rounding).astype(narrow)
    wide = {"cotangent": g.astype(np.float64), "input": x.astype(np.float64)}
    gradient = OPERATORS["local_response_norm"].gradient
    expected = {"input": gradient.reference(**wide, **attributes)}
    arithmetic = Arithmetic.of(dtype, partials=4 * (dtype in torch_norms.HALF))
    bounds = gradient.bounds(wide, attributes, expected, arithmetic)
    finding = judge_values(expected, {"input": answer.astype(np.float64)}, bounds, arithmetic.output)
    assert finding.outcome is Outcome.CONFORMS, finding


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_whole_base_and_the_first_power_leave_one_rounding(dtype):
    arrays = {"input": Fill("integers", dtype, (2, 6, 5), 3, 1).array()}
    attributes = {"size": 2, "alpha": 2.0, "beta": 1.0, "k": 2.0}  # within, 2 + 1 + 1: a power of two
    wide = {"input": arrays["input"].astype(np.float64)}
    expected = {"output": OPERATORS["local_response_norm"].reference(**wide, **attributes)}
    bound = OPERATORS["local_response_norm"].bounds(wide, attributes, expected, Arithmetic.of(dtype))["output"]
    assert not bound.absolute[:, 1:].any()
    assert bound.absolute[:, 0].all()
    flushing = Arithmetic.of(dtype, flushes=True)
    attributes = {"size": 3}
    expected = {"output": OPERATORS["local_response_norm"].reference(**wide, **attributes)}
    found = [
        OPERATORS["local_response_norm"].bounds(wide, attributes, expected, a) for a in (Arithmetic.of(dtype), flushing)
    ]
    assert (found[0]["output"].absolute <= found[1]["output"].absolute).all()
