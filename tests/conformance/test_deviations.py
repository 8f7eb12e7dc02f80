"""Files of deviations: what they declare, what they do to a run, and what is refused, wherever it stands."""

from __future__ import annotations

import datetime
import random
import re
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest
from conformance_cases import LINE, numpy_backend, outcomes_of

from conformance.checks import CHECKS
from conformance.deviations import DECLARABLE, FIELDS, LARGEST_FILE, MOST_DOTS, DeviationError, read
from conformance.discovery import find_backend
from conformance.lines import parse
from conformance.model import Declaration, Outcome
from conformance.run import run

MATRIX = "conv_matrix(weight=ramp(float32[1,1,2]), input_size=3)"
DECLARED_CHECKS = Declaration.__dataclass_fields__["checks"].default
PAGE = (Path(__file__).parents[2] / "docs" / "deviations.md").read_text(encoding="utf-8")
EXAMPLE = re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)[1]

# Each field as it is written; a test changes one.
GOOD = {
    "outcome": '"deviates"',
    "operators": '["relu", "linear"]',
    "reason": '"answers otherwise"',
    "link": '"https://example.org/issue"',
    "date": "2026-11-21",
    "witness": f'"{LINE}"',
}


def entry(**changes):
    """Return the text of a deviation; a field that is changed to None is left out."""
    fields = {name: value for name, value in (GOOD | changes).items() if value is not None}
    return "\n".join(["[[deviation]]", *(f"{name} = {value}" for name, value in fields.items()), ""])


@pytest.fixture
def file(tmp_path):
    """Return what writes a file of deviations and returns its path."""

    def write(held):
        path = tmp_path / "known.toml"
        path.write_bytes(held if isinstance(held, bytes) else held.encode())
        return path

    return write


def test_a_file_declares_what_a_backend_would(file):
    where = "\"dtype == 'float32' and input.shape[0] > 1\""
    path = file(entry(checks='["sizes", "values"]', where=where) + "# and\n" + entry(date='"2026-01-31"'))
    narrow, wide = read(path)
    assert (narrow.outcome, narrow.operators, narrow.checks) == (
        Outcome.DEVIATES,
        ("relu", "linear"),
        ("sizes", "values"),
    )
    assert (narrow.reason, narrow.link, narrow.date) == ("answers otherwise", "https://example.org/issue", "2026-11-21")
    assert (narrow.witness, wide.date, wide.checks) == (LINE, "2026-01-31", DECLARED_CHECKS)
    assert narrow.here()
    covered = [narrow.covers("sizes", parse(line)) for line in (LINE, LINE.replace("[2,", "[1,"))]
    assert covered == [True, False]
    assert not narrow.covers("special", parse(LINE))
    assert wide.covers("special", parse("linear(input=ramp(float64[1]), weight=ramp(float64[1]))"))


def test_a_file_without_deviations_declares_nothing(file):
    assert read(file("")) == read(file("# none today\n")) == ()


def test_a_witness_is_kept_as_a_case_prints(file):
    spelled = "'max_pool1d( input=ramp(float32[1,1,4]),kernel_size=(2,), ceil_mode=True)'"
    (declaration,) = read(file(entry(operators='["max_pool1d"]', witness=spelled)))
    assert declaration.witness == "max_pool1d(input=ramp(float32[1,1,4]), kernel_size=(2,), ceil_mode=True)"


def test_every_outcome_that_can_be_declared_is_read(file):
    assert {Outcome.DEVIATES, Outcome.UNSUPPORTED} <= set(DECLARABLE.values())
    assert not {Outcome.CONFORMS, Outcome.DIFFERS, Outcome.STALE} & set(DECLARABLE.values())
    for name, outcome in DECLARABLE.items():
        (declaration,) = read(file(entry(outcome=f'"{name}"')))
        assert declaration.outcome is outcome


def test_the_page_names_every_outcome_and_every_field():
    assert not [name for name in DECLARABLE if f"`{name}`" not in PAGE]
    fields = " ".join(re.findall(r"^\| ([a-z, ]+) \|", PAGE, re.MULTILINE))
    assert not [name for name in FIELDS if name not in fields]


def test_the_example_of_the_page_is_true_of_torch(file):
    bare = replace(find_backend("torch-cpu"), declarations=())
    declared = replace(bare, declarations=read(file(EXAMPLE)))
    for operator, dtype, check in (("conv2d", "float32", "sizes"), ("avg_pool3d", "bfloat16", "values")):
        asked = {"operators": [operator], "dtypes": [dtype], "checks": [check], "examples": 20}
        assert [v for v in run(bare, **asked) if v.failed]
        found = list(run(declared, **asked))
        assert not [v for v in found if v.failed]
        assert outcomes_of(found)[Outcome.DEVIATES if check == "sizes" else Outcome.UNSUPPORTED]


def test_a_deviation_that_is_no_longer_true_is_stale(file):
    backend = numpy_backend(declarations=read(file(EXAMPLE)))
    (stale,) = [v for v in run(backend, operators=["conv2d"], dtypes=["float32"], examples=5) if v.failed]
    assert (stale.outcome, stale.check) == (Outcome.STALE, "sizes")
    assert stale.reason.startswith("no longer true: without input channels")


