"""Tensors of torch: the border to NumPy, how they may lie in memory, and gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from conformance.formats import Array, numpy_dtype


def from_numpy(array: Array, device: str = "cpu") -> Any:
    """Return a tensor of the array's numbers; on the CPU it shares their memory."""
    import torch

    if array.dtype == numpy_dtype("bfloat16"):
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16).to(device)
    return torch.from_numpy(array).to(device)


def to_numpy(tensor: Any) -> Array:
    """Return the numbers of a tensor, bfloat16 as ml_dtypes'."""
    import torch

    tensor = tensor.detach().cpu()
    if tensor.dtype == torch.bfloat16:
        bits: Array = tensor.view(torch.int16).numpy()
        return bits.view(numpy_dtype("bfloat16"))
    array: Array = tensor.numpy()
    return array


def vjp(function: Callable[..., Any], tensors: Mapping[str, Any], cotangent: Any) -> Mapping[str, Any]:
    """Return the gradients by autograd."""
    import torch

    leaves = {name: tensor.requires_grad_() for name, tensor in tensors.items()}
    found = torch.autograd.grad(function(**leaves), list(leaves.values()), cotangent, allow_unused=True)
    return dict(zip(leaves, found, strict=True))


def channels_last(tensor: Any) -> Any:
    """Let the channels lie next to one another."""
    return tensor.movedim(1, -1).contiguous().movedim(-1, 1) if tensor.ndim > 2 else tensor


def transposed(tensor: Any) -> Any:
    """Let the axes lie in the opposite order, as of a matrix that was transposed."""
    axes = tuple(reversed(range(tensor.ndim)))
    return tensor.permute(axes).contiguous().permute(axes)


def strided(tensor: Any) -> Any:
    """Let a gap follow every number; what lies in the gaps is NaN, or the largest of whole numbers."""
    import torch

    hole = torch.nan if tensor.is_floating_point() else torch.iinfo(tensor.dtype).max
    wide = torch.full((*tensor.shape, 2), hole, dtype=tensor.dtype, device=tensor.device)
    wide[..., 0] = tensor
    return wide[..., 0]


def offset(tensor: Any) -> Any:
    """Let the numbers begin one place after the start of their memory, where no vector instruction likes them to."""
    import torch

    wide = torch.empty(tensor.numel() + 1, dtype=tensor.dtype, device=tensor.device)
    wide[1:] = tensor.reshape(-1)
    return wide[1:].view(tensor.shape)


def broadcast(tensor: Any) -> Any:
    """Let all indices of an axis share their memory, where their numbers are the same."""
    same = tensor.ndim > 0 and tensor.shape[0] > 1 and bool((tensor == tensor[:1]).all())
    return tensor[:1].clone().expand(tensor.shape) if same else tensor


LAYOUTS = {
    "channels_last": channels_last,
    "transposed": transposed,
    "strided": strided,
    "offset": offset,
    "broadcast": broadcast,
}
