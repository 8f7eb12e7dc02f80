"""Drawn calls of pooling layers: whole numbers, NaN, infinities; only quotients and powers leave room for rounding."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from agreements.call import Call, exactly
from torch.nn import functional as F

import reference

UNIT_ROUNDOFF = 2.0**-53


def image(rng: np.random.Generator, size: Sequence[int], low: int = -9, special: bool = False) -> np.ndarray:
    """Return whole numbers, with a batch axis or without; some of them NaN or infinite where that is asked for."""
    x = rng.integers(low, 10, (*[(), (1,), (2,)][rng.integers(3)], int(rng.integers(1, 3)), *size)).astype(np.float64)
    if special and rng.random() < 0.5:
        x[rng.random(x.shape) < 0.3] = np.nan
        x[rng.random(x.shape) < 0.3] = rng.choice([-np.inf, np.inf])
    return x


def spelled(rng: np.random.Generator, values: Sequence[int]) -> Any:
    """Return the values as torch takes them: a sequence, or one number where they are alike, maybe in a sequence."""
    if len(set(values)) == 1 and rng.random() < 0.5:
        return (values[0],) if rng.random() < 0.5 else values[0]
    return tuple(values)


def windows(
    rng: np.random.Generator, rank: int, dilated: bool, padded: bool = True
) -> tuple[dict[str, Any], list[int]]:
    """Return the attributes of windows, and a size that they fit."""
    kernel = rng.integers(1, 4, rank).tolist()
    dilation = rng.integers(1, 3, rank).tolist() if dilated else [1] * rank
    stride = None if rng.random() < 0.3 else rng.integers(1, 4, rank).tolist()
    extent = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    # torch wants half of the dense kernel to cover it, in three dimensions no input that is smaller.
    padding = [int(rng.integers(0, k // 2 + 1)) if padded else 0 for k in kernel]
    ceil = bool(rng.integers(2))
    size = []
    for k, e, s, p in zip(kernel, extent, stride or kernel, padding, strict=True):
        least = max(1, e - 2 * p - (s - 1 if ceil else 0))
        size.append(max(least, k if rank == 3 else 1) + int(rng.integers(0, 4)))
    attributes: dict[str, Any] = {"kernel_size": spelled(rng, kernel)}
    if stride is not None or rng.random() < 0.5:
        attributes["stride"] = None if stride is None else spelled(rng, stride)
    if padded and (any(padding) or rng.random() < 0.5):
        attributes["padding"] = spelled(rng, padding)
    if any(d > 1 for d in dilation) or (dilated and rng.random() < 0.5):
        attributes["dilation"] = spelled(rng, dilation)
    if ceil or rng.random() < 0.5:
        attributes["ceil_mode"] = ceil
    return attributes, size


def rounded_sums(name: str, arrays: dict[str, Any], attributes: dict[str, Any], terms: int, of_output: float) -> Any:
    """Return a bound for sums of quotients: a rounding for each term on either side, and `of_output` for outputs."""

    def bound(part: str, expected: np.ndarray) -> Any:
        if part == "output":
            return of_output * UNIT_ROUNDOFF * np.abs(expected)
        output = getattr(reference, name)(**arrays, **attributes)
        cotangent = np.abs(np.random.default_rng(0).integers(-9, 10, output.shape)).astype(np.float64)
        size = getattr(reference.vjp, name)(cotangent, **arrays, **attributes)  # negative where all divisors are
        return 2 * (terms + 3) * UNIT_ROUNDOFF * np.abs(size)

    return bound


def in_full(rank: int, attributes: dict[str, Any]) -> dict[str, Any]:
    """Return attributes as every function of torch takes them: a number for one axis, else one for each axis."""

    def full(value: Any) -> Any:
        if isinstance(value, tuple) and len(value) == 1:
            return value[0] if rank == 1 else value * rank
        return value

    return {name: full(value) for name, value in attributes.items()}


def volume(rank: int, size: Any) -> int:
    """Return the number of taps of a kernel."""
    return math.prod(size if isinstance(size, tuple) and len(size) == rank else (int(np.max(size)),) * rank)


def one_more_axis(attributes: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes of pooling along one axis for two, the first of length 1."""
    sizes = {"kernel_size": 1, "stride": 1, "padding": 0}
    return {
        name: (sizes[name], value) if name in sizes and value is not None else value
        for name, value in in_full(1, attributes).items()
    }


