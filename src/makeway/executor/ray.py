"""Make workers real on the nodes of a Ray cluster.

makeway decides who runs where; Ray carries it out. Each attempt has a placement group whose bundles
are pinned to the chosen nodes, so that Ray's accounting agrees with ours (`ray_places`), and each
worker a detached actor in its bundle: a seat, in which the same agent lives as on one machine. The
agents call here over the network, with a token of their attempt.

Who lives is not seen but heard: each agent renews its lease (`worker.contact`). One that is silent
for the lease is swept by its seat, if that answers; after four thirds of it the worker has ended by
itself, whatever there is in between, and is counted as lost; so is the node, if all of its workers
are silent. How a worker ended is told three times, and the first time counts: by the agent, by its
`exit.json`, by its seat.

The store lies on a file system that all nodes share, at the same path.

Raises:  Unavailable, at the beginning: Ray cannot be reached, or the door cannot be opened
Holds:   nothing is begun twice · no worker of an attempt that is over goes on · of an attempt that
         is over nothing is left in Ray
"""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from makeway.executor import envoy as words
from makeway.executor import folder as files
from makeway.executor.base import Observed
from makeway.executor.crew import Crew, now_ms
from makeway.executor.door import FILE as DOOR
from makeway.executor.door import answer, hang_up, known_door, open_door, refuses
from makeway.executor.envoy import Envoy, FromEnvoy, Terms
from makeway.executor.launches import Place, launches
from makeway.executor.protocol import (
    Ended,
    Failed,
    FromAgent,
    Go,
    Hello,
    Launch,
    Measured,
    Ready,
    Renew,
    Renewed,
    Started,
    Stop,
)
from makeway.executor.ray_fleet import Fleet
from makeway.executor.ray_places import SEAT, Held, Order, Seating, bundles_of, seating_of
from makeway.executor.team import Team
from makeway.executor.watched import ANSWER_MS, Watched
from makeway.failpoint import reach
from makeway.model.cluster import Node
from makeway.model.effect import LaunchWorkers, ResizeWorkers
from makeway.model.record import Exit
from makeway.model.resources import GPU, Resources

LEASE_MS = 15_000
TURN_MS = 500
AGAIN_MS = 5_000
SEND_S = 1.0
NS_PER_MS = 1_000_000


class RaySite(msgspec.Struct, frozen=True, kw_only=True):
    """Where Ray is, and how its nodes reach the controller.

    address      of Ray's head, or `auto`: the cluster that this machine belongs to
    host, port   where agents call; empty: the address by which Ray knows this machine; 0: any
    lease_ms     see `worker.contact`
    environment  variables of every worker; a program's own come before them
    """

    address: str = "auto"
    host: str = ""
    port: int = 0
    lease_ms: int = LEASE_MS
    environment: dict[str, str] = {}


