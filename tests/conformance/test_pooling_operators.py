"""Pooling: bounds hold for honest arithmetic, forward and backward, and the draws reach what is hard."""

from __future__ import annotations

import random

import numpy as np
import pytest
from conformance_cases import HONEST, OPERATORS
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from conformance.backends.torch import pooling as known
from conformance.checks import CHECKS
from conformance.fills import Fill
from conformance.formats import DTYPES, numpy_dtype
from conformance.honest import honest
from conformance.lines import parse
from conformance.model import Arithmetic
from conformance.operators import lp_pooling, pools
from conformance.operators.fractional_pooling import _doubtful, _windows
from conformance.strategies import filled
from conformance.verdicts import expectation
from reference.vjp.max_pooling import scattered

POOLS = [name for name in OPERATORS if "pool" in name]
SELECTING = [name for name in POOLS if "max_pool" in name]
AVERAGING = [name for name in POOLS if "avg_pool" in name]
POWERS = [name for name in POOLS if name.startswith("lp_pool")]
FRACTIONAL = [name for name in POOLS if name.startswith("fractional")]
UNPOOLS = [name for name in POOLS if "unpool" in name]


def drawn(data, name, purpose="values"):
    return data.draw(OPERATORS[name].geometries(purpose))


def with_cotangent(name, geometry, dtype):
    """Return the cases of the gradients of a geometry."""
    return CHECKS["gradients"].cases(OPERATORS[name], geometry, dtype, 5, HONEST)


def outputs(case):
    with np.errstate(all="ignore"):
        return expectation(OPERATORS[case.operator], case, "pytorch")


def bounds(case, inputs, expected, arithmetic):
    operator = OPERATORS[case.operator]
    of = operator.gradient.bounds if case.manner else operator.bounds
    with np.errstate(all="ignore"):
        return of(inputs, case.attributes, expected, arithmetic)


@pytest.mark.parametrize("name", [name for name in POOLS if name not in UNPOOLS])
@settings(max_examples=15)
@given(data=st.data())
def test_the_window_of_an_element_is_what_feeds_it(name, data):
    geometry = drawn(data, name, "special")
    case = filled(name, geometry, OPERATORS[name].exact(geometry, "float64")[1], "float64", 3)
    inputs, expected = outputs(case)
    index = tuple(data.draw(st.integers(0, n - 1)) for n in expected["output"].shape)
    parts = OPERATORS[name].window(inputs, case.attributes, index)
    taps = next(iter(parts.values()))
    if name in SELECTING:
        assert np.nanmax(taps, initial=-np.inf) == expected["output"][index]
    elif name.startswith("adaptive"):
        assert np.mean(taps) == pytest.approx(expected["output"][index])
    else:
        assert taps.size == geometry.terms


@pytest.mark.parametrize("name", UNPOOLS)
@settings(max_examples=25)
@given(data=st.data(), purpose=st.sampled_from(["values", "sizes", "special", "gradients"]))
def test_every_index_of_an_unpooling_is_inside_and_no_two_are_the_same(name, data, purpose):
    geometry = drawn(data, name, purpose)
    for pattern in (*OPERATORS[name].exact(geometry, "float32"), *OPERATORS[name].special(geometry, "float16")):
        case = filled(name, geometry, pattern, "float32", 9)
        inputs, expected = outputs(case)
        batch, channels, *_ = inputs["indices"].shape
        planes = [inputs["indices"][index] for index in np.ndindex(batch, channels)]
        assert all(len(np.unique(plane)) == plane.size for plane in planes)
    index = tuple(0 for _ in expected["output"].shape)
    if expected["output"].size:
        parts = OPERATORS[name].window(inputs, case.attributes, index)
        assert parts["input"].shape == parts["indices"].shape
        assert not parts["position"].any()


def in_any_order(name, case, inputs, dtype):
    """Return the gradient of maxima or means, added up window by window in a narrow format."""
    g, x = inputs["cotangent"].astype(dtype), inputs["input"]
    if name in SELECTING:
        given = {k: v for k, v in inputs.items() if k != "cotangent"}
        indices = OPERATORS[name].reference(**given, **case.attributes, return_indices=True).indices
        pairs = [(g[index], indices[index]) for index in np.ndindex(*g.shape)]
        total = np.zeros((x.shape[0], x.shape[1], x[0, 0].size), dtype)
        for (n, c, *_), (value, at) in zip(np.ndindex(*g.shape), pairs, strict=True):
            total[n, c, at] += value
        return total.reshape(x.shape)
    total = np.zeros(x.shape, dtype)
    vjp = OPERATORS[name].gradient.reference
    for index in np.ndindex(*g.shape):
        one = np.zeros(g.shape)
        one[index] = 1
        share = vjp(**{**inputs, "cotangent": one}, **case.attributes)
        total += (share != 0) * (g[index] * (dtype(1) / dtype(1 / share.max()) if share.any() else dtype(0)))
    return total


