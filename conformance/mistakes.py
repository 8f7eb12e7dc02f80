"""What faults are put together from: small ways to turn a right binding into a wrong one.

A mistake is called with the right binding and with the call, a dict of arrays and attributes by name; each function
here returns one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, NoReturn

import numpy as np

from conformance.formats import Array, numpy_dtype
from conformance.honest import Binding, like
from reference.constraints import ConstraintError, per_axis
from reference.windows import Pair, padded, resolve_padding, tap_slices

Call = dict[str, Any]
Mistake = Callable[..., Any]


REFUSED = "not supported"  # what the mistake of refusing says, which no constraint does


def calling(change: Callable[[Call], Mapping[str, Any]]) -> Mistake:
    """Return the mistake of taking the arguments that `change` names for others."""

    def mistake(right: Binding, **call: Any) -> Any:
        return right(**{**call, **change(call)})

    return mistake


def taking(name: str, change: Callable[[Any], Any]) -> Mistake:
    """Return the mistake of reading one array otherwise; its dtype stays."""

    def mistake(right: Binding, **call: Any) -> Any:
        return right(**{**call, name: np.asarray(change(call[name])).astype(call[name].dtype)})

    return where(lambda call: name in call, mistake)


def answering(change: Callable[[Array, Call], Array], output: int = 0) -> Mistake:
    """Return the mistake of giving one output back otherwise."""

    def mistake(right: Binding, **call: Any) -> Any:
        result = right(**call)
        if not isinstance(result, tuple):
            return result if output else change(result, call)
        return tuple(change(part, call) if i == output else part for i, part in enumerate(result))

    return mistake


def where(predicate: Callable[[Call], Any], mistake: Mistake) -> Mistake:
    """Return the mistake that is made only where the predicate holds of the call."""

    def sometimes(right: Binding, **call: Any) -> Any:
        return mistake(right, **call) if predicate(call) else right(**call)

    return sometimes


def in_the_right_shape(mistake: Mistake) -> Mistake:
    """Return the mistake with its outputs cut, or filled up with zeros, to their right shapes."""

    def fitted(right: Binding, **call: Any) -> Any:
        expected, result = right(**call), mistake(right, **call)
        if isinstance(expected, tuple):
            return tuple(map(_fitted, expected, result))
        return _fitted(expected, result)

    return fitted


def _fitted(expected: Array, result: Array) -> Array:
    fitted = np.zeros_like(expected)
    common = tuple(slice(min(a, b)) for a, b in zip(expected.shape, result.shape, strict=True))
    fitted[common] = result[common]
    return fitted


def at_one_output(mistake: Mistake) -> Mistake:
    """Return the mistake that shows only in the last element of the output."""

    def spotted(right: Binding, **call: Any) -> Any:
        output, result = right(**call), mistake(right, **call)
        output[(-1,) * output.ndim] = result[(-1,) * output.ndim]
        return output

    return spotted


def accepting(label: str, mistake: Mistake) -> Mistake:
    """Return the mistake of not refusing what breaks the constraint of that label; `mistake` is the answer to it."""

    def accepted(right: Binding, **call: Any) -> Any:
        try:
            return right(**call)
        except ConstraintError as error:
            if error.label != label:
                raise
        return mistake(right, **call)

    return accepted


def refusing(right: Binding, **call: Any) -> NoReturn:
    """Raise, whatever the call is."""
    raise ValueError(REFUSED)


def given(name: str) -> Callable[[Call], bool]:
    """Return the predicate that an argument is among those of the call."""
    return lambda call: name in call


class Windows(NamedTuple):
    """The window arguments of a call, one number or pair for each spatial axis."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[Pair, ...]
    dilation: tuple[int, ...]


def windows(call: Call) -> Windows:
    """Return the window arguments of a convolution or a pooling, from any spelling of them."""
    spatial = call["input"].shape[2:]
    if "kernel_size" in call:
        kernel = per_axis("kernel-size", "kernel_size", call["kernel_size"], len(spatial), 1)
        stride = per_axis("stride", "stride", call.get("stride", kernel), len(spatial), 1)
    else:
        kernel = call["weight"].shape[2:]
        stride = per_axis("stride", "stride", call.get("stride", 1), len(spatial), 1)
    dilation = per_axis("dilation", "dilation", call.get("dilation", 1), len(spatial), 1)
    return Windows(kernel, stride, resolve_padding(call.get("padding", 0), spatial, kernel, stride, dilation), dilation)


