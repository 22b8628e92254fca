"""Keep what programs tell of themselves while they run: parameters, tags, data sets, artifacts.

Notes are no events: no rule of life and death looks at them, and a search finds what they say at
once, not only when the step has ended. Said twice, the later value stays.

Takes:   notes, each with its job (which also names the step), in the order they were made in
Raises:  Unavailable, where nothing can be written
Cost:    one transaction a call
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping

from makeway.model.record import Note, Output
from makeway.store.database import Database
from makeway.store.finals import GIVEN, given
from makeway.store.produced import ARTIFACT, PARAM, TAG, USE_FOR, Values, artifact, typed
from makeway.store.statement import Upsert

Write = tuple[Upsert, Values]

WAITING_MAX = 100_000


class NoteWriter:
    """Gathers what programs note, until its caller says that it is time to write; for one thread."""

    def __init__(self, database: Database) -> None:
        """Take the store."""
        self._database = database
        self._waiting: deque[tuple[str, Note]] = deque(maxlen=WAITING_MAX)

    def take(self, job: str, notes: Iterable[Note]) -> None:
        """Keep notes of a job until they are written; the oldest go when nothing can be."""
        self._waiting.extend((job, note) for note in notes)

    def flush(self) -> None:
        """Write all of them, or none: then they wait for the next time."""
        if self._waiting:
            write_notes(self._database, self._waiting)
            self._waiting.clear()


def write_notes(database: Database, notes: Iterable[tuple[str, Note]]) -> None:
    """Write what the programs of jobs have noted, in this order."""
    with database.transaction(durable=False):  # like samples: of use, and no promise
        for job, note in notes:
            for statement, row in _writes(job, note):
                database.write(statement, [row])


def _writes(job: str, note: Note) -> Iterator[Write]:
    match note.kind, note.value:
        case "param", value:
            yield PARAM, (job, note.key, *typed(value))
        case "tag", value:
            yield TAG, (job, note.key, str(value))
        case "input" | "artifact" | "model" | "checkpoint", {"digest": str(digest), **more}:
            role = "input" if note.kind == "input" else "output"
            output = _output(note, digest, more)
            yield ARTIFACT, artifact(output, note.at_ms, None if role == "input" else job)
            yield from ((GIVEN, row) for row in given(output))
            context = more.get("context")
            yield USE_FOR, (job, role, note.key, digest, context and str(context))
        case _:
            return


def _output(note: Note, digest: str, more: Mapping[object, object]) -> Output:
    kind = more.get("kind") or ("dataset" if note.kind == "input" else note.kind)
    size, metrics = more.get("size_bytes"), more.get("metrics")
    return Output(
        digest=digest,
        codec=str(more.get("codec") or ""),
        size_bytes=size if isinstance(size, int) else 0,
        kind=str(kind),
        name=note.key,
        metrics=_numbers(metrics) if isinstance(metrics, Mapping) else {},
    )


def _numbers(metrics: Mapping[object, object]) -> dict[str, float]:
    return {str(key): float(one) for key, one in metrics.items() if isinstance(one, int | float)}
