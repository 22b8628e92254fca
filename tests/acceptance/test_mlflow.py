"""MLflow's own client, unchanged, in the workers: what it logs is makeway's, under the step's name."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from makeway.store.blobs import Blobs
from makeway.store.database import Database
from makeway.store.read import get_job, last_samples
from makeway.store.told import Told, read_history, read_told
from makeway.store.tracked import find_file, find_run, list_models
from tests.acceptance.service import opened
from tests.acceptance.terminal import Terminal

pytest.importorskip("mlflow")
pytestmark = pytest.mark.slow

# Each script leaves what it saw in `saw.json`: so a test can compare it with what is in the store.
HEAD = """\
import json, os
import mlflow
from mlflow import MlflowClient

def saw(**values):
    with open("saw.json", "w") as file:
        json.dump(values, file)

"""


class Script(Terminal):
    """A person with a script that knows MLflow and nothing of makeway."""

    job = ""

    def runs(self, text: str, *, memory: str = "1GiB") -> Any:
        """Run it as a job in the command itself, and give what it saw."""
        self.writes(text)
        words = ("--memory", memory, "--watch", "--", sys.executable, "script.py")
        self.job = self.types("submit", "--name", "train", *words).stdout.splitlines()[0]
        return self.saw()

    def writes(self, text: str) -> None:
        (self.folder / "script.py").write_text(HEAD + dedent(text), "utf-8")

    def saw(self) -> Any:
        return json.loads((self.folder / "saw.json").read_text("utf-8"))

    @contextmanager
    def looks(self) -> Iterator[Database]:
        with Database.open(self.store, read_only=True) as database:
            yield database

    def told(self, of: str | None = None) -> Told:
        """Give what was told of the job, or of something else."""
        subject = of or self.job
        with self.looks() as database:
            return read_told(database, [subject])[subject]


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # a mistake shows in seconds
    return Script(tmp_path)


def test_a_script_logs_into_its_own_step_without_a_service(script: Script) -> None:
    saw = script.runs("""
        with mlflow.start_run() as run:
            mlflow.log_params({"rate": 0.1, "layers": 2, "name": "café"})
            for step in range(3):
                mlflow.log_metric("loss", 1 / (step + 1), step=step)
            mlflow.log_metrics({"nan": float("nan"), "inf": float("-inf")}, step=7)
            mlflow.set_tags({"stage": "trial", "gone": "soon"})
            mlflow.delete_tag("gone")
        found = mlflow.get_run(run.info.run_id)
        history = MlflowClient().get_metric_history(run.info.run_id, "loss")
        saw(
            id=run.info.run_id, params=found.data.params, nan=repr(found.data.metrics["nan"]),
            inf=repr(found.data.metrics["inf"]), tags=found.data.tags, status=found.info.status,
            history=[[one.step, one.value] for one in history],
            experiment=mlflow.get_experiment(found.info.experiment_id).name,
        )
    """)
    assert saw["id"] == script.job
    assert saw["experiment"] == "jobs"
    assert saw["params"] == {"rate": "0.1", "layers": "2", "name": "café"}
    assert (saw["nan"], saw["inf"]) == ("nan", "-inf")
    assert saw["history"] == [[0, 1.0], [1, 0.5], [2, pytest.approx(1 / 3)]]
    assert saw["tags"]["stage"] == "trial"
    assert "gone" not in saw["tags"]
    # The client said that the run is finished; how a job ends says its exit code alone.
    assert saw["status"] == "RUNNING"
    told = script.told()
    assert told.params == saw["params"]
    assert told.metrics["loss"].value == pytest.approx(1 / 3)
    with script.looks() as database:
        assert get_job(database, script.job).phase.value == "succeeded"
        series = {one.name: one for one in last_samples(database, script.job)}
        assert (series["loss"].number, series["loss"].rank, series["loss"].n) == (1, 0, 3)


def test_a_parameter_keeps_its_value_and_a_batch_is_taken_whole_or_not_at_all(
    script: Script,
) -> None:
    saw = script.runs("""
        from mlflow.entities import Metric, Param
        from mlflow.exceptions import MlflowException
        with mlflow.start_run() as run:
            mlflow.log_param("rate", 0.1)
            mlflow.log_param("rate", 0.1)
            codes = []
            for params in ([Param("rate", "0.2")], [Param("new", "1"), Param("new", "2")]):
                try:
                    MlflowClient().log_batch(
                        run.info.run_id, metrics=[Metric("m", 1.0, 0, 0)], params=params
                    )
                except MlflowException as error:
                    codes.append(error.error_code)
        saw(codes=codes)
    """)
    assert saw["codes"] == ["INVALID_PARAMETER_VALUE"] * 2
    told = script.told()
    assert told.params == {"rate": "0.1"}
    assert "m" not in told.metrics


def test_artifacts_go_into_the_store_and_come_back(script: Script) -> None:
    saw = script.runs("""
        os.makedirs("out/deep", exist_ok=True)
        for name in ("a.txt", "deep/b.bin"):
            with open(f"out/{name}", "wb") as file:
                file.write(name.encode() * 400_000)
        with mlflow.start_run() as run:
            mlflow.log_artifacts("out", "files")
            mlflow.log_text("first", "note.txt")
            mlflow.log_text("second", "note.txt")
            mlflow.log_dict({"a": 1}, "ein ordner/ü.json")
        client, id = MlflowClient(), run.info.run_id
        local = client.download_artifacts(id, "files/deep/b.bin")
        saw(
            top=[[one.path, one.is_dir] for one in client.list_artifacts(id)],
            files=[[one.path, one.file_size] for one in client.list_artifacts(id, "files")],
            of_a_file=client.list_artifacts(id, "note.txt"),
            same=open(local, "rb").read() == b"deep/b.bin" * 400_000,
            note=mlflow.artifacts.load_text(f"runs:/{id}/note.txt"),
            umlaut=mlflow.artifacts.load_dict(f"runs:/{id}/ein ordner/ü.json"),
        )
    """)
    assert saw["top"] == [["ein ordner", True], ["files", True], ["note.txt", False]]
    assert saw["files"] == [["files/a.txt", 2_000_000], ["files/deep", None]]
    assert saw["of_a_file"] == []
    assert saw["same"]
    assert (saw["note"], saw["umlaut"]) == ("second", {"a": 1})
    with script.looks() as database:
        file = find_file(database, script.job, "note.txt")
    assert file is not None
    assert Blobs(script.store).read_verified(file.digest) == b"second"


def test_a_script_that_names_an_experiment_still_logs_into_its_own_step(script: Script) -> None:
    saw = script.runs("""
        mlflow.set_experiment("irises")
        with mlflow.start_run(run_name="second try") as run:
            with mlflow.start_run(nested=True) as inner:
                mlflow.log_metric("depth", 2)
        found = mlflow.get_run(run.info.run_id)
        child = mlflow.get_run(inner.info.run_id)
        saw(
            id=run.info.run_id, name=found.info.run_name, child=child.info.run_id,
            experiments=[mlflow.get_experiment(one.info.experiment_id).name for one in (found, child)],
            status=child.info.status, parent=child.data.tags["mlflow.parentRunId"],
        )
    """)
    assert (saw["id"], saw["name"]) == (script.job, "second try")
    assert saw["experiments"] == ["irises", "irises"]
    assert (saw["status"], saw["parent"]) == ("FINISHED", script.job)
    with script.looks() as database:
        child = find_run(database, saw["child"])
        assert child is not None
        assert (child.job, child.parent) == (script.job, script.job)
        assert [one.value for one in read_history(database, child.id, "depth")] == [2.0]


def test_a_worker_may_tell_only_of_its_own_job_and_only_while_it_lasts(script: Script) -> None:
    first = script.runs("""
        saw(id=os.environ["MLFLOW_RUN_ID"], token=os.environ["MLFLOW_TRACKING_TOKEN"])
    """)
    second = script.runs(f"""
        from mlflow.exceptions import MlflowException
        codes = []
        def tries():
            try:
                MlflowClient().set_tag("{first["id"]}", "mine", "now")
            except MlflowException as error:
                codes.append(error.error_code)
        tries()
        os.environ["MLFLOW_TRACKING_TOKEN"] = "{first["token"]}"
        tries()
        os.environ["MLFLOW_TRACKING_TOKEN"] = "{first["token"]}"[:-1] + "x"
        tries()
        saw(codes=codes)
    """)
    assert second["codes"] == ["PERMISSION_DENIED", "UNAUTHENTICATED", "UNAUTHENTICATED"]


def test_who_has_an_endpoint_of_their_own_keeps_it(script: Script) -> None:
    script.writes("""
        saw(**{name: value for name, value in os.environ.items() if name.startswith("MLFLOW_")})
    """)
    own = ("--env", "MLFLOW_TRACKING_URI=http://elsewhere")
    script.types("submit", "--watch", *own, "--memory", "1GiB", "--", sys.executable, "script.py")
    saw = script.saw()
    assert saw["MLFLOW_TRACKING_URI"] == "http://elsewhere"
    assert not {"MLFLOW_TRACKING_TOKEN", "MLFLOW_RUN_ID"} & {*saw}


FLOW = """\
import makeway as mw

