"""The convolution family: how far its cases reach, its gradients' data, its windows, and SciPy, which answers some."""

from __future__ import annotations

import random
import sys

import numpy as np
import pytest
from conformance_cases import OPERATORS
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from conformance.checks import CHECKS
from conformance.discovery import backends
from conformance.formats import DTYPES, format_of
from conformance.lines import parse
from conformance.model import Arithmetic, Pattern
from conformance.run import run
from conformance.strategies import filled
from conformance.verdicts import expectation

CONV = ("conv1d", "conv2d", "conv3d")
TRANSPOSED = ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
FAMILY = (*CONV, *TRANSPOSED, "unfold", "fold", "conv_matrix", "convolve", "cross_correlate")


def outputs(case):
    with np.errstate(all="ignore"):
        return expectation(OPERATORS[case.operator], case, "pytorch")


def spatial(geometry):
    return geometry.shapes["input"][2:]


LARGE = {
    "33 channels": lambda g: g.shapes["weight"][1] == 33,
    "64 channels": lambda g: g.shapes["weight"][1] == 64,
    "33 output channels": lambda g: 33 in g.shapes["weight"][:2],
    "rows of 17 and more": lambda g: max(spatial(g)) >= 17,
    "rows of 33 and more": lambda g: max(spatial(g)) >= 33,
}
DEEP = {
    "a kernel of 11": lambda g: max(g.shapes["weight"][2:]) == 11,
}


@pytest.mark.parametrize(
    ("name", "what"),
    [(name, what) for name in (*CONV, *TRANSPOSED) for what in (*LARGE, *DEEP)],
)
def test_values_reach_beyond_the_tiny(name, what):
    budget = settings(max_examples=1000, database=None, phases=[Phase.generate])
    find(OPERATORS[name].geometries("values"), {**LARGE, **DEEP}[what], settings=budget, random=random.Random(0))


@pytest.mark.parametrize("name", [*CONV, *TRANSPOSED])
@pytest.mark.parametrize("rows", [15, 16, 17, 31, 32, 33])
def test_special_data_meet_rows_on_both_sides_of_a_vector(name, rows):
    budget = settings(max_examples=1000, database=None, phases=[Phase.generate])
    special = OPERATORS[name].geometries("special")
    find(special, lambda g: rows in spatial(g), settings=budget, random=random.Random(0))


@pytest.mark.parametrize("name", FAMILY)
@settings(max_examples=8)
@given(data=st.data(), dtype=st.sampled_from(DTYPES), seed=st.integers(0, 99))
def test_exact_cotangents_leave_no_room_for_error(name, data, dtype, seed):
    operator = OPERATORS[name]
    geometry = data.draw(operator.geometries("gradients"))
    exact = Arithmetic.of(dtype)
    for case in CHECKS["gradients"].cases(operator, geometry, dtype, seed, backends()["torch-cpu"]):
        if next(iter(case.inputs.values())).kind not in ("integers", "odd"):
            continue
        inputs, expected = outputs(case)
        bounds = operator.gradient.bounds(inputs, case.attributes, expected, exact)
        with np.errstate(all="ignore"):
            sizes = operator.gradient.reference(**{k: np.abs(v) for k, v in inputs.items()}, **case.attributes)
        sizes = sizes._asdict() if isinstance(sizes, tuple) else dict.fromkeys(expected, sizes)
        for gradient, values in expected.items():
            representable = np.abs(values) <= 2.0 ** format_of(dtype).bits
            kept = sizes[gradient] <= 2.0**exact.accumulator.bits
            assert kept.mean() > 0.5
            assert not np.any(bounds[gradient].absolute[representable & kept])


