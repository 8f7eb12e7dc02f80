"""The reference of JAX's own tests: views of windows, and opt_einsum."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np
from jax._src import lax_reference

from speed.calls import Array, Call

NAME, VERSION = "jax", f"{jax.__version__} (lax_reference)"
PRECISION = float(np.sqrt(np.finfo(np.float64).eps))
WRONG: dict[str, str] = {}


def _convolved(x: Array, w: Array, bias: Array, strides: tuple[int, int, int], padding: int) -> Array:
    """Return the convolution whose stride, dilation of the input and dilation of the kernel are given."""
    rank = x.ndim - 2
    stride, spread, dilation = ((n,) * rank for n in strides)
    result = lax_reference.conv_with_general_padding(x, w, stride, [(padding, padding)] * rank, spread, dilation)
    return np.asarray(result + bias.reshape(-1, *[1] * rank))


def _conv(input: Array, weight: Array, bias: Array, padding: int, stride: int = 1, dilation: int = 1) -> Array:
    return _convolved(input, weight, bias, (stride, 1, dilation), padding)


def _conv_transpose(
    input: Array, weight: Array, bias: Array, padding: int, stride: int = 1, dilation: int = 1
) -> Array:
    flipped = np.flip(weight, tuple(range(2, weight.ndim))).swapaxes(0, 1)
    return _convolved(input, flipped, bias, (1, stride, dilation), dilation * (weight.shape[2] - 1) - padding)


def _pool(
    function: Callable[..., Any], identity: float, input: Array, kernel_size: int, stride: int, padding: int
) -> Array:
    rank = input.ndim - 2  # only the name of the function matters: it finds the ufunc by that
    windows, steps = (1, 1, *[kernel_size] * rank), (1, 1, *[stride] * rank)
    pads = [(0, 0), (0, 0), *[(padding, padding)] * rank]
    return np.asarray(lax_reference.reduce_window(input, identity, function, windows, steps, pads, None))


def _avg_pool(input: Array, kernel_size: int, **numbers: int) -> Array:
    return np.asarray(_pool(jax.lax.add, 0.0, input, kernel_size, **numbers) / kernel_size ** (input.ndim - 2))


ANSWERS: dict[str, Callable[..., Any]] = {"sigmoid": lambda input: lax_reference.logistic(input)}
for _rank in (1, 2, 3):
    ANSWERS |= {
        f"conv{_rank}d": _conv,
        f"conv_transpose{_rank}d": _conv_transpose,
        f"max_pool{_rank}d": partial(_pool, jax.lax.max, -np.inf),
        f"avg_pool{_rank}d": _avg_pool,
    }


def answerer(call: Call) -> Callable[[], Any] | None:
    """Return what answers the call, or None where there is nothing that does."""
    if call.name not in ANSWERS or not {"groups", "return_indices"}.isdisjoint(call.attributes):
        return None
    return partial(ANSWERS[call.name], **call.arrays, **call.attributes)
