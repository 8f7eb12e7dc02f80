"""Gradients of adaptive pooling."""

from __future__ import annotations

from numpy.typing import ArrayLike

from reference.adaptive_pooling import OptionalSizes, regions
from reference.arrays import Array
from reference.max_pooling import max_windows
from reference.ranks import of_rank
from reference.vjp.avg_pooling import cotangent_of, mean_adjoint
from reference.vjp.max_pooling import real_cotangent, to_first


def adaptive_avg_pool(rank: int, cotangent: ArrayLike, input: ArrayLike, output_size: OptionalSizes) -> Array:
    """Return the gradient of sum(cotangent * adaptive_avg_pool(input, output_size)).

    Formula: sum over the regions i that have the element of cotangent[n, c, i] / elements of the region.

    Shapes: cotangent as the output; gradient as input.

    Units: those of cotangent.

    Constraints: as `reference.adaptive_avg_pool2d`; `cotangent`: the shape of the output.

    Accuracy: as that of `avg_pool2d`, the divisors being the numbers of elements.

    Source: PyTorch, ATen/native/AdaptiveAveragePooling.cpp.

    >>> adaptive_avg_pool1d([[2, 6, 4]], [[1, 2, 3, 4, 5]], 3)
    array([[1., 3., 2., 4., 2.]])
    """
    w = regions(rank, input, output_size)
    return w.finished(mean_adjoint(cotangent_of(cotangent, w), w.lines, [line.lengths() for line in w.lines]))


def adaptive_max_pool(
    rank: int, cotangent: ArrayLike, input: ArrayLike, output_size: OptionalSizes, nan: str = "propagate"
) -> Array:
    """Return the gradient of sum(cotangent * adaptive_max_pool(input, output_size)).

    Formula: sum of cotangent[n, c, i] over the regions i whose index the element has.

    Shapes: cotangent as the output; gradient as input.

    Units: those of cotangent.

    Constraints: as `reference.adaptive_max_pool2d`; `cotangent`: real, of the shape of the output.

    Accuracy: within gamma(m) * sum |cotangent| of float64, m regions that have the element.

    Source: PyTorch, ATen/native/AdaptiveMaxPooling2d.cpp.

    >>> adaptive_max_pool1d([[2, 6, 4]], [[1, 2, 3, 5, 4]], 3)
    array([[ 0.,  2.,  0., 10.,  0.]])
    """
    w = max_windows(regions(rank, input, output_size), nan)
    return w.finished(to_first(real_cotangent(cotangent, w), w, nan))


adaptive_avg_pool1d = of_rank(1, adaptive_avg_pool)
adaptive_avg_pool2d = of_rank(2, adaptive_avg_pool)
adaptive_avg_pool3d = of_rank(3, adaptive_avg_pool)
adaptive_max_pool1d = of_rank(1, adaptive_max_pool)
adaptive_max_pool2d = of_rank(2, adaptive_max_pool)
adaptive_max_pool3d = of_rank(3, adaptive_max_pool)
