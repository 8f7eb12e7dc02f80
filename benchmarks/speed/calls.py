"""The calls that are timed: every operator of `reference`, from tiny to the size of a layer of a real network.

Linear operators get whole numbers, so that every peer has to give the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

import reference
from reference import vjp

Array = np.ndarray
rng = np.random.default_rng(0)


class Size(NamedTuple):
    """Samples, channels, and the length of the spatial axes where there are one, two and three of them."""

    samples: int
    channels: int
    lengths: tuple[int, int, int]

    def shape(self, rank: int = 2, channels: int = 0) -> tuple[int, ...]:
        return (self.samples, channels or self.channels, *[self.lengths[rank - 1]] * rank)


SIZES = {
    "tiny": Size(1, 1, (4, 4, 4)),
    "small": Size(2, 4, (32, 8, 6)),
    "medium": Size(2, 16, (512, 28, 10)),
    "large": Size(2, 64, (3136, 56, 12)),
}
TINY = SIZES["tiny"]


class Call(NamedTuple):
    """One call of a function of `reference`; the names of arguments are those of `torch.nn.functional`."""

    name: str
    arrays: dict[str, Array]
    attributes: dict[str, Any] = {}  # noqa: RUF012  # nobody writes to it
    note: str = ""  # what sets it apart from the other calls of the same function

    def __str__(self) -> str:
        return f"{self.name}, {self.note}" if self.note else self.name

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape of the first array."""
        return next(iter(self.arrays.values())).shape

    def __call__(self) -> Any:
        return getattr(reference, self.name)(**self.arrays, **self.attributes)


