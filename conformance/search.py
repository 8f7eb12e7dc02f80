"""The search for a failing draw, and for the smallest one: the one place that runs hypothesis."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TypeVar

import hypothesis
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis.strategies import SearchStrategy

T = TypeVar("T")


class _Failed(Exception):  # noqa: N818  (no error, but the way to tell hypothesis that a draw is worth shrinking)
    pass


def search(
    strategy: SearchStrategy[T], trial: Callable[[T], bool], *, draws: int, seed: int, shrink: bool = True
) -> bool | None:
    """Try up to `draws` draws until one fails, and shrink that one; a trial returns whether its draw passes.

    Return None where none fails, True where the smallest failing draw failed again when it was repeated (it is the last
    one that was tried), and False where it passed then.
    """

    def attempt(drawn: T) -> None:
        if not trial(drawn):
            raise _Failed

    searching = settings(
        max_examples=draws,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink) if shrink else (Phase.generate,),
        verbosity=Verbosity.quiet,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )(given(strategy)(attempt))
    try:
        with warnings.catch_warnings():
            # What hypothesis would print of a failing draw may be long, and is never shown.
            warnings.simplefilter("ignore", hypothesis.errors.HypothesisWarning)
            hypothesis.seed(seed)(searching)()
    except _Failed:
        return True
    except hypothesis.errors.Flaky:
        return False
    return None
