"""One N-dimensional body, three ranks: how conv1d, conv2d and conv3d come out of one function.

A body takes the number of spatial axes as its first argument. Its docstring serves all ranks.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

import numpy as np

from reference.arrays import Array
from reference.constraints import refuse

P = ParamSpec("P")
R = TypeVar("R")


def of_rank(rank: int, body: Callable[Concatenate[int, P], R]) -> Callable[P, R]:
    """Return the body for that many spatial axes, under the body's name with the rank added: conv -> conv2d."""

    @wraps(body)
    def function(*args: P.args, **kwargs: P.kwargs) -> R:
        return body(rank, *args, **kwargs)

    signature = inspect.signature(body)
    name = f"{body.__name__}{rank}d"
    vars(function).pop("__wrapped__")  # it has one argument more
    vars(function)["__signature__"] = signature.replace(parameters=list(signature.parameters.values())[1:])
    function.__name__ = function.__qualname__ = name
    return function


def with_batch_axis(rank: int, x: Array) -> tuple[Array, bool]:
    """Return the input as (N, C, *spatial), and whether it had its batch axis; refuse any other shape."""
    if x.ndim not in (rank + 1, rank + 2):
        refuse(
            "input-rank",
            "input",
            x.shape,
            f"must be (N, C, *spatial) or (C, *spatial) with {rank} spatial axes",
        )
    if 0 in x.shape[x.ndim - rank :]:
        refuse("spatial-size", "input", x.shape, "must not have a spatial axis of length 0")
    batched = x.ndim == rank + 2
    return (x if batched else x[np.newaxis]), batched
