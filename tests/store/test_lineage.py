"""Where an artifact comes from is read out of the store, across runs, however it is named."""

from __future__ import annotations

import itertools

import pytest

from makeway.errors import Conflict, InvalidInput, NotFound
from makeway.lineage.graph import downstream, upstream
from makeway.model.record import Note, Output
from makeway.store.database import Database
from makeway.store.lineage import compare, lineage, resolve_artifact
from makeway.store.log import Log
from makeway.store.notes import write_notes
from makeway.store.produced import ARTIFACT, USE, artifact
from tests.store.world import World, output


@pytest.fixture
def lived(database: Database) -> Database:
    """Give a store in which two runs have ended well."""
    world = World()
    world.submit_run()
    world.submit_run()
    world.finish()
    for batch in world.batches:
        Log(database).append(batch)
    return database


def of(step: str) -> str:
    return output(f"out of {step}").digest


def model_of(step: str) -> str:
    return output(f"model of {step}").digest


def chain(database: Database, length: int) -> list[str]:
    """Let each of many steps make an artifact from that of the one before."""
    digests = [f"{n:064x}" for n in range(1, length + 2)]
    with database.transaction():
        for n, (read, gave) in enumerate(itertools.pairwise(digests)):
            for digest in (read, gave):
                made = Output(
                    digest=digest, codec="", size_bytes=1, kind="value", name=f"a{digest[-3:]}"
                )
                database.write(ARTIFACT, [artifact(made, n, None)])
            database.write(
                USE, [(f"j{n:02}", "input", "x", read), (f"j{n:02}", "output", "", gave)]
            )
    return digests


def test_a_model_leads_back_to_the_data_and_forward_to_what_it_serves(lived: Database) -> None:
    found = lineage(lived, model_of("r0001.train1"))
    assert upstream(found, found.root) == [of("r0001.fetch")]
    names = {step.name for step in found.steps}
    assert names == {"fetch", "train1"}
    [train] = [step for step in found.steps if step.name == "train1"]
    assert (train.workflow, train.params["name"], train.metrics["accuracy"]) == ("demo", "x", 0.9)
    assert of("r0001.serve") in downstream(lineage(lived, of("r0001.fetch")), of("r0001.fetch"))


def test_a_selection_has_read_all_its_candidates_the_losers_too(lived: Database) -> None:
    for step in ("train1", "train2", "train3"):
        found = lineage(lived, of(f"r0001.{step}"), up=0)
        assert "r0001.best" in {use.step for use in found.uses}


def test_lineage_goes_on_across_runs_and_jobs(lived: Database) -> None:
    read = Note(kind="input", key="model", at_ms=1, value={"digest": model_of("r0001.train1")})
    gave = Note(kind="artifact", key="report", at_ms=1, value={"digest": "ab" * 32})
    write_notes(lived, [("r0002.serve", read), ("r0002.serve", gave)])
    assert of("r0001.fetch") in upstream(lineage(lived, "report"), "ab" * 32)


def test_an_artifact_is_named_by_name_version_digest_step_or_last(lived: Database) -> None:
    models = [model_of(f"{run}.{step}") for run in ("r0001", "r0002") for step in ("train1",)]
    digest = resolve_artifact(lived, "tagger:1")
    assert digest in {model_of("r0001.fetch"), model_of("r0002.fetch")}
    assert resolve_artifact(lived, "tagger") == resolve_artifact(lived, "tagger:10")
    assert resolve_artifact(lived, models[0]) == models[0]
    assert resolve_artifact(lived, models[0][:60]) == models[0]
    assert resolve_artifact(lived, "r0001.train1") == models[0]
    assert resolve_artifact(lived, "@last").startswith(b"model".hex())


@pytest.mark.parametrize(
    "ref, error, hint",
    [
        ("tager", NotFound, "tagger"),
        ("tagger:11", NotFound, "1 to 10"),
        ("tagger:0", NotFound, "1 to 10"),
        ("6", Conflict, "more"),
        ("", NotFound, "there are"),
    ],
)
def test_what_is_not_there_is_said_with_what_is_near(
    lived: Database, ref: str, error: type[Exception], hint: str
) -> None:
    with pytest.raises(error) as caught:
        resolve_artifact(lived, ref)
    assert hint in getattr(caught.value, "hint", "")


def test_an_empty_store_has_no_last_artifact(database: Database) -> None:
    with pytest.raises(NotFound, match="no artifact yet"):
        lineage(database, "@last")


def test_only_so_many_steps_are_followed_and_that_is_said(database: Database) -> None:
    digests = chain(database, 30)
    whole = lineage(database, digests[-1])
    assert (len(whole.steps), whole.cut) == (20, True)
    near = lineage(database, digests[15], up=2, down=1)
    assert [step.id for step in near.steps] == ["j14", "j13", "j15"]
    assert lineage(database, digests[1], up=0, down=0).cut
    with pytest.raises(InvalidInput, match="up"):
        lineage(database, digests[-1], up=21)


def test_a_circle_ends(database: Database) -> None:
    digests = chain(database, 2)
    with database.transaction():
        database.write(USE, [("j99", "input", "x", digests[-1]), ("j99", "output", "", digests[0])])
    found = lineage(database, digests[0])
    assert {*upstream(found, digests[0])} == {*digests[1:]}
    assert not found.cut


def test_two_runs_differ_in_what_they_read_and_made(lived: Database) -> None:
    found = compare(lived, "r0001", "r0002")
    assert {one.what for one in found.differences} == {"input"}
    assert compare(lived, "r0001", "r0001").same
    models = compare(lived, "r0001.train1", "r0002.train1")
    assert [(one.where, one.what) for one in models.differences] == [("train1", "input")]
