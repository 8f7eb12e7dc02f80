"""Normalizations: honest arithmetic stays within its bounds, forward and backward, and not within narrower ones."""

from __future__ import annotations

import numpy as np
import pytest
from conformance_arithmetic import ACCUMULATORS, assert_conforms, judge, two_pass
from conformance_cases import OPERATORS
from conformance_norms import CLASSES, NORMS, backward, drawn_arrays, forward, pulled
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.backends.torch import normalization as torch_norms
from conformance.faults.norm_steps import moments_of, normalizing, pulling, root_of
from conformance.fills import Fill
from conformance.formats import numpy_dtype
from conformance.honest import honest
from conformance.lines import parse
from conformance.model import Arithmetic, Outcome
from conformance.norm_bounds import Moments, Norm, blended, gradients, moments, normalized


@pytest.mark.parametrize("dtype", ACCUMULATORS)
@pytest.mark.parametrize("variance", CLASSES)
@pytest.mark.parametrize("name", [name for name in NORMS if name != "batch_norm"])
@settings(max_examples=15)
@given(data=st.data(), folded=st.booleans())
def test_statistics_of_samples_conform_under_their_class(name, variance, dtype, data, folded):
    arrays, attributes = drawn_arrays(data, name, dtype)
    if attributes.get("use_input_stats", True):
        arrays = {k: v for k, v in arrays.items() if not k.startswith("running")}
    answer = forward(name, arrays, attributes, CLASSES[variance], folded)
    kept = (arrays["running_mean"], arrays["running_var"]) if "running_mean" in arrays else ()
    assert_conforms(name, arrays, attributes, (answer, *kept), Arithmetic.of(dtype, variance=variance))


@pytest.mark.parametrize("dtype", ACCUMULATORS)
@pytest.mark.parametrize("name", NORMS)
@settings(max_examples=25)
@given(data=st.data(), folded=st.booleans())
def test_honest_gradients_conform(name, dtype, data, folded):
    arrays, attributes = drawn_arrays(data, name, dtype)
    g = Fill("normal", dtype, arrays["input"].shape, data.draw(st.integers(0, 99))).array()
    answer = backward(name, arrays, attributes, g, folded)
    finding, _ = pulled(name, arrays, attributes, g, answer, Arithmetic.of(dtype))
    assert finding.outcome in (Outcome.CONFORMS, Outcome.VACUOUS), finding


def test_statistics_that_are_kept_in_half_for_the_way_back_must_be_declared():
    arrays = {"input": Fill("offset", "bfloat16", (4, 3, 8), 5, 30).array(), "weight": np.ones(8, "float32")}
    arrays["weight"] = arrays["weight"].astype(arrays["input"].dtype)
    attributes, g = {"normalized_shape": (8,)}, Fill("normal", "bfloat16", (4, 3, 8), 9).array()
    narrow = numpy_dtype("bfloat16")
    answer = backward("layer_norm", arrays, attributes, g, False, lambda a: a.astype(narrow).astype(np.float32))
    promised, _ = pulled("layer_norm", arrays, attributes, g, answer, Arithmetic.of("bfloat16"))
    assert promised.outcome is Outcome.DIFFERS
    declared, _ = pulled("layer_norm", arrays, attributes, g, answer, Arithmetic.of("bfloat16", partials=1))
    assert declared.outcome is Outcome.CONFORMS


EXACT = {
    "batch_norm": ((4, 3, 2), {"training": True, "eps": 7.0}, "paired", 3),
    "instance_norm": ((2, 3, 8), {"eps": 2.75}, "ramp", 4),
    "group_norm": ((2, 6, 8), {"num_groups": 3, "eps": 3.75}, "ramp", 2),
    "layer_norm": ((3, 2, 8), {"normalized_shape": (2, 8), "eps": 2.75}, "ramp", 4),
    "rms_norm": ((3, 2, 8), {"normalized_shape": (8,), "eps": 3.0}, "integers", 1),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NORMS)
@settings(max_examples=10)
@given(seed=st.integers(0, 999))
def test_exact_data_leave_no_room_forward_or_backward(name, dtype, seed):
    shape, attributes, kind, scale = EXACT[name]
    parameter = attributes.get("normalized_shape", shape[1:2])
    arrays = {
        "input": Fill(kind, dtype, shape, seed, scale).array(),
        "weight": Fill("integers", dtype, parameter, seed, 2).array(),
    }
    if name != "rms_norm":
        arrays["bias"] = Fill("integers", dtype, parameter, seed + 1, 3).array()
    answer = forward(name, arrays, attributes, two_pass, True)
    assert judge(name, arrays, attributes, answer, Arithmetic.of(dtype)).share == 0
    g = Fill("integers", dtype, shape, seed + 2, 3).array()
    finding, bounds = pulled(
        name, arrays, attributes, g, backward(name, arrays, attributes, g, True), Arithmetic.of(dtype)
    )
    assert finding.outcome is Outcome.CONFORMS
    assert not any(bound.absolute.any() for bound in bounds.values())


