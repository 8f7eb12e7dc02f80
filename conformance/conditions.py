"""The condition of a declaration that stands in a file: a small closed language over the case, never run by Python.

    condition = value                                     that is true or false
    value     = number | "word" | None | True | False | "(" value, ... ")"
              | dtype | operator | argument               of the operator: an array or an attribute
              | argument "." ( shape | rank | kind )      of an array; kind is that of its fill: nans, ramp ...
              | value "[" value "]" | ("max"|"min") "(" value ")"
              | "-" value | value ("+"|"-"|"*"|"/"|"//"|"%") value
              | value { ("=="|"!="|"<"|"<="|">"|">="|"in"|"not in") value }
              | "not" value | value ("and"|"or") value

Precedence and brackets are Python's. What a case leaves out has the default that its operator's reference gives it:
groups is 1, bias is None. A number stands for itself on every axis, as it does in a call: with stride=2 or
stride=(2, 2), `stride == 2`, `2 in stride`, `stride[1] == 2` and `max(stride) == 2` all hold.

A condition that makes no sense of a case (an axis that is not there, a tuple compared by size, a divisor of 0) does not
hold for it, as a whole: then the case is judged as if nothing were declared, so that nothing is hidden.
"""

from __future__ import annotations

import ast
import operator
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from conformance.fills import Fill
from conformance.lines import LARGEST_NUMBER
from conformance.model import Case

LONGEST_CONDITION = 1000
DEEPEST_CONDITION = 32

Defaults = Mapping[str, Mapping[str, Any]]
Term = Callable[[Case], Any]


class ConditionError(ValueError):
    """A condition that cannot be read, or that makes no sense of a case; the message says where and why."""


@dataclass(frozen=True)
class Condition:
    """A predicate on the case, and the text that it was read from."""

    text: str
    term: Term

    def __call__(self, case: Case) -> bool:
        """Whether the condition holds; not so where it makes no sense of the case."""
        try:
            return self.holds(case)
        except ConditionError:
            return False

    def holds(self, case: Case) -> bool:
        """Whether the condition holds; raise ConditionError where it makes no sense of the case."""
        return bool(self.term(case))


def read_condition(text: str, defaults: Defaults) -> Condition:
    """Return the condition that a text spells, given the default of every argument of every operator it is about.

    >>> from conformance.lines import parse
    >>> odd = read_condition("input.shape[1] // groups % 2 == 1", {"conv1d": {"input": None, "groups": 1}})
    >>> odd(parse("conv1d(input=ramp(float32[1,6,5]), weight=ramp(float32[4,3,1]), groups=2)"))
    True
    >>> odd(parse("conv1d(input=ramp(float32[1,6,5]), weight=ramp(float32[4,6,1]))"))
    False
    >>> read_condition("gruops > 1", {"conv1d": {"input": None, "groups": 1}})
    Traceback (most recent call last):
    conformance.conditions.ConditionError: column 1: 'gruops' is no name here; choose dtype, operator, groups, input
    """
    if len(text) > LONGEST_CONDITION:
        raise ConditionError(f"has {len(text)} characters; a condition has at most {LONGEST_CONDITION}")
    text = re.sub(r"\s", " ", text).strip()
    strange = re.search(r"[^\w .,()\[\]'\"=!<>+\-*/%]", text, re.ASCII)  # no comment, escape, lambda or slice either
    if strange:
        raise ConditionError(f"column {strange.start() + 1}: {strange[0]!r} has no meaning in a condition")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the parser, on a spelling such as `1or 2`
            tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        column = getattr(error, "offset", None) or len(text) + 1  # none or 0 where it is the end that is missing
        raise ConditionError(f"column {column}: not a condition: {getattr(error, 'msg', error)}") from None
    level = [tree]
    for _ in range(DEEPEST_CONDITION):
        level = [child for node in level for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]
    if level:
        raise ConditionError(f"{_at(level[0])}: nested more than {DEEPEST_CONDITION} deep")
    return Condition(text, _applied(tree, _truth, _term(tree, defaults)))


def _at(node: ast.expr) -> str:
    return f"column {node.col_offset + 1}"


def _term(node: ast.expr, defaults: Defaults) -> Term:
    """Return what a node means: each of the grammar's forms, once."""

    def part(inner: ast.expr) -> Term:
        return _term(inner, defaults)

    match node:
        case ast.Constant(value=None | bool() | float() as constant):
            return lambda case: constant
        case ast.Constant(value=int(constant)) if constant < LARGEST_NUMBER:
            return lambda case: constant
        case ast.Constant(value=str(constant)) if constant.isidentifier():
            return lambda case: constant
        case ast.Tuple(elts=elements):
            return _applied(node, lambda *values: values, *map(part, elements))
        case ast.Name(id=name):
            return _named(node, name, defaults)
        case ast.Attribute(value=ast.Name() as array, attr=field) if field in _FIELDS:
            return _applied(node, _FIELDS[field], part(array))
        case ast.Subscript(value=value, slice=index):
            return _applied(node, _item, part(value), part(index))
        case ast.Call(func=ast.Name(id=name), args=[value], keywords=[]) if name in _EXTREMES:
            return _applied(node, _EXTREMES[name], part(value))
        case ast.UnaryOp(op=op, operand=value) if type(op) in _UNARY:
            return _applied(node, _UNARY[type(op)], part(value))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
            return _applied(node, _ARITHMETIC[type(op)], part(left), part(right))
        case ast.Compare(left=left, ops=ops, comparators=rights) if all(type(op) in _COMPARISONS for op in ops):
            return _chained(node, part(left), [_COMPARISONS[type(op)] for op in ops], list(map(part, rights)))
        case ast.BoolOp(op=op, values=values):
            every = all if isinstance(op, ast.And) else any
            truths = [_applied(value, _truth, part(value)) for value in values]
            return lambda case: every(truth(case) for truth in truths)
    raise ConditionError(
        f"{_at(node)}: no part of a condition; it has names, numbers, quoted words, tuples, "
        "== != < <= > >= in, and or not, + - * / // %, max, min"
    )


