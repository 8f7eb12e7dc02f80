"""What every gradient does with its cotangent before anything else."""

from __future__ import annotations

from collections.abc import Sequence

from reference.arrays import Array, widen
from reference.constraints import refuse


def checked(cotangent: object, shape: Sequence[int]) -> Array:
    """Return the cotangent, widened, if it has the shape of the output, or refuse."""
    g = widen("cotangent", cotangent)
    if g.shape != tuple(shape):
        refuse("cotangent", "cotangent", g.shape, f"must have the shape of the output, {tuple(shape)}")
    return g
