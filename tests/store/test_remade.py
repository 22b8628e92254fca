"""What is made again, in the tables that lists are read from."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from makeway.store import schema
from makeway.store.database import Database
from makeway.store.decisions import DecisionFilter, list_decisions
from makeway.store.log import Log
from tests.engine.test_remake import TRAINED, Memory

ARTIFACTS = schema.artifact.c


@pytest.fixture
def house() -> Memory:
    """Give a run in which `train` has lost what `ingest` had given."""
    there = Memory()
    there.runs("r", TRAINED)
    there.gives("r.ingest", "d1")
    there.go("r.train")
    there.misses("r.train", "ingest")
    return there


def told(database: Database, house: Memory) -> Database:
    Log(database).append(house.log)
    return database


def states(database: Database) -> dict[str, tuple[str | None, str | None]]:
    rows = database.rows(sa.select(ARTIFACTS.digest, ARTIFACTS.durability, ARTIFACTS.state))
    return {digest: (durability, state) for digest, durability, state in rows}


def texts(database: Database) -> dict[str, str]:
    columns = schema.execution.c
    return {
        str(key): str(text) for key, text in database.rows(sa.select(columns.key, columns.text))
    }


def test_what_is_lost_stands_as_lost_until_it_is_there_again(
    house: Memory, database: Database
) -> None:
    assert states(told(database, house)) == {"d1": ("memory", "lost")}
    before = len(house.log)
    house.gives("r.ingest~2", "d1")
    Log(database).append(house.log[before:])
    assert states(database) == {"d1": ("memory", None)}


def test_something_else_in_its_place_leaves_it_lost_and_is_said_with_who_made_it(
    house: Memory, database: Database
) -> None:
    house.gives("r.ingest~2", "d2")
    assert states(told(database, house)) == {"d1": ("memory", "lost"), "d2": ("memory", None)}
    assert (
        texts(database)["ingest~2"]
        == "ingest~2 made something else than ingest had, which train had read"
    )


def test_why_it_is_made_again_stands_with_it_after_its_end(
    house: Memory, database: Database
) -> None:
    house.gives("r.ingest~2", "d1")
    assert (
        texts(told(database, house))["ingest~2"] == "what ingest gave is gone, and train/1 needs it"
    )


def test_who_needs_it_comes_after_it_and_reads_what_it_gives(
    house: Memory, database: Database
) -> None:
    house.gives("r.ingest~2", "d2")
    told(database, house)
    edges = database.rows(sa.select(schema.execution_edge.c.up, schema.execution_edge.c.down))
    assert ("ingest~2", "train") in {(up, down) for up, down in edges}
    uses = schema.artifact_use.c
    read = database.rows(
        sa.select(uses.digest).where(uses.execution == "r.train", uses.role == "input")
    )
    assert {digest for (digest,) in read} == {"d1", "d2"}


def test_the_ledger_of_decisions_says_for_whom_it_is_made_again_and_what_came_out_otherwise(
    house: Memory, database: Database
) -> None:
    house.gives("r.ingest~2", "d2")
    told(database, house)
    [rerun] = list_decisions(database, DecisionFilter(kind="rerun"))
    assert (rerun.job, rerun.beneficiary) == ("r.ingest~2", "r.train/1")
    [diverged] = list_decisions(database, DecisionFilter(kind="diverge"))
    assert diverged.job == "r.ingest~2"
