"""Fractional max pooling: windows at distances that random numbers vary, which are an input of the call here."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

import reference.vjp
from conformance.bounds import gamma
from conformance.formats import Array, round_bits
from conformance.model import Arithmetic, Arrays, Attributes, Bound, Breakages, Geometry, Gradient, Operator, Pattern
from conformance.operators import pools
from conformance.strategies import WRAP, Choices, drawn, spelled, widened
from reference.fractional_pooling import fractional_windows
from reference.pooling_windows import Windows

SAMPLES = {"random_samples": ("unit", 1.0)}


def _geometries(rank: int) -> Any:
    @drawn
    def geometries(choose: Choices, purpose: str) -> Geometry:
        batch, channels, large = pools.planes(choose, purpose, rank)
        reach, tight = pools.reach_of(large, purpose, rank), choose.whole(0, 7) == 7
        kernel = tuple(choose.whole(1, reach.kernel) for _ in range(rank))
        output = tuple(choose.whole(1, min(reach.output, 8)) for _ in range(rank))
        wide = [widened(choose, large == "wide" and purpose == "values" and i == rank - 1) for i in range(rank)]
        # Where windows fit tightly no random number moves them, nor where their pace is a whole number; but then their
        # places are not rounded either. NaN cannot be waived, and not all gradients should be.
        whole = purpose == "special" or (purpose not in ("values", "sizes") and choose.whole(0, 2) < 2)
        room = [0 if tight else choose.whole(1, 7) + more for more in wide]
        room = [-(-n // (o - 1)) * (o - 1) if whole and o > 1 else n for n, o in zip(room, output, strict=True)]
        size = tuple(k + o - 1 + more for k, o, more in zip(kernel, output, room, strict=True))
        attributes = spelled(kernel_size=(kernel, None))
        if choose.whole(0, 3) == 3 and all(o < n for o, n in zip(output, size, strict=True)):
            attributes["output_ratio"] = tuple((o + 0.5) / n for o, n in zip(output, size, strict=True))
        else:
            attributes |= spelled(output_size=(output, None))
        if choose.flag() and purpose not in ("gradients", "layouts"):
            attributes["return_indices"] = True
        shapes = {"input": (batch, channels, *size), "random_samples": (batch, channels, rank)}
        return Geometry(shapes, attributes, math.prod(kernel))

    return geometries


def _sampled(layer: Any) -> Any:
    """Return patterns with random numbers beside them."""

    def patterns(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
        return tuple(replace(pattern, kinds={**pattern.kinds, **SAMPLES}) for pattern in layer(geometry, dtype))

    return patterns


def _windows(rank: int, inputs: Arrays, attributes: Attributes) -> Windows:
    given = {k: attributes.get(k) for k in ("kernel_size", "output_size", "output_ratio")}
    return fractional_windows(rank, inputs["input"], **given, random_samples=inputs["random_samples"])  # type: ignore[arg-type]


def _doubtful(w: Windows, samples: Array, arithmetic: Arithmetic) -> Array:
    """Return the windows whose place the format of the random numbers leaves open, (N, C, *windows).

    floor((i + s) * a) and floor(s * a) round the pace a, the sum and the product: where an integer lies within these
    roundings of the product, honest windows begin an element apart, unless nothing is rounded.
    """
    bits, rank = arithmetic.output.bits, len(w.lines)
    loss = gamma(3, arithmetic.output.roundoff)
    samples = samples.reshape(*w.x.shape[:2], rank)
    doubtful = np.zeros((*w.x.shape[:2], *(line.windows for line in w.lines)), bool)
    for axis, line in enumerate(w.lines):
        s = samples[..., 1 - axis if rank == 2 else axis, np.newaxis]
        pace = np.asarray((line.size - line.depth) / max(line.windows - 1, 1))
        steps = np.concatenate([np.arange(line.windows - 1) + s, s], -1)  # those of all windows but the last, and of s
        places = steps * pace
        exact = np.ones(places.shape, bool)
        for part in (pace, steps, places):
            exact &= round_bits(part, bits) == part
        unsure = ~exact & (np.floor(places * (1 - loss)) != np.floor(places * (1 + loss)))
        along = unsure[..., :-1] | unsure[..., -1:]
        along[..., :1] = False  # the first lies at the start whatever s * a is, and the last one at the end
        along = np.concatenate([along, np.zeros((*along.shape[:2], 1), bool)], -1)
        shape = [*w.x.shape[:2], *(1,) * rank]
        shape[2 + axis] = line.windows
        doubtful |= along.reshape(shape)
    return doubtful


def _bounds(rank: int) -> Any:
    def bounds(inputs: Arrays, attributes: Attributes, expected: Arrays, arithmetic: Arithmetic) -> dict[str, Bound]:
        w = _windows(rank, inputs, attributes)
        waived = np.where(w.finished(_doubtful(w, inputs["random_samples"], arithmetic)), np.inf, 0.0)
        exact = pools.maxima_bounds(inputs, attributes, expected, arithmetic)
        return {name: replace(bound, absolute=waived) for name, bound in exact.items()}

    return bounds


def _gradient(rank: int, name: str) -> Gradient:
    """Return the gradient of maxima; what windows that are left open may reach is waived."""
    plain = pools.maxima_gradient(name)

    def bounds(inputs: Arrays, attributes: Attributes, expected: Arrays, arithmetic: Arithmetic) -> dict[str, Bound]:
        bound = plain.bounds(inputs, attributes, expected, arithmetic)["input"]
        w = _windows(rank, inputs, attributes)
        reached = _doubtful(w, inputs["random_samples"], arithmetic).astype(float)
        for line in w.lines:
            starts, element = np.asarray(line.starts)[..., np.newaxis], np.arange(line.size)
            near = (element >= starts - 2) & (element < starts + line.depth + 2)
            # What stands first of the spatial axes becomes the last: after all of them their order is as it was.
            reached = np.einsum("nci...,ncie->nc...e", reached, near.astype(float))
        return {"input": replace(bound, absolute=np.where(reached > 0, np.inf, bound.absolute))}

    return Gradient(plain.reference, _sampled(plain.patterns), bounds)


def _window(rank: int) -> Any:
    def window(inputs: Arrays, attributes: Attributes, index: tuple[int, ...]) -> Arrays:
        n, c, *_ = index
        return {**pools.region(_windows(rank, inputs, attributes), index), "sample": inputs["random_samples"][n, c]}

    return window


def _rejections(rank: int) -> Any:
    def rejections(geometry: Geometry) -> Breakages:
        x, samples = geometry.shapes["input"], geometry.shapes["random_samples"]
        assert x is not None
        assert samples is not None
        sized = {"output_ratio": None, "output_size": 1}
        return [
            ("input-rank", {"input": (*x, 1, 1)}),
            ("spatial-size", {"input": (*x[:2], 0, *x[3:])}),
            *(("kernel-size", {"kernel_size": size}) for size in (0, -1, 1 - WRAP)),
            ("kernel-size", {"kernel_size": (1,) * (rank + 1)}),
            *(("output-size", {**sized, "output_size": size}) for size in (0, 1 - WRAP)),
            ("output-size", {**sized, "output_size": (1,) * (rank + 1)}),
            ("output-size", {"output_ratio": None, "output_size": None}),
            ("output-ratio", {"output_size": None, "output_ratio": (1.5,) * rank}),
            *(("kernel-fits", {**sized, "kernel_size": size}) for size in (max(x[2:]) + 1, 1 + WRAP)),
            ("kernel-fits", {**sized, "kernel_size": 1, "output_size": max(x[2:]) + 1}),
            ("random-samples", {"random_samples": (*samples[:2], rank + 1)}),
            ("random-samples", {"random_samples": (samples[0], samples[1] + 1, rank)}),
        ]

    return rejections


def _accepted(rank: int) -> Any:
    def accepted(geometry: Geometry) -> Breakages:
        x = geometry.shapes["input"]
        assert x is not None
        one = {"output_ratio": None, "output_size": 1}
        return [
            ("one window lies at the end", {**one, "kernel_size": 1}),
            ("there may be no batch axis", {"input": x[1:], "random_samples": (1, x[1], rank)}),
        ]

    return accepted


def _operator(rank: int) -> Operator:
    name = f"fractional_max_pool{rank}d"
    return Operator(
        name=name,
        reference=getattr(reference, name),
        geometries=_geometries(rank),
        exact=_sampled(pools.maxima_exact),
        real=_sampled(pools.maxima_real),
        special=_sampled(pools.maxima_special),
        bounds=_bounds(rank),
        window=_window(rank),
        rejections=_rejections(rank),
        accepted=_accepted(rank),
        gradient=_gradient(rank, name),
        per_sample=lambda attributes: ("input", "random_samples"),
    )


OPERATORS = tuple(map(_operator, (2, 3)))