@mw.step(memory="1GiB")
def train(rate: float) -> str:
    import mlflow
    with mlflow.start_run() as run:
        mlflow.log_param("momentum", 0.9)
        mlflow.log_metric("accuracy", 0.75, step=1)
        mlflow.log_input(mlflow.data.from_pandas(table(), name="rows", source="rows.csv"), "training")
    found = mlflow.get_run(run.info.run_id)
    (read,) = found.inputs.dataset_inputs
    experiment = mlflow.get_experiment(found.info.experiment_id)
    said = f"{experiment.name} {read.dataset.name} {read.tags[0].value} {found.data.params['rate']}"
    print(said)
    return said

def table():
    import pandas
    return pandas.DataFrame({"x": [1, 2]})

@mw.workflow
def learning():
    train(0.5)
"""


def test_a_step_of_a_workflow_is_a_run_of_the_experiment_that_its_workflow_is(
    script: Script,
) -> None:
    (script.folder / "flow.py").write_text(FLOW, "utf-8")
    script.types("run", "flow.py")
    run = script.reads("run-show", "@last")
    (step,) = run["steps"]
    said = script.types("logs", f"{run['id']}.{step['key']}").stdout
    assert "learning rows training 0.5" in said
    told = script.told(f"{run['id']}.{step['key']}")
    assert told.params == {"momentum": "0.9", "rate": "0.5"}
    assert [one.name for one in told.inputs] == ["rows"]


def test_under_a_service_it_is_the_same_and_people_look_with_their_own_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    with opened(tmp_path) as shop:
        script = Script(tmp_path)
        script.runs("""
            with mlflow.start_run() as run:
                mlflow.log_metric("loss", 0.25, step=4)
            saw(id=run.info.run_id)
        """)
        url = json.loads((shop.store / "service.json").read_text("utf-8"))["url"]
        client = MlflowClient(url)
        monkeypatch.setenv(
            "MLFLOW_TRACKING_TOKEN", (shop.store / "owner.token").read_text().strip()
        )
        found = client.get_run(script.job)
        assert (found.info.status, found.data.metrics["loss"]) == ("FINISHED", 0.25)
        made = client.create_run("0", run_name="by hand")
        client.log_param(made.info.run_id, "depth", 3)
        client.set_terminated(made.info.run_id, "FAILED")
        again = client.get_run(made.info.run_id)
        assert (again.info.status, again.data.params) == ("FAILED", {"depth": "3"})
        with pytest.raises(MlflowException) as refused:
            client.delete_run(script.job)
        assert refused.value.error_code == "PERMISSION_DENIED"
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "mw_no_body")
        with pytest.raises(MlflowException) as unknown:
            client.get_run(script.job)
        assert unknown.value.error_code == "UNAUTHENTICATED"
    assert mlflow.__version__ >= "3"


def test_a_job_that_outlives_its_command_is_heard_by_the_service_that_comes_after(
    script: Script,
) -> None:
    script.writes("""
        import pathlib, time
        print("begun", flush=True)
        while not pathlib.Path("go").exists():
            time.sleep(0.05)
        with mlflow.start_run() as run:
            mlflow.log_metric("loss", 0.125)
        saw(id=run.info.run_id)
    """)
    words = ("--memory", "1GiB", "--", sys.executable, "script.py")
    alone = script.begins("submit", "--watch", *words)
    alone.waits_for("begun")
    alone.sends(signal.SIGINT)
    alone.ends()
    with opened(script.folder) as shop:
        (script.folder / "go").touch()
        (job,) = shop.types("jobs", "-o", "name").stdout.split()
        shop.types("wait", job, "--timeout", "60s")
    assert script.saw()["id"] == job
    last = script.told(job).metrics["loss"]
    assert last.value == 0.125


def test_autolog_keeps_a_model_of_scikit_learn(script: Script) -> None:
    pytest.importorskip("sklearn")
    saw = script.runs(
        """
        import warnings
        warnings.simplefilter("ignore")
        mlflow.autolog()
        from sklearn.datasets import load_iris
        from sklearn.linear_model import LogisticRegression
        flowers, kinds = load_iris(return_X_y=True, as_frame=True)
        LogisticRegression(max_iter=200).fit(flowers, kinds)
        run = mlflow.last_active_run()
        (model,) = run.outputs.model_outputs
        again = mlflow.sklearn.load_model(f"models:/{model.model_id}")
        saw(id=run.info.run_id, model=model.model_id, said=again.predict(flowers[:2]).tolist())
        """,
        memory="3GiB",
    )
    assert (saw["id"], saw["said"]) == (script.job, [0, 0])
    told = script.told()
    assert told.params["max_iter"] == "200"
    assert told.metrics["training_accuracy_score"].value == pytest.approx(0.97, abs=0.03)
    with script.looks() as database:
        (model,) = list_models(database, runs=[script.job])
    assert (model.id, model.status) == (saw["model"], "LOGGED_MODEL_READY")
    assert model.digest is not None
    assert Blobs(script.store).has(model.digest)


def test_autolog_follows_pytorch_through_lightning(script: Script) -> None:
    pytest.importorskip("lightning")
    script.runs(
        """
        import lightning, torch
        class Line(lightning.LightningModule):
            def __init__(self):
                super().__init__()
                self.line = torch.nn.Linear(4, 1)
            def training_step(self, batch, _):
                loss = self.line(batch[0]).pow(2).mean()
                self.log("loss", loss, on_step=False, on_epoch=True)
                return loss
            def configure_optimizers(self):
                return torch.optim.SGD(self.parameters(), lr=0.01)
        mlflow.pytorch.autolog(log_models=False, checkpoint=False)
        data = torch.utils.data.TensorDataset(torch.randn(32, 4))
        trainer = lightning.Trainer(
            max_epochs=3, logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False, accelerator="cpu",
        )
        trainer.fit(Line(), torch.utils.data.DataLoader(data, batch_size=16))
        saw(done=True)
        """,
        memory="3GiB",
    )
    told = script.told()
    assert (told.params["optimizer_name"], told.params["lr"]) == ("SGD", "0.01")
    with script.looks() as database:
        losses = read_history(database, script.job, "loss")
    assert len(losses) == 3
    assert losses[-1].value is not None
    assert losses[0].value is not None
    assert losses[-1].value < losses[0].value
    assert os.environ.get("MLFLOW_RUN_ID") is None  # nothing of a worker's leaks
