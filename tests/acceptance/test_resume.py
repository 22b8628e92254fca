"""A person resumes runs: the plan first, then only what is missing; and asks why a step ran."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.service import opened
from tests.acceptance.terminal import Terminal

SUMS = """
SCALE = 2

def normalise(numbers):
    return [number * SCALE for number in numbers]
"""

FLOW = """
import pathlib
import makeway as mw
from sums import normalise

@mw.step(cpus=0.1)
def ingest(count: int) -> list[int]:
    return list(range(count))

@mw.step(cpus=0.1)
def train(data: list[int], lr: float, slot: int) -> float:
    if slot == 7 and not pathlib.Path("mended").exists():
        raise ValueError("no luck with slot 7")
    return sum(normalise(data)) * lr + slot

@mw.step(cpus=0.1)
def total(models: list[float]) -> float:
    return sum(models)

@mw.workflow
def flow(count: int = 3, lr: float = 0.5, slots: int = 10) -> float:
    data = ingest(count)
    return total([train.options(name=f"train-{slot}")(data, lr, slot) for slot in range(slots)])
"""

CACHED = """
import pathlib, time
import makeway as mw

@mw.step(cpus=0.1, cache=mw.Cache(serialize=True))
def costly(number: int, log: str) -> int:
    with pathlib.Path(log).open("a") as file:
        file.write("computed\\n")
    while not pathlib.Path("open").exists():
        time.sleep(0.05)
    return number * 2

@mw.workflow
def flow(number: int = 1, log: str = "log") -> int:
    return costly(number, log)