def avg_pool(rank: int, input: torch.Tensor, **attributes: Any) -> torch.Tensor:
    """Return torch's average pooling; along one axis torch has no divisor_override."""
    if rank == 1 and "divisor_override" in attributes:
        return F.avg_pool2d(input[..., None, :], **one_more_axis(attributes))[..., 0, :]
    return getattr(F, f"avg_pool{rank}d")(input, **attributes)  # type: ignore[no-any-return]


def draw_max_pool(rng: np.random.Generator, rank: int) -> Call:
    attributes, size = windows(rng, rank, dilated=True)
    function = getattr(F, f"max_pool{rank}d")
    x, indexed = image(rng, size, low=-int(rng.integers(3, 10)), special=True), bool(rng.integers(2))
    ignored = not np.isneginf(x).any() and rng.random() < 0.3
    nothing = torch.isneginf(function(torch.zeros(x.shape, dtype=torch.float64), **attributes))

    def peer(input: torch.Tensor) -> Any:
        if ignored:
            input = torch.where(torch.isnan(input), -torch.inf, input)
        output = function(input, **attributes, return_indices=indexed)
        if not indexed:
            return output
        # For a window without an element torch gives an index that may lie outside the input, the reference none.
        none = torch.isneginf(output[0]) if ignored else nothing
        return output[0], torch.where(none, -1, output[1])

    # Backward torch would write outside the input.
    constant = ("input",) if nothing.any() else ()
    nan = {"nan": "ignore"} if ignored else {"nan": "propagate"} if rng.random() < 0.2 else {}
    given = {"return_indices": indexed} if indexed or rng.random() < 0.5 else {}
    return Call(f"max_pool{rank}d", {"input": x}, attributes | nan, peer, constant=constant, forward_only=given)


def draw_avg_pool(rng: np.random.Generator, rank: int) -> Call:
    attributes, size = windows(rng, rank, dilated=False)
    if rng.random() < 0.6:
        attributes["count_include_pad"] = bool(rng.integers(2))
    if rng.random() < 0.4:
        attributes["divisor_override"] = None if rng.random() < 0.2 else int(rng.choice([-3, 1, 2, 7]))
    x = image(rng, size)
    bound = rounded_sums(f"avg_pool{rank}d", {"input": x}, attributes, volume(rank, attributes["kernel_size"]), 0)
    return Call(f"avg_pool{rank}d", {"input": x}, attributes, lambda input: avg_pool(rank, input, **attributes), bound)


def draw_lp_pool(rng: np.random.Generator, rank: int) -> Call:
    attributes, size = windows(rng, rank, dilated=False, padded=False)
    p = float(rng.choice([1, 2, 3, 4, 1.5, 0.5, -1, -2, np.inf, -np.inf]))
    sign, overhang = str(rng.choice(["power", "absolute"])), str(rng.choice(["rescale", "sum"]))
    # Sums of powers that are no whole numbers cancel only where one rounds and the other does not.
    x = image(rng, size, low=int(rng.integers(2)) if p == -1 else -9 if p % 1 == 0 or math.isinf(p) else -1)
    plain = in_full(rank, attributes)

    def peer(input: torch.Tensor) -> torch.Tensor:
        input = input.abs() if sign == "absolute" else input
        if overhang == "rescale" or math.isinf(p):
            return getattr(F, f"lp_pool{rank}d")(input, p, **plain)  # type: ignore[no-any-return]
        total = avg_pool(rank, input.pow(p), **attributes, divisor_override=1)
        return (torch.sign(total) * F.relu(torch.abs(total))).pow(1 / p)

    conventions = {"sign_rule": sign} if sign == "absolute" or rng.random() < 0.5 else {}
    conventions |= {"overhang": overhang} if overhang == "sum" or rng.random() < 0.5 else {}
    given = {"norm_type": p} | attributes | conventions
    bound = exactly if math.isinf(p) else rounded_norms(rank, np.abs(x) if sign == "absolute" else x, p, attributes)
    return Call(f"lp_pool{rank}d", {"input": x}, given, peer, bound)


