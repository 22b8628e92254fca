"""Say what the server needs of the service behind it, and how it is set.

The routes know nothing of a controller or a store: for each request they ask the office whose token
that is, and put what was asked to the desk of that caller.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from makeway.live.records import Records
from makeway.wire.census import Census
from makeway.wire.desk import Desk
from makeway.wire.tokens import Caller, Scope

# As whom the server itself asks: for the stream that it passes on, and for its metrics.
SELF = Caller(user="makeway", scopes=frozenset({Scope.READ}))


class Office(Protocol):
    """Who may come, and where they are answered."""

    def desk(self, caller: Caller) -> Desk:
        """Give the desk at which this caller is answered; several threads may use it at once."""
        ...

    def records(self, caller: Caller) -> Records:
        """Give what this caller may read for the pages."""
        ...

    def verify(self, token: str) -> Caller | None:
        """Say whose token it is; None: nobody's, or not any more."""
        ...

    def census(self) -> Census:
        """Say how many jobs there are of each kind."""
        ...


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How the server is set.

    anonymous      who asks if there is no token at all; None: they are refused
    allowed_hosts  names under which the server is reached beside localhost and its own address
    secure_cookie  cookies go over TLS only; for a server behind a proxy that speaks it
    threads        requests that may wait for the controller at once
    followers_max  streams (events, logs) that may be open at once
    """

    anonymous: Caller | None = None
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    secure_cookie: bool = False
    body_max_bytes: int = 1 << 20
    artifact_max_bytes: int = 1 << 36
    threads: int = 40
    followers_max: int = 1_000
    heartbeat_s: float = 15.0
