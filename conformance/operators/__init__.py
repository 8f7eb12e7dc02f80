"""The operators of the suite: every module of this folder names its own in OPERATORS; the folder is the registry."""

from __future__ import annotations

from functools import cache

from conformance.model import Operator
from conformance.registry import collect


@cache
def operators() -> dict[str, Operator]:
    """Return every operator by name.

    >>> sorted(operators())[:3]
    ['adaptive_avg_pool1d', 'adaptive_avg_pool2d', 'adaptive_avg_pool3d']
    """
    return {operator.name: operator for operator in collect(__name__, __path__, "OPERATORS")}
