"""What arrays go in and come out: every dtype and memory layout is taken, none is written to."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from reference_cases import assert_same, integers

import reference

WIDE = {
    np.float16: np.float64,
    ml_dtypes.bfloat16: np.float64,
    np.float32: np.float64,
    np.float64: np.float64,
    np.complex64: np.complex128,
    np.complex128: np.complex128,
    np.int8: np.int64,
    np.uint8: np.int64,
    np.int32: np.int64,
    np.uint32: np.int64,
    np.int64: np.int64,
}
REAL = {narrow: wide for narrow, wide in WIDE.items() if wide is not np.complex128}


def whole_numbers(shape, seed, dtype):
    """Return whole numbers from 0 on, which unsigned integers hold too."""
    return np.abs(integers(shape, seed)).astype(dtype)


# Name: function of arrays, their shapes, whether complex numbers are taken, whether there is a division.
CALLS = {
    "cross_correlate": (lambda x, k: reference.cross_correlate(x, k), [(4, 5), (2, 3)], True, False),
    "convolve": (lambda x, k: reference.convolve(x, k, "valid"), [(4, 5), (2, 3)], True, False),
    "conv1d": (lambda x, w, b: reference.conv1d(x, w, b), [(2, 2, 5), (4, 2, 3), (4,)], True, False),
    "conv2d": (
        lambda x, w, b: reference.conv2d(x, w, b, stride=2, padding=1, groups=2),
        [(2, 2, 5, 4), (4, 1, 3, 2), (4,)],
        True,
        False,
    ),
    "conv_transpose2d": (
        lambda x, w, b: reference.conv_transpose2d(x, w, b, stride=2, padding=1, groups=2),
        [(2, 2, 3, 4), (2, 2, 3, 2), (4,)],
        True,
        False,
    ),
    "max_pool2d": (lambda x: reference.max_pool2d(x, 2, padding=1), [(2, 2, 5, 4)], False, False),
    "max_pool2d indices": (
        lambda x: reference.max_pool2d(x, 2, padding=1, return_indices=True).output,
        [(2, 2, 5, 4)],
        False,
        False,
    ),
    "avg_pool2d": (lambda x: reference.avg_pool2d(x, 2, padding=1), [(2, 2, 5, 4)], True, True),
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
    "pad": (lambda x: reference.pad(x, (1, -1, 2, 0)), [(4, 3)], True, False),
    "pad reflect": (lambda x: reference.pad(x, (1, -1, 2, 0), mode="reflect"), [(4, 3)], True, False),
    "relu": (reference.relu, [(3, 4)], False, False),
    "linear": (reference.linear, [(2, 3), (4, 3), (4,)], True, False),
}
LAYOUTS = {
    "fortran": np.asfortranarray,
    "reversed": lambda a: np.ascontiguousarray(np.flip(a))[(slice(None, None, -1),) * a.ndim],
    "strided": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "transposed": lambda a: np.ascontiguousarray(a.T).T,
    "unaligned": lambda a: np.frombuffer(b"\0" + a.tobytes(), a.dtype, offset=1).reshape(a.shape),
    "byteswapped": lambda a: a.astype(a.dtype.newbyteorder()),
    "list": lambda a: a.tolist(),
}
every_call = pytest.mark.parametrize("name", CALLS)


NAMES_AND_DTYPES = [
    pytest.param(name, dtype, id=f"{name}-{np.dtype(dtype).name}")
    for name, (_, _, takes_complex, _) in CALLS.items()
    for dtype in (WIDE if takes_complex else REAL)
]


@pytest.mark.parametrize(("name", "dtype"), NAMES_AND_DTYPES)
def test_narrow_arrays_give_what_their_wide_copies_give(name, dtype):
    function, shapes, _, divides = CALLS[name]
    narrow = [whole_numbers(shape, i, dtype) for i, shape in enumerate(shapes)]
    wide = [array.astype(WIDE[dtype]) for array in narrow]
    result = function(*narrow)
    assert_same(result, function(*wide))
    assert result.dtype == (np.result_type(WIDE[dtype], np.float64) if divides else WIDE[dtype])


@pytest.mark.parametrize("name", [name for name, call in CALLS.items() if len(call[1]) > 1])
def test_dtypes_mix(name):
    function, shapes, _, _ = CALLS[name]
    dtypes = [np.int8, np.float32, ml_dtypes.bfloat16][: len(shapes)]
    mixed = [whole_numbers(s, i, dtype) for i, (s, dtype) in enumerate(zip(shapes, dtypes, strict=True))]
    assert_same(function(*mixed), function(*[array.astype(np.float64) for array in mixed]))


@every_call
@pytest.mark.parametrize("layout", LAYOUTS)
def test_memory_layouts(name, layout):
    function, shapes, _, _ = CALLS[name]
    arrays = [integers(shape, i, np.float64) for i, shape in enumerate(shapes)]
    arrays[2:] = [np.abs(a) for a in arrays[2:]]  # a running variance is among them
    assert_same(function(*map(LAYOUTS[layout], arrays)), function(*arrays))


@every_call
def test_broadcast_arrays(name):
    function, shapes, _, _ = CALLS[name]
    arrays = [np.broadcast_to(np.float64(i + 1), shape) for i, shape in enumerate(shapes)]
    assert_same(function(*arrays), function(*[array.copy() for array in arrays]))


@every_call
@pytest.mark.parametrize("dtype", [np.int64, np.float64])  # these are the ones that are not copied first
def test_arrays_are_not_written_to(name, dtype):
    function, shapes, _, _ = CALLS[name]
    arrays = [whole_numbers(shape, i, dtype) for i, shape in enumerate(shapes)]
    before = [array.copy() for array in arrays]
    for array in arrays:
        array.flags.writeable = False
    function(*arrays)
    for array, copy in zip(arrays, before, strict=True):
        assert_same(array, copy)


@every_call
def test_results_do_not_share_memory_with_arrays_that_go_in(name):
    function, shapes, _, _ = CALLS[name]
    arrays = [whole_numbers(shape, i, np.float64) for i, shape in enumerate(shapes)]
    result = function(*arrays)
    assert result.flags.writeable
    assert not any(np.shares_memory(result, array) for array in arrays)


@pytest.mark.parametrize(
    ("function", "arguments", "shape"),
    [
        (reference.conv1d, (np.zeros((0, 2, 5)), np.zeros((3, 2, 2))), (0, 3, 4)),
        (reference.conv2d, (np.zeros((0, 2, 5, 5)), np.zeros((3, 2, 2, 2)), np.zeros(3), 2, 1), (0, 3, 3, 3)),
        (reference.conv_transpose2d, (np.zeros((0, 2, 5, 5)), np.zeros((2, 3, 2, 2))), (0, 3, 6, 6)),
        (reference.max_pool2d, (np.zeros((0, 2, 5, 5)), 2), (0, 2, 2, 2)),
        (reference.avg_pool2d, (np.zeros((0, 2, 5, 5)), 2), (0, 2, 2, 2)),
        (reference.linear, (np.zeros((0, 2)), np.zeros((3, 2))), (0, 3)),
        (reference.relu, (np.zeros((0, 2)),), (0, 2)),
        (reference.pad, (np.zeros((0, 2)), (1, 1)), (0, 4)),
    ],
)
def test_empty_batches(function, arguments, shape):
    assert function(*arguments).shape == shape


def test_an_empty_batch_normalizes_by_running_statistics_and_has_indices():
    assert reference.batch_norm(np.zeros((0, 2)), [0, 0], [1, 1]).output.shape == (0, 2)
    pooled = reference.max_pool2d(np.zeros((0, 2, 5, 5)), 2, return_indices=True)
    assert pooled.output.shape == pooled.indices.shape == (0, 2, 2, 2)
    assert pooled.indices.dtype == np.int64


def test_no_channels_in_give_the_bias():
    assert_same(reference.conv1d(np.zeros((1, 0, 3)), np.zeros((1, 0, 2)), [5.0]), np.full((1, 1, 2), 5.0))


def test_a_degenerate_batch_norm_gives_infinities_and_nan_without_warnings():
    output = reference.batch_norm([[1.0, 0.0, 1.0]], [0, 0, 0], [0, 0, -1], eps=0).output
    assert_same(output, np.array([[np.inf, np.nan, np.nan]]))