@pytest.mark.parametrize("name", [name for name in FAMILY if name != "fold"])  # whose gradient only copies
@settings(max_examples=15)
@given(data=st.data())
def test_the_bound_of_a_gradient_leaves_room_for_a_rounding_of_every_term(name, data):
    operator = OPERATORS[name]
    geometry = data.draw(operator.geometries("gradients"))
    case = CHECKS["gradients"].cases(operator, geometry, "float32", 0, backends()["torch-cpu"])[0]
    thirds = {k: np.full(fill.shape, 1 / 3) for k, fill in case.inputs.items()}
    found = operator.gradient.reference(**thirds, **case.attributes)
    named = found._asdict() if isinstance(found, tuple) else {next(iter(geometry.shapes)): found}
    present = {k: v for k, v in named.items() if v is not None}
    bounds = operator.gradient.bounds(thirds, case.attributes, present, Arithmetic.of("float32"))
    for gradient, sums in present.items():
        products = sums * (3 if gradient == "bias" or len(thirds) == 2 else 9)  # so many products of thirds each
        assert np.all(bounds[gradient].absolute >= np.rint(products) * 2.0**-24 * sums)


@pytest.mark.parametrize("name", ["convolve", "cross_correlate"])
@settings(max_examples=60)
@given(data=st.data())
def test_the_window_of_an_element_is_what_feeds_it(name, data):
    geometry = data.draw(OPERATORS[name].geometries("values"))
    case = filled(name, geometry, Pattern(("integers", 9)), "float64", data.draw(st.integers(0, 99)))
    inputs, expected = outputs(case)
    index = tuple(data.draw(st.integers(0, n - 1)) for n in expected["output"].shape)
    parts = OPERATORS[name].window(inputs, case.attributes, index)
    assert float((parts["input"] * parts["kernel"]).sum()) == expected["output"][index]


def test_the_window_of_a_column_is_its_channel_and_where_it_stands():
    inputs = {"input": np.arange(18.0).reshape(2, 3, 3)}
    parts = OPERATORS["unfold"].window(inputs, {"kernel_size": (1, 2)}, (3, 4))
    assert np.array_equal(parts["input"], inputs["input"][1])
    assert (parts["tap"], parts["window"]) == (1, 4)


def test_the_window_of_a_folded_element_is_the_columns_of_its_channel():
    inputs = {"input": np.arange(24.0).reshape(1, 4, 6)}
    parts = OPERATORS["fold"].window(inputs, {"kernel_size": (1, 2)}, (0, 1, 0, 0))
    assert np.array_equal(parts["input"], inputs["input"][0, 2:])


def test_the_window_of_an_entry_of_the_matrix_is_the_weight():
    weight = np.arange(6.0).reshape(1, 2, 3)
    assert np.array_equal(OPERATORS["conv_matrix"].window({"weight": weight}, {}, (0, 0))["weight"], weight)


@pytest.mark.parametrize("name", ["conv1d", "conv_transpose1d"])
def test_a_window_needs_no_batch_axis(name):
    inputs = {"input": np.arange(1.0, 4).reshape(1, 3), "weight": np.arange(1.0, 3).reshape(1, 1, 2)}
    output = OPERATORS[name].reference(**inputs)
    for index in np.ndindex(output.shape):
        parts = OPERATORS[name].window(inputs, {}, index)
        assert (parts["input"] * parts["weight"]).sum() == output[index]


@pytest.mark.parametrize("name", FAMILY)
def test_a_sample_of_a_batch_is_answered_by_itself(name):
    batched = OPERATORS[name].per_sample({})
    assert batched == (() if name in ("conv_matrix", "convolve", "cross_correlate") else ("input",))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize(
    ("line", "partials"),
    [
        ("conv2d(input=ramp({0}[1,1,5,5]), weight=ramp({0}[1,1,3,2]))", 0),
        ("vjp.conv2d(cotangent=ramp({0}[1,1,3,4]), input=ramp({0}[1,1,5,5]), weight=ramp({0}[1,1,3,2]))", 6),
        ("conv_transpose1d(input=ramp({0}[1,1,5]), weight=ramp({0}[1,1,3]))", 4),
        ("vjp.conv_transpose1d(cotangent=ramp({0}[1,1,7]), input=ramp({0}[1,1,5]), weight=ramp({0}[1,1,3]))", 1),
        ("vjp.conv1d(cotangent=ramp({0}[9,1,5]), input=ramp({0}[9,1,5]), weight=ramp({0}[1,1,1]))", 9),
        ("vjp.conv1d(cotangent=ramp({0}[1,5]), input=ramp({0}[1,5]), weight=ramp({0}[1,1,1]))", 1),
        ("vjp.conv_transpose1d(cotangent=ramp({0}[3,1,7]), input=ramp({0}[3,1,5]), weight=ramp({0}[1,1,3]))", 3),
        ("fold(input=ramp({0}[1,4,4]), output_size=(3, 3), kernel_size=2)", 4),
        ("vjp.unfold(cotangent=ramp({0}[1,6,2]), input=ramp({0}[1,1,3,3]), kernel_size=(2, 3))", 6),
    ],
)
def test_what_torch_rounds_on_the_way_in_half_formats(dtype, line, partials):
    arithmetic = backends()["torch-cpu"].arithmetic(parse(line.format(dtype)))
    assert arithmetic.partials == partials
    assert arithmetic.flushes == (dtype == "bfloat16" and "conv" in line)


