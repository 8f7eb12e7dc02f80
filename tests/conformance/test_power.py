"""The command that tells what the checks see: its arithmetic, its tables, and what it exits with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from conformance import power as module
from conformance.checks import CHECKS
from conformance.faults import faults
from conformance.model import Outcome, Verdict
from conformance.power import Task, perform, tasks, try_fault
from conformance.power_command import power
from conformance.report.power_table import markdown, tables
from conformance.report.trials import Clearance, Row, Trial, row, rows, shortfalls
from conformance.variants import variants

VERDICT = Verdict("numpy", "values", "relu", "float32", Outcome.DIFFERS)


def trial(
    name: str, cases: int = 1, *, kind: str = "index", caught: bool = True, alarm: bool = False, seed: int = 0
) -> Trial:
    return Trial(
        name, "relu", "values", "float32", kind, seed, cases, VERDICT if caught else None, VERDICT if alarm else None
    )


def clearance(name: str, alarm: bool = False) -> Clearance:
    return Clearance(name, "relu", "values", "float32", 0, 7, VERDICT if alarm else None)


def test_a_row_counts_the_seed_that_catches_fewest() -> None:
    seeds = [trial("a", 3), trial("b", 9), trial("a", 5, seed=1), trial("b", 99, caught=False, seed=1)]
    assert row("all", seeds) == Row("all", faults=2, caught=1, median=5, high=9, false_alarms=0)


def test_a_row_of_nothing_has_no_cases() -> None:
    assert row("none", []) == Row("none", 0, 0, None, None, 0)
    assert row("missed", [trial("a", caught=False, alarm=True)]) == Row("missed", 1, 0, None, None, 1)


def test_percentiles_are_cases_that_were_needed() -> None:
    needed = row("all", [trial(str(n), n) for n in range(1, 101)])
    assert (needed.median, needed.high) == (50, 95)


def test_rows_are_of_groups_then_structural_then_all() -> None:
    found = rows([trial("a"), trial("b", kind="rounding")], lambda t: t.kind, ("axes", "index", "rounding"))
    assert [(r.name, r.faults) for r in found] == [("index", 1), ("rounding", 1), ("structural", 1), ("all", 2)]


def test_structural_faults_must_all_be_caught_and_nearly_all_of_the_others() -> None:
    assert not shortfalls([trial("a")], [clearance("honest")])
    many = [trial(str(n), kind="rounding") for n in range(20)]
    assert not shortfalls([*many, trial("missed", kind="rounding", caught=False)], [])
    (told,) = shortfalls([*many, *(trial(f"missed-{n}", kind="rounding", caught=False) for n in range(2))], [])
    assert told == "20 of 22 faults are caught with seed 0, less than 95%"
    (told,) = shortfalls([*many, *many, trial("missed", caught=False)], [])
    assert told == "0 of 1 structural faults are caught with seed 0, less than 100%"


def test_every_seed_must_do_and_no_honest_answer_be_objected_to() -> None:
    assert len(shortfalls([trial("a"), trial("a", caught=False, seed=3)], [])) == 2
    assert shortfalls([trial("a", alarm=True)], []) == ["false alarm: twin of a, seed 0"]
    assert shortfalls([], [clearance("b", alarm=True)]) == ["false alarm: b, values, float32, seed 0"]


def test_the_tables_name_what_is_missed_first() -> None:
    found = tables([trial(str(n), n) for n in range(30)] + [trial("missed", 4, caught=False)], [clearance("honest")])
    hardest = found["Faults that took the most cases"]
    assert hardest[1] == ("missed", "index", "values", "not in 4")
    assert [line[0] for line in hardest[2:]] == [str(n) for n in range(29, 20, -1)]
    assert found["Honest variants"][-1] == ("all", "1", "values", "7", "0")


def test_the_page_shows_the_command_and_every_table() -> None:
    page = markdown([trial("a", kind="axes")], [clearance("b", alarm=True)], "convformance power --seed 0")
    assert "`convformance power --seed 0`" in page
    assert "| axes | 1 | 1, 100 % | 1 | 1 | 0 |" in page
    assert "- false alarm: b, values, float32, seed 0" in page
    assert "Nothing falls short." in markdown([trial("a")], [], "convformance power")


def test_tasks_cover_the_bank_once_a_seed() -> None:
    todo = tasks((0, 5))
    for seed in (0, 5):
        named = [name for task in todo if task.seed == seed for name in task.faults]
        assert sorted(named) == sorted(faults())
        assert {task.variant for task in todo if task.seed == seed} - {""} == variants().keys()
    some = tasks((0,), of_operators=("relu",), of_checks=("sizes",))
    assert {faults()[name].operator for task in some for name in task.faults} == {"relu"}
    assert {faults()[name].check for task in some for name in task.faults} == {"sizes"}


def test_a_twin_of_its_own_is_tried_on_its_own() -> None:
    fault = next(fault for fault in faults().values() if fault.name == "conv2d-half-accumulation")
    tried = try_fault(replace(fault, name="conv2d-swapped", twin=fault.wrong), examples=1)
    assert tried.caught is not None
    assert tried.false_alarm is not None


def test_a_task_tries_what_it_names() -> None:
    found = perform(Task(("relu-leaky",), "relu-masked", ("sizes",), 0, 1))
    assert [result.name for result in found] == ["relu-leaky", *["relu-masked"] * 4]


def run(*words: str) -> Result:
    return CliRunner().invoke(power, words)


@pytest.mark.parametrize("processes", ["1", "2"])
def test_the_command_shows_and_writes_what_was_tried(tmp_path: Path, processes: str) -> None:
    written, page = tmp_path / "power.json", tmp_path / "power.md"
    options = ("-o", "relu", "-c", "sizes", "--profile", "quick", "--examples", "2", "--seed", "3", "-j", processes)
    done = run(*options, "--json", str(written), "--markdown", str(page))
    assert done.exit_code == 0, done.output
    assert "Honest variants" in done.output
    found = json.loads(written.read_text(encoding="utf-8"))
    assert (found["seeds"], found["examples"], found["shortfalls"], found["interrupted"]) == ([3], 2, [], False)
    assert {fault["operator"] for fault in found["faults"]} == {"relu"}
    assert all(fault["caught"].startswith("relu(") and fault["cases"] for fault in found["faults"])
    assert "`convformance power --seed 3 --examples 2 -o relu -c sizes`" in page.read_text(encoding="utf-8")


def test_faults_may_be_tried_alone(tmp_path: Path) -> None:
    page = tmp_path / "power.md"
    done = run("-o", "relu", "-c", "sizes", "--examples", "2", "-j", "1", "--no-variants", "--markdown", str(page))
    assert done.exit_code == 0, done.output
    assert "Honest variants" not in done.output
    assert "-c sizes --no-variants`" in page.read_text(encoding="utf-8")


def test_what_falls_short_is_the_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    leaky = faults()["relu-leaky"]
    swapped = {"relu-leaky": replace(leaky, wrong=leaky.twin, twin=leaky.wrong)}
    monkeypatch.setattr(module, "faults", lambda: swapped)
    done = run("-o", "relu", "-c", leaky.check, "--examples", "1", "-j", "1")
    assert done.exit_code == 1
    assert "0 of 1 faults" in done.output


def test_an_interruption_keeps_what_was_tried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def stopping(*_: object) -> Iterator[list[Trial]]:
        yield [trial("a")]
        raise KeyboardInterrupt

    monkeypatch.setattr("conformance.power_command.perform_all", stopping)
    written = tmp_path / "power.json"
    done = run("-o", "relu", "--json", str(written))
    assert done.exit_code == 130
    assert "interrupted" in done.output
    assert [fault["name"] for fault in json.loads(written.read_text(encoding="utf-8"))["faults"]] == ["a"]


def test_what_was_tried_is_kept_while_more_is_tried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    written = tmp_path / "power.json"

    def watched(*_: object) -> Iterator[list[Trial]]:
        yield [trial("a")]
        found = json.loads(written.read_text(encoding="utf-8"))
        assert ([fault["name"] for fault in found["faults"]], found["interrupted"]) == (["a"], True)
        yield [trial("b")]

    monkeypatch.setattr("conformance.power_command.perform_all", watched)
    monkeypatch.setattr("conformance.power_command.KEPT_AFTER", 0.0)
    run("-o", "relu", "--json", str(written))
    found = json.loads(written.read_text(encoding="utf-8"))
    assert ([fault["name"] for fault in found["faults"]], found["interrupted"]) == (["a", "b"], False)
    assert list(tmp_path.iterdir()) == [written]


def test_a_single_output_one_unit_off_is_seen() -> None:
    one_ulp = [fault for fault in faults().values() if "-one-ulp" in fault.name]
    assert len({fault.operator for fault in one_ulp}) >= 10
    assert {fault.check for fault in one_ulp} == {"values", "gradients"}


def test_variants_may_be_tried_alone(tmp_path: Path) -> None:
    page = tmp_path / "variants.md"
    words = ("-o", "conv1d", "-c", "sizes", "--examples", "1", "-j", "1", "--no-faults", "--markdown", str(page))
    done = run(*words)
    assert done.exit_code == 0, done.output
    assert "Faults by" not in done.output
    told = page.read_text(encoding="utf-8")
    assert "-c sizes --no-faults`. Seeds: 0." in told
    assert "A fault is caught" not in told
    assert "| conv1d | " in told


@pytest.mark.parametrize("option", ["--json", "--markdown"])
def test_a_file_that_cannot_be_written_is_told_before_anything_is_tried(option: str, tmp_path: Path) -> None:
    done = run("-o", "relu", option, str(tmp_path / "missing" / "file"))
    assert done.exit_code == 2
    assert "must be a file in a folder that is there and can be written to" in " ".join(done.output.split())


def test_a_selection_of_nothing_is_wrong_usage() -> None:
    done = run("-c", "precision", "--no-variants")
    assert (done.exit_code, "no fault and no variant" in done.output) == (2, True)


def test_a_check_that_is_no_check_is_wrong_usage() -> None:
    assert run("-c", "everything").exit_code == 2
    assert "values" in CHECKS
