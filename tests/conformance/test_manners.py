"""Calls of other manners than one plain call: gradients, layouts, purity and laws, each with what must be seen."""

from __future__ import annotations

import itertools
import re
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from conformance_cases import OPERATORS, honest, numpy_backend

from conformance.answers import Raised, answer
from conformance.calls import VJP, differentiated, perform
from conformance.checks import CHECKS
from conformance.discovery import UsageError, find_backend
from conformance.fills import Fill
from conformance.layouts import NUMPY_LAYOUTS
from conformance.lines import parse
from conformance.model import Backend, Geometry, Outcome
from conformance.purity import PURITY, neighbours
from conformance.replay import cell_of
from conformance.run import ask_and_judge, run

CPU = find_backend("torch-cpu")
RELU = "relu(input=integers(float32[2,8], scale=3))"
RAMP = "relu(input=ramp(float32[2,8]))"
CONV = "conv2d(input=integers(float32[2,2,5,5], scale=3), weight=integers(float32[2,2,3,3], seed=1, scale=2))"
PULL = f"vjp.{CONV}".replace("input=", "cotangent=integers(float32[2,2,3,3], seed=3, scale=2), input=")


def verdict_on(line: str, backend: Backend):
    case = parse(line)
    return next(ask_and_judge(cell_of(case, backend), [case]))


def with_relu(binding, **fields) -> Backend:
    return numpy_backend("custom", bindings={"relu": binding}, **fields)


# Ways for relu to be impure, by the manner that sees them and what it says.

right = honest("relu")


def writes(input):
    answer = right(input)
    np.abs(input, out=input)
    return answer


def views(input):
    return input if input.min() >= 0 else right(input)


def one_buffer():
    kept = np.zeros((2, 8), np.float32)

    def binding(input):
        if input.shape != kept.shape or input.dtype != kept.dtype:
            return right(input)
        kept[...] = right(input)
        return kept

    return binding


def counts():
    calls = []

    def binding(input):
        calls.append(1)
        return right(input) + (len(calls) > 1)

    return binding


def remembers_dtype():
    seen = set()

    def binding(input):
        seen.add(input.dtype)
        return right(input) + (len(seen) > 1)

    return binding


def keeps_scratch():
    scratch = np.zeros((), np.float32)

    def binding(input):
        nonlocal scratch
        leak, scratch = 0 * scratch, np.float32(input.astype(np.float32).sum())
        return (right(input) + leak).astype(input.dtype)

    return binding


def one_at_a_time():
    lock = threading.Lock()

    def binding(input):
        if not lock.acquire(blocking=False):
            return right(input) + 1
        try:
            threading.Event().wait(0.01)
            return right(input)
        finally:
            lock.release()

    return binding


IMPURE = {
    "writes to its input": (writes, "repeat", "input is written to"),
    "answers with a view of its input": (views, "repeat", "its answer changes afterwards"),
    "answers from one buffer": (one_buffer(), "poisoned", "its answer changes afterwards"),
    "counts its calls": (counts(), "repeat", "a second call answers otherwise"),
    "remembers a dtype": (remembers_dtype(), "after", "after calls with other attributes, shapes and dtypes"),
    "keeps its scratch": (keeps_scratch(), "poisoned", "where freed memory holds NaN"),
    "is made for one thread": (one_at_a_time(), "threaded", "called from several threads at once"),
}


@pytest.mark.parametrize(("binding", "manner", "told"), IMPURE.values(), ids=IMPURE)
def test_an_impure_call_is_seen(binding, manner, told):
    verdict = verdict_on(f"{manner}.{RELU if binding is not views else RAMP}", with_relu(binding))
    assert verdict.outcome is Outcome.DIFFERS
    assert told in verdict.reason


@pytest.mark.parametrize("manner", PURITY)
def test_a_pure_call_conforms_with_evidence(manner):
    for backend in (numpy_backend(), CPU):
        verdict = verdict_on(f"{manner}.{CONV}", backend)
        assert verdict.outcome is Outcome.CONFORMS
        assert verdict.compared >= 2 * 18 + 100 + 36  # the answer twice, and both inputs
        assert verdict.check == "purity"


def test_an_answer_of_another_shape_the_second_time_is_seen():
    shapes = iter([8, 4, 8, 8, 8])
    verdict = verdict_on(f"repeat.{RELU}", with_relu(lambda input: right(input)[:, : next(shapes)]))
    assert "a second call answers otherwise: output is float32[2, 4], expected float32[2, 8]" in verdict.reason


