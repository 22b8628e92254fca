"""All or nothing, and as many as fit, live (S8, S9, S10): real processes that talk to each other."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from makeway.failpoint import VARIABLE
from tests.acceptance.cluster import AT_ONCE, cluster

TWO_NODES = '[[nodes]]\nname = "n"\ncount = 2\ncpus = 2\n'
REDUCES = """
import os, pathlib, torch
import torch.distributed as dist
here, rank = pathlib.Path(os.environ["HERE"]), int(os.environ["RANK"])
(here / f"begun{rank}").touch()
dist.init_process_group("gloo")
sent = torch.zeros(3)
sent[rank] = 10.0 ** rank
dist.all_reduce(sent)
(here / f"got{rank}").write_text(repr(sent.tolist()))
dist.destroy_process_group()
"""


def test_s8_no_worker_works_until_all_are_ready_and_then_all_get_what_each_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    # One of the three is out of reach: its agent stands still before it can say that it is ready.
    monkeypatch.setenv(VARIABLE, f"agent.json.written@{tmp_path / 'stopped'}=stop")
    (tmp_path / "train.py").write_text(REDUCES, "utf-8")
    (tmp_path / "job.yaml").write_text("barrier: 3s\n", "utf-8")
    with cluster(tmp_path, TWO_NODES) as here:
        words = ("-f", "job.yaml", "--workers", "3", "--env", f"HERE={tmp_path}")
        job = here.brings("gang", *words, program=(sys.executable, "train.py"))
        assert here.waits_for("AttemptStopped", "gang")["cause"] == "barrier"
        assert len(here.facts("WorkerReady", "gang")) == 2
        assert not [*tmp_path.glob("begun*")], "nobody begins before all are there"
        requeued = here.waits_for("JobRequeued", "gang")
        assert requeued["decision"].get("ledger") != "app", "it is not the program's fault"
        finished = here.waits_for("JobFinished", "gang")
        assert finished["phase"] == "succeeded", here.shop.types("logs", job).stdout
        got = {(tmp_path / f"got{rank}").read_text() for rank in range(3)}
        assert got == {"[1.0, 10.0, 100.0]"}
        assert len({one["fence"] for one in here.facts("AttemptReleased", "gang")}) == 1


def test_s8_two_gangs_that_could_each_have_half_run_one_after_the_other(tmp_path: Path) -> None:
    with cluster(tmp_path, TWO_NODES) as here:
        here.brings("first", "--workers", "4")
        here.waits_for("AttemptReleased", "first")
        here.brings("left", "--workers", "3", "--queue", "left")
        waiting = here.brings("right", "--workers", "3", "--queue", "right")
        here.ends("first")
        here.waits_for("AttemptReleased", "left")
        told = here.shop.reads("job", "show", waiting)
        assert (told["phase"], told["workers"], told["attempts"]) == ("queued", 0, [])
        assert told["wait"]["reason"] in ("GangIncomplete", "InsufficientFree", "BehindShare")
        here.ends("left")
        here.ends("right")
        assert here.starts() == ["first", "left", "right"]


ELASTIC = """
trap 'exit 75' TERM
echo "$MAKEWAY_GENERATION $WORLD_SIZE $MAKEWAY_MIN-$MAKEWAY_MAX" >> "$0/rank$RANK"
while [ ! -e "$0/elastic.end" ]; do sleep 0.05; done
"""


def generations(folder: Path, rank: int = 0) -> list[str]:
    """Read as which member of how many a worker of this rank began, each time."""
    file = folder / f"rank{rank}"
    return file.read_text("utf-8").splitlines() if file.exists() else []


def test_s9_an_elastic_job_starts_with_what_fits_grows_and_makes_room_unharmed(
    tmp_path: Path,
) -> None:
    with cluster(tmp_path, '[[nodes]]\nname = "n"\ncpus = 3\n' + AT_ONCE) as here:
        here.brings("rigid")
        here.waits_for("AttemptReleased", "rigid")
        program = ("sh", "-c", ELASTIC, str(tmp_path))
        here.brings("elastic", "--min", "1", "--max", "3", program=program)
        here.until(lambda: generations(tmp_path, 1) == ["1 2 1-3"], "two workers")
        here.ends("rigid")
        here.until(lambda: generations(tmp_path, 2) == ["2 3 1-3"], "three workers")
        here.brings("urgent", "--class", "high")
        here.waits_for("AttemptReleased", "urgent")
        here.until(lambda: generations(tmp_path) == ["1 2 1-3", "2 3 1-3", "3 2 1-3"], "two again")
        here.ends("urgent")
        here.until(lambda: len(generations(tmp_path)) == 4, "three again")
        here.ends("elastic")
        assert here.facts("AttemptStopped", "elastic") == []
        assert here.waits_for("JobFinished", "elastic")["phase"] == "succeeded"
        assert len(here.facts("AttemptStarted", "elastic")) == 1


def test_s10_a_large_gang_is_not_passed_for_ever_and_holes_are_filled_meanwhile(
    tmp_path: Path,
) -> None:
    with cluster(tmp_path, TWO_NODES) as here:
        for name in ("s1", "s2", "s3"):
            here.brings(name, "--time-limit", "10m")
        large = here.brings("large", "--workers", "4", "--time-limit", "10m")
        here.brings("brief", "--time-limit", "5s", program=("true",))
        assert here.waits_for("JobFinished", "brief")["phase"] == "succeeded"
        assert here.shop.phase(large) == "queued"
        later = [f"t{number}" for number in range(3)]
        for name in later:
            here.brings(name, "--time-limit", "1h")
        here.ends("s1", "s2", "s3")
        here.waits_for("AttemptReleased", "large")
        order = here.starts()
        assert not {*order[order.index("large") + 1 :]} & {*later}, "it has all there is"
        here.ends("large")
        for name in later:
            here.waits_for("AttemptReleased", name)
        here.ends(*later)
