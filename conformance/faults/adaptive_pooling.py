"""Ways for adaptive pooling to be wrong in the sizes of its output, in what it refuses, and in what is not finite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from conformance.honest import fault
from conformance.mistakes import (
    Call,
    Mistake,
    accepting,
    answering,
    calling,
    leaking,
    refusing,
    saturated,
    taking,
    where,
    without_nan,
)
from conformance.model import Fault

RANKS = (1, 2, 3)


def _numbers(call: Call) -> tuple[int, ...]:
    """Return the output size as one number for each axis."""
    size, spatial = call["output_size"], call["input"].shape[2:]
    entries = size if isinstance(size, tuple) else (size,) * len(spatial)
    return tuple(n if o is None else o for o, n in zip(entries, spatial, strict=True))


def _where_sized(change: Callable[[tuple[int, ...]], Any]) -> Mistake:
    return calling(lambda call: {"output_size": change(_numbers(call))})


def _no_more_than_elements(call: Call) -> Call:
    return {"output_size": tuple(min(o, n) for o, n in zip(_numbers(call), call["input"].shape[2:], strict=True))}


def _ones_for_none(call: Call) -> Call:
    size = call["output_size"]
    return {"output_size": tuple(1 if o is None else o for o in size)} if isinstance(size, tuple) else {}


def _negative_as_positive(call: Call) -> Call:
    size = call["output_size"]
    return {"output_size": tuple(map(abs, size)) if isinstance(size, tuple) else abs(size)}


def _first_entries(call: Call) -> Call:
    size = call["output_size"]
    return {"output_size": size[: call["input"].ndim - 2] or 1} if isinstance(size, tuple) else {"output_size": 1}


def _unbatched(rank: int) -> Callable[[Call], bool]:
    return lambda call: call["input"].ndim == rank + 1


SIZES = (
    fault(
        "adaptive_avg_pool1d-no-more-than-elements",
        "there are no more windows than elements",
        "adaptive_avg_pool1d",
        "sizes",
        calling(_no_more_than_elements),
        "float64",
        kind="shape",
    ),
    fault(
        "adaptive_avg_pool2d-none-is-one",
        "an output size of None is 1",
        "adaptive_avg_pool2d",
        "sizes",
        calling(_ones_for_none),
        kind="shape",
    ),
    fault(
        "adaptive_avg_pool3d-axes-in-reverse",
        "the output sizes are taken in reverse order",
        "adaptive_avg_pool3d",
        "sizes",
        _where_sized(lambda size: size[::-1]),
        kind="axes",
    ),
    fault(
        "adaptive_max_pool1d-one-at-least",
        "an output size of 0 is 1",
        "adaptive_max_pool1d",
        "sizes",
        _where_sized(lambda size: tuple(max(o, 1) for o in size)),
        "bfloat16",
        kind="shape",
    ),
    fault(
        "adaptive_max_pool2d-square",
        "the first output size serves all axes",
        "adaptive_max_pool2d",
        "sizes",
        _where_sized(lambda size: size[0]),
        kind="shape",
    ),
    fault(
        "adaptive_max_pool3d-empty-batch-refused",
        "an empty batch raises",
        "adaptive_max_pool3d",
        "sizes",
        where(lambda call: not len(call["input"]), refusing),
        "float16",
        kind="acceptance",
    ),
)

REJECTIONS = (
    *(
        fault(
            f"adaptive_{kind}_pool{rank}d-accepts-{name}",
            sentence,
            f"adaptive_{kind}_pool{rank}d",
            "rejections",
            accepting("output-size", calling(change)),
            dtype,
            kind="acceptance",
        )
        for kind, rank, dtype, name, sentence, change in (
            (
                "avg",
                1,
                "float32",
                "negative-size",
                "a negative output size is taken for its size",
                _negative_as_positive,
            ),
            ("avg", 2, "float16", "more-sizes", "output sizes beyond the axes are left out", _first_entries),
            (
                "max",
                2,
                "float64",
                "negative-size",
                "a negative output size is taken for its size",
                _negative_as_positive,
            ),
            ("max", 3, "bfloat16", "more-sizes", "output sizes beyond the axes are left out", _first_entries),
        )
    ),
    fault(
        "adaptive_avg_pool3d-refuses-one-sample",
        "an input without a batch axis is refused",
        "adaptive_avg_pool3d",
        "rejections",
        where(_unbatched(3), refusing),
        kind="acceptance",
    ),
    fault(
        "adaptive_max_pool1d-refuses-one-element",
        "more windows than elements are refused",
        "adaptive_max_pool1d",
        "rejections",
        where(lambda call: call["input"].shape[-1] == 1 and call["output_size"] == 3, refusing),
        kind="acceptance",
    ),
)

SPECIAL = (
    fault(
        "adaptive_avg_pool1d-nan-as-zero",
        "a NaN counts as 0",
        "adaptive_avg_pool1d",
        "special",
        taking("input", without_nan),
        kind="special",
    ),
    fault(
        "adaptive_avg_pool2d-nan-leaks",
        "a NaN in one sample reaches the others",
        "adaptive_avg_pool2d",
        "special",
        answering(leaking),
        "bfloat16",
        kind="special",
    ),
    fault(
        "adaptive_avg_pool3d-infinity-clamped",
        "infinities become the largest finite number",
        "adaptive_avg_pool3d",
        "special",
        answering(saturated),
        kind="special",
    ),
    *(
        fault(
            f"adaptive_max_pool{rank}d-nan-dropped",
            "a NaN never wins",
            f"adaptive_max_pool{rank}d",
            "special",
            calling(lambda call: {"nan": "ignore"}),
            dtype,
            kind="special",
        )
        for rank, dtype in zip(RANKS, ("float32", "float16", "float64"), strict=True)
    ),
    fault(
        "adaptive_max_pool2d-infinity-clamped",
        "infinities become the largest finite number",
        "adaptive_max_pool2d",
        "special",
        answering(saturated),
        kind="special",
    ),
)

FAULTS: tuple[Fault, ...] = (*SIZES, *REJECTIONS, *SPECIAL)
