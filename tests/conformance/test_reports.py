"""Verdicts made readable: what a cell adds up to, the grid, and JSON lines that are read back."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from conformance_cases import numpy_backend, verdict
from rich.console import Console

from conformance import __version__
from conformance.model import Outcome
from conformance.report.grid import GRAVITY, element, failure, grid, print_report
from conformance.report.jsonl import FIELDS, ReportError, Writer, read
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
    for outcome in outcomes:
        nothing = outcome in (Outcome.UNSUPPORTED, Outcome.UNAVAILABLE, Outcome.UNBOUND, Outcome.VACUOUS)
        total.add(verdict(outcome, compared=0 if nothing else compared, reason=f"because of {outcome}"))
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
        ([C] * 97 + [V] * 2, V),  # 2 of 99
        ([C] * 98 + [V] * 2, C),  # 2 of 100 are not more than 2 %
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


def test_a_vacuous_cell_says_how_many_cases_were():
    assert "vacuous: values[honest-relu-float32]: 2 of 3 cases could not have differed" in printed(tally(V, V, C))


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


# JSON lines


def written(path, *verdicts, **settings):
    with Writer(path, numpy_backend(about=lambda: "numpy"), **settings) as writer:
        for each in verdicts:
            writer.write(each)
    return path


@pytest.fixture
def report(tmp_path):
    return written(tmp_path / "report.jsonl", verdict(share=0.25), FAILED, verdict(Outcome.UNBOUND, case=None), seed=3)


def test_what_is_written_is_read_back(report):
    seen = list(read(report))
    assert [v.outcome for v in seen] == [Outcome.CONFORMS, Outcome.DIFFERS, Outcome.UNBOUND]
    assert seen[0] == verdict(share=0.25)
    assert repr(seen[1]) == repr(FAILED)  # which holds NaN, which equals nothing
    assert seen[2] == verdict(Outcome.UNBOUND, case=None)
    assert failure(seen[1]) == failure(FAILED)


def test_a_report_says_what_was_run_where_and_how_it_ended(report):
    head, *_, end = map(json.loads, report.read_text(encoding="utf-8").splitlines())
    assert head["convformance"] == __version__
    assert (head["backend"], head["about"], head["seed"]) == ("honest", "numpy", 3)
    assert head["numpy"] == np.__version__
    assert {"python", "machine"} < set(head)
    assert end == {"end": "complete"}


def test_an_unavailable_backend_says_nothing_about_itself(tmp_path):
    backend = numpy_backend(about=lambda: 1 / 0, unavailable=lambda: "gone")
    with Writer(tmp_path / "report.jsonl", backend):
        pass
    assert json.loads((tmp_path / "report.jsonl").read_text(encoding="utf-8").splitlines()[0])["about"] == ""


def test_numbers_that_json_lacks_are_words(report):
    line = report.read_text(encoding="utf-8").splitlines()[2]
    found = json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert found["share"] == "inf"
    assert (found["details"]["actual"], found["details"]["bound"]) == ("nan", 0.0)
    assert found["case"] == "relu(input=ramp(float32[2]))"


def test_every_verdict_is_there_as_soon_as_it_is_written(tmp_path):
    path = tmp_path / "report.jsonl"
    with Writer(path, numpy_backend()) as writer:
        writer.write(verdict())
        assert list(read(path)) == [verdict()]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_error_ends_a_report_as_interrupted(tmp_path, error):
    path = tmp_path / "report.jsonl"

    def broken_off():
        with Writer(path, numpy_backend()) as writer:
            writer.write(verdict())
            raise error

    with pytest.raises(error):
        broken_off()
    assert json.loads(path.read_text(encoding="utf-8").splitlines()[-1]) == {"end": "interrupted"}
    assert list(read(path)) == [verdict()]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_a_full_disk_closes_the_file_all_the_same(tmp_path):
    with pytest.raises(OSError, match="No space left"):
        Writer(Path("/dev/full"), numpy_backend())
    with Writer(tmp_path / "report.jsonl", numpy_backend()) as writer:
        writer._file.close()
        writer._file = Path("/dev/full").open("w", encoding="utf-8")  # noqa: SIM115  (the writer closes it)
        with pytest.raises(OSError, match="No space left"):
            writer.write(verdict())
    assert writer._file.closed


def test_a_last_line_that_was_cut_off_is_left_out(report):
    lines = report.read_text(encoding="utf-8").splitlines(keepends=True)
    for cut in (1, len(lines[2]) // 2, len(lines[2]) - 2):
        report.write_text("".join(lines[:2]) + lines[2][:cut], encoding="utf-8")
        assert len(list(read(report))) == 1


GOOD = {**dict.fromkeys(FIELDS, ""), "outcome": "conforms", "case": None, "compared": 1, "share": 0.5, "details": {}}
HEAD = '{"convformance": "0.1.0"}'


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ([""], "line 1: not JSON"),
        ([], "line 1: not the head of a report"),
        (["not a report"], "line 1: not JSON"),
        (["[]"], "line 1: not the head of a report; it must hold 'convformance'"),
        (["{}"], "line 1: not the head of a report"),
        ([HEAD, "[1]"], "line 2: must be an object, not list"),
        ([HEAD, "{", "{}"], "line 2: not JSON"),
        ([HEAD, "[" * 100_000, "{}"], "line 2: not JSON"),
        ([HEAD, "1" * 5000, "{}"], "line 2: not JSON"),
        ([HEAD, "\udcff", "{}"], "line 2: not JSON"),
        ([HEAD, "{}"], "line 2: a verdict holds exactly backend, check, operator"),
        ([HEAD, json.dumps({**GOOD, "extra": 1})], "line 2: .*not so: extra"),
        ([HEAD, json.dumps({**GOOD, "outcome": "fine"})], "line 2: 'fine' is not a valid Outcome"),
        ([HEAD, json.dumps({**GOOD, "outcome": []})], "line 2: "),
        ([HEAD, json.dumps({**GOOD, "case": "relu()"})], "line 2: column 1: a case has at least one array"),
        ([HEAD, json.dumps({**GOOD, "case": 3})], "line 2: "),
        ([HEAD, json.dumps({**GOOD, "share": "much"})], "line 2: could not convert"),
        ([HEAD, json.dumps({**GOOD, "share": None})], "line 2: "),
        ([HEAD, json.dumps({**GOOD, "details": 3})], "line 2: "),
    ],
)
def test_a_file_that_is_no_report_is_refused_with_the_line(tmp_path, lines, text):
    path = tmp_path / "report.jsonl"
    path.write_bytes("".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape"))
    with pytest.raises(ReportError, match=f"report.jsonl, {text}"):
        list(read(path))


def test_a_file_without_a_head_is_no_report_even_if_it_was_cut_off(tmp_path):
    path = tmp_path / "report.jsonl"
    path.write_text("not a report", encoding="utf-8")
    with pytest.raises(ReportError, match="line 1: not JSON"):
        list(read(path))


def test_details_are_read_back_as_they_were(tmp_path):
    details = {"output": "a", "index": (1, 2), "expected": [math.inf, (1.5,)], "actual": -math.inf, "nested": {"x": 1}}
    (seen,) = read(written(tmp_path / "report.jsonl", verdict(details=details)))
    assert seen.details == {**details, "expected": (math.inf, (1.5,))}
