"""The same request said twice leads to one job, whatever happens in between."""

from __future__ import annotations

import pytest

from makeway.errors import Conflict
from makeway.store.database import Database
from makeway.store.idempotency import forget, hash_of, look_up, remember
from makeway.store.log import Log
from tests.store.look import look
from tests.store.test_log import jobs_submitted

BODY = hash_of(b'{"name": "train"}')
REQUEST = ("ada", "k-1", BODY)


def test_a_key_leads_to_what_it_led_to_before(database: Database) -> None:
    assert look_up(database, *REQUEST) is None
    Log(database).append(jobs_submitted(1), also=[remember(REQUEST, "j1", 7)])
    assert look_up(database, *REQUEST) == "j1"


def test_another_request_with_the_same_key_is_refused(database: Database) -> None:
    Log(database).append(jobs_submitted(1), also=[remember(REQUEST, "j1", 7)])
    with pytest.raises(Conflict, match="another request, which has led to j1") as caught:
        look_up(database, "ada", "k-1", hash_of(b"{}"))
    assert caught.value.where == "Idempotency-Key"


def test_keys_are_a_users_own(database: Database) -> None:
    Log(database).append(jobs_submitted(1), also=[remember(REQUEST, "j1", 7)])
    assert look_up(database, "bob", "k-1", BODY) is None
    assert look_up(database, "ada", "K-1", BODY) is None
    assert look_up(database, "ada", "", BODY) is None


def test_what_is_not_appended_is_not_remembered(database: Database) -> None:
    log = Log(database)
    with pytest.raises(Conflict, match="the log goes on at 1"):
        log.append(jobs_submitted(5), also=[remember(REQUEST, "j1", 7)])
    assert look_up(database, *REQUEST) is None


def test_what_cannot_be_remembered_is_not_appended(database: Database) -> None:
    log = Log(database)
    log.append(jobs_submitted(1), also=[remember(REQUEST, "j1", 7)])
    with pytest.raises(Exception, match=r"(?i)unique"):
        log.append(jobs_submitted(11), also=[remember(REQUEST, "j11", 7)])
    assert log.last() == 10
    assert look(database, "SELECT count(*) FROM job") == [(10,)]


def test_old_keys_are_forgotten(database: Database) -> None:
    log = Log(database)
    log.append(jobs_submitted(1), also=[remember(REQUEST, "j1", 7)])
    log.append(jobs_submitted(11), also=[remember(("ada", "k-2", BODY), "j11", 8)])
    forget(database, before_ms=8)
    assert look_up(database, *REQUEST) is None
    assert look_up(database, "ada", "k-2", BODY) == "j11"
