"""Print the description of the REST interface as it is committed.

python -m makeway.server.openapi > docs/openapi.json
"""

from __future__ import annotations

import sys

from makeway.errors import Unavailable
from makeway.live.records import Records
from makeway.server.app import create_app
from makeway.server.describe import document, text
from makeway.wire.census import Census
from makeway.wire.desk import Desk
from makeway.wire.tokens import Caller


class Nobody:
    """An office without a service behind it: enough to describe what could be asked."""

    def desk(self, caller: Caller) -> Desk:
        """Refuse."""
        raise Unavailable("there is no service", where=caller.user)

    def records(self, caller: Caller) -> Records:
        """Refuse."""
        raise Unavailable("there is no service", where=caller.user)

    def verify(self, token: str) -> Caller | None:
        """Know no token."""
        raise Unavailable("there is no service", where=f"a token of {len(token)} letters")

    def census(self) -> Census:
        """Count nothing."""
        return Census(phases={}, reasons={})


def page() -> str:
    """Give the document."""
    return text(document(create_app(Nobody())))


if __name__ == "__main__":
    sys.stdout.write(page())
