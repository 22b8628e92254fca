"""Let the engine rule over a world that exists only here: virtual time, a heap of what comes next.

The engine's step is called as it is live; only the answers differ. An order to launch workers is
answered by every rank being ready after a while, an order to let them go by their ends when their
true duration is over, an order to stop by the ends of whoever is left. What will become of a worker
if nobody interferes is its `Fate`; a script knows it, and knows it by (job, attempt, rank) alone,
so that one seed tells one story. No rule of scheduling or of retrying stands here.

All that happens at one instant is told to the engine in one step: first what workers say, then what
becomes of machines, then what users want. What the world *says* may come late, twice or in another
order than it was (`post`); what *is* does not depend on it, and the world itself complains if two
attempts of one job ever run at once.

Takes:   policy  decides over snapshots, as it does live
         script  tells the fate of each worker of an order to launch
         post    tells after how many ms each copy of a message arrives; default: once, at once
Gives:   the log, as a list of entries, and `report` folds it
Holds:   same arguments, same log · time never goes back · repeated orders change nothing
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterable, Sequence

import msgspec

from makeway.engine.engine import Engine, Policy, Refused, outstanding
from makeway.engine.invariants import check
from makeway.model import event as ev
from makeway.model.effect import Effect, LaunchWorkers, ReleaseWorkers, StopWorkers
from makeway.model.record import ErrorRecord, Exit, Report

TERMINATED, KILLED = 15, 9


class Fate(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of one worker if nobody interferes.

    ready_ms   from the order to launch until it stands at the barrier; None: never
    lasts_ms   from the order to go until it ends by itself; None: never
    exit_ms    from the order to stop until it has left; longer than the grace time: it is killed
    code, signal, error, report   how it ends by itself
    """

    ready_ms: int | None = 0
    lasts_ms: int | None = None
    exit_ms: int = 0
    code: int | None = 0
    signal: int | None = None
    error: ErrorRecord | None = None
    report: Report | None = None


Script = Callable[[LaunchWorkers, int], Fate]
Post = Callable[[ev.Event], Sequence[int]]


class NodeDied(msgspec.Struct, frozen=True):
    """A machine and all that ran on it is gone, and nobody has been told."""

    name: str


class NodeRevived(msgspec.Struct, frozen=True):
    """A machine is there again; its agent remembers who died on it, and says so."""

    name: str


class _Gets(msgspec.Struct, frozen=True):
    """A worker gets to the barrier, or to its end; untrue if it has left before."""

    job: str
    fence: int
    rank: int
    exit: Exit | None = None


Happening = ev.Event | NodeDied | NodeRevived | _Gets

# Who goes first at one instant. What is not named comes last, as it was brought in.
PRIORITY: dict[type, int] = {
    _Gets: 0,
    ev.WorkerReady: 0,
    ev.WorkerStarted: 0,
    ev.WorkerExited: 0,
    NodeDied: 1,
    NodeRevived: 1,
    ev.NodeJoined: 1,
    ev.NodeLost: 1,
    ev.QueuesConfigured: 1,
}
LAST = 2


