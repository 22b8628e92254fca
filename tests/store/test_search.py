"""A search finds what fulfils it, as asking each thing in turn would; and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from makeway.errors import InvalidInput
from makeway.lineage.query import Query, parse
from makeway.model.record import Note, Output, Sample
from makeway.store import schema
from makeway.store.database import Database
from makeway.store.finals import REPORTED, reported
from makeway.store.log import Log
from makeway.store.notes import write_notes
from makeway.store.produced import ARTIFACT, PARAM, TAG, USE, artifact, typed
from makeway.store.search import find, search
from makeway.store.series_writer import SeriesWriter
from makeway.store.statement import insert
from makeway.wire.search import Found, SearchWanted
from tests.store.plain_search import PlainRun, PlainStep, holds
from tests.store.world import World, bad_exit

RUN = insert(
    schema.run,
    *("id", "workflow", "user", "queue", "phase", "text", "params", "definition"),
    "submitted_at_ms",
)
STEP = insert(schema.execution, "id", "run", "key", "position", "phase", "text")
JOB = insert(
    schema.job,
    *("id", "name", "user", "queue", "priority", "phase", "text", "attempts"),
    *("submitted_at_ms", "run", "spec"),
)
ATTEMPT = insert(
    schema.attempt,
    *("job", "number", "fence", "phase", "cause", "placements", "started_at_ms"),
)


def stored(database: Database, runs: Sequence[PlainRun]) -> None:
    """Write runs into the tables, in place of whatever is there."""
    with database.transaction(durable=False):
        for table in reversed(schema.metadata.sorted_tables):
            database.write(sa.delete(table), [()])
        for run in runs:
            row = (run.id, run.workflow, "ada", "lab", "running", "", "{}", "{}", run.at_ms)
            database.write(RUN, [row])
            given = [(run.id, key, *typed(value)) for key, value in run.params.items()]
            database.write(PARAM, given)
            for position, step in enumerate(run.steps):
                stored_step(database, run, step, position)


def stored_step(database: Database, run: PlainRun, step: PlainStep, position: int) -> None:
    name = f"{run.id}.{step.key}"
    database.write(STEP, [(name, run.id, step.key, position, step.phase, "")])
    tries = len(step.causes)
    job = (name, step.key, "ada", "lab", 0, "failed", "", tries, run.at_ms, run.id, "{}")
    database.write(JOB, [job])
    for number, cause in enumerate(step.causes, 1):
        database.write(ATTEMPT, [(name, number, number, "ended", cause, "[]", 0)])
    database.write(PARAM, [(name, key, *typed(value)) for key, value in step.params.items()])
    database.write(TAG, [(name, key, value) for key, value in step.tags.items()])
    known = {key: float("nan") if v is None else v for key, v in step.metrics.items()}
    database.write(REPORTED, reported(name, known))
    for content in step.inputs:
        output = Output(digest=content, codec="", size_bytes=1, kind="dataset", name=content)
        database.write(ARTIFACT, [artifact(output, 1, None)])
        database.write(USE, [(name, "input", "data", content)])


# ── whatever is asked of whatever there is ────────────────────────────────────────────────────────

WORDS = st.sampled_from(["a", "B", "ab", "a_", "%", "*", "[a", "1", "0.5", "", "ä", "\\"])
NUMBERS = st.sampled_from([-1.0, 0.0, 0.5, 1.0, 2.0])
VALUES = st.one_of(WORDS, NUMBERS, st.booleans(), st.integers(-1, 2))
NAMES = st.sampled_from(["x", "y"])
KEYS = ("train", "test")
CAUSES = ("OOM_HOST", "CONNECTION")
STEPS = st.builds(
    PlainStep,
    key=st.just(""),
    phase=st.sampled_from(["failed", "succeeded"]),
    params=st.dictionaries(NAMES, VALUES, max_size=2),
    tags=st.dictionaries(NAMES, WORDS, max_size=2),
    metrics=st.dictionaries(NAMES, st.none() | NUMBERS, max_size=2),
    causes=st.lists(st.sampled_from(CAUSES), max_size=2),
    inputs=st.lists(WORDS.filter(bool), max_size=2, unique=True),
)


@st.composite
def worlds(draw: st.DrawFn) -> list[PlainRun]:
    runs = []
    for number in range(draw(st.integers(0, 4))):
        steps = draw(st.lists(STEPS, max_size=2))
        for key, step in zip(KEYS, steps, strict=False):
            step.key = key
        workflow = draw(WORDS)
        params = dict[str, object](draw(st.dictionaries(NAMES, VALUES, max_size=1)))
        runs.append(PlainRun(f"r{number}", workflow, draw(st.integers(0, 2)), params, steps))
    return runs


# Every name was recorded once, or else asking for it would be a mistake.
NAMED = PlainRun(
    "r9",
    "w",
    0,
    {},
    [
        PlainStep(
            *("train", "succeeded"),
            params={"x": 7, "y": 7},
            tags={"x": "7", "y": "7"},
            metrics={"x": 7.0, "y": 7.0},
        )
    ],
)


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def written(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return quoted(value) if isinstance(value, str) else repr(value)


NUMERIC = st.tuples(st.sampled_from(["=", "!=", "<", "<=", ">", ">="]), NUMBERS.map(written))
TEXTUAL = st.tuples(
    st.sampled_from(["=", "!=", "<", ">=", "LIKE", "ILIKE", "NOT LIKE"]), WORDS.map(written)
)
ANY = st.tuples(st.sampled_from(["=", "!="]), VALUES.map(written))
AMONG = st.lists(VALUES.map(written), min_size=1, max_size=2).map(", ".join)
AMONG_WORDS = st.lists(WORDS.map(written), min_size=1, max_size=2).map(", ".join)
EITHER = st.sampled_from(["IN", "NOT IN"])


def among(values: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str, str]]:
    return st.tuples(EITHER, values.map("({})".format))


NULL = st.sampled_from([("IS", "NULL"), ("IS NOT", "NULL")])
TEXT = TEXTUAL | NULL | among(AMONG_WORDS)
ONE = st.one_of(
    st.tuples(st.sampled_from(["metrics.x", "metrics.y"]), NUMERIC | NULL),
    st.tuples(st.sampled_from(["params.x", "params.y"]), NUMERIC | TEXT | ANY | among(AMONG)),
    st.tuples(st.sampled_from(["tags.x", "tags.y"]), TEXT),
    st.tuples(st.just("name"), TEXT),
    st.tuples(st.just("submitted"), NUMERIC),
    st.tuples(st.just("datasets.name"), TEXT),
    st.tuples(
        st.just("steps.name"), st.sampled_from(KEYS).map(lambda key: ("=", quoted(key))) | NULL
    ),
    st.tuples(st.just("steps.state"), st.just(("=", "'failed'"))),
    st.tuples(
        st.just("failure.cause"),
        st.tuples(st.sampled_from(["=", "!="]), st.sampled_from(CAUSES).map(quoted)) | NULL,
    ),
).map(lambda one: f"{one[0]} {one[1][0]} {one[1][1]}")
QUERIES = st.recursive(
    ONE,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda two: f"({two[0]} AND {two[1]})"),
        st.tuples(inner, inner).map(lambda two: f"({two[0]} OR {two[1]})"),
        inner.map(lambda one: f"NOT ({one})"),
    ),
    max_leaves=4,
)


def agrees(database: Database, runs: Sequence[PlainRun], text: str) -> None:
    query: Query | None = parse(text)
    whole = {run.id for run in runs if holds(query, run, run.steps, whole=True)}
    single = {
        f"{run.id}.{step.key}"
        for run in runs
        for step in run.steps
        if holds(query, run, [step], whole=False)
    }
    for kind, wanted in (("runs", whole), ("steps", single)):
        found = search(database, query, kind, text=text)
        assert {item.id for item in found.items} == wanted, (kind, text)
        assert found.total == len(wanted)


@given(others=worlds(), text=QUERIES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_search_finds_what_asking_each_in_turn_finds(
    database: Database, others: list[PlainRun], text: str
) -> None:
    runs = [*others, NAMED]
    stored(database, runs)
    agrees(database, runs, text)


# ── orders and pages ──────────────────────────────────────────────────────────────────────────────


def numbered(*accuracies: float | None) -> list[PlainRun]:
    """Give runs whose one step has this accuracy, all submitted at once."""
    return [
        PlainRun(f"r{n}", "w", 5, {}, [PlainStep("train", "succeeded", metrics={"x": accuracy})])
        for n, accuracy in enumerate(accuracies)
    ]


@pytest.mark.parametrize(
    "order, ids",
    [
        ((), ["r4", "r3", "r2", "r1", "r0"]),
        (("metrics.x ASC",), ["r2", "r3", "r0", "r4", "r1"]),
        (("metrics.x desc", "id asc"), ["r0", "r3", "r2", "r1", "r4"]),
        (("submitted", "id"), ["r0", "r1", "r2", "r3", "r4"]),
    ],
)
@pytest.mark.parametrize("limit", [1, 2, 5])
def test_pages_together_are_the_whole_in_order_with_what_has_no_value_last(
    database: Database, order: tuple[str, ...], ids: list[str], limit: int
) -> None:
    stored(database, numbered(3.0, None, 1.0, 2.0, None))
    seen, cursor = list[str](), None
    for _ in count():
        found = search(database, None, "runs", order_by=order, limit=limit, cursor=cursor)
        seen += [item.id for item in found.items]
        assert found.total == 5
        cursor = found.next_cursor
        if cursor is None:
            break
    assert seen == ids


def test_a_page_goes_on_where_it_ended_whatever_has_come_since(database: Database) -> None:
    stored(database, numbered(1.0, 2.0))
    first = search(database, None, "runs", limit=1)
    with database.transaction():
        database.write(RUN, [("r9", "w", "ada", "lab", "running", "", "{}", "{}", 9)])
    second = search(database, None, "runs", limit=1, cursor=first.next_cursor)
    assert [item.id for item in (*first.items, *second.items)] == ["r1", "r0"]


def test_a_cursor_of_another_search_is_refused(database: Database) -> None:
    stored(database, numbered(1.0, 2.0))
    cursor = search(database, None, "runs", limit=1).next_cursor
    for wrong in ("x", "é", "W10", cursor):
        with pytest.raises(InvalidInput, match="cursor"):
            search(database, None, "steps", limit=1, cursor=wrong)


# ── what the engine's own events leave behind ─────────────────────────────────────────────────────


@pytest.fixture
def lived(database: Database) -> Database:
    """Give a store in which a run and a job ended well, and another job in vain."""
    world = World()
    world.submit_run()
    world.submit_job()
    world.finish()
    job = world.submit_job()
    while job in world.state.attempts:
        world.ready(job)
        world.end(job, bad_exit(world.now_ms, "ValueError"))
    log = Log(database)
    for batch in world.batches:
        log.append(batch)
    return database


def sought(database: Database, text: str, kind: str = "runs", *columns: str) -> Found:
    return find(database, SearchWanted(query=text, kind=kind, columns=columns))


def names(found: Found) -> list[str]:
    return sorted(item.name for item in found.items)


def test_runs_are_those_of_workflows_and_jobs_brought_on_their_own(lived: Database) -> None:
    assert names(sought(lived, "")) == ["by-hand", "by-hand", "demo"]
    assert names(sought(lived, "", "steps")) == [
        *("best", "by-hand", "by-hand", "fetch", "serve", "train1", "train2", "train3"),
    ]


def test_a_run_tells_what_its_steps_recorded_and_what_it_was_given(lived: Database) -> None:
    [run] = sought(lived, "name = 'demo' AND metrics.accuracy >= 0.9").items
    assert (run.state, run.user, run.queue) == ("succeeded", "ada", "lab/vision")
    assert run.metrics["accuracy"] == 0.9
    assert run.params == {"layers": 4, "rate": 0.1, "name": "x"}


def test_a_failure_is_found_by_its_cause_also_of_a_job_alone(lived: Database) -> None:
    [job] = sought(lived, "failure.cause = 'UNKNOWN' AND steps.name LIKE 'by%'").items
    assert job.cause == "UNKNOWN"
    assert sought(lived, "failure.cause IS NULL").total == 2


def test_models_are_found_by_their_own_metrics_and_by_what_made_them(lived: Database) -> None:
    found = sought(lived, "metrics.accuracy > 0.8 AND steps.name = 'train1'", "models")
    assert [(item.name, item.made_by) for item in found.items] == [("tagger", "r0001.train1")]
    assert [data.name for data in found.items[0].datasets] == ["data"]


def test_what_models_are_made_from_is_a_data_set(lived: Database) -> None:
    assert "fetch" in names(sought(lived, "", "datasets"))
    assert names(sought(lived, "datasets.name = 'data'", "steps")) == ["train1", "train2", "train3"]


def test_only_the_columns_that_are_asked_for_are_told(lived: Database) -> None:
    [run] = sought(lived, "name = 'demo'", "runs", "params.layers").items
    assert (run.params, run.metrics, run.tags, run.datasets) == ({"layers": 4}, {}, {}, ())


def test_the_states_and_times_of_mlflow_are_understood(lived: Database) -> None:
    assert names(sought(lived, "status = 'FINISHED' AND start_time > '2024-01-01'")) == [
        *("by-hand", "demo"),
    ]
    assert sought(lived, "attributes.end_time < '2024-01-01T00:00+01:00'").total == 0


# ── metrics while they come ───────────────────────────────────────────────────────────────────────


def recorded(database: Database, job: str, number: int, *values: float) -> None:
    writer = SeriesWriter(database)
    samples = [Sample(name="loss", at_ms=at, value=v) for at, v in enumerate(values)]
    writer.add(job, number, 0, samples)
    writer.add(job, number, 1, [Sample(name="loss", at_ms=1, value=-99.0)])
    writer.flush()


def test_a_metric_is_found_while_it_comes_by_its_sums_of_rank_0(lived: Database) -> None:
    recorded(lived, "j0002", 1, 3.0, 1.0, 2.0)
    for aggregate, value in (("min", 1), ("max", 3), ("first", 3), ("last", 2)):
        assert names(sought(lived, f"metrics.loss.{aggregate} = {value}")) == ["by-hand"]


def test_the_latest_attempt_has_the_last_word(lived: Database) -> None:
    recorded(lived, "j0002", 2, 5.0)
    recorded(lived, "j0002", 1, 4.0)
    assert sought(lived, "metrics.loss = 5").total == 1
    assert sought(lived, "metrics.loss = 4").total == 0


def test_what_was_noted_while_it_runs_is_found_at_once(lived: Database) -> None:
    data = {"digest": "ab" * 32, "size_bytes": 5, "kind": "dataset", "context": "validation"}
    model = {"digest": "cd" * 32, "metrics": {"accuracy": 0.99, "bad": "text"}, "kind": "model"}
    read = Note(kind="input", key="towns", at_ms=1, value=data)
    gave = Note(kind="model", key="early", at_ms=1, value=model)
    write_notes(lived, [("j0002", read), ("j0002", gave)])
    assert sought(lived, "datasets.context = 'validation' AND datasets.name = 'towns'").total == 1
    assert names(sought(lived, "metrics.accuracy > 0.95", "models")) == ["early"]
    assert names(sought(lived, "datasets.context = 'validation'", "datasets")) == ["towns"]


# ── mistakes ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "text, at, hint",
    [
        ("name = 'x' AND metrics.acuracy > 1", 16, "the nearest is accuracy"),
        ("params.lyers = 1", 1, "the nearest is layers"),
        ("attributes.stat = 'failed'", 1, "the nearest is state"),
        ("steps.nme = 'x'", 1, "the nearest is name"),
        ("failure.caus = 'x'", 1, "the nearest is cause"),
        ("metrics.accuracy = '1'", 20, "without quotes"),
        ("metrics.accuracy LIKE '1'", 1, "IN"),
        ("name = 5", 8, "single quotes"),
        ("submitted > 'yesterday'", 13, "2026"),
    ],
)
def test_a_slip_is_shown_with_a_caret_and_the_nearest_name(
    lived: Database, text: str, at: int, hint: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        sought(lived, text)
    assert caught.value.where == f"query:{at}"
    assert caught.value.problem.endswith("\n  " + " " * (at - 1) + "^")
    assert hint in caught.value.hint


def test_an_empty_store_knows_no_names_and_finds_nothing(database: Database) -> None:
    for kind in ("runs", "steps", "models", "datasets", "artifacts"):
        assert sought(database, "metrics.x > 1 OR params.y = 'a'", kind).items == ()


@pytest.mark.parametrize("limit", [0, 1001])
def test_a_page_is_neither_empty_nor_endless(database: Database, limit: int) -> None:
    with pytest.raises(InvalidInput, match="between"):
        search(database, None, "runs", limit=limit)
