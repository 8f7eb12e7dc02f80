"""Ways for the gradients of maxima to be wrong: who gets a cotangent, and how cotangents are added up."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from conformance.formats import Array
from conformance.honest import Binding, fault, honest, like
from conformance.mistakes import Call, answering, calling, taking, where, zeroed
from conformance.model import Fault

Scatter = Callable[[Array, Array, Array], None]
MAXIMA = tuple(f"{kind}_pool{rank}d" for kind in ("max", "adaptive_max") for rank in (1, 2, 3))
FRACTIONAL = ("fractional_max_pool2d", "fractional_max_pool3d")


def _scattering(operator: str, scatter: Scatter, right: Binding, **call: Any) -> Array:
    """Put cotangents where the indices of the forward pass say: scatter(gradient, indices, cotangents), all flat."""
    g, x = call.pop("cotangent"), call["input"]
    indices = honest(operator)(**call, return_indices=True)[1]
    gradient = np.zeros((x.shape[0] * x.shape[1], int(np.prod(x.shape[2:]))), np.float64)
    planes = np.arange(len(gradient))[:, np.newaxis]
    flat = (planes * gradient.shape[1] + indices.reshape(len(gradient), -1)).ravel()
    scatter(gradient.reshape(-1), flat, g.astype(np.float64).ravel())
    return like(gradient.reshape(x.shape), x.dtype)


def _added(gradient: Array, indices: Array, g: Array) -> None:
    np.add.at(gradient, indices, g)


def _overwritten(gradient: Array, indices: Array, g: Array) -> None:
    gradient[indices] = g


def _added_in_half(gradient: Array, indices: Array, g: Array) -> None:
    for index, value in zip(indices, g, strict=True):
        gradient[index] = np.float16(np.float16(gradient[index]) + np.float16(value))


def _scattered(name: str, sentence: str, operator: str, scatter: Scatter, dtype: str, kind: str) -> Fault:
    """Return the fault of another way to put cotangents where they belong, beside the right one."""
    right = honest(f"vjp.{operator}")
    wrong, twin = (partial(_scattering, operator, way) for way in (scatter, _added))
    return fault(f"{operator}-{name}", sentence, operator, "gradients", wrong, dtype, partial(twin, right), kind)


def _to_the_last(right: Binding, **call: Any) -> Array:
    """Give the cotangent to the last of equal elements: each is a little larger than the one before it."""
    x = call["input"].astype(np.float64)
    step = 2.0**-40 * np.abs(x).max(initial=1)
    later = x + step * np.arange(x[0, 0].size).reshape(x.shape[2:])
    return like(right(**{**call, "input": later}), call["input"].dtype)


def _of_the_first_sample(right: Binding, **call: Any) -> Array:
    x = call["input"]
    return np.asarray(right(**{**call, "input": np.broadcast_to(x[:1], x.shape)}))


def _last_column_lost(call: Call) -> bool:
    return bool(call["input"].shape[-1] > 32)


def _reversed_samples(samples: Array) -> Array:
    return np.flip(samples, -1)


FAULTS: tuple[Fault, ...] = (
    *(
        fault(
            f"{operator}-gradient-to-the-last",
            "of equal elements the last one gets the cotangent",
            operator,
            "gradients",
            _to_the_last,
            dtype,
            kind="gradient",
        )
        for operator, dtype in zip(
            MAXIMA, ("float32", "float16", "float64", "bfloat16", "float32", "float16"), strict=True
        )
    ),
    *(
        fault(
            f"max_pool{rank}d-gradient-shared",
            "equal elements share the cotangent",
            f"max_pool{rank}d",
            "gradients",
            calling(lambda call: {"ties": "share"}),
            kind="gradient",
        )
        for rank in (1, 2, 3)
    ),
    *(
        _scattered(
            "gradient-overwritten",
            "the last window that has an element gives it all of its gradient",
            operator,
            _overwritten,
            "float32",
            "gradient",
        )
        for operator in (*MAXIMA, *FRACTIONAL)
    ),
    _scattered(
        "gradient-in-half",
        "cotangents are added up in float16",
        "max_pool2d",
        _added_in_half,
        "float32",
        "rounding",
    ),
    *(
        fault(
            f"{operator}-gradient-of-the-first-sample",
            "all samples send their cotangents where the first one does",
            operator,
            "gradients",
            _of_the_first_sample,
            kind="index",
        )
        for operator in ("max_pool2d", "adaptive_max_pool3d", "fractional_max_pool2d")
    ),
    *(
        fault(
            f"{operator}-gradient-of-other-samples",
            "the random numbers are those of the axes in reverse order",
            operator,
            "gradients",
            taking("random_samples", _reversed_samples),
            dtype,
            kind="axes",
        )
        for operator, dtype in zip(FRACTIONAL, ("float64", "float32"), strict=True)
    ),
    fault(
        "max_pool1d-gradient-of-wide-rows",
        "the last column gets nothing in rows of more than 32",
        "max_pool1d",
        "gradients",
        where(_last_column_lost, answering(lambda y, call: zeroed(y, ..., -1))),
        kind="size",
    ),
)
