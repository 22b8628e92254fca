"""A machine that is taken out while a job runs on it: the job leaves first, and never runs twice."""

from __future__ import annotations

from pathlib import Path

from tests.acceptance.cluster import cluster

TWO_NODES = '[[nodes]]\nname = "n"\ncount = 2\ncpus = 1\n'
# Each says when it begins and when it ends, and takes its time to leave.
SLOW_TO_LEAVE = """
trap 'sleep 1; echo "end $MAKEWAY_ATTEMPT" >> "$0/runs"; exit 143' TERM
echo "begin $MAKEWAY_ATTEMPT" >> "$0/runs"
while [ ! -e "$0/end" ]; do sleep 0.05; done
echo "end $MAKEWAY_ATTEMPT" >> "$0/runs"
"""


def test_what_runs_on_a_machine_that_is_taken_out_leaves_before_it_begins_elsewhere(
    tmp_path: Path,
) -> None:
    runs = tmp_path / "runs"
    with cluster(tmp_path, TWO_NODES) as here:
        here.brings("a", program=("sh", "-c", SLOW_TO_LEAVE, str(tmp_path)))
        here.until(runs.exists, "the first attempt")
        (node,) = here.shop.reads("job", "show", "a")["placement"]
        said = here.shop.types("nodes", "remove", node).stdout
        assert said == f"{node} goes when 1 job on it has left\n"
        here.waits_for("AttemptReleased", "a", times=2)
        here.until(lambda: "begin 2" in runs.read_text(), "the second attempt")
        assert runs.read_text().split("\n")[:3] == ["begin 1", "end 1", "begin 2"]
        here.waits_for("NodeRemoved", "")
        assert [one["name"] for one in here.shop.reads("nodes")["items"]] != [node]
        assert here.facts("JobRequeued")[0]["decision"]["action"] == "requeue"
        (tmp_path / "end").touch()
        here.waits_for("JobFinished", "a")
