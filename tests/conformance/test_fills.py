"""What arrays hold: each kind is what its docstring says, the same for ever, and out of reach of whoever asks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.fills import KINDS, Fill
from conformance.fills import _kept as cached
from conformance.formats import DTYPES, format_of, numpy_dtype

SHAPES = [(), (0,), (7,), (2, 0, 3), (2, 3), (4, 3, 5, 2)]


def make(kind, dtype="float64", shape=(4, 3, 5), seed=3, scale=4):
    return Fill(kind, dtype, shape, seed, scale).array()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_dtype_and_shape_are_as_asked(kind, dtype):
    for shape in SHAPES if kind != "paired" else [shape for shape in SHAPES if len(shape) > 1]:
        array = make(kind, dtype, shape)
        assert (array.shape, array.dtype) == (shape, numpy_dtype(dtype))


@pytest.mark.parametrize("kind", KINDS)
def test_equal_recipes_make_equal_arrays_that_nobody_can_write_to(kind):
    first = make(kind)
    kept = first.copy()
    with pytest.raises(ValueError, match="read-only"):
        first += 1
    for other in KINDS:  # which also pushes the first one out of the cache
        for seed in range(6):
            make(other, seed=seed)
    cached.cache_clear()
    again = make(kind)
    assert again is not first
    np.testing.assert_array_equal(again, kept, strict=True)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "ramp"])
def test_other_seeds_make_other_arrays(kind):
    arrays = [make(kind, seed=seed).tobytes() for seed in (0, 1, 2, 2**16 - 1)]
    assert len(set(arrays)) == len(arrays)


def test_long_arrays_hold_numbers_everywhere():
    array = make("normal", shape=(2**17 + 3,), scale=1)
    assert np.isfinite(array).all()
    assert abs(array.mean()) < 0.02
    assert abs(array.std() - 1) < 0.02


def test_a_ramp_counts_and_begins_again():
    assert make("ramp", shape=(2, 3), scale=1).tolist() == [[1, 2, 3], [4, 5, 6]]
    assert make("ramp", shape=(99,), scale=1)[95:].tolist() == [96, 97, 1, 2]
    assert make("ramp", shape=(7,), scale=5).tolist() == [1, 2, 3, 4, 5, 1, 2]
    assert make("ramp", shape=(2,), scale=0.5).tolist() == [1, 2]


@given(st.integers(1, 2**31 - 1), st.integers(0, 2**16))
def test_integers_are_whole_within_their_scale_and_never_0(scale, seed):
    values = make("integers", shape=(200,), seed=seed, scale=scale)
    assert np.array_equal(values, np.rint(values))
    assert np.all((np.abs(values) >= 1) & (np.abs(values) <= scale))
    assert set(values) == set(range(-scale, scale + 1)) - {0} if scale <= 3 else len(set(values)) > 3


@given(st.integers(2, 53), st.integers(0, 2**16))
def test_odd_integers_need_all_their_bits(bits, seed):
    values = make("odd", shape=(50,), seed=seed, scale=bits)
    assert {abs(int(v)).bit_length() for v in values} == {bits}
    assert {int(v) % 2 for v in values} == {1}
    assert {-1, 1} == set(np.sign(values))


def test_normal_values_have_the_deviation_that_is_asked():
    values = make("normal", shape=(10_000,), scale=4)
    # A standard error is 4 / sqrt(10,000) for the mean, and that over sqrt(2) for the deviation.
    assert abs(values.mean()) < 5 * 0.04
    assert abs(values.std() - 4) < 5 * 0.04 / math.sqrt(2)


def test_positive_values_cancel_nowhere():
    values = make("positive", shape=(1000,), scale=4)
    assert np.all((values >= 2) & (values < 6))
    assert values.min() < 2.1
    assert values.max() > 5.9


def test_spread_values_reach_over_many_binades():
    values = np.abs(make("spread", shape=(1000,), scale=1))
    assert values.min() < 2.0**-8
    assert values.max() > 2.0**8
    assert np.all(values < 2.0**8 * 8)  # normal values stay below 8


def test_offset_values_lie_around_their_scale():
    for scale in (30, -8):
        values = make("offset", shape=(1000,), scale=scale)
        assert abs(values.mean() - scale) < 5 / math.sqrt(1000)
        assert abs(values.std() - 1) < 0.2


@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 4), st.sampled_from((1, 3)), st.integers(0, 2**16))
def test_paired_values_have_whole_means_and_a_known_variance(half, channels, spatial, scale, seed):
    x = make("paired", shape=(2 * half, channels, spatial), seed=seed, scale=scale)
    mean = x.mean((0, 2))
    assert np.array_equal(mean, np.rint(mean))
    assert np.all(np.abs(mean) <= 8)
    assert np.all(np.abs(x - mean[:, np.newaxis]) == scale)
    assert np.all(x.var((0, 2)) == scale**2)


@pytest.mark.parametrize("scale", [3, 7])
def test_roots_give_powers_of_two(scale):
    values = make("roots", shape=(100,), scale=scale)
    assert np.all(values > 0)
    roots = set(np.sqrt(values + scale))
    assert roots <= {2, 4, 8}
    assert len(roots) > 1


@pytest.mark.parametrize(
    ("kind", "guests"), [("nans", {"nan"}), ("infinities", {"inf", "-inf"}), ("nonfinite", {"nan", "inf", "-inf"})]
)
def test_guests_are_as_many_as_asked_among_small_integers(kind, guests):
    met = set()
    for seed in range(20):
        values = make(kind, seed=seed, scale=4)
        strange = values[~np.isfinite(values)]
        assert strange.size == 4
        assert set(values[np.isfinite(values)]) == {1, 2, 3}
        met |= set(map(str, strange.tolist()))
    assert met == guests
    assert not np.isfinite(make(kind, shape=(3,), scale=4)).any()  # no more guests than places


def test_bottom_has_few_values_above_it():
    values = make("bottom", scale=4)
    assert np.isneginf(values).sum() == values.size - 4
    assert np.all(np.abs(values[np.isfinite(values)]) <= 3)


def test_negative_zeros_have_no_positive_one_among_them():
    values = make("negative_zeros")
    assert np.signbit(values).all()
    assert set(values.ravel().tolist()) == {0, -1, -2}


@pytest.mark.parametrize("dtype", DTYPES)
def test_huge_values_are_finite_and_near_the_end_of_their_format(dtype):
    values = make("huge", dtype, shape=(500,)).astype(np.float64)
    largest = format_of(dtype).largest
    assert np.all((np.abs(values) >= largest / 4.01) & (np.abs(values) <= largest))
    assert {-1, 1} == set(np.sign(values))


# A line that was printed once must mean the same array for ever: these numbers may not change.
FROZEN = {
    "ramp": "1.0 4.0 3.0 2.0",
    "integers": "1.0 -4.0 -2.0 -1.0",
    "odd": "-13.0 9.0 11.0 -11.0",
    "normal": "8.67286205291748 -4.0165228843688965 2.752185821533203 3.0026168823242188",
    "positive": "4.007734775543213 2.212585210800171 3.302846670150757 3.557361602783203",
    "spread": "0.27102693915367126 -8.033045768737793 11.008743286132812 0.00586448609828949",
    "offset": "6.168215274810791 2.9958693981170654 4.688046455383301 4.750654220581055",
    "paired": "4.0 -2.0 -4.0 6.0",
    "roots": "60.0 12.0 12.0 12.0",
    "nans": "2.0 1.0 1.0 nan",
    "infinities": "2.0 1.0 1.0 -inf",
    "nonfinite": "2.0 1.0 1.0 inf",
    "bottom": "-inf 0.0 -3.0 -inf",
    "negative_zeros": "-1.0 -0.0 -0.0 -0.0",
    "tiny": "1.401298464324817e-45 -5.605193857299268e-45 -2.802596928649634e-45 -1.401298464324817e-45",
    "repeated": "1.0 -4.0 1.0 -4.0",
    "labels": "2.0 0.0 1.0 1.0",
    "places": "3.0 2.0 0.0 2.0",
    "below": "-2.0 -4.0 -3.0 -3.0",
    "unit": "0.5625 0.0625 0.3125 0.4375",
    "huge": "-2.13169970633653e+38 9.863414891653262e+37 1.6819603953225023e+38 -1.8443482626286028e+38",
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_stream_is_frozen(kind):
    values = make(kind, "float32", (2, 2, 3), seed=7, scale=4).ravel()
    assert list(map(str, values.tolist()))[::3] == FROZEN[kind].split()


def test_a_recipe_prints_only_what_is_not_the_default():
    assert repr(Fill("ramp", "float32", ())) == "ramp(float32[()])"
    assert repr(Fill("odd", "bfloat16", (1, 2), 5, 9)) == "odd(bfloat16[1,2], seed=5, scale=9)"
