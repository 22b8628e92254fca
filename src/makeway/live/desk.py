"""Answer one caller of the service: the `Desk` of wire, over the controller and the store.

What is true at this instant (why, shares, nodes) is asked of the controller, between two of its
steps; what has been is read from the store. Whoever asks is allowed or refused here, for HTTP and
for the command line alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from makeway.answers.shares import queue_views
from makeway.answers.trial import trial
from makeway.answers.waits import Asked, written
from makeway.engine.dependencies import with_symptoms
from makeway.engine.state import State
from makeway.engine.waiting import places
from makeway.errors import Conflict, InvalidInput, NotFound
from makeway.executor.folder import worker_folder
from makeway.intake.located import item_of
from makeway.intake.nodes import nodes_of
from makeway.live import control, overriding, runs, submission, token_views
from makeway.live.behind import Behind
from makeway.live.cached import cache_view, named
from makeway.live.cluster_views import node_view, node_views
from makeway.live.job_views import Now, job_view
from makeway.live.logs import WorkerLogs
from makeway.live.rights import assert_may, assert_owns
from makeway.live.run_views import RunDesk
from makeway.live.series_views import series_of
from makeway.model import event as ev
from makeway.model.lineage import Comparison, Lineage
from makeway.model.phase import JobPhase
from makeway.model.wait import Wait
from makeway.store import lineage, worth
from makeway.store import search as searching
from makeway.store.read import get_job, list_attempts, list_jobs
from makeway.store.resolve import resolve_job
from makeway.store.rows import JobFilter, JobRow
from makeway.wire.cluster import (
    DecisionView,
    Drain,
    NodeView,
    PolicyView,
    PreviewView,
    QueueView,
    StatusView,
)
from makeway.wire.desk import ACTS
from makeway.wire.jobs import JobsWanted, JobView, Overridden, Override, Resize, WhyView
from makeway.wire.page import PAGE_MAX, Page
from makeway.wire.runs import RunBrought, RunWanted
from makeway.wire.search import Found, LineageWanted, SearchWanted
from makeway.wire.series import SeriesView, SeriesWanted
from makeway.wire.tokens import Caller, Scope, TokenMade, TokenRequest, TokenView
from makeway.wire.worth import DatasetView, ModelView, WorthWanted

OPEN = (JobPhase.QUEUED, JobPhase.RUNNING, JobPhase.EVICTING)


class ServiceDesk(RunDesk):
    """What one caller can ask of a service; see the module and `wire.desk.Desk`."""

    def __init__(self, service: Behind, caller: Caller) -> None:
        """Take the service, and who asks."""
        self._service, self.caller = service, caller
        self._inbox, self._reader = service.inbox, service.reader

    # ── jobs ──────────────────────────────────────────────────────────────────────────────────────

    def submit(self, body: Mapping[str, object], key: str | None = None) -> JobView:
        """Bring a job; the same `key` again gives the same job."""
        wanted = submission.read(body, self.caller, self._service.terms(), self._reader)
        job = self._service.brought(wanted, self.caller, key, body)
        return self.job(job)

    def try_out(self, body: Mapping[str, object]) -> WhyView:
        """Say what would become of a job; nothing is changed."""
        wanted = submission.read(body, self.caller, self._service.terms(), self._reader)
        wait = self._inbox.ask(lambda state: trial(self._service.snapshot(state), wanted.spec))
        row = JobRow(
            id="", spec=wanted.spec, phase=JobPhase.QUEUED, text="", wait=wait, attempts=0,
            held=False, workers=None, not_before_ms=None,
            submitted_at_ms=self._service.now_ms(), started_at_ms=None,
            ended_at_ms=None,
        )  # fmt: skip
        return WhyView(job=job_view(row, self._service.classes), wait=written(wait))

    def jobs(self, wanted: JobsWanted) -> Page[JobView]:
        """List jobs, the newest first."""
        assert_may(self.caller, Scope.READ)
        if not 1 <= wanted.limit <= PAGE_MAX:
            raise InvalidInput(f"{wanted.limit} is not between 1 and {PAGE_MAX}", where="limit")
        known = {phase.value: phase for phase in JobPhase}
        strange = [phase for phase in wanted.phases if phase not in known]
        if strange:
            there = ", ".join(known)
            raise InvalidInput(
                f"there is no state {strange[0]!r}; there are {there}", where="state"
            )
        if wanted.cursor is not None:
            get_job(self._reader, wanted.cursor)
        rows = list_jobs(
            self._reader,
            JobFilter(
                phases=tuple(known[phase] for phase in wanted.phases), queue=wanted.queue,
                user=wanted.user, run=wanted.run, limit=wanted.limit, before=wanted.cursor,
            ),
        )  # fmt: skip
        now = self._now([row.id for row in rows if not row.phase.final])
        views = tuple(job_view(row, self._service.classes, now.get(row.id, Now())) for row in rows)
        more = rows[-1].id if len(rows) == wanted.limit else None
        return Page(items=views, next_cursor=more)

    def job(self, ref: str) -> JobView:
        """Give one job with its attempts."""
        assert_may(self.caller, Scope.READ)
        row = self._row(ref)
        now = self._now([row.id]) if not row.phase.final else {}
        tries = list_attempts(self._reader, row.id)
        return job_view(row, self._service.classes, now.get(row.id, Now()), tries)

    def act(self, ref: str, act: str, resize: Resize | None = None) -> JobView:
        """Cancel, hold, keep, release, resize or retry a job."""
        assert_may(self.caller, Scope.SUBMIT)
        if act not in ACTS:
            raise NotFound(f"there is no act {act!r}; there are {', '.join(ACTS)}")
        row = self._row(ref)
        assert_owns(self.caller, row.spec.user, f"job {row.id}")
        if act == "retry" and row.phase.final:
            return self.job(self._service.again(row, self.caller))
        if row.phase.final:
            raise Conflict(f"it has ended: {row.phase.value}", where=f"job {row.id}")
        event = _wish(row.id, act, resize, f"by {self.caller.user}")
        for refused in self._inbox.tell([event]).refused:
            if refused.event is event:
                raise Conflict(refused.why, where=f"job {row.id}")
        return self.job(row.id)

    def override(self, ref: str, wanted: Override) -> Overridden:
        """Retry, stop or skip a step or a job, whatever was decided about it."""
        return overriding.override(self._service, self.caller, ref, wanted)

    def why(self, ref: str) -> WhyView:
        """Say why a job does not run and what would start it."""
        assert_may(self.caller, Scope.READ)
        name, step = named(self._reader, ref)
        cache = None if step is None else cache_view(self._reader, self._service.store, step)
        if name is None:
            return WhyView(cache=cache)
        job = self.job(name)
        if job.phase != JobPhase.QUEUED.value:
            return WhyView(job=job, wait=job.wait, chain=(_standing(job),), cache=cache)
        wait, chain = self._inbox.ask(lambda state: self._ask_why(state, job.id))
        told = None if wait is None else written(wait)
        return WhyView(job=job, wait=told, chain=chain, cache=cache)

    def log(self, ref: str, attempt: int | None = None, rank: int | None = None) -> WorkerLogs:
        """Open what the workers of an attempt print."""
        assert_may(self.caller, Scope.READ)
        row = self._row(ref)
        number = attempt or row.attempts
        if not 0 <= number <= row.attempts:
            raise NotFound(f"there is no attempt {number}", where=f"job {row.id}")
        folder = worker_folder(self._service.store, row.id, max(1, number), 0).parent

        def over() -> bool:
            return get_job(self._reader, row.id).phase.final

        return WorkerLogs(folder, rank, over)

    def series(self, wanted: SeriesWanted) -> Page[SeriesView]:
        """List what the workers of a job or step have measured, with points for a chart."""
        assert_may(self.caller, Scope.READ)
        return series_of(self._reader, wanted)

    def bring_run(self, wanted: RunWanted) -> RunBrought:
        """Bring a run of a workflow."""
        return runs.bring(self._service, self.caller, wanted)

    def cancel_run(self, ref: str) -> RunBrought:
        """Stop a run."""
        return runs.cancel(self._service, self.caller, ref)

    # ── the cluster ───────────────────────────────────────────────────────────────────────────────

    def status(self) -> StatusView:
        """Say how the service is, and who asks."""
        return self._service.status(self.caller)

    def shares(self, path: str | None = None) -> Sequence[QueueView]:
        """Give the four numbers of every queue, or of one and those below it."""
        assert_may(self.caller, Scope.READ)
        order = [*self._service.declared()]
        rows = self._inbox.ask(lambda state: queue_views(self._service.snapshot(state), order))
        if path is None or not path.strip("/"):
            return rows
        below = f"{path.strip('/')}/"
        chosen = [row for row in rows if f"{row.path}/".startswith(below)]
        if not chosen:
            there = ", ".join(row.path for row in rows[:8])
            raise NotFound(f"there is no queue {path!r}", hint=f"there are {there}")
        return chosen

    def nodes(self) -> Sequence[NodeView]:
        """List the machines."""
        assert_may(self.caller, Scope.READ)
        return self._inbox.ask(node_views)

    def drain(self, node: str, how: Drain) -> NodeView:
        """Let nothing new start on a machine."""
        text = how.text or f"by {self.caller.user}"
        return self._change_node(node, ev.NodeDrained(name=node, text=text, evict=how.evict))

    def undrain(self, node: str) -> NodeView:
        """Let a drained machine work again."""
        return self._change_node(node, ev.NodeUndrained(name=node))

    def add_node(self, body: Mapping[str, object]) -> NodeView:
        """Let a machine take part, or change what it has."""
        nodes = nodes_of(item_of([dict(body)], "node"))
        if len(nodes) != 1:
            raise InvalidInput("one machine at a time", where="node: count")
        assert_may(self.caller, Scope.OPERATE)
        (node,) = nodes
        self._service.has_nodes(
            lambda known: (*(one for one in known if one.name != node.name), node)
        )
        return self._node(node.name)

    def remove_node(self, node: str) -> NodeView:
        """Take a machine out, once what runs there has left."""
        assert_may(self.caller, Scope.ADMIN)
        if self._inbox.ask(lambda state: node_view(state, node)) is None:
            raise NotFound(f"there is no node {node!r}", hint="they stand in: makeway nodes")
        self._service.has_nodes(lambda known: tuple(one for one in known if one.name != node))
        return self._node(node)

    def _change_node(self, name: str, event: ev.Event) -> NodeView:
        assert_may(self.caller, Scope.OPERATE)
        for refused in self._inbox.tell([event]).refused:
            if refused.event is event:
                error = NotFound if refused.why.startswith("no such") else Conflict
                raise error(refused.why, where=f"node {name}")
        return self._node(name)

    def _node(self, name: str) -> NodeView:
        view = self._inbox.ask(lambda state: node_view(state, name))
        return view or NodeView(name=name, state="removed", capacity={}, free={})

    # ── what was decided, and by what ─────────────────────────────────────────────────────────────

    def decisions(
        self, since_s: float | None = None, job: str | None = None, cursor: str | None = None
    ) -> Page[DecisionView]:
        """List what was decided, the newest first."""
        assert_may(self.caller, Scope.READ)
        wanted = None if job is None else resolve_job(self._reader, job)
        return control.decisions(self._reader, since_s, wanted, cursor)

    def events(self, after: int, *, follow: bool) -> Iterator[ev.Entry]:
        """Give the facts after a seq, in order."""
        assert_may(self.caller, Scope.READ)
        return self._service.entries(after, follow=follow)

    def policy(self) -> PolicyView:
        """Give the policy in force."""
        assert_may(self.caller, Scope.READ)
        return control.policy_of(self._service)

    def check_policy(self, body: Mapping[str, object]) -> PreviewView:
        """Say what would change if this were applied."""
        assert_may(self.caller, Scope.READ)
        return control.check(self._service, body)

    def apply_policy(self, body: Mapping[str, object]) -> PreviewView:
        """Apply it, and say what changed."""
        assert_may(self.caller, Scope.ADMIN)
        return control.apply(self._service, body)

    # ── what is on record ─────────────────────────────────────────────────────────────────────────

    def search(self, wanted: SearchWanted) -> Found:
        """Find a page of what fulfils a search."""
        assert_may(self.caller, Scope.READ)
        return searching.find(self._reader, wanted)

    def lineage(self, wanted: LineageWanted) -> Lineage:
        """Say where an artifact comes from, and what became of it."""
        assert_may(self.caller, Scope.READ)
        return lineage.lineage(self._reader, wanted.ref, wanted.up, wanted.down)

    def differences(self, left: str, right: str) -> Comparison:
        """Say why two artifacts, or two runs, differ."""
        assert_may(self.caller, Scope.READ)
        return lineage.compare(self._reader, left, right)

    def datasets(self, wanted: WorthWanted) -> Sequence[DatasetView]:
        """Say of every data set what it was worth, those that add most first."""
        assert_may(self.caller, Scope.READ)
        return worth.datasets(self._reader, wanted)

    def models(self, wanted: WorthWanted) -> Sequence[ModelView]:
        """Say of models what each is worth, the best first, and which no other outdoes."""
        assert_may(self.caller, Scope.READ)
        return worth.models(self._reader, wanted)

    # ── tokens, and the service itself ────────────────────────────────────────────────────────────

    def tokens(self) -> Sequence[TokenView]:
        """List tokens: all for administrators, else one's own."""
        return token_views.tokens_of(self._service, self.caller)

    def make_token(self, wanted: TokenRequest) -> TokenMade:
        """Make a token."""
        return token_views.make(self._service, self.caller, wanted)

    def revoke_token(self, token: str) -> TokenView:
        """Make a token worth nothing."""
        return token_views.revoke(self._service, self.caller, token)

    def stop(self) -> None:
        """Let the service end."""
        assert_may(self.caller, Scope.ADMIN)
        self._service.stop()

    # ── how ───────────────────────────────────────────────────────────────────────────────────────

    def _row(self, ref: str) -> JobRow:
        return get_job(self._reader, resolve_job(self._reader, ref))

    def _now(self, names: Sequence[str]) -> Mapping[str, Now]:
        return self._inbox.ask(lambda state: _believed(state, names)) if names else {}

    def _ask_why(self, state: State, job: str) -> tuple[Wait | None, tuple[str, ...]]:
        asked = Asked(self._service.snapshot(state), state.waiting, state.waits)
        wait = asked.wait_of(job)
        if wait is not None:
            wait = with_symptoms(state, wait)
        return wait, tuple(_chain(state, job))


