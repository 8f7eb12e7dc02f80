"""Drawn calls of convolution layers, their transposes, unfold and fold: whole numbers, so the bits must agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from agreements.call import Call
from torch.nn import functional as F


def integers(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.integers(-9, 10, shape).astype(np.float64)


def sizes(rng: np.random.Generator, rank: int, low: int, high: int) -> list[int]:
    return rng.integers(low, high + 1, rank).tolist()


def spelled(rng: np.random.Generator, values: list[int], single: bool = True) -> Any:
    """Return the values as torch takes them: a sequence, or one number where they are alike, maybe in a sequence."""
    if len(set(values)) == 1 and rng.random() < 0.5:
        return (values[0],) if single and rng.random() < 0.5 else values[0]
    return tuple(values)


def draw_conv(rng: np.random.Generator, rank: int) -> Call:
    groups, per_in, per_out = (int(n) for n in rng.integers(1, 3, 3))
    kernel, stride, dilation = sizes(rng, rank, 1, 3), sizes(rng, rank, 1, 3), sizes(rng, rank, 1, 2)
    padding = sizes(rng, rank, 0, 2)
    extent = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    size = [max(1, e - 2 * p) + int(rng.integers(0, 4)) for e, p in zip(extent, padding, strict=True)]
    modes = ["zeros", "zeros", "replicate"]
    if all(p < n for p, n in zip(padding, size, strict=True)):
        modes += ["reflect"]
    if all(p <= n for p, n in zip(padding, size, strict=True)):
        modes += ["circular"]
    mode = str(rng.choice(modes))
    attributes: dict[str, Any] = {"dilation": spelled(rng, dilation), "groups": groups}
    function = getattr(F, f"conv{rank}d")
    if mode == "zeros" and rng.random() < 0.2:
        attributes["padding"] = str(rng.choice(["same", "valid"]))
        if attributes["padding"] == "valid":
            size = [max(n, e) for n, e in zip(size, extent, strict=True)]
            attributes["stride"] = spelled(rng, stride)
    else:
        attributes |= {"padding": spelled(rng, padding), "stride": spelled(rng, stride)}
    lead = [[], [1], [2]][rng.integers(3)]
    arrays = {
        "input": integers(rng, *lead, groups * per_in, *size),
        "weight": integers(rng, groups * per_out, per_in, *kernel),
    }
    if rng.random() < 0.5:
        arrays["bias"] = integers(rng, groups * per_out)
    if mode == "zeros":
        return Call(f"conv{rank}d", arrays, attributes, lambda **a: function(**a, **attributes))
    others = {name: value for name, value in attributes.items() if name != "padding"}
    margin = [p for p in reversed(padding) for _ in range(2)]

    def peer(input: torch.Tensor, **a: torch.Tensor) -> torch.Tensor:
        # torch.nn.ConvNd pads with the same function; without a batch axis it wants one for the modes.
        batched = input if input.ndim == rank + 2 else input[None]
        output = function(F.pad(batched, margin, mode), **a, **others)
        return output if input.ndim == rank + 2 else output[0]

    return Call(f"conv{rank}d", arrays, attributes | {"padding_mode": mode}, peer)


def draw_conv_transpose(rng: np.random.Generator, rank: int) -> Call:
    groups, per_in, per_out = (int(n) for n in rng.integers(1, 3, 3))
    kernel, stride, dilation = sizes(rng, rank, 1, 3), sizes(rng, rank, 1, 3), sizes(rng, rank, 1, 2)
    extent = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    padding = [int(rng.integers(0, (e - 1) // 2 + 1)) for e in extent]
    size = sizes(rng, rank, 1, 3)
    arrays = {
        "input": integers(rng, *[[], [1], [2]][rng.integers(3)], groups * per_in, *size),
        "weight": integers(rng, groups * per_in, per_out, *kernel),
    }
    if rng.random() < 0.5:
        arrays["bias"] = integers(rng, groups * per_out)
    attributes = {
        "stride": spelled(rng, stride),
        "padding": spelled(rng, padding),
        "dilation": spelled(rng, dilation),
        "groups": groups,
    }
    extra = [int(rng.integers(0, max(s, d))) for s, d in zip(stride, dilation, strict=True)]
    function = getattr(F, f"conv_transpose{rank}d")
    theirs = attributes | {"output_padding": spelled(rng, extra)}
    if rng.random() < 0.5:
        ours: dict[str, Any] = theirs
    else:
        least = [(n - 1) * s - 2 * p + e for n, s, p, e in zip(size, stride, padding, extent, strict=True)]
        ours = attributes | {"output_size": tuple(n + e for n, e in zip(least, extra, strict=True))}
    return Call(f"conv_transpose{rank}d", arrays, ours, lambda **a: function(**a, **theirs))


def draw_windows(rng: np.random.Generator) -> tuple[dict[str, Any], list[int], list[int], int]:
    """Return attributes that unfold and fold share, the spatial size, the kernel and the number of windows.

    torch documents sequences of one number for these two, but refuses them.
    """
    kernel, stride, dilation = sizes(rng, 2, 1, 3), sizes(rng, 2, 1, 3), sizes(rng, 2, 1, 2)
    padding = sizes(rng, 2, 0, 2)
    extent = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    size = [max(1, e - 2 * p) + int(rng.integers(0, 4)) for e, p in zip(extent, padding, strict=True)]
    count = [(n + 2 * p - e) // s + 1 for n, p, e, s in zip(size, padding, extent, stride, strict=True)]
    attributes = {
        "kernel_size": spelled(rng, kernel, single=False),
        "dilation": spelled(rng, dilation, single=False),
        "padding": spelled(rng, padding, single=False),
        "stride": spelled(rng, stride, single=False),
    }
    return attributes, size, kernel, int(np.prod(count))


def draw_unfold(rng: np.random.Generator) -> Call:
    attributes, size, _, _ = draw_windows(rng)
    x = integers(rng, *[[], [2]][rng.integers(2)], int(rng.integers(1, 3)), *size)
    return Call("unfold", {"input": x}, attributes, lambda input: F.unfold(input, **attributes))


def draw_fold(rng: np.random.Generator) -> Call:
    attributes, size, kernel, windows = draw_windows(rng)
    x = integers(rng, *[[], [2]][rng.integers(2)], int(rng.integers(1, 3)) * int(np.prod(kernel)), windows)
    attributes["output_size"] = spelled(rng, size, single=False)
    return Call("fold", {"input": x}, attributes, lambda input: F.fold(input, **attributes))


DRAWS = {
    **{f"conv{rank}d": (lambda rng, rank=rank: draw_conv(rng, rank)) for rank in (1, 2, 3)},
    **{f"conv_transpose{rank}d": (lambda rng, rank=rank: draw_conv_transpose(rng, rank)) for rank in (1, 2, 3)},
    "unfold": draw_unfold,
    "fold": draw_fold,
}
