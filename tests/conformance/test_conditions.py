"""The conditions of files of deviations: what they mean, where they make no sense, and what is refused where."""

from __future__ import annotations

import random
import re
from dataclasses import replace

import pytest
from conformance_cases import OPERATORS, drawn_cases
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.backends.torch import CPU_DECLARATIONS
from conformance.conditions import DEEPEST_CONDITION, LONGEST_CONDITION, ConditionError, read_condition
from conformance.deviations import defaults_of
from conformance.fills import Fill
from conformance.lines import parse
from conformance.model import Case

DEFAULTS = {name: defaults_of(name) for name in OPERATORS}
CONV = parse(
    "conv2d(input=nans(bfloat16[2,6,5,4]), weight=ramp(bfloat16[4,3,2,1]), stride=(1, 2), padding='same', groups=2)"
)
POOL = parse("max_pool2d(input=ramp(float32[1,1,5,4]), kernel_size=(2, 2), stride=3, return_indices=True)")

HOLD = [
    (CONV, "True"),
    (CONV, "dtype == 'bfloat16' and operator == 'conv2d'"),
    (CONV, 'dtype != "float32"'),
    (CONV, "input.shape[1] / groups % 2 == 1"),
    (CONV, "input.shape == (2, 6, 5, 4) and weight.shape[-1] == 1 and input.rank == 4"),
    (CONV, "input.kind in ('nans', 'infinities') and weight.kind not in ('nans', 'infinities')"),
    (CONV, "max(stride) == 2 and min(stride) == 1 and max(groups) == min(groups) == 2"),
    (CONV, "1 < groups < 3 and not 1 < groups < 2 and not 2 < groups < 3"),
    (CONV, "1 <= groups <= 2 >= 2 > 1"),
    (CONV, "padding == 'same' and padding != 0 and padding != (0, 0)"),
    (CONV, "bias == None and dilation == 1 and padding_mode == 'zeros'"),  # what is left out has its default
    (CONV, "input != None and bias != input and weight != 1"),
    (CONV, "stride != 1 and stride != 2 and not stride == 1 and 2 in stride and 3 not in stride"),
    (CONV, "2 in groups and 1 in dilation and 0 not in dilation"),
    (CONV, "stride[0] == 1 and stride[1] == 2 and dilation[0] == dilation[1] == 1"),
    (CONV, "groups + 1 == 3 and groups - 3 == -1 and groups * 2 == 4 and groups // 2 == 1 and groups / 4 == 0.5"),
    (CONV, "-groups == -2 and - -groups == 2 and (groups, (1,)) == (2, (1,))"),
    (CONV, "groups == 1 or groups == 2 or groups[9] == 'words'"),  # nothing is looked at once it is decided
    (CONV, "not (groups == 1 and groups / 0)"),
    (CONV, "1 == 2 == 1 / 0 or True"),
    (CONV, "\n  groups == 2\n  and dtype == 'bfloat16'\t"),
    (CONV, "1 == 1or False"),  # of which Python's parser warns
    (POOL, "return_indices and stride == 3 and 3 == stride and (3, 3) == stride and stride == (3, 3)"),
    (POOL, "kernel_size == 2 and 2 == kernel_size and 3 != kernel_size and not ceil_mode"),
]


@pytest.mark.parametrize(("case", "text"), HOLD, ids=[text for _, text in HOLD])
def test_a_condition_means_what_python_means_and_a_number_every_axis(case, text):
    condition = read_condition(text, DEFAULTS)
    assert condition.holds(case) is True
    assert condition(case) is True
    assert read_condition(f"not ({text})", DEFAULTS).holds(case) is False


def test_the_stride_of_a_pool_that_is_left_out_is_none():
    whole = replace(POOL, attributes={"kernel_size": 2})
    assert read_condition("stride == None and ceil_mode == False", DEFAULTS)(whole)
    assert not read_condition("max(stride) > 1", DEFAULTS)(whole)