def _believed(state: State, names: Sequence[str]) -> dict[str, Now]:
    line = places(state, names)
    found = {}
    for name in names:
        row, job = state.running.get(name), state.jobs.get(name)
        attempt = state.attempts.get(name)
        found[name] = Now(
            rows=() if row is None else row.allocation.placements,
            wait=state.waits.get(name),
            position=line.get(name),
            held=job is not None and job.held is not None,
            symptom=None if attempt is None else attempt.symptom,
        )
    return found


def _chain(state: State, name: str) -> Iterator[str]:
    """Say of a job, and of each that the one before waits for, where it stands."""
    seen: set[str] = set()
    while name not in seen:
        seen.add(name)
        job = state.jobs.get(name)
        if job is None:
            return
        wait, attempt = state.waits.get(name), state.attempts.get(name)
        told = f"{job.phase.value}" if wait is None else f"waits: {wait.text}"
        if attempt is not None and attempt.symptom is not None:
            told += f", and is {attempt.symptom.name}: {attempt.symptom.text}"
        yield f"{job.spec.name} ({name}, {job.spec.user}) {told}"
        name = next((after.job for after in job.spec.after if after.job in state.jobs), name)


def _standing(job: JobView) -> str:
    said = f": {job.text}" if job.text else ""
    if job.symptom is not None:
        said = f", and is {job.symptom.name}: {job.symptom.text}"
    return f"{job.name} ({job.id}, {job.user}) {job.phase}{said}"


def _wish(job: str, act: str, resize: Resize | None, text: str) -> ev.Event:
    match act:
        case "cancel":
            return ev.JobCancelRequested(job=job, text=f"cancelled {text}")
        case "hold":
            return ev.JobHoldRequested(job=job, text=f"held {text}")
        case "keep":
            return ev.JobKeepRequested(job=job, text=f"kept {text}")
        case "release":
            return ev.JobReleaseRequested(job=job)
        case "retry":
            return ev.JobRetryRequested(job=job, text=f"restarted {text}")
        case _:
            if resize is None:
                raise InvalidInput("a resize needs min and max", where="resize")
            return ev.JobResizeRequested(
                job=job, group=resize.group, count_min=resize.min, count_max=resize.max
            )
