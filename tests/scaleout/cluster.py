"""A real Ray cluster of several nodes on this machine: a head that works not, and raylets.

Each node has an address of its own (127.0.0.x), its own amounts and labels. Everything that is
started is ended by its pid; nothing of another cluster on this machine is touched.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from makeway.executor.envoy import Envoy, Nodes
from makeway.executor.processes import descendants

HEAD = "127.0.0.10"
STORE_BYTES = 80_000_000
MEMORY_BYTES = 2 << 30
START_S, JOIN_S = 60.0, 100.0
ROOT = Path(__file__).parents[2]
# A dead node is to be noticed soon, and what is not looked at is not started.
QUICK = {
    "RAY_health_check_initial_delay_ms": "500",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "4",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_enable_worker_prestart": "1",
    "RAY_DISABLE_MEMORY_MONITOR": "1",
    "RAY_memory_monitor_refresh_ms": "0",
}


class RayNode:
    """One `ray start --block`, with all that it started."""

    def __init__(self, name: str, options: list[str], folder: Path) -> None:
        self.name, self.options, self.log = name, options, folder / f"{name}.log"
        paths = [str(ROOT / "src"), str(ROOT), os.environ.get("PYTHONPATH", "")]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "ray.scripts.scripts", "start", "--block"),
                    *(f"--node-name={name}", f"--object-store-memory={STORE_BYTES}"),
                    *("--include-log-monitor=false", "--disable-usage-stats"),
                    f"--temp-dir={folder / name}",  # those that start at once clash in a common one
                    *options,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **QUICK, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
                start_new_session=True,
            )

    def raylet(self) -> int:
        """The pid of its raylet."""
        for pid in descendants(self._process.pid):
            with contextlib.suppress(OSError):
                if Path(f"/proc/{pid}/comm").read_text("utf-8").strip() == "raylet":
                    return pid
        message = f"{self.name} has no raylet: {self.log.read_text('utf-8')}"
        raise AssertionError(message)

    def ended(self) -> bool:
        """Whether it has given up."""
        return self._process.poll() is not None

    def works(self) -> bool:
        """Whether its raylet is there, and does something."""
        for pid in descendants(self._process.pid):
            with contextlib.suppress(OSError):
                stat = Path(f"/proc/{pid}/stat").read_text("utf-8")
                if "(raylet)" in stat and stat.rpartition(")")[2].split()[0] not in "TZ":
                    return True
        return False

    def processes(self) -> list[int]:
        """All of its processes; agents of workers are nobody's children."""
        return [self._process.pid, *descendants(self._process.pid)]

    def end(self) -> None:
        """End it with all that it started."""
        found = self.processes()
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()


class RayCluster:
    """A head and its nodes; see the module."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="mwray", dir="/tmp"))
        (port,) = _free_ports(1)
        self.address = f"{HEAD}:{port}"
        options = [
            *("--head", f"--port={port}", f"--node-ip-address={HEAD}", "--num-cpus=0"),
            "--include-dashboard=false",
            *_ports("--ray-client-server-port"),
        ]
        self.nodes = {"head": RayNode("head", options, self._folder)}
        self._until_listening(port)

    def add(self, name: str, *, host: int, gpus: int = 0, own: Mapping[str, int] = {}) -> RayNode:
        """Start one more node, at 127.0.0.`host`; it joins when it is ready."""
        options = [
            *(f"--address={self.address}", f"--node-ip-address=127.0.0.{host}"),
            *(
                "--num-cpus=2",
                f"--num-gpus={gpus}",
                f"--memory={MEMORY_BYTES}",
                f"--resources={json.dumps(own)}",
            ),
            f"--labels=zone=z{host}",
            *_ports(),
        ]
        self.nodes[name] = RayNode(name, options, self._folder)
        return self.nodes[name]

    def until_there(self, names: set[str]) -> None:
        """Wait until Ray counts these nodes, and no others that could work.

        On a machine that is very busy a raylet gives up before its own helpers are there; such a
        node is started again.
        """
        envoy, end = Envoy(self.address, "makeway-nobody"), time.monotonic() + JOIN_S
        try:
            nodes = envoy.connected().nodes
            while {one.node.name for one in nodes} != names:
                logs = {
                    node.name: node.log.read_text("utf-8")[-500:] for node in self.nodes.values()
                }
                assert time.monotonic() < end, f"not all of {names} are there: {logs}"
                self._start_again()
                if select.select([envoy.socket], [], [], 1.0)[0]:
                    for word in envoy.words() or ():
                        nodes = word.nodes if isinstance(word, Nodes) else nodes
        finally:
            envoy.close()

    def _start_again(self) -> None:
        for name, node in [*self.nodes.items()]:
            if node.ended():
                node.end()
                self.nodes[name] = RayNode(name, node.options, self._folder)

    def stop(self) -> None:
        """End all of it."""
        for node in reversed(self.nodes.values()):
            node.end()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _until_listening(self, port: int) -> None:
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            with contextlib.suppress(OSError), socket.create_connection((HEAD, port), 0.2):
                return
            time.sleep(0.05)
        message = f"Ray's head does not listen: {self.nodes['head'].log.read_text('utf-8')}"
        raise AssertionError(message)


PORTS = (
    *("--node-manager-port", "--object-manager-port", "--metrics-export-port"),
    *("--runtime-env-agent-port", "--dashboard-agent-listen-port", "--dashboard-agent-grpc-port"),
)


def _ports(*more: str) -> list[str]:
    """Give each listener of a node a port of its own: those that start at once take each other's."""
    names = (*PORTS, *more)
    ports = zip(names, _free_ports(len(names)), strict=True)
    return [
        "--min-worker-port=0",
        "--max-worker-port=0",
        *(f"{name}={port}" for name, port in ports),
    ]


def _free_ports(count: int) -> list[int]:
    """Find ports that nobody listens at, below those that the kernel gives to whoever calls."""
    numbers = random.Random(f"{os.getpid()} {time.time_ns()}")
    with contextlib.ExitStack() as held:
        found: list[int] = []
        while len(found) < count:
            one, port = held.enter_context(socket.socket()), numbers.randrange(20_000, 32_000)
            with contextlib.suppress(OSError):
                one.bind(("", port))
                found.append(port)
        return found


@contextlib.contextmanager
def running() -> Iterator[RayCluster]:
    """Have a head and three nodes for as long as the block runs."""
    cluster = RayCluster()
    try:
        for number in (1, 2, 3):
            gpus = 2 if number == 3 else 0  # Ray gives out the numbers of what is said to be there
            cluster.add(f"n{number}", host=10 + number, gpus=gpus, own={"slot": 4})
        cluster.until_there({"n1", "n2", "n3"})
        yield cluster
    finally:
        cluster.stop()
