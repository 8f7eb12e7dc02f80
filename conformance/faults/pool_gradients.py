"""Ways for the gradients of other pooling to be wrong: how a cotangent is divided, scaled, and where it is read."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.formats import Array
from conformance.honest import Binding, fault, honest, like
from conformance.mistakes import Call, answering, at_one_output, calling, taking, where, windows
from conformance.model import Fault


def _folded_onto_the_edge(gradient: Array, call: Call) -> Array:
    """Return the gradient as of an input padded with its edge: the first element gets what belongs to the padding."""
    first = gradient.copy()
    first[..., 0] *= 1 + windows(call).padding[-1][0]
    return first


def _undivided(right: Binding, **call: Any) -> Array:
    return np.asarray(right(**{**call, "divisor_override": 1}))


def _whole_kernel(call: Call) -> Call:
    return {"divisor_override": call.get("divisor_override", int(np.prod(windows(call).kernel)))}


def _by_the_first() -> Any:
    """Return the mistake of dividing by the size of the first region of all."""

    def mistake(right: Binding, **call: Any) -> Array:
        x, g = call["input"], call["cotangent"].astype(np.float64)
        ones = np.ones((1, 1, *x.shape[2:]))
        first = right(**{**call, "input": ones, "cotangent": _one_hot((1, 1, *g.shape[2:]), (0,) * x.ndim)})
        taps = np.count_nonzero(first)
        counts = np.empty(g.shape[2:])
        for index in np.ndindex(*g.shape[2:]):
            only = right(**{**call, "input": ones, "cotangent": _one_hot((1, 1, *g.shape[2:]), (0, 0, *index))})
            counts[index] = np.count_nonzero(only)
        return like(right(**{**call, "cotangent": g * counts / taps, "input": x.astype(np.float64)}), x.dtype)

    return where(lambda call: call["cotangent"].size > 0 and np.prod(call["cotangent"].shape[2:]) <= 60, mistake)


def _one_hot(shape: tuple[int, ...], index: tuple[int, ...]) -> Array:
    array = np.zeros(shape)
    array[index] = 1
    return array


def _plain_power(right: Binding, **call: Any) -> Array:
    """Return the gradient of the sum of powers, whose root nobody took, over p."""
    total = honest(f"lp_pool{call['input'].ndim - 2}d")(
        **{k: v.astype(np.float64) if k == "input" else v for k, v in call.items() if k != "cotangent"}
    )
    p = call["norm_type"]
    with np.errstate(all="ignore"):
        return like(right(**{**call, "cotangent": call["cotangent"] * total ** (p - 1)}), call["input"].dtype)


def _finite_norm(call: Call) -> bool:
    return bool(np.isfinite(call["norm_type"]))


AVERAGING = (
    fault(
        "avg_pool2d-gradient-counts-padding",
        "cotangents are divided by a number that counts padding where it must not",
        "avg_pool2d",
        "gradients",
        calling(lambda call: {"count_include_pad": True}),
        kind="divisor",
    ),
    fault(
        "avg_pool1d-gradient-leaves-padding-out",
        "cotangents are divided by a number that leaves padding out where it counts",
        "avg_pool1d",
        "gradients",
        calling(lambda call: {"count_include_pad": False}),
        "float16",
        kind="divisor",
    ),
    fault(
        "avg_pool3d-gradient-counts-overhang",
        "cotangents are divided by all taps of the kernel, those beyond the padding too",
        "avg_pool3d",
        "gradients",
        where(lambda call: call.get("count_include_pad", True), calling(_whole_kernel)),
        kind="divisor",
    ),
    fault(
        "avg_pool2d-gradient-without-override",
        "divisor_override is ignored",
        "avg_pool2d",
        "gradients",
        calling(lambda call: {"divisor_override": None}),
        "float64",
        kind="divisor",
    ),
    fault(
        "avg_pool1d-gradient-undivided",
        "the last element gets cotangents that are not divided",
        "avg_pool1d",
        "gradients",
        at_one_output(_undivided),
        kind="divisor",
    ),
    fault(
        "avg_pool2d-gradient-onto-the-edge",
        "what falls on the padding is given to the edge",
        "avg_pool2d",
        "gradients",
        answering(_folded_onto_the_edge),
        "bfloat16",
        kind="padding",
    ),
    *(
        fault(
            f"adaptive_avg_pool{rank}d-gradient-by-the-first-region",
            "every cotangent is divided by the size of the first region",
            f"adaptive_avg_pool{rank}d",
            "gradients",
            _by_the_first(),
            dtype,
            kind="divisor",
        )
        for rank, dtype in ((1, "float32"), (2, "float64"), (3, "float16"))
    ),
    fault(
        "adaptive_avg_pool2d-gradient-of-the-first-cotangent",
        "all channels get the cotangents of the first",
        "adaptive_avg_pool2d",
        "gradients",
        taking("cotangent", lambda g: np.broadcast_to(g[:, :1], g.shape)),
        kind="index",
    ),
)

OTHERS = (
    *(
        fault(
            f"lp_pool{rank}d-gradient-of-powers",
            "the root is not differentiated",
            f"lp_pool{rank}d",
            "gradients",
            where(_finite_norm, _plain_power),
            dtype,
            kind="gradient",
        )
        for rank, dtype in ((1, "float32"), (2, "float64"), (3, "float32"))
    ),
    fault(
        "lp_pool2d-gradient-without-sign",
        "the gradient has no sign of its element",
        "lp_pool2d",
        "gradients",
        taking("input", np.abs),
        kind="gradient",
    ),
    fault(
        "lp_pool1d-gradient-without-overhang",
        "windows that hang over are not scaled",
        "lp_pool1d",
        "gradients",
        calling(lambda call: {"overhang": "sum"}),
        "bfloat16",
        kind="divisor",
    ),
    *(
        fault(
            f"max_unpool{rank}d-gradient-in-order",
            "cotangents are read in the order of memory, not where the indices say",
            f"max_unpool{rank}d",
            "gradients",
            taking("indices", lambda i: np.broadcast_to(np.arange(i[0, 0].size).reshape(i.shape[2:]), i.shape)),
            dtype,
            kind="index",
        )
        for rank, dtype in ((1, "float32"), (2, "float16"), (3, "bfloat16"))
    ),
    fault(
        "max_unpool2d-gradient-of-the-first-plane",
        "the indices of the first channel serve all channels",
        "max_unpool2d",
        "gradients",
        taking("indices", lambda i: np.broadcast_to(i[:, :1], i.shape)),
        "float64",
        kind="index",
    ),
)

FAULTS: tuple[Fault, ...] = (*AVERAGING, *OTHERS)
