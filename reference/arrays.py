"""What arrays references take, and the numbers that they compute in.

Everything real is computed and returned in float64, everything complex in complex128, and integers stay
integers (int64) wherever no division happens, so that an answer can be trusted to far more digits than any of
the formats it is compared with.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from reference.constraints import refuse

Array = np.ndarray[Any, np.dtype[Any]]

FLOAT64 = np.dtype(np.float64)
_WIDE = {
    "f": FLOAT64,
    "c": np.dtype(np.complex128),
    "i": np.dtype(np.int64),
    "u": np.dtype(np.int64),
}


def widen(argument: str, value: object) -> Array:
    """Return the argument as a float64, complex128 or int64 array, without loss.

    float16, float32, float64, bfloat16 (ml_dtypes) become float64; complex64 becomes complex128; integers
    become int64. A float64, complex128 or int64 array is returned as it is: references never write to one.
    """
    try:
        array = np.asarray(value)
    except ValueError:
        refuse("dtype", argument, value, "must hold rows of one length")
    dtype = array.dtype
    if dtype is FLOAT64:  # the common case, and the fast one
        return array
    if dtype.kind == "V" and dtype.name == "bfloat16":  # ml_dtypes' type has a kind of its own making
        return array.astype(np.float64)
    wide = _WIDE.get(dtype.kind)
    if wide is None or not np.can_cast(dtype, wide):
        refuse("dtype", argument, dtype.name, "must hold real or complex floats, or integers that fit int64")
    return array.astype(wide, copy=False)


def widen_together(**arguments: object) -> list[Array]:
    """Return the arguments widened to one common dtype: floats where integers meet floats, which hold 2**53."""
    arrays = [widen(name, value) for name, value in arguments.items()]
    dtype = np.result_type(*arrays)
    return [array.astype(dtype, copy=False) for array in arrays]
