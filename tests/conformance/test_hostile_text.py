"""What backends say of themselves reaches a terminal and a shell: it is shown, and does nothing."""

from __future__ import annotations

import math
import shlex
import subprocess
import sys
from dataclasses import replace

import pytest
from conformance_cases import verdict
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console

from conformance.fills import Fill
from conformance.model import Case, Outcome
from conformance.report.grid import LONGEST_TEXT, element, failure, grid, print_report, printable
from conformance.report.tally import Tally

# Clears a terminal, goes back to the start of a line, rings, turns text round, marks up, is no character, is long.
HARM = [
    "\x1b[2J\x1b[1;1H",
    "\x9b2J",
    "wrong\rconforms",
    "wrong\nconforms: relu float32",
    "\x07\x08\x0b\x0c\x7f\x85\u2028",
    "\u202egnorw\u2066\u200b",
    "[bold green]conforms[/] [/nothing] [link=file:///]",
    "\ud800\0",
    "x" * 2**20,
    "\x1b" * 2**20,
]
NAMES = [*HARM, "it's; touch /tmp/never", "a b", "$(id)`id`\\", "", "~", "*", "#", "-x"]
DETAILS = {"output": "o", "index": (0,), "expected": 1.0, "actual": 2.0, "bound": 0.0, "error_ulps": math.nan}


def shown(print_it):
    """Return all that reaches a terminal that understands colours, less the colours."""
    console = Console(width=200, force_terminal=True, color_system=None)
    with console.capture() as capture:
        print_it(console)
    return capture.get()


@given(st.text(max_size=60))
@example("".join(HARM))
def test_what_is_printable_is_one_line_that_shows_all_that_fits(text):
    safe = printable(text)
    assert safe.isprintable()
    assert len(safe) <= LONGEST_TEXT + 3
    if text.isprintable() and len(text) <= LONGEST_TEXT:
        assert safe == text


def test_a_text_is_cut_at_its_documented_length():
    assert printable("x" * LONGEST_TEXT) == "x" * LONGEST_TEXT
    assert printable("x" * (LONGEST_TEXT + 1)) == "x" * LONGEST_TEXT + "..."
    assert len(printable("\U000e0001" * LONGEST_TEXT)) == LONGEST_TEXT + 3


@pytest.mark.parametrize("text", HARM, ids=range(len(HARM)))
@pytest.mark.parametrize("outcome", [Outcome.ERRORED, Outcome.DEVIATES, Outcome.UNAVAILABLE, Outcome.VACUOUS])
def test_a_report_shows_the_harm_in_what_it_is_told_and_does_not_do_it(text, outcome):
    told = replace(verdict(outcome, reason=text, compared=0), backend=text, dtype=text, check=text)
    cells = [Tally.of(told), Tally.of(told)]
    for cell in cells:
        cell.add(told)
        cell.add(told)
    report = shown(lambda console: print_report(console, cells, address=text))
    assert all(line.isprintable() for line in report.split("\n"))
    assert len(report) < 20_000
    assert outcome in report


def test_what_looks_like_markup_is_printed_as_it_is():
    told = Tally("[red]b[/]", "[x]", "[y]", "[z]")
    told.add(verdict(Outcome.DEVIATES, reason="[bold]known[/nothing]"))
    text = shown(lambda console: print_report(console, [told]))
    for word in ("[red]b[/]", "[y]", "[z]", "[bold]known[/nothing]"):
        assert word in text
    assert "differs: [x]" in shown(lambda console: console.print(grid([failing("[x]")])))


def failing(check):
    tally = Tally("b", check, "relu", "float32")
    tally.add(verdict(Outcome.DIFFERS))
    return tally


@pytest.mark.parametrize("text", HARM, ids=range(len(HARM)))
def test_a_failure_is_one_line_for_what_one_for_where_and_one_to_replay(text):
    told = replace(
        verdict(Outcome.DIFFERS, reason=text), backend=text, details={**DETAILS, "output": text, "actual": text}
    )
    lines = failure(told).split("\n")
    assert len(lines) == 3
    assert all(line.isprintable() for line in lines)
    assert all(len(line) < 2 * LONGEST_TEXT for line in lines)
    assert lines[1] == f"  {element(told)}"


def test_the_last_words_of_a_process_are_shown_and_not_obeyed():
    died = verdict(Outcome.CRASHED, reason="is killed by SIGSEGV", details={"printed": ("Fatal", "\x1b[2Jconforms")})
    assert failure(died).split("\n")[:3] == [
        "crashed: relu float32 on honest: is killed by SIGSEGV",
        "  | Fatal",
        r"  | \x1b[2Jconforms",
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no POSIX shell")
@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_the_line_that_replays_is_one_command_whatever_the_backend_is_called(name):
    case = Case("pad", {"input": Fill("ramp", "float32", (2, 3))}, {"mode": "it's; `id` $(id)", "value": -math.inf})
    told = replace(verdict(Outcome.DIFFERS, case=case), backend="b", check=name)
    line = failure(told, name).split("\n")[-1]
    words = ["replay", repr(case), "-b", printable(name) or "b", "--check", printable(name)]
    assert shlex.split(line) == ["convformance", *words]
    # A shell agrees: with the command replaced by one that prints its words, these are all that it prints.
    command = line.replace("convformance", r"printf '%s\n'", 1)
    done = subprocess.run(["sh", "-c", command], capture_output=True, check=True)
    assert done.stdout.decode() == "".join(f"{word}\n" for word in words)
    assert done.stderr == b""


def test_a_name_that_needs_no_quotes_has_none():
    line = failure(replace(verdict(Outcome.DIFFERS), backend="torch-cpu")).split("\n")[-1]
    assert line == "  convformance replay 'relu(input=ramp(float32[2]))' -b torch-cpu --check values"
