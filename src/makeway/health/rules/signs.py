"""Tell a cause from what a message says, by the rows of `table`; the first that matches wins.

What only advises ("it may be caused by …") is cut out before, since advice is no evidence.

Takes:   a text
Gives:   Sign: the cause that it speaks for, and whether that only follows from another failure
Cost:    one search for each cause, not for each row: rows of one kind that stand together are joined
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import groupby
from typing import NamedTuple

from makeway.health.rules.table import ROWS, Row
from makeway.model.incident import Failure
from makeway.model.record import Cause
from makeway.model.ruling import LogPattern

C = Cause
LINE_MAX = 1_000


class Sign(NamedTuple):
    """The joined patterns of a cause, and the role of what they match."""

    cause: Cause
    pattern: re.Pattern[str]
    role: str


def joined(rows: Iterable[Row]) -> re.Pattern[str]:
    """Make one pattern of several rows."""
    return re.compile("|".join(f"(?:{row.pattern})" for row in rows), re.IGNORECASE)


def confirming(use: str) -> re.Pattern[str]:
    """Give the pattern of all that confirms one kind of end."""
    return joined(row for row in ROWS if row.role == "confirmation" and row.use == use)


SIGNS = tuple(
    Sign(cause, joined(rows), role)
    for (cause, role), rows in groupby(ROWS, key=lambda row: (row.cause, row.role))
    if cause is not None and role in ("root", "cascade")
)
ADVICE = joined(row for row in ROWS if row.use == "sentence")
RECOVERED = joined(row for row in ROWS if row.use == "line")
SENTENCE = re.compile(r"(?<=[.;!])\s+|\n")


def sign_of(text: str) -> Sign | None:
    """Find the row that a message matches, once its advice is cut out."""
    plain = without_advice(text)
    return next((sign for sign in SIGNS if sign.pattern.search(plain)), None)


def without_advice(text: str) -> str:
    """Leave away the sentences that only guess or advise."""
    return " ".join(part for part in SENTENCE.split(text) if not ADVICE.search(part))


def follows(error: Failure, patterns: Sequence[LogPattern]) -> bool:
    """Say whether somebody has said of such an exception that it only follows from another."""
    text = f"{error.type}: {error.message}"
    return any(one.role == "cascade" and matches(one, text) for one in patterns)


def matches(pattern: LogPattern, text: str) -> bool:
    """Say whether a text has the pattern in it."""
    return _compiled(pattern.pattern).search(text[:LINE_MAX]) is not None


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


def names_of(error: Failure) -> list[str]:
    """Give the name of an exception and of its bases, without their modules."""
    return [name.rpartition(".")[2] for name in (error.type, *error.bases) if name]


COLLECTIVES = {"DistBackendError", "DistStoreError", "DistNetworkError", "NCCLError"}
CONNECTIONS = {
    "BrokenPipeError", "ConnectTimeout", "ConnectionAbortedError", "ConnectionError",
    "ConnectionRefusedError", "ConnectionResetError", "IncompleteRead", "InterfaceError",
    "ProtocolError", "ReadTimeout", "RemoteDisconnected", "TimeoutError", "URLError", "gaierror",
    "EndpointConnectionError", "ServerDisconnectedError", "ClientConnectorError", "NewConnectionError",
}  # fmt: skip
CONNECTION_ERRNOS = {104, 111, 110, 32, 113, 103, 101}


def is_collective(error: Failure) -> bool:
    """Say whether an exception comes from a collective operation: it follows from another."""
    if COLLECTIVES & set(names_of(error)):
        return True
    sign = sign_of(error.message)
    return sign is not None and sign.role == "cascade"


def is_connection(error: Failure) -> bool:
    """Say whether an exception is a lost or refused connection."""
    if error.errno is not None and error.errno > 0:  # a resolver counts below 0
        return error.errno in CONNECTION_ERRNOS
    names = names_of(error)
    if CONNECTIONS & set(names) or any(name.endswith("ConnectionError") for name in names):
        sign = sign_of(error.message)
        return sign is None or sign.cause is not C.AUTH
    sign = sign_of(error.message)
    return sign is not None and sign.cause is C.CONNECTION
