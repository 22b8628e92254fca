"""Remember which request has led to what, so that the same one said twice does nothing twice.

A client names each submission with a key of its own, and repeats the key when it does not know what
became of it. What the key led to is written in the very transaction that appends the submission: so
either both are there, or neither. A key is a user's own; another user's is another key.

Raises:  Conflict: the key was used for another request
Cost:    20 µs to look one up
"""

from __future__ import annotations

import hashlib

import sqlalchemy as sa

from makeway.errors import Conflict
from makeway.store import schema
from makeway.store.database import Database
from makeway.store.statement import Statement, insert, same

Write = tuple[Statement, list[tuple[object, ...]]]

KEYS = schema.idempotency.c
REMEMBER = insert(schema.idempotency, "user", "key", "subject", "body_hash", "created_at_ms")
LOOK_UP = sa.select(KEYS.subject, KEYS.body_hash).where(same(KEYS.user, KEYS.key))
OLD = (
    sa.select(KEYS.user, KEYS.key)
    .where(KEYS.created_at_ms < sa.bindparam("before_ms"))
    .order_by(KEYS.created_at_ms)
    .limit(sa.bindparam("most", type_=sa.Integer()))
)
FORGET = sa.delete(schema.idempotency).where(same(KEYS.user, KEYS.key))
FORGET_MAX = 5_000


def hash_of(body: bytes) -> str:
    """Give the hash by which a repeated request is told from another one with the same key."""
    return hashlib.sha256(body).hexdigest()


def look_up(database: Database, user: str, key: str, body_hash: str) -> str | None:
    """Give the job or run that this request has led to already, if it has."""
    for subject, known in database.find(LOOK_UP, (user, key)):
        if known != body_hash:
            problem = f"this key stands for another request, which has led to {subject}"
            raise Conflict(problem, where="Idempotency-Key", hint="take a new key for each request")
        found: str = subject
        return found
    return None


def remember(request: tuple[str, str, str], subject: str, now_ms: int) -> Write:
    """Say what `Log.append` is to write beside the submission; a request is user, key and hash."""
    user, key, body_hash = request
    return REMEMBER, [(user, key, subject, body_hash, now_ms)]


def forget(database: Database, before_ms: int) -> bool:
    """Forget what was remembered before this instant: nobody repeats a request for days.

    Of very many only some are forgotten; True: call again.
    """
    old = database.rows(OLD, {"before_ms": before_ms, "most": FORGET_MAX})
    if old:
        with database.transaction():
            database.write(FORGET, [tuple(key) for key in old])
    return len(old) == FORGET_MAX
