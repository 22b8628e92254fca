"""A node of Ray is lost when nothing of ours can live on it any more, and not before."""

from __future__ import annotations

import pytest

from makeway.executor.envoy import RayNode
from makeway.executor.ray_fleet import Fleet
from makeway.executor.ray_nodes import amounts_of, nodes_of
from makeway.model.cluster import Node
from makeway.model.event import NodeJoined, NodeLost
from makeway.model.resources import CPU, GPU, MEMORY, NOTHING, Resources

CPUS = Resources.of({CPU: 2000})


def node(name: str, node_id: str = "") -> RayNode:
    return RayNode(
        node_id=node_id or f"id-{name}", address="10.0.0.1", port=1,
        node=Node(name=name, capacity=CPUS),
    )  # fmt: skip


@pytest.fixture
def fleet() -> Fleet:
    """Two nodes that are known to be there."""
    made = Fleet()
    made.count([node("a"), node("b")])
    assert [*made.news(set())] == [NodeJoined(node=node("a").node), NodeJoined(node=node("b").node)]
    return made


def test_what_has_been_said_is_not_said_again(fleet: Fleet) -> None:
    fleet.count([node("a"), node("b")])
    assert not [*fleet.news(set())]


def test_a_node_without_workers_is_lost_as_soon_as_ray_does_not_count_it(fleet: Fleet) -> None:
    fleet.count([node("a")])
    assert [*fleet.news(set())] == [NodeLost(name="b")]


def test_a_node_with_workers_has_nothing_to_give_until_they_have_ended(fleet: Fleet) -> None:
    fleet.count([node("a")])
    (closed,) = fleet.news({"b"})
    assert closed == NodeJoined(node=Node(name="b", capacity=NOTHING))
    assert not [*fleet.news({"b"})]
    assert [*fleet.news(set())] == [NodeLost(name="b")]


def test_a_raylet_that_refuses_is_dead_for_ever_and_its_successor_is_not(fleet: Fleet) -> None:
    fleet.refuses("b")
    fleet.count([node("a"), node("b")])  # Ray has not noticed it yet
    assert [*fleet.news(set())] == [NodeLost(name="b")]
    fleet.count([node("a"), node("b", "another")])
    assert [*fleet.news(set())] == [NodeJoined(node=node("b").node)]


def test_a_node_that_was_not_heard_is_back_when_it_has_answered(fleet: Fleet) -> None:
    asked = fleet.unheard("b")
    assert [*fleet.news(set())] == [NodeLost(name="b")]
    fleet.count([node("a"), node("b")])  # Ray takes it for alive still
    assert fleet.find("b") is None
    fleet.heard(asked)
    assert [*fleet.news(set())] == [NodeJoined(node=node("b").node)]


def test_what_was_believed_before_a_restart_and_is_gone_is_lost() -> None:
    fleet = Fleet()
    fleet.believe([node("a").node, node("b").node])
    fleet.count([node("a")])
    assert [*fleet.news(set())] == [NodeLost(name="b")]


# ── as Ray says it ────────────────────────────────────────────────────────────────────────────────


def row(name: str, node_id: str, **resources: float) -> dict[str, object]:
    return {
        "NodeID": node_id, "NodeName": name, "Alive": True, "NodeManagerAddress": "10.0.0.1",
        "NodeManagerPort": 1, "Labels": {"ray.io/node-id": node_id, "zone": "z"},
        "Resources": resources,
    }  # fmt: skip


def test_resources_and_labels_are_seen_as_ours() -> None:
    (found,) = nodes_of(
        [row("a", "1", CPU=1.5, GPU=2, memory=1e9, slot=4, object_store_memory=5, bundle_group_x=1)]
    )
    assert found.node.capacity == Resources.of({CPU: 1500, GPU: 2000, MEMORY: 10**9, "slot": 4})
    assert found.node.labels == {"zone": "z"}


def test_who_cannot_work_or_is_dead_is_left_out_and_equal_names_are_told_apart() -> None:
    dead = {**row("dead", "9", CPU=1), "Alive": False}
    rows = [row("head", "1", memory=1e9), row("n", "abcdefgh", CPU=1), row("n", "ijklmnop", CPU=1)]
    names = [one.node.name for one in nodes_of([*rows, dead])]
    assert names == ["n-abcdef", "n-ijklmn"]


def test_what_is_asked_is_said_as_ray_counts_and_never_nothing() -> None:
    asked = Resources.of({CPU: 500, GPU: 1000, MEMORY: 1 << 20, "slot": 2})
    assert amounts_of(asked, "h") == {"CPU": 0.5, "GPU": 1, "memory": 1 << 20, "slot": 2}
    assert amounts_of(NOTHING, "h") == {"node:h": 0.0001}
