"""Every label that a docstring lists is raised by a call that breaks the constraint; no other label is."""

from __future__ import annotations

import inspect
import pickle
import re
from types import FunctionType

import numpy as np
import pytest

import reference
from reference import ConstraintError

COMPLEX = [[1j, 2.0], [3.0, 4.0]]
BOOLEANS = np.ones((1, 2, 4), bool)


def zeros(*shape):
    return np.zeros(shape)


# Function: a call that is allowed, and the name of its rows below. A row is the label, the argument, a
# part of the text, and what to change in the call. Layers have the same rows for every rank r.
CALLS = {
    "cross_correlate": ({"input": zeros(3, 3), "kernel": zeros(2, 2)}, "one_channel"),
    "convolve": ({"input": zeros(3, 3), "kernel": zeros(2, 2)}, "one_channel"),
    "linear": ({"input": zeros(2, 3), "weight": zeros(4, 3), "bias": zeros(4)}, "linear"),
    "relu": ({"input": zeros(2)}, "relu"),
    "pad": ({"input": zeros(2, 3), "pad": (1, 1)}, "pad"),
    "batch_norm": ({"input": zeros(2, 3), "training": True}, "batch_norm"),
    "same_padding": ({"input_size": 5, "kernel_size": 3}, "same_padding"),
    "conv_output_size": ({"input_size": 5, "kernel_size": 3}, "output_size"),
    "pool_output_size": ({"input_size": 5, "kernel_size": 3}, "pool_output_size"),
    "conv_transpose_output_size": ({"input_size": 5, "kernel_size": 3}, "conv_transpose_output_size"),
    "receptive_field": ({"layers": [(3,)]}, "receptive_field"),
}
for rank in (1, 2, 3):
    ones = (4,) * rank
    conv = {"input": zeros(2, 4, *ones), "weight": zeros(6, 2, *(2,) * rank), "bias": zeros(6), "groups": 2}
    CALLS[f"conv{rank}d"] = (conv, "conv")
    CALLS[f"conv_transpose{rank}d"] = ({**conv, "weight": zeros(4, 3, *(2,) * rank)}, "conv_transpose")
    CALLS[f"max_pool{rank}d"] = ({"input": zeros(2, 1, *ones), "kernel_size": 2}, "max_pool")
    CALLS[f"avg_pool{rank}d"] = ({"input": zeros(2, 1, *ones), "kernel_size": 2}, "avg_pool")


def layer_rows(r):
    """Rows that convolution layers share with their transposes."""
    return [
        ("dtype", "input", "must hold", {"input": np.ones((1, 4, *(4,) * r), bool)}),
        ("dtype", "weight", "must hold", {"weight": np.full((6, 2, *(2,) * r), "text")}),
        ("dtype", "bias", "must hold", {"bias": np.zeros(6, np.uint64)}),
        ("input-rank", "input", "spatial axes", {"input": zeros(*(4,) * r)}),
        ("input-rank", "input", "spatial axes", {"input": zeros(*(4,) * (r + 3))}),
        ("weight-rank", "weight", f"must have {r + 2} axes", {"weight": zeros(6, *(2,) * r)}),
        ("kernel-size", "weight", "length 0", {"weight": zeros(6, 2, *(2,) * (r - 1), 0)}),
        ("spatial-size", "input", "length 0", {"input": zeros(2, 4, *(4,) * (r - 1), 0)}),
        ("groups", "groups", "at least 1", {"groups": 0}),
        ("groups", "groups", "whole number", {"groups": 1.5}),
        ("stride", "stride", "at least 1", {"stride": 0}),
        ("stride", "stride", "at least 1", {"stride": (0,) * r}),
        ("stride", "stride", f"1 or {r} entries", {"stride": (1,) * (r + 1)}),
        ("stride", "stride", "whole number", {"stride": "2"}),
        ("stride", "stride", "whole number", {"stride": None}),
        ("dilation", "dilation", "at least 1", {"dilation": np.int64(0)}),
        ("dilation", "dilation", "whole number", {"dilation": (1.0,)}),
        ("padding", "padding", "at least 0", {"padding": -1}),
        ("padding", "padding", f"must have {r} pairs", {"padding": ((0, 1),) * (r + 1)}),
        ("padding", "padding", f"must have {r} pairs", {"padding": ((0, 1, 2),) * r}),
        ("padding", "padding", "at least 0", {"padding": ((0, -1),) * r}),
        ("input-channels", "input", "channels", {"input": zeros(2, 5, *(4,) * r)}),
        ("bias", "bias", "must be (6,)", {"bias": zeros(5)}),
        ("bias", "bias", "must be (6,)", {"bias": zeros(6, 1)}),
    ]


