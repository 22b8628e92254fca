"""One of three workers becomes ten times slower as it runs: it is named and replaced (M7)."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import median
from typing import Any

from makeway.store.database import Database
from makeway.store.series import list_series, read_series
from tests.acceptance.cluster import AT_ONCE, cluster

TRAINS = """
import json, os, sys, time
from pathlib import Path
import torch
import makeway.torch as mwt
from torch.utils.data import TensorDataset
here = Path(sys.argv[1])
torch.set_num_threads(1)
torch.manual_seed(0)
run = mwt.init()
x = torch.randn(90_000, 4, generator=torch.Generator().manual_seed(1))
model = run.ddp(torch.nn.Linear(4, 1))
opt = torch.optim.SGD(model.parameters(), lr=0.01)
data = run.loader(TensorDataset(x, x.sum(1, keepdim=True)), global_batch=30)
state = run.state(model=model, opt=opt, data=data)
state.load()
(here / f"began-{os.environ['MAKEWAY_ATTEMPT']}-{run.rank}").write_text(str(data.steps))
first = os.environ["MAKEWAY_ATTEMPT"] == "1"
for (a, b), n in data.until(steps=100_000):
    ill = run.rank == 1 and first and (here / "ill").exists()
    if ill and not (here / "onset").exists():
        (here / "onset").write_text(str(data.steps))
    with run.step(n):
        opt.zero_grad()
        time.sleep(1.5 if ill else 0.03)
        (((model(a) - b) ** 2).sum() * run.weight).backward()
        opt.step()
    if run.rank == 0 and (here / "enough").exists() and data.steps > int((here / "enough").read_text()):
        (here / "done").touch()
    if data.steps % 10 == 0 and (here / "done").exists():
        break
    if data.every(steps=20):
        state.save()
"""


def step_ms(store: Path, job: str, attempt: int) -> list[float]:
    """Give how long rank 0's steps took, in order."""
    with Database.open(store, read_only=True) as database:
        [series] = [
            one
            for one in list_series(database, job)
            if (one.number, one.rank, one.name) == (attempt, 0, "step_ms")
        ]
        return [one.value for one in read_series(database, series.id, max_points=5_000)]


def test_m7_the_slow_worker_is_named_and_replaced_and_the_pace_is_back(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(TRAINS, "utf-8")
    with cluster(tmp_path, '[[nodes]]\nname = "n"\ncpus = 3\n' + AT_ONCE) as here:
        program = (sys.executable, "train.py", str(tmp_path))
        job = here.brings("gang", "--min", "3", "--max", "3", program=program)
        here.until((tmp_path / "began-1-1").exists, "the first attempt")
        store = tmp_path / ".makeway"
        here.until(lambda: len(_steps_so_far(store, job)) > 60, "sixty steps")
        (tmp_path / "ill").touch()
        here.until(lambda: any(map(replaces, here.facts("AttemptJudged", "gang"))), "replaced")
        judged = next(filter(replaces, here.facts("AttemptJudged", "gang")))
        assert judged["symptom"]["name"] == "slow", judged
        assert judged["symptom"]["ranks"] == [1]
        here.until((tmp_path / "began-2-1").exists, "the second attempt")
        onset = int((tmp_path / "onset").read_text())
        again = int((tmp_path / "began-2-1").read_text())
        assert 0 < again - onset <= 40, "steps from the onset to the replacement"
        ended = here.waits_for("AttemptEnded", "gang")
        assert ended["diagnosis"]["cause"] == "PREEMPTED", "nobody is charged for it"
        (tmp_path / "enough").write_text(str(again + 60))
        finished: dict[str, Any] = here.waits_for("JobFinished", "gang")
        assert finished["phase"] == "succeeded"
        before = median(step_ms(store, job, 1)[:60])
        after = median(step_ms(store, job, 2))
        # It was fifty times slower; what a busy machine does to a step is far less than twice.
        assert after < 2 * before, json.dumps([before, after])


def replaces(judged: dict[str, Any]) -> bool:
    """Say whether more was decided than to watch it."""
    return (judged["decision"] or {}).get("action") == "replace_worker"


def _steps_so_far(store: Path, job: str) -> list[float]:
    try:
        return step_ms(store, job, 1)
    except ValueError:  # nothing has been recorded yet
        return []
