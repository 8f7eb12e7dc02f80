"""The power of the checks: every known fault is caught, and its honest twin is let pass."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from conformance.checks import CHECKS
from conformance.faults import faults
from conformance.formats import DTYPES
from conformance.honest import honest
from conformance.mistakes import accepting, calling, in_the_right_shape, refusing
from conformance.model import KINDS_OF_FAULTS, Fault
from conformance.operators import operators
from conformance.power import try_fault
from conformance.profiles import EXAMPLES
from reference.constraints import ConstraintError

BANK = faults()
FLOOR = 250
# One test for all faults of a check of an operator: those that share a twin share the search that lets it pass.
TOGETHER = sorted({(fault.operator, fault.check) for fault in BANK.values()})


@pytest.mark.parametrize(("operator", "check"), TOGETHER)
def test_faults_are_caught_and_their_twins_conform(operator: str, check: str) -> None:
    some = [fault for fault in BANK.values() if (fault.operator, fault.check) == (operator, check)]
    # Nearly all show in a quarter of the budget. `convformance power` gives it whole, to the twins too.
    trials = [try_fault(fault, examples=EXAMPLES // 4) for fault in sorted(some, key=lambda fault: fault.dtype)]
    trials = [trial if trial.caught is not None else try_fault(BANK[trial.name]) for trial in trials]
    assert not [f"{trial.name}: {trial.false_alarm}" for trial in trials if trial.false_alarm is not None]
    assert not [trial.name for trial in trials if trial.caught is None]


def test_what_is_wrong_on_the_other_side_is_a_false_alarm() -> None:
    fault = BANK["relu-leaky"]
    trial = try_fault(replace(fault, name="relu-swapped", wrong=fault.twin, twin=fault.wrong))
    assert trial.caught is None
    assert trial.false_alarm is not None


def test_the_bank_is_large_enough() -> None:
    assert len(BANK) >= FLOOR


# "precision" grades what the faults of rounding get wrong.
COVERED = {
    "check": set(CHECKS) - {"precision"},
    "operator": set(operators()),
    "dtype": set(DTYPES),
    "kind": set(KINDS_OF_FAULTS),
}


@pytest.mark.parametrize("field", COVERED)
def test_the_bank_covers_every(field: str) -> None:
    assert {getattr(fault, field) for fault in BANK.values()} == COVERED[field]


def test_every_operator_has_a_fault_of_every_check_that_applies() -> None:
    checks = COVERED["check"] - {"laws"}  # each of which has a fault of its own, in one operator
    asked = {(o, c) for o in operators() for c in checks if CHECKS[c].applies(operators()[o])}
    assert asked <= {(fault.operator, fault.check) for fault in BANK.values()}


@pytest.mark.parametrize("fault", BANK.values(), ids=list(BANK))
def test_a_fault_is_named_and_told_in_a_sentence(fault: Fault) -> None:
    assert fault.name.startswith(f"{fault.operator}-")
    assert fault.sentence[:1].islower() or fault.sentence[:1].isdigit()
    assert not fault.sentence.endswith(".")


def test_no_two_faults_are_told_alike() -> None:
    told = [(fault.operator, fault.check, fault.dtype, fault.sentence) for fault in BANK.values()]
    assert len(set(told)) == len(told)


def test_a_constraint_of_another_label_is_still_refused() -> None:
    call = {"input": np.ones((1, 1, 3)), "weight": np.ones((1, 1, 2)), "stride": 0}
    with pytest.raises(ConstraintError, match="stride"):
        accepting("dilation", refusing)(honest("conv1d"), **call)


def test_a_mistake_in_the_right_shape_fits_every_output() -> None:
    call = {"input": np.arange(8.0).reshape(1, 1, 8), "kernel_size": 2, "dilation": 2, "return_indices": True}
    right = honest("max_pool1d")
    wrong = in_the_right_shape(calling(lambda _: {"dilation": 1}))(right, **call)
    for expected, actual in zip(right(**call), wrong, strict=True):
        assert actual.shape == expected.shape
        assert not np.array_equal(actual, expected)


def test_two_faults_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conformance.faults.collect", lambda *_: [BANK["relu-leaky"]] * 2)
    with pytest.raises(ValueError, match="relu-leaky"):
        faults.__wrapped__()


def test_a_window_less_is_that_of_either_spelling_of_the_output() -> None:
    wrong = faults()["fractional_max_pool3d-end-forgotten"].wrong
    x, samples = np.arange(125.0).reshape(1, 1, 5, 5, 5), np.full((1, 1, 3), 0.5)
    for size in ({"output_size": 3}, {"output_ratio": (0.6, 0.6, 0.6)}):
        output = wrong(input=x, kernel_size=2, random_samples=samples, **size)
        assert (output[0] if isinstance(output, tuple) else output).shape == (1, 1, 2, 2, 2)
