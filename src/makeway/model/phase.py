"""Say which changes of phase are legal, each with the sentence that explains it.

Three machines that turn each other: an *execution* (one step in one run) turns into one *job*, a
job is tried in *attempts*. A run is the sum of its executions. The tables are the truth: code that
changes a phase asks them, the docs are made from them, and what they do not name cannot happen.

A restart is a new attempt of a job that is queued again, never a phase of its own.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping


class JobPhase(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    EVICTING = "evicting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Say whether nothing can follow."""
        return self in FINAL_JOB


class AttemptPhase(StrEnum):
    """Where one try at a job stands."""

    PREPARING = "preparing"
    RUNNING = "running"
    STOPPING = "stopping"
    ENDED = "ended"


class ExecutionPhase(StrEnum):
    """Where one step of one run stands."""

    PENDING = "pending"
    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    BACKOFF = "backoff"
    SUCCEEDED = "succeeded"
    CACHED = "cached"
    SKIPPED = "skipped"
    OMITTED = "omitted"
    FAILED = "failed"
    STOPPED = "stopped"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Say whether nothing can follow."""
        return self in FINAL_EXECUTION

    @property
    def told(self) -> str:
        """Say it in a sentence: `failed`, `was omitted`."""
        return self.value if self in (ExecutionPhase.FAILED, *GOOD) else f"was {self.value}"

    @property
    def good(self) -> bool:
        """Say whether its output can be consumed."""
        return self in GOOD


class RunPhase(StrEnum):
    """Where a whole run stands."""

    RUNNING = "running"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    SUCCEEDED_WITH_FAILURES = "succeeded_with_failures"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Say whether nothing can follow."""
        return self not in (RunPhase.RUNNING, RunPhase.CANCELLING)


GOOD = (ExecutionPhase.SUCCEEDED, ExecutionPhase.CACHED)
FINAL_JOB = frozenset({JobPhase.SUCCEEDED, JobPhase.FAILED, JobPhase.CANCELLED})
FINAL_EXECUTION = frozenset(
    {
        ExecutionPhase.SUCCEEDED,
        ExecutionPhase.CACHED,
        ExecutionPhase.SKIPPED,
        ExecutionPhase.OMITTED,
        ExecutionPhase.FAILED,
        ExecutionPhase.STOPPED,
        ExecutionPhase.CANCELLED,
    }
)

J, A, E, R = JobPhase, AttemptPhase, ExecutionPhase, RunPhase

JOB_CHANGES: Mapping[tuple[JobPhase, JobPhase], str] = {
    (J.QUEUED, J.RUNNING): "an attempt was given its allocation",
    (J.QUEUED, J.FAILED): "it can never be scheduled",
    (J.QUEUED, J.CANCELLED): "it was cancelled while it waited",
    (J.RUNNING, J.QUEUED): "the attempt ended and another one is worth it",
    (J.RUNNING, J.EVICTING): "its workers were told to leave",
    (J.RUNNING, J.SUCCEEDED): "every worker ended well",
    (J.RUNNING, J.FAILED): "the attempt failed and no other is worth it",
    (J.EVICTING, J.QUEUED): "all workers have left; it waits for its next attempt",
    (J.EVICTING, J.SUCCEEDED): "it had finished before the order to leave reached it",
    (J.EVICTING, J.FAILED): "all workers have left and no other attempt is worth it",
    (J.EVICTING, J.CANCELLED): "all workers have left after a cancellation",
}

ATTEMPT_CHANGES: Mapping[tuple[AttemptPhase, AttemptPhase], str] = {
    (A.PREPARING, A.RUNNING): "every worker was ready, and all were let go together",
    (A.PREPARING, A.STOPPING): "the barrier was called off before all were ready",
    (A.PREPARING, A.ENDED): "no worker was left before the barrier opened",
    (A.RUNNING, A.STOPPING): "the workers that still run were told to leave",
    (A.RUNNING, A.ENDED): "the last worker has ended",
    (A.STOPPING, A.ENDED): "the last worker has left",
}

