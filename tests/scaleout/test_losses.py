"""Nodes that die, freeze, and come back; agents that cannot be heard: seen, fenced, never twice."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from makeway.executor.processes import descendants
from makeway.model import event as ev
from makeway.model.job import Program
from tests.conformance.ray_stage import SHORT_LEASE_MS, RayStage
from tests.conformance.stage import alive, eventually, pids_in, script
from tests.scaleout.cluster import RayCluster, RayNode

pytestmark = pytest.mark.xdist_group("ray")


@pytest.fixture
def stage(store_dir: Path, ray_cluster: RayCluster) -> Iterator[RayStage]:
    made = RayStage(store_dir, ray_cluster.address, lease_ms=SHORT_LEASE_MS)
    yield made
    made.close()


@pytest.fixture
def spare(ray_cluster: RayCluster, stage: RayStage) -> RayNode:
    """Another node, with which a test may do what it likes; it is left as it is then."""
    node = ray_cluster.nodes.get("spare")
    if node is not None and not node.works():
        node.end()
        del ray_cluster.nodes["spare"]
        ray_cluster.until_there(set(ray_cluster.nodes) - {"head"})  # Ray knows that it is gone
        stage.machines.clear()
        node = None
    if node is None:
        node = ray_cluster.add("spare", host=20)
    stage.until_machine(ev.NodeJoined, "spare")
    return node


def ticking(truth: Path) -> Program:
    """A program that says its pid, and goes on for ever."""
    return script(f"echo $$ >> {truth}; while :; do sleep 0.1; done")


def begin(stage: RayStage, program: Program, node: str, *, fence: int = 1) -> int:
    """Let one worker run on a node, and give its pid."""
    stage.events.clear()
    stage.launch(program, workers={node: 1}, fence=fence)
    stage.release(fence=fence)
    return stage.started().pid


def test_a_raylet_that_is_killed_is_a_node_lost_and_it_may_come_back(
    stage: RayStage, spare: RayNode, ray_cluster: RayCluster, tmp_path: Path
) -> None:
    truth = tmp_path / "truth"
    worker = begin(stage, ticking(truth), "spare")
    os.kill(spare.raylet(), signal.SIGKILL)
    ended = stage.exit()
    assert (ended.lost or "").startswith("node spare is gone")
    assert not alive(worker), "whoever is told to have ended must not be at work"
    stage.until_machine(ev.NodeLost, "spare")
    begin(stage, ticking(truth), "n1", fence=2)
    assert eventually(lambda: [alive(pid) for pid in pids_in(truth)] == [False, True])
    stage.stop(grace_ms=0, fence=2)
    stage.exit()
    spare.end()
    stage.machines.clear()
    ray_cluster.add("spare", host=20)
    stage.until_machine(ev.NodeJoined, "spare")
    begin(stage, script("exit 0"), "spare", fence=3)
    assert stage.exit().good


def test_a_node_that_freezes_is_lost_after_its_leases_and_its_workers_do_not_come_back(
    stage: RayStage, spare: RayNode, tmp_path: Path
) -> None:
    truth = tmp_path / "truth"
    worker = begin(stage, ticking(truth), "spare")
    agent = stage.agent()
    frozen = [*spare.processes(), agent, *descendants(agent)]
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    ended = stage.exit()
    assert ended.lost is not None
    assert time.monotonic() - began > SHORT_LEASE_MS / 1000, "not before it has ended by itself"
    stage.until_machine(ev.NodeLost, "spare")
    begin(stage, ticking(truth), "n2", fence=2)
    for pid in reversed(frozen):
        os.kill(pid, signal.SIGCONT)
    assert eventually(lambda: not alive(worker))
    assert eventually(lambda: [alive(pid) for pid in pids_in(truth)] == [False, True])
    assert not [event for event in stage.events if isinstance(event, ev.WorkerExited)]


def test_an_agent_that_is_frozen_alone_is_swept_by_its_seat(stage: RayStage) -> None:
    worker = begin(stage, script("sleep 60"), "n1")
    os.kill(stage.agent(), signal.SIGSTOP)
    ended = stage.exit()
    assert ended.lost is not None
    assert not alive(worker)
    assert ev.NodeLost(name="n1") not in stage.machines


def test_without_a_controller_an_agent_ends_its_worker_when_its_lease_is_over(
    stage: RayStage,
) -> None:
    worker = begin(stage, script("sleep 60"), "n1")
    assert eventually(lambda: not alive(worker), within_s=30), "nobody observes meanwhile"
    assert "its lease is over" in (stage.exit().lost or "")


def test_a_seat_that_is_taken_away_takes_its_worker_along(
    stage: RayStage, ray_cluster: RayCluster, tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    begin(stage, script(f"setsid sleep 60 & echo $! > {pids}; echo $$ >> {pids}; wait"), "n1")
    assert eventually(lambda: pids.exists() and len(list(pids_in(pids))) == 2)
    seats = [pid for pid in ray_cluster.nodes["n1"].processes() if _is_seat(pid)]
    for seat in seats:
        os.kill(seat, signal.SIGKILL)
    assert seats
    assert "its place was taken away" in (stage.exit().lost or "")
    assert not any(alive(pid) for pid in pids_in(pids))
    assert ev.NodeLost(name="n1") not in stage.machines


def _is_seat(pid: int) -> bool:
    name = Path(f"/proc/{pid}/cmdline").read_text("utf-8")
    return name.startswith("ray::") and "Agent" not in name
