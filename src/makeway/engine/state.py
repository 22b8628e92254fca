"""Hold all that is believed at one point of the log.

Only `apply` changes it. The sums beside the records (`free`, `held`, `lanes` and the like) are kept
with each event, so that a decision costs what has changed and not what is there; `invariants` counts
them again. `changed` says that the policy may decide differently now, `touched` which runs may go
on. What is final leaves the state, but for how it ended: its history is in the log and in the
store's views.

demand_seq         the last entry that changed demand or supply
rules, declared    the settings of the policy; the share tree as it was set, by path
free, rooms        one dict for ever, and the memo over it that hears of every change (`holding`)
memo               what earlier decisions have worked out
unfinished, queued counts of jobs by path, those of the queues below it included
submits            by path: the instants of the last minute's submissions, where they are limited
waiting            all jobs that may start, now or after a backoff: `lanes` and `paused` (`waiting`)
pending            jobs that are held until others have ended; `dependents` is the way back
draining           machines that are up and get no new work; they are not in `nodes`
refused            jobs over a limit, with the seq of their submission, until that is concluded
untold             waiting jobs of which it is still to be said why they wait
elastic            running jobs whose number of workers may change
ended              how each job ended that has ended
avoiding           jobs that avoid a machine, wherever they stand
past               what queues used before now, if the rules want to know
spent              what queues have spent of their budgets
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence

from makeway.engine.past import Past
from makeway.engine.spent import Spent
from makeway.model.cluster import ROOT, Allocation, Node, Placement, Queue
from makeway.model.incident import OtherHit
from makeway.model.job import Attempt, Job
from makeway.model.phase import AttemptPhase, JobPhase
from makeway.model.resources import Resources
from makeway.model.rules import Rules
from makeway.model.ruling import FailureRules
from makeway.model.wait import Wait
from makeway.model.workflow import Execution, Run, run_of
from makeway.policy.held import Held
from makeway.policy.memo import Memo
from makeway.policy.rooms import Rooms
from makeway.policy.snapshot import Kind, Running, Snapshot

HITS_KEPT = 32


class State:
    """What is believed now; see the module."""

    __slots__ = (
        "attempts", "avoiding", "changed", "declared", "demand_seq", "dependents", "draining", "elastic", "ended", "executions",
        "failures", "free", "held", "hits", "jobs", "kind_of", "kinds", "lanes", "leaving", "lost", "memo", "nodes",
        "order", "past",
        "paused", "pauses", "pending", "planned", "queued", "queues", "refused", "reserved",
        "rooms", "rules", "running", "running_in", "runs", "seq", "spent", "submits", "timers", "touched",
        "unfinished", "untold", "waiting", "waits",
    )  # fmt: skip

    def __init__(self) -> None:
        """Begin with an empty world at seq 0."""
        self.seq = 0
        self.demand_seq = 0
        self.order = 0
        self.rules = Rules()
        self.failures = FailureRules()
        self.nodes: dict[str, Node] = {}
        self.lost: dict[str, Node] = {}
        self.draining: dict[str, Node] = {}
        self.free: dict[str, Resources] = {}
        self.rooms = Rooms(self.free)
        self.memo = Memo()
        self.declared: dict[str, Queue] = {ROOT: Queue(path=ROOT)}
        self.queues: dict[str, Queue] = dict(self.declared)
        self.unfinished: dict[str, int] = {}
        self.queued: dict[str, int] = {}
        self.submits: dict[str, deque[tuple[int, str]]] = {}
        self.past: Past | None = None
        self.spent = Spent()
        self.hits: deque[tuple[int, str, OtherHit]] = deque(maxlen=HITS_KEPT)
        self._begin_jobs()
        self.runs: dict[str, Run] = {}
        self.executions: dict[str, dict[str, Execution]] = {}
        self.timers: list[tuple[int, str]] = []
        self.changed = False
        self.touched: dict[str, int] = {}

    def _begin_jobs(self) -> None:
        self.jobs: dict[str, Job] = {}
        self.ended: dict[str, JobPhase] = {}
        self.waiting: dict[str, Job] = {}
        self.lanes: dict[Kind, list[Job]] = {}
        self.kinds: dict[tuple[object, ...], Kind] = {}
        self.kind_of: dict[str, Kind] = {}
        self.paused: dict[str, Job] = {}
        self.pauses: list[tuple[int, str]] = []
        self.untold: dict[str, None] = {}
        self.waits: dict[str, Wait] = {}
        self.pending: dict[str, None] = {}
        self.dependents: dict[str, dict[str, None]] = {}
        self.refused: dict[str, tuple[int, Wait]] = {}
        self.attempts: dict[str, Attempt] = {}
        self.running: dict[str, Running] = {}
        self.running_in: dict[str, dict[str, Running]] = {}
        self.elastic: set[str] = set()
        self.leaving: dict[str, Sequence[Placement]] = {}
        self.held: dict[tuple[str, int], Held] = {}
        self.avoiding: dict[str, None] = {}
        self.reserved: dict[str, Allocation] = {}
        self.planned: dict[str, int] = {}

    def snapshot(self, now_ms: int) -> Snapshot:
        """Show a decision what it may see; nothing in it changes before the next `apply`."""
        return Snapshot(
            basis=self.seq,
            now_ms=now_ms,
            rules=self.rules,
            nodes=self.nodes,
            lost=self.lost,
            draining=self.draining,
            free=self.free,
            queues=self.queues,
            held=self.held,
            running=self.running,
            running_in=self.running_in,
            elastic=self.elastic,
            leaving=self.leaving,
            lanes=self.lanes,
            paused=[*self.paused.values()],
            reserved=self.reserved,
            planned=self.planned,
            past={} if self.past is None else self.past.read(self.queues, now_ms),
            spent=self.spent.read(now_ms),
            by_id=self.waiting,
            kind_by_id=self.kind_of,
            rooms=self.rooms,
            memo=self.memo,
            demand_seq=self.demand_seq,
        )

    def execution(self, job: str) -> Execution | None:
        """Find the step that a job stands for; a job submitted by itself has none."""
        return self.executions.get(run_of(job), {}).get(job)

    def limit_at_ms(self, attempt: Attempt) -> int | None:
        """Give when a running attempt has used up its time, if anybody looks at that."""
        limit_ms = self.jobs[attempt.job].spec.time_limit_ms
        if not self.rules.enforce_time_limits or limit_ms is None:
            return None
        if attempt.phase is not AttemptPhase.RUNNING or attempt.released_at_ms is None:
            return None
        return attempt.released_at_ms + limit_ms

    def wake_at(self, at_ms: int, job: str) -> None:
        """Remember that something about this job is due at that instant."""
        heapq.heappush(self.timers, (at_ms, job))

    def next_timer_ms(self) -> int | None:
        """Give the next instant at which anything is due; timers of jobs that are gone fall."""
        while self.timers and not self._pending(*self.timers[0]):
            heapq.heappop(self.timers)
        return self.timers[0][0] if self.timers else None

    def pop_due(self, now_ms: int) -> list[str]:
        """Take the jobs about which something is due by now, earliest first."""
        jobs = []
        while (at_ms := self.next_timer_ms()) is not None and at_ms <= now_ms:
            jobs.append(heapq.heappop(self.timers)[1])
        return jobs

    def _pending(self, at_ms: int, job: str) -> bool:
        known, attempt = self.jobs.get(job), self.attempts.get(job)
        if attempt is not None and attempt.phase is AttemptPhase.RUNNING:
            return self.limit_at_ms(attempt) == at_ms
        if attempt is not None:
            return attempt.phase is AttemptPhase.PREPARING and attempt.barrier_at_ms == at_ms
        return known is not None and known.not_before_ms == at_ms
