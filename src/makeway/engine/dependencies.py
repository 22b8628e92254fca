"""Hold jobs back until others have ended as they should, and lend those the class of who waits.

A dependency names a job and which end of it is meant; it is *met*, *broken* (the job ended
otherwise: it can never be met), or still open, also if nobody has heard of that job yet. A job that
many wait for has the highest class among them, as far as its own queue allows, so that no urgent
job waits behind what is less urgent than itself (priority inheritance).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from msgspec.structs import replace

from makeway.engine import holding, waiting
from makeway.engine.state import State
from makeway.model.cluster import lineage_of
from makeway.model.job import After, Job, JobSpec, On
from makeway.model.phase import JobPhase
from makeway.model.record import Symptom
from makeway.model.wait import Reason, Wait

MEANT = {
    On.SUCCEEDED: (JobPhase.SUCCEEDED,),
    On.FAILED: (JobPhase.FAILED, JobPhase.CANCELLED),
    On.ENDED: (JobPhase.SUCCEEDED, JobPhase.FAILED, JobPhase.CANCELLED),
}
TO = {On.SUCCEEDED: "succeed", On.FAILED: "fail", On.ENDED: "end"}
DID = {JobPhase.SUCCEEDED: "succeeded", JobPhase.FAILED: "failed",
       JobPhase.CANCELLED: "was cancelled"}  # fmt: skip


def still_open(state: State, spec: JobSpec) -> list[After]:
    """Give the dependencies whose job has not ended."""
    return [after for after in spec.after if after.job not in state.ended]


def broken(state: State, spec: JobSpec) -> list[After]:
    """Give the dependencies that can never be met any more."""
    return [
        after
        for after in spec.after
        if after.job in state.ended and state.ended[after.job] not in MEANT[after.on]
    ]


def holds_back(state: State, spec: JobSpec) -> bool:
    """Say whether a job with these dependencies may not start yet, or never."""
    return bool(spec.after) and bool(still_open(state, spec) or broken(state, spec))


def hold_back(state: State, job: Job) -> None:
    """Keep a job until all that it waits for has ended."""
    state.pending[job.id] = None
    for after in job.spec.after:
        state.dependents.setdefault(after.job, {})[job.id] = None
    inherit(state, _parents(job))


def let_go(state: State, job: Job) -> None:
    """Keep a job no longer, whatever becomes of it."""
    del state.pending[job.id]
    for name in _parents(job):
        of_parent = state.dependents[name]
        of_parent.pop(job.id, None)
        if not of_parent:
            del state.dependents[name]
    inherit(state, _parents(job))


def inherit(state: State, names: Iterable[str]) -> None:
    """Give these jobs, and all that they wait for in turn, the class of who waits for them."""
    pending = deque(names)
    while pending:
        job = state.jobs.get(pending.popleft())
        if job is None:
            continue
        inherited = inherited_by(state, job)
        if inherited != job.inherited:
            put(state, replace(job, inherited=inherited))
            if job.id in state.pending:
                pending.extend(_parents(job))


def inherited_by(state: State, job: Job) -> int | None:
    """Count the class that a job has from those that wait for it; None if its own is as high."""
    classes = [state.jobs[name].priority for name in state.dependents.get(job.id, ())]
    if not classes:
        return None
    above = (state.queues[path].max_class for path in lineage_of(job.spec.queue))
    highest = min([max(classes), *(most for most in above if most is not None)])
    return highest if highest > job.spec.priority else None


def put(state: State, job: Job, at_ms: int = 0) -> None:
    """Believe something else of a job, wherever it stands; `at_ms` counts if its class changes."""
    state.jobs[job.id] = job
    if job.id in state.waiting:
        waiting.exchange(state, job)
    elif job.id in state.running:
        holding.exchange(state, job, at_ms)


def circle(state: State, name: str, spec: JobSpec) -> list[str] | None:
    """Find a way along dependencies from a job that is new back to itself."""
    came_from: dict[str, str] = {}
    todo = [(after.job, name) for after in reversed(spec.after)]
    while todo:
        at, before = todo.pop()
        if at in came_from:
            continue
        came_from[at] = before
        if at == name:
            way = [at]
            while (at := came_from[at]) != name:
                way.append(at)
            return [name, *reversed(way)]
        if at in state.pending:
            todo.extend((after.job, at) for after in reversed(state.jobs[at].spec.after))
    return None


def behind(state: State, name: str) -> list[str]:
    """Name all jobs that wait for this one, and those that wait for them, the nearest first."""
    found: dict[str, None] = {}
    todo = deque(state.dependents.get(name, ()))
    while todo:
        job = todo.popleft()
        if job not in found:
            found[job] = None
            todo.extend(state.dependents.get(job, ()))
    return [*found]


def pending_wait(state: State, spec: JobSpec) -> Wait:
    """Explain a job that is held until others have ended; at the end of a chain somebody is stuck."""
    awaited = still_open(state, spec)
    text = "waits for " + ", ".join(f"{after.job} to {TO[after.on]}" for after in awaited)
    names = tuple(dict.fromkeys(after.job for after in awaited))
    wait = Wait(reason=Reason.DEPENDENCY_PENDING, text=text, blocked_by=names)
    return with_symptoms(state, wait)


def with_symptoms(state: State, wait: Wait) -> Wait:
    """Add to a wait who is stuck among those that it names, and among those that they wait for."""
    text, detail = wait.text, dict(wait.detail)
    stuck = _stuck(state, wait.blocked_by)
    if not stuck:
        return wait
    for name, symptom in stuck:
        text += f"; {name} is {symptom.name}: {symptom.text}"
        detail[name] = {
            "symptom": symptom.name,
            "since_ms": symptom.since_ms,
            "evidence": [one.text for one in symptom.evidence],
        }
    return replace(wait, text=text, detail=detail)


def _stuck(state: State, names: Iterable[str]) -> list[tuple[str, Symptom]]:
    """Find who is stuck among these jobs and those that they wait for in turn."""
    found, seen, todo = [], set[str](), deque(names)
    while todo:
        name = todo.popleft()
        if name in seen:
            continue
        seen.add(name)
        attempt = state.attempts.get(name)
        if attempt is not None and attempt.symptom is not None:
            found.append((name, attempt.symptom))
        elif name in state.pending:
            todo.extend(after.job for after in still_open(state, state.jobs[name].spec))
    return found


def broken_wait(state: State, spec: JobSpec) -> Wait:
    """Explain a job that was held and is now cancelled for it."""
    name = broken(state, spec)[0].job
    text = f"dependency never satisfied: {name} {DID[state.ended[name]]}"
    return Wait(reason=Reason.DEPENDENCY_PENDING, text=text, blocked_by=(name,))


def _parents(job: Job) -> list[str]:
    return [*dict.fromkeys(after.job for after in job.spec.after)]
