"""Say why a step was computed, and not taken over from an earlier run.

Its key is laid beside those of the steps of the same name that were computed before it, and the one
that differs in least is named, with each difference. What was reused says of which run.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec.structs import replace

from makeway.errors import NotFound
from makeway.model import units
from makeway.model.phase import ExecutionPhase
from makeway.model.workflow import Step, Workflow, step_key
from makeway.store.database import Database
from makeway.store.earlier import (
    EarlierOutputs,
    EarlierStep,
    code_of,
    definition_of,
    entries_of,
    others_computing,
    step_of,
    steps_of,
)
from makeway.store.read import get_job
from makeway.store.resolve import is_job, resolve_execution, resolve_job
from makeway.wire.jobs import CacheView
from makeway.workflows.cache import Difference, Keyed, differences
from makeway.workflows.graph import upstream


def named(database: Database, ref: str) -> tuple[str | None, str | None]:
    """Give the job and the step that are meant; a step that was reused or never began is no job."""
    try:
        job = resolve_job(database, ref)
    except NotFound:
        step = resolve_execution(database, ref)
        return (step if is_job(database, step) else None), step
    return job, job if get_job(database, job).run is not None else None


def cache_view(database: Database, folder: Path, execution: str) -> CacheView:
    """Explain one step of a run."""
    found, kept = step_of(database, execution), EarlierOutputs(database, folder)
    workflow = definition_of(database, found.run)
    step = workflow.step(step_key(found.key))
    view = CacheView(
        step=found.id,
        phase=found.phase.value,
        hit=found.phase is ExecutionPhase.CACHED,
        text=found.text,
        parts=found.key_parts,
    )
    if view.hit:
        return view
    if step.select is not None:
        return replace(view, text="it is decided by makeway itself each time: nothing is reused")
    if not found.key_parts:
        return replace(view, text=_without_key(database, found, step))
    entries = [one for one in entries_of(database, step.key) if _before(one, found)]
    same = [one for one in entries if one.cache_key == found.cache_key]
    if same:
        near = _near(view, same[0], ())
        return replace(near, text=_not_taken(found, step, same[0], kept))
    return _nearest(database, view, Keyed(parts=found.key_parts), workflow, entries)


def _near(view: CacheView, entry: EarlierStep, changed: tuple[Difference, ...]) -> CacheView:
    ended_s = None if entry.ended_at_ms is None else entry.ended_at_ms / 1000
    texts = tuple(one.text for one in changed)
    return replace(view, nearest=entry.id, nearest_s=ended_s, differences=texts)


def _before(entry: EarlierStep, found: EarlierStep) -> bool:
    if entry.id == found.id or entry.ended_at_ms is None:
        return False
    return found.ended_at_ms is None or entry.ended_at_ms <= found.ended_at_ms


def _nearest(
    database: Database,
    view: CacheView,
    keyed: Keyed,
    workflow: Workflow,
    entries: list[EarlierStep],
) -> CacheView:
    if not entries:
        return replace(view, text="never computed before: no earlier run has a step of this name")
    now = Keyed(parts=keyed.parts, code=code_of(workflow, keyed.parts))

    def compared(entry: EarlierStep, code: Mapping[str, str]) -> tuple[Difference, ...]:
        return tuple(differences(Keyed(parts=entry.key_parts, code=code), now))

    # Without what the code is made of, changed code counts once: how near it is does not depend
    # on how many functions were touched.
    nearest = min(entries, key=lambda entry: len(compared(entry, {})))
    made_of = code_of(definition_of(database, nearest.run), nearest.key_parts)
    changed = compared(nearest, made_of)
    said = changed[0].text if changed else "its name or its place is another one"
    more = f", and {len(changed) - 1} more" if len(changed) > 1 else ""
    return replace(
        _near(view, nearest, changed),
        text=f"never computed before; nearest is {nearest.id}: {said}{more}",
    )


def _not_taken(found: EarlierStep, step: Step, entry: EarlierStep, kept: EarlierOutputs) -> str:
    """Say why an output of the very same key was not taken."""
    same = f"the same was computed by {entry.id}"
    if entry.output is not None and not kept.there(entry.output):
        return f"{same}, but its output is gone from the store, or is not what it was"
    if step.cache is None:
        return (
            f"{same}, but this step is not cached: write @mw.step(cache=True), or resume that run"
        )
    ttl_ms = step.cache.ttl_ms
    if ttl_ms is not None:
        ended, now = entry.ended_at_ms or 0, found.ended_at_ms
        if now is None or now - ended > ttl_ms:
            limit = units.time_text(ttl_ms)
            return f"{same}, but that is older than {limit}, the longest that its cache allows"
    return f"{same}, but it was asked for anew, or both ran at one time"


def _without_key(database: Database, found: EarlierStep, step: Step) -> str:
    if found.phase.final:
        return f"it {found.phase.told} before it had a key: {found.text}".rstrip(": ")
    steps = steps_of(database, found.run)
    open_ones = [key for key in upstream(step) if not steps[key].phase.final]
    if open_ones:
        return f"it has no key yet: it waits for {', '.join(open_ones)}"
    others = others_computing(database, found)
    return (
        f"it waits for {others[0]}, which computes the same" if others else "it is about to begin"
    )
