"""What earlier runs have left behind: found by its key, and only if it is whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from makeway.errors import NotFound
from makeway.model import event as ev
from makeway.model.phase import ExecutionPhase as E
from makeway.model.record import Output
from makeway.model.workflow import Step, Workflow
from makeway.store.blobs import Blobs
from makeway.store.database import Database
from makeway.store.earlier import (
    EarlierOutputs,
    code_of,
    definition_of,
    entries_of,
    others_computing,
    step_of,
    steps_of,
)
from makeway.store.log import Log
from tests.store.world import DAWN_MS

CODE = {"c1": {"flow.py:a": "1"}}
FLOW = Workflow(name="w", file="flow.py", steps=(Step(key="a"), Step(key="b")), code=CODE)
PARTS = {"code": "c1", "value n": "1"}


class Runs:
    """Runs that are written into a log as a test wants them to have been."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database, self.blobs = database, Blobs(folder)
        self._log = Log(database)

    def says(self, *events: ev.Event) -> None:
        for event in events:
            seq = self._log.last() + 1
            self._log.append([ev.Entry(seq=seq, at_ms=DAWN_MS + seq, cause=0, event=event)])

    def begins(self, run: str, key: str = "k1") -> None:
        """Let the step `a` of a run be computed."""
        self.says(
            ev.RunSubmitted(run=run, workflow=FLOW, user="ada", queue="lab"),
            ev.ExecutionSubmitted(execution=f"{run}.a", cache_key=key, key_parts=PARTS),
        )

    def ends(self, run: str, output: Output | None = None, phase: E = E.SUCCEEDED) -> None:
        metrics = {"loss": 0.5}
        self.says(
            ev.ExecutionEnded(execution=f"{run}.a", phase=phase, output=output, metrics=metrics)
        )

    def has(self, run: str, data: bytes, key: str = "k1") -> Output:
        """Let `a` have been computed, and have given this."""
        output = Output(digest=self.blobs.put_bytes(data), codec="json", size_bytes=len(data))
        self.begins(run, key)
        self.ends(run, output)
        return output


@pytest.fixture
def runs(database: Database, tmp_path: Path) -> Runs:
    return Runs(database, tmp_path)


@pytest.fixture
def kept(database: Database, tmp_path: Path) -> EarlierOutputs:
    return EarlierOutputs(database, tmp_path)


def test_an_output_is_found_by_its_key(runs: Runs, kept: EarlierOutputs) -> None:
    output = runs.has("r1", b"1")
    found = kept.find("k1", None)
    assert found is not None
    assert (found.output, found.run, found.metrics) == (output, "r1", {"loss": 0.5})
    assert kept.find("k2", None) is None


def test_a_step_that_gave_nothing_is_found_too(runs: Runs, kept: EarlierOutputs) -> None:
    runs.begins("r1")
    assert kept.find("k1", None) is None
    runs.ends("r1")
    assert kept.find("k1", None) is not None


def test_what_did_not_succeed_is_not_found(runs: Runs, kept: EarlierOutputs) -> None:
    for run, phase in (("r1", E.FAILED), ("r2", E.CANCELLED), ("r3", E.CACHED)):
        runs.begins(run)
        runs.ends(run, phase=phase)
    assert kept.find("k1", None) is None


def test_the_newest_that_is_whole_is_found(runs: Runs, kept: EarlierOutputs) -> None:
    runs.has("r1", b"1")
    second = runs.has("r2", b"2")
    found = kept.find("k1", None)
    assert found is not None
    assert found.run == "r2"
    runs.blobs.path(second.digest).unlink()
    found = kept.find("k1", None)
    assert found is not None
    assert found.run == "r1"


def test_what_is_older_than_wanted_is_not_found(runs: Runs, kept: EarlierOutputs) -> None:
    runs.has("r1", b"1")
    [ended] = [
        step.ended_at_ms for step in steps_of(runs.database, "r1").values() if step.cache_key
    ]
    assert ended is not None
    assert kept.find("k1", ended) is not None
    assert kept.find("k1", ended + 1) is None


@pytest.mark.parametrize("damage", [b"2", b"", b"11"], ids=["other bytes", "empty", "longer"])
def test_what_is_not_what_it_was_is_not_found(
    runs: Runs, kept: EarlierOutputs, damage: bytes
) -> None:
    output = runs.has("r1", b"1")
    assert kept.there(output)
    path = runs.blobs.path(output.digest)
    path.unlink()
    path.write_bytes(damage)
    assert not kept.there(output)
    assert kept.find("k1", None) is None


def test_a_step_tells_what_its_key_is_made_of(runs: Runs) -> None:
    runs.has("r1", b"1")
    step = step_of(runs.database, "r1.a")
    assert step.key_parts == PARTS
    assert code_of(definition_of(runs.database, "r1"), step.key_parts) == CODE["c1"]
    assert steps_of(runs.database, "r1")["b"].key_parts == {}
    with pytest.raises(NotFound):
        step_of(runs.database, "r1.c")


def test_a_reused_step_tells_what_its_key_is_made_of(runs: Runs) -> None:
    runs.says(
        ev.RunSubmitted(run="r1", workflow=FLOW, user="ada", queue="lab"),
        ev.ExecutionEnded(execution="r1.a", phase=E.CACHED, cache_key="k", key_parts=PARTS),
    )
    assert step_of(runs.database, "r1.a").key_parts == PARTS


def test_entries_of_a_step_are_those_that_were_computed(runs: Runs) -> None:
    runs.has("r1", b"1", "k1")
    runs.has("r2", b"2", "k2")
    runs.begins("r3")
    assert [one.id for one in entries_of(runs.database, "a")] == ["r2.a", "r1.a"]
    assert others_computing(runs.database, step_of(runs.database, "r1.a")) == ["r3.a"]
