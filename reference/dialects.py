"""The conventions in which frameworks differ, as named data.

A framework that rounds a pooling size another way is not wrong, it speaks another dialect. Each dialect says,
field by field, which convention holds; the references take the convention as an argument, and default to
PyTorch's.

>>> PYTORCH.pool_ceil, CAFFE.pool_ceil
('ceil_drop', 'ceil_caffe')
>>> import reference
>>> reference.max_pool1d([[[1.0, 2.0]]], 1, stride=2, ceil_mode=CAFFE.pool_ceil)
array([[[  1., -inf]]])
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Dialect:
    """One framework's conventions; None where the framework has no such operator or leaves it open.

    convolution: what its convolution layer computes, "cross_correlation" or "convolution" (flipped kernel).
    layout: order of the axes of an input; kernel_layout: of a weight (o, i channels, then spatial).
    pool_ceil: the rule of `pool_output_size` behind its ceil mode.
    same_side: where "same" padding puts an odd element, "upper" or "lower".
    running_variance: "unbiased" or "biased".
    momentum_weights: what momentum multiplies, the "new" or the "old" value.
    max_pool_nan: "propagate" or "ignore"; relu_nan: "propagate" or "zero".
    index_scope: what a max-pool index counts over, "spatial" (one plane) or "tensor" (batch and channels).
    source: where the framework's documentation or code says so.
    """

    name: str
    source: str
    convolution: str = "cross_correlation"
    layout: str | None = None
    kernel_layout: str | None = None
    pool_ceil: str | None = None
    same_side: str | None = None
    running_variance: str | None = None
    momentum_weights: str | None = None
    max_pool_nan: str | None = None
    relu_nan: str | None = None
    index_scope: str | None = None


PYTORCH = Dialect(
    name="pytorch",
    source="https://docs.pytorch.org/docs/stable/nn.functional.html",
    layout="nc*",
    kernel_layout="oi*",
    pool_ceil="ceil_drop",
    same_side="upper",
    running_variance="unbiased",
    momentum_weights="new",
    max_pool_nan="propagate",
    relu_nan="propagate",
    index_scope="spatial",
)

ONNX = Dialect(
    name="onnx",
    source="https://onnx.ai/onnx/operators/",
    layout="nc*",
    kernel_layout="oi*",
    pool_ceil="ceil_drop",
    running_variance="biased",
    momentum_weights="old",
    index_scope="tensor",
)

TENSORFLOW = Dialect(
    name="tensorflow",
    source="https://www.tensorflow.org/api_docs/python/tf/nn",
    layout="n*c",
    kernel_layout="*io",
    same_side="upper",
    running_variance="unbiased",
    relu_nan="propagate",
    max_pool_nan="ignore",
    index_scope="tensor",
)

KERAS = Dialect(
    name="keras",
    source="https://keras.io/api/layers/",
    layout="n*c",
    kernel_layout="*io",
    same_side="upper",
    running_variance="biased",
    momentum_weights="old",
)

CAFFE = Dialect(
    name="caffe",
    source="https://github.com/BVLC/caffe/blob/master/src/caffe/layers/pooling_layer.cpp",
    layout="nc*",
    kernel_layout="oi*",
    pool_ceil="ceil_caffe",
    running_variance="unbiased",
    momentum_weights="old",
    index_scope="spatial",
)

SCIPY = Dialect(
    name="scipy",
    source="https://docs.scipy.org/doc/scipy/reference/generated/scipy.signal.convolve.html",
    convolution="convolution",
    layout="*",
    kernel_layout="*",
)

DIALECTS = {dialect.name: dialect for dialect in (PYTORCH, ONNX, TENSORFLOW, KERAS, CAFFE, SCIPY)}
