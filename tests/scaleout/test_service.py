"""A service whose machines are those of Ray: what is brought to it, and what survives its death."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.cluster import Cluster, cluster
from tests.scaleout.cluster import HEAD, RayCluster

pytestmark = pytest.mark.xdist_group("ray")

SETTINGS = """
[executor]
kind = "ray"
ray_address = "{address}"
host = "{host}"
"""
FLOW = """
import makeway as mw

@mw.step(retries=1)
def numbers() -> list[int]:
    return [1, 2, 3]

@mw.step
def total(numbers: list[int]) -> int:
    return sum(numbers)

@mw.workflow
def add() -> int:
    return total(numbers())
"""


@pytest.fixture
def lab(tmp_path: Path, ray_cluster: RayCluster) -> Iterator[Cluster]:
    with cluster(tmp_path, SETTINGS.format(address=ray_cluster.address, host=HEAD)) as opened:
        opened.until(lambda: len(opened.facts("NodeJoined")) >= 3, "three nodes")
        yield opened


def test_rays_nodes_are_the_machines_and_nobody_else_may_add_one(lab: Cluster) -> None:
    rows = lab.shop.reads("nodes")["items"]
    labels = {row["name"]: row["labels"] for row in rows if row["state"] != "lost"}
    assert {"n1", "n2", "n3"} <= labels.keys()
    assert labels["n1"] == {"zone": "z11"}
    assert "head" not in labels
    looked = json.loads(lab.shop.types("doctor", "-o", "json", expect=None).stdout)
    (found,) = [row for row in looked if row["check"] == "ray"]
    assert (found["state"], found["text"].split(",")[0]) == ("ok", f"{len(labels)} nodes")
    refused = lab.shop.types("nodes", "add", "mine", "--cpus", "2", expect=None)
    assert "the machines are those of Ray" in refused.stderr
    assert refused.returncode != 0


def test_a_gang_goes_on_when_the_controller_is_killed_and_another_one_comes(lab: Cluster) -> None:
    truth, end = lab.folder / "truth", lab.folder / "end"
    program = ("sh", "-c", 'echo $$ >> "$0"; while [ ! -e "$1" ]; do sleep 0.05; done',
               str(truth), str(end))  # fmt: skip
    job = lab.brings("gang", "--workers", "3", "--cpus", "2", program=program)
    lab.until(lambda: truth.exists() and truth.read_text("utf-8").count("\n") == 3, "three workers")
    lab.shop.service.process.send_signal(signal.SIGKILL)
    lab.shop.service.process.wait()
    lab.shop.opens()
    end.touch()
    assert lab.shop.types("wait", job, "--timeout", "60s").returncode == 0
    shown = lab.shop.reads("job", "show", job)
    assert (shown["phase"], len(shown["attempts"])) == ("succeeded", 1)
    assert truth.read_text("utf-8").count("\n") == 3


def test_a_workflow_runs_there_unchanged(lab: Cluster) -> None:
    (lab.folder / "flow.py").write_text(FLOW, "utf-8")
    assert "6" in lab.shop.types("run", "flow.py").stdout
