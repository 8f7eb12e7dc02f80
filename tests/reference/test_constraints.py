"""Every label that a docstring lists is raised by a call that breaks the constraint; no other label is."""

from __future__ import annotations

import inspect
import pickle
import re
from types import FunctionType

import numpy as np
import pytest
from reference_tables import gathered

import reference
from reference import ConstraintError

CALLS = gathered.CALLS
BAD_CALLS = [
    pytest.param(name, *row, id=f"{name}-{row[0]}-{i}") for name in CALLS for i, row in enumerate(CALLS[name][1])
]


def labels_of(name):
    """Return the labels in the Constraints part of a docstring, or of the docstring that it refers to."""
    text = inspect.getdoc(getattr(reference, name))
    part = re.search(r"^Constraints: (.*?)\n\n", text, re.DOTALL | re.MULTILINE)
    if part is None:
        return labels_of(re.search(r"see `(\w+)`", text)[1])
    words = re.findall(r"`([\w-]+)`", part[1])
    labels = {word for word in words if word == name or not isinstance(getattr(reference, word, None), FunctionType)}
    inherited = re.match(r"as `(\w+)`", part[1])
    return labels | labels_of(inherited[1]) if inherited else labels


@pytest.mark.parametrize("name", CALLS)
def test_the_call_that_the_rows_change_is_allowed(name):
    getattr(reference, name)(**CALLS[name][0])


@pytest.mark.parametrize(("name", "label", "argument", "text", "change"), BAD_CALLS)
def test_a_bad_call_is_refused(name, label, argument, text, change):
    with pytest.raises(ConstraintError) as caught:
        getattr(reference, name)(**{**CALLS[name][0], **change})
    error = caught.value
    assert (error.label, error.argument) == (label, argument)
    assert text in error.rule
    assert str(error) == f"{argument}={error.value!r}: {error.rule} [{label}]"


GRADIENTS = sorted(set(CALLS) & set(reference.vjp.__all__))


def output_of(name):
    result = getattr(reference, name)(**CALLS[name][0])
    return result[0] if isinstance(result, tuple) else result


@pytest.mark.parametrize("name", GRADIENTS)
def test_a_gradient_is_refused_for_what_the_function_is_refused_for(name):
    gradient, (allowed, rows) = getattr(reference.vjp, name), CALLS[name]
    cotangent = np.ones(output_of(name).shape)
    for label, argument, _, change in rows:
        if not set(change) <= set(inspect.signature(gradient).parameters):
            continue  # an argument that only says what else the function returns
        with pytest.raises(ConstraintError) as caught:
            gradient(cotangent, **{**allowed, **change})
        assert (caught.value.label, caught.value.argument) == (label, argument)


@pytest.mark.parametrize("name", GRADIENTS)
def test_a_cotangent_has_the_shape_of_the_output(name):
    gradient, allowed = getattr(reference.vjp, name), CALLS[name][0]
    shape = output_of(name).shape
    gradient(np.ones(shape), **allowed)
    for wrong in ((*shape, 1), (2, *shape)):
        with pytest.raises(ConstraintError) as caught:
            gradient(np.ones(wrong), **allowed)
        assert (caught.value.label, caught.value.argument) == ("cotangent", "cotangent")


@pytest.mark.parametrize("name", CALLS)
def test_docstrings_list_exactly_the_labels_that_are_raised(name):
    assert {row[0] for row in CALLS[name][1]} == labels_of(name)


def test_every_public_function_is_in_the_table():
    functions = {name for name in reference.__all__ if isinstance(getattr(reference, name), FunctionType)}
    assert functions == set(CALLS)


def test_a_constraint_error_is_a_value_error_and_can_be_pickled():
    error = ConstraintError("stride", "stride", (1, 0), "must be at least 1")
    copy = pickle.loads(pickle.dumps(error))
    assert isinstance(copy, ValueError)
    assert type(copy) is ConstraintError
    assert str(copy) == str(error) == "stride=(1, 0): must be at least 1 [stride]"
    assert vars(copy) == vars(error)
