"""Answer about the service itself, and about tokens."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from makeway.server.identity import AtDesk
from makeway.server.replies import Body, Cursor, Limit, answer, paged, read
from makeway.server.shapes import documented
from makeway.wire.cluster import StatusView
from makeway.wire.page import PAGE, Page
from makeway.wire.tokens import TokenMade, TokenRequest, TokenView

routes = APIRouter()


@routes.get("/status", tags=["service"], summary="Say how the service is", **documented(StatusView))
def status(request: Request, desk: AtDesk) -> Response:
    """Say how the service is, and as whom one asks."""
    return answer(request, desk.status())


@routes.post(
    "/service:stop", tags=["service"], summary="Let the service end", **documented(status=202)
)
def stop(desk: AtDesk) -> Response:
    """End the service; what runs goes on and is found again by the next one."""
    desk.stop()
    return Response(status_code=202)


@routes.get("/tokens", tags=["tokens"], summary="List tokens", **documented(Page[TokenView]))
def tokens(request: Request, desk: AtDesk, limit: Limit = PAGE, cursor: Cursor = None) -> Response:
    """Give all tokens to administrators, to others their own; never a secret."""
    return answer(request, paged(desk.tokens(), lambda token: token.id, limit, cursor))


@routes.post(
    "/tokens",
    tags=["tokens"],
    summary="Make a token",
    **documented(TokenMade, status=201, takes=TokenRequest),
)
def make_token(request: Request, desk: AtDesk, body: Body) -> Response:
    """Give the new token; its secret is shown this once."""
    return answer(request, desk.make_token(read(body, TokenRequest)), 201)


@routes.delete(
    "/tokens/{name}",
    tags=["tokens"],
    summary="Make a token worth nothing",
    **documented(TokenView, problems=(404,)),
)
def revoke_token(request: Request, desk: AtDesk, name: str) -> Response:
    """Revoke a token by its id; whoever holds it is refused from now on."""
    return answer(request, desk.revoke_token(name))
