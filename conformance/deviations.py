"""Files of deviations: what a backend is known to do otherwise, declared by whoever judges it, beside its code.

A file is TOML: an array of tables `deviation`, each with the facts of one `model.Declaration`. Whoever reads it trusts
neither its author nor its age, so that every field is checked before anything is judged.
"""

from __future__ import annotations

import inspect
import re
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from conformance.checks import CHECKS
from conformance.conditions import Condition, ConditionError, read_condition
from conformance.lines import parse
from conformance.model import Backend, Case, Declaration, Outcome
from conformance.operators import operators

LARGEST_FILE = 2**18
MOST_DOTS = 64
MOST_NAMES = 12
LONGEST_QUOTE = 100

DECLARABLE = {
    outcome.name.lower(): outcome
    for outcome in (Outcome.DEVIATES, Outcome.UNSUPPORTED, Outcome.CRASHED, Outcome.TIMED_OUT)
}
EASTERNMOST = timezone(timedelta(hours=14))  # no date is later anywhere


class DeviationError(ValueError):
    """A file of deviations that cannot be read; the message names the file, the entry, the field and the rule."""


def with_deviations(backend: Backend, path: str) -> Backend:
    """Return the backend with what a file declares of it, before what it declares itself; without a path, as it is."""
    return replace(backend, declarations=(*read(Path(path)), *backend.declarations)) if path else backend


