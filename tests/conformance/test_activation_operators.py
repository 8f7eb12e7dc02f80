"""Activations, losses, and what only moves elements: intervals hold what is honest, and windows are what they say."""

from __future__ import annotations

import numpy as np
import pytest
from conformance_cases import OPERATORS
from hypothesis import find, given, settings
from hypothesis import strategies as st

import reference
from conformance.backends.torch.activation import arithmetic as of_activation
from conformance.backends.torch.shapes import arithmetic as of_shapes
from conformance.checks import plain
from conformance.faults.elementwise import ELEMENTWISE
from conformance.formats import numpy_dtype
from conformance.lines import parse
from conformance.model import Arithmetic, Geometry
from conformance.strategies import filled
from conformance.verdicts import expectation
from reference.activation import SELU_ALPHA, SELU_SCALE

SINGLE = Arithmetic.of("float32")
SHAPES = ("flatten", "pixel_shuffle", "pixel_unshuffle")
ALL = (*ELEMENTWISE, *SHAPES, "softmax", "log_softmax", "cross_entropy", "linear", "pad")


def f32(number):
    return np.float32(number)


# Each function as its paper has it, one rounding after another in float32.
NAIVE = {
    "relu6": lambda x: np.clip(x, f32(0), f32(6)),
    "hardtanh": lambda x, min_val=-1.0, max_val=1.0: np.clip(x, f32(min_val), f32(max_val)),
    "hardsigmoid": lambda x: np.clip(x + f32(3), f32(0), f32(6)) * f32(1 / 6),
    "hardswish": lambda x: x * (np.clip(x + f32(3), f32(0), f32(6)) / f32(6)),
    "leaky_relu": lambda x, negative_slope=0.01: np.where(x > 0, x, x * f32(negative_slope)),
    "elu": lambda x, alpha=1.0: np.where(x > 0, x, f32(alpha) * np.expm1(x)),
    "celu": lambda x, alpha=1.0: np.where(x > 0, x, f32(alpha) * np.expm1(x * f32(1 / alpha))),
    "selu": lambda x: f32(SELU_SCALE) * np.where(x > 0, x, f32(SELU_ALPHA) * np.expm1(x)),
    "sigmoid": lambda x: f32(1) / (f32(1) + np.exp(-x)),
    "tanh": np.tanh,
    "softplus": lambda x, beta=1.0, threshold=20.0: np.where(
        x * f32(beta) > threshold, x, np.log1p(np.exp(x * f32(beta))) / f32(beta)
    ),
    "logsigmoid": lambda x: np.minimum(x, f32(0)) - np.log1p(np.exp(-np.abs(x))),
    "softsign": lambda x: x / (f32(1) + np.abs(x)),
    "silu": lambda x: x * (f32(1) / (f32(1) + np.exp(-x))),
    "mish": lambda x: x * np.tanh(np.log1p(np.exp(x))),
    "softmax": lambda x, dim: _powers(x, dim) * (f32(1) / _powers(x, dim).sum(dim, keepdims=True)),
    "log_softmax": lambda x, dim: x - x.max(dim, keepdims=True) - np.log(_powers(x, dim).sum(dim, keepdims=True)),
}


def _powers(x, dim):
    return np.exp(x - x.max(dim, keepdims=True))


def asked(name, dtype, purpose, data, seed):
    """Yield cases of both layers, with their inputs, expected outputs and bounds."""
    operator = OPERATORS[name]
    geometry = data.draw(operator.geometries(purpose))
    for pattern in (*operator.exact(geometry, dtype), *operator.real(geometry, dtype)):
        case = filled(name, geometry, pattern, dtype, seed)
        with np.errstate(all="ignore"):
            inputs, expected = expectation(operator, case, "pytorch")
            bounds = operator.bounds(inputs, case.attributes, expected, Arithmetic.of(dtype))
        yield case, inputs, expected, bounds


@pytest.mark.parametrize("name", NAIVE)
@settings(max_examples=25)
@given(data=st.data(), seed=st.integers(0, 999))
def test_a_formula_in_single_precision_keeps_its_bound(name, data, seed):
    for case, _, expected, bounds in asked(name, "float32", "values", data, seed):
        with np.errstate(all="ignore"):
            actual = NAIVE[name](case.inputs["input"].array(), **case.attributes)
            error = np.abs(actual.astype(np.float64) - expected["output"])
        assert actual.dtype == np.float32
        # What overflows in float32 is the judge's business.
        near = np.abs(expected["output"]) < np.finfo(np.float32).max / 2
        assert np.all(error[near] <= bounds["output"].absolute[near]), case


