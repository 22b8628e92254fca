"""A policy that decides what the test says, once, and otherwise starts nobody."""

from __future__ import annotations

from makeway.model import event as ev
from makeway.model.cluster import Allocation, Placement
from makeway.model.rules import Rules
from makeway.model.wait import Reason, Wait
from makeway.policy.plan import Decided, Hold, Plan
from makeway.policy.snapshot import Kind, Snapshot
from tests.engine.house import House


class Hand:
    """The policy; everybody who is not told otherwise waits for the reason `reason`."""

    def __init__(self) -> None:
        self.next: list[Decided] = []
        self.reason = Reason.INSUFFICIENT_FREE
        self.wake_at_ms: int | None = None
        self.asked = 0

    def __call__(self, snapshot: Snapshot) -> Plan:
        self.asked += 1
        decisions, self.next = tuple(self.next), []
        return Plan(
            basis=snapshot.basis,
            decisions=decisions,
            holds=[Hold(kind=kind, reason=self.reason) for kind in snapshot.lanes],
            explain=self.explain,
            wake_at_ms=self.wake_at_ms,
        )

    def explain(self, _kind: Kind, job: str) -> Wait:
        return Wait(reason=self.reason, text=f"{job} waits")


class Led(House):
    """A house whose policy is led by hand."""

    def __init__(self, *nodes: str, cpus: int = 4) -> None:
        self.hand = Hand()
        super().__init__(*nodes, cpus=cpus, policy=self.hand)

    def decide(self, *decisions: Decided) -> list[str]:
        """Let the policy decide this now."""
        self.hand.next = [*decisions]
        rules = self.engine.state.rules
        other = Rules(backfill_depth=rules.backfill_depth + 1)
        return self.tell(ev.RulesConfigured(rules=other))


def on(*rows: str) -> Allocation:
    """Write an allocation: `on("n1*2", "n2")`."""
    parted = [row.partition("*") for row in rows]
    return Allocation(tuple(Placement(node, "worker", int(n or 1)) for node, _, n in parted))
