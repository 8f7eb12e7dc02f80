"""Power-average pooling: the p-norm of each window."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from reference.arrays import Array
from reference.avg_pooling import outer
from reference.constraints import one_of, refuse
from reference.elementwise import limit
from reference.max_pooling import refuse_complex
from reference.pooling_windows import Windows, pool_windows, pooled
from reference.ranks import of_rank
from reference.windows import Sizes

SIGN_RULES = ("power", "absolute")
OVERHANG_RULES = ("rescale", "sum")


def lp_pool(
    rank: int,
    input: ArrayLike,
    norm_type: float,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    ceil_mode: bool | str = False,
    sign_rule: str = "power",
    overhang: str = "rescale",
) -> Array:
    """Take the p-norm of each window, with p = norm_type.

    Formula: output[n, c, u] = (r * sum over taps t of input[n, c, u * stride + t]**p)**(1 / p), over the taps that
    lie inside the input. `overhang` says what r is: taps of the kernel over taps inside ("rescale": PyTorch), which
    a ceil rule can make differ, or 1 ("sum"). `sign_rule` "power" takes powers as they are (PyTorch): an odd p keeps
    signs, so that a sum may be negative and its root NaN, as is the power of a negative number if p is no whole
    number; "absolute" takes powers of absolute values (ONNX). With p = inf the largest absolute value, with
    p = -inf the smallest.

    Shapes: input (N, C, *spatial) or (C, *spatial); output (N, C, *windows), windows = `pool_output_size`.

    Units: those of input. `stride` None is the kernel size.

    Constraints: `dtype`: real; `input-rank`, `spatial-size`, `kernel-size`, `stride`, `kernel-fits`, `ceil-mode`:
    as `max_pool2d`; `norm-type`: a real number that float64 holds, other than 0, or infinite; `sign-rule`, `overhang`:
    one of the two rules.

    Accuracy: within ((n + 4) / |p| * sum |input|**p / |sum input**p| + |ln |output|| + 2) |output| unit roundoffs of
    float64, to first order, n taps each, where no power overflows or underflows; p = inf, -inf exactly.

    Source: PyTorch, torch.nn.functional.lp_pool2d; ONNX operator LpPool.

    >>> lp_pool2d([[[3, 4], [0, -12]]], 2, 2)
    array([[[13.]]])
    >>> lp_pool1d([[3, -5, -7]], 1, 2, stride=1, sign_rule="absolute")
    array([[ 8., 12.]])
    """
    norm = norm_windows(rank, input, norm_type, kernel_size, stride, ceil_mode, sign_rule, overhang)
    if math.isinf(norm.p):
        ufunc, nothing = (np.maximum, 0.0) if norm.p > 0 else (np.minimum, np.inf)
        return norm.windows.finished(pooled(ufunc, np.abs(norm.x), norm.windows.lines, nothing))
    with np.errstate(all="ignore"):
        return norm.windows.finished(norm.total(norm.scale()) ** (1 / norm.p))


lp_pool1d = of_rank(1, lp_pool)
lp_pool2d = of_rank(2, lp_pool)
lp_pool3d = of_rank(3, lp_pool)


class Norm(NamedTuple):
    """Checked arguments of a power-average pooling; its methods over- and underflow as powers do."""

    windows: Windows
    x: Array
    p: float
    absolute: bool
    rescale: bool

    def power(self, exponent: float) -> Array:
        """Return the input to the power p or p - 1, of which powers of absolute values have the input's sign."""
        # Powers of absolute values are many times faster, and signs follow from the exponent.
        power: Array = np.abs(self.x) ** exponent
        if self.absolute:
            return power if exponent == self.p else power * np.sign(self.x)
        if exponent % 2 == 1:
            return np.copysign(power, self.x)
        if exponent % 1:
            power[self.x < 0] = np.nan
        return power

    def scale(self) -> Any:
        """Return what each sum of powers is multiplied with: taps of the kernel over taps inside."""
        lines = self.windows.lines
        if not self.rescale:
            return 1.0
        return np.divide(float(math.prod(line.depth for line in lines)), outer([line.lengths() for line in lines]))

    def total(self, scale: Any) -> Array:
        """Return the scaled sum of powers of each window."""
        total: Array = pooled(np.add, self.power(self.p), self.windows.lines, 0) * scale
        return total


def norm_windows(
    rank: int,
    input: ArrayLike,
    norm_type: float,
    kernel_size: Sizes,
    stride: Sizes | None,
    ceil_mode: bool | str,
    sign_rule: str,
    overhang: str,
) -> Norm:
    """Check the arguments of a power-average pooling."""
    w = pool_windows(rank, input, kernel_size, stride, ceil_mode=ceil_mode)
    refuse_complex(w.x)
    p = limit("norm-type", "norm_type", norm_type)
    if p == 0:
        refuse("norm-type", "norm_type", norm_type, "must not be 0")
    absolute = one_of("sign-rule", "sign_rule", sign_rule, SIGN_RULES) == "absolute"
    rescale = one_of("overhang", "overhang", overhang, OVERHANG_RULES) == "rescale"
    return Norm(w, w.x.astype(np.float64, copy=False), p, absolute, rescale)
