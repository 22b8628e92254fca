"""How what a user types becomes an id: of a run, a step, a job."""

from __future__ import annotations

import msgspec
import pytest

from makeway.errors import Conflict, InvalidInput, NotFound
from makeway.model import event as ev
from makeway.store import resolve
from makeway.store.database import Database
from makeway.store.log import Log
from tests.store.test_read import submit
from tests.store.world import DAWN_MS, spec


@pytest.fixture
def named(database: Database) -> Database:
    submit(database, "ra1", "fetch", "train")
    submit(database, "ra2", "fetch", "train.small")
    submit(database, "rb1", "fetch")
    seq = Log(database).last() + 1
    job = ev.JobSubmitted(job="jx7", spec=spec())
    Log(database).append([ev.Entry(seq=seq, at_ms=DAWN_MS, cause=0, event=job)])
    return database


@pytest.mark.parametrize(
    "text, run", [("@last", "rb1"), ("ra1", "ra1"), ("rb", "rb1"), ("rb1", "rb1")]
)
def test_a_run_by_what_is_typed(named: Database, text: str, run: str) -> None:
    assert resolve.resolve_run(named, text) == run


@pytest.mark.parametrize(
    "text, execution",
    [
        ("ra1.fetch", "ra1.fetch"),
        ("rb.fetch", "rb1.fetch"),
        ("@last.fetch", "rb1.fetch"),
        ("fetch", "rb1.fetch"),
        ("train", "ra1.train"),
        ("ra2.train.small", "ra2.train.small"),
        ("train.small", "ra2.train.small"),
        ("jx7", "jx7"),
        ("jx", "jx7"),
        ("j", "jx7"),
    ],
)
def test_a_step_by_what_is_typed(named: Database, text: str, execution: str) -> None:
    assert resolve.resolve_execution(named, text) == execution


@pytest.fixture
def jobs(database: Database) -> Database:
    log = Log(database)
    for at_ms, (job, name) in enumerate(
        [("01a1", "bert"), ("01a2", "train"), ("01b3", "train"), ("01b4", "01a")]
    ):
        asked = msgspec.structs.replace(spec(), name=name)
        event = ev.JobSubmitted(job=job, spec=asked)
        log.append([ev.Entry(seq=log.last() + 1, at_ms=DAWN_MS + at_ms, cause=0, event=event)])
    return database


@pytest.mark.parametrize(
    "text, job",
    [
        ("@last", "01b4"),
        ("01a1", "01a1"),
        ("01b3", "01b3"),
        ("bert", "01a1"),
        ("train", "01b3"),
        ("01a", "01b4"),  # a name before a beginning
    ],
)
def test_a_job_by_what_is_typed(jobs: Database, text: str, job: str) -> None:
    assert resolve.resolve_job(jobs, text) == job
    if text != "@last":
        assert resolve.resolve_execution(jobs, text) == job


def test_a_job_that_cannot_be_told(jobs: Database) -> None:
    with pytest.raises(Conflict, match=r"'01b' may be any of 01b3, 01b4$"):
        resolve.resolve_job(jobs, "01b")
    for text in ("", "%", "TRAIN", "01a1 ", "\0", "é" * 5_000):
        with pytest.raises(NotFound, match="there is no job"):
            resolve.resolve_job(jobs, text)
    with pytest.raises(InvalidInput, match="no Unicode"):
        resolve.resolve_job(jobs, "\udcff")
    with pytest.raises(NotFound) as caught:
        resolve.resolve_job(jobs, "trian")
    assert caught.value.hint == "the nearest is train"


def test_the_last_job_where_there_is_none(database: Database) -> None:
    with pytest.raises(NotFound, match="there is no job yet"):
        resolve.resolve_job(database, "@last")


@pytest.mark.parametrize("text", ["", "%", "_", "r%", "RA1", "ra1.", "zzz", "ra1.fetch.x"])
def test_what_names_nothing(named: Database, text: str) -> None:
    if not text.startswith("ra1"):
        with pytest.raises(NotFound, match="there is no run"):
            resolve.resolve_run(named, text)
    with pytest.raises(NotFound, match="there is no step"):
        resolve.resolve_execution(named, text)


def test_a_beginning_that_many_ids_have(named: Database) -> None:
    with pytest.raises(Conflict, match=r"'ra' may be any of ra1, ra2$"):
        resolve.resolve_run(named, "ra")
    with pytest.raises(Conflict, match="ra1, ra2"):
        resolve.resolve_execution(named, "ra.fetch")
    for number in range(10):
        submit(named, f"rc{number}")
    with pytest.raises(Conflict, match=r"any of rc0, rc1, rc2, rc3, rc4, …$") as caught:
        resolve.resolve_run(named, "rc")
    assert "type more" in caught.value.hint


def test_an_id_that_others_begin_with_is_itself(named: Database) -> None:
    submit(named, "ra")
    assert resolve.resolve_run(named, "ra") == "ra"
    assert resolve.resolve_execution(named, "ra.train") == "ra.train"


@pytest.mark.parametrize(
    "text, hint", [("rb2", "the nearest is rb1"), ("zzz", "there are rb1, ra2, ra1")]
)
def test_no_such_run_says_the_nearest(named: Database, text: str, hint: str) -> None:
    with pytest.raises(NotFound) as caught:
        resolve.resolve_run(named, text)
    assert caught.value.hint == hint


def test_no_such_step_says_the_nearest(named: Database) -> None:
    with pytest.raises(NotFound, match="run ra1: there is no step 'trein'") as caught:
        resolve.resolve_execution(named, "ra1.trein")
    assert caught.value.hint == "the nearest is train"
    with pytest.raises(NotFound) as caught:
        resolve.resolve_execution(named, "fetsh")
    assert caught.value.hint == "the nearest is fetch"
