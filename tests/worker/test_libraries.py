"""Real libraries, in a real worker: what they know is recorded without a line of the user's."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from makeway.model.job import Program
from tests.conformance.stage import Stage

pytestmark = pytest.mark.slow


@pytest.fixture
def stage(store_dir: Path) -> Iterator[Stage]:
    stage = Stage(store_dir)
    yield stage
    stage.close()


def runs(stage: Stage, text: str) -> dict[str, list[float]]:
    """Run a program as the step of a worker runs, and give its series."""
    begin = "from makeway.worker import libraries\nlibraries.meet()\n"
    (ended,) = stage.run(Program(argv=(sys.executable, "-W", "ignore", "-c", begin + text)))
    assert ended.good, stage.log()
    series: dict[str, list[float]] = {}
    for reading in stage.readings:
        for sample in reading.samples:
            series.setdefault(sample.name, []).append(sample.value)
    return series


def needs(*names: str) -> None:
    for name in names:
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed here: it is larger than all else together")


def test_a_bar_is_progress(stage: Stage) -> None:
    needs("tqdm")
    progress = runs(
        stage,
        "from tqdm import tqdm, trange\n"
        "for _ in trange(4, mininterval=0, miniters=1):\n"
        "    for _ in tqdm(range(1000), leave=False): pass\n",
    )["progress"]
    assert progress[-1] == 1.0
    assert progress == sorted(progress)
    assert {0.25, 0.5, 0.75} <= set(progress)


def test_what_the_program_says_itself_counts_more_than_a_bar(stage: Stage) -> None:
    needs("tqdm")
    text = "import makeway as mw\nfrom tqdm import trange\nmw.progress(0.1)\nlist(trange(9))\n"
    assert runs(stage, text)["progress"] == [0.1]


LIGHTNING = """
import torch, lightning.pytorch as pl
from torch.utils.data import DataLoader, TensorDataset
class Line(pl.LightningModule):
    def __init__(self, rate=0.1):
        super().__init__(); self.save_hyperparameters(); self.line = torch.nn.Linear(1, 1)
    def training_step(self, batch, _):
        loss = (self.line(batch[0]) ** 2).mean(); self.log("loss", loss); return loss
    def configure_optimizers(self): return torch.optim.SGD(self.parameters(), lr=0.1)
data = DataLoader(TensorDataset(torch.ones(8, 1)), batch_size=2)
pl.Trainer(max_epochs=2, accelerator="cpu", logger=False, enable_checkpointing=False,
           enable_progress_bar=False, log_every_n_steps=1, enable_model_summary=False).fit(Line(), data)
"""

TRANSFORMERS = """
import torch
from transformers import Trainer, TrainingArguments
class Line(torch.nn.Module):
    def __init__(self): super().__init__(); self.line = torch.nn.Linear(1, 1)
    def forward(self, x, labels=None): return {"loss": ((self.line(x) - labels) ** 2).mean()}
data = [{"x": torch.ones(1), "labels": torch.ones(1)} for _ in range(8)]
args = TrainingArguments(output_dir="out", max_steps=4, logging_steps=1, report_to=[], use_cpu=True,
                         save_strategy="no", disable_tqdm=True)
Trainer(model=Line(), args=args, train_dataset=data).train()
"""


def test_what_lightning_logs_is_recorded(stage: Stage) -> None:
    needs("torch", "lightning")
    series = runs(stage, LIGHTNING)
    assert len(series["loss"]) >= 8
    assert series["loss"][0] > series["loss"][-1]
    assert series["progress"][-1] == 1.0
    assert ("param", "rate", 0.1) in [
        (note.kind, note.key, note.value) for one in stage.readings for note in one.notes
    ]


def test_what_transformers_logs_is_recorded(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs("torch", "transformers", "accelerate")
    monkeypatch.chdir(tmp_path)
    series = runs(stage, TRANSFORMERS)
    assert len(series["loss"]) == 4
    assert series["progress"][-1] == 1.0
