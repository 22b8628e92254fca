"""Write down what was concluded before anything is done about it, also when the store fails.

While the store cannot be written (the disk is full, the database is gone) nothing new is concluded:
what is not written yet is kept, with the orders that hang on it, and tried again. The workers go on
meanwhile; they need no store.
"""

from __future__ import annotations

from collections.abc import Sequence

from makeway.engine.engine import Step
from makeway.errors import Unavailable
from makeway.failpoint import reach
from makeway.model.effect import Effect
from makeway.model.event import Entry
from makeway.store.idempotency import Write
from makeway.store.log import Log

AGAIN_MS = 500


class Journal:
    """The log, and what waits to be written into it."""

    def __init__(self, log: Log) -> None:
        """Take the log of an open store."""
        self._log = log
        self._entries: list[Entry] = []
        self._also: list[Write] = []
        self._effects: list[Effect] = []
        self.trouble: Unavailable | None = None

    def write(self, step: Step, also: Sequence[Write] = ()) -> list[Effect]:
        """Write a step down, with `also` beside it, and give the orders to be carried out now."""
        assert self.trouble is None, "nothing is concluded while nothing can be written"
        self._entries, self._also = [*step.entries], [*also] if step.entries else []
        self._effects = [*step.effects]
        return self.flush()

    @property
    def entries(self) -> Sequence[Entry]:
        """Give what is not written yet."""
        return self._entries

    def forget(self) -> None:
        """Do not write what was to be written beside the entries: whoever wanted it was refused."""
        self._also = []

    def flush(self) -> list[Effect]:
        """Try to write what is left; nothing is lost if that fails."""
        try:
            if self._entries:
                reach("journal.write.before")
                self._log.append(self._entries, self._also)
                reach("journal.write.after")
        except Unavailable as error:
            self.trouble = error
            return []
        self.trouble = None
        effects, self._entries, self._also, self._effects = self._effects, [], [], []
        return effects
