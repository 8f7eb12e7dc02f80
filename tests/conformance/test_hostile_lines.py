"""Lines that mean harm: whatever the text, a case comes out or a LineError, quickly, quietly and in little memory."""

from __future__ import annotations

import ast
import itertools
import keyword
import random
import re
import shlex
import tracemalloc

import pytest
from conformance_cases import HONEST, OPERATORS

from conformance.checks import CHECKS
from conformance.fills import KINDS, Fill
from conformance.formats import DTYPES
from conformance.lines import LARGEST_FILL, LONGEST_LINE, LineError, parse
from conformance.model import Case
from conformance.search import search

INPUTS = 100_000


@pytest.fixture(scope="module")
def lines():
    """Return lines of every operator and check."""
    drawn: list[str] = []
    for operator, check, dtype in itertools.product(OPERATORS.values(), CHECKS.values(), DTYPES[:2]):
        if check.applies(operator):
            strategy = check.strategy(operator, dtype, HONEST)
            search(strategy, lambda cases: not drawn.extend(map(repr, cases)), draws=2, seed=0)
    return drawn


def refused_or_read(line):
    """Return the case, or None where the line is refused, in a short sentence of ASCII that says where."""
    try:
        case = parse(line)
    except LineError as error:
        message = str(error)
        assert message.isascii()
        assert message.isprintable()
        assert len(message) < 400
        assert re.match(r"column [1-9]\d*: .|the (line|case) has \d+ characters", message)
        return None
    assert repr(parse(repr(case))) == repr(case)
    return case


def as_python_reads(line):
    """Return what the line means as a call in Python, made from its syntax tree and not by this project's reader."""

    def value(node):
        match node:
            case ast.Call(func=ast.Name(id=kind), args=[ast.Subscript(value=ast.Name(id=dtype), slice=extents)]):
                shape = value(extents)
                options = {word.arg: value(word.value) for word in node.keywords}
                return Fill(kind, dtype, shape if isinstance(shape, tuple) else (shape,), **options)
            case ast.Name(id=name):
                return float(name)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -value(operand)
            case ast.Tuple(elts=elements):
                return tuple(map(value, elements))
        return node.value

    call = ast.parse(re.sub(r"\s", " ", line).strip(), mode="eval").body
    words = [(word.arg, value(word.value)) for word in call.keywords]
    inputs = {name: fill for name, fill in words if isinstance(fill, Fill)}
    *manner, operator = ast.unparse(call.func).split(".")
    return Case(operator, inputs, {name: fill for name, fill in words if name not in inputs}, "".join(manner))


def test_a_line_means_what_python_takes_it_to_mean(lines):
    assert len(lines) > 5000
    for line in lines:
        assert repr(parse(line)) == repr(as_python_reads(line)) == line


# Pieces that make a line worse: of Python's grammar, of shells, of terminals, and of the lines themselves.
PIECES = [
    *("__import__", "__import__('os').system('id')", "lambda: 0", 'f"{1}"', 'b"a"', r'"\d"', ":=", "*args", "**words"),
    *("# and so on", "\n", "\r\n", "\t", "\\", "\\\n", "\0", "\x1b[2J", "\x07", "\u202e", "\ud800", "\u0663", "\ufeff"),
    *(
        "0or 1",
        "1if 1else 2",
        "not ",
        " in ",
        "await ",
        "yield ",
        "...",
        "::",
        "{",
        "}",
        ";",
        "`id`",
        "$(id)",
        "'",
        '"',
    ),
    *("9" * 5000, "-" * 900, "(" * 300, "[" * 300, "a." * 300, "1e999999999", "1_0", "0x10", "1j", "007", "-0", "nan"),
    *(str(10**18), f"-{10**18}", "0,", "-1", "1.5", "inf", "-inf", "None", "True", "relu(input=ramp(float32[2]))"),
    *(*KINDS, *DTYPES, "seed=", "scale=", ",seed=1", ",scale=2", *"()[],=-+.:* "),
]


def mutated(chance, line):
    """Return the line with one to four wounds."""
    for _ in range(chance.randint(1, 4)):
        one, two = sorted(chance.choices(range(len(line) + 1), k=2))
        kind = chance.randrange(5)
        if kind == 0:
            line = line[:one] + line[min(two, one + chance.randint(1, 9)) :]
        elif kind == 1:
            line = line[:one] + chance.choice(PIECES) + line[one:]
        elif kind == 2:
            line = line[:one] + line[two : two + 6] + line[one + 6 : two] + line[one : one + 6] + line[two + 6 :]
        elif kind == 3:
            line = line[:two] + line[one:two] * chance.choice((1, 1, 1, 40)) + line[two:]
        else:
            line = re.sub(r"\d+", lambda _: chance.choice(PIECES), line, count=chance.randint(1, 2))
    return line


ALPHABET = [
    *"()[],=\"'.-+0123456789 eE_",
    *KINDS,
    *DTYPES,
    "seed",
    "scale",
    "inf",
    "nan",
    "None",
    "relu",
    "input",
    "\n",
]


