"""Honest normalization in NumPy, forward and backward, every rounding the test's choice."""

from __future__ import annotations

import numpy as np
from conformance_arithmetic import ACCUMULATORS, textbook, two_pass, welford
from conformance_cases import OPERATORS
from hypothesis import strategies as st

from conformance.faults.norm_steps import FORMS, axes_of
from conformance.judge import judge_values
from conformance.model import Pattern
from conformance.strategies import filled

NORMS = tuple(FORMS)
CLASSES = {"two-pass": two_pass, "updating": welford, "textbook": textbook}


def drawn_arrays(data, name, dtype, purpose="special", kinds=("normal", "positive", "offset", "integers")):
    """Draw a call: its arrays in the dtype, and its attributes."""
    geometry = data.draw(OPERATORS[name].geometries(purpose))
    kind, scale = data.draw(st.sampled_from(kinds)), data.draw(st.sampled_from((1, 3)))
    pattern = Pattern(
        ("normal", 1), {"input": (kind, 30 if kind == "offset" else scale), "running_var": ("positive", 1)}
    )
    case = filled(name, geometry, pattern, dtype, data.draw(st.integers(0, 999)))
    return {k: fill.array() for k, fill in case.inputs.items()}, dict(case.attributes)


def in_accumulator(form, dtype):
    """Return the form with all of its arrays in the accumulator of a dtype."""
    acc = ACCUMULATORS[dtype]
    narrow = {k: None if getattr(form, k) is None else getattr(form, k).astype(acc) for k in ("x", "weight", "bias")}
    given = None if form.given is None else tuple(part.astype(acc) for part in form.given)
    return form._replace(**narrow, given=given, eps=acc(form.eps))


def statistics_of(form, compute):
    """Return mean and variance by an algorithm that takes rows."""
    if form.given is not None:
        return form.given
    n, g = form.x.shape[:2]
    rows = form.x.transpose(1, 0, 2, 3).reshape(g, 1, -1) if form.pooled else form.x.reshape(n, g, -1)
    if not form.centered:
        found = np.zeros(rows.shape[:-1], rows.dtype), np.square(rows).mean(-1, dtype=rows.dtype)
    else:
        found = compute(rows)
    shape = (1, g, 1, 1) if form.pooled else (n, g, 1, 1)
    return tuple(part.reshape(shape) for part in found)


def forward(name, arrays, attributes, compute, folded):
    """Answer in the accumulator of the dtype; running statistics are left out."""
    x = arrays["input"]
    form = in_accumulator(FORMS[name]({**arrays, **attributes}), x.dtype.name)
    with np.errstate(all="ignore"):
        mean, var = statistics_of(form, compute)
        scale = 1 / np.sqrt(var + form.eps) * (1 if form.weight is None else form.weight)
        bias = 0 if form.bias is None else form.bias
        y = form.x * scale + (bias - mean * scale) if folded else (form.x - mean) * scale + bias
    return y.reshape(x.shape).astype(x.dtype)


def backward(name, arrays, attributes, g, folded, stored=lambda a: a):
    """Return the gradients in the accumulator; `folded`: of input as a * g + b * x + c, as group norms are."""
    x = arrays["input"]
    form = in_accumulator(FORMS[name]({**arrays, **attributes}), x.dtype.name)
    g = g.astype(form.x.dtype).reshape(form.x.shape)
    axes, m = axes_of(form), form.x.dtype.type(form.values)
    with np.errstate(all="ignore"):
        mean, var = statistics_of(form, two_pass)
        root = 1 / np.sqrt(var + form.eps)
        mean, root = (stored(part) if form.given is None else part for part in (mean, root))
        z, h = (form.x - mean) * root, g if form.weight is None else g * form.weight
        if form.given is not None:
            of_input = h * root
        elif folded:
            total, products = h.sum(axes, keepdims=True), (h * form.x).sum(axes, keepdims=True)
            tilt = (total * mean - products) * root * root * root / m
            of_input = h * root + form.x * tilt - (tilt * mean + total * root / m * form.centered)
        else:
            total = h.sum(axes, keepdims=True) / m * form.centered
            of_input = root * (h - total - z * (h * z).sum(axes, keepdims=True) / m)
    found = {"input": of_input, "weight": (g * z).sum((0, 3)), "bias": g.sum((0, 3))}
    return {k: found[k].reshape(arrays[k].shape).astype(x.dtype) for k in found if k in arrays}


def pulled(name, arrays, attributes, g, answer, arithmetic):
    """Judge gradients; return what was found, and their bounds."""
    wide = {k: v.astype(np.float64) for k, v in {"cotangent": g, **arrays}.items()}
    gradient = OPERATORS[name].gradient
    with np.errstate(all="ignore"):
        expected = gradient.reference(**wide, **attributes)._asdict()
        expected = {k: v for k, v in expected.items() if v is not None}
        bounds = gradient.bounds(wide, attributes, expected, arithmetic)
        actual = {k: answer[k].astype(np.float64) for k in expected}
        return judge_values(expected, actual, bounds, arithmetic.output), bounds
