"""A service that is killed again and again, and what those who use it and work in it remember."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from makeway.client.client import Client
from makeway.errors import MakewayError, Unavailable
from makeway.executor.folder import AgentRecord, read_whole
from makeway.executor.processes import start_ticks
from makeway.failpoint import VARIABLE
from makeway.wire.jobs import JobsWanted, JobView
from tests.faults.checker import History, Mark, complaints, read_entries, read_marks

# How hard it is tried: 1 takes half a minute; `make faults` sets more.
FAULTS = int(os.environ.get("MAKEWAY_FAULTS", "1"))
PATIENCE_S = 90.0
OPEN = ("queued", "running", "evicting")
MAKEWAY = (sys.executable, "-m", "makeway")
CONFIG = """
[service]
port = 0
store = {store!r}
database = {database!r}
[limits]
cpu = "off"
run_as_user = false
[[nodes]]
name = "here"
cpus = 64
memory = "64GiB"
[policy.preemption]
grace = "2s"
"""
# Each line is one write to a file opened for appending; /proc/uptime is monotonic.
WORKER = """
root=$1; work=$2
mark() {
    read at _ < /proc/uptime
    echo "$1 $MAKEWAY_JOB $RANK $MAKEWAY_FENCE $$ $at" >> "$root/runs"
}
exec 9> "$root/locks/$MAKEWAY_JOB.$RANK"
flock -n 9 || mark overlap
mark start
case $work in
    quick) ;;
    long) while [ ! -e "$root/enough" ]; do mark beat; sleep 0.2; done ;;
    *) sleep "$work" ;;