@pytest.mark.parametrize("given_way", [True, False])
def test_exact_gradients_in_inference_leave_no_room(given_way):
    arrays = {
        "input": Fill("integers", "float32", (3, 4, 5), 1, 3).array(),
        "running_mean": Fill("integers", "float32", (4,), 2, 4).array(),
        "running_var": Fill("roots", "float32", (4,), 3, 3).array(),
        "weight": Fill("integers", "float32", (4,), 4, 2).array(),
    }
    attributes = {"eps": 3.0} if given_way else {"eps": 1e-5}
    g = Fill("integers", "float32", (3, 4, 5), 5, 3).array()
    answer = backward("batch_norm", arrays, attributes, g, False)
    finding, bounds = pulled("batch_norm", arrays, attributes, g, answer, Arithmetic.of("float32"))
    assert finding.outcome is Outcome.CONFORMS
    assert any(bound.absolute.any() for bound in bounds.values()) is not given_way


@pytest.mark.parametrize("name", NORMS)
@settings(max_examples=10)
@given(data=st.data())
def test_steps_that_nobody_takes_otherwise_are_right(name, data):
    arrays, attributes = drawn_arrays(data, name, "float32")
    g = Fill("normal", "float32", arrays["input"].shape, 7).array()
    found = pulling(name, lambda *_: {})(honest(f"vjp.{name}"), cotangent=g, **arrays, **attributes)
    names = [key for key in ("input", "weight", "bias") if key in arrays]
    named = dict(zip(names, [part for part in found if part is not None], strict=True))
    assert pulled(name, arrays, attributes, g, named, Arithmetic.of("float32"))[0].outcome is Outcome.CONFORMS
    right = normalizing(name, lambda form: (moments_of(form)[0], root_of(form, moments_of(form)[1])))
    assert_conforms(name, arrays, attributes, right(honest(name), **arrays, **attributes), Arithmetic.of("float32"))


def norm_of(x, **changes):
    return Norm(x, (0,), None, None, **({"eps": 1e-5} | changes))


def test_a_variance_whose_square_root_may_overflow_waives_its_output():
    x = np.array([[1e20], [-1e20]])
    norm, arithmetic = norm_of(x, given=(np.zeros((1, 1)), np.full((1, 1), 1e40))), Arithmetic.of("float32")
    assert np.isposinf(normalized(norm, moments(norm, arithmetic), x / 1e20, arithmetic).absolute).all()


def test_a_statistic_that_may_overflow_a_half_format_waives_its_output_only_where_it_is_kept_there():
    norm = norm_of(np.array([[300.0], [-300.0]]), eps=1.0)
    for partials, waived in ((0, False), (3, True)):
        arithmetic = Arithmetic.of("float16", partials=partials)
        bound = normalized(norm, moments(norm, arithmetic), norm.x / 300, arithmetic)
        assert np.isposinf(bound.absolute).all() == waived


def test_a_useless_statistic_gives_a_useless_bound():
    x = np.array([[1.0], [2.0]])
    by = Moments(x[:1], np.ones((1, 1)), np.zeros((1, 1)), np.full((1, 1), 10.0), np.zeros((1, 1), bool))
    assert np.isposinf(normalized(norm_of(x, eps=0.0), by, x, Arithmetic.of("float32")).absolute).all()
    found = gradients(norm_of(x, eps=0.0), x, by, {"input": x}, Arithmetic.of("float32"))
    assert np.isposinf(found["input"].absolute).all()


def test_running_statistics_are_bounded_by_what_blends_in_them():
    old, new, far = np.array([1.0]), np.array([3.0]), np.array([0.5])
    arithmetic = Arithmetic.of("float32")
    wide = blended(0.5, old, new, far, np.array([2.0]), arithmetic, 6).absolute
    assert 0.25 < wide[0] < 0.25 + 20 * 2.0**-24 * 2
    assert blended(0.5, old, new, far, np.array([2.0]), Arithmetic.of("float16", partials=1), 6).absolute[0] > wide[0]
    assert np.isposinf(blended(1.0, old, new * 1e38, far, new * 1e38, arithmetic, 6).absolute).all()


@pytest.mark.parametrize("variance", CLASSES)
def test_an_infinite_mean_may_be_nan_where_it_is_updated(variance):
    arithmetic, one, infinite = Arithmetic.of("float32", variance=variance), np.ones(1), np.array([np.inf])
    waived = blended(0.5, one, infinite, one * 0, infinite, arithmetic, 6).waived
    assert np.all(waived) == (variance == "updating")
    assert not np.any(blended(0.5, one, one, one * 0, one, arithmetic, 6).waived)


def test_a_statistic_kept_in_half_may_lose_its_subnormals_on_the_way():
    tiny = np.array([2.0**-24])  # the least of float16: half of it is lost where one product is stored, and half again
    limit = blended(0.5, tiny, 2 * tiny, 0 * tiny, 1.5 * tiny, Arithmetic.of("float16", partials=3), 6).absolute
    assert np.all((limit > tiny) & (limit < 4 * tiny))


