"""Test where gangs are put, what can never fit, and how much of a gang would."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from msgspec.structs import replace

from makeway.model.cluster import Node
from makeway.model.job import WorkerGroup
from makeway.model.resources import NOTHING, Resources
from makeway.policy.ledger import Ledger
from makeway.policy.place import most_workers, never_fits, place, shape_key, shape_of
from makeway.policy.plan import Start
from makeway.policy.schedule import schedule
from tests.builders import amounts, group, job, node, running, snapshot_of
from tests.tables import check, table, waits

CASES = """
one worker goes where least is left over
nodes    n1..n3 cpu 4
running  x main n2 cpu 2 | y main n3 cpu 1
queued   a main cpu 2
expect   start a on n2

among equals the lowest name
nodes    n3 cpu 4 | n1 cpu 4 | n2 cpu 4
queued   a main cpu 1
expect   start a on n1

a job without gpus leaves the gpus alone
nodes    n1 cpu 4 gpu 2 | n2 cpu 4
queued   a main cpu 1
expect   start a on n2

the fewest nodes, though two small ones would be filled
nodes    n1 gpu 2 | n2 gpu 2 | n3 gpu 8
queued   a main gang 4 gpu 1
expect   start a on n3*4

the nodes with the most room first, the last one to fit
nodes    n1 gpu 8 | n2 gpu 4 | n3 gpu 2 | n4 gpu 8
queued   a main gang 10 gpu 1
expect   start a on n1*8 n3*2

of nodes with equal room, the fullest
nodes    n1..n3 cpu 8 gpu 2
running  x main n2 cpu 6 | y main n3 cpu 6
queued   a main gang 4 gpu 1 cpu 1
expect   start a on n2*2 n3*2

as many as a node takes of what it has least of
nodes    n1..n2 cpu 8 mem 4GiB
queued   a main gang 5 cpu 1 mem 1GiB
expect   start a on n1*4 n2

all groups on one node, if one can take them
nodes    n1 cpu 4 gpu 1 | n2 cpu 4 gpu 2
queued   a main ps: cpu 1 + trainer: gang 2 cpu 1 gpu 1
expect   start a on n2:ps n2*2:trainer

the bulky group first, the small one beside it
nodes    n1 cpu 8 | n2..n3 cpu 4 gpu 1
queued   a main ps: cpu 1 + trainer: gang 2 cpu 3 gpu 1
expect   start a on n2:ps n2:trainer n3:trainer

all groups or none
nodes    n1 cpu 4 | n2 gpu 1
queued   a main ps: cpu 1 + trainer: gang 2 gpu 1 | b main ps: cpu 1 + trainer: gang 1 gpu 1
expect   start b on n1:ps n2:trainer | reject a NoNodeFits