BAD_FIELDS = [
    ({"outcome": '"differs"'}, "outcome='differs': cannot be declared; choose deviates, unsupported"),
    ({"outcome": "1"}, "outcome=1: cannot be declared"),
    ({"operators": '["relu", "softmix"]'}, "'softmix' is none of relu"),
    ({"operators": '"relu"'}, "operators='relu': must be a list of at least one name"),
    ({"operators": "[]"}, "operators=[]: must be a list"),
    ({"operators": "[1]"}, "1 is none of relu"),
    (
        {"checks": '["speed"]'},
        f"checks=['speed']: 'speed' is none of {', '.join(CHECKS)}",
    ),
    ({"checks": "[[]]"}, "[] is none of values"),
    ({"where": "true"}, "where=True: must be a text"),
    ({"where": '"gruops == 1"'}, "where='gruops == 1': column 1: 'gruops' is no name here; choose dtype, operator"),
    ({"where": '"groups == 1"'}, "column 1: 'groups' is no name here"),  # of neither relu nor linear
    ({"where": f'"{"1" * 2000}"'}, "has 2000 characters; a condition has at most 1000"),
    ({"reason": '" "'}, "reason=' ': must be one line of printable text"),
    ({"reason": '"a\\nb"'}, r"reason='a\nb': must be one line"),
    ({"reason": '"\\u001b[31m"'}, r"reason='\x1b[31m': must be one line"),
    ({"reason": "[]"}, "reason=[]: must be one line"),
    ({"link": '"ftp://example.org"'}, "link='ftp://example.org': must be a link that begins with https:// or http://"),
    ({"link": '"https://"'}, "must be a link"),
    ({"link": '"https://example.org/a b"'}, "must be a link"),
    ({"link": '"https://example.org/\\u202e"'}, "must be a link"),
    ({"link": "{}"}, "link={}: must be a link"),
    ({"date": '"yesterday"'}, "date='yesterday': must be a date such as 2026-11-21"),
    ({"date": '"2026-02-30"'}, "must be a date"),
    ({"date": "20261121"}, "date=20261121: must be a date"),
    ({"date": "2026-11-21T10:00:00Z"}, "must be a date"),
    ({"date": "10:00:00"}, "must be a date"),
    ({"date": "9999-12-31"}, "date=datetime.date(9999, 12, 31): lies in the future"),
    ({"witness": '"relu(input=ramp(int8[2]))"'}, "]))': column 17: "),
    ({"witness": "2"}, "witness=2: must be one line of printable text"),
    ({"witness": f"0x{'f' * 5000}"}, "witness=a number of too many digits: must be"),
    ({"witness": f'"{LINE.replace("relu", "softmix")}"'}, "'softmix' is no operator; choose relu"),
    ({"witness": f'"{LINE.replace("input", "x")}"'}, "relu takes no 'x'; choose input"),
    ({"witness": '"linear(input=ramp(float32[2]))"'}, "linear: missing a required argument: 'weight'"),
    ({"witness": f'"{LINE[:-1]}, nan=1)"'}, "relu takes no 'nan'; choose input"),
    ({"operators": '["linear"]'}, f"witness='{LINE}': relu is none of the deviation's operators"),
    ({"where": "\"dtype == 'float64'\""}, "witness='" + LINE + "': where=\"dtype == 'float64'\" does not hold for it"),
    ({"where": '"input.shape[3] == 1"'}, "where='input.shape[3] == 1' makes no sense of it: column 1: tuple index"),
    ({"where": '"bias == None"'}, "where='bias == None' makes no sense of it: column 1: relu has no bias"),
    (  # no law speaks of it
        {"operators": '["conv_matrix"]', "checks": '["laws"]', "where": '"True"', "witness": f'"{MATRIX}"'},
        "conv_matrix is asked by none of the deviation's checks",
    ),
    ({"here": '"everywhere"'}, "'here' is no field of a deviation; choose outcome, operators, checks, where, reason"),
    ({'"\\u001b"': "1"}, r"'\x1b' is no field"),
]


@pytest.mark.parametrize(("changes", "why"), BAD_FIELDS, ids=[f"{next(iter(c))}-{w[-30:]}" for c, w in BAD_FIELDS])
def test_a_field_that_is_wrong_is_refused_by_file_entry_line_and_rule(file, changes, why):
    path = file(f"# known\n{entry()}\n{entry(**changes)}")
    with pytest.raises(DeviationError, match=re.escape(why)) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}, deviation 2 (line 10): ")


@pytest.mark.parametrize("name", GOOD)
def test_a_field_that_is_missing_is_named(file, name):
    with pytest.raises(DeviationError, match=rf"\(line 1\): {name} is missing; only checks and where may be left out"):
        read(file(entry(**{name: None})))


def test_today_is_no_future_wherever_it_is_written(file):
    far_east = datetime.datetime.now(datetime.timezone(datetime.timedelta(hours=14))).date()
    (declaration,) = read(file(entry(date=far_east.isoformat())))
    assert declaration.date == far_east.isoformat()


