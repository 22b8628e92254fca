"""What is shown of runs, steps and jobs."""

from __future__ import annotations

import math

import msgspec
import pytest

from makeway.errors import InvalidInput, NotFound
from makeway.model import event as ev
from makeway.model.cluster import Placement
from makeway.model.phase import AttemptPhase, ExecutionPhase, JobPhase, RunPhase
from makeway.model.record import Cause, Exit, Sample
from makeway.model.wait import Reason
from makeway.model.workflow import Step, Workflow
from makeway.store import read, resolve
from makeway.store.database import Database, Location
from makeway.store.log import Log
from makeway.store.rows import JobFilter
from makeway.store.series_writer import SeriesWriter
from tests.store.world import DAWN_MS, World, bad_exit, good_exit, output, spec


class Kept(World):
    """A world whose every batch is stored."""

    def __init__(self, database: Database) -> None:
        self.log = Log(database)
        super().__init__()
        for batch in self.batches:
            self.log.append(batch)

    def say(self, *events: ev.Event) -> tuple[ev.Entry, ...]:
        batch = tuple(super().say(*events))
        if len(self.batches) > 1:  # what the first says, the constructor stores
            self.log.append(batch)
        return batch


@pytest.fixture
def world(database: Database) -> Kept:
    return Kept(database)


def submit(database: Database, run: str, *keys: str) -> None:
    """Log a run by this id, whatever the engine would say about it."""
    steps = tuple(Step(key=key) for key in keys or ("train",))
    event = ev.RunSubmitted(
        run=run, workflow=Workflow(name="w", file="f.py", steps=steps), user="ada", queue="lab"
    )
    log = Log(database)
    seq = log.last() + 1
    log.append([ev.Entry(seq=seq, at_ms=DAWN_MS + seq, cause=0, event=event)])


# ── an empty store ────────────────────────────────────────────────────────────────────────────────


def test_nothing_is_there_yet(database: Database) -> None:
    assert read.list_runs(database) == []
    assert read.list_jobs(database) == []
    assert read.list_executions(database, "r1") == []
    assert read.list_attempts(database, "r1.a") == []
    assert read.reusable_outputs(database, "r1") == []
    assert read.last_samples(database, "r1.a") == []
    for find in (read.get_run, read.get_job, read.get_execution, resolve.resolve_run):
        with pytest.raises(NotFound):
            find(database, "r1")
    with pytest.raises(NotFound, match="no step or job 'r1'") as caught:
        resolve.resolve_execution(database, "r1")
    assert caught.value.hint == ""
    with pytest.raises(NotFound, match="no run yet") as caught:
        resolve.resolve_run(database, "@last")
    assert "makeway run" in caught.value.hint


# ── runs and their steps ──────────────────────────────────────────────────────────────────────────


def test_a_run_counts_its_steps(database: Database, world: Kept) -> None:
    run = world.submit_run()
    [row] = read.list_runs(database)
    assert (row.id, row.workflow, row.user, row.queue) == (run, "demo", "ada", "lab/vision")
    assert (row.phase, row.steps, row.ended, row.good) == (RunPhase.RUNNING, 6, 0, 0)
    world.ready(f"{run}.fetch")
    world.end(f"{run}.fetch")
    [row] = read.list_runs(database)
    assert (row.ended, row.good, row.ended_at_ms) == (1, 1, None)
    world.finish()
    [row] = read.list_runs(database)
    assert (row.phase, row.ended, row.good) == (RunPhase.SUCCEEDED, 6, 6)
    assert row.ended_at_ms == world.now_ms


def test_a_run_with_its_definition(database: Database, world: Kept) -> None:
    run = world.submit_run()
    detail = read.get_run(database, run)
    assert detail.row == read.list_runs(database)[0]
    assert detail.params == {"rate": 0.1}
    assert detail.workflow == world.state.runs[run].workflow


def test_steps_stand_in_the_order_of_the_workflow(database: Database, world: Kept) -> None:
    run = world.submit_run()
    rows = read.list_executions(database, run)
    assert [row.key for row in rows] == ["fetch", "train1", "train2", "train3", "best", "serve"]
    assert [row.position for row in rows] == list(range(6))
    assert rows[4].after == ("train1", "train2", "train3")
    assert rows[5].after == ("best",)
    fetch = rows[0]
    assert (fetch.phase, fetch.attempts) == (ExecutionPhase.STARTING, 1)
    assert fetch.attempt is not None
    assert fetch.attempt.phase is AttemptPhase.PREPARING
    assert (rows[1].phase, rows[1].attempts, rows[1].attempt) == (ExecutionPhase.PENDING, 0, None)


