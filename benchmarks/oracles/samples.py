"""One call as a published test makes it, the answer that it expects, and whether an answer would pass it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from conformance.layouts import NUMPY_LAYOUTS

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Sample:
    """A call, and the outputs that are expected of it: None where it must be refused.

    gradient: whether the gradients of the operator are asked for. limits: how far an answer may be off, as an absolute
    error and as a share of what is expected. An expected output that is None is not compared.
    """

    operator: str
    call: dict[str, Any]
    expected: tuple[Array | None, ...] | None
    limits: tuple[float, float]
    gradient: bool = False

    def passes(self, binding: Callable[..., Any]) -> bool:
        """Return whether the test would let the answer of a binding pass."""
        copied = {name: _copied(value) if isinstance(value, np.ndarray) else value for name, value in self.call.items()}
        try:
            with np.errstate(all="ignore"):
                result = binding(**copied)
        except Exception:  # whatever it raises, it refuses the call
            return self.expected is None
        if self.expected is None:
            return False
        outputs = result if isinstance(result, tuple) else (result,)
        pairs = zip(self.expected, outputs, strict=False)
        return len(outputs) >= len(self.expected) and all(self._agree(e, a) for e, a in pairs)

    def _agree(self, expected: Array | None, actual: Array | None) -> bool:
        if expected is None:
            return True
        if actual is None or expected.shape != actual.shape or expected.dtype != actual.dtype:
            return False
        e, a = expected.astype(np.float64), actual.astype(np.float64)
        absolute, relative = self.limits
        with np.errstate(invalid="ignore"):
            near = np.abs(a - e) <= absolute + relative * np.abs(e)
        return bool((near | (a == e) | (np.isnan(a) & np.isnan(e))).all())


def _copied(array: Array) -> Array:
    """Return a copy to write to, with gaps in its memory where the array has some."""
    packed = array.flags.c_contiguous or array.flags.f_contiguous
    return array.copy("K") if packed else NUMPY_LAYOUTS["strided"](array)
