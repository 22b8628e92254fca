"""Put the store in order while the controller has nothing else to do, and never for long.

A call of the packer takes a few ms. The next one waits nine times as long as the last one took, so
this is a tenth of a processor at most, however much is to be done; with nothing to do it is one
question to the store every half minute.
"""

from __future__ import annotations

import time

from makeway.errors import Unavailable
from makeway.store.packer import Packer

PAUSES = 9  # so many times as long as the work
IDLE_MS = 1_000


class Upkeep:
    """Calls a packer when it is time to; see the module."""

    def __init__(self, packer: Packer) -> None:
        """Take what does the work."""
        self._packer = packer
        self.due_ms = 0

    def turn(self, now_ms: int) -> None:
        """Do a little, if it is time."""
        if now_ms < self.due_ms:
            return
        began = time.monotonic()
        try:
            more = self._packer.work(now_ms)
        except Unavailable:
            more = False  # nothing of it was done; the log will say what is wrong with the store
        took_ms = 1000 * (time.monotonic() - began)
        self.due_ms = now_ms + (int(PAUSES * took_ms) + 1 if more else IDLE_MS)
