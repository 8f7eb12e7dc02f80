"""Honest implementations in NumPy, made of explicit products: every order and every rounding is the test's choice."""

from __future__ import annotations

from itertools import product

import numpy as np
from conformance_cases import OPERATORS
from hypothesis import strategies as st

from conformance.fills import Fill
from conformance.judge import judge_values
from conformance.model import Outcome
from reference.constraints import per_axis
from reference.windows import padded, pool_output_size, resolve_padding, tap_slices, window_views

ACCUMULATORS = {"float64": np.float64, "float32": np.float32, "float16": np.float32, "bfloat16": np.float32}


# Orders of summation over the last axis; every addition is rounded to the dtype of the products.
def one_by_one(products):
    total = np.zeros(products.shape[:-1], products.dtype)
    for i in range(products.shape[-1]):
        total = total + products[..., i]
    return total


def backwards(products):
    return one_by_one(products[..., ::-1])


def pairwise(products):
    n = products.shape[-1]
    if n <= 1:
        return products.sum(-1, dtype=products.dtype)
    return pairwise(products[..., : n // 2]) + pairwise(products[..., n // 2 :])


def in_blocks(products):
    n = products.shape[-1]
    blocks = [one_by_one(products[..., i : i + 4]) for i in range(0, n, 4)]
    return one_by_one(np.stack(blocks, -1)) if blocks else one_by_one(products)


def large_first(products):
    order = np.argsort(-np.abs(products), -1)
    return one_by_one(np.take_along_axis(products, order, -1))


ORDERS = [one_by_one, backwards, pairwise, in_blocks, large_first]


def conv_products(x, w, bias, attributes):
    """Return the products that meet in every output, (N, O, *output, terms), in the dtype of the arrays."""
    rank, groups = w.ndim - 2, attributes.get("groups", 1)
    s = per_axis("stride", "stride", attributes.get("stride", 1), rank, 1)
    d = per_axis("dilation", "dilation", attributes.get("dilation", 1), rank, 1)
    p = resolve_padding(attributes.get("padding", 0), x.shape[2:], w.shape[2:], s, d)
    plane = padded(x, p)
    sizes = [(n - e * (k - 1) - 1) // f + 1 for n, k, f, e in zip(plane.shape[2:], w.shape[2:], s, d, strict=True)]
    views = window_views(plane, w.shape[2:], s, d, sizes)  # (N, C, *output, *kernel)
    into, out = w.shape[1], w.shape[0] // groups
    parts = []
    for o in range(w.shape[0]):
        window = np.moveaxis(views[:, o // out * into : (o // out + 1) * into], 1, 1 + rank)
        flat = window.reshape(*window.shape[: 1 + rank], -1) * w[o].ravel()
        start = np.broadcast_to(np.zeros((), x.dtype) if bias is None else bias[o], (*flat.shape[:-1], 1))
        parts.append(np.concatenate([start, flat], -1))
    return np.stack(parts, 1)


def linear_products(x, w, bias, attributes):  # noqa: ARG001  (as conv_products)
    flat = x[..., np.newaxis, :] * w
    start = np.broadcast_to(np.zeros(len(w), x.dtype) if bias is None else bias, flat.shape[:-1])
    return np.concatenate([start[..., np.newaxis], flat], -1)


def pool_products(x, attributes):
    """Return the elements of every window, (N, C, *output, taps), zero on padding."""
    rank = x.ndim - 2
    k = per_axis("kernel-size", "kernel_size", attributes["kernel_size"], rank, 1)
    s = per_axis("stride", "stride", attributes.get("stride", k), rank, 1)
    p = resolve_padding(attributes.get("padding", 0), x.shape[2:], k, s, (1,) * rank)
    sizes = pool_output_size(x.shape[2:], k, s, p, 1, attributes.get("ceil_mode", False))
    plane = padded(x, [(low, high + n + f) for (low, high), n, f in zip(p, k, s, strict=True)])
    return np.stack([plane[part] for _, part in tap_slices(k, s, (1,) * rank, sizes)], -1)


def drawn_call(data, name, dtype, kinds=("normal", "positive", "spread", "integers"), purpose="special"):
    """Draw a call of an operator; return its attributes and its arrays in the dtype."""
    geometry = data.draw(OPERATORS[name].geometries(purpose))
    seed, kind = data.draw(st.integers(0, 9999)), data.draw(st.sampled_from(kinds))
    scale = 9 if kind == "integers" else 30 if kind == "offset" else 1
    arrays = {
        key: Fill("positive" if key == "running_var" else kind, dtype, shape, seed + i, scale).array()
        for i, (key, shape) in enumerate(geometry.shapes.items())
        if shape is not None
    }
    return geometry.attributes, arrays


def judge(name, arrays, attributes, answer, arithmetic):
    """Judge an answer, one array or a tuple, against reference and bound as a run does."""
    wide = {k: v.astype(np.float64) for k, v in arrays.items()}
    operator = OPERATORS[name]
    with np.errstate(all="ignore"):
        result = operator.reference(**wide, **attributes)
        expected = result._asdict() if isinstance(result, tuple) else {"output": result}
        expected = {k: v for k, v in expected.items() if v is not None}
        answer = [a for a in (answer if isinstance(answer, tuple) else (answer,)) if a is not None]
        actual = {k: a.astype(np.float64) for k, a in zip(expected, answer, strict=True)}
        bounds = operator.bounds(wide, attributes, expected, arithmetic)
        return judge_values(expected, actual, bounds, arithmetic.output)


def assert_conforms(*call):
    finding = judge(*call)
    assert finding.outcome in (Outcome.CONFORMS, Outcome.VACUOUS), finding


def summed(name, arrays, attributes, order, accumulator, operand=lambda a: a):
    """Answer a call: products and sums in the accumulator, one rounding to the dtype of the input at the end."""
    dtype = arrays["input"].dtype
    wide = {k: operand(v.astype(accumulator)) for k, v in arrays.items()}
    with np.errstate(all="ignore"):
        if name.startswith("avg"):
            total = order(pool_products(wide["input"], attributes))
            return (total / divisor_of(name, wide["input"].shape, attributes).astype(accumulator)).astype(dtype)
        products = linear_products if name == "linear" else conv_products
        return order(products(wide["input"], wide["weight"], wide.get("bias"), attributes)).astype(dtype)


def divisor_of(name, shape, attributes):
    """Return what each window is divided by, from the means of ones."""
    if "divisor_override" in attributes:
        return np.asarray(float(attributes["divisor_override"]))
    ones = np.ones((1, 1, *shape[2:]))
    count = OPERATORS[name].reference(
        ones, **{k: v for k, v in attributes.items() if k != "count_include_pad"}, divisor_override=1
    )
    return np.rint(count / OPERATORS[name].reference(ones, **attributes))


def fused_one_by_one(products):
    """Add products that are exact (of float32 in float64), rounding to float32 after each."""
    total = np.zeros(products.shape[:-1])
    for i in range(products.shape[-1]):
        total = (total + products[..., i]).astype(np.float32).astype(np.float64)
    return total


def cut(values, bits):
    """Truncate float64 values toward zero to so many significant bits."""
    mantissa, exponent = np.frexp(values)
    return np.ldexp(np.trunc(np.ldexp(mantissa, bits)), exponent - bits)


def tensor_core(block):
    """Sum float64 products as tensor cores do: `block` of them and the total are aligned and cut to 24 bits."""

    def order(products):
        total = np.zeros(products.shape[:-1])
        for i in range(0, products.shape[-1], block):
            addends = np.concatenate([total[..., np.newaxis], products[..., i : i + block]], -1)
            exponent = np.frexp(np.abs(addends).max(-1))[1]
            unit = np.ldexp(1.0, exponent - 24)[..., np.newaxis]
            total = cut((np.trunc(addends / unit) * unit).sum(-1), 24)
        return total

    return order


def transposed(arrays, attributes, accumulator, kept, back=False):
    """Answer a transposed convolution: taps are scattered one by one, and kept in a format of their own."""
    with np.errstate(all="ignore"):
        return _transposed(arrays, attributes, accumulator, kept, back)


def _transposed(arrays, attributes, accumulator, kept, back):
    x, w = (arrays[k].astype(accumulator) for k in ("input", "weight"))
    rank, groups = w.ndim - 2, attributes.get("groups", 1)
    s = per_axis("stride", "stride", attributes.get("stride", 1), rank, 1)
    d = per_axis("dilation", "dilation", attributes.get("dilation", 1), rank, 1)
    p = per_axis("padding", "padding", attributes.get("padding", 0), rank, 0)
    extra = per_axis("output-padding", "output_padding", attributes.get("output_padding", 0), rank, 0)
    sizes = [
        (n - 1) * f + e * (k - 1) + 1 + o for n, k, f, e, o in zip(x.shape[2:], w.shape[2:], s, d, extra, strict=True)
    ]
    into, out = w.shape[0] // groups, w.shape[1]
    canvas = np.zeros((len(x), out * groups, *sizes), kept)
    steps = list(tap_slices(w.shape[2:], s, d, x.shape[2:]))
    for (tap, part), o in product(steps[::-1] if back else steps, range(out * groups)):
        first = o // out * into
        column = [x[:, c] * w[(c, o % out, *tap)] for c in range(first, first + into)]
        total = one_by_one(np.stack(column[::-1] if back else column, -1))
        canvas[:, o][part] = (canvas[:, o][part].astype(accumulator) + total).astype(kept)
    crop = tuple(slice(q, n - q) for n, q in zip(sizes, p, strict=True))
    result = canvas[(slice(None), slice(None), *crop)].astype(accumulator)
    if "bias" in arrays:
        result = result + arrays["bias"].astype(accumulator).reshape(-1, *(1,) * rank)
    return result.astype(arrays["input"].dtype)


# Batch normalization, by the three classes of algorithms for a variance.


def two_pass(x):
    mean = one_by_one(x) / x.dtype.type(x.shape[-1])
    return mean, one_by_one(np.square(x - mean[..., np.newaxis])) / x.dtype.type(x.shape[-1])


def welford(x):
    mean, far = np.zeros(x.shape[:-1], x.dtype), np.zeros(x.shape[:-1], x.dtype)
    for i in range(x.shape[-1]):
        step = x[..., i] - mean
        mean = mean + step / x.dtype.type(i + 1)
        far = far + step * (x[..., i] - mean)
    return mean, far / x.dtype.type(x.shape[-1])


def textbook(x):
    m = x.dtype.type(x.shape[-1])
    mean = one_by_one(x) / m
    return mean, one_by_one(np.square(x)) / m - np.square(mean)


def batch_norm(arrays, attributes, compute, folded=False):
    """Answer batch_norm: one channel's values along the last axis, everything in the accumulator."""
    x, dtype = arrays["input"], arrays["input"].dtype
    f = np.float64 if dtype == np.float64 else np.float32
    rows = np.moveaxis(x, 1, 0).reshape(x.shape[1], -1).astype(f)
    part = {k: v.astype(f) for k, v in arrays.items() if k != "input"}
    old_mean, old_var = part.get("running_mean"), part.get("running_var")
    eps, share = f(attributes.get("eps", 1e-5)), f(attributes.get("momentum", 0.1))
    with np.errstate(all="ignore"):
        if attributes.get("training"):
            mean, var = compute(rows)
            m = f(rows.shape[1])
            new_mean = None if old_mean is None else (1 - share) * old_mean + share * mean
            new_var = None if old_var is None else (1 - share) * old_var + share * (var * m / (m - 1))
        else:
            mean, var, new_mean, new_var = old_mean, old_var, old_mean, old_var
        scale = 1 / np.sqrt(var + eps)
        scale = scale * part["weight"] if "weight" in part else scale
        bias = part.get("bias", np.zeros(len(rows), f))
        if folded:
            result = rows * scale[:, np.newaxis] + (bias - mean * scale)[:, np.newaxis]
        else:
            result = (rows - mean[:, np.newaxis]) * scale[:, np.newaxis] + bias[:, np.newaxis]
    output = np.moveaxis(result.reshape(x.shape[1], len(x), *x.shape[2:]), 0, 1).astype(dtype)
    return output, *(None if new is None else new.astype(dtype) for new in (new_mean, new_var))
