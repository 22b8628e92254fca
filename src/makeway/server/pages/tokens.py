"""Show tokens, make them and take them back; a secret is shown once, on the page that made it.

Administrators see all of them, everybody else their own. The page with a secret is never kept by the
browser.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from makeway.errors import InvalidInput
from makeway.server.pages.visit import Face, Form, PageRoute, Visit, Visiting
from makeway.wire.tokens import Scope, TokenMade, TokenRequest, TokenView

FACE = Face(title="Tokens", place="Tokens", command="makeway token list", live="")

routes = APIRouter(include_in_schema=False, route_class=PageRoute)


@routes.get("/tokens")
def tokens(visit: Visiting) -> Response:
    """Give the page."""
    return _page(visit)


@routes.post("/tokens")
def make(visit: Visiting, fields: Form, request: Request) -> Response:
    """Make a token, and show its secret."""
    scopes = tuple(scope for scope in Scope if fields.get(f"scope-{scope.value}"))
    if not scopes:
        raise InvalidInput("a token is good for something", where="scopes", hint="choose one")
    wanted = TokenRequest(
        user=fields.get("user", "") or visit.caller.user, name=fields.get("name", ""),
        scopes=scopes, lasts=fields.get("lasts") or None,
    )  # fmt: skip
    return _page(visit, visit.desk.make_token(wanted), str(request.base_url))


@routes.post("/tokens/{token}/revoke")
def revoke(visit: Visiting, token: str) -> Response:
    """Make a token worth nothing."""
    visit.desk.revoke_token(token)
    return visit.go("/tokens")


def _page(visit: Visit, made: TokenMade | None = None, base: str = "") -> Response:
    now_s = time.time()
    response = visit.page(
        "tokens.html", FACE, made=made, base=base,
        rows=[(one, _state(one, now_s)) for one in visit.desk.tokens()],
        scopes=_scopes(visit),
    )  # fmt: skip
    response.headers["Cache-Control"] = "no-store"
    return response


def _state(token: TokenView, now_s: float) -> str:
    if token.revoked_s is not None:
        return "revoked"
    return "expired" if token.expires_s is not None and token.expires_s <= now_s else "valid"


def _scopes(visit: Visit) -> Mapping[str, str]:
    """Name the scopes that this caller may give, with what each is good for."""
    told = {
        "read": "look at everything",
        "submit": "bring jobs, and act on one's own",
        "operate": "act on everybody's jobs, and on machines",
        "admin": "set the policy, make tokens for others",
    }
    return {name: text for name, text in told.items() if visit.may(name)}
