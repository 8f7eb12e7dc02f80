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
from reference.vjp.linear import LinearGradients, linear
from reference.vjp.losses import CrossEntropyGradients, cross_entropy, log_softmax, softmax
from reference.vjp.padding import pad
from reference.vjp.shapes import flatten, pixel_shuffle, pixel_unshuffle
from reference.vjp.smooth import gelu, logsigmoid, mish, sigmoid, silu, softplus, softsign, tanh
from reference.vjp.unfolding import conv_matrix, fold, unfold

__all__ = [
    "ConvGradients",
    "CorrelationGradients",
    "CrossEntropyGradients",
    "LinearGradients",
    "PreluGradients",
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
    "gelu",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "leaky_relu",
    "linear",
    "log_softmax",
    "logsigmoid",
    "mish",
    "pad",
    "pixel_shuffle",
    "pixel_unshuffle",
    "prelu",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "softsign",
    "tanh",
    "unfold",
]