def rounded_norms(rank: int, x: np.ndarray, p: float, attributes: dict[str, Any]) -> Any:
    """Return the bound that the references tell, for both sides; torch rounds n terms n + 6 times."""
    n = volume(rank, attributes["kernel_size"])

    def bound(part: str, expected: np.ndarray) -> Any:
        powers = torch.from_numpy(x).pow(p)
        sums = partial(avg_pool, rank, **attributes, divisor_override=1)
        total, size = sums(powers).abs().numpy(), sums(powers.abs()).numpy()
        with np.errstate(all="ignore"):
            condition = np.where(size == total, 1, size / total)
            if part == "output":
                logs = np.where(expected > 0, np.abs(np.log(expected)), 0)
                error = ((n + 6) / abs(p) * condition + logs + 2) * np.abs(expected)
            else:
                # Scales lie between 1 and n, and no window has more elements than the kernel.
                worst = np.max(condition, initial=1, where=np.isfinite(condition))
                logs = 2 * np.max(np.abs(np.log(total * n)), initial=0, where=total > 0) + np.log(n * 9)
                cotangent = np.abs(np.random.default_rng(0).integers(-9, 10, total.shape))
                slopes = np.where(total > 0, cotangent * n * n ** abs(1 / p - 1) * total ** (1 / p - 1), 0)
                adjoint = getattr(reference.vjp, f"avg_pool{rank}d")(slopes, x, **attributes, divisor_override=1)
                error = (n + 10 + abs(1 / p - 1) * (n + 6) * worst + logs) * adjoint * np.abs(x) ** (p - 1)
            return np.where(np.isfinite(expected), 2 * UNIT_ROUNDOFF * error, 0)

    return bound


def output_sizes(rng: np.random.Generator, rank: int, size: Sequence[int]) -> tuple[Any, tuple[int, ...]]:
    """Return how many regions are asked for, in a spelling of the references and as plain numbers."""
    least = int(rng.random() < 0.9)
    wanted = [None if rng.random() < 0.15 else int(rng.integers(least, 8)) for _ in range(rank)]
    if rng.random() < 0.3:
        wanted = wanted[:1] * rank
    plain = tuple(n if o is None else o for o, n in zip(wanted, size, strict=True))
    same = len(set(wanted)) == 1 and rng.random() < 0.7
    return ((wanted[0] if rng.random() < 0.5 else (wanted[0],)) if same else tuple(wanted)), plain


def draw_adaptive_avg_pool(rng: np.random.Generator, rank: int) -> Call:
    size = rng.integers(1, 8 if rank < 3 else 5, rank).tolist()
    given, plain = output_sizes(rng, rank, size)
    name, x = f"adaptive_avg_pool{rank}d", image(rng, size)
    terms = math.prod(max(pair) for pair in zip(size, plain, strict=True))
    # torch divides by the length of the region along one axis after the other.
    bound = rounded_sums(name, {"input": x}, {"output_size": given}, terms, 4)
    constant = () if all(plain) else ("input",)  # torch cannot go back from no region
    peer = partial(getattr(F, name), output_size=plain)
    return Call(name, {"input": x}, {"output_size": given}, lambda input: peer(input), bound, constant)


def draw_adaptive_max_pool(rng: np.random.Generator, rank: int) -> Call:
    size = rng.integers(1, 8 if rank < 3 else 5, rank).tolist()
    given, plain = output_sizes(rng, rank, size)
    name, indexed = f"adaptive_max_pool{rank}d", bool(rng.integers(2))
    x = image(rng, size, low=-int(rng.integers(3, 10)), special=True)
    ignored = not np.isinf(x).any() and rng.random() < 0.3

    def peer(input: torch.Tensor) -> Any:
        if ignored:
            input = torch.where(torch.isnan(input), -torch.inf, input)
        output, indices = getattr(F, name)(input, plain, return_indices=True)
        # For a region of which nothing is left the reference gives no index.
        return (output, torch.where(torch.isneginf(output), -1, indices) if ignored else indices) if indexed else output

    attributes = {"output_size": given} | ({"nan": "ignore"} if ignored else {})
    constant = () if all(plain) else ("input",)  # torch cannot go back from no region
    forward_only = {"return_indices": True} if indexed else {}
    return Call(name, {"input": x}, attributes, peer, constant=constant, forward_only=forward_only)


