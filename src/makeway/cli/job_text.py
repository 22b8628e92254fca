"""Write jobs for people: one row in a list, or all that is known of one."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator, Mapping

import click

from makeway.cli.amount_text import amounts_text
from makeway.cli.output import Column, clock, print_table
from makeway.wire.jobs import AttemptView, JobView, WaitView, WorkerView

FINAL = ("succeeded", "failed", "cancelled")
NEVER = ("Misconfigured", "ExceedsLimit", "NoNodeFits")
NOTHING = "–"


def state_of(job: JobView) -> str:
    """Say in a word where a job stands."""
    return "held" if job.held and job.phase == "queued" else job.phase


def said_of(job: JobView) -> str:
    """Say in a sentence why a job waits, what is wrong with it, or how it ended."""
    if job.symptom is not None:
        return f"{job.symptom.name}: {job.symptom.text}"
    return wait_text(job.wait) or job.text


def wait_text(wait: WaitView | None) -> str:
    """Write why a job waits: the reason and its sentence."""
    return "" if wait is None else f"{wait.reason}: {wait.text}"


def workers_text(job: JobView) -> str:
    """Write how many workers there are, of how many; only the latter while there are none."""
    least, most = sum(one.min for one in job.groups), sum(one.max for one in job.groups)
    asked = str(most) if least == most else f"{least}–{most}"
    if not job.workers:
        return asked
    return asked if least == most == job.workers else f"{job.workers} of {asked}"


def placement_text(job: JobView | AttemptView) -> str:
    """Write where workers are: `n1 ×2, n2`; with the group in front if there are several."""
    return ", ".join(_placed(job.placement))


def _placed(placement: Mapping[str, object], group: str = "") -> Iterator[str]:
    for name, one in placement.items():
        if isinstance(one, Mapping):
            yield from _placed(one, f"{name}: ")
        else:
            yield f"{group}{name}" + (f" ×{one}" if one != 1 else "")


def at(at_s: float | None) -> str:
    """Write an instant in local time."""
    return clock(None if at_s is None else int(at_s * 1000))


def lasting(begin_s: float | None, end_s: float | None = None) -> str:
    """Write how long something took, or has taken so far."""
    if begin_s is None:
        return NOTHING
    span_s = max(0.0, (time.time() if end_s is None else end_s) - begin_s)
    if span_s < 60:
        return f"{span_s:.1f} s"
    minutes, seconds = divmod(int(span_s), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"


def _since(job: JobView) -> str:
    """Write how long a job has run or waited."""
    running = job.phase in ("running", "evicting") and job.started_s is not None
    return lasting(job.started_s if running else job.submitted_s)


def _per_worker(job: JobView) -> str:
    groups = job.groups
    if len(groups) == 1:
        return amounts_text(groups[0].per_worker)
    return "; ".join(f"{one.name}: {amounts_text(one.per_worker)}" for one in groups)


LINE = (
    Column("#", lambda job: NOTHING if job.position is None else str(job.position)),
    Column("job", lambda job: job.id),
    Column("name", lambda job: job.name),
    Column("user", lambda job: job.user),
    Column("queue", lambda job: job.queue),
    Column("class", lambda job: job.job_class),
    Column("workers", workers_text),
    Column("state", state_of),
    Column("for", _since),
    Column("per worker", _per_worker, wide=True),
    Column("nodes", lambda job: placement_text(job) or NOTHING, wide=True),
    Column("command", lambda job: shlex.join(job.command), wide=True),
    Column("why", said_of),
)
JOBS = (
    Column("job", lambda job: job.id),
    Column("name", lambda job: job.name),
    Column("user", lambda job: job.user),
    Column("queue", lambda job: job.queue),
    Column("class", lambda job: job.job_class),
    Column("workers", workers_text),
    Column("state", state_of),
    Column("submitted", lambda job: at(job.submitted_s)),
    Column("took", lambda job: lasting(job.started_s, job.ended_s)),
    Column("attempts", lambda job: str(job.attempt or NOTHING)),
    Column("evicted", lambda job: str(job.preemptions or NOTHING), wide=True),
    Column("per worker", _per_worker, wide=True),
    Column("command", lambda job: shlex.join(job.command), wide=True),
    Column("text", said_of),
)


def print_job(job: JobView) -> None:
    """Print all that is known of a job."""
    click.echo(f"job {job.id}  {job.name}  {state_of(job)}")
    if job.text:
        click.echo(job.text)
    if job.symptom is not None:
        click.echo(f"it is {job.symptom.name}: {job.symptom.text}")
        for one in job.symptom.evidence:
            click.echo(f"  {one}")
    if job.wait is not None:
        click.echo(f"{'was refused' if job.wait.reason in NEVER else 'waits'}: {job.wait.reason}")
        print_wait(job.wait)
    facts = {
        "user": job.user,
        "queue": job.queue,
        "class": f"{job.job_class} ({job.priority})",
        "place": "" if job.position is None else f"{job.position} in line",
        "workers": f"{workers_text(job)}, each with {_per_worker(job) or 'nothing'}",
        "nodes": placement_text(job),
        "command": shlex.join(job.command),
        "directory": job.directory,
        "run": job.run or "",
        "after": ", ".join(job.after),
        "time limit": "" if job.time_limit_s is None else f"{job.time_limit_s:g} s",
        "submitted": at(job.submitted_s),
        "started": "" if job.started_s is None else at(job.started_s),
        "ended": "" if job.ended_s is None else at(job.ended_s),
        "evicted": f"{job.preemptions} times" if job.preemptions else "",
    }
    for name, text in facts.items():
        if text:
            click.echo(f"  {name:<10} {text}")
    for attempt in job.attempts:
        _print_attempt(attempt)


def print_wait(wait: WaitView, when: Callable[[float], str] | None = None) -> None:
    """Print the sentence of a wait, who is in the way, and what would start the job."""
    click.echo(f"  {wait.text}")
    if wait.blocked_by:
        click.echo(f"  in its way: {', '.join(wait.blocked_by)}")
    for change in wait.unblock:
        verb = "with" if "node" in change else "if you"
        click.echo(f"  it would start {verb} {change}")
    eta = wait.detail.get("eta")
    if wait.starts_s is not None:
        instant = (when or at)(wait.starts_s)
        click.echo(f"  expected to start at {instant}" + (f", {eta}" if eta else ""))
    elif eta:
        click.echo(f"  no estimate of its start: {eta}")


def _print_attempt(attempt: AttemptView) -> None:
    took = lasting(attempt.started_s, attempt.ended_s)
    end = f": {attempt.end}" if attempt.end else ""
    click.echo(f"\nattempt {attempt.number}  {attempt.phase}{end}  {took}")
    for name in ("text", "hint", "decision"):
        if text := getattr(attempt, name):
            click.echo(f"  {'because' if name == 'text' else name:<10} {text}")
    rows = [_worker(worker) for worker in attempt.workers]
    if rows:
        print_table(("rank", "node", "pid", "ended", "memory peak", "cpu"), rows)
    elif attempt.placement:
        click.echo(f"  on         {placement_text(attempt)}")


def _worker(worker: WorkerView) -> tuple[str, ...]:
    if worker.lost is not None:
        ended = worker.lost
    elif worker.signal is not None:
        ended = f"signal {worker.signal}"
    elif worker.exit_code is not None:
        ended = f"exit {worker.exit_code}"
    else:
        ended = "runs" if worker.ended_s is None else "ended"
    peak, cpu_s = worker.memory_peak, worker.cpu_s
    return (
        str(worker.rank),
        worker.node,
        NOTHING if worker.pid is None else str(worker.pid),
        ended,
        NOTHING if peak is None else f"{peak / 2**20:.0f} MiB",
        NOTHING if cpu_s is None else f"{cpu_s:.2f} s",
    )
