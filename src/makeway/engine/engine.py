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
from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter

import msgspec

from makeway.engine.admit import refusal
from makeway.engine.apply import apply
from makeway.engine.react import due, grace_ms, react
from makeway.engine.state import State
from makeway.model import event as ev
from makeway.model.effect import Effect, LaunchWorkers, ReleaseWorkers, StopWorkers
from makeway.policy.plan import Hold, Plan, Reject, Start
from makeway.policy.snapshot import Snapshot
from makeway.workflows.advance import advance

Policy = Callable[[Snapshot], Plan]
ORDERS = (LaunchWorkers, ReleaseWorkers, StopWorkers)


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

    def __init__(self, policy: Policy) -> None:
        """Begin with an empty state."""
        self.state = State()
        self._policy = policy
        self._entries: list[ev.Entry] = []
        self._effects: list[Effect] = []

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
            wake_at_ms=self.state.next_timer_ms(),
        )

    def replay(self, entries: Iterable[ev.Entry], last: int = 0) -> None:
        """Rebuild the state from a log; nothing is concluded and no order is given.

        What is final leaves no trace in the state, so its entries may be left out; `last` is then
        the seq at which the log goes on.
        """
        for entry in entries:
            self.state.seq = entry.seq - 1
            apply(self.state, entry)
        self.state.seq = max(self.state.seq, last)

    def _settle(self, now_ms: int) -> None:
        """Conclude until nothing more follows; what is due by now may come in any round."""
        for event in due(self.state, now_ms):
            self._believe(event, 0, now_ms)
        while self.state.touched or self.state.changed:
            self._advance_runs(now_ms)
            self._decide(now_ms)
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
                for event in advance(state.runs[run], state.executions[run]):
                    self._believe(event, cause, now_ms)

    def _decide(self, now_ms: int) -> None:
        state = self.state
        if not state.changed:
            return
        state.changed = False
        if not state.waiting:
            return
        plan = self._policy(state.snapshot(now_ms))
        for decision in plan.decisions:
            match decision:
                case Start():
                    self._believe(self._attempt(decision, now_ms), plan.basis, now_ms)
                case Reject():
                    rejected = ev.JobRejected(job=decision.job, wait=decision.wait)
                    self._believe(rejected, plan.basis, now_ms)
                case Hold():
                    before = state.waits.get(decision.job)
                    # The numbers in the sentence change all the time; the log keeps the reasons.
                    if before is None or before.reason is not decision.wait.reason:
                        waiting = ev.JobWaiting(job=decision.job, wait=decision.wait)
                        self._believe(waiting, plan.basis, now_ms)

    def _attempt(self, start: Start, now_ms: int) -> ev.AttemptStarted:
        job = self.state.jobs[start.job]
        return ev.AttemptStarted(
            job=job.id,
            number=job.attempts + 1,
            fence=job.fence + 1,
            allocation=start.allocation,
            barrier_at_ms=now_ms + job.spec.barrier_ms,
        )


def outstanding(state: State) -> list[Effect]:
    """Give the orders behind everything that is under way, to be repeated after a restart.

    They are safe to repeat: an executor knows each by (job, fence) and does nothing twice.
    """
    effects: list[Effect] = []
    for attempt in state.attempts.values():
        job, number, fence = attempt.job, attempt.number, attempt.fence
        spec, first = state.jobs[job].spec, attempt.workers[0]
        effects.append(
            LaunchWorkers(
                job=job, number=number, fence=fence, spec=spec, allocation=attempt.allocation
            )
        )
        if attempt.released_at_ms is not None:
            address, port = first.address, first.port
            effects.append(
                ReleaseWorkers(job=job, number=number, fence=fence, address=address, port=port)
            )
        if attempt.stop_cause is not None:
            cause, grace = attempt.stop_cause, grace_ms(attempt.stop_cause, spec)
            effects.append(
                StopWorkers(job=job, number=number, fence=fence, cause=cause, grace_ms=grace)
            )
    return effects