def test_the_bounds_of_a_mean_and_a_variance_grow_with_their_class():
    norm = norm_of(np.random.default_rng(3).normal(100, 1, (64, 1)))
    far = {v: moments(norm, Arithmetic.of("float32", variance=v)).far_var for v in CLASSES}
    assert far["two-pass"] < far["updating"] < far["textbook"]


def test_flushed_subnormals_widen_the_bounds():
    norm = norm_of(np.array([[1e-39], [-1e-39]]))
    for flushes, lost in ((False, False), (True, True)):
        arithmetic = Arithmetic.of("float32", flushes=flushes)
        bound = normalized(norm, moments(norm, arithmetic), norm.x / 3e-3, arithmetic).absolute
        assert (bound > np.abs(norm.x)).all() == lost


def test_no_numbers_have_no_bounds():
    norm = Norm(np.zeros((3, 0)), (1,), None, None, 1e-5)
    for variance in CLASSES:
        arithmetic = Arithmetic.of("float32", variance=variance)
        assert normalized(norm, moments(norm, arithmetic), norm.x, arithmetic).absolute.size == 0


def test_an_eps_that_is_left_out_is_that_of_the_dtype():
    call = {"input": Fill("normal", "float64", (3, 4), 1).array()}
    assert_conforms(
        "rms_norm",
        call,
        {"normalized_shape": (4,)},
        honest("rms_norm")(**call, normalized_shape=(4,)),
        Arithmetic.of("float64"),
    )


WINDOWS = {
    "batch_norm": ({}, (1, 2, 3), lambda x: x[:, 2], 2),
    "instance_norm": ({}, (1, 2, 3), lambda x: x[1, 2], 2),
    "group_norm": ({"num_groups": 2}, (1, 2, 3), lambda x: x[1, 2:4], 2),
    "layer_norm": ({"normalized_shape": (4, 4)}, (1, 2, 3), lambda x: x[1], (2, 3)),
    "rms_norm": ({"normalized_shape": (4,)}, (1, 2, 3), lambda x: x[1, 2], 3),
    "local_response_norm": ({"size": 2}, (1, 2, 3), lambda x: x[1, 1:3, 3], None),
}


@pytest.mark.parametrize("name", WINDOWS)
def test_the_window_of_a_normalized_element_is_what_it_is_normalized_by(name):
    attributes, index, part, place = WINDOWS[name]
    inputs = {"input": np.arange(32.0).reshape(2, 4, 4)}
    if place is not None:
        shape = attributes.get("normalized_shape", (4,))
        inputs["weight"] = np.arange(np.prod(shape)).reshape(shape)
    parts = OPERATORS[name].window(inputs, attributes, index)
    assert np.array_equal(parts["input"], part(inputs["input"]))
    assert place is None or parts["weight"] == inputs["weight"][place]


@pytest.mark.parametrize("name", ["batch_norm", "instance_norm"])
def test_the_window_of_a_running_statistic_is_its_channel(name):
    inputs = {"input": np.arange(32.0).reshape(2, 4, 4)}
    assert np.array_equal(OPERATORS[name].window(inputs, {}, (2,))["input"], inputs["input"][:, 2])


def test_samples_are_answered_by_themselves_unless_a_batch_is_trained():
    for name in (*NORMS, "local_response_norm"):
        assert OPERATORS[name].per_sample({"training": False}) == ("input",)
    assert OPERATORS["batch_norm"].per_sample({"training": True}) == ()


@pytest.mark.parametrize(
    ("line", "variance", "partials"),
    [
        ("batch_norm(input=ramp(float16[2,3]), training=True)", "two-pass", 3),
        ("vjp.instance_norm(cotangent=ramp(bfloat16[2,3,2]), input=ramp(bfloat16[2,3,2]))", "two-pass", 3),
        ("group_norm(input=ramp(float32[2,3]), num_groups=1)", "updating", 0),
        ("layer_norm(input=ramp(float16[2,3,4]), normalized_shape=(4,))", "updating", 0),
        (
            "vjp.layer_norm(cotangent=ramp(float16[2,3,4]), input=ramp(float16[2,3,4]), normalized_shape=(4,))",
            "updating",
            6,
        ),
        (
            "vjp.group_norm(cotangent=ramp(float16[2,3]), input=ramp(float16[2,3]), num_groups=1)",
            "updating",
            1,
        ),
        ("local_response_norm(input=ramp(bfloat16[2,3,2]), size=2)", "two-pass", 4),
    ],
)
def test_torch_is_taken_at_what_was_measured_of_it(line, variance, partials):
    arithmetic = torch_norms.arithmetic(parse(line))
    assert arithmetic == Arithmetic.of(parse(line).dtype, variance=variance, partials=partials)


def test_the_rest_of_torch_is_usual():
    assert torch_norms.arithmetic(parse("batch_norm(input=ramp(float32[2,3]), training=True)")) is None
    assert torch_norms.arithmetic(parse("rms_norm(input=ramp(float16[2,3]), normalized_shape=(3,))")) is None