@pytest.mark.parametrize("dtype", [np.longdouble, object])
def test_an_answer_of_a_strange_dtype_is_told(dtype):
    verdict = verdict_on(f"repeat.{RELU}", with_relu(lambda input: right(input).astype(dtype)))
    assert verdict.outcome is Outcome.DIFFERS
    assert re.search(r"output has dtype \S+, expected float32$", verdict.reason)


@pytest.mark.parametrize("signs", [(0.0, -0.0), (0.0, 0.0)])
def test_the_sign_of_a_zero_is_one_of_the_same_bits(signs):
    sign = itertools.cycle(signs)
    verdict = verdict_on(f"repeat.{RELU}", with_relu(lambda input: right(input) + np.float32(0) * 0 + next(sign)))
    assert verdict.outcome is Outcome.CONFORMS  # x + -0 is x, and relu has no -0 of its own
    zeros = with_relu(lambda input: np.where(input > 0, input, np.float32(next(sign))))
    differs = len(set(map(str, signs))) > 1
    assert (verdict_on(f"repeat.{RELU}", zeros).outcome is Outcome.DIFFERS) == differs


@pytest.mark.parametrize("clear", [None, lambda tensor: tensor.fill(0)])
def test_shared_memory_behind_a_border_that_copies_is_seen_if_tensors_can_be_cleared(clear):
    backend = replace(with_relu(views), from_numpy=np.array, clear=clear)
    verdict = verdict_on(f"repeat.{RAMP}", backend)
    assert verdict.outcome is (Outcome.DIFFERS if clear else Outcome.CONFORMS)


def test_all_of_the_memory_of_torch_is_cleared():
    tensor = CPU.from_numpy(np.arange(1, 7, dtype=np.float32).reshape(2, 3))
    shown = tensor[0].expand(4, 3)  # of which several elements are one
    CPU.clear(shown)
    assert not tensor.any()


def test_an_answer_of_nothing_but_zeros_proves_nothing():
    verdict = verdict_on("repeat.relu(input=ramp(float32[0]))", numpy_backend())
    assert verdict.outcome is Outcome.VACUOUS


def test_threads_of_an_engine_are_set_and_set_back():
    asked = []

    def threads(count):
        asked.append(count)
        return 7

    assert verdict_on(f"threaded.{RELU}", numpy_backend(threads=threads)).outcome is Outcome.CONFORMS
    assert asked == [2, 1, 7]


def test_an_answer_on_another_device_is_refused():
    places = iter(["cpu", "cuda:0"])
    verdict = verdict_on(f"repeat.{RELU}", numpy_backend(device=lambda _: next(places)))
    assert verdict.outcome is Outcome.ERRORED
    assert "ImpureError: the answer is on cuda:0, its input on cpu" in verdict.reason
    assert verdict_on(f"repeat.{RELU}", CPU).outcome is Outcome.CONFORMS


def test_neighbours_are_legal_and_differ_in_one_thing():
    case = parse(f"after.{CONV[:-1]}, stride=(1, 2))")
    found = list(neighbours(numpy_backend(), case))
    assert {tuple(a["stride"]) for a, _ in found if a["stride"] != (1, 2)} == {(2, 1)}
    assert {a.get("groups", 1) for a, _ in found} == {1}  # with 2 groups the weight does not fit
    assert {a.get("dilation", 1) for a, _ in found} == {1, 2}
    assert {arrays["input"].shape[0] for _, arrays in found} == {2, 3}
    assert len({arrays["input"].dtype for _, arrays in found}) == 4
    norm = "after.batch_norm(input=ramp(float32[4,2]), momentum=0.5, training=True)"
    attributes = [a for a, _ in neighbours(numpy_backend(), parse(norm))]
    assert {a["momentum"] for a in attributes} == {0.25, 0.5}
    assert {a.get("eps", 1e-5) for a in attributes} == {5e-6, 1e-5}
    pooled = "after.max_pool2d(input=ramp(float32[1,1,6,6]), kernel_size=(2, 2))"
    assert {a["kernel_size"] for a, _ in neighbours(numpy_backend(), parse(pooled))} == {(2, 2), (3, 3)}