def read(path: Path) -> tuple[Declaration, ...]:
    """Return the declarations that a file holds, in its order, or raise DeviationError."""
    text = _text(path)
    try:
        found = tomllib.loads(text)
    except RecursionError:
        raise DeviationError(f"{path}: nested too deeply") from None
    except ValueError as error:  # of TOML, and of numbers with too many digits
        raise DeviationError(f"{path}: not TOML: {_cut(str(error))}") from None
    others = [name for name in found if name != "deviation"]
    if others:
        raise DeviationError(f"{path}: {_quoted(others[0])} is no part of it; a file holds [[deviation]] tables only")
    entries = found.get("deviation", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise DeviationError(f"{path}: deviation is no array of tables; head each one with [[deviation]]")
    heads = [number for number, line in enumerate(text.split("\n"), 1) if re.match(r"\s*\[\[\s*deviation\b", line)]
    lines = [f" (line {number})" for number in heads] if len(heads) == len(entries) else [""] * len(entries)
    return tuple(
        _declaration(f"{path}, deviation {number}{line}", entry)
        for number, (line, entry) in enumerate(zip(lines, entries, strict=True), 1)
    )


def _text(path: Path) -> str:
    """Return what the file holds, once nothing in it can keep the parser of TOML busy for long."""
    try:
        if not path.is_file():  # what is none may never end
            raise DeviationError(f"{path}: must be a file")
        with path.open("rb") as file:
            held = file.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as error:  # ValueError: a path that holds a NUL
        raise DeviationError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    if len(held) > LARGEST_FILE:
        raise DeviationError(f"{path}: is larger than {LARGEST_FILE} bytes")
    try:
        text = held.decode("utf-8")
    except UnicodeDecodeError as error:
        number = held.count(b"\n", 0, error.start) + 1
        raise DeviationError(f"{path}, line {number}: not UTF-8") from None
    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") > MOST_DOTS:  # a key of many parts takes tomllib the square of them in time and memory
            raise DeviationError(f"{path}, line {number}: has more than {MOST_DOTS} dots")
    return text


def _declaration(place: str, entry: Mapping[str, Any]) -> Declaration:
    unknown = [name for name in entry if name not in FIELDS]
    if unknown:
        raise DeviationError(f"{place}: {_quoted(unknown[0])} is no field of a deviation; choose {', '.join(FIELDS)}")
    missing = [name for name in FIELDS if name not in entry and name not in OPTIONAL]
    if missing:
        raise DeviationError(f"{place}: {missing[0]} is missing; only {' and '.join(OPTIONAL)} may be left out")
    values: dict[str, Any] = {}
    for name, value in entry.items():
        try:
            values[name] = FIELDS[name](value)
        except ValueError as error:
            _refuse(place, name, value, error)
    where = values.pop("where", "True")
    try:
        applies = read_condition(where, {name: defaults_of(name) for name in values["operators"]})
    except ValueError as error:
        _refuse(place, "where", where, error)
    case: Case = values.pop("witness")
    declaration = Declaration(applies=applies, witness=repr(case), **values)
    try:
        _check_witness(case, declaration, applies)
    except ValueError as error:
        _refuse(place, "witness", entry["witness"], error)
    return declaration


def _check_witness(case: Case, declaration: Declaration, applies: Condition) -> None:
    """Raise ValueError unless the declaration covers its own witness, under a check that will replay it."""
    if case.operator not in declaration.operators:
        raise ValueError(f"{case.operator} is none of the deviation's operators")
    if not any(CHECKS[check].applies(operators()[case.operator]) for check in declaration.checks):
        raise ValueError(f"{case.operator} is asked by none of the deviation's checks")
    try:
        holds = applies.holds(case)
    except ConditionError as error:
        raise ValueError(f"where={_quoted(applies.text)} makes no sense of it: {error}") from None
    if not holds:
        raise ValueError(f"where={_quoted(applies.text)} does not hold for it")


def _refuse(place: str, name: str, value: object, rule: object) -> NoReturn:
    raise DeviationError(f"{place}: {name}={_quoted(value)}: {rule}") from None


def defaults_of(name: str) -> dict[str, Any]:
    """Return the arguments that a case of the operator may have, each with what it is where it is left out."""
    operator = operators()[name]
    parameters = inspect.signature(operator.reference).parameters.values()
    required = inspect.Parameter.empty
    return {
        p.name: None if p.default is required else p.default for p in parameters if p.name not in operator.conventions
    }


def _line(value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ValueError("must be one line of printable text")
    return value


def _condition(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a text, such as \"dtype == 'bfloat16'\"")
    return value


def _outcome(value: Any) -> Outcome:
    if not isinstance(value, str) or value not in DECLARABLE:
        raise ValueError(f"cannot be declared; choose {', '.join(DECLARABLE)}")
    return DECLARABLE[value]


def _names(known: Callable[[], Collection[str]], value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise ValueError("must be a list of at least one name")
    for name in value:
        if not isinstance(name, str) or name not in known():
            raise ValueError(f"{_quoted(name)} is none of {_some(known())}")
    return tuple(dict.fromkeys(value))


def _link(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"https?://[^\s/]\S*", value) or not value.isprintable():
        raise ValueError("must be a link that begins with https:// or http://")
    return value


def _date(value: Any) -> str:
    try:
        day = date.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        day = None
    if not isinstance(day, date) or isinstance(day, datetime):
        raise ValueError("must be a date such as 2026-11-21")
    if day > datetime.now(EASTERNMOST).date():
        raise ValueError("lies in the future")
    return day.isoformat()


def _witness(value: Any) -> Case:
    """Return the case; that its operator takes it is checked here, since nothing could be told of it in a run."""
    case = parse(_line(value))
    if case.operator not in operators():
        raise ValueError(f"{_quoted(case.operator)} is no operator; choose {_some(operators())}")
    given, known = {**case.inputs, **case.attributes}, defaults_of(case.operator)
    for name in given:
        if name not in known:
            raise ValueError(f"{case.operator} takes no {_quoted(name)}; choose {', '.join(known)}")
    try:
        inspect.signature(operators()[case.operator].reference).bind(**given)
    except TypeError as error:
        raise ValueError(f"{case.operator}: {error}") from None
    return case


def _some(names: Collection[str]) -> str:
    """Return the names, but for those that would make a message too long."""
    first, more = list(names)[:MOST_NAMES], len(list(names)) > MOST_NAMES
    return ", ".join(first) + " ... (`convformance list` has them all)" * more


def _quoted(value: object) -> str:
    try:
        return _cut(repr(value))
    except ValueError:
        return "a number of too many digits"


def _cut(text: str) -> str:
    """Return the text, less its middle where it is long: its end may say where in a file it belongs."""
    half = LONGEST_QUOTE // 2
    return text if len(text) <= LONGEST_QUOTE else f"{text[:half]} ... {text[-half:]}"


OPTIONAL = ("checks", "where")
FIELDS: dict[str, Callable[[Any], Any]] = {
    "outcome": _outcome,
    "operators": partial(_names, operators),
    "checks": partial(_names, lambda: CHECKS),
    "where": _condition,
    "reason": _line,
    "link": _link,
    "date": _date,
    "witness": _witness,
}
