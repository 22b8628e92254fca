"""The views say what the log says: folded bit by bit or in one go, and as the engine believes."""

from __future__ import annotations

import math
from contextlib import ExitStack
from pathlib import Path
from typing import Any, get_args

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite

from makeway import codec
from makeway.engine.engine import Engine
from makeway.engine.state import State
from makeway.model import event as ev
from makeway.model.job import JobSpec, Program, StepCall
from makeway.model.phase import ExecutionPhase, JobPhase
from makeway.model.record import Exit, Report
from makeway.model.workflow import Constant, Many, Stored, Workflow
from makeway.store.database import Database
from makeway.store.log import Log
from makeway.store.statement import driver_text
from makeway.store.views import ATTEMPT_DECIDED, EXECUTION_MOVES, FOLDS, WORKER_READY
from tests.store.conftest import NewStore
from tests.store.look import look
from tests.store.world import DAWN_MS, World, bad_exit, good_exit, output, start_everything

VIEWS = (
    *("run", "execution", "execution_edge", "job", "attempt", "worker"),
    *("artifact", "artifact_use", "param", "decision"),
)
BELIEVED = (
    *("seq", "order", "nodes", "queues", "free", "held", "jobs", "attempts", "running"),
    *("waiting", "waits", "runs", "executions"),
)


