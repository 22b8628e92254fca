"""Play small scenarios and read what is printed of them: what the format promises, key by key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from makeway.cli.scenario_bars import bars
from makeway.cli.simulate import open_world, run_to
from makeway.errors import Unavailable
from makeway.sim.outcome import outcome, wait_of
from makeway.sim.world import World

HEAD = "cluster: {nodes: [{name: n, count: 2, cpus: 4}]}\n"


class Played:
    """A scenario played to an instant, and what is printed of it."""

    def __init__(self, text: str, folder: Path, at_s: float | None = None) -> None:
        path = folder / "scenario.yaml"
        path.write_text(text)
        scenario, self.world = open_world(str(path), None)
        if at_s is None:
            self.world.run()
        else:
            run_to(self.world, int(at_s * 1000))
        self.printed: Any = msgspec.json.decode(
            msgspec.json.encode(outcome(scenario, self.world, 0))
        )

    def job(self, name: str) -> Any:
        return next(job for job in self.printed["jobs"] if job["name"] == name)

    def queue(self, path: str) -> Any:
        return next(queue for queue in self.printed["queues"] if queue["path"] == path)

    def decided(self, kind: str) -> list[Any]:
        return [one for one in self.printed["decisions"] if one["kind"] == kind]


def test_every_key_of_the_format_is_there(tmp_path: Path) -> None:
    played = Played(HEAD + "jobs: [{name: a, per_worker: {cpus: 1}, runtime: 5}]", tmp_path, 1)
    assert {"at_s", "queues", "jobs", "decisions", "metrics"} <= played.printed.keys()
    assert {"path", "share", "share_of", "due", "usage", "demand"} <= played.queue("default").keys()
    job = played.job("a")
    assert {
        "name", "queue", "phase", "workers", "placement", "submitted_s", "started_s", "ended_s",
        "preemptions", "attempts", "wait",
    } <= job.keys()  # fmt: skip
    assert job["attempts"] == [
        {"number": 1, "started_s": 0.0, "ended_s": None, "end": None, "workers_max": 1}
    ]
    [start] = played.decided("start")
    assert {"at_s", "kind", "job", "workers", "for", "rule", "reason"} <= start.keys()
    assert {
        "makespan_s", "mean_completion_s", "p99_completion_s", "mean_wait_s", "utilisation",
        "jain", "preemptions", "lost_worker_s", "events", "wall_s",
    } <= played.printed["metrics"].keys()  # fmt: skip


def test_amounts_are_in_the_units_of_people(tmp_path: Path) -> None:
    text = (
        "cluster: {nodes: [{name: n, cpus: 10, memory: 1GiB, licences: 3}]}\n"
        "queues: [{name: a}, {name: b, queues: [{name: c}]}]\n"
        "jobs: [{name: j, queue: a, per_worker: {cpus: 0.5, memory: 512MiB, licences: 1}}]\n"
    )
    played = Played(text, tmp_path, 1)
    used = {"cpus": 0.5, "memory": 2**29, "licences": 1}
    assert played.queue("a")["usage"] == used
    assert played.queue("a")["share_of"] == {"cpus": 5, "memory": 2**29, "licences": 1.5}
    assert [queue["path"] for queue in played.printed["queues"]] == ["a", "b", "b/c"]


def test_queues_stand_under_their_parents_the_declared_ones_first(tmp_path: Path) -> None:
    text = HEAD + (
        "queues: [{name: z, queues: [{name: y}]}, {name: a}]\n"
        "jobs: [{name: j, queue: z/b}, {name: k, queue: new/x}]\n"
    )
    paths = [queue["path"] for queue in Played(text, tmp_path, 1).printed["queues"]]
    assert paths == ["z", "z/y", "z/b", "a", "new", "new/x"]


def test_groups_are_placed_by_group(tmp_path: Path) -> None:
    groups = (
        "groups: [{name: ps, per_worker: {cpus: 4}}, {name: w, workers: 2, per_worker: {cpus: 2}}]"
    )
    played = Played(HEAD + f"jobs: [{{name: a, {groups}}}]", tmp_path, 1)
    placed = played.job("a")["placement"]
    assert sorted(placed) == ["ps", "w"]
    assert [*placed["ps"].values(), *placed["w"].values()] == [1, 2]
    assert played.job("a")["workers"] == 3


def test_what_runs_already_goes_on_and_counts_from_its_beginning(tmp_path: Path) -> None:
    text = HEAD + (
        "jobs:\n"
        "  - {name: a, workers: 2, per_worker: {cpus: 2}, runtime: 400s,"
        " running: {on: [n1, n2], since: -300s}}\n"
    )
    played = Played(text, tmp_path)
    job = played.job("a")
    assert (job["submitted_s"], job["started_s"], job["ended_s"]) == (-300, -300, 100)
    assert played.decided("start") == []
    metrics = played.printed["metrics"]
    assert (metrics["mean_wait_s"], metrics["mean_completion_s"]) == (0, 400)
    assert metrics["makespan_s"] == 400


@pytest.mark.parametrize(
    "rule",
    ["limit: {cpus: 1}", "max_running: 0", "max_queued: 0", "max_class: low", "borrow: false"],
)
def test_what_runs_already_may_exceed_limits(rule: str, tmp_path: Path) -> None:
    text = HEAD + (
        f"queues: [{{name: q, {rule}}}, {{name: r}}]\n"
        "jobs: [{name: a, copies: 3, queue: q, per_worker: {cpus: 1}, running: {on: [n1]}}]\n"
    )
    played = Played(text, tmp_path, 0)
    assert [played.job(f"a{number}")["placement"] for number in (1, 2, 3)] == [{"n1": 1}] * 3


def test_a_victim_that_leaves_slowly_is_evicting_and_its_place_is_kept(tmp_path: Path) -> None:
    text = (
        "cluster: {nodes: [{name: n, cpus: 1}]}\n"
        "policy: {preemption: {grace: 20s}}\n"
        "jobs:\n"
        "  - {name: slow, class: low, per_worker: {cpus: 1}, runtime: 50s, exit_time: 5s}\n"
        "  - {name: urgent, at: 10s, class: high, per_worker: {cpus: 1}, runtime: 5s}\n"
    )
    leaving = Played(text, tmp_path, 12)
    slow, urgent = leaving.job("slow"), leaving.job("urgent")
    assert (slow["phase"], slow["workers"], slow["preemptions"]) == ("evicting", 0, 1)
    assert urgent["wait"]["reason"] == "WaitingForEviction"
    [preempt], [reserve] = leaving.decided("preempt"), leaving.decided("reserve")
    assert (preempt["job"], preempt["for"], preempt["rule"]) == ("slow", "urgent", "priority")
    assert reserve["job"] == "urgent"
    gone = Played(text, tmp_path, 15)
    assert (gone.job("slow")["phase"], gone.job("urgent")["phase"]) == ("queued", "running")
    assert gone.job("slow")["attempts"][0]["end"] == "preempted"
    assert gone.printed["metrics"]["lost_worker_s"] == 10


def test_grace_is_the_longest_that_a_victim_may_take(tmp_path: Path) -> None:
    text = (
        "cluster: {nodes: [{name: n, cpus: 1}]}\n"
        "policy: {preemption: {grace: 3s}}\n"
        "jobs:\n"
        "  - {name: slow, class: low, per_worker: {cpus: 1}, exit_time: 1h}\n"
        "  - {name: urgent, at: 10s, class: high, per_worker: {cpus: 1}, runtime: 5s}\n"
    )
    assert Played(text, tmp_path).job("urgent")["started_s"] == 13


def test_a_name_with_copies_stands_for_all_of_them(tmp_path: Path) -> None:
    text = HEAD + (
        "jobs:\n"
        "  - {name: a, copies: 2, per_worker: {cpus: 4}, runtime: 10s}\n"
        "  - {name: b, per_worker: {cpus: 1}, runtime: 1s, after: [a]}\n"
        "  - {name: c, runtime: 1s, after: [{job: a2, on: failed}]}\n"
        "  - {name: d, runtime: 1s, after: [b, {job: c, on: ended}]}\n"
        "events: [{at: 5s, worker_fails: {job: a2, rank: 0}}]\n"
    )
    played = Played(text, tmp_path)
    assert played.job("a2")["phase"] == "failed"
    assert played.job("c")["started_s"] == 5
    assert (played.job("b")["phase"], played.job("d")["phase"]) == ("cancelled", "cancelled")
    assert played.job("b")["wait"] is None
    assert "dependency" in played.job("b")["text"]


def test_a_rejected_job_has_failed_and_keeps_the_reason(tmp_path: Path) -> None:
    played = Played(HEAD + "jobs: [{name: huge, per_worker: {cpus: 5}}]", tmp_path)
    job = played.job("huge")
    assert (job["phase"], job["wait"]["reason"], job["attempts"]) == ("failed", "NoNodeFits", [])
    [reject] = played.decided("reject")
    assert (reject["job"], reject["reason"]) == ("huge", "NoNodeFits")
    wait = wait_of(played.world, "huge")
    assert wait is not None
    assert wait.reason == "NoNodeFits"


def test_the_policy_that_decides_also_explains(tmp_path: Path) -> None:
    text = HEAD.replace("count: 2, ", "") + (
        "policy: {name: fifo}\n"
        "jobs:\n"
        "  - {name: a, per_worker: {cpus: 3}, runtime: 10s}\n"
        "  - {name: b, per_worker: {cpus: 3}, runtime: 10s}\n"
        "  - {name: c, per_worker: {cpus: 1}, runtime: 10s}\n"
    )
    wait = Played(text, tmp_path, 1).job("c")["wait"]
    assert wait["reason"] == "ReservedForOther"
    assert "b was submitted before it" in wait["text"]


def test_a_node_goes_and_comes_back(tmp_path: Path) -> None:
    text = (
        "cluster: {nodes: [{name: n, cpus: 1}]}\n"
        "jobs: [{name: a, per_worker: {cpus: 1}, runtime: 100s, checkpoint_every: 10s}]\n"
        "events: [{at: 35s, node_down: n}, {at: 60s, node_up: n}]\n"
    )
    played = Played(text, tmp_path)
    assert [one["end"] for one in played.job("a")["attempts"]] == ["failed", "succeeded"]
    assert played.job("a")["preemptions"] == 0
    assert played.printed["metrics"]["lost_worker_s"] == 5
    assert played.job("a")["ended_s"] == pytest.approx(130, abs=5)


def test_a_queue_is_changed_by_an_event_in_the_keys_that_it_names(tmp_path: Path) -> None:
    text = HEAD + (
        "queues: [{name: q, weight: 3, limit: {cpus: 2}}, {name: r}]\n"
        "jobs: [{name: a, copies: 4, queue: q, per_worker: {cpus: 1}}]\n"
        "events: [{at: 5s, set_queue: {name: q, limit: {cpus: 3}}}]\n"
    )
    before, after = Played(text, tmp_path, 4), Played(text, tmp_path, 5)
    assert before.queue("q")["usage"] == {"cpus": 2}
    assert after.queue("q")["usage"] == {"cpus": 3}
    assert after.queue("q")["share"] == pytest.approx(0.75)


def test_a_world_without_an_end_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("makeway.cli.simulate.STEPS_MIN", 1)
    monkeypatch.setattr("makeway.cli.simulate.STEPS_A_JOB", 1)
    text = HEAD + "jobs: [{name: a, runtime: 5s}]\nevents: [{at: 1s, node_down: n1}]\n"
    with pytest.raises(Unavailable, match="comes to no end"):
        Played(text, tmp_path)


def test_a_job_without_a_runtime_does_not_hold_up_the_end(tmp_path: Path) -> None:
    played = Played(HEAD + "jobs: [{name: a, per_worker: {cpus: 1}}]", tmp_path)
    assert (played.printed["at_s"], played.job("a")["phase"]) == (0, "running")
    assert isinstance(played.world, World)


def test_without_a_number_of_workers_a_running_job_has_as_many_as_it_has_nodes(
    tmp_path: Path,
) -> None:
    text = HEAD + (
        "jobs: [{name: a, per_worker: {cpus: 1}, runtime: 60s, running: {on: [n1, n2, n1]}}]\n"
    )
    job = Played(text, tmp_path, 1).job("a")
    assert (job["workers"], job["placement"]) == (3, {"n1": 2, "n2": 1})


def test_a_job_that_ran_before_is_drawn_with_the_workers_that_it_had(tmp_path: Path) -> None:
    text = HEAD + (
        "jobs: [{name: e, workers: {min: 1, max: 8}, per_worker: {cpus: 1}, runtime: 60s,\n"
        "        running: {on: [n1, n2], since: -30s}}]\n"
    )
    line = next(one for one in bars(Played(text, tmp_path, 30).printed, 80) if one[0] == "e")
    assert set(line[1:].strip()) == {"2", "8"}
    assert line.split()[1].startswith("2")
