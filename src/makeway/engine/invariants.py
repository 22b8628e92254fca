"""State what must always hold, of a state between two steps and of a log as a whole.

The engine keeps sums beside its records and records beside each other, so that a decision costs
what has changed. Here everything is counted again, the slow and plain way. Tests and simulations
ask after every step; a violation is a bug of ours, never something that the world can bring about.

Takes:   state     between two steps (within one, half of a change may be believed)
         now_ms    the instant of the step before, if it is known: then timers are checked too
         entries   a log from its first entry on
Raises:  AssertionError with a sentence that names what is wrong
Cost:    O(all that is believed), O(entries)
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from makeway.engine.recount import check_sums
from makeway.engine.remake import awaited
from makeway.engine.state import State
from makeway.model import event as ev
from makeway.model.job import Attempt, Job
from makeway.model.phase import AttemptPhase, ExecutionPhase, JobPhase
from makeway.model.workflow import Execution, execution_id, latest, step_key

ACTIVE = (JobPhase.RUNNING, JobPhase.EVICTING)


def check(state: State, now_ms: int | None = None) -> None:
    """Raise if anything that is believed contradicts anything else."""
    _check_jobs(state)
    for attempt in state.attempts.values():
        _check_attempt(state, attempt)
    check_sums(state)
    _check_runs(state)
    _check_timers(state, now_ms)


# ── jobs and their attempts ───────────────────────────────────────────────────────────────────────


def _check_jobs(state: State) -> None:
    active = {job.id: job for job in state.jobs.values() if job.phase in ACTIVE}
    assert state.attempts.keys() == active.keys(), (
        f"alive are attempts of {[*state.attempts]}, and jobs {[*active]}"
    )
    assert state.running.keys() == active.keys(), "other jobs hold room than run"
    for name, job in state.jobs.items():
        assert name == job.id, f"{job.id} is filed under {name}"
        assert not job.phase.final, f"{job.id} {job.phase.value} and is still here"
        assert job.attempts <= job.fence, f"{job.id} has fewer fences than attempts"
        waits = job.phase is JobPhase.QUEUED
        assert not (waits and job.cancel_wanted), f"{name} waits although it is to be cancelled"
    orders = {job.order for job in state.jobs.values()}
    assert len(orders) == len(state.jobs), "two jobs have one place in the order of submission"
    assert max(orders, default=0) <= state.order, "a job has a place that was never given"


def _check_attempt(state: State, attempt: Attempt) -> None:
    job, running, name = state.jobs[attempt.job], state.running[attempt.job], attempt.id
    assert running.job == job, f"{job.id} runs as something else than it is believed to be"
    assert running.allocation == attempt.allocation, f"{name} holds something else than it has"
    assert attempt.fence == job.fence, f"{name} has fence {attempt.fence}, its job {job.fence}"
    assert attempt.number == job.attempts, f"{name} is attempt {job.attempts} of its job"
    placed = [row.node for _, row, _ in attempt.allocation.ranks()]
    workers = [worker.node for worker in attempt.workers]
    assert workers == placed, f"{name} has workers {workers}, allocated are {placed}"
    _check_ranks(attempt, job)
    assert any(w.exit is None for w in attempt.workers), f"{name} has no worker and has not ended"
    stopping = attempt.phase is AttemptPhase.STOPPING
    stay = [worker for worker in attempt.workers if not worker.leaving]
    assert stopping == (attempt.stop_cause is not None), f"{name} stops without a cause"
    assert stopping == (job.phase is JobPhase.EVICTING), f"{name} and its job differ on stopping"
    released, ready = attempt.released_at_ms is not None, all(w.ready for w in stay)
    if not stopping:
        assert released == (attempt.phase is AttemptPhase.RUNNING), f"{name} was let go and is not"
        assert released == ready, f"{name} stands at the barrier although all are ready"
    assert ready or not released, f"{name} was let go before all were ready"


def _check_ranks(attempt: Attempt, job: Job) -> None:
    """Those that stay have the first ranks, and are no fewer than the gang needs."""
    stay = [worker.rank for worker in attempt.workers if not worker.leaving]
    leave = [worker for worker in attempt.workers if worker.leaving]
    ranks = [worker.rank for worker in attempt.workers]
    name = attempt.id
    assert stay == [*range(len(stay))], f"{name} goes on with ranks {stay}"
    assert ranks == sorted(set(ranks)), f"{name} has ranks {ranks}"
    assert all(worker.exit is None for worker in leave), f"{name} keeps workers that have left"
    enough = len(stay) >= job.spec.workers_min
    stopping = attempt.phase is AttemptPhase.STOPPING
    assert enough or stopping, f"{name} goes on with {len(stay)} of {job.spec.workers_min} workers"


# ── runs and timers ───────────────────────────────────────────────────────────────────────────────


def _check_runs(state: State) -> None:
    assert state.executions.keys() == state.runs.keys(), "executions of runs that are not there"
    for run in state.runs.values():
        assert not run.phase.final, f"run {run.id} {run.phase.value} and is still here"
        executions = state.executions[run.id]
        steps = [execution_id(run.id, step.key) for step in run.workflow.steps]
        assert [*executions][: len(steps)] == steps, f"run {run.id} has other executions than steps"
        newest = [one.id for one in latest(executions).values()]
        assert len(newest) == len(steps), f"run {run.id} does again what it never did"
        assert not all(execution.phase.final for execution in executions.values()), (
            f"run {run.id} is over and has not ended"
        )
        open_ones = [
            step_key(one.key) for one in executions.values() if one.remakes and not one.phase.final
        ]
        assert len(open_ones) == len({*open_ones}), f"run {run.id} makes one output twice at once"
        for execution in executions.values():
            _check_execution(state, execution, state.jobs.get(execution.id))
    for job in state.jobs.values():
        if job.spec.run is not None:
            assert state.execution(job.id) is not None, f"{job.id} belongs to a run that has ended"


def _check_execution(state: State, execution: Execution, job: Job | None) -> None:
    name, phase = execution.id, execution.phase
    awaits = () if job is None else job.awaits
    assert execution.awaits == awaits, f"{name} awaits {execution.awaits}, its job {awaits}"
    if awaits:
        open_ones = [one for one in awaited(state, execution) if not one.phase.final]
        assert open_ones, f"{name} waits for what is made already"
        assert name in state.paused, f"{name} may start although its data are gone"
    if job is None:
        assert phase.final or phase is ExecutionPhase.PENDING, f"{name} {phase.value} has no job"
        return
    attempt = state.attempts.get(job.id)
    if attempt is None:
        expected = {ExecutionPhase.QUEUED, ExecutionPhase.BACKOFF}
    elif attempt.released_at_ms is None:
        expected = {ExecutionPhase.STARTING}
    else:
        expected = {ExecutionPhase.RUNNING}
    assert phase in expected, f"{name} is {phase.value}, its job {job.phase.value}"


def _check_timers(state: State, now_ms: int | None) -> None:
    timers = set(state.timers)
    for attempt in state.attempts.values():
        if attempt.phase is AttemptPhase.PREPARING:
            assert (attempt.barrier_at_ms, attempt.job) in timers, f"{attempt.id} waits for ever"
        limit_at_ms = state.limit_at_ms(attempt)
        if limit_at_ms is not None:
            assert (limit_at_ms, attempt.job) in timers, f"nobody ends the time of {attempt.id}"
    if now_ms is None:
        return
    for job in state.waiting.values():
        assert job.not_before_ms <= now_ms or (job.not_before_ms, job.id) in timers, (
            f"nobody wakes {job.id} after its backoff"
        )
    wake_at_ms = state.next_timer_ms()
    assert wake_at_ms is None or wake_at_ms > now_ms, "something is due and was not done"


# ── the log ───────────────────────────────────────────────────────────────────────────────────────


class _Life(msgspec.Struct):
    """What the log has told of one job so far."""

    attempts: int = 0
    fence: int = 0
    alive: bool = False
    released: bool = False
    final: bool = False


def check_entries(entries: Iterable[ev.Entry]) -> None:
    """Raise if the log has gaps, effects before causes, or tells an impossible life of a job."""
    lives: dict[str, _Life] = {}
    runs: dict[str, bool] = {}  # whether it has finished
    seq, at_ms = 0, 0
    for entry in entries:
        where = f"entry {entry.seq} ({type(entry.event).__name__})"
        assert entry.seq == seq + 1, f"{where} follows entry {seq}"
        assert 0 <= entry.cause < entry.seq, f"{where} has the later entry {entry.cause} as cause"
        assert entry.at_ms >= at_ms, f"{where} lies before the entry that it follows"
        seq, at_ms = entry.seq, entry.at_ms
        match entry.event:
            case ev.JobSubmitted(job=job):
                assert job not in lives, f"{where}: {job} was submitted before"
                lives[job] = _Life()
            case ev.RunSubmitted(run=run):
                assert run not in runs, f"{where}: {run} was submitted before"
                runs[run] = False
            case ev.RunFinished(run=run):
                assert not runs[run], f"{where}: {run} has finished before"
                runs[run] = True
            case ev.StepOverridden(job=job, was=was, run=ended):
                if was is not None:
                    assert lives[job].final, f"{where}: {job} has not finished"
                    lives[job].final = False
                if ended is not None:
                    assert runs[ended.id], f"{where}: {ended.id} has not finished"
                    runs[ended.id] = False
            case _:
                about = getattr(entry.event, "job", None)
                if isinstance(about, str):
                    assert about in lives, f"{where}: nobody has submitted {about}"
                    assert not lives[about].final, f"{where}: {about} has finished before"
                    _live_on(lives[about], entry.event, where)


def _live_on(life: _Life, event: ev.Event, where: str) -> None:
    match event:
        case ev.AttemptStarted(number=number, fence=fence):
            assert not life.alive, f"{where}: two attempts are alive at once"
            assert number == life.attempts + 1, f"{where}: attempt {number} after {life.attempts}"
            assert fence > life.fence, f"{where}: fence {fence} after {life.fence}"
            life.attempts, life.fence, life.alive, life.released = number, fence, True, False
        case ev.AttemptAdopted():
            assert not life.attempts, f"{where}: it was started before"
            life.attempts, life.fence, life.alive, life.released = 1, 1, True, True
        case ev.AttemptReleased(fence=fence):
            assert (life.alive, life.fence) == (True, fence), f"{where}: not the living attempt"
            assert not life.released, f"{where}: let go twice"
            life.released = True
        case ev.WorkerReady(fence=fence) | ev.WorkerStarted(fence=fence):
            assert (life.alive, life.fence) == (True, fence), f"{where}: not the living attempt"
        case (
            ev.WorkerExited(fence=fence)
            | ev.AttemptStopped(fence=fence)
            | ev.AttemptResized(fence=fence)
            | ev.AttemptJudged(fence=fence)
        ):
            assert (life.alive, life.fence) == (True, fence), f"{where}: not the living attempt"
        case ev.AttemptEnded(fence=fence):
            assert (life.alive, life.fence) == (True, fence), f"{where}: not the living attempt"
            life.alive = False
        case ev.JobRequeued() | ev.JobFinished():
            assert not life.alive, f"{where}: an attempt is still alive"
            life.final = isinstance(event, ev.JobFinished)
        case _:
            pass
