"""Two functions that take turns, so that a machine that slows down slows down both."""

from __future__ import annotations

import statistics
import time
import tracemalloc
from collections.abc import Callable
from typing import Any, NamedTuple

Run = Callable[[], Any]
QUICK = 0.0005  # seconds; calls are repeated until they take so long, which the clock can tell apart
ROUNDS = (3, 100)  # at least, at most
FAR = 5


class Times(NamedTuple):
    """Best seconds of a call, ours and the peer's, their ratio, and the quartiles of the ratios of the turns."""

    ours: float
    theirs: float
    ratio: float
    low: float
    high: float


def race(ours: Run, theirs: Run, seconds: float, known: float = 0) -> Times:
    """Return the times of both, measured in turns for about so long, in three at least.

    A peer that takes far longer has one turn, and none if its time is known from a call that was made before.
    """
    slow = FAR * seconds
    runs = (ours, theirs)
    first = [duration(ours, 1), known if known > slow else duration(theirs, 1)]
    repeats = [max(1, round(QUICK / second)) for second in first]
    pairs = [first] if max(first) > slow else []
    fewest, most = (0, 0) if pairs else ROUNDS
    stop = time.perf_counter() + seconds
    while len(pairs) < fewest or (len(pairs) < most and time.perf_counter() < stop):
        pairs.append([duration(run, n) for run, n in zip(runs, repeats, strict=True)])
    ratios = [b / a for a, b in pairs]
    low, _, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
    best = [min(times) for times in zip(*pairs, strict=True)]  # what others do on the machine only ever adds
    return Times(*best, best[1] / best[0], low, high)


def duration(run: Run, repeats: int) -> float:
    """Return the seconds that one call takes."""
    start = time.perf_counter()
    for _ in range(repeats):
        run()
    return (time.perf_counter() - start) / repeats


def peak_bytes(run: Run) -> int:
    """Return the most bytes that NumPy holds during a call, beyond what it held before and what the call returns."""
    tracemalloc.start()
    result = run()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak - int(result.nbytes)
