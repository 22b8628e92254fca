"""Take what happened, conclude all that follows, give back the facts to log and the orders.

`step` is the one door. It has no clock, disk, thread or logger: the caller brings events and the
time, appends the entries it gets to a log, and only then carries out the effects. Live and
simulated callers differ in nothing else.

    1  believe each event, and at once what directly follows from it
    2  let what is due by now happen
    3  let the runs that were touched go on
    4  let the policy decide, if anything it looks at has changed
    repeat until nothing more follows

Holds:   seq rises by 1 · replaying the entries gives the same state · a second step with no event
         and the same time gives nothing
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter

import msgspec

from makeway.engine.admit import refusal
from makeway.engine.apply import apply
from makeway.engine.attempts import staying
from makeway.engine.carry import carried_out, waits
from makeway.engine.orders import grace_ms
from makeway.engine.react import due, react
from makeway.engine.reuse import Others
from makeway.engine.state import State
from makeway.model import event as ev
from makeway.model.effect import (
    Effect,
    LaunchWorkers,
    ReleaseWorkers,
    ResizeWorkers,
    StopWorkers,
)
from makeway.model.job import Attempt
from makeway.model.phase import JobPhase
from makeway.policy.plan import Plan
from makeway.policy.snapshot import Snapshot
from makeway.workflows.advance import advance
from makeway.workflows.cache import NOTHING, Kept

Policy = Callable[[Snapshot], Plan]
ORDERS = (LaunchWorkers, ReleaseWorkers, ResizeWorkers, StopWorkers)

# A plan that is carried out may lead to another one within the instant, but not for ever.
ROUNDS_MAX = 10_000


class Refused(msgspec.Struct, frozen=True):
    """An event that was not believed, and why."""

    event: ev.Event
    why: str


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What one call concluded; `wake_at_ms` is when the engine wants to be called again."""

    entries: Sequence[ev.Entry]
    effects: Sequence[Effect]
    refused: Sequence[Refused]
    wake_at_ms: int | None


