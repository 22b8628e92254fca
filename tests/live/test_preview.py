"""Say what another policy, share tree or cluster would do, and hold it to what then happens."""

from __future__ import annotations

from pathlib import Path

import pytest

from makeway.cli.simulate import open_world, run_to
from makeway.cli.yamlfile import read_text
from makeway.engine.invariants import check
from makeway.intake.located import item_of
from makeway.intake.setup import Setup, setup_of
from makeway.intake.written import plain_of
from makeway.live.changes import Changed
from makeway.live.edited import facts_of, in_force
from makeway.live.preview import Preview, preview
from makeway.model import event as ev
from makeway.policy.choose import POLICIES, decide
from makeway.sim.play import world_of
from makeway.sim.scenario_read import scenario_of
from makeway.sim.world import World

FOLDER = Path(__file__).parents[2] / "examples" / "scenarios"
FILES = sorted(FOLDER.glob("*.yaml"))

# Four processors each for a and b; x and y are many small jobs that leave a second after they are told.
SHARED = """
cluster: {nodes: [{name: n, count: 2, cpus: 4}]}
policy: {preemption: {grace: 1s}}
queues: [{name: a}, {name: b}]
jobs:
  - {name: x, queue: a, copies: 6, per_worker: {cpus: 1}, exit_time: 5s}
  - {name: y, queue: b, copies: 12, per_worker: {cpus: 1}, exit_time: 5s}
"""


def world_at(text: str, at_ms: int) -> World:
    world = world_of(scenario_of(read_text(text, "s.yaml"), tuple(POLICIES)), decide)
    run_to(world, at_ms)
    return world


def setup(text: str, world: World) -> Setup:
    fields = read_text(text, "p.yaml").mapping("a policy file")
    return setup_of(fields, tuple(POLICIES), world.engine.state.rules)


def of(world: World, text: str) -> Preview:
    return preview(world.engine.state, setup(text, world), world.now_ms)


def named(found: Preview) -> dict[str, set[str]]:
    """Give the jobs of a preview by what would become of them."""
    jobs: dict[str, set[str]] = {}
    for one in found.consequences:
        jobs.setdefault(one.kind, set()).add(one.job)
    return jobs


# ── nothing happens ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_is_in_force_changes_nothing(path: Path) -> None:
    scenario, world = open_world(str(path), None)
    for expected in sorted(scenario.expected, key=lambda one: one.at_ms):
        run_to(world, expected.at_ms)
        state = world.engine.state
        same = plain_of(in_force(state, {}))
        again = setup_of(item_of(same, "").mapping("it"), tuple(POLICIES), state.rules)
        assert preview(state, again, world.now_ms) == Preview()
        assert facts_of(state, again) == ()


def test_a_preview_leaves_no_trace() -> None:
    asked, alone = world_at(SHARED, 0), world_at(SHARED, 0)
    for at_ms in (0, 1_000, 5_000):
        run_to(asked, at_ms)
        of(asked, "queues: [{name: b, weight: 3}]\npolicy: {name: las, usage: {weight: 1}}")
        of(asked, "nodes: [{name: n1, cpus: 2}, {name: new, cpus: 9}]")
        check(asked.engine.state)
    run_to(alone, 5_000)
    assert asked.log == alone.log


def test_a_world_without_jobs_has_settings_to_change_all_the_same() -> None:
    world = world_at("cluster: {nodes: [{name: n, cpus: 4}]}", 0)
    found = of(world, "queues: [{name: lab, weight: 2}]")
    assert found.changes == (
        Changed(what="queue", name="lab", key="", old=None, new={"weight": 2}),
    )
    assert found.consequences == ()
    assert [(one.path, one.share_before, one.share_after) for one in found.shares] == [
        ("lab", None, 1.0)
    ]


# ── what is said then happens ─────────────────────────────────────────────────────────────────────