class Gradient(NamedTuple):
    """The gradients of a call with respect to its arrays."""

    call: Call
    cotangent: Array

    def __str__(self) -> str:
        return f"gradients of {self.call}"

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape of the first array of the call."""
        return self.call.shape

    def __call__(self) -> Any:
        return getattr(vjp, self.call.name)(self.cotangent, **self.call.arrays, **self.call.attributes)


Calls = Iterator[Call]


def whole(*shape: int) -> Array:
    return rng.integers(-9, 10, shape).astype(np.float64)


def real(*shape: int) -> Array:
    return rng.normal(size=shape)


def convolutions(size: Size) -> Calls:
    """Yield layers of kernel 3 with as many channels out as in; the variants in two dimensions."""
    c = size.channels
    for rank in (1, 2, 3):
        arrays = {"input": whole(*size.shape(rank)), "weight": whole(c, c, *[3] * rank), "bias": whole(c)}
        for name in (f"conv{rank}d", f"conv_transpose{rank}d"):
            yield Call(name, arrays, {"padding": 1})
            if rank == 2:
                yield Call(name, arrays, {"padding": 1, "stride": 2}, "stride 2")
                yield Call(name, arrays, {"padding": 2, "dilation": 2}, "dilation 2")
    if size is not TINY:
        x, b = whole(*size.shape()), whole(c)
        for groups in (2, c):
            arrays = {"input": x, "weight": whole(c, c // groups, 3, 3), "bias": b}
            for name in ("conv2d", "conv_transpose2d"):
                note = "depthwise" if groups == c else f"{groups} groups"
                yield Call(name, arrays, {"padding": 1, "groups": groups}, note)


def poolings(size: Size) -> Calls:
    """Yield pools of kernel 3 and stride 2, and the adaptive ones that yield one element a plane."""
    for rank in (1, 2, 3):
        x = {"input": whole(*size.shape(rank))}
        window = {"kernel_size": 3, "stride": 2, "padding": 1}
        yield Call(f"max_pool{rank}d", x, window)
        yield Call(f"max_pool{rank}d", x, window | {"return_indices": True}, "indices")
        yield Call(f"avg_pool{rank}d", x, window)
        yield Call(f"lp_pool{rank}d", x, {"norm_type": 2.0, "kernel_size": 3, "stride": 2})
        yield Call(f"adaptive_avg_pool{rank}d", x, {"output_size": 1}, "to 1")
        yield Call(f"adaptive_max_pool{rank}d", x, {"output_size": 1}, "to 1")
        yield Call(f"adaptive_avg_pool{rank}d", x, {"output_size": 3}, "to 3")
        yield Call(f"adaptive_max_pool{rank}d", x, {"output_size": 3}, "to 3")
        largest = getattr(reference, f"max_pool{rank}d")(**x, kernel_size=2, return_indices=True)
        yield Call(f"max_unpool{rank}d", {"input": largest.output, "indices": largest.indices}, {"kernel_size": 2})
        if rank > 1:
            samples = {"random_samples": rng.random((size.samples, size.channels, rank))}
            half = {"kernel_size": 2, "output_size": size.lengths[rank - 1] // 2}
            yield Call(f"fractional_max_pool{rank}d", x | samples, half)


def normalizations(size: Size) -> Calls:
    """Yield every normalization, with a scale and a shift where it has them."""
    shape, c = size.shape(), size.channels
    x, channels = {"input": real(*shape)}, {"weight": real(c), "bias": real(c)}
    running = {"running_mean": real(c), "running_var": rng.random(c) + 0.5}
    yield Call("batch_norm", x | running | channels)
    yield Call("batch_norm", x | running | channels, {"training": True}, "training")
    yield Call("instance_norm", x | channels)
    yield Call("group_norm", x | channels, {"num_groups": 1 if size is TINY else c // 2})
    yield Call("local_response_norm", x, {"size": 1 if size is TINY else 3})
    for axes in (1, 3):
        rest = shape[-axes:]
        note = f"{axes} {'axis' if axes == 1 else 'axes'}"
        yield Call("layer_norm", x | {"weight": real(*rest), "bias": real(*rest)}, {"normalized_shape": rest}, note)
        yield Call("rms_norm", x | {"weight": real(*rest)}, {"normalized_shape": rest, "eps": 1e-5}, note)


def activations(size: Size) -> Calls:
    """Yield every elementwise function and softmax."""
    x = {"input": 3 * real(*size.shape())}
    names = "celu elu gelu hardsigmoid hardswish hardtanh leaky_relu logsigmoid mish relu relu6 selu sigmoid silu"
    for name in [*names.split(), "softplus", "softsign", "tanh"]:
        yield Call(name, x)
    yield Call("gelu", x, {"approximate": "tanh"}, "tanh")
    yield Call("prelu", x | {"weight": real(size.channels)})
    yield Call("softmax", x, {"dim": 1})
    yield Call("log_softmax", x, {"dim": 1})
    target = rng.integers(0, size.channels, (size.samples, *size.shape()[2:]))
    yield Call("cross_entropy", x | {"target": target})


def movements(size: Size) -> Calls:
    """Yield what moves elements or multiplies one matrix."""
    x = {"input": whole(*size.shape())}
    side = size.lengths[1]
    yield Call("linear", {"input": whole(side, side), "weight": whole(side, side), "bias": whole(side)})
    yield Call("flatten", x, {"start_dim": 1})
    yield Call("pixel_shuffle", {"input": whole(*size.shape(channels=4 * size.channels))}, {"upscale_factor": 2})
    yield Call("pixel_unshuffle", x, {"downscale_factor": 2})
    for mode in ("constant", "reflect", "replicate", "circular"):
        yield Call("pad", x, {"pad": (1, 2, 2, 1), "mode": mode}, mode)
    yield Call("unfold", x, {"kernel_size": 3, "padding": 1})
    columns = whole(size.samples, 9 * size.channels, side * side)
    yield Call("fold", {"input": columns}, {"output_size": (side, side), "kernel_size": 3, "padding": 1})
    yield Call("cross_correlate", {"input": whole(side, side), "kernel": whole(3, 3)}, {"mode": "same"})
    yield Call("convolve", {"input": whole(side, side), "kernel": whole(3, 3)}, {"mode": "same"})
    if size is TINY:  # the matrix of a layer has billions of elements
        yield Call("conv_matrix", {"weight": whole(1, 1, 3, 3)}, {"input_size": (side, side)})


FAMILIES: dict[str, Callable[[Size], Calls]] = {
    "convolution": convolutions,
    "pooling": poolings,
    "normalization": normalizations,
    "activation": activations,
    "movement": movements,
}


def calls(size: Size) -> Calls:
    """Yield all calls of a size."""
    for family in FAMILIES.values():
        yield from family(size)


def gradients(call: Call) -> Iterator[Gradient]:
    """Yield the gradients of a call if it has some, for a cotangent of whole numbers."""
    if hasattr(vjp, call.name) and "return_indices" not in call.attributes:
        yield Gradient(call, whole(*parts(call())[0].shape))


def parts(answer: Any) -> list[Array]:
    """Return the arrays of an answer."""
    return [np.asarray(part) for part in (answer if isinstance(answer, tuple) else [answer]) if part is not None]
