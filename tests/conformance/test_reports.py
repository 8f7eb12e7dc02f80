"""Verdicts made readable: what a cell adds up to, and the grid."""

from __future__ import annotations

import io
import math
from collections import Counter

import pytest
from conformance_cases import verdict
from rich.console import Console

from conformance.lines import parse
from conformance.model import Outcome
from conformance.report.grid import GRAVITY, element, failure, grid, print_report
from conformance.report.tally import Tally, tallies

FAILED = verdict(
    Outcome.DIFFERS,
    share=math.inf,
    reason="1 of 2 values of output are further from the reference than their bound",
    details={
        "output": "output",
        "index": (0, 1),
        "expected": 2.0,
        "actual": math.nan,
        "bound": 0.0,
        "error_ulps": math.nan,
    },
)


def tally(*outcomes, compared=1):
    total = Tally("honest", "values", "relu", "float32")
    for seed, outcome in enumerate(outcomes):
        nothing = outcome in (Outcome.UNSUPPORTED, Outcome.UNAVAILABLE, Outcome.UNBOUND, Outcome.VACUOUS)
        case = parse(f"relu(input=integers(float32[3], seed={seed}))")
        total.add(verdict(outcome, case=case, compared=0 if nothing else compared, reason=f"because of {outcome}"))
    return total


def printed(*tallied):
    console = Console(width=160, record=True, file=open("/dev/null", "w", encoding="utf-8"))  # noqa: SIM115, PTH123
    with console.file:
        print_report(console, tallied)
        return console.export_text()


C, V, D, U = Outcome.CONFORMS, Outcome.VACUOUS, Outcome.DEVIATES, Outcome.UNSUPPORTED


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([C], C),
        ([C] * 93 + [V] * 7, V),
        ([C] * 94 + [V] * 6, C),  # 2 % of 100, and three standard deviations of 1.4
        ([C] * 3 + [V], C),  # one is no pattern
        ([C] * 3 + [V, V], V),
        ([V], V),
        ([C, D], D),
        ([D, D], D),
        ([D, V], V),  # nothing was compared, and not all was declared
        ([U, U], U),
        ([U, C], C),
        ([U, U, V], V),
        ([Outcome.UNAVAILABLE], Outcome.UNAVAILABLE),
        ([Outcome.UNBOUND], Outcome.UNBOUND),
        ([C, Outcome.DIFFERS], Outcome.DIFFERS),
        ([Outcome.STALE, C, C], Outcome.STALE),
        ([C, Outcome.ERRORED], Outcome.ERRORED),
    ],
)
def test_cases_add_up_to_an_outcome(outcomes, expected):
    total = tally(*outcomes)
    assert total.outcome is expected
    assert total.failed == (expected in (V, Outcome.DIFFERS, Outcome.STALE, Outcome.ERRORED))


def test_what_deviates_is_not_counted_as_evidence():
    total = Tally("honest", "values", "relu", "float32")
    total.add(verdict(compared=5, share=0.5))
    total.add(verdict(Outcome.DEVIATES, compared=7, share=math.inf, reason="known"))
    assert (total.compared, total.share, total.reason, total.cases) == (5, 0.5, "known", 2)


def test_cases_that_were_not_asked_are_not_counted():
    assert tally(U, C, C).cases == 2


def test_verdicts_are_sorted_into_their_cells():
    other = verdict(compared=3)
    found = tallies([verdict(), FAILED, other, type(other)(**{**vars(other), "dtype": "float64"})])
    assert list(found) == [("honest", "values", "relu", "float32"), ("honest", "values", "relu", "float64")]
    assert found["honest", "values", "relu", "float32"].compared == 7
    assert found["honest", "values", "relu", "float32"].witness == FAILED


def test_the_witness_gives_the_reason():
    total = tally(V, C)
    total.add(FAILED)
    assert (total.witness, total.reason) == (FAILED, FAILED.reason)


def test_a_failure_says_what_where_and_how_to_see_it_again():
    assert failure(FAILED).splitlines() == [
        "differs: relu float32 on honest: 1 of 2 values of output are further from the reference than their bound",
        "  output[0, 1]: expected 2.0, actual nan, bound 0",
        "  convformance replay 'relu(input=ramp(float32[2]))' -b honest --check values",
    ]
    assert failure(verdict(Outcome.ERRORED, case=None, reason="why")) == "errored: relu float32 on honest: why"


