"""`makeway run` and `makeway resume`: a controller inside the command, watched till the end."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import FrameType

import click
import msgspec

from makeway.cli.board import Board
from makeway.cli.history import OUTPUT, print_data
from makeway.cli.summary import print_summary
from makeway.cli.watch import View, view_for
from makeway.errors import InvalidInput, NotFound
from makeway.live.assemble import House, embedded
from makeway.live.clock import fresh_id
from makeway.live.controller import Controller
from makeway.live.machine import this_machine
from makeway.live.owner import user_name
from makeway.model.event import RunCancelRequested, RunSubmitted
from makeway.model.job import CLASSES
from makeway.model.phase import RunPhase
from makeway.model.workflow import Reusable, Workflow
from makeway.store.database import Database
from makeway.store.read import Reader

LOOK_EVERY_MS = 200
ENDED_BADLY, CTRL_C = 5, 130

PARAM = click.option(
    "-P", "params", multiple=True, metavar="KEY=VALUE", help="A parameter of the workflow."
)
WATCH = click.option(
    "--watch/--no-watch",
    default=None,
    help="Draw the graph live (default: if standard error is a terminal), or print lines.",
)


@click.command()
@click.argument("target", metavar="FILE.py[:WORKFLOW]")
@PARAM
@click.option("--queue", default=None, help="Whose account it runs on (default: your name).")
@click.option("--class", "job_class", type=click.Choice(list(CLASSES)), default="medium")
@WATCH
@OUTPUT
@click.pass_context
def run(
    ctx: click.Context,
    /,
    target: str,
    params: tuple[str, ...],
    queue: str | None,
    job_class: str,
    watch: bool | None,  # noqa: FBT001 - click passes options by name
    output: str,
) -> None:
    """Run a workflow with processes of this machine, and show it coming alive.

    The run is recorded in the store, whatever happens to this command. Ctrl-C stops the workers
    and says how to go on.
    """
    file, _, name = target.partition(":")
    path = Path(file).resolve()
    if not path.is_file():
        raise NotFound("there is no such file", where=file)
    with embedded(Path(ctx.obj)) as house:
        workflow = _define(house, path, name or None, parse_params(params))
        submission = RunSubmitted(
            run=fresh_id(house.clock.now_ms()),
            workflow=workflow,
            user=user_name(),
            queue=queue or user_name(),
            priority=CLASSES[job_class],
        )
        code = _follow_new(house, submission, watch=watch, output=output)
    ctx.exit(code)


@click.command()
@click.argument("run_id", metavar="RUN", default="@last")
@PARAM
@click.option("--dry-run", is_flag=True, help="Say what would be reused, and run nothing.")
@WATCH
@OUTPUT
@click.pass_context
def resume(
    ctx: click.Context,
    /,
    run_id: str,
    params: tuple[str, ...],
    dry_run: bool,  # noqa: FBT001 - click passes options by name
    watch: bool | None,  # noqa: FBT001 - click passes options by name
    output: str,
) -> None:
    """Go on with a run: what has succeeded with the same code and inputs is not run again.

    A run whose command was killed is taken over with the workers that still run; a run that has
    ended is repeated as a new run that reuses what is there.
    """
    store = Path(ctx.obj)
    database = Database.open(store, read_only=True)
    try:
        reader = Reader(database)
        earlier = reader.get_run(reader.resolve_run(run_id))
        workflow = msgspec.convert(earlier.definition, Workflow)
        reusable = reader.reusable(earlier.id)
    finally:
        database.close()
    phase = RunPhase(earlier.phase)
    if phase is RunPhase.SUCCEEDED and not params:
        click.echo(f"run {earlier.id} has succeeded: nothing is missing", err=True)
        return
    if dry_run:
        _print_plan(workflow, reusable, finished=phase.final)
        return
    with embedded(store) as house:
        if not phase.final:
            code = _follow_old(house, earlier.id, Path(workflow.file), watch=watch, output=output)
        else:
            given = {**workflow.given, **parse_params(params)}
            again = _define(house, Path(workflow.file), workflow.name, given)
            submission = RunSubmitted(
                run=fresh_id(house.clock.now_ms()),
                workflow=again,
                user=user_name(),
                queue=earlier.queue,
                priority=earlier.priority,
                resumed_from=earlier.id,
                reusable=tuple(reusable),
            )
            code = _follow_new(house, submission, watch=watch, output=output)
    ctx.exit(code)


def parse_params(params: tuple[str, ...]) -> dict[str, str]:
    """Split `KEY=VALUE`; a key given twice is a mistake."""
    given: dict[str, str] = {}
    for param in params:
        key, equals, value = param.partition("=")
        if not equals or not key:
            raise InvalidInput("it must be KEY=VALUE", where=f"-P {param}")
        if key in given:
            raise InvalidInput("it is given twice", where=f"-P {key}")
        given[key] = value
    return given


def _define(house: House, file: Path, name: str | None, params: dict[str, str]) -> Workflow:
    house.zygote.load(file)
    return house.zygote.define(file, name, params)


def _follow_new(
    house: House, submission: RunSubmitted, *, watch: bool | None, output: str
) -> int:
    node = this_machine()
    controller = house.controller(node.name)
    controller.start(node)
    _tell_of_others(controller)
    entries = controller.submit(submission)
    board = Board(submission)
    board.take(entries)
    return _follow(controller, board, watch=watch, output=output)


def _follow_old(
    house: House, run_id: str, file: Path, *, watch: bool | None, output: str
) -> int:
    if file.is_file():
        house.zygote.load(file)
    node = this_machine()
    controller = house.controller(node.name)
    entries = controller.start(node)
    run = controller.state.runs.get(run_id)
    if run is None:  # its last worker ended while nobody was there: that is all it was missing
        raise NotFound("it has ended in the meantime", where=f"run {run_id}")
    board = Board(run)
    board.adopt(controller.state)
    board.take(entries)
    return _follow(controller, board, watch=watch, output=output)


def _follow(controller: Controller, board: Board, *, watch: bool | None, output: str) -> int:
    stop = _StopRequest()
    view = view_for(board, watch)
    try:
        with view:
            _loop(controller, board, view, stop)
    finally:
        controller.flush()
        stop.forget()
    if output == "table":
        print_summary(board)
    else:
        print_data(board.data(), output)
    return _leave(controller, board, stop)


def _loop(controller: Controller, board: Board, view: View, stop: _StopRequest) -> None:
    asked = False
    view.show()
    while not board.phase.final and stop.count <= 1:
        if stop.count and not asked:
            asked = True
            request = RunCancelRequested(run=board.run_id, text=f"stopped by {stop.word}")
            board.take(controller.submit(request))
            view.show()
            continue
        turn = controller.turn(LOOK_EVERY_MS)
        board.take(turn.entries, turn.readings)
        view.show()


def _leave(controller: Controller, board: Board, stop: _StopRequest) -> int:
    again = f"makeway resume {board.run_id}"
    if not board.phase.final:
        click.echo(f"left at once; workers may still be stopping. Go on with: {again}", err=True)
        return CTRL_C
    others = [run for run in controller.state.runs if run != board.run_id]
    for run_id in others:
        click.echo(f"run {run_id} is not finished. Go on with: makeway resume {run_id}", err=True)
    if board.phase in (RunPhase.SUCCEEDED, RunPhase.SUCCEEDED_WITH_FAILURES):
        return 0
    click.echo(f"Go on with: {again}   (only what is missing runs)", err=True)
    return CTRL_C if stop.count else ENDED_BADLY


def _tell_of_others(controller: Controller) -> None:
    for run_id in controller.state.runs:
        text = f"run {run_id}, left behind by a makeway that was killed, goes on beside this one"
        click.echo(text, err=True)


def _print_plan(workflow: Workflow, reusable: list[Reusable], *, finished: bool) -> None:
    have = {each.step for each in reusable}
    for step in workflow.steps:
        if step.key in have:
            text = "is there; reused if its code and inputs are the same"
        elif step.select is not None:
            text = "is decided again"
        else:
            text = "runs" if finished else "goes on, or runs"
        click.echo(f"{step.key:<24} {text}")


class _StopRequest:
    """Count Ctrl-C (and SIGTERM) instead of dying of it."""

    def __init__(self) -> None:
        self.count, self.word = 0, "Ctrl-C"
        self._before = {
            number: signal.signal(number, self._signalled)
            for number in (signal.SIGINT, signal.SIGTERM)
        }

    def _signalled(self, number: int, _frame: FrameType | None) -> None:
        self.count += 1
        self.word = "Ctrl-C" if number == signal.SIGINT else "SIGTERM"
        text = "stopping the workers; once more leaves at once" if self.count == 1 else "leaving"
        os.write(sys.stderr.fileno(), f"\n{text}\n".encode())

    def forget(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