EXECUTION_CHANGES: Mapping[tuple[ExecutionPhase, ExecutionPhase], str] = {
    (E.PENDING, E.QUEUED): "its inputs are there and its job was submitted",
    (E.PENDING, E.CACHED): "an earlier run had made the same output from the same inputs",
    (E.PENDING, E.SUCCEEDED): "the controller decided it by itself (a selection)",
    (E.PENDING, E.SKIPPED): "its condition is false",
    (E.PENDING, E.OMITTED): "what it needs will never come",
    (E.PENDING, E.FAILED): "the decision that it stands for could not be made",
    (E.PENDING, E.CANCELLED): "the run was cancelled before it began",
    (E.QUEUED, E.STARTING): "its job got an allocation",
    (E.QUEUED, E.FAILED): "its job can never be scheduled",
    (E.QUEUED, E.CANCELLED): "its job was cancelled while it waited",
    (E.QUEUED, E.STOPPED): "somebody has stopped it while it waited",
    (E.STARTING, E.RUNNING): "all its workers were let go",
    (E.STARTING, E.QUEUED): "the barrier was called off; it waits again with its place kept",
    (E.STARTING, E.BACKOFF): "the start failed; it waits before it is tried again",
    (E.STARTING, E.FAILED): "the start failed and is not tried again",
    (E.STARTING, E.STOPPED): "somebody has stopped it while it started",
    (E.STARTING, E.CANCELLED): "its job was cancelled while it started",
    (E.RUNNING, E.SUCCEEDED): "every worker ended well and the output is stored",
    (E.RUNNING, E.QUEUED): "its job was evicted or is tried again at once",
    (E.RUNNING, E.BACKOFF): "the attempt failed; it waits before it is tried again",
    (E.RUNNING, E.FAILED): "the attempt failed and is not tried again",
    (E.RUNNING, E.STOPPED): "going on was not worth it, or somebody has stopped it",
    (E.RUNNING, E.CANCELLED): "its job was cancelled while it ran",
    (E.BACKOFF, E.QUEUED): "the wait is over",
    (E.BACKOFF, E.STARTING): "the wait is over and its job got an allocation",
    (E.BACKOFF, E.FAILED): "its job can no longer be scheduled",
    (E.BACKOFF, E.STOPPED): "somebody has stopped it while it waited to be tried again",
    (E.BACKOFF, E.CANCELLED): "its job was cancelled while it waited to be tried again",
}

# What only a person brings about, who overrides how something has ended.
OVERRIDES: Mapping[tuple[ExecutionPhase, ExecutionPhase], str] = {
    (E.OMITTED, E.PENDING): "somebody has overridden a step before it",
    (E.FAILED, E.QUEUED): "somebody has overridden its failure: it is tried again",
    (E.STOPPED, E.QUEUED): "somebody has overridden that it was stopped: it is tried again",
    (E.CANCELLED, E.QUEUED): "somebody has overridden its cancellation: it is tried again",
    (E.FAILED, E.SKIPPED): "somebody has overridden its failure: what reads it goes on without",
    (E.STOPPED, E.SKIPPED): "it was stopped, and somebody lets what reads it go on without",
    (E.CANCELLED, E.SKIPPED): "it was cancelled, and somebody lets what reads it go on without",
}

RUN_CHANGES: Mapping[tuple[RunPhase, RunPhase], str] = {
    (R.RUNNING, R.CANCELLING): "its cancellation was asked for; workers are leaving",
    (R.RUNNING, R.SUCCEEDED): "every step ended well",
    (R.RUNNING, R.SUCCEEDED_WITH_FAILURES): "the result is there although a step failed",
    (R.RUNNING, R.FAILED): "a step failed and the result cannot be made",
    (R.CANCELLING, R.CANCELLED): "the last worker has left",
}

Phase = TypeVar("Phase", bound=StrEnum)


def changed(table: Mapping[tuple[Phase, Phase], str], before: Phase, after: Phase) -> Phase:
    """Give `after` if the table allows it; a change that it does not name is a bug of ours."""
    if (before, after) not in table:
        message = f"illegal change of {type(before).__name__}: {before} -> {after}"
        raise AssertionError(message)
    return after
