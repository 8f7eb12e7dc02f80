"""The floating-point formats that backends compute in, and what rounding to them costs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import ml_dtypes
import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

DTYPES = ("float64", "float32", "float16", "bfloat16")


@dataclass(frozen=True)
class Format:
    """One format: significant bits (the hidden one counted), range, and spacing near zero."""

    name: str
    bits: int
    largest: float
    least_normal: float
    least_subnormal: float

    @property
    def roundoff(self) -> float:
        """The unit roundoff u: half the distance from 1 to the next number."""
        return 2.0**-self.bits


@cache
def numpy_dtype(name: str) -> np.dtype[Any]:
    """Return the NumPy dtype of that name; bfloat16 is ml_dtypes'."""
    dtype: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)
    return dtype


@cache
def format_of(name: str) -> Format:
    """Return the format of a dtype name, from what NumPy or ml_dtypes say of it.

    >>> format_of("bfloat16").bits, format_of("float32").roundoff == 2.0**-24
    (8, True)
    """
    info: Any = ml_dtypes.finfo(numpy_dtype(name))  # type: ignore[no-untyped-call]  # ml_dtypes leaves it untyped
    return Format(
        name, int(info.nmant) + 1, float(info.max), float(info.smallest_normal), float(info.smallest_subnormal)
    )


def round_bits(values: Array, bits: int) -> Array:
    """Round float64 values to that many significant bits, ties to even, with unlimited range.

    >>> round_bits(np.array([1.0, 2049.0, 2051.0]), 11)
    array([1.000e+00, 2.048e+03, 2.052e+03])
    """
    mantissa, exponent = np.frexp(values)
    rounded: Array = np.ldexp(np.rint(np.ldexp(mantissa, bits)), exponent - bits)
    return rounded
