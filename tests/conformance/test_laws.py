"""Laws: they hold of honest arithmetic, each sees a mistake that the others do not, and the documents list them."""

from __future__ import annotations

import re
from collections import defaultdict
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from conformance_cases import cell, declare, judged
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.calls import arrays_of
from conformance.checks import CHECKS
from conformance.faults import faults
from conformance.formats import DTYPES, numpy_dtype
from conformance.honest import honest
from conformance.laws import laws
from conformance.laws.convolution import weights
from conformance.laws.windows import spread
from conformance.lines import parse
from conformance.model import Backend, Outcome
from conformance.operators import operators
from conformance.power import cell_with
from conformance.run import ask_and_judge, run_cell
from conformance.search import search

LAWS, OPERATORS = laws(), operators()
FAULTS = {name: fault for name, fault in faults().items() if fault.check == "laws"}
SPOKEN_OF = sorted({name for law in LAWS.values() for name in law.operators} & OPERATORS.keys())
DOCUMENT = Path(__file__).parents[2] / "docs" / "laws.md"
# Faults that more than one law sees, the one that they are there for first.
SEEN_BY_MORE = {
    # What is wrong with an operator that has two laws of its truth is seen by both.
    "conv1d-true-convolution": ("fourier", "adjointness"),
    "convolve-transform-one-too-short": ("fourier", "flip"),
    "convolve-longer-kernel-reversed": ("commutativity", "fourier", "flip"),
    # Layers of one tap are among what others are drawn for.
    "conv2d-single-tap-doubled": ("pointwise", "groups", "depthwise", "composition"),
    "instance_norm-plain-eps-twice": ("single_batch", "instance", "neutral", "bias"),
    # Who takes one sample for another answers it otherwise in another order, and by itself.
    "local_response_norm-first-sample-alone": ("batch", "alone"),
    # The bound is that of data which an honest eps makes exact.
    "batch_norm-eps-of-the-deviation": ("affine", "bias"),
    "group_norm-single-channels-eps-twice": ("instance", "bias"),
}


def honest_cell(name, dtype):
    return cell_with("honest", honest(name), name, "laws", dtype)


@cache
def seers(name):
    """Return the laws that see a fault, in how many cases each."""
    fault = FAULTS[name]
    cell, seen = cell_with(name, fault.wrong, fault.operator, "laws", fault.dtype), defaultdict(int)

    def judge(cases):
        for verdict in ask_and_judge(cell, cases):
            seen[verdict.case.manner] += verdict.failed
        return True

    check = CHECKS["laws"]
    search(check.strategy(cell.operator, cell.dtype, cell.backend), judge, draws=check.budget(200)[0], seed=0)
    return {law for law, count in seen.items() if count}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", SPOKEN_OF)
def test_laws_hold_of_honest_arithmetic(name, dtype):
    verdicts = []
    run_cell(honest_cell(name, dtype), verdicts.append, examples=60, seed=1, shrink=False)
    assert not [verdict for verdict in verdicts if verdict.failed]
    assert any(verdict.outcome is Outcome.CONFORMS and verdict.compared for verdict in verdicts)


@pytest.mark.parametrize("name", SPOKEN_OF)
def test_every_law_speaks_of_the_operators_that_it_names(name):
    spoken = set()
    cell, check = honest_cell(name, "float32"), CHECKS["laws"]
    strategy = check.strategy(cell.operator, cell.dtype, cell.backend)

    def heard(cases):
        spoken.update(case.manner for case in cases)
        return True

    search(strategy, heard, draws=check.budget(400)[0], seed=0)
    assert spoken == {law.name for law in LAWS.values() if name in law.operators}


