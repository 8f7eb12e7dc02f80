"""How far the fast algorithms for convolutions may be from the exact sums: Winograd's in tiles, and Fourier's.

Both are honest, and both lie beyond the bound of sums in any order: they add up products that cancel. Winograd's takes
kernels of three taps along every axis, without strides and dilations; its bounds are the usual ones of other calls.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from itertools import product

import numpy as np

import reference
from conformance.bounds import REFERENCE, gamma, sum_of_products
from conformance.formats import Array
from conformance.model import Arithmetic, Arrays, Attributes, Bound
from reference.constraints import per_axis
from reference.windows import padded, resolve_padding

CONVOLUTIONS = ("conv1d", "conv2d", "conv3d")  # whatever is declared, nothing else is done by these algorithms
TAPS = 3
POINTS = (0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5)  # and infinity: the points of Lavin and Gray, in the order of their use
STAGE = 1 + 4 * math.sqrt(2)  # what a stage of a Fourier transform adds, in roundoffs

Bounds = Callable[[Arrays, Attributes, Arrays, Arithmetic], Mapping[str, Bound]]


@cache
def transforms(m: int) -> tuple[Array, Array, Array]:
    """Return A', G and B' of F(m, 3): A' ((G g) * (B' d)) are the m outputs of a tile d of m + 2 inputs.

    Source: Lavin and Gray, Fast algorithms for convolutional neural networks, 2016.

    >>> forward, kernel, data = transforms(2)
    >>> forward @ ((kernel @ [1, 2, 3]) * (data @ [1, 1, 2, 1]))
    array([9., 8.])
    """
    p = np.array(POINTS[: m + TAPS - 2])
    others = [np.delete(p, a) for a in range(len(p))]
    scale = np.array([[np.prod(x - rest)] for x, rest in zip(p, others, strict=True)])
    forward = np.zeros((m, len(p) + 1))
    forward[:, :-1], forward[-1, -1] = np.vander(p, m, increasing=True).T, 1
    kernel = np.vstack([np.vander(p, TAPS, increasing=True) / scale, np.eye(TAPS)[-1]])
    data = np.zeros((len(p) + 1, len(p) + 1))
    data[:-1, :-1] = [np.poly(rest)[::-1] for rest in others]
    data[-1] = np.poly(p)[::-1]
    return forward, kernel, data


def winograd(m: int) -> Bounds:
    """Return the bounds of Winograd's algorithm with m outputs a tile along every axis, wherever the tiles begin.

    |A'| ((|G| |g| |G'|) * (|B'| |d| |B|)) |A| is a convolution of |d| with a kernel of m + 2 taps that depends on the
    place of the output in its tile: the bound is the largest over the places.
    """

    def bounds(inputs: Arrays, attributes: Attributes, expected: Arrays, arithmetic: Arithmetic) -> dict[str, Bound]:
        x, w = np.abs(inputs["input"]), np.abs(inputs["weight"])
        rank, groups = w.ndim - 2, attributes.get("groups", 1)
        correlate = getattr(reference, f"conv{rank}d")
        steps = [attributes.get(name, 1) for name in ("stride", "dilation")]
        if set(w.shape[2:]) != {TAPS} or any(np.any(np.asarray(step) != 1) for step in steps):
            magnitude = correlate(**{k: np.abs(v) for k, v in inputs.items()}, **attributes)
            terms, operands = math.prod(w.shape[1:]) + ("bias" in inputs), list(inputs.values())
            return {"output": sum_of_products(magnitude, terms, expected["output"], operands, arithmetic)}
        forward, kernel, data = map(np.abs, transforms(m))
        places = np.einsum("ia,ak,at->ikt", forward, data, kernel)
        pads = resolve_padding(attributes.get("padding", 0), x.shape[2:], w.shape[2:], (1,) * rank, (1,) * rank)
        largest = np.zeros(expected["output"].shape)
        for place in product(range(m), repeat=rank):
            wide = w
            for axis in range(rank):  # the taps of every axis in turn go to the end, as those of the tile
                wide = np.tensordot(wide, places[place[axis]], (2, 1))
            sides = [(low + i, high + m - 1 - i) for i, (low, high) in zip(place, pads, strict=True)]
            largest = np.maximum(largest, correlate(padded(x, sides), wide, groups=groups))
        # Along an axis: a coefficient, a product and two sums for G, m + 2 roundings for B' and for A'.
        bound = _bound(rank * (2 * (m + 2) + 4) + w.shape[1] + 2, largest, inputs, expected["output"], arithmetic)
        # F(2, 3) halves, and no more: whole numbers stay multiples of 2**-rank.
        whole = m == 2 and all(np.array_equal(a, np.rint(a)) for a in inputs.values())
        exact = whole & (largest * 2.0**rank < 2.0**arithmetic.accumulator.bits)
        fits = exact & (np.abs(expected["output"]) <= 2.0**arithmetic.output.bits)
        return {"output": replace(bound, absolute=np.where(fits, 0.0, bound.absolute))}

    return bounds


def fourier(inputs: Arrays, attributes: Attributes, expected: Arrays, arithmetic: Arithmetic) -> dict[str, Bound]:
    """Return the bounds of a convolution by fast Fourier transforms: the same for all outputs of a plane.

    Source: Higham, Accuracy and Stability of Numerical Algorithms, 2002, theorem 24.2, for two transforms and one back.
    """
    x, w = inputs["input"], inputs["weight"]
    rank = w.ndim - 2
    s, d = (per_axis(name, name, attributes.get(name, 1), rank, 1) for name in ("stride", "dilation"))
    pads = resolve_padding(attributes.get("padding", 0), x.shape[2:], w.shape[2:], s, d)
    extents = [n + low + high + e * k for n, k, e, (low, high) in zip(x.shape[2:], w.shape[2:], d, pads, strict=True)]
    stages = sum(math.ceil(math.log2(n)) for n in extents)
    axes = tuple(range(2, w.ndim))
    norms = [np.sqrt(np.square(a).sum(axes))[..., np.newaxis] for a in (x, w)]
    sizes = reference.conv1d(norms[0], norms[1], groups=attributes.get("groups", 1))
    size = np.broadcast_to(np.expand_dims(sizes, axes[1:]), expected["output"].shape)
    roundings = 3 * STAGE * stages + w.shape[1] + 4
    return {"output": _bound(roundings, size, inputs, expected["output"], arithmetic)}


def _bound(roundings: float, size: Array, inputs: Arrays, expected: Array, arithmetic: Arithmetic) -> Bound:
    """Return that many roundings of a size, and of the bias.

    What is no number, or overflows on its way, reaches all that is transformed together: infinities cancel to NaN.
    """
    bias = np.abs(inputs["bias"]).reshape(-1, *(1,) * (expected.ndim - 2)) if "bias" in inputs else 0.0
    small = roundings * arithmetic.accumulator.least_subnormal
    limit = (gamma(roundings, arithmetic.accumulator.roundoff) + gamma(roundings, REFERENCE)) * (size + bias) + small
    if arithmetic.output.bits < arithmetic.accumulator.bits:
        limit = limit + arithmetic.output.roundoff * (np.abs(expected) + limit) + arithmetic.output.least_subnormal / 2
    lost = ~(size + bias < arithmetic.accumulator.largest / 2)
    return Bound(np.where(np.isnan(limit), np.inf, limit), waived=lost)


def _batched(bounds: Bounds) -> Bounds:
    """Return the bounds of calls with and without a batch axis from those of calls with one."""

    def of(inputs: Arrays, attributes: Attributes, expected: Arrays, arithmetic: Arithmetic) -> Mapping[str, Bound]:
        if inputs["input"].ndim == inputs["weight"].ndim:
            return bounds(inputs, attributes, expected, arithmetic)
        wide = {**inputs, "input": inputs["input"][np.newaxis]}
        found = bounds(wide, attributes, {"output": expected["output"][np.newaxis]}, arithmetic)["output"]
        waived = found.waived[0] if isinstance(found.waived, np.ndarray) else found.waived
        return {"output": replace(found, absolute=found.absolute[0], waived=waived)}

    return of


ALGORITHMS: Mapping[str, Bounds] = {
    **{f"Winograd F({m}, 3)": _batched(winograd(m)) for m in (2, 4, 6)},
    "FFT": _batched(fourier),
}
