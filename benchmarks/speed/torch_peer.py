"""PyTorch in float64 on one thread, whose names and arguments ours are."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from speed.calls import Call, Gradient

NAME, VERSION = "torch", torch.__version__
PRECISION = float(np.sqrt(np.finfo(np.float64).eps))  # sums are added in another order: half of the digits agree
WRONG = {"gradients of hardsigmoid": "torch multiplies by 1 / 6 as float32 holds it"}
CONSTANT = ("running_mean", "running_var", "random_samples", "target", "indices")  # arrays that have no gradient

torch.set_num_threads(1)


def answerer(call: Call | Gradient) -> Callable[[], Any] | None:
    """Return what answers the call, of gradients the backward pass only; None where PyTorch has no such function."""
    forward = call.call if isinstance(call, Gradient) else call
    function = getattr(torch.nn.functional, forward.name, None) or getattr(torch, forward.name, None)
    if function is None:
        return None
    tensors = {name: torch.from_numpy(array.copy()) for name, array in forward.arrays.items()}
    arguments = {"_" * (name == "random_samples") + name: tensor for name, tensor in tensors.items()}
    run = partial(function, **arguments, **forward.attributes)
    if not isinstance(call, Gradient):
        return run
    varied = [tensor.requires_grad_() for name, tensor in tensors.items() if name not in CONSTANT]
    return partial(torch.autograd.grad, run(), varied, torch.from_numpy(call.cotangent), retain_graph=True)
