"""What arrays go in and come out: every dtype and memory layout is taken, none is written to."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from reference_cases import assert_same, integers
from reference_tables import gathered

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


CALLS = gathered.ARRAYS
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
    gathered.EMPTY,
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


def gradient_call(name):
    """Return the arrays of an allowed call of a gradient, the cotangent among them, and its other arguments."""
    allowed = gathered.CALLS[name][0]
    given = {argument: value for argument, value in allowed.items() if isinstance(value, np.ndarray)}
    # Integers are indices or classes, and samples lie below 1: those stay.
    kept = {argument for argument, array in given.items() if array.dtype.kind == "i" or argument == "random_samples"}
    arrays = {
        argument: array if argument in kept else whole_numbers(array.shape, i, np.float64)
        for i, (argument, array) in enumerate(given.items())
    }
    others = {argument: value for argument, value in allowed.items() if argument not in given}
    output = getattr(reference, name)(**arrays, **others)
    shape = output[0].shape if isinstance(output, tuple) else output.shape
    return {"cotangent": np.asarray(integers(shape, 9, np.float64)), **arrays}, others


def parts(result):
    return [part for part in (result if isinstance(result, tuple) else (result,)) if part is not None]


every_gradient = pytest.mark.parametrize("name", sorted(set(gathered.CALLS) & set(reference.vjp.__all__)))


@every_gradient
@pytest.mark.parametrize("layout", [layout for layout in LAYOUTS if layout != "list"])
def test_memory_layouts_of_gradients(name, layout):
    arrays, others = gradient_call(name)
    expected = parts(getattr(reference.vjp, name)(**arrays, **others))
    laid_out = {argument: LAYOUTS[layout](a) if a.ndim else a for argument, a in arrays.items()}
    actual = parts(getattr(reference.vjp, name)(**laid_out, **others))
    for one, other in zip(actual, expected, strict=True):
        assert_same(one, other)


@every_gradient
def test_gradients_write_to_nothing_and_share_no_memory(name):
    arrays, others = gradient_call(name)
    before = {argument: array.copy() for argument, array in arrays.items()}
    for array in arrays.values():
        array.flags.writeable = False
    results = parts(getattr(reference.vjp, name)(**arrays, **others))
    for argument, array in arrays.items():
        assert_same(array, before[argument])
        assert not any(np.shares_memory(result, array) for result in results)
    for i, result in enumerate(results):
        assert result.flags.writeable
        assert not any(np.shares_memory(result, other) for other in results[:i])


@every_gradient
def test_broadcast_cotangents(name):
    arrays, others = gradient_call(name)
    ones = np.broadcast_to(np.float64(1), arrays["cotangent"].shape)
    actual = parts(getattr(reference.vjp, name)(**{**arrays, "cotangent": ones}, **others))
    expected = parts(getattr(reference.vjp, name)(**{**arrays, "cotangent": ones.copy()}, **others))
    for one, other in zip(actual, expected, strict=True):
        assert_same(one, other)
