"""A token is known by its hash alone, and stops being good when it should."""

from __future__ import annotations

import pytest

from makeway.errors import InvalidInput, NotFound
from makeway.store.database import Database, Location
from makeway.store.tokens import TokenWanted, list_tokens, make_token, revoke_token, verify_token
from tests.store.look import look

NOW_MS = 1_750_000_000_000
ADA = TokenWanted(user="ada", scopes=("read", "submit"), name="laptop")


def test_who_shows_a_token_is_its_user(database: Database) -> None:
    token, text = make_token(database, ADA, NOW_MS)
    found = verify_token(database, text, NOW_MS + 5)
    assert found == token
    assert (token.user, token.scopes, token.queues) == ("ada", ("read", "submit"), None)


def test_the_secret_is_nowhere_in_the_store(database: Database) -> None:
    token, text = make_token(database, ADA, NOW_MS)
    secret = text.split("_", 2)[2]
    [row] = look(database, "SELECT * FROM token")
    assert secret not in repr(row)
    assert token.id in repr(row)
    assert len(secret) >= 43
    assert make_token(database, ADA, NOW_MS)[1] != text


def test_what_is_no_token_is_refused(database: Database) -> None:
    token, text = make_token(database, ADA, NOW_MS)
    _, other = make_token(database, ADA, NOW_MS)
    crossed = f"mw_{token.id}_{other.split('_', 2)[2]}"
    for wrong in (
        *("", "mw", "mw_", f"mw_{token.id}", f"mw_{token.id}_", crossed, text[:-1], text + "x"),
        *(text.upper(), f" {text}", text.replace("mw", "xx"), "mw_\0_\0", "mw_\ud800_\ud800"),
        *("mw_' OR 1=1 --_x", "x" * 100_000, "mw_zzzzz_" + text.split("_", 2)[2]),
    ):
        assert verify_token(database, wrong, NOW_MS) is None, wrong[:80]


def test_a_token_ends_when_its_time_is_over(database: Database) -> None:
    wanted = TokenWanted(user="ada", scopes=("read",), expires_at_ms=NOW_MS + 10)
    token, text = make_token(database, wanted, NOW_MS)
    assert verify_token(database, text, NOW_MS + 9) == token
    assert verify_token(database, text, NOW_MS + 10) is None


def test_a_revoked_token_is_refused_at_once_and_for_good(database: Database) -> None:
    token, text = make_token(database, ADA, NOW_MS)
    assert revoke_token(database, token.id, NOW_MS + 1).revoked_at_ms == NOW_MS + 1
    assert verify_token(database, text, NOW_MS + 1) is None
    assert revoke_token(database, token.id, NOW_MS + 9).revoked_at_ms == NOW_MS + 1
    with pytest.raises(NotFound, match="there is no token 'nope'"):
        revoke_token(database, "nope", NOW_MS)


def test_its_use_is_noted_once_a_minute(database: Database) -> None:
    _, text = make_token(database, ADA, NOW_MS)
    noted = []
    for after_ms in (0, 1, 59_999, 60_000, 60_001, 120_000):
        assert verify_token(database, text, NOW_MS + after_ms)
        noted.append((list_tokens(database)[0].last_used_at_ms or 0) - NOW_MS)
    assert noted == [0, 0, 0, 60_000, 60_000, 120_000]


def test_a_reader_verifies_without_writing(location: Location) -> None:
    with Database.open(location) as database:
        _, text = make_token(database, ADA, NOW_MS)
    with Database.open(location, read_only=True) as database:
        assert verify_token(database, text, NOW_MS)
        assert list_tokens(database)[0].last_used_at_ms is None


def test_a_good_token_is_good_while_the_store_is_busy(
    location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("makeway.store.kind.BUSY_MS", 20)
    with Database.open(location) as database, Database.open(location) as other:
        token, text = make_token(database, ADA, NOW_MS)
        with other.transaction():
            assert verify_token(database, text, NOW_MS) == token


def test_tokens_are_listed_by_user(database: Database) -> None:
    queues = ("lab/vision", "lab/speech")
    bob = TokenWanted(user="bob", scopes=("admin",), queues=queues)
    first, _ = make_token(database, ADA, NOW_MS)
    second, _ = make_token(database, bob, NOW_MS + 1)
    assert list_tokens(database) == [first, second]
    assert [token.queues for token in list_tokens(database, "bob")] == [queues]
    assert list_tokens(database, "eve") == []


@pytest.mark.parametrize(
    "wanted, where",
    [
        (TokenWanted(user=" ", scopes=("read",)), "user"),
        (TokenWanted(user="ada", scopes=()), "scopes"),
        (TokenWanted(user="ada", scopes=("read",), expires_at_ms=NOW_MS), "expires_at_ms"),
    ],
)
def test_a_token_that_would_be_good_for_nothing(
    database: Database, wanted: TokenWanted, where: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        make_token(database, wanted, NOW_MS)
    assert caught.value.where == where
    assert list_tokens(database) == []