SENSELESS = [
    ("input.shape[4] == 1", 1, "out of range"),
    ("groups == 2 and stride > 1", 17, "(1, 2) is not a number"),
    ("padding + 1 == 2", 1, "'same' is not a number"),
    ("padding < 'valid'", 1, "'same' is not a number"),
    ("padding[0] == 0", 1, "'same' is not a number"),
    ("'sa' in padding", 1, "'same' is not a number"),
    ("(1, 2) * 3 == 0", 1, "(1, 2) is not a number"),
    ("-padding == 0", 1, "'same' is not a number"),
    ("True + 1 == 2", 1, "True is not a number"),
    ("max(padding) == 2", 1, "'same' is not a number"),
    ("max(()) == 2", 1, "empty"),
    ("max((1, 'a')) == 2", 1, "'a' is not a number"),
    ("groups % 0 == 1", 1, "zero"),
    ("groups / 0 == 1 or True", 1, "zero"),  # as a whole
    ("1e300 * 1e300 > 1", 1, "not below 2**63"),
    ("9223372036854775807 + 1 > 1", 1, "not below 2**63"),
    ("9223372036854775807 * 1e300 > 1", 1, "not below 2**63"),
    ("groups", 1, "2 is neither true nor false"),
    ("not groups", 1, "2 is neither true nor false"),
    ("True and groups", 10, "2 is neither true nor false"),
    ("groups.shape == 1", 1, "2 is not an array"),
    ("bias.rank == 1", 1, "None is not an array"),
    ("dtype.shape == 1", 1, "'bfloat16' is not an array"),
    ("input[0] == 1", 1, "is not a number"),
    ("stride['a'] == 1", 1, "'a' is not an index"),
    ("stride[True] == 1", 1, "True is not an index"),
    ("kernel_size == 1", 1, "conv2d has no kernel_size"),
]


@pytest.mark.parametrize(("text", "column", "why"), SENSELESS, ids=[text for text, _, _ in SENSELESS])
def test_a_condition_that_makes_no_sense_of_a_case_does_not_hold_and_can_say_why(text, column, why):
    condition = read_condition(text, DEFAULTS)
    assert condition(CONV) is False
    with pytest.raises(ConditionError, match=rf"^column {column}: .*{re.escape(why)}"):
        condition.holds(CONV)
    assert read_condition(f"not ({text})", DEFAULTS)(CONV) is False


BAD = [
    ("", 1, "not a condition"),
    ("   ", 1, "not a condition"),
    ("groups ==", 10, "not a condition"),
    ("groups = 1", None, "not a condition"),
    ("(groups == 1", 1, "never closed"),
    ("gruops == 1", 1, "'gruops' is no name here; choose dtype, operator, alpha"),
    ("groups == 1 and in_channels == 1", 17, "'in_channels' is no name here"),
    ("input.size == 1", 1, "no part of a condition; it has names"),
    ("input.shape.index == 1", 1, "no part"),
    ("'a'.shape == 1", 1, "no part"),
    ("groups ** 2 == 1", 1, "no part"),
    ("groups is 2", 1, "no part"),
    ("+groups == 2", 1, "no part"),
    ("2 if groups else 1", 1, "no part"),
    ("[1] == stride", 1, "no part"),
    ("(*stride, 1) == 1", 2, "no part"),
    ("(x for x in stride)", 1, "no part"),
    ("min(1, 2) == 1", 1, "no part"),
    ("max(key=stride) == 1", 1, "no part"),
    ("max(stride, key=stride) == 1", 1, "no part"),
    ("max() == 1", 1, "no part"),
    ("abs(groups) == 1", 1, "no part"),
    ("__import__('os')", 1, "no part"),
    ("input.shape.__class__()", 1, "no part"),
    ("dtype == 'a b'", 10, "no part"),
    ("dtype == ''", 10, "no part"),
    ("dtype == b'a'", 10, "no part"),
    ("dtype == f'a'", 10, "no part"),
    ("groups == 1j", 11, "no part"),
    ("groups == ...", 11, "no part"),
    (f"groups == {2**63}", 11, "no part"),
    ("lambda: 1", 7, "':' has no meaning in a condition"),
    ("stride[0:1] == 1", 9, "':' has no meaning"),
    ("groups == 1 # and more", 13, "'#' has no meaning"),
    (r"dtype == '\d'", 11, r"'\\' has no meaning"),
    ("groups == 1\0", 12, r"'\x00' has no meaning"),
    ("\uff47roups == 1", 1, "has no meaning"),  # which Python reads as groups
    ("dtype == '\ud800'", 11, r"'\ud800' has no meaning"),
    (f"{'- ' * DEEPEST_CONDITION}1", 65, "nested more than 32 deep"),
    (f"{'1 + ' * DEEPEST_CONDITION}1 == 1", 1, "nested more than 32 deep"),
    ("(" * 300 + ")" * 300, None, "not a condition"),
    ("-" * LONGEST_CONDITION, None, "not a condition"),
    ("-" * 900 + "1", None, "nested more than"),
    (" " * LONGEST_CONDITION + "1", None, "has 1001 characters; a condition has at most 1000"),
]


