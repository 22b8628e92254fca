"""Name every fact that makeway can believe: one closed union, in the past tense.

The first group comes from the world (a user, an agent, the executor), as do the wishes of people in
`wish`; the second is concluded by the engine and written down too, so that a replay runs no policy,
and so is what becomes of runs (`run_fact`).
State changes only by applying these. Each is recorded in an `Entry` with its place in the log, the
instant in ms since 1970, and `cause`: the `seq` of the entry that it follows from (0: the world).
"""

from __future__ import annotations

import msgspec

from makeway.model import fact, run_fact, wish
from makeway.model.cluster import Allocation, Node, Queue, Spending
from makeway.model.incident import Past, Seen
from makeway.model.job import JobSpec
from makeway.model.phase import JobPhase
from makeway.model.record import Decision, Diagnosis, Exit, Report, Symptom
from makeway.model.rules import Rules
from makeway.model.ruling import FailureRules
from makeway.model.wait import Wait

Fact = fact.Fact


# ── from the world ────────────────────────────────────────────────────────────────────────────────


class NodeJoined(Fact, frozen=True):
    """A machine came, or came back, or changed its capacity."""

    node: Node


class NodeLost(Fact, frozen=True):
    """A machine and everything on it is gone."""

    name: str
    text: str = ""


class QueuesConfigured(Fact, frozen=True):
    """The share tree was set; queues that are not named here and hold no job go."""

    queues: tuple[Queue, ...]


class RulesConfigured(Fact, frozen=True):
    """The settings of the policy were set."""

    rules: Rules


class FailuresConfigured(Fact, frozen=True):
    """The patterns and rules that a configuration adds to those of failures were set."""

    failures: FailureRules


class JobSubmitted(Fact, frozen=True):
    """A job was accepted; from here on it ends in exactly one final phase.

    `since_ms`: its age counts from this earlier instant (it was known elsewhere before).
    """

    job: str
    spec: JobSpec
    since_ms: int | None = None


class AttemptAdopted(Fact, frozen=True):
    """A job runs already, and has since then: it was started before anybody here could decide."""

    job: str
    allocation: Allocation
    started_at_ms: int


class WorkerReady(Fact, frozen=True):
    """An agent has reserved all that its worker needs and waits at the barrier."""

    job: str
    fence: int
    rank: int
    pid: int = 0
    address: str = ""
    port: int = 0


class WorkerStarted(Fact, frozen=True):
    """An agent let its worker's program go."""

    job: str
    fence: int
    rank: int
    pid: int = 0


class WorkerExited(Fact, frozen=True):
    """A worker and its whole process tree are gone."""

    job: str
    fence: int
    rank: int
    exit: Exit


class AttemptJudged(Fact, frozen=True):
    """Whoever watches an attempt sees a symptom in it, or (None) sees it no longer.

    `decision` is there where something is to be done about it while it runs.
    """

    job: str
    number: int
    fence: int
    symptom: Symptom | None = None
    decision: Decision | None = None


class AttemptSeen(Fact, frozen=True):
    """Whoever drives the engine has looked at an attempt that fails, before its end is believed."""

    job: str
    number: int
    fence: int
    seen: Seen


class DataFound(Fact, frozen=True):
    """The data that a job waits for are there again."""

    job: str
    text: str = ""


# ── concluded by the engine ───────────────────────────────────────────────────────────────────────


class JobRejected(Fact, frozen=True):
    """A job can never run; it ends at once and holds nothing."""

    job: str
    wait: Wait


class JobWaiting(Fact, frozen=True):
    """The reason why a queued job does not run has changed."""

    job: str
    wait: Wait


class JobChanged(Fact, frozen=True):
    """What is asked for by a job is something else from here on; its place in line stays."""

    job: str
    spec: JobSpec


class AttemptStarted(Fact, frozen=True):
    """A job got its allocation; its workers are being prepared."""

    job: str
    number: int
    fence: int
    allocation: Allocation
    barrier_at_ms: int


class AttemptReleased(Fact, frozen=True):
    """Every worker was ready; all are let go at once and meet at this address."""

    job: str
    number: int
    fence: int
    address: str
    port: int


class AttemptStopped(Fact, frozen=True):
    """The workers of an attempt were told to leave. Written before the order goes out.

    A preemption names for whom (`beneficiary`), by which rule, why, and what work is lost.
    """

    job: str
    number: int
    fence: int
    cause: str
    grace_ms: int
    beneficiary: str | None = None
    rule: str | None = None
    text: str = ""
    lost_worker_ms: int = 0


