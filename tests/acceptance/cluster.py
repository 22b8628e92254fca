"""A cluster as its users have it: machines and rules in a file, a service, and what it tells.

Amounts are counted, not measured, so one machine can stand for several with many processors. What
has happened is read from `makeway events -w`, which is also what a test waits for.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.acceptance.service import Shop, opened
from tests.acceptance.terminal import PATIENCE_S

LOOK_S = 0.1
Fact = dict[str, Any]
AT_ONCE = """
[policy.preemption]
delay = "0s"
grace = "20s"
cooldown = "0s"
"""
UNTIL = 'while [ ! -e "$0" ]; do sleep 0.05; done'


class Cluster:
    """A service with machines of one's own, and everything that it has told so far."""

    def __init__(self, shop: Shop) -> None:
        self.shop, self.folder = shop, shop.folder
        self.names: dict[str, str] = {}  # the name of each job, by its id
        self._told = shop.begins("events", "-w", "-o", "jsonl")

    # ── what is done ──────────────────────────────────────────────────────────────────────────────

    def brings(self, name: str, *words: str, program: tuple[str, ...] = ()) -> str:
        """Submit a job: by default one that runs until it is told to end."""
        command = program or ("sh", "-c", UNTIL, str(self.door(name)))
        job = self.shop.submits("--name", name, *words, "--", *command)
        self.names[job] = name
        return job

    def door(self, name: str) -> Path:
        """Name the file at which a job ends that runs until it is told to."""
        return self.folder / f"{name}.end"

    def ends(self, *names: str) -> None:
        """Let jobs end that run until they are told to, and wait until they have."""
        for name in names:
            self.door(name).touch()
        for name in names:
            self.waits_for("JobFinished", name)

    # ── what is told ──────────────────────────────────────────────────────────────────────────────

    def facts(self, kind: str = "", name: str = "") -> list[Fact]:
        """Give what has happened, in order; `kind` of fact, about the job of this name."""
        found = []
        for line in self._told.said().splitlines(keepends=True):
            if line.startswith("{") and line.endswith("\n"):
                fact: Fact = json.loads(line)
                event = fact["event"]
                event["at_ms"], event["seq"] = fact["at_ms"], fact["seq"]
                event["name"] = self.names.get(event.get("job", ""), "")
                if kind in ("", event["type"]) and name in ("", event["name"]):
                    found.append(event)
        return found

    def waits_for(self, kind: str, name: str, times: int = 1) -> Fact:
        """Wait until this has happened to a job so often, and give the last of it."""
        self.until(lambda: len(self.facts(kind, name)) >= times, f"{kind} of {name}")
        return self.facts(kind, name)[times - 1]

    def until(self, true: Callable[[], bool], what: str = "it") -> None:
        """Wait until something is true of what was told, or lies in a file."""
        end = time.monotonic() + PATIENCE_S
        while not true():
            assert time.monotonic() < end, f"{what} never came: {self.story()}"
            time.sleep(LOOK_S)

    def story(self) -> list[str]:
        """Write what has happened to jobs, one line a fact."""
        return [f"{one['type']} {one['name']}" for one in self.facts() if one["name"]]

    def starts(self) -> list[str]:
        """Name the jobs in the order in which they were started, each attempt anew."""
        return [one["name"] for one in self.facts("AttemptStarted") if one["name"]]

    def close(self) -> None:
        """Listen no more."""
        self._told.sends(signal.SIGINT)
        self._told.ends()


@contextmanager
def cluster(folder: Path, configuration: str) -> Iterator[Cluster]:
    """Have a service with this configuration for as long as the block runs."""
    (folder / "makeway.toml").write_text(configuration, "utf-8")
    with opened(folder) as shop:
        found = Cluster(shop)
        try:
            yield found
        except BaseException:
            for job in found.names:  # what runs would outlive the service, as it should
                shop.types("job", "cancel", job)
            raise
        finally:
            found.close()
