"""Verdicts as JSON lines: what is written is read back, and nothing else is."""

from __future__ import annotations

import fcntl
import json
import math
import os
import random
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from conformance_cases import numpy_backend, verdict

from conformance import __version__
from conformance.model import Outcome
from conformance.report.fields import FIELDS
from conformance.report.grid import failure, grid
from conformance.report.head import head_of
from conformance.report.jsonl import LONGEST_LINE, ReportError, Writer, line_of, read
from conformance.report.tally import tallies

SETTINGS = {
    "operators": ["relu"],
    "dtypes": ["float32"],
    "checks": ["values"],
    "examples": 10,
    "seed": 3,
    "deviations": "",
    "stop_at_first": False,
    "limit_seconds": 30.0,
    "limit_mebibytes": 0,
}
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


def head(**fields):
    return head_of(numpy_backend(**fields), SETTINGS)


def written(path, *verdicts):
    with Writer(path, head(about=lambda: "numpy")) as writer:
        for each in verdicts:
            writer.write(each)
    return path


@pytest.fixture
def report(tmp_path):
    return written(tmp_path / "report.jsonl", verdict(share=0.25), FAILED, verdict(Outcome.UNBOUND, case=None))


def test_what_is_written_is_read_back(report):
    seen = list(read(report))
    assert [v.outcome for v in seen] == [Outcome.CONFORMS, Outcome.DIFFERS, Outcome.UNBOUND]
    assert seen[0] == verdict(share=0.25)
    assert repr(seen[1]) == repr(FAILED)  # which holds NaN, which equals nothing
    assert seen[2] == verdict(Outcome.UNBOUND, case=None)
    assert failure(seen[1]) == failure(FAILED)


def test_a_report_says_what_was_run_where_and_how_it_ended(report):
    first, *_, end = map(json.loads, report.read_text(encoding="utf-8").splitlines())
    assert first["convformance"] == __version__
    assert (first["backend"], first["address"], first["about"]) == ("honest", "honest", "numpy")
    assert first["numpy"] == np.__version__
    assert {"hypothesis", "python", "machine", *SETTINGS} < set(first)
    assert end == {"end": "complete"}


def test_the_settings_of_a_head_have_an_order_of_their_own():
    backend = numpy_backend()
    assert line_of(head_of(backend, SETTINGS)) == line_of(head_of(backend, dict(reversed(SETTINGS.items()))))


def test_an_unavailable_backend_says_nothing_about_itself():
    assert head(about=lambda: 1 / 0, unavailable=lambda: "gone")["about"] == ""


@pytest.mark.parametrize("name", ["", "two\nlines", "x" * 101])
def test_a_backend_whose_name_could_not_be_read_back_is_refused(name):
    with pytest.raises(ReportError, match=r"^backend='.*: must be a name of at most 100 printable characters$"):
        head(name=name)


def test_numbers_that_json_lacks_are_words(report):
    line = report.read_text(encoding="utf-8").splitlines()[2]
    found = json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert found["share"] == "inf"
    assert (found["details"]["actual"], found["details"]["bound"]) == ("nan", 0.0)
    assert found["case"] == "relu(input=ramp(float32[2]))"


