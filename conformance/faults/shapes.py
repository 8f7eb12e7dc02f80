"""Ways for operators that only move elements to be wrong."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.formats import Array
from conformance.honest import Binding, fault
from conformance.mistakes import Call, accepting, answering, calling, refusing, saturated, taking, where, without_nan
from conformance.model import Fault


def _columns_first(output: Array, call: Call) -> Array:
    """Return the elements with the first axis running fastest among those that are merged."""
    return np.asarray(call["input"].reshape(output.shape, order="F"))


def _regrouped(name: str, channels_first: bool) -> Any:
    """Return the mistake of taking channels for (i, j, c), as frameworks with channels last do."""

    def mistake(right: Binding, **call: Any) -> Any:
        x, r = call["input"], call[name]
        *lead, c, h, w = x.shape
        if channels_first:
            x = x.reshape(*lead, r * r, c // (r * r), h, w).swapaxes(-4, -3).reshape(x.shape)
            return right(**{**call, "input": x})
        y = right(**call)
        parts = y.reshape(*lead, c, r * r, *y.shape[-2:]).swapaxes(-4, -3)
        return parts.reshape(y.shape)

    return mistake


def _swapped(output: Array, call: Call) -> Array:
    """Return the output with rows and columns swapped, where it is square."""
    return output.swapaxes(-1, -2).copy() if output.shape[-1] == output.shape[-2] else output


def _as_it_lies(output: Array, call: Call) -> Array:
    """Return the cotangent in the shape of the input, element after element."""
    return np.asarray(call["cotangent"].reshape(output.shape))


FLATTEN = (
    fault(
        "flatten-columns-first",
        "the first of the merged axes runs fastest",
        "flatten",
        "values",
        answering(_columns_first),
        kind="axes",
    ),
    fault(
        "flatten-reversed",
        "the elements come in reverse",
        "flatten",
        "values",
        answering(lambda y, call: y[..., ::-1].copy()),
        "bfloat16",
        kind="index",
    ),
    fault(
        "flatten-everything",
        "the first axis is always 0",
        "flatten",
        "sizes",
        calling(lambda call: {"start_dim": 0}),
        kind="axes",
    ),
    fault(
        "flatten-to-the-end",
        "the last axis is always the last there is",
        "flatten",
        "sizes",
        calling(lambda call: {"end_dim": -1}),
        "float64",
        kind="axes",
    ),
    fault(
        "flatten-empty-refused",
        "an array without elements raises",
        "flatten",
        "sizes",
        where(lambda call: not call["input"].size, refusing),
        "float16",
        kind="acceptance",
    ),
    fault(
        "flatten-axes-in-any-order",
        "axes in the wrong order are swapped",
        "flatten",
        "rejections",
        accepting("dim-order", calling(lambda call: {"start_dim": call["end_dim"], "end_dim": call["start_dim"]})),
        kind="acceptance",
    ),
    fault(
        "flatten-axis-wraps",
        "an axis that there is not is counted on from the first",
        "flatten",
        "rejections",
        accepting(
            "start-dim",
            calling(lambda call: {"start_dim": call["start_dim"] % max(call["input"].ndim, 1), "end_dim": -1}),
        ),
        "float16",
        kind="acceptance",
    ),
    fault(
        "flatten-zero-unsigned",
        "a negative zero loses its sign",
        "flatten",
        "special",
        answering(lambda y, call: y + np.zeros(1, y.dtype)),
        kind="special",
    ),
    fault(
        "flatten-nan-as-zero",
        "a NaN becomes 0",
        "flatten",
        "special",
        taking("input", without_nan),
        "float16",
        kind="special",
    ),
    fault(
        "flatten-gradient-reversed",
        "the gradient comes in reverse",
        "flatten",
        "gradients",
        answering(lambda y, call: y.reshape(-1)[::-1].reshape(y.shape).copy()),
        kind="gradient",
    ),
)


def _pixels(name: str, factor: str, label: str) -> tuple[Fault, ...]:
    """Return the mistakes that both directions share."""
    shuffle = name == "pixel_shuffle"
    nothing = accepting(factor.replace("_", "-"), calling(lambda call: {factor: 1}))
    uneven = accepting(label, calling(lambda call: {factor: 1}))
    return (
        fault(
            f"{name}-channels-last",
            "the channels of a pixel are far from one another",
            name,
            "values",
            _regrouped(factor, shuffle),
            kind="groups",
        ),
        fault(
            f"{name}-rows-as-columns",
            "rows and columns of a square are swapped",
            name,
            "values",
            answering(_swapped),
            "float16",
            kind="axes",
        ),
        fault(
            f"{name}-factor-unsquared",
            "the channels change by the factor, not by its square",
            name,
            "sizes",
            answering(
                lambda y, call: (
                    y if not y.size else np.zeros((*y.shape[:-3], y.shape[-3] * call[factor], *y.shape[-2:]), y.dtype)
                )
            ),
            "float64",
            kind="shape",
        ),
        fault(
            f"{name}-batch-merged",
            "the axes before the channels are merged",
            name,
            "sizes",
            answering(lambda y, call: y.reshape(int(np.prod(y.shape[:-3])), *y.shape[-3:])),
            kind="shape",
        ),
        fault(
            f"{name}-nothing-refused",
            "an array without elements raises",
            name,
            "rejections",
            where(lambda call: not call["input"].size, refusing),
            "float16",
            kind="acceptance",
        ),
        fault(
            f"{name}-uneven-kept",
            "what the factor does not divide comes back as it is",
            name,
            "rejections",
            uneven,
            "bfloat16",
            kind="acceptance",
        ),
        fault(
            f"{name}-factor-of-nothing",
            "a factor below 1 is taken for 1",
            name,
            "rejections",
            nothing,
            kind="acceptance",
        ),
        fault(
            f"{name}-zero-unsigned",
            "a negative zero loses its sign",
            name,
            "special",
            answering(lambda y, call: y + np.zeros(1, y.dtype)),
            kind="special",
        ),
        fault(
            f"{name}-infinity-clamped",
            "infinities become the largest finite number",
            name,
            "special",
            answering(saturated),
            "float64",
            kind="special",
        ),
        fault(
            f"{name}-gradient-in-order",
            "the gradient is the cotangent in another shape",
            name,
            "gradients",
            answering(_as_it_lies),
            kind="gradient",
        ),
    )


FAULTS: tuple[Fault, ...] = (
    *FLATTEN,
    *_pixels("pixel_shuffle", "upscale_factor", "channels"),
    *_pixels("pixel_unshuffle", "downscale_factor", "spatial-size"),
)
