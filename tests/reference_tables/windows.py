"""Calls of the window arithmetic."""

from __future__ import annotations

SAME_PADDING_ROWS = [
    ("kernel-size", "kernel_size", "at least 1", {"kernel_size": 0}),
    ("stride", "stride", "at least 1", {"stride": 0}),
    ("stride", "stride", "at most 2**62", {"stride": 2**70}),
    ("kernel-size", "kernel_size", "whole number", {"kernel_size": b"3"}),
    ("dilation", "dilation", "whole number", {"dilation": 1.5}),
]
TRANSPOSED_SIZE_ROWS = [
    *SAME_PADDING_ROWS,
    ("input-size", "input_size", "at least 0", {"input_size": -1}),
    ("input-size", "input_size", "whole number", {"input_size": None}),
    ("stride", "stride", "1 or 3 entries", {"input_size": (5, 6, 7), "stride": (1, 1)}),
    ("padding", "padding", "at least 0", {"padding": -1}),
]
SIZE_ROWS = [
    *TRANSPOSED_SIZE_ROWS,
    ("padding", "padding", 'must be "valid"', {"padding": "full"}),
    ("padding", "padding", "needs stride 1, not (2,)", {"padding": "same", "stride": 2}),
    (
        "kernel-fits",
        "kernel_size",
        "spans 11 elements, the padded input only 7",
        {"dilation": 5, "padding": 1},
    ),
]
CALLS = {
    "same_padding": (
        {"input_size": 5, "kernel_size": 3},
        [
            *SAME_PADDING_ROWS,
            ("input-size", "input_size", "at least 1", {"input_size": 0}),
            ("side", "side", "must be one of upper, lower", {"side": "left"}),
        ],
    ),
    "conv_output_size": ({"input_size": 5, "kernel_size": 3}, SIZE_ROWS),
    "pool_output_size": (
        {"input_size": 5, "kernel_size": 3},
        [
            *SIZE_ROWS,
            ("ceil-mode", "ceil_mode", "must be a bool or one of floor", {"ceil_mode": "up"}),
        ],
    ),
    "conv_transpose_output_size": (
        {"input_size": 5, "kernel_size": 3},
        [
            *TRANSPOSED_SIZE_ROWS,
            ("input-size", "input_size", "at least 1", {"input_size": 0}),
            ("output-padding", "output_padding", "at least 0", {"output_padding": -1}),
            ("output-padding", "output_padding", "less than stride 2", {"output_padding": 2, "stride": 2}),
            ("output-size", "padding", "an output of size -1", {"padding": 4}),
        ],
    ),
    "receptive_field": (
        {"layers": [(3,)]},
        [
            ("layers", "layers", "sequence of layers", {"layers": 3}),
            ("layers", "layers", "sequences (kernel", {"layers": [3]}),
            ("layers", "layers", "sequences (kernel", {"layers": [()]}),
            ("kernel-size", "kernel", "at least 1", {"layers": [(3,), (0,)]}),
            ("stride", "stride", "at least 1", {"layers": [(3, 0)]}),
            ("padding", "padding", "at least 0", {"layers": [(3, 1, -1)]}),
            ("dilation", "dilation", "at least 1", {"layers": [(3, 1, 0, 0)]}),
        ],
    ),
}
ARRAYS: dict = {}
EMPTY: list = []
