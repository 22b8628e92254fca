"""A real training of real processes, as often as is asked: one import of PyTorch for all of them.

    python -m tests.training.crew '{"schedule": [[3, 5], [2, 9]], …}'

Each row of the schedule is a generation: so many workers, until so many steps in total. Between two of
them all end and others begin from what was saved. Writes the weights, and which samples were taken.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # wrapping a model imports it: once here instead of once a worker

import makeway.torch as mwt
from makeway.training.state import plain

ITEMS = 203
EPOCHS = 3


class Noted:
    """A regression whose items are written down when they are taken."""

    def __init__(self, folder: Path) -> None:
        generator = torch.Generator().manual_seed(1)
        self.x = torch.randn(ITEMS, 8, generator=generator)
        self.y = self.x @ torch.randn(8, 1, generator=generator)
        self._file = (folder / f"taken-{os.getpid()}").open("a")

    def __len__(self) -> int:
        return ITEMS

    def __getitem__(self, place: int) -> tuple[torch.Tensor, torch.Tensor]:
        self._file.write(f"{place}\n")
        self._file.flush()
        return self.x[place], self.y[place]


def train(asked: dict[str, Any], steps: int, folder: Path) -> None:
    """Be one worker of one generation."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    run = mwt.init(deadline_s=30)
    net = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))
    model = run.ddp(net)
    opt = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    data = run.loader(
        Noted(folder), global_batch=asked.get("batch"), per_worker=asked.get("per_worker"),
        max_per_worker=asked.get("at_once", 64),
    )  # fmt: skip
    sched = run.lr(opt, rule=asked.get("rule", "fixed"), base_batch=asked.get("base", 32))
    state = run.state(model=model, opt=opt, sched=sched, data=data)
    state.load()
    for (x, y), n in data.until(epochs=EPOCHS, steps=steps):
        with run.step(n):
            opt.zero_grad()
            (((model(x) - y) ** 2).sum() * run.weight).backward()
            opt.step()
    state.save()
    if run.rank == 0:
        loss = ((plain(model)(data._dataset.x) - data._dataset.y) ** 2).mean().item()
        weights = torch.cat([one.flatten() for one in plain(model).parameters()]).tolist()
        told = {
            "weights": weights, "loss": loss, "steps": data.steps, "samples": data.samples,
            "rate": opt.param_groups[0]["lr"], "factor": sched.factor,
        }  # fmt: skip
        (folder / "told.json").write_text(json.dumps(told))


def generation(asked: dict[str, Any], workers: int, steps: int, folder: Path) -> None:
    """Fork the workers of one generation and wait for them."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    pids = []
    for rank in range(workers):
        pid = os.fork()
        if pid == 0:
            os.environ.update(
                RANK=str(rank), WORLD_SIZE=str(workers), MASTER_ADDR="127.0.0.1",
                MASTER_PORT=str(port), MAKEWAY_CHECKPOINT=str(folder / "checkpoint"),
            )  # fmt: skip
            code = 1
            try:
                train(asked, steps, folder)
                code = 0
            finally:
                sys.stderr.flush()
                os._exit(code)
        pids.append(pid)
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    assert codes == [0] * workers, codes


def main() -> None:
    """Run every training that is asked for."""
    told = []
    for asked in json.loads(sys.argv[1]):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for workers, steps in asked["schedule"]:
                generation(asked, workers, steps, folder)
            found = json.loads((folder / "told.json").read_text())
            found["taken"] = sorted(
                int(line) for file in folder.glob("taken-*") for line in file.read_text().split()
            )
            told.append(found)
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
