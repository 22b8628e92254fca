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
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import msgspec

from makeway.engine.engine import Engine, Policy, Refused, outstanding
from makeway.engine.invariants import check
from makeway.model import event as ev
from makeway.model.effect import (
    Effect,
    LaunchWorkers,
    ReleaseWorkers,
    ResizeWorkers,
    StopWorkers,
)
from makeway.model.record import Exit
from makeway.sim.bodies import (
    KILLED,
    LAST,
    PRIORITY,
    TERMINATED,
    Body,
    Done,
    Gets,
    Happening,
    NodeDied,
    NodeRevived,
    Post,
    Script,
    Team,
    WorkerFails,
    end_of,
    exited,
)
from makeway.sim.course import Course


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How the world is run: with every step checked, the log kept, the engine crashing now and then.

    `crashes` counts steps from 1: after each named one the orders of that step are lost, and a new
    engine knows only the log. `courses` are the jobs whose work goes at the pace of their workers.
    `hear` is told of every entry, also where no log is kept.
    """

    checked: bool = False
    keep_log: bool = True
    crashes: Collection[int] = ()
    courses: Mapping[str, Course] = {}
    hear: Callable[[Sequence[ev.Entry]], None] | None = None


USUAL = Options()

# So many steps may be taken at one instant: who evicts each other in turn would do so for ever.
STILL_MAX = 10_000


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
        self._courses = options.courses
        self._heap: list[tuple[int, int, int, Happening]] = []
        self._sequence = self._still = 0
        self._wake_at_ms: int | None = None
        self._teams: dict[str, Team] = {}  # by job: its latest attempt
        self._adopted: dict[str, int] = {}  # by job: since when it runs
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
            self._still = self._still + 1 if next_ms == self.now_ms else 0
            assert self._still < STILL_MAX, f"time stands still at {next_ms}: a bug of the policy"
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
        if self._options.hear is not None:
            self._options.hear(step.entries)
        for refused in step.refused:
            if isinstance(refused.event, ev.AttemptAdopted):
                self._adopted.pop(refused.event.job, None)
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
            case Gets():
                return self._get(happening)
            case Done():
                return self._done(happening)
            case WorkerFails(job, rank):
                return self._fail(job, rank)
            case ev.AttemptAdopted():
                self._adopted[happening.job] = happening.started_at_ms
                return (happening,)
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

    def _get(self, gets: Gets) -> Iterable[ev.Event]:
        if gets.body.gone:
            return ()
        team = gets.team
        if gets.exit is not None:
            if not gets.body.leaving and not (gets.exit.good and team.order.job in self._courses):
                self._break_off(team)
            return self._leave(team, gets.rank, gets.exit)
        gets.body.ready = True
        ready = ev.WorkerReady(job=team.order.job, fence=team.fence, rank=gets.rank)
        return self._told([ready])

    def _done(self, done: Done) -> Iterable[ev.Event]:
        team = done.team
        if done.plan != team.plan:
            return ()
        ends = [
            (rank, end_of(body.fate, self.now_ms))
            for rank, body in enumerate(team.bodies)
            if not body.gone and not body.leaving
        ]
        return [event for rank, end in ends for event in self._leave(team, rank, end)]

    def _fail(self, job: str, rank: int) -> Iterable[ev.Event]:
        team = self._teams.get(job)
        if team is None or rank >= len(team.bodies) or team.bodies[rank].gone:
            return ()
        body = team.bodies[rank]
        if not body.leaving:
            self._break_off(team)
        return self._leave(team, rank, Exit(at_ms=self.now_ms, code=1, started=body.going))

    def _leave(self, team: Team, rank: int, end: Exit) -> Iterable[ev.Event]:
        team.bodies[rank].gone = True
        return self._told([exited(team, rank, end)])

    def _die(self, node: str) -> None:
        said = self._dead.setdefault(node, [])
        for team in self._teams.values():
            for rank, body in enumerate(team.bodies):
                if body.node == node and not body.gone:
                    body.gone = True
                    if not body.leaving:
                        self._break_off(team)
                    end = Exit(at_ms=self.now_ms, signal=KILLED, started=body.going)
                    said.append(exited(team, rank, end))

    def _told(self, events: Sequence[ev.Event]) -> Iterable[ev.Event]:
        """Give what the engine hears at once; what goes by the post comes when it comes."""
        if self._post is None:
            return events
        for event in events:
            self._say(event)
        return ()

    def _say(self, event: ev.Event) -> None:
        """Send a message to the engine, which may get it late or twice, but gets it."""
        for after_ms in (0,) if self._post is None else self._post(event):
            self.at(self.now_ms + after_ms, event)

    # ── work that goes at the pace of its workers ─────────────────────────────────────────────────

    def _plan_end(self, team: Team, lasts_ms: int | None, since_ms: int) -> None:
        """Let the work be done after that long, and not when it was planned before."""
        team.plan += 1
        if lasts_ms is not None:
            self.at(max(self.now_ms, since_ms + lasts_ms), Done(team, team.plan))

    def _break_off(self, team: Team) -> None:
        """End the work early: a worker of it is gone, or all were told to leave."""
        course = self._courses.get(team.order.job)
        if course is not None and self._teams.get(team.order.job) is team and course.running:
            course.stopped(self.now_ms)
            self._plan_end(team, None, self.now_ms)

    # ── what is ordered ───────────────────────────────────────────────────────────────────────────

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case LaunchWorkers():
                self._launch(effect)
            case ReleaseWorkers():
                self._release(effect)
            case ResizeWorkers():
                self._resize(effect)
            case StopWorkers():
                self._stop(effect)

    def _launch(self, order: LaunchWorkers) -> None:
        before = self._teams.get(order.job)
        if before is not None:
            if order.fence <= before.fence:
                return
            alive = [rank for rank, body in enumerate(before.bodies) if not body.gone]
            who = f"{alive} of fence {before.fence} live"
            assert not alive, f"two attempts of {order.job} at once: {who}"
        team = self._teams[order.job] = Team(order.fence, [], order)
        since_ms = self._adopted.pop(order.job, None)
        for _, row, _ in order.allocation.ranks():
            body = self._join(team, row.node)
            if since_ms is not None:
                body.ready = True
                self._set_going(team, body, since_ms)
            elif not body.gone and body.fate.ready_ms is not None:
                gets = Gets(team, len(team.bodies) - 1, body)
                self.at(self.now_ms + body.fate.ready_ms, gets)
        if since_ms is not None:
            self._begin(team, since_ms)

    def _join(self, team: Team, node: str) -> Body:
        """Add a worker; on a machine that is dead, and not yet missed, it never comes to life."""
        rank, dead = len(team.bodies), node in self._dead
        body = Body(node, self._script(team.order, rank), gone=dead)
        team.bodies.append(body)
        if dead:
            end = Exit(at_ms=self.now_ms, signal=KILLED, started=False)
            self._dead[node].append(exited(team, rank, end))
        return body

    def _release(self, order: ReleaseWorkers) -> None:
        team = self._of(order)
        if team is None or all(body.going or body.gone for body in team.bodies):
            return
        for rank, body in enumerate(team.bodies):
            if not body.going and not body.gone:
                assert body.ready or body.leaving, f"{order.job} rank {rank} was not ready"
                self._say(ev.WorkerStarted(job=order.job, fence=order.fence, rank=rank))
                self._set_going(team, body, self.now_ms)
        self._begin(team, self.now_ms)

    def _begin(self, team: Team, since_ms: int) -> None:
        course = self._courses.get(team.order.job)
        bodies = [body for body in team.bodies if not body.leaving]
        if course is not None and not any(body.gone for body in bodies):
            self._plan_end(team, course.launched(since_ms, len(bodies)), since_ms)

    def _set_going(self, team: Team, body: Body, since_ms: int) -> None:
        body.going = True
        fate = body.fate
        if fate.lasts_ms is None or body.gone:
            return
        end = end_of(fate, max(self.now_ms, since_ms + fate.lasts_ms))
        # Where the work has a course, that says when it is done; a failure comes all the same.
        if not end.good or team.order.job not in self._courses:
            self.at(end.at_ms, Gets(team, team.bodies.index(body), body, end))

    def _resize(self, order: ResizeWorkers) -> None:
        team = self._of(order)
        if team is None or order.generation <= team.generation:
            return
        team.generation = order.generation
        count = order.allocation.workers
        stay = [body for body in team.bodies if not body.leaving]
        if count < len(stay):
            for rank, body in enumerate(team.bodies[count : len(stay)], start=count):
                body.leaving = True
                self._send_away(team, rank, order.grace_ms)
        elif count > len(stay):
            # Whoever left from the end before is out of it.
            team.bodies = stay
            going = any(body.going for body in stay)
            for _, row, _ in [*order.allocation.ranks()][len(stay) :]:
                self._come_in(team, row.node, going=going)
        course = self._courses.get(order.job)
        if course is not None and course.running:
            self._plan_end(team, course.resized(self.now_ms, count), self.now_ms)

    def _come_in(self, team: Team, node: str, *, going: bool) -> None:
        body = self._join(team, node)
        if body.gone:
            self._break_off(team)
        elif going:
            body.ready = True
            self._set_going(team, body, self.now_ms)
        elif body.fate.ready_ms is not None:
            gets = Gets(team, len(team.bodies) - 1, body)
            self.at(self.now_ms + body.fate.ready_ms, gets)

    def _stop(self, order: StopWorkers) -> None:
        team = self._of(order)
        if team is not None:
            self._break_off(team)
            for rank in range(len(team.bodies)):
                self._send_away(team, rank, order.grace_ms)

    def _send_away(self, team: Team, rank: int, grace_ms: int) -> None:
        body = team.bodies[rank]
        if not body.gone:
            kill = body.fate.exit_ms > grace_ms
            at_ms = self.now_ms + min(body.fate.exit_ms, grace_ms)
            end = Exit(at_ms=at_ms, signal=KILLED if kill else TERMINATED, started=body.going)
            self.at(at_ms, Gets(team, rank, body, end))

    def _of(self, order: ReleaseWorkers | ResizeWorkers | StopWorkers) -> Team | None:
        team = self._teams.get(order.job)
        return team if team is not None and team.fence == order.fence else None