def test_an_entry_whose_line_is_not_known_is_told_by_its_number(file):
    quoted = entry(reason='"""\\\n[[deviation]]"""')
    with pytest.raises(DeviationError, match=r"known\.toml, deviation 2: link is missing"):
        read(file(quoted + entry(link=None)))


BAD_FILES = [
    (b"[[deviation]\n", "known.toml: not TOML: ", "line 1"),
    (b"deviation = 1", "known.toml: deviation is no array of tables; head each one with [[deviation]]", ""),
    (b"[deviation]", "known.toml: deviation is no array of tables", ""),
    (b"deviation = [1]", "known.toml: deviation is no array of tables", ""),
    (b"[[deviations]]", "known.toml: 'deviations' is no part of it; a file holds [[deviation]] tables only", ""),
    (b"[[deviation]]\ndate = 2026-01-01\ndate = 2026-01-01\n", "not TOML", "line 3"),
    (b"a = 1\n\xff", "known.toml, line 2: not UTF-8", ""),
    (b"\xef\xbb\xbf", "not TOML", "line 1"),
    (b"a = 'b\0'", "not TOML", "line 1"),
    (b"a = " + b"9" * 5000, "not TOML: Exceeds the limit", ""),
    (b"a = 2026-02-30", "not TOML", "line 1"),
    (b"a = " + b"[" * 100_000, "known.toml: nested too deeply", ""),
    (b"a = " + b"{b=" * 50_000, "known.toml: nested too deeply", ""),
    (b"\na" + b".a" * (MOST_DOTS + 1) + b" = 1", f"known.toml, line 2: has more than {MOST_DOTS} dots", ""),
    (b"#" * (LARGEST_FILE + 1), f"known.toml: is larger than {LARGEST_FILE} bytes", ""),
    (b'"' + b"a" * 1000 + b'" = 1', "aaa ... aaa", ""),
]


@pytest.mark.parametrize(("held", "why", "more"), BAD_FILES, ids=[why[:60] for _, why, _ in BAD_FILES])
def test_a_file_that_is_no_such_file_is_refused(file, held, why, more):
    with pytest.raises(DeviationError, match=rf"(?s){re.escape(why)}.*{more}"):
        read(file(held))


@pytest.mark.parametrize("name", ["missing.toml", ".", "a\0b"])
def test_a_path_that_leads_to_no_file_is_refused(tmp_path, name):
    with pytest.raises(DeviationError, match=r": must be a file$"):
        read(tmp_path / name)


KEY = b".".join([b"a"] * (MOST_DOTS + 1))
# What keeps tomllib busy for the square of its length, as far as the bounds let it.
HEAVY = [
    b"\n".join(b"b%d.%b = 1" % (n, KEY[2:]) for n in range(1850)),
    b"\n".join(b"[b%d.%b]" % (n, KEY[2:]) for n in range(1850)),
    b"[" + KEY + b"]\n" + b"\n".join(b"b%d = 1" % n for n in range(23_000)),
    b"[[deviation]]\n" * 18_000,
    b"a = 0x" + b"f" * 250_000,
]


@pytest.mark.parametrize("held", HEAVY, ids=lambda held: ascii(held[:20]))
def test_a_file_that_was_made_to_be_heavy_takes_little_memory(file, held):
    path = file(held)
    assert len(held) <= LARGEST_FILE
    tracemalloc.start()
    try:
        with pytest.raises(DeviationError):
            read(path)
        assert tracemalloc.get_traced_memory()[1] < 2**28
    finally:
        tracemalloc.stop()


PIECES = [
    *(b'[]{}="\\.,#\n\r\0\xff\x1b'[n : n + 1] for n in range(15)),
    b'"""',
    b"[[deviation]]\n",
    b"where = ",
    b"nan",
]
PIECES += [b"deviation", b"2026-13-01", b"9" * 5000, b"1e999", b"\\ud800", b"'", b"-", b"0", b"relu", b"ramp(", b"true"]


def random_files(count):
    """Yield files: of pieces in any order, and good ones with a few bytes changed."""
    chance = random.Random(20261121)
    good = EXAMPLE.encode() + entry(checks='["values"]', where='"input.shape[0] == 2"').encode()
    for number in range(count):
        if number % 4 == 0:
            yield b"".join(chance.choices(PIECES, k=chance.randint(1, 30)))
            continue
        held = good
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(held))
            held = held[:at] + chance.choice([*PIECES, b"", b" "]) + held[at + chance.randint(0, 6) :]
        yield held


def test_any_file_is_read_or_refused(tmp_path):
    good = 0
    for number, held in enumerate(random_files(5_000)):
        path = tmp_path / f"{number}.toml"  # a new one each: some file systems wait for the disk where one is rewritten
        path.write_bytes(held)
        try:
            declarations = read(path)
        except DeviationError as error:
            message = str(error).removeprefix(str(path))
        else:
            message, good = "", good + 1
            assert all(d.applies(parse(d.witness)) for d in declarations)
        assert len(message) < 1000
        assert message.isprintable()
    assert 100 < good < 4_000
