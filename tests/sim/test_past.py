"""The recorded past is a scenario in which the same jobs come, and take as long as they took."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from makeway.cli.simulate import open_world
from makeway.errors import NotFound
from makeway.model.event import Entry
from makeway.policy.choose import decide
from makeway.report import report
from makeway.sim.past import scenario_of
from makeway.sim.play import world_of

TEXT = """
cluster: {nodes: [{name: n, count: 2, cpus: 4, labels: {rack: r1}}]}
policy: {preemption: {reclaim: false}}
queues: [{name: lab, queues: [{name: ada}, {name: bob, weight: 2}]}]
jobs:
  - {name: long, queue: lab/ada, workers: 2, per_worker: {cpus: 4}, runtime: 10m}
  - {name: waits, queue: lab/bob, at: 60s, per_worker: {cpus: 4}, runtime: 5m, time_limit: 1h}
  - {name: later, queue: lab/bob, at: 90s, per_worker: {cpus: 2}, runtime: 5m, after: [long]}
  - {name: grows, queue: lab/ada, at: 2h, workers: {min: 1, max: 2}, per_worker: {cpus: 4},
     runtime: 10m}
"""


def played(path: Path, text: str) -> list[Entry]:
    """Play a scenario to its end, and give its log."""
    path.write_text(text, "utf-8")
    told: list[Entry] = []
    scenario, _ = open_world(str(path), None)
    world_of(scenario, decide, told.extend).run()
    return told


def story(entries: list[Entry]) -> list[tuple[str, int, int | None, int | None]]:
    return [
        (one.queue, one.submitted_at_ms, one.started_at_ms, one.ended_at_ms)
        for one in report(entries).jobs
    ]


def test_the_past_played_again_is_the_past(tmp_path: Path) -> None:
    entries = played(tmp_path / "first.yaml", TEXT)
    past = scenario_of(entries, since_ms=0)
    again = played(tmp_path / "again.yaml", yaml.safe_dump(past, sort_keys=False))
    assert len(story(entries)) == 4
    assert story(again) == story(entries)


def test_only_what_came_since_then_counts_and_the_first_of_it_is_the_beginning(
    tmp_path: Path,
) -> None:
    entries = played(tmp_path / "first.yaml", TEXT)
    jobs = scenario_of(entries, since_ms=3_600_000)["jobs"]
    assert isinstance(jobs, list)
    (grows,) = jobs
    assert (grows["name"], grows["at"], grows["runtime"]) == ("grows", "0s", "10m")
    assert grows["workers"] == {"min": 1, "max": 2}


def test_where_nothing_ran_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no job that has run"):
        scenario_of(played(tmp_path / "first.yaml", TEXT), since_ms=1 << 50)
