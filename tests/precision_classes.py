"""Engines in NumPy, each of one class of arithmetic: what it is, and what its grade must say.

Run as a script it prints the tables of docs/precision.md: of these engines, or of a backend that is named.
"""

from __future__ import annotations

import sys
from functools import cache, partial
from itertools import product

import ml_dtypes
import numpy as np
from conformance_arithmetic import (
    backwards,
    batch_norm,
    conv_products,
    cut,
    fused_one_by_one,
    in_blocks,
    large_first,
    one_by_one,
    pairwise,
    tensor_core,
    textbook,
    two_pass,
    welford,
)

from conformance.cells import cells
from conformance.discovery import find_backend
from conformance.fast import transforms
from conformance.formats import DTYPES, round_bits
from conformance.grading import grade
from conformance.model import Backend
from reference.windows import padded, resolve_padding

SINGLE, HALF, BRAIN = np.float32, np.float16, ml_dtypes.bfloat16


def through(dtype):
    """Return the reading of a float32 array that was rounded to another dtype."""
    return lambda array: array.astype(dtype).astype(SINGLE)


def read_with(rounding, count):
    return lambda array: rounding(array.astype(np.float64), count).astype(SINGLE)


def shuffled(products):
    return one_by_one(products[..., np.random.RandomState(1).permutation(products.shape[-1])])


def same(array):
    return array


def conv(order=one_by_one, accumulator=SINGLE, output=same, **reads):
    """Return a convolution of products in a dtype, added up in some order; reads: how an array is read, by name."""

    def binding(bias=None, **call):
        arrays = {"input": call.pop("input"), "weight": call.pop("weight"), "bias": bias}
        dtype = arrays["input"].dtype
        x, w, b = (
            None
            if v is None
            else reads.get(k, same)(v.astype(SINGLE) if dtype != np.float64 else v).astype(accumulator)
            for k, v in arrays.items()
        )
        return output(order(conv_products(x, w, b, call))).astype(dtype)

    return binding


def partial_sums(dtype, parts, between=SINGLE):
    """Return an order: so many parts of the sum are rounded to a dtype, and then added up in another."""

    def order(products):
        pieces = [products[..., i::parts].sum(-1).astype(dtype).astype(between) for i in range(parts)]
        return one_by_one(np.stack(pieces, -1))

    return order


def with_bias(total, bias):
    return total if bias is None else total + bias.reshape(-1, 1, 1)


