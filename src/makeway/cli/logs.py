"""Print what the workers of a job or of a step printed, and go on while they do."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from makeway.cli.connect import asked, opened
from makeway.cli.job_text import FINAL
from makeway.cli.news import in_peace, patiently
from makeway.errors import NotFound
from makeway.wire.jobs import JobView

if TYPE_CHECKING:
    from makeway.wire.desk import Desk, LogReader

LOOK_EVERY_S, LOOK_AT_JOB_EVERY_S = 0.2, 1.0
CHUNK = 1 << 16
LEFT = "stopped reading; what runs goes on."


@click.command()
@click.argument("wanted", metavar="ID")
@click.option("-f", "--follow", is_flag=True, help="Go on until it has ended.")
@click.option("--worker", type=click.IntRange(min=0), help="Only the worker of this rank.")
@click.option("--attempt", type=click.IntRange(min=1), help="Which attempt (default: the last).")
@click.pass_context
def logs(
    ctx: click.Context, /, wanted: str, follow: bool, worker: int | None, attempt: int | None
) -> None:
    """Print what the workers of a job or of a step printed, with the rank in front of several.

    With -f it follows over attempts, until the job is final. Ctrl-C ends this command only.
    """
    whom, wish = asked(ctx), Wish(follow=follow, worker=worker, attempt=attempt)
    with in_peace(LEFT):
        if whom.url is None:
            _of_the_store(whom.store, wanted, wish)
            return
        with opened(whom) as desk:
            _of_a_service(desk, wanted, wish)


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """Whose log is wanted, and whether to go on."""

    follow: bool = False
    worker: int | None = None
    attempt: int | None = None


# ── from a service ────────────────────────────────────────────────────────────────────────────────


def _of_a_service(desk: Desk, wanted: str, wish: Wish) -> None:
    job = desk.job(wanted)
    where = f"job {job.id}"
    if not job.attempt and not wish.follow:
        raise NotFound("it has not started, so there is no log", where=where)
    if wish.attempt is not None and wish.attempt > job.attempt and not wish.follow:
        raise NotFound(f"there is no attempt {wish.attempt}", where=where)
    ranks = sum(group.max for group in job.groups)
    if wish.worker is not None and wish.worker >= ranks:
        problem = f"there is no rank {wish.worker}; there are {ranks} workers"
        raise NotFound(problem, where=where)
    printer = JobPrinter(desk, job, wish)
    looked, name = time.monotonic(), job.id
    while True:
        over = not wish.follow or _over(job, wish)
        printer.print_new(job.attempt)
        if over:
            printer.print_rest()
            return
        time.sleep(LOOK_EVERY_S)
        if time.monotonic() - looked > LOOK_AT_JOB_EVERY_S:
            job = patiently(lambda: desk.job(name))
            looked = time.monotonic()


def _over(job: JobView, wish: Wish) -> bool:
    """Say whether what is wanted will print nothing more."""
    ended = any(one.number == wish.attempt and one.ended_s is not None for one in job.attempts)
    return ended or job.phase in FINAL


class JobPrinter:
    """Prints the log of a job, attempt by attempt: whole lines, those of a rank in order."""

    def __init__(self, desk: Desk, job: JobView, wish: Wish) -> None:
        """Take whose log it is; the rank stands in front of each line if there are several."""
        self._desk, self._job, self._wish = desk, job.id, wish
        self._several = sum(group.max for group in job.groups) > 1 and wish.worker is None
        self._attempt = 0
        self._reader: LogReader | None = None
        self._given: Counter[int] = Counter()
        self._rest: dict[int, bytes] = {}

    def print_new(self, latest: int) -> None:
        """Print every line that is complete, up to the attempt that is the latest now."""
        last = self._wish.attempt or latest
        if self._reader is None and 0 < last <= latest:
            self._open(last)
        self._print()
        while self._wish.attempt is None and 0 < self._attempt < latest:
            self.print_rest()
            self._open(self._attempt + 1)
            self._print()

    def print_rest(self) -> None:
        """Print all that is left of an attempt that has ended, also lines without an end."""
        if self._wish.follow and self._reader is not None:
            patiently(self._catch_up)
        for rank, rest in sorted(self._rest.items()):
            if rest:
                click.echo(self._prefix(rank) + rest)
        self._rest.clear()

    def _open(self, attempt: int) -> None:
        self._attempt, self._given = attempt, Counter()
        self._reader = patiently(self._log)

    def _log(self) -> LogReader:
        return self._desk.log(self._job, self._attempt, self._wish.worker)

    def _print(self) -> None:
        while self._reader is not None and (new := self._reader.more()):
            for rank, data in new:
                self._take(rank, data)

    def _catch_up(self) -> None:
        """Read the whole log once more: what is told as it happens may be a moment late."""
        reader, passed = self._log(), Counter[int]()
        while new := reader.more():
            for rank, data in new:
                fresh = data[max(0, self._given[rank] - passed[rank]) :]
                passed[rank] += len(data)
                self._take(rank, fresh)

    def _take(self, rank: int, data: bytes) -> None:
        self._given[rank] += len(data)
        *lines, self._rest[rank] = (self._rest.get(rank, b"") + data).split(b"\n")
        for line in lines:
            click.echo(self._prefix(rank) + line)

    def _prefix(self, rank: int) -> bytes:
        return f"[{rank}] ".encode() if self._several else b""


# ── from the store ────────────────────────────────────────────────────────────────────────────────


def _of_the_store(store: Path, wanted: str, wish: Wish) -> None:
    from makeway.executor.folder import worker_folder
    from makeway.store.database import Database
    from makeway.store.read import get_execution
    from makeway.store.resolve import resolve_execution

    database = Database.open(store, read_only=True)
    try:
        execution = resolve_execution(database, wanted)
        tails: dict[Path, Tail] = {}
        first = True
        while True:
            row = get_execution(database, execution)
            number = wish.attempt or (row.attempt.number if row.attempt else 0)
            if row.attempt is None and not wish.follow:
                raise NotFound("it has not started, so there is no log", where=f"step {execution}")
            if number:
                folder = worker_folder(store, execution, number, 0).parent
                if first and wish.attempt is not None and not folder.is_dir():
                    problem = f"there is no attempt {wish.attempt}"
                    raise NotFound(problem, where=f"step {execution}")
                _print_new(folder, wish.worker, tails, whole=not wish.follow or row.phase.final)
            first = False
            if not wish.follow or row.phase.final:
                return
            time.sleep(LOOK_EVERY_S)
    finally:
        database.close()


def _print_new(folder: Path, worker: int | None, tails: dict[Path, Tail], *, whole: bool) -> None:
    ranks = sorted((path for path in folder.glob("[0-9]*")), key=lambda path: int(path.name))
    chosen = [path for path in ranks if worker is None or int(path.name) == worker]
    if worker is not None and ranks and not chosen:
        raise NotFound(f"there is no rank {worker}; there are {len(ranks)} workers")
    for path in chosen:
        prefix = f"[{path.name}] " if len(chosen) > 1 else ""
        tail = tails.setdefault(path, Tail(path, prefix))
        tail.print_new(whole=whole)


class Tail:
    """Where one log file was left off."""

    def __init__(self, folder: Path, prefix: str) -> None:
        """Begin at the start of the file of a worker's folder."""
        from makeway.executor.folder import LOG

        self._file, self._prefix = folder / LOG, prefix.encode()
        self._at, self._rest = 0, b""

    def print_new(self, *, whole: bool) -> None:
        """Print the lines that are complete; with `whole`, what is left of the last one too."""
        try:
            with self._file.open("rb") as file:
                file.seek(self._at)
                while data := file.read(CHUNK):
                    self._at += len(data)
                    *lines, self._rest = (self._rest + data).split(b"\n")
                    for line in lines:
                        click.echo(self._prefix + line)
        except FileNotFoundError:
            return
        if whole and self._rest:
            click.echo(self._prefix + self._rest)
            self._rest = b""