def hostile(chance, lines, number):
    """Return the next input: a wounded line, marks of the grammar, or any characters at all."""
    if number % 4 < 2:
        return mutated(chance, chance.choice(lines))
    if number % 4 == 2:
        return chance.choice(("", "relu(", "relu(input=")) + "".join(chance.choices(ALPHABET, k=chance.randint(0, 30)))
    return "".join(map(chr, chance.choices((range(128), range(0x110000))[number % 8 == 3], k=chance.randint(0, 30))))


def test_a_hundred_thousand_hostile_inputs_are_read_or_refused(lines):
    chance = random.Random(4)
    read = 0
    for number in range(INPUTS):
        line = hostile(chance, lines, number)
        case = refused_or_read(line)
        if case is None:
            continue
        read += 1
        names = (case.manner, case.operator, *case.inputs, *case.attributes)
        if not any(map(keyword.iskeyword, names)):  # a name like any other here, but not in Python
            assert repr(case) == repr(as_python_reads(line))
    assert 1000 < read < INPUTS // 2  # both ways are taken


CALL = "relu(input=ramp(float32[2]), a="
LONG = [
    *("(" * LONGEST_LINE, "-" * LONGEST_LINE, "9" * LONGEST_LINE, "\0" * LONGEST_LINE, "\u202e" * LONGEST_LINE),
    *(f"{CALL}{piece * ((LONGEST_LINE - 40) // len(piece))})" for piece in PIECES if len(piece) < 50),
    *(f"{CALL}({piece * ((LONGEST_LINE - 40) // len(piece))}))" for piece in ("1,", "(),", "inf,", "-1e9,", '"a",')),
    f"relu({'a=1,' * 2400})",
    f"relu({','.join(f'a{n}=ramp(float32[9])' for n in range(450))})",
    f"relu(input=ramp(float32[{'1,' * 4900}]))",
    f"relu(input=ramp(float32[{'0,' * 4900}]))",
    f"relu(input=ramp(float32[{f'{10**18},' * 400}]))",
    f"relu(input=ramp(float32[2]{',seed=1' * 1400}))",
    "relu" * 10**6,
    "\u0663" * 10**6,
]


@pytest.mark.parametrize("line", LONG, ids=[f"{line[:40]!a}".strip("'") for line in LONG])
def test_the_longest_lines_take_little_memory(line):
    tracemalloc.start()
    try:
        refused_or_read(line)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**23


ABSURD = [
    f"ramp(float64[{10**18}])",
    f"ramp(float64[{2**63 - 1}])",
    f"ramp(float64[{','.join(['1000000'] * 3)}])",
    f"ramp(float64[{','.join([str(2**62)] * 30)}])",
    f"ramp(float64[0,{2**40}])",
    f"ramp(float64[{'0,' * 31}{LARGEST_FILL + 1}])",
    f"ramp(float64[{'0,' * 33}])",
    f"ramp(float64[-1,-{10**18}])",
    "ramp(float64[1e18])",
    "ramp(float64[inf])",
    "normal(float64[2], scale=1e300)",
    f"normal(float64[2], scale={10**40})",
    "normal(float64[2], scale=-1)",
    f"integers(float64[2], scale={2**62})",
    f"normal(float64[2], seed={10**18})",
    "normal(float64[2], seed=-1)",
    "normal(float64[2], seed=1.0)",
    "normal(float64[2], seed=None)",
    f"odd(float64[2], scale={10**9})",
    f"paired(float64[{LARGEST_FILL}])",
]


@pytest.mark.parametrize("number", ["1e15", "-1e15", "1e-9", "1"])
def test_a_line_that_is_read_is_never_too_long_when_it_is_printed(number):
    read = [refused_or_read(f"{CALL}({f'{number},' * count}))") for count in range(300, 3500, 100)]
    assert read[0] is not None
    assert read[-1] is None
    with pytest.raises(LineError, match=r"the case has \d{5} characters when it is printed; a case has at most 10000"):
        parse(f"{CALL}({f'{number},' * (9900 // (len(number) + 1))}))")


@pytest.mark.parametrize("fill", ABSURD)
def test_a_fill_that_no_memory_holds_is_refused_before_it_is_made(fill):
    tracemalloc.start()
    try:
        with pytest.raises(LineError, match=r"^column \d+: "):
            parse(f"relu(input={fill})")
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_no_case_that_is_read_can_leave_the_quotes_of_a_shell():
    marks = [chr(code) for code in range(0x3000)]
    for mark in marks:
        for line in (f'relu(input=ramp(float32[2]), a="b{mark}c")', f"relu(input=ramp(float32[2]), a{mark}=1)"):
            case = refused_or_read(line)
            if case is not None:
                assert shlex.quote(repr(case)) == f"'{case!r}'"
                assert re.fullmatch(r'[\w()\[\]=," .+-]+', repr(case), re.ASCII)


def test_what_is_read_holds_nothing_but_plain_values(lines):
    def plain(value):
        return type(value) in (int, float, str, bool, type(None)) or (type(value) is tuple and all(map(plain, value)))

    for line in lines:
        case = parse(line)
        assert all(map(plain, case.attributes.values()))
        assert all(plain(vars(fill)[name]) for fill in case.inputs.values() for name in vars(fill))
