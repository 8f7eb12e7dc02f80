"""Honest variants are let pass, and are what they say: other orders, other algorithms, other classes of arithmetic."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from conformance import orders
from conformance.checks import CHECKS
from conformance.formats import DTYPES
from conformance.model import Geometry, Pattern, usual_arithmetic
from conformance.operators import operators
from conformance.power import cell_with, try_variant
from conformance.run import ask_and_judge
from conformance.strategies import filled
from conformance.variants import Variant, variants

BANK = variants()
FLOOR = 40
ONE_DTYPE = [replace(v, dtypes=(v.dtypes[i % len(v.dtypes)],)) for i, v in enumerate(BANK.values())]
ORDERS = ("matrix_product", "einsum", "forwards", "backwards", "shuffled", "inside_out", "pairwise", "compensated")
MORE_ORDERS = ("wider", "fused", "signs_apart", "ascending", "descending")


@pytest.mark.parametrize("variant", ONE_DTYPE, ids=list(BANK))
def test_a_variant_is_let_pass(variant: Variant) -> None:
    clearances = list(try_variant(variant, examples=1))
    assert clearances
    for clearance in clearances:
        assert clearance.false_alarm is None, f"{clearance.check} {clearance.dtype}: {clearance.false_alarm}"


def test_the_bank_is_large_enough() -> None:
    assert len(BANK) >= FLOOR
    assert {dtype for variant in ONE_DTYPE for dtype in variant.dtypes} == set(DTYPES)
    assert {check for variant in BANK.values() for check in variant.checks} == set(CHECKS)


@pytest.mark.parametrize("variant", BANK.values(), ids=list(BANK))
def test_a_variant_is_named_and_told(variant: Variant) -> None:
    assert variant.operator in operators()
    assert variant.name.startswith(f"{variant.operator}-")
    assert variant.sentence
    assert not variant.sentence.endswith(".")


def test_two_variants_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conformance.variants.collect", lambda *_: [BANK["relu-maximum"]] * 2)
    with pytest.raises(ValueError, match="relu-maximum"):
        variants.__wrapped__()


def test_only_the_checks_that_are_asked_for_are_run() -> None:
    found = list(try_variant(BANK["relu-maximum"], examples=1, of_checks=("sizes",)))
    assert [(clearance.check, clearance.dtype) for clearance in found] == [("sizes", dtype) for dtype in DTYPES]


@pytest.mark.parametrize("name", ["conv2d-tf32", "batch_norm-textbook", "conv1d-fourier"])
def test_what_declares_less_than_the_usual_arithmetic_would_not_pass_without(name: str) -> None:
    plain = replace(BANK[name], arithmetic=usual_arithmetic, dtypes=("float32",))
    assert any(
        clearance.false_alarm is not None for clearance in try_variant(plain, examples=20, of_checks=("values",))
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [1, 2, 9])
def test_winograd_is_let_pass_where_it_is_used(dtype: str, channels: int) -> None:
    variant = BANK["conv2d-winograd"]
    cell = cell_with(variant.name, variant.binding, variant.operator, "values", dtype, variant.arithmetic)
    shapes = {"input": (2, 2 * channels, 7, 6), "weight": (4, channels, 3, 3), "bias": (4,)}
    geometry = Geometry(shapes, {"groups": 2, "padding": 1}, 9 * channels + 1)
    patterns = (*cell.operator.exact(geometry, dtype), *cell.operator.real(geometry, dtype))
    cases = [filled("conv2d", geometry, pattern, dtype, seed) for seed, pattern in enumerate(patterns)]
    assert not [verdict for verdict in ask_and_judge(cell, cases) if verdict.failed]
    ordinary = filled("conv2d", geometry, Pattern(("normal", 1)), "float32", 0)
    arrays = {name: fill.array() for name, fill in ordinary.inputs.items()}
    direct = BANK["conv2d-im2col"].binding(**arrays, **ordinary.attributes)
    assert not np.array_equal(direct, variant.binding(**arrays, **ordinary.attributes))


@pytest.mark.parametrize("name", [*ORDERS, *MORE_ORDERS])
@pytest.mark.parametrize("terms", [0, 1, 11])
def test_an_order_adds_up_all_products(name: str, terms: int) -> None:
    random = np.random.RandomState(terms)
    rows, columns = random.randint(-9, 9, (2, 3, terms)), random.randint(-9, 9, (4, 1, terms, 5))
    for dtype in (np.float32, np.float64):
        found = getattr(orders, name)(rows.astype(dtype), columns.astype(dtype))
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, rows @ columns)


@pytest.mark.parametrize("name", [*ORDERS, *MORE_ORDERS, "truncating"])
def test_an_order_keeps_infinities(name: str) -> None:
    rows, columns = np.ones((1, 4), np.float32), np.array([[1], [np.inf], [2], [3]], np.float32)
    with np.errstate(invalid="ignore"):
        found = getattr(orders, name)(rows, columns)
    assert np.isposinf(found).all()


def test_orders_round_otherwise() -> None:
    random = np.random.RandomState(1)
    rows, columns = random.randn(3, 200).astype(np.float32), random.randn(200, 5).astype(np.float32)
    found = [getattr(orders, name)(rows, columns).tobytes() for name in (*ORDERS, *MORE_ORDERS, "truncating")]
    assert len(set(found)) > len(found) - 4
    exact = rows.astype(np.float64) @ columns
    far = {
        name: np.abs(getattr(orders, name)(rows, columns) - exact).max()
        for name in ("forwards", "compensated", "wider")
    }
    assert far["compensated"] < far["forwards"]
    assert far["wider"] < far["forwards"]
