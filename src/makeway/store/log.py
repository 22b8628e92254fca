"""Append what happened, and read it again from any place.

The log is the truth: whoever replays it has the state again. Its views are written in the same
transaction, so that a page never shows what the log does not know, and a crash leaves both or
neither. The numbers of the entries have no gap: a second controller that writes into the same
store is noticed at once, by its first entry; with a lease, before it has written any.

Each entry has a checksum of all that is in its row. One that does not read as it was written is
never believed and never mended: it is passed over and noted in `damaged`. What it is about cannot
be rebuilt, so `read_unfinished` leaves that job or run out as a whole, and the others go on.

An append is all or nothing. If it is `Unavailable`, nothing was acknowledged, and what became of it
may be unknown: a server can go after it has committed and before it says so. So keep the entries,
and call again with the same ones until it succeeds: what turns out to be there already is not
written twice. The connection comes back by itself.

Raises:  Conflict: the entries do not go on where the log ends · LeaseLost: another one controls
         InvalidInput: an entry of a newer makeway, which is whole and cannot be read
         Unavailable: the store cannot be written now; try the same again
Cost:    an entry with its views 75 µs in a batch of ten, and a flush of the disk a batch; reading
         it 8 µs
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from makeway.codec import decode_event, encode_event, version_of
from makeway.errors import Conflict, Unavailable
from makeway.failpoint import reach
from makeway.model.event import Entry, Event
from makeway.model.workflow import run_of
from makeway.store import schema
from makeway.store.database import Database, Row
from makeway.store.lease import Lease
from makeway.store.statement import Bytes, Statement, insert
from makeway.store.views import fold

PAGE = 1_000

Values = tuple[object, ...]
Also = Sequence[tuple[Statement, Sequence[Values]]]

EVENTS, RUNS, JOBS = schema.event.c, schema.run.c, schema.job.c
APPEND = insert(
    schema.event, "seq", "at_ms", "cause", "type", "version", "job", "run", "payload", "checksum"
)  # fmt: skip
# Text as its bytes: what is damaged need not be text any more.
ENTRIES = sa.select(
    EVENTS.seq, EVENTS.at_ms, EVENTS.cause, Bytes(EVENTS.type), EVENTS.version,
    Bytes(EVENTS.job), Bytes(EVENTS.run), Bytes(EVENTS.payload), EVENTS.checksum,
).order_by(EVENTS.seq)  # fmt: skip
READ = ENTRIES.where(EVENTS.seq > sa.bindparam("after")).limit(PAGE)
LAST = sa.select(sa.func.max(EVENTS.seq))
LAST_AT = sa.select(sa.func.max(EVENTS.at_ms))
CHECKSUMS = (
    sa.select(EVENTS.checksum)
    .where(EVENTS.seq.between(sa.bindparam("first"), sa.bindparam("last")))
    .order_by(EVENTS.seq)
)
COUNT = sa.select(sa.func.count(), sa.func.max(EVENTS.seq)).select_from(schema.event)
BEFORE = sa.func.coalesce(sa.func.lag(EVENTS.seq).over(order_by=EVENTS.seq), 0)
NEIGHBOURS = sa.select(EVENTS.seq, BEFORE.label("before")).subquery()
GAPS = sa.select(NEIGHBOURS.c.before + 1, NEIGHBOURS.c.seq - 1).where(
    NEIGHBOURS.c.before + 1 < NEIGHBOURS.c.seq
)
OPEN_RUNS = sa.select(RUNS.id).where(RUNS.ended_at_ms.is_(None))
OPEN_JOBS = sa.select(JOBS.id).where(JOBS.ended_at_ms.is_(None))
READ_UNFINISHED = ENTRIES.where(
    (EVENTS.run.is_(None) & EVENTS.job.is_(None))
    | EVENTS.run.in_(OPEN_RUNS)
    | (EVENTS.run.is_(None) & EVENTS.job.in_(OPEN_JOBS))
)

READ_ENDS = ENTRIES.where(EVENTS.type == "JobFinished")


class Damage(msgspec.Struct, frozen=True, kw_only=True):
    """An entry that does not read as it was written; `job` and `run` are what it is filed under."""

    seq: int
    problem: str
    job: str | None
    run: str | None

    @property
    def owner(self) -> str | None:
        """Say what cannot be rebuilt without it: a run, or a job that is of no run."""
        return self.run or self.job


class Log:
    """The events of one store; `damaged` are those by number that were passed over in reading."""

    def __init__(self, database: Database, lease: Lease | None = None) -> None:
        """Take the store; with a lease, every append makes sure that it is still held."""
        self.damaged: dict[int, Damage] = {}
        self._database, self._lease = database, lease
        self._unsure: list[Values] = []
        if lease is not None:
            lease.begin(database, self.last())

    def append(self, entries: Sequence[Entry], also: Also = ()) -> None:
        """Write the entries, what they change in the views, and `also`: all of it or nothing.

        `also` are statements with their rows, for what must not be there without the entries.
        """
        if not entries:
            assert not also, "what is written beside entries needs entries"
            return
        rows = [_row(entry) for entry in entries]
        try:
            if self._unsure and self._lease is not None:
                self._lease.refresh()
            reach("log.begin.before")
            with self._database.transaction():
                reach("log.begin.after")
                if self._lease is not None:
                    self._lease.check(self._database)
                if not (self._unsure == rows and self._is_there(rows)):
                    self._write(entries, rows, also)
                reach("log.commit.before")
            reach("log.commit.after")
        except Unavailable:
            self._unsure = rows
            raise
        self._unsure = []
        if self._lease is not None:
            self._lease.note(entries[-1].seq)

    def read(self, after: int = 0) -> Iterator[Entry]:
        """Give the entries after this seq, also those that are appended meanwhile."""
        while rows := self._database.rows(READ, {"after": after}):
            for row in rows:
                self._miss(after + 1, row[0] - 1)
                after = row[0]
                if entry := self._entry(row):
                    yield entry

    def read_unfinished(self) -> list[Entry]:
        """Give the entries about runs and jobs that are not final, and those about neither.

        A run, or a job by itself, that has a damaged entry is left out; see `damaged`.
        """
        with self._database.reading():
            rows = self._database.rows(READ_UNFINISHED)
            [(count, last)] = self._database.rows(COUNT)
            if count != (last or 0):
                for first, until in self._database.rows(GAPS):
                    self._miss(first, until)
        entries = [(self._entry(row), _owner(row)) for row in rows]
        lost = {owner for entry, owner in entries if entry is None and owner is not None}
        return [entry for entry, owner in entries if entry is not None and owner not in lost]

    def read_ends(self, jobs: Collection[str]) -> list[Entry]:
        """Give the entries by which these jobs have ended, of those that have."""
        rows = self._database.rows(READ_ENDS.where(EVENTS.job.in_([*jobs]))) if jobs else ()
        return [entry for row in rows if (entry := self._entry(row)) is not None]

    def last_at_ms(self) -> int:
        """Give the instant of the last entry, 0 when there is none."""
        at_ms: int | None = self._database.rows(LAST_AT)[0][0]
        return at_ms or 0

    def last(self) -> int:
        """Give the seq of the last entry, 0 when there is none."""
        seq: int | None = self._database.find(LAST)[0][0]
        return seq or 0

    def _write(self, entries: Sequence[Entry], rows: Sequence[Values], also: Also) -> None:
        _check_order(self.last(), entries, self._database.where)
        self._database.write(APPEND, rows)
        fold(self._database, entries)
        for statement, values in also:
            self._database.write(statement, values)

    def _is_there(self, rows: Sequence[Values]) -> bool:
        """Say whether these very entries were stored when it was unknown whether they were."""
        wanted = {"first": rows[0][0], "last": rows[-1][0]}
        found = [checksum for (checksum,) in self._database.rows(CHECKSUMS, wanted)]
        return found == [row[-1] for row in rows]

    def _miss(self, first: int, until: int) -> None:
        """Note entries that are not there, as one damage."""
        if first <= until:
            problem = f"the entries {first} to {until} are missing"
            self.damaged[first] = Damage(seq=first, problem=problem, job=None, run=None)

    def _entry(self, row: Row) -> Entry | None:
        seq, at_ms, cause, _, version, job, run, payload, checksum = row
        if checksum != _checksum(*row[:-1]):
            problem = "its checksum is not that of what stands there"
            self.damaged[seq] = Damage(seq=seq, problem=problem, job=_text(job), run=_text(run))
            return None
        # What is as it was written and cannot be read all the same is of another makeway.
        event = decode_event(payload, version, f"event {seq}")
        return Entry(seq=seq, at_ms=at_ms, cause=cause, event=event)


def _row(entry: Entry) -> Values:
    event = entry.event
    name = type(event).__name__
    version, (job, run), payload = version_of(name), _about(event), encode_event(event)
    numbers = (entry.seq, entry.at_ms, entry.cause)
    checksum = _checksum(*numbers, name.encode(), version, _bytes(job), _bytes(run), payload)
    return (*numbers, name, version, job, run, payload.decode(), checksum)


def _checksum(*row: Any) -> int:  # noqa: ANN401 - the columns of a row, text as its bytes
    """Sum up every column of a row; -1 if a number in it is none any more."""
    seq, at_ms, cause, name, version, job, run, payload = row
    filed = (seq, at_ms, cause, name, version, job or b"", run or b"")
    try:
        head = b"%d\n%d\n%d\n%b\n%d\n%b\n%b\n" % filed
    except TypeError:
        return -1
    return zlib.crc32(payload, zlib.crc32(head))


def _owner(row: Row) -> str | None:
    """Say what an entry is filed under: the run, or a job that is of no run."""
    return _text(row[6]) or _text(row[5])


def _bytes(value: str | None) -> bytes | None:
    return None if value is None else value.encode()


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="replace")


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
