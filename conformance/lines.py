"""Read back the one line that a case prints: a small grammar over Python's own, bounded before anything is allocated.

    case  = name "(" [ word { "," word } ] ")"          word  = name "=" ( fill | value )
    fill  = kind "(" dtype "[" extents "]" { "," ("seed"|"scale") "=" number } ")"
    value = None | True | False | number | "word" | inf | nan | "(" value, ... ")"

Nothing is evaluated: the line is parsed to a syntax tree, and only these nodes are taken from it.
"""

from __future__ import annotations

import ast
import math
from typing import Any, NoReturn

from conformance.fills import KINDS, Fill
from conformance.formats import DTYPES
from conformance.model import Case

LONGEST_LINE = 10_000
LARGEST_FILL = 2**28
LARGEST_NUMBER = 2**63
MOST_AXES = 32


class LineError(ValueError):
    """A line that is not a case; the message says where and why."""


def parse(line: str) -> Case:
    """Return the case that a line spells.

    >>> parse("relu(input=ramp(float32[2,3], seed=1))")
    relu(input=ramp(float32[2,3], seed=1))
    >>> parse("relu(input=ramp(int8[2]))")
    Traceback (most recent call last):
    conformance.lines.LineError: column 17: 'int8' is not a dtype; choose float64, float32, float16, bfloat16
    """
    if len(line) > LONGEST_LINE:
        raise LineError(f"the line has {len(line)} characters; a case has at most {LONGEST_LINE}")
    try:
        tree = ast.parse(line.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        position = f"column {error.offset}: " if isinstance(error, SyntaxError) and error.offset else ""
        raise LineError(f"{position}not a case: {getattr(error, 'msg', error)}") from None
    if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name) or tree.args:
        _refuse(tree, "a case is operator(name=value, ...)")
    inputs: dict[str, Fill] = {}
    attributes: dict[str, Any] = {}
    for word in tree.keywords:
        if word.arg is None:
            _refuse(word.value, "a case is operator(name=value, ...)")
        if word.arg in inputs or word.arg in attributes:
            _refuse(word.value, f"{word.arg} is given twice")
        if isinstance(word.value, ast.Call):
            inputs[word.arg] = _fill(word.value)
        else:
            attributes[word.arg] = _value(word.value)
    if not inputs:
        _refuse(tree, "a case has at least one array, such as input=ramp(float32[2,3])")
    return Case(tree.func.id, inputs, attributes)


def _refuse(node: ast.AST, why: str) -> NoReturn:
    raise LineError(f"column {getattr(node, 'col_offset', 0) + 1}: {why}")


def _fill(node: ast.Call) -> Fill:
    if not isinstance(node.func, ast.Name) or node.func.id not in KINDS:
        _refuse(node, f"not a kind of fill; choose {', '.join(KINDS)}")
    if len(node.args) != 1 or not isinstance(node.args[0], ast.Subscript):
        _refuse(node, "a fill is kind(dtype[extents], seed=0, scale=1)")
    array = node.args[0]
    if not isinstance(array.value, ast.Name) or array.value.id not in DTYPES:
        name = repr(array.value.id) if isinstance(array.value, ast.Name) else "this"
        _refuse(array, f"{name} is not a dtype; choose {', '.join(DTYPES)}")
    shape = _value(array.slice)
    shape = shape if isinstance(shape, tuple) else (shape,)
    if not all(type(n) is int and n >= 0 for n in shape):
        _refuse(array, f"{shape} is not a shape: extents are whole numbers of at least 0")
    if len(shape) > MOST_AXES or math.prod(max(n, 1) for n in shape) > LARGEST_FILL:  # empty axes make no way round it
        _refuse(array, f"{shape} is too large; at most {LARGEST_FILL} elements on {MOST_AXES} axes are made")
    if node.func.id == "paired" and len(shape) < 2:
        _refuse(array, "paired needs a batch and a channel axis")
    options = {}
    for word in node.keywords:
        if word.arg not in ("seed", "scale"):
            _refuse(word.value, f"{word.arg!r} is not an option of a fill; choose seed, scale")
        if word.arg in options:
            _refuse(word.value, f"{word.arg} is given twice")
        options[word.arg] = _value(word.value)
    seed, scale = options.get("seed", 0), options.get("scale", 1)
    if type(seed) is not int or not 0 <= seed < 2**32:
        _refuse(node, f"seed={seed!r} must be a whole number from 0 to 2**32 - 1")
    least = -(2.0**62) if node.func.id == "offset" else 0
    if type(scale) not in (int, float) or not least < scale < 2**62:
        _refuse(node, f"scale={scale!r} must be a number above {least:g} and below 2**62")
    if node.func.id in ("integers", "odd", "tiny") and (
        type(scale) is not int or (node.func.id == "odd" and not 2 <= scale <= 53)
    ):
        _refuse(node, f"scale={scale!r} must be a whole number, of 2 to 53 for odd")
    return Fill(node.func.id, array.value.id, shape, seed, scale)


def _value(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=None | bool() | float()):
            return node.value
        case ast.Constant(value=int(number)) if number < LARGEST_NUMBER:
            return number
        case ast.Constant(value=str(text)) if text.isidentifier():  # nothing that a shell or a report would trip over
            return text
        case ast.Name(id="inf" | "nan"):
            return float(node.id)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant() | ast.Name() as operand):
            positive = _value(operand)
            if type(positive) in (int, float):
                return -positive
        case ast.Tuple(elts=elements):
            return tuple(map(_value, elements))
    _refuse(node, "not a value; choose a number, a quoted word, a tuple, None, True or False")