@pytest.mark.parametrize("name", [*SELECTING, *AVERAGING])
@settings(max_examples=6)
@given(data=st.data())
def test_the_bounds_of_gradients_hold_for_sums_in_float32(name, data):
    geometry = drawn(data, name, "special")
    if "return_indices" in geometry.attributes:
        return
    for case in with_cotangent(name, geometry, "float32"):
        inputs, expected = outputs(case)
        bound = bounds(case, inputs, expected, Arithmetic.of("float32"))["input"].absolute
        actual = in_any_order(name, case, inputs, np.float32)
        assert np.all(np.abs(actual - expected["input"]) <= bound), case


def by_steps(case, inputs, dtype):
    """Return a power average whose every step is stored in a format, as a chain of layers has it."""
    x, p = inputs["input"].astype(dtype), case.attributes["norm_type"]
    taps = case.attributes["kernel_size"]
    taps = np.prod(taps) if isinstance(taps, tuple) else taps ** (x.ndim - 2)
    windows = {k: v for k, v in case.attributes.items() if k != "norm_type"}
    mean = honest(f"avg_pool{x.ndim - 2}d")(input=np.power(x, dtype(p)), **windows)
    return np.power((mean * dtype(taps)).astype(dtype), dtype(1 / p))


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("name", POWERS)
@settings(max_examples=25)
@given(data=st.data())
def test_the_bounds_of_power_averages_hold_where_every_step_is_stored(name, dtype, data):
    geometry = drawn(data, name)
    narrow = numpy_dtype(dtype).type
    if np.isinf(geometry.attributes["norm_type"]):
        return
    for pattern in (*OPERATORS[name].exact(geometry, dtype), *OPERATORS[name].real(geometry, dtype)):
        case = filled(name, geometry, pattern, dtype, 5)
        inputs, expected = outputs(case)
        arithmetic = Arithmetic.of(dtype, partials=4 if dtype != "float32" else 0)
        bound = bounds(case, inputs, expected, arithmetic)["output"].absolute
        with np.errstate(all="ignore"):
            actual = by_steps(case, inputs, narrow).astype(np.float64)
            far = np.abs(actual - expected["output"])
        assert np.all((far <= bound) | (np.isnan(actual) & np.isnan(expected["output"])) | np.isinf(bound)), case


@pytest.mark.parametrize("name", POWERS)
def test_whole_numbers_over_a_power_of_two_are_averaged_without_error(name):
    rank = int(name[-2])
    line = f"{name}(input=integers(float32[2,3,{','.join('4' * rank)}], scale=9), norm_type=1.0, kernel_size=2)"
    inputs, expected = outputs(parse(line))
    assert not bounds(parse(line), inputs, expected, Arithmetic.of("float32"))["output"].absolute.any()
    shape = ",".join("2" * rank)
    pulled = parse(
        line.replace("(input", f"(cotangent=integers(float32[2,3,{shape}], scale=9), input").replace(
            name, f"vjp.{name}", 1
        )
    )
    inputs, expected = outputs(pulled)
    assert not bounds(pulled, inputs, expected, Arithmetic.of("float32"))["input"].absolute.any()


def test_a_sum_of_powers_whose_sign_is_not_sure_is_waived():
    total, far = np.array([1.0, 1e-9, -1.0]), np.array([1e-6, 1e-6, 1e-6])
    with np.errstate(all="ignore"):
        value, limit = lp_pooling._powered(total, far, 1 / 3, Arithmetic.of("float32"))
    assert np.isfinite(limit[0])
    assert np.isinf(limit[1])
    assert np.isnan(value[2])


@pytest.mark.parametrize("name", AVERAGING)
def test_the_gradients_of_means_by_powers_of_two_are_exact(name):
    rank, attribute = int(name[-2]), "output_size" if name.startswith("adaptive") else "kernel_size"
    shapes = [",".join(side * rank) for side in "24"]
    arrays = "cotangent=integers(float32[2,3,{}], scale=9), input=ramp(float32[2,3,{}])".format(*shapes)
    for size, exact in ((2, True), (3, False)):
        line = f"vjp.{name}({arrays}, {attribute}={size})"
        if not exact:
            line = line.replace(f"[2,3,{shapes[1]}]", f"[2,3,{','.join('6' * rank)}]").replace(
                "output_size=3", "output_size=2"
            )
        inputs, expected = outputs(parse(line))
        bound = bounds(parse(line), inputs, expected, Arithmetic.of("float32"))["input"].absolute
        assert bound.any() != exact


