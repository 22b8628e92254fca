"""Keep what one cycle has decided so far: who starts, who is refused, who waits and why.

Every policy walks over the same cycle and differs in the order in which it tries, and in whom it
lets pass. Room only shrinks while a cycle goes on, so a shape that failed once fails for all jobs
that are alike, and is not tried again.

Takes:   snapshot  never changed
Gives:   Plan: what starts, in the order in which it was decided, then what is refused, then what
         waits, both by submission
Cost:    one placement for each job that starts and one for each shape that does not fit
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from makeway.model.wait import Wait
from makeway.policy.explain import backoff, no_node_fits
from makeway.policy.ledger import Ledger
from makeway.policy.order import Ask
from makeway.policy.place import Shape, never_fits, place, shape_key, shape_of
from makeway.policy.plan import Decided, Hold, Plan, Reject, Start
from makeway.policy.snapshot import Snapshot


class Cycle:
    """One round of decisions over one snapshot; see the module."""

    __slots__ = ("_failed", "_never", "_started", "_waits", "asks", "ledger")

    def __init__(self, snapshot: Snapshot) -> None:
        """Let the waiting jobs ask, but for those whose backoff is not over."""
        self.ledger = Ledger(snapshot)
        self.asks: list[Ask] = []
        self._started: dict[str, Start] = {}
        self._waits: dict[str, Wait] = {}
        self._failed: set[Shape] = set()
        self._never: dict[Shape, bool] = {}
        shapes: dict[tuple[object, ...], Shape] = {}
        for job in snapshot.waiting:
            if job.not_before_ms > snapshot.now_ms:
                self._waits[job.id] = backoff(job)
                continue
            key = shape_key(job.spec.groups)
            shape = shapes.get(key)
            if shape is None:
                shape = shapes[key] = shape_of(job.spec.groups)
            self.asks.append(Ask(job, shape))

    def hopeless(self, shape: Shape) -> bool:
        """Say whether it is known already that there is no room for this."""
        return shape in self._failed or not shape.need.fits(self.ledger.free_total)

    def try_start(self, ask: Ask) -> bool:
        """Start the job if all of its gang has room now."""
        if ask.shape in self._failed:
            return False
        job, ledger = ask.job, self.ledger
        allocation = place(job.spec.groups, ledger.free, ledger.nodes)
        if allocation is None:
            self._failed.add(ask.shape)
            return False
        ledger.place(job, allocation)
        self._started[job.id] = Start(job=job.id, allocation=allocation)
        return True

    def never(self, shape: Shape) -> bool:
        """Say whether this can never fit; as long as no node has joined, nobody knows."""
        if shape not in self._never:
            nodes = self.ledger.nodes
            self._never[shape] = bool(nodes) and never_fits(shape, nodes)
        return self._never[shape]

    def left(self) -> list[Ask]:
        """Give who asked, was not started and may still be one day, by submission."""
        return [
            ask
            for ask in self.asks
            if ask.job.id not in self._started and not self.never(ask.shape)
        ]

    def hold(self, ask: Ask, wait: Wait) -> None:
        """Let the job wait for this reason."""
        self._waits[ask.job.id] = wait

    def hold_all(self, asks: Iterable[Ask], explain: Callable[[Shape], Wait]) -> None:
        """Let all of them wait; those that are alike for the same reason."""
        waits: dict[Shape, Wait] = {}
        for ask in asks:
            if ask.shape not in waits:
                waits[ask.shape] = explain(ask.shape)
            self.hold(ask, waits[ask.shape])

    def plan(self) -> Plan:
        """Give all that was decided; every waiting job is in it once."""
        decisions: list[Decided] = [*self._started.values()]
        why: dict[Shape, Wait] = {}
        for ask in self.asks:
            if self._never.get(ask.shape):
                if ask.shape not in why:
                    why[ask.shape] = no_node_fits(ask.shape, self.ledger.nodes)
                decisions.append(Reject(job=ask.job.id, wait=why[ask.shape]))
        for job in self.ledger.snapshot.waiting:
            wait = self._waits.get(job.id)
            if wait is not None:
                decisions.append(Hold(job=job.id, wait=wait))
        return Plan(basis=self.ledger.snapshot.basis, decisions=tuple(decisions))
