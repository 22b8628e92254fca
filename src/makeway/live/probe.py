"""Look for the data that jobs wait for, and say when they are there again.

A path may lie on a file system that does not answer; whoever asks it then waits as long as it does.
So another thread asks, and the controller only looks what has become of that.

Takes:   what is believed
Gives:   DataFound, for each job all of whose missing paths can be read
Cost:    one `access` a path every few seconds, in another thread
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Future
from threading import Thread

from makeway.engine.state import State
from makeway.model.event import DataFound

EVERY_MS = 2_000


class Probe:
    """Whoever looks for data; see the module."""

    def __init__(self) -> None:
        """Begin with nothing asked."""
        self._asked: dict[str, Future[bool]] = {}
        self._at_ms = 0

    def look(self, state: State, now_ms: int) -> list[DataFound]:
        """Ask again, if it is time to, and give what was found."""
        if 0 <= now_ms - self._at_ms < EVERY_MS:
            return []
        self._at_ms = now_ms
        waiting = {job.id: job.lacks for job in state.paused.values() if job.lacks}
        found = []
        for job, asked in [*self._asked.items()]:
            if asked.done() or job not in waiting:
                del self._asked[job]
                if job in waiting and asked.result():
                    found.append(
                        DataFound(job=job, text=f"{', '.join(waiting[job])} is there again")
                    )
        for job, paths in waiting.items():
            if job not in self._asked and all(one.job != job for one in found):
                self._asked[job] = _ask(paths)
        return found


def _ask(paths: Sequence[str]) -> Future[bool]:
    """Ask in a thread that nobody waits for, also not who ends."""
    answer: Future[bool] = Future()

    def ask() -> None:
        answer.set_result(all(os.access(path, os.R_OK) for path in paths))

    Thread(target=ask, name="probe", daemon=True).start()
    return answer
