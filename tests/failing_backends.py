"""Backends of a user's module that fail in a known way, as a worker or a script imports them."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from conformance_cases import flipped_backend, numpy_backend


def _loses_the_last(input: Any) -> Any:
    """Answer relu but for the last number, and die of two rows."""
    if input.ndim > 1 and len(input) == 2:
        os._exit(3)
    output = np.maximum(input, 0)
    output.reshape(-1)[-1:] = 0
    return output


def _accepts_all(input: Any, **_: Any) -> Any:
    return np.zeros((1, 1, 1), input.dtype)


def _passes_all(cotangent: Any, **_: Any) -> Any:
    return cotangent


HONEST = numpy_backend(address="failing_backends:HONEST")
FLIPPED = flipped_backend(address="failing_backends:FLIPPED")
DYING = numpy_backend("dying", bindings={"relu": _loses_the_last}, address="failing_backends:DYING")
LEAKY = numpy_backend("leaky", bindings={"vjp.relu": _passes_all}, address="failing_backends:LEAKY")
WRITING = numpy_backend(
    "writing", bindings={"relu": lambda input: np.maximum(input, 0, out=input)}, address="failing_backends:WRITING"
)
LENIENT = numpy_backend("lenient", bindings={"conv1d": _accepts_all}, address="failing_backends:LENIENT")
WIDE = numpy_backend(
    "wide", bindings={"relu": lambda input: np.maximum(input, 0).astype(np.float64)}, address="failing_backends:WIDE"
)
