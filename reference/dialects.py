"""The conventions in which frameworks differ, as named data.

A framework that rounds a pooling size another way is not wrong, it speaks another dialect. Each dialect says,
field by field, which convention holds, and where the framework says so; the references take the convention as
an argument, and default to PyTorch's. docs/dialects.md shows all of it as a table and says what the words mean.

>>> PYTORCH.pool_ceil, CAFFE.pool_ceil
('ceil_drop', 'ceil_caffe')
>>> CAFFE.sources["pool_ceil"]
'https://github.com/BVLC/caffe/blob/master/src/caffe/layers/pooling_layer.cpp'
>>> import reference
>>> reference.max_pool1d([[[1.0, 2.0]]], 1, stride=2, ceil_mode=CAFFE.pool_ceil)
array([[[  1., -inf]]])
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True)
class Dialect:
    """One framework's conventions; None where the framework has no such operator or says nothing.

    convolution: what its convolution layer computes, "cross_correlation" or "convolution" (flipped kernel).
    layout: order of the axes of an input; kernel_layout: of a weight (o, i channels, then spatial).
    pool_ceil: the rule of `pool_output_size` behind its ceil mode.
    same_side: where "same" padding puts an odd element, "upper" or "lower".
    running_variance: "unbiased" or "biased"; momentum_weights: what momentum multiplies, the "new" or the "old" value.
    max_pool_nan: "propagate" or "ignore"; relu_nan: "propagate" or "zero".
    index_scope: what a max-pool index counts over, "spatial" (one plane), "sample" (its channels too) or "tensor"
    (the batch too); index_order: "row" (the last spatial axis fastest) or "column" (the first).
    max_pool_ties: which of several maxima gets the gradient, the "first" or all an equal "share".
    kink: the slope of relu and its like where they bend: the one outside of the interval in which they are active
    ("outer"), the one inside ("inner") or the "mean" of both.
    lp_sign: what Lp pooling adds up, the "power" x^p or the "absolute" |x|^p; lp_overhang: whether a window that
    reaches beyond the input has its sum scaled up to the full window ("rescale") or not ("sum").
    lrn_extra: on which side a window of even size has one channel more, "lower" or "upper"; lrn_scale: whether
    alpha multiplies the "mean" of the squares or their "sum".
    sources: for each field that is not None, the page or the file in which the framework says so.
    """

    name: str
    sources: Mapping[str, str] = field(repr=False, hash=False)
    convolution: str | None = None
    layout: str | None = None
    kernel_layout: str | None = None
    pool_ceil: str | None = None
    same_side: str | None = None
    running_variance: str | None = None
    momentum_weights: str | None = None
    max_pool_nan: str | None = None
    relu_nan: str | None = None
    index_scope: str | None = None
    index_order: str | None = None
    max_pool_ties: str | None = None
    kink: str | None = None
    lp_sign: str | None = None
    lp_overhang: str | None = None
    lrn_extra: str | None = None
    lrn_scale: str | None = None


def _dialect(name: str, **cells: tuple[str, str]) -> Dialect:
    """Return the dialect whose fields are the words of these cells, each (word, source)."""
    sources = {convention: source for convention, (_, source) in cells.items()}
    return Dialect(name, MappingProxyType(sources), **{convention: word for convention, (word, _) in cells.items()})


_TORCH = "https://docs.pytorch.org/docs/stable/"
_TORCH_CODE = "https://github.com/pytorch/pytorch/blob/main/"

PYTORCH = _dialect(
    "pytorch",
    convolution=("cross_correlation", _TORCH + "generated/torch.nn.Conv2d.html"),
    layout=("nc*", _TORCH + "generated/torch.nn.functional.conv2d.html"),
    kernel_layout=("oi*", _TORCH + "generated/torch.nn.functional.conv2d.html"),
    pool_ceil=("ceil_drop", _TORCH + "generated/torch.nn.AvgPool2d.html"),
    same_side=("upper", _TORCH_CODE + "torch/nn/modules/conv.py"),
    running_variance=("unbiased", _TORCH + "generated/torch.nn.BatchNorm2d.html"),
    momentum_weights=("new", _TORCH + "generated/torch.nn.BatchNorm2d.html"),
    max_pool_nan=("propagate", _TORCH_CODE + "aten/src/ATen/native/cpu/MaxPoolKernel.cpp"),
    relu_nan=("propagate", _TORCH_CODE + "torch/_refs/nn/functional/__init__.py"),
    index_scope=("spatial", _TORCH_CODE + "aten/src/ATen/native/cpu/MaxPoolKernel.cpp"),
    index_order=("row", _TORCH_CODE + "aten/src/ATen/native/cpu/MaxPoolKernel.cpp"),
    max_pool_ties=("first", _TORCH_CODE + "aten/src/ATen/native/cpu/MaxPoolKernel.cpp"),
    kink=("outer", _TORCH + "notes/autograd.html#gradients-for-non-differentiable-functions"),
    lp_sign=("power", _TORCH + "generated/torch.nn.LPPool2d.html"),
    lp_overhang=("rescale", _TORCH_CODE + "torch/nn/functional.py"),
    lrn_extra=("lower", _TORCH_CODE + "torch/nn/functional.py"),
    lrn_scale=("mean", _TORCH + "generated/torch.nn.LocalResponseNorm.html"),
)

_ONNX = "https://onnx.ai/onnx/operators/onnx__"

ONNX = _dialect(
    "onnx",
    convolution=("cross_correlation", "https://github.com/onnx/onnx/blob/main/onnx/reference/ops/op_conv.py"),
    layout=("nc*", _ONNX + "Conv.html"),
    kernel_layout=("oi*", _ONNX + "Conv.html"),
    pool_ceil=("ceil_drop", _ONNX + "MaxPool.html"),
    running_variance=("biased", _ONNX + "BatchNormalization.html"),
    momentum_weights=("old", _ONNX + "BatchNormalization.html"),
    index_scope=("tensor", _ONNX + "MaxPool.html"),
    index_order=("row", _ONNX + "MaxPool.html"),
    lp_sign=("absolute", _ONNX + "LpPool.html"),
    lp_overhang=("sum", _ONNX + "LpPool.html"),
    lrn_extra=("upper", _ONNX + "LRN.html"),
    lrn_scale=("mean", _ONNX + "LRN.html"),
)

_TENSORFLOW = "https://www.tensorflow.org/api_docs/python/tf/"
_TENSORFLOW_CODE = "https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/kernels/"

TENSORFLOW = _dialect(
    "tensorflow",
    convolution=("cross_correlation", _TENSORFLOW + "nn/conv2d"),
    layout=("n*c", _TENSORFLOW + "nn/conv2d"),
    kernel_layout=("*io", _TENSORFLOW + "nn/conv2d"),
    same_side=("upper", _TENSORFLOW + "nn#notes_on_padding_2"),
    running_variance=("unbiased", _TENSORFLOW_CODE + "fused_batch_norm_op.cc"),
    momentum_weights=("new", _TENSORFLOW + "compat/v1/nn/fused_batch_norm"),
    max_pool_nan=("ignore", _TENSORFLOW_CODE + "maxpooling_op.cc"),
    relu_nan=("propagate", _TENSORFLOW_CODE + "relu_op_functor.h"),
    index_scope=("sample", _TENSORFLOW + "nn/max_pool_with_argmax"),
    index_order=("row", _TENSORFLOW + "nn/max_pool_with_argmax"),
    max_pool_ties=("first", _TENSORFLOW_CODE + "maxpooling_op.cc"),
    kink=("outer", "https://www.tensorflow.org/jvm/api_docs/java/org/tensorflow/op/nn/ReluGrad"),
    lrn_scale=("sum", _TENSORFLOW + "nn/local_response_normalization"),
)

_KERAS = "https://keras.io/api/"
_KERAS_CODE = "https://github.com/keras-team/keras/blob/master/keras/src/"

KERAS = _dialect(
    "keras",
    convolution=("cross_correlation", _KERAS_CODE + "backend/torch/nn.py"),
    layout=("n*c", _KERAS + "layers/convolution_layers/convolution2d/"),
    kernel_layout=("*io", _KERAS + "ops/nn/"),
    same_side=("upper", _KERAS_CODE + "backend/torch/nn.py"),
    running_variance=("biased", _KERAS_CODE + "layers/normalization/batch_normalization.py"),
    momentum_weights=("old", _KERAS + "layers/normalization_layers/batch_normalization/"),
)

_JAX = "https://docs.jax.dev/en/latest/"

JAX = _dialect(
    "jax",
    convolution=("cross_correlation", _JAX + "101/convolutions.html"),
    layout=("nc*", _JAX + "101/convolutions.html"),
    kernel_layout=("oi*", _JAX + "101/convolutions.html"),
    same_side=("upper", _JAX + "_autosummary/jax.lax.conv_general_dilated.html"),
    max_pool_nan=("propagate", "https://openxla.org/stablehlo/spec#maximum"),
    relu_nan=("propagate", _JAX + "_autosummary/jax.numpy.maximum.html"),
    max_pool_ties=("first", "https://openxla.org/xla/operation_semantics#selectandscatter"),
    kink=("outer", _JAX + "_autosummary/jax.nn.relu.html"),
)

_MLX = "https://ml-explore.github.io/mlx/build/html/python/_autosummary/"
_MLX_CODE = "https://github.com/ml-explore/mlx/blob/main/"

MLX = _dialect(
    "mlx",
    convolution=("cross_correlation", _MLX + "mlx.core.conv_general.html"),
    layout=("n*c", _MLX + "mlx.core.conv2d.html"),
    kernel_layout=("o*i", _MLX + "mlx.core.conv2d.html"),
    running_variance=("unbiased", "https://github.com/ml-explore/mlx/pull/3817"),
    momentum_weights=("new", _MLX_CODE + "python/mlx/nn/layers/normalization.py"),
    max_pool_nan=("propagate", _MLX_CODE + "mlx/backend/metal/kernels/reduction/ops.h"),
    relu_nan=("propagate", _MLX_CODE + "mlx/backend/metal/kernels/binary_ops.h"),
    max_pool_ties=("share", _MLX_CODE + "mlx/primitives.cpp"),
    kink=("outer", _MLX_CODE + "mlx/primitives.cpp"),
)

_CAFFE = "https://caffe.berkeleyvision.org/tutorial/"
_CAFFE_CODE = "https://github.com/BVLC/caffe/blob/master/src/caffe/"

CAFFE = _dialect(
    "caffe",
    convolution=("cross_correlation", _CAFFE_CODE + "util/im2col.cpp"),
    layout=("nc*", _CAFFE + "net_layer_blob.html"),
    kernel_layout=("oi*", _CAFFE + "net_layer_blob.html"),
    pool_ceil=("ceil_caffe", _CAFFE_CODE + "layers/pooling_layer.cpp"),
    running_variance=("unbiased", _CAFFE_CODE + "layers/batch_norm_layer.cpp"),
    momentum_weights=("old", _CAFFE_CODE + "layers/batch_norm_layer.cpp"),
    max_pool_nan=("ignore", _CAFFE_CODE + "layers/pooling_layer.cpp"),
    relu_nan=("propagate", _CAFFE_CODE + "layers/relu_layer.cpp"),
    index_scope=("spatial", _CAFFE_CODE + "layers/pooling_layer.cpp"),
    index_order=("row", _CAFFE_CODE + "layers/pooling_layer.cpp"),
    max_pool_ties=("first", _CAFFE_CODE + "layers/pooling_layer.cpp"),
    kink=("outer", _CAFFE_CODE + "layers/relu_layer.cpp"),
    lrn_scale=("mean", _CAFFE + "layers/lrn.html"),
)

_PADDLE = "https://www.paddlepaddle.org.cn/documentation/docs/en/api/paddle/nn/"
_PADDLE_CODE = "https://github.com/PaddlePaddle/Paddle/blob/develop/"

PADDLE = _dialect(
    "paddle",
    convolution=("cross_correlation", _PADDLE_CODE + "test/legacy_test/test_conv2d_op.py"),
    layout=("nc*", _PADDLE + "functional/conv2d_en.html"),
    kernel_layout=("oi*", _PADDLE + "functional/conv2d_en.html"),
    pool_ceil=("ceil_keep", _PADDLE_CODE + "paddle/phi/kernels/funcs/pooling.h"),
    same_side=("upper", _PADDLE_CODE + "paddle/phi/kernels/funcs/pooling.h"),
    running_variance=("biased", _PADDLE + "BatchNorm2D_en.html"),
    momentum_weights=("old", _PADDLE + "BatchNorm2D_en.html"),
    relu_nan=("zero", _PADDLE_CODE + "paddle/phi/kernels/funcs/activation_functor.h"),
    index_scope=("spatial", _PADDLE_CODE + "paddle/phi/kernels/funcs/pooling.cc"),
    index_order=("row", _PADDLE_CODE + "paddle/phi/kernels/funcs/pooling.cc"),
    max_pool_ties=("first", _PADDLE_CODE + "paddle/phi/kernels/funcs/pooling.h"),
    kink=("outer", _PADDLE_CODE + "paddle/phi/kernels/funcs/activation_functor.h"),
    lp_sign=("power", _PADDLE + "LPPool2D_en.html"),
    lp_overhang=("sum", _PADDLE_CODE + "paddle/phi/kernels/funcs/pooling.h"),
    lrn_extra=("lower", _PADDLE_CODE + "python/paddle/nn/functional/norm.py"),
    lrn_scale=("mean", _PADDLE_CODE + "python/paddle/nn/functional/norm.py"),
)

_OPENVINO = "https://docs.openvino.ai/2024/documentation/openvino-ir-format/operation-sets/operation-specs/"

OPENVINO = _dialect(
    "openvino",
    convolution=("cross_correlation", _OPENVINO + "convolution/convolution-1.html"),
    layout=("nc*", _OPENVINO + "convolution/convolution-1.html"),
    kernel_layout=("oi*", _OPENVINO + "convolution/convolution-1.html"),
    pool_ceil=("ceil_keep", _OPENVINO + "pooling/pooling_shape_rules.html"),
    index_scope=("tensor", _OPENVINO + "pooling/max-pool-14.html"),
    index_order=("row", _OPENVINO + "pooling/pooling_shape_rules.html"),
    lrn_scale=("mean", _OPENVINO + "normalization/lrn-1.html"),
)

_SCIPY = "https://docs.scipy.org/doc/scipy/reference/generated/scipy.signal.convolve.html"

SCIPY = _dialect(
    "scipy",
    convolution=("convolution", _SCIPY),
    layout=("*", _SCIPY),
    kernel_layout=("*", _SCIPY),
    same_side=("lower", "https://github.com/scipy/scipy/blob/main/scipy/signal/_signaltools.py"),
)

DIALECTS = {
    dialect.name: dialect for dialect in (PYTORCH, ONNX, TENSORFLOW, KERAS, JAX, MLX, CAFFE, PADDLE, OPENVINO, SCIPY)
}
