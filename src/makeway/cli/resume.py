"""`makeway resume`: a plan of what is reused and what runs again, each with its reason; then the run.

The workflow is built anew from its file, with the parameters of the earlier run and those that are
given now, and compared step by step with what the earlier run has left behind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import click
import msgspec

from makeway.cli.brought import Served, Watching, bring, built, follow, served
from makeway.cli.connect import asked
from makeway.cli.flows import PARAM, WATCH, define, follow_new, follow_old, parse_params
from makeway.cli.output import OUTPUT, print_data, print_table
from makeway.errors import Conflict
from makeway.live.assemble import embedded
from makeway.live.clock import fresh_id
from makeway.live.owner import user_name
from makeway.model.event import RunSubmitted
from makeway.model.phase import RunPhase
from makeway.model.workflow import Workflow
from makeway.store.database import Database, Location
from makeway.store.earlier import EarlierOutputs, EarlierStep, code_of, steps_of
from makeway.store.read import get_run
from makeway.store.resolve import resolve_run
from makeway.store.rows import RunDetail
from makeway.wire.runs import RunWanted
from makeway.workflows.cache import Keyed
from makeway.workflows.resume import Before, Planned, dependents, named, plan


class ResumePlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a run that resumes another one does: how many steps are reused, and how many run."""

    resumes: str
    workflow: str
    params: dict[str, object]
    reused: int
    runs: int
    steps: tuple[Planned, ...]


class Earlier(msgspec.Struct, frozen=True, kw_only=True):
    """The run that is resumed, its steps, and which of their outputs are whole."""

    run: RunDetail
    steps: Mapping[str, EarlierStep]
    there: frozenset[str]

    def before(self) -> dict[str, Before]:
        """Tell the plan what there is."""
        return {
            key: Before(
                phase=step.phase,
                cache_key=step.cache_key,
                keyed=Keyed(parts=step.key_parts, code=code_of(self.run.workflow, step.key_parts)),
                output=step.output,
                metrics=step.metrics,
                there=key in self.there,
            )
            for key, step in self.steps.items()
        }


@click.command()
@click.argument("run_id", metavar="RUN", default="@last")
@PARAM
@click.option(
    "--from",
    "asked_for",
    multiple=True,
    metavar="STEP",
    help="Run this step again, and all that depends on it.",
)
@click.option("--dry-run", is_flag=True, help="Print the plan, and run nothing.")
@WATCH
@OUTPUT
@click.pass_context
def resume(
    ctx: click.Context,
    /,
    run_id: str,
    params: tuple[str, ...],
    asked_for: tuple[str, ...],
    dry_run: bool,
    watch: bool | None,
    output: str,
) -> None:
    """Go on with a run: what has succeeded with the same code and inputs is not run again.

    A run whose command was killed is taken over with the workers that still run; a run that has
    ended is repeated as a new run that reuses what is there. First it is planned step by step what
    is reused, what runs, and why: --dry-run prints that and ends.
    """
    whom, watching = asked(ctx), Watching(watch=watch, output=output)
    service = served(whom) if whom.url is not None else None
    store = Path(ctx.obj) if service is None else service.store
    earlier = _earlier(store if service is None else service.location, store, run_id)
    if not earlier.run.row.phase.final:
        if params or asked_for:
            hint = f"end it first: makeway cancel {earlier.run.row.id}"
            problem = "it has not ended, so it goes on as it is"
            raise Conflict(problem, where=f"run {earlier.run.row.id}", hint=hint)
        if dry_run:
            _print(_going_on(earlier), output)
            return
        ctx.exit(_go_on(store, service, earlier, watching))
    again = _Again(earlier, parse_params(params), asked_for)
    if dry_run:
        workflow = built(store, again.file, again.name, again.given)
        _print(again.planned(workflow), output)
        return
    ctx.exit(_repeat(store, service, again, watching))