def test_every_verdict_is_there_as_soon_as_it_is_written(tmp_path):
    path = tmp_path / "report.jsonl"
    with Writer(path, head()) as writer:
        writer.write(verdict())
        assert list(read(path)) == [verdict()]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_error_ends_a_report_as_interrupted(tmp_path, error):
    path = tmp_path / "report.jsonl"

    def broken_off():
        with Writer(path, head()) as writer:
            writer.write(verdict())
            raise error

    with pytest.raises(error):
        broken_off()
    assert json.loads(path.read_text(encoding="utf-8").splitlines()[-1]) == {"end": "interrupted"}
    assert list(read(path)) == [verdict()]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_a_full_disk_closes_the_file_all_the_same(tmp_path):
    with pytest.raises(ReportError, match=r"^/dev/full: No space left"):
        Writer(Path("/dev/full"), head())
    with Writer(tmp_path / "report.jsonl", head()) as writer:
        writer._file.close()
        writer._file = Path("/dev/full").open("wb")  # noqa: SIM115  (the writer closes it)
        with pytest.raises(ReportError, match=r"report.jsonl: No space left"):
            writer.write(verdict())
        writer.end = "interrupted"
    assert writer._file.closed


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_a_disk_that_is_full_at_the_end_is_told(tmp_path):
    writer = Writer(tmp_path / "report.jsonl", head())
    writer._file.close()
    writer._file = Path("/dev/full").open("wb")  # noqa: SIM115  (the writer closes it)
    with pytest.raises(ReportError, match="No space left"):
        writer.__exit__(None, None, None)
    assert writer._file.closed


def test_a_file_that_another_run_is_writing_to_is_left_alone(tmp_path):
    path = tmp_path / "report.jsonl"
    with Writer(path, head()) as writer:
        writer.write(verdict())
        with pytest.raises(ReportError, match=r"report.jsonl: another run is writing to it$"):
            Writer(path, head())
        assert list(read(path)) == [verdict()]
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # nobody holds it any longer


@pytest.mark.parametrize("other", [True, False])
def test_a_file_that_vanishes_is_told_at_the_end_of_a_cell(tmp_path, other):
    path = tmp_path / "report.jsonl"
    with Writer(path, head()) as writer:
        writer.settle()
        path.unlink()
        if other:
            path.write_text("another", encoding="utf-8")
        with pytest.raises(ReportError, match="another file was put in its place" if other else "No such file"):
            writer.settle()
        writer.end = "interrupted"


def test_a_writer_goes_on_after_what_is_kept(report):
    whole = report.read_bytes()
    at = whole.index(b"\n", whole.index(b"\n") + 1) + 1
    with Writer(report, {}, at) as writer:
        writer.write(FAILED)
        writer.write(verdict(Outcome.UNBOUND, case=None))
    assert report.read_bytes() == whole
    with pytest.raises(ReportError, match="it has become shorter"):
        Writer(report, {}, len(whole) + 1)
    assert report.read_bytes() == whole
    with pytest.raises(ReportError, match="No such file"):
        Writer(report.with_name("missing"), {}, 1)
    assert not report.with_name("missing").exists()


def test_what_could_not_be_read_back_is_not_written(tmp_path):
    path = tmp_path / "report.jsonl"
    with Writer(path, head()) as writer, pytest.raises(ReportError, match=r"report.jsonl: a line of \d+ bytes"):
        writer.write(verdict(Outcome.UNAVAILABLE, case=None, reason="x" * LONGEST_LINE))
    assert list(read(path)) == []


def test_a_device_is_written_to_as_well():
    with Writer(Path(os.devnull), head()) as writer:
        writer.settle()


# What is read