@pytest.mark.parametrize("name", SPOKEN_OF)
@settings(max_examples=2)
@given(data=st.data())
def test_a_relation_moves_no_further_than_its_bound(name, data):
    cell = honest_cell(name, "float64")
    random = np.random.default_rng(data.draw(st.integers(0, 99)))
    for case in data.draw(CHECKS["laws"].strategy(cell.operator, "float64", cell.backend)):
        law, arrays = LAWS[case.manner], arrays_of(case)
        shapes = [_shape_of(call) for call in law.calls(name, arrays, case.attributes)]
        nothing = {key: np.zeros_like(array) for key, array in arrays.items()}
        assert not any(map(np.any, law.relation(nothing, case.attributes, [np.zeros(shape) for shape in shapes])))
        outputs, bounds = ([random.integers(0, 9, shape).astype(float) for shape in shapes] for _ in range(2))
        moved = [y + b * random.choice((-1, 0, 1), y.shape) for y, b in zip(outputs, bounds, strict=True)]
        sides = (law.relation(arrays, case.attributes, given) for given in (outputs, moved))
        limits = law.relation(nothing, case.attributes, bounds)
        for before, after, limit in zip(*sides, limits, strict=True):
            assert before.shape == limit.shape
            assert np.all(np.abs(after - before) <= limit)


def _shape_of(call):
    result = honest(call.operator)(**call.inputs, **call.attributes)
    return (result[0] if isinstance(result, tuple) else result).shape


@pytest.mark.parametrize("name", SPOKEN_OF)
@settings(max_examples=2)
@given(data=st.data(), dtype=st.sampled_from(DTYPES))
def test_calls_keep_the_dtype_of_the_case(name, data, dtype):
    cell = honest_cell(name, dtype)
    for case in data.draw(CHECKS["laws"].strategy(cell.operator, dtype, cell.backend)):
        for call in LAWS[case.manner].calls(name, arrays_of(case), case.attributes):
            assert all(array.dtype in (numpy_dtype(dtype), np.int64) for array in call.inputs.values())


NUMBER = np.ones((), np.float32)
ROWS, PLANES = np.ones((3, 4), np.float32), np.ones((2, 3, 4, 4), np.float32)
# Legal calls that are not drawn for laws, of which a law has nothing to say.
SILENT = [
    ("one_group", "layer_norm", {"input": ROWS[:, :1]}, {"normalized_shape": (1,)}),
    ("partition", "softmax", {"input": NUMBER}, {"dim": 0}),
    ("classes", "softmax", {"input": NUMBER}, {"dim": 0}),
    ("classes", "cross_entropy", {"input": ROWS, "target": np.array([1, 2, 0])}, {"ignore_index": 1}),
    ("merging", "max_pool2d", {"input": PLANES[0]}, {"kernel_size": 2}),
    ("batch", "max_pool2d", {"input": PLANES[0]}, {"kernel_size": 2}),
    ("one_hot", "unfold", {"input": PLANES[0]}, {"kernel_size": 2}),
    ("one_hot", "fold", {"input": ROWS}, {"kernel_size": 1, "output_size": (2, 2)}),
    ("monotonicity", "elu", {"input": ROWS}, {"alpha": -1.0}),
    (
        "conservation",
        "max_unpool2d",
        {"input": PLANES, "indices": np.zeros(PLANES.shape, np.int64)},
        {"kernel_size": 2},
    ),
]


@pytest.mark.parametrize(("law", "operator", "arrays", "attributes"), SILENT, ids=lambda value: str(value)[:20])
def test_a_law_says_nothing_of_what_it_is_not_about(law, operator, arrays, attributes):
    honest(operator)(**arrays, **attributes)
    assert not LAWS[law].calls(operator, arrays, attributes)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_seen_by_its_law_alone(name):
    seen = seers(name)
    if name in SEEN_BY_MORE:
        assert SEEN_BY_MORE[name][0] in seen
        assert seen <= set(SEEN_BY_MORE[name])
    else:
        assert len(seen) == 1


def test_every_law_sees_a_fault():
    assert {SEEN_BY_MORE[name][0] if name in SEEN_BY_MORE else next(iter(seers(name))) for name in FAULTS} == set(LAWS)


