"""Say what is wrong: every error becomes one shape (RFC 9457), by one table.

Programs go by `code`, which never changes; people by `detail` and `hint`. `where` names what is
meant: a field of the body, a parameter, a header, a thing.

    makeway's own errors      by their class; a class that is not in the table counts as its base
    what HTTP itself refuses  classes of this module: no token, too large, another type of body …
    what the router refuses   404 and 405; a parameter that does not read is bad input
    what is our own bug       500, whose detail says nothing of what is inside

Source:  RFC 9457 (problem details), RFC 9110 (the status codes)
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from makeway.errors import (
    Conflict,
    InvalidInput,
    MakewayError,
    NeverFits,
    NotAllowed,
    NotFound,
    Unavailable,
)
from makeway.wire.page import Problem

PROBLEM_JSON = "application/problem+json"
Headers = Mapping[str, str]


class Malformed(InvalidInput):
    """The body is not JSON at all."""


class NotSignedIn(MakewayError):
    """There is no token, or it is worth nothing."""


class WrongOrigin(MakewayError):
    """A page of somebody else's asks in the name of whoever looks at it."""


class WrongHost(MakewayError):
    """The request is meant for another host."""


class Changed(MakewayError):
    """What was to be replaced is not what the caller has seen."""


class TooLarge(MakewayError):
    """The body is larger than is taken."""


class WrongType(MakewayError):
    """The body is not of the type that is read here."""


class TooMany(MakewayError):
    """More at once than is allowed."""


class Kind(msgspec.Struct, frozen=True):
    """How an error is told over HTTP."""

    status: int
    code: str
    title: str


KINDS: Mapping[type[MakewayError], Kind] = {
    Malformed: Kind(400, "bad-input", "This cannot be read"),
    NotSignedIn: Kind(401, "not-signed-in", "Not signed in"),
    NotAllowed: Kind(403, "not-allowed", "Not allowed"),
    WrongOrigin: Kind(403, "wrong-origin", "Asked from elsewhere"),
    NotFound: Kind(404, "not-found", "There is no such thing"),
    Conflict: Kind(409, "conflict", "It clashes with what is there"),
    Changed: Kind(412, "changed", "It has changed meanwhile"),
    TooLarge: Kind(413, "too-large", "Too large"),
    WrongType: Kind(415, "wrong-type", "Not of a type that is read here"),
    WrongHost: Kind(421, "wrong-host", "Meant for another host"),
    NeverFits: Kind(422, "never-fits", "It can never be scheduled"),
    InvalidInput: Kind(422, "bad-input", "Something in it is wrong"),
    TooMany: Kind(429, "rate-limited", "Too many at once"),
    Unavailable: Kind(503, "unavailable", "Not available now"),
    MakewayError: Kind(500, "failed", "It could not be done"),
}

EXTRA: Mapping[type[MakewayError], Headers] = {
    NotSignedIn: {"WWW-Authenticate": 'Bearer realm="makeway"'},
    TooLarge: {"Connection": "close"},
    TooMany: {"Retry-After": "5"},
    Unavailable: {"Retry-After": "1"},
}

NO_PATH = "see the list of routes at /api/v1/openapi.json"
BUG = Problem(
    title="Our own mistake",
    status=500,
    code="internal",
    detail="the service failed at this; why stands in its own output",
    hint="tell whoever runs it",
)


def kind_of(error: MakewayError) -> Kind:
    """Say how an error is told: as its class says, or the nearest base."""
    return next(KINDS[base] for base in type(error).__mro__ if base in KINDS)


def problem_of(error: MakewayError) -> Problem:
    """Give the problem that an error is."""
    kind = kind_of(error)
    return Problem(
        title=kind.title,
        status=kind.status,
        detail=error.problem,
        code=kind.code,
        where=error.where,
        hint=error.hint,
    )


def refusal(error: MakewayError) -> Response:
    """Answer with an error."""
    extra = next((EXTRA[base] for base in type(error).__mro__ if base in EXTRA), {})
    return told(problem_of(error), extra)


def told(problem: Problem, headers: Headers | None = None) -> Response:
    """Answer with a problem."""
    body = msgspec.json.encode(problem)
    return Response(body, problem.status, dict(headers or {}), PROBLEM_JSON)


def install(app: FastAPI) -> None:
    """Let every way in which a request can go wrong be told as a problem."""
    app.add_exception_handler(MakewayError, _ours)
    app.add_exception_handler(HTTPException, _routers)
    app.add_exception_handler(RequestValidationError, _parameter)


async def _ours(_: Request, error: Exception) -> Response:
    assert isinstance(error, MakewayError), "it was registered for these alone"
    return refusal(error)


async def _routers(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException), "it was registered for these alone"
    where, headers = request.url.path, error.headers or {}
    match error.status_code:
        case 404:
            return refusal(NotFound("nothing is at this path", where=where, hint=NO_PATH))
        case 405:
            allowed = headers.get("Allow", "")
            detail = f"{request.method} is not possible here"
            hint = f"possible: {allowed}" if allowed else NO_PATH
            title = "Not possible here"
            code = "wrong-method"
        case _:
            title = code = detail = "failed"
            hint = ""
    problem = Problem(
        title=title, status=error.status_code, detail=detail, code=code, where=where, hint=hint
    )
    return told(problem, headers)


async def _parameter(_: Request, error: Exception) -> Response:
    """Tell of the first parameter that does not read; what was in it is not repeated."""
    assert isinstance(error, RequestValidationError), "it was registered for these alone"
    first = error.errors()[0]
    place, *names = (str(part) for part in first["loc"])
    return refusal(InvalidInput(first["msg"], where=" ".join([place, ".".join(names)]).strip()))