class RayExecutor(Crew):
    """Workers in Ray; see the module and `base.Executor`."""

    def __init__(self, store: Path, site: RaySite, *, sample_ms: int = 1000) -> None:
        """Reach Ray, and open the door to agents."""
        known = known_door(store)
        self._site, self._house = site, f"makeway-{known.house}"
        self._envoy = Envoy(site.address, self._house)
        there = self._envoy.connected()
        try:
            self._entry, door = open_door(store, known, site.host or there.address, site.port)
        except BaseException:
            self._envoy.close()
            raise
        super().__init__(Place(store=store, controller=store / DOOR, sample_ms=sample_ms), door)
        self._held: dict[str, Held] = {}  # by folder
        self._orders: dict[tuple[str, int], Order] = {}
        self._callers: dict[socket.socket, Hello] = {}
        self._fleet = Fleet()
        self._fleet.count(there.nodes)
        self._tidied = False
        self._again_at_ms: int | None = None
        self._listen_to_envoy()

    def believe(self, nodes: Iterable[Node]) -> None:
        """Know which nodes were believed to be there before a restart."""
        self._fleet.believe(nodes)

    # ── who is brought to life ────────────────────────────────────────────────────────────────────

    def _launch(self, order: LaunchWorkers) -> None:
        """Know all places of an attempt before any of its workers is found to be gone."""
        self._orders[(order.job, order.fence)] = order
        for launch in launches(order, self._place):
            if (self._folder(launch) / files.LAUNCH).exists():
                self._hold(launch)
        super()._launch(order)

    def _resize(self, team: Team, order: ResizeWorkers) -> None:
        self._orders[(order.job, order.fence)] = order
        super()._resize(team, order)

    def _hold(self, launch: Launch) -> Held:
        folder = self._folder(launch)
        held = self._held.get(str(folder))
        if held is None:
            order = self._orders[(launch.job, launch.fence)]
            seating = seating_of(self._house, folder, launch, order)
            held = self._held[str(folder)] = Held(seating=seating, node=launch.node)
        return held

    def _equipped(self, launch: Launch, asked: Resources) -> Launch:
        node = self._fleet.find(launch.node)
        hidden = node is not None and node.node.capacity[GPU] and not asked[GPU]
        return msgspec.structs.replace(
            launch,
            address=launch.address if node is None else node.address,
            user="",
            devices=() if hidden else None,  # those that it has are named by Ray
            environment=self._site.environment,
        )

    def _bring(self, worker: Watched, asked: Resources) -> None:
        launch = worker.launch = self._equipped(worker.launch, asked)
        held = self._hold(launch)
        if self._fleet.find(launch.node) is None:
            self._gone(worker, _lost(f"node {launch.node} is gone", started=False))
            return
        try:
            worker.folder.mkdir(parents=True, exist_ok=True)
            files.write_whole(worker.folder / SEAT, held.seating)
            files.write_whole(worker.folder / files.LAUNCH, launch)
        except OSError as error:
            self._gone(worker, _lost(f"not launched: {error}", started=False))
        else:
            self._ask_for_seat(worker, held.seating)

    def _ask_for_seat(self, worker: Watched, seating: Seating) -> None:
        launch = worker.launch
        order = self._orders[(launch.job, launch.fence)]
        bundles, index = bundles_of(order, launch, self._fleet)
        hello = self._entry.hello(launch.job, launch.number, launch.fence, launch.rank)
        door = str(self._store / DOOR)
        reach("executor.fork.before")
        self._envoy.ask(
            words.Place(
                folder=str(worker.folder),
                seat=seating.seat,
                group=seating.group,
                bundles=bundles,
                index=index,
                terms=Terms(door=door, hello=hello, lease_ms=self._site.lease_ms),
            )
        )
        reach("executor.fork.after")

    def _let_go(self, worker: Watched) -> None:
        held = self._held.pop(str(worker.folder), None)
        others = {one.seating.group for one in self._held.values()}
        if held is not None and held.seating.group not in others:
            self._envoy.ask(words.Free(group=held.seating.group))
        key = (worker.launch.job, worker.launch.fence)
        if not self._teams[key].members:
            self._orders.pop(key, None)

    # ── who was there before ──────────────────────────────────────────────────────────────────────

    def _find_again(self, team: Team, launch: Launch, asked: Resources) -> None:
        worker = self._watch_over(team, launch)
        known = files.read_whole(worker.folder / files.LAUNCH, Launch)
        worker.launch = known or self._equipped(launch, asked)
        held = self._hold(worker.launch)
        ended = files.read_exit(worker.folder)
        if ended is not None:
            self._gone(worker, ended)
        else:
            self._envoy.ask(words.Find(folder=str(worker.folder), seat=held.seating.seat))

    def _found(self, worker: Watched, held: Held, *, there: bool) -> None:
        """Adopt who is there, and give whoever was never brought to life a place.

        An agent without its place ends soon by itself, and says so.
        """
        if there or (worker.folder / files.AGENT).exists():
            held.heard_ns = held.heard_ns or _now_ns()
        else:
            self._ask_for_seat(worker, held.seating)

    def _unseated(self, worker: Watched, problem: str) -> None:
        """Take what is written; else wait for the agent, if there may be one, for its lease."""
        ended = files.read_exit(worker.folder)
        if ended is None and not (worker.folder / files.AGENT).exists():
            ended = _lost(f"not launched: {problem}", started=False)
        if ended is not None:
            self._gone(worker, ended)

    # ── what happens ──────────────────────────────────────────────────────────────────────────────

    def observe(self, timeout_ms: int) -> Observed:
        """Wait until something happens, at most so long, and tell it."""
        if not self._tidied:
            self._tidied = True
            groups = {one.seating.group for one in self._held.values()}
            self._envoy.ask(words.Keep(groups=tuple(sorted(groups))))
        self._tell_news()
        looked_at = self._held or self._again_at_ms is not None
        observed = super().observe(min(timeout_ms, TURN_MS) if looked_at else timeout_ms)
        self._keep_leases()
        if self._again_at_ms is not None and now_ms() >= self._again_at_ms:
            self._again_at_ms = None
            self._envoy.restart()
            self._listen_to_envoy()
        return observed

    def close(self) -> None:
        """Let go of everything but the workers."""
        super().close()
        self._envoy.close()

    def _tell_news(self) -> None:
        """Say which nodes came and went."""
        heard = {one.node for one in self._held.values() if one.heard_ns is not None}
        self._events += self._fleet.news(heard)

    def _keep_leases(self) -> None:
        """Sweep who is silent; count as lost whose lease was over long enough ago."""
        now_ns, lease_ns = _now_ns(), self._site.lease_ms * NS_PER_MS
        over: list[Watched] = []
        for folder, worker in self._by_folder.items():
            held = self._held[folder]
            silent_ns = 0 if held.heard_ns is None else now_ns - held.heard_ns
            if silent_ns * 3 >= lease_ns * 4:
                over.append(worker)
            elif silent_ns >= lease_ns and not held.swept:
                held.swept = True
                self._envoy.ask(words.Sweep(folder=folder, seat=held.seating.seat))
        silent = {str(worker.folder) for worker in over}
        for node in sorted({worker.launch.node for worker in over}):
            there = {folder for folder, held in self._held.items() if held.node == node}
            if all(one in silent or self._held[one].heard_ns is None for one in there):
                if node_id := self._fleet.unheard(node):
                    self._envoy.ask(words.Echo(node_id=node_id))
                for one in there:
                    self._held[one].heard_ns = None
        self._tell_news()
        text = f"silent for {self._site.lease_ms * 4 // 3000} s"
        for worker in over:
            self._gone(worker, _lost(f"node {worker.launch.node}: its agent was {text}"))

    def _too_late(self, worker: Watched, at_ms: int) -> None:
        """Sweep who did not do in time what it was told; nobody who was never heard can be there."""
        if worker.kill_at_ms is None or at_ms < worker.kill_at_ms:
            return
        worker.kill_at_ms = at_ms + ANSWER_MS
        held = self._held[str(worker.folder)]
        told_to_go = any(isinstance(order, Go) for order in worker.orders)
        if held.swept and held.heard_ns is None and not told_to_go:
            self._gone(worker, _lost("it never came to life", started=False))
            return
        held.swept = True
        self._envoy.ask(words.Sweep(folder=str(worker.folder), seat=held.seating.seat))

    # ── agents ────────────────────────────────────────────────────────────────────────────────────

    def _listen_at(self, peer: socket.socket) -> None:
        peer.settimeout(SEND_S)  # one that takes nothing must not hold up all others

    def _heard(self, peer: socket.socket, message: FromAgent) -> None:
        if isinstance(message, Hello):
            if not self._entry.knows(message):
                hang_up(peer)
                return
            self._callers[peer] = message
        caller = self._callers.get(peer)
        if caller is None:
            hang_up(peer)
            return
        team = self._teams.get((caller.job, caller.fence))
        worker = None if team is None else team.members.get(caller.rank)
        if worker is None:
            answer(peer, Stop(fence=caller.fence, cause="over", grace_ms=0))
            return
        held = self._held[str(worker.folder)]
        held.heard_ns, held.swept = _now_ns(), False
        match message:
            case Renew(sent_ns=sent_ns):
                answer(peer, Renewed(sent_ns=sent_ns))
            case Ended(exit=ended):
                self._ended(worker, ended)
            case Measured(job=job, number=number, rank=rank):
                if (job, number, rank) == (caller.job, caller.number, caller.rank):
                    super()._heard(peer, message)
            case Ready(job=job, fence=fence, rank=rank) | Started(job=job, fence=fence, rank=rank):
                if (job, fence, rank) == (caller.job, caller.fence, caller.rank):
                    super()._heard(peer, message)
            case _:
                pass

    def _hung_up(self, peer: socket.socket) -> None:
        self._callers.pop(peer, None)
        super()._hung_up(peer)

    def _ended(self, worker: Watched, ended: Exit) -> None:
        """Believe an agent; where it lost its place, see first whether its node is there at all."""
        name = worker.launch.node
        node = self._fleet.find(name)
        if ended.lost is not None and node is not None and refuses(node.address, node.port):
            self._fleet.refuses(name)
            ended = msgspec.structs.replace(ended, lost=f"node {name} is gone: {ended.lost}")
        self._held[str(worker.folder)].heard_ns = None
        self._tell_news()
        self._gone(worker, ended)

    # ── the envoy ─────────────────────────────────────────────────────────────────────────────────

    def _listen_to_envoy(self) -> None:
        self._selector.register(self._envoy.socket, selectors.EVENT_READ, self._hear_envoy)

    def _hear_envoy(self, _sock: object) -> None:
        said = self._envoy.words()
        for word in said or ():
            self._take(word)
        if said is None:  # it died, or Ray did: agents go on as long as they are heard
            self._selector.unregister(self._envoy.socket)
            self._again_at_ms = self._again_at_ms or now_ms()

    def _take(self, word: FromEnvoy) -> None:
        match word:
            case words.Nodes(nodes=nodes):
                self._fleet.count(nodes)
            case words.Connected(nodes=nodes):
                self._fleet.count(nodes)
                for folder in self._by_folder:
                    seat = self._held[folder].seating.seat
                    self._envoy.ask(words.Find(folder=folder, seat=seat))
            case words.Echoed(node_id=node_id):
                self._fleet.heard(node_id)
            case Failed():
                self._again_at_ms = now_ms() + AGAIN_MS
            case words.Found() | words.Left() | words.Placed():
                worker, held = self._by_folder.get(word.folder), self._held.get(word.folder)
                if worker is None or held is None or held.seating.seat != word.seat:
                    return  # it was told otherwise already
                if isinstance(word, words.Found):
                    self._found(worker, held, there=word.there)
                elif isinstance(word, words.Left) and word.exit is not None:
                    self._gone(worker, word.exit)
                elif isinstance(word, words.Left):
                    self._unseated(worker, word.problem)


def _lost(text: str, *, started: bool = True) -> Exit:
    return Exit(at_ms=now_ms(), lost=text, started=started)


def _now_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