OTHERWISE = {
    "another weight": "queues: [{name: a}, {name: b, weight: 3}]",
    "a guarantee": "queues: [{name: a}, {name: b, guarantee: {cpus: 7}}]",
    "no reclaim, so nobody leaves": (
        "queues: [{name: a}, {name: b, weight: 3}]\npolicy: {preemption: {reclaim: false}}"
    ),
    "a limit": "queues: [{name: a, limit: {cpus: 1}}, {name: b}]",
    "another policy": "policy: {name: fifo}",
    "a tree without them": "queues: []",
}


@pytest.mark.parametrize("text", OTHERWISE.values(), ids=OTHERWISE)
def test_what_would_happen_happens_when_it_is_applied(text: str) -> None:
    world = world_at(SHARED, 1_000)
    wanted = setup(text, world)
    found = preview(world.engine.state, wanted, world.now_ms)
    before = len(world.log)
    for fact in facts_of(world.engine.state, wanted):
        world.at(1_000, fact)
    run_to(world, 1_000)
    happened: dict[str, set[str]] = {}
    for entry in world.log[before:]:
        match entry.event:
            case ev.AttemptStarted(job=job):
                happened.setdefault("start", set()).add(job)
            case ev.AttemptStopped(job=job):
                happened.setdefault("evict", set()).add(job)
            case ev.SlotsReserved(job=job):
                happened.setdefault("reserve", set()).add(job)
    assert named(found) == happened


def test_the_better_weight_takes_from_the_other_queue() -> None:
    found = of(world_at(SHARED, 1_000), OTHERWISE["another weight"])
    assert {kind: len(jobs) for kind, jobs in named(found).items()} == {"evict": 2, "reserve": 2}
    one = next(one for one in found.consequences if one.kind == "evict")
    assert (one.queue, one.before, one.workers, one.rule) == ("a", 1, 0, "reclaim")
    shares = {one.path: (one.share_before, one.share_after) for one in found.shares}
    assert shares == {"a": (0.5, 0.25), "b": (0.5, 0.75)}
    dues = {one.path: (one.due_before, one.due_after) for one in found.shares}
    assert dues == {"a": ({"cpus": 4}, {"cpus": 2}), "b": ({"cpus": 4}, {"cpus": 6})}


def test_an_elastic_job_would_give_workers_back() -> None:
    text = """
cluster: {nodes: [{name: n, cpus: 8}]}
queues: [{name: a}, {name: b}]
jobs:
  - {name: e, queue: a, workers: {min: 1, max: 8}, per_worker: {cpus: 1}, exit_time: 5s}
  - {name: f, queue: b, at: 0.5s, copies: 8, per_worker: {cpus: 1}, exit_time: 5s}
"""
    found = of(world_at(text, 1_000), "queues: [{name: a}, {name: b, weight: 3}]")
    shrunk = next(one for one in found.consequences if one.kind == "shrink")
    assert (shrunk.job, shrunk.before, shrunk.workers) == ("e", 4, 2)
    grown = of(world_at(text, 1_000), "nodes: [{name: n, cpus: 10}]\nqueues: [{name: a}]")
    assert "f5" in named(grown)["start"]


# ── settings ──────────────────────────────────────────────────────────────────────────────────────


def test_every_setting_that_differs_is_named_as_files_write_it() -> None:
    world = world_at(SHARED, 0)
    found = preview(
        world.engine.state,
        setup(
            "policy: {preemption: {grace: 10s}, classes: {urgent: 500}}\n"
            "queues: [{name: a, users: [ada], limit: {cpus: 4}}]",
            world,
        ),
        0,
        {"a": ("bob",), "b": ("eve",)},
    )
    assert [(one.what, one.name, one.key, one.old, one.new) for one in found.changes] == [
        ("policy", "", "preemption.grace", "1s", "10s"),
        ("policy", "", "classes.urgent", None, 500),
        ("queue", "a", "users", ["bob"], ["ada"]),
        ("queue", "a", "limit", None, {"cpus": 4}),
        ("queue", "b", "", {"users": ["eve"]}, None),
    ]


