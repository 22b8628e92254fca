"""Read what a real cluster was asked for: a trace as CSV, or in the Standard Workload Format (SWF).

A row is one job: when it came, how long it truly ran, and how many equal workers it had, all at
once. The queue of a job is `group/user`, or `user` where the trace knows no groups. In SWF the
processors of a job are workers of one processor each, the requested time is the time limit, and
what never ran (a run time of 0 or less, no processors) is left out and counted.

Takes:   lines, numbered from 1 by where they stand; nothing is kept but the row at hand
Gives:   `Row`s in the order of the lines; `workload` makes jobs of them
Raises:  InvalidInput with FILE:LINE for the first thing that is wrong
Source:  Feitelson, Parallel Workloads Archive: The Standard Workload Format, version 2.2
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Mapping
from enum import IntEnum

import msgspec

from makeway.errors import InvalidInput
from makeway.model.cluster import Node, Queue
from makeway.model.job import SYSTEM_MIN, JobSpec, WorkerGroup
from makeway.model.resources import CPU, GPU, Resources
from makeway.sim.workload import Arrival, Workload

REQUIRED = ("submit_s", "duration_s", "gpus", "user")
COLUMNS = (*REQUIRED, "group", "workers", "priority")
WORKERS_MAX = 100_000
SECONDS_MAX = 10**11
NEVER_MS = 1 << 50


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One job of a trace; `status` is how it ended there, as SWF counts (-1: unknown)."""

    at_ms: int
    duration_ms: int
    workers: int
    per_worker: Resources
    user: str
    group: str = ""
    priority: int = 0
    time_limit_ms: int | None = None
    status: int = -1


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What an eviction and a start cost, which no trace says; `every_ms` None: no checkpoints."""

    every_ms: int | None = 1
    startup_ms: int = 0


FREE = Cost()


class Header(msgspec.Struct):
    """What the comments of an SWF file say of the machine, and how many rows were left out."""

    processors: int | None = None
    nodes: int | None = None
    left_out: int = 0


class Field(IntEnum):
    """The fields of SWF that are read, by their place."""

    SUBMIT = 1
    RUN = 3
    USED = 4
    ASKED = 7
    LIMIT = 8
    STATUS = 10
    USER = 11
    GROUP = 12


FIELDS = 18


# ── CSV ───────────────────────────────────────────────────────────────────────────────────────────


def csv_rows(lines: Iterable[str], file: str) -> Iterator[Row]:
    """Read CSV: a header with the columns in any order, then one job a line."""
    reader = csv.reader(lines, strict=True)
    names: list[str] | None = None
    try:
        for cells in reader:
            if not cells:
                continue
            where = f"{file}:{reader.line_num}"
            if names is None:
                names = _header(cells, where)
            elif len(cells) != len(names):
                raise InvalidInput(
                    f"there are {len(cells)} values for {len(names)} columns", where=where
                )
            else:
                yield _csv_row(dict(zip(names, cells, strict=True)), where)
    except csv.Error as error:
        raise InvalidInput(f"this is no CSV: {error}", where=f"{file}:{reader.line_num}") from None
    if names is None:
        raise InvalidInput(f"a header is missing: {','.join(REQUIRED)}", where=f"{file}:1")


def _header(cells: list[str], where: str) -> list[str]:
    names = [cell.strip().lstrip("\ufeff") for cell in cells]
    for name in names:
        if name not in COLUMNS:
            known = ", ".join(COLUMNS)
            raise InvalidInput(f"there is no column {name!r}; there are {known}", where=where)
        if names.count(name) > 1:
            raise InvalidInput(f"the column {name!r} is there twice", where=where)
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise InvalidInput(f"a column is missing: {', '.join(missing)}", where=where)
    return names


def _csv_row(cells: Mapping[str, str], where: str) -> Row:
    gpus = _whole(cells, "gpus", where, least=1)
    workers = _whole(cells, "workers", where, least=1) if cells.get("workers") else gpus
    if gpus * 1000 % workers:
        raise InvalidInput(f"{gpus} gpus cannot be divided among {workers} workers", where=where)
    priority = _whole(cells, "priority", where, least=-(10**6)) if cells.get("priority") else 0
    if priority >= SYSTEM_MIN:
        raise InvalidInput(f"priority must be less than {SYSTEM_MIN}", where=where)
    user, group = cells["user"].strip(), cells.get("group", "").strip()
    if not user:
        raise InvalidInput("user is missing", where=where)
    for what, name in (("user", user), ("group", group)):
        if "/" in name:
            raise InvalidInput(f"{what} {name!r} has a / in it", where=where)
    return Row(
        at_ms=_ms(cells, "submit_s", where),
        duration_ms=max(1, _ms(cells, "duration_s", where)),
        workers=workers,
        per_worker=Resources.of({GPU: gpus * 1000 // workers}),
        user=user,
        group=group,
        priority=priority,
    )


def _ms(cells: Mapping[str, str], name: str, where: str) -> int:
    seconds = _number(cells[name], name, where)
    if not 0 <= seconds <= SECONDS_MAX:
        problem = "must not be negative" if seconds < 0 else f"must be at most {SECONDS_MAX}"
        raise InvalidInput(f"{name} {problem}: {cells[name]!r}", where=where)
    return round(seconds * 1000)


def _whole(cells: Mapping[str, str], name: str, where: str, *, least: int) -> int:
    number = _number(cells[name], name, where)
    if number != int(number):
        raise InvalidInput(f"{name} must be a whole number, not {cells[name]!r}", where=where)
    if number < least:
        raise InvalidInput(f"{name} must be at least {least}, not {cells[name]!r}", where=where)
    if number > max(WORKERS_MAX, SYSTEM_MIN):
        raise InvalidInput(f"{name} must be at most {WORKERS_MAX}: {cells[name]!r}", where=where)
    return int(number)


def _number(text: str, name: str, where: str) -> float:
    if not text.strip():
        raise InvalidInput(f"{name} is missing", where=where)
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or "_" in text:
        raise InvalidInput(f"{name} must be a number, not {text[:60]!r}", where=where)
    return number


# ── SWF ───────────────────────────────────────────────────────────────────────────────────────────


def swf_rows(lines: Iterable[str], file: str, header: Header) -> Iterator[Row]:
    """Read SWF; `header` takes up what its comments say."""
    for number, line in enumerate(lines, start=1):
        if line.startswith(";"):
            _comment(line, header)
            continue
        words = line.split()
        if not words:
            continue
        where = f"{file}:{number}"
        if len(words) < FIELDS:
            raise InvalidInput(f"there are {len(words)} fields, SWF has {FIELDS}", where=where)
        row = _swf_row(words, where)
        if row is None:
            header.left_out += 1
        else:
            yield row


def _comment(line: str, header: Header) -> None:
    name, _, value = line.lstrip("; ").partition(":")
    words = value.split()
    if words and words[0].isdigit() and int(words[0]) > 0:
        match name.strip():
            case "MaxProcs":
                header.processors = int(words[0])
            case "MaxNodes":
                header.nodes = int(words[0])


def _swf_row(words: list[str], where: str) -> Row | None:
    try:
        numbers = {field: float(words[field]) for field in Field}
    except ValueError:
        bad = next(field for field in Field if not _is_number(words[field]))
        raise InvalidInput(
            f"field {bad + 1} must be a number, not {words[bad][:60]!r}", where=where
        ) from None
    submit, run = numbers[Field.SUBMIT], numbers[Field.RUN]
    if not 0 <= submit <= SECONDS_MAX:
        raise InvalidInput(
            f"the submit time (field 2) must not be negative: {words[Field.SUBMIT]}", where=where
        )
    used = numbers[Field.USED]
    workers = int(used if used > 0 else numbers[Field.ASKED])
    if not (0 < run <= SECONDS_MAX) or workers <= 0:
        return None
    if workers > WORKERS_MAX:
        raise InvalidInput(f"{workers} processors are more than {WORKERS_MAX}", where=where)
    limit = numbers[Field.LIMIT]
    return Row(
        at_ms=round(submit * 1000),
        duration_ms=max(1, round(run * 1000)),
        workers=workers,
        per_worker=ONE_CPU,
        user=f"u{words[Field.USER]}",
        group=f"g{words[Field.GROUP]}",
        time_limit_ms=round(limit * 1000) if 0 < limit <= SECONDS_MAX else None,
        status=int(numbers[Field.STATUS]),
    )


ONE_CPU = Resources.of({CPU: 1000})


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


# ── jobs ──────────────────────────────────────────────────────────────────────────────────────────


def workload(rows: Iterable[Row], nodes: tuple[Node, ...], cost: Cost = FREE) -> Workload:
    """Make jobs of rows, in the order in which they came; the first comes at 0."""
    arrivals: list[Arrival] = []
    groups: dict[tuple[int, Resources], tuple[WorkerGroup, ...]] = {}
    paths: dict[tuple[str, str], str] = {}
    ordered = sorted(rows, key=lambda row: row.at_ms)
    first_ms = ordered[0].at_ms if ordered else 0
    for number, row in enumerate(ordered, start=1):
        shape = (row.workers, row.per_worker)
        if shape not in groups:
            groups[shape] = (
                WorkerGroup(
                    count_min=row.workers, count_max=row.workers, per_worker=row.per_worker
                ),
            )
        path = paths.setdefault(
            (row.group, row.user), f"{row.group}/{row.user}" if row.group else row.user
        )
        name = f"j{number:06}"
        spec = JobSpec(
            name=name,
            user=row.user,
            queue=path,
            priority=row.priority,
            groups=groups[shape],
            grace_ms=0,
            time_limit_ms=row.time_limit_ms,
            known_ms=row.duration_ms,
            checkpoint_every_ms=cost.every_ms,
            startup_ms=cost.startup_ms,
        )
        arrivals.append(
            Arrival(at_ms=row.at_ms - first_ms, job=name, spec=spec, duration_ms=row.duration_ms)
        )
    declared = dict.fromkeys(row.group for row in ordered if row.group)
    queues = (*(Queue(path=path) for path in declared), *map(_queue, dict.fromkeys(paths.values())))
    return Workload(nodes=nodes, queues=queues, arrivals=tuple(arrivals))


def machines(count: int, slots: int) -> tuple[Node, ...]:
    """Make nodes that are all alike, each with so many processors and as many GPUs."""
    capacity = Resources.of({CPU: slots * 1000, GPU: slots * 1000})
    digits = len(str(count))
    return tuple(
        Node(name=f"n{number:0{digits}}", capacity=capacity) for number in range(1, count + 1)
    )


def _queue(path: str) -> Queue:
    return Queue(path=path)
