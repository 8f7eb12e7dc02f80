"""The one line that a case prints: what is printed is read back, what is no case is refused with its place."""

from __future__ import annotations

import math
import random
import re
import string

import pytest
from conformance_cases import HONEST, OPERATORS, drawn_cases
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from conformance.checks import CHECKS
from conformance.fills import KINDS, WHOLE_KINDS, Fill
from conformance.formats import DTYPES
from conformance.lines import LARGEST_FILL, LONGEST_LINE, LineError, parse
from conformance.model import Case

CONV = 'conv2d(input=ramp(float32[1,2,3,3]), weight=odd(float32[2,1,2,2], seed=3, scale=9), padding="same", groups=2)'


CELLS = [(o, c) for o in OPERATORS for c in CHECKS if CHECKS[c].applies(OPERATORS[o])]


@pytest.mark.parametrize(("operator", "check"), CELLS)
@settings(max_examples=3)
@given(data=st.data())
def test_every_case_that_is_drawn_is_read_back(operator, check, data):
    for case in data.draw(CHECKS[check].strategy(OPERATORS[operator], data.draw(st.sampled_from(DTYPES)), HONEST)):
        line = repr(case)
        assert repr(parse(line)) == line  # 1 is not True, and words keep their order
        assert parse(line) == case or math.nan in case.attributes.values()
        # It stands between single quotes in a shell, and on one line.
        assert "'" not in line
        assert line.isascii()
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


CASE = "a case is operator(name=value, ...)"
FILL = 'a fill is kind(dtype[extents], seed=0, scale=1, layout="")'

