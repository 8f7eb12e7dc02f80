"""A failure as a script of its own: NumPy and the backend's package, arrays as literals, ready for an issue tracker."""

from __future__ import annotations

import platform
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from pprint import pformat

import numpy as np

from conformance import __version__
from conformance.calls import VJP, differentiated
from conformance.cells import Cell
from conformance.formats import Array, format_of
from conformance.judge import overflown
from conformance.model import Arrays, Backend, Bound, Case, Outcome, Verdict
from conformance.report.grid import element, printable, replay_line
from conformance.verdicts import bounds_of, expectation
from reference.constraints import ConstraintError

WIDTH = 100
LARGEST = 2**14  # numbers in an array that is written out
WAIVED = Bound(np.array(np.inf))
IMPORTS = """import sys
from math import inf, nan

import numpy as np
"""
COMPARED = '''

def differs(actual, expected, bound, squares=inf, signed=False):
    """Whether a value, or all of them together, is further from the expected one than honest rounding leads."""
    with np.errstate(all="ignore"):
        same = (actual == expected) & ~(signed & (np.signbit(actual) != np.signbit(expected)))
        same |= np.isnan(actual) & np.isnan(expected)
        error = np.where(same, 0, np.abs(actual - expected))
        wrong = ~(error <= bound) & ~same & (bound != inf)
        wrong |= signed & ~same & (actual == expected)
        return bool(wrong.any() or np.square(error[bound != inf]).sum() > squares)


failed = len(answers) != len(expected)
for (name, (kind, value, *bounds)), (dtype, actual) in zip(expected.items(), answers):
    print(f"{name}, expected {kind} {value.shape}:\\n{value}\\nactual {dtype} {actual.shape}:\\n{actual}")
    failed |= not dtype.lstrip("u").startswith(kind)
    failed |= actual.shape != value.shape or differs(actual, value, *bounds)
print("DIFFERS" if failed else "conforms")
sys.exit(failed)
'''


def script(cell: Cell, witness: Verdict) -> str:
    """Return a script that exits with 1 as long as the backend answers a case as it did, and else with 0.

    A case of several calls, or one that is too large to be written out, is replayed by its line.
    """
    case = witness.case
    assert case is not None
    large = any(fill.array().size > LARGEST for fill in case.inputs.values())
    body = _replayed(cell, case) if large or case.manner not in ("", VJP) else _written(cell, case)
    return "\n".join([*(f"# {line}".rstrip() for line in _head(cell, witness)), "", body])


def scripts(judged: Iterable[tuple[Cell, Verdict | None]]) -> Iterator[tuple[str, str]]:
    """Yield the name and the script of every cell that fails with a case.

    A declaration that is no longer true shows nothing, and a class of arithmetic is seen in many cases.
    """
    for cell, verdict in judged:
        if verdict is not None and verdict.failed and verdict.case is not None and verdict.outcome is not Outcome.STALE:
            yield cell.id, script(cell, verdict)


def write_first(path: Path, found: Iterable[tuple[str, str]]) -> str:
    """Write the first of the scripts that were found, and say so."""
    name, text = next(iter(found), ("", ""))
    if not name:
        return printable(f"nothing fails that a script could show: {path} is not written")
    path.write_text(text, encoding="utf-8")
    return printable(f"{path} shows {name}")


def _head(cell: Cell, witness: Verdict) -> Iterator[str]:
    backend = cell.backend
    yield printable(f"{witness.operator} {witness.dtype} on {backend.name}: {witness.outcome}: {witness.reason}")
    if "index" in witness.details:
        yield element(witness)
    yield from (f"fed by {printable(line)}" for line in witness.details.get("window", ()))
    if "diagnosis" in witness.details:
        yield printable(witness.details["diagnosis"])
    about = backend.about() if backend.unavailable() is None else ""
    versions = f"Python {platform.python_version()}, NumPy {np.__version__}, {platform.system()} {platform.machine()}"
    yield printable(f"{about}; {versions}" if about else versions)
    yield f"Written by convformance {__version__}, which asks the same by"
    yield replay_line(repr(witness.case), backend.address or backend.name, cell.check.name)


def _replayed(cell: Cell, case: Case) -> str:
    words = ["replay", repr(case), "-b", cell.backend.address or cell.backend.name, "--check", cell.check.name]
    return f"from conformance.__main__ import main\n\nmain({pformat(words, width=WIDTH)})\n"


