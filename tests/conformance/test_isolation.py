"""Backends in processes of their own: what an evil costs, how it is told, and that nothing stays behind."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest
from conformance_cases import until

from conformance import isolation, run
from conformance.answers import Died, Limits, Raised, answer
from conformance.cells import cells
from conformance.discovery import find_backend
from conformance.isolation import Isolated, WorkerError
from conformance.journal import LONGEST_OUTPUT, state
from conformance.lines import parse
from conformance.model import Outcome
from conformance.run import ask_and_judge, run_cell
from conformance.worker import free_handle, write

GOOD, EVIL = parse("relu(input=ramp(float32[2,3]))"), parse("relu(input=ramp(float32[7]))")
ASKED = [GOOD, EVIL, GOOD, GOOD, EVIL, EVIL, GOOD]
SMALL = Limits(seconds=1, mebibytes=256)
PATIENT = Limits(seconds=30, mebibytes=256)  # memory takes its time on a busy machine
C = Outcome.CONFORMS
CRASHED, TIMED_OUT, ERRORED = Outcome.CRASHED, Outcome.TIMED_OUT, Outcome.ERRORED


def isolated(name, limits=SMALL):
    return Isolated(find_backend(f"misbehaving:{name}"), limits)


def cell_on(worker, operator="relu"):
    (cell,) = cells(worker.backend, [operator], ["float32"], ["values"])
    return cell.on(worker)


@pytest.mark.parametrize(
    ("evil", "outcome", "reason", "printed"),
    [
        ("SEGFAULTS", CRASHED, "is killed by SIGSEGV", "in segfaults"),
        ("ABORTS", CRASHED, "is killed by SIGABRT", "about to abort"),
        ("LEAVES", CRASHED, "leaves with exit code 3", ""),
        ("LEAVES_WITH_0", CRASHED, "leaves with exit code 0", ""),
        ("DIVIDES_BY_ZERO", CRASHED, "is killed by SIGFPE", "in divides_by_zero"),
        ("THROWS", CRASHED, "is killed by SIGABRT", "terminate called after throwing an instance of 'int'"),
        ("IS_KILLED", CRASHED, "is killed by SIGKILL", ""),
        ("LOOPS", TIMED_OUT, "takes longer than 1 seconds", "in loops"),
        ("SLEEPS_WITH_THE_LOCK", TIMED_OUT, "takes longer than 1 seconds", "in sleeps_with_the_lock"),
        ("IS_DEAF", TIMED_OUT, "takes longer than 1 seconds", ""),
        ("STOPS", TIMED_OUT, "takes longer than 1 seconds", ""),
        ("ALLOCATES", CRASHED, "takes more than 256 MiB of memory", ""),
        ("ALLOCATES_IN_C", CRASHED, "is killed by SIGSEGV", "in allocates_in_c"),
        ("CLOSES_EVERYTHING", CRASHED, "leaves with exit code 9", ""),
        ("OVERWRITES", CRASHED, "writes over what it is to tell: ", ""),
        ("CLOSES_STDOUT", C, "", ""),
        ("PRINTS_MEGABYTES", C, "", ""),
        ("LEAKS_HANDLES", C, "", ""),
        ("LEAKS_THREADS", C, "", ""),
        ("FORKS", C, "", ""),
        ("RAISES_SYSTEM_EXIT", ERRORED, "raises SystemExit: that is enough", ""),
        ("RAISES_KEYBOARD_INTERRUPT", ERRORED, "raises KeyboardInterrupt: ", ""),
    ],
)
def test_an_evil_costs_exactly_its_own_cases(evil, outcome, reason, printed, monkeypatch):
    monkeypatch.setattr(isolation, "GRACE_SECONDS", 0.5)
    with isolated(evil, PATIENT if "ALLOCATES" in evil else SMALL) as worker:
        verdicts = list(ask_and_judge(cell_on(worker), ASKED))
    assert [v.outcome for v in verdicts] == [outcome if case is EVIL else C for case in ASKED]
    for verdict in verdicts:
        if verdict.outcome is not C:
            assert verdict.reason.startswith(reason)
            assert printed in "\n".join(verdict.details.get("printed", ()))


@pytest.mark.parametrize("evil", ["CLOSES_STDOUT", "LEAKS_HANDLES", "LEAKS_THREADS", "CLOSES_EVERYTHING"])
def test_what_an_evil_leaves_behind_ends_with_its_worker(evil):
    with isolated(evil) as worker:
        list(worker.ask(ASKED))
        assert len(worker._context.started) > ASKED.count(EVIL)


def test_what_is_printed_is_kept_as_long_as_its_case():
    with isolated("PRINTS_MEGABYTES") as worker:
        list(worker.ask([EVIL]))
        assert len(worker._journal.printed()) == LONGEST_OUTPUT
        list(worker.ask([GOOD]))
        assert worker._journal.printed() == ""


def test_answers_are_the_same_in_a_worker_and_here():
    backend = find_backend("isolated_backends:HONEST")
    lines = (
        "conv2d(input=normal(bfloat16[2,2,5,5]), weight=normal(bfloat16[2,2,3,3]))",
        "max_pool2d(input=normal(float32[1,2,4,4]), kernel_size=2, return_indices=True)",
        "batch_norm(input=normal(float64[4,3]), training=True)",
        "relu(input=ramp(float16[0,3]))",
        "conv2d(input=ramp(float32[1,1,2,2]), weight=ramp(float32[1,1,3,3]))",
    )
    cases = list(map(parse, lines))
    with Isolated(backend) as worker:
        for case, there in zip(cases, worker.ask(cases), strict=True):
            here = answer(backend, case)
            if isinstance(here, Raised):
                assert here == there
                continue
            for a, b in zip(here, there, strict=True):
                assert (a is None) == (b is None)
                if a is not None:
                    assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())


def test_answers_that_fill_the_room_for_them_come_in_parts():
    large = parse("relu(input=ramp(float32[4194304,5]))")  # 80 MiB, of 64 that are awaited
    with Isolated(find_backend("isolated_backends:HONEST")) as worker:
        first = worker._chunk
        for answered in worker.ask([large, GOOD, large, GOOD]):
            assert answered[0].flat[0] == 1
        assert worker._chunk - first == 3


def test_a_death_is_no_refusal():
    with Isolated(find_backend("isolated_backends:DIES")) as worker:
        (cell,) = cells(worker.backend, ["conv2d"], ["float32"], ["rejections"])
        verdicts = []
        run_cell(cell.on(worker), verdicts.append, examples=1, shrink=False)
    assert (verdicts[-1].outcome, verdicts[-1].reason) == (CRASHED, "leaves with exit code 3")


def test_a_crash_is_shrunk_like_a_wrong_value():
    verdicts = []
    with Isolated(find_backend("isolated_backends:DIES_ON_BATCHES")) as worker:
        run_cell(cell_on(worker), verdicts.append, examples=100)
    assert {v.outcome for v in verdicts[:-1]} <= {C, Outcome.VACUOUS}
    assert verdicts[-1].outcome is CRASHED
    assert verdicts[-1].case.inputs["input"].shape == (2, 7)  # no row that is drawn is shorter


def test_shrinking_ends_when_it_has_cost_too_many_workers(monkeypatch):
    monkeypatch.setattr(run, "SHRINKING_SECONDS", 2 * run.CRASH_SECONDS)
    verdicts = []
    with Isolated(find_backend("isolated_backends:DIES_ON_LARGE")) as worker:
        run_cell(cell_on(worker), verdicts.append, examples=100)
        deaths = len(worker._context.started) - 1
    assert deaths == 3  # that of the witness, and the two that were to be spent
    assert verdicts[-1].outcome is CRASHED
    assert "repeated" not in verdicts[-1].reason


def test_a_declared_death_is_probed_once_and_else_not_asked():
    backend = find_backend("isolated_backends:DECLARED")
    found = {}
    with Isolated(backend) as worker:
        for cell in cells(worker.backend, ["relu"], ["float32"], ["values", "sizes", "special"]):
            verdicts = found[cell.check.name] = []
            run_cell(cell.on(worker), verdicts.append, examples=5)
        assert len(worker._context.started) == 2
    assert found["values"][0].outcome is Outcome.DEVIATES
    assert found["values"][0].details["printed"] == ()
    for verdicts in found.values():
        assert {v.outcome for v in verdicts} == {Outcome.DEVIATES}
        assert {v.reason for v in verdicts} == {"it dies"}


@pytest.mark.parametrize("name", ["DECLARED_WRONGLY", "DECLARED_TO_TIME_OUT"])
def test_a_declared_death_that_does_not_come_is_stale(name):
    verdicts = []
    with Isolated(find_backend(f"isolated_backends:{name}")) as worker:
        run_cell(cell_on(worker), verdicts.append, examples=5)
    assert verdicts[0].outcome is Outcome.STALE
    assert verdicts[0].reason == "no longer true: it dies"


def test_a_declared_death_is_probed_under_a_check_that_its_operator_has():
    verdicts = []
    with Isolated(find_backend("isolated_backends:DECLARED_WHERE_NOTHING_IS_ASKED")) as worker:
        run_cell(cell_on(worker, "conv_matrix"), verdicts.append, examples=5)  # no law is about it
    assert verdicts[0].outcome is Outcome.STALE


def test_a_death_where_something_else_is_declared_fails():
    verdicts = []
    with Isolated(find_backend("isolated_backends:DECLARED_TO_DEVIATE")) as worker:
        run_cell(cell_on(worker), verdicts.append, examples=5, shrink=False)
    assert [v.outcome for v in verdicts] == [CRASHED, CRASHED]  # the probe, and the first case that is drawn


def test_no_death_is_probed_in_this_process():
    (cell,) = cells(find_backend("isolated_backends:DECLARED"), ["relu"], ["float32"], ["values"])
    verdicts = []
    run_cell(cell, verdicts.append, examples=5)
    assert {(v.outcome, v.compared) for v in verdicts} == {(Outcome.DEVIATES, 0)}
    assert parse(cell.backend.declarations[0].witness) not in [v.case for v in verdicts]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (
            "FRAMEWORK_RAISES",
            "isolated_backends:FRAMEWORK_RAISES cannot be imported in a worker: RuntimeError: no driver",
        ),
        ("FRAMEWORK_DIES", "its process leaves with exit code 5 when it is imported; goodbye"),
        ("FRAMEWORK_LEAVES", "its process leaves with exit code 0 when it is imported"),
    ],
)
def test_a_framework_that_cannot_be_imported_makes_its_backend_unavailable(name, reason):
    with Isolated(find_backend(f"isolated_backends:{name}")) as worker:
        assert worker.backend.unavailable().endswith(reason)
        verdicts = []
        run_cell(cell_on(worker), verdicts.append)
    assert [(v.outcome, v.reason) for v in verdicts] == [(Outcome.UNAVAILABLE, worker.backend.unavailable())]


def test_what_is_left_of_a_question_that_nobody_waits_for_does_no_harm():
    with isolated("SEGFAULTS") as worker:
        next(worker.ask([GOOD, EVIL, GOOD]))
        assert [type(found) for found in worker.ask([GOOD, EVIL])] == [list, Died]
        assert list(worker.ask([])) == []


@pytest.mark.parametrize("noticed", [False, True])
def test_a_worker_that_dies_while_nothing_is_asked_is_told_and_replaced(noticed):
    with Isolated(find_backend("isolated_backends:HONEST")) as worker:
        list(worker.ask([GOOD]))
        process = worker._context.started[-1]
        process.kill()
        process.join()
        if noticed:
            until(lambda: not worker._pool.active or worker._context.started[-1] is not process)
        with pytest.warns(UserWarning, match="process is killed by SIGKILL while nothing was asked, before relu"):
            (found,) = worker.ask([GOOD])
        assert isinstance(found, list)


@pytest.mark.parametrize(
    ("name", "why"), [("FULL_DISK", "File too large"), ("NEARLY_FULL_DISK", "only 36 of 128 bytes")]
)
def test_an_answer_that_cannot_be_written_down_is_nobodys_fault_but_told(name, why):
    told = rf"the answer to relu\(.*\) cannot be brought back: .*{why}"
    with Isolated(find_backend(f"isolated_backends:{name}")) as worker, pytest.raises(WorkerError, match=told):
        list(worker.ask([GOOD]))


def test_a_worker_that_never_comes_to_answer_is_given_up():
    told = "ends before it answers; it was to answer relu"
    with Isolated(find_backend("isolated_backends:HONEST")) as worker:
        worker._address = "isolated_backends:FRAMEWORK_DIES"
        worker._restart()
        with pytest.warns(UserWarning, match="while nothing was asked"), pytest.raises(WorkerError, match=told):
            list(worker.ask([GOOD]))


def test_an_allocation_without_end_is_no_refusal():
    with Isolated(find_backend("isolated_backends:HOARDS"), PATIENT) as worker:
        (found,) = worker.ask([GOOD])
    assert (found.outcome, found.reason) == (CRASHED, "takes more than 256 MiB of memory")


def test_memory_that_an_earlier_case_set_aside_is_not_held_against_a_refusal():
    with Isolated(find_backend("isolated_backends:RESERVES"), SMALL) as worker:
        list(worker.ask([GOOD]))
        (found,) = worker.ask([EVIL])
    assert found == Raised("MemoryError", "far too much")


def test_an_answer_that_cannot_be_copied_costs_its_case():
    with Isolated(find_backend("isolated_backends:CLAIMS"), SMALL) as worker:
        huge, good = worker.ask([EVIL, GOOD])
    assert (huge.outcome, huge.reason) == (CRASHED, "takes more than 256 MiB of memory")
    assert isinstance(good, list)


def test_a_signal_without_a_name_has_its_number():
    with Isolated(find_backend("isolated_backends:REAL_TIME"), SMALL) as worker:
        (found,) = worker.ask([GOOD])
    assert found.reason == "is killed by signal 40"


def test_many_deaths_leave_no_handles_behind():
    with Isolated(find_backend("isolated_backends:DIES_ON_BATCHES")) as worker:
        list(worker.ask([GOOD] * 10))
        before = len(list(Path("/proc/self/fd").iterdir()))
        list(worker.ask([GOOD] * 10))
        assert (
            len(list(Path("/proc/self/fd").iterdir())) < before + 10
        )  # two for each, but for those kept and in the making


def test_memory_may_be_without_a_limit():
    with isolated("RAISES_MEMORY_ERROR", Limits(mebibytes=0)) as worker:
        good, evil = worker.ask([GOOD, EVIL])
    assert isinstance(good, list)
    assert (evil.kind, evil.message) == ("MemoryError", "far too much")


def test_a_request_for_far_too_much_at_once_is_no_crash():
    with isolated("RAISES_MEMORY_ERROR") as worker:
        assert [found.kind for found in worker.ask([EVIL, EVIL])] == ["MemoryError"] * 2
        list(worker.ask([GOOD]))
        assert len(worker._context.started) == 3  # what might be left of a failed attempt went with its worker


def test_handles_that_are_used_up_are_no_error(tmp_path):
    with (tmp_path / "file").open("w") as file:
        free = free_handle(file.fileno())
        assert free_handle(file.fileno()) == free
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
        try:
            assert free_handle(file.fileno()) > hard
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_backend_that_is_asked_in_a_worker_is_not_asked_here():
    with Isolated(find_backend("isolated_backends:HONEST")) as worker:
        assert worker.backend.about() == ""
        with pytest.raises(AssertionError, match="is asked in its worker"):
            worker.backend.functions()["relu"]()


def test_a_pool_that_broke_is_replaced_and_one_that_cannot_be_is_told(monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("Unexpected error within the Pool")

    with Isolated(find_backend("isolated_backends:HONEST")) as worker:
        monkeypatch.setattr(worker._pool, "schedule", broken)
        assert len(list(worker.ask([GOOD]))) == 1
        monkeypatch.setattr(isolation.ProcessPool, "schedule", broken)
        with pytest.raises(WorkerError, match="no process can be started for isolated_backends:HONEST: Unexpected"):
            list(worker.ask([GOOD]))


def test_what_is_written_in_part_is_an_error(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with (tmp_path / "file").open("wb") as file:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
        try:
            with pytest.raises(OSError, match="only 36 of 64 bytes"):
                write(file.fileno(), [b"x" * 60, b"yyyy"], 64)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_start_that_is_interrupted_leaves_nothing(monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Isolated, "_introduced", interrupted)
    before = sorted(state().iterdir())
    with pytest.raises(KeyboardInterrupt):
        Isolated(find_backend("isolated_backends:HONEST"))
    assert sorted(state().iterdir()) == before