@pytest.mark.parametrize(("text", "column", "why"), BAD, ids=[ascii(text[:50]) for text, _, _ in BAD])
def test_a_condition_of_anything_else_is_refused_where_it_stands(text, column, why):
    with pytest.raises(ConditionError, match=re.escape(why)) as caught:
        read_condition(text, DEFAULTS)
    assert column is None or str(caught.value).startswith(f"column {column}: ")


def test_only_arguments_of_the_declared_operators_are_names():
    assert read_condition("groups == 1", {"conv1d": defaults_of("conv1d")})
    with pytest.raises(ConditionError, match=r"choose dtype, operator, bias, input, weight$"):
        read_condition("groups == 1", {"linear": defaults_of("linear")})


def test_a_condition_prints_what_was_written_and_takes_no_case_for_another():
    condition = read_condition(" groups\n== 2 ", DEFAULTS)
    assert condition.text == "groups == 2"
    assert [condition(case) for case in (CONV, POOL, parse("relu(input=ramp(float32[1]))"))] == [True, False, False]
    assert not condition(Case("softmax", {"input": Fill("ramp", "float32", (1,))}, {}))


# The conditions of torch-cpu as a file would spell them, by the first words of their reasons. One needs a loop over
# windows and is left to Python.
CHANNELS = (
    "(operator in ('conv1d', 'conv2d', 'conv3d') and weight.shape[1] % 2 == 1 or weight.shape[0] // groups % 2 == 1)"
)
SPELLED = {
    "without input channels": "weight.shape[1] == 0",
    "a transposed convolution without": "weight.shape[0] // groups == 0",
    "with an odd number": f"dtype == 'bfloat16' and input.kind in ('nans', 'infinities') and {CHANNELS}",
    "dilation 0": "0 in dilation",
}


@pytest.mark.parametrize("start", SPELLED)
def test_what_is_spelled_here_is_declared_of_torch(start):
    assert len([d.reason for d in CPU_DECLARATIONS if d.reason.startswith(start)]) == 1


@pytest.mark.parametrize("start", SPELLED)
@settings(max_examples=150, deadline=None, derandomize=True)
@given(data=st.data())
def test_a_condition_agrees_with_the_predicate_that_it_spells(start, data):
    (declaration,) = [d for d in CPU_DECLARATIONS if d.reason.startswith(start)]
    condition = read_condition(SPELLED[start], {name: defaults_of(name) for name in declaration.operators})
    assert condition(parse(declaration.witness))
    case = data.draw(st.sampled_from(declaration.operators).flatmap(drawn_cases))
    try:
        expected = declaration.applies(case)
    except (ZeroDivisionError, IndexError, ValueError):  # an illegal call, of which Python makes no sense either
        expected = False
    assert condition(case) is expected


PIECES = re.findall(
    r"\S+",
    "groups stride padding input weight bias .shape .rank .kind dtype operator 'same' 'nans' 0 1 2 3 7 0.5 1e308 is if "
    "9223372036854775807 None True False and or not in == != < <= > >= + - * / // % ** ( ) [ ] , max( min( else for "
    "lambda : := f' { } @ ~ \\ \0 # é ' \" _ 0x 1j",
)
WHOLE = [text for _, text in HOLD] + [text for text, _, _ in SENSELESS] + list(SPELLED.values())


def random_conditions(count):
    """Yield texts: pieces in any order, conditions that were changed, and conditions within conditions."""
    chance = random.Random(20261121)
    for number in range(count):
        if number % 3 == 0:
            yield " ".join(chance.choices(PIECES, k=chance.randint(1, 9)))
        elif number % 3 == 1:
            text = chance.choice(WHOLE)
            at = chance.randint(0, len(text))
            yield text[:at] + chance.choice((*PIECES, "")) + text[at + chance.randint(0, 4) :]
        else:
            a, b = chance.sample(WHOLE, 2)
            yield f"({a}){chance.choice((' and ', ' or ', ' == ', ' < ', ' in ', ' + ', ' * ', ', '))}({b})"


def test_any_condition_is_read_or_refused_and_true_or_false_of_any_case():
    read = 0
    for text in random_conditions(100_000):
        try:
            condition = read_condition(text, DEFAULTS)
        except ConditionError:
            continue
        read += 1
        assert type(condition(CONV)) is bool
        assert type(condition(POOL)) is bool
    assert 30_000 < read < 90_000