def _written(cell: Cell, case: Case) -> str:
    literals = {name: _literal(fill.array()) for name, fill in case.inputs.items()}
    leaves = differentiated(case) if case.manner == VJP else ()
    write = cell.backend.script or partial(_call, cell.backend)
    called = write(case, literals, leaves)
    try:
        with np.errstate(all="ignore"):
            inputs, expected = expectation(cell.operator, case, cell.backend.dialect)
            entries = "".join(_entries(cell, case, inputs, expected))
    except ConstraintError as error:
        return IMPORTS + _refused(called, printable(str(error)))
    told = "# What the reference says, in float64, and how far from it honest rounding may lead."
    return f"{IMPORTS}{called}\n{told}\nexpected = {{\n{entries}}}\n{COMPARED}"


def _refused(called: str, why: str) -> str:
    attempt = textwrap.indent(called, "    ")
    return f"""
try:
{attempt}except Exception as error:
    print("refused, as it must be:", error)
    sys.exit(0)
print("accepted, and must be refused:", {why!r})
for dtype, actual in answers:
    print(f"actual {{dtype}} {{actual.shape}}:\\n{{actual}}")
sys.exit(1)
"""


def _entries(cell: Cell, case: Case, inputs: Arrays, expected: Arrays) -> Iterator[str]:
    """Yield for each output how its dtype begins, its value, its bound, and what else is asked of it."""
    bounds = {} if cell.check.shapes_only else bounds_of(cell, case, inputs, expected)
    for name, value in expected.items():
        bound = bounds.get(name, WAIVED)
        limit, whole = bound.absolute, value.dtype.kind == "i"
        if not whole and name in bounds:
            limit, value = overflown(value, bound, format_of(case.dtype))
        words = [repr("int" if whole else case.dtype), _array(value), _alike(limit)]
        if bound.squares is not None or bound.zero_sign is not False:
            squares = "inf" if bound.squares is None else repr(float(bound.squares))
            words += [squares, _alike(np.asarray(bound.zero_sign))]
        lines = textwrap.indent(",\n".join(words), " " * 8)
        yield f"    {name!r}: (\n{lines},\n    ),\n"


def _alike(array: Array) -> str:
    """Return an array as source: one number where all are equal."""
    flat = array.reshape(-1)
    return _literal(flat[0]) if flat.size and np.all(flat == flat[0]) else _array(array)


def _array(array: Array) -> str:
    shaped = f".reshape({array.shape})" if 0 in array.shape else ""
    return f"np.array({_literal(array)}){shaped}"


def _literal(array: Array) -> str:
    """Return the numbers of an array as nested lists; every float is spelled so that it is read back as it is."""
    wide = array if array.dtype.kind in "iub" else array.astype(np.float64)
    return pformat(wide.tolist(), width=WIDTH, compact=True)


def _call(backend: Backend, case: Case, literals: Mapping[str, str], leaves: Sequence[str]) -> str:
    """Return the source that makes the call by a backend's record, whose functions users of its package may know."""
    lines = [
        "from conformance.calls import gradients" if leaves else "",
        "from conformance.discovery import find_backend",
        "from conformance.formats import numpy_dtype",
        "from conformance.lines import parse" if leaves else "",
        f"\nbackend = find_backend({backend.address or backend.name!r})",
    ]
    for name, fill in case.inputs.items():
        shaped = f".reshape({fill.shape})" if 0 in fill.shape else ""
        array = f"np.array({literals[name]}).astype(numpy_dtype({fill.dtype!r})){shaped}"
        laid = f"backend.layouts[{fill.layout!r}]" if fill.layout else ""
        lines.append(f"{name} = {laid}(backend.from_numpy({array}))")
    tensors = ", ".join(f"{name}={name}" for name in case.inputs)
    if leaves:
        lines.append(f"outputs = gradients(backend, parse({repr(case)!r}), dict({tensors}))")
    else:
        given = "".join(f", {name}={value!r}" for name, value in case.attributes.items())
        lines.append(f"result = backend.functions()[{case.operator!r}]({tensors}{given})")
        lines.append("outputs = result if isinstance(result, tuple) else (result,)")
    lines.append("arrays = [np.asarray(backend.to_numpy(output)) for output in outputs if output is not None]")
    lines.append("answers = [(str(array.dtype), array.astype(np.float64)) for array in arrays]\n")
    return "\n".join(filter(None, lines))
