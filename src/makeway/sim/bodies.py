"""Name what can happen in a simulated world, and what is true of its workers.

What becomes of one worker if nobody interferes is its `Fate`. A `Team` is the workers of one attempt;
what comes to a worker that has left meanwhile is untrue and is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from makeway.model import event as ev
from makeway.model.effect import LaunchWorkers
from makeway.model.record import ErrorRecord, Exit, Report

TERMINATED, KILLED = 15, 9


class Fate(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of one worker if nobody interferes.

    ready_ms   from the order to launch until it stands at the barrier; None: never
    lasts_ms   from the order to go until it ends by itself; None: never
    exit_ms    from the order to stop until it has left; longer than the grace time: it is killed
    code, signal, error, report   how it ends by itself
    """

    ready_ms: int | None = 0
    lasts_ms: int | None = None
    exit_ms: int = 0
    code: int | None = 0
    signal: int | None = None
    error: ErrorRecord | None = None
    report: Report | None = None


Script = Callable[[LaunchWorkers, int], Fate]
Post = Callable[[ev.Event], Sequence[int]]


class NodeDied(msgspec.Struct, frozen=True):
    """A machine and all that ran on it is gone, and nobody has been told."""

    name: str


class NodeRevived(msgspec.Struct, frozen=True):
    """A machine is there again; its agent remembers who died on it, and says so."""

    name: str


class WorkerFails(msgspec.Struct, frozen=True):
    """A worker ends with code 1, whatever its fate; nothing if it is not there."""

    job: str
    rank: int


class Body(msgspec.Struct, eq=False):
    """What is true of one worker, whatever anybody believes of it."""

    node: str
    fate: Fate
    ready: bool = False
    going: bool = False
    leaving: bool = False
    gone: bool = False


class Team(msgspec.Struct, eq=False):
    """The workers of one attempt, by rank; `plan` counts how often their end was planned anew."""

    fence: int
    bodies: list[Body]
    order: LaunchWorkers
    generation: int = 0
    plan: int = 0


class Gets(msgspec.Struct, frozen=True):
    """A worker gets to the barrier, or to its end; untrue if it has left before."""

    team: Team
    rank: int
    body: Body
    exit: Exit | None = None


class Done(msgspec.Struct, frozen=True):
    """The work of a job is done; untrue if its end was planned anew."""

    team: Team
    plan: int


Happening = ev.Event | NodeDied | NodeRevived | WorkerFails | Gets | Done

# Who goes first at one instant. What is not named comes last, as it was brought in.
PRIORITY: dict[type, int] = {
    Gets: 0,
    Done: 0,
    WorkerFails: 0,
    ev.WorkerReady: 0,
    ev.WorkerStarted: 0,
    ev.WorkerExited: 0,
    NodeDied: 1,
    NodeRevived: 1,
    ev.NodeJoined: 1,
    ev.NodeLost: 1,
    ev.QueuesConfigured: 1,
    ev.RulesConfigured: 1,
}
LAST = 2


def end_of(fate: Fate, at_ms: int) -> Exit:
    """Say how a worker of this fate ends by itself."""
    return Exit(
        at_ms=at_ms,
        code=None if fate.signal is not None else fate.code,
        signal=fate.signal,
        error=fate.error,
        report=fate.report,
    )


def exited(team: Team, rank: int, end: Exit) -> ev.WorkerExited:
    """Say that a worker has ended."""
    return ev.WorkerExited(job=team.order.job, fence=team.fence, rank=rank, exit=end)
