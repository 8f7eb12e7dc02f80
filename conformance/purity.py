"""Whether a call is pure: it writes to nothing that it was given, keeps nothing, and answers alike every time.

Each way to look is a manner of a case: several calls in the backend's process, whose answers must be the same bits.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from conformance.calls import Subject, arrays_of, tensors_of
from conformance.fills import MEANINGFUL_KINDS, Fill
from conformance.formats import Array
from conformance.model import Backend, Case

THREADS = 2
CHANGED = "its answer changes afterwards, with an input or with a later answer"
Tensors = Mapping[str, Any]


class ImpureError(RuntimeError):
    """What is wrong with an answer and shows in no number."""


@dataclass(frozen=True)
class Purity:
    """A way to look for impurity: what to call after the first call, and what it means if these answer otherwise.

    look: returns the outputs of the later calls, in one list. told: one clause for each of these calls.
    """

    look: Callable[[Subject, Tensors], list[Array]]
    told: tuple[str, ...]

    def perform(self, subject: Subject) -> list[Array | None]:
        """Return the outputs of the first call, of the later ones, of the first as read once more, and the inputs."""
        arrays = arrays_of(subject.case)
        tensors = subject.tensors(arrays)
        outputs = subject.call(tensors)
        _check_device(subject.backend, tensors, outputs)
        first, later = subject.read(outputs), self.look(subject, tensors)
        after = subject.read(list(tensors.values()))
        for array in arrays.values():
            array[...] = 0
        if subject.backend.clear is not None:
            for tensor in tensors.values():
                subject.backend.clear(tensor)
        with suppress(Exception):  # an answer that shares memory with an input, or with other answers, shows it now
            subject.call(subject.tensors(arrays))
        return [*first, *later, *subject.read(outputs), *after]

    def compared(
        self, case: Case, answered: Sequence[Array]
    ) -> Iterator[tuple[str, dict[str, Array], dict[str, Array]]]:
        """Yield what a difference means, what is expected, and what there is, for all that must be equal."""
        told, inputs = (*self.told, CHANGED), len(case.inputs)
        width = (len(answered) - inputs) // (len(told) + 1)
        names = ["output", *(f"output {place}" for place in range(1, width))][:width]
        for (name, fill), after in zip(case.inputs.items(), answered[-inputs:], strict=True):
            yield f"{name} is written to", {name: fill.array()}, {name: after}
        for place, clause in enumerate(told, 1):
            again = answered[place * width : (place + 1) * width]
            yield clause, dict(zip(names, answered, strict=False)), dict(zip(names, again, strict=True))


def _check_device(backend: Backend, tensors: Tensors, outputs: Sequence[Any]) -> None:
    if backend.device is None:
        return
    wanted = str(backend.device(next(iter(tensors.values()))))
    for output in outputs:
        if output is not None and (found := str(backend.device(output))) != wanted:
            raise ImpureError(f"the answer is on {found}, its input on {wanted}")


def _repeat(subject: Subject, tensors: Tensors) -> list[Array]:
    return subject.answer(tensors)


def _after(subject: Subject, tensors: Tensors) -> list[Array]:
    """Answer once more after calls with other attributes, other shapes and other dtypes, which plans may be kept by."""
    backend = subject.backend
    for attributes, arrays in neighbours(backend, subject.case):
        with suppress(Exception):  # whether it may refuse them is for other checks
            subject.asked_with(tensors_of(backend, arrays), attributes)
    return subject.answer(tensors)


def neighbours(backend: Backend, case: Case) -> Iterator[tuple[Mapping[str, Any], dict[str, Array]]]:
    """Yield attributes and arrays of legal calls near a case: an attribute, the batch, or the dtype is another."""
    import reference.vjp  # late, since most workers never need it

    function = getattr(reference.vjp if case.pulled else reference, case.operator)
    for attributes, fills in _near(backend, case, function):
        arrays = {name: fill.array().copy() for name, fill in fills.items()}
        with suppress(reference.ConstraintError), np.errstate(all="ignore"):
            function(**arrays, **attributes)
            yield attributes, arrays


def _near(
    backend: Backend, case: Case, function: Callable[..., Any]
) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Fill]]]:
    given = case.attributes
    for name, parameter in inspect.signature(function).parameters.items():
        value = given.get(name, parameter.default)
        other = _other(value)
        if name not in case.inputs and other is not None:
            yield {**given, name: other}, case.inputs
    first, fill = next(iter(case.inputs.items()))
    if fill.shape:
        wider = _like(fill, shape=(fill.shape[0] + 1, *fill.shape[1:]))
        yield given, {**case.inputs, first: wider}
    for dtype in backend.dtypes:
        if dtype != case.dtype:
            yield given, {k: f if f.dtype == "int64" else _like(f, dtype=dtype) for k, f in case.inputs.items()}


def _like(fill: Fill, shape: tuple[int, ...] | None = None, dtype: str | None = None) -> Fill:
    return Fill(fill.kind, dtype or fill.dtype, fill.shape if shape is None else shape, fill.seed, fill.scale)


def _other(value: Any) -> Any:
    """Return another value of an attribute, or None where it is unclear what that could be."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value / 2
    if isinstance(value, tuple) and value and all(isinstance(n, int) for n in value):
        return value[::-1] if value != value[::-1] else tuple(n + 1 for n in value)
    return None


def _poisoned(subject: Subject, tensors: Tensors) -> list[Array]:
    """Answer once more where freed memory is full of NaN: that of arrays, and whatever such a call works in."""
    nans = {
        name: array if fill.kind in MEANINGFUL_KINDS else np.full_like(array, np.nan)
        for (name, fill), array in zip(subject.case.inputs.items(), arrays_of(subject.case).values(), strict=True)
    }
    with suppress(Exception):
        subject.call(subject.tensors(nans))
    return subject.answer(tensors)


def _threaded(subject: Subject, tensors: Tensors) -> list[Array]:
    """Answer in several threads at once; then with as many threads of the engine's own, and with one."""
    with ThreadPoolExecutor(THREADS) as pool:
        answers = list(pool.map(lambda _: subject.answer(tensors), range(THREADS)))
    engine = subject.backend.threads
    if engine is not None:
        before = engine(THREADS)
        answers.append(subject.answer(tensors))
        engine(1)
        answers.append(subject.answer(tensors))
        engine(before)
    else:
        answers += answers  # the engine has no threads of its own
    return [output for answered in answers for output in answered]


PURITY = {
    "repeat": Purity(_repeat, ("a second call answers otherwise",)),
    "after": Purity(_after, ("after calls with other attributes, shapes and dtypes it answers otherwise",)),
    "poisoned": Purity(_poisoned, ("it answers otherwise where freed memory holds NaN",)),
    "threaded": Purity(
        _threaded,
        (
            *("called from several threads at once it answers otherwise",) * THREADS,
            "with several threads of the engine it answers otherwise",
            "with one thread of the engine it answers otherwise",
        ),
    ),
}
