"""Make workers real as processes of this machine.

Orders are turned into files and messages: `launch.json` and a request to the zygote for a launch,
Go, Resize and Stop to the agents. What happens comes from three sides: agents call and say Ready
and Started and what was measured; the kernel says through a pidfd that an agent is gone; then
`exit.json` says how its worker ended.

A worker is at most one, by its lock: before anything is launched the folder is looked at, and an
agent that lives there is adopted instead. So the same orders can be repeated after a restart, and
an agent that outlived the controller simply goes on. GPUs and processors are given out only when
all that was repeated is known, which is so when `observe` is called: whoever lives has theirs.

All nodes are this machine, whatever their names. What other executors do as well is in `crew`.
"""

from __future__ import annotations

import os
import selectors
from pathlib import Path

from makeway.executor import folder as files
from makeway.executor.address import listen
from makeway.executor.adoption import find, swept
from makeway.executor.crew import Crew, now_ms
from makeway.executor.equipment import Equipment, Site
from makeway.executor.launches import Place
from makeway.executor.protocol import Fork, Forked, Launch
from makeway.executor.team import Team
from makeway.executor.watched import Watched
from makeway.executor.zygote import Zygote
from makeway.failpoint import reach
from makeway.model.record import Exit
from makeway.model.resources import Resources

DOOR = "controller.sock"
DEFAULT = Site()


class LocalExecutor(Crew):
    """Workers as local processes; see the module and `base.Executor`."""

    def __init__(
        self, store: Path, zygote: Zygote, *, sample_ms: int = 1000, site: Site = DEFAULT
    ) -> None:
        """Listen for agents in the store's folder."""
        place = Place(store=store, controller=store / DOOR, sample_ms=sample_ms)
        super().__init__(place, listen(store / DOOR))
        self._zygote, self._equipment = zygote, Equipment(site)
        self._listen_to_zygote()

    # ── who is brought to life, and who was ───────────────────────────────────────────────────────

    def _bring(self, worker: Watched, asked: Resources) -> None:
        worker.launch = launch = self._equipment.equipped(worker.launch, asked)
        try:
            worker.folder.mkdir(parents=True, exist_ok=True)
            files.write_whole(worker.folder / files.LAUNCH, launch)
        except OSError as error:
            self._gone(worker, Exit(at_ms=now_ms(), lost=f"not launched: {error}", started=False))
        else:
            self._ask_for_agent(worker)

    def _ask_for_agent(self, worker: Watched) -> None:
        reach("executor.fork.before")
        if self._zygote.ask(Fork(folder=str(worker.folder))):
            self._listen_to_zygote()
        reach("executor.fork.after")

    def _equipped(self, launch: Launch, asked: Resources) -> Launch:
        return self._equipment.equipped(launch, asked)

    def _let_go(self, worker: Watched) -> None:
        self._equipment.give_back(worker.folder)

    def _too_late(self, worker: Watched, at_ms: int) -> None:
        worker.kill_late(at_ms)

    def _find_again(self, team: Team, launch: Launch, asked: Resources) -> None:
        """Adopt a worker launched before a restart, or tell how it ended."""
        worker = self._watch_over(team, launch)
        known = files.read_whole(worker.folder / files.LAUNCH, Launch)
        if known is not None:
            worker.launch = known
        found = find(worker.folder)
        if not isinstance(found, Exit):
            self._equipment.hold(worker.launch, asked)
        self._take_up(worker, found)

    def _take_up(self, worker: Watched, found: int | Exit | None) -> None:
        if isinstance(found, Exit):
            self._gone(worker, found)
        elif found is None:
            self._ask_for_agent(worker)
        else:
            self._watch(worker, found)

    def _watch(self, worker: Watched, pid: int) -> None:
        try:
            worker.pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            self._left(worker)
            return
        self._selector.register(worker.pidfd, selectors.EVENT_READ, lambda _fd: self._left(worker))

    def close(self) -> None:
        """Let go of everything but the workers."""
        for worker in self._by_folder.values():
            if worker.pidfd is not None:
                os.close(worker.pidfd)
        super().close()
        self._zygote.close()

    # ── what happens ──────────────────────────────────────────────────────────────────────────────

    def _forked(self, message: Forked) -> None:
        worker = self._by_folder.get(message.folder)
        if worker is None or worker.pidfd is not None:
            return
        found: int | Exit | None = message.pid
        if found is None:  # there is one already, or there can be none
            found = find(worker.folder)
            found = found or Exit(at_ms=now_ms(), lost=message.problem, started=False)
        self._take_up(worker, found)

    def _listen_to_zygote(self) -> None:
        for key in list(self._selector.get_map().values()):
            if key.data == self._hear_zygote:
                self._selector.unregister(key.fileobj)
        self._selector.register(self._zygote.socket, selectors.EVENT_READ, self._hear_zygote)

    def _hear_zygote(self, _sock: object) -> None:
        replies = self._zygote.replies()
        if replies is not None:
            for reply in replies:
                if isinstance(reply, Forked):
                    self._forked(reply)
            return
        # It died (somebody killed it, or ran it out of memory). A fresh one takes what it owed;
        # an agent that was forked all the same holds its lock, and is found by it.
        self._zygote.restart()
        self._listen_to_zygote()
        for worker in list(self._by_folder.values()):
            if worker.pidfd is None and (worker.folder / files.LAUNCH).exists():
                self._take_up(worker, find(worker.folder))

    def _left(self, worker: Watched) -> None:
        """Read what an agent that is gone still had to say, then how its worker ended."""
        if worker.pidfd is not None:
            self._selector.unregister(worker.pidfd)
            os.close(worker.pidfd)
            worker.pidfd = None
        while worker.peer is not None:
            self._selector.get_key(worker.peer).data(worker.peer)
        self._gone(worker, files.read_exit(worker.folder) or swept(worker.folder))
