"""Who is too slow to matter goes on only where nobody else wants the room (M6)."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.acceptance.cluster import AT_ONCE, Cluster, Fact, cluster

PROGRAM = str(Path(__file__).parents[2] / "examples" / "failures" / "too_slow.py")
THREE = '[[nodes]]\nname = "n"\ncpus = 3\n' + AT_ONCE


def beside(folder: Path, how: str, on_hopeless: str) -> tuple[Cluster, int]:
    """Let a slow step run, or die, beside an elastic sibling; count the steps of its first worker."""
    folder.mkdir()
    job = f"min_rate: 1000\non_hopeless: {on_hopeless}\nretries: 3\n"
    (folder / "slow.yaml").write_text(job, "utf-8")
    with cluster(folder, THREE) as here:
        slow = here.brings("slow", "-f", "slow.yaml", program=(sys.executable, PROGRAM, how))
        here.waits_for("AttemptReleased", "slow")
        work = folder / "work"
        program = (sys.executable, PROGRAM, "sibling", str(work))
        here.brings("sibling", "--min", "2", "--max", "3", program=program)
        assert here.waits_for("JobFinished", "sibling")["phase"] == "succeeded"
        if on_hopeless == "yield":
            here.waits_for("AttemptStarted", "slow", times=2)
            shown = here.shop.types("decisions").stdout
            assert "% an hour" in shown, "what was decided, and why, stands where people look"
        here.shop.types("job", "cancel", slow)
        here.waits_for("JobFinished", "slow")
        return here, int((work / "rank-0").read_text("utf-8"))


def order(fact: Fact) -> int:
    number: int = fact["seq"]
    return number


def made_room(here: Cluster) -> None:
    """Hold to it that its sibling grew, and that it began again only when that was done."""
    assert here.facts("AttemptResized", "sibling"), "the sibling took its place"
    done = order(here.facts("JobFinished", "sibling")[0])
    starts = here.facts("AttemptStarted", "slow")
    assert order(starts[1]) > done, "it goes on when nobody else wants the room"


def test_m6_the_slow_one_makes_room_for_its_sibling_which_has_less_to_do(tmp_path: Path) -> None:
    there, without = beside(tmp_path / "flagged", "slow", "flag")
    assert not there.facts("AttemptResized", "sibling"), "without that it has to share"
    judged = [one for one in there.facts("AttemptJudged", "slow") if one["decision"]]
    assert {one["decision"]["action"] for one in judged} == {"continue"}

    here, ran = beside(tmp_path / "runs", "slow", "yield")
    made_room(here)
    stopped = here.facts("AttemptStopped", "slow")[0]
    ended = here.facts("AttemptEnded", "slow")[0]
    assert stopped["cause"] == "yielded"
    assert (ended["decision"]["action"], ended["decision"]["ledger"]) == ("requeue", None)
    assert ran < 0.9 * without

    here, died = beside(tmp_path / "dies", "dies", "yield")
    made_room(here)
    ended = here.facts("AttemptEnded", "slow")[0]
    assert (ended["diagnosis"]["cause"], ended["decision"]["action"]) == ("CONNECTION", "yield")
    assert died < 0.9 * without
