"""The pipe: every outcome that a cell can have, discovery of backends, and what a failure is shrunk to."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from conformance_cases import (
    LINE,
    OPERATORS,
    cell,
    constant_relu,
    declare,
    flipped_backend,
    honest,
    judged,
    judged_on,
    numpy_backend,
    relu_backend,
    verdict,
)

from conformance.cells import cells
from conformance.checks import CHECKS
from conformance.discovery import UsageError
from conformance.formats import DTYPES, round_bits
from conformance.lines import parse
from conformance.model import Backend, Outcome
from conformance.run import run
from conformance.verdicts import judge_answer
from reference import batch_norm

NORM = "batch_norm(input=ramp(float32[4,1]), training=True"


def outcomes(verdicts):
    """Count the outcomes, but for the few cases of few elements that could not have differed."""
    counts = Counter(v.outcome for v in verdicts)
    assert counts.pop(Outcome.VACUOUS, 0) <= 0.1 * len(verdicts)
    return counts


def relu(binding, **fields):
    """Return a backend whose relu is the binding."""
    return relu_backend(bindings={"relu": binding}, **fields)


def failing(binding, operator="relu", **fields):
    """Return the last verdict on a backend whose operator is the binding; it fails."""
    last = judged(cell(operator, backend=relu_backend(bindings={operator: binding}, **fields)))[-1]
    assert last.failed
    return last


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_honest_backend_conforms_everywhere(dtype):
    verdicts = list(run(numpy_backend(), dtypes=[dtype], examples=1))
    assert not [v for v in verdicts if v.failed]
    assert outcomes(verdicts)[Outcome.CONFORMS] > 0.95 * len(verdicts)
    assert {(v.operator, v.check) for v in verdicts} == {
        (name, check) for name in OPERATORS for check in CHECKS if CHECKS[check].applies(OPERATORS[name])
    }


def test_other_dialects_are_judged_by_their_own_conventions():
    def biased(**call):
        output = batch_norm(**call, running_variance="biased", momentum_weights="old")
        return tuple(part.astype(call["input"].dtype) for part in output)

    case = parse(NORM + ", running_mean=ramp(float32[1]), running_var=ramp(float32[1]))")
    for dialect, binding, outcome in (
        ("pytorch", honest("batch_norm"), Outcome.CONFORMS),
        ("pytorch", biased, Outcome.DIFFERS),
        ("onnx", honest("batch_norm"), Outcome.DIFFERS),
        ("onnx", biased, Outcome.CONFORMS),
    ):
        backend = numpy_backend(bindings={"batch_norm": binding}, dialect=dialect)
        assert judged_on(cell("batch_norm", backend=backend), case).outcome is outcome


def test_an_unavailable_backend_is_told_once_for_each_cell_and_never_asked():
    backend = numpy_backend(bindings={"relu": None}, unavailable=lambda: "no such device")
    (only,) = judged(cell(backend=backend))
    assert (only.outcome, only.reason, only.case, only.compared) == (Outcome.UNAVAILABLE, "no such device", None, 0)
    assert not only.failed


def test_an_operator_that_is_not_bound_is_told_so():
    (only,) = judged(cell("conv2d", backend=Backend("small", {"relu": honest("relu")})))
    assert (only.outcome, only.reason) == (Outcome.UNBOUND, "small binds no conv2d")
    assert not only.failed


def test_bindings_may_be_made_when_they_are_needed():
    backend = Backend("lazy", lambda: {"relu": honest("relu")})
    assert outcomes(judged(cell(backend=backend))).keys() == {Outcome.CONFORMS}


def test_what_is_declared_unsupported_is_not_asked():
    def refuses(input):
        assert input.shape == (2, 3), "only the witness may be asked"
        raise NotImplementedError

    backend = relu(refuses, declarations=(declare(Outcome.UNSUPPORTED, applies=lambda case: len(case.inputs) == 1),))
    verdicts = judged(cell(backend=backend))
    assert outcomes(verdicts).keys() == {Outcome.UNSUPPORTED}
    assert {v.reason for v in verdicts} == {"answers otherwise"}
    assert verdicts[0].case == parse(LINE)


def test_a_declared_deviation_passes_only_where_it_is_declared():
    declared = declare(applies=lambda case: len(case.inputs["input"].shape) <= 2)
    verdicts = judged(cell(backend=relu(constant_relu(7), declarations=(declared,))), examples=50)
    assert verdicts[0].outcome is Outcome.DEVIATES
    assert verdicts[0].reason == "answers otherwise"
    assert verdicts[0].share == np.inf  # with its evidence
    assert verdicts[-1].outcome is Outcome.DIFFERS
    assert len(verdicts[-1].case.inputs["input"].shape) > 2
    everywhere = relu(constant_relu(7), declarations=(declare(),))
    assert outcomes(judged(cell(backend=everywhere))).keys() == {Outcome.DEVIATES}


def test_cases_that_conform_although_a_deviation_is_declared_conform():
    def mostly(input):
        return honest("relu")(input) + (input.shape == (2, 3))

    verdicts = judged(cell(backend=relu(mostly, declarations=(declare(),))))
    assert outcomes(verdicts[:1]).keys() == {Outcome.DEVIATES}
    assert outcomes(verdicts[1:]).keys() == {Outcome.CONFORMS}


@pytest.mark.parametrize("outcome", [Outcome.DEVIATES, Outcome.UNSUPPORTED])
def test_a_declaration_that_is_no_longer_true_fails(outcome):
    verdicts = judged(cell(backend=numpy_backend(declarations=(declare(outcome),))))
    assert verdicts[0].outcome is Outcome.STALE
    assert verdicts[0].reason == "no longer true: answers otherwise"
    assert verdicts[0].failed


@pytest.mark.parametrize(
    "other",
    [
        {"here": lambda: False},
        {"checks": ("special",)},
        {"operators": ("linear",), "witness": "linear(input=ramp(float32[1]), weight=ramp(float32[1,1]))"},
        {"witness": LINE.replace("float32", "float64")},
    ],
)
def test_a_declaration_concerns_its_own_cells_alone(other):
    verdicts = judged(cell(backend=numpy_backend(declarations=(declare(**other),))))
    assert Outcome.STALE not in outcomes(verdicts)
    # Nor does it excuse what happens elsewhere: but for the dtype of its witness, a declaration says for whom it is.
    if "witness" not in other or "operators" in other:
        assert judged(cell(backend=relu(constant_relu(7), declarations=(declare(**other),))))[-1].failed


def test_a_backend_that_raises_on_a_legal_case_is_errored():
    def raises(**_):
        raise RuntimeError("out of\nluck")

    last = failing(raises)
    assert (last.outcome, last.reason) == (Outcome.ERRORED, "raises RuntimeError: out of")
    assert last.case is not None


def test_a_backend_that_raises_where_it_must_is_right():
    def raises(**_):
        raise RuntimeError

    verdicts = judged(cell("conv2d", check="rejections", backend=relu_backend(bindings={"conv2d": raises})))
    assert outcomes(verdicts)[Outcome.CONFORMS] > 20
    (legal,) = (v for v in verdicts if v.failed)  # what looks illegal and is not
    assert legal.outcome is Outcome.ERRORED


def test_a_backend_that_accepts_what_is_illegal_differs():
    def accepts(**_):
        return np.zeros((2, 3), np.float32)

    verdicts = judged(cell("conv2d", check="rejections", backend=relu_backend(bindings={"conv2d": accepts})))
    assert verdicts[-1].outcome is Outcome.DIFFERS
    assert verdicts[-1].reason.startswith("accepts what must be rejected (")
    assert verdicts[-1].reason.endswith("answers with shape (2, 3)")


def test_a_constant_is_not_enough_to_pass():
    assert failing(constant_relu(0)).outcome is Outcome.DIFFERS


def test_cases_that_could_not_have_differed_are_vacuous():
    negative = parse("relu(input=negative_zeros(float32[2,3]))")
    seen = judged_on(cell(check="special"), negative)
    assert seen.outcome is Outcome.VACUOUS
    assert not seen.failed
    empty = judged_on(cell(), parse("relu(input=ramp(float32[0]))"))
    assert (empty.outcome, empty.compared) == (Outcome.VACUOUS, 0)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda x: (x, x), "returns 2 outputs, expected 1: output"),
        (lambda _: (), "returns 0 outputs, expected 1: output"),
        (lambda _: None, "returns 0 outputs, expected 1: output"),
        (lambda x: x.astype(np.float64), "output has dtype float64, expected float32"),
        (lambda x: x[..., np.newaxis], "output has shape"),
        (lambda _: "text", "output has shape ()"),
    ],
)
def test_answers_of_another_form_differ(answer, reason):
    last = failing(lambda input: answer(honest("relu")(input)))
    assert last.outcome is Outcome.DIFFERS
    assert last.reason.startswith(reason)


def test_an_output_that_must_not_be_there_differs():
    def chatty(**call):
        output, mean, var = honest("batch_norm")(**call)
        return output, np.zeros(1, np.float32) if mean is None else mean, var

    backend = numpy_backend(bindings={"batch_norm": chatty})
    seen = judged_on(cell("batch_norm", backend=backend), parse(f"{NORM})"))
    assert (seen.outcome, seen.reason) == (Outcome.DIFFERS, "returns 2 outputs, expected 1: output")


def test_a_wrong_shape_is_seen_where_only_shapes_are_compared():
    def cut(input, weight, **call):
        output = honest("conv2d")(input=input, weight=weight, **call)
        return output[..., :-1] if input.shape[-1] == weight.shape[-1] else output * 2

    verdicts = judged(cell("conv2d", check="sizes", backend=relu_backend(bindings={"conv2d": cut})), 200)
    assert verdicts[-1].outcome is Outcome.DIFFERS
    assert "has shape" in verdicts[-1].reason  # and not the doubled values


def test_indices_are_compared_too():
    def off_by_one(**call):
        found = honest("max_pool1d")(**call)
        return (found[0], found[1] + 1) if isinstance(found, tuple) else found

    case = parse("max_pool1d(input=ramp(float32[1,1,4]), kernel_size=2, return_indices=True)")
    seen = judged_on(cell("max_pool1d", backend=numpy_backend(bindings={"max_pool1d": off_by_one})), case)
    assert seen.outcome is Outcome.DIFFERS
    assert seen.details["output"] == "indices"
    assert seen.details["actual"] == seen.details["expected"] + 1


def test_the_border_is_crossed_on_both_sides():
    class Tensor:
        def __init__(self, array):
            self.array = array

    backend = Backend(
        "boxed",
        {"relu": lambda input: Tensor(honest("relu")(input.array))},
        from_numpy=Tensor,
        to_numpy=lambda tensor: tensor.array,
    )
    assert outcomes(judged(cell(backend=backend))).keys() == {Outcome.CONFORMS}


def test_a_backend_gets_arrays_of_its_own_and_its_warnings_are_not_part_of_the_answer():
    def spoils(input):
        import warnings

        warnings.warn("this is slow", stacklevel=1)
        output = honest("relu")(input)
        input[...] = -1
        return output

    assert outcomes(judged(cell(backend=relu(spoils)))).keys() == {Outcome.CONFORMS}


def test_the_arithmetic_is_asked_for_every_case():
    from conformance.model import Arithmetic

    def coarse(**call):
        call = {k: round_bits(v.astype(np.float64), 11).astype(v.dtype) for k, v in call.items()}
        return honest("linear")(**call)

    def promise(case):
        return Arithmetic.of(case.dtype, input_bits=11)

    assert failing(coarse, "linear").outcome is Outcome.DIFFERS
    declared = numpy_backend(bindings={"linear": coarse}, arithmetic=promise)
    assert not judged(cell("linear", backend=declared))[-1].failed


def test_a_failure_is_shrunk_to_a_tiny_case():
    verdicts = judged(cell("conv2d", backend=flipped_backend()), examples=100)
    last = verdicts[-1]
    assert last.outcome is Outcome.DIFFERS
    assert not [v for v in verdicts[:-1] if v.failed]  # what passed on the way is told, what failed only once
    weight, data = last.case.inputs["weight"].shape, last.case.inputs["input"].shape
    assert sorted(weight)[:-1] == [1, 1, 1]  # nothing but two taps in a row
    assert weight[2] * weight[3] == 2
    assert np.prod(data) <= 3
    assert not last.case.attributes
    # The witness alone fails again.
    again = judged_on(cell("conv2d", backend=flipped_backend()), last.case)
    assert replace(last, details={k: last.details[k] for k in again.details}) == again


def test_a_flaky_backend_is_told_to_be_flaky():
    calls = []

    def flaky(input):
        calls.append(input)
        return honest("relu")(input) + (len(calls) == 5)

    last = failing(flaky)
    assert last.outcome is Outcome.DIFFERS
    assert last.reason.endswith("; the same call differed once and conformed when it was repeated")
    assert last.case is not None


def test_the_same_seed_gives_the_same_verdicts_and_another_one_other_cases():
    first, again, other = (judged(cell("conv2d"), seed=seed) for seed in (3, 3, 4))
    assert list(map(repr, first)) == list(map(repr, again))
    assert [v.case for v in first] != [v.case for v in other]
    assert len({repr(v.case) for v in first}) > len(first) / 2


def test_cells_do_not_share_their_draws():
    a, b = (judged(cell("relu", dtype)) for dtype in ("float32", "float64"))
    assert [v.case.inputs["input"].shape for v in a] != [v.case.inputs["input"].shape for v in b]


def test_at_least_as_many_cases_are_judged_as_asked():
    for examples in (1, 5, 30):
        assert len(judged(cell("conv1d"), examples)) >= examples


def test_a_run_goes_cell_by_cell_through_what_is_selected():
    verdicts = list(
        run(numpy_backend(), operators=["linear", "relu"], dtypes=["float64"], checks=["sizes"], examples=5)
    )
    assert list(dict.fromkeys(v.operator for v in verdicts)) == ["linear", "relu"]
    assert {v.dtype for v in verdicts} == {"float64"}
    assert {v.check for v in verdicts} == {"sizes"}


def test_names_that_are_selected_twice_are_run_once():
    chosen = cells(numpy_backend(), ["relu", "relu"], ["float32"], ["sizes"])
    assert [c.id for c in chosen] == ["sizes[honest-relu-float32]"]


def test_only_dtypes_of_the_backend_can_be_selected():
    backend = numpy_backend(dtypes=("float32",))
    assert {c.dtype for c in cells(backend)} == {"float32"}
    with pytest.raises(UsageError, match=r"dtype='float64': must be one of float32$"):
        cells(backend, dtypes=["float64"])


@pytest.mark.parametrize(
    ("selection", "text"),
    [
        ({"operators": ["conv4d"]}, "operator='conv4d': must be one of relu"),
        ({"dtypes": ["int8"]}, "dtype='int8': must be one of float64, float32, float16, bfloat16$"),
        (
            {"checks": ["speed"]},
            f"check='speed': must be one of {', '.join(CHECKS)}$",
        ),
        ({"examples": 0}, "examples=0: must be at least 1"),
    ],
)
def test_unknown_names_are_refused_with_those_that_are_known(selection, text):
    with pytest.raises(UsageError, match=text):
        next(run(numpy_backend(), **selection))


def test_a_run_stops_at_the_first_failing_cell_where_that_is_asked():
    backend = relu_backend(bindings={"relu": constant_relu(1), "linear": constant_relu(1)})
    asked = {"operators": ["relu", "linear"], "dtypes": ["float32"], "checks": ["values"], "examples": 5}
    assert {v.operator for v in run(backend, **asked)} == {"relu", "linear"}
    stopped = list(run(backend, **asked, stop_at_first=True))
    assert {v.operator for v in stopped} == {"relu"}
    assert stopped[-1].failed
    honestly = {v.operator for v in run(numpy_backend(), **asked, stop_at_first=True)}
    assert honestly == {"relu", "linear"}


def test_a_declaration_that_is_no_longer_true_stops_a_run_too():
    asked = {"operators": ["relu", "linear"], "dtypes": ["float32"], "checks": ["values"], "examples": 5}
    verdicts = run(numpy_backend(declarations=(declare(),)), **asked, stop_at_first=True)
    assert {v.operator for v in verdicts} == {"relu"}


def test_a_verdict_of_an_answer_that_was_given_elsewhere():
    case = parse(LINE)
    assert judge_answer(cell(), case, [honest("relu")(case.inputs["input"].array())]).outcome is Outcome.CONFORMS
    assert not verdict().failed
