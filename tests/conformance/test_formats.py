"""Formats: bits and range from NumPy and ml_dtypes, and rounding to fewer bits."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.formats import DTYPES, Format, format_of, numpy_dtype, round_bits

# Exponent bits and significant bits with the hidden one, from IEEE 754-2019 table 3.5; bfloat16 is a cut float32.
LAYOUTS = {"float64": (11, 53), "float32": (8, 24), "float16": (5, 11), "bfloat16": (8, 8)}


@pytest.mark.parametrize("name", DTYPES)
def test_formats_follow_from_their_layout(name):
    exponent, bits = LAYOUTS[name]
    greatest = 2 ** (exponent - 1) - 1
    assert format_of(name) == Format(
        name,
        bits,
        (2 - 2.0 ** (1 - bits)) * 2.0**greatest,
        2.0 ** (1 - greatest),
        2.0 ** (2 - greatest - bits),
    )
    assert format_of(name).roundoff == 2.0**-bits
    assert numpy_dtype(name).name == name


@given(st.floats(-1e30, 1e30, allow_subnormal=False), st.sampled_from((8, 11, 24)))
def test_rounded_values_are_the_nearest_of_so_many_bits(value, bits):
    rounded = float(round_bits(np.array(value), bits))
    error = abs(Fraction(value) - Fraction(rounded))
    assert error <= abs(Fraction(value)) * Fraction(1, 2**bits)
    assert round_bits(np.array(rounded), bits) == rounded


@given(st.floats(width=32, allow_nan=False, allow_infinity=False).filter(lambda x: x == 0 or abs(x) > 2.0**-14))
def test_rounding_to_bits_is_rounding_to_a_format(value):
    if abs(value) < format_of("float16").largest:
        assert round_bits(np.array(value), 11) == float(np.float16(value))


def test_nonfinite_values_stay():
    assert np.array_equal(round_bits(np.array([np.inf, -np.inf, np.nan]), 8), [np.inf, -np.inf, np.nan], equal_nan=True)
