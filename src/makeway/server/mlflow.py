"""Speak with MLflow's own client: its routes, its errors, its tokens.

Each route does one thing with the tracker behind it. The client reads errors as `error_code` and
`message`, so all that goes wrong here is told so. What it asks for that we have not got is told as
such, and never as something that might work later.

Source:  MLflow's REST interface, as the client of version 3.17 speaks it
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Annotated, Any, TypeVar

import msgspec
from fastapi import Depends
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from makeway.errors import (
    Conflict,
    InvalidInput,
    MakewayError,
    NotAllowed,
    NotFound,
    Unavailable,
)
from makeway.executor.tracking import MARK
from makeway.live.tracker import Teller, Tracker, teller_of
from makeway.server.front import front_of
from makeway.server.problems import EXTRA, NotSignedIn, TooLarge
from makeway.server.replies import JSON, Body, read

API = "/api/2.0/mlflow"
HINT = "set MLFLOW_TRACKING_TOKEN to a token; makeway token create makes one"


class NotMade(MakewayError):
    """It is a part of MLflow that is not here."""


CODES: Mapping[type[MakewayError], tuple[int, str]] = {
    NotSignedIn: (401, "UNAUTHENTICATED"),
    NotAllowed: (403, "PERMISSION_DENIED"),
    NotFound: (404, "RESOURCE_DOES_NOT_EXIST"),
    NotMade: (404, "ENDPOINT_NOT_FOUND"),
    Conflict: (400, "RESOURCE_ALREADY_EXISTS"),
    TooLarge: (413, "INVALID_PARAMETER_VALUE"),
    InvalidInput: (400, "INVALID_PARAMETER_VALUE"),
    Unavailable: (503, "TEMPORARILY_UNAVAILABLE"),
    MakewayError: (500, "INTERNAL_ERROR"),
}

Value = TypeVar("Value")
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class Spoken(APIRoute):
    """A route whose errors the client can read."""

    def get_route_handler(self) -> Handler:
        """Tell what goes wrong behind this route in the client's own way."""
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            try:
                return await handle(request)
            except MakewayError as error:
                return refusal(error)
            except RequestValidationError as error:
                first = error.errors()[0]
                return refusal(InvalidInput(first["msg"], where=str(first["loc"][-1])))

        return handled


def refusal(error: MakewayError) -> Response:
    """Answer with an error."""
    status, code = next(CODES[base] for base in type(error).__mro__ if base in CODES)
    said = f"{error}; {error.hint}" if error.hint else str(error)
    body = {"error_code": code, "message": said}
    extra = next((EXTRA[base] for base in type(error).__mro__ if base in EXTRA), {})
    return Response(msgspec.json.encode(body), status, dict(extra), JSON)


def reply(value: object = None) -> Response:
    """Answer with a value; with an empty object, where there is nothing to say."""
    return Response(msgspec.json.encode({} if value is None else value), media_type=JSON)


class Asking:
    """A request to the tracker: where it goes, and who asks."""

    def __init__(self, request: Request) -> None:
        """Find out who asks: a worker, by its token, or a person by theirs."""
        front = front_of(request)
        if front.tracker is None:
            raise Unavailable("nothing is tracked here")
        self.tracker: Tracker = front.tracker
        self.query = request.query_params
        self.teller = _teller(request, self.tracker)


def _teller(request: Request, tracker: Tracker) -> Teller:
    front = front_of(request)
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if not token.strip():
        if front.settings.anonymous is not None:
            return teller_of(front.settings.anonymous)
        raise NotSignedIn("there is no token", where="header Authorization", hint=HINT)
    if scheme.lower() != "bearer":
        raise NotSignedIn("it is no bearer token", where="header Authorization", hint=HINT)
    if token.startswith(f"{MARK}_"):
        teller = tracker.admit(token.strip())
        if teller is None:
            raise NotSignedIn("the attempt that this token is of has ended", hint=HINT)
        return teller
    caller = front.office.verify(token.strip())
    if caller is None:
        raise NotSignedIn("this token is not known, or not any more", hint=HINT)
    return teller_of(caller)


Asked = Annotated[Asking, Depends()]


def taking(kind: type[Value]) -> Callable[[bytes], Value]:
    """Give what reads the body of a request as a value of this shape."""

    def taken(raw: Body) -> Value:
        return read(raw, kind)

    return taken


def named(asked: Asking, *names: str) -> str:
    """Give the first of these parameters of the query that is there."""
    for name in names:
        if value := asked.query.get(name):
            return value
    raise InvalidInput("it is missing", where=names[0])
