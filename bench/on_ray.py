"""Measure the executor for Ray, on a Ray of several nodes on this machine.

    gangs      a gang of three, from its submission to its three programs; beside plain Ray code
               that does the same: a placement group, three actors, a program each. Both in turns
    trivial    trivial jobs one after another, as many at once as fit
    losses     a raylet is killed: until its node is known to be lost, and until the work is begun
               anew elsewhere
    idle       the controller's processor time while 1,000 simulated agents are idle: each renews
               its lease and brings samples once a second, over the network

`python -m bench.on_ray`, or only some: `python -m bench.on_ray gangs losses`. Figures belong to the
machine on which they were measured, and to what else it did; ratios less so.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.idle_agents import idle
from makeway.executor.ray import RaySite
from makeway.live.assemble import House, Plan, embedded
from makeway.live.clock import fresh_id
from makeway.live.controller import Controller
from makeway.model import event as ev
from makeway.model.job import JobSpec, Program, WorkerGroup
from makeway.model.resources import CPU, Resources
from tests.scaleout.cluster import HEAD, RayCluster, running

ROUNDS = 5
JOBS = 40
PATIENCE_S = 120.0

PLAIN = """
import subprocess, sys, time
import ray
from ray.util import placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy as There

class Seat:
    def start(self):
        self.program = subprocess.Popen(["sleep", "60"])
    def stop(self):
        self.program.kill()
        self.program.wait()

ray.init(sys.argv[1], log_to_driver=False, configure_logging=False)
ids = {node["NodeName"]: node["NodeID"] for node in ray.nodes()}
selector = [{"ray.io/node-id": ids[f"n{number}"]} for number in (1, 2, 3)]
actor = ray.remote(Seat)
for line in sys.stdin:
    began = time.perf_counter()
    group = placement_group([{"CPU": 1}] * 3, bundle_label_selector=selector, lifetime="detached",
                            name="plain")
    ray.get(group.ready())
    seats = [actor.options(num_cpus=1, scheduling_strategy=There(group, rank)).remote()
             for rank in range(3)]
    ray.get([seat.start.remote() for seat in seats])
    print(time.perf_counter() - began, flush=True)
    ray.get([seat.stop.remote() for seat in seats])
    for seat in seats:
        ray.kill(seat)
    remove_placement_group(group)
