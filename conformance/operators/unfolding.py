"""Windows as columns, columns added back onto windows, and a convolution as one matrix."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import reference
import reference.vjp
from conformance.bounds import copies
from conformance.model import Arithmetic, Arrays, Attributes, Bound, Breakages, Geometry, Gradient, Operator, Pattern
from conformance.operators.convolution import landing_taps, shape_of
from conformance.operators.products import Shapes, Terms, product_bounds, product_gradient
from conformance.patterns import exact_copies, exact_products, real_products, special_copies, special_products
from conformance.strategies import (
    WRAP,
    Axis,
    Choices,
    batch_size,
    drawn,
    ranges,
    spelled,
    stretched,
    widened,
    window_axis,
)
from reference.constraints import per_axis


def _window_attributes(axes: list[Axis]) -> dict[str, Any]:
    return spelled(
        kernel_size=(tuple(a.kernel for a in axes), None),
        dilation=(tuple(a.dilation for a in axes), 1),
        padding=(tuple(a.padding for a in axes), 0),
        stride=(tuple(a.stride for a in axes), 1),
    )


def _plane(choose: Choices, purpose: str) -> tuple[int, int, list[Axis]]:
    """Draw a batch, channels and the two axes that windows slide along."""
    large = stretched(choose, "channels", "wide") if purpose == "values" else "none"
    batch, channels = batch_size(choose, purpose), choose.whole(1, 4) + 13 * (large == "channels")
    reach = ranges("special" if purpose == "values" else purpose, 2)
    return batch, channels, [window_axis(choose, reach, wide=large == "wide" and i == 1) for i in range(2)]


@drawn
def _unfold_geometries(choose: Choices, purpose: str) -> Geometry:
    batch, channels, axes = _plane(choose, purpose)
    return Geometry({"input": (batch, channels, *(a.size for a in axes))}, _window_attributes(axes))


@drawn
def _fold_geometries(choose: Choices, purpose: str) -> Geometry:
    batch, channels, axes = _plane(choose, purpose)
    taps, windows = math.prod(a.kernel for a in axes), [a.output for a in axes]
    attributes = {"output_size": tuple(a.size for a in axes), **_window_attributes(axes)}
    terms = landing_taps(windows, [a.kernel for a in axes], attributes)
    return Geometry({"input": (batch, channels * taps, math.prod(windows))}, attributes, terms)


@drawn
def _matrix_geometries(choose: Choices, purpose: str) -> Geometry:
    rank = choose.whole(1, 3)
    # A matrix has as many rows as there are outputs, and as many columns as inputs: one of all is large.
    large = stretched(choose, "channels", "wide") if purpose == "values" and rank == 1 else "none"
    groups, into, out = choose.whole(1, 2), choose.whole(1, 2), choose.whole(1, 2)
    into += widened(choose, large == "channels")
    axes = [window_axis(choose, ranges("special", rank), wide=large == "wide") for _ in range(rank)]
    attributes = {"input_size": tuple(a.size for a in axes), **_window_attributes(axes), "groups": groups}
    del attributes["kernel_size"]
    return Geometry({"weight": (groups * out, into, *(a.kernel for a in axes))}, attributes)


def _copied(inputs: Arrays, attributes: Attributes, expected: Arrays, arithmetic: Arithmetic) -> dict[str, Bound]:
    return copies(expected, zero_sign=attributes.get("input_size") is None)  # a matrix is added up onto zeros


def _columns(columns: str) -> Terms:
    """Return how many columns, in the array of that name, can meet in one element of what they are added onto."""

    def terms(shapes: Shapes, attributes: Attributes) -> int:
        kernel = per_axis("kernel-size", "kernel_size", attributes["kernel_size"], 2, 1)
        return landing_taps((shape_of(shapes, columns)[-1],) * 2, kernel, attributes)

    return terms


def _shared(shapes: Shapes, attributes: Attributes) -> dict[str, int]:
    """Return in how many windows, and so in how many rows of the matrix, a weight stands."""
    return {"weight": shape_of(shapes, "cotangent")[0] // shape_of(shapes, "weight")[0]}


def _with_negative_zeros(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    return (*special_copies(geometry, dtype), Pattern(("negative_zeros", 1)))


def _unfold_window(inputs: Arrays, attributes: Attributes, index: tuple[int, ...]) -> Arrays:
    *sample, row, column = index
    x = inputs["input"]
    taps = math.prod(per_axis("kernel-size", "kernel_size", attributes["kernel_size"], 2, 1))
    return {"input": x[(*sample, row // taps)], "tap": np.asarray(row % taps), "window": np.asarray(column)}


def _fold_window(inputs: Arrays, attributes: Attributes, index: tuple[int, ...]) -> Arrays:
    *sample, channel, _, _ = index
    taps = math.prod(per_axis("kernel-size", "kernel_size", attributes["kernel_size"], 2, 1))
    return {"input": inputs["input"][tuple(sample)][channel * taps : (channel + 1) * taps]}


def _matrix_window(inputs: Arrays, attributes: Attributes, index: tuple[int, ...]) -> Arrays:
    return {"weight": inputs["weight"]}


def _steps_refused(rank: int) -> Breakages:
    """Return strides, dilations and padding that nothing takes."""
    return [
        *((name, {name: value}) for name in ("stride", "dilation") for value in (0, -1, 1 - WRAP, (1,) * (rank + 1))),
        *(("padding", {"padding": value}) for value in (-1, -WRAP, (0,) * (rank + 1))),
    ]


def _unfold_rejections(geometry: Geometry) -> Breakages:
    n, c, *spatial = shape_of(geometry.shapes, "input")
    return [
        *_steps_refused(2),
        ("rank", {"rank": 0}),
        ("input-rank", {"input": (n, c, *spatial, 1)}),
        ("input-rank", {"input": (c, spatial[0])}),
        ("spatial-size", {"input": (n, c, 0, spatial[1])}),
        *(("kernel-size", {"kernel_size": value}) for value in (0, -1, 1 - WRAP, (1, 1, 1))),
        *(
            ("kernel-fits", {"kernel_size": value, "dilation": 1, "padding": 0})
            for value in (spatial[1] + 100, 1 + WRAP)
        ),
        ("kernel-fits", {"kernel_size": 2, "dilation": WRAP, "padding": 0}),
    ]


def _fold_rejections(geometry: Geometry) -> Breakages:
    n, rows, columns = shape_of(geometry.shapes, "input")
    size = geometry.attributes["output_size"]
    return [
        *_steps_refused(2),
        ("rank", {"rank": 0}),
        ("input-rank", {"input": (1, n, rows, columns)}),
        ("spatial-size", {"output_size": (0, size[1])}),
        *(("kernel-size", {"kernel_size": value}) for value in (0, -1, 1 - WRAP, (1, 1, 1))),
        *(
            ("kernel-fits", {"output_size": (1, 1), "kernel_size": value, "dilation": 1, "padding": 0})
            for value in (3, 1 + WRAP)
        ),
        ("windows", {"input": (n, rows, columns + 1)}),
        (
            "columns",
            {"input": (n, 3, 1), "kernel_size": 2, "output_size": (2, 2), "dilation": 1, "padding": 0, "stride": 1},
        ),
    ]


def _matrix_rejections(geometry: Geometry) -> Breakages:
    w = shape_of(geometry.shapes, "weight")
    rank = len(w) - 2
    return [
        *_steps_refused(rank),
        ("padding", {"padding": "everywhere"}),
        ("padding-mode", {"padding_mode": "mirror"}),
        ("pad-size", {"padding_mode": "circular", "padding": 1000}),
        ("weight-rank", {"weight": w[:2]}),
        ("kernel-size", {"weight": (*w[:2], 0, *w[3:])}),
        ("groups", {"groups": 0}),
        ("output-channels", {"weight": (3, *w[1:]), "groups": 2}),
        *(("input-size", {"input_size": value}) for value in (0, 1 - WRAP, (1,) * (rank + 1))),
        ("kernel-fits", {"weight": (*w[:2], *(100,) * rank), "padding": 0}),
        ("kernel-fits", {"weight": (*w[:2], *(2,) * rank), "dilation": WRAP, "padding": 0}),
    ]


def _columns_of_layers(shorter: int) -> list[Geometry]:
    """Return the images whose columns make a convolution of 3 by 3, and one of patches, a product of matrices."""
    return [
        Geometry({"input": (1, 64, 28 // shorter, 28)}, {"kernel_size": 3, "padding": 1}),
        Geometry({"input": (1, 3, 224 // shorter, 224)}, {"kernel_size": 16 // shorter, "stride": 16 // shorter}),
    ]


def _columns_onto_layers(shorter: int) -> list[Geometry]:
    size = 28 // shorter, 28
    given = {"output_size": size, "kernel_size": 3, "padding": 1}
    return [Geometry({"input": (1, 64 * 9, math.prod(size))}, given, 9)]


def _unbatched(geometry: Geometry) -> Breakages:
    return [("no batch axis", {"input": shape_of(geometry.shapes, "input")[1:]})]


OPERATORS = (
    Operator(
        name="unfold",
        reference=reference.unfold,
        geometries=_unfold_geometries,
        exact=exact_copies,
        real=real_products,
        special=_with_negative_zeros,
        bounds=_copied,
        window=_unfold_window,
        rejections=_unfold_rejections,
        accepted=_unbatched,
        gradient=product_gradient(
            reference.vjp.unfold, lambda shapes, attributes: {"input": _columns("cotangent")(shapes, attributes)}
        ),
        per_sample=lambda attributes: ("input",),
        layers=_columns_of_layers,
    ),
    Operator(
        name="fold",
        reference=reference.fold,
        geometries=_fold_geometries,
        exact=exact_products,
        real=real_products,
        special=special_products,
        bounds=product_bounds(reference.fold, _columns("input")),
        window=_fold_window,
        rejections=_fold_rejections,
        accepted=_unbatched,
        gradient=Gradient(
            reference.vjp.fold,
            lambda geometry, dtype: (*exact_copies(geometry, dtype), *real_products(geometry, dtype)),
            _copied,
        ),
        per_sample=lambda attributes: ("input",),
        layers=_columns_onto_layers,
    ),
    Operator(
        name="conv_matrix",
        reference=reference.conv_matrix,
        geometries=_matrix_geometries,
        exact=exact_copies,
        real=real_products,
        special=special_copies,
        bounds=_copied,
        window=_matrix_window,
        rejections=_matrix_rejections,
        gradient=product_gradient(reference.vjp.conv_matrix, _shared),
    ),
)
