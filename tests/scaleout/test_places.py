"""What Ray counts is what makeway decided, and nothing of it is left when an attempt is over."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from makeway.executor.door import Door, known_door
from makeway.executor.protocol import Frames, Hello, Stop, ToAgent, send
from makeway.model import event as ev
from makeway.model.job import Program
from tests.conformance.ray_stage import RayStage
from tests.conformance.stage import script
from tests.scaleout.cluster import RayCluster

pytestmark = pytest.mark.xdist_group("ray")

SEEN = """
import json, sys, ray
from ray.util import placement_group_table
ray.init(sys.argv[1], namespace=sys.argv[2], log_to_driver=False, configure_logging=False)
groups = [row for row in placement_group_table().values()
          if row["state"] != "REMOVED" and row["name"].startswith(sys.argv[2])]
named = [name for name in ray.util.list_named_actors()]
names = {node["NodeID"]: node["NodeName"] for node in ray.nodes()}
print(json.dumps({
    "bundles": [row["bundles"] for row in groups],
    "nodes": [{index: names.get(node) for index, node in row["bundles_to_node_id"].items()}
              for row in groups],
    "actors": sorted(named),
}))
"""

MEET = """
import os, torch, torch.distributed as dist
dist.init_process_group("gloo")
value = torch.tensor([float(os.environ["RANK"]) + 1])
dist.all_reduce(value)
print("sum", value.item(), flush=True)
dist.destroy_process_group()
"""


@pytest.fixture
def stage(store_dir: Path, ray_cluster: RayCluster) -> Iterator[RayStage]:
    made = RayStage(store_dir, ray_cluster.address)
    yield made
    made.close()


def seen(stage: RayStage, cluster: RayCluster) -> dict[str, list[object]]:
    """What Ray itself says of this house."""
    house = f"makeway-{known_door(stage.store).house}"
    done = subprocess.run(
        [sys.executable, "-c", SEEN, cluster.address, house],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    found: dict[str, list[object]] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_an_attempt_is_one_group_on_the_chosen_nodes_and_gone_when_it_is_over(
    stage: RayStage, ray_cluster: RayCluster
) -> None:
    asked = {"cpu_milli": 1500, "memory_bytes": 64 << 20, "slot": 2}
    program = script("sleep 60")
    stage.launch(program, workers={"n2": 1, "n3": 1}, asked=asked, least=2)
    stage.ready(0)
    stage.ready(1)
    there = seen(stage, ray_cluster)
    held = {"CPU": 1.5, "memory": float(64 << 20), "slot": 2.0}
    assert there["bundles"] == [{"0": held, "1": held}]
    assert there["nodes"] == [{"0": "n2", "1": "n3"}]
    assert there["actors"] == ["j/1/0/0", "j/1/0/1"]
    stage.stop(grace_ms=0)
    stage.exit(0)
    stage.exit(1)
    assert seen(stage, ray_cluster) == {"bundles": [], "nodes": [], "actors": []}


def test_a_worker_above_the_minimum_has_a_group_that_goes_with_it(
    stage: RayStage, ray_cluster: RayCluster
) -> None:
    program = script("trap 'exit 75' TERM; while :; do sleep 0.1; done")
    stage.launch(program, workers={"n1": 1, "n2": 1}, asked={"slot": 1})
    for rank in (0, 1):
        stage.ready(rank)
    stage.release()
    for rank in (0, 1):
        stage.started(rank)
    assert seen(stage, ray_cluster)["bundles"] == [{"0": {"slot": 1.0}}] * 2
    stage.resize(program, workers=1)
    stage.exit(1)
    assert seen(stage, ray_cluster)["bundles"] == [{"0": {"slot": 1.0}}]


def test_what_nobody_knows_any_more_is_cleaned_up_by_the_next_controller(
    stage: RayStage, ray_cluster: RayCluster
) -> None:
    stage.launch(script("sleep 60"), job="kept")
    stage.ready(job="kept")
    stage.launch(script("sleep 60"), job="forgotten")
    forgotten = stage.ready(job="forgotten").pid
    stage.restart()
    stage.launch(script("sleep 60"), job="kept")
    stage.ready(job="kept")
    assert seen(stage, ray_cluster)["actors"] == ["kept/1/0/0"]
    stage.until_true(lambda: not Path(f"/proc/{forgotten}").exists())


def test_workers_of_two_nodes_meet_where_rank_0_is(stage: RayStage) -> None:
    pytest.importorskip("torch")
    program = Program(argv=(sys.executable, "-c", MEET))
    stage.launch(program, workers={"n2": 1, "n1": 1})
    assert stage.ready(0).address == "127.0.0.12"
    stage.ready(1)
    stage.release()
    assert stage.exit(0).good
    assert stage.exit(1).good
    assert [stage.log(rank) for rank in (0, 1)] == ["sum 3.0\n"] * 2


def test_gpus_are_those_that_ray_gave_and_who_asked_for_none_sees_none(stage: RayStage) -> None:
    program = script("echo [$CUDA_VISIBLE_DEVICES]; sleep 60")
    stage.launch(program, workers={"n3": 2}, asked={"gpu_milli": 1000}, job="with")
    stage.launch(program, workers={"n3": 1}, job="without")
    for job, ranks in (("with", 2), ("without", 1)):
        for rank in range(ranks):
            stage.ready(rank, job=job)
        stage.release(job=job)
        for rank in range(ranks):
            stage.started(rank, job=job)
    stage.until_true(lambda: all(stage.log(rank, job="with") for rank in (0, 1)))
    assert {stage.log(0, job="with"), stage.log(1, job="with")} == {"[0]\n", "[1]\n"}
    stage.until_true(lambda: stage.log(job="without") == "[]\n")


def test_who_has_no_token_is_not_listened_to_and_who_is_late_is_told_to_stop(
    stage: RayStage,
) -> None:
    door = known_door(stage.store)
    stage.launch(script("sleep 60"))
    stage.ready()
    stranger = Hello(job="j", number=1, fence=1, rank=0, token="guessed")
    assert _answer(stage, door, stranger) == []
    late = door.hello("over", 1, 1, 0)
    assert _answer(stage, door, late) == [Stop(fence=1, cause="over", grace_ms=0)]
    assert not [event for event in stage.events if isinstance(event, ev.WorkerExited)]


def _answer(stage: RayStage, door: Door, hello: Hello) -> list[object]:
    """Say hello, and give what the controller says until it hangs up or has said something."""
    frames: Frames[ToAgent] = Frames(ToAgent)
    with socket.create_connection((door.host, door.port)) as caller:
        send(caller, hello)
        caller.settimeout(0.05)
        for _ in range(100):
            stage.look(20)
            try:
                data = caller.recv(1 << 16)
            except TimeoutError:
                continue
            return list(frames.feed(data))
    message = "nothing was answered, and nobody hung up"
    raise AssertionError(message)
