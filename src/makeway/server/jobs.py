"""Answer about jobs: list, submit, look at, act on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query
from starlette.requests import Request
from starlette.responses import Response

from makeway.errors import InvalidInput, NotFound
from makeway.server.identity import AtDesk
from makeway.server.replies import Body, Cursor, Limit, answer, read
from makeway.server.shapes import also, documented
from makeway.wire.desk import Desk
from makeway.wire.jobs import JobsWanted, JobView, Resize, WhyView
from makeway.wire.page import PAGE, Page

KEY_CHARS_MAX = 200
ACTS = {
    "cancel": "Cancel a job: what it has not begun never begins, what runs is told to leave",
    "hold": "Hold a job: it does not start until it is released",
    "keep": "Keep a job going, whatever it seems to be worth: it yields to nobody any more",
    "release": "Release a job that is held",
    "retry": "Try a job again: at once if it waits or runs, anew if it has ended",
}

State = Annotated[str | None, Query(description="Only jobs in these phases, with commas.")]
Queue = Annotated[str | None, Query(description="Only jobs of this queue and of those below it.")]
User = Annotated[str | None, Query(description="Only jobs of this person.")]
Run = Annotated[str | None, Query(description="Only jobs of this run.")]
DryRun = Annotated[bool, Query(description="Only say what would become of it.")]
Key = Annotated[
    str | None,
    Header(alias="Idempotency-Key", description="The same key again gives the same job."),
]


class Filter:
    """Which jobs are wanted, as a query says it."""

    def __init__(
        self, state: State = None, queue: Queue = None, user: User = None, run: Run = None
    ) -> None:
        """Take the filters; those that are absent let everything through."""
        self.phases = tuple(filter(None, (state or "").split(",")))
        self.queue, self.user, self.run = queue, user, run


Filtered = Annotated[Filter, Depends()]

routes = APIRouter(prefix="/jobs", tags=["jobs"])


@routes.get("", summary="List jobs, the newest first", **documented(Page[JobView]))
def list_jobs(
    request: Request, desk: AtDesk, which: Filtered, limit: Limit = PAGE, cursor: Cursor = None
) -> Response:
    """Give a page of the jobs that match every filter."""
    wanted = JobsWanted(
        phases=which.phases,
        queue=which.queue,
        user=which.user,
        run=which.run,
        limit=limit,
        cursor=cursor,
    )
    try:
        page = desk.jobs(wanted)
    except NotFound as error:  # nothing else of a list can be missing
        hint = "take it from `next_cursor`, or begin again without it"
        raise InvalidInput(error.problem, where="query cursor", hint=hint) from None
    return answer(request, page)


@routes.post(
    "",
    summary="Submit a job, or try one out",
    **also(200, WhyView, documented(JobView, status=201, takes=dict, problems=(409,))),
)
def submit(
    request: Request, desk: AtDesk, body: Body, key: Key = None, dry_run: DryRun = False
) -> Response:
    """Take a job file as JSON; with `dry_run` nothing is submitted and the answer is a why."""
    if key is not None and not (0 < len(key) <= KEY_CHARS_MAX and key.isprintable()):
        problem = f"a key has 1 to {KEY_CHARS_MAX} printable letters"
        raise InvalidInput(problem, where="header Idempotency-Key")
    job = read(body, dict[str, object])
    if dry_run:
        return answer(request, desk.try_out(job))
    view = desk.submit(job, key)
    response = answer(request, view, 201)
    response.headers["Location"] = f"/api/v1/jobs/{view.id}"
    return response


@routes.get("/{ref}", summary="Look at a job", **documented(JobView, problems=(404,)))
def job(request: Request, desk: AtDesk, ref: str) -> Response:
    """Give a job with its attempts; `ref` is an id, the start of one, a name, or `@last`."""
    return answer(request, desk.job(ref))


@routes.get("/{ref}/why", summary="Say why it waits", **documented(WhyView, problems=(404,)))
def why(request: Request, desk: AtDesk, ref: str) -> Response:
    """Say why a job does not run and what would start it."""
    return answer(request, desk.why(ref))


@routes.post(
    "/{ref}:resize",
    summary="Say how many workers a job may have from now on",
    **documented(JobView, takes=Resize, problems=(404, 409)),
)
def resize(request: Request, desk: AtDesk, ref: str, body: Body) -> Response:
    """Let an elastic job grow or shrink within other bounds."""
    return answer(request, desk.act(ref, "resize", read(body, Resize)))


def _acting(act: str) -> Callable[[Request, Desk, str], Response]:
    def acted(request: Request, desk: AtDesk, ref: str) -> Response:
        return answer(request, desk.act(ref, act))

    acted.__doc__ = "Give the job as it is then."
    return acted


for _act, _summary in ACTS.items():
    routes.post(
        f"/{{ref}}:{_act}",
        summary=_summary,
        name=_act,
        **documented(JobView, problems=(404, 409)),
    )(_acting(_act))
