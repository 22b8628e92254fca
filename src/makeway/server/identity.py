"""Find out who asks: by a bearer token, or by the cookie that a page got for its token.

A browser sends a cookie whoever made the page that asks, so what changes something must also come
from a page of ours: it needs an Origin, which the guard has compared with the host. A token is
never looked for in a URL, since URLs end up in histories and logs.

Raises:  NotSignedIn: there is no token, or it is worth nothing · WrongOrigin
Source:  RFC 6750 (bearer tokens)
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from makeway.errors import InvalidInput
from makeway.server.front import front_of
from makeway.server.problems import NotSignedIn, WrongOrigin
from makeway.server.replies import Body, read
from makeway.server.shapes import documented
from makeway.wire.desk import Desk
from makeway.wire.session import SignIn
from makeway.wire.tokens import Caller

COOKIE = "makeway_token"
HARMLESS = frozenset({"GET", "HEAD", "OPTIONS"})
HINT = "send a token: Authorization: Bearer TOKEN"
WORTHLESS = "make another one: makeway token create"


def caller_of(request: Request) -> Caller:
    """Say who asks."""
    front = front_of(request)
    token, by_cookie = _token_of(request)
    if token is None:
        if front.settings.anonymous is not None:
            return front.settings.anonymous
        raise NotSignedIn("there is no token", where="header Authorization", hint=HINT)
    if by_cookie and request.method not in HARMLESS and "origin" not in request.headers:
        raise WrongOrigin("a cookie alone is not enough to change something", where="header Origin")
    caller = front.office.verify(token)
    if caller is None:
        where = f"cookie {COOKIE}" if by_cookie else "header Authorization"
        raise NotSignedIn("this token is not known, or not any more", where=where, hint=WORTHLESS)
    return caller


def desk_of(request: Request) -> Desk:
    """Give the desk of whoever asks, if all that the query names is known."""
    caller = caller_of(request)
    _assert_known(request)
    return front_of(request).office.desk(caller)


AtDesk = Annotated[Desk, Depends(desk_of)]
Asking = Annotated[Caller, Depends(caller_of)]

routes = APIRouter(tags=["session"])


@routes.post("/session", summary="Sign in: get a cookie for a token", **documented(takes=SignIn))
def sign_in(request: Request, body: Body) -> Response:
    """Give a cookie that scripts cannot read and other sites cannot send."""
    front = front_of(request)
    token = read(body, SignIn).token
    if front.office.verify(token) is None:
        raise NotSignedIn("this token is not known", where="body.token", hint=WORTHLESS)
    response = Response(status_code=204)
    secure = front.settings.secure_cookie
    response.set_cookie(COOKIE, token, httponly=True, samesite="strict", secure=secure)
    return response


@routes.delete("/session", summary="Sign out: forget the cookie", **documented())
def sign_out() -> Response:
    """Take the cookie back; the token stays good."""
    response = Response(status_code=204)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return response


def _token_of(request: Request) -> tuple[str | None, bool]:
    """Give the token of a request, and whether it came by the cookie."""
    header = request.headers.get("authorization")
    if header is None:
        return request.cookies.get(COOKIE) or None, True
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise NotSignedIn("it is no bearer token", where="header Authorization", hint=HINT)
    return token.strip(), False


def _assert_known(request: Request) -> None:
    """Refuse a name in the query that the route does not know.

    A filter with a slip in its name would let everything through.
    """
    route: APIRoute = request.scope["route"]
    known = _known(route)
    strange = sorted({*request.query_params} - known)
    if strange:
        there = ", ".join(sorted(known)) or "none"
        problem = f"there is no such parameter here; there are {there}"
        raise InvalidInput(problem, where=f"query {strange[0]}")


def _known(route: APIRoute) -> frozenset[str]:
    names, left = set[str](), [route.dependant]
    while left:
        part = left.pop()
        names |= {field.alias for field in part.query_params}
        left += part.dependencies
    return frozenset(names)