@pytest.mark.parametrize("name", [*ELEMENTWISE, "softmax", "log_softmax", "cross_entropy"])
@settings(max_examples=10)
@given(data=st.data(), seed=st.integers(0, 999))
def test_a_bound_is_a_small_share_of_what_the_formula_adds_up(name, data, seed):
    for case, inputs, expected, bounds in asked(name, "float32", "values", data, seed):
        size = 1 + sum(np.abs(part).max(initial=0) for part in inputs.values() if part.dtype.kind == "f")
        for key, value in expected.items():
            finite = np.isfinite(bounds[key].absolute) & (np.abs(value) < 1e30)
            limit = 2**-14 * (size + np.abs(value[finite])) * max(value.size, 1)
            assert np.all(bounds[key].absolute[finite] <= limit), case


@pytest.mark.parametrize("name", ALL)
@settings(max_examples=10)
@given(data=st.data(), seed=st.integers(0, 999))
def test_samples_are_answered_by_themselves_where_that_is_said(name, data, seed):
    for case, inputs, expected, _ in asked(name, "float64", "purity", data, seed):
        batched = OPERATORS[name].per_sample(case.attributes)
        for n in range(len(inputs["input"]) if batched else 0):
            alone = {key: part[n : n + 1] if key in batched else part for key, part in inputs.items()}
            answer = getattr(reference, name)(**alone, **case.attributes)
            error = np.abs(answer - expected["output"][n : n + 1])
            assert np.all(error <= 2**-40 * np.abs(answer).max(initial=1))


@pytest.mark.parametrize("name", ELEMENTWISE)
@settings(max_examples=10)
@given(data=st.data(), seed=st.integers(0, 999))
def test_the_window_of_an_elementwise_operator_is_one_number(name, data, seed):
    for case, inputs, expected, _ in asked(name, "float64", "special", data, seed):
        index = tuple(data.draw(st.integers(0, n - 1)) for n in expected["output"].shape)
        parts = OPERATORS[name].window(inputs, case.attributes, index)
        with np.errstate(all="ignore"):
            again = getattr(reference, name)(**parts, **case.attributes)
        whole = expected["output"][index]
        assert again == whole or np.isnan(whole) or abs(again - whole) <= 2**-40 * abs(whole)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@settings(max_examples=10)
@given(data=st.data(), seed=st.integers(0, 999))
def test_the_window_of_a_softmax_is_the_line_along_its_axis(name, data, seed):
    for case, inputs, expected, _ in asked(name, "float64", "values", data, seed):
        index = tuple(data.draw(st.integers(0, n - 1)) for n in expected["output"].shape)
        parts = OPERATORS[name].window(inputs, case.attributes, index)
        line = getattr(reference, name)(parts["input"])
        assert abs(line[parts["position"]] - expected["output"][index]) <= 2**-40


@settings(max_examples=40)
@given(data=st.data(), seed=st.integers(0, 999))
def test_the_window_of_a_loss_is_its_position_or_everything(data, seed):
    for case, inputs, expected, _ in asked("cross_entropy", "float64", "values", data, seed):
        index = tuple(data.draw(st.integers(0, n - 1)) for n in expected["output"].shape)
        parts = OPERATORS["cross_entropy"].window(inputs, case.attributes, index)
        again = reference.cross_entropy(**parts, **case.attributes)
        assert np.isnan(again) or abs(again - expected["output"][index]) <= 2**-30


@pytest.mark.parametrize("name", SHAPES)
@settings(max_examples=10)
@given(data=st.data(), seed=st.integers(0, 999))
def test_the_window_of_a_moved_element_is_the_element_and_its_place(name, data, seed):
    for case, inputs, expected, _ in asked(name, "float64", "values", data, seed):
        index = tuple(data.draw(st.integers(0, n - 1)) for n in expected["output"].shape)
        parts = OPERATORS[name].window(inputs, case.attributes, index)
        assert parts["input"] == expected["output"][index] == inputs["input"].reshape(-1)[parts["place"]]