def test_a_step_that_ended_well(database: Database, world: Kept) -> None:
    run = world.submit_run()
    world.finish()
    row = read.get_execution(database, f"{run}.train2")
    assert row.output == output(f"out of {run}.train2")
    assert row.metrics == {"accuracy": 0.9, "loss": math.inf}
    assert row.cache_key
    assert row.started_at_ms is not None
    assert row.ended_at_ms is not None
    assert row.attempt is not None
    assert row.attempt.workers_count == 2
    assert row.attempt.workers == ()  # they are listed with the attempts
    best = read.get_execution(database, f"{run}.best")
    assert best.selection is not None
    assert best.selection.chosen == ("train1", "train2")
    assert (best.attempts, best.cache_key) == (0, "")
    with pytest.raises(NotFound, match="no step"):
        read.get_execution(database, f"{run}.none")


def test_a_step_that_waits_says_why(database: Database, world: Kept) -> None:
    world.say(ev.NodeLost(name="n1"))
    run = world.submit_run()
    row = read.get_execution(database, f"{run}.fetch")
    assert row.phase is ExecutionPhase.QUEUED
    assert row.wait is not None
    assert row.wait.reason is Reason.INSUFFICIENT_FREE
    assert row.wait.detail == {"nodes": 0}


def test_newest_runs_first_and_page_by_page(database: Database) -> None:
    names = [f"r{n:03d}" for n in range(25)]
    for name in names:
        submit(database, name)
    seen: list[str] = []
    before = None
    while page := read.list_runs(database, limit=10, before=before):
        seen += [row.id for row in page]
        before = seen[-1]
    assert seen == names[::-1]
    for limit in (0, 1001):
        with pytest.raises(InvalidInput, match="limit"):
            read.list_runs(database, limit=limit)


def test_a_run_of_a_thousand_steps(database: Database) -> None:
    submit(database, "r1", *(f"s{n}" for n in range(1000)))
    rows = read.list_executions(database, "r1")
    assert [row.key for row in rows[:3]] == ["s0", "s1", "s2"]
    assert read.list_runs(database)[0].steps == len(rows) == 1000


# ── jobs and their attempts ───────────────────────────────────────────────────────────────────────


def test_jobs_are_chosen_by_what_they_are(database: Database, world: Kept) -> None:
    run = world.submit_run()
    first = world.submit_job()
    second = world.submit_job()
    world.say(ev.JobCancelRequested(job=first))
    world.ready(second)

    def listed(**wanted: object) -> list[str]:
        return [row.id for row in read.list_jobs(database, JobFilter(**wanted))]  # type: ignore[arg-type]  # by name

    fetch = f"{run}.fetch"
    assert listed() == [second, first, fetch]
    assert listed(run=run) == [fetch]
    assert listed(phases=(JobPhase.RUNNING,)) == [second, fetch]
    assert listed(phases=(JobPhase.EVICTING, JobPhase.FAILED)) == [first]
    assert listed(queue="lab") == listed(queue="lab/vision") == listed(queue="") == listed()
    assert listed(queue="la") == listed(queue="lab/vis") == listed(queue="lab/vision/ada") == []
    assert listed(user="ada", limit=1) == [second]
    assert listed(user="bob") == []
    assert listed(name="by-hand") == [second, first]
    assert listed(name="by") == []
    assert listed(before=second, limit=1) == [first]
    assert listed(before=fetch) == []


def test_a_job_says_what_was_asked_for(database: Database, world: Kept) -> None:
    job = world.submit_job(workers=3)
    row = read.get_job(database, job)
    assert row.spec == spec(3)
    assert row.run is None
    assert (row.phase, row.attempts, row.wait) == (JobPhase.RUNNING, 1, None)
    assert row.submitted_at_ms == row.started_at_ms == world.now_ms


def test_a_job_says_how_many_workers_it_has(database: Database, world: Kept) -> None:
    job = world.submit_job(workers=3)
    assert (read.get_job(database, job).workers, read.get_job(database, job).held) == (3, False)
    world.finish()
    assert read.get_job(database, job).workers is None


def test_a_refused_job_says_why(database: Database, world: Kept) -> None:
    row = read.get_job(database, world.submit_job(workers=9))
    assert (row.phase, row.text) == (JobPhase.FAILED, "no node is so large")
    assert row.wait is not None
    assert row.wait.reason is Reason.NO_NODE_FITS


