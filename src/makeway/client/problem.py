"""Turn the problems that a service answers into exceptions, the same that it raised itself."""

from __future__ import annotations

import msgspec

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

KINDS: dict[str, type[MakewayError]] = {
    "bad-input": InvalidInput,
    "not-found": NotFound,
    "not-allowed": NotAllowed,
    "not-signed-in": NotAllowed,
    "wrong-origin": NotAllowed,
    "wrong-host": NotAllowed,
    "conflict": Conflict,
    "changed": Conflict,
    "too-large": InvalidInput,
    "wrong-type": InvalidInput,
    "never-fits": NeverFits,
    "unavailable": Unavailable,
}
# What a proxy, or another service at that port, says has no code of ours.
BY_STATUS: dict[int, type[MakewayError]] = {
    400: InvalidInput,
    401: NotAllowed,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    412: Conflict,
    413: InvalidInput,
    422: InvalidInput,
}
TOKEN_HINT = "give a token by MAKEWAY_TOKEN or --token-file FILE"  # noqa: S105 - a sentence


def error_of(status: int, body: bytes, url: str) -> MakewayError:
    """Give the exception that an answer stands for."""
    try:
        problem = msgspec.json.decode(body, type=Problem)
    except msgspec.DecodeError:
        kind = BY_STATUS.get(status, Unavailable)
        hint = TOKEN_HINT if kind is NotAllowed else "is this the address of a makeway service?"
        return kind(f"it answered {status} and no reason", where=url, hint=hint)
    kind = KINDS.get(problem.code) or BY_STATUS.get(status, Unavailable)
    hint = problem.hint or (TOKEN_HINT if problem.code == "not-signed-in" else "")
    return kind(problem.detail or problem.title, where=problem.where, hint=hint)
