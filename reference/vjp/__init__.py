"""Gradients of the references: the vector-Jacobian product of each, under the same name.

`vjp.f(cotangent, *arguments of f)` returns, for the scalar sum(cotangent * f(...)), its gradient with respect to
every array argument of f: an array where there is one such argument, a named tuple where there are several, in
it None for an argument that was not given. Where f yields several things, the cotangent is that of its output.
Gradients of complex arguments are conjugate ones, as PyTorch's: <A x, y> = <x, A' y>.
"""

from reference.vjp.activation import (
    PreluGradients,
    celu,
    elu,
    hardsigmoid,
    hardswish,
    hardtanh,
    leaky_relu,
    prelu,
    relu,
    relu6,
    selu,
)
from reference.vjp.adaptive_pooling import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
)
from reference.vjp.avg_pooling import avg_pool1d, avg_pool2d, avg_pool3d
from reference.vjp.convolution import (
    ConvGradients,
    conv1d,
    conv2d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
)
from reference.vjp.correlation import CorrelationGradients, convolve, cross_correlate
from reference.vjp.fractional_pooling import fractional_max_pool2d, fractional_max_pool3d
from reference.vjp.linear import LinearGradients, linear
from reference.vjp.local_response import local_response_norm
from reference.vjp.losses import CrossEntropyGradients, cross_entropy, log_softmax, softmax
from reference.vjp.lp_pooling import lp_pool1d, lp_pool2d, lp_pool3d
from reference.vjp.max_pooling import max_pool1d, max_pool2d, max_pool3d
from reference.vjp.normalization import (
    ChannelNormGradients,
    NormGradients,
    RmsNormGradients,
    batch_norm,
    group_norm,
    instance_norm,
    layer_norm,
    rms_norm,
)
from reference.vjp.padding import pad
from reference.vjp.shapes import flatten, pixel_shuffle, pixel_unshuffle
from reference.vjp.smooth import gelu, logsigmoid, mish, sigmoid, silu, softplus, softsign, tanh
from reference.vjp.unfolding import conv_matrix, fold, unfold
from reference.vjp.unpooling import max_unpool1d, max_unpool2d, max_unpool3d

__all__ = [
    "ChannelNormGradients",
    "ConvGradients",
    "CorrelationGradients",
    "CrossEntropyGradients",
    "LinearGradients",
    "NormGradients",
    "PreluGradients",
    "RmsNormGradients",
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
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "convolve",
    "cross_correlate",
    "cross_entropy",
    "elu",
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
    "prelu",
    "relu",
    "relu6",
    "rms_norm",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "softsign",
    "tanh",
    "unfold",
]
