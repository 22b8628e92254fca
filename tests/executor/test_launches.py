"""Who each worker is among the others, on nodes that may all be one machine."""

from __future__ import annotations

from pathlib import Path

from makeway.executor.launches import Place, launches
from makeway.executor.protocol import Launch
from makeway.model.cluster import Allocation, Placement
from makeway.model.effect import LaunchWorkers, ResizeWorkers
from makeway.model.job import JobSpec, WorkerGroup
from makeway.model.resources import Resources

PLACE = Place(store=Path("/s"), controller=Path("/s/c"), sample_ms=1000)
SPEC = JobSpec(
    name="j",
    user="ada",
    queue="q",
    groups=(
        WorkerGroup(name="ps", per_worker=Resources.of({"memory_bytes": 7})),
        WorkerGroup(name="worker", count_min=2, count_max=9),
    ),
)


def launched(*rows: tuple[str, str, int]) -> list[Launch]:
    allocation = Allocation(tuple(Placement(*row) for row in rows))
    order = LaunchWorkers(job="j", number=1, fence=1, spec=SPEC, allocation=allocation)
    return launches(order, PLACE)


def test_local_ranks_count_on_each_node_as_torchrun_counts_them() -> None:
    made = launched(("n1", "worker", 2), ("n2", "worker", 3))
    assert [each.rank for each in made] == [0, 1, 2, 3, 4]
    assert [each.local_rank for each in made] == [0, 1, 0, 1, 2]
    assert [each.local_workers for each in made] == [2, 2, 3, 3, 3]
    assert [each.node_rank for each in made] == [0, 0, 1, 1, 1]
    assert {(each.workers, each.nodes) for each in made} == {(5, 2)}


def test_a_node_may_stand_in_several_rows() -> None:
    made = launched(("n1", "worker", 1), ("n2", "worker", 1), ("n1", "worker", 2))
    assert [each.local_rank for each in made] == [0, 0, 1, 2]
    assert [each.local_workers for each in made] == [3, 1, 3, 3]
    assert [each.node_rank for each in made] == [0, 1, 0, 0]


def test_each_group_has_its_own_shape() -> None:
    made = launched(("n1", "ps", 1), ("n1", "worker", 2))
    assert [each.memory_bytes for each in made] == [7, 0, 0]


def test_all_meet_on_this_machine_whatever_their_nodes_are_called() -> None:
    assert {each.address for each in launched(("a", "worker", 1), ("b", "worker", 1))} == {
        "127.0.0.1"
    }


def test_a_resize_makes_launches_of_its_generation() -> None:
    allocation = Allocation((Placement("n1", "worker", 3),))
    order = ResizeWorkers(
        job="j", number=1, fence=1, generation=4, spec=SPEC, allocation=allocation, grace_ms=0
    )
    made = launches(order, PLACE)
    assert {(each.generation, each.workers) for each in made} == {(4, 3)}
    assert {(each.workers_min, each.workers_max) for each in made} == {(3, 10)}
