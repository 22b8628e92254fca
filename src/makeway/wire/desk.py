"""Say what can be asked of makeway: one list of questions and orders for every way of asking.

The service answers them for the routes of REST; a command without a service answers them from its
own store; the client passes them on over HTTP. Whoever asks sees no difference.

Raises:  MakewayError of `errors`, the same everywhere: InvalidInput, NotFound, NotAllowed, Conflict,
         Unavailable, Unreachable
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from makeway.model.event import Entry
from makeway.model.lineage import Comparison, Lineage
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
from makeway.wire.page import PAGE, Page
from makeway.wire.runs import RunBrought, RunView, RunWanted
from makeway.wire.search import Found, LineageWanted, SearchWanted
from makeway.wire.series import SeriesView, SeriesWanted
from makeway.wire.tokens import TokenMade, TokenRequest, TokenView
from makeway.wire.worth import DatasetView, ModelView, WorthWanted

ACTS = ("cancel", "hold", "keep", "release", "resize", "retry")


class Desk(Protocol):
    """What one caller can ask; ids may be short, a readable name, or `@last`."""

    def status(self) -> StatusView:
        """Say how the service is, and who asks."""
        ...

    def submit(self, body: Mapping[str, object], key: str | None = None) -> JobView:
        """Bring a job, as a job file says it; the same `key` again gives the same job."""
        ...

    def try_out(self, body: Mapping[str, object]) -> WhyView:
        """Say what would become of a job if it were brought now; nothing is changed."""
        ...

    def jobs(self, wanted: JobsWanted) -> Page[JobView]:
        """List jobs, the newest first."""
        ...

    def job(self, ref: str) -> JobView:
        """Give one job with its attempts."""
        ...

    def act(self, ref: str, act: str, resize: Resize | None = None) -> JobView:
        """Cancel, hold, keep, release, resize or retry a job, and give it as it is then."""
        ...

    def override(self, ref: str, wanted: Override) -> Overridden:
        """Retry, stop or skip a step or a job, whatever was decided about it."""
        ...

    def why(self, ref: str) -> WhyView:
        """Say why a job does not run and what would start it."""
        ...

    def series(self, wanted: SeriesWanted) -> Page[SeriesView]:
        """List what the workers of a job or step have measured, with points for a chart."""
        ...

    def runs(self, limit: int = PAGE, cursor: str | None = None) -> Page[RunView]:
        """List runs, the newest first, without their steps."""
        ...

    def run(self, ref: str) -> RunView:
        """Give one run with its steps, which of them failed, why, and what they hold up."""
        ...

    def bring_run(self, wanted: RunWanted) -> RunBrought:
        """Bring a run of a workflow whose file and store are on the machine of the service."""
        ...

    def cancel_run(self, ref: str) -> RunBrought:
        """Stop the run of this id: nothing more of it starts, and what runs is told to leave."""
        ...

    def shares(self, path: str | None = None) -> Sequence[QueueView]:
        """Give the four numbers of every queue, or of one and those below it."""
        ...

    def nodes(self) -> Sequence[NodeView]:
        """List the machines."""
        ...

    def drain(self, node: str, how: Drain) -> NodeView:
        """Let nothing new start on a machine."""
        ...

    def undrain(self, node: str) -> NodeView:
        """Let a drained machine work again."""
        ...

    def add_node(self, body: Mapping[str, object]) -> NodeView:
        """Let a machine take part, or change what it has; `body` is as in a configuration."""
        ...

    def remove_node(self, node: str) -> NodeView:
        """Take a machine out; what runs there leaves first, and goes back into the queue."""
        ...

    def decisions(
        self, since_s: float | None = None, job: str | None = None, cursor: str | None = None
    ) -> Page[DecisionView]:
        """List what was decided, the newest first."""
        ...

    def events(self, after: int, *, follow: bool) -> Iterator[Entry]:
        """Give the facts after a seq, in order; with `follow` it goes on until it is closed."""
        ...

    def log(self, ref: str, attempt: int | None = None, rank: int | None = None) -> LogReader:
        """Open what the workers of an attempt print (default: the latest, all ranks)."""
        ...

    def policy(self) -> PolicyView:
        """Give the policy in force."""
        ...

    def check_policy(self, body: Mapping[str, object]) -> PreviewView:
        """Say what would change if this were applied."""
        ...

    def apply_policy(self, body: Mapping[str, object]) -> PreviewView:
        """Apply it, and say what changed."""
        ...

    def tokens(self) -> Sequence[TokenView]:
        """List tokens: all for administrators, else one's own."""
        ...

    def make_token(self, wanted: TokenRequest) -> TokenMade:
        """Make a token."""
        ...

    def revoke_token(self, token: str) -> TokenView:
        """Make a token worth nothing."""
        ...

    def search(self, wanted: SearchWanted) -> Found:
        """Find a page of what fulfils a search, and say how many there are in all."""
        ...

    def lineage(self, wanted: LineageWanted) -> Lineage:
        """Say where an artifact comes from, and what became of it."""
        ...

    def differences(self, left: str, right: str) -> Comparison:
        """Say why two artifacts, or two runs, differ."""
        ...

    def datasets(self, wanted: WorthWanted) -> Sequence[DatasetView]:
        """Say of every data set what it was worth, those that add most first."""
        ...

    def models(self, wanted: WorthWanted) -> Sequence[ModelView]:
        """Say of models what each is worth, the best first, and which no other outdoes."""
        ...

    def stop(self) -> None:
        """Let the service end; what runs goes on and is found again by the next one."""
        ...


class LogReader(Protocol):
    """What workers printed, so far."""

    def more(self) -> Sequence[tuple[int, bytes]]:
        """Give what was printed since the last call: (rank, bytes); empty if nothing was."""
        ...

    def ended(self) -> bool:
        """Say whether the job is final, so that nothing more will come."""
        ...
