"""Training that starts with what there is, grows and makes room, and comes out the same (S9)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.acceptance.cluster import AT_ONCE, Cluster, cluster

TRAIN = Path(__file__).parents[2] / "examples" / "elastic" / "train.py"
EPOCHS = ("--epochs", "6")


def printed(here: Cluster, job: str) -> list[str]:
    """Give what all workers of all generations have said, in no order."""
    logs = (here.folder / ".makeway" / "workers" / job).rglob("out.log")
    return [line for log in logs for line in log.read_text("utf-8").splitlines()]


def result(file: Path) -> dict[str, Any]:
    found = json.loads(file.read_text("utf-8"))
    assert isinstance(found, dict)
    return found


def test_s9_workers_come_and_go_and_the_model_is_that_of_one_worker(tmp_path: Path) -> None:
    alone = tmp_path / "alone.json"
    subprocess.run(
        [sys.executable, TRAIN, *EPOCHS, "--out", alone], cwd=tmp_path, check=True, timeout=120
    )
    with cluster(tmp_path, '[[nodes]]\nname = "n"\ncpus = 3\n' + AT_ONCE) as here:
        here.brings("rigid", "--workers", "2")
        here.waits_for("AttemptReleased", "rigid")
        out = tmp_path / "elastic.json"
        program = (sys.executable, str(TRAIN), *EPOCHS, "--slow-ms", "60", "--out", str(out))
        job = here.brings("elastic", "--min", "1", "--max", "3", program=program)
        here.until(lambda: "worker 0 of 1 begins at step 0" in printed(here, job), "one worker")
        here.ends("rigid")
        here.until(
            lambda: any("worker 2 of 3 goes on" in one for one in printed(here, job)), "three"
        )
        here.brings("urgent", "--class", "high")
        here.waits_for("AttemptReleased", "urgent")
        here.until(lambda: any("worker 1 of 2 goes on" in one for one in printed(here, job)), "two")
        here.ends("urgent")
        assert here.waits_for("JobFinished", "elastic")["phase"] == "succeeded", printed(here, job)
        assert len(here.facts("AttemptStarted", "elastic")) == 1, "no change was a new attempt"
        one, many = result(alone), result(out)
        assert (many["steps"], many["samples"]) == (one["steps"], one["samples"])
        pairs = zip(one["weights"], many["weights"], strict=True)
        assert max(abs(a - b) for a, b in pairs) < 1e-3, "Adam makes more of the last digit"


def test_who_is_evicted_goes_on_from_the_very_step_with_nothing_lost(tmp_path: Path) -> None:
    with cluster(tmp_path, '[[nodes]]\nname = "n"\ncpus = 2\n' + AT_ONCE) as here:
        out = tmp_path / "gang.json"
        program = (sys.executable, str(TRAIN), *EPOCHS, "--slow-ms", "30", "--out", str(out))
        job = here.brings("gang", "--workers", "2", program=program)
        here.until(lambda: "worker 1 of 2 begins at step 0" in printed(here, job), "the gang")
        here.brings("urgent", "--class", "high")
        here.waits_for("AttemptReleased", "urgent")
        ends = here.facts("WorkerExited", "gang")
        assert [one["exit"]["code"] for one in ends] == [75, 75]
        saved = {one["exit"]["yielded"]["step"] for one in ends}
        assert len(saved) == 1, "both left after the same step"
        here.ends("urgent")
        again = f"worker 0 of 2 goes on at step {saved.pop()}"
        here.until(lambda: again in printed(here, job), again)
        assert here.waits_for("JobFinished", "gang")["phase"] == "succeeded"
        assert result(out)["samples"] == 6 * 3_000