DEADLY = "input=ramp({}[1,2,2,1], layout={}), weight=ramp({}[2,2,1,1]), stride={}, padding={}, dilation={}"
PULLED = "vjp.conv_transpose2d(cotangent=ramp({}[1,2,2,1]), {})"


@pytest.mark.parametrize(
    ("dtype", "layout", "stride", "padding", "dilation", "deadly"),
    [
        ("bfloat16", "channels_last", 2, (0, 1), 2, True),
        ("bfloat16", "channels_last", 3, (0, 1), 2, True),
        ("bfloat16", "channels_last", 1, (0, 1), 2, False),  # the window in the middle meets the input
        ("bfloat16", "channels_last", 2, (0, 2), 2, False),
        ("bfloat16", "channels_last", 2, (1, 0), 2, False),
        ("bfloat16", "channels_last", 2, (0, 1), 1, False),
        ("bfloat16", "channels_last", 1, '"same"', 2, False),
        ("bfloat16", "strided", 2, (0, 1), 2, False),
        ("float16", "channels_last", 2, (0, 1), 2, False),
    ],
)
def test_torch_is_not_asked_what_kills_it_and_all_else(dtype, layout, stride, padding, dilation, deadly):
    arguments = DEADLY.format(dtype, f'"{layout}"', dtype, stride, padding, dilation)
    crash = next(d for d in backends()["torch-cpu"].declarations if d.link.endswith("195394"))
    for line in (f"conv2d({arguments})", PULLED.format(dtype, arguments)):
        assert crash.applies(parse(line)) == deadly
    assert not crash.applies(parse(f"conv_transpose2d({arguments})"))


def test_scipy_conforms_but_for_what_is_declared():
    found = list(run("scipy", operators=["convolve", "cross_correlate"], dtypes=["float32"], examples=20))
    assert found
    assert not [verdict for verdict in found if verdict.failed]
    assert sum(verdict.compared for verdict in found) > 10_000


def test_scipy_says_what_it_is_and_what_it_lacks(monkeypatch):
    scipy = backends()["scipy"]
    assert scipy.unavailable() is None
    assert scipy.about().startswith("scipy ")
    monkeypatch.setitem(sys.modules, "scipy.signal", None)
    assert scipy.unavailable().endswith("; pip install 'convformance[scipy]'")


@pytest.mark.parametrize("batch", ["1,", ""])
@pytest.mark.parametrize("guest", ["nans", "infinities"])
def test_a_weight_that_is_no_number_may_be_nan_or_nothing_in_padding(guest, batch):
    case = parse(f"conv1d(input=ramp(float32[{batch}1,4]), weight={guest}(float32[2,1,3], seed=5), padding=1)")
    inputs, expected = outputs(case)
    bound = OPERATORS["conv1d"].bounds(inputs, case.attributes, expected, Arithmetic.of("float32"))["output"]
    ((_, tap),) = np.argwhere(~np.isfinite(inputs["weight"][:, 0]))
    channel = int(np.argwhere(~np.isfinite(inputs["weight"]))[0, 0])
    waived = np.broadcast_to(bound.waived, expected["output"].shape).reshape(2, 4)
    edge = {0: [0], 1: [], 2: [3]}[int(tap)]
    assert np.flatnonzero(waived[channel]).tolist() == edge
    assert not waived[1 - channel].any()
