"""Laws of convolution: what the mathematics of sums of products promises, whatever the algorithm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from conformance.formats import Array
from conformance.laws.numbers import CONVOLUTIONS, TRANSPOSED, same, wide, without
from conformance.laws.orientation import reversed_spatially
from conformance.laws.windows import around, at, per_axis, spread, whole, windows_of
from conformance.model import Arrays, Attributes, Call, Law

BOTH = (*CONVOLUTIONS, *TRANSPOSED)


def _plain(arrays: Arrays) -> dict[str, Array]:
    """Return input and weight without groups and bias: as many channels as the weight has."""
    return {"input": arrays["input"][:, : arrays["weight"].shape[1]], "weight": arrays["weight"]}


def _fourier(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    if "kernel" in arrays:
        return [Call(operator, arrays, {"mode": "full"})]
    w = windows_of(arrays, attributes, stride=1, dilation=1, padding=0)
    # A kernel of one tap needs no theorem: it has the law `pointwise`.
    return [Call(operator, _plain(arrays), {})] if w.fit and max(w.kernel) > 1 else ()


def _is_product_of_spectra(arrays: Arrays, attributes: Attributes, outputs: Sequence[Array]) -> tuple[Array, Array]:
    if "kernel" in arrays:
        x, kernel = wide(arrays["input"]), wide(arrays["kernel"])
        sizes, axes = outputs[0].shape, tuple(range(x.ndim))
        spectrum = np.fft.rfftn(x, sizes, axes) * np.fft.rfftn(kernel, sizes, axes)
        return outputs[0], np.rint(np.fft.irfftn(spectrum, sizes, axes))
    # The first and the last channel of the answer tell as much as all of them, and cost less.
    x, kernel = (wide(array) for array in _plain(arrays).values())
    sizes, axes = x.shape[2:], tuple(range(2, x.ndim))
    turned = np.conj(np.fft.rfftn(kernel[[0, -1]], sizes, axes))
    spectrum = np.einsum("nc...,oc...->no...", np.fft.rfftn(x, axes=axes), turned)
    windows = [slice(n) for n in outputs[0].shape[2:]]
    return outputs[0][:, [0, -1]], np.rint(np.fft.irfftn(spectrum, sizes, axes))[at(windows)]


def _flip(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    flipped = {**arrays, "kernel": np.flip(arrays["kernel"])}
    return [Call("convolve", arrays, attributes), Call("cross_correlate", flipped, attributes)]


def _commutativity(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    full = {**attributes, "mode": "full"}
    swapped = {"input": arrays["kernel"], "kernel": arrays["input"]}
    return [Call(operator, arrays, full), Call(operator, swapped, full)]


def _groups(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    groups = attributes.get("groups", 1)
    if groups == 1:
        return ()
    alone = {name: value for name, value in attributes.items() if name != "groups"}
    inputs = np.split(arrays["input"], groups, 1)
    parameters = {name: np.split(array, groups) for name, array in without(arrays, "input").items()}
    parts = [{"input": x, **{k: v[i] for k, v in parameters.items()}} for i, x in enumerate(inputs)]
    return [Call(operator, arrays, attributes), *(Call(operator, part, alone) for part in parts)]


def _is_concatenation(arrays: Arrays, attributes: Attributes, outputs: Sequence[Array]) -> tuple[Array, Array]:
    return outputs[0], np.concatenate(outputs[1:], 1)


def _depthwise(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    channels, kernel = arrays["input"].shape[1], arrays["weight"].shape[2:]
    if channels == 1:
        return ()
    planes = np.resize(arrays["weight"], (channels, 1, *kernel))
    diagonal = np.zeros((channels, channels, *kernel), planes.dtype)
    diagonal[np.arange(channels), np.arange(channels)] = planes[:, 0]
    dense = {name: value for name, value in attributes.items() if name != "groups"}
    x = arrays["input"]
    return [
        Call(operator, {"input": x, "weight": planes}, {**dense, "groups": channels}),
        Call(operator, {"input": x, "weight": diagonal}, dense),
    ]


def _upsampling(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    w, given = windows_of(arrays, attributes), whole(attributes)
    if max(w.stride) == 1:
        return ()
    stuffed = {**arrays, "input": spread(arrays["input"], w.stride)}
    return [Call(operator, arrays, given), Call(operator, stuffed, {**given, "stride": 1})]


def _transpose(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    w, x, weight = windows_of(arrays, attributes), arrays["input"], arrays["weight"]
    extra = per_axis(attributes.get("output_padding", 0), len(w.kernel))
    sides = [(e - 1, e - 1 + more) for e, more in zip(w.extent, extra, strict=True)]
    turned = {"input": around(spread(x, w.stride), sides), "weight": reversed_spatially(weight.swapaxes(0, 1))}
    given = {name: value for name, value in attributes.items() if name not in ("padding", "groups")}
    return [
        Call(operator, {"input": x, "weight": weight}, given),
        Call(operator.replace("conv_transpose", "conv"), turned, {"dilation": w.dilation}),
    ]


def weights(shape: tuple[int, ...]) -> Array:
    """Return whole numbers from 1 to 3 in no order that an axis might have.

    >>> weights((2, 4))
    array([[1., 2., 3., 1.],
           [3., 2., 1., 3.]])
    """
    count = int(np.prod(shape))
    return np.asarray(np.arange(count) ** 3 % 31 % 3 + 1.0).reshape(shape)


def _adjointness(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    x, weight, w = arrays["input"], arrays["weight"], windows_of(arrays, attributes)
    if not w.fit or any(low != high for low, high in w.pairs):
        return ()
    shapes = (x.shape[0], weight.shape[1], *w.sizes), (x.shape[0], weight.shape[0], *w.counts)
    image, answer = (weights(shape).astype(x.dtype) for shape in shapes)
    given = {"stride": w.stride, "padding": tuple(low for low, _ in w.pairs), "dilation": w.dilation}
    back = {**given, "output_padding": w.left_over}
    return [
        Call(operator, {"input": image, "weight": weight}, given),
        Call(operator.replace("conv", "conv_transpose"), {"input": answer, "weight": weight}, back),
    ]


def _is_adjoint(arrays: Arrays, attributes: Attributes, outputs: Sequence[Array]) -> tuple[Array, Array]:
    # <f(x), y> = <x, f*(y)>, with a sum for each sample.
    one, other = (np.asarray((part * weights(part.shape)).reshape(part.shape[0], -1).sum(1)) for part in outputs)
    return one, other


def _pointwise(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    return [Call(operator, _one_tap(arrays), {})]


def _one_tap(arrays: Arrays) -> dict[str, Array]:
    plain = _plain(arrays)
    return {**plain, "weight": plain["weight"][at([slice(1)] * (plain["weight"].ndim - 2))]}


def _is_matrix_product(arrays: Arrays, attributes: Attributes, outputs: Sequence[Array]) -> tuple[Array, Array]:
    x, weight = (wide(array) for array in _one_tap(arrays).values())
    product = weight.reshape(weight.shape[:2]) @ x.reshape(*x.shape[:2], -1)
    return outputs[0], product.reshape(outputs[0].shape)


def _one_hot(operator: str, arrays: Arrays, attributes: Attributes) -> Sequence[Call]:
    x, kernel = arrays["input"], per_axis(attributes["kernel_size"], 2)
    taps = kernel[0] * kernel[1]
    sliding = {name: value for name, value in attributes.items() if name not in ("kernel_size", "output_size")}
    if operator == "unfold":
        if x.ndim != 4:
            return ()
        kernels = np.tile(np.eye(taps), (x.shape[1], 1)).reshape(-1, 1, *kernel).astype(x.dtype)
        layer = {**sliding, "groups": x.shape[1]}
        return [Call(operator, arrays, attributes), Call("conv2d", {"input": x, "weight": kernels}, layer)]
    if x.ndim != 3:
        return ()
    channels, sizes = x.shape[1] // taps, per_axis(attributes["output_size"], 2)
    image = {"input": np.empty((1, 1, *sizes))}  # only its shape is looked at
    w = windows_of(image, {"stride": 1, **attributes})
    planes = x.reshape(*x.shape[:2], *w.counts)
    kernels = np.tile(np.eye(taps), (channels, 1)).reshape(-1, 1, *kernel).astype(x.dtype)
    layer = {**sliding, "groups": channels, "output_padding": w.left_over}
    return [
        Call(operator, arrays, attributes),
        Call("conv_transpose2d", {"input": planes, "weight": kernels.reshape(-1, 1, *kernel)}, layer),
    ]


def _is_unfolded(arrays: Arrays, attributes: Attributes, outputs: Sequence[Array]) -> tuple[Array, Array]:
    return outputs[0], outputs[1].reshape(outputs[0].shape)


LAWS = (
    Law(
        "fourier",
        "the Fourier transform of a convolution is the product of the transforms",
        (*CONVOLUTIONS, "convolve"),
        _fourier,
        _is_product_of_spectra,
    ),
    Law(
        "flip",
        "convolution is cross-correlation with the kernel reversed",
        ("convolve", "cross_correlate"),
        _flip,
        same,
    ),
    Law(
        "commutativity", "in a full convolution input and kernel may change places", ("convolve",), _commutativity, same
    ),
    Law("groups", "groups are separate layers whose answers are put side by side", BOTH, _groups, _is_concatenation),
    Law("depthwise", "a depthwise layer is a dense one whose weight is diagonal", BOTH, _depthwise, same),
    Law(
        "upsampling",
        "a stride of a transpose is the same as zeros between the elements of its input",
        TRANSPOSED,
        _upsampling,
        same,
    ),
    Law(
        "transpose",
        "a transpose is a convolution, with the kernel reversed, of an input with zeros between and around it",
        TRANSPOSED,
        _transpose,
        same,
    ),
    Law(
        "adjointness",
        "a convolution and its transpose are adjoint: <f(x), y> = <x, f*(y)>",
        CONVOLUTIONS,
        _adjointness,
        _is_adjoint,
    ),
    Law("pointwise", "a kernel of one tap is a matrix product", CONVOLUTIONS, _pointwise, _is_matrix_product),
    Law(
        "one_hot",
        "unfolding is a depthwise layer whose kernels hold a single 1, and folding is its transpose",
        ("unfold", "fold"),
        _one_hot,
        _is_unfolded,
    ),
)
