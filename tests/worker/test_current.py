"""Ask who runs here, how long it may, and why the attempt before it ended."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

import makeway as mw
from makeway.live.watch import keep_diagnoses
from makeway.model.event import AttemptEnded, Entry
from makeway.model.record import Cause, CauseClass, Diagnosis


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a worker in the second attempt of its job."""
    folder = tmp_path / "workers/j/2/0"
    folder.mkdir(parents=True)
    monkeypatch.setenv("MAKEWAY_DIR", str(folder))
    monkeypatch.setenv("MAKEWAY_ATTEMPT", "2")
    monkeypatch.setenv("MAKEWAY_NOTICE", str(folder / "notice"))
    monkeypatch.delenv("MAKEWAY_DEADLINE", raising=False)
    return folder


def left() -> float | None:
    return mw.current.deadline_left


def diagnosis() -> dict[str, object]:
    return mw.current.last_diagnosis or {}


def test_the_next_attempt_knows_why_the_one_before_it_ended(folder: Path, tmp_path: Path) -> None:
    assert diagnosis() == {}
    said = Diagnosis(
        cause=Cause.OOM_HOST,
        cause_class=CauseClass.RESOURCE,
        confidence="established",
        text="there was not enough memory",
    )
    ended = AttemptEnded(job="j", number=1, fence=1, diagnosis=said)
    (tmp_path / "workers/j/1").mkdir()
    keep_diagnoses(tmp_path, [Entry(seq=1, at_ms=1, cause=0, event=ended)])
    assert diagnosis()["cause"] == "OOM_HOST"


def test_the_time_that_is_left_is_that_of_the_limit_or_of_the_notice(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert left() is None
    monkeypatch.setenv("MAKEWAY_DEADLINE", str(time.time() + 1000))
    assert 900 < (left() or 0) <= 1000
    notice = {"cause": "preempt", "at_ms": 1, "deadline_ms": time.time_ns() // 10**6 + 30_000}
    (folder / "notice").write_text(json.dumps(notice))
    assert (left() or 99) <= 30
    (folder / "notice").write_text("torn")
    assert (left() or 0) > 900