esac
mark end
"""

Answer = TypeVar("Answer")


class Up:
    """One `makeway up`: its process, and what it says."""

    def __init__(self, site: Site, words: tuple[str, ...], failpoint: str) -> None:
        self.log = site.folder / f"up-{time.monotonic_ns()}.log"
        variables = {name: text for name, text in os.environ.items() if name != VARIABLE}
        if failpoint:
            variables[VARIABLE] = failpoint
        with self.log.open("wb") as file:
            self.process = subprocess.Popen(
                [*MAKEWAY, "up", *words],
                cwd=site.folder,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=variables,
            )

    def said(self) -> str:
        """What it has printed so far."""
        return self.log.read_text("utf-8", "replace")

    @property
    def alive(self) -> bool:
        """Say whether it has not ended."""
        return self.process.poll() is None

    def ready(self) -> bool:
        """Wait until it can be asked; False if it ended before that."""
        wait_until(lambda: "ends the service" in self.said() or not self.alive, "the service")
        return self.alive

    def kill(self) -> None:
        """Kill it as `kill -9` does."""
        self.process.kill()
        self.process.wait()


class Site:
    """A folder with a service, its jobs, and the truth about them; see the module."""

    def __init__(self, folder: Path, database: str = "", store: Path | None = None) -> None:
        self.folder, self.store = folder, store or folder / ".makeway"
        self.database, self.runs = database, folder / "runs"
        self.acknowledged: set[str] = set()
        self.keys: set[str] = set()
        self.up_now: Up | None = None
        self.recovered_s: list[float] = []
        (folder / "locks").mkdir()
        (folder / "worker.sh").write_text(WORKER, "ascii")
        config = CONFIG.format(store=str(self.store), database=database)
        (folder / "makeway.toml").write_text(config, "utf-8")

    def up(self, *words: str, failpoint: str = "") -> Up:
        """Start a service; whether it lives long enough to be asked is another question."""
        self.up_now = Up(self, words, failpoint)
        return self.up_now

    def opens(self, *words: str) -> Up:
        """Start a service that lives, and note how long it took to be in control."""
        began = time.monotonic()
        up = self.up(*words)
        assert up.ready(), up.said()
        self.recovered_s.append(time.monotonic() - began)
        return up

    # ── people ────────────────────────────────────────────────────────────────────────────────────

    def client(self) -> Client:
        """Ask the service that is up."""
        url = json.loads((self.store / "service.json").read_text("utf-8"))["url"]
        return Client(url, (self.store / "owner.token").read_text("ascii").strip())

    def asks(self, question: Callable[[Client], Answer]) -> Answer:
        """Ask one thing."""
        with self.client() as client:
            return question(client)

    def body(self, work: str, workers: int = 1, **more: object) -> dict[str, object]:
        """Write a job that does what `worker.sh` can do."""
        command = ["/bin/sh", str(self.folder / "worker.sh"), str(self.folder), work]
        return {
            "name": f"does-{work}", "command": command, "workers": workers,
            "per_worker": {"cpus": 0.1}, "grace": "2s", **more,
        }  # fmt: skip

    def submits(self, work: str, key: str, workers: int = 1, **more: object) -> str:
        """Bring a job; it counts as acknowledged when the answer is there."""
        self.keys.add(key)
        body = self.body(work, workers, **more)
        view = self.asks(lambda client: client.submit(body, key))
        self.acknowledged.add(view.id)
        return view.id

    def tries(self, work: str, key: str, workers: int = 1, **more: object) -> str | None:
        """Bring a job to a service that may die on it; None: there was no answer."""
        try:
            return self.submits(work, key, workers, **more)
        except (MakewayError, OSError, ValueError, KeyError):
            return None

    def job(self, job: str) -> JobView:
        """Look at a job."""
        return self.asks(lambda client: client.job(job))

    def waits(self, *jobs: str) -> None:
        """Wait until jobs have ended."""
        wait_until(lambda: not any(self.job(job).phase in OPEN for job in jobs), f"ends of {jobs}")

    def open_jobs(self) -> list[str]:
        """Name the jobs that have not ended."""
        wanted = JobsWanted(phases=OPEN, limit=1000)
        return [job.id for job in self.asks(lambda client: client.jobs(wanted)).items]

    # ── the truth ─────────────────────────────────────────────────────────────────────────────────

    def marks(self, job: str = "", kind: str = "") -> list[Mark]:
        """Read what the workers saw: of all jobs, or of one."""
        found = read_marks(self.runs)
        return [m for m in found if job in ("", m.job) and kind in ("", m.kind)]

    def beats_on(self, job: str, ranks: int = 1) -> None:
        """Wait until every rank of a job that goes on and on has beaten once more."""
        before = len(self.marks(job))
        wait_until(
            lambda: {m.rank for m in self.marks(job)[before:]} >= {*range(ranks)},
            f"a beat of {job}",
        )

    def agents(self) -> list[tuple[Path, int]]:
        """Give the agents that live, each with its worker's folder."""
        found = []
        for file in self.store.glob("workers/*/**/agent.json"):
            agent = read_whole(file, AgentRecord)
            if agent is not None and start_ticks(agent.pid) == agent.started_ticks:
                found.append((file.parent, agent.pid))
        return found

    def processes(self) -> list[int]:
        """Give all processes that work for this store: those of workers know their folder."""
        marker = f"MAKEWAY_DIR={self.store}/".encode()
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    if marker in (entry / "environ").read_bytes():
                        found.append(int(entry.name))
        return found

    def left(self) -> list[str]:
        """Name what is still there when everything has ended."""
        left = [f"process {pid}" for pid in self.processes()]
        left += [f"agent {pid} of {folder}" for folder, pid in self.agents()]
        nodes = self.asks(lambda client: client.nodes())
        left += [
            f"{kind} of {node.name} is held"
            for node in nodes
            for kind, amount in node.capacity.items()
            if node.free.get(kind, 0) != amount
        ]
        left += [f"a port of {folder.name}" for folder in self.store.glob("workers/**/record.sock")
                 if _listens(folder)]  # fmt: skip
        return left

    def settles(self) -> list[str]:
        """Let all end, end the service, and give what the checker says."""
        return self.settles_but()

    def settles_but(self, *but: str) -> list[str]:
        """Likewise, but not for these jobs: nobody can bring them to an end any more."""
        (self.folder / "enough").touch()
        wait_until(lambda: not {*self.open_jobs()} - {*but}, "the end of all jobs")
        wait_until(lambda: not self.left(), "nothing left", fail=False)
        left = self.left()
        self.asks(lambda client: client.stop())
        assert self.up_now is not None
        assert self.up_now.process.wait(PATIENCE_S) == 0, self.up_now.said()
        entries, bad = read_entries(self.database or self.store)
        history = History(
            entries=entries, damaged=bad, marks=self.marks(),
            acknowledged=self.acknowledged, left=left,
        )  # fmt: skip
        return complaints(history)

    def close(self) -> None:
        """End what is still there, however the test went."""
        if self.up_now is not None:
            print(f"the last service: {self.up_now.process.poll()} (None: it lives)")
            print(self.up_now.said())
            self.up_now.kill()
        for _, pid in self.agents():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def site_in(folder: Path, database: str = "", store: Path | None = None) -> Iterator[Site]:
    """Have a site for as long as the block runs."""
    site = Site(folder, database, store)
    try:
        yield site
    finally:
        site.close()


def wait_until(true: Callable[[], Any], what: str, *, fail: bool = True) -> None:
    """Wait until something is so; what cannot be asked at this moment is not so yet."""
    end = time.monotonic() + (PATIENCE_S if fail else 15.0)
    while True:
        with contextlib.suppress(Unavailable, FileNotFoundError):
            if true():
                return
        if time.monotonic() > end:
            assert not fail, f"waited {PATIENCE_S:.0f} s for {what}"
            return
        time.sleep(0.05)


def _listens(file: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as caller:
        try:
            caller.connect(str(file))
        except OSError:
            return False
    return True
