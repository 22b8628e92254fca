"""Runs beside a service, and jobs without one: the same commands wherever somebody works."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.service import Shop, opened
from tests.acceptance.terminal import Terminal

FLOW = """
import pathlib, time
import makeway as mw

@mw.step(cpus=0.1)
def one() -> int:
    return 1

@mw.step(cpus=0.1)
def two(number: int, door: str) -> int:
    if not door:
        raise ValueError("the door is shut")
    while not pathlib.Path(door).exists():
        time.sleep(0.05)
    return number + 1

@mw.workflow
def flow(door: str = ""):
    return two(one(), door)
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    (folder / "flow.py").write_text(FLOW, "utf-8")
    with opened(folder) as found:
        yield found


def run_of(text: str) -> str:
    """Read the id of a run out of the first line that names it."""
    return text.split("run ", 1)[1].split(":", maxsplit=1)[0].split(maxsplit=1)[0]


def test_a_run_goes_through_the_service_that_works_in_the_store(shop: Shop) -> None:
    (shop.folder / "open").touch()
    done = shop.types("run", "flow.py", "-P", f"door={shop.folder / 'open'}")
    assert done.stdout == "2\n"
    assert "succeeded" in done.stderr
    jobs = shop.reads("jobs", "--state", "succeeded")["items"]
    assert run_of(done.stderr) in {one["run"] for one in jobs}, "the service ran its steps"


def test_a_run_that_failed_is_resumed_there_and_what_is_there_is_reused(shop: Shop) -> None:
    failed = shop.types("run", "flow.py", expect=5)
    assert "the door is shut" in failed.stderr
    (shop.folder / "open").touch()
    again = shop.types("resume", run_of(failed.stderr), "-P", f"door={shop.folder / 'open'}")
    assert again.stdout == "2\n"
    assert "cached" in again.stderr


def test_ctrl_c_ends_the_command_and_the_run_can_be_followed_or_cancelled(shop: Shop) -> None:
    door = shop.folder / "later"
    watched = shop.begins("run", "flow.py", "-P", f"door={door}")
    watched.waits_for("two  runs")
    watched.sends(signal.SIGINT)
    assert watched.ends() == 130
    run = run_of(watched.said())
    assert f"run {run} goes on" in watched.said()
    assert f"makeway cancel {run}" in watched.said()
    followed = shop.begins("resume", run)
    followed.waits_for("two  runs")
    assert f"{run}  flow  cancelling" in shop.types("cancel", run).stdout
    assert followed.ends() == 5
    assert f"run {run} cancelled" in followed.said()
    shop.types("cancel", run, expect=7)
    shop.types("cancel", "no-such-run", expect=3)


def test_a_workflow_that_cannot_be_is_refused_and_nothing_is_recorded(shop: Shop) -> None:
    before = shop.reads("status")["last_event"]
    shop.types("run", "flow.py", "-P", "nonsense=1", expect=2)
    shop.types("run", "missing.py", expect=3)
    assert shop.reads("status")["last_event"] == before


def test_without_a_service_a_job_runs_inside_the_command(tmp_path: Path) -> None:
    alone = Terminal(tmp_path)
    done = alone.types("submit", "--cpus", "0.1", "--", "sh", "-c", "echo alone; echo at last")
    job, *printed = done.stdout.splitlines()
    assert printed == ["alone", "at last"]
    assert f"job {job} (sh) succeeded" in done.stderr
    alone.types("submit", "--cpus", "0.1", "--", "false", expect=5)
    alone.types("submit", "--cpus", "100000", "--", "true", expect=8)


def test_ctrl_c_leaves_a_job_of_nobody_running_and_the_next_service_goes_on_with_it(
    tmp_path: Path,
) -> None:
    alone, door = Terminal(tmp_path), tmp_path / "door"
    waits = ("sh", "-c", 'echo begun; while [ ! -e "$0" ]; do sleep 0.05; done', str(door))
    command = alone.begins("submit", "--cpus", "0.1", "--", *waits)
    command.waits_for("begun")
    command.sends(signal.SIGINT)
    assert command.ends() == 130
    job = command.said().split()[0]
    assert f"job {job} goes on" in command.said()
    with opened(tmp_path) as shop:
        assert shop.phase(job) == "running"
        door.touch()
        shop.types("wait", job, "--timeout", "60s")
        assert len(shop.reads("job", "show", job)["attempts"]) == 1
