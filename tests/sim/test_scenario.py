"""Play every example scenario and hold it to what it expects; refuse what is written wrongly."""

from __future__ import annotations

from pathlib import Path

import pytest

from makeway.cli.simulate import open_world, run_to
from makeway.errors import InvalidInput
from makeway.sim.expect import misses
from makeway.sim.outcome import outcome, wait_of

FOLDER = Path(__file__).parents[2] / "examples" / "scenarios"
FILES = sorted(FOLDER.glob("*.yaml"))

HEAD = "cluster: {nodes: [{name: n, cpus: 4}]}\n"
WRONG = {
    "": "1: the file is empty; a scenario has a cluster and jobs",
    "- a": "1: a scenario must be a mapping, not a list",
    "jobs: []": "1: a scenario needs a cluster",
    "cluster: {nodes: []}": "1: a cluster needs at least one node",
    "cluster: {nodes: [{name: n, cpus: -4}]}": "1: cpus: -4 must be 0, or from 0.001 to",
    "cluster: {nodes: [{name: n, count: 0}]}": "1: count must be at least 1, not 0",
    "cluster: {nodes: [{name: n}, {name: n}]}": "1: there are two nodes called 'n'",
    HEAD + "job: []": "2: a scenario has no key 'job'; did you mean 'jobs'?",
    HEAD
    + "jobs:\n  - {name: a, worker: 2}": "3: a job has no key 'worker'; did you mean 'workers'?",
    HEAD + "jobs:\n  - {queue: lab}": "3: a job needs a name",
    HEAD
    + "jobs:\n  - {name: a}\n  - {name: a}": "4: there are two jobs called 'a'; the other is on",
    HEAD + "jobs:\n  - {name: a, copies: 2}\n  - {name: a2}": "4: there are two jobs called 'a2'",
    HEAD + "jobs:\n  - {name: a, name: b}": "3: the key 'name' is there twice",
    HEAD + "jobs:\n  - {name: a, workers: -1}": "3: workers must be at least 1, not -1",
    HEAD + "jobs:\n  - {name: a, workers: {min: 3, max: 2}}": "3: min 3 is more than max 2",
    HEAD + "jobs:\n  - {name: a, runtime: soon}": "3: runtime: 'soon' is not a time such as",
    HEAD + "jobs:\n  - {name: a, runtime: .nan}": "3: runtime:",
    HEAD + "jobs:\n  - {name: a, class: urgent}": "3: there is no class 'urgent'; there are low,",
    HEAD + "jobs:\n  - {name: a, priority: 1000}": "3: 1000 and more are for the administrators'",
    HEAD + "jobs:\n  - {name: a, nodes: [m]}": "3: there is no node 'm'",
    HEAD + "jobs:\n  - {name: a, after: [b]}": "3: there is no job 'b'",
    HEAD
    + "jobs:\n  - {name: a, running: {on: [n, n]}}": "3: the job has 1 workers, and 2 nodes are",
    HEAD
    + "jobs:\n  - {name: a, workers: 2, scaling: [1]}": "3: scaling needs a throughput for each",
    HEAD + "jobs:\n  - {name: a, workers: 2, groups: []}": "3: groups stand in place of workers",
    HEAD
    + "jobs:\n  - {name: a, after: [c]}\n  - {name: b, after: [a]}\n  - {name: c, after: [b]}": (
        "jobs wait for each other in a circle: a -> c -> b -> a"
    ),
    HEAD + "queues: [{name: q, weight: -1}]": "2: weight must be at least 0, not -1",
    HEAD + "queues: [{name: q}, {name: q}]": "2: there are two queues called 'q'",
    HEAD + "queues: [{name: q, guarantee: {cpus: 1}, queues: [{name: r, guarantee: {cpus: 2}}]}]": (
        "2: the queues below q are guaranteed"
    ),
    HEAD + "events: [{at: 1s, cancel: a}]": "2: there is no job 'a'",
    HEAD + "events: [{at: 1s, set_queue: {name: q, weight: 2}}]": "2: there is no queue 'q'",
    HEAD + "events: [{at: 1s, node_down: m}]": "2: there is no node 'm'",
    HEAD + "policy: {name: lifo}": "2: there is no policy 'lifo'; there are fair,",
    HEAD + "policy: {preemption: {priority: on}}": "2: priority must be true or false, not 'on'",
    "cluster: {nodes: [": "1: this is no YAML:",
}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_example_goes_as_it_expects(path: Path) -> None:
    scenario, world = open_world(str(path), None)
    assert scenario.expected
    for expected in sorted(scenario.expected, key=lambda one: one.at_ms):
        run_to(world, expected.at_ms)
        assert not [*misses(expected, outcome(scenario, world, 0.0))]


@pytest.mark.parametrize("text", WRONG, ids=lambda text: WRONG[text][:40])
def test_what_is_wrong_is_told_with_its_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(InvalidInput) as caught:
        open_world(str(path), None)
    assert str(caught.value).startswith(f"{path}:")
    assert WRONG[text] in str(caught.value)


def test_on_and_off_are_words(tmp_path: Path) -> None:
    path = tmp_path / "words.yaml"
    path.write_text(HEAD + "jobs:\n  - {name: on, queue: off, per_worker: {cpus: 1}, runtime: 5}\n")
    scenario, world = open_world(str(path), None)
    world.run()
    jobs = outcome(scenario, world, 0.0)["jobs"]
    assert isinstance(jobs, list)
    (job,) = jobs
    assert (job["name"], job["queue"], job["ended_s"]) == ("on", "off", 5.0)


def test_what_is_expected_and_is_not_so_is_told(tmp_path: Path) -> None:
    path = tmp_path / "missed.yaml"
    path.write_text(
        HEAD + "jobs: [{name: a}]\nexpect:\n  - {at: 0s, workers: {a: 3}, queued: [a]}\n"
    )
    scenario, world = open_world(str(path), None)
    run_to(world, 0)
    (expected,) = scenario.expected
    assert [*misses(expected, outcome(scenario, world, 0.0))] == [
        f"{path}:4: at 0 s a should have workers 3, and has 1",
        f"{path}:4: at 0 s a should be queued, and is running",
    ]


def test_a_job_that_waits_is_told_what_would_start_it_and_when() -> None:
    _, world = open_world(str(FOLDER / "s10-backfill.yaml"), None)
    run_to(world, 60_000)
    wait = wait_of(world, "all")
    assert wait is not None
    assert wait.starts_at_ms == 600_000
    assert "wait until one ends, or cancel it" in wait.unblock
    assert wait.blocked_by == ("one", "fits")