@pytest.mark.parametrize("dtype", DTYPES)
def test_random_numbers_are_below_one_in_every_format(dtype):
    values = Fill("unit", dtype, (64,), 3).array().astype(np.float64)
    assert values.min() > 0
    assert values.max() < 1
    assert np.array_equal(values * 16, np.rint(values * 16))


def intervals(sample, size, windows, kernel):
    """Return where windows start, computed in the format of the random number, as engines do."""
    kind = type(sample)
    pace = kind(size - kernel) / kind(max(windows - 1, 1))
    starts = [int(kind((kind(i) + sample) * pace)) - int(kind(sample * pace)) for i in range(windows - 1)]
    return [*starts, size - kernel]


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("name", FRACTIONAL)
@settings(max_examples=25)
@given(data=st.data())
def test_windows_in_no_doubt_begin_where_a_narrow_format_has_them(name, dtype, data):
    geometry, rank = drawn(data, name), int(name[-2])
    case = filled(name, geometry, OPERATORS[name].exact(geometry, dtype)[0], dtype, 7)
    inputs, _ = outputs(case)
    w = _windows(rank, inputs, case.attributes)
    doubtful = _doubtful(w, inputs["random_samples"], Arithmetic.of(dtype))
    narrow = inputs["random_samples"].astype(numpy_dtype(dtype))
    for n, c in np.ndindex(*doubtful.shape[:2]):
        for axis, line in enumerate(w.lines):
            found = intervals(narrow[n, c, 1 - axis if rank == 2 else axis], line.size, line.windows, line.depth)
            other = tuple(a for a in range(rank) if a != axis)
            for i, start in enumerate(found):
                sure = not np.take(doubtful[n, c], i, axis).all() if other else not doubtful[n, c, i]
                assert not sure or start == line.starts[n, c, i]


@settings(max_examples=20)
@given(data=st.data())
def test_no_window_is_in_doubt_where_what_is_not_finite_is_looked_at(data):
    geometry = drawn(data, "fractional_max_pool2d", "special")
    case = filled(
        "fractional_max_pool2d",
        geometry,
        OPERATORS["fractional_max_pool2d"].exact(geometry, "bfloat16")[0],
        "bfloat16",
        7,
    )
    inputs, _ = outputs(case)
    w = _windows(2, inputs, case.attributes)
    assert not _doubtful(w, inputs["random_samples"], Arithmetic.of("bfloat16")).any()


@pytest.mark.parametrize("name", [name for name in POOLS if name not in UNPOOLS])
@settings(max_examples=25)
@given(data=st.data(), purpose=st.sampled_from(["gradients", "layouts"]))
def test_gradients_are_of_windows_that_have_elements_and_know_no_indices(name, data, purpose):
    geometry = drawn(data, name, purpose)
    assert "return_indices" not in geometry.attributes
    if name.startswith("max_pool"):
        ones = np.ones(geometry.shapes["input"])
        assert np.isfinite(OPERATORS[name].reference(ones, **geometry.attributes)).all()


def on_last_axis(least):
    return lambda g: g.shapes["input"][-1] >= least


def longest(g):
    kernel = g.attributes["kernel_size"]
    return max(kernel) if isinstance(kernel, tuple) else kernel


REACHED = {
    **{f"{count} channels": lambda g, count=count: g.shapes["input"][1] == count for count in pools.CHANNELS},
    "a wide row": on_last_axis(33),
}
LONG = {"a kernel of eleven taps": lambda g: longest(g) == pools.LONG}


@pytest.mark.parametrize("what", [*REACHED, *LONG])
@pytest.mark.parametrize("name", [name for name in POOLS if name[-2] == "2"])
def test_draws_reach_beyond_the_tiny(name, what):
    if what in LONG and "adaptive" in name:
        return
    budget = settings(max_examples=4000, database=None, phases=[Phase.generate])
    find(OPERATORS[name].geometries("values"), (REACHED | LONG)[what], settings=budget, random=random.Random(0))


def test_a_gradient_of_one_window_each_is_a_copy():
    g, indices = np.array([[[0.1, 0.2, 0.3]]]), np.array([[[0, 2, 2]]])
    expected = scattered(g, indices, (1, 1, 4))
    bound = pools.scattered_bound(g, indices, expected, Arithmetic.of("float32")).absolute
    assert bound[0, 0, 0] == 0
    assert bound[0, 0, 2] > 0


