"""Bring a run to the service that works here, and watch it come alive from the events it tells.

The workflow is built here, by a process of this command, as it is without a service; what is built
goes to the service, and its workers are the service's. So the service must work in a store of this
machine: the artifacts that the workflow was built with lie there.
"""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from makeway.cli.board import Board
from makeway.cli.codes import ENDED_BADLY, NEVER
from makeway.cli.configured import configured
from makeway.cli.connect import Asked, opened
from makeway.cli.news import News, in_peace, last_event
from makeway.cli.output import print_data
from makeway.cli.summary import print_summary
from makeway.cli.ui import link_to
from makeway.cli.view import run_view
from makeway.cli.watch import view_for
from makeway.errors import Unreachable
from makeway.executor.zygote import Zygote
from makeway.live.assemble import location_of
from makeway.model.event import RunSubmitted
from makeway.model.phase import RunPhase
from makeway.model.workflow import Workflow
from makeway.store.blobs import Blobs
from makeway.store.database import Database, Location
from makeway.wire.runs import RunWanted

LOOK_EVERY_S = 0.2


class Watching(msgspec.Struct, frozen=True, kw_only=True):
    """How the person wants to watch, and what to print at the end."""

    watch: bool | None
    output: str


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """The service that is asked, its store, and where what it writes down can be read."""

    whom: Asked
    store: Path
    location: Location


def served(whom: Asked) -> Served:
    """Find the store in which a service works; it must be on this machine."""
    with opened(whom) as desk:
        store = Path(desk.status().store)
    if not store.is_dir():
        problem = f"the service works in {store}, which is not on this machine"
        hint = "bring the run on the machine of the service; jobs can be submitted from anywhere"
        raise Unreachable(problem, where=whom.url or "", hint=hint)
    database = configured({}, cluster=False).service.database
    return Served(whom=whom, store=store, location=location_of(store, database))


def built(store: Path, file: Path, name: str | None, params: dict[str, str]) -> Workflow:
    """Build a workflow, with what it is built with in this store."""
    zygote = Zygote(store)
    try:
        zygote.load(file)
        return zygote.define(file, name, params)
    finally:
        zygote.close()


def bring(asking: Served, wanted: RunWanted, watching: Watching) -> int:
    """Let the service have a run, and follow it to its end."""
    with opened(asking.whom) as desk:
        after = last_event(desk)
        run = desk.bring_run(wanted)
        submission = RunSubmitted(
            run=run.id,
            workflow=wanted.workflow,
            user=run.user,
            queue=run.queue,
            resumed_from=run.resumed_from,
        )
    if asking.whom.url is not None:
        page = link_to(asking.whom.url, f"/runs/{run.id}")
        click.echo(f"its page: {page}   (makeway ui /runs/{run.id} signs you in)", err=True)
    return _follow(asking, Board(submission), after, watching)


def follow(asking: Served, run: str, workflow: Workflow, watching: Watching) -> int:
    """Follow a run that the service has already, from its beginning."""
    board = Board(RunSubmitted(run=run, workflow=workflow, user="", queue=""))
    return _follow(asking, board, 0, watching)


def _follow(asking: Served, board: Board, after: int, watching: Watching) -> int:
    news = News(asking.whom, after)
    left = f"stopped watching; run {board.run_id} goes on. See it: makeway resume {board.run_id}"
    with in_peace(f"{left}; end it: makeway cancel {board.run_id}"):
        with view_for(board, watching.watch) as view:
            view.show()
            while not board.phase.final:
                entry = news.next(LOOK_EVERY_S)
                while entry is not None:
                    board.take([entry])
                    entry = news.next(0)
                if news.over and not board.phase.final:
                    hint = f"when a service works again: makeway resume {board.run_id}"
                    raise Unreachable("the service has ended; the run goes on", hint=hint)
                view.show()
        _print(asking, board, watching.output)
    return how_it_ended(board, f"makeway resume {board.run_id}")


def _print(asking: Served, board: Board, output: str) -> None:
    with Database.open(asking.location, read_only=True) as database:
        view = run_view(database, board.run_id)
    if output == "table":
        print_summary(view, Blobs(asking.store))
    else:
        print_data(view, output)


def how_it_ended(board: Board, again: str) -> int:
    """Say how a run ended and how to go on; give the exit code."""
    text = f": {board.text}" if board.text else ""
    click.echo(f"run {board.run_id} {board.phase.value.replace('_', ' ')}{text}", err=True)
    if board.phase in (RunPhase.SUCCEEDED, RunPhase.SUCCEEDED_WITH_FAILURES):
        return 0
    if not board.never:
        click.echo(f"go on with: {again}   (only what is missing runs)", err=True)
    return NEVER if board.never else ENDED_BADLY
