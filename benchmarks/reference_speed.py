"""How fast the reference is: side by side with float64 PyTorch and with ONNX's reference evaluator, on one thread.

    python benchmarks/reference_speed.py

The contestants take turns within every round, so that a machine that slows down slows down all of them. Goals, on
the shape of a layer of a real network: no less than 0.7 of the speed of float64 PyTorch, and at least 2.5 times that of
ONNX's evaluator. Ratios are of medians; above 1 the reference is the faster one. A peer that is not installed is
reported as absent.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

# Read by the libraries when they are imported: this comes before any of them.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
    os.environ[variable] = "1"

import numpy as np  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

import reference  # noqa: E402
from reference import textbook  # noqa: E402

Run = Callable[[], object]
Array = np.ndarray


class Shape(NamedTuple):
    """One convolution without padding."""

    name: str
    input: tuple[int, ...]
    weight: tuple[int, ...]
    with_textbook: bool


SHAPES = (
    Shape("layer", (2, 64, 56, 56), (64, 64, 3, 3), with_textbook=False),  # the loops would take minutes
    Shape("small", (2, 3, 8, 8), (4, 3, 3, 3), with_textbook=True),
    Shape("tiny", (1, 1, 4, 4), (1, 1, 3, 3), with_textbook=True),
)
GOALS = {"torch": 0.7, "onnx": 2.5}


def torch_contestant(x: Array, w: Array) -> Run:
    import torch

    torch.set_num_threads(1)
    tensors = torch.from_numpy(x), torch.from_numpy(w)
    return lambda: torch.nn.functional.conv2d(*tensors)


def onnx_contestant(x: Array, w: Array) -> Run:
    from onnx import TensorProto, helper
    from onnx.reference import ReferenceEvaluator

    node = helper.make_node("Conv", ["x", "w"], ["y"])
    declared = [helper.make_tensor_value_info(name, TensorProto.DOUBLE, None) for name in "xwy"]
    graph = helper.make_graph([node], "conv", declared[:2], declared[2:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)])
    evaluator = ReferenceEvaluator(model)
    return lambda: evaluator.run(None, {"x": x, "w": w})[0]


PEERS = {"torch": torch_contestant, "onnx": onnx_contestant}


def contestants(shape: Shape) -> tuple[dict[str, Run], dict[str, str]]:
    """Return what can be run, and why the rest cannot."""
    rng = np.random.default_rng(0)
    x, w = (rng.integers(-9, 10, size).astype(np.float64) for size in (shape.input, shape.weight))
    runs: dict[str, Run] = {"reference": lambda: reference.conv2d(x, w)}
    absent = {}
    for name, make in PEERS.items():
        try:
            runs[name] = make(x, w)
        except ImportError as error:
            absent[name] = str(error)
    if shape.with_textbook:
        runs["textbook"] = lambda: textbook.conv2d_seven_loops(x, w)
    return runs, absent


def measure(runs: dict[str, Run], seconds: float, rounds: int) -> dict[str, list[float]]:
    """Return the times of one call, in microseconds; quick calls are repeated until the clock can tell them apart."""
    expected = np.asarray(runs["reference"]())
    repeats = {}
    for name, run in runs.items():
        # The data are whole numbers, so that a peer that computes something else shows.
        np.testing.assert_array_equal(np.asarray(run()), expected, err_msg=name)
        start = time.perf_counter()
        run()
        repeats[name] = max(1, round(0.001 / (time.perf_counter() - start)))
    times: dict[str, list[float]] = {name: [] for name in runs}
    stop = time.perf_counter() + seconds
    for i in range(rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            for _ in range(repeats[name]):
                run()
            times[name].append((time.perf_counter() - start) / repeats[name] * 1e6)
        if i >= 10 and time.perf_counter() > stop:
            break
    return times


def verdict(name: str, ratio: float, shape: Shape) -> str:
    if name not in GOALS or shape is not SHAPES[0]:
        return ""
    return f"{'met' if ratio >= GOALS[name] else 'MISSED'} (at least {GOALS[name]})"


def main() -> None:
    parser = argparse.ArgumentParser(description="Time reference.conv2d side by side with its peers, on one thread.")
    parser.add_argument("--seconds", type=float, default=10.0, help="time for each shape, about (default: 10)")
    parser.add_argument(
        "--rounds", type=int, default=1000, help="at most so many rounds for each shape (default: 1000)"
    )
    arguments = parser.parse_args()
    table = Table(title="conv2d in float64, one thread")
    for column in ("shape", "contestant", "rounds", "median µs", "best µs", "its time / reference's", "goal"):
        table.add_column(column, justify="left" if column in ("shape", "contestant", "goal") else "right")
    for shape in SHAPES:
        runs, absent = contestants(shape)
        times = measure(runs, arguments.seconds, arguments.rounds)
        own = statistics.median(times["reference"])
        for name, values in times.items():
            ratio = statistics.median(values) / own
            numbers = (
                str(len(values)),
                f"{statistics.median(values):.1f}",
                f"{min(values):.1f}",
                f"{ratio:.2f}",
            )
            table.add_row(f"{shape.name} {shape.input} * {shape.weight}", name, *numbers, verdict(name, ratio, shape))
        for name, reason in absent.items():
            table.add_row(f"{shape.name} {shape.input} * {shape.weight}", name, "", "", "", "", f"absent: {reason}")
        table.add_section()
    Console(width=None if Console().is_terminal else 140).print(table)


if __name__ == "__main__":
    main()
