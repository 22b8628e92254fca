"""`makeway run`: a controller inside the command, watched till the end."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import FrameType

import click

from makeway.cli.board import Board
from makeway.cli.brought import Watching, bring, built, how_it_ended, served
from makeway.cli.codes import CTRL_C
from makeway.cli.configured import configured
from makeway.cli.connect import asked
from makeway.cli.output import OUTPUT, print_data
from makeway.cli.summary import print_summary
from makeway.cli.view import run_view
from makeway.cli.watch import View, view_for
from makeway.errors import InvalidInput, NotFound
from makeway.live.assemble import House, embedded
from makeway.live.clock import fresh_id
from makeway.live.config import failures_in
from makeway.live.controller import Controller
from makeway.live.machine import this_machine
from makeway.live.owner import user_name
from makeway.model.event import FailuresConfigured, RunCancelRequested, RunSubmitted
from makeway.model.job import CLASSES
from makeway.model.workflow import Workflow
from makeway.server.offered import offered
from makeway.store.blobs import Blobs
from makeway.wire.runs import RunWanted

LOOK_EVERY_MS = 200


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
    watch: bool | None,
    output: str,
) -> None:
    """Run a workflow with processes of this machine, and show it coming alive.

    The run is recorded in the store, whatever happens to this command. Ctrl-C stops the workers
    and says how to go on. Where a service works, the run is brought to it, with all others, and
    Ctrl-C ends this command alone.
    """
    file, _, name = target.partition(":")
    path = Path(file).resolve()
    if not path.is_file():
        raise NotFound("there is no such file", where=file)
    watching, whom = Watching(watch=watch, output=output), asked(ctx)
    if whom.url is not None:
        service = served(whom)
        workflow = built(service.store, path, name or None, parse_params(params))
        wanted = RunWanted(workflow=workflow, queue=queue, job_class=job_class)
        ctx.exit(bring(service, wanted, watching))
    with embedded(Path(ctx.obj)) as house:
        workflow = define(house, path, name or None, parse_params(params))
        submission = RunSubmitted(
            run=fresh_id(house.clock.now_ms()),
            workflow=workflow,
            user=user_name(),
            queue=queue or user_name(),
            priority=CLASSES[job_class],
        )
        code = follow_new(house, submission, watching)
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


def define(house: House, file: Path, name: str | None, params: dict[str, str]) -> Workflow:
    """Build a workflow by the zygote of this house."""
    house.zygote.load(file)
    return house.zygote.define(file, name, params)


def follow_new(house: House, submission: RunSubmitted, watching: Watching) -> int:
    """Bring a run, and watch it to its end."""
    node, rules = this_machine(), _own_rules()
    controller = house.controller()
    controller.recover()
    _tell_of_others(controller)
    controller.start(node)
    controller.submit(rules)
    board = Board(submission)
    with offered(house, controller.inbox):
        board.take(controller.submit(submission))
        return _follow(house, controller, board, watching)


def follow_old(house: House, run_id: str, file: Path, watching: Watching) -> int:
    """Take over a run that another command left behind, and watch it to its end."""
    if file.is_file():
        house.zygote.load(file)
    node, rules = this_machine(), _own_rules()
    controller = house.controller()
    controller.recover()
    board = Board(controller.state.runs[run_id])
    board.adopt(controller.state)
    with offered(house, controller.inbox):
        board.take(controller.start(node))
        board.take(controller.submit(rules))
        return _follow(house, controller, board, watching)


def _own_rules() -> FailuresConfigured:
    """Take the rules of failures of the configuration; what is wrong with them is told first."""
    return FailuresConfigured(failures=failures_in(configured({}, cluster=False).files))


def _follow(house: House, controller: Controller, board: Board, watching: Watching) -> int:
    stop = _StopRequest()
    try:
        with view_for(board, watching.watch) as view:
            _loop(controller, board, view, stop)
    finally:
        controller.flush()
        stop.forget()
    view_of_run = run_view(house.database, board.run_id)
    if watching.output == "table":
        print_summary(view_of_run, Blobs(house.store))
    else:
        print_data(view_of_run, watching.output)
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
    for run_id in controller.state.runs:
        click.echo(f"run {run_id} is not finished. Go on with: makeway resume {run_id}", err=True)
    code = how_it_ended(board, again)
    return CTRL_C if code and stop.count else code


def _tell_of_others(controller: Controller) -> None:
    for run_id in controller.state.runs:
        text = f"run {run_id}, left behind by a makeway that was killed, goes on beside this one"
        click.echo(text, err=True)


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