class _Again:
    """A run that has ended, to be repeated with these parameters."""

    def __init__(
        self, earlier: Earlier, params: Mapping[str, str], asked_for: Sequence[str]
    ) -> None:
        self.earlier, self.row = earlier, earlier.run.row
        workflow = earlier.run.workflow
        self.file, self.name = Path(workflow.file), workflow.name
        self.given = {**workflow.given, **params}
        self._asked_for = asked_for

    def planned(self, workflow: Workflow) -> ResumePlan:
        steps = plan(workflow, self.earlier.before(), named(workflow, self._asked_for))
        return _plan_of(self.earlier, workflow.params, steps)

    def fresh(self, workflow: Workflow) -> tuple[str, ...]:
        return dependents(workflow, named(workflow, self._asked_for))

    def nothing_missing(self, planned: ResumePlan) -> bool:
        """Say whether there is nothing to do, and tell the person; tell the plan otherwise."""
        if self.row.phase is RunPhase.SUCCEEDED and not planned.runs and not self._changed(planned):
            click.echo(f"run {self.row.id} has succeeded: nothing is missing", err=True)
            return True
        for one in planned.steps:
            if one.action == "run":
                click.echo(f"{one.step} runs: {one.text}", err=True)
        click.echo(f"{planned.reused} reused, {planned.runs} to run", err=True)
        return False

    def _changed(self, planned: ResumePlan) -> bool:
        return planned.params != self.earlier.run.params


def _earlier(location: Location, store: Path, run_id: str) -> Earlier:
    with Database.open(location, read_only=True) as database:
        run = get_run(database, resolve_run(database, run_id))
        steps = steps_of(database, run.row.id)
        kept = EarlierOutputs(database, store)
        there = frozenset(
            key for key, step in steps.items() if step.output is None or kept.there(step.output)
        )
    return Earlier(run=run, steps=steps, there=there)


def _repeat(store: Path, service: Served | None, again: _Again, watching: Watching) -> int:
    row = again.row
    if service is not None:
        workflow = built(store, again.file, again.name, again.given)
        if again.nothing_missing(again.planned(workflow)):
            return 0
        fresh = again.fresh(workflow)
        wanted = RunWanted(workflow=workflow, queue=row.queue, resumes=row.id, fresh=fresh)
        return bring(service, wanted, watching)
    with embedded(store) as house:
        workflow = define(house, again.file, again.name, again.given)
        if again.nothing_missing(again.planned(workflow)):
            return 0
        earlier = again.earlier
        submission = RunSubmitted(
            run=fresh_id(house.clock.now_ms()),
            workflow=workflow,
            user=user_name(),
            queue=row.queue,
            resumed_from=row.id,
            reusable=tuple(
                step.reusable
                for key, step in earlier.steps.items()
                if step.phase.good and step.cache_key and key in earlier.there
            ),
            fresh=again.fresh(workflow),
        )
        return follow_new(house, submission, watching)


def _go_on(store: Path, service: Served | None, earlier: Earlier, watching: Watching) -> int:
    row, workflow = earlier.run.row, earlier.run.workflow
    if service is not None:
        return follow(service, row.id, workflow, watching)
    with embedded(store) as house:
        return follow_old(house, row.id, Path(workflow.file), watching)


def _going_on(earlier: Earlier) -> ResumePlan:
    steps = []
    for step in earlier.steps.values():
        if step.phase.final:
            text = f"it {step.phase.told}"
            steps.append(Planned(step=step.key, action="reuse", reason="reused", text=text))
        else:
            text = f"goes on, or runs: it is {step.phase.value}"
            steps.append(Planned(step=step.key, action="go on", reason="goes on", text=text))
    return _plan_of(earlier, earlier.run.params, steps)


def _plan_of(earlier: Earlier, params: dict[str, object], steps: Sequence[Planned]) -> ResumePlan:
    return ResumePlan(
        resumes=earlier.run.row.id,
        workflow=earlier.run.workflow.name,
        params=params,
        reused=sum(one.action == "reuse" for one in steps),
        runs=sum(one.action in ("run", "go on") for one in steps),
        steps=tuple(steps),
    )


def _print(planned: ResumePlan, output: str) -> None:
    match output:
        case "table" | "wide":
            rows = [(one.step, one.action, one.text) for one in planned.steps]
            print_table(("step", "action", "why"), rows)
        case "jsonl":
            for one in planned.steps:
                print_data(one, output)
        case "name":
            for one in planned.steps:
                if one.action in ("run", "go on"):
                    click.echo(one.step)
        case _:
            print_data(planned, output)