@pytest.mark.parametrize("name", ALL)
@settings(max_examples=10)
@given(data=st.data(), seed=st.integers(0, 999), dtype=st.sampled_from(["float32", "bfloat16"]))
def test_a_gradient_that_is_rounded_once_keeps_its_bound(name, data, seed, dtype):
    operator, arithmetic = OPERATORS[name], Arithmetic.of(dtype)
    geometry = data.draw(operator.geometries("gradients"))
    case = filled(name, geometry, plain(operator, geometry, dtype), dtype, seed)
    inputs = {key: fill.array() for key, fill in case.inputs.items()}
    cotangent = getattr(reference, name)(**inputs, **case.attributes)
    pulled = Geometry({"cotangent": cotangent.shape, **geometry.shapes}, geometry.attributes, geometry.terms)
    for pattern in operator.gradient.patterns(pulled, dtype):
        case = filled(name, pulled, pattern, dtype, seed, "vjp")
        with np.errstate(all="ignore"):
            inputs, expected = expectation(operator, case, "pytorch")
            bounds = operator.gradient.bounds(inputs, case.attributes, expected, arithmetic)
            rounded = {key: value.astype(numpy_dtype(dtype)).astype(np.float64) for key, value in expected.items()}
        for key, value in expected.items():
            finite = np.isfinite(rounded[key])  # what overflows is the judge's business
            assert np.all(np.abs(rounded[key] - value)[finite] <= bounds[key].absolute[finite]), case


def test_gradients_meet_the_kink_at_0_where_there_are_enough_channels():
    operator = OPERATORS["relu"]
    geometry = find(operator.geometries("gradients"), lambda g: g.shapes["input"][1] >= 16)
    patterns = operator.gradient.patterns(geometry, "float32")
    assert len(patterns) == 6
    cases = [filled("relu", geometry, pattern, "float32", seed) for pattern in patterns for seed in range(20)]
    assert any((case.inputs["input"].array() == 0).any() for case in cases)


def test_another_convention_at_a_kink_leaves_no_room():
    x, g = np.array([0.0, 1.0]), np.array([2.0, 2.0])
    inputs, expected = {"cotangent": g, "input": x}, {"input": np.array([1.0, 2.0])}
    bounds = OPERATORS["relu"].gradient.bounds(inputs, {}, expected, SINGLE)
    assert not bounds["input"].absolute.any()


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_special_data_stay_within_the_range_of_their_format(dtype):
    geometry = find(OPERATORS["tanh"].geometries("special"), lambda _: True)
    far = [p for p in OPERATORS["tanh"].special(geometry, dtype) if p.rest == ("normal", 2**61)]
    assert len(far) == (dtype == "float32")


@pytest.mark.parametrize("name", ["hardsigmoid", "softsign"])
def test_what_is_representable_on_the_way_is_exact(name):
    x = np.array([-5.0, -3.0, 0.0, 1.0])
    with np.errstate(all="ignore"):
        expected = getattr(reference, name)(x)
        bound = OPERATORS[name].bounds({"input": x}, {}, {"output": expected}, SINGLE)["output"].absolute
    assert bound[2] == 0 if name == "softsign" else not bound[:2].any()


LINES = {
    "vjp.sigmoid(cotangent=ramp(float16[2]), input=ramp(float16[2]))": Arithmetic.of("float16", partials=1),
    "sigmoid(input=ramp(float16[2]))": None,
    "softsign(input=ramp(bfloat16[2]))": Arithmetic.of("bfloat16", partials=1),
    "gelu(input=ramp(bfloat16[2]))": Arithmetic.of("bfloat16", flushes=True),
    "gelu(input=ramp(float32[2]))": None,
}


@pytest.mark.parametrize("line", LINES)
def test_what_torch_keeps_in_half_formats_is_declared(line):
    assert of_activation(parse(line)) == LINES[line]


@pytest.mark.parametrize(("mode", "partials"), [("constant", 0), ("reflect", 5), ("circular", 5), ("replicate", 7)])
def test_what_torch_adds_up_in_half_formats_grows_with_the_padding(mode, partials):
    line = f'vjp.pad(cotangent=ramp(float16[9,9]), input=ramp(float16[5,7]), pad=(1, 2, 1, 0), mode="{mode}")'
    assert of_shapes(parse(line)).partials == partials
    assert of_shapes(parse(line.replace("float16", "float32"))) is None
    assert of_shapes(parse("linear(input=ramp(bfloat16[1,1]), weight=ramp(bfloat16[1,1]))")).flushes