# The column is that of the word that is wrong.
BAD = [
    ("", 1, f"a name is expected, not the end; {CASE}"),
    ("relu", 5, f"'(' is expected, not the end; {CASE}"),
    ("relu(  ", 6, f"a name is expected, not the end; {CASE}"),
    ("relu(input=)", 12, "a value is expected, not ')'; choose a number, a quoted word"),
    ("relu(input=ramp(float32[2])", 28, "',' or ')' is expected, not the end"),
    ("relu(input=ramp(float32[2]) a=1)", 29, "',' or ')' is expected, not 'a'"),
    ("relu(input=ramp(float32[2]),,)", 29, "a name is expected, not ','"),
    ("relu(input=ramp(float32[2])))", 29, "the end is expected, not ')'"),
    ("relu()", 1, "at least one array"),
    ("relu(inplace=True)", 1, "at least one array"),
    ("relu(ramp(float32[2]))", 10, f"'=' is expected, not '('; {CASE}"),
    ("relu(**ramp(float32[2]))", 6, "a name is expected, not '*'"),
    ("relu.relu.relu(input=ramp(float32[2]))", 10, "'(' is expected, not '.'"),
    (".relu(input=ramp(float32[2]))", 1, "a name is expected, not '.'"),
    ("relu(input=ramp(float32[2]), input=ramp(float32[2]))", 30, "'input' is given twice"),
    ("relu(input=ramp(float32[2]), a=1, a=2)", 35, "'a' is given twice"),
    ("relu(input=ramp(float32[2], seed=1, seed=2))", 37, "'seed' is given twice"),
    ("relu(input=zeros(float32[2]))", 12, "a kind of fill is expected, not 'zeros'; choose ramp, integers"),
    ("relu(input=a.ramp(float32[2]))", 12, "a value is expected, not 'a'"),
    ("relu(input=ramp())", 17, f"an array is expected, not ')'; {FILL}"),
    ("relu(input=ramp()float32[2])", 17, f"an array is expected, not ')'; {FILL}"),
    ("relu(input=ramp(", 17, "a dtype is expected, not the end"),
    ("relu(input=ramp(float32))", 24, f"'[' is expected, not ')'; {FILL}"),
    ("relu(input=ramp(float32[2] seed=1))", 28, f"',' or ')' is expected, not 'seed'; {FILL}"),
    ("relu(input=ramp(float32[2], float32[2]))", 36, f"'=' is expected, not '['; {FILL}"),
    ("relu(input=ramp(int8[2]))", 17, "a dtype is expected, not 'int8'; choose float64, float32, float16, bfloat16"),
    ("relu(input=ramp(1[2]))", 17, "a dtype is expected, not '1'"),
    ("relu(input=ramp(float32[]))", 17, "() is not a shape: extents are whole numbers of at least 0, or ()"),
    ("relu(input=ramp(float32[-1]))", 17, "(-1,) is not a shape"),
    ("relu(input=ramp(float32[2.0]))", 17, "(2.0,) is not a shape"),
    ("relu(input=ramp(float32[True]))", 17, "(True,) is not a shape"),
    ("relu(input=ramp(float32[(2,3)]))", 17, "((2, 3),) is not a shape"),
    ("relu(input=ramp(float32[1:2]))", 26, "',' or ']' is expected, not ':'"),
    ("relu(input=ramp(float32[01]))", 26, "',' or ']' is expected, not '1'"),
    (f"relu(input=ramp(float32[{LARGEST_FILL},2]))", 17, f"is too large; at most {LARGEST_FILL} elements"),
    (f"relu(input=ramp(float32[0,{2**62},{2**62}]))", 17, "is too large"),  # no elements, yet NumPy makes no such array
    (f"relu(input=ramp(float32[{','.join('1' * 33)}]))", 17, "on 32 axes"),
    (f"relu(input=ramp(float32[{2**63}]))", 25, f"'{2**63}' must lie between -2**63 and 2**63"),
    (f"relu(input=ramp(float32[2]), a=-{2**63})", 32, f"'-{2**63}' must lie between"),
    (f"relu(input=ramp(float32[1{'0' * 5000}]))", 25, "0... must lie between"),  # Python reads no such number
    ("relu(input=ramp(float32[2], order=1))", 29, f"seed, scale or layout is expected, not 'order'; {FILL}"),
    ("relu(input=ramp(float32[2], **seed))", 29, "a name is expected, not '*'"),
    ("relu(input=ramp(float32[2], seed=-1))", 12, "seed=-1 must be a whole number"),
    (f"relu(input=ramp(float32[2], seed={2**32}))", 12, "from 0 to 2**32 - 1"),
    ("relu(input=ramp(float32[2], seed=True))", 12, "seed=True must be a whole number"),
    ("relu(input=ramp(float32[2], scale=0))", 12, "scale=0 must be a number above 0"),
    ("relu(input=offset(float32[2], scale=-1e20))", 12, "above -4.61169e+18"),
    ("relu(input=ramp(float32[2], scale=1e300))", 12, "scale=1e+300 must be a number above 0 and below 2**62"),
    ("relu(input=ramp(float32[2], scale=inf))", 12, "below 2**62"),
    ("relu(input=ramp(float32[2], scale=nan))", 12, "scale=nan must be a number"),
    ('relu(input=ramp(float32[2], scale="one"))', 12, "must be a number"),
    ("relu(input=integers(float32[2], scale=1.5))", 12, "must be a whole number"),
    ("relu(input=odd(float32[2]))", 12, "of 2 to 53 for odd"),
    ("relu(input=odd(float32[2], scale=54))", 12, "of 2 to 53 for odd"),
    ("relu(input=paired(float32[2]))", 19, "a batch and a channel axis"),
    ("relu(input=places(int64[2,3], scale=20000000))", 12, "is too large: at most 67108864 places"),
    ("relu(input=labels(int64[2], scale=1.5))", 12, "must be a whole number"),
    ("relu(input=repeated(float32[()]))", 21, "repeated needs an axis"),
    ("relu(input=ramp(float32[2], layout=2))", 12, "layout=2 must be a quoted word"),
    ("relu(input=labels(float32[2]))", 19, "a dtype is expected, not 'float32'; choose int64"),
    ("relu(input=ramp(int64[2]))", 17, "a dtype is expected, not 'int64'; choose float64"),
    ("relu(input=ramp(float32[2]), a=b)", 32, "a value is expected, not 'b'; choose a number"),
    ("relu(input=ramp(float32[2]), a=a1)", 32, "a value is expected, not 'a1'"),
    ("relu(input=ramp(float32[2]), a=1j)", 33, "',' or ')' is expected, not 'j'"),
    ("relu(input=ramp(float32[2]), a=-True)", 32, "a value is expected, not '-'"),
    ("relu(input=ramp(float32[2]), a=-infinite)", 32, "a value is expected, not '-'"),
    ("relu(input=ramp(float32[2]), a=+1)", 32, "a value is expected, not '+'"),
    ("relu(input=ramp(float32[2]), a=[1])", 32, "a value is expected, not '['"),
    ("relu(input=ramp(float32[2]), a=1+1)", 33, "',' or ')' is expected, not '+'"),
    ("relu(input=ramp(float32[2]), a=(1, b))", 36, "a value is expected, not 'b'"),
    ("relu(input=ramp(float32[2]), a=(1))", 34, "',' is expected, not ')'; a tuple is (), (1,) or (1, 2)"),
    ("relu(input=ramp(float32[2]), a=((((((((()))))))))", 40, "tuples lie at most 8 deep in one another"),
    ('relu(input=ramp(float32[2]), a=f"{1}")', 32, "a value is expected, not 'f'"),
    ('relu(input=ramp(float32[2]), a="it\'s")', 32, "a value is expected, not '\"'"),  # no single quotes hold it
    (r'relu(input=ramp(float32[2]), a="\n")', 32, "a value is expected"),
    (f"relu(input=ramp(float32[2]), a={'-' * 900}1)", 32, "a value is expected, not '-'"),
    ("relu(input=ramp(float32[2]), a=__import__)", 32, "a value is expected, not '__import__'"),
    ("relu(input=ramp(float32[2]), \u202e=1)", 30, r"'\u202e' is not ASCII, as all of a case is"),
    ("relu(input=ramp(float32[2]), a=\0)", 32, r"a value is expected, not '\x00'"),
    (f"relu({'a' * 9000})", 9006, f"'=' is expected, not ')'; {CASE}"),
    (f"relu(a={'b' * 9000})", 8, f"not '{'b' * 59}...; choose"),
]


@pytest.mark.parametrize(("line", "column", "text"), BAD, ids=[line[:60] for line, _, _ in BAD])
def test_a_line_that_is_no_case_is_refused_where_it_goes_wrong(line, column, text):
    with pytest.raises(LineError, match=re.escape(text)) as caught:
        parse(line)
    assert str(caught.value).startswith(f"column {column}: ")


def test_a_call_within_a_line_is_never_made():
    with pytest.raises(LineError, match="a kind of fill is expected, not 'print'"):
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
    st.sampled_from(("", "strided")),
)
def test_every_fill_that_can_be_spelled_can_be_made(kind, dtype, shape, seed, scale, layout):
    scale = int(scale) % 1000 + 1 if kind in ("integers", "tiny", "repeated", *WHOLE_KINDS) else scale
    spelled = Fill(kind, "int64" if kind in WHOLE_KINDS else dtype, shape, seed, scale, layout)
    assume(shape or kind != "repeated")
    fill = parse(f"relu(input={spelled!r})").inputs["input"]
    assert fill == spelled
    assert fill.array().shape == shape


def test_a_mutilated_conv_line_is_refused_at_every_cut():
    for cut in range(len(CONV)):
        with pytest.raises(LineError):
            parse(CONV[:cut])
