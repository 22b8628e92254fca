"""Keep the tokens that people and programs come with: never the secret, only its hash.

A token reads `mw_ID_SECRET`. The ID is public: lists and errors show it. The secret is shown once,
when the token is made; it has 256 bits from the system, so that one round of SHA-256 is enough, and
it is compared in constant time. A token may expire, may be revoked, and may be good for some queues
alone.

Raises:  InvalidInput: no user, no scope, or an expiry that has passed · NotFound: no such token
Cost:    verifying 30 µs; once a minute and token, it is noted that it was used
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from contextlib import suppress

import msgspec
import sqlalchemy as sa

from makeway.codec import decode, encode
from makeway.errors import InvalidInput, NotFound, Unavailable
from makeway.store import schema
from makeway.store.database import Database, Row
from makeway.store.statement import insert, same, update

MARK = "mw"
SECRET_BYTES = 32
ID_BYTES = 5
TOUCH_EVERY_MS = 60_000
NO_HASH = "0" * 64  # what an unknown token is compared with, so that it takes as long


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a token; `queues` of None are all that the user may use."""

    id: str
    user: str
    name: str
    scopes: tuple[str, ...]
    created_at_ms: int
    expires_at_ms: int | None = None
    revoked_at_ms: int | None = None
    last_used_at_ms: int | None = None
    queues: tuple[str, ...] | None = None

    def good(self, now_ms: int) -> bool:
        """Say whether it is neither revoked nor past its end."""
        in_time = self.expires_at_ms is None or now_ms < self.expires_at_ms
        return in_time and self.revoked_at_ms is None


class TokenWanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a token is to be: for whom, for what, how long, for which queues."""

    user: str
    scopes: tuple[str, ...]
    name: str = ""
    expires_at_ms: int | None = None
    queues: tuple[str, ...] | None = None


TOKENS = schema.token.c
SHOWN = (
    "id", "user", "name", "scopes", "created_at_ms", "expires_at_ms", "revoked_at_ms",
    "last_used_at_ms", "queues",
)  # fmt: skip
THE_TOKEN = same(TOKENS.id)
MAKE = insert(
    schema.token, "id", "user", "name", "hash", "scopes", "created_at_ms", "expires_at_ms", "queues"
)
ALL = sa.select(*(TOKENS[name] for name in SHOWN)).order_by(TOKENS.created_at_ms, TOKENS.id)
VERIFY = sa.select(*(TOKENS[name] for name in SHOWN), TOKENS.hash).where(THE_TOKEN)
REVOKE = update(schema.token, THE_TOKEN & TOKENS.revoked_at_ms.is_(None), "revoked_at_ms")
TOUCH = update(schema.token, THE_TOKEN, "last_used_at_ms")


def make_token(database: Database, wanted: TokenWanted, now_ms: int) -> tuple[Token, str]:
    """Make a token, and give it with the text that its owner shows; nobody sees that again."""
    if not wanted.user.strip():
        raise InvalidInput("a token is for a user", where="user")
    if not wanted.scopes:
        raise InvalidInput("a token is for something: read, submit, operate, admin", where="scopes")
    if wanted.expires_at_ms is not None and wanted.expires_at_ms <= now_ms:
        raise InvalidInput("it would have expired already", where="expires_at_ms")
    token = Token(
        id=secrets.token_hex(ID_BYTES),
        user=wanted.user,
        name=wanted.name,
        scopes=wanted.scopes,
        created_at_ms=now_ms,
        expires_at_ms=wanted.expires_at_ms,
        queues=wanted.queues,
    )
    secret = secrets.token_urlsafe(SECRET_BYTES)
    queues = None if token.queues is None else encode(token.queues).decode()
    row = (
        token.id, token.user, token.name, _hash(secret), encode(token.scopes).decode(), now_ms,
        token.expires_at_ms, queues,
    )  # fmt: skip
    with database.transaction():
        database.write(MAKE, [row])
    return token, f"{MARK}_{token.id}_{secret}"


def verify_token(database: Database, text: str, now_ms: int) -> Token | None:
    """Give the token that a text is, if it is one and still good; and note that it was used."""
    mark, _, rest = text.partition("_")
    name, _, secret = rest.partition("_")
    rows = database.find(VERIFY, (name,)) if mark == MARK and name.isascii() else []
    known = rows[0][-1] if rows else NO_HASH
    if not hmac.compare_digest(_hash(secret), known) or not rows:
        return None
    token = _token(rows[0][:-1])
    if not token.good(now_ms):
        return None
    _touch(database, token, now_ms)
    return token


def list_tokens(database: Database, user: str | None = None) -> list[Token]:
    """Give all tokens, or those of a user, the oldest first; also those that are no longer good."""
    query = ALL if user is None else ALL.where(TOKENS.user == user)
    return [_token(row) for row in database.rows(query)]


def revoke_token(database: Database, token: str, now_ms: int) -> Token:
    """End a token at once; one that was revoked before stays so."""
    with database.transaction():
        database.write(REVOKE, [(now_ms, token)])
        rows = database.find(VERIFY, (token,))
    if not rows:
        hint = "the ids stand in: makeway token list"
        raise NotFound(f"there is no token {token!r}", hint=hint)
    return _token(rows[0][:-1])


def _touch(database: Database, token: Token, now_ms: int) -> None:
    last_ms = token.last_used_at_ms
    if database.read_only or (last_ms is not None and now_ms - last_ms < TOUCH_EVERY_MS):
        return
    # Whoever comes with a good token is let in, whether it can be noted or not.
    with suppress(Unavailable), database.transaction(durable=False):
        database.write(TOUCH, [(now_ms, token.id)])


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


def _token(row: Row) -> Token:
    name, user, called, scopes, created_ms, expires_ms, revoked_ms, used_ms, queues = row
    where = f"token {name}"
    return Token(
        id=name,
        user=user,
        name=called,
        scopes=decode(scopes, tuple[str, ...], where),
        created_at_ms=created_ms,
        expires_at_ms=expires_ms,
        revoked_at_ms=revoked_ms,
        last_used_at_ms=used_ms,
        queues=None if queues is None else decode(queues, tuple[str, ...], where),
    )
