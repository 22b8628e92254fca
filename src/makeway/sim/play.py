"""Play a scenario: tell a world what its file says, at the instants that it says.

The engine and the policy are those that run live; here is only who comes when.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from makeway.engine.engine import Policy
from makeway.model import event as ev
from makeway.model.effect import LaunchWorkers
from makeway.sim.bodies import Fate, WorkerFails
from makeway.sim.course import Course, linear
from makeway.sim.scenario import Change, Given, Scenario
from makeway.sim.world import Options, World

Heard = Callable[[Sequence[ev.Entry]], None]


def world_of(scenario: Scenario, policy: Policy, hear: Heard | None = None) -> World:
    """Make the world of a scenario, at time 0 with everything still to come; see Options.hear."""
    fates = {job.name: Fate(exit_ms=job.exit_ms) for job in scenario.jobs}

    def script(order: LaunchWorkers, _rank: int) -> Fate:
        return fates[order.job]

    courses = {job.name: _course(job) for job in scenario.jobs}
    world = World(policy, script, options=Options(courses=courses, hear=hear))
    world.at(0, ev.RulesConfigured(rules=scenario.rules))
    world.at(0, ev.QueuesConfigured(queues=scenario.queues))
    for node in scenario.nodes:
        world.at(0, ev.NodeJoined(node=node))
    for job in scenario.jobs:
        if job.allocation is not None:
            since_ms = min(job.at_ms, job.since_ms)
            world.at(0, ev.JobSubmitted(job=job.name, spec=job.spec, since_ms=since_ms))
            adopted = ev.AttemptAdopted(
                job=job.name, allocation=job.allocation, started_at_ms=job.since_ms
            )
            world.at(0, adopted)
    for job in scenario.jobs:
        if job.allocation is None:
            world.at(job.at_ms, ev.JobSubmitted(job=job.name, spec=job.spec))
    nodes = {node.name: node for node in scenario.nodes}
    for change in scenario.changes:
        match change.what:
            case "node_down":
                world.at(change.at_ms, ev.NodeLost(name=change.about, text="the scenario says so"))
            case "node_up":
                world.at(change.at_ms, ev.NodeJoined(node=nodes[change.about]))
            case _:
                _other(world, change)
    return world


def _other(world: World, change: Change) -> None:
    match change.what:
        case "cancel":
            gone = ev.JobCancelRequested(job=change.about, text="the scenario says so")
            world.at(change.at_ms, gone)
        case "set_queue":
            world.at(change.at_ms, ev.QueuesConfigured(queues=change.queues))
        case "worker_fails":
            world.at(change.at_ms, WorkerFails(change.about, change.rank))


def _course(job: Given) -> Course:
    most = sum(group.count_max for group in job.spec.groups)
    rates = job.scaling

    def scaled(workers: int) -> float:
        return rates[workers - 1]

    return Course(
        job.runtime_ms,
        most,
        scaling=scaled if rates else linear,
        checkpoint_every_ms=job.spec.checkpoint_every_ms,
        startup_ms=job.spec.startup_ms,
    )
