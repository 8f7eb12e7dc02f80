"""Normalization of every sample by itself: groups of its channels, or its last axes."""

from __future__ import annotations

import math
from typing import Any

from conformance.model import Arithmetic, Arrays, Attributes, Bound, Breakages, Geometry, Operator, Pattern
from conformance.norm_bounds import Norm, moments, normalized
from conformance.operators.normalization import (
    EPS,
    EPSILONS,
    LENGTHS,
    View,
    affine,
    exact_norms,
    extents,
    huge_norms,
    norm_operator,
    real_norms,
    reshaped,
    with_eps,
)
from conformance.strategies import WRAP, Choices, batch_size, drawn, stretched


@drawn
def _groups(choose: Choices, purpose: str) -> Geometry:
    large = stretched(choose, "groups", "channels", "spatial") if purpose == "values" else "none"
    batch = batch_size(choose, purpose)
    groups = choose.whole(1, 4) + choose.one_of((8, 13, 29)) * (large == "groups")
    channels = choose.one_of((1, 2, 4, 3)) + choose.one_of((8, 13, 29)) * (large == "channels")
    spatial = extents(choose, choose.whole(0, 3))
    if large == "spatial":
        spatial = (*spatial[:2], choose.one_of(LENGTHS))
    count = channels * math.prod(spatial)
    if count == 1 and (
        batch == 1 or purpose != "sizes"
    ):  # of one value the output is the bias, and of one sample refused
        channels = count = 2
    c = groups * channels
    attributes = with_eps({"num_groups": groups}, choose.one_of(EPSILONS))
    return Geometry({"input": (batch, c, *spatial), **affine(choose, (c,))}, attributes, count)


def _last_axes(centered: bool) -> Any:
    @drawn
    def geometries(choose: Choices, purpose: str) -> Geometry:
        large = stretched(choose, "lead", "last") if purpose == "values" else "none"
        lead = (batch_size(choose, purpose, 4), *(choose.whole(1, 3) for _ in range(choose.whole(0, 2))))
        if large == "lead":
            lead = (*lead, choose.one_of((8, 13, 29)))
        axes = extents(choose, choose.whole(1, 3))
        if large == "last":
            axes = (*axes[:2], choose.one_of(LENGTHS))
        if purpose == "sizes" and choose.one_of((False, False, True)):
            lead = ()
        elif centered and math.prod(axes) == 1:
            axes = (*axes[:-1], 2)
        eps = choose.one_of(EPSILONS)
        attributes = with_eps({"normalized_shape": axes}, eps) if centered else {"normalized_shape": axes, "eps": eps}
        parameters = affine(choose, axes)
        if not centered:
            del parameters["bias"]
        return Geometry({"input": (*lead, *axes), **parameters}, attributes, math.prod(axes))

    return geometries