"""


class Loop:
    """A controller whose machines are Ray's, turned until something is so."""

    def __init__(self, controller: Controller) -> None:
        self.controller = controller
        self.told: list[ev.Entry] = []
        controller.heard = self.told.extend
        controller.recover()
        controller.start()

    def until(self, true: Callable[[], bool]) -> None:
        """Turn the loop until something is true of what was told."""
        end = time.monotonic() + PATIENCE_S
        while not true():
            assert time.monotonic() < end, f"it never came: {self.told[-5:]}"
            self.controller.turn(200)

    def count(self, kind: type, since: int = 0) -> int:
        """Say how often something was told."""
        return sum(isinstance(entry.event, kind) for entry in self.told[since:])

    def bring(self, program: Program, workers: int = 1, cpu_milli: int = 1000) -> str:
        """Submit a job."""
        job = fresh_id(time.time_ns() // 1_000_000)
        shape = Resources.of({CPU: cpu_milli})
        group = WorkerGroup(count_min=workers, count_max=workers, per_worker=shape)
        spec = JobSpec(name="j", user="u", queue="q", groups=(group,), program=program, retries=2)
        self.controller.submit(ev.JobSubmitted(job=job, spec=spec))
        return job


@contextmanager
def looped(cluster: RayCluster) -> Iterator[Loop]:
    """Have a controller on the cluster."""
    with tempfile.TemporaryDirectory(prefix="makeway-bench-") as folder:
        plan = Plan(ray=RaySite(address=cluster.address, host=HEAD))
        with embedded(Path(folder), plan) as house:
            yield _begun(house)


def _begun(house: House) -> Loop:
    loop = Loop(house.controller())
    loop.until(lambda: loop.count(ev.NodeJoined) >= 3)
    return loop


def gangs(cluster: RayCluster) -> None:
    """Start gangs, by makeway and by plain Ray code, in turns."""
    ours: list[float] = []
    theirs: list[float] = []
    plain = subprocess.Popen(
        [sys.executable, "-c", PLAIN, cluster.address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert plain.stdin is not None
    assert plain.stdout is not None
    with looped(cluster) as loop:
        for _ in range(ROUNDS + 1):
            plain.stdin.write("go\n")
            plain.stdin.flush()
            theirs.append(float(plain.stdout.readline()))
            since, began = len(loop.told), time.perf_counter()
            job = loop.bring(Program(argv=("sleep", "60")), workers=3)
            loop.until(lambda since=since: loop.count(ev.WorkerStarted, since) == 3)
            ours.append(time.perf_counter() - began)
            loop.controller.submit(ev.JobCancelRequested(job=job))
            loop.until(lambda since=since: loop.count(ev.JobFinished, since) == 1)
    plain.stdin.close()
    plain.wait()
    mine, other = statistics.median(ours[1:]), statistics.median(theirs[1:])
    say(f"gang of 3: makeway {mine:.2f} s, plain Ray {other:.2f} s: {mine / other:.2f} x "
          f"(medians of {ROUNDS}, in turns)")  # fmt: skip


def trivial(cluster: RayCluster) -> None:
    """Run trivial jobs."""
    with looped(cluster) as loop:
        began = time.perf_counter()
        for _ in range(JOBS):
            loop.bring(Program(argv=("true",)), cpu_milli=500)
        loop.until(lambda: loop.count(ev.JobFinished) == JOBS)
        took_s = time.perf_counter() - began
    say(f"trivial jobs: {JOBS / took_s:.1f} a second ({JOBS} in {took_s:.1f} s)")


def losses(cluster: RayCluster) -> None:
    """Kill a raylet under a worker."""
    with looped(cluster) as loop:
        node = cluster.add("spare", host=20)
        loop.until(lambda: loop.count(ev.NodeJoined) >= 4)
        spec = ev.JobSubmitted
        job = fresh_id(time.time_ns() // 1_000_000)
        wanted = JobSpec(
            name="j", user="u", queue="q", program=Program(argv=("sleep", "60")), retries=2
        )
        for name in ("n1", "n2", "n3"):
            loop.controller.submit(ev.NodeDrained(name=name, text="for the bench"))
        loop.controller.submit(spec(job=job, spec=wanted))
        loop.until(lambda: loop.count(ev.WorkerStarted) == 1)
        for name in ("n1", "n2", "n3"):
            loop.controller.submit(ev.NodeUndrained(name=name))
        since, began = len(loop.told), time.perf_counter()
        os.kill(node.raylet(), signal.SIGKILL)
        loop.until(lambda: loop.count(ev.NodeLost, since) == 1)
        known_s = time.perf_counter() - began
        loop.until(lambda: loop.count(ev.WorkerStarted, since) == 1)
        anew_s = time.perf_counter() - began
        loop.controller.submit(ev.JobCancelRequested(job=job))
        loop.until(lambda: loop.count(ev.JobFinished, since) == 1)
        node.end()
    say(f"raylet killed: known after {known_s:.1f} s, begun anew elsewhere after {anew_s:.1f} s")


def say(text: str) -> None:
    """Print it now, with how busy the machine is with other things."""
    print(f"{text} [load {os.getloadavg()[0]:.0f}]", flush=True)


def main() -> None:
    """Measure all of it."""
    wanted = sys.argv[1:] or ("gangs", "trivial", "losses", "idle")
    parts = {"gangs": gangs, "trivial": trivial, "losses": losses}
    if parts.keys() & set(wanted):
        with running() as cluster:
            for name, measure in parts.items():
                if name in wanted:
                    measure(cluster)
    if "idle" in wanted:
        idle()


if __name__ == "__main__":
    main()
