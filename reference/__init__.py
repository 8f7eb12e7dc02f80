"""NumPy-only references for convolution, pooling and normalization.

Names, argument names and defaults are those of torch.nn.functional. Arrays in: anything that numpy.asarray
takes, in float16, bfloat16 (ml_dtypes), float32, float64, complex or integers. Arrays out: float64,
complex128, or int64 where no division happens. A call that the definition does not allow raises
ConstraintError.

`reference.textbook` holds the same definitions as literal loops; `reference.dialects` names the conventions
in which frameworks differ.
"""

from reference import dialects, textbook
from reference.activation import linear, relu
from reference.constraints import ConstraintError
from reference.convolution import (
    conv1d,
    conv2d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
)
from reference.correlation import convolve, cross_correlate
from reference.exactness import exact
from reference.normalization import BatchNorm, batch_norm
from reference.padding import pad
from reference.pooling import (
    MaxPool,
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
)
from reference.windows import (
    CEIL_RULES,
    Layer,
    ReceptiveField,
    conv_output_size,
    conv_transpose_output_size,
    pool_output_size,
    receptive_field,
    same_padding,
)

__all__ = [
    "CEIL_RULES",
    "BatchNorm",
    "ConstraintError",
    "Layer",
    "MaxPool",
    "ReceptiveField",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "batch_norm",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_output_size",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "conv_transpose_output_size",
    "convolve",
    "cross_correlate",
    "dialects",
    "exact",
    "linear",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "pad",
    "pool_output_size",
    "receptive_field",
    "relu",
    "same_padding",
    "textbook",
]
