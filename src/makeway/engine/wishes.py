"""Refuse, or believe, what people ask of a job that is there: to hold it, let it go, resize, retry.

Whether somebody may ask is looked at before. Here is what cannot be done whoever asks, each with a
sentence that says why; what is refused changes nothing.

Holds:   a job that is held keeps its place in line · a resize that could never run is refused and
         not carried out · whoever runs has at least as many workers as the new bounds ask for
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from msgspec.structs import replace

from makeway.engine import dependencies, waiting
from makeway.engine.attempts import staying, within
from makeway.engine.dependencies import pending_wait
from makeway.engine.orders import shrink, stop
from makeway.engine.state import State
from makeway.model import event as ev
from makeway.model.job import Attempt, Job, JobSpec, OnHopeless, WorkerGroup
from makeway.model.phase import AttemptPhase
from makeway.model.wait import Wait
from makeway.policy.explain import held
from makeway.policy.ledger import Ledger
from makeway.policy.limits import barrier
from makeway.policy.never import limit_never, never
from makeway.policy.place import needed
from makeway.policy.say import count_of, listed
from makeway.policy.snapshot import Kind, Snapshot, kind_of
from makeway.policy.terms import terms_of

GONE = "no such job, or it has ended"
Asked = ev.JobHoldRequested | ev.JobReleaseRequested | ev.JobRetryRequested | ev.JobKeepRequested

# ── what is refused ───────────────────────────────────────────────────────────────────────────────


def refusal(state: State, event: Asked) -> str | None:
    """Say why a job cannot be held, released or retried, or None if it can."""
    job = state.jobs.get(event.job)
    if job is None:
        return GONE
    match event:
        case ev.JobKeepRequested() if kept(job.spec) == job.spec:
            return "it is kept already"
        case ev.JobHoldRequested() if job.id in state.attempts:
            return "it is running; only a job that waits can be held (cancel it to stop it)"
        case ev.JobHoldRequested() if job.held is not None:
            return "it is held already"
        case ev.JobHoldRequested() if job.id in state.refused:
            return "its queue does not take it"
        case ev.JobReleaseRequested() if job.held is None:
            return "it is not held"
        case ev.JobRetryRequested() if job.id in state.attempts:
            leaving = state.attempts[job.id].phase is AttemptPhase.STOPPING
            return "it is leaving already" if leaving else None
        case ev.JobRetryRequested() if job.held is not None:
            return "it is held; release it first"
        case ev.JobRetryRequested() if job.awaits:
            return f"its data are gone, and {listed(job.awaits)} makes them again first"
        case ev.JobRetryRequested() if job.id not in state.paused:
            return "it does not wait for its next attempt"
        case _:
            return None


def resize_refusal(state: State, event: ev.JobResizeRequested) -> str | None:
    """Say why the number of workers of a job cannot be changed so, or None if it can."""
    job = state.jobs.get(event.job)
    if job is None:
        return GONE
    if job.cancel_wanted:
        return "it is being cancelled"
    wrong = _wrong_bounds(job.spec.groups, event)
    if wrong is not None:
        return wrong
    spec, attempt = resized(job.spec, event), state.attempts.get(job.id)
    if spec == job.spec:
        return "it has these bounds already"
    if spec.workers_min < 1:
        return "a job starts with at least 1 worker"
    if attempt is not None:
        return _running_refusal(job, attempt, spec)
    wait = _never(kind_of(replace(job, spec=spec)), state)
    return None if wait is None else f"so it could never run: {wait.text}"


def _wrong_bounds(groups: tuple[WorkerGroup, ...], event: ev.JobResizeRequested) -> str | None:
    names = [group.name for group in groups]
    if event.group is None and len(names) > 1:
        return f"it has several groups ({listed(names)}): name one"
    if event.group is not None and event.group not in names:
        return f"it has no group {event.group}; there is {listed(names)}"
    if event.count_min < 0:
        return f"nobody starts with {event.count_min} workers"
    if event.count_max < 1:
        return f"at most {count_of(event.count_max, 'worker')} is none"
    if event.count_max < event.count_min:
        most, least = count_of(event.count_max, "worker"), count_of(event.count_min, "worker")
        return f"at most {most} is less than at least {least}"
    return None


def _running_refusal(job: Job, attempt: Attempt, spec: JobSpec) -> str | None:
    if not job.spec.elastic:
        has = f"it runs with a fixed number of workers ({staying(attempt).workers})"
        return f"{has}; only an elastic job can be resized while it runs"
    present = Counter(
        group for row in staying(attempt).placements for group in [row.group] * row.count
    )
    kept = Counter(
        group for row in within(attempt, spec).placements for group in [row.group] * row.count
    )
    for group in spec.groups:
        if present[group.name] < group.count_min:
            has = count_of(present[group.name], "worker")
            return f"it runs with {has}, fewer than the new minimum of {group.count_min}"
        if kept[group.name] < group.count_min:
            return (
                f"workers leave from the end alone, and group {group.name} would be left with "
                f"{kept[group.name]} of {group.count_min}"
            )
    return None


def _never(kind: Kind, state: State) -> Wait | None:
    """Explain a job that no machine could ever hold, or that a queue alone would not let start."""
    snapshot = Snapshot(
        basis=state.seq, now_ms=0, rules=state.rules, nodes=state.nodes, lost=state.lost,
        draining=state.draining, free=state.free, queues=state.queues, running=state.running,
        rooms=state.rooms,
    )  # fmt: skip
    ledger = Ledger(snapshot)
    found = barrier(kind, needed(kind.groups), ledger, terms_of(snapshot, ledger.capacity))
    if found is not None and found.never:
        return limit_never(kind, found)
    return never(kind, snapshot)


def resized(spec: JobSpec, event: ev.JobResizeRequested) -> JobSpec:
    """Give what a job asks for when a group of it has these bounds."""
    groups = tuple(
        replace(group, count_min=event.count_min, count_max=event.count_max)
        if event.group in (None, group.name)
        else group
        for group in spec.groups
    )
    return replace(spec, groups=groups)


# ── what is believed ──────────────────────────────────────────────────────────────────────────────


def _held(state: State, event: ev.JobHoldRequested, _at_ms: int) -> None:
    job = state.jobs[event.job] = replace(state.jobs[event.job], held=event.text)
    if job.id in state.waiting:
        waiting.hold(state, job)
        _keep_nothing(state, job.id)
    state.changed = True


def _let_go(state: State, event: ev.JobReleaseRequested, at_ms: int) -> None:
    job = state.jobs[event.job] = replace(state.jobs[event.job], held=None)
    if job.id in state.waiting:
        waiting.resume(state, job, at_ms)
    state.changed = True


def _retried(state: State, event: ev.JobRetryRequested, at_ms: int) -> None:
    if event.job not in state.paused:
        return  # it runs, and what follows is a fact of its own; or its pause is over just now
    # Whoever wants it at once does not wait for its data either.
    job = state.jobs[event.job] = replace(state.jobs[event.job], not_before_ms=at_ms, lacks=())
    waiting.resume(state, job, at_ms)
    state.changed = True


def _asked(_state: State, _event: ev.Event, _at_ms: int) -> None:
    """Change nothing yet: what follows from it is a fact of its own."""


def _changed(state: State, event: ev.JobChanged, at_ms: int) -> None:
    job = replace(state.jobs[event.job], spec=event.spec)
    dependencies.put(state, job, at_ms)
    if job.id in state.waiting:
        _keep_nothing(state, job.id)
        state.untold[job.id] = None
    elif job.id in state.running:
        if job.spec.elastic:
            state.elastic.add(job.id)
        else:
            state.elastic.discard(job.id)
    state.changed = True


def _keep_nothing(state: State, job: str) -> None:
    """Keep no slots for a job, and no place at the head of the line for room."""
    state.reserved.pop(job, None)
    state.planned.pop(job, None)


# ── what follows ──────────────────────────────────────────────────────────────────────────────────


def _hold_follows(state: State, event: ev.JobHoldRequested, _at_ms: int) -> Iterator[ev.Event]:
    yield ev.JobWaiting(job=event.job, wait=held(state.jobs[event.job]))


def _release_follows(
    state: State, event: ev.JobReleaseRequested, _at_ms: int
) -> Iterator[ev.Event]:
    if event.job in state.pending:
        yield ev.JobWaiting(job=event.job, wait=pending_wait(state, state.jobs[event.job].spec))


def kept(spec: JobSpec) -> JobSpec:
    """Give what a job asks for once somebody has said that it is worth it, with its old priority."""
    priority = spec.priority if spec.yielded_from is None else spec.yielded_from
    return replace(spec, on_hopeless=OnHopeless.FLAG, priority=priority, yielded_from=None)


def _keep_follows(state: State, event: ev.JobKeepRequested, _at_ms: int) -> Iterator[ev.Event]:
    yield ev.JobChanged(job=event.job, spec=kept(state.jobs[event.job].spec))


def _retry_follows(state: State, event: ev.JobRetryRequested, _at_ms: int) -> Iterator[ev.Event]:
    attempt = state.attempts.get(event.job)
    if attempt is not None and attempt.phase is not AttemptPhase.STOPPING:
        yield stop(state, attempt, "restarted", event.text)


def _resize_follows(state: State, event: ev.JobResizeRequested, _at_ms: int) -> Iterator[ev.Event]:
    yield ev.JobChanged(job=event.job, spec=resized(state.jobs[event.job].spec, event))


def _change_follows(state: State, event: ev.JobChanged, _at_ms: int) -> Iterator[ev.Event]:
    attempt = state.attempts.get(event.job)
    if attempt is None or attempt.phase is AttemptPhase.STOPPING:
        return
    after = within(attempt, event.spec)
    if after.workers < staying(attempt).workers:
        yield shrink(state, attempt, after, "resize")


RULES: dict[type, Callable[[State, Any, int], Iterator[ev.Event]]] = {
    ev.JobHoldRequested: _hold_follows,
    ev.JobReleaseRequested: _release_follows,
    ev.JobRetryRequested: _retry_follows,
    ev.JobKeepRequested: _keep_follows,
    ev.JobResizeRequested: _resize_follows,
    ev.JobChanged: _change_follows,
}

# Any: each handler takes the one type that it is filed under, which a dict cannot express.
HANDLERS: dict[type, Callable[[State, Any, int], None]] = {
    ev.JobHoldRequested: _held,
    ev.JobReleaseRequested: _let_go,
    ev.JobRetryRequested: _retried,
    ev.JobKeepRequested: _asked,
    ev.JobResizeRequested: _asked,
    ev.JobChanged: _changed,
}
