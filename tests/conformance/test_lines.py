"""The one line that a case prints: what is printed is read back, what is no case is refused with its place."""

from __future__ import annotations

import math
import random
import re
import string

import pytest
from conformance_cases import OPERATORS, drawn_cases
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.fills import KINDS, Fill
from conformance.formats import DTYPES
from conformance.lines import LARGEST_FILL, LONGEST_LINE, LineError, parse
from conformance.model import Case

CONV = 'conv2d(input=ramp(float32[1,2,3,3]), weight=odd(float32[2,1,2,2], seed=3, scale=9), padding="same", groups=2)'


@pytest.mark.parametrize("operator", OPERATORS)
@settings(max_examples=60)
@given(data=st.data())
def test_what_a_case_prints_is_read_back(operator, data):
    case = data.draw(drawn_cases(operator))
    line = repr(case)
    assert parse(line) == case
    assert repr(parse(line)) == line  # the order of the words too
    # It stands between single quotes in a shell, and on one line.
    assert "'" not in line
    assert line.isprintable()
    assert len(line) < LONGEST_LINE


@pytest.mark.parametrize(
    "attributes",
    [
        {"a": None, "b": True, "c": False},
        {"a": -1, "b": 0.1, "c": -1e-300, "d": 2**62},
        {"a": float("inf"), "b": float("-inf")},
        {"a": (), "b": (1,), "c": ((1, 2), (0, -3)), "d": "same"},
    ],
)
def test_every_sort_of_value_is_read_back(attributes):
    case = Case("any", {"input": Fill("ramp", "float64", ())}, attributes)
    assert parse(repr(case)) == case
    assert repr(parse(repr(case)).attributes) == repr(attributes)  # 1 is not True, and -0.0 not 0.0


def test_a_nan_is_read_back():
    assert repr(parse("any(input=ramp(float64[()]), a=nan)")) == "any(input=ramp(float64[()]), a=nan)"


def test_blanks_around_and_within_a_line_do_not_matter():
    assert parse(" relu ( input = ramp( float32[ 2 , 3 ] , seed = 1 ) ) \n") == parse(
        "relu(input=ramp(float32[2,3], seed=1))"
    )


# The column is that of the word that is wrong.
BAD = [
    ("", None, "not a case"),
    ("relu", 1, "a case is operator(name=value, ...)"),
    ("relu(", 5, "never closed"),
    ("relu(input=)", 12, "not a case"),
    ("relu()", 1, "at least one array"),
    ("relu(inplace=True)", 1, "at least one array"),
    ("relu(ramp(float32[2]))", 1, "a case is operator(name=value, ...)"),
    ("relu(**ramp(float32[2]))", 8, "a case is operator(name=value, ...)"),
    ("relu.relu(input=ramp(float32[2]))", 1, "a case is operator(name=value, ...)"),
    ("relu(input=ramp(float32[2]), input=ramp(float32[2]))", 36, "input is given twice"),
    ("relu(input=ramp(float32[2]), a=1, a=2)", 37, "a is given twice"),
    ("relu(input=ramp(float32[2], seed=1, seed=2))", 42, "seed is given twice"),
    ("relu(input=zeros(float32[2]))", 12, "not a kind of fill; choose ramp, integers"),
    ("relu(input=a.ramp(float32[2]))", 12, "not a kind of fill"),
    ("relu(input=ramp())", 12, "a fill is kind(dtype[extents], seed=0, scale=1)"),
    ("relu(input=ramp(float32))", 12, "a fill is kind(dtype[extents], seed=0, scale=1)"),
    ("relu(input=ramp(float32[2], float32[2]))", 12, "a fill is kind(dtype[extents], seed=0, scale=1)"),
    ("relu(input=ramp(int8[2]))", 17, "'int8' is not a dtype; choose float64, float32, float16, bfloat16"),
    ("relu(input=ramp(1[2]))", 17, "this is not a dtype"),
    ("relu(input=ramp(float32[-1]))", 17, "extents are whole numbers"),
    ("relu(input=ramp(float32[2.0]))", 17, "extents are whole numbers"),
    ("relu(input=ramp(float32[True]))", 17, "extents are whole numbers"),
    ("relu(input=ramp(float32[1:2]))", 25, "not a value"),
    (f"relu(input=ramp(float32[{LARGEST_FILL},2]))", 17, "is too large; at most 268435456 elements"),
    (f"relu(input=ramp(float32[0,{2**62},{2**62}]))", 17, "is too large"),  # no elements, yet NumPy makes no such array
    (f"relu(input=ramp(float32[{','.join('1' * 33)}]))", 17, "on 32 axes"),
    (f"relu(input=ramp(float32[0x{'f' * 5000}]))", 25, "not a value"),  # Python prints no such number
    ("relu(input=ramp(float32[2], order=1))", 35, "'order' is not an option of a fill; choose seed, scale"),
    ("relu(input=ramp(float32[2], **seed))", 31, "None is not an option"),
    ("relu(input=ramp(float32[2], seed=-1))", 12, "seed=-1 must be a whole number"),
    (f"relu(input=ramp(float32[2], seed={2**32}))", 12, "from 0 to 2**32 - 1"),
    ("relu(input=ramp(float32[2], seed=True))", 12, "seed=True must be a whole number"),
    ("relu(input=ramp(float32[2], scale=0))", 12, "scale=0 must be a number above 0"),
    ("relu(input=offset(float32[2], scale=-1e20))", 12, "above -4.61169e+18"),
    ("relu(input=ramp(float32[2], scale=inf))", 12, "below 2**62"),
    ("relu(input=ramp(float32[2], scale=nan))", 12, "scale=nan must be a number"),
    ('relu(input=ramp(float32[2], scale="one"))', 12, "must be a number"),
    ("relu(input=integers(float32[2], scale=1.5))", 12, "must be a whole number"),
    ("relu(input=odd(float32[2]))", 12, "of 2 to 53 for odd"),
    ("relu(input=odd(float32[2], scale=54))", 12, "of 2 to 53 for odd"),
    ("relu(input=paired(float32[2]))", 19, "a batch and a channel axis"),
    ("relu(input=ramp(float32[2]), a=b)", 32, "not a value; choose a number"),
    ("relu(input=ramp(float32[2]), a=1j)", 32, "not a value"),
    ("relu(input=ramp(float32[2]), a=-True)", 32, "not a value"),
    ("relu(input=ramp(float32[2]), a=+1)", 32, "not a value"),
    ("relu(input=ramp(float32[2]), a=[1])", 32, "not a value"),
    ("relu(input=ramp(float32[2]), a=1+1)", 32, "not a value"),
    ("relu(input=ramp(float32[2]), a=(1, b))", 36, "not a value"),
    ('relu(input=ramp(float32[2]), a=f"{1}")', 32, "not a value"),
    ('relu(input=ramp(float32[2]), a="it\'s")', 32, "not a value"),  # it could not stand between single quotes
    (r'relu(input=ramp(float32[2]), a="\n")', 32, "not a value"),
    (f"relu(input=ramp(float32[2]), a={'-' * 900}1)", 32, "not a value"),
    ("relu(input=ramp(float32[2]), a=__import__)", 32, "not a value"),
]