def winograd(m, **call):
    """Convolve in tiles of m x m outputs, in float32; what is no convolution for it, sum by sum."""
    x, w = call["input"], call["weight"]
    if w.shape[2:] != (3, 3):
        return conv()(**call)
    forward, kernel, data = (matrix.astype(SINGLE) for matrix in transforms(m))
    pads = resolve_padding(call.get("padding", 0), x.shape[2:], (3, 3), (1, 1), (1, 1))
    out = [n + low + high - 2 for n, (low, high) in zip(x.shape[2:], pads, strict=True)]
    plane = padded(x, [(low, high + -o % m) for o, (low, high) in zip(out, pads, strict=True)])
    u = kernel @ w @ kernel.T
    result = np.zeros((len(x), len(w), *(-(-o // m) * m for o in out)), SINGLE)
    for i, j in product(*(range(0, n, m) for n in result.shape[2:])):
        v = data @ plane[:, :, i : i + m + 2, j : j + m + 2] @ data.T
        sums = np.einsum("ocij,ncij->noij", u, v)
        result[:, :, i : i + m, j : j + m] = forward @ sums @ forward.T
    return with_bias(result[:, :, : out[0], : out[1]], call.get("bias"))


def fourier(**call):
    """Convolve by Fourier transforms in complex64."""
    x, w = call["input"], call["weight"]
    pads = resolve_padding(call.get("padding", 0), x.shape[2:], w.shape[2:], (1, 1), (1, 1))
    plane = padded(x, pads)
    extents = [1 << int(n - 1).bit_length() for n in plane.shape[2:]]
    xf, wf = (np.fft.rfft2(a, extents).astype(np.complex64) for a in (plane, w))
    total = np.fft.irfft2(np.einsum("ncij,ocij->noij", xf, wf.conj()), extents).astype(SINGLE)
    out = [n - k + 1 for n, k in zip(plane.shape[2:], w.shape[2:], strict=True)]
    return with_bias(total[:, :, : out[0], : out[1]], call.get("bias"))


def chan(block):
    """Return the statistics of blocks in two passes, merged in pairs as Chan, Golub and LeVeque do."""

    def statistics(x):
        parts = [(block, *two_pass(x[..., i : i + block])) for i in range(0, x.shape[-1], block)]
        parts = [(count, mean, var * SINGLE(count)) for count, mean, var in parts]
        while len(parts) > 1:
            parts = [merged(*parts[i : i + 2]) for i in range(0, len(parts), 2)]
        count, mean, far = parts[0]
        return mean, far / SINGLE(count)

    return statistics


def merged(one, other=None):
    if other is None:
        return one
    (a, mean, far), (b, mean_too, far_too) = one, other
    step = mean_too - mean
    return a + b, mean + step * SINGLE(b / (a + b)), far + far_too + step * step * SINGLE(a * b / (a + b))


def norm(statistics, folded=False, output=same, **reads):
    """Return a batch norm by some algorithm for its statistics; reads: how an array is read, by name."""

    def binding(**call):
        arrays = {k: reads.get(k, same)(v) for k, v in call.items() if isinstance(v, np.ndarray)}
        attributes = {k: v for k, v in call.items() if k not in arrays}
        result, *running = batch_norm(arrays, attributes, statistics, folded)
        return output(result), *running

    return binding


ANY = "float32 sums in any order"
TWO, UPDATING, TEXTBOOK = (f"{word} variance in float32" for word in ("two-pass", "updating", "textbook"))
tf32 = {name: read_with(round_bits, 11) for name in ("input", "weight")}
tf32_cut = {name: read_with(cut, 11) for name in ("input", "weight")}
half, brain = (dict.fromkeys(("input", "weight", "bias"), through(dtype)) for dtype in (HALF, BRAIN))

# What an engine does, its binding, and its grade.
FLOAT32_CONVOLUTIONS = {
    "one after another": (conv(), ANY),
    "backwards": (conv(backwards), ANY),
    "shuffled": (conv(shuffled), ANY),
    "pairwise": (conv(pairwise), ANY),
    "blocks of 4": (conv(in_blocks), ANY),
    "largest first": (conv(large_first), ANY),
    "fused multiply-add": (conv(fused_one_by_one, np.float64), ANY),
    "wider: float64": (conv(one_by_one, np.float64), ANY),
    "aligned and truncated, 4 at a time": (conv(tensor_core(4), np.float64), "truncated float32 sums"),
    "aligned and truncated, 16 at a time": (conv(tensor_core(16), np.float64), "truncated float32 sums"),
    "TF32, rounded": (conv(**tf32), f"TF32 operands, {ANY}"),
    "TF32, cut off": (conv(**tf32_cut), f"TF32 operands, cut off, {ANY}"),
    "TF32, cut off, truncated sums": (
        conv(tensor_core(8), np.float64, **tf32_cut),
        "TF32 operands, cut off, truncated float32 sums",
    ),
    "bfloat16 operands": (conv(**brain), f"bfloat16 operands, {ANY}"),
    "float16 operands": (conv(**half), f"float16 operands, {ANY}"),
    "float16 weight": (conv(weight=through(HALF)), f"float16 weight, {ANY}"),
    "bfloat16 weight": (conv(weight=through(BRAIN)), f"bfloat16 weight, {ANY}"),
    "bfloat16 input": (conv(input=through(BRAIN)), f"bfloat16 input, {ANY}"),
    "bfloat16 bias": (conv(bias=through(BRAIN)), f"bfloat16 bias, {ANY}"),
    "float16 output": (conv(output=through(HALF)), f"{ANY}, float16 output"),
    "bfloat16 output": (conv(output=through(BRAIN)), f"{ANY}, bfloat16 output"),
    "bfloat16 output, cut off": (
        conv(output=lambda y: (y.view(np.uint32) & np.uint32(0xFFFF0000)).view(SINGLE)),
        "truncated float32 sums, bfloat16 output cut off",
    ),
    "bfloat16 operands and output": (
        conv(output=through(BRAIN), **brain),
        f"bfloat16 operands, {ANY}, bfloat16 output",
    ),
    "float16 accumulation": (conv(accumulator=HALF), "float16 operands, float16 sums in any order"),
    "bfloat16 accumulation": (conv(accumulator=BRAIN), "bfloat16 operands, bfloat16 sums in any order"),
    "float16 accumulation, pairwise": (conv(pairwise, HALF), "float16 operands, float16 sums in any order"),
    "split in 4, float16 partial sums": (conv(partial_sums(HALF, 4)), f"{ANY}, float16 partial sums"),
    "split in 4, bfloat16 partial sums": (conv(partial_sums(BRAIN, 4)), f"{ANY}, bfloat16 partial sums"),
    "split in 2, float16 partial sums": (conv(partial_sums(HALF, 2)), f"{ANY}, float16 partial sums"),
    "Winograd F(2, 3)": (partial(winograd, 2), "Winograd F(2, 3)"),
    "Winograd F(4, 3)": (partial(winograd, 4), "Winograd F(4, 3)"),
    "Winograd F(6, 3)": (partial(winograd, 6), "Winograd F(6, 3)"),
    "Fourier": (fourier, "FFT"),
}

FLOAT32_NORMALIZATIONS = {
    "two passes": (norm(two_pass), TWO),
    "two passes, folded": (norm(two_pass, folded=True), TWO),
    "two passes, pairwise": (
        norm(lambda x: (pairwise(x) / SINGLE(x.shape[-1]), two_pass(x)[1])),
        TWO,
    ),
    "Welford": (norm(welford), UPDATING),
    "Chan, blocks of 4": (norm(chan(4)), UPDATING),
    "Chan, blocks of 1": (norm(chan(1)), UPDATING),
    "textbook": (norm(textbook), TEXTBOOK),
    "textbook, folded": (norm(textbook, folded=True), TEXTBOOK),
    "bfloat16 weight": (norm(two_pass, weight=through(BRAIN)), f"bfloat16 weight, {TWO}"),
    "float16 output": (norm(two_pass, output=through(HALF)), f"{TWO}, float16 output"),
    "bfloat16 statistics": (
        norm(lambda x: tuple(map(through(BRAIN), two_pass(x)))),
        f"{TWO}, bfloat16 statistics",
    ),
}


def half_convolutions(name, dtype):
    """Return the same for conv2d in a half format."""
    partial_result, own = f"{ANY}, {name} partial sums", f"{name} sums in any order"
    return {
        "one after another": (conv(), ANY),
        "pairwise": (conv(pairwise), ANY),
        "aligned and truncated, 4 at a time": (conv(tensor_core(4), np.float64), ANY),
        f"{name} accumulation": (conv(accumulator=dtype), own),
        f"{name} accumulation, blocks of 4": (conv(in_blocks, dtype), own),
        f"{name} accumulation, pairwise": (conv(pairwise, dtype), partial_result),
        f"split in 4, {name} partial sums": (conv(partial_sums(dtype, 4)), partial_result),
        f"split in 4, added up in {name}": (conv(partial_sums(dtype, 4, dtype)), partial_result),
        f"split in 16, added up in {name}": (conv(partial_sums(dtype, 16, dtype)), own),
    }


ENGINES = {
    ("conv2d", "float32"): FLOAT32_CONVOLUTIONS,
    ("conv2d", "float16"): half_convolutions("float16", HALF),
    ("conv2d", "bfloat16"): half_convolutions("bfloat16", BRAIN),
    ("batch_norm", "float32"): FLOAT32_NORMALIZATIONS,
}
SHOWN = ("conv2d", "conv_transpose2d", "linear", "avg_pool2d", "batch_norm")


def graded(operator, dtype, binding, **promised):
    """Return the grade of a binding."""
    backend = Backend("engine", {operator: binding}, **promised)
    (cell,) = cells(backend, [operator], [dtype], ["values"])
    return grade(cell)


@cache
def grade_of(operator, dtype, engine):
    """Return the grade of one of the engines."""
    return graded(operator, dtype, ENGINES[operator, dtype][engine][0])


def row(*words):
    return f"| {' | '.join(words)} |"


def rows_of_engines():
    """Yield the table of the engines, line by line."""
    yield row("operator", "dtype", "engine", "seen")
    yield row(*["---"] * 4)
    for (operator, dtype), engines in ENGINES.items():
        for name in engines:
            yield row(operator, dtype, name, grade_of(operator, dtype, name).seen)


def rows_of(backend):
    """Yield the table of a backend, line by line."""
    yield row("operator", "dtype", "seen", "declared", "worse")
    yield row(*["---"] * 5)
    for cell in cells(find_backend(backend), SHOWN, DTYPES, ["values"]):
        found = grade(cell)
        yield row(cell.operator.name, cell.dtype, found.seen, found.declared, "worse" if found.worse else "no")


if __name__ == "__main__":
    print(*(rows_of(sys.argv[1]) if sys.argv[1:] else rows_of_engines()), sep="\n")
