"""Let 1,000 simulated agents be idle, and measure what the controller spends on them.

The agents are played by a process of their own: each has a connection, says hello with its token,
Ready and Started, renews its lease every 5 s and brings six samples a second, as an agent does
whose worker does nothing. The controller is the real one, with its store; only Ray is not there.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from makeway.executor.door import known_door
from makeway.executor.envoy import Connected, RayNode
from makeway.executor.protocol import LENGTH, Measured, Message, Ready, Renew, Started, send
from makeway.executor.ray import RayExecutor, RaySite
from makeway.executor.watched import Watched
from makeway.live import assemble
from makeway.live.assemble import Plan, embedded
from makeway.live.clock import fresh_id
from makeway.model import event as ev
from makeway.model.cluster import Node
from makeway.model.job import JobSpec, Program, WorkerGroup
from makeway.model.record import Sample
from makeway.model.resources import CPU, Resources

AGENTS, JOBS = 1_000, 10
WATCHED_S = 20.0
NODE = RayNode(
    node_id="sim", address="127.0.0.1", port=1,
    node=Node(name="sim", capacity=Resources.of({CPU: AGENTS * 1000})),
)  # fmt: skip


class NoRay:
    """An envoy to nowhere."""

    def __init__(self, address: str, house: str) -> None:
        del address, house
        self.socket, self._other = socket.socketpair()

    def connected(self) -> Connected:
        """Be there at once."""
        return Connected(address="127.0.0.1", nodes=(NODE,))

    def ask(self, message: Message) -> None:
        """Do nothing."""
        del message

    def close(self) -> None:
        """End."""
        self.socket.close()


class Played(RayExecutor):
    """An executor whose agents come by themselves."""

    def _bring(self, worker: Watched, asked: Resources) -> None:
        del asked
        self._hold(worker.launch)


def play(store: Path, jobs: list[str], seconds: float) -> None:
    """Be all agents."""
    door = known_door(store)
    encoder = msgspec.msgpack.Encoder()
    agents: list[tuple[socket.socket, str, int]] = []
    for job in jobs:
        for rank in range(AGENTS // len(jobs)):
            peer = socket.create_connection((door.host, door.port))
            send(peer, door.hello(job, 1, 1, rank))
            send(peer, Ready(job=job, fence=1, rank=rank, pid=1, address="127.0.0.1", port=1))
            agents.append((peer, job, rank))
    time.sleep(3)
    for peer, job, rank in agents:
        send(peer, Started(job=job, fence=1, rank=rank, pid=1))
    end, second = time.monotonic() + seconds, 0
    names = [f"system/{name}" for name in ("memory", "cpu", "threads", "files", "read", "sent")]
    while time.monotonic() < end:
        began = time.monotonic()
        for number, (peer, job, rank) in enumerate(agents):
            at_ms = time.time_ns() // 1_000_000
            samples = tuple(Sample(name=name, value=1.0, at_ms=at_ms) for name in names)
            said: list[Message] = [Measured(job=job, number=1, rank=rank, samples=samples)]
            if (number + second) % 5 == 0:
                said.append(Renew(sent_ns=time.clock_gettime_ns(time.CLOCK_BOOTTIME)))
            bodies = [encoder.encode(one) for one in said]
            peer.sendall(b"".join(LENGTH.pack(len(body)) + body for body in bodies))
        second += 1
        time.sleep(max(0.0, 1 - (time.monotonic() - began)))


def idle() -> None:
    """Measure the controller's processor time while nothing happens."""
    from makeway.executor import ray as module

    module.Envoy = NoRay
    assemble.RayExecutor = Played
    with tempfile.TemporaryDirectory(prefix="makeway-bench-") as folder:
        store = Path(folder)
        with embedded(store, Plan(ray=RaySite(host="127.0.0.1"))) as house:
            controller = house.controller()
            controller.recover()
            controller.start()
            controller.turn(100)
            controller.turn(100)
            jobs = [_bring(controller) for _ in range(JOBS)]
            code = "import sys; from pathlib import Path; from bench.idle_agents import play; "
            code += "play(Path(sys.argv[1]), sys.argv[2].split(','), float(sys.argv[3]))"
            agents = subprocess.Popen(
                [sys.executable, "-c", code, folder, ",".join(jobs), str(WATCHED_S + 15)]
            )
            started = 0
            while started < AGENTS:
                turn = controller.turn(1000)
                started += sum(isinstance(one.event, ev.WorkerStarted) for one in turn.entries)
            began, cpu = time.monotonic(), time.process_time()
            turns = samples = 0
            while time.monotonic() - began < WATCHED_S:
                turn = controller.turn(1000)
                turns += 1
                samples += sum(len(one.samples) for one in turn.readings)
            took_s, cpu_s = time.monotonic() - began, time.process_time() - cpu
            agents.kill()
            agents.wait()
    print(f"{AGENTS} idle agents: the controller takes {100 * cpu_s / took_s:.0f} % of a processor "
          f"({samples / took_s:.0f} samples a second, {AGENTS / 5:.0f} renewals)")  # fmt: skip


def _bring(controller: object) -> str:
    job = fresh_id(time.time_ns() // 1_000_000)
    count = AGENTS // JOBS
    group = WorkerGroup(count_min=count, count_max=count, per_worker=Resources.of({CPU: 1000}))
    spec = JobSpec(name="j", user="u", queue="q", groups=(group,), program=Program(argv=("true",)))
    controller.submit(ev.JobSubmitted(job=job, spec=spec))
    return job


if __name__ == "__main__":
    idle()
