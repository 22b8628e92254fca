"""It failed, what now: each kind of failure met live, by real processes, as a person meets it."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.cluster import Cluster, cluster
from tests.acceptance.terminal import Terminal

EXAMPLES = Path(__file__).parents[2] / "examples" / "failures"
SMALL = """
[[nodes]]
name = "n1"
cpus = 4
memory = "400MB"

[policy.preemption]
delay = "0s"
grace = "5s"
cooldown = "0s"
"""


def attempts_of(terminal: Terminal, step: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = terminal.reads("step", "show", step)["attempts"]
    return found


def test_a_service_that_comes_back_costs_a_retry_and_a_mistake_is_stopped_at_once(
    tmp_path: Path,
) -> None:
    terminal = Terminal(tmp_path)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = terminal.begins("run", str(EXAMPLES / "service_down.py"), "-P", f"port={port}")
    running.waits_for("attempt 1 failed: it lost a connection")
    with socket.create_server(("127.0.0.1", port)) as service:

        def answer() -> None:
            peer, _ = service.accept()
            with peer:
                peer.sendall(b"well again\n")

        threading.Thread(target=answer, daemon=True).start()
        assert running.ends() == 0
    assert "well again" in running.said()

    first, second = attempts_of(terminal, "fetch")
    assert (first["diagnosis"]["cause"], first["decision"]["action"]) == ("CONNECTION", "retry")
    assert first["decision"]["ledger_after"] == [1, 5]
    assert second["diagnosis"]["cause"] == "NONE"
    (only,) = attempts_of(terminal, "mistake")
    assert (only["diagnosis"]["cause"], only["decision"]["action"]) == ("CODE_ERROR", "stop")


def test_a_step_that_outgrows_its_memory_gets_more_and_succeeds(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    terminal.types("run", str(EXAMPLES / "memory_jump.py"))
    first, second = attempts_of(terminal, "table")
    decision = first["decision"]
    assert (first["diagnosis"]["cause"], first["diagnosis"]["confidence"]) == (
        "OOM_HOST", "established",
    )  # fmt: skip
    assert (decision["action"], decision["ledger_after"]) == ("retry", [1, 3])
    assert 256 * 10**6 <= decision["memory_bytes"] <= 10**9
    assert second["diagnosis"]["cause"] == "NONE"

    said = terminal.types("diagnose", "table", "--attempt", "1").stdout
    assert said.startswith("OOM_HOST (resource, established)")
    assert "samples.memory_mb" in said, "what it used before stands in the document too"


def test_a_training_that_gets_worse_is_not_tried_again_and_its_sibling_goes_on_from_its_work(
    tmp_path: Path,
) -> None:
    terminal = Terminal(tmp_path)
    terminal.types("run", str(EXAMPLES / "not_improving.py"))
    first, second = attempts_of(terminal, "rising")
    assert (first["diagnosis"]["cause"], first["decision"]["action"]) == ("CONNECTION", "retry")
    assert second["diagnosis"]["cause"] == "NONE"
    assert "goes on from step 15" in terminal.types("logs", "rising").stdout

    (only,) = attempts_of(terminal, "declining")
    assert (only["diagnosis"]["cause"], only["decision"]["action"]) == ("CONNECTION", "stop")
    assert only["decision"]["ledger"] is None
    assert "accuracy went from 0.3 to 0.27" in only["decision"]["text"]


# ── preempted, then out of memory while the cluster is full ───────────────────────────────────────


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Cluster]:
    with cluster(tmp_path, SMALL) as there:
        yield there


def test_who_was_evicted_and_then_ran_out_of_memory_waits_for_room_and_pays_once(
    full: Cluster,
) -> None:
    go = full.folder / "grow"
    program = (sys.executable, str(EXAMPLES / "grows.py"), str(go))
    asks = ("--memory", "128MB", "--cpus", "1")
    full.brings("train", *asks, program=program)
    full.waits_for("AttemptReleased", "train")
    full.brings("urgent", "--memory", "380MB", "--cpus", "1", "--class", "high")
    full.waits_for("JobRequeued", "train")
    full.ends("urgent")
    full.waits_for("AttemptReleased", "train", times=2)
    full.brings("other", "--memory", "250MB", "--cpus", "1")
    full.waits_for("AttemptReleased", "other")
    go.touch()

    grown = full.waits_for("JobRequeued", "train", times=2)["decision"]
    evicted = full.facts("JobRequeued", "train")[0]["decision"]
    assert (evicted["action"], evicted["ledger"]) == ("requeue", None)
    assert (grown["action"], grown["cause"], grown["ledger_after"]) == ("wait", "OOM_HOST", [1, 3])
    wait = full.waits_for("JobWaiting", "train", times=2)["wait"]
    assert wait["reason"] == "InsufficientFree"

    full.ends("other")
    full.waits_for("JobFinished", "train")
    assert full.facts("JobFinished", "train")[0]["phase"] == "succeeded"
    assert len(full.facts("JobRequeued", "train")) == 2
