"""What is measured: one section a goal, each a list of rows."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from statistics import geometric_mean
from typing import Any, NamedTuple

import numpy as np

import reference
from reference import textbook
from speed.calls import FAMILIES, SIZES, TINY, Call, Gradient, calls, gradients, parts, real, whole
from speed.race import peak_bytes, race
from speed.table import Row, met, seconds

PEERS = ("onnx", "torch", "jax", "tvm")
MICROSECONDS = 60
DIFFERENT = "DIFFERENT ANSWERS"
Rows = Iterator[Row]


class Plan(NamedTuple):
    """What to measure: seconds for each pair, sizes, and what the name of a workload has to contain."""

    seconds: float
    sizes: tuple[str, ...]
    only: tuple[str, ...]

    def wants(self, workload: str) -> bool:
        return not self.only or any(text in workload for text in self.only)


def peers() -> tuple[dict[str, Any], dict[str, str]]:
    """Return the modules that answer, and why the others do not."""
    found, absent = {}, {}
    for name in PEERS:
        try:
            found[name] = import_module(f"speed.{name}_peer")
        except ImportError as error:
            absent[name] = str(error)
    return found, absent


def compared(plan: Plan, peer: Any, call: Call | Gradient, size: str, goal: float | None) -> tuple[Row, float] | None:
    """Return the row of one call, and the ratio unless the peer is wrong; None if it is not to be measured."""
    shape = "x".join(map(str, call.shape))
    workload = f"{call}, {size} {shape}"
    run = peer.answerer(call) if plan.wants(f"{peer.NAME}: {workload}") else None
    if run is None:
        return None
    agrees, known = same(call, run, peer.PRECISION)
    if not agrees:
        return Row(workload, "", "", "", "", peer.WRONG.get(str(call), DIFFERENT)), math.nan
    times = race(call, run, plan.seconds, known)
    ratio = f"{times.ratio:.3g} ({times.low:.3g} to {times.high:.3g})"
    verdict = ("", "") if goal is None else (f"at least {goal:g}", met(times.ratio >= goal))
    return Row(workload, seconds(times.ours), seconds(times.theirs), ratio, *verdict), times.ratio


def same(call: Call | Gradient, run: Callable[[], Any], precision: float) -> tuple[bool, float]:
    """Return whether both give the same answer, by the largest number in it, and how long the peer takes."""
    start = time.perf_counter()
    try:
        theirs = parts(run())
    except ValueError:  # as onnx does for several groups
        return False, 0.0
    known = time.perf_counter() - start
    ours = parts(call())
    if isinstance(call, Call):  # what else a call returns has another form in every peer
        ours, theirs = ours[:1], theirs[:1]
    agrees = all(
        a.shape == b.shape and bool(np.all(np.abs(a - b) <= precision * np.max(np.abs(a), initial=0)))
        for a, b in zip(ours, theirs, strict=True)
    )
    return agrees, known


def versus_peer(peer: Any, plan: Plan) -> Rows:
    """Yield every operator at every size, and the geometric mean of the ratios."""
    onnx = peer.NAME == "onnx"
    ratios = []
    for size in plan.sizes:
        for call in calls(SIZES[size]):
            found = compared(plan, peer, call, size, 1.0 if onnx else None)
            if found:
                yield found[0]
                ratios += [] if math.isnan(found[1]) else [found[1]]
    if ratios:
        mean = geometric_mean(ratios)
        verdict = ("at least 3", met(mean >= 3)) if onnx else ("", "")
        yield Row(f"geometric mean of {len(ratios)}", "", "", f"{mean:.3g}", *verdict)


def versus_torch(peer: Any, plan: Plan) -> Rows:
    """Yield every operator on the largest size, and its gradients."""
    size = plan.sizes[-1]
    for family, make in FAMILIES.items():
        for call in make(SIZES[size]):
            layer = call.shape == SIZES[size].shape()
            goal = {"pooling": 0.5, "normalization": 0.5}.get(family) if layer else None
            if str(call) in ("conv2d", "conv_transpose2d"):
                goal = 0.8
            for what in (call, *gradients(call)):
                found = compared(plan, peer, what, size, goal if what is call or goal == 0.8 else None)
                if found:
                    yield found[0]


def tiny(plan: Plan) -> Rows:
    """Yield every operator and its gradients on one channel of 4 x 4, argument checks included."""
    for call in calls(TINY):
        for what in (call, *gradients(call)):
            workload = f"{what}, {'x'.join(map(str, what.shape))}"
            if plan.wants(f"tiny: {workload}"):
                times = race(what, what, plan.seconds)
                goal = call.shape == TINY.shape()
                verdict = (f"at most {MICROSECONDS} µs", met(times.ours * 1e6 <= MICROSECONDS)) if goal else ("", "")
                yield Row(workload, seconds(times.ours), "", "", *verdict)


def exact(peer: Any, plan: Plan) -> Rows:
    """Yield the correctly rounded convolution beside PyTorch's."""
    size = SIZES[plan.sizes[-1]]
    arrays = {"input": real(*size.shape()), "weight": real(size.channels, size.channels, 3, 3)}

    def correctly_rounded() -> Any:
        with reference.exact():
            return reference.conv2d(**arrays, padding=1)

    times = race(correctly_rounded, peer.answerer(Call("conv2d", arrays, {"padding": 1})), plan.seconds)
    ratio = f"1 / {1 / times.ratio:.3g} (1 / {1 / times.low:.3g} to 1 / {1 / times.high:.3g})"
    verdict = met(times.ratio >= 1 / 12)
    workload = f"conv2d inside exact(), {'x'.join(map(str, size.shape()))}"
    yield Row(workload, seconds(times.ours), seconds(times.theirs), ratio, "at least 1 / 12", verdict)


def loops(plan: Plan) -> Rows:
    """Yield the textbook's convolutions beside the fast one."""
    n, c, side = (4, 16, 32) if "large" in plan.sizes else (1, 2, 5)
    x, w = whole(n, c, side, side), whole(c, c, 3, 3)
    for function in (textbook.conv2d_four_loops, textbook.conv2d_seven_loops):
        times = race(partial(reference.conv2d, x, w), partial(function, x, w), plan.seconds)
        workload = f"textbook.{function.__name__}, {n}x{c}x{side}x{side}"
        yield Row(workload, seconds(times.ours), seconds(times.theirs), f"{times.ratio:.3g}", "reported")


def memory(plan: Plan) -> Rows:
    """Yield what conv2d holds at most beyond its arguments and its result."""
    for shape in (SIZES["large"].shape(), (1, 64, 1024, 1024))[: len(plan.sizes)]:
        x, w = np.ones(shape), np.ones((shape[1], shape[1], 3, 3))
        peak = peak_bytes(partial(reference.conv2d, x, w, padding=1))
        times = peak / x.nbytes
        workload = f"conv2d, kernel 3, {'x'.join(map(str, shape))}: {x.nbytes / 2**20:.4g} MiB"
        goal, yes = ("at most 9 times the input", times <= 9)
        if shape[-1] == 1024:
            goal, yes = "less than 2 GiB", peak < 2**31
        yield Row(workload, f"{peak / 2**20:.4g} MiB", "", f"{times:.3g} times the input", goal, met(yes))
