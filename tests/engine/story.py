"""Tell a log in short lines that a person can read, for expectations and for golden logs.

    JobSubmitted a
    AttemptStarted a/1 on n1*2 n2
    WorkerExited a rank 1: code 1
    JobRequeued a at 12345: CONNECTION, infra 1 of 5

A line says what the reader wants to know and not all that the event holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from makeway.model import event as ev
from makeway.model.cluster import Allocation
from makeway.model.effect import (
    Effect,
    LaunchWorkers,
    ReleaseWorkers,
    ResizeWorkers,
    StopWorkers,
)
from makeway.model.record import Decision, Exit


def story(events: Iterable[ev.Event]) -> list[str]:
    """Give one line an event."""
    return [line(event) for event in events]


def numbered(entries: Iterable[ev.Entry]) -> Iterator[str]:
    """Give one line an entry, with its place, its instant in seconds, and its cause."""
    yield "  seq  cause         s  event"
    for entry in entries:
        at_s = entry.at_ms / 1000
        yield f"{entry.seq:5}  {entry.cause:5}  {at_s:8.3f}  {line(entry.event)}"


def line(event: ev.Event) -> str:
    return f"{type(event).__name__} {_about(event)}".rstrip()


def orders(effects: Iterable[Effect]) -> list[str]:
    """Give one line an order."""
    return [_order(effect) for effect in effects]


def _order(effect: Effect) -> str:
    match effect:
        case LaunchWorkers(job=job, number=number, allocation=allocation):
            return f"launch {job}/{number} on {_placed(allocation)}"
        case ReleaseWorkers(job=job, number=number, address=address, port=port):
            return f"release {job}/{number} to meet at {address}:{port}"
        case ResizeWorkers(job=job, number=number, allocation=allocation, grace_ms=grace_ms):
            return f"resize {job}/{number} to {_placed(allocation)} in {grace_ms / 1000:g} s"
        case StopWorkers(job=job, number=number, cause=cause, grace_ms=grace_ms):
            return f"stop {job}/{number} for {cause} in {grace_ms / 1000:g} s"


def _about(event: ev.Event) -> str:
    match event:
        case ev.NodeJoined(node=node):
            return node.name
        case (
            ev.NodeLost(name=name)
            | ev.NodeDrained(name=name)
            | ev.NodeUndrained(name=name)
            | ev.NodeRemoved(name=name)
        ):
            return name
        case ev.QueuesConfigured(queues=queues):
            return " ".join(f"{queue.path}={queue.weight:g}" for queue in queues)
        case ev.RunSubmitted(run=run) | ev.RunCancelRequested(run=run):
            return run
        case ev.RunFinished(run=run, phase=phase):
            return f"{run} {phase.value}"
        case (
            ev.ExecutionSubmitted(execution=execution)
            | ev.LateResult(execution=execution)
            | ev.ExecutionReplaced(execution=execution)
            | ev.OutputDiverged(execution=execution)
        ):
            return execution
        case ev.ExecutionEnded(execution=execution, phase=phase):
            return f"{execution} {phase.value}"
        case _:
            return _about_job(event)


def _about_job(event: ev.Event) -> str:
    match event:
        case ev.WorkerReady(job=job, rank=rank) | ev.WorkerStarted(job=job, rank=rank):
            return f"{job} rank {rank}"
        case ev.WorkerExited(job=job, rank=rank, exit=end):
            return f"{job} rank {rank}: {_ended(end)}"
        case ev.JobRejected(job=job, wait=wait) | ev.JobWaiting(job=job, wait=wait):
            return f"{job}: {wait.reason.value}"
        case (
            ev.AttemptStarted(job=job, number=number, allocation=allocation)
            | ev.AttemptResized(job=job, number=number, allocation=allocation)
        ):
            return f"{job}/{number} on {_placed(allocation)}"
        case (
            ev.AttemptAdopted(job=job, allocation=allocation)
            | ev.SlotsReserved(job=job, allocation=allocation)
        ):
            return f"{job} on {_placed(allocation)}"
        case ev.AttemptReleased(job=job, number=number):
            return f"{job}/{number}"
        case ev.AttemptStopped(job=job, number=number, cause=cause):
            return f"{job}/{number} for {cause}"
        case ev.AttemptEnded(job=job, number=number, diagnosis=diagnosis):
            return f"{job}/{number}: {diagnosis.cause.value}"
        case ev.AttemptJudged(job=job, number=number, symptom=symptom):
            return f"{job}/{number}: {symptom.name if symptom else 'well again'}"
        case ev.JobRequeued(job=job, not_before_ms=at_ms, decision=decision):
            return f"{job} at {at_ms}: {_decided(decision)}"
        case ev.JobFinished(job=job, phase=phase):
            return f"{job} {phase.value}"
        case _:
            return str(getattr(event, "job", ""))


def _placed(allocation: Allocation) -> str:
    return " ".join(
        row.node if row.count == 1 else f"{row.node}*{row.count}" for row in allocation.placements
    )


def _ended(end: Exit) -> str:
    if end.lost is not None:
        return end.lost
    return f"signal {end.signal}" if end.signal is not None else f"code {end.code}"


def _decided(decision: Decision) -> str:
    paid = f", {decision.ledger} {decision.ledger_used} of {decision.ledger_allowed}"
    return decision.cause.value + (paid if decision.ledger else "")
