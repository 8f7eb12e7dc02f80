"""The fields of a verdict as a report holds them: what each may be, and how it becomes a Verdict again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from conformance.lines import parse
from conformance.model import Outcome, Verdict

LONGEST_NAME = 100
LARGEST_NUMBER = 2**64


def verdict_of(found: Mapping[str, Any]) -> Verdict:
    """Return the verdict that an object of JSON holds; raise ValueError with the field and the rule that it breaks."""
    if set(found) != set(FIELDS):
        wrong = shown(", ".join(sorted(set(found) ^ set(FIELDS))))
        raise ValueError(f"a verdict holds exactly {', '.join(FIELDS)}; not so: {wrong}")
    return Verdict(**{name: _field(name, FIELDS[name], value) for name, value in found.items()})


def _field(name: str, made_of: Callable[[Any], Any], value: Any) -> Any:
    try:
        return made_of(value)
    except ValueError as error:
        raise ValueError(f"{name}={shown(value)}: {error}") from None


def shown(value: Any) -> str:
    """Return what a file holds as a short text in printable ASCII, for messages."""
    text = ascii(value)
    return text if len(text) <= LONGEST_NAME else f"{text[:LONGEST_NAME]}..."


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a text")
    return value


def name_of(value: Any) -> str:
    """Return the value if it is a name; raise ValueError with the rule that it breaks."""
    if not 0 < len(_text(value)) <= LONGEST_NAME or not value.isprintable():
        raise ValueError(f"must be a name of at most {LONGEST_NAME} printable characters")
    return str(value)


def _outcome(value: Any) -> Outcome:
    if value not in list(Outcome):
        raise ValueError(f"must be one of {', '.join(Outcome)}")
    return Outcome(value)


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < LARGEST_NUMBER:
        raise ValueError("must be a whole number of at least 0, and below 2**64")
    return value


def _number(value: Any) -> float:
    if value in ("inf", "-inf", "nan"):
        return float(value)
    if type(value) not in (int, float) or (type(value) is int and abs(value) >= LARGEST_NUMBER):
        raise ValueError("must be a number, inf, -inf or nan; whole ones lie between -2**64 and 2**64")
    return value  # type: ignore[no-any-return]


def _share(value: Any) -> float:
    if not (share := float(_number(value))) >= 0:
        raise ValueError("must be at least 0")
    return share


def _several(made_of: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, ...]]:
    def made(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise ValueError("must be a list")
        return tuple(map(made_of, value))

    return made


def _numbers(value: Any) -> Any:
    return _several(_number)(value) if isinstance(value, list) else _number(value)


def _details(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not set(value) <= set(DETAILS):
        raise ValueError(f"must be an object that holds nothing but {', '.join(DETAILS)}")
    if "index" in value and not set(value) >= ELEMENT:
        raise ValueError(f"with 'index' there must be {', '.join(sorted(ELEMENT))}")
    return {name: _field(name, DETAILS[name], found) for name, found in value.items()}


DETAILS: dict[str, Callable[[Any], Any]] = {
    "output": name_of,
    "index": _several(_number),
    "expected": _numbers,
    "actual": _numbers,
    "bound": _number,
    "error_ulps": _number,
    "window": _several(_text),
    "diagnosis": _text,
    "printed": _several(_text),
}
ELEMENT = set(DETAILS) - {"window", "diagnosis", "printed"}
FIELDS: dict[str, Callable[[Any], Any]] = dict.fromkeys(("backend", "check", "operator", "dtype"), name_of) | {
    "outcome": _outcome,
    "case": lambda value: None if value is None else parse(_text(value)),
    "compared": _count,
    "share": _share,
    "reason": _text,
    "details": _details,
}
