"""Gradients of fractional max pooling."""

from __future__ import annotations

from numpy.typing import ArrayLike

from reference.arrays import Array
from reference.fractional_pooling import Ratios, fractional_windows
from reference.ranks import of_rank
from reference.vjp.max_pooling import real_cotangent, to_first
from reference.windows import Sizes


def fractional_max_pool(
    rank: int,
    cotangent: ArrayLike,
    input: ArrayLike,
    kernel_size: Sizes,
    output_size: Sizes | None = None,
    output_ratio: Ratios | None = None,
    random_samples: ArrayLike | None = None,
) -> Array:
    """Return the gradient of sum(cotangent * fractional_max_pool(input, ...)); random numbers have none.

    Formula: sum of cotangent[n, c, u] over the windows u whose index the element has.

    Shapes: cotangent as the output; gradient as input.

    Units: those of cotangent.

    Constraints: as `reference.fractional_max_pool2d`; `cotangent`: real, of the shape of the output.

    Accuracy: within gamma(m) * sum |cotangent| of float64, m windows that have the element.

    Source: PyTorch, ATen/native/FractionalMaxPool2d.cpp, fractional_max_pool2d_backward_cpu.

    >>> fractional_max_pool2d([[[9]]], [[[1, 2], [4, 3]]], 2, output_size=1, random_samples=[[[0.5, 0.5]]])
    array([[[0., 0.],
            [9., 0.]]])
    """
    w = fractional_windows(rank, input, kernel_size, output_size, output_ratio, random_samples)
    return w.finished(to_first(real_cotangent(cotangent, w), w))


fractional_max_pool2d = of_rank(2, fractional_max_pool)
fractional_max_pool3d = of_rank(3, fractional_max_pool)