class _Body(msgspec.Struct):
    """What is true of one worker, whatever anybody believes of it."""

    node: str
    fate: Fate
    ready: bool = False
    going: bool = False
    gone: bool = False


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How the world is run: with every step checked, the log kept, the engine crashing now and then.

    `crashes` counts steps from 1: after each named one the orders of that step are lost, and a new
    engine knows only the log.
    """

    checked: bool = False
    keep_log: bool = True
    crashes: Collection[int] = ()


USUAL = Options()


class World:
    """A heap of what comes next, true workers, and the engine that believes and orders."""

    def __init__(
        self, policy: Policy, script: Script, post: Post | None = None, options: Options = USUAL
    ) -> None:
        """Begin at time 0 with nothing in it."""
        assert options.keep_log or not options.crashes, "a crashed engine needs the log"
        self.engine = Engine(policy)
        self.now_ms = 0
        self.steps = 0
        self.entries = 0
        self.log: list[ev.Entry] = []
        self.refused: list[Refused] = []
        self._policy, self._script, self._post, self._options = policy, script, post, options
        self._heap: list[tuple[int, int, int, Happening]] = []
        self._sequence = 0
        self._wake_at_ms: int | None = None
        self._bodies: dict[str, tuple[int, list[_Body]]] = {}  # by job: its fence and its workers
        self._dead: dict[str, list[ev.WorkerExited]] = {}  # by node: what is to be said one day

    def at(self, at_ms: int, happening: Happening) -> None:
        """Let this happen at that instant; what is brought in first happens first."""
        assert at_ms >= self.now_ms, f"{at_ms} is past, it is {self.now_ms}"
        self._sequence += 1
        priority = PRIORITY.get(type(happening), LAST)
        heapq.heappush(self._heap, (at_ms, priority, self._sequence, happening))

    def run(self, until_ms: int | None = None) -> None:
        """Go on until nothing more comes, or until all that happens at `until_ms` has happened."""
        while (next_ms := self._next_ms()) is not None:
            if until_ms is not None and next_ms > until_ms:
                return
            self.now_ms = next_ms
            events: list[ev.Event] = []
            while self._heap and self._heap[0][0] == next_ms:
                events.extend(self._true(heapq.heappop(self._heap)[3]))
            self._step(events)

    def _next_ms(self) -> int | None:
        due = [] if self._wake_at_ms is None else [self._wake_at_ms]
        return min([*due, self._heap[0][0]] if self._heap else due, default=None)

    def _step(self, events: Sequence[ev.Event]) -> None:
        step = self.engine.step(events, self.now_ms)
        self.steps += 1
        self.entries += len(step.entries)
        if self._options.keep_log:
            self.log.extend(step.entries)
            self.refused.extend(step.refused)
        if self._options.checked:
            check(self.engine.state, self.now_ms)
        assert step.wake_at_ms is None or step.wake_at_ms > self.now_ms, "woken for the past"
        self._wake_at_ms = step.wake_at_ms
        effects = step.effects
        if self.steps in self._options.crashes:
            self.engine = Engine(self._policy)
            self.engine.replay(self.log)
            effects = outstanding(self.engine.state)
        for effect in effects:
            self._carry_out(effect)

    # ── what happens ──────────────────────────────────────────────────────────────────────────────

    def _true(self, happening: Happening) -> Iterable[ev.Event]:
        """Let the truth change, and give what the engine is told of it at once."""
        match happening:
            case _Gets():
                return self._get(happening)
            case NodeDied(name):
                self._die(name)
                return ()
            case NodeRevived(name):
                for event in self._dead.pop(name, ()):
                    self._say(event)
                return ()
            case ev.NodeLost():
                # Whoever simply takes a machine away has not told us before that it died.
                if happening.name not in self._dead:
                    self._die(happening.name)
                return (happening,)
            case ev.NodeJoined(node=node):
                self._dead.pop(node.name, None)
                return (happening,)
            case _:
                return (happening,)

    def _get(self, gets: _Gets) -> Iterable[ev.Event]:
        fence, bodies = self._bodies[gets.job]
        if fence != gets.fence or not bodies or bodies[gets.rank].gone:
            return ()
        event: ev.Event
        if gets.exit is None:
            bodies[gets.rank].ready = True
            event = ev.WorkerReady(job=gets.job, fence=fence, rank=gets.rank)
        else:
            bodies[gets.rank].gone = True
            if all(body.gone for body in bodies):
                self._bodies[gets.job] = (fence, [])
            event = _exited(gets.job, fence, gets.rank, gets.exit)
        if self._post is None:
            return (event,)
        self._say(event)
        return ()

    def _die(self, node: str) -> None:
        said = self._dead.setdefault(node, [])
        for job, (fence, bodies) in self._bodies.items():
            for rank, body in enumerate(bodies):
                if body.node == node and not body.gone:
                    body.gone = True
                    end = Exit(at_ms=self.now_ms, signal=KILLED, started=body.going)
                    said.append(_exited(job, fence, rank, end))

    def _say(self, event: ev.Event) -> None:
        """Send a message to the engine, which may get it late or twice, but gets it."""
        for after_ms in (0,) if self._post is None else self._post(event):
            self.at(self.now_ms + after_ms, event)

    # ── what is ordered ───────────────────────────────────────────────────────────────────────────

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case LaunchWorkers():
                self._launch(effect)
            case ReleaseWorkers():
                self._release(effect)
            case StopWorkers():
                self._stop(effect)

    def _launch(self, order: LaunchWorkers) -> None:
        fence, bodies = self._bodies.get(order.job, (0, []))
        if order.fence <= fence:
            return
        alive = [rank for rank, body in enumerate(bodies) if not body.gone]
        assert not alive, f"two attempts of {order.job} at once: {alive} of fence {fence} live"
        bodies = []
        for rank, placement, _ in order.allocation.ranks():
            fate = self._script(order, rank)
            dead = placement.node in self._dead
            bodies.append(_Body(placement.node, fate, gone=dead))
            if dead:
                end = Exit(at_ms=self.now_ms, signal=KILLED, started=False)
                self._dead[placement.node].append(_exited(order.job, order.fence, rank, end))
            elif fate.ready_ms is not None:
                self.at(self.now_ms + fate.ready_ms, _Gets(order.job, order.fence, rank))
        self._bodies[order.job] = (order.fence, bodies)

    def _release(self, order: ReleaseWorkers) -> None:
        for rank, body in self._alive(order):
            if body.going:
                continue
            assert body.ready, f"{order.job} rank {rank} was let go before it was ready"
            body.going = True
            fate = body.fate
            self._say(ev.WorkerStarted(job=order.job, fence=order.fence, rank=rank))
            if fate.lasts_ms is not None:
                at_ms = self.now_ms + fate.lasts_ms
                end = Exit(
                    at_ms=at_ms,
                    code=None if fate.signal is not None else fate.code,
                    signal=fate.signal,
                    error=fate.error,
                    report=fate.report,
                )
                self.at(at_ms, _Gets(order.job, order.fence, rank, end))

    def _stop(self, order: StopWorkers) -> None:
        for rank, body in self._alive(order):
            kill = body.fate.exit_ms > order.grace_ms
            at_ms = self.now_ms + min(body.fate.exit_ms, order.grace_ms)
            signal = KILLED if kill else TERMINATED
            end = Exit(at_ms=at_ms, signal=signal, started=body.going)
            self.at(at_ms, _Gets(order.job, order.fence, rank, end))

    def _alive(self, order: ReleaseWorkers | StopWorkers) -> list[tuple[int, _Body]]:
        fence, bodies = self._bodies.get(order.job, (0, []))
        if order.fence != fence:
            return []
        return [(rank, body) for rank, body in enumerate(bodies) if not body.gone]


def _exited(job: str, fence: int, rank: int, end: Exit) -> ev.WorkerExited:
    return ev.WorkerExited(job=job, fence=fence, rank=rank, exit=end)
