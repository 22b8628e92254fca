"""A worker sees the GPUs that are its own, also after a restart. (No GPU is needed for that.)"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from makeway.executor.equipment import Site
from tests.conformance.stage import Stage, script

SEEN = "echo [${CUDA_VISIBLE_DEVICES-not set}]"
WAITS = f"{SEEN}; while [ ! -e $MAKEWAY_CHECKPOINT ]; do sleep 0.02; done"


@pytest.fixture
def stage(store_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    made = Stage(store_dir, Site(gpus={"n1": 4, "n2": 2}))
    yield made
    made.close()


def begin(stage: Stage, job: str, workers: dict[str, int], gpu_milli: int) -> None:
    stage.launch(script(WAITS), job=job, workers=workers, asked={"gpu_milli": gpu_milli})
    for rank in range(sum(workers.values())):
        stage.ready(rank, job=job)
    stage.release(job=job)
    for rank in range(sum(workers.values())):
        stage.started(rank, job=job)


def seen(stage: Stage, job: str, rank: int = 0) -> str:
    stage.until_true(lambda: bool(stage.log(rank, job=job)))
    return stage.log(rank, job=job).strip()


def test_each_worker_sees_its_own_and_no_others(stage: Stage) -> None:
    begin(stage, "a", {"n1": 2, "n2": 1}, 1000)
    assert [seen(stage, "a", rank) for rank in range(3)] == ["[0]", "[1]", "[0]"]
    begin(stage, "b", {"n1": 1}, 2000)
    assert seen(stage, "b") == "[2,3]"
    begin(stage, "c", {"n2": 2}, 500)
    assert [seen(stage, "c", rank) for rank in range(2)] == ["[1]", "[1]"]


def test_who_asked_for_none_sees_none_where_there_are_any(stage: Stage) -> None:
    begin(stage, "a", {"n1": 1}, 0)
    assert seen(stage, "a") == "[]"
    begin(stage, "b", {"no gpus here": 1}, 0)
    assert seen(stage, "b") == "[not set]"


def test_what_is_given_out_stays_so_over_a_restart_whoever_is_repeated_first(stage: Stage) -> None:
    begin(stage, "a", {"n2": 1}, 1000)
    assert seen(stage, "a") == "[0]"
    stage.restart()
    stage.launch(script(WAITS), job="fresh", workers={"n2": 1}, asked={"gpu_milli": 1000})
    stage.launch(script(WAITS), job="a", workers={"n2": 1}, asked={"gpu_milli": 1000})
    stage.ready(job="fresh")
    stage.release(job="fresh")
    assert seen(stage, "fresh") == "[1]"


def test_what_a_worker_had_is_given_out_again_when_it_has_left(stage: Stage) -> None:
    begin(stage, "a", {"n2": 2}, 1000)
    stage.stop(grace_ms=0, job="a")
    stage.exit(0, job="a")
    stage.exit(1, job="a")
    begin(stage, "b", {"n2": 1}, 1000)
    assert seen(stage, "b") == "[0]"