@pytest.mark.parametrize("layout", NUMPY_LAYOUTS)
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (6,), (3, 1), ()])
def test_a_layout_leaves_the_numbers_as_they_are(layout, shape):
    array = np.arange(np.prod(shape), dtype=np.int64).reshape(shape)
    for values in (array, array.astype(np.float32), np.broadcast_to(array[:1], shape) if shape else array):
        laid = NUMPY_LAYOUTS[layout](values)
        assert np.array_equal(laid, values)
        assert laid.dtype == values.dtype
    for dtype in (torch.float32, torch.bfloat16, torch.int64):
        if layout in CPU.layouts:
            tensor = torch.from_numpy(array.copy()).to(dtype)
            assert torch.equal(CPU.layouts[layout](tensor), tensor)


def test_layouts_are_other_layouts():
    array = np.ones((2, 3, 4, 5), np.float32)
    strides = {name: lay(array).strides for name, lay in NUMPY_LAYOUTS.items()}
    assert len({*strides.values(), array.strides}) == len(strides)  # all but "offset" show in the strides
    assert NUMPY_LAYOUTS["offset"](array).ctypes.data % 16
    tensor = torch.ones(2, 3, 4, 5)
    assert len({lay(tensor).stride() for lay in CPU.layouts.values()}) == len(CPU.layouts)
    assert CPU.layouts["offset"](tensor).storage_offset() == 1


def test_a_layout_that_is_misread_is_seen():
    def as_if_dense(input):
        flat = np.lib.stride_tricks.as_strided(input, input.shape, np.zeros(input.shape, input.dtype).strides)
        return right(np.array(flat))

    verdict = verdict_on('relu(input=integers(float32[2,8], scale=3, layout="offset"))', with_relu(as_if_dense))
    assert verdict.outcome is Outcome.CONFORMS
    verdict = verdict_on('relu(input=integers(float32[2,8], scale=3, layout="transposed"))', with_relu(as_if_dense))
    assert verdict.outcome is Outcome.DIFFERS
    assert verdict.check == "layouts"


def test_each_array_is_laid_out_alone_and_with_the_others():
    geometry = Geometry({"input": (2, 3), "weight": (4, 3)}, {}, 3)
    cases = CHECKS["layouts"].cases(OPERATORS["linear"], geometry, "float32", 0, numpy_backend())
    laid = {tuple(fill.layout != "" for fill in case.inputs.values()) for case in cases if case.manner == ""}
    assert laid == {(True, False), (False, True), (True, True)}
    kinds = {fill.kind for case in cases for fill in case.inputs.values() if fill.layout == "broadcast"}
    assert kinds == {"repeated"}


def test_gradients_of_autograd_are_in_the_order_of_the_arrays():
    case = parse(PULL)
    assert differentiated(case) == ("input", "weight")
    found = perform(CPU, case)
    assert [part.shape for part in found] == [(2, 2, 5, 5), (2, 2, 3, 3)]
    with_statistics = "running_mean=ramp(float32[1]), running_var=ramp(float32[1]), weight=ramp(float32[1])"
    norm = f"vjp.batch_norm(cotangent=ramp(float32[4,1]), input=integers(float32[4,1]), {with_statistics})"
    assert differentiated(parse(norm)) == ("input", "weight")
    assert len(perform(CPU, parse(norm))) == 2


def test_a_binding_of_gradients_comes_before_autograd():
    own = Backend("own", {"vjp.conv2d": honest("vjp.conv2d"), "conv2d": honest("conv2d")})
    assert [part.shape for part in perform(own, parse(PULL))] == [(2, 2, 5, 5), (2, 2, 3, 3)]


def test_without_gradients_the_cell_is_unbound():
    bare = Backend("bare", {"conv2d": honest("conv2d")})
    (verdict,) = run(bare, operators=["conv2d"], dtypes=["float32"], checks=["gradients"])
    assert verdict.outcome is Outcome.UNBOUND
    assert verdict.reason == "bare has no vjp, and binds no vjp.conv2d"
    assert isinstance(answer(bare, parse(PULL)), Raised)
    (verdict,) = run(bare, operators=["conv2d"], dtypes=["float32"], checks=["layouts"])
    assert verdict.outcome is Outcome.UNBOUND
    assert verdict.reason == "bare names no layouts"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("speed.relu(input=ramp(float32[2]))", "speed.relu: 'speed' must be one of vjp, repeat, after"),
        (
            "vjp.linear(input=ramp(float32[2]), weight=ramp(float32[1,2]))",
            "vjp.linear: missing a required argument: 'cotangent'",
        ),
        (PULL.replace("weight=", "wait="), "vjp.conv2d: missing a required argument: 'weight'"),
        ('relu(input=ramp(float32[2], layout="blocked"))', "layout='blocked' must be one that honest names: channels"),
    ],
)
def test_a_line_of_a_manner_that_is_not_there_is_refused(line, told):
    with pytest.raises(UsageError) as caught:
        cell_of(parse(line), numpy_backend())
    assert told in str(caught.value)


