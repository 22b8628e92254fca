"""What the shared service costs: submissions, whole jobs, latency, recovery, memory, idleness."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from bench.rows import Row
from makeway.client.client import Client
from makeway.wire.jobs import JobsWanted

# How large the large rows are: MAKEWAY_BENCH_JOBS=10000 for the figures of docs/operations.md.
JOBS = int(os.environ.get("MAKEWAY_BENCH_JOBS", "1000"))
CLIENTS, WORKERS, IDLE_S = 8, 200, 10.0
CONFIG = """
[service]
port = 0
[limits]
cpu = "off"
run_as_user = false
[[nodes]]
name = "here"
cpus = {cpus}
memory = "64GiB"
"""
CLIENT = """
import sys, time
from makeway.client.client import Client
url, token, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
body = {"name": "true", "command": ["/bin/true"], "hold": sys.argv[4] == "hold"}
with Client(url, token) as client:
    client.status()
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(count):
        client.submit(body)
"""


class Up:
    """A `makeway up` in a folder."""

    def __init__(self, folder: Path) -> None:
        """Start it and wait until it can be asked."""
        self.store = folder / ".makeway"
        began = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "makeway", "up"],
            cwd=folder,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        while "ends the service" not in (line := self.process.stderr.readline()):
            assert line, "the service did not begin"
        self.ready_s = time.monotonic() - began
        self.url = json.loads((self.store / "service.json").read_text("utf-8"))["url"]
        self.token = (self.store / "owner.token").read_text("ascii").strip()

    def client(self) -> Client:
        """Ask it."""
        return Client(self.url, self.token)

    def kill(self) -> None:
        """Kill it as `kill -9` does."""
        self.process.kill()
        self.process.wait()

    def cpu_s(self) -> float:
        """Say how much of a processor it has taken."""
        fields = (
            Path(f"/proc/{self.process.pid}/stat").read_text("ascii").rpartition(")")[2].split()
        )
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def pss_mib(self) -> float:
        """Say what it and its zygote hold of memory, what is shared counted once."""
        pids = [self.process.pid, *_children(self.process.pid)]
        return sum(_pss_kib(pid) for pid in pids) / 1024


@contextlib.contextmanager
def service(cpus: int = 64) -> Iterator[Up]:
    """Have a service for as long as the block runs; what still runs then is cancelled."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "makeway.toml").write_text(CONFIG.format(cpus=cpus), "ascii")
        up = Up(folder)
        try:
            yield up
        finally:
            for pid in _sleepers(up):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            up.kill()


def rows() -> Iterator[Row]:
    """Measure one after the other."""
    with service() as up:
        yield from _latency(up)
        before, began = up.cpu_s(), time.monotonic()
        time.sleep(IDLE_S)
        share = 100 * (up.cpu_s() - before) / (time.monotonic() - began)
        yield Row("idle service", "% CPU", [share], "<= 1")
    with service() as up:
        yield from _submissions(up)
    yield from _throughput(JOBS)
    yield from _recovery()


def _latency(up: Up) -> Iterator[Row]:
    values = []
    with up.client() as client:
        for number in range(11):
            stamp = up.store / f"stamp-{number}"
            body = {"name": "touch", "command": ["/usr/bin/touch", str(stamp)]}
            began = time.time()
            job = client.submit(body).id
            while not client.job(job).ended_s:
                time.sleep(0.01)
            values.append(1000 * (stamp.stat().st_mtime - began))
    yield Row("submission to user code, service idle", "ms", values[1:], "<= 100")


def _submissions(up: Up) -> Iterator[Row]:
    before = up.cpu_s()
    took_s = _submit(up, JOBS // CLIENTS, hold=True)
    count = JOBS // CLIENTS * CLIENTS
    yield Row(f"submissions over HTTP, {CLIENTS} clients", "1/s", [count / took_s])
    cpu_ms = 1000 * (up.cpu_s() - before) / count
    yield Row("service per submission", "ms CPU", [cpu_ms])
    yield Row(
        f"service with {count} waiting jobs, and its zygote", "MiB PSS", [up.pss_mib()], "<= 300"
    )
    with up.client() as client:
        yield Row(f"GET /jobs/@last, {count} waiting", "ms", _ask_ms(client))


def _ask_ms(client: Client) -> list[float]:
    values = []
    for _ in range(7):
        began = time.monotonic()
        client.job("@last")
        values.append(1000 * (time.monotonic() - began))
    return values


def _throughput(count: int) -> Iterator[Row]:
    began = time.monotonic()
    for _ in range(300):
        subprocess.run(["/bin/true"], check=True)
    plain = 300 / (time.monotonic() - began)
    with service() as up:
        before, began = up.cpu_s(), time.monotonic()
        sending = threading.Thread(target=_submit, args=(up, count // CLIENTS))
        sending.start()
        sending.join()
        with up.client() as client:
            while client.jobs(JobsWanted(phases=("queued", "running"), limit=1)).items:
                time.sleep(0.1)
            took_s = time.monotonic() - began
        rate = count // CLIENTS * CLIENTS / took_s
        yield Row(f"jobs of /bin/true, {count} submitted to completed", "1/s", [rate], ">= 60")
        yield Row("service per such job", "ms CPU", [1000 * (up.cpu_s() - before) / count])
        yield Row("plain subprocess.run of /bin/true", "1/s", [plain])
        yield Row("ratio to plain subprocess", "", [rate / plain])
        yield Row(
            f"service with {count} finished jobs, and its zygote",
            "MiB PSS",
            [up.pss_mib()],
            "<= 300",
        )


def _recovery() -> Iterator[Row]:
    with service(cpus=1000) as up:
        with up.client() as client:
            body = {"name": "sleep", "command": ["/bin/sleep", "900"]}
            jobs = [client.submit({**body, "workers": 20}).id for _ in range(WORKERS // 20)]
            while len(pids := _sleepers(up)) < WORKERS:
                time.sleep(0.1)
        up.kill()
        folder = up.store.parent
        again = Up(folder)
        with contextlib.ExitStack() as stack:
            stack.callback(again.kill)
            client = stack.enter_context(again.client())
            assert all(client.job(job).phase == "running" for job in jobs), "they run on"
            assert _sleepers(again) == pids, "a worker was disturbed"
            yield Row(f"makeway up with {len(pids)} running workers", "s", [again.ready_s])
            for job in jobs:
                client.act(job, "cancel")
            while client.jobs(JobsWanted(phases=("queued", "running", "evicting"), limit=1)).items:
                time.sleep(0.1)


def _submit(up: Up, each: int, *, hold: bool = False) -> float:
    command = [sys.executable, "-c", CLIENT, up.url, up.token, str(each), "hold" if hold else "go"]
    clients = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(CLIENTS)
    ]
    for client in clients:
        assert client.stdout is not None
        client.stdout.readline()
    began = time.monotonic()
    for client in clients:
        assert client.stdin is not None
        client.stdin.write("go\n")
        client.stdin.flush()
    for client in clients:
        client.communicate()
    return time.monotonic() - began


def _sleepers(up: Up) -> set[int]:
    found = set()
    marker = f"MAKEWAY_DIR={up.store.resolve()}/".encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if marker in (entry / "environ").read_bytes():
                    found.add(int(entry.name))
    return found


def _children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()]


def _pss_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0
