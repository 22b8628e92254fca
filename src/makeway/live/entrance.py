"""Let callers in: whose token is it, and which one is the owner's.

The owner of the store has a token in a file that only they can read; with it the commands of this
machine ask without any setting up.
"""

from __future__ import annotations

import os
from pathlib import Path

from makeway.live.behind import Behind
from makeway.live.counts import census
from makeway.live.desk import ServiceDesk
from makeway.live.records import Records
from makeway.store.tokens import TokenWanted, make_token, verify_token
from makeway.wire.census import Census
from makeway.wire.tokens import Caller, Scope

OWNERS_FILE = "owner.token"


class Office:
    """Where callers are let in: whose token it is, and their desk."""

    def __init__(self, service: Behind) -> None:
        """Take a service that runs."""
        self._service = service

    def desk(self, caller: Caller) -> ServiceDesk:
        """Answer one caller."""
        return ServiceDesk(self._service, caller)

    def records(self, caller: Caller) -> Records:
        """Let one caller read what the pages show."""
        return Records(self._service, caller)

    def verify(self, token: str) -> Caller | None:
        """Say whose token this is, if it is one that is still good."""
        found = verify_token(self._service.database, token, self._service.now_ms())
        if found is None:
            return None
        return Caller(user=found.user, scopes=frozenset(Scope(one) for one in found.scopes))

    def census(self) -> Census:
        """Say how many jobs there are of each kind."""
        return self._service.inbox.ask(census)


def owner_token(service: Behind, user: str) -> Path:
    """Give the file with the owner's token; made if there is none, or it is worth nothing."""
    file = service.store / OWNERS_FILE
    try:
        known = file.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        known = ""
    if not known or Office(service).verify(known) is None:
        wanted = TokenWanted(user=user, scopes=tuple(Scope), name="the owner of the store")
        _, text = make_token(service.database, wanted, service.now_ms())
        fresh = file.with_suffix(".fresh")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as out:
            out.write(f"{text}\n")
        fresh.rename(file)
    return file
