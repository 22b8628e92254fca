"""Append what happened, and read it again from any place.

The log is the truth: whoever replays it has the state again. Its views are written in the same
transaction, so that a page never shows what the log does not know, and a crash leaves both or
neither. The numbers of the entries have no gap: a second controller that writes into the same
store is noticed at once, by its first entry.

Raises:  Conflict: the entries do not go on where the log ends
Cost:    an entry with its views 75 µs in a batch of ten, reading it 6 µs (budget: test_log.py)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import sqlalchemy as sa

from makeway.codec import decode_event, encode_event, version_of
from makeway.errors import Conflict
from makeway.model.event import Entry, Event
from makeway.model.workflow import run_of
from makeway.store import schema
from makeway.store.database import Database, Row
from makeway.store.statement import insert
from makeway.store.views import fold

PAGE = 1_000

EVENTS, RUNS, JOBS = schema.event.c, schema.run.c, schema.job.c
APPEND = insert(
    schema.event, "seq", "at_ms", "cause", "type", "version", "job", "run", "payload"
)  # fmt: skip
ENTRIES = sa.select(
    EVENTS.seq, EVENTS.at_ms, EVENTS.cause, EVENTS.version, EVENTS.payload
).order_by(EVENTS.seq)
READ = ENTRIES.where(EVENTS.seq > sa.bindparam("after")).limit(PAGE)
LAST = sa.select(sa.func.max(EVENTS.seq))
LAST_AT = sa.select(sa.func.max(EVENTS.at_ms))
OPEN_RUNS = sa.select(RUNS.id).where(RUNS.ended_at_ms.is_(None))
OPEN_JOBS = sa.select(JOBS.id).where(JOBS.ended_at_ms.is_(None))
READ_UNFINISHED = ENTRIES.where(
    (EVENTS.run.is_(None) & EVENTS.job.is_(None))
    | EVENTS.run.in_(OPEN_RUNS)
    | (EVENTS.run.is_(None) & EVENTS.job.in_(OPEN_JOBS))
)


class Log:
    """The events of one store."""

    def __init__(self, database: Database) -> None:
        """Take the store."""
        self._database = database

    def append(self, entries: Sequence[Entry]) -> None:
        """Write the entries and what they change in the views, all of it or nothing."""
        if not entries:
            return
        rows = [_row(entry) for entry in entries]
        with self._database.transaction():
            _check_order(self.last(), entries, self._database.where)
            self._database.write(APPEND, rows)
            fold(self._database, entries)

    def read(self, after: int = 0) -> Iterator[Entry]:
        """Give the entries after this seq, also those that are appended meanwhile."""
        while rows := self._database.rows(READ, {"after": after}):
            yield from _entries(rows)
            after = rows[-1][0]

    def read_unfinished(self) -> list[Entry]:
        """Give the entries about runs and jobs that are not final, and those about neither."""
        return list(_entries(self._database.rows(READ_UNFINISHED)))

    def last_at_ms(self) -> int:
        """Give the instant of the last entry, 0 when there is none."""
        at_ms: int | None = self._database.rows(LAST_AT)[0][0]
        return at_ms or 0

    def last(self) -> int:
        """Give the seq of the last entry, 0 when there is none."""
        seq: int | None = self._database.find(LAST)[0][0]
        return seq or 0


def _entries(rows: Iterable[Row]) -> Iterator[Entry]:
    for seq, at_ms, cause, version, payload in rows:
        event = decode_event(payload, version, f"event {seq}")
        yield Entry(seq=seq, at_ms=at_ms, cause=cause, event=event)


def _row(entry: Entry) -> tuple[object, ...]:
    event = entry.event
    name = type(event).__name__
    job, run = _about(event)
    payload = encode_event(event).decode()
    return entry.seq, entry.at_ms, entry.cause, name, version_of(name), job, run, payload


def _about(event: Event) -> tuple[str | None, str | None]:
    """Say which job and which run an event is about; a job of a run bears the run in its id."""
    run: str | None = getattr(event, "run", None)
    job: str | None = getattr(event, "job", None) or getattr(event, "execution", None)
    if job is not None and "." in job:
        run = run_of(job)
    return job, run


def _check_order(last: int, entries: Sequence[Entry], where: str) -> None:
    for expected, entry in enumerate(entries, start=last + 1):
        if entry.seq != expected:
            problem = f"the log goes on at {expected}, and this entry is {entry.seq}"
            hint = "two controllers write into one store; end one of them"
            raise Conflict(problem, where=where, hint=hint)