def draw_fractional_max_pool(rng: np.random.Generator, rank: int) -> Call:
    kernel = rng.integers(1, 4, rank).tolist()
    wanted = rng.integers(1, 5 if rank == 2 else 4, rank).tolist()
    # In three dimensions torch wants one element more than the windows need.
    size = [k + o - 1 + (rank == 3) + int(rng.integers(0, 5)) for k, o in zip(kernel, wanted, strict=True)]
    attributes: dict[str, Any] = {"kernel_size": spelled(rng, kernel)}
    if rng.random() < 0.3 and all(o < n for o, n in zip(wanted, size, strict=True)):
        attributes["output_ratio"] = tuple((o + 0.5) / n for o, n in zip(wanted, size, strict=True))
    else:
        attributes["output_size"] = spelled(rng, wanted)
    name, indexed = f"fractional_max_pool{rank}d", bool(rng.integers(2))
    x = image(rng, size, low=-int(rng.integers(3, 10)), special=True)
    samples = rng.random((x.shape[0] if x.ndim == rank + 2 else 1, x.shape[-rank - 1], rank))
    samples = np.floor(samples * 4) / 4 if rng.random() < 0.3 else samples
    plain = in_full(rank, attributes)

    def peer(input: torch.Tensor, random_samples: torch.Tensor) -> Any:
        return getattr(F, name)(input, **plain, return_indices=indexed, _random_samples=random_samples)

    arrays, given = {"input": x, "random_samples": samples}, {"return_indices": True} if indexed else {}
    return Call(name, arrays, attributes, peer, constant=("random_samples",), forward_only=given)


def draw_max_unpool(rng: np.random.Generator, rank: int) -> Call:
    size, kernel = rng.integers(1, 4, rank).tolist(), rng.integers(1, 4, rank).tolist()
    stride = None if rng.random() < 0.3 else rng.integers(1, 4, rank).tolist()
    steps = stride or kernel
    reach = [(n - 1) * s + k for n, s, k in zip(size, steps, kernel, strict=True)]
    padding = [int(rng.integers(0, min(k, n - 1) // 2 + 1)) for n, k in zip(reach, kernel, strict=True)]
    plain = [n - 2 * p for n, p in zip(reach, padding, strict=True)]
    out = [max(1, n + int(rng.integers(1 - s, s))) for n, s in zip(plain, steps, strict=True)]
    attributes: dict[str, Any] = {"kernel_size": spelled(rng, kernel)}
    if stride is not None or rng.random() < 0.5:
        attributes["stride"] = None if stride is None else spelled(rng, stride)
    if any(padding) or rng.random() < 0.5:
        attributes["padding"] = spelled(rng, padding)
    x, name = image(rng, size), f"max_unpool{rank}d"
    if out != plain or rng.random() < 0.3:
        lead = (7, 7) if rng.random() < 0.3 else ()  # torch reads the last ones only
        attributes["output_size"] = (*lead, *out)
    else:
        out = plain
    count, taken = math.prod(out), math.prod(size)
    planes = math.prod(x.shape[: x.ndim - rank])
    repeated = taken > count or rng.random() < 0.2
    rows = [rng.integers(0, count, taken) if repeated else rng.permutation(count)[:taken] for _ in range(planes)]
    indices = np.array(rows).reshape(x.shape)
    sizes = {name: value for name, value in attributes.items() if name != "output_size"}
    given = in_full(rank, sizes) | {"output_size": attributes.get("output_size")}
    peer = partial(getattr(F, name), **given)
    return Call(name, {"input": x, "indices": indices}, attributes, lambda input, indices: peer(input, indices))


FAMILIES = {
    "max_pool": (draw_max_pool, (1, 2, 3)),
    "avg_pool": (draw_avg_pool, (1, 2, 3)),
    "lp_pool": (draw_lp_pool, (1, 2, 3)),
    "adaptive_avg_pool": (draw_adaptive_avg_pool, (1, 2, 3)),
    "adaptive_max_pool": (draw_adaptive_max_pool, (1, 2, 3)),
    "fractional_max_pool": (draw_fractional_max_pool, (2, 3)),
    "max_unpool": (draw_max_unpool, (1, 2, 3)),
}
DRAWS: dict[str, Callable[[np.random.Generator], Call]] = {
    f"{name}{rank}d": partial(draw, rank=rank) for name, (draw, ranks) in FAMILIES.items() for rank in ranks
}
