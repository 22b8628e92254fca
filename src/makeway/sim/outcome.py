"""Say what a simulated world looks like at an instant: queues, jobs, decisions, figures.

Folded from the log and the engine's state, in the shape that `makeway simulate -o json` prints
(docs/scenarios.md). Amounts are in the units of people: processors, devices, bytes.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from makeway.answers import waits as views
from makeway.answers.shares import queue_views
from makeway.answers.waits import Asked
from makeway.model.units import NAMES
from makeway.model.wait import Wait
from makeway.report import report
from makeway.sim.scenario import Scenario
from makeway.sim.story import Row, Story
from makeway.sim.world import World

# So many waiting jobs are told what would start them: each costs a dozen decisions.
ADVISED_MAX = 64


def outcome(scenario: Scenario, world: World, wall_s: float, *, advise: bool = True) -> Row:
    """Describe the world as it is now; with `advise`, say also what would start those who wait."""
    story = Story(scenario.rules.classes)
    for entry in world.log:
        story.add(entry)
    policy = asked(world)
    left = ADVISED_MAX if advise else 0
    for row in story.jobs.values():
        if row["phase"] == "queued":
            wait = policy.wait_of(str(row["name"]), advise=left > 0)
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


def wait_of(world: World, name: str) -> Wait | None:
    """Explain a job that waits now, or was refused; None: it does neither."""
    wait = asked(world).wait_of(name)
    if wait is not None:
        return wait
    story = Story({})
    for entry in world.log:
        story.add(entry)
    return story.refusals.get(name)


def asked(world: World) -> Asked:
    """Ask the policy once more about a world at rest."""
    state = world.engine.state
    return Asked(state.snapshot(world.now_ms), state.waiting, state.waits)


def written(wait: Wait) -> Row:
    """Write a wait as it is printed."""
    row: Row = msgspec.to_builtins(views.written(wait))
    return row


def queues_of(world: World, order: Sequence[str] = ()) -> list[Row]:
    """Give the four numbers of every queue, each after its parent, those of `order` first."""
    snapshot = world.engine.state.snapshot(world.now_ms)
    return [msgspec.to_builtins(view) for view in queue_views(snapshot, order)]


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
