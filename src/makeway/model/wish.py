"""Name what people ask of jobs, runs and machines that are there: the part of `event` from them.

That somebody asked is the fact; who may ask is looked at before, what cannot be done is refused by
`engine.admit`, and what follows is concluded by the engine.
"""

from __future__ import annotations

from makeway.model.fact import Fact
from makeway.model.job import Job
from makeway.model.workflow import Execution, Run

# ── from people ───────────────────────────────────────────────────────────────────────────────────


class JobCancelRequested(Fact, frozen=True):
    """Somebody who may do so wants a job gone."""

    job: str
    text: str = ""


class JobHoldRequested(Fact, frozen=True):
    """Somebody who may do so wants a queued job not to start; `text` says who, and why.

    In one step with the submission of the job it is held from the first.
    """

    job: str
    text: str = ""


class JobReleaseRequested(Fact, frozen=True):
    """Somebody who may do so wants a job that is held to take part again, in its old place."""

    job: str


class JobKeepRequested(Fact, frozen=True):
    """Somebody who may do so wants a job to go on, whatever it seems to be worth."""

    job: str
    text: str = ""


class JobResizeRequested(Fact, frozen=True):
    """Somebody who may do so wants other bounds for the number of workers of a group.

    `group` of None is the only group that the job has.
    """

    job: str
    count_min: int
    count_max: int
    group: str | None = None


class JobRetryRequested(Fact, frozen=True):
    """Somebody who may do so wants the next attempt of a job: at once, and in place of one that runs.

    An attempt that runs is told to leave; nothing is charged for that.
    """

    job: str
    text: str = ""


class StepOverridden(Fact, frozen=True):
    """Somebody who may do so wants otherwise than was decided about a step, or a job.

    `act` is retry, stop or skip; `against` is what had been decided. Of what had ended and left the
    state, `was` is the job as it ended, `run` and `executions` its run, if that was over as well.
    """

    job: str
    act: str
    user: str
    reason: str = ""
    against: str = ""
    was: Job | None = None
    run: Run | None = None
    executions: tuple[Execution, ...] = ()

    @property
    def text(self) -> str:
        """Say it in one sentence."""
        why = f": {self.reason}" if self.reason else ""
        against = f" (against: {self.against})" if self.against else ""
        return f"{self.act} by {self.user}{why}{against}"


class RunCancelRequested(Fact, frozen=True):
    """Somebody who may do so wants a run stopped."""

    run: str
    text: str = ""


class NodeDrained(Fact, frozen=True):
    """Nothing more is to start on a machine; what runs there goes on, or with `evict` leaves.

    An elastic job that can do without its workers there, and those behind them, goes on without.
    """

    name: str
    text: str = ""
    evict: bool = False


class NodeUndrained(Fact, frozen=True):
    """A machine that was drained takes work again."""

    name: str


class NodeRemoved(Fact, frozen=True):
    """A machine was taken out for good: what runs there is lost, and nobody waits for it."""

    name: str
    text: str = ""