def test_a_queue_keeps_the_classes_that_it_named_when_their_numbers_change() -> None:
    text = SHARED.replace(
        "{name: a}", "{name: a, max_class: high, class_limits: {low: {running: 1}}}"
    )
    world = world_at(text, 0)
    (rules, queues) = facts_of(
        world.engine.state, setup("policy: {classes: {high: 300, low: -5}}", world)
    )
    assert isinstance(rules, ev.RulesConfigured)
    assert isinstance(queues, ev.QueuesConfigured)
    assert [(one.max_class, [*one.class_limits]) for one in queues.queues] == [
        (300, [-5]),
        (None, []),
    ]


def test_past_usage_that_is_not_said_again_is_not_changed() -> None:
    world = world_at(SHARED.replace("{name: a}", "{name: a, past_usage: {cpus: 60}}"), 0)
    assert facts_of(world.engine.state, setup("queues: [{name: a}, {name: b}]", world)) == ()


def test_past_usage_that_begins_to_count_is_looked_at() -> None:
    text = SHARED.replace("{name: a}", "{name: a, past_usage: {cpus: 9000000}}")
    world = world_at(text, 1_000)
    more = "nodes: [{name: n, count: 3, cpus: 4}]\n"
    even = named(of(world, more))["start"]
    assert {name[0] for name in even} == {"x", "y"}
    late = named(of(world, more + "policy: {usage: {weight: 10}}"))["start"]
    assert {name[0] for name in late} == {"y"}, "who used much before comes later"


# ── nodes ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_node_that_comes_is_used_at_once() -> None:
    found = of(world_at(SHARED, 1_000), "nodes: [{name: n, count: 3, cpus: 4}]")
    assert found.changes == (Changed(what="node", name="n3", key="", old=None, new=NODE),)
    assert len(named(found)["start"]) == 4


NODE = {"name": "n3", "cpus": 4}


def test_who_is_on_a_node_that_goes_would_lose_it() -> None:
    world = world_at(SHARED, 1_000)
    rows = world.engine.state.running.items()
    there = {name for name, row in rows if row.allocation.placements[0].node == "n2"}
    found = of(world, "nodes: [{name: n1, cpus: 4}]")
    assert named(found)["lose"] == there
    assert [(one.name, one.new) for one in found.changes] == [("n2", None)]


def test_a_node_may_become_another() -> None:
    found = of(world_at(SHARED, 1_000), "nodes: [{name: n1, cpus: 6}, {name: n2, cpus: 4}]")
    assert [(one.name, one.key, one.old, one.new) for one in found.changes] == [
        ("n1", "cpus", 4, 6)
    ]
    assert len(named(found)["start"]) == 2


def test_a_node_that_is_down_stays_down() -> None:
    text = SHARED + "events: [{at: 1s, node_down: n2}]\n"
    world = world_at(text, 1_000)
    assert of(world, "nodes: [{name: n, count: 2, cpus: 4}]") == Preview()


def test_machines_come_change_and_go_and_one_that_drains_goes_on_draining() -> None:
    world = world_at("cluster: {nodes: [{name: n, count: 2, cpus: 4}]}", 0)
    world.at(1_000, ev.NodeDrained(name="n1", text="for repair"))
    run_to(world, 1_000)
    wanted = setup("nodes: [{name: n1, cpus: 4}, {name: new, cpus: 9}]", world)
    facts = facts_of(world.engine.state, wanted)
    assert [(type(fact).__name__, getattr(fact, "name", "")) for fact in facts] == [
        ("NodeJoined", ""),
        ("NodeRemoved", "n2"),
    ]
    for fact in facts:
        world.at(1_000, fact)
    run_to(world, 1_000)
    assert [*world.engine.state.draining] == ["n1"]
    assert facts_of(world.engine.state, wanted) == ()


def test_what_was_used_before_is_not_forgotten_when_a_share_tree_is_applied_again() -> None:
    text = SHARED.replace("{name: a}", "{name: a, past_usage: {cpus: 3600}}")
    world = world_at(text, 0)
    (queues,) = facts_of(
        world.engine.state, setup("queues: [{name: a, weight: 2}, {name: b}]", world)
    )
    assert isinstance(queues, ev.QueuesConfigured)
    assert queues.queues[0].past_usage == {"cpu_milli": 3_600_000_000}
