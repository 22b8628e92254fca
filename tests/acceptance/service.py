"""A service as a team has one: `makeway up` in a folder of its own, and people who ask it."""

from __future__ import annotations

import json
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.acceptance.terminal import MAKEWAY, Running, Terminal

READY = "ends the service"


class Shop(Terminal):
    """A terminal in the folder where a service works."""

    service: Running
    port = 0

    def submits(self, *words: str) -> str:
        """Bring a job and give its id."""
        (name,) = self.types("submit", *words).stdout.split()
        return name

    def opens(self) -> None:
        """Start the service, and wait until it can be asked."""
        self.service = self.begins("up", "--port", str(self.port))
        self.service.waits_for(READY)

    def closes(self) -> None:
        """End it as its owner does."""
        self.types("down")
        assert self.service.ends() == 0

    def phase(self, job: str) -> str:
        """Say where a job stands."""
        phase: str = self.reads("job", "show", job)["phase"]
        return phase


@contextmanager
def opened(folder: Path, port: int = 0) -> Iterator[Shop]:
    """Have a service for as long as the block runs; what still runs then is cancelled."""
    shop = Shop(folder)
    shop.port = port
    shop.opens()
    try:
        yield shop
        running = shop.types("jobs", "--state", "queued,running", "-o", "name").stdout.split()
        if running:
            shop.types("cancel", *running, expect=None)
            shop.types("wait", *running, "--timeout", "60s", expect=None)
        shop.closes()
    finally:
        if shop.service.process.poll() is None:
            shop.service.process.terminate()
            shop.service.ends()


def cpu_ms(folder: Path, *words: str) -> float:
    """Say how much of a processor a command takes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*MAKEWAY, *words], cwd=folder, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def lines(text: str) -> list[Any]:
    """Read JSON, one value a line."""
    return [json.loads(line) for line in text.splitlines()]
