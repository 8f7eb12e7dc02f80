"""The diagnosis of a failure: which known mistakes a backend behaves like that differs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from conformance_cases import cell, flipped_backend, honest, judged, judged_on, numpy_backend
from failing_backends import DYING

from conformance.cells import Cell
from conformance.checks import CHECKS
from conformance.diagnosis import UNKNOWN, diagnose, drawn, explained, fitting
from conformance.discovery import backends
from conformance.faults import faults
from conformance.honest import backend_with, fault
from conformance.honest import honest as honest_binding
from conformance.lines import parse
from conformance.mistakes import answering, calling, refusing, taking, where
from conformance.operators import operators
from conformance.power import cell_with
from conformance.report.fields import DETAILS
from conformance.report.grid import failure
from conformance.run import ask_and_judge, asking
from conformance.verdicts import expectation, fed

BANK = faults()
KERNEL = "conv2d(input=ramp(float32[1,1,3,3]), weight=ramp(float32[1,1,2,2]))"
DOUBLED = answering(lambda output, _: 2 * output)


def names(found):
    return [suspect.fault.name for suspect in found]


def test_a_flipped_kernel_is_told_with_the_witness_and_what_fed_it():
    told = failure(judged(cell("conv2d", backend=flipped_backend()))[-1]).splitlines()
    assert told[2].startswith("  fed by input (1, ")
    assert told[3].startswith("  fed by weight (1, ")
    assert told[4] == "  behaves as if the kernel is flipped: a convolution, not a cross-correlation"
    assert told[5].startswith("  convformance replay")


def flipped_torch():
    """Return torch with its kernels flipped, on the way back too, since autograd differentiates what there is."""
    torch = backends()["torch-cpu"]
    right = torch.functions()["conv1d"]

    def wrong(input, weight, **call):
        return right(input=input, weight=weight.flip(-1), **call)

    return replace(torch, name="flipped", bindings={"conv1d": wrong})


@pytest.mark.parametrize(
    ("check", "sentence"),
    [
        ("special", "the kernel is flipped"),  # where a NaN in it meets padding, and where not, is flipped as well
        ("gradients", "the kernel is flipped on the way there and so on the way back"),
        (
            "layouts",
            "the kernel is flipped on the way there and so on the way back",
        ),  # among answers that are wrong too
        ("laws", "the kernel is reversed"),
    ],
)
def test_one_mistake_is_recognized_by_every_check_that_meets_it(check, sentence):
    witness = judged(cell("conv1d", check=check, backend=flipped_torch()))[-1]
    assert witness.details["diagnosis"].startswith(f"behaves as if {sentence}")


def test_no_more_is_drawn_once_a_round_clears_nobody(monkeypatch):
    asked = []
    of = cell("conv2d", backend=flipped_backend())
    monkeypatch.setattr("conformance.diagnosis.drawn", lambda cell, place: asked.append(place) or drawn(cell, place))
    twice = [
        replace(known, sentence=f"{known.sentence} {again}") for known in [BANK["conv2d-flipped"]] for again in "ab"
    ]
    assert len(fitting(of, parse(KERNEL), twice)) == 2
    assert asked == [0]


def test_what_the_last_round_leaves_is_named(monkeypatch):
    monkeypatch.setattr("conformance.diagnosis.ROUNDS", 1)
    twice = [replace(BANK["conv2d-flipped"], sentence=f"it is flipped, {again}") for again in ("once", "twice")]
    alone = where(lambda call: len(call["input"]) == 1, taking("weight", lambda w: np.flip(w, (-1, -2))))
    cleared = fault("conv2d-alone", "a sample by itself is flipped", "conv2d", "values", alone)
    of = cell("conv2d", backend=flipped_backend())
    assert names(fitting(of, parse(KERNEL), [*twice, cleared])) == ["conv2d-flipped", "conv2d-flipped"]


def test_what_is_said_of_a_cause_fits_a_report():
    witness = judged(cell("conv2d", backend=flipped_backend()))[-1]
    assert {"window", "diagnosis"} <= set(witness.details) <= set(DETAILS)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "avg_pool2d-padding-always-counts",
            "max_pool2d-floor",
            "max_pool1d-indices-float",
            "conv3d-depthwise-flipped",
        ),
        *(
            "avg_pool3d-empty-batch-refused",
            "conv2d-accepts-stride-zero",
            "relu-infinity-clamped",
            "batch_norm-eps-ignored",
        ),
        *("max_pool2d-now-and-then", "relu-signs-of-zeros"),  # made at other times than its own record makes it
    ],
)
def test_a_fault_that_is_met_blind_is_recognized(name):
    met = BANK[name]
    of = cell_with("unknown", met.wrong, met.operator, met.check, met.dtype)
    witness = judged(of, 100)[-1]
    assert names(fitting(of, witness.case))[0] == name
    assert witness.details["diagnosis"].startswith(f"behaves as if {met.sentence}")


def test_a_mistake_is_known_of_another_rank():
    of = cell("conv2d", backend=flipped_backend())
    known = [known for known in BANK.values() if known.name == "conv_transpose1d-stride-two"]
    flipped = fault(
        "conv3d-flipped", "it is flipped", "conv3d", "values", taking("weight", lambda w: np.flip(w, (-1, -2)))
    )
    assert names(fitting(of, parse(KERNEL), [*known, flipped])) == ["conv3d-flipped"]


def test_what_nobody_has_seen_before_is_unknown():
    backend = numpy_backend(bindings={"relu": lambda input: honest("relu")(input) + input.dtype.type(41)})
    assert judged(cell(backend=backend))[-1].details["diagnosis"] == UNKNOWN


def test_at_most_three_mistakes_are_named_that_nothing_tells_apart():
    same = [fault(f"relu-{i}", f"reason {i}", "relu", "values", answering(lambda y, _: y + 1)) for i in range(5)]
    of = cell(backend=numpy_backend(bindings={"relu": lambda input: honest("relu")(input) + input.dtype.type(1)}))
    assert diagnose(of, judged(of)[-1], same) == "behaves as if reason 0; or as if reason 1; or as if reason 2"


def test_a_conforming_case_has_no_diagnosis():
    of = cell()
    verdict = judged_on(of, parse("relu(input=ramp(float32[3]))"))
    assert diagnose(of, verdict) == ""
    assert explained(of, verdict).details == verdict.details


def test_a_refusal_is_like_one_that_was_meant_and_not_like_a_mistake_that_does_not_fit():
    def refuses(**_):
        raise ValueError("no")

    unfit = fault("conv2d-unfit", "it does not fit", "conv2d", "values", calling(lambda call: {"bias": call["none"]}))
    meant = fault("linear-refused", "it raises", "linear", "values", refusing)
    of = cell(backend=numpy_backend(bindings={"relu": refuses}))
    assert names(fitting(of, parse("relu(input=ramp(float32[3]))"), [unfit, meant])) == ["linear-refused"]


def test_large_numbers_are_tried_on_no_mistake_that_was_not_made_for_them():
    of = cell(
        "avg_pool1d", backend=numpy_backend(bindings={"avg_pool1d": lambda **call: 2 * honest("avg_pool1d")(**call)})
    )
    own, other = (fault(f"{o}-twice", "it is doubled", o, "values", DOUBLED) for o in ("avg_pool1d", "avg_pool2d"))
    line = "avg_pool1d(input=ramp(float32[1,1,3]), kernel_size=(3,), stride={})"
    assert names(fitting(of, parse(line.format("100000")), [other])) == []
    assert names(fitting(of, parse(line.format("100000")), [own])) == ["avg_pool1d-twice"]
    assert names(fitting(of, parse(line.format("(1,)")), [other])) == ["avg_pool2d-twice"]


def test_what_is_made_of_no_honest_binding_is_known_of_its_own_operator_only():
    def flip(input, weight, **rest):
        return honest("conv2d")(input=input, weight=np.flip(weight, (2, 3)), **rest)

    of, own = cell("conv2d", backend=flipped_backend()), replace(BANK["conv2d-depthwise-flipped"], wrong=flip)
    case = parse(KERNEL[:-1] + ', padding="same")')
    assert names(fitting(of, case, [own])) == ["conv2d-depthwise-flipped"]
    assert names(fitting(of, case, [replace(own, operator="conv1d")])) == []


def test_gradients_are_diagnosed_by_mistakes_in_gradients():
    known = fault("relu-twice", "the gradient is doubled", "relu", "gradients", DOUBLED, kind="gradient")
    backend = numpy_backend(
        bindings={"vjp.relu": lambda cotangent, input: 2 * honest("vjp.relu")(cotangent=cotangent, input=input)}
    )
    of = cell(check="gradients", backend=backend)
    witness = judged(of)[-1]
    assert witness.case.manner == "vjp"
    assert names(fitting(of, witness.case, [*BANK.values(), known])) == ["relu-twice"]
    assert "window" not in explained(of, witness).details


def test_impure_calls_are_told_apart_by_what_is_impure():
    def writes(right, input, **rest):
        output = right(input=input, **rest)
        input[...] = 0
        return output

    written = fault("relu-writes", "the input is overwritten", "relu", "purity", writes, kind="aliasing")
    shared = fault("relu-shares", "the output is a view", "relu", "purity", lambda _, input: input, kind="aliasing")
    of = cell_with("unknown", written.wrong, "relu", "purity", "float32")
    witness = judged(of)[-1]
    assert names(fitting(of, witness.case, [shared, written])) == ["relu-writes"]


def test_a_broken_law_and_a_layout_that_is_misread_are_diagnosed():
    def from_memory(right, input, **rest):
        return right(input=input if input.flags.c_contiguous else np.zeros_like(input), **rest)

    misread = fault("relu-memory", "the order of memory is read", "relu", "layouts", from_memory, kind="layout")
    of = cell_with("unknown", misread.wrong, "relu", "layouts", "float32")
    assert names(fitting(of, judged(of)[-1].case, [misread])) == ["relu-memory"]
    one_more = fault("relu-more", "one is added", "relu", "laws", answering(lambda y, _: y + 1))
    of = cell_with("unknown", one_more.wrong, "relu", "laws", "float32")
    assert names(fitting(of, judged(of)[-1].case, [misread, one_more])) == ["relu-more"]


def test_a_backend_that_dies_around_its_witness_is_judged_by_what_it_said():
    lost = fault("relu-lost", "the last number is lost", "relu", "values", answering(_without_last))
    named = [lost, replace(lost, name="relu-last", sentence="it is lost")]
    with asking(DYING) as asked:
        of = cell(backend=DYING).on(asked)
        assert names(fitting(of, parse("relu(input=ramp(float32[3]))"), named)) == ["relu-lost", "relu-last"]
        assert fitting(of, parse("relu(input=ramp(float32[2,3]))"), named) == []


def _without_last(output, _):
    output.reshape(-1)[-1:] = 0
    return output


def spoiled(function):
    """Return the function with the last element of its first output off."""

    def wrong(**call):
        result = function(**call)
        first, *rest = result if isinstance(result, tuple) else (result,)
        first = np.array(first)
        first[(-1,) * first.ndim] += 7
        return (first, *rest) if isinstance(result, tuple) else first

    return wrong


@pytest.mark.parametrize("name", [name for name, operator in operators().items() if operator.rejections])
def test_the_failure_of_an_odd_call_is_explained(name):
    backend = backend_with("spoiled", name, spoiled(honest_binding(name)))
    cell = Cell(backend, operators()[name], "float32", CHECKS["rejections"])
    for case in drawn(cell, 0)[:400]:
        (verdict,) = ask_and_judge(cell, [case])
        if "index" in verdict.details:
            inputs, _ = expectation(cell.operator, case, "pytorch")
            assert isinstance(fed(cell.operator, inputs, case.attributes, verdict.details["index"]), dict)