def test_attempts_with_their_workers_and_what_was_concluded(
    database: Database, world: Kept
) -> None:
    job = world.submit_job(workers=2)
    world.ready(job)
    fence = world.state.attempts[job].fence
    killed = Exit(at_ms=world.now_ms, signal=9, memory_peak_bytes=5)
    world.say(ev.WorkerExited(job=job, fence=fence, rank=1, exit=killed))
    world.say(ev.WorkerExited(job=job, fence=fence, rank=0, exit=bad_exit(world.now_ms)))
    world.pass_time(60_000)
    first, second = read.list_attempts(database, job)
    assert (first.id, first.phase, first.stop_cause) == (f"{job}/1", AttemptPhase.ENDED, "peer")
    assert first.placements == (Placement("n1", "worker", 2),)
    assert first.diagnosis is not None
    assert first.diagnosis.cause is Cause.KILLED_UNKNOWN
    assert first.diagnosis.rank == 1
    assert first.diagnosis.evidence[0].ref == "workers[1].ended.signal"
    assert first.decision is not None
    assert (first.decision.action, first.decision.ledger) == ("retry", "infra")
    assert [worker.rank for worker in first.workers] == [0, 1]
    assert first.workers[0].error is not None
    assert first.workers[0].error.type == "ConnectionError"
    assert (first.workers[1].signal, first.workers[1].memory_peak_bytes) == (9, 5)
    assert first.workers[1].pid == 101
    assert (second.number, second.phase) == (2, AttemptPhase.PREPARING)
    assert (second.diagnosis, second.decision, second.ended_at_ms) == (None, None, None)
    assert [worker.code for worker in second.workers] == [None, None]


def test_the_last_samples_are_those_of_the_latest_attempt(database: Database) -> None:
    writer = SeriesWriter(database)
    for number, value in ((1, 0.5), (2, 0.25)):
        for name in ("loss", "accuracy"):
            given = [Sample(name=name, at_ms=at, value=value + at, step=at) for at in (1, 2)]
            writer.add("r1.train", number, 0, given)
    writer.flush()
    assert {one.name: one.last for one in read.last_samples(database, "r1.train")} == {
        "accuracy": 2.25,
        "loss": 2.25,
    }


def test_everything_shown_goes_over_the_wire(database: Database, world: Kept) -> None:
    run = world.submit_run()
    world.finish()
    shown = [
        read.list_runs(database),
        read.get_run(database, run),
        read.list_executions(database, run),
        read.list_jobs(database),
        read.list_attempts(database, f"{run}.fetch"),
    ]
    for value in shown:
        assert msgspec.json.encode(value)
    [row] = read.list_runs(database)
    assert msgspec.json.decode(msgspec.json.encode(row), type=type(row)) == row


# ── what a resumed run may take over ──────────────────────────────────────────────────────────────


def test_a_resumed_run_reuses_what_was_good(database: Database, world: Kept) -> None:
    run = world.submit_run()
    world.ready(f"{run}.fetch")
    world.end(f"{run}.fetch")
    for key in ("train1", "train3"):
        job = f"{run}.{key}"
        world.ready(job)
        world.end(job, good_exit(world.now_ms, job, accuracy=math.nan))
    job = f"{run}.train2"
    world.ready(job)
    world.end(job, Exit(at_ms=world.now_ms, code=93))  # never to be tried again
    assert read.get_run(database, run).row.phase is RunPhase.FAILED

    reusable = read.reusable_outputs(database, run)
    assert [one.run for one in reusable] == [run] * 3
    assert reusable[0].output == output(f"out of {run}.fetch")
    assert math.isnan(reusable[1].metrics["accuracy"])

    again = world.submit_run(reusable=tuple(reusable))
    assert read.get_run(database, again).row.resumed_from == run
    phases = {row.key: row.phase for row in read.list_executions(database, again)}
    assert [phases[key] for key in ("fetch", "train1", "train3")] == [ExecutionPhase.CACHED] * 3
    assert phases["train2"] is ExecutionPhase.STARTING
    # What was reused may be reused again.
    assert len(read.reusable_outputs(database, again)) == 3


def test_a_store_that_is_only_read(location: Location) -> None:
    with Database.open(location) as database:
        submit(database, "r1")
    with Database.open(location, read_only=True) as database:
        assert resolve.resolve_execution(database, "@last.train") == "r1.train"
        assert read.get_run(database, "r1").row.steps == 1