def reversed_axes(name: str) -> Mistake:
    """Return the mistake of taking a window argument's values in reverse order of the axes."""
    return calling(lambda call: {name: getattr(windows(call), name)[::-1]})


def first_axis_at_one(name: str) -> Mistake:
    """Return the mistake of taking a window argument for 1 along the first spatial axis."""
    return calling(lambda call: {name: (1, *getattr(windows(call), name)[1:])})


def padding_as(change: Callable[[Pair], Pair]) -> Mistake:
    """Return the mistake of padding every axis by a changed (low, high)."""
    return calling(lambda call: {"padding": tuple(map(change, windows(call).padding))})


def padded_with(**options: Any) -> Mistake:
    """Return the mistake of padding with something else: options as of numpy.pad."""

    def change(call: Call) -> Call:
        return {"input": np.pad(call["input"], ((0, 0), (0, 0), *windows(call).padding), **options), "padding": 0}

    return calling(change)


def sized(size: Callable[[int, int, int, int], int]) -> Mistake:
    """Return the mistake of another output size: size(input + padding, extent, stride, kernel) along every axis."""

    def resized(output: Array, call: Call) -> Array:
        w = windows(call)
        whole = (n + low + high for n, (low, high) in zip(call["input"].shape[2:], w.padding, strict=True))
        extents = (d * (k - 1) + 1 for k, d in zip(w.kernel, w.dilation, strict=True))
        spatial = map(size, whole, extents, w.stride, w.kernel)
        return np.zeros((*output.shape[:2], *(max(n, 0) for n in spatial)), output.dtype)

    return answering(resized)


def zeroed(array: Array, *index: Any) -> Array:
    """Return a copy with zeros at an index."""
    copy = array.copy()
    copy[index] = 0
    return copy


def tap_values(array: Array, call: Call, output: tuple[int, ...], fill: float) -> Iterator[Array]:
    """Yield what each kernel tap meets, window by window, of an array padded as in the call; `fill` is the padding."""
    w = windows(call)
    # Enough on the high side for the overhang of a ceil mode.
    sides = [
        (low, o * s + d * k)
        for (low, _), o, s, d, k in zip(w.padding, output, w.stride, w.dilation, w.kernel, strict=True)
    ]
    plane = padded(array, sides, fill)
    for _, part in tap_slices(w.kernel, w.stride, w.dilation, output):
        yield plane[part]


def tap_by_tap(right: Binding, combine: Callable[[Array, Array], Array], **call: Any) -> Array:
    """Return a convolution that combines what one kernel tap after the other adds to the output, in float32.

    combine: (what there is so far, what the next tap adds) -> what there is then.
    """
    dtype, bias = call["input"].dtype, call.pop("bias", None)
    weight, wide = call.pop("weight").astype(np.float32), {**call, "input": call["input"].astype(np.float32)}
    total = right(weight=np.zeros_like(weight), **wide)
    for tap in np.ndindex(weight.shape[2:]):
        alone = np.zeros_like(weight)
        alone[(..., *tap)] = weight[(..., *tap)]
        total = combine(total, right(weight=alone, **wide))
    if bias is not None:
        total = total + parameter(bias.astype(np.float32), total.ndim)
    return like(total, dtype)


def through(name: str) -> Mistake:
    """Return the mistake of computing in, and returning by way of, another format."""

    def mistake(right: Binding, **call: Any) -> Any:
        own = call["input"].dtype
        result = right(**{k: like(v, numpy_dtype(name)) if isinstance(v, np.ndarray) else v for k, v in call.items()})
        return tuple(like(part, own) for part in result) if isinstance(result, tuple) else like(result, own)

    return mistake


def groups_of(call: Call) -> int:
    """Return the number of groups."""
    return int(call.get("groups", 1))


def parameter(array: Array, rank: int) -> Array:
    """Return one number a channel in the shape that broadcasts against an input of that many axes."""
    return array.reshape(-1, *(1,) * (rank - 2))


def leaking(output: Array, call: Call) -> Array:
    """Return the output plus zero times everything that was read: nothing, unless something in it is not finite."""
    with np.errstate(all="ignore"):
        return np.asarray(output + (0 * call["input"].astype(np.float64).sum()).astype(output.dtype))


def saturated(output: Array, call: Call) -> Array:
    """Return the output with the largest finite numbers for infinities."""
    most = np.finfo(output.dtype).max
    return np.clip(output, -most, most)


def without_nan(array: Array) -> Array:
    """Return a copy with 0 for every NaN."""
    return np.where(np.isnan(array), 0, array)