def test_a_mean_that_is_divided_axis_by_axis_is_rounded_for_each():
    line = "adaptive_avg_pool3d(input=integers(float32[1,1,3,3,3], scale=3), output_size=1)"
    inputs, expected = outputs(parse(line))
    bound = bounds(parse(line), inputs, expected, Arithmetic.of("float32"))["output"].absolute
    assert np.all(bound >= 3 * 2.0**-24 * np.abs(expected["output"]))
    stored = bounds(parse(line), inputs, expected, Arithmetic.of("float16", partials=27))["output"].absolute
    assert np.all(stored > 3 * 2.0**-11 * np.abs(expected["output"]))


SAMPLED = "random_samples=unit(float32[1,1,3])"


@pytest.mark.parametrize(
    ("line", "tight"),
    [
        (f"fractional_max_pool3d(input=ramp(float32[1,1,3,3,3]), {SAMPLED}, kernel_size=2, output_size=2)", True),
        (
            f"fractional_max_pool3d(input=ramp(float32[1,1,4,4,4]), {SAMPLED}, kernel_size=2, output_size=(2, 2, 2))",
            False,
        ),
        (
            f"fractional_max_pool3d(input=ramp(float32[1,1,5,5,5]), {SAMPLED}, kernel_size=3, "
            "output_ratio=(0.5, 0.5, 0.7))",
            True,
        ),
        (
            f"fractional_max_pool3d(input=ramp(float32[1,5,5,5]), {SAMPLED}, kernel_size=3, "
            "output_ratio=(0.5, 0.5, 0.5))",
            False,
        ),
        (f"fractional_max_pool3d(input=ramp(float32[1,5,5,5]), {SAMPLED}, kernel_size=3)", False),
    ],
)
def test_torch_refuses_windows_that_fit_tightly(line, tight):
    assert known._fits_tightly(parse(line)) == tight


@pytest.mark.parametrize(
    ("line", "one"),
    [
        ("adaptive_avg_pool2d(input=ramp(float32[2,1,1,1,1,1]), output_size=1)", True),
        ("adaptive_avg_pool2d(input=ramp(float32[2,1,0,1]), output_size=(1, 1))", True),
        ("adaptive_avg_pool2d(input=ramp(float32[2,1,1,1,1,1]), output_size=(None, 1))", True),
        ("adaptive_avg_pool2d(input=ramp(float32[2,1,1,1,3,1]), output_size=(None, 1))", False),
        ("adaptive_avg_pool2d(input=ramp(float32[2,1,3,1]), output_size=(1, 1))", False),
        ("adaptive_avg_pool2d(input=ramp(float32[2,1,0,1]), output_size=())", False),
        ("adaptive_avg_pool2d(input=ramp(float32[2,1,0,1]), output_size=(1, 2))", False),
    ],
)
def test_torch_takes_one_window_for_a_mean(line, one):
    assert known._one_window_of_anything(parse(line)) == one


@pytest.mark.parametrize(
    ("line", "partials"),
    [
        ("max_pool2d(input=ramp(float16[1,1,4,4]), kernel_size=2)", None),
        ("relu(input=ramp(float16[2]))", None),
        ("max_unpool1d(input=ramp(float16[1,1,2]), indices=places(int64[1,1,2], scale=2), kernel_size=1)", None),
        ("lp_pool1d(input=ramp(float16[1,1,2]), norm_type=2.0, kernel_size=1)", 4),
        ("adaptive_avg_pool3d(input=ramp(float16[1,1,2,2,2]), output_size=1)", 11),
        ("vjp.max_pool1d(cotangent=ramp(float16[1,1,3]), input=ramp(float16[1,1,5]), kernel_size=3, stride=1)", 3),
        ("vjp.adaptive_max_pool1d(cotangent=ramp(float16[1,1,5]), input=ramp(float16[1,1,2]), output_size=5)", 4),
        (
            "vjp.fractional_max_pool2d(cotangent=ramp(float16[1,1,1,1]), input=ramp(float16[1,1,2,2]), "
            "random_samples=unit(float16[1,1,2]), kernel_size=1, output_size=1)",
            4,
        ),
        ("vjp.max_pool1d(cotangent=ramp(float32[1,1,3]), input=ramp(float32[1,1,5]), kernel_size=3, stride=1)", None),
    ],
)
def test_torch_adds_half_formats_up_in_themselves(line, partials):
    arithmetic = known.arithmetic(parse(line))
    assert (arithmetic.partials if arithmetic else None) == partials
