"""Give MLflow's client experiments: each workflow is one, `jobs` is the rest, others are made.

A worker that names an experiment means that its own run shall be in it: scripts begin so. It is
noted what it asked for last, and when it takes up its run, the job gets a tag that says so.

Raises:  NotFound · Conflict · NotAllowed: a workflow, or `jobs`, cannot be renamed or deleted
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from makeway.errors import Conflict, InvalidInput, NotAllowed, NotFound
from makeway.executor.base import Readings
from makeway.live.clock import fresh_id
from makeway.live.tracker import WORKFLOW as WORKFLOW_OF_RUN
from makeway.live.tracker import Teller, Tracker
from makeway.model.record import Note
from makeway.model.tracked import (
    JOBS,
    JOBS_ID,
    LONG,
    RUN,
    WORKFLOW,
    experiment_of_workflow,
    job_of,
)
from makeway.store.told import read_told
from makeway.store.tracked import (
    ACTIVE,
    DELETED,
    TrackedExperiment,
    change_experiment,
    find_experiment,
    find_experiment_named,
    forget_tag,
    list_experiments,
    list_workflows,
    make_experiment,
)

DEFAULT = "Default"  # as the client calls the experiment that is always there
NAME_CHARS_MAX = 500


def experiment(tracker: Tracker, name: str, teller: Teller | None = None) -> TrackedExperiment:
    """Give the experiment of an id."""
    found = _experiment(tracker, name)
    _asked(tracker, teller, found)
    return found


def experiment_named(tracker: Tracker, name: str, teller: Teller) -> TrackedExperiment:
    """Give the experiment of a name: what somebody made comes before a workflow of that name."""
    found = find_experiment_named(tracker.reader, name)
    if found is None and name in (JOBS, DEFAULT):
        found = _jobs()
    if found is None:
        since = dict(list_workflows(tracker.reader)).get(name)
        found = None if since is None else _workflow(name, since)
    if found is None:
        raise NotFound(f"there is no experiment {name!r}")
    _asked(tracker, teller, found)
    return found


def make(tracker: Tracker, name: str, teller: Teller) -> TrackedExperiment:
    """Make an experiment."""
    _assert_may_make(teller)
    if not 0 < len(name.strip()) <= NAME_CHARS_MAX:
        raise InvalidInput(f"it has 1 to {NAME_CHARS_MAX} letters", where="name")
    if name in (JOBS, DEFAULT) or name in dict(list_workflows(tracker.reader)):
        raise Conflict(f"there is an experiment {name!r} already", where="name")
    now_ms = tracker.now_ms()
    made = TrackedExperiment(
        id=fresh_id(now_ms), name=name, stage=ACTIVE, created_at_ms=now_ms, changed_at_ms=now_ms
    )
    make_experiment(tracker.database, made)
    _asked(tracker, teller, made)
    return made


def change(
    tracker: Tracker, teller: Teller, which: str, *, name: str | None = None, stage: str = ACTIVE
) -> None:
    """Rename an experiment, delete it or bring it back."""
    _assert_may_make(teller)
    known = find_experiment(tracker.reader, which)
    if known is None:
        _experiment(tracker, which)
        raise NotAllowed("a workflow is as its file says", where=f"experiment {which}")
    if name is not None and not 0 < len(name.strip()) <= NAME_CHARS_MAX:
        raise InvalidInput(f"it has 1 to {NAME_CHARS_MAX} letters", where="new_name")
    changed = msgspec.structs.replace(
        known, name=name or known.name, stage=stage, changed_at_ms=tracker.now_ms()
    )
    change_experiment(tracker.database, changed)


def experiments(tracker: Tracker, view: str = "ACTIVE_ONLY") -> Sequence[TrackedExperiment]:
    """List all, the newest first."""
    made = list_experiments(tracker.reader)
    workflows = [_workflow(*each) for each in list_workflows(tracker.reader)]
    every = sorted((*made, *workflows), key=lambda one: (-one.created_at_ms, one.id))
    stages = {"ACTIVE_ONLY": {ACTIVE}, "DELETED_ONLY": {DELETED}}.get(view, {ACTIVE, DELETED})
    return [one for one in (*every, _jobs()) if one.stage in stages]


def tags(tracker: Tracker, which: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
    """Give the tags of experiments."""
    told = read_told(tracker.reader, [_subject(one) for one in which])
    return {one: told[_subject(one)].tags for one in which}


def tag(tracker: Tracker, teller: Teller, which: str, values: Mapping[str, str]) -> None:
    """Let an experiment have these tags."""
    _assert_may_make(teller)
    known = _experiment(tracker, which)
    at_ms = tracker.now_ms()
    notes = tuple(Note(kind="tag", key=key, at_ms=at_ms, value=one) for key, one in values.items())
    if notes:
        readings = Readings(job=_subject(known.id), number=1, rank=0, samples=(), notes=notes)
        tracker.ground.inbox.record([readings])


def untag(tracker: Tracker, teller: Teller, which: str, key: str) -> None:
    """Take a tag of an experiment away."""
    _assert_may_make(teller)
    forget_tag(tracker.database, _subject(_experiment(tracker, which).id), key)


def _subject(which: str) -> str:
    """Name what the tags of an experiment are kept under."""
    return f"experiment:{which}"


def _experiment(tracker: Tracker, which: str) -> TrackedExperiment:
    if which == JOBS_ID:
        return _jobs()
    found = find_experiment(tracker.reader, which)
    if found is None and which.startswith(RUN):
        rows = tracker.reader.find(WORKFLOW_OF_RUN, (job_of(which.removeprefix(RUN)),))
        found = _workflow(rows[0][0], 0) if rows else None
    if found is None and which.startswith((WORKFLOW, LONG)):
        every = (_workflow(*each) for each in list_workflows(tracker.reader))
        found = next((one for one in every if one.id == which), None)
    if found is None:
        raise NotFound(f"there is no experiment of id {which!r}")
    return found


def _asked(tracker: Tracker, teller: Teller | None, found: TrackedExperiment) -> None:
    if teller is not None and teller.speaker is not None:
        tracker.asked_for[teller.speaker.job] = found.id


def _assert_may_make(teller: Teller) -> None:
    if not teller.may_tell:
        raise NotAllowed(f"{teller.user}'s token is not for telling anything", where="experiment")


def _jobs() -> TrackedExperiment:
    return TrackedExperiment(id=JOBS_ID, name=JOBS, stage=ACTIVE, created_at_ms=0, changed_at_ms=0)


def _workflow(name: str, since_ms: int) -> TrackedExperiment:
    return TrackedExperiment(
        id=experiment_of_workflow(name), name=name, stage=ACTIVE, created_at_ms=since_ms,
        changed_at_ms=since_ms,
    )  # fmt: skip
