"""What data sets add and what models cost is reckoned from what is on record."""

from __future__ import annotations

import pytest

from makeway.errors import InvalidInput, NotFound
from makeway.model.record import Note, Output, Sample
from makeway.store import schema
from makeway.store.database import Database
from makeway.store.finals import REPORTED, reported
from makeway.store.log import Log
from makeway.store.notes import write_notes
from makeway.store.produced import ARTIFACT, PARAM, USE, artifact, typed
from makeway.store.series_writer import SeriesWriter
from makeway.store.statement import insert
from makeway.store.worth import datasets, models
from makeway.wire.worth import WorthWanted
from tests.store.world import World, good_exit

JOB = insert(
    schema.job,
    *("id", "name", "user", "queue", "priority", "phase", "text", "attempts"),
    *("submitted_at_ms", "run", "spec"),
)
SILENT = WorthWanted()


def lived(database: Database, *accuracies: float) -> None:
    """Let as many runs end well, whose three trainings come to this accuracy each."""
    world = World()
    for accuracy in accuracies:
        run = world.submit_run()
        while world.state.attempts:
            job = next(iter(world.state.attempts))
            world.ready(job)
            world.pass_time(1_000)
            world.end(job, good_exit(world.now_ms, job, accuracy))
        assert run
    for batch in world.batches:
        Log(database).append(batch)


def test_a_store_without_data_sets_has_none(database: Database) -> None:
    assert datasets(database, SILENT) == ()
    assert models(database, SILENT) == ()


def test_of_each_data_set_it_is_told_who_read_it_and_who_was_chosen(database: Database) -> None:
    lived(database, 0.9, 0.8)
    found = {view.digest: view for view in datasets(database, SILENT) if view.name == "fetch"}
    assert [(view.runs, view.selected) for view in found.values()] == [(1, 2), (1, 2)]
    assert sorted(view.mean or 0 for view in found.values()) == pytest.approx([0.8, 0.9])
    assert {view.metric for view in found.values()} == {"accuracy"}


def test_two_runs_that_differ_in_their_data_are_a_pair_of_siblings_and_too_few(
    database: Database,
) -> None:
    lived(database, 0.9, 0.8)
    fetched = [view for view in datasets(database, SILENT) if view.name == "fetch"]
    assert [(view.lift.n, view.lift.mean, view.rank) for view in fetched] == [(1, None, None)] * 2


def test_a_data_set_that_an_earlier_step_read_counts_for_the_later_ones(database: Database) -> None:
    lived(database, 0.9)
    raw = Note(kind="input", key="towns", at_ms=1, value={"digest": "ab" * 32})
    write_notes(database, [("r0001.fetch", raw)])
    [towns] = [view for view in datasets(database, SILENT) if view.name == "towns"]
    assert (towns.runs, towns.mean) == (1, 0.9)


def test_of_five_pairs_the_lift_is_told_and_ranked(database: Database) -> None:
    # One recipe a step of its own: the same five parameters with either data set.
    with database.transaction(durable=False):
        for recipe in range(5):
            for data, gain in (("a" * 64, 0.1), ("b" * 64, 0.0)):
                tried(database, f"j{recipe}{data[0]}", recipe, data, 0.5 + recipe / 50 + gain)
    first, second = datasets(database, SILENT)
    assert (first.name, first.rank, first.lift.n) == ("a", 1, 5)
    assert first.lift.mean == pytest.approx(0.1)
    assert (second.name, second.rank) == ("b", 2)


def tried(database: Database, job: str, recipe: int, data: str, value: float) -> None:
    made = Output(digest=data, codec="", size_bytes=1, kind="dataset", name=data[0])
    database.write(ARTIFACT, [artifact(made, 1, None)])
    database.write(USE, [(job, "input", "data", data)])
    row = (job, "train", "ada", "lab", 0, "succeeded", "", 1, 1, None, "{}")
    database.write(JOB, [row])
    database.write(PARAM, [(job, "lr", *typed(recipe))])
    database.write(REPORTED, reported(job, {"accuracy": value}))


def test_models_are_compared_by_value_and_by_what_they_cost(database: Database) -> None:
    lived(database, 0.9, 0.8)
    found = models(database, WorthWanted(query="steps.name LIKE 'train%'"))
    assert [view.value for view in found] == [0.9] * 3 + [0.8] * 3
    costs = {(view.made_by or "").partition(".")[2]: view.cost_worker_s or 0 for view in found}
    assert costs["train3"] > 2 * costs["train1"] > 0  # three workers, one worker
    best = [view for view in found if view.pareto]
    assert [view.made_by for view in best] == ["r0001.train1"]
    assert {view.selected for view in found} == {True, False}


def test_less_may_be_better(database: Database) -> None:
    lived(database, 0.9, 0.8)
    found = models(database, WorthWanted(metric="accuracy", mode="min"))
    assert found[0].value == 0.8


def test_what_serves_a_model_may_have_said_how_long_it_takes(database: Database) -> None:
    lived(database, 0.9)
    [view] = models(database, WorthWanted(query="steps.name = 'train1'"))
    assert view.latency is None
    served = Note(kind="input", key="model", at_ms=1, value={"digest": view.digest})
    write_notes(database, [("r0001.serve", served)])
    writer = SeriesWriter(database)
    writer.add("r0001.serve", 1, 0, [Sample(name="latency_ms", at_ms=1, value=7.5)])
    writer.flush()
    [view] = models(database, WorthWanted(query="steps.name = 'train1'"))
    assert view.latency == 7.5


@pytest.mark.parametrize(
    "wanted, error, word",
    [
        (WorthWanted(metric="acuracy"), NotFound, "acuracy"),
        (WorthWanted(mode="most"), InvalidInput, "mode"),
    ],
)
def test_what_is_wrong_is_said(
    database: Database, wanted: WorthWanted, error: type[Exception], word: str
) -> None:
    lived(database, 0.9)
    with pytest.raises(error, match=word):
        datasets(database, wanted)
