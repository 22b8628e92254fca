"""Ask other recorders the same, in the same run: MLflow's client on SQLite, TensorBoard's writer.

They live in an environment of their own in the user's cache, which is made on first use, with these
very versions. What cannot be installed is named and skipped; makeway itself needs none of them.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.rows import Row

INSTALL_S, RUN_S = 300, 60
MLFLOW = ("mlflow-skinny==3.17.2", "sqlalchemy==2.1.9", "alembic==1.20.1")
TENSORBOARD = ("tensorboard==2.21.0",)

ONE_BY_ONE = """
import logging, tempfile, time
logging.disable(logging.CRITICAL)
from mlflow.entities import Metric
from mlflow.tracking import MlflowClient
with tempfile.TemporaryDirectory() as place:
    client = MlflowClient(f"sqlite:///{place}/mlflow.db")
    run = client.create_run(client.create_experiment("bench")).info.run_id
    began = time.perf_counter()
    for step in range(200):
        client.log_metric(run, "loss", 1 / (step + 1), step=step)
    print(200 / (time.perf_counter() - began))
    now_ms = int(time.time() * 1000)
    began = time.perf_counter()
    for first in range(0, 10_000, 1_000):
        steps = range(first, first + 1_000)
        client.log_batch(run, [Metric("batch", 1 / (n + 1), now_ms, n) for n in steps])
    print(10_000 / (time.perf_counter() - began))
"""
WRITER = """
import tempfile, time
from tensorboard.summary import Writer
with tempfile.TemporaryDirectory() as place:
    writer = Writer(place)
    began = time.perf_counter()
    for step in range(20_000):
        writer.add_scalar("loss", 1 / (step + 1), step)
    writer.close()
    print(20_000 / (time.perf_counter() - began))
"""


def rows() -> Iterator[Row]:
    """Measure each peer that can be had."""
    yield from _measured("MLflow", MLFLOW, ONE_BY_ONE, ("log_metric, SQLite", "log_batch of 1,000"))
    yield from _measured("TensorBoard", TENSORBOARD, WRITER, ("add_scalar, to a file",))


def _measured(name: str, pins: Sequence[str], program: str, what: Sequence[str]) -> Iterator[Row]:
    try:
        python = _installed(pins)
        run = [str(python), "-c", program]
        ran = subprocess.run(run, capture_output=True, text=True, check=True, timeout=RUN_S)
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        print(f"{name} is left out: {said[-1] if said else error!r}", flush=True)
        return
    rates = [float(line) for line in ran.stdout.split()]
    for one, rate in zip(what, rates, strict=True):
        yield Row(f"{name} ({pins[0].partition('==')[2]}), {one}", "values/s", [rate])


def _installed(pins: Sequence[str]) -> Path:
    """Give the interpreter of an environment with these packages; make it if need be."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    mark = hashlib.sha256(" ".join((sys.version, *pins)).encode()).hexdigest()[:12]
    folder = cache / "makeway-bench" / mark
    python, done = folder / "bin" / "python", folder / "installed"
    if not done.exists():
        print(f"installing {pins[0]} to compare with …", flush=True)
        pip = [str(python), "-m", "pip", "--disable-pip-version-check", "-qq", "install", *pins]
        for command in ([sys.executable, "-m", "venv", str(folder)], pip):
            subprocess.run(command, capture_output=True, text=True, check=True, timeout=INSTALL_S)
        done.touch()
    return python
