"""Kill whoever a seed says, while jobs come and go: every promise is kept.

When a kill comes is said in lines of `runs`, not in seconds, so a busy machine tests the same.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from itertools import count
from pathlib import Path
from random import Random
from typing import Self

import pytest

from tests.faults.figures import say
from tests.faults.site import FAULTS, Site, site_in, wait_until

ROUNDS = 6 * FAULTS
VICTIMS = ("controller", "agent", "worker")


@pytest.mark.parametrize("seed", range(1, 1 + FAULTS))
def test_whoever_is_killed_nothing_is_lost_or_done_twice(tmp_path: Path, seed: int) -> None:
    rng = Random(seed)
    with site_in(tmp_path) as site:
        site.opens()
        kills = dict.fromkeys(VICTIMS, 0)
        with Person(site, Random(seed + 1)):
            for _ in range(ROUNDS):
                seen, more = len(site.marks()), rng.randint(2, 12)
                wait_until(lambda: len(site.marks()) >= seen + more, "work")  # noqa: B023
                for victim in rng.choices(VICTIMS, weights=(1, 2, 2), k=rng.randint(1, 2)):
                    kills[victim] += kill(site, victim, rng)
                assert site.up_now is not None
                if not site.up_now.alive:
                    site.opens()
        assert site.settles() == []
        say(f"random kills, seed {seed}", **kills, jobs=len(site.acknowledged))


class Person(threading.Thread):
    """Brings one job after the other for as long as the block runs, each until it is answered."""

    def __init__(self, site: Site, rng: Random) -> None:
        super().__init__()
        self._site, self._rng = site, rng
        self._enough = threading.Event()

    def run(self) -> None:
        for number in count():
            work, workers = self._rng.choice(("quick", "0.3", "1")), self._rng.randint(1, 2)
            while self._site.tries(work, f"job-{number}", workers, retries=20) is None:
                self._enough.wait(0.05)
            if self._enough.wait(0.2):
                return

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self.join()


def kill(site: Site, victim: str, rng: Random) -> int:
    """Kill one of a kind, if there is one; give how many were."""
    if victim == "controller":
        assert site.up_now is not None
        site.up_now.kill()
        return 1
    pids = [pid for _, pid in site.agents()] if victim == "agent" else site.processes()
    with contextlib.suppress(IndexError, ProcessLookupError):
        os.kill(rng.choice(pids), signal.SIGKILL)
        return 1
    return 0
