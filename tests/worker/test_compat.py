"""Scripts that were written for another tracker: their calls are answered, and nothing fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from makeway.worker import recorder
from tests.worker.listening import Agent


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MAKEWAY_STORE", str(tmp_path / "store"))
    return tmp_path


def test_a_script_for_weights_and_biases(agent: Agent, store: Path) -> None:
    from makeway.compat import wandb

    with wandb.init(project="faces", config={"rate": 0.1}, tags=["new"], entity="us") as run:
        wandb.config.layers = 3
        wandb.log({"loss": 0.5, "eval": {"accuracy": 0.9}, "picture": object()})
        wandb.log({"loss": 0.4}, step=10)
        wandb.log({"loss": 0.3})
        run.watch(object())
        run.summary["best"] = 0.95
    assert (wandb.config.rate, wandb.config["layers"]) == (0.1, 3)
    assert [(one.name, one.value, one.step) for one in agent.wait_for(5)] == [
        ("loss", 0.5, 0),
        ("eval/accuracy", 0.9, 0),
        ("loss", 0.4, 10),
        ("loss", 0.3, 11),
        ("best", 0.95, None),
    ]
    assert agent.notes(4) == [
        ("tag", "project", "faces"),
        ("tag", "new", "true"),
        ("param", "rate", 0.1),
        ("param", "layers", 3),
    ]


def test_a_script_for_mlflow(agent: Agent, store: Path) -> None:
    from makeway.compat import mlflow

    mlflow.set_tracking_uri("http://nowhere")
    mlflow.set_experiment("faces")
    with mlflow.start_run(run_name="first", tags={"team": "vision"}):
        mlflow.log_param("rate", 0.1)
        mlflow.log_metric("loss", 0.5, step=1)
        mlflow.log_metrics({"loss": 0.4}, step=2)
        mlflow.log_dict({"a": 1}, "deep/a.json")
        assert mlflow.active_run() is not None
    assert [(one.name, one.value, one.step) for one in agent.wait_for(2)] == [
        ("loss", 0.5, 1),
        ("loss", 0.4, 2),
    ]
    assert [(kind, key) for kind, key, _ in agent.notes(5)] == [
        ("tag", "experiment"),
        ("tag", "mlflow.runName"),
        ("tag", "team"),
        ("param", "rate"),
        ("artifact", "deep/a.json"),
    ]


def test_outside_makeway_the_calls_do_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from makeway.compat import mlflow, wandb

    monkeypatch.delenv("MAKEWAY_DIR", raising=False)
    recorder.forget()
    nothing: Any = {"loss": 1}
    wandb.init(config=nothing).log(nothing)
    wandb.finish()
    with mlflow.start_run():
        mlflow.log_text("a", "b")
    assert mlflow.active_run() is None
