"""Read back the one line that a case prints: a grammar of its own, so small that no text can do more than be refused.

    case  = [ name "." ] name "(" [ word { "," word } ] ")"          word  = name "=" ( fill | value )
    fill  = kind "(" dtype "[" extents "]" { "," ("seed"|"scale") "=" number | "," "layout" "=" "word" } ")"
    value = None | True | False | number | "word" | inf | -inf | nan | "(" value, ... ")"

It looks like Python, but Python's parser is not asked: on a text that means harm it warns, nests and gives up in ways
of its own, and it takes three times as long. A list may end in a comma, and blanks between tokens mean nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from conformance.fills import KINDS, WHOLE_KINDS, Fill, Shape
from conformance.formats import DTYPES
from conformance.model import Case

LONGEST_LINE = 10_000
LONGEST_QUOTE = 60
LARGEST_FILL = 2**26
LARGEST_NUMBER = 2**63
MOST_AXES = 32
DEEPEST_TUPLE = 8

CASE = "a case is operator(name=value, ...)"
FILL = 'a fill is kind(dtype[extents], seed=0, scale=1, layout="")'
VALUE = "choose a number, a quoted word, a tuple, inf, nan, None, True or False"
TUPLE = "a tuple is (), (1,) or (1, 2)"
VALUES = {"None": None, "True": True, "False": False, "inf": math.inf, "-inf": -math.inf, "nan": math.nan}

# A name, a bracket or other mark, a number, a quoted word; or any one character, which is refused wherever it stands.
TOKEN = re.compile(
    r"""[A-Za-z_]\w* | [][(),=] | -?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:e[+-]?[0-9]+)? | -inf\b
    | "[A-Za-z_]\w*" | '[A-Za-z_]\w*' | \S""",
    re.ASCII | re.VERBOSE,
)


class LineError(ValueError):
    """A line that is not a case; the message says where and why, in printable ASCII."""


def parse(line: str) -> Case:
    """Return the case that a line spells.

    >>> parse("relu(input=ramp(float32[2,3], seed=1))")
    relu(input=ramp(float32[2,3], seed=1))
    >>> parse("relu(input=ramp(int8[2]))")
    Traceback (most recent call last):
    conformance.lines.LineError: column 17: a dtype is expected, not 'int8'; choose float64, float32, float16, bfloat16
    """
    if len(line) > LONGEST_LINE:
        raise LineError(f"the line has {len(line)} characters; a case has at most {LONGEST_LINE}")
    if not line.isascii():
        at, foreign = next((at, mark) for at, mark in enumerate(line, 1) if not mark.isascii())
        raise LineError(f"column {at}: {_quoted(foreign)} is not ASCII, as all of a case is")
    case = _Reader(line).case()
    # Printed again, 1e15 grows more than any other number: to five times its length, blank and all.
    if len(line) > LONGEST_LINE // 5 and (length := len(repr(case))) > LONGEST_LINE:
        raise LineError(f"the case has {length} characters when it is printed; a case has at most {LONGEST_LINE}")
    return case


class _Reader:
    """The tokens of a line, and how far they have been read."""

    def __init__(self, line: str) -> None:
        self._line = line
        # Nothing takes the empty ones, so that no index runs past the end.
        self._tokens: list[str] = [*TOKEN.findall(line), "", ""]
        self._at = 0

    def case(self) -> Case:
        manner = self._name(".", CASE) if self._tokens[1] == "." else ""
        operator = self._name("(", CASE)
        inputs: dict[str, Fill] = {}
        attributes: dict[str, Any] = {}
        for start in self._items(")", CASE):
            name = self._name("=", CASE)
            if name in inputs or name in attributes:
                self._refuse(start, f"{_quoted(name)} is given twice")
            if self._tokens[self._at + 1] == "(" and self._tokens[self._at].isidentifier():
                inputs[name] = self._fill()
            else:
                attributes[name] = self._value()
        if self._tokens[self._at]:
            self._expected("the end", CASE)
        if not inputs:
            self._refuse(0, "a case has at least one array, such as input=ramp(float32[2,3])")
        return Case(operator, inputs, attributes, manner)

    def _fill(self) -> Fill:
        start = self._at
        kind = self._name("(", FILL)
        if kind not in KINDS:
            self._expected("a kind of fill", f"choose {', '.join(KINDS)}", start)
        items = self._items(")", FILL)
        if next(items, None) is None:
            self._expected("an array", FILL, self._at - 1)
        dtype, shape = self._array(kind)
        options: dict[str, Any] = {}
        for at in items:
            name = self._name("=", FILL)
            if name not in ("seed", "scale", "layout"):
                self._expected("seed, scale or layout", FILL, at)
            if name in options:
                self._refuse(at, f"{_quoted(name)} is given twice")
            options[name] = self._value()
        seed, scale, layout = options.get("seed", 0), options.get("scale", 1), options.get("layout", "")
        self._check_options(start, kind, shape, seed, scale)
        if type(layout) is not str:
            self._refuse(start, f"layout={_quoted(layout)} must be a quoted word")
        return Fill(kind, dtype, shape, seed, scale, layout)

    def _array(self, kind: str) -> tuple[str, Shape]:
        start = self._at
        dtype = self._tokens[start]
        dtypes = ("int64",) if kind in WHOLE_KINDS else DTYPES
        if dtype not in dtypes:
            self._expected("a dtype", f"choose {', '.join(dtypes)}", start)
        self._at += 1
        if self._tokens[self._at] != "[":
            self._expected("'['", FILL)
        self._at += 1
        shape = tuple([self._value() for _ in self._items("]", FILL)])
        if shape == ((),):
            shape = ()
        elif not shape or not all(type(n) is int and n >= 0 for n in shape):
            self._refuse(start, f"{_quoted(shape)} is not a shape: extents are whole numbers of at least 0, or ()")
        # Empty axes make no way round the limit.
        if len(shape) > MOST_AXES or math.prod([n or 1 for n in shape]) > LARGEST_FILL:
            limit = f"at most {LARGEST_FILL} elements on {MOST_AXES} axes are made"
            self._refuse(start, f"{_quoted(shape)} is too large; {limit}")
        if kind == "paired" and len(shape) < 2:
            self._refuse(start, "paired needs a batch and a channel axis")
        if kind == "repeated" and not shape:
            self._refuse(start, "repeated needs an axis to repeat along")
        return dtype, shape

    def _check_options(self, start: int, kind: str, shape: Shape, seed: Any, scale: Any) -> None:
        if type(seed) is not int or not 0 <= seed < 2**32:
            self._refuse(start, f"seed={_quoted(seed)} must be a whole number from 0 to 2**32 - 1")
        least, bits = -(2.0**62) if kind == "offset" else 0, 127 if kind == "normal" else 62
        if type(scale) not in (int, float) or not least < scale < 2**bits:
            self._refuse(start, f"scale={_quoted(scale)} must be a number above {least:g} and below 2**{bits}")
        whole = kind in ("integers", "odd", "tiny", "repeated", *WHOLE_KINDS)
        if whole and (type(scale) is not int or (kind == "odd" and not 2 <= scale <= 53)):
            self._refuse(start, f"scale={_quoted(scale)} must be a whole number, of 2 to 53 for odd")
        # All places of a plane are shuffled to find different ones.
        if kind == "places" and math.prod(n or 1 for n in shape[:2]) * scale > LARGEST_FILL:
            self._refuse(start, f"scale={_quoted(scale)} is too large: at most {LARGEST_FILL} places of all planes")

    def _value(self, depth: int = 0) -> Any:
        start = self._at
        token = self._tokens[start]
        self._at += 1
        if token.isdecimal() or token.lstrip("-").isdecimal():
            if len(token) > 20 or not -LARGEST_NUMBER < (number := int(token)) < LARGEST_NUMBER:  # int() refuses some
                self._refuse(start, f"{_quoted(token)} must lie between -2**63 and 2**63")
            return number
        if token in VALUES:
            return VALUES[token]
        if token[1:] and token[0] in "\"'":
            return token[1:-1]
        if token[1:] and token[0] in "-0123456789":
            return float(token)
        if token != "(":
            self._expected("a value", VALUE, start)
        return self._tuple(start, depth)

    def _tuple(self, start: int, depth: int) -> tuple[Any, ...]:
        if depth == DEEPEST_TUPLE:
            self._refuse(start, f"tuples lie at most {DEEPEST_TUPLE} deep in one another")
        elements = tuple([self._value(depth + 1) for _ in self._items(")", TUPLE)])
        if len(elements) == 1 and self._tokens[self._at - 2] != ",":
            self._expected("','", TUPLE, self._at - 1)
        return elements

    def _items(self, close: str, form: str) -> Iterator[int]:
        """Yield the place of each item of a list before it is read; afterwards, the list has been closed."""
        tokens = self._tokens
        while tokens[self._at] != close:
            yield self._at
            if tokens[self._at] == ",":
                self._at += 1
            elif tokens[self._at] != close:
                self._expected(f"',' or '{close}'", form)
        self._at += 1

    def _name(self, mark: str, form: str) -> str:
        """Read a name and the mark after it; return the name."""
        name = self._tokens[self._at]
        if not name.isidentifier():
            self._expected("a name", form)
        self._at += 1
        if self._tokens[self._at] != mark:
            self._expected(f"'{mark}'", form)
        self._at += 1
        return name

    def _expected(self, what: str, form: str, place: int | None = None) -> NoReturn:
        place = self._at if place is None else place
        found = _quoted(self._tokens[place]) if self._tokens[place] else "the end"
        self._refuse(place, f"{what} is expected, not {found}; {form}")

    def _refuse(self, place: int, why: str) -> NoReturn:
        starts = [token.start() for token in TOKEN.finditer(self._line)]
        column = (starts[place] if place < len(starts) else len(self._line.rstrip())) + 1
        raise LineError(f"column {column}: {why}")


def _quoted(value: object) -> str:
    """Return the value as Python spells it in ASCII, cut where it grows long."""
    text = ascii(value)
    return text if len(text) <= LONGEST_QUOTE else f"{text[:LONGEST_QUOTE]}..."
