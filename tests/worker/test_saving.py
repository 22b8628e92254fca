"""Save work from inside a step, and go on from what an earlier attempt, or run, has saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import makeway as mw
from makeway.errors import Conflict, InvalidInput
from makeway.worker import recorder
from tests.worker.listening import Agent


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with work in it, in a step of a run."""
    monkeypatch.setenv("MAKEWAY_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("MAKEWAY_STEP", "train")
    monkeypatch.setenv("MAKEWAY_CHECKPOINT", str(tmp_path / "store/workers/r2/train/checkpoint"))
    monkeypatch.setenv("MAKEWAY_FENCE", "5")
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "model.pt").write_text("weights")
    return folder


def test_what_was_saved_is_loaded_and_told(agent: Agent, work: Path) -> None:
    assert mw.checkpoint.load() is None
    saved = mw.checkpoint.save(work, step=7, progress=0.5)
    assert mw.checkpoint.latest() == (saved, 7)
    found = mw.checkpoint.load()
    assert found is not None
    assert (found / "model.pt").read_text() == "weights"
    ((kind, _, value),) = agent.notes(1)
    assert kind == "checkpoint"
    assert isinstance(value, dict)
    assert (value["step"], value["progress"], value["size_bytes"]) == (7, 0.5, 7)
    assert len(value["digest"]) == 64


def test_an_attempt_that_was_replaced_saves_nothing(
    agent: Agent, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mw.checkpoint.save(work, step=7)
    monkeypatch.setenv("MAKEWAY_FENCE", "4")
    with pytest.raises(Conflict, match="has published already"):
        mw.checkpoint.save(work, step=9)
    latest = mw.checkpoint.latest()
    assert latest is not None
    assert latest[1] == 7


def test_one_that_is_damaged_is_passed_over_for_the_one_before(work: Path) -> None:
    mw.checkpoint.save(work, step=1)
    (mw.checkpoint.save(work, step=2) / "model.pt").write_text("WEIGHTS")
    found = mw.checkpoint.load()
    assert found is not None
    assert found.name == "step-00000001-5"
    (found / "model.pt").unlink()
    with pytest.raises(InvalidInput, match="every checkpoint is damaged"):
        mw.checkpoint.load()


def test_eager_goes_on_from_an_earlier_run_and_fresh_does_not(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = work.parent / "store/workers/r2/train/checkpoint"
    monkeypatch.setenv("MAKEWAY_CHECKPOINT", str(work.parent / "store/workers/r1/train/checkpoint"))
    old = mw.checkpoint.save(work, step=3)
    monkeypatch.setenv("MAKEWAY_CHECKPOINT", str(own))
    assert mw.checkpoint.load() is None
    assert mw.checkpoint.load("eager") == old
    new = mw.checkpoint.save(work, step=1)
    assert mw.checkpoint.load("eager") == new


def test_outside_makeway_work_is_saved_in_the_folder_where_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DIR", "STORE", "STEP", "CHECKPOINT", "FENCE"):
        monkeypatch.delenv(f"MAKEWAY_{name}", raising=False)
    recorder.forget()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "work").mkdir()
    mw.checkpoint.save("work", step=0)
    assert mw.checkpoint.load("eager") == Path("checkpoint/step-00000000-0")


@pytest.mark.parametrize("step", [-1, 1.5, "3", None])
def test_a_step_that_is_none_is_refused(work: Path, step: Any) -> None:
    with pytest.raises(InvalidInput, match="no whole number from 0"):
        mw.checkpoint.save(work, step=step)


def test_what_is_no_folder_and_what_is_no_policy_are_refused(work: Path) -> None:
    with pytest.raises(InvalidInput, match="no folder"):
        mw.checkpoint.save(work / "model.pt", step=1)
    with pytest.raises(InvalidInput, match="'newest' is no policy"):
        mw.checkpoint.load("newest")


def test_phases_lie_in_each_other(agent: Agent) -> None:
    mw.expect_steps()
    with mw.phase("epoch", limit="1h"), mw.phase("eval"):
        pass
    assert [(key, value) for _, key, value in agent.notes(5)] == [
        ("", {"steps": True}),
        ("epoch", {"limit": 3600.0}),
        ("eval", {"limit": None}),
        ("epoch", {"limit": 3600.0}),
        ("", None),
    ]


def test_a_phase_with_a_limit_that_is_no_time_is_refused(agent: Agent) -> None:
    with pytest.raises(InvalidInput, match="phase eval"), mw.phase("eval", limit="soon"):
        pass
    assert agent.link.noted == []


@pytest.mark.parametrize(
    "after, said",
    [(0, "retry after 0 s"), (90, "retry after 90 s"), ("5m", "retry after 300 s"),
     ("soon", "retry after 0 s"), (float("nan"), "retry after 0 s"), (-1, "retry after 0 s")],
)  # fmt: skip
def test_a_program_says_how_long_to_wait(after: Any, said: str) -> None:
    assert str(mw.Retry(after=after)) == said


def test_a_program_names_what_is_lost() -> None:
    assert str(mw.DataLost("images")) == "images is lost"
    assert str(mw.DataLost(mw.Model("small"), "no replica answers")) == (
        "small is lost: no replica answers"
    )
