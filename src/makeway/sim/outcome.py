"""Say what a simulated world looks like at an instant: queues, jobs, decisions, figures.

Folded from the log and the engine's state, in the shape that `makeway simulate -o json` prints
(docs/scenarios.md). Amounts are in the units of people: processors, devices, bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from makeway.model.resources import Resources
from makeway.model.wait import Wait
from makeway.policy.choose import decide
from makeway.policy.plan import Plan, Start
from makeway.policy.share import standings
from makeway.policy.snapshot import Kind
from makeway.policy.why import READY, why
from makeway.report import report
from makeway.sim.scenario import NAMES, Scenario, in_units
from makeway.sim.story import Row, Story
from makeway.sim.world import World

# So many waiting jobs are told what would start them: each costs a dozen decisions.
ADVISED_MAX = 64


def outcome(scenario: Scenario, world: World, wall_s: float, *, advise: bool = True) -> Row:
    """Describe the world as it is now; with `advise`, say also what would start those who wait."""
    story = Story(scenario.rules.classes)
    for entry in world.log:
        story.add(entry)
    asked = Asked(world)
    left = ADVISED_MAX if advise else 0
    for row in story.jobs.values():
        if row["phase"] == "queued":
            wait = asked.wait_of(str(row["name"]), advise=left > 0)
            row["wait"], left = None if wait is None else written(wait), left - 1
    for name, wait in story.refusals.items():
        story.jobs[name]["wait"] = written(wait)
    order = {job.name: place for place, job in enumerate(scenario.jobs)}
    jobs = sorted(story.jobs.values(), key=lambda row: order[str(row["name"])])
    return {
        "at_s": world.now_ms / 1000,
        "policy": scenario.rules.name,
        "queues": queues_of(world, [queue.path for queue in scenario.queues]),
        "jobs": jobs,
        "decisions": story.decisions,
        "adopted": story.adopted,
        "metrics": _metrics(world, story, wall_s),
    }


def amounts(vector: Resources, kinds: Iterable[str]) -> dict[str, float]:
    """Write a vector in people's units, every kind of `kinds`."""
    return {NAMES.get(kind, kind): in_units(kind, vector[kind]) for kind in kinds}


def wait_of(world: World, name: str) -> Wait | None:
    """Explain a job that waits now, or was refused; None: it does neither."""
    wait = Asked(world).wait_of(name)
    if wait is not None:
        return wait
    story = Story({})
    for entry in world.log:
        story.add(entry)
    return story.refusals.get(name)


class Asked:
    """The policy, asked once more about a world at rest."""

    def __init__(self, world: World) -> None:
        """Take the world as it is now."""
        self._state = world.engine.state
        self._snapshot = self._state.snapshot(world.now_ms)
        self._kinds: dict[str, Kind] | None = None
        self._plan: Plan | None = None

    def wait_of(self, name: str, *, advise: bool = True) -> Wait | None:
        """Explain a job that waits; what would start it only if the policy is the fair one."""
        if name not in self._state.waiting:
            return self._state.waits.get(name)
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
        return told or self._state.waits.get(name)


def written(wait: Wait) -> Row:
    """Write a wait as it is printed."""
    starts_s = None if wait.starts_at_ms is None else wait.starts_at_ms / 1000
    return {
        "reason": wait.reason.value, "text": wait.text, "detail": _people(wait.detail),
        "blocked_by": [*wait.blocked_by], "unblock": [*wait.unblock], "starts_s": starts_s,
    }  # fmt: skip


def _people(value: object) -> object:
    """Write what stands in a detail by kind in people's units."""
    if not isinstance(value, Mapping):
        return value
    return {
        NAMES.get(key, key): in_units(key, one) if isinstance(one, int | float) else _people(one)
        for key, one in value.items()
    }


def queues_of(world: World, order: Sequence[str] = ()) -> list[Row]:
    """Give the four numbers of every queue, each after its parent, those of `order` first."""
    snapshot = world.engine.state.snapshot(world.now_ms)
    found = standings(snapshot)
    whole = Resources()
    for node in snapshot.nodes.values():
        whole = whole + node.capacity
    rows = []
    for path in _tree(found, order):
        one = found[path]
        asked = {kind for vector in (one.due, one.usage, one.demand) for kind in vector}
        kinds = [kind for kind in whole if kind in asked] or [*whole]
        share_of = {
            NAMES.get(kind, kind): round(one.share * in_units(kind, whole[kind]), 6)
            for kind in kinds
        }
        rows.append(
            {
                "path": path, "share": one.share, "share_of": share_of,
                "due": amounts(one.due, kinds), "usage": amounts(one.usage, kinds),
                "demand": amounts(one.demand, kinds),
            }
        )  # fmt: skip
    return rows


def _tree(paths: Iterable[str], order: Sequence[str]) -> Iterator[str]:
    """Give queues as a tree is read: declared children first, then the others by name."""
    places = {path: place for place, path in enumerate(order)}
    children: dict[str, list[str]] = {}
    for path in paths:
        if path:
            children.setdefault(path.rpartition("/")[0], []).append(path)
    todo = [""]
    while todo:
        path = todo.pop()
        if path:
            yield path
        below = children.get(path, [])
        todo += sorted(below, key=lambda one: (places.get(one, len(order)), one), reverse=True)


def _metrics(world: World, story: Story, wall_s: float) -> Row:
    figures = report(world.log, world.now_ms)

    def seconds(ms: float | None) -> float | None:
        return None if ms is None else ms / 1000

    return {
        "makespan_s": seconds(figures.makespan_ms),
        "mean_completion_s": seconds(figures.mean_completion_ms),
        "p99_completion_s": seconds(figures.p99_completion_ms),
        "mean_wait_s": seconds(figures.mean_wait_ms),
        "utilisation": figures.utilisation,
        "utilisation_of": NAMES.get(figures.scarcest or "", figures.scarcest),
        "jain": figures.jain,
        "preemptions": sum(int(str(row["preemptions"])) for row in story.jobs.values()),
        "lost_worker_s": figures.lost_worker_ms / 1000,
        "events": figures.events,
        "wall_s": round(wall_s, 3),
    }