def test_a_backend_without_layouts_names_none():
    with pytest.raises(UsageError, match="must be one that bare names: none"):
        cell_of(parse('relu(input=ramp(float32[2], layout="strided"))'), Backend("bare", {"relu": right}))


def test_a_fill_says_its_layout():
    assert repr(Fill("ramp", "float32", (2,), layout="strided")) == 'ramp(float32[2], layout="strided")'


@pytest.mark.parametrize("check", [name for name in CHECKS if not CHECKS[name].grades])
def test_a_cell_has_as_many_cases_as_examples(check):
    # linear has the fewest constraints to break, and so the fewest cases to a geometry.
    verdicts = list(run(numpy_backend(), operators=["linear"], dtypes=["float32"], checks=[check], examples=100))
    assert len(verdicts) >= 100


def test_an_operator_without_rejections_has_no_such_cell():
    silent = replace(OPERATORS["relu"], rejections=None, gradient=None)
    assert not CHECKS["rejections"].applies(silent)
    assert not CHECKS["gradients"].applies(silent)
    assert all(check.applies(OPERATORS["linear"]) for check in CHECKS.values())


def test_a_backend_without_gradients_is_asked_for_other_layouts_of_answers_alone():
    geometry, forward = Geometry({"input": (2, 3)}, {}), Backend("forward", {"relu": right}, layouts=NUMPY_LAYOUTS)
    check, operator = CHECKS["layouts"], OPERATORS["relu"]
    manners = {case.manner for case in check.cases(operator, geometry, "float32", 0, forward)}
    assert manners == {""}
    assert {case.manner for case in check.cases(operator, geometry, "float32", 0, numpy_backend())} == {"", VJP}


def test_a_number_without_a_batch_has_neighbours_of_other_dtypes_alone():
    found = [arrays["input"] for _, arrays in neighbours(numpy_backend(), parse("after.relu(input=ramp(float32[()]))"))]
    assert {array.shape for array in found} == {()}
    assert len({array.dtype for array in found}) == len(found) == 3


NORM = (
    "vjp.batch_norm(cotangent=ramp(float32[4,2]), input=integers(float32[4,2]), bias=ramp(float32[2]), training=True)"
)


@pytest.mark.parametrize("pick", [lambda g: (g[0], g[-1]), tuple])
def test_gradients_are_those_of_all_arrays_or_of_those_that_are_given(pick):
    own = numpy_backend(bindings={"vjp.batch_norm": lambda **call: pick(honest("vjp.batch_norm")(**call))})
    assert verdict_on(NORM, own).outcome is Outcome.CONFORMS


def test_gradients_of_another_number_of_arrays_are_told():
    own = numpy_backend(bindings={"vjp.batch_norm": lambda **call: honest("vjp.batch_norm")(**call)[:1]})
    told = "raises TypeError: vjp.batch_norm returns 1 gradients, expected input, bias"
    assert verdict_on(NORM, own).reason == told


def written_to(**call):
    result = honest("vjp.relu")(**call)
    call["cotangent"][...] = 0
    return result


KEPT = np.zeros(64, np.float32)


def shared(**call):
    result = np.asarray(honest("vjp.relu")(**call)).reshape(-1)
    KEPT[: result.size] = result
    return KEPT[: result.size].reshape(call["input"].shape)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [(written_to, "cotangent is written to"), (shared, "its answer changes afterwards")],
)
def test_gradients_are_to_be_pure_too(wrong, told):
    line = "repeat.relu(cotangent=integers(float32[2,3], scale=3), input=ramp(float32[2,3]))"
    assert verdict_on(line, numpy_backend()).outcome is Outcome.CONFORMS
    verdict = verdict_on(line, numpy_backend(bindings={"vjp.relu": wrong}))
    assert verdict.outcome is Outcome.DIFFERS
    assert told in verdict.reason


def test_purity_is_asked_of_gradients():
    geometry, forward = Geometry({"input": (2, 3)}, {}), Backend("forward", {"relu": right})
    cases = CHECKS["purity"].cases(OPERATORS["relu"], geometry, "float32", 0, numpy_backend())
    assert [(case.manner, case.pulled) for case in cases] == [*((name, False) for name in PURITY), ("repeat", True)]
    cases = CHECKS["purity"].cases(OPERATORS["relu"], geometry, "float32", 0, forward)
    assert not any(case.pulled for case in cases)
