"""The fully connected layer, added up in other orders."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from conformance.formats import Array
from conformance.orders import (
    Order,
    ascending,
    blocks_of,
    compensated,
    einsum,
    every,
    fused,
    in_accumulator,
    pairwise,
    shuffled,
    signs_apart,
)
from conformance.variants import Variant
from reference.linear import linear_call


def in_order(order: Order) -> Callable[..., Any]:
    """Return the layer that adds up the products, and the bias as one more, in that order."""

    @in_accumulator
    def linear(acc: np.dtype[Any], input: Array, weight: Array, bias: Array | None = None) -> Array:
        call = linear_call(input, weight, bias)
        features = call.x.shape[-1]
        columns = call.x.reshape(call.rows, features).T.astype(acc)
        rows = call.w.reshape(math.prod(call.w.shape[:-1]), features).astype(acc)
        if call.b is not None:
            rows = np.concatenate([rows, call.b.reshape(len(rows), 1).astype(acc)], 1)
            columns = np.concatenate([columns, np.ones((1, call.rows), acc)])
        return order(rows, columns).T.reshape(call.output)

    return linear


VARIANTS = tuple(
    Variant(f"linear-{name}", sentence, "linear", in_order(order))
    for name, sentence, order in (
        ("blocked", "partial sums of sixteen neighbours", blocks_of(16)),
        ("split", "eight partial sums of every eighth product", every(8)),
        ("einsum", "added up by NumPy's einsum", einsum),
        ("pairwise", "halves of the products, and halves of these", pairwise),
        ("shuffled", "products in random order", shuffled),
        ("ascending", "the smallest products first", ascending),
        ("compensated", "what additions lose is added in the end", compensated),
        ("fused", "fused multiplication and addition", fused),
        ("signs-apart", "positive and negative products apart", signs_apart),
    )
)
