"""Stand where the agent of a worker stands, and read what is recorded there."""

from __future__ import annotations

import time
from pathlib import Path

from makeway.model.record import Sample
from makeway.worker.contact import Nearby
from makeway.worker.link import Link


class Agent:
    """The agent's end: what `Link` reads, as the agent of a worker does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.link = Link(Nearby(folder / "no-controller"), folder)
        self.samples: list[Sample] = []

    def read(self) -> list[Sample]:
        self.samples += self.link.read_records()
        return self.samples

    def wait_for(self, count: int) -> list[Sample]:
        until = time.monotonic() + 5
        while len(self.read()) < count and time.monotonic() < until:
            time.sleep(0.01)
        return self.samples

    def notes(self, count: int) -> list[tuple[str, str, object]]:
        """Wait for so many notes, and give what each says."""
        until = time.monotonic() + 5
        while len(self.link.noted) < count and time.monotonic() < until:
            self.read()
            time.sleep(0.01)
        return [(note.kind, note.key, note.value) for note in self.link.noted]