def test_there_are_enough_laws_and_each_is_told_in_a_sentence():
    assert len(LAWS) >= 25
    for law in LAWS.values():
        assert law.name.isidentifier()
        assert law.sentence[0].islower()
        assert not law.sentence.endswith(".")
        assert len(set(law.operators)) == len(law.operators)


def test_every_operator_but_the_matrix_of_a_convolution_has_a_law():
    assert OPERATORS.keys() - {"conv_matrix"} <= set(SPOKEN_OF)


def of(names):
    """Return names of operators, those that differ in their rank alone as one."""
    ranks = defaultdict(list)
    for name in names:
        ranks[re.sub(r"[123]d$", "", name)].append(name)
    return ", ".join(f"{found[0]} to {found[-1][-2:]}" if len(found) > 1 else found[0] for found in ranks.values())


def table():
    """Return the table of the documents."""
    rows = [f"| `{law.name}` | {law.sentence} | {of(law.operators)} |" for law in LAWS.values()]
    return "\n".join(("| law | what it says | of |", "|---|---|---|", *rows)) + "\n"


def test_the_documents_list_every_law():
    assert table() in DOCUMENT.read_text(encoding="utf-8")


def test_what_is_spread_has_zeros_between_its_elements():
    assert spread(np.array([[[[1, 2], [3, 4]]]]), (2, 3)).tolist() == [[[[1, 0, 0, 2], [0, 0, 0, 0], [3, 0, 0, 4]]]]


def test_weights_of_a_sum_tell_places_apart():
    rows = weights((7, 3)).tolist()
    assert {number for row in rows for number in row} == {1, 2, 3}
    assert len({tuple(row) for row in rows}) > 4


@pytest.mark.parametrize(
    "line",
    [
        "merging.relu(input=ramp(float32[2,3]))",
        "pointwise.conv2d(input=ramp(float32[1,1,2,3]), weight=ramp(float32[1,1,1,1]))",
    ],
)
def test_answers_whose_shapes_no_law_can_compare_differ(line):
    case = parse(line)
    binding = honest(case.operator)

    def cut(**call):
        return binding(**call)[..., :-1] if call["input"].ndim > 1 else binding(**call)

    cell = cell_with("cut", cut, case.operator, "laws", "float32")
    (verdict,) = ask_and_judge(cell, [case])
    assert verdict.outcome is Outcome.DIFFERS
    assert verdict.reason.startswith(f"{LAWS[case.manner].sentence}: shapes that do not fit: (")


def test_sides_that_fit_each_other_and_not_what_was_asked_for_differ():
    case = parse("batch.avg_pool2d(input=ramp(float32[2,1,5,5]), kernel_size=2)")
    cell = cell_with("cut", lambda **call: honest("avg_pool2d")(**call)[..., :-1] + 1, "avg_pool2d", "laws", "float32")
    off = cell_with(
        "off", lambda **call: numbered(honest("avg_pool2d")(**call)[..., :-1]), "avg_pool2d", "laws", "float32"
    )
    assert next(ask_and_judge(off, [case])).outcome is Outcome.DIFFERS
    assert next(ask_and_judge(cell, [case])).outcome is Outcome.CONFORMS  # another check sees that


def numbered(array):
    """Return as many numbers in a row, which are not the same in another order."""
    return np.arange(array.size, dtype=array.dtype).reshape(array.shape)


@pytest.mark.parametrize("witness", ["float32", "float64"])  # in the cell itself it is shown, in another one not
def test_laws_whose_calls_are_all_declared_are_not_asked_and_the_cell_says_so(witness):
    def refuses(input):
        raise NotImplementedError

    declared = declare(Outcome.UNSUPPORTED, checks=tuple(CHECKS), witness=f"relu(input=ramp({witness}[2,3]))")
    verdicts = judged(cell(check="laws", backend=Backend("lacking", {"relu": refuses}, declarations=(declared,))))
    assert [v.outcome for v in verdicts] == [Outcome.UNSUPPORTED]
    assert (verdicts[0].case is None) == (witness != "float32")
