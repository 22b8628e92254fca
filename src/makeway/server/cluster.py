"""Answer about the cluster: queues and their shares, machines, decisions, the policy."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query
from starlette.requests import Request
from starlette.responses import Response

from makeway.codec import encode
from makeway.server.front import front_of
from makeway.server.identity import AtDesk
from makeway.server.problems import Changed
from makeway.server.replies import (
    Body,
    Cursor,
    Limit,
    PerhapsBody,
    answer,
    matches,
    paged,
    read,
    tag_of,
)
from makeway.server.shapes import documented
from makeway.wire.cluster import (
    DecisionView,
    Drain,
    NodeView,
    PolicyView,
    PreviewView,
    QueueView,
)
from makeway.wire.desk import Desk
from makeway.wire.page import PAGE, Page

Since = Annotated[float | None, Query(description="Only those after this instant (s since 1970).")]
Job = Annotated[str | None, Query(description="Only those about this job.")]
IfMatch = Annotated[
    str | None, Header(alias="If-Match", description="The tag of the policy that was seen.")
]

routes = APIRouter()


# ── queues ────────────────────────────────────────────────────────────────────────────────────────


def shares(request: Request, desk: AtDesk, limit: Limit = PAGE, cursor: Cursor = None) -> Response:
    """Give share, due, usage and demand of every queue, parents before children."""
    return answer(request, paged(desk.shares(), lambda queue: queue.path, limit, cursor))


def share(
    request: Request, desk: AtDesk, path: str, limit: Limit = PAGE, cursor: Cursor = None
) -> Response:
    """Give the four numbers of a queue and of those below it."""
    return answer(request, paged(desk.shares(path), lambda queue: queue.path, limit, cursor))


# One thing under both of its names: what queues there are, and how they share the cluster.
for _name in ("shares", "queues"):
    routes.get(
        f"/{_name}",
        name=f"list_{_name}",
        tags=["queues"],
        summary="Show how the queues share the cluster",
        **documented(Page[QueueView]),
    )(shares)
    routes.get(
        f"/{_name}/{{path:path}}",
        name=f"{_name}_of",
        tags=["queues"],
        summary="Show how a queue and those below it share the cluster",
        **documented(Page[QueueView], problems=(404,)),
    )(share)


# ── machines ──────────────────────────────────────────────────────────────────────────────────────


@routes.get("/nodes", tags=["nodes"], summary="List the machines", **documented(Page[NodeView]))
def nodes(request: Request, desk: AtDesk, limit: Limit = PAGE, cursor: Cursor = None) -> Response:
    """Give a page of the machines."""
    return answer(request, paged(desk.nodes(), lambda node: node.name, limit, cursor))


@routes.post(
    "/nodes",
    tags=["nodes"],
    summary="Let a machine take part, or change what it has",
    **documented(NodeView, takes=dict, problems=(409,)),
)
def add_node(request: Request, desk: AtDesk, body: Body) -> Response:
    """Take a machine as a configuration describes it."""
    return answer(request, desk.add_node(read(body, dict[str, object])))


@routes.delete(
    "/nodes/{name}",
    tags=["nodes"],
    summary="Take a machine out; what runs there goes back into the queue",
    **documented(NodeView, problems=(404, 409)),
)
def remove_node(request: Request, desk: AtDesk, name: str) -> Response:
    """Give the machine as it was."""
    return answer(request, desk.remove_node(name))


@routes.post(
    "/nodes/{name}:drain",
    tags=["nodes"],
    summary="Let nothing new start on a machine",
    **documented(NodeView, takes=Drain, optional=True, problems=(404, 409)),
)
def drain(request: Request, desk: AtDesk, name: str, body: PerhapsBody) -> Response:
    """Let what runs there end in peace, or send it away (`evict`)."""
    return answer(request, desk.drain(name, read(body, Drain) if body else Drain()))


@routes.post(
    "/nodes/{name}:undrain",
    tags=["nodes"],
    summary="Let a drained machine work again",
    **documented(NodeView, problems=(404, 409)),
)
def undrain(request: Request, desk: AtDesk, name: str) -> Response:
    """Give the machine as it is then."""
    return answer(request, desk.undrain(name))


# ── decisions and the policy that makes them ──────────────────────────────────────────────────────


@routes.get(
    "/decisions",
    tags=["policy"],
    summary="List what was decided, the newest first",
    **documented(Page[DecisionView], problems=(404,)),
)
def decisions(
    request: Request, desk: AtDesk, since_s: Since = None, job: Job = None, cursor: Cursor = None
) -> Response:
    """Say who was evicted for whom, by which rule, at what cost."""
    return answer(request, desk.decisions(since_s, job, cursor))


@routes.get(
    "/policy", tags=["policy"], summary="Show the policy in force", **documented(PolicyView)
)
def policy(request: Request, desk: AtDesk) -> Response:
    """Give the policy and the queues as a file that can be applied again."""
    return answer(request, desk.policy())


@routes.post(
    "/policy:check",
    tags=["policy"],
    summary="Say what would change if a policy were applied",
    **documented(PreviewView, takes=dict, problems=(409,)),
)
def check_policy(request: Request, desk: AtDesk, body: Body) -> Response:
    """Change nothing, and tell who would start, shrink or leave."""
    return answer(request, desk.check_policy(read(body, dict[str, object])))


@routes.put(
    "/policy",
    tags=["policy"],
    summary="Apply a policy",
    **documented(PreviewView, takes=dict, problems=(409, 412)),
)
def apply_policy(request: Request, desk: AtDesk, body: Body, seen: IfMatch = None) -> Response:
    """Replace the policy; with `If-Match` only if it is still the one that was seen."""
    wanted = read(body, dict[str, object])
    with front_of(request).policy_lock:
        _assert_seen(desk, seen)
        return answer(request, desk.apply_policy(wanted))


def _assert_seen(desk: Desk, seen: str | None) -> None:
    if seen is not None and not matches(seen, tag_of(encode(desk.policy()))):
        problem = "the policy is not the one that was seen"
        raise Changed(problem, where="header If-Match", hint="look at it again: GET /policy")
