"""Read the store: runs, steps, their logs and samples, while they run and long after."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from makeway.cli.draw import draw_graph
from makeway.cli.output import OUTPUT, Column, clock, print_data, print_list, print_table, span
from makeway.cli.summary import selection_text, value_text
from makeway.cli.view import RunView, run_view, step_view
from makeway.store.blobs import Blobs
from makeway.store.database import Database
from makeway.store.read import list_runs
from makeway.store.resolve import resolve_execution, resolve_run
from makeway.store.rows import AttemptRow, RunRow
from makeway.store.troubles import Trouble

RUN_COLUMNS = (
    Column("run", lambda run: run.id),
    Column("workflow", lambda run: run.workflow),
    Column("state", lambda run: run.phase.value),
    Column("steps", lambda run: f"{run.good}/{run.steps}"),
    Column("submitted", lambda run: clock(run.submitted_at_ms)),
    Column("took", lambda run: span(run.submitted_at_ms, run.ended_at_ms)),
    Column("user", lambda run: run.user, wide=True),
    Column("queue", lambda run: run.queue, wide=True),
    Column("resumed from", lambda run: run.resumed_from or "–", wide=True),
    Column("text", lambda run: run.text),
)


@contextmanager
def opened(ctx: click.Context) -> Iterator[Database]:
    """Open the store for reading."""
    database = Database.open(Path(ctx.obj), read_only=True)
    try:
        yield database
    finally:
        database.close()


@click.command()
@click.option("--limit", default=20, show_default=True, help="How many, the latest ones.")
@OUTPUT
@click.pass_context
def runs(ctx: click.Context, /, limit: int, output: str) -> None:
    """List the runs of this store, latest first."""
    with opened(ctx) as database:
        found: list[RunRow] = list_runs(database, limit)
    print_list(found, RUN_COLUMNS, output, name="id")


@click.command("run-show")
@click.argument("run", default="@last")
@OUTPUT
@click.pass_context
def run_show(ctx: click.Context, /, run: str, output: str) -> None:
    """Show a run: every step with its state, why it waits or failed, the selection, the result.

    RUN is an id, the beginning of one, or @last.
    """
    with opened(ctx) as database:
        view = run_view(database, resolve_run(database, run))
    if output in ("table", "wide"):
        _print_run(view, Path(ctx.obj))
    elif output == "name":
        click.echo(view.id)
    else:
        print_data(view, output)


def _print_run(view: RunView, store: Path) -> None:
    head = [f"run {view.id}", view.workflow, view.phase.value.replace("_", " ")]
    head.append(span(view.submitted_at_ms, view.ended_at_ms))
    click.echo("  ".join(head) + (f"  (resumes {view.resumed_from})" if view.resumed_from else ""))
    if view.text:
        click.echo(view.text)
    for one in view.troubles:
        _print_trouble(one)
    if view.params:
        click.echo(
            "params  " + "  ".join(f"{name}={value!r}" for name, value in view.params.items())
        )
    rows = [
        (
            step.key,
            step.phase.value,
            str(step.attempts or "–"),
            span(step.started_at_ms, step.ended_at_ms),
            "  ".join(f"{name} {value:.4g}" for name, value in step.metrics.items()),
            step.text or (f"{step.wait.reason.value}: {step.wait.text}" if step.wait else ""),
        )
        for step in view.steps
    ]
    print_table(("step", "state", "attempts", "took", "metrics", "text"), rows)
    for step in view.steps:
        if step.selection is not None:
            click.echo("\n" + selection_text(step.key, step.selection).rstrip())
    if view.result is not None:
        click.echo("\nresult\n" + value_text(view.result, Blobs(store)))


def _print_trouble(one: Trouble) -> None:
    state = one.phase.value
    tried = f" after {one.attempts} attempts" if one.attempts > 1 else ""
    click.echo(f"  {one.step} {state}{tried}{f': {one.cause}' if one.cause else ''}, {one.text}")
    if one.hint:
        click.echo(f"    hint      {one.hint}")
    if one.holds_up:
        click.echo(f"    holds up  {', '.join(one.holds_up)}")


@click.command("run-graph")
@click.argument("run", default="@last")
@click.pass_context
def run_graph(ctx: click.Context, /, run: str) -> None:
    """Draw the graph of a run: each step under what it waits for, with its state."""
    with opened(ctx) as database:
        view = run_view(database, resolve_run(database, run))
    click.echo(draw_graph(view))


@click.group()
def step() -> None:
    """Show one step of a run. STEP is RUN.KEY, or a KEY alone for the latest run that has it."""


@step.command("show")
@click.argument("step_id", metavar="STEP")
@OUTPUT
@click.pass_context
def step_show(ctx: click.Context, /, step_id: str, output: str) -> None:
    """Show a step: every attempt with its workers, how each ended, and what was decided."""
    with opened(ctx) as database:
        view = step_view(database, resolve_execution(database, step_id))
    if output not in ("table", "wide"):
        print_data(view, output)
        return
    click.echo(f"step {view.step.id}  {view.step.phase.value}")
    if view.step.text:
        click.echo(view.step.text)
    for name, value in view.step.metrics.items():
        click.echo(f"  {name} {value:.6g}")
    if view.step.selection is not None:
        click.echo(selection_text(view.step.key, view.step.selection).rstrip())
    for attempt in view.attempts:
        _print_attempt(attempt)


def _print_attempt(attempt: AttemptRow) -> None:
    took = span(attempt.started_at_ms, attempt.ended_at_ms)
    click.echo(f"\nattempt {attempt.number}  {attempt.phase.value}  {took}")
    if attempt.diagnosis is not None and attempt.diagnosis.cause != "NONE":
        found = attempt.diagnosis
        click.echo(
            f"  cause     {found.cause.value} ({found.cause_class.value}, {found.confidence})"
        )
        click.echo(f"  because   {found.text}")
        if found.hint:
            click.echo(f"  hint      {found.hint}")
    if attempt.decision is not None:
        click.echo(f"  decision  {attempt.decision.action} (rule: {attempt.decision.rule})")
        click.echo(f"            {attempt.decision.text}")
    rows = [
        (
            str(worker.rank),
            worker.node,
            str(worker.pid or "–"),
            worker.lost or _ended(worker.code, worker.signal),
            f"{(worker.memory_peak_bytes or 0) / 2**20:.0f} MiB",
            f"{(worker.cpu_ms or 0) / 1000:.2f} s",
        )
        for worker in attempt.workers
    ]
    print_table(("rank", "node", "pid", "ended", "memory peak", "cpu"), rows)


def _ended(code: int | None, signal: int | None) -> str:
    if signal is not None:
        return f"signal {signal}"
    return "runs" if code is None else f"exit {code}"
