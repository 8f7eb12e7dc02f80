"""Operators: every drawn call is legal, every rejection breaks just what it says, and the draws reach far enough."""

from __future__ import annotations

import random
from typing import NamedTuple

import numpy as np
import pytest
from conformance_cases import HONEST, OPERATORS, labels_of
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from conformance.answers import Raised, answer
from conformance.calls import VJP
from conformance.checks import CHECKS, changed, plain
from conformance.fills import Fill
from conformance.formats import DTYPES, format_of
from conformance.lines import parse
from conformance.model import Arithmetic, Case, Geometry, Pattern
from conformance.search import search
from conformance.strategies import filled
from conformance.verdicts import expectation
from reference import ConstraintError

PURPOSES = ("values", "sizes", "special", "gradients", "layouts", "purity", "laws")
# Operators whose every output is one sum of products, which arrays of ones count.
SUMS = ("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "linear")


def outputs(operator, case):
    """Return inputs and expected outputs of a case."""
    with np.errstate(all="ignore"):
        return expectation(OPERATORS[operator], case, "pytorch")


@pytest.mark.parametrize("name", OPERATORS)
@settings(max_examples=50)
@given(data=st.data(), purpose=st.sampled_from(PURPOSES))
def test_every_geometry_is_legal_and_no_output_sums_more_terms_than_it_says(name, data, purpose):
    geometry = data.draw(OPERATORS[name].geometries(purpose))
    outputs(name, filled(name, geometry, plain(OPERATORS[name], geometry, "float64"), "float64", 0))
    ones = {k: np.ones(shape) for k, shape in geometry.shapes.items() if shape is not None}
    if name.startswith("avg_pool"):
        # With a divisor of 1 the mean of ones counts the elements; a 1-D case cannot spell the divisor.
        counts = OPERATORS[name].reference(**ones, **{**geometry.attributes, "divisor_override": 1})
        assert np.max(counts, initial=0) <= geometry.terms
    elif name in SUMS:
        counts = OPERATORS[name].reference(**ones, **geometry.attributes)
        assert np.max(counts, initial=0) <= max(geometry.terms, 1)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", OPERATORS)
@settings(max_examples=4)
@given(data=st.data())
def test_every_case_can_be_asked_and_its_reference_answers(name, check, data):
    if not CHECKS[check].applies(OPERATORS[name]):
        return
    dtype = data.draw(st.sampled_from(DTYPES))
    for case in data.draw(CHECKS[check].strategy(OPERATORS[name], dtype, HONEST)):
        assert (case.operator, case.dtype) == (name, dtype)
        if case.manner not in ("", VJP):
            assert not isinstance(answer(HONEST, case), Raised)
        elif check != "rejections":  # of these some are refused, as the tests below say
            outputs(name, case)


@pytest.mark.parametrize("name", [name for name in OPERATORS if OPERATORS[name].rejections])
@settings(max_examples=40)
@given(data=st.data())
def test_a_rejection_breaks_just_the_constraint_that_it_names(name, data):
    geometry = data.draw(OPERATORS[name].geometries(data.draw(st.sampled_from(("values", "special")))))
    for label, changes in OPERATORS[name].rejections(geometry):
        case = changed(OPERATORS[name], geometry, changes, "float32")
        with pytest.raises(ConstraintError) as caught:
            outputs(name, case)
        assert caught.value.label == label, f"{case} should break {label}"


LAYERED = [name for name, operator in OPERATORS.items() if operator.layers(1)]


@pytest.mark.parametrize("shorter", [1, 4, 8])
@pytest.mark.parametrize("name", LAYERED)
def test_a_layer_of_a_real_network_can_be_asked(name, shorter):
    for geometry in OPERATORS[name].layers(shorter):
        case = filled(name, geometry, plain(OPERATORS[name], geometry, "float32"), "float32", 0)
        _, expected = outputs(name, case)
        assert all(output.size for output in expected.values())
        assert repr(parse(repr(case))) == repr(case)


@pytest.mark.parametrize(("check", "shorter"), [("values", 4), ("laws", 1)])
@pytest.mark.parametrize("name", LAYERED)
def test_some_draws_hold_a_layer_of_a_real_network(name, check, shorter):
    layers = [layer.shapes["input"] for layer in OPERATORS[name].layers(shorter)]
    strategy = CHECKS[check].strategy(OPERATORS[name], "float32", HONEST)
    seen = search(strategy, lambda cases: cases[-1].inputs["input"].shape not in layers, draws=30, seed=0, shrink=False)
    assert seen is True


@pytest.mark.parametrize("name", OPERATORS)
@settings(max_examples=40)
@given(data=st.data())
def test_an_odd_call_is_legal(name, data):
    geometry = data.draw(OPERATORS[name].geometries("special"))
    for what, changes in OPERATORS[name].accepted(geometry):
        case = changed(OPERATORS[name], geometry, changes, "float32")
        try:
            outputs(name, case)
        except ConstraintError as error:
            pytest.fail(f"{what}: {case} is refused: {error}")


# Why no rejection breaks a constraint that the docstring lists.
UNASKED = {
    "dtype": "a case's arrays are real floats, which every operator takes",
    "nan": "a convention: the dialect gives it, and a backend has no such argument",
    "running-variance": "likewise",
    "momentum-weights": "likewise",
    "ceil-mode": "a backend's flag; the names of the other rules are the references' own",
    "count-include-pad": "a flag's type; frameworks document nothing about what is no bool, and Python takes it as one",
    "return-indices": "likewise",
    "training": "a flag; what else a backend takes for one is its own affair",
    "momentum": "only a momentum that is not finite breaks it, which frameworks document nothing about",
    **dict.fromkeys(
        ("min-val", "max-val", "negative-slope", "alpha", "beta", "k", "threshold"),
        "only a number that is not finite breaks it, which frameworks document nothing about",
    ),
    **dict.fromkeys(("extra", "scale", "sign-rule", "overhang"), "a convention, as `nan`"),
    "use-input-stats": "a flag, as `training`",
}


@pytest.mark.parametrize("name", OPERATORS)
def test_every_constraint_that_a_case_can_break_is_broken(name):
    operator = OPERATORS[name]
    broken = set()

    def collect(geometry):
        broken.update(label for label, _ in operator.rejections(geometry))
        return True

    search(operator.geometries("special"), collect, draws=10, seed=0)
    listed = labels_of(name)
    listed -= {"divisor-override"} if name == "avg_pool1d" else set()  # torch's avg_pool1d has no such argument
    # Frameworks pad otherwise than with zeros in their modules, not in their functions.
    listed -= {"padding-mode", "pad-size"} if name in ("conv1d", "conv2d", "conv3d") else set()
    assert listed - set(UNASKED) <= broken <= listed


def test_no_reason_outlives_its_constraint():
    assert set(UNASKED) <= set.union(*map(labels_of, OPERATORS))


class Axis(NamedTuple):
    """What a window does along one axis; padding by name counts as 0."""

    n: int
    k: int
    s: int
    p: int
    d: int


def axes_of(geometry):
    shape, given = geometry.shapes, geometry.attributes
    spatial = shape["input"][2:]
    kernel = shape["weight"][2:] if "weight" in shape else given["kernel_size"]
    padding = given.get("padding", 0)
    values = (
        kernel,
        given.get("stride", 1 if "weight" in shape else kernel),
        0 if isinstance(padding, str) else padding,
        given.get("dilation", 1),
    )
    spread = [v if isinstance(v, tuple) else (v,) * len(spatial) for v in values]
    return list(map(Axis, spatial, *spread))


def on_some_axis(condition):
    return lambda g: any(map(condition, axes_of(g)))


def given_as(attribute, value=None):
    return lambda g: attribute in g.attributes and value in (None, g.attributes[attribute])


WINDOWS = {
    "a remainder": on_some_axis(lambda a: (a.n + 2 * a.p - a.d * (a.k - 1) - 1) % a.s),
    "a kernel as large as its input": on_some_axis(lambda a: a.n == a.k > 1 and not a.p),
    "a larger kernel that padding makes fit": on_some_axis(lambda a: a.k > a.n and a.p),
    "an axis of one element": on_some_axis(lambda a: a.n == 1),
    "a stride larger than the kernel": on_some_axis(lambda a: a.s > a.k),
    "padding": on_some_axis(lambda a: a.p),
    "an empty batch": lambda g: g.shapes["input"][0] == 0,
    "one sample": lambda g: g.shapes["input"][0] == 1,
}
DILATED = {"dilation": on_some_axis(lambda a: a.d > 1 and a.k > 1)}
LAYER = DILATED | {
    "no input channels": lambda g: g.shapes["input"][1] == 0,
    "a bias": lambda g: g.shapes["bias"] is not None,
}
REACHED = {}
for rank in (1, 2, 3):
    unlike = {"axes that differ": lambda g: len(set(axes_of(g))) > 1} if rank > 1 else {}
    REACHED |= {
        f"conv{rank}d": WINDOWS
        | LAYER
        | unlike
        | {"same padding": given_as("padding", "same"), "valid padding": given_as("padding", "valid")},
        f"conv_transpose{rank}d": WINDOWS | LAYER | unlike | {"output padding": given_as("output_padding")},
        f"max_pool{rank}d": WINDOWS
        | DILATED
        | unlike
        | {"ceil mode": given_as("ceil_mode"), "indices": given_as("return_indices")},
        f"avg_pool{rank}d": WINDOWS
        | unlike
        | {"ceil mode": given_as("ceil_mode"), "padding that is not counted": given_as("count_include_pad", False)}
        | ({"a divisor": given_as("divisor_override")} if rank > 1 else {}),
    }
BATCH = {"an empty batch": lambda g: g.shapes["input"][0] == 0}
STEPS = {name: given_as(name) for name in ("padding", "stride", "dilation")}
REACHED |= dict.fromkeys(("unfold", "fold"), BATCH | STEPS)
REACHED["conv_matrix"] = {"groups": given_as("groups", 2), "a stride": given_as("stride")}
LARGER = {"a larger kernel": lambda g: max(np.subtract(g.shapes["kernel"], g.shapes["input"])) > 0}
MODES = {mode: given_as("mode", mode) for mode in ("same", "valid")}
REACHED |= dict.fromkeys(("convolve", "cross_correlate"), MODES | LARGER)
REACHED["linear"] = {
    "an empty batch": lambda g: g.shapes["input"][0] == 0,
    "no features": lambda g: g.shapes["input"][-1] == 0,
    "more lead axes": lambda g: len(g.shapes["input"]) > 2,
    "no bias": lambda g: g.shapes["bias"] is None,
}
REACHED["relu"] = {
    "an empty batch": lambda g: g.shapes["input"][0] == 0,
    "four axes": lambda g: len(g.shapes["input"]) > 3,
}
REACHED["pad"] = {
    "an empty batch": lambda g: g.shapes["input"][0] == 0,
    "an axis of one element": lambda g: 1 in g.shapes["input"][2:],
    "cropping": lambda g: min(g.attributes["pad"]) < 0,
    "unequal sides": lambda g: g.attributes["pad"][0] != g.attributes["pad"][1],
    **{mode: given_as("mode", mode) for mode in ("reflect", "replicate", "circular")},
    "the constant mode": lambda g: "mode" not in g.attributes,
    "a value": given_as("value"),
}
REACHED["batch_norm"] = {
    "an empty batch": lambda g: g.shapes["input"][0] == 0,
    "no spatial axes": lambda g: len(g.shapes["input"]) == 2,
    "three spatial axes": lambda g: len(g.shapes["input"]) == 5,
    "training": given_as("training"),
    "training without running statistics": lambda g: "training" in g.attributes and g.shapes["running_mean"] is None,
    "kept statistics": lambda g: "training" not in g.attributes,
    "no weight": lambda g: g.shapes["weight"] is None,
    "a momentum": given_as("momentum"),
    "an eps": given_as("eps"),
}


@pytest.mark.parametrize(("name", "what"), [(name, what) for name, wanted in REACHED.items() for what in wanted])
def test_geometries_of_the_sizes_check_reach(name, what):
    reached = REACHED[name][what]
    budget = settings(max_examples=300, database=None, phases=[Phase.generate])
    find(OPERATORS[name].geometries("sizes"), reached, settings=budget, random=random.Random(0))


def test_every_operator_has_wanted_geometries():
    assert REACHED.keys() <= OPERATORS.keys()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", OPERATORS)
@settings(max_examples=10)
@given(data=st.data())
def test_every_pattern_names_inputs_that_there_are_and_fits_its_dtype(name, dtype, data):
    operator = OPERATORS[name]
    for layer, purpose in ((operator.exact, "values"), (operator.real, "values"), (operator.special, "special")):
        geometry = data.draw(operator.geometries(purpose))
        patterns = layer(geometry, dtype)
        assert patterns
        for pattern in patterns:
            assert set(pattern.kinds) <= set(geometry.shapes)
            case = filled(name, geometry, pattern, dtype, 3)
            for fill in case.inputs.values():
                whole = np.isfinite(fill.array().astype(np.float64))
                assert whole.all() or fill.kind in ("nans", "infinities", "nonfinite", "bottom")


@pytest.mark.parametrize("name", [*SUMS, "relu", "max_pool1d", "max_pool2d", "max_pool3d"])
@settings(max_examples=12)
@given(data=st.data(), seed=st.integers(0, 99), dtype=st.sampled_from(DTYPES))
def test_exact_data_leave_no_room_for_error(name, data, seed, dtype):
    operator = OPERATORS[name]
    geometry = data.draw(operator.geometries("special"))
    for pattern in operator.exact(geometry, dtype):
        case = filled(name, geometry, pattern, dtype, seed)
        inputs, expected = outputs(name, case)
        arithmetic = Arithmetic.of(dtype)
        bounds = operator.bounds(inputs, case.attributes, expected, arithmetic)
        sizes = operator.reference(**{k: np.abs(v) for k, v in inputs.items()}, **case.attributes)
        sizes = sizes if isinstance(sizes, tuple) else (sizes,)
        for values, size, bound in zip(expected.values(), sizes, bounds.values(), strict=True):
            # Beyond its bits a half format rounds a sum that was exact, once.
            representable = np.abs(values) <= 2.0 ** format_of(dtype).bits
            # The largest factors are sized for what is likely: few sums of the worst signs may exceed the accumulator.
            kept = size <= 2.0**arithmetic.accumulator.bits
            assert kept.mean() > 0.5
            assert not np.any(bound.absolute[representable & kept])


def evaluated(name, parts, attributes, case):
    """Recompute one output from what fed it."""
    bias = float(parts.get("bias", 0))
    if name.startswith("conv"):
        return float((parts["input"] * parts["weight"]).sum()) + bias
    if name == "linear":
        return float(parts["input"] @ parts["weight"]) + bias
    if name == "relu":
        return max(float(parts["input"]), 0.0)
    taps = parts["input (NaN: padding)"]
    inside = taps[~np.isnan(taps)]
    if name.startswith("max"):
        return inside.max() if inside.size else -np.inf
    return inside.sum() / case.attributes["divisor_override"] if "divisor_override" in attributes else inside


@pytest.mark.parametrize(
    "name", [*SUMS, "relu", *(f"{kind}_pool{rank}d" for kind in ("max", "avg") for rank in (1, 2, 3))]
)
@settings(max_examples=40)
@given(data=st.data())
def test_the_window_of_an_element_is_what_feeds_it(name, data):
    operator = OPERATORS[name]
    geometry = data.draw(operator.geometries("values"))
    case = filled(name, geometry, Pattern(("integers", 9)), "float64", data.draw(st.integers(0, 99)))
    inputs, expected = outputs(name, case)
    index = tuple(data.draw(st.integers(0, n - 1)) for n in expected["output"].shape)
    found = evaluated(name, operator.window(inputs, case.attributes, index), case.attributes, case)
    if isinstance(found, np.ndarray):  # a mean: its divisor is whole, and at least the number of elements
        mean = expected["output"][index]
        divisor = found.sum() / mean if mean else found.size
        assert abs(divisor - round(divisor)) < 1e-9
        assert round(divisor) >= found.size
        assert round(divisor) == found.size or "count_include_pad" not in case.attributes
    else:
        assert found == expected["output"][index]


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
def test_the_window_of_a_padded_element_is_its_row_and_where_it_lies(mode):
    attributes = {"pad": (2, 1), "mode": mode}
    x = np.arange(12.0).reshape(1, 3, 4)
    for index in np.ndindex(1, 3, 7):
        parts = OPERATORS["pad"].window({"input": x}, attributes, index)
        assert np.array_equal(parts["input along the last axis"], x[0, index[1]])
        assert parts["position"] == index[2] - 2


def test_the_window_of_a_normalized_element_is_its_channel():
    inputs = {"input": np.arange(24.0).reshape(2, 3, 4), "weight": np.array([5.0, 6.0, 7.0])}
    for index in ((1, 2, 3), (2,)):  # an element of the output, and one of the running mean
        parts = OPERATORS["batch_norm"].window(inputs, {}, index)
        assert np.array_equal(parts["input"], inputs["input"][:, 2])
        assert parts["weight"] == 7


def test_a_transposed_window_may_be_empty():
    inputs = {"input": np.ones((1, 1, 2)), "weight": np.ones((1, 1, 1))}
    parts = OPERATORS["conv_transpose1d"].window(inputs, {"stride": 3}, (0, 0, 1))
    assert parts["input"].size == parts["weight"].size == 0


def test_a_changed_geometry_knows_shapes_from_attributes():
    geometry = Geometry({"input": (2, 3), "bias": None}, {"stride": 2}, 7)
    changed = geometry.changed(bias=(3,), stride=1, groups=2)
    assert changed == Geometry({"input": (2, 3), "bias": (3,)}, {"stride": 1, "groups": 2}, 7)


def test_arrays_of_a_case_have_seeds_of_their_own():
    case = filled("any", Geometry({"a": (2,), "b": None, "c": (2,)}, {}), Pattern(("normal", 1)), "float32", 5)
    assert case == Case("any", {"a": Fill("normal", "float32", (2,), 5), "c": Fill("normal", "float32", (2,), 7)}, {})


@pytest.mark.parametrize(
    ("check", "examples", "budget"),
    [
        ("values", 100, (6, 20)),
        ("values", 10, (2, 10)),
        ("layouts", 100, (2, 20)),
        ("layouts", 10, (2, 2)),
        ("laws", 1, (2, 1)),
    ],
)
def test_draws_have_room_for_the_examples_and_hold_no_more_than_these(check, examples, budget):
    assert CHECKS[check].budget(examples) == budget
