"""Calls of normalization layers."""

from __future__ import annotations

import numpy as np
from reference_tables.common import COMPLEX, zeros

import reference

AFFINE_ROWS = [
    ("dtype", "input", "must be real", {"input": COMPLEX}),
    ("dtype", "input", "must hold", {"input": np.full((2, 3, 4), None)}),
    ("dtype", "weight", "must be real", {"weight": np.ones(3) * 1j}),
    ("weight", "weight", "must be (3,)", {"weight": zeros(2)}),
    ("weight", "weight", "must be (3,)", {"weight": 1.0}),
]
BIAS_ROWS = [
    ("dtype", "bias", "must hold", {"bias": np.ones(3, bool)}),
    ("bias", "bias", "must be (3,)", {"bias": zeros(1, 3)}),
]
EPS_ROWS = [
    ("eps", "eps", "at least 0 and finite", {"eps": -1e-5}),
    ("eps", "eps", "at least 0 and finite", {"eps": np.nan}),
    ("eps", "eps", "at least 0 and finite", {"eps": 10**400}),
    ("eps", "eps", "at least 0 and finite", {"eps": "small"}),
]
STATISTICS_ROWS = [
    *AFFINE_ROWS,
    *BIAS_ROWS,
    *EPS_ROWS,
    ("eps", "eps", "at least 0 and finite", {"eps": None}),
    ("input-rank", "input", "(N, C)", {"input": zeros(3)}),
    ("running-mean", "running_mean", "must be (3,)", {"running_mean": zeros(2), "running_var": zeros(3)}),
    ("running-var", "running_var", "must be (3,)", {"running_mean": zeros(3), "running_var": 1.0}),
    ("running-statistics", "running_var", "exactly where", {"running_mean": zeros(3)}),
    ("running-statistics", "running_var", "exactly where", {"running_var": zeros(3)}),
    ("values-per-channel", "input", "more than 1 value", {"input": zeros(1, 3)}),
    ("momentum", "momentum", "finite", {"momentum": np.inf}),
    ("momentum", "momentum", "finite", {"momentum": None}),
    ("running-variance", "running_variance", "unbiased, biased", {"running_variance": "sample"}),
    ("momentum-weights", "momentum_weights", "new, old", {"momentum_weights": "both"}),
]
BATCH_NORM_ROWS = [
    *STATISTICS_ROWS,
    ("values-per-channel", "input", "not 0", {"input": zeros(0, 3)}),
    ("running-statistics", "running_mean", "where training is False", {"training": False}),
    ("training", "training", "True or False", {"training": "False"}),
    ("training", "training", "True or False", {"training": 1}),
]
INSTANCE_NORM_ROWS = [
    *STATISTICS_ROWS,
    ("values-per-channel", "input", "more than 1 value per channel of a sample", {"input": zeros(2, 3, 1)}),
    ("values-per-channel", "input", "not 0", {"input": zeros(2, 3, 0)}),
    ("running-statistics", "running_mean", "where use_input_stats is False", {"use_input_stats": False}),
    ("use-input-stats", "use_input_stats", "True or False", {"use_input_stats": None}),
]
GROUP_NORM_ROWS = [
    *AFFINE_ROWS,
    *BIAS_ROWS,
    *EPS_ROWS,
    ("eps", "eps", "at least 0 and finite", {"eps": None}),
    ("input-rank", "input", "(N, C)", {"input": zeros(3)}),
    ("num-groups", "num_groups", "at least 1", {"num_groups": 0}),
    ("num-groups", "num_groups", "whole number", {"num_groups": 1.0}),
    ("num-groups", "num_groups", "must divide the number of channels, 3", {"num_groups": 2}),
    ("values-per-group", "input", "1 value in each of 3 groups", {"input": zeros(1, 3, 1), "num_groups": 3}),
]
SHAPE_ROWS = [
    *AFFINE_ROWS,
    *EPS_ROWS,
    ("normalized-shape", "normalized_shape", "a sequence", {"normalized_shape": 3}),
    ("normalized-shape", "normalized_shape", "a sequence", {"normalized_shape": "3"}),
    ("normalized-shape", "normalized_shape", "a sequence", {"normalized_shape": b"\x03"}),
    ("normalized-shape", "normalized_shape", "at least one number", {"normalized_shape": ()}),
    ("normalized-shape", "normalized_shape", "whole number", {"normalized_shape": (3.0,)}),
    ("normalized-shape", "normalized_shape", "at least 0", {"normalized_shape": (-1,)}),
    ("normalized-shape", "normalized_shape", "the last axes of (2, 3)", {"normalized_shape": (2,)}),
    ("normalized-shape", "normalized_shape", "the last axes of (2, 3)", {"normalized_shape": (1, 2, 3)}),
]
LAYER_NORM_ROWS = [*SHAPE_ROWS, *BIAS_ROWS, ("eps", "eps", "at least 0 and finite", {"eps": None})]
LOCAL_ROWS = [
    ("dtype", "input", "must be real", {"input": zeros(1, 2, 3) + 1j}),
    ("input-rank", "input", "at least one spatial axis", {"input": zeros(2, 3)}),
    ("size", "size", "at least 1", {"size": 0}),
    ("size", "size", "whole number", {"size": 1.5}),
    ("size", "size", "at most 2**62", {"size": 10**400}),
    ("alpha", "alpha", "finite", {"alpha": np.nan}),
    ("beta", "beta", "finite", {"beta": None}),
    ("k", "k", "finite", {"k": -np.inf}),
    ("extra", "extra", "must be one of lower, upper", {"extra": "left"}),
    ("scale", "scale", "must be one of mean, sum", {"scale": 1}),
]
CALLS = {
    "batch_norm": ({"input": zeros(2, 3), "training": True}, BATCH_NORM_ROWS),
    "instance_norm": ({"input": zeros(2, 3, 2)}, INSTANCE_NORM_ROWS),
    "group_norm": ({"input": zeros(2, 3), "num_groups": 3}, GROUP_NORM_ROWS),
    "layer_norm": ({"input": zeros(2, 3), "normalized_shape": (3,)}, LAYER_NORM_ROWS),
    "rms_norm": ({"input": zeros(2, 3), "normalized_shape": [3]}, SHAPE_ROWS),
    "local_response_norm": ({"input": zeros(1, 2, 3), "size": 2}, LOCAL_ROWS),
}
ARRAYS = {
    "batch_norm": (
        lambda x, w, b: reference.batch_norm(x, None, None, w, b, training=True).output,
        [(2, 3, 4), (3,), (3,)],
        False,
        True,
    ),
    "batch_norm running": (
        lambda x, mean, var: reference.batch_norm(x, mean, var).output,
        [(2, 3, 4), (3,), (3,)],
        False,
        True,
    ),
    "batch_norm kept": (
        lambda x, mean, var: reference.batch_norm(x, mean, var, training=True).running_var,
        [(2, 3, 4), (3,), (3,)],
        False,
        True,
    ),
    "batch_norm unchanged": (
        lambda x, mean, var: reference.batch_norm(x, mean, var).running_mean,
        [(2, 3, 4), (3,), (3,)],
        False,
        True,
    ),
    "instance_norm": (
        lambda x, w, b: reference.instance_norm(x, None, None, w, b).output,
        [(2, 3, 4), (3,), (3,)],
        False,
        True,
    ),
    "group_norm": (lambda x, w, b: reference.group_norm(x, 2, w, b), [(2, 4, 3), (4,), (4,)], False, True),
    "layer_norm": (lambda x, w, b: reference.layer_norm(x, (4, 3), w, b), [(2, 4, 3), (4, 3), (4, 3)], False, True),
    "layer_norm plain": (lambda x: reference.layer_norm(x, (4, 3)), [(2, 4, 3)], False, True),
    "rms_norm": (lambda x, w: reference.rms_norm(x, (3,), w, 0.5), [(2, 4, 3), (3,)], False, True),
    "local_response_norm": (lambda x: reference.local_response_norm(x, 3), [(2, 4, 3)], False, True),
}
EMPTY = [
    (reference.group_norm, (np.zeros((0, 4, 3)), 2), (0, 4, 3)),
    (reference.group_norm, (np.zeros((2, 4, 0)), 2, np.ones(4)), (2, 4, 0)),
    (reference.group_norm, (np.zeros((2, 0, 3)), 1, np.ones(0)), (2, 0, 3)),
    (reference.layer_norm, (np.zeros((0, 4)), (4,), np.ones(4), np.ones(4)), (0, 4)),
    (reference.layer_norm, (np.zeros((2, 0)), (0,), np.ones(0)), (2, 0)),
    (reference.rms_norm, (np.zeros((0, 4)), (4,)), (0, 4)),
    (reference.local_response_norm, (np.zeros((0, 4, 3)), 2), (0, 4, 3)),
    (reference.local_response_norm, (np.zeros((2, 0, 3)), 2), (2, 0, 3)),
    (lambda *a: reference.vjp.layer_norm(*a).input, (np.zeros((2, 0)), np.zeros((2, 0)), (0,)), (2, 0)),
    (lambda *a: reference.vjp.rms_norm(*a).input, (np.zeros((2, 0)), np.zeros((2, 0)), (0,)), (2, 0)),
    (lambda *a: reference.vjp.group_norm(*a).input, (np.zeros((2, 4, 0)), np.zeros((2, 4, 0)), 2), (2, 4, 0)),
    (
        lambda x, *kept: reference.vjp.batch_norm(x, x, *kept).input,
        (np.zeros((2, 3, 0)), np.zeros(3), np.ones(3)),
        (2, 3, 0),
    ),
    (lambda x, *kept: reference.vjp.batch_norm(x, x, *kept).input, (np.zeros((0, 2)), np.zeros(2), np.ones(2)), (0, 2)),
    (
        lambda x, *kept: reference.vjp.instance_norm(x, x, *kept, use_input_stats=False).input,
        (np.zeros((2, 3, 0)), np.zeros(3), np.ones(3)),
        (2, 3, 0),
    ),
]
