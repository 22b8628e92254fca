"""Ask a service what `wire.desk` lists, with Python values in and out.

    import makeway

    with makeway.connect() as service:
        job = service.submit({"name": "train", "command": ["python", "train.py"]})
        for entry in service.watch(after=service.status().last_event, topics=("jobs",)):
            print(entry.seq, entry.event)

Raises:  the exceptions of `errors`, as the service raised them; Unreachable if nobody answers
Cost:    one connection that is kept; a question takes 0.3 ms beyond what the service takes
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

import msgspec

from makeway.client.address import address_of
from makeway.client.connection import Ask, Connection, segment
from makeway.errors import InvalidInput, Unavailable
from makeway.wire.cluster import (
    DecisionView,
    Drain,
    NodeView,
    PolicyView,
    PreviewView,
    QueueView,
    StatusView,
)
from makeway.wire.jobs import JobsWanted, JobView, Overridden, Override, Resize, WhyView
from makeway.wire.page import PAGE, PAGE_MAX, Page
from makeway.wire.tokens import TokenMade, TokenRequest, TokenView

if TYPE_CHECKING:  # each costs milliseconds, and most commands need neither
    from makeway.client.logs import JobLog
    from makeway.client.stream import Events
    from makeway.model.event import Entry
    from makeway.model.lineage import Comparison, Lineage
    from makeway.wire.runs import RunBrought, RunView, RunWanted
    from makeway.wire.search import Found, LineageWanted, SearchWanted
    from makeway.wire.series import SeriesView, SeriesWanted
    from makeway.wire.worth import DatasetView, ModelView, WorthWanted

Value = TypeVar("Value")
ACTS = ("cancel", "hold", "keep", "release", "resize", "retry")


class Client:
    """A service at a URL; every method is a question or an order of `wire.desk.Desk`.

    Not for several threads at once: make a client for each. `close` ends its connection, as does
    the end of a `with` block.
    """

    def __init__(self, url: str, token: str | None = None) -> None:
        """Take the service's URL and the token that says who asks; nothing is sent yet."""
        self._address, self._token = address_of(url), token
        self._connection = Connection(self._address, token)

    @property
    def url(self) -> str:
        """Give the address of the service."""
        return self._address.text

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the connection."""
        self.close()

    # ── jobs ──────────────────────────────────────────────────────────────────────────────────────

    def submit(self, body: Mapping[str, object], key: str | None = None) -> JobView:
        """Bring a job, as a job file says it; the same `key` again gives the same job.

        Without a key it gets one of its own, so that it may be sent again if a connection breaks.
        """
        key = key or os.urandom(16).hex()
        if not (key.isascii() and key.isprintable()):
            raise InvalidInput("a key has letters, digits and signs of ASCII only", where="key")
        headers = {"Idempotency-Key": key}
        ask = Ask(method="POST", path="/jobs", body=_json(body), headers=headers, again=True)
        return self._value(ask, JobView)

    def try_out(self, body: Mapping[str, object]) -> WhyView:
        """Say what would become of a job if it were brought now; nothing is changed."""
        query = {"dry_run": "true"}
        ask = Ask(method="POST", path="/jobs", query=query, body=_json(body), again=True)
        return self._value(ask, WhyView)

    def jobs(self, wanted: JobsWanted) -> Page[JobView]:
        """List jobs, the newest first."""
        query = msgspec.to_builtins(wanted)
        query["state"] = ",".join(query.pop("phases")) or None
        return self._value(Ask(path="/jobs", query=query), Page[JobView])

    def job(self, ref: str) -> JobView:
        """Give one job with its attempts."""
        return self._value(Ask(path=segment("jobs", ref)), JobView)

    def act(self, ref: str, act: str, resize: Resize | None = None) -> JobView:
        """Cancel, hold, keep, release, resize or retry a job, and give it as it is then."""
        if act not in ACTS:
            raise InvalidInput(f"{act!r} is none of {', '.join(ACTS)}", where="act")
        body = None if resize is None else _json(resize)
        path = f"{segment('jobs', ref)}:{act}"
        return self._value(Ask(method="POST", path=path, body=body), JobView)

    def override(self, ref: str, wanted: Override) -> Overridden:
        """Retry, stop or skip a step or a job, whatever was decided about it."""
        path = f"{segment('steps', ref)}:override"
        return self._value(Ask(method="POST", path=path, body=_json(wanted)), Overridden)

    def why(self, ref: str) -> WhyView:
        """Say why a job does not run and what would start it."""
        return self._value(Ask(path=segment("jobs", ref, "why")), WhyView)

    def log(self, ref: str, attempt: int | None = None, rank: int | None = None) -> JobLog:
        """Open what the workers of an attempt print (default: the latest, all ranks)."""
        from makeway.client.logs import JobLog

        job = self.job(ref)
        return JobLog(self._address, self._token, job.id, (attempt, rank))

    def series(self, wanted: SeriesWanted) -> Page[SeriesView]:
        """List what the workers of a job or step have measured, with points for a chart."""
        from makeway.wire.series import SeriesView

        query = msgspec.to_builtins(wanted)
        query["from"], query["to"] = query.pop("from_s"), query.pop("to_s")
        return self._value(Ask(path="/series", query=query), Page[SeriesView])

    def runs(self, limit: int = PAGE, cursor: str | None = None) -> Page[RunView]:
        """List runs, the newest first, without their steps."""
        from makeway.wire.runs import RunView

        return self._value(
            Ask(path="/runs", query={"limit": limit, "cursor": cursor}), Page[RunView]
        )

    def run(self, ref: str) -> RunView:
        """Give one run with its steps, which of them failed, why, and what they hold up."""
        from makeway.wire.runs import RunView

        return self._value(Ask(path=segment("runs", ref)), RunView)

    def bring_run(self, wanted: RunWanted) -> RunBrought:
        """Bring a run of a workflow whose file and store are on the machine of the service."""
        from makeway.wire.runs import RunBrought

        return self._value(Ask(method="POST", path="/runs", body=_json(wanted)), RunBrought)

    def cancel_run(self, ref: str) -> RunBrought:
        """Stop the run of this id: nothing more of it starts, and what runs is told to leave."""
        from makeway.wire.runs import RunBrought

        ask = Ask(method="POST", path=f"{segment('runs', ref)}:cancel")
        return self._value(ask, RunBrought)

    # ── the cluster ───────────────────────────────────────────────────────────────────────────────

    def shares(self, path: str | None = None) -> Sequence[QueueView]:
        """Give the four numbers of every queue, or of one and those below it."""
        below = [part for part in (path or "").split("/") if part]
        return self._all(Ask(path=segment("shares", *below)), QueueView)

    def nodes(self) -> Sequence[NodeView]:
        """List the machines."""
        return self._all(Ask(path="/nodes"), NodeView)

    def drain(self, node: str, how: Drain) -> NodeView:
        """Let nothing new start on a machine."""
        path = f"{segment('nodes', node)}:drain"
        return self._value(Ask(method="POST", path=path, body=_json(how), again=True), NodeView)

    def undrain(self, node: str) -> NodeView:
        """Let a drained machine work again."""
        path = f"{segment('nodes', node)}:undrain"
        return self._value(Ask(method="POST", path=path, again=True), NodeView)

    def add_node(self, body: Mapping[str, object]) -> NodeView:
        """Let a machine take part, or change what it has; `body` is as in a configuration."""
        ask = Ask(method="POST", path="/nodes", body=_json(body), again=True)
        return self._value(ask, NodeView)

    def remove_node(self, node: str) -> NodeView:
        """Take a machine out; what runs there is lost and goes back into the queue."""
        return self._value(Ask(method="DELETE", path=segment("nodes", node)), NodeView)

    def decisions(
        self, since_s: float | None = None, job: str | None = None, cursor: str | None = None
    ) -> Page[DecisionView]:
        """List what was decided, the newest first."""
        query = {"since_s": since_s, "job": job, "cursor": cursor}
        return self._value(Ask(path="/decisions", query=query), Page[DecisionView])

    def policy(self) -> PolicyView:
        """Give the policy in force."""
        return self._value(Ask(path="/policy"), PolicyView)

    def check_policy(self, body: Mapping[str, object]) -> PreviewView:
        """Say what would change if this were applied."""
        ask = Ask(method="POST", path="/policy:check", body=_json(body), again=True)
        return self._value(ask, PreviewView)

    def apply_policy(self, body: Mapping[str, object]) -> PreviewView:
        """Apply it, and say what changed."""
        return self._value(Ask(method="PUT", path="/policy", body=_json(body)), PreviewView)

    # ── what happens ──────────────────────────────────────────────────────────────────────────────

    def events(self, after: int, *, follow: bool) -> Iterator[Entry]:
        """Give the facts after a seq, in order; with `follow` it goes on until it is closed."""
        if follow:
            yield from self.watch(after)
            return
        last = self.status().last_event
        if after < last:
            watched = self.watch(after)
            for entry in watched:
                yield entry
                if entry.seq >= last:
                    watched.close()

    def watch(self, after: int = 0, topics: Sequence[str] = ()) -> Events:
        """Give what happens after a seq as it happens, over every break of the connection.

        `close` of what it gives ends it, from any thread.
        """
        from makeway.client.stream import Events

        return Events(Connection(self._address, self._token), after, topics)

    # ── what is on record ─────────────────────────────────────────────────────────────────────────

    def search(self, wanted: SearchWanted) -> Found:
        """Find a page of what fulfils a search, and say how many there are in all."""
        from makeway.wire.search import Found

        query = msgspec.to_builtins(wanted)
        return self._value(Ask(path="/search", query=query), Found)

    def lineage(self, wanted: LineageWanted) -> Lineage:
        """Say where an artifact comes from, and what became of it."""
        from makeway.model.lineage import Lineage

        query = {"up": wanted.up, "down": wanted.down}
        return self._value(Ask(path=segment("lineage", wanted.ref), query=query), Lineage)

    def differences(self, left: str, right: str) -> Comparison:
        """Say why two artifacts, or two runs, differ."""
        from makeway.model.lineage import Comparison

        ask = Ask(path=segment("lineage", left, "diff"), query={"other": right})
        return self._value(ask, Comparison)

    def datasets(self, wanted: WorthWanted) -> Sequence[DatasetView]:
        """Say of every data set what it was worth, those that add most first."""
        from makeway.wire.worth import DatasetView

        query = {"metric": wanted.metric, "mode": wanted.mode}
        return self._all(Ask(path="/datasets", query=query), DatasetView)

    def models(self, wanted: WorthWanted) -> Sequence[ModelView]:
        """Say of models what each is worth, the best first, and which no other outdoes."""
        from makeway.wire.worth import ModelView

        query = msgspec.to_builtins(wanted)
        return self._all(Ask(path="/models", query=query), ModelView)

    # ── the service and its tokens ────────────────────────────────────────────────────────────────

    def status(self) -> StatusView:
        """Say how the service is, and who asks."""
        return self._value(Ask(path="/status"), StatusView)

    def stop(self) -> None:
        """Let the service end; what runs goes on and is found again by the next one."""
        self._connection.ask(Ask(method="POST", path="/service:stop"))

    def tokens(self) -> Sequence[TokenView]:
        """List tokens: all for administrators, else one's own."""
        return self._all(Ask(path="/tokens"), TokenView)

    def make_token(self, wanted: TokenRequest) -> TokenMade:
        """Make a token."""
        return self._value(Ask(method="POST", path="/tokens", body=_json(wanted)), TokenMade)

    def revoke_token(self, token: str) -> TokenView:
        """Make a token worth nothing."""
        return self._value(Ask(method="DELETE", path=segment("tokens", token)), TokenView)

    def _value(self, ask: Ask, kind: type[Value]) -> Value:
        body = self._connection.ask(ask)
        try:
            return msgspec.json.decode(body, type=kind)
        except msgspec.DecodeError as error:
            hint = "is this the address of a makeway service, and of this version?"
            problem = f"its answer cannot be read: {error}"
            raise Unavailable(problem, where=self.url, hint=hint) from None

    def _all(self, ask: Ask, kind: type[Value]) -> tuple[Value, ...]:
        """Read a list over all its pages."""
        found: list[Value] = []
        query = {**ask.query, "limit": PAGE_MAX}
        while True:
            page = self._value(msgspec.structs.replace(ask, query=query), Page[kind])  # type: ignore[valid-type]  # a generic is made at run time
            found += page.items
            if page.next_cursor is None:
                return tuple(found)
            query = {**query, "cursor": page.next_cursor}


def connect(url: str | None = None, token: str | None = None) -> Client:
    """Give a client of the service at `url`; nothing is sent before the first question.

    Without a URL it is that of MAKEWAY_URL, else the service that is alive in the store
    (MAKEWAY_STORE, default `.makeway`), else http://127.0.0.1:7070. Without a token it is that of
    MAKEWAY_TOKEN, else, for the service of the store, its owner's.
    """
    from pathlib import Path

    from makeway.client.address import PORT
    from makeway.client.local import local_service

    token = token or os.environ.get("MAKEWAY_TOKEN")
    where = url or os.environ.get("MAKEWAY_URL")
    if where is None:
        local = local_service(Path(os.environ.get("MAKEWAY_STORE") or ".makeway"))
        if local is not None:
            return Client(local.url, token or local.token)
    return Client(where or f"http://127.0.0.1:{PORT}", token)


def _json(value: object) -> bytes:
    return msgspec.json.encode(value)