def _named(node: ast.expr, name: str, defaults: Defaults) -> Term:
    if name == "dtype":
        return lambda case: case.dtype
    if name == "operator":
        return lambda case: case.operator
    if not any(name in arguments for arguments in defaults.values()):
        known = sorted({argument for arguments in defaults.values() for argument in arguments})
        raise ConditionError(
            f"{_at(node)}: {name!r} is no name here; choose {', '.join(('dtype', 'operator', *known))}"
        )

    def argument(case: Case) -> Any:
        for given in (case.inputs, case.attributes, defaults.get(case.operator, {})):
            if name in given:
                return given[name]
        raise ConditionError(f"{_at(node)}: {case.operator} has no {name}")

    return argument


def _result(node: ast.expr, function: Callable[..., Any], *values: Any) -> Any:
    """Return what a function makes of the values; where it refuses them, say where that is."""
    try:
        return function(*values)
    except (TypeError, ValueError, IndexError, ArithmeticError) as error:
        raise ConditionError(f"{_at(node)}: {error}") from None


def _applied(node: ast.expr, function: Callable[..., Any], *terms: Term) -> Term:
    return lambda case: _result(node, function, *[term(case) for term in terms])


def _chained(node: ast.expr, first: Term, tests: list[Callable[[Any, Any], bool]], others: list[Term]) -> Term:
    """Return a chain of comparisons; no value is worked out twice, and none after the first test that fails."""

    def chained(case: Case) -> bool:
        left = first(case)
        for test, other in zip(tests, others, strict=True):
            right = other(case)
            if not _result(node, test, left, right):
                return False
            left = right
        return True

    return chained


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is neither true nor false")
    return value


def _number(value: Any) -> Any:
    if type(value) not in (int, float):
        raise TypeError(f"{value!r} is not a number")
    return value


def _array(value: Any) -> Fill:
    if not isinstance(value, Fill):
        raise TypeError(f"{value!r} is not an array")
    return value


def _computed(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return arithmetic on numbers alone, so that no word is repeated, whose results stay small."""

    def compute(*operands: Any) -> Any:
        result = function(*map(_number, operands))
        if not abs(result) < LARGEST_NUMBER:
            raise OverflowError("the result is not below 2**63")
        return result

    return compute


def _ordered(function: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda left, right: function(_number(left), _number(right))


def _each(value: Any) -> tuple[Any, ...]:
    """Return the elements of a tuple; a number is the same on every axis, so that one stands for all."""
    return value if isinstance(value, tuple) else (_number(value),)


def _item(value: Any, index: Any) -> Any:
    if type(index) is not int:
        raise TypeError(f"{index!r} is not an index")
    if isinstance(value, tuple):
        return value[index]
    return _number(value)


def _equal(left: Any, right: Any) -> bool:
    if isinstance(left, tuple) and type(right) in (int, float):
        return left == (right,) * len(left)
    if isinstance(right, tuple) and type(left) in (int, float):
        return right == (left,) * len(right)
    return bool(left == right)


_FIELDS: dict[str, Callable[[Any], Any]] = {
    "shape": lambda array: _array(array).shape,
    "rank": lambda array: len(_array(array).shape),
    "kind": lambda array: _array(array).kind,
}
_EXTREMES: dict[str, Callable[[Any], Any]] = {
    "max": lambda value: max(map(_number, _each(value))),
    "min": lambda value: min(map(_number, _each(value))),
}
_UNARY: dict[type, Callable[[Any], Any]] = {ast.Not: lambda value: not _truth(value), ast.USub: _computed(operator.neg)}
_ARITHMETIC = {
    ast.Add: _computed(operator.add),
    ast.Sub: _computed(operator.sub),
    ast.Mult: _computed(operator.mul),
    ast.Div: _computed(operator.truediv),
    ast.FloorDiv: _computed(operator.floordiv),
    ast.Mod: _computed(operator.mod),
}
_COMPARISONS: dict[type, Callable[[Any, Any], bool]] = {
    ast.Eq: _equal,
    ast.NotEq: lambda left, right: not _equal(left, right),
    ast.Lt: _ordered(operator.lt),
    ast.LtE: _ordered(operator.le),
    ast.Gt: _ordered(operator.gt),
    ast.GtE: _ordered(operator.ge),
    ast.In: lambda left, right: left in _each(right),
    ast.NotIn: lambda left, right: left not in _each(right),
}
