"""Print what the workers of a step printed, and go on while they do."""

from __future__ import annotations

import time
from pathlib import Path

import click

from makeway.cli.history import opened
from makeway.errors import NotFound
from makeway.executor.folder import LOG, worker_folder
from makeway.store.read import get_execution
from makeway.store.resolve import resolve_execution

LOOK_EVERY_S = 0.2
CHUNK = 1 << 16


@click.command()
@click.argument("step_id", metavar="STEP")
@click.option("-f", "--follow", is_flag=True, help="Go on until the step has ended.")
@click.option("--worker", type=click.IntRange(min=0), help="Only the worker of this rank.")
@click.option("--attempt", type=click.IntRange(min=1), help="Which attempt (default: the last).")
@click.pass_context
def logs(
    ctx: click.Context, /, step_id: str, follow: bool, worker: int | None, attempt: int | None
) -> None:
    """Print what a step's workers printed, with the rank in front if there are several.

    With -f it follows over attempts, until the step is final. Ctrl-C ends this command only.
    """
    store = Path(ctx.obj)
    with opened(ctx) as database:
        execution = resolve_execution(database, step_id)
        tails: dict[Path, Tail] = {}
        first = True
        while True:
            row = get_execution(database, execution)
            number = attempt or (row.attempt.number if row.attempt else 0)
            if row.attempt is None and not follow:
                raise NotFound("it has not started, so there is no log", where=f"step {execution}")
            if number:
                folder = worker_folder(store, execution, number, 0).parent
                if first and attempt is not None and not folder.is_dir():
                    raise NotFound(f"there is no attempt {attempt}", where=f"step {execution}")
                _print_new(folder, worker, tails, whole=not follow or row.phase.final)
            first = False
            if not follow or row.phase.final:
                return
            time.sleep(LOOK_EVERY_S)


def _print_new(folder: Path, worker: int | None, tails: dict[Path, Tail], *, whole: bool) -> None:
    ranks = sorted((path for path in folder.glob("[0-9]*")), key=lambda path: int(path.name))
    chosen = [path for path in ranks if worker is None or int(path.name) == worker]
    if worker is not None and ranks and not chosen:
        raise NotFound(f"there is no rank {worker}; there are {len(ranks)} workers")
    for path in chosen:
        prefix = f"[{path.name}] " if len(chosen) > 1 else ""
        tail = tails.setdefault(path, Tail(path / LOG, prefix))
        tail.print_new(whole=whole)


class Tail:
    """Where one log file was left off."""

    def __init__(self, file: Path, prefix: str) -> None:
        """Begin at the start of the file."""
        self._file, self._prefix = file, prefix.encode()
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
