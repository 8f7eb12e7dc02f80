"""SciPy: convolution and cross-correlation of one channel, by its direct method."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from conformance.model import Backend, Case, Declaration, Outcome

FUNCTIONS = {"convolve": "convolve", "cross_correlate": "correlate"}  # by our names, those of scipy.signal


@cache
def bindings() -> Mapping[str, Callable[..., Any]]:
    """Return the bindings; the method that SciPy chooses by size, Fourier transforms, is none of exact arithmetic."""
    from scipy import signal

    def direct(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda input, kernel, mode="full": function(input, kernel, mode=mode, method="direct")

    return {name: direct(getattr(signal, function)) for name, function in FUNCTIONS.items()}


def _no_scipy() -> str | None:
    try:
        import scipy.signal  # noqa: F401  (only to know whether it is there)
    except ImportError as error:
        return f"scipy cannot be imported ({error}); pip install 'convformance[scipy]'"
    return None


def _about() -> str:
    import scipy

    return f"scipy {scipy.__version__}"


def _script(case: Case, literals: Mapping[str, str], leaves: Sequence[str]) -> str:
    """Return the call as users of SciPy write it."""
    lines = ["from scipy import signal", ""]
    for name, fill in case.inputs.items():
        lines.append(f"{name} = np.array({literals[name]}, dtype=np.{fill.dtype}).reshape({fill.shape})")
    mode = case.attributes.get("mode", "full")
    lines.append(f'result = signal.{FUNCTIONS[case.operator]}(input, kernel, mode={mode!r}, method="direct")')
    return "\n".join([*lines, "answers = [(str(result.dtype), result)]", ""])


def _swapped(case: Case) -> bool:
    """Whether input and kernel change their roles."""
    x, kernel = (math.prod(fill.shape) for fill in case.inputs.values())
    return (
        kernel > x
        and case.attributes.get("mode", "full") == "full"
        and case.inputs["input"].kind in ("nans", "infinities")
    )


DECLARATIONS = (
    Declaration(
        Outcome.DEVIATES,
        operators=("convolve", "cross_correlate"),
        applies=lambda case: any(0 in fill.shape for fill in case.inputs.values()),
        reason="with an array without elements the answer has none either, where numpy.convolve refuses",
        link="https://github.com/scipy/scipy/blob/main/scipy/signal/_signaltools.py",
        date="2026-11-21",
        witness='convolve(input=ramp(float64[0]), kernel=ramp(float64[1]), mode="same")',
        checks=("rejections",),
    ),
    Declaration(
        Outcome.DEVIATES,
        operators=("convolve", "cross_correlate"),
        applies=_swapped,
        reason="the larger array is padded, also where it is the kernel: what is no number in the input meets zeros",
        link="https://github.com/scipy/scipy/blob/main/scipy/signal/_signaltools.py",
        date="2026-11-21",
        witness="convolve(input=nans(float32[1,1,3], seed=8), kernel=integers(float32[1,2,2], seed=9, scale=2))",
        checks=("special",),
    ),
)

BACKENDS = (
    Backend(
        name="scipy",
        bindings=bindings,
        dtypes=("float64", "float32"),
        unavailable=_no_scipy,
        about=_about,
        declarations=DECLARATIONS,
        script=_script,
    ),
)