class Engine:
    """A state and the policy that decides over it."""

    def __init__(self, policy: Policy, kept: Kept = NOTHING) -> None:
        """Begin with an empty state; `kept` is what steps may reuse of runs that have ended."""
        self.state = State()
        self._policy, self._kept = policy, kept
        self._entries: list[ev.Entry] = []
        self._effects: list[Effect] = []
        self._wake_at_ms: int | None = None  # when the plan before could change by itself

    def step(self, events: Iterable[ev.Event], now_ms: int) -> Step:
        """Conclude all that follows from `events` at `now_ms` (ms since 1970, never earlier)."""
        self._entries, self._effects = [], []
        refused = []
        for event in events:
            why = refusal(self.state, event)
            if why is None:
                self._believe(event, 0, now_ms)
            else:
                refused.append(Refused(event, why))
        self._settle(now_ms)
        return Step(
            entries=self._entries,
            effects=self._effects,
            refused=refused,
            wake_at_ms=self._next_ms(),
        )

    def replay(self, entries: Iterable[ev.Entry], last: int = 0) -> None:
        """Rebuild the state from a log; nothing is concluded and no order is given.

        What is final leaves no trace in the state but how it ended, so its entries may be left out;
        only of a job that others wait for (`awaited`) the last, `JobFinished`, has to stay in its
        place. `last` is the seq at which the log goes on.
        """
        for entry in entries:
            self.state.seq = entry.seq - 1
            event = entry.event
            if isinstance(event, ev.JobFinished) and event.job not in self.state.jobs:
                self.state.ended[event.job] = event.phase
                self.state.seq = entry.seq
            else:
                apply(self.state, entry)
        if last > self.state.seq:
            # What was left out may have changed demand: whoever was evicted may ask for its due.
            self.state.seq = self.state.demand_seq = last

    def unknown(self, events: Iterable[ev.Event]) -> set[str]:
        """Name the jobs that these submissions wait for and of which nothing is known here.

        Those that have ended before a restart are among them: `recall` how, then submit.
        """
        state = self.state
        return {one for one in awaited(events) if one not in state.jobs and one not in state.ended}

    def recall(self, ended: Mapping[str, JobPhase]) -> None:
        """Remember how jobs have ended. It is no news: the log told it before this state began."""
        for job, phase in ended.items():
            has_ended = phase.final and job not in self.state.jobs
            assert has_ended, f"{job} has not ended"
            self.state.ended[job] = phase

    def _next_ms(self) -> int | None:
        instants = (self.state.next_timer_ms(), self._wake_at_ms)
        return min((at_ms for at_ms in instants if at_ms is not None), default=None)

    def _settle(self, now_ms: int) -> None:
        """Conclude until nothing more follows; what is due by now may come in any round."""
        state = self.state
        self._due(now_ms)
        rounds = 0
        while state.touched or state.refused or state.changed:
            rounds += 1
            assert rounds <= ROUNDS_MAX, "the policy decides for ever: a bug of the policy"
            self._advance_runs(now_ms)
            for job, (seq, wait) in [*state.refused.items()]:
                self._believe(ev.JobRejected(job=job, wait=wait), seq, now_ms)
            self._decide(now_ms)
            self._due(now_ms)

    def _due(self, now_ms: int) -> None:
        if self._wake_at_ms is not None and self._wake_at_ms <= now_ms:
            self._wake_at_ms, self.state.changed = None, True
        for event in due(self.state, now_ms):
            self._believe(event, 0, now_ms)

    def _believe(self, event: ev.Event, cause: int, now_ms: int) -> None:
        state = self.state
        queue: deque[tuple[ev.Event, int]] = deque([(event, cause)])
        while queue:
            fact, because = queue.popleft()
            entry = ev.Entry(seq=state.seq + 1, at_ms=now_ms, cause=because, event=fact)
            apply(state, entry)
            self._entries.append(entry)
            follows = []
            for consequence in react(state, entry):
                if isinstance(consequence, ORDERS):
                    self._effects.append(consequence)
                else:
                    follows.append((consequence, entry.seq))
            # Depth first: what follows from one fact is believed before the next fact is looked at.
            queue.extendleft(reversed(follows))

    def _advance_runs(self, now_ms: int) -> None:
        state = self.state
        while state.touched:
            touched, state.touched = state.touched, {}
            # In the order of their causes: after a replay runs of long ago are among them as well.
            for run, cause in sorted(touched.items(), key=itemgetter(1)):
                others = Others(state, self._kept, now_ms)
                for event in advance(state.runs[run], state.executions[run], others):
                    # It may have ended by itself, or somebody else may have cancelled it.
                    stops = isinstance(event, ev.JobCancelRequested)
                    if not stops or refusal(state, event) is None:
                        self._believe(event, cause, now_ms)

    def _decide(self, now_ms: int) -> None:
        state = self.state
        if not state.changed:
            return
        state.changed = False
        self._wake_at_ms = None
        if not state.waiting and not state.elastic:
            return
        plan = self._policy(state.snapshot(now_ms))
        told = waits(state, plan)
        for decision in plan.decisions:
            self._believe(carried_out(state, decision, now_ms), plan.basis, now_ms)
        for job, wait in told:
            if job in state.waiting:
                self._believe(ev.JobWaiting(job=job, wait=wait), plan.basis, now_ms)
        # Until a plan is empty: what is believed between two steps is then settled, and a crash there
        # changes nothing.
        state.changed = state.changed or bool(plan.decisions)
        if plan.wake_at_ms is not None:
            assert plan.wake_at_ms > now_ms, "the policy wants to be woken now: a bug of the policy"
            self._wake_at_ms = plan.wake_at_ms


def awaited(events: Iterable[ev.Event]) -> set[str]:
    """Name the jobs that submissions among these events wait for, and that are not among them."""
    submitted = [event for event in events if isinstance(event, ev.JobSubmitted)]
    names = {after.job for event in submitted for after in event.spec.after}
    return names - {event.job for event in submitted}


def outstanding(state: State) -> list[Effect]:
    """Give the orders behind everything that is under way, to be repeated after a restart.

    They are safe to repeat: an executor knows each by (job, fence) and does nothing twice.
    """
    return [
        effect for attempt in state.attempts.values() for effect in _outstanding(state, attempt)
    ]


def _outstanding(state: State, attempt: Attempt) -> Iterator[Effect]:
    job, number, fence = attempt.job, attempt.number, attempt.fence
    spec, rules, first = state.jobs[job].spec, state.rules, attempt.workers[0]
    yield LaunchWorkers(
        job=job, number=number, fence=fence, spec=spec, allocation=attempt.allocation
    )
    if attempt.released_at_ms is not None:
        address, port = first.address, first.port
        yield ReleaseWorkers(job=job, number=number, fence=fence, address=address, port=port)
    if attempt.generation:
        yield ResizeWorkers(
            job=job,
            number=number,
            fence=fence,
            generation=attempt.generation,
            spec=spec,
            allocation=staying(attempt),
            grace_ms=grace_ms("preempted", spec, rules),
        )
    if attempt.stop_cause is not None:
        cause, grace = attempt.stop_cause, grace_ms(attempt.stop_cause, spec, rules)
        yield StopWorkers(job=job, number=number, fence=fence, cause=cause, grace_ms=grace)
