"""Ways that any loop over elements may be wrong, and what the own mistakes of elementwise operators are made of."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from conformance.formats import Array
from conformance.honest import fault
from conformance.mistakes import Call, Mistake, answering, refusing, where
from conformance.model import Fault

ELEMENTWISE = (
    *("relu", "relu6", "hardtanh", "hardsigmoid", "hardswish", "leaky_relu", "prelu", "elu", "celu", "selu"),
    *("sigmoid", "tanh", "softplus", "logsigmoid", "softsign", "silu", "mish", "gelu"),
)
DTYPES = ("float32", "float64", "float16", "bfloat16")


def giving(function: Callable[..., Array], *attributes: str) -> Mistake:
    """Return the mistake of another function of the input, in float32 or wider, and of the attributes named."""

    def change(output: Array, call: Call) -> Array:
        x = call["input"].astype(np.result_type(call["input"], np.float32))
        with np.errstate(all="ignore"):
            return np.asarray(function(x, **{name: call[name] for name in attributes if name in call}))

    return answering(lambda output, call: change(output, call).astype(output.dtype))


def sloped(slope: Callable[..., Array], *attributes: str) -> Mistake:
    """Return the mistake of another derivative, times the cotangent."""

    def change(output: Array, call: Call) -> Array:
        x = call["input"].astype(np.result_type(call["input"], np.float32))
        with np.errstate(all="ignore"):
            other = slope(x, **{name: call[name] for name in attributes if name in call}) * call["cotangent"]
        return np.asarray(other).astype(output.dtype)

    return answering(change)


def _tail(of: int) -> Mistake:
    """Return the mistake of leaving zeros in what a loop of so many elements leaves over."""

    def change(output: Array, call: Call) -> Array:
        flat = output.ravel().copy()
        flat[output.size - output.size % of :] = 0
        return flat.reshape(output.shape)

    return answering(change)


def _nan_as_zero(output: Array, call: Call) -> Array:
    return np.where(np.isnan(output), np.zeros((), output.dtype), output)


def _flattened(output: Array, call: Call) -> Array:
    return output.reshape(output.shape[0], int(np.prod(output.shape[1:])))


def _general(name: str, place: int) -> list[Fault]:
    """Return the mistakes that any loop over elements may hold, each in another dtype for the next operator."""
    dtype = {k: DTYPES[(place + k) % 4] for k in range(5)}
    swapped = answering(lambda output, call: call["cotangent"].copy())
    return [
        fault(
            f"{name}-flattened",
            "an array of more axes comes back with two",
            name,
            "sizes",
            answering(_flattened),
            dtype[0],
            kind="shape",
        ),
        fault(
            f"{name}-nothing-refused",
            "an array without elements raises",
            name,
            "rejections",
            where(lambda call: not call["input"].size, refusing),
            dtype[1],
            kind="acceptance",
        ),
        fault(
            f"{name}-nan-lost", "a NaN becomes 0", name, "special", answering(_nan_as_zero), dtype[2], kind="special"
        ),
        fault(
            f"{name}-tail-left",
            "what a loop of 32 leaves over of more than 32 is not written",
            name,
            "special",
            where(lambda call: call["input"].size > 32, _tail(32)),
            dtype[3],
            kind="size",
        ),
        fault(
            f"{name}-cotangent-passed",
            "the gradient is the cotangent",
            name,
            "gradients",
            swapped,
            dtype[0],
            kind="gradient",
        ),
    ]


FAULTS: tuple[Fault, ...] = tuple(each for place, name in enumerate(ELEMENTWISE) for each in _general(name, place))
