"""How jobs are written for people: states in a word, numbers with their units, nothing cut."""

from __future__ import annotations

import pytest

from makeway.cli.amount_text import amounts_text
from makeway.cli.job_text import (
    lasting,
    placement_text,
    print_job,
    print_wait,
    state_of,
    workers_text,
)
from makeway.wire.jobs import AttemptView, GroupView, JobView, WaitView, WorkerView

PLAIN = JobView(
    id="j1", name="train", user="ada", queue="lab/ada", job_class="high", priority=100,
    phase="queued", submitted_s=0.0, command=("python", "a b.py"),
    groups=(GroupView(name="worker", min=2, max=4, per_worker={"cpus": 1, "memory": 2**30}),),
)  # fmt: skip


def job(**changes: object) -> JobView:
    return JobView(
        **{**{name: getattr(PLAIN, name) for name in PLAIN.__struct_fields__}, **changes}
    )


@pytest.mark.parametrize(
    "changes, state, workers",
    [
        ({}, "queued", "2–4"),
        ({"held": True}, "held", "2–4"),
        ({"phase": "running", "workers": 3}, "running", "3 of 2–4"),
        ({"phase": "running", "held": True, "workers": 3}, "running", "3 of 2–4"),
    ],
)
def test_state_and_workers(changes: dict[str, object], state: str, workers: str) -> None:
    found = job(**changes)
    assert (state_of(found), workers_text(found)) == (state, workers)


def test_a_gang_that_is_complete_is_one_number() -> None:
    group = GroupView(name="worker", min=3, max=3, per_worker={})
    assert workers_text(job(groups=(group,), workers=3)) == "3"
    assert workers_text(job(groups=(group,), workers=1)) == "1 of 3"


def test_places_are_written_by_node_and_by_group() -> None:
    assert placement_text(job(placement={"n1": 2, "n2": 1})) == "n1 ×2, n2"
    assert placement_text(job(placement={"ps": {"n1": 1}, "w": {"n2": 3}})) == "ps: n1, w: n2 ×3"
    assert placement_text(job()) == ""


@pytest.mark.parametrize(
    "span_s, text",
    [(0, "0.0 s"), (59.94, "59.9 s"), (60, "1 min 0 s"), (3_661, "1 h 1 min"), (90_000, "1 d 1 h")],
)
def test_a_span_is_written_as_people_say_it(span_s: float, text: str) -> None:
    assert lasting(100.0, 100.0 + span_s) == text
    assert lasting(None) == "–"
    assert lasting(100.0, 50.0) == "0.0 s", "a clock that was set back makes nothing negative"


def test_amounts_have_their_units() -> None:
    written = amounts_text({"cpus": 1, "memory": 3 * 2**29, "gpus": 2, "licence": 1, "none": 0})
    assert written == "1 cpu, 1.5 GiB, 2 gpus, 1 licence"


def test_all_that_is_known_of_a_job_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    wait = WaitView(
        reason="OverShare",
        text="the queue is at its due",
        blocked_by=("b",),
        unblock=("cancel b", "1 node of 4 cpus"),
        starts_s=1_000.0,
    )
    workers = (
        WorkerView(rank=0, node="n1", pid=7, exit_code=3, memory_peak=2**20, cpu_s=1.5),
        WorkerView(rank=1, node="n2", signal=9),
        WorkerView(rank=2, node="n3", lost="the node is gone"),
        WorkerView(rank=3, node="n4"),
    )
    attempt = AttemptView(
        number=1, phase="ended", started_s=0.0, ended_s=2.0, end="OOM_HOST",
        text="memory ran out", hint="ask for more", decision="retry", workers=workers,
    )  # fmt: skip
    print_job(job(wait=wait, attempts=(attempt,), position=3))
    said = capsys.readouterr().out
    for words in (
        "waits: OverShare", "in its way: b", "if you cancel b", "with 1 node of 4 cpus",
        "expected to start at 1970-01-01", "'a b.py'", "3 in line", "attempt 1  ended: OOM_HOST",
        "memory ran out", "exit 3", "signal 9", "the node is gone", "runs",
    ):  # fmt: skip
        assert words in said
    assert "\x1b" not in said


def test_a_wait_in_a_scenario_counts_from_its_beginning(capsys: pytest.CaptureFixture[str]) -> None:
    print_wait(WaitView(reason="r", text="t", starts_s=7.5), lambda at_s: f"{at_s:g} s")
    assert "expected to start at 7.5 s" in capsys.readouterr().out
