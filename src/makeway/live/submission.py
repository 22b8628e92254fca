"""Take a job that somebody brings: read it, ask whether they may, let the engine have it.

The same key from the same person gives the same job again, however often and from however many
threads it comes; the same key with another job is a mistake. An answer is given when the job is
durable, or when it was refused for good.

Raises:  InvalidInput: it cannot be read · NotAllowed: not this queue, not this class
         NeverFits: no cluster like this one could run it, or a limit of its queue says no
         Conflict: the key was used for something else
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath

import msgspec
from msgspec.structs import replace

from makeway.errors import Conflict, InvalidInput, NeverFits, NotFound
from makeway.intake.jobs import hold_of, spec_of
from makeway.intake.located import item_of
from makeway.live.inbox import Told
from makeway.live.rights import Owners, assert_may, assert_may_use, own_queue
from makeway.model.event import Event, JobHoldRequested, JobRejected, JobSubmitted
from makeway.model.job import JobSpec
from makeway.model.resources import CPU, Resources
from makeway.model.rules import Rules
from makeway.store.database import Database
from makeway.store.resolve import resolve_job
from makeway.wire.tokens import Caller, Scope

WHOLE = "job"
ONE_CPU = Resources.of({CPU: 1000})


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What a submission is read by: the rules in force, the queues there are, and whose they are."""

    rules: Rules
    declared: Sequence[str]
    owners: Owners


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a person wants, read and allowed."""

    spec: JobSpec
    hold: bool


def read(body: Mapping[str, object], caller: Caller, terms: Terms, database: Database) -> Wanted:
    """Read what a person wants, and refuse what they may not have."""
    assert_may(caller, Scope.SUBMIT)
    item = item_of(dict(body), WHOLE)
    user = caller.user
    if caller.may(Scope.ADMIN) and isinstance(named := body.get("user"), str) and named:
        user = named
    queue = own_queue(user, terms.declared, terms.owners)
    defaults = JobSpec(name=name_from(body.get("command")), user=user, queue=queue)
    spec = _with_room(spec_of(item, terms.rules, defaults), body)
    if spec.user != user:
        raise InvalidInput("only administrators bring jobs for others", where=f"{WHOLE}: user")
    assert_may_use(caller, spec.queue, spec.priority, terms.owners)
    after = tuple(
        replace(one, job=_known(database, one.job, at)) for at, one in enumerate(spec.after)
    )
    return Wanted(spec=replace(spec, after=after), hold=hold_of(item))


def _with_room(spec: JobSpec, body: Mapping[str, object]) -> JobSpec:
    """Let a worker of which nothing is said take one processor: nobody means none at all."""
    written = body.get("groups")
    silent = {
        group.name
        for at, group in enumerate(spec.groups)
        if "per_worker" not in (written[at] if isinstance(written, list) else body)
    }
    groups = tuple(
        replace(group, per_worker=ONE_CPU) if group.name in silent else group
        for group in spec.groups
    )
    return replace(spec, groups=groups)


def name_from(command: object) -> str:
    """Make a name of a command: that of its script, if an interpreter runs one."""
    words = command.split() if isinstance(command, str) else command
    if not isinstance(words, list) or not words:
        return ""
    paths = [PurePath(str(word)) for word in words if word and not str(word).startswith("-")]
    scripts = [path for path in paths if path.suffix in (".py", ".sh")]
    chosen = (scripts or paths or [PurePath("job")])[0]
    return chosen.stem or "job"


def events_of(job: str, wanted: Wanted, caller: Caller) -> list[Event]:
    """Give the facts of a submission."""
    events: list[Event] = [JobSubmitted(job=job, spec=wanted.spec)]
    if wanted.hold:
        events.append(JobHoldRequested(job=job, text=f"held by {caller.user} as it came"))
    return events


def assert_taken(job: str, told: Told) -> None:
    """Raise if the engine did not take the job, or refused it for good."""
    for refused in told.refused:
        if isinstance(refused.event, JobSubmitted) and refused.event.job == job:
            raise Conflict(refused.why, where=WHOLE)
    for entry in told.entries:
        if isinstance(entry.event, JobRejected) and entry.event.job == job:
            wait = entry.event.wait
            hint = f"it is on record as {job}, and ended"
            raise NeverFits(f"{wait.reason.value}: {wait.text}", where=WHOLE, hint=hint)


def _known(database: Database, named: str, at: int) -> str:
    try:
        return resolve_job(database, named)
    except NotFound as error:
        raise InvalidInput(error.problem, where=f"{WHOLE}: after[{at}]", hint=error.hint) from None
