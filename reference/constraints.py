"""What a reference refuses, and how it says so.

Every argument of every reference is checked. A refusal names the argument, its value, the rule that it breaks
and a label. The label stands in the `Constraints` part of the function's docstring, so that specification,
check and test carry one name.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from numbers import Real
from typing import NoReturn

import numpy as np

LARGEST = 2**62  # of whole numbers: arithmetic with two of them fits int64


class ConstraintError(ValueError):
    """A call that the operator's definition does not allow.

    >>> error = ConstraintError("stride", "stride", 0, "must be at least 1")
    >>> print(error)
    stride=0: must be at least 1 [stride]
    >>> error.label
    'stride'
    """

    def __init__(self, label: str, argument: str, value: object, rule: str) -> None:
        super().__init__(label, argument, value, rule)
        self.label = label
        self.argument = argument
        self.value = value
        self.rule = rule

    def __str__(self) -> str:
        return f"{self.argument}={self.value!r}: {self.rule} [{self.label}]"


def refuse(label: str, argument: str, value: object, rule: str) -> NoReturn:
    """Raise the ConstraintError; a call of its own, so that texts are only made when they are needed."""
    raise ConstraintError(label, argument, value, rule)


def whole(label: str, argument: str, value: object, minimum: int) -> int:
    """Return a whole number that is at least `minimum`, or refuse."""
    try:
        number = operator.index(value)  # type: ignore[arg-type]  # the point is to find out
    except TypeError:
        refuse(label, argument, value, "must be a whole number")
    if number < minimum:
        refuse(label, argument, value, f"must be at least {minimum}")
    if number > LARGEST:
        refuse(label, argument, value, "must be at most 2**62")
    return number


def flag(label: str, argument: str, value: object) -> bool:
    """Return True or False, or refuse anything else."""
    if not isinstance(value, (bool, np.bool_)):
        refuse(label, argument, value, "must be True or False")
    return bool(value)


def one_of(label: str, argument: str, value: object, allowed: Sequence[str]) -> str:
    """Return the value if it is one of the allowed names, or refuse."""
    if not isinstance(value, str) or value not in allowed:
        refuse(label, argument, value, f"must be one of {', '.join(allowed)}")
    return value


def finite(label: str, argument: str, value: object, minimum: float = -math.inf) -> float:
    """Return a finite real number that is at least `minimum`, or refuse."""
    try:
        number = float(value) if isinstance(value, Real) else math.nan
    except OverflowError:  # a whole number that no float64 holds
        number = math.nan
    if not math.isfinite(number) or number < minimum:
        rule = "must be finite" if minimum == -math.inf else f"must be at least {minimum:g} and finite"
        refuse(label, argument, value, rule)
    return number


def per_axis(label: str, argument: str, value: object, rank: int, minimum: int) -> tuple[int, ...]:
    """Return one whole number an axis from a number, or from a sequence of 1 or `rank` numbers."""
    if type(value) is int and minimum <= value <= LARGEST:  # the common case, and the fast one
        return (value,) * rank
    if type(value) is not tuple and (not isinstance(value, Sequence) or isinstance(value, (str, bytes))):
        return (whole(label, argument, value, minimum),) * rank
    if len(value) not in (1, rank):
        refuse(label, argument, value, f"must have 1 or {rank} entries, one for each spatial axis")
    numbers = tuple(whole(label, argument, entry, minimum) for entry in value)
    return numbers * rank if len(numbers) != rank else numbers