def test_an_element_is_told_on_one_line():
    details = {"output": "output", "index": (), "expected": 1.0, "actual": 1.5, "bound": 0.25, "error_ulps": 4194304.0}
    assert element(verdict(details=details)) == "output[]: expected 1.0, actual 1.5, bound 0.25, off by 4.19e+06 ulps"


def test_the_grid_has_a_row_for_each_operator_and_a_column_for_each_dtype():
    conv = Tally("honest", "values", "conv2d", "float64")
    conv.add(verdict(compared=1_234_567, share=0.125))
    text = printed(tally(C, compared=1500), conv)
    assert "honest" in text
    rows = [line.replace("│", "|").split("|") for line in text.splitlines() if "relu" in line or "conv2d" in line]
    assert [[word.strip() for word in row][1:4] for row in rows] == [
        ["relu", "conforms", "-"],
        ["conv2d", "-", "conforms"],
    ]
    assert "1 / 1.5k / 0" in text
    assert "1 / 1.23M / 0.12" in text


def test_backends_have_tables_of_their_own():
    console = Console(width=120)
    with console.capture() as capture:
        console.print(grid([Tally(name, "values", "relu", "float32") for name in ("a-backend", "b-backend")]))
    assert capture.get().count("operator") == 2


def test_the_gravest_outcome_of_a_cells_checks_is_shown():
    special = Tally("honest", "special", "relu", "float32")
    special.add(FAILED)
    text = printed(tally(C), special)
    assert "differs: special" in text
    assert "2 / 3 / inf" in text
    assert failure(FAILED).splitlines()[2] in text
    assert sorted(GRAVITY) == sorted(Outcome)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["relu(input=ramp(float32[3], layout={layout}))"], C),
        (["{manner}.relu(input=ramp(float32[3]))"], C),
        (["relu(input=ramp(float32[3], layout={layout}))", "relu(input=ramp(float32[4], layout={layout}))"], V),
    ],
)
def test_one_call_in_many_layouts_is_one_piece_of_evidence(lines, expected):
    total = tally(C)
    for line in lines:
        for layout, manner in (('"strided"', "repeat"), ('"offset"', "poisoned"), ('"transposed"', "threads")):
            total.add(verdict(V, case=parse(line.format(layout=layout, manner=manner))))
    assert total.outcome is expected
    assert (total.calls, total.vacuous_calls) == (1 + len(lines), len(lines))


def test_a_vacuous_cell_says_how_many_cases_were():
    assert "vacuous: values[honest-relu-float32]: 2 of 3 cases could not have differed" in printed(tally(V, V, C))


def test_no_name_and_no_class_is_cut_off_where_a_screen_is_narrow():
    seen = "two-pass variance in float32, bfloat16 statistics"
    told = [Tally("honest", "precision", "adaptive_avg_pool2d", dtype) for dtype in ("float16", "bfloat16")]
    for total in told:
        total.add(verdict(reason=seen))
    console = Console(width=60, record=True, file=io.StringIO())
    console.print(grid(told))
    text = console.export_text()
    assert "adaptive_avg_pool2d" in text
    assert all(text.count(word) == 2 for word in ("two-pass", "statistics"))
    assert "…" not in text


def test_a_cell_without_any_verdict_is_not_tested():
    total = Tally("honest", "laws", "relu", "float32")
    assert (total.outcome, total.failed) == (Outcome.VACUOUS, True)


def test_what_few_vacuous_cases_say_is_not_the_reason_of_a_cell():
    total = Tally("honest", "values", "relu", "float32")
    for seen in (verdict(V, reason="all expected values are 0"), verdict(), verdict(D, reason="as declared")):
        total.add(seen)
    assert (total.outcome, total.reason) == (D, "as declared")


def test_what_was_declared_is_noted_once():
    text = printed(tally(D), tally(D, D), tally(U))
    assert text.count("deviates: relu: because of deviates") == 1
    assert text.count("unsupported: relu: because of unsupported") == 1


@pytest.mark.parametrize(
    ("outcome", "note"),
    [(Outcome.UNAVAILABLE, "unavailable: because of unavailable"), (Outcome.UNBOUND, "unbound: relu")],
)
def test_there_is_no_grid_of_what_was_not_asked(outcome, note):
    assert printed(tally(outcome)).strip() == note


def test_an_operator_that_is_not_bound_has_no_row():
    text = printed(tally(C), Tally("honest", "values", "linear", "float32", Counter(unbound=1)))
    assert "conforms" in text
    assert text.count("linear") == text.count("unbound: linear") == 1
