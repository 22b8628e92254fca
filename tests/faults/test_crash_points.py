"""Kill the controller at every named step: the next one is in control, and nothing is lost or done twice.

One service follows another in the same store. Each is killed at a step of its own, and is also the
one that has to find its way after the step before. Two workers of a gang run through all of it.
"""

from __future__ import annotations

import signal
from itertools import count
from pathlib import Path

import pytest

from tests.faults.checker import BEAT, START
from tests.faults.figures import say
from tests.faults.site import FAULTS, Site, site_in, wait_until

# Steps of the controller itself: it dies there, whatever else goes on.
CONTROLLER = [
    "lease.begin.before",
    "lease.begin.after",
    "service.json.write",
    "service.json.rename",
    "service.json.written",
    "journal.write.before",
    "log.begin.before",
    "log.begin.after",
    "log.commit.before",
    "log.commit.after",
    "journal.write.after",
    "controller.order.before",
    "controller.order.after",
    "controller.told.before",
    "controller.told.after",
    "launch.json.write",
    "launch.json.rename",
    "launch.json.written",
    "executor.fork.before",
    "executor.fork.after",
]
# Steps of those who start workers: they die there once, and the controller has to make the best of it.
OTHERS = [
    "zygote.fork.before",
    "zygote.fork.after",
    "agent.json.write",
    "agent.json.rename",
    "agent.json.written",
    "agent.go",
    "agent.begun.before",
    "agent.begun.after",
    "program.exec.before",
    "agent.start.after",
    "exit.json.write",
    "exit.json.rename",
    "exit.json.written",
]
# A journey is some steps, each the n-th time that one service gets there.
JOURNEYS = [[f"{name}:{time}" for name in CONTROLLER] for time in range(1, 1 + max(1, FAULTS))]
NUMBERS = count()


@pytest.mark.parametrize("steps", JOURNEYS, ids=lambda steps: steps[0].partition(":")[2])
def test_the_controller_may_die_at_any_step(tmp_path: Path, steps: list[str]) -> None:
    with site_in(tmp_path) as site:
        site.opens()
        long = site.submits("long", "long", workers=2)
        site.beats_on(long, ranks=2)
        assert site.up_now is not None
        site.up_now.kill()
        unanswered: list[str] = []
        for step in steps:
            up = site.up(failpoint=step)
            while up.alive and up.ready():
                unanswered = [key for key in unanswered if site.tries("quick", key) is None]
                key = f"quick-{next(NUMBERS)}"
                job = site.tries("quick", key)
                if job is None:
                    unanswered.append(key)
                else:
                    wait_until(lambda: not up.alive or site.job(job).phase == "succeeded", step)
            assert up.process.wait() == -signal.SIGKILL, f"{step}: {up.said()}"
        site.opens()
        site.beats_on(long, ranks=2)
        for key in unanswered:
            site.submits("quick", key)
        assert site.settles() == []
        undisturbed(site, long, ranks=2)
        say("crash points", died_at=len(steps), jobs=len(site.acknowledged))


def test_who_starts_workers_may_die_at_any_step(tmp_path: Path) -> None:
    with site_in(tmp_path) as site:
        steps = OTHERS if FAULTS > 1 else OTHERS[::4]
        for step in steps:
            up = site.up(failpoint=f"{step}@{tmp_path}/died-at-{step}")
            assert up.ready(), up.said()
            # With a memory limit, so that there is a step between the fork and the program.
            asked = {"cpus": 0.1, "memory": "512MiB"}
            body = site.body("quick", per_worker=asked, retries=2)
            with site.client() as client:
                job = client.submit(body, step).id
            site.keys.add(step)
            site.acknowledged.add(job)
            site.waits(job)
            assert (tmp_path / f"died-at-{step}").exists(), step
            up.kill()
        site.opens()
        assert site.settles() == []
        say("crash points of agents", died_at=len(steps))


def undisturbed(site: Site, job: str, ranks: int) -> None:
    """Hold that the workers of a job began once, and never paused for long."""
    starts = site.marks(job, START)
    assert sorted(mark.rank for mark in starts) == [*range(ranks)]
    longest = 0.0
    for rank in range(ranks):
        at = [mark.at for mark in site.marks(job, BEAT) if mark.rank == rank]
        longest = max([longest, *(b - a for a, b in zip(at, at[1:], strict=False))])
    assert longest < 10, f"{job} paused for {longest:.1f} s"
    say("workers undisturbed", longest_pause_s=longest, recovered_s=max(site.recovered_s))