"""


def project(folder: Path) -> Terminal:
    (folder / "flow.py").write_text(FLOW)
    (folder / "sums.py").write_text(SUMS)
    return Terminal(folder)


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Terminal:
    """A terminal in which a run of ten slots failed in one of them; nothing here changes that."""
    terminal = project(tmp_path_factory.mktemp("failed"))
    terminal.types("run", "flow.py", expect=5)
    return terminal


def plan_of(terminal: Terminal, *words: str) -> dict[str, Any]:
    """Read the plan of a resumed run, by the keys of its steps."""
    plan = terminal.reads("resume", "--dry-run", *words)
    return {one["step"]: one for one in plan["steps"]}


def edited(terminal: Terminal, old: str, new: str, name: str = "flow.py") -> None:
    file = terminal.folder / name
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


def test_of_ten_slots_nine_are_reused_and_one_runs(failed: Terminal) -> None:
    plan = failed.reads("resume", "--dry-run")
    assert (plan["reused"], plan["runs"]) == (10, 2)
    running = {one["step"]: one["reason"] for one in plan["steps"] if one["action"] == "run"}
    assert running == {"train-7": "failed", "total": "never ran"}
    assert failed.types("resume", "--dry-run", "-o", "name").stdout.split() == ["train-7", "total"]


def test_a_parameter_reruns_the_steps_that_read_it_alone(failed: Terminal) -> None:
    plan = plan_of(failed, "-P", "lr=0.25")
    assert plan["ingest"]["action"] == "reuse"
    assert plan["train-1"]["text"] == "parameter `lr` used here: 0.5 -> 0.25"
    shown = failed.types("resume", "--dry-run", "-P", "slots=11").stdout
    assert "train-10  run     never ran: it is new" in shown


def test_a_step_can_be_asked_for(failed: Terminal) -> None:
    plan = plan_of(failed, "--from", "train-2")
    assert plan["train-1"]["action"] == "reuse"
    assert plan["train-2"]["text"] == "asked (--from)"
    assert plan["total"]["action"] == "run"
    assert "there is no step 'nothing'" in failed.types(
        "resume", "--from", "nothing", expect=3
    ).stderr  # fmt: skip


def test_a_plan_starts_nothing(failed: Terminal) -> None:
    before = failed.reads("runs")
    plan_of(failed, "--from", "ingest")
    assert failed.reads("runs") == before


def test_changed_code_in_another_file_is_named_and_comments_do_not_count(tmp_path: Path) -> None:
    terminal = project(tmp_path)
    terminal.types("run", "flow.py", "-P", "slots=2")
    edited(terminal, "SCALE = 2", "# how much\nSCALE   =   2", "sums.py")
    assert {one["action"] for one in plan_of(terminal).values()} == {"reuse"}
    assert "nothing is missing" in terminal.types("resume").stderr
    edited(terminal, "SCALE   =   2", "SCALE = 4", "sums.py")
    plan = plan_of(terminal)
    assert plan["train-0"]["text"] == "code changed (sums.py:SCALE)"
    assert plan["total"]["text"] == "input rebuilt: train-0, train-1"
    done = terminal.types("resume")
    assert done.stdout == "13.0\n"
    assert "1 reused, 3 to run" in done.stderr
    run = terminal.reads("run-show")
    assert [step["phase"] for step in run["steps"]] == ["cached", *["succeeded"] * 3]
    why = terminal.types("why", "train-0").stdout
    assert "code of sums.py:SCALE changed" in why


def test_resuming_runs_what_is_missing_and_an_output_that_was_lost_is_made_again(
    tmp_path: Path,
) -> None:
    terminal = project(tmp_path)
    terminal.types("run", "flow.py", expect=5)
    (tmp_path / "mended").touch()
    assert terminal.types("resume").stdout == "75.0\n"
    run = terminal.reads("run-show")
    ran = [step["key"] for step in run["steps"] if step["phase"] != "cached"]
    assert ran == ["train-7", "total"]
    [ingest] = [step for step in run["steps"] if step["key"] == "ingest"]
    digest = ingest["output"]["digest"]
    (terminal.store / "artifacts" / digest[:2] / digest[2:]).unlink()
    assert plan_of(terminal)["ingest"]["reason"] == "artifact lost"
    terminal.types("resume")
    phases = {step["key"]: step["phase"] for step in terminal.reads("run-show")["steps"]}
    assert phases.pop("ingest") == "succeeded"
    assert set(phases.values()) == {"cached"}, "the same came out, so the rest is as it was"


def test_from_a_step_on_all_is_computed_again(tmp_path: Path) -> None:
    terminal = project(tmp_path)
    terminal.types("run", "flow.py", "-P", "slots=2")
    terminal.types("resume", "--from", "train-1")
    phases = {step["key"]: step["phase"] for step in terminal.reads("run-show")["steps"]}
    assert phases == {
        "ingest": "cached", "train-0": "cached", "train-1": "succeeded", "total": "succeeded",
    }  # fmt: skip


def test_a_cached_step_is_reused_by_a_plain_run_and_why_tells_a_miss(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    (tmp_path / "flow.py").write_text(CACHED)
    (tmp_path / "open").touch()
    assert terminal.types("run", "flow.py").stdout == "2\n"
    again = terminal.types("run", "flow.py")
    assert again.stdout == "2\n"
    assert "cached: reused from run" in again.stderr
    assert (tmp_path / "log").read_text() == "computed\n"
    assert "reused from run" in terminal.types("why", "@last/costly").stdout
    terminal.types("run", "flow.py", "-P", "number=5")
    why = terminal.reads("why", "costly")["cache"]
    assert why["hit"] is False
    assert why["differences"] == ["parameter number: 1 -> 5"]
    edited(terminal, "number * 2", "number * 3")
    assert terminal.types("run", "flow.py").stdout == "3\n"
    assert "code of flow.py:costly changed" in terminal.types("why", "costly").stdout
    terminal.types("why", "nothing", expect=3)


def test_a_run_that_goes_on_cannot_be_resumed_with_other_parameters(tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text(CACHED)
    with opened(tmp_path) as shop:
        first = shop.begins("run", "flow.py")
        first.waits_for("costly  runs")
        run = shop.types("runs", "-o", "name").stdout.split()[0]
        assert "it has not ended" in shop.types("resume", run, "-P", "number=2", expect=7).stderr
        assert plan_of(shop, run)["costly"]["action"] == "go on"
        second = shop.begins("run", "flow.py")
        second.waits_for("run ")
        # Asked of the service, so that it is certain that the second run has been looked at.
        told = shop.types("why", "@last/costly").stdout
        assert f"it waits for {run}.costly, which computes the same" in told
        (tmp_path / "open").touch()
        assert (first.ends(), second.ends()) == (0, 0)
        assert "cached: reused from run" in second.said()
        assert (tmp_path / "log").read_text() == "computed\n"
        third = shop.begins("run", "flow.py", "-P", "number=3")
        assert third.ends() == 0
        plan = shop.reads("resume", "--dry-run", "--from", "costly")
        assert plan["runs"] == 1
        shop.types("resume", "--from", "costly")
        assert (tmp_path / "log").read_text() == "computed\n" * 3


def test_a_run_that_was_killed_is_planned_as_going_on(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    (tmp_path / "flow.py").write_text(CACHED)
    killed = terminal.begins("run", "flow.py")
    killed.waits_for("costly  runs")
    killed.sends(signal.SIGKILL)
    killed.ends()
    assert plan_of(terminal)["costly"]["reason"] == "goes on"
    (tmp_path / "open").touch()
    assert terminal.types("resume").stdout == "2\n"
    assert (tmp_path / "log").read_text() == "computed\n"