def _group_view(inputs: Arrays, attributes: Attributes) -> Norm:
    x, groups = inputs["input"], attributes["num_groups"]
    n, c, *spatial = x.shape
    weight, bias = reshaped(inputs, (1, groups, c // groups, 1), "weight", "bias")
    view = x.reshape(n, groups, c // groups, math.prod(spatial))
    return Norm(view, (2, 3), weight, bias, attributes.get("eps", EPS))


def _layer_view(inputs: Arrays, attributes: Attributes) -> Norm:
    x, shape = inputs["input"], attributes["normalized_shape"]
    lead = x.ndim - len(shape)
    weight, bias = reshaped(inputs, (1,) * lead + tuple(shape), "weight", "bias")
    return Norm(x, tuple(range(lead, x.ndim)), weight, bias, attributes.get("eps", EPS))


def _rms_view(inputs: Arrays, attributes: Attributes) -> Norm:
    norm = _layer_view(inputs, attributes)
    eps = attributes.get("eps")
    return Norm(norm.x, norm.axes, norm.weight, None, 2.0**-52 if eps is None else eps, centered=False)


def _bounds(view: Any) -> Any:
    def bounds(inputs: Arrays, attributes: Attributes, expected: Arrays, arithmetic: Arithmetic) -> dict[str, Bound]:
        norm = view(inputs, attributes)
        bound = normalized(norm, moments(norm, arithmetic), expected["output"].reshape(norm.x.shape), arithmetic)
        return {"output": Bound(bound.absolute.reshape(expected["output"].shape))}

    return bounds


def _group_window(inputs: Arrays, attributes: Attributes, index: tuple[int, ...]) -> Arrays:
    n, c, *_ = index
    size = inputs["input"].shape[1] // attributes["num_groups"]
    first = c // size * size
    parameters = {k: inputs[k][c] for k in ("weight", "bias") if k in inputs}
    return {"input": inputs["input"][n, first : first + size], **parameters}


def _layer_window(inputs: Arrays, attributes: Attributes, index: tuple[int, ...]) -> Arrays:
    lead = inputs["input"].ndim - len(attributes["normalized_shape"])
    parameters = {k: inputs[k][index[lead:]] for k in ("weight", "bias") if k in inputs}
    return {"input": inputs["input"][index[:lead]], **parameters}


def _group_rejections(geometry: Geometry) -> Breakages:
    x = geometry.shapes["input"]
    assert x is not None
    c, groups = x[1], geometry.attributes["num_groups"]
    broken: Breakages = [
        ("input-rank", {"input": (c,)}),
        ("num-groups", {"num_groups": 0}),
        ("num-groups", {"num_groups": -1}),
        ("num-groups", {"num_groups": c + 1}),
        ("num-groups", {"num_groups": WRAP + groups}),
        ("num-groups", {"input": (x[0], 4 * groups + 2, *x[2:]), "num_groups": 4, "weight": None, "bias": None}),
        ("values-per-group", {"input": (1, c), "num_groups": c}),
        ("weight", {"weight": (c + 1,)}),
        ("weight", {"weight": (c, 1)}),
        ("bias", {"bias": (c + 1,)}),
        ("eps", {"eps": -1.0}),
        ("eps", {"eps": -1e-12}),
    ]
    return broken


def _layer_rejections(geometry: Geometry) -> Breakages:
    x, axes = geometry.shapes["input"], geometry.attributes["normalized_shape"]
    assert x is not None
    alone = {"weight": None} | ({"bias": None} if "bias" in geometry.shapes else {})
    broken: Breakages = [
        ("normalized-shape", {"normalized_shape": (), **alone}),
        ("normalized-shape", {"normalized_shape": (*axes[:-1], axes[-1] + 1), **alone}),
        *(("normalized-shape", {"normalized_shape": (*axes[:-1], n), **alone}) for n in (-1, axes[-1] + WRAP)),
        ("normalized-shape", {"normalized_shape": (1, *x), **alone}),
        ("normalized-shape", {"input": (*x, axes[-1] + 1)}),
        ("normalized-shape", {"input": (), **alone}),
        ("weight", {"weight": (*axes[:-1], axes[-1] + 1)}),
        ("weight", {"weight": (*axes, 1)}),
        ("eps", {"eps": -1.0}),
        ("eps", {"eps": -1e-12}),
    ]
    return broken + ([("bias", {"bias": (*axes[:-1], axes[-1] + 1)})] if "bias" in geometry.shapes else [])


def _group_accepted(geometry: Geometry) -> Breakages:
    x = geometry.shapes["input"]
    assert x is not None
    c = x[1]
    odd: Breakages = [
        ("as many groups as channels", {"input": (*x[:2], 3), "num_groups": c}),
        ("one group of all", {"num_groups": 1}),
        ("one value to a group of several samples", {"input": (2, c), "num_groups": c, "bias": (c,)}),
        ("no spatial axes", {"input": (2, 2 * c), "num_groups": c, "weight": None, "bias": None}),
        ("an eps of 0", {"input": (2, c, 3), "eps": 0.0}),
    ]
    return odd


def _layer_accepted(geometry: Geometry) -> Breakages:
    x = geometry.shapes["input"]
    assert x is not None
    alone = {"weight": None} | ({"bias": None} if "bias" in geometry.shapes else {})
    axes = geometry.attributes["normalized_shape"]
    lone = {"input": (3, 1), "normalized_shape": (1,), "weight": (1,)}
    odd: Breakages = [
        ("all axes are normalized", {"normalized_shape": x, **alone}),
        ("one value to a row", lone | ({"bias": (1,)} if "bias" in geometry.shapes else {})),
        ("an eps of 0", {"eps": 0.0, "input": (3, *axes[:-1], 4), "normalized_shape": (*axes[:-1], 4), **alone}),
    ]
    return odd


def _rms_real(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    # Without an eps there is that of the dtype, but the reference is asked in float64.
    usual = (Pattern(("normal", 1), attributes={"eps": None}),) if dtype == "float64" else ()
    return (*real_norms(geometry, dtype), *usual)


def _groups_of_layers(shorter: int) -> list[Geometry]:
    found = []
    for channels, groups, size in ((320, 32, 32), (64, 1, 56), (512, 32, 16)):
        length = size // shorter
        shapes = {"input": (1, channels, length, length), "weight": (channels,), "bias": (channels,)}
        found.append(Geometry(shapes, {"num_groups": groups}, channels // groups * length**2))
    return found


def _tokens(centered: bool) -> Any:
    """Return what makes the layers of real language models: of so many tokens, and so many features of each."""

    def layers(shorter: int) -> list[Geometry]:
        found = []
        for tokens, features in ((196, 768), (64, 4096)):
            shapes = {"input": (2, tokens // shorter, features), "weight": (features,)}
            attributes: dict[str, Any] = {"normalized_shape": (features,)}
            if centered:
                found.append(Geometry({**shapes, "bias": (features,)}, attributes, features))
            else:
                found.append(Geometry(shapes, attributes | {"eps": EPS}, features))
        return found

    return layers


def _operator(name: str, view: View, exact: tuple[Pattern, ...], **fields: Any) -> Operator:
    own = {"special": huge_norms, "bounds": _bounds(view), "per_sample": lambda attributes: ("input",)}
    return norm_operator(name, view, exact, **own, **fields)


EXACT = exact_norms(("ramp", 2, 3.75), ("paired", 3, 7.0), ("ramp", 4, 2.75))
LAYER: dict[str, Any] = {
    "window": _layer_window,
    "rejections": _layer_rejections,
    "accepted": _layer_accepted,
}
OPERATORS = (
    _operator(
        "group_norm",
        _group_view,
        EXACT,
        geometries=_groups,
        window=_group_window,
        rejections=_group_rejections,
        accepted=_group_accepted,
        layers=_groups_of_layers,
    ),
    _operator("layer_norm", _layer_view, EXACT, geometries=_last_axes(True), layers=_tokens(True), **LAYER),
    _operator(
        "rms_norm",
        _rms_view,
        exact_norms(("integers", 1, 3.0), ("integers", 1, 15.0)),
        real=_rms_real,
        geometries=_last_axes(False),
        layers=_tokens(False),
        **LAYER,
    ),
)
