"""Play every example scenario and hold it to what it expects; refuse what is written wrongly."""

from __future__ import annotations

from pathlib import Path

import pytest

from makeway.cli.simulate import open_world, run_to
from makeway.sim.expect import misses
from makeway.sim.outcome import outcome, wait_of

FOLDER = Path(__file__).parents[2] / "examples" / "scenarios"
FILES = sorted(FOLDER.glob("*.yaml"))

HEAD = "cluster: {nodes: [{name: n, cpus: 4}]}\n"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_example_goes_as_it_expects(path: Path) -> None:
    scenario, world = open_world(str(path), None)
    assert scenario.expected
    for expected in sorted(scenario.expected, key=lambda one: one.at_ms):
        run_to(world, expected.at_ms)
        assert not [*misses(expected, outcome(scenario, world, 0.0))]


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
        f"{path}:4: at 0 s a should have 3 workers, and has 1",
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
