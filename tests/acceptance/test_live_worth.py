"""Who is too slow to matter goes on only where nobody else wants the room (M6)."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.acceptance.cluster import AT_ONCE, Cluster, cluster

THREE = '[[nodes]]\nname = "n"\ncpus = 3\n' + AT_ONCE
SLOW = """
import os, sys, time
import makeway as mw
for step in range(1, 6 if os.environ["MAKEWAY_ATTEMPT"] == "1" else 100):
    mw.progress(step / 100)
    time.sleep(0.4)
sys.exit("it lost its way")
"""
# Two or three workers share the work: whoever is there takes the next piece of it.
SHARES = """
trap 'exit 75' TERM
while [ $(stat -c %s "$0/work") -lt 360 ]; do printf x >> "$0/work"; sleep 0.2; done
"""


def dies_beside(folder: Path, on_hopeless: str) -> tuple[Cluster, str]:
    """Let a slow step die beside an elastic sibling; give what was told, and what was decided."""
    folder.mkdir()
    (folder / "slow.py").write_text(SLOW, "utf-8")
    (folder / "work").touch()
    job = f"min_rate: 1000\non_hopeless: {on_hopeless}\nretries: 3\n"
    (folder / "slow.yaml").write_text(job, "utf-8")
    with cluster(folder, THREE) as here:
        slow = here.brings("slow", "-f", "slow.yaml", program=(sys.executable, "slow.py"))
        here.waits_for("AttemptReleased", "slow")
        program = ("sh", "-c", SHARES, str(folder))
        here.brings("sibling", "--min", "2", "--max", "3", program=program)
        ended = here.waits_for("AttemptEnded", "slow")
        here.waits_for("JobFinished", "sibling")
        here.shop.types("job", "cancel", slow)
        here.waits_for("JobFinished", "slow")
        return here, ended["decision"]["action"]


def test_m6_the_slow_one_makes_room_for_its_sibling_until_that_is_done(tmp_path: Path) -> None:
    here, said = dies_beside(tmp_path / "yields", "yield")
    assert said == "yield"
    assert len(here.facts("AttemptResized", "sibling")) >= 1, "the sibling took its place"
    assert went_on(here) > done(here), "it goes on when nobody else wants the room"
    there, _ = dies_beside(tmp_path / "flags", "flag")
    assert went_on(there) < done(there), "without that its sibling has to share"


def went_on(here: Cluster) -> float:
    """Give where in the log the slow one began again, if it did."""
    starts = [one["seq"] for one in here.facts("AttemptStarted", "slow")]
    return starts[1] if len(starts) > 1 else float("inf")


def done(here: Cluster) -> float:
    """Give where in the log its sibling was done."""
    return float(here.facts("JobFinished", "sibling")[0]["seq"])