def dump(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Give every row of every view."""
    return {view: sorted(look(database, f'SELECT * FROM "{view}"'), key=repr) for view in VIEWS}


def fold_all(database: Database, *events: ev.Event) -> None:
    """Append these events, one a millisecond."""
    first = Log(database).last() + 1
    Log(database).append(
        [
            ev.Entry(seq=seq, at_ms=DAWN_MS + seq, cause=0, event=event)
            for seq, event in enumerate(events, first)
        ]
    )


def one(database: Database, columns: str, table: str, which: str = "1 = 1") -> tuple[Any, ...]:
    """Give the one row of a view that the condition leaves."""
    rows = look(database, f"SELECT {columns} FROM {table} WHERE {which}")
    assert len(rows) == 1, rows
    return rows[0]


def test_every_event_has_its_fold() -> None:
    assert set(FOLDS) == set(get_args(ev.Event))


# ── whatever happens ──────────────────────────────────────────────────────────────────────────────


@given(numbers=st.lists(st.integers(0, 10**9), max_size=60))
def test_however_the_log_is_folded_the_views_are_the_same(
    new_folder: NewStore, numbers: list[int]
) -> None:
    world = World()
    for number in numbers:
        world.happen(number)
    with ExitStack() as stack:
        lived, single, whole = (opened(stack, new_folder) for _ in range(3))
        for batch in world.batches:
            Log(lived).append(batch)
        for entry in Log(lived).read():
            Log(single).append([entry])
        Log(whole).append(list(Log(lived).read()))
        assert dump(lived) == dump(single) == dump(whole)
        check_beliefs(whole, world.state)

        again = Engine(start_everything)
        again.replay(Log(lived).read())
        for slot in BELIEVED:
            assert repr(getattr(again.state, slot)) == repr(getattr(world.state, slot)), slot


def opened(stack: ExitStack, new_store: NewStore) -> Database:
    """Open a new store for as long as the stack lasts."""
    return stack.enter_context(Database.open(stack.enter_context(new_store())))


def check_beliefs(database: Database, state: State) -> None:
    """Compare what is not final with what the engine believes of it."""
    jobs: dict[str, str] = dict(
        look(database, "SELECT id, phase FROM job WHERE ended_at_ms IS NULL")
    )
    assert jobs == {job.id: job.phase.value for job in state.jobs.values()}
    runs: dict[str, str] = dict(
        look(database, "SELECT id, phase FROM run WHERE ended_at_ms IS NULL")
    )
    assert runs == {run.id: run.phase.value for run in state.runs.values()}
    for executions in state.executions.values():
        for execution in executions.values():
            row = one(database, "phase, text, digest", "execution", f"id = '{execution.id}'")
            digest = execution.output.digest if execution.output else None
            assert row == (execution.phase.value, execution.text, digest)
    living = look(database, "SELECT job, number, fence, phase FROM attempt WHERE phase != 'ended'")
    assert sorted(living) == sorted(
        (attempt.job, attempt.number, attempt.fence, attempt.phase.value)
        for attempt in state.attempts.values()
    )
    for attempt in state.attempts.values():
        workers = look(
            database,
            "SELECT rank, node, ready_at_ms IS NOT NULL, started_at_ms IS NOT NULL,"
            " ended_at_ms IS NOT NULL FROM worker WHERE job = ? AND number = ? ORDER BY rank",
            (attempt.job, attempt.number),
        )
        assert workers == [
            (worker.rank, worker.node, worker.ready, worker.started, worker.exit is not None)
            for worker in attempt.workers
        ]
    reasons: dict[str, str] = dict(
        look(
            database,
            "SELECT id, wait_reason FROM job WHERE wait_reason IS NOT NULL AND ended_at_ms IS NULL",
        )
    )
    assert reasons == {job: wait.reason.value for job, wait in state.waits.items()}


@pytest.mark.parametrize("statement", [WORKER_READY, ATTEMPT_DECIDED, EXECUTION_MOVES])
def test_a_row_is_found_without_a_search(folder: Path, statement: sa.Update) -> None:
    text = driver_text(statement, sqlite.dialect(paramstyle="qmark"))
    with Database.open(folder) as database:
        plan = look(database, f"EXPLAIN QUERY PLAN {text}", (None,) * text.count("?"))
    assert plan
    assert all("SCAN" not in row[3] for row in plan)


# ── one story at a time ───────────────────────────────────────────────────────────────────────────


def test_a_run_that_ends_well(database: Database) -> None:
    world = World()
    run = world.submit_run()
    world.finish()
    Log(database).append(world.entries)
    columns = 'workflow, "user", queue, phase, text, params, submitted_at_ms'
    assert one(database, columns, "run") == (
        *("demo", "ada", "lab/vision", "succeeded", "", '{"rate":0.1}'),
        DAWN_MS + 14,
    )
    definition = one(database, "definition", "run")[0]
    assert codec.decode(definition, Workflow).step("best").select is not None
    keys = look(database, "SELECT key, position, phase FROM execution ORDER BY position")
    assert keys == [
        (key, position, "succeeded")
        for position, key in enumerate(["fetch", "train1", "train2", "train3", "best", "serve"])
    ]
    edges = look(database, "SELECT up, down FROM execution_edge WHERE run = ?", (run,))
    assert ("fetch", "train2") in edges
    assert ("train2", "best") in edges
    assert ("best", "serve") in edges
    assert len(edges) == 3 + 3 + 1
    assert one(database, "metrics", "execution", "key = 'train1'") == (
        '{"accuracy":0.9,"loss":"inf"}',
    )
    selection = one(database, "selection", "execution", "key = 'best'")[0]
    assert '"chosen":true' in selection


def test_a_job_that_fails_waits_and_is_tried_again(database: Database) -> None:
    world = World()
    run = world.submit_run()
    job = f"{run}.fetch"
    world.ready(job)
    world.end(job, bad_exit(world.now_ms))
    Log(database).append(world.entries)
    here = len(world.entries)
    assert one(database, "phase, attempts, not_before_ms > submitted_at_ms", "job") == (
        *("queued", 1, 1),
    )
    assert one(database, "phase", "execution", "key = 'fetch'") == ("backoff",)
    attempt = one(database, "phase, cause, cause_class, ledger, rank, decision", "attempt")
    assert attempt[:5] == ("ended", "CONNECTION", "temporary", "infra", 0)
    assert '"action":"retry"' in attempt[5]
    error = one(database, "code, error, ended_at_ms IS NOT NULL", "worker")
    assert (error[0], error[2]) == (1, 1)
    assert "peer closed" in error[1]

    world.pass_time(60_000)
    world.ready(job)
    world.end(job)
    Log(database).append(world.entries[here:])
    assert one(database, "phase, attempts, not_before_ms", "job", f"id = '{job}'") == (
        *("succeeded", 2, None),
    )
    [first, second] = look(
        database,
        "SELECT number, cause, started_at_ms FROM attempt WHERE job = ? ORDER BY number",
        (job,),
    )
    assert (first[:2], second[:2]) == ((1, "CONNECTION"), (2, "NONE"))
    started = one(database, "started_at_ms", "job", f"id = '{job}'")
    assert started == one(database, "started_at_ms", "execution", "key = 'fetch'") == first[2:]


def test_why_a_job_waits_and_that_it_no_longer_does(database: Database) -> None:
    world = World()
    world.say(ev.NodeLost(name="n1"))
    job = world.submit_job()
    Log(database).append(world.entries)
    columns = "phase, wait_reason, wait_text, wait_detail, wait_blocked_by"
    assert one(database, columns, "job") == (
        *("queued", "InsufficientFree", "no node is free", '{"nodes":0}', None),
    )
    here = len(world.entries)
    world.say(ev.JobCancelRequested(job=job, text="not needed"))
    Log(database).append(world.entries[here:])
    assert one(database, columns, "job") == ("cancelled", None, None, None, None)


def test_a_refused_job_keeps_its_reason(database: Database) -> None:
    world = World()
    world.submit_job(workers=9)
    Log(database).append(world.entries)
    assert one(database, "phase, text, wait_reason, attempts", "job") == (
        *("failed", "no node is so large", "NoNodeFits", 0),
    )


def test_workers_that_are_told_to_leave(database: Database) -> None:
    world = World()
    job = world.submit_job(workers=2)
    world.ready(job)
    world.say(ev.JobCancelRequested(job=job))
    Log(database).append(world.entries)
    assert one(database, "phase", "job") == ("evicting",)
    assert one(database, "phase, stop_cause", "attempt") == ("stopping", "cancel")


def test_a_cancelled_run(database: Database) -> None:
    world = World()
    run = world.submit_run()
    world.say(ev.RunCancelRequested(run=run, text="enough"))
    Log(database).append(world.entries)
    assert one(database, "phase, text", "run") == ("cancelling", "enough")
    assert one(database, "count(*)", "execution", "phase = 'cancelled'") == (5,)


# ── artifacts and parameters ──────────────────────────────────────────────────────────────────────


def test_what_a_step_reads_and_gives(database: Database) -> None:
    world = World()
    world.submit_run()
    world.finish()
    Log(database).append(world.entries)
    fetched = output("out of r0001.fetch").digest

    uses = look(
        database,
        "SELECT role, key FROM artifact_use WHERE execution = 'r0001.train1' ORDER BY role, key",
    )
    assert uses == [("input", "data"), ("output", ""), ("output", "tagger")]
    readers = look(
        database,
        "SELECT execution FROM artifact_use WHERE digest = ? AND role = 'input' ORDER BY 1",
        (fetched,),
    )
    assert readers == [("r0001.train1",), ("r0001.train2",), ("r0001.train3",)]
    served = look(
        database,
        "SELECT key FROM artifact_use WHERE execution = 'r0001.serve' AND role = 'input' ORDER BY 1",
    )
    assert served == [("models[0]",), ("models[1]",)]
    assert one(database, "producer, kind", "artifact", f"digest = '{fetched}'") == (
        *("r0001.fetch", "value"),
    )
    assert one(database, "count(*)", "artifact", "kind = 'model'") == (5,)


def test_a_parameter_is_kept_with_its_type(database: Database) -> None:
    given = {
        "rate": 0.5, "layers": 4, "fast": True, "name": "small", "none": None, "list": [1, 2],
        "huge": 10**400, "long": "x" * 10_000, "nan": math.nan, "text": "0.5",
    }  # fmt: skip
    call = StepCall(
        file="f.py", function="f", arguments={name: Constant(v) for name, v in given.items()}
    )
    spec = JobSpec(name="a", user="ada", queue="lab", program=Program(call=call))
    fold_all(database, ev.JobSubmitted(job="r1.a", spec=spec))
    rows = {
        row[0]: row[1:]
        for row in look(database, "SELECT key, value_type, value_text, value_num FROM param")
    }
    assert rows == {
        "rate": ("float", "0.5", 0.5),
        "layers": ("int", "4", 4.0),
        "fast": ("bool", "true", 1.0),
        "name": ("str", "small", None),
        "none": ("json", "null", None),
        "list": ("json", "[1,2]", None),
        "huge": ("int", str(10**400), None),
        "long": ("str", "x" * 8_000, None),
        "nan": ("float", "nan", None),
        "text": ("str", "0.5", 0.5),
    }


def test_what_a_program_reports_overrides_what_it_was_given(database: Database) -> None:
    world = World()
    world.submit_run()
    world.finish()
    Log(database).append(world.entries)
    which = "execution = 'r0001.train1' AND key = 'rate'"
    assert one(database, "value_num", "param", which) == (0.25,)


def test_inputs_deep_inside_a_list(database: Database) -> None:
    binding = Many((Constant(1), Many((Stored(output("a")), Stored(output("b"))))))
    call = StepCall(file="f.py", function="f", arguments={"all": binding})
    spec = JobSpec(name="a", user="ada", queue="lab", program=Program(call=call))
    fold_all(database, ev.JobSubmitted(job="r1.a", spec=spec))
    assert look(database, "SELECT key FROM artifact_use ORDER BY key") == [
        ("all[1][0]",),
        ("all[1][1]",),
    ]


def test_only_rank_0_that_ended_well_leaves_something(database: Database) -> None:
    world = World()
    job = world.submit_job(workers=2)
    world.ready(job)
    fence = world.state.attempts[job].fence
    report = Report(output=output("half"), params={"a": 1})
    bad = Exit(at_ms=1, code=1, report=report)
    world.say(ev.WorkerExited(job=job, fence=fence, rank=0, exit=bad))
    world.say(
        ev.WorkerExited(job=job, fence=fence, rank=1, exit=Exit(at_ms=1, code=0, report=report))
    )
    Log(database).append(world.entries)
    for table in ("artifact", "artifact_use", "param"):
        assert one(database, "count(*)", table) == (0,)


def test_the_first_that_makes_an_artifact_is_its_producer(database: Database) -> None:
    same = output("same")

    def ended(execution: str, phase: ExecutionPhase) -> ev.ExecutionEnded:
        return ev.ExecutionEnded(execution=execution, phase=phase, output=same, cache_key="k")

    fold_all(database, ended("r1.a", ExecutionPhase.CACHED))
    assert one(database, "producer", "artifact") == (None,)
    fold_all(database, ended("r2.a", ExecutionPhase.SUCCEEDED))
    fold_all(database, ended("r3.a", ExecutionPhase.SUCCEEDED))
    assert one(database, "producer, created_at_ms", "artifact") == ("r2.a", DAWN_MS + 1)
    gave = look(database, "SELECT execution FROM artifact_use WHERE role = 'output' ORDER BY 1")
    assert gave == [("r1.a",), ("r2.a",), ("r3.a",)]


def test_a_worker_that_ends_well_says_what_it_used(database: Database) -> None:
    world = World()
    job = world.submit_job()
    world.ready(job)
    world.end(job, good_exit(world.now_ms + 5, job))
    Log(database).append(world.entries)
    columns = "code, signal, lost, memory_peak_bytes, cpu_ms, pid, ended_at_ms, error"
    assert one(database, columns, "worker") == (
        *(0, None, None, 1 << 30, 1_500, 100, world.now_ms + 5 - 7, None),
    )


@pytest.mark.parametrize("phase", list(JobPhase))
def test_the_index_of_open_jobs_knows_every_phase(phase: JobPhase, database: Database) -> None:
    which = "phase IN ('queued', 'running', 'evicting')"
    [(open_,)] = look(database, f"SELECT {which} FROM (SELECT ? AS phase)", (phase.value,))
    assert bool(open_) is not phase.final
