"""Who runs now, live (S1, S5, S6, S7): a real service, its command line, real processes."""

from __future__ import annotations

from pathlib import Path

from tests.acceptance.cluster import AT_ONCE, Cluster, cluster

ONE_NODE = '[[nodes]]\nname = "n"\ncpus = 1\n'
SAVES = """
trap 'echo $STEP > "$MAKEWAY_CHECKPOINT/step"
      cp "$MAKEWAY_NOTICE" "$0/notice"
      echo "{\\"fence\\": $MAKEWAY_FENCE, \\"step\\": $STEP}" > "$MAKEWAY_DIR/yield.json"
      exit 75' TERM
mkdir -p "$MAKEWAY_CHECKPOINT"
STEP=$(cat "$MAKEWAY_CHECKPOINT/step" 2> /dev/null || echo 0)
echo "$MAKEWAY_ATTEMPT from $STEP" >> "$0/begun"
while [ ! -e "$0/end" ]; do STEP=$((STEP + 1)); sleep 0.05; done
"""


def one_after_the_other(here: Cluster, names: str) -> None:
    """Bring nothing; let each job end in the order given, once it has begun."""
    for name in names:
        here.waits_for("AttemptReleased", name)
        here.ends(name)


def test_s1_first_come_first_served_starts_in_the_order_of_submission(tmp_path: Path) -> None:
    two = '[[nodes]]\nname = "n"\ncpus = 2\n[policy]\nname = "fifo"\n'
    with cluster(tmp_path, two) as here:
        here.brings("a", "--class", "low")
        here.waits_for("AttemptReleased", "a")
        here.brings("b", "--class", "low", "--cpus", "2")
        here.brings("c", "--queue", "other", "--class", "high")
        job = here.brings("d", "--class", "high")
        assert here.shop.phase(job) == "queued", "it would fit, and comes after others"
        one_after_the_other(here, "ab")
        here.waits_for("AttemptReleased", "d")
        assert here.starts() == ["a", "b", "c", "d"]
        assert here.facts("AttemptStopped") == []
        here.ends("c", "d")


def test_s5_high_before_medium_before_low_and_ties_by_submission(tmp_path: Path) -> None:
    with cluster(tmp_path, ONE_NODE + "[policy.preemption]\npriority = false\n") as here:
        here.brings("first")
        here.waits_for("AttemptReleased", "first")
        for name, job_class in {"a": "high", "b": "low", "c": "high", "d": "medium"}.items():
            here.brings(name, "--class", job_class)
        here.ends("first")
        one_after_the_other(here, "acdb")
        assert here.starts() == ["first", "a", "c", "d", "b"]


def test_s6_whoever_is_evicted_saves_its_work_and_goes_on_from_there(tmp_path: Path) -> None:
    with cluster(tmp_path, ONE_NODE + AT_ONCE) as here:
        here.brings("first", "--class", "high")
        for name, priority in {"b": "-100", "c": "50", "d": "0"}.items():
            saves = ("sh", "-c", SAVES, str(tmp_path)) if name == "b" else ()
            here.brings(name, "--priority", priority, program=saves)
        here.ends("first")
        one_after_the_other(here, "cd")
        here.waits_for("AttemptReleased", "b")
        here.until((tmp_path / "begun").exists, "the first step of b")
        here.brings("a", "--class", "high")
        here.waits_for("AttemptReleased", "a")
        assert here.starts() == ["first", "c", "d", "b", "a"]
        stopped = here.waits_for("AttemptStopped", "b")
        assert (stopped["cause"], here.names[stopped["beneficiary"]]) == ("preempted", "a")
        assert '"cause":"preempted"' in (tmp_path / "notice").read_text()
        here.ends("a")
        here.waits_for("AttemptReleased", "b", times=2)
        here.until(lambda: len((tmp_path / "begun").read_text().splitlines()) == 2, "b again")
        first, second = (tmp_path / "begun").read_text().splitlines()
        assert first == "1 from 0"
        assert int(second.removeprefix("2 from ")) > 0
        (tmp_path / "end").touch()
        assert here.waits_for("JobFinished", "b")["phase"] == "succeeded"
        (requeued,) = here.facts("JobRequeued", "b")
        assert requeued["decision"].get("ledger") is None, "an eviction is no failure"
        (job,) = (job for job, name in here.names.items() if name == "b")
        told = here.shop.reads("job", "show", job)
        assert told["preemptions"] == 1
        assert [one["end"] for one in told["attempts"]] == ["preempted", "succeeded"]


LIMITS = (
    '[[nodes]]\nname = "n"\ncpus = 4\n'
    + AT_ONCE
    + """
[[queues]]
name = "greedy"
max_class = "high"
max_queued = 2
class_limits = { high = { running = 1, resources = { cpus = 1 } } }
[[queues]]
name = "modest"
max_class = "medium"
"""
)


def test_s7_limits_refuse_with_their_name_and_number_and_nobody_else_starves(
    tmp_path: Path,
) -> None:
    with cluster(tmp_path, LIMITS) as here:
        flood = ("--queue", "greedy", "--class", "high")
        here.brings("g1", *flood)
        here.waits_for("AttemptReleased", "g1")
        waiting = here.brings("g2", *flood)
        here.brings("g3", *flood)
        why = here.shop.reads("why", waiting)["wait"]
        assert why["reason"] == "ClassLimit"
        assert "greedy" in why["text"]
        refused = here.shop.types("submit", "--name", "g4", *flood, "--", "true", expect=8)
        assert refused.stdout == ""
        assert "ExceedsLimit" in refused.stderr
        assert "greedy" in refused.stderr
        assert "2" in refused.stderr
        above = here.shop.types(
            "submit", "--queue", "modest", "--class", "high", "--", "true", expect=8
        )
        assert "medium" in above.stderr
        for name in ("m1", "m2", "m3"):
            here.brings(name, "--queue", "modest")
        for name in ("m1", "m2", "m3"):
            here.waits_for("AttemptReleased", name)
        assert "g2" not in here.starts()
        here.ends("g1", "m1")
        here.waits_for("AttemptReleased", "g2")
        assert "g3" not in here.starts()
