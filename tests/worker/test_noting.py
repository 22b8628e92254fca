"""What a step tells of itself while it runs: at once, once, and whatever it is given."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

import makeway as mw
from makeway.errors import InvalidInput
from makeway.store.blobs import Blobs
from makeway.worker import recorder
from tests.worker.listening import Agent


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MAKEWAY_STORE", str(tmp_path / "store"))
    return tmp_path / "store"


def test_parameters_and_tags_are_told_at_once(agent: Agent) -> None:
    mw.log_param("rate", 0.1)
    mw.log_params({"layers": 3, "tuned": True})
    mw.set_tag("team", "vision")
    mw.set_tags({"paper": 7, "final": False})
    assert agent.notes(6) == [
        ("param", "rate", 0.1),
        ("param", "layers", 3),
        ("param", "tuned", True),
        ("tag", "team", "vision"),
        ("tag", "paper", "7"),
        ("tag", "final", "False"),
    ]


def test_the_same_parameter_is_told_once_and_a_change_is_told_again(agent: Agent) -> None:
    for value in (1, 1, 1, True, 1.0, 2):  # 1, True and 1.0 are equal, and are not the same
        mw.log_param("layers", value)
    assert [value for _, _, value in agent.notes(4)] == [1, True, 1.0, 2]


def test_whether_data_are_available_is_a_series_of_ones_and_zeros(agent: Agent) -> None:
    mw.data_available("images", True)
    mw.data_available("images", False)
    samples = agent.wait_for(2)
    assert [(sample.name, sample.value) for sample in samples] == [
        ("available/images", 1.0),
        ("available/images", 0.0),
    ]


def test_a_word_is_no_answer_to_whether_data_are_available(agent: Agent) -> None:
    wrong: Any = "no"
    with pytest.raises(InvalidInput, match="True or False"):
        mw.data_available("images", wrong)
    assert agent.read() == []


def test_an_artifact_is_stored_and_told(agent: Agent, store: Path, tmp_path: Path) -> None:
    (tmp_path / "plot.svg").write_text("<svg/>")
    mw.log_artifact(tmp_path / "plot.svg")
    ((kind, key, value),) = agent.notes(1)
    digest = hashlib.sha256(b"<svg/>").hexdigest()
    assert (kind, key) == ("artifact", "plot.svg")
    assert isinstance(value, dict)
    assert (value["digest"], value["size_bytes"], value["kind"]) == (digest, 6, "artifact")
    assert Blobs(store).read_verified(digest) == b"<svg/>"


def test_each_file_of_a_folder_is_an_artifact_under_its_path(
    agent: Agent, store: Path, tmp_path: Path
) -> None:
    for name in ("a.txt", "deep/b.txt"):
        (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / name).write_text(name)
    mw.log_artifacts(tmp_path / "out", prefix="run")
    assert [key for _, key, _ in agent.notes(2)] == ["run/a.txt", "run/deep/b.txt"]


@pytest.mark.parametrize("record", [mw.log_artifact, mw.log_artifacts])
def test_an_artifact_that_is_not_there_is_named(agent: Agent, store: Path, record: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        record("nowhere.txt")
    assert caught.value.where == "nowhere.txt"


def test_a_model_is_told_at_once_with_its_metrics(agent: Agent, store: Path) -> None:
    mw.log_model({"w": 1.0}, "small", metrics={"accuracy": 0.9})
    ((kind, key, value),) = agent.notes(1)
    assert (kind, key) == ("model", "small")
    assert isinstance(value, dict)
    assert value["metrics"] == {"accuracy": 0.9}


@pytest.mark.parametrize("name", ["", "n" * 10_000, 3])
def test_a_name_that_is_none_is_refused(agent: Agent, name: Any) -> None:
    for record in (mw.log_param, mw.set_tag):
        with pytest.raises(InvalidInput, match="1 to 250 characters"):
            record(name, 1)
    assert agent.link.noted == []


def test_values_of_any_kind_become_what_can_be_written_down(agent: Agent) -> None:
    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError

    mw.log_params({"nan": float("nan"), "long": "x" * 100_000, "huge": 10**40, "odd": Broken()})
    said = {key: value for _, key, value in agent.notes(4)}
    assert said["nan"] == "nan"
    assert len(str(said["long"])) == 8_000
    assert said["huge"] == str(10**40)
    assert said["odd"] == "<Broken>"


def test_what_is_told_while_the_agent_is_busy_is_kept_up_to_a_limit(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "NOTES_MAX", 100)
    monkeypatch.setattr(recorder.Recorder, "_put", lambda *_: 0)
    for number in range(150):
        mw.log_param(f"p{number}", number)
    monkeypatch.undo()
    active = recorder.current()
    assert active is not None
    assert active.dropped == 50
    said = agent.notes(100)
    assert said[0][1:] == ("p50", 50)
    assert agent.link.dropped == 50


def test_outside_makeway_nothing_is_told_and_nobody_is_disturbed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("MAKEWAY_DIR", raising=False)
    recorder.forget()
    wrong: Any = object()
    mw.set_tag("", wrong)
    mw.set_tags(wrong)
    mw.data_available("", wrong)
    mw.log_artifact("nowhere")
    mw.log_artifacts("nowhere")
    assert recorder.current() is None
