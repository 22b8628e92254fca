"""Read what the pages show of runs, steps and the cluster's last day, for one caller.

What a desk answers is for everybody who asks; this is more, and plainer: rows as the store has them,
from which the pages choose.

Raises:  NotFound · NotAllowed: the caller may not read
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import sqlalchemy as sa

from makeway.codec import decode_event
from makeway.executor.folder import worker_folder
from makeway.health.judge import judge
from makeway.health.remedy import remedy
from makeway.intake.evidence import incident_of
from makeway.intake.located import item_of
from makeway.lineage.query import parse
from makeway.live.behind import Behind
from makeway.live.logs import tails
from makeway.live.rights import assert_may
from makeway.model import event as ev
from makeway.model.job import JobSpec
from makeway.store import schema
from makeway.store.decisions import DecisionFilter, DecisionRow, list_decisions
from makeway.store.evidence import document_of
from makeway.store.facets import Facet, facets
from makeway.store.history import History, Window, history, job_names
from makeway.store.log import ENTRIES, EVENTS
from makeway.store.occupancy import Held, held_since, used_now
from makeway.store.read import get_job, get_run, list_attempts, list_executions, list_runs
from makeway.store.resolve import resolve_execution, resolve_run
from makeway.store.rows import AttemptRow, ExecutionRow, RunDetail, RunRow
from makeway.store.saved import SavedSearch, forget_search, save_search, saved_searches
from makeway.store.sparks import sparks
from makeway.store.statement import same
from makeway.wire.diagnosis import written
from makeway.wire.tokens import Caller, Scope

TAIL_BYTES = 1 << 15
IS_JOB = sa.select(schema.job.c.id).where(same(schema.job.c.id))
RESIZES = ENTRIES.where(same(EVENTS.job), EVENTS.type == "AttemptResized")


class RunFound(msgspec.Struct, frozen=True, kw_only=True):
    """A run, with its definition and every step that it has or will have."""

    detail: RunDetail
    steps: tuple[ExecutionRow, ...]


class StepFound(msgspec.Struct, frozen=True, kw_only=True):
    """A step of a run, or a job: what was asked for (once it is a job), and all its attempts.

    `before` names the steps of the run that wait for it.
    """

    id: str
    step: ExecutionRow | None
    run: RunDetail | None
    spec: JobSpec | None
    attempts: tuple[AttemptRow, ...]
    before: tuple[str, ...] = ()


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt as the rules of failures see it: the document, and what is made of it."""

    document: dict[str, object]
    diagnosis: dict[str, object]


class Records:
    """What one caller may read; see the module."""

    def __init__(self, service: Behind, caller: Caller) -> None:
        """Take whose records they are, and who reads."""
        assert_may(caller, Scope.READ)
        self._service, self._reader, self._user = service, service.reader, caller.user

    def now_ms(self) -> int:
        """Tell the time as the log does."""
        return self._service.now_ms()

    def runs(self, limit: int, before: str | None = None) -> Sequence[RunRow]:
        """List runs, the newest first; `before` pages."""
        return list_runs(self._reader, limit, before)

    def run(self, ref: str) -> RunFound:
        """Give a run by its id, the beginning of one, or `@last`."""
        run = resolve_run(self._reader, ref)
        return RunFound(
            detail=get_run(self._reader, run), steps=tuple(list_executions(self._reader, run))
        )

    def step(self, ref: str) -> StepFound:
        """Give a step, or a job, as a person names it."""
        name = resolve_execution(self._reader, ref)
        run, step = None, None
        before: tuple[str, ...] = ()
        if "." in name:
            found = self.run(name.partition(".")[0])
            run = found.detail
            step = next((one for one in found.steps if one.id == name), None)
            before = tuple(
                one.key for one in found.steps if step is not None and step.key in one.after
            )
        spec = None
        attempts: tuple[AttemptRow, ...] = ()
        if self._reader.rows(IS_JOB, {"id": name}):  # one that is chosen or reused never is a job
            spec = get_job(self._reader, name).spec
            attempts = tuple(list_attempts(self._reader, name))
        return StepFound(id=name, step=step, run=run, spec=spec, attempts=attempts, before=before)

    def judged(self, job: str, number: int) -> Judged:
        """Judge an attempt, as `makeway diagnose` does."""
        document = document_of(self._reader, job, number)
        judgement = judge(incident_of(item_of(document, job)))
        return Judged(document=document, diagnosis=written(judgement.diagnosis, remedy(judgement)))

    def resizes(self, job: str) -> Sequence[tuple[int, int]]:
        """Say when a job went on with how many workers."""
        found = []
        for row in self._reader.rows(RESIZES, {"job": job}):
            event = decode_event(row[7], row[4], f"event {row[0]}")
            if isinstance(event, ev.AttemptResized):
                found.append((row[1], event.allocation.workers))
        return found

    def tail(self, job: str, number: int, rank: int | None) -> Sequence[tuple[int, bytes]]:
        """Read the end of what the workers of an attempt have printed, by rank."""
        folder = worker_folder(self._service.store, job, number, 0).parent
        return tails(folder, rank, TAIL_BYTES)

    def held_since(self, since_ms: int) -> Sequence[Held]:
        """Say who held how much since then."""
        return held_since(self._reader, since_ms)

    def history(self, window: Window) -> History:
        """Say what jobs did over a span of time."""
        return history(self._reader, window)

    def decisions(self, wanted: DecisionFilter) -> tuple[Sequence[DecisionRow], Mapping[str, str]]:
        """List decisions, and name the jobs that they are about."""
        rows = list_decisions(self._reader, wanted)
        jobs = [name for row in rows for name in (row.job, row.beneficiary) if name]
        return rows, job_names(self._reader, jobs)

    def used_now(self) -> Mapping[str, Mapping[str, float]]:
        """Say what workers use now, by node."""
        return used_now(self._reader)

    # ── searches ──────────────────────────────────────────────────────────────────────────────────

    def facets(self, query: str, kind: str) -> Sequence[Facet]:
        """Count what a search finds by what it has in common."""
        return facets(self._reader, parse(query), kind, query)

    def sparks(
        self, rows: Sequence[str], metric: str, *, by_run: bool
    ) -> Mapping[str, Sequence[float]]:
        """Give the shape of a metric for each of these runs or steps."""
        return sparks(self._reader, rows, metric, by_run=by_run)

    def saved_searches(self) -> Sequence[SavedSearch]:
        """List the searches that this caller keeps."""
        return saved_searches(self._reader, self._user)

    def save_search(self, wanted: SavedSearch) -> None:
        """Keep one for this caller."""
        save_search(self._service.database, self._user, wanted)

    def forget_search(self, name: str) -> None:
        """Forget one of this caller's."""
        forget_search(self._service.database, self._user, name)
