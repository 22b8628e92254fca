"""Search 10,000 runs by a metric, a parameter and both, here and in MLflow's own SQLite store.

Each run has ten metrics, five parameters, two tags and one step. A search gives a page of 100, the
newest first, and here also the count of all that fulfil it, which MLflow does not. Processor time is
told, since the machine may be shared. The budget is for the search by a metric that half of the runs
fulfil.

MLflow comes from an environment of its own, named by MLFLOW_PYTHON, since it is no dependency; where
there is none, its lines are left out.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.rows import Row, repeat
from makeway.codec import encode
from makeway.lineage.query import parse
from makeway.model.workflow import Workflow
from makeway.store import schema
from makeway.store.database import Database
from makeway.store.finals import REPORTED, reported
from makeway.store.produced import PARAM, TAG, typed
from makeway.store.search import search
from makeway.store.statement import insert

RUNS, REPEATS = 10_000, 9
BUDGET_MS = 30
SEARCHES = {
    "by a metric": "metrics.m3 > 0.5",
    "by a parameter": "params.p1 = '1'",
    "by both": "metrics.m3 > 0.9 AND params.p1 = '1'",
}
OWN_ALONE = {
    "by a metric's least value": "metrics.m3.min > 0.5",
    "by one OR the other": "metrics.m3 > 0.9 OR NOT params.p1 = 1",
}
RUN = insert(
    schema.run,
    *("id", "workflow", "user", "queue", "phase", "text", "params", "definition"),
    "submitted_at_ms",
)
STEP = insert(schema.execution, "id", "run", "key", "position", "phase", "text")


def rows() -> Iterator[Row]:
    """Measure each search, here and there."""
    with tempfile.TemporaryDirectory() as folder, Database.open(Path(folder)) as database:
        fill(database)
        for name, text in (SEARCHES | OWN_ALONE).items():

            def once(text: str = text) -> float:
                began = time.process_time()
                found = search(database, parse(text), "runs", text=text)
                assert found.total > 100
                return (time.process_time() - began) * 1000

            once()
            budget = f"<= {BUDGET_MS}" if name == "by a metric" else ""
            yield Row(f"search 10,000 runs {name}", "ms", repeat(REPEATS, once), budget)
    yield from _mlflow()


def fill(database: Database, runs: int = RUNS) -> None:
    """Put runs into a store, as their events would."""
    chance = random.Random(1)
    definition = encode(Workflow(name="w", file="w.py", steps=())).decode()
    with database.transaction(durable=False):
        for n in range(runs):
            run, step = f"r{n:06}", f"r{n:06}.train"
            row = (run, "w", "ada", "lab", "succeeded", "", "{}", definition, n)
            database.write(RUN, [row])
            database.write(STEP, [(step, run, "train", 0, "succeeded", "")])
            metrics = {f"m{k}": chance.random() for k in range(10)}
            database.write(REPORTED, reported(step, metrics))
            params = [(step, f"p{k}", *typed(str(n % (k + 2)))) for k in range(5)]
            database.write(PARAM, params)
            database.write(TAG, [(step, f"t{k}", str(n % 3)) for k in range(2)])


THERE = """
import json, random, sys, time
from mlflow.entities import Metric, Param, RunTag
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
folder, runs, repeats, searches = json.loads(sys.argv[1])
store = SqlAlchemyStore(f"sqlite:///{folder}/mlflow.db", folder)
chance = random.Random(1)
from mlflow.store.tracking.dbmodels import models as m
import uuid
with store.ManagedSessionMaker() as session:
    for n in range(runs):
        run = uuid.uuid4().hex
        session.execute(m.SqlRun.__table__.insert(), dict(run_uuid=run, name=f"r{n}",
            source_type="LOCAL", source_name="", entry_point_name="", user_id="ada", status="FINISHED",
            start_time=n, end_time=n, source_version="", lifecycle_stage="active",
            artifact_uri="", experiment_id=0))
        values = [chance.random() for k in range(10)]
        session.execute(m.SqlMetric.__table__.insert(), [dict(key=f"m{k}", value=v, timestamp=n,
            step=0, is_nan=False, run_uuid=run) for k, v in enumerate(values)])
        session.execute(m.SqlLatestMetric.__table__.insert(), [dict(key=f"m{k}", value=v,
            timestamp=n, step=0, is_nan=False, run_uuid=run) for k, v in enumerate(values)])
        session.execute(m.SqlParam.__table__.insert(), [dict(key=f"p{k}", value=str(n % (k + 2)),
            run_uuid=run) for k in range(5)])
        session.execute(m.SqlTag.__table__.insert(), [dict(key=f"t{k}", value=str(n % 3),
            run_uuid=run) for k in range(2)])
from mlflow.entities import ViewType
found = {}
for name, text in searches.items():
    took = []
    for _ in range(repeats + 1):
        began = time.process_time()
        page = store.search_runs(["0"], text, ViewType.ACTIVE_ONLY, max_results=100)
        assert len(page) == 100
        took.append((time.process_time() - began) * 1000)
    found[name] = took[1:]
print(json.dumps(found))
"""


def _mlflow() -> Iterator[Row]:
    python = os.environ.get("MLFLOW_PYTHON")
    if not python:
        print("MLflow is left out: MLFLOW_PYTHON names no interpreter that has it")
        return
    with tempfile.TemporaryDirectory() as folder:
        asked = json.dumps([folder, RUNS, REPEATS, SEARCHES])
        done = subprocess.run(
            [python, "-c", THERE, asked], capture_output=True, text=True, check=False
        )
    if done.returncode != 0:
        print(f"MLflow is left out: {done.stderr.strip().splitlines()[-1:]}")
        return
    for name, took in json.loads(done.stdout.splitlines()[-1]).items():
        yield Row(f"the same search {name} in MLflow's SQLite store", "ms", took)