@pytest.mark.parametrize(("line", "column", "text"), BAD, ids=[line[:60] for line, _, _ in BAD])
def test_a_line_that_is_no_case_is_refused_where_it_goes_wrong(line, column, text):
    with pytest.raises(LineError, match=re.escape(text)) as caught:
        parse(line)
    assert column is None or str(caught.value).startswith(f"column {column}: ")


def test_a_call_within_a_line_is_never_made():
    with pytest.raises(LineError, match="not a kind of fill"):
        parse('relu(input=ramp(float32[2]), a=print("called"))')


@pytest.mark.parametrize(
    "line",
    [
        "relu(" + "(" * 300,
        "(" * 5000,
        "relu(a=ramp(" + "a." * 1400 + "b[1]))",
        "-" * 9000 + "1",
        "relu(a=" + "a." * 4000 + "b)",
    ],
)
def test_deeply_nested_lines_are_refused(line):
    with pytest.raises(LineError):
        parse(line)


def test_a_line_is_measured_before_it_is_parsed():
    with pytest.raises(LineError, match="has 10001 characters; a case has at most 10000"):
        parse("(" * (LONGEST_LINE + 1))


def read_or_refused(line):
    """Parse a line; what is accepted must be a case that is printed and read back, with small arrays that exist."""
    try:
        case = parse(line)
    except LineError:
        return
    assert repr(parse(repr(case))) == repr(case)
    assert "'" not in repr(case)
    for fill in case.inputs.values():
        if math.prod(fill.shape) < 2**12:
            assert fill.array().shape == fill.shape


@settings(max_examples=400)
@given(st.one_of(st.text(), st.text(string.printable), st.text("relu(input=ramp32[],1)\"'-*", max_size=60)))
def test_any_text_is_read_or_refused(line):
    read_or_refused(line)


# Pieces that a case is made of, and some that it is not made of.
PIECES = [
    *KINDS,
    *DTYPES,
    *'()[],=-*":.+\\\n\0',
    "seed",
    "scale",
    "inf",
    "nan",
    "None",
    "1",
    "0",
    "7e400",
    "1j",
    "lambda:",
]


@settings(max_examples=400)
@given(
    st.sampled_from(sorted(OPERATORS)).flatmap(drawn_cases),
    st.integers(0, 2**16),
)
def test_changed_lines_are_read_or_refused(case, seed):
    line, chance = repr(case), random.Random(seed)
    for _ in range(chance.randint(1, 3)):
        at = chance.randint(0, len(line))
        line = line[:at] + chance.choice([*PIECES, ""]) + line[at + chance.randint(0, 4) :]
    read_or_refused(line)


@settings(max_examples=100)
@given(
    st.sampled_from([kind for kind in KINDS if kind not in ("paired", "odd")]),
    st.sampled_from(DTYPES),
    st.lists(st.integers(0, 4), max_size=4).map(tuple),
    st.integers(0, 2**32 - 1),
    st.one_of(st.integers(1, 2**61), st.floats(0, 2.0**61, exclude_min=True)),
)
def test_every_fill_that_can_be_spelled_can_be_made(kind, dtype, shape, seed, scale):
    scale = int(scale) + 1 if kind in ("integers", "tiny") else scale
    fill = parse(f"relu(input={Fill(kind, dtype, shape, seed, scale)!r})").inputs["input"]
    assert fill == Fill(kind, dtype, shape, seed, scale)
    assert fill.array().shape == shape


def test_a_mutilated_conv_line_is_refused_at_every_cut():
    for cut in range(len(CONV)):
        with pytest.raises(LineError):
            parse(CONV[:cut])
