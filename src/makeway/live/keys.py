"""Let one submission at a time use a key, so that a request that is repeated does nothing twice.

What a key has led to stands in the store. Here is only what is under way: whoever comes with the
same key meanwhile waits, and then finds what the first one led to.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from makeway.store.idempotency import hash_of


class Keys:
    """The keys that are being used at this moment."""

    def __init__(self) -> None:
        """Begin with none."""
        self._free = threading.Condition()
        self._busy: set[tuple[str, str]] = set()

    @contextmanager
    def used(self, user: str, key: str) -> Iterator[None]:
        """Use a key alone for as long as the block runs."""
        mine = (user, key)
        with self._free:
            self._free.wait_for(lambda: mine not in self._busy)
            self._busy.add(mine)
        try:
            yield
        finally:
            with self._free:
                self._busy.discard(mine)
                self._free.notify_all()


def digest(body: Mapping[str, object]) -> str:
    """Name a body by what is in it, whatever the order of its keys."""
    return hash_of(json.dumps(body, sort_keys=True, default=str).encode())