a worker that needs nothing
nodes    n1 cpu 1
running  x main n1 cpu 1
queued   a main gang 3 cpu 0
expect   start a on n1*3
"""


@pytest.mark.parametrize("text", CASES.strip().split("\n\n"), ids=lambda text: text.split("\n")[0])
def test_case(text: str) -> None:
    check(text, schedule)


def cluster(**gpus: float) -> tuple[Mapping[str, Resources], Mapping[str, Node]]:
    nodes = {name: node(name, gpus=amount) for name, amount in gpus.items()}
    return {name: one.capacity for name, one in nodes.items()}, nodes


@pytest.mark.parametrize(
    "groups, never",
    [
        ([group(gpus=4)], False),
        ([group(gpus=5)], True),
        ([group(count=3, gpus=2)], False),
        ([group(count=4, gpus=2)], True),
        ([group(count=2, gpus=3)], True),
        ([group("a", gpus=4), group("b", gpus=2)], False),
        ([group("a", gpus=4), group("b", gpus=3)], True),
        # Not possible, but only packing would show it: what is not certain is not refused.
        ([group("a", count=2, gpus=2), group("b", count=1, gpus=1), group("c", gpus=1)], False),
        ([group(license=1)], True),
        ([group(count=9)], False),
    ],
)
def test_never(groups: list[WorkerGroup], never: bool) -> None:
    _, nodes = cluster(n1=4, n2=2)
    assert never_fits(shape_of(tuple(groups)), nodes) is never


def test_what_an_empty_cluster_holds_is_not_called_impossible_because_it_is_full() -> None:
    full = snapshot_of([node("n1")], running=[running(job("x"), "n1")])
    assert not never_fits(shape_of((group(cpus=4),)), full.nodes)


def test_how_much_of_a_gang_has_room() -> None:
    free, nodes = cluster(n1=3, n2=1)
    assert most_workers(shape_of((group(count=9, gpus=1),)), free, nodes) == 4
    assert most_workers(shape_of((group(count=9, gpus=2),)), free, nodes) == 1
    both = shape_of((group("a", count=3, gpus=1), group("b", count=2, gpus=2)))
    assert most_workers(both, free, nodes) == 3


# The tightest node for `a`, which is tried first, is the only one for `b`.
TRAP = [group("a", cpus=2.5), group("b", cpus=2, gpus=4)]


def trap() -> tuple[Mapping[str, Resources], Mapping[str, Node]]:
    rooms: dict[str, dict[str, float]] = {
        "n2": {"cpus": 10},
        "n1": {"cpus": 2.5, "gpus": 8},
        "n3": {"gpus": 40},
    }
    nodes = {name: node(name, **amount) for name, amount in rooms.items()}
    free = {name: one.capacity for name, one in nodes.items()}
    return {**free, "n1": amounts(cpus=2.5, gpus=4)}, nodes


def test_groups_are_tried_in_another_order_if_the_first_leads_nowhere() -> None:
    found = place(TRAP, *trap())
    assert found is not None
    assert [(row.group, row.node) for row in found.placements] == [("a", "n2"), ("b", "n1")]


def test_if_no_order_that_is_tried_packs_well_any_room_will_do() -> None:
    found = place([*TRAP, group("c", cpus=1), group("d", cpus=0.5)], *trap())
    assert found is not None
    rows = [(row.group, row.node) for row in found.placements]
    assert rows == [("a", "n2"), ("b", "n1"), ("c", "n2"), ("d", "n2")]


def test_jobs_are_alike_by_what_they_need_to_start() -> None:
    one, other = group(count=2, most=2, cpus=1), group(count=2, most=5, cpus=1)
    assert shape_key([one]) == shape_key([other])
    assert shape_key([one]) != shape_key([group(count=3, cpus=1)])
    assert shape_key([one]) != shape_key([group(count=2, cpus=2)])


def test_a_ledger_gives_everything_back() -> None:
    case = table("""
        a gang starts, a job is evicted, slots are kept, and all of it is taken back
                 lab
               ada bob
        nodes    n1..n2 cpu 4
        running  x ada n1 cpu 1
        queued   a bob gang 2 cpu 2
        """)
    (waiting,) = case.snapshot.waiting()
    ledger, worker = Ledger(case.snapshot), waiting.spec.groups[0].per_worker

    def sums() -> list[object]:
        paths = ["", "/", "lab", "lab/", "lab/ada", "lab/bob", "lab/bob/"]
        usage = [(ledger.usage(path), ledger.jobs_in(path)) for path in paths]
        taking = [dict(ledger.taking(worker)), dict(ledger.taking(worker, soon=True))]
        return [ledger.rooms(ledger.nodes), ledger.free_total(), usage, taking, [*ledger.holders()]]

    before = sums()
    mark = ledger.checkpoint()
    found = place(waiting.spec.groups, ledger.rooms(ledger.nodes), ledger.nodes)
    assert found is not None
    ledger.start(waiting, found.placements)
    assert ledger.usage("lab") == amounts(cpus=5)
    assert ledger.jobs_in("lab") == 2
    assert ledger.free_total() == amounts(cpus=3)
    assert [*ledger.holders()][-1] == ("a", amounts(cpus=4))
    ledger.rollback(mark)
    row = case.snapshot.running["x"]
    ledger.evict(row, row.allocation.placements)
    assert ledger.usage("lab") == NOTHING
    assert (ledger.room("n1"), ledger.room("n1", soon=True)) == (amounts(cpus=3), amounts(cpus=4))
    ledger.keep(waiting, running(waiting, "n1*2").allocation)
    assert ledger.usage("lab") == amounts(cpus=4)
    assert (ledger.room("n1"), ledger.room("n1", soon=True)) == (NOTHING, NOTHING)
    ledger.rollback(mark)
    assert sums() == before
    assert case.snapshot.free["n1"] == amounts(cpus=3)


def test_a_node_that_shrank_under_its_jobs_takes_nothing_from_the_others() -> None:
    world = snapshot_of([node("n1"), node("n2")], [job("a", cpus=4)])
    shrunk = replace(world, free={**world.free, "n1": Resources.of({"cpu_milli": -2000})})
    (start,) = schedule(shrunk).decisions
    assert start == Start(job="a", allocation=running(job("a"), "n2").allocation)


def test_an_amount_of_0_is_none() -> None:
    nothing = Resources({"cpu_milli": 1000, "gpu_milli": 0})
    nodes = [Node(name=name, capacity=nothing) for name in ("n1", "n2")]
    waiting = [job(name, groups=[WorkerGroup(per_worker=nothing)]) for name in ("a", "b", "c")]
    world = snapshot_of(nodes, waiting)
    told = waits(schedule(world), world)
    assert told["c"].text == "needs 1 worker of 1 cpu; 0 cpus are free"


def test_more_than_a_node_has_is_our_own_bug() -> None:
    ledger = Ledger(snapshot_of([node("n1", cpus=1)]))
    with pytest.raises(AssertionError, match="x takes more than n1 has"):
        ledger.start(job("x", cpus=2), running(job("x", cpus=2), "n1").allocation.placements)
