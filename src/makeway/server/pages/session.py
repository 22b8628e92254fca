"""Sign in by a form or by a link, and out again.

The link of `makeway ui` carries its token behind a `#`, which a browser sends to nobody; a script of
the page puts it into this very form. So there is one way in, and no token in any address that is
logged or kept.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from makeway.errors import MakewayError
from makeway.server.front import front_of
from makeway.server.identity import COOKIE, caller_of
from makeway.server.pages.render import rendered
from makeway.server.pages.visit import Face, Form, PageRoute, Visiting, framed

NEXT_CHARS_MAX = 2_000
UNKNOWN = "This token is not known, or not any more."

Next = Annotated[str, Query(alias="next")]

routes = APIRouter(include_in_schema=False, route_class=PageRoute)


@routes.get("/login")
def form(request: Request, wanted: Next = "/") -> Response:
    """Ask for a token; whoever is signed in already goes on."""
    try:
        caller_of(request)
    except MakewayError:
        return _form(request, wanted)
    return RedirectResponse(_ours(wanted), 303)


@routes.post("/login")
def sign_in(request: Request, fields: Form) -> Response:
    """Give a cookie that scripts cannot read and other sites cannot send."""
    front, token = front_of(request), fields.get("token", "").strip()
    wanted = fields.get("next", "/")
    if not token or front.office.verify(token) is None:
        return _form(request, wanted, problem=UNKNOWN if token else "Give a token.")
    response = RedirectResponse(_ours(wanted), 303)
    secure = front.settings.secure_cookie
    response.set_cookie(COOKIE, token, httponly=True, samesite="strict", secure=secure)
    return response


@routes.post("/logout")
def sign_out(visit: Visiting) -> Response:
    """Take the cookie back; the token stays good."""
    response = visit.go("/login")
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return response


def _form(request: Request, wanted: str, problem: str = "") -> Response:
    face = Face(title="Sign in", live="")
    values = framed(request, face, None, {"wanted": _ours(wanted), "problem": problem})
    return rendered("login.html", values, status=401 if problem else 200)


def _ours(path: str) -> str:
    """Give a path of this service; whatever leads elsewhere becomes the first page."""
    plain = path.isprintable() and "\\" not in path and len(path) <= NEXT_CHARS_MAX
    return path if plain and path.startswith("/") and not path.startswith("//") else "/"
