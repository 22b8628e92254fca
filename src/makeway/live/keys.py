"""Remember by which key a job was brought, so that a request that is repeated does nothing twice."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping

from makeway.errors import Conflict
from makeway.store.database import Database
from makeway.store.idempotency import Remembered, look_up

KEY_CHARS_MAX = 200


class Keys:
    """The keys that are being used at this moment, and those that the store remembers."""

    def __init__(self, database: Database) -> None:
        """Take the store for what was used before."""
        self._database = database
        self._lock = threading.Condition()
        self._busy: set[tuple[str, str]] = set()

    def claim(self, user: str, key: str, body: Mapping[str, object]) -> str | None:
        """Take a key for one submission; the job's id if that has been made already.

        Whoever comes with the same key meanwhile waits until the first one is through.
        """
        with self._lock:
            self._lock.wait_for(lambda: (user, key) not in self._busy)
            known = look_up(self._database, user, key)
            if known is None:
                self._busy.add((user, key))
                return None
        if known.body_hash != digest(body):
            raise Conflict("it was used for another job", where=f"Idempotency-Key {key}")
        return known.job

    def release(self, user: str, key: str) -> None:
        """Let go of a key, whatever came of it."""
        with self._lock:
            self._busy.discard((user, key))
            self._lock.notify_all()


def remembered(user: str, key: str, job: str, body: Mapping[str, object]) -> Remembered:
    """Say what is to be remembered of a submission."""
    return Remembered(user=user, key=key, job=job, body_hash=digest(body))


def digest(body: Mapping[str, object]) -> str:
    """Name a body by what is in it."""
    text = json.dumps(body, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
