"""Judge an attempt that has ended, and carry out what is decided about it.

Which cause it has and what is done about it is for the rules of `health`, the same for an attempt of
this house as for any incident that somebody describes. Here stands what follows for the job: more
memory for its workers, machines that it avoids, a lower place, data that it waits for.

Takes:   the state, an attempt all of whose workers have exited
Gives:   AttemptEnded with diagnosis and decision, then what follows from it
Cost:    some 0.3 ms for a failure of which nothing was seen; nothing to speak of for a good end
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from makeway.engine.incident import exit_of, incident_of, past_of
from makeway.engine.remake import RERUN, begun, refused
from makeway.engine.state import State
from makeway.engine.worth import yielding
from makeway.health.causes import MEANING
from makeway.health.judge import judge
from makeway.health.ruled import decide
from makeway.model import event as ev
from makeway.model.job import Attempt, JobSpec
from makeway.model.phase import JobPhase
from makeway.model.record import Cause, CauseClass, Decision, Diagnosis
from makeway.model.resources import MEMORY, Resources

WELL = Diagnosis(
    cause=Cause.NONE,
    cause_class=CauseClass.NONE,
    confidence="established",
    text=MEANING[Cause.NONE],
)


def ended(state: State, attempt: Attempt) -> ev.AttemptEnded:
    """Judge an attempt."""
    ends = [exit_of(worker) for worker in attempt.workers]
    known = ev.AttemptEnded(
        job=attempt.job,
        number=attempt.number,
        fence=attempt.fence,
        diagnosis=WELL,
        started=any(end.started for end in ends),
        report=ends[0].report,
    )
    if attempt.released_at_ms is not None and all(end.started and end.good for end in ends):
        return known
    incident = incident_of(state, attempt)
    judgement = judge(incident, state.failures.patterns)
    diagnosis = judgement.diagnosis
    return ev.AttemptEnded(
        job=known.job,
        number=known.number,
        fence=known.fence,
        diagnosis=diagnosis,
        started=known.started,
        report=known.report,
        past=past_of(incident, attempt, diagnosis),
        decision=decide(judgement, state.failures.rules),
    )


def again(state: State, event: ev.AttemptEnded, at_ms: int) -> Iterator[ev.Event]:
    """Carry out what was decided about a failure."""
    job, decision = event.job, event.decision
    assert decision is not None, "a failure is decided about where it is judged"
    if decision.action == RERUN and (why := refused(state, job, decision.rerun)):
        decision = _left_to_others(decision, why)
    if decision.action == "stop":
        yield ev.JobFinished(job=job, phase=JobPhase.FAILED, text=decision.text, decision=decision)
        return
    yield ev.JobRequeued(job=job, not_before_ms=at_ms + decision.after_ms, decision=decision)
    before = state.jobs[job].spec
    spec = _mutated(state, before, event, decision)
    if spec != before:
        yield ev.JobChanged(job=job, spec=spec)
    if decision.action == RERUN:
        yield from begun(state, job, decision.rerun)


def _left_to_others(decision: Decision, hint: str) -> Decision:
    return replace(
        decision,
        action="stop",
        hint=hint,
        text=f"{decision.text}; {hint}",
        ledger_after=decision.ledger_before,
    )


def _mutated(state: State, spec: JobSpec, event: ev.AttemptEnded, decision: Decision) -> JobSpec:
    """Give what the next attempts ask for."""
    if decision.memory_bytes is not None:
        had = 0 if event.past is None else event.past.memory_bytes or 0
        groups = tuple(
            replace(group, per_worker=_with_memory(group.per_worker, decision.memory_bytes))
            if group.per_worker[MEMORY] == had
            else group
            for group in spec.groups
        )
        spec = replace(spec, groups=groups)
    if decision.sample_interval_ms is not None:
        spec = replace(spec, sample_ms=decision.sample_interval_ms)
    if decision.action == "yield":
        spec = yielding(state, spec)
    return spec


def _with_memory(asked: Resources, memory_bytes: int) -> Resources:
    return Resources.of({**asked.amounts, MEMORY: memory_bytes})
