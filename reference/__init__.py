"""NumPy-only references for convolution, pooling and normalization.

Names, argument names and defaults are those of torch.nn.functional. Arrays in: anything that numpy.asarray
takes, in float16, bfloat16 (ml_dtypes), float32, float64, complex or integers. Arrays out: float64,
complex128, or int64 where no division happens. Integers are exact: products and sums modulo 2**64, as int64
has it; where they meet floats they become floats, which rounds those beyond 2**53. A call that the definition
does not allow raises ConstraintError.

`reference.vjp` has the gradient of every function; inside `with reference.exact():` sums of products are
correctly rounded. `reference.textbook` holds the core definitions as literal loops; `reference.dialects`
names the conventions in which frameworks differ.
"""

from reference import dialects, textbook, vjp
from reference.activation import celu, elu, hardsigmoid, hardswish, hardtanh, leaky_relu, prelu, relu, relu6, selu
from reference.adaptive_pooling import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
)
from reference.avg_pooling import avg_pool1d, avg_pool2d, avg_pool3d
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
from reference.fractional_pooling import fractional_max_pool2d, fractional_max_pool3d
from reference.linear import linear
from reference.local_response import local_response_norm
from reference.losses import cross_entropy, log_softmax, softmax
from reference.lp_pooling import lp_pool1d, lp_pool2d, lp_pool3d
from reference.max_pooling import MaxPool, max_pool1d, max_pool2d, max_pool3d
from reference.normalization import (
    BatchNorm,
    InstanceNorm,
    batch_norm,
    group_norm,
    instance_norm,
    layer_norm,
    rms_norm,
)
from reference.padding import pad
from reference.shapes import flatten, pixel_shuffle, pixel_unshuffle
from reference.smooth import gelu, logsigmoid, mish, sigmoid, silu, softplus, softsign, tanh
from reference.unfolding import conv_matrix, fold, unfold
from reference.unpooling import max_unpool1d, max_unpool2d, max_unpool3d
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
    "InstanceNorm",
    "Layer",
    "MaxPool",
    "ReceptiveField",
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "batch_norm",
    "celu",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_matrix",
    "conv_output_size",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "conv_transpose_output_size",
    "convolve",
    "cross_correlate",
    "cross_entropy",
    "dialects",
    "elu",
    "exact",
    "flatten",
    "fold",
    "fractional_max_pool2d",
    "fractional_max_pool3d",
    "gelu",
    "group_norm",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "instance_norm",
    "layer_norm",
    "leaky_relu",
    "linear",
    "local_response_norm",
    "log_softmax",
    "logsigmoid",
    "lp_pool1d",
    "lp_pool2d",
    "lp_pool3d",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
    "mish",
    "pad",
    "pixel_shuffle",
    "pixel_unshuffle",
    "pool_output_size",
    "prelu",
    "receptive_field",
    "relu",
    "relu6",
    "rms_norm",
    "same_padding",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "softsign",
    "tanh",
    "textbook",
    "unfold",
    "vjp",
]
