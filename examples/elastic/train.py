"""Train a small network on any number of workers; the result is the same for all of them.

    makeway submit --name elastic --min 1 --max 3 --cpus 1 --memory 1GiB -- python train.py

It starts with the workers that fit, takes more when other jobs end, and gives some up when a more
urgent job comes. What happened is in `makeway logs` and `makeway events`.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import torch
from torch.utils.data import TensorDataset

import makeway.torch as mwt

POINTS = 3_000


def two_spirals() -> TensorDataset:
    """Give points on two spirals that wind around each other, and on which of the two each lies."""
    generator = torch.Generator().manual_seed(7)
    along = torch.rand(POINTS, generator=generator) * 2 * math.pi
    which = torch.randint(0, 2, (POINTS,), generator=generator)
    angle = along + which * math.pi
    points = torch.stack([along * angle.cos(), along * angle.sin()], dim=1) / 3
    noise = torch.randn(points.shape, generator=generator) * 0.05
    return TensorDataset(points + noise, which.float())


def main() -> None:
    """Train for some epochs, and write what came out."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--epochs", type=int, default=20)
    arguments.add_argument("--rule", default="fixed", help="fixed, linear, sqrt or adascale")
    arguments.add_argument("--slow-ms", type=int, default=0, help="make each step take longer")
    arguments.add_argument("--out", type=Path, default=Path("result.json"))
    asked = arguments.parse_args()

    torch.manual_seed(0)
    run = mwt.init()
    net = torch.nn.Sequential(
        torch.nn.Linear(2, 64), torch.nn.Tanh(), torch.nn.Linear(64, 64), torch.nn.Tanh(),
        torch.nn.Linear(64, 1),
    )  # fmt: skip
    model = run.ddp(net)
    opt = torch.optim.Adam(model.parameters(), lr=0.01)
    spirals = two_spirals()
    if asked.rule == "fixed":  # the batch stays what it is: each worker takes its part of it
        data = run.loader(spirals, global_batch=64)
    else:  # each worker brings its own 64: the batch grows with them, and the rate follows
        data = run.loader(spirals, per_worker=64)
    sched = run.lr(opt, rule=asked.rule, base_batch=64)
    state = run.state(model=model, opt=opt, sched=sched, data=data)
    begun = "goes on" if state.load() else "begins"
    print(f"worker {run.rank} of {run.workers} {begun} at step {data.steps}", flush=True)

    loss_sum = torch.nn.BCEWithLogitsLoss(reduction="sum")
    for (points, which), n in data.until(epochs=asked.epochs):
        with run.step(n):
            opt.zero_grad()
            (loss_sum(model(points).squeeze(1), which) * run.weight).backward()
            opt.step()
            time.sleep(asked.slow_ms / 1000)
        if data.every(steps=200):
            state.save()

    if run.rank == 0:
        with torch.no_grad():
            points, which = spirals.tensors
            right = ((net(points).squeeze(1) > 0) == which.bool()).float().mean().item()
        weights = torch.cat([one.detach().flatten() for one in net.parameters()]).tolist()
        asked.out.write_text(
            json.dumps({"accuracy": right, "steps": data.steps, "samples": data.samples,
                        "weights": weights})
        )  # fmt: skip
        print(f"{data.steps} steps, {data.samples} samples: {right:.1%} right", flush=True)


if __name__ == "__main__":
    main()
