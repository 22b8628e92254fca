"""Receive somebody who looks at a page: who it is, what they may, what goes wrong as a page.

Whoever is not signed in is sent to the form and comes back to where they wanted to go. Every button
asks `may` and `may_act_on` before it is shown; what it does is checked again where it is done.

Raises:  NotSignedIn, which `PageRoute` turns into a way to the form
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any
from urllib.parse import parse_qsl, quote

import msgspec
from fastapi import Depends
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from makeway.errors import InvalidInput, MakewayError
from makeway.live.records import Records
from makeway.server.front import front_of
from makeway.server.identity import COOKIE, caller_of
from makeway.server.pages.places import PLACES
from makeway.server.pages.render import rendered
from makeway.server.problems import NotSignedIn, TooLarge, WrongType, problem_of
from makeway.wire.desk import Desk
from makeway.wire.page import Problem
from makeway.wire.tokens import Caller, Scope

FORM = "application/x-www-form-urlencoded"
FRAGMENT = "hx-request"


class Crumb(msgspec.Struct, frozen=True):
    """One step of the way to a page."""

    text: str
    path: str


class Face(msgspec.Struct, frozen=True, kw_only=True):
    """What the frame shows of a page.

    place    the entry of the navigation that it belongs to
    command  what prints the same in a terminal
    live     topics of events after which it is asked for again: jobs, runs, nodes, queues
    """

    title: str
    place: str = ""
    command: str = ""
    crumbs: tuple[Crumb, ...] = ()
    live: str = "jobs"


class Visit:
    """One request for a page, and who makes it; see the module."""

    def __init__(self, request: Request, caller: Caller) -> None:
        """Take who asks for what."""
        self.request, self.caller = request, caller
        self.front = front_of(request)

    @cached_property
    def desk(self) -> Desk:
        """Give the desk where this caller is answered."""
        return self.front.office.desk(self.caller)

    @cached_property
    def records(self) -> Records:
        """Give what this caller may read."""
        return self.front.office.records(self.caller)

    @property
    def query(self) -> Mapping[str, str]:
        """Give the filters that stand in the address."""
        return self.request.query_params

    def may(self, scope: str) -> bool:
        """Say whether the caller's token has this scope."""
        return self.caller.may(Scope(scope))

    def may_act_on(self, user: str) -> bool:
        """Say whether the caller may act on what is this person's."""
        return self.may("operate") or (self.may("submit") and self.caller.user == user)

    def page(self, template: str, face: Face, **values: object) -> Response:
        """Answer with a page; who keeps one up to date gets the main part alone."""
        part = FRAGMENT in self.request.headers
        return rendered(template, framed(self.request, face, self, values), part=part)

    def go(self, path: str) -> Response:
        """Send the browser on after something was done."""
        return RedirectResponse(path, 303)


def framed(
    request: Request, face: Face, visit: Visit | None, values: Mapping[str, object]
) -> dict[str, object]:
    """Give a template what the frame needs, and its own values."""
    query = request.url.query
    here = request.url.path + (f"?{query}" if query else "")
    return {"face": face, "visit": visit, "here": here, "places": PLACES, **values}


def visit_of(request: Request) -> Visit:
    """Receive whoever asks."""
    return Visit(request, caller_of(request))


async def _form(request: Request) -> Mapping[str, str]:
    """Read a form; of a field that is sent twice the last one counts."""
    sort = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if sort != FORM:
        raise WrongType(f"the body is {sort or 'of no type'}", where="header Content-Type")
    most, body = front_of(request).settings.body_max_bytes, b""
    async for part in request.stream():
        body += part
        if len(body) > most:
            raise TooLarge(f"the form is larger than {most} bytes", where="body")
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=bool(body)))
    except ValueError:
        raise InvalidInput("this is no form", where="body") from None


Visiting = Annotated[Visit, Depends(visit_of)]
Form = Annotated[Mapping[str, str], Depends(_form)]
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class PageRoute(APIRoute):
    """A route whose errors are pages, too."""

    def get_route_handler(self) -> Handler:
        """Answer, and turn what goes wrong into a page."""
        inner = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                return await inner(request)
            except NotSignedIn:
                return _to_the_form(request)
            except MakewayError as error:
                return failed(request, problem_of(error))
            except RequestValidationError as error:
                first: Sequence[Any] = error.errors()
                wrong = InvalidInput(first[0]["msg"], where=str(first[0]["loc"][-1]))
                return failed(request, problem_of(wrong))

        return handler


def failed(request: Request, problem: Problem) -> Response:
    """Show a problem as a page: what is wrong, where, and what to do."""
    try:
        visit = visit_of(request)
    except MakewayError:
        visit = None
    face = Face(title=problem.title, live="")
    values = framed(request, face, visit, {"problem": problem})
    part = FRAGMENT in request.headers
    return rendered("problem.html", values, part=part, status=problem.status)


def _to_the_form(request: Request) -> Response:
    """Send somebody to sign in, and remember where they wanted to go."""
    wanted = request.url.path if request.method == "GET" else "/"
    query = f"?{request.url.query}" if request.url.query and request.method == "GET" else ""
    place = f"/login?next={quote(wanted + query, safe='')}"
    if FRAGMENT in request.headers:
        response = Response(None, 204, {"HX-Redirect": "/login"})
    else:
        response = RedirectResponse(place, 303)
    if COOKIE in request.cookies:
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return response