def test_a_last_line_that_was_cut_off_is_left_out(report):
    lines = report.read_text(encoding="utf-8").splitlines(keepends=True)
    for cut in (1, len(lines[2]) // 2, len(lines[2]) - 2, len(lines[2]) - 1):
        report.write_text("".join(lines[:2]) + lines[2][:cut], encoding="utf-8")
        assert len(list(read(report))) == 1


GOOD = {
    **dict.fromkeys(("backend", "check", "operator", "dtype"), "name"),
    "outcome": "conforms",
    "case": None,
    "compared": 1,
    "share": 0.5,
    "reason": "",
    "details": {},
}
DETAILS = {"output": "output", "index": [0], "expected": 1, "actual": 2, "bound": 0, "error_ulps": 1}
HEAD = '{"convformance": "0.1.0"}'


def bad(**fields):
    return [HEAD, json.dumps({**GOOD, **fields})]


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ([""], "line 1: not JSON"),
        ([], "line 1: not the head of a report"),
        (["not a report"], "line 1: not JSON"),
        (["[]"], "line 1: not the head of a report; it must hold 'convformance', a version"),
        (["{}"], "line 1: not the head of a report"),
        (['{"convformance": 1}'], "line 1: not the head of a report"),
        ([HEAD, "[1]"], "line 2: must be an object, not list"),
        ([HEAD, "{", "{}"], "line 2: not JSON"),
        ([HEAD, "[" * 100_000, "{}"], "line 2: not JSON"),
        ([HEAD, "1" * 5000, "{}"], "line 2: not JSON"),
        ([HEAD, "NaN", "{}"], "line 2: not JSON: NaN is no number of JSON"),
        ([HEAD, "\udcff", "{}"], "line 2: not JSON: 'utf-8' codec can't decode"),
        ([HEAD, "\x00" * 40], "line 2: not JSON"),
        ([HEAD, "{}"], "line 2: a verdict holds exactly backend, check, operator"),
        ([HEAD, '{"end": "soon"}'], "line 2: the end of a report holds 'end', one of complete, interrupted"),
        ([HEAD, '{"end": "complete", "more": 1}'], "line 2: the end of a report holds"),
        ([HEAD, '{"end": "complete"}', json.dumps(GOOD)], "line 3: nothing may follow the end"),
        (bad(extra=1), "line 2: .*not so: 'extra'"),
        (bad(**{"\x1b" * 5000: 1}), r"line 2: .*not so: '(\\x1b)+.{0,3}\.\.\.$"),
        (bad(backend=""), "line 2: backend='': must be a name of at most 100 printable characters"),
        (bad(operator="\x1b[2J"), r"line 2: operator='\\x1b\[2J': must be a name"),
        (bad(dtype=3), "line 2: dtype=3: must be a text"),
        (bad(check="x" * 101), "line 2: check='x*...: must be a name"),
        (bad(outcome="fine"), "line 2: outcome='fine': must be one of conforms, "),
        (bad(outcome=[]), r"line 2: outcome=\[\]: must be one of"),
        (bad(case="relu()"), "line 2: case='relu\\(\\)': column 1: a case has at least one array"),
        (bad(case=3), "line 2: case=3: must be a text"),
        (bad(compared=-1), "line 2: compared=-1: must be a whole number"),
        (bad(compared=True), "line 2: compared=True: must be a whole number"),
        (bad(compared=10**30), "line 2: compared=10*: must be a whole number of at least 0, and below"),
        (bad(share="much"), "line 2: share='much': must be a number"),
        (bad(share=None), "line 2: share=None: must be a number"),
        (bad(share=-0.5), "line 2: share=-0.5: must be at least 0"),
        (bad(share="nan"), "line 2: share='nan': must be at least 0"),
        (bad(share=10**400), "line 2: share=1.*: must be a number"),
        (bad(reason=None), "line 2: reason=None: must be a text"),
        (bad(details=3), "line 2: details=3: must be an object"),
        (bad(details={"note": 1}), "line 2: details=.*: must be an object that holds nothing but output, index"),
        (bad(details={"index": [0]}), "line 2: details=.*: with 'index' there must be actual, bound"),
        (bad(details={**DETAILS, "index": 3}), "line 2: details=.*: index=3: must be a list"),
        (bad(details={**DETAILS, "bound": "low"}), "line 2: details=.*: bound='low': must be a number"),
        (bad(details={"expected": [[1]]}), r"line 2: details=.*: expected=\[\[1\]\]: must be a number"),
        (bad(details={"printed": [1]}), r"line 2: details=.*: printed=\[1\]: must be a text"),
    ],
)
def test_a_file_that_is_no_report_is_refused_with_the_line(tmp_path, lines, text):
    path = tmp_path / "report.jsonl"
    path.write_bytes("".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape"))
    with pytest.raises(ReportError, match=f"report.jsonl, {text}") as raised:
        list(read(path))
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 1000


def test_a_file_without_a_head_is_no_report_even_if_it_was_cut_off(tmp_path):
    path = tmp_path / "report.jsonl"
    path.write_text("not a report", encoding="utf-8")
    with pytest.raises(ReportError, match="line 1: not JSON"):
        list(read(path))


def test_a_head_without_its_newline_is_refused_as_nothing_can_follow_it(report):
    first = report.read_bytes().partition(b"\n")[0]
    report.write_bytes(first)
    with pytest.raises(ReportError, match=r"report.jsonl, line 1: was cut short; a newline must end it$"):
        list(read(report))
    report.write_bytes(first + b"\n")
    assert list(read(report)) == []


@pytest.mark.parametrize(("name", "text"), [("missing", "No such file or directory"), (".", "Is a directory")])
def test_a_file_that_cannot_be_opened_is_told(tmp_path, name, text):
    with pytest.raises(ReportError, match=f"{text}$"):
        list(read(tmp_path / name))


@pytest.mark.parametrize("before", ["", f"{HEAD}\n"])
def test_a_line_that_never_ends_is_not_read_to_its_end(tmp_path, before):
    path = tmp_path / "report.jsonl"
    path.write_text(before, encoding="utf-8")
    os.truncate(path, 2**33)  # takes no room on a disk, but would in memory
    tracemalloc.start()
    with pytest.raises(ReportError, match=rf"line {2 if before else 1}: has more than {LONGEST_LINE} bytes"):
        list(read(path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 * LONGEST_LINE


@pytest.mark.parametrize(
    "details",
    [
        {"output": "a", "expected": (2, 3), "actual": (3, 2)},
        {**DETAILS, "index": (), "expected": math.inf, "actual": -math.inf, "bound": 0.5},
        {"printed": ("nan", "Fatal Python error: \x1b[1m", "")},
    ],
)
def test_details_are_read_back_as_they_were(tmp_path, details):
    (seen,) = read(written(tmp_path / "report.jsonl", verdict(Outcome.DIFFERS, details=details)))
    assert seen.details == details


FUZZED = 20_000
SPLICED = [b"", b"null", b"1e999", b"-1", b"[]", b"{}", b'"inf"', b"\n", b"\x00", b"\xff", b'"\\ud800"', b"9" * 5000]


def mutated(source, lines):
    """Return a report with something of it changed, lost, doubled or put elsewhere."""
    line = bytearray(source.choice(lines))
    for _ in range(source.randint(1, 3)):
        start = source.randrange(len(line) + 1)
        end = min(len(line), start + source.choice((0, 1, 1, 5, 50)))
        line[start:end] = source.choice((*SPLICED, source.randbytes(3), bytes(line[start:end]) * 2))
    return bytes(line)


def seen_in(path):
    """Return the verdicts that a file holds, or the message with which it is refused."""
    try:
        return list(read(path))
    except ReportError as error:
        return str(error)


def test_whatever_a_file_holds_a_report_is_read_or_refused(report, tmp_path):
    source = random.Random(1)
    crashed = verdict(Outcome.CRASHED, reason="is killed", details={"printed": ("a line", "nan")})
    lines = [line_of(head()), *written(tmp_path / "more.jsonl", crashed).read_bytes().splitlines(keepends=True)[1:]]
    lines += report.read_bytes().splitlines(keepends=True)[1:]
    path = tmp_path / "fuzzed.jsonl"
    refused = 0
    for number in range(FUZZED):
        first = mutated(source, lines[:1]) if number % 10 == 0 else lines[0]
        path.write_bytes(b"".join((first, source.choice(lines[1:]), mutated(source, lines))))
        found = seen_in(path)
        if isinstance(found, str):
            refused += 1
            assert found.isprintable()
            assert len(found) < 1000
            continue
        for each in found:
            assert set(vars(each)) == set(FIELDS)
            failure(each)
        grid(tallies(found).values())
    assert FUZZED / 20 < refused < FUZZED * 19 / 20
