"""Gradients of max unpooling."""

from __future__ import annotations

from numpy.typing import ArrayLike

from reference.arrays import Array
from reference.ranks import of_rank
from reference.unpooling import unpooling
from reference.vjp.cotangents import checked
from reference.windows import Padding, Sizes


def max_unpool(
    rank: int,
    cotangent: ArrayLike,
    input: ArrayLike,
    indices: ArrayLike,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Padding = 0,
    output_size: Sizes | None = None,
) -> Array:
    """Return the gradient of sum(cotangent * max_unpool(input, indices, ...)) with respect to the input.

    Formula: gradient[n, c, u] = cotangent[n, c, indices[n, c, u]]. Where an index repeats, each of its elements gets
    that, although only the last was put there (PyTorch).

    Shapes: cotangent as the output; gradient as input.

    Units: those of cotangent.

    Constraints: as `reference.max_unpool2d`; `cotangent`: the shape of the output.

    Accuracy: exact.

    Source: PyTorch, tools/autograd/derivatives.yaml, max_unpool2d.

    >>> max_unpool1d([[1, 2, 3, 4]], [[5, 7]], [[0, 3]], 2)
    array([[1, 4]])
    """
    call = unpooling(rank, input, indices, kernel_size, stride, padding, output_size)
    g = checked(cotangent, call.output_shape)
    return g.ravel()[call.flat_indices].reshape(call.x.shape)


max_unpool1d = of_rank(1, max_unpool)
max_unpool2d = of_rank(2, max_unpool)
max_unpool3d = of_rank(3, max_unpool)
