"""The search for a failing draw, and for the smallest one: the one place that runs hypothesis.

What is drawn is a function of the seed. Hypothesis's own source of choices is not: it mixes in constants that it finds
in whatever modules of the user are imported, and keeps them in the current folder. So the choices are made here.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, NoReturn, TypeVar

import hypothesis
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis.internal.conjecture.providers import AVAILABLE_PROVIDERS, PrimitiveProvider
from hypothesis.strategies import SearchStrategy

T = TypeVar("T")
_SEED: ContextVar[int] = ContextVar("_SEED")


class _Failed(Exception):  # noqa: N818  (no error, but the way to tell hypothesis that a draw is worth shrinking)
    pass


class _Broken(BaseException):
    """An error that says nothing of the draw. No Exception, so that hypothesis neither repeats nor shrinks it."""

    def __init__(self, error: Exception) -> None:
        self.error = error


class SeededProvider(PrimitiveProvider):
    """Where hypothesis gets its choices from while it draws: each is as likely as any other, and the seed decides.

    It makes those that the suite draws from: bytes, bounded integers and booleans.
    """

    lifetime = "test_function"

    def __init__(self, data: None, /) -> None:
        super().__init__(data)
        self._random = random.Random(_SEED.get())

    def draw_boolean(self, p: float = 0.5) -> bool:
        """Choose True with this probability."""
        return self._random.random() < p

    def draw_integer(self, min_value: int | None = None, max_value: int | None = None, **_: Any) -> int:
        """Choose an integer."""
        if min_value is None or max_value is None:
            self._refuse("an integer without bounds")
        return self._random.randint(min_value, max_value)

    def draw_bytes(self, min_size: int = 0, max_size: int = 0) -> bytes:
        """Choose bytes."""
        return self._random.randbytes(self._random.randint(min_size, max_size))

    def draw_float(self, **_: Any) -> float:
        """Refuse: no geometry needs one."""
        self._refuse("a float")

    def draw_string(self, *_: Any, **__: Any) -> str:
        """Refuse: no geometry needs one."""
        self._refuse("a string")

    @staticmethod
    def _refuse(what: str) -> NoReturn:
        raise _Broken(NotImplementedError(f"{what} is to be drawn; choose bytes, bounded integers or booleans"))


AVAILABLE_PROVIDERS["convformance"] = f"{__name__}.{SeededProvider.__name__}"


def seed_of(word: str) -> int:
    """Return the seed that a word asks for: a whole number, or random, for a fresh one."""
    try:
        return random.SystemRandom().randrange(2**32) if word == "random" else int(word)
    except ValueError:
        raise ValueError(f"{word!r} is neither a whole number nor 'random'") from None


def search(
    strategy: SearchStrategy[T], trial: Callable[[T], bool], *, draws: int, seed: int, shrink: bool = True
) -> bool | None:
    """Try up to `draws` draws until one fails, and shrink that one; a trial returns whether its draw passes.

    Return None where none fails, True where the smallest failing draw failed again when it was repeated (it is the last
    one that was tried), and False where it passed then. What a trial raises ends the search.
    """

    def attempt(drawn: T) -> None:
        try:
            passed = trial(drawn)
        except Exception as error:
            raise _Broken(error) from None
        if not passed:
            raise _Failed

    searching = settings(
        backend="convformance",
        max_examples=draws,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink) if shrink else (Phase.generate,),
        verbosity=Verbosity.quiet,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )(given(strategy)(attempt))
    _SEED.set(seed)
    try:
        with warnings.catch_warnings():
            # What hypothesis would print of a failing draw may be long, and is never shown.
            warnings.simplefilter("ignore", hypothesis.errors.HypothesisWarning)
            hypothesis.seed(seed)(searching)()
    except _Failed:
        return True
    except hypothesis.errors.Flaky:
        return False
    except _Broken as broken:
        error = broken.error
    else:
        return None
    raise error