class AttemptResized(Fact, frozen=True):
    """An elastic attempt goes on with other workers: `allocation` is what it is to have.

    Ranks that are gone from the end are told to leave and hold their place until they have; new
    ones are at the end. Each resize is a new generation.
    """

    job: str
    number: int
    fence: int
    generation: int
    allocation: Allocation
    grace_ms: int = 0
    beneficiary: str | None = None
    rule: str | None = None


class SlotsReserved(Fact, frozen=True):
    """Slots are kept for a waiting job until it starts on them; `victims` are leaving for it."""

    job: str
    allocation: Allocation
    rule: str | None = None
    victims: tuple[str, ...] = ()


class ReservationDropped(Fact, frozen=True):
    """The slots that were kept for a job are not there any more, or no longer wanted."""

    job: str
    text: str = ""


class StartPlanned(Fact, frozen=True):
    """A job is first in line for room: nobody behind it may delay it from here on.

    `at_ms` is when it is to start if what runs ends as expected; None: nobody knows.
    """

    job: str
    at_ms: int | None = None


class JobEligible(Fact, frozen=True):
    """All that a job had to wait for has ended as it should; from here on its age counts."""

    job: str


class AttemptEnded(Fact, frozen=True):
    """The last worker of an attempt is gone, and what happened is known.

    `past` is what later attempts are to know of it, `decision` what is done about a failure.
    """

    job: str
    number: int
    fence: int
    diagnosis: Diagnosis
    started: bool = True
    report: Report | None = None
    past: Past | None = None
    decision: Decision | None = None


class JobRequeued(Fact, frozen=True):
    """Another attempt is worth it; the job waits with its place kept."""

    job: str
    not_before_ms: int
    decision: Decision


class JobFinished(Fact, frozen=True):
    """A job has reached its final phase; `stopped`: somebody has overridden that it goes on."""

    job: str
    phase: JobPhase
    text: str = ""
    decision: Decision | None = None
    report: Report | None = None
    stopped: bool = False


class PastUsageTold(Fact, frozen=True):
    """What each queue has used until now, decayed, in unit x ms by kind; what is spent of budgets."""

    amounts: dict[str, dict[str, float]]
    spent: dict[str, Spending] = msgspec.field(default_factory=dict)


RunSubmitted = run_fact.RunSubmitted
ExecutionSubmitted = run_fact.ExecutionSubmitted
ExecutionEnded = run_fact.ExecutionEnded
RunFinished = run_fact.RunFinished
LateResult = run_fact.LateResult
ExecutionReplaced = run_fact.ExecutionReplaced
InputsRestored = run_fact.InputsRestored
OutputDiverged = run_fact.OutputDiverged
ExecutionReopened = run_fact.ExecutionReopened
NodeDrained = wish.NodeDrained
NodeUndrained = wish.NodeUndrained
NodeRemoved = wish.NodeRemoved
JobCancelRequested = wish.JobCancelRequested
JobHoldRequested = wish.JobHoldRequested
JobReleaseRequested = wish.JobReleaseRequested
JobKeepRequested = wish.JobKeepRequested
JobResizeRequested = wish.JobResizeRequested
JobRetryRequested = wish.JobRetryRequested
RunCancelRequested = wish.RunCancelRequested
StepOverridden = wish.StepOverridden

Event = (
    NodeJoined
    | NodeLost
    | NodeDrained
    | NodeUndrained
    | NodeRemoved
    | QueuesConfigured
    | RulesConfigured
    | FailuresConfigured
    | JobSubmitted
    | AttemptAdopted
    | JobCancelRequested
    | JobHoldRequested
    | JobReleaseRequested
    | JobKeepRequested
    | JobResizeRequested
    | JobRetryRequested
    | StepOverridden
    | RunSubmitted
    | RunCancelRequested
    | WorkerReady
    | WorkerStarted
    | WorkerExited
    | AttemptJudged
    | AttemptSeen
    | DataFound
    | JobRejected
    | JobWaiting
    | JobChanged
    | AttemptStarted
    | AttemptReleased
    | AttemptStopped
    | AttemptResized
    | SlotsReserved
    | ReservationDropped
    | StartPlanned
    | JobEligible
    | AttemptEnded
    | JobRequeued
    | JobFinished
    | PastUsageTold
    | ExecutionSubmitted
    | ExecutionEnded
    | RunFinished
    | LateResult
    | ExecutionReplaced
    | InputsRestored
    | OutputDiverged
    | ExecutionReopened
)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the log."""

    seq: int
    at_ms: int
    cause: int
    event: Event
