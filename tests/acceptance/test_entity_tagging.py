"""W2, the real workflow, as a person runs it; and what happens to it when things go wrong."""

from __future__ import annotations

import json
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.terminal import Terminal
from tests.conformance.stage import alive

FLOW = str(Path(__file__).parents[2] / "examples" / "entity_tagging" / "flow.py")
TRAININGS = ("train-letters", "train-ngrams", "train-cnn")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Terminal:
    """A terminal in which W2 has been run once."""
    terminal = Terminal(tmp_path_factory.mktemp("w2"))
    done = terminal.types("run", FLOW)
    (terminal.folder / "stdout").write_text(done.stdout, encoding="utf-8")
    (terminal.folder / "stderr").write_text(done.stderr, encoding="utf-8")
    return terminal


def steps_of(run: Any) -> dict[str, Any]:
    """The steps of a run by their keys."""
    return {step["key"]: step for step in run["steps"]}


def test_every_step_of_w2_succeeds(finished: Terminal) -> None:
    run = finished.reads("run-show")
    assert run["phase"] == "succeeded"
    assert set(steps_of(run)) == {
        "ingest", *TRAININGS, "select", "serve-1", "serve-2", "aggregate",
    }  # fmt: skip
    assert {step["phase"] for step in run["steps"]} == {"succeeded"}


def test_the_best_two_with_at_least_90_percent_are_selected(finished: Terminal) -> None:
    steps = steps_of(finished.reads("run-show"))
    accuracy = {name: steps[name]["metrics"]["accuracy"] for name in TRAININGS}
    assert sum(value >= 0.90 for value in accuracy.values()) == 2
    best_first = sorted(accuracy, key=lambda name: -accuracy[name])
    ranking = steps["select"]["selection"]["ranking"]
    assert [ranked["candidate"] for ranked in ranking] == best_first
    assert [ranked["chosen"] for ranked in ranking] == [True, True, False]
    assert "below the minimum" in ranking[-1]["why"]


def test_each_training_is_a_gang_of_two_workers_that_start_together(finished: Terminal) -> None:
    for name in TRAININGS:
        (attempt,) = finished.reads("step", "show", name)["attempts"]
        assert len(attempt["workers"]) == 2
        ready = [worker["ready_at_ms"] for worker in attempt["workers"]]
        started = [worker["started_at_ms"] for worker in attempt["workers"]]
        assert max(ready) <= attempt["released_at_ms"] <= min(started)


def test_a_person_sees_the_tags_and_why_the_third_was_not_taken(finished: Terminal) -> None:
    shown = (finished.folder / "stdout").read_text(encoding="utf-8")
    assert "Timbuktu" in shown
    assert "not chosen: below the minimum of 0.9" in shown


def test_samples_and_logs_can_be_read_afterwards(finished: Terminal) -> None:
    series = {view["series"]["name"] for view in finished.reads("step", "samples", "train-cnn")}
    assert {"accuracy", "loss", "progress", "system/memory_usage_bytes"} <= series
    points = finished.reads("step", "samples", "train-cnn", "progress")
    assert points[-1]["value"] == 1.0
    finished.types("logs", "train-cnn")


def test_a_lost_database_connection_repeats_that_training_alone(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    done = terminal.types(
        "run", FLOW, "-P", "lose_connection=letters", "-P", "epochs=1", expect=None
    )
    assert "this step alone is tried again" in done.stderr
    run = terminal.reads("run-show")
    attempts = {step["key"]: step["attempts"] for step in run["steps"] if step["attempts"]}
    assert attempts.pop("train-letters") == 2
    assert set(attempts.values()) == {1}
    first, second = terminal.reads("step", "show", "train-letters")["attempts"]
    assert first["diagnosis"]["cause"] == "CONNECTION"
    assert first["diagnosis"]["cause_class"] == "temporary"
    assert first["decision"]["ledger"] == "infra"
    assert second["diagnosis"]["cause"] == "NONE"


def test_a_controller_killed_in_the_middle_of_training_comes_back_and_starts_nothing_twice(
    tmp_path: Path,
) -> None:
    terminal = Terminal(tmp_path)
    killed = terminal.begins("run", FLOW, "-P", "epochs=8")
    killed.waits_for("train-ngrams   30%")
    killed.sends(signal.SIGKILL)
    killed.ends()
    before = pids_by_worker(terminal)
    running = {worker: pid for worker, pid in before.items() if alive(pid)}
    assert len([job for job, _ in running if job.endswith(".train-ngrams")]) == 2

    done = terminal.types("resume")
    assert "goes on where it was" in done.stderr
    run = terminal.reads("run-show")
    assert run["phase"] == "succeeded"
    assert {step["attempts"] for step in run["steps"] if step["key"] != "select"} == {1}
    after = pids_by_worker(terminal)
    assert {worker: after[worker] for worker in before} == before
    # The outside truth: every worker was let go once, and wrote one report.
    folders = Counter(path.parent for path in terminal.store.rglob("begun"))
    assert sum(folders.values()) == len(after)
    assert len(list(terminal.store.rglob("report.json"))) == len(after)


def pids_by_worker(terminal: Terminal) -> dict[tuple[str, int], int]:
    """The pid of every worker that was started, by job and rank; none is started twice."""
    pids: dict[tuple[str, int], int] = {}
    for line in terminal.types("events", "-o", "jsonl").stdout.splitlines():
        event = json.loads(line)["event"]
        if event["type"] == "WorkerStarted":
            worker = (event["job"], event["rank"])
            assert worker not in pids, f"{worker} was started twice"
            pids[worker] = event["pid"]
    return pids


def test_ctrl_c_stops_all_workers_and_resume_runs_only_what_is_missing(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    stopped = terminal.begins("run", FLOW, "-P", "epochs=1")
    stopped.waits_for("train-ngrams   runs")
    stopped.sends(signal.SIGINT)
    assert stopped.ends() == 130
    assert "makeway resume" in stopped.said()
    first = terminal.reads("run-show")
    assert first["phase"] == "cancelled"
    assert not any(alive(pid) for pid in pids_by_worker(terminal).values())

    terminal.types("resume", expect=None)
    second = terminal.reads("run-show")
    assert second["resumed_from"] == first["id"]
    phases = {key: step["phase"] for key, step in steps_of(second).items()}
    assert phases["ingest"] == "cached"
    assert phases["train-ngrams"] == "succeeded"
