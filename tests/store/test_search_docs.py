"""Every search that docs/search.md shows is read, and finds what it says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from makeway.model.record import Note
from makeway.store.database import Database
from makeway.store.log import Log
from makeway.store.notes import write_notes
from makeway.store.search import find
from makeway.wire.search import SearchWanted
from tests.store.conftest import NewStore
from tests.store.world import World, bad_exit, good_exit

PAGE = (Path(__file__).parents[2] / "docs" / "search.md").read_text("utf-8")
TABLE = PAGE.partition("| a search | finds | of the two |")[2].partition("\n\n")[0]
EXAMPLES = re.findall(r"^\| (`+)(.+?)\1 \| .* \| (.*?) \|$", TABLE, re.MULTILINE)


@pytest.fixture(scope="module")
def lived(new_folder: NewStore) -> Iterator[Database]:
    """Give a store with a run, one of whose steps failed once, and a job on its own."""
    world = World()
    world.submit_run()
    world.ready("r0001.fetch")
    world.end("r0001.fetch")
    world.ready("r0001.train1")
    world.end("r0001.train1", bad_exit(world.now_ms))
    world.finish()
    world.pass_time(600_000)
    world.finish()
    job = world.submit_job()
    world.ready(job)
    world.end(job, good_exit(world.now_ms, job, accuracy=0.6))
    fast = Note(kind="param", key="fast", at_ms=1, value=True)
    with new_folder() as folder, Database.open(folder) as database:
        for batch in world.batches:
            Log(database).append(batch)
        write_notes(database, [("r0001.train1", fast)])
        yield database


@pytest.mark.parametrize("text, told", [(text, told) for _, text, told in EXAMPLES])
def test_an_example_finds_what_it_says(lived: Database, text: str, told: str) -> None:
    found = find(lived, SearchWanted(query=text, order_by=("submitted",)))
    assert (", ".join(f"`{item.name}`" for item in found.items) or "none") == told


def test_there_is_an_example_of_every_operator() -> None:
    shown = " ".join(text for _, text, _ in EXAMPLES)
    for sign in ("=", "!=", "<", "<=", ">", ">=", "LIKE", "ILIKE", "IN", "NOT IN", "IS NULL"):
        assert f" {sign} " in f"{shown} ", sign
    for word in ("IS NOT NULL", "AND", "OR", "NOT (", "NOT name", ".max", "`layers`", '"layers"'):
        assert word.replace("NOT (", "(") in shown, word
