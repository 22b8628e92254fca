"""A job that can run with one worker or two: the controller, the policy and real processes.

The truth is written by the program: who it was each time that it began.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from makeway.live.assemble import House, embedded
from makeway.live.controller import Controller
from makeway.model.cluster import Node
from makeway.model.event import Entry, JobFinished, JobSubmitted
from makeway.model.job import JobSpec, Program, WorkerGroup
from makeway.model.phase import JobPhase
from makeway.model.resources import Resources

PATIENCE_S = 30.0
NODE = Node(name="here", capacity=Resources.of({"cpu_milli": 2000}))
ONE = Resources.of({"cpu_milli": 1000})
TRUTH = """
trap 'exit 75' TERM
echo "$MAKEWAY_GENERATION/$MAKEWAY_ATTEMPT $WORLD_SIZE" >> $TRUTH/$RANK
while [ ! -e $TRUTH/done ]; do sleep 0.02; done
"""


class Driver:
    """A controller, and all that it has believed."""

    def __init__(self, house: House) -> None:
        self.controller: Controller = house.controller()
        self.controller.recover()
        self.entries: list[Entry] = list(self.controller.start(NODE))

    def submit(self, job: str, program: Program, *, most: int, priority: int = 0) -> None:
        spec = JobSpec(
            name=job,
            user="ada",
            queue="q",
            priority=priority,
            groups=(WorkerGroup(count_min=1, count_max=most, per_worker=ONE),),
            program=program,
        )
        self.entries += self.controller.submit(JobSubmitted(job=job, spec=spec))

    def until(self, true: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE_S
        while not true():
            assert time.monotonic() < end, self.entries
            self.entries += self.controller.turn(100).entries

    def phase(self, job: str) -> JobPhase | None:
        found = (each.event for each in self.entries if isinstance(each.event, JobFinished))
        return next((event.phase for event in found if event.job == job), None)


@pytest.fixture
def house(store_dir: Path) -> Iterator[House]:
    with embedded(store_dir) as made:
        yield made


def test_a_job_makes_room_and_takes_it_back_without_a_new_attempt(
    house: House, tmp_path: Path
) -> None:
    def begun(rank: int) -> list[str]:
        file = tmp_path / str(rank)
        return file.read_text().splitlines() if file.exists() else []

    driver = Driver(house)
    elastic = Program(argv=("/bin/sh", "-c", TRUTH), environment={"TRUTH": str(tmp_path)})
    driver.submit("elastic", elastic, most=2)
    driver.until(lambda: begun(0) == begun(1) == ["1/1 2"])
    brief = Program(argv=("sh", "-c", f"while [ ! -e {tmp_path}/room ]; do sleep 0.02; done"))
    driver.submit("urgent", brief, most=1, priority=100)
    driver.until(lambda: begun(0) == ["1/1 2", "2/1 1"])
    (tmp_path / "room").touch()
    driver.until(lambda: driver.phase("urgent") is JobPhase.SUCCEEDED)
    driver.until(lambda: begun(0)[2:] == ["3/1 2"] and begun(1)[1:] == ["3/1 2"])
    (tmp_path / "done").touch()
    driver.until(lambda: driver.phase("elastic") is JobPhase.SUCCEEDED)
