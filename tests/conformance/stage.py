"""A stage for executors: give orders, collect what they tell, look at the world outside."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec

from makeway.executor.base import Observed, Readings
from makeway.executor.crew import Crew
from makeway.executor.equipment import Site
from makeway.executor.folder import AGENT, AgentRecord, read_whole, worker_folder
from makeway.executor.local import DEFAULT, LocalExecutor
from makeway.executor.zygote import Zygote
from makeway.model import event as ev
from makeway.model.cluster import Allocation, Placement
from makeway.model.effect import LaunchWorkers, ReleaseWorkers, ResizeWorkers, StopWorkers
from makeway.model.job import JobSpec, Program, WorkerGroup
from makeway.model.record import Exit
from makeway.model.resources import Resources

PATIENCE_S = 30.0


def script(text: str) -> Program:
    """A program that is a shell script."""
    return Program(argv=("/bin/sh", "-c", text))


def spec_of(program: Program, user: str, asked: Mapping[str, int], least: int = 1) -> JobSpec:
    """A job that may have one worker, or as many as it is given."""
    shape = Resources.of(asked)
    group = WorkerGroup(count_min=least, count_max=8, per_worker=shape)
    return JobSpec(name="j", user=user, queue="q", groups=(group,), program=program)


def on_nodes(workers: int | dict[str, int], home: str) -> Allocation:
    """An allocation on these nodes, all of which are this machine."""
    counts = {home: workers} if isinstance(workers, int) else workers
    return Allocation(tuple(Placement(node, "worker", count) for node, count in counts.items()))


class Stage:
    """An executor on a store, and all that it has told so far; `home` is the node at `address`."""

    home, address = "here", "127.0.0.1"
    zygote: Zygote

    def __init__(self, store: Path, site: Site = DEFAULT) -> None:
        self.store, self.site = store, site
        self.executor = self.begin()
        self.events: list[ev.Event] = []
        self.machines: list[ev.NodeJoined | ev.NodeLost] = []
        self.readings: list[Readings] = []

    def begin(self) -> Crew:
        """Make the executor, as a controller that begins does."""
        self.zygote = Zygote(self.store)
        return LocalExecutor(self.store, self.zygote, sample_ms=100, site=self.site)

    def launch(
        self,
        program: Program,
        *,
        job: str = "j",
        workers: int | dict[str, int] = 1,
        fence: int = 1,
        user: str = "u",
        asked: Mapping[str, int] = {},
        least: int = 1,
    ) -> None:
        """PREPARE: so many workers here, or by node; each is to have what is `asked`."""
        order = LaunchWorkers(
            job=job,
            number=fence,
            fence=fence,
            spec=spec_of(program, user, asked, least),
            allocation=on_nodes(workers, self.home),
        )
        self.executor.carry_out(order)

    def resize(
        self,
        program: Program,
        *,
        workers: int | dict[str, int],
        generation: int = 1,
        grace_ms: int = 5_000,
    ) -> None:
        """Let the attempt go on with so many workers."""
        order = ResizeWorkers(
            job="j",
            number=1,
            fence=1,
            generation=generation,
            spec=spec_of(program, "u", {}),
            allocation=on_nodes(workers, self.home),
            grace_ms=grace_ms,
        )
        self.executor.carry_out(order)

    def release(self, *, job: str = "j", fence: int = 1) -> None:
        """GO, with the address that rank 0 reserved."""
        first = self.ready(0, job=job)
        self.executor.carry_out(
            ReleaseWorkers(
                job=job, number=fence, fence=fence, address=first.address, port=first.port
            )
        )

    def release_at(self, address: str, port: int) -> None:
        """GO once more, as after a restart."""
        self.executor.carry_out(
            ReleaseWorkers(job="j", number=1, fence=1, address=address, port=port)
        )

    def stop(self, *, grace_ms: int, cause: str = "cancel", job: str = "j", fence: int = 1) -> None:
        """Tell the workers to leave."""
        self.executor.carry_out(
            StopWorkers(job=job, number=fence, fence=fence, cause=cause, grace_ms=grace_ms)
        )

    def run(self, program: Program, *, workers: int = 1, **asked: int) -> list[Exit]:
        """Go from PREPARE to the end and give each rank's exit."""
        self.launch(program, workers=workers, asked=asked)
        for rank in range(workers):
            self.ready(rank)
        self.release()
        return [self.exit(rank) for rank in range(workers)]

    def look(self, timeout_ms: int = 100) -> Observed:
        """Let the executor tell what happened."""
        observed = self.executor.observe(timeout_ms)
        for event in observed.events:
            if isinstance(event, ev.NodeJoined | ev.NodeLost):
                self.machines.append(event)
            else:
                self.events.append(event)
        self.readings += observed.readings
        return observed

    def until(self, told: Callable[[ev.Event], bool], what: str) -> ev.Event:
        """Wait until an event is told."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            for event in self.events:
                if told(event):
                    return event
            self.look()
        message = f"never told: {what}; told was {self.events}"
        raise AssertionError(message)

    def ready(self, rank: int = 0, *, job: str = "j") -> ev.WorkerReady:
        """Wait for a rank to be ready."""
        found = self.until(
            lambda e: isinstance(e, ev.WorkerReady) and (e.job, e.rank) == (job, rank), "ready"
        )
        assert isinstance(found, ev.WorkerReady)
        return found

    def started(self, rank: int = 0, *, job: str = "j") -> ev.WorkerStarted:
        """Wait for a rank's program to be let go."""
        found = self.until(
            lambda e: isinstance(e, ev.WorkerStarted) and (e.job, e.rank) == (job, rank), "started"
        )
        assert isinstance(found, ev.WorkerStarted)
        return found

    def exit(self, rank: int = 0, *, job: str = "j") -> Exit:
        """Wait for a rank's end."""
        found = self.until(
            lambda e: isinstance(e, ev.WorkerExited) and (e.job, e.rank) == (job, rank), "exited"
        )
        assert isinstance(found, ev.WorkerExited)
        return found.exit

    def folder(self, rank: int = 0, *, job: str = "j", number: int = 1) -> Path:
        """Where a worker's files lie."""
        return worker_folder(self.store, job, number, rank)

    def log(self, rank: int = 0, *, job: str = "j") -> str:
        """What a worker printed."""
        return (self.folder(rank, job=job) / "out.log").read_text()

    def agent(self, rank: int = 0) -> int:
        """The pid of a worker's agent."""
        record = read_whole(self.folder(rank) / AGENT, AgentRecord)
        assert record is not None
        return record.pid

    def kill_agent(self, rank: int = 0) -> None:
        """Kill a worker's agent, as somebody might."""
        os.kill(self.agent(rank), signal.SIGKILL)

    def until_machine(self, kind: type[ev.NodeJoined | ev.NodeLost], name: str) -> None:
        """Wait until a machine has come, or is lost."""
        end = time.monotonic() + 2 * PATIENCE_S
        while time.monotonic() < end:
            for event in self.machines:
                told = event.node.name if isinstance(event, ev.NodeJoined) else event.name
                if isinstance(event, kind) and told == name:
                    return
            self.look()
        message = f"never told: {kind.__name__} {name}; told was {self.machines}"
        raise AssertionError(message)

    def until_true(self, true: Callable[[], bool]) -> None:
        """Wait until something is true, and listen meanwhile."""
        assert eventually(lambda: bool(self.look(20)) and true())

    def restart(self) -> None:
        """Do what a killed controller and its successor do: let go of all, and begin again."""
        self.executor.close()
        self.executor = self.begin()
        self.events, self.readings = [], []

    def close(self) -> None:
        """End the stage; workers that a test left are ended too."""
        self.executor.close()
        for file in self.store.rglob(AGENT):
            record = msgspec.json.decode(file.read_bytes(), type=AgentRecord)
            with contextlib.suppress(ProcessLookupError):
                os.kill(record.pid, 9)


def alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat[stat.rindex(")") + 2] != "Z"


def eventually(true: Callable[[], bool], *, within_s: float = 10.0) -> bool:
    """Whether something becomes true."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.02)
    return true()


def pids_in(file: Path) -> Iterator[int]:
    """The pids that a script wrote, one a line."""
    return (int(line) for line in file.read_text(encoding="utf-8").split())
