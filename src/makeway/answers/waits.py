"""Answer why a job does not run, as the policy sees it at this instant."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from makeway.model.wait import Wait
from makeway.policy.choose import decide
from makeway.policy.plan import Plan, Start
from makeway.policy.snapshot import Kind, Snapshot
from makeway.policy.why import READY, why
from makeway.wire.amounts import in_people_units
from makeway.wire.jobs import WaitView


class Asked:
    """The policy, asked once more about a world at rest."""

    def __init__(
        self, snapshot: Snapshot, waiting: Collection[str], waits: Mapping[str, Wait]
    ) -> None:
        """Take the world as it is: who may start, and what was said last of why who does not."""
        self._snapshot, self._waiting, self._waits = snapshot, waiting, waits
        self._kinds: dict[str, Kind] | None = None
        self._plan: Plan | None = None

    def wait_of(self, name: str, *, advise: bool = True) -> Wait | None:
        """Explain a job that waits; what would start it only if the policy is the fair one."""
        if name not in self._waiting:
            return self._waits.get(name)
        if self._plan is None:
            self._plan = decide(self._snapshot)
            lanes = self._snapshot.lanes
            self._kinds = {job.id: kind for kind, lane in lanes.items() for job in lane}
        assert self._kinds is not None
        kind = self._kinds.get(name)
        if kind is None or (advise and self._snapshot.rules.name == "fair"):
            return why(self._snapshot, name)
        if any(isinstance(one, Start) and one.job == name for one in self._plan.decisions):
            return READY
        told = None if self._plan.explain is None else self._plan.explain(kind, name)
        return told or self._waits.get(name)


def written(wait: Wait) -> WaitView:
    """Write a wait as it is told."""
    detail = in_people_units(wait.detail)
    assert isinstance(detail, dict)
    return WaitView(
        reason=wait.reason.value,
        text=wait.text,
        detail=detail,
        blocked_by=wait.blocked_by,
        unblock=wait.unblock,
        starts_s=None if wait.starts_at_ms is None else wait.starts_at_ms / 1000,
    )
