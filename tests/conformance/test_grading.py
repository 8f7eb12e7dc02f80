"""Grades: engines of every class of arithmetic are named rightly, and nothing else is taken for lost precision."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from conformance_cases import OPERATORS
from precision_classes import (
    ANY,
    ENGINES,
    TEXTBOOK,
    TWO,
    conv,
    grade_of,
    graded,
    half,
    rows_of_engines,
    textbook,
    tf32,
    two_pass,
)
from precision_classes import fourier as by_fourier
from precision_classes import winograd as in_tiles

import reference
from conformance.cells import cells
from conformance.discovery import find_backend
from conformance.fast import fourier, transforms, winograd
from conformance.fills import Fill
from conformance.grading import NO_CLASS, fingerprint, grade
from conformance.honest import honest
from conformance.mistakes import answering, calling
from conformance.model import Arithmetic, Backend, Declaration, Outcome

FLAT = [(*place, name) for place, engines in ENGINES.items() for name in engines]
DOCUMENT = Path(__file__).parents[2] / "docs" / "precision.md"


@pytest.mark.parametrize(("operator", "dtype", "name"), FLAT)
def test_an_engine_of_known_class_is_graded_right(operator, dtype, name):
    expected = ENGINES[operator, dtype][name][1]
    usual = ANY if operator == "conv2d" else TWO
    found = grade_of(operator, dtype, name)
    assert (found.seen, found.declared, found.worse) == (expected, usual, expected != usual)


def test_the_documentation_shows_the_grades():
    text = DOCUMENT.read_text(encoding="utf-8")
    assert not [line for line in rows_of_engines() if f"{line}\n" not in text]


@pytest.mark.parametrize(
    ("binding", "changes", "declared"),
    [
        (conv(**tf32), {"input_bits": 11}, f"TF32 operands, {ANY}"),
        (conv(**half), {"input_bits": 11, "truncating": True}, "TF32 operands, truncated float32 sums"),
        (conv(), {"algorithm": "Winograd F(2, 3)"}, "Winograd F(2, 3)"),
        (conv(), {"input_bits": 8}, f"8-bit operands, {ANY}"),
    ],
)
def test_a_backend_is_not_worse_than_it_declares(binding, changes, declared):
    found = graded("conv2d", "float32", binding, arithmetic=lambda case: Arithmetic.of(case.dtype, **changes))
    assert (found.declared, found.worse) == (declared, False)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    "mistake",
    [
        calling(lambda call: {"weight": call["weight"][..., ::-1]}),
        answering(lambda y, _: np.where(np.arange(y.shape[-1]) == 0, 0, y).astype(y.dtype)),
        answering(lambda y, _: y.astype(np.float64)),
        answering(lambda y, _: y[..., :-1]),
    ],
)
def test_what_is_wrong_otherwise_is_of_no_class(mistake, dtype):
    found = graded("conv2d", dtype, lambda **call: mistake(honest("conv2d"), **call))
    assert (found.seen, found.declared, found.worse) == (NO_CLASS, ANY, True)


def test_one_output_a_few_ulps_off_is_no_fast_algorithm():
    off = answering(lambda y, _: y + 8 * np.spacing(y) * (np.arange(y.shape[-1]) == 3))
    assert graded("conv2d", "float32", lambda **call: off(honest("conv2d"), **call)).seen == NO_CLASS


def test_a_backend_that_raises_or_answers_too_much_is_of_no_class():
    refused = f"{NO_CLASS}, since a case is not answered: ZeroDivisionError: division by zero"
    assert graded("linear", "float32", lambda **_: 1 / 0).seen == refused
    assert graded("linear", "float32", lambda **call: (honest("linear")(**call),) * 2).seen == NO_CLASS


def test_what_is_not_taken_is_not_graded():
    nothing = Declaration(Outcome.UNSUPPORTED, ("linear",), lambda _: True, "", "", "", "")
    assert graded("linear", "float32", honest("linear"), declarations=(nothing,)) is None
    (cell,) = cells(Backend("nothing", {}), ["linear"], ["float32"], ["values"])
    assert grade(cell) is None


@pytest.mark.parametrize(
    ("operator", "dtype", "seen"),
    [
        ("linear", "float64", "float64 sums in any order"),
        ("avg_pool2d", "bfloat16", ANY),
        ("avg_pool1d", "float32", ANY),
        ("conv1d", "float16", ANY),
        ("conv3d", "float32", ANY),
        ("conv_transpose3d", "float32", ANY),
        ("layer_norm", "float32", TWO),
        ("max_pool2d", "float16", "correctly rounded"),
        ("pad", "float64", "float64 arithmetic"),
    ],
)
def test_the_reference_rounded_once_is_of_the_best_class(operator, dtype, seen):
    assert graded(operator, dtype, honest(operator)).seen == seen


@pytest.mark.parametrize(("statistics", "seen"), [(two_pass, TWO), (textbook, TEXTBOOK)])
def test_a_norm_that_returns_no_statistics_is_told_from_a_textbook_one(statistics, seen):
    def layer_norm(normalized_shape, weight=None, bias=None, eps=1e-5, **call):
        x, shape = call["input"], np.atleast_1d(normalized_shape)
        mean, var = statistics(x.reshape(-1, math.prod(shape.tolist())))
        mean, var = (a.reshape(*x.shape[: x.ndim - len(shape)], *(1,) * len(shape)) for a in (mean, var))
        y = (x - mean) / np.sqrt(np.maximum(var, 0) + np.float32(eps))
        y = y if weight is None else y * weight
        return y if bias is None else y + bias

    assert graded("layer_norm", "float32", layer_norm).seen == seen


@pytest.mark.parametrize("name", OPERATORS)
def test_a_fingerprint_is_short_and_always_the_same(name):
    cases = fingerprint(OPERATORS[name], "float32")
    assert cases == fingerprint(OPERATORS[name], "float32")
    assert 10 < len(cases) < 48


def test_torch_is_not_worse_than_it_declares():
    pytest.importorskip("torch", reason="torch is not installed")
    backend = find_backend("torch-cpu")
    for cell in cells(backend, ["conv2d", "conv_transpose2d", "linear", "avg_pool2d"], None, ["values"]):
        assert not grade(cell).worse, cell.id


# The bounds of fast algorithms.

SHARES = {"F(2, 3)": (winograd(2), in_tiles, 2), "F(4, 3)": (winograd(4), in_tiles, 4)}
SHARES |= {"F(6, 3)": (winograd(6), in_tiles, 6), "Fourier": (fourier, by_fourier, None)}


@pytest.mark.parametrize("m", [2, 4, 6])
def test_winograds_transforms_give_the_convolution(m):
    forward, kernel, data = transforms(m)
    for d in np.eye(m + 2):
        for g in np.eye(3):
            exact = np.convolve(d, g[::-1], "valid")
            assert np.abs(forward @ ((kernel @ g) * (data @ d)) - exact).max() <= 2.0**-48


@pytest.mark.parametrize("name", SHARES)
@pytest.mark.parametrize("kind", ["normal", "positive", "spread"])
def test_a_fast_algorithm_keeps_within_its_bound(name, kind):
    bounds, engine, m = SHARES[name]
    shapes = {"input": (2, 4, 9, 11), "weight": (3, 4, 3, 3), "bias": (3,)}
    arrays = {k: Fill(kind, "float32", shape, i).array() for i, (k, shape) in enumerate(shapes.items())}
    actual = engine(*([] if m is None else [m]), **arrays, padding=1)
    wide = {k: v.astype(np.float64) for k, v in arrays.items()}
    expected = {"output": reference.conv2d(**wide, padding=1)}
    error = np.abs(actual - expected["output"])
    assert (error <= bounds(wide, {"padding": 1}, expected, Arithmetic.of("float32"))["output"].absolute).all()
    assert error.any()


@pytest.mark.parametrize("name", SHARES)
@pytest.mark.parametrize("attributes", [{"stride": 2}, {"dilation": (1, 2), "padding": 1}])
def test_strides_and_dilations_are_bounded_too(name, attributes):
    bounds = SHARES[name][0]
    arrays = {"input": Fill("normal", "float64", (2, 2, 7, 8)).array(), "weight": np.ones((3, 2, 3, 3))}
    expected = {"output": reference.conv2d(**arrays, **attributes)}
    limit = bounds(arrays, attributes, expected, Arithmetic.of("float32"))["output"].absolute
    usual = OPERATORS["conv2d"].bounds(arrays, attributes, expected, Arithmetic.of("float32"))["output"].absolute
    assert (limit >= usual).all() if name == "Fourier" else np.array_equal(limit, usual)


@pytest.mark.parametrize("name", SHARES)
def test_a_result_of_a_half_format_is_rounded_once_more(name):
    arrays = {"input": Fill("normal", "float64", (2, 2, 7, 8)).array(), "weight": np.ones((3, 2, 3, 3))}
    expected = {"output": reference.conv2d(**arrays)}
    wide, narrow = (
        SHARES[name][0](arrays, {}, expected, Arithmetic.of(dtype))["output"].absolute
        for dtype in ("float32", "bfloat16")
    )
    assert (narrow >= wide + 2.0**-8 * np.abs(expected["output"])).all()


@pytest.mark.parametrize("bounds", [winograd(2), winograd(4), fourier])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_groups_are_bounded_like_convolutions_of_their_own(bounds, rank):
    x = Fill("normal", "float64", (2, 4, *(5,) * rank), 1).array()
    w = Fill("normal", "float64", (4, 2, *(3,) * rank), 2).array()
    arithmetic, correlate = Arithmetic.of("float64"), getattr(reference, f"conv{rank}d")

    def limit(x, w, **attributes):
        expected = {"output": correlate(x, w, **attributes)}
        return bounds({"input": x, "weight": w}, attributes, expected, arithmetic)["output"].absolute

    halves = [limit(x[:, 2 * i : 2 * i + 2], w[2 * i : 2 * i + 2], padding=1) for i in range(2)]
    np.testing.assert_array_almost_equal_nulp(limit(x, w, padding=1, groups=2), np.concatenate(halves, 1), 64)