def pool_rows(r):
    return [
        ("dtype", "input", "must hold", {"input": np.ones((1, 1, *(4,) * r), bool)}),
        ("input-rank", "input", "spatial axes", {"input": zeros(*(4,) * r)}),
        ("spatial-size", "input", "length 0", {"input": zeros(2, 1, *(4,) * (r - 1), 0)}),
        ("kernel-size", "kernel_size", "at least 1", {"kernel_size": 0}),
        ("kernel-size", "kernel_size", "entries", {"kernel_size": (1,) * (r + 1)}),
        ("stride", "stride", "at least 1", {"stride": 0}),
        ("padding", "padding", "no padding by name", {"padding": "same"}),
        ("padding", "padding", "at least 0", {"padding": -1}),
        ("pool-padding", "padding", "at most half of the extent 2", {"padding": 2}),
        ("kernel-fits", "kernel_size", "spans 5 elements", {"kernel_size": 5}),
        ("ceil-mode", "ceil_mode", "must be a bool or one of floor", {"ceil_mode": "up"}),
        ("ceil-mode", "ceil_mode", "must be a bool or one of floor", {"ceil_mode": 2}),
    ]


SAME_PADDING_ROWS = [
    ("kernel-size", "kernel_size", "at least 1", {"kernel_size": 0}),
    ("stride", "stride", "at least 1", {"stride": 0}),
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
ROWS = {
    "one_channel": [
        ("dtype", "input", "must hold", {"input": np.ones((3, 3), bool)}),
        ("rank", "kernel", "as many axes", {"kernel": zeros(2)}),
        ("rank", "kernel", "at least one", {"input": 1.0, "kernel": 1.0}),
        ("not-empty", "input", "length 0", {"input": zeros(3, 0)}),
        ("not-empty", "kernel", "length 0", {"kernel": zeros(0, 3)}),
        ("mode", "mode", "must be one of full, same, valid", {"mode": "circular"}),
        ("kernel-fits", "kernel", "no larger or no smaller", {"kernel": zeros(1, 4), "mode": "valid"}),
    ],
    "linear": [
        ("dtype", "weight", "must hold", {"weight": np.ones((4, 3), bool)}),
        ("dtype", "bias", "must hold", {"bias": np.array([None] * 4)}),
        ("input-rank", "input", "at least one axis", {"input": 1.0}),
        ("weight-rank", "weight", "(out_features, in_features)", {"weight": zeros(1, 4, 3)}),
        ("weight-rank", "weight", "(out_features, in_features)", {"weight": 1.0}),
        ("input-features", "input", "must have 3 features", {"input": zeros(3, 2)}),
        ("bias", "bias", "must be (4,)", {"bias": zeros(3)}),
        ("bias", "bias", "must be ()", {"weight": zeros(3), "bias": zeros(1)}),
    ],
    "relu": [
        ("dtype", "input", "must be real", {"input": COMPLEX}),
        ("dtype", "input", "must hold", {"input": BOOLEANS}),
        ("nan", "nan", "must be one of propagate, zero", {"nan": "ignore"}),
    ],
    "pad": [
        ("dtype", "input", "must hold", {"input": BOOLEANS}),
        ("dtype", "value", "must hold", {"value": "1"}),
        ("pad", "pad", "sequence", {"pad": 1}),
        ("pad", "pad", "sequence", {"pad": "12"}),
        ("pad", "pad", "whole number", {"pad": (1.0, 1)}),
        ("pad", "pad", "even number", {"pad": (1,)}),
        ("pad", "pad", "at most two for each of 2 axes", {"pad": (1,) * 6}),
        ("mode", "mode", "must be one of constant", {"mode": "edge"}),
        ("value", "value", "must be None in mode reflect", {"mode": "reflect", "value": 0}),
        ("value", "value", "must be one number", {"value": [1, 2]}),
        ("pad-size", "pad", "at most 2 on axis 1 of length 3", {"mode": "reflect", "pad": (3, 0)}),
        ("pad-size", "pad", "at most 3 on axis 1 of length 3", {"mode": "circular", "pad": (0, 4)}),
        ("pad-size", "pad", "at most 0", {"mode": "replicate", "pad": (0, 1), "input": zeros(0)}),
        ("output-size", "pad", "negative length", {"pad": (-2, -2)}),
    ],
    "batch_norm": [
        ("dtype", "input", "must be real", {"input": COMPLEX}),
        ("dtype", "weight", "must be real", {"weight": np.ones(3) * 1j}),
        ("input-rank", "input", "(N, C)", {"input": zeros(3)}),
        ("weight", "weight", "must be (3,)", {"weight": zeros(2)}),
        ("bias", "bias", "must be (3,)", {"bias": zeros(1, 3)}),
        ("running-mean", "running_mean", "must be (3,)", {"running_mean": zeros(2), "running_var": zeros(3)}),
        ("running-var", "running_var", "must be (3,)", {"running_mean": zeros(3), "running_var": 1.0}),
        ("running-statistics", "running_var", "exactly where", {"running_mean": zeros(3)}),
        ("running-statistics", "running_var", "exactly where", {"running_var": zeros(3)}),
        ("running-statistics", "running_mean", "where training is False", {"training": False}),
        ("values-per-channel", "input", "more than 1 value", {"input": zeros(1, 3)}),
        ("values-per-channel", "input", "not 0", {"input": zeros(0, 3)}),
        ("eps", "eps", "at least 0 and finite", {"eps": -1e-5}),
        ("eps", "eps", "at least 0 and finite", {"eps": np.nan}),
        ("eps", "eps", "at least 0 and finite", {"eps": None}),
        ("momentum", "momentum", "finite", {"momentum": np.inf}),
        ("momentum", "momentum", "finite", {"momentum": None}),
        ("running-variance", "running_variance", "unbiased, biased", {"running_variance": "sample"}),
        ("momentum-weights", "momentum_weights", "new, old", {"momentum_weights": "both"}),
    ],
    "same_padding": [
        *SAME_PADDING_ROWS,
        ("input-size", "input_size", "at least 1", {"input_size": 0}),
        ("side", "side", "must be one of upper, lower", {"side": "left"}),
    ],
    "output_size": SIZE_ROWS,
    "pool_output_size": [
        *SIZE_ROWS,
        ("ceil-mode", "ceil_mode", "must be a bool or one of floor", {"ceil_mode": "up"}),
    ],
    "conv_transpose_output_size": [
        *TRANSPOSED_SIZE_ROWS,
        ("input-size", "input_size", "at least 1", {"input_size": 0}),
        ("output-padding", "output_padding", "at least 0", {"output_padding": -1}),
        ("output-padding", "output_padding", "less than stride 2", {"output_padding": 2, "stride": 2}),
        ("output-size", "padding", "an output of size -1", {"padding": 4}),
    ],
    "receptive_field": [
        ("layers", "layers", "sequence of layers", {"layers": 3}),
        ("layers", "layers", "sequences (kernel", {"layers": [3]}),
        ("layers", "layers", "sequences (kernel", {"layers": [()]}),
        ("kernel-size", "kernel", "at least 1", {"layers": [(3,), (0,)]}),
        ("stride", "stride", "at least 1", {"layers": [(3, 0)]}),
        ("padding", "padding", "at least 0", {"layers": [(3, 1, -1)]}),
        ("dilation", "dilation", "at least 1", {"layers": [(3, 1, 0, 0)]}),
    ],
    "conv": lambda r: [
        *layer_rows(r),
        ("padding", "padding", 'must be "valid"', {"padding": "full"}),
        ("padding", "padding", "needs stride 1", {"padding": "same", "stride": 2}),
        (
            "output-channels",
            "weight",
            "divisible by groups=2",
            {"weight": zeros(5, 2, *(2,) * r), "bias": None},
        ),
        ("output-channels", "weight", "at least 1", {"weight": zeros(0, 2, *(2,) * r), "bias": None}),
        ("kernel-fits", "kernel_size", "spans 5 elements", {"weight": zeros(6, 2, *(5,) * r)}),
    ],
    "conv_transpose": lambda r: [
        *layer_rows(r),
        ("padding", "padding", "no padding by name", {"padding": "same"}),
        ("input-channels", "input", "divisible by groups=3", {"groups": 3}),
        ("output-channels", "weight", "at least 1", {"weight": zeros(4, 0, *(2,) * r), "bias": None}),
        ("output-padding", "output_padding", "less than stride 1", {"output_padding": 1}),
        ("output-padding", "output_padding", "at least 0", {"output_padding": (-1,)}),
        ("output-size", "padding", "must be at least 1", {"padding": 3}),
    ],
    "max_pool": lambda r: [
        *pool_rows(r),
        ("dtype", "input", "must be real", {"input": zeros(1, 1, *(4,) * r) + 1j}),
        ("dilation", "dilation", "at least 1", {"dilation": 0}),
        ("nan", "nan", "must be one of propagate, ignore", {"nan": "zero"}),
    ],
    "avg_pool": lambda r: [
        *pool_rows(r),
        ("divisor-override", "divisor_override", "must not be 0", {"divisor_override": 0}),
        ("divisor-override", "divisor_override", "whole number", {"divisor_override": 0.5}),
    ],
}


def rows(name):
    rows_of_family = ROWS[CALLS[name][1]]
    return rows_of_family if isinstance(rows_of_family, list) else rows_of_family(int(name[-2]))


BAD_CALLS = [pytest.param(name, *row, id=f"{name}-{row[0]}-{i}") for name in CALLS for i, row in enumerate(rows(name))]


def labels_of(name):
    """Return the labels in the Constraints part of a docstring, or of the docstring that it refers to."""
    text = inspect.getdoc(getattr(reference, name))
    part = re.search(r"^Constraints: (.*?)\n\n", text, re.DOTALL | re.MULTILINE)
    if part is None:
        return labels_of(re.search(r"see `(\w+)`", text)[1])
    words = re.findall(r"`([\w-]+)`", part[1])
    labels = {word for word in words if word == name or not isinstance(getattr(reference, word, None), FunctionType)}
    inherited = re.match(r"as `(\w+)`", part[1])
    return labels | labels_of(inherited[1]) if inherited else labels


@pytest.mark.parametrize("name", CALLS)
def test_the_call_that_the_rows_change_is_allowed(name):
    getattr(reference, name)(**CALLS[name][0])


@pytest.mark.parametrize(("name", "label", "argument", "text", "change"), BAD_CALLS)
def test_a_bad_call_is_refused(name, label, argument, text, change):
    with pytest.raises(ConstraintError) as caught:
        getattr(reference, name)(**{**CALLS[name][0], **change})
    error = caught.value
    assert (error.label, error.argument) == (label, argument)
    assert text in error.rule
    assert str(error) == f"{argument}={error.value!r}: {error.rule} [{label}]"


@pytest.mark.parametrize("name", CALLS)
def test_docstrings_list_exactly_the_labels_that_are_raised(name):
    assert {row[0] for row in rows(name)} == labels_of(name)


def test_every_public_function_is_in_the_table():
    functions = {name for name in reference.__all__ if isinstance(getattr(reference, name), FunctionType)}
    assert functions == set(CALLS)


def test_a_constraint_error_is_a_value_error_and_can_be_pickled():
    error = ConstraintError("stride", "stride", (1, 0), "must be at least 1")
    copy = pickle.loads(pickle.dumps(error))
    assert isinstance(copy, ValueError)
    assert type(copy) is ConstraintError
    assert str(copy) == str(error) == "stride=(1, 0): must be at least 1 [stride]"
    assert vars(copy) == vars(error)
