"""Whatever happens in whatever order: the state holds together, and the log alone gives it again."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from makeway.engine.engine import Engine, outstanding
from makeway.engine.invariants import check, check_entries
from makeway.engine.past import Past
from makeway.engine.state import State
from makeway.model import event as ev
from makeway.model.cluster import Queue
from makeway.model.job import After, Attempt, Job
from makeway.model.phase import JobPhase
from makeway.model.record import ErrorRecord, Exit, Output, Report
from makeway.model.workflow import (
    Constant,
    FromSlot,
    FromStep,
    Many,
    SelectTop,
    Step,
    Workflow,
    run_of,
)
from makeway.policy.schedule import schedule
from tests import builders
from tests.engine.house import House, spec
from tests.engine.replayed import believed
from tests.engine.story import orders

FLOW = Workflow(
    name="flow",
    file="flow.py",
    steps=(
        Step(key="a", retries=1, workers=2),
        Step(key="b", arguments={"x": FromStep("a")}),
        Step(key="c", arguments={"x": Constant(1)}, idempotent=False),
        Step(key="best", select=SelectTop(candidates=("b", "c"), metric="m", k=2, minimum=0.5)),
        Step(key="s1", arguments={"x": FromSlot("best", 0)}),
        Step(key="s2", arguments={"x": FromSlot("best", 1)}),
        Step(key="all", arguments={"x": Many((FromStep("s1"), FromStep("s2")))}),
    ),
    result=FromStep("all"),
)
ENDS = (
    {"code": 0}, {"code": 0}, {"code": 0}, {"code": 1}, {"code": 93}, {"code": 0, "started": False},
    {"signal": 9}, {"signal": 15}, {"signal": 11}, {"lost": "agent is silent"},
    {"code": 1, "error": ErrorRecord(type="OSError", message="", bases=("OSError",), errno=104)},
    {"code": 1, "error": ErrorRecord(type="NameError", message="x")},
)  # fmt: skip


class Chaos:
    """Make up anything that the world could say next, true or not."""

    def __init__(self, rng: Random, house: House) -> None:
        self.rng, self.house, self.made = rng, house, 0

    def happenings(self) -> list[ev.Event]:
        """Make what is told in one step; jobs come first, so that no id comes after its end."""
        events = [self.anything() for _ in range(self.rng.randint(0, 3))]
        return sorted(events, key=lambda event: not isinstance(event, ev.JobSubmitted))

    def anything(self) -> ev.Event:
        """Make one event; those that move things on come more often than those that break them."""
        kinds: list[tuple[int, Callable[[], ev.Event]]] = [
            (8, self.ready), (6, self.started), (8, self.exited), (6, self.submitted),
            (2, self.run_submitted), (1, self.cancel), (1, self.run_cancel),
            (2, self.node_joined), (1, self.node_lost), (1, self.queues),
        ]  # fmt: skip
        makers = [make for _, make in kinds]
        return self.rng.choices(makers, [weight for weight, _ in kinds])[0]()

    def submitted(self) -> ev.Event:
        rng, self.made = self.rng, self.made + 1
        asked = spec(
            rng.randint(1, 4),
            rng.choice((0, 1, 2, 9)),
            queue=rng.choice(("lab/ada", "lab/bob", "org/x/y", "main")),
            priority=rng.choice((0, 0, 100)),
            retries=rng.randint(0, 2),
            idempotent=rng.random() < 0.8,
            barrier_ms=rng.choice((0, 1_000, 5_000)),
        )
        alive = [job for job in self.house.engine.state.jobs if job.startswith("j")]
        again = alive and rng.random() < 0.1  # an id never comes again after its end: see admit
        return ev.JobSubmitted(job=rng.choice(alive) if again else f"j{self.made}", spec=asked)

    def run_submitted(self) -> ev.Event:
        self.made += 1
        return ev.RunSubmitted(run=f"r{self.made}", workflow=FLOW, user="ada", queue="lab/ada")

    def cancel(self) -> ev.Event:
        return ev.JobCancelRequested(job=self.rng.choice([*self.house.engine.state.jobs, "j0"]))

    def run_cancel(self) -> ev.Event:
        return ev.RunCancelRequested(run=self.rng.choice([*self.house.engine.state.runs, "r0"]))

    def node_joined(self) -> ev.Event:
        return ev.NodeJoined(node=builders.node(self.rng.choice(("n1", "n2", "n3")), cpus=4))

    def node_lost(self) -> ev.Event:
        return ev.NodeLost(name=self.rng.choice(("n1", "n2", "n3")))

    def queues(self) -> ev.Event:
        paths = self.rng.sample(("lab", "lab/ada", "org", "org/x"), k=2)
        return ev.QueuesConfigured(queues=tuple(Queue(path=path, weight=2) for path in paths))

    def ready(self) -> ev.Event:
        job, fence, rank = self.someone()
        return ev.WorkerReady(job=job, fence=fence, rank=rank, address=f"10.0.0.{rank}", port=rank)

    def started(self) -> ev.Event:
        job, fence, rank = self.someone()
        return ev.WorkerStarted(job=job, fence=fence, rank=rank)

    def exited(self) -> ev.Event:
        job, fence, rank = self.someone()
        metrics = {"m": self.rng.choice((0.4, 0.5, 0.9, 0.9))}
        report = Report(output=Output(digest=job, codec="json", size_bytes=1), metrics=metrics)
        at_ms = self.house.now_ms - self.rng.randint(0, 500)
        end = Exit(**{"at_ms": at_ms, "report": report} | self.rng.choice(ENDS))  # type: ignore[arg-type]  # one of the ways to end, written as keywords
        return ev.WorkerExited(job=job, fence=fence, rank=rank, exit=end)

    def someone(self) -> tuple[str, int, int]:
        """Name a worker, now and then one that is not there or no longer."""
        attempts = [*self.house.engine.state.attempts.values()]
        if not attempts or self.rng.random() < 0.05:
            return "j0", 1, 0
        attempt: Attempt = self.rng.choice(attempts)
        stale = self.rng.random() < 0.05
        return attempt.job, attempt.fence - stale, self.rng.randint(0, len(attempt.workers) - stale)


def calm_down(house: House) -> None:
    """Let nothing more go wrong: machines are there, workers get ready and end well."""
    for name in ("n1", "n2", "n3"):
        if name not in house.engine.state.nodes:
            house.tell(ev.NodeJoined(node=builders.node(name, cpus=4)))
    while house.engine.state.jobs:
        seq = house.engine.state.seq
        for job in [*house.engine.state.attempts]:
            if house.attempt(job).released_at_ms is None and house.attempt(job).stop_cause is None:
                house.ready(job)
            if job in house.engine.state.attempts:
                house.exits(job)
        if house.wake_at_ms is not None:
            house.pass_time(house.wake_at_ms - house.now_ms)
        assert house.engine.state.seq > seq, f"stuck: {[*house.engine.state.jobs]}"


@given(seed=st.integers(0, 2**32))
def test_whatever_happens_the_state_holds_and_the_log_gives_it_again(seed: int) -> None:
    house = House("n1", "n2", "n3", cpus=4)
    chaos, shadow = Chaos(Random(seed), house), Engine(schedule)
    told = 0
    for _ in range(40):
        events = chaos.happenings()
        if chaos.rng.random() < 0.3:
            house.now_ms += chaos.rng.randint(0, 8_000)
        house.tell(*events)  # the house checks the invariants after each step
        shadow.replay(house.log[told:])
        told = len(house.log)
        assert believed(shadow.state, house.now_ms) == believed(house.engine.state, house.now_ms)
        assert house.tell() == [], "an empty step concluded something"
        assert house.orders == []
    calm_down(house)
    assert house.engine.state.runs == {}
    check_entries(house.log)


@given(seed=st.integers(0, 2**32))
def test_an_engine_that_forgets_everything_but_the_log_goes_on_as_if_nothing_was(seed: int) -> None:
    house, other = House("n1", "n2", "n3", cpus=4), House("n1", "n2", "n3", cpus=4)
    chaos = Chaos(Random(seed), house)
    for _ in range(25):
        events = chaos.happenings()
        house.tell(*events)
        other.restart()
        other.tell(*events)
        assert other.log == house.log
        assert other.orders == house.orders


@given(seed=st.integers(0, 2**32))
def test_what_has_ended_may_be_left_out_of_a_replay(seed: int) -> None:
    house = House("n1", "n2", "n3", cpus=4)
    chaos = Chaos(Random(seed), house)
    for _ in range(30):
        house.tell(*chaos.happenings())
    state, engine = house.engine.state, Engine(schedule)
    engine.replay(unfinished(house), state.seq)
    check(engine.state)
    assert without_the_past(engine.state, house.now_ms) == without_the_past(state, house.now_ms)


def unfinished(house: House) -> list[ev.Entry]:
    """Give the entries about jobs and runs that have not ended, and those about neither."""
    state = house.engine.state
    alive = {*state.runs, *state.jobs}
    return [entry for entry in house.log if subject(entry.event) in {*alive, None}]


def subject(event: ev.Event) -> str | None:
    """Name the run that an event is about, or the job if that belongs to none."""
    name = getattr(event, "run", None) or getattr(event, "execution", None)
    name = name or getattr(event, "job", None)
    return None if name is None else run_of(name)


def without_the_past(state: State, now_ms: int) -> dict[str, Any]:
    """Give what is believed but for traces of what has ended: numbers in between, and how it ended."""
    facts = believed(state, now_ms)
    del facts["demand_seq"]  # who has ended may have been the last to change it
    del facts["hits"]  # evidence about others, which is missed where they are not read any more
    places = {
        order: place for place, order in enumerate(sorted(j.order for j in facts["jobs"].values()))
    }

    def placed(job: Job) -> Job:
        return replace(job, order=places[job.order])

    for name in ("jobs", "waiting", "paused"):
        facts[name] = {key: placed(job) for key, job in facts[name].items()}
    facts["lanes"] = {key: [*map(placed, lane)] for key, lane in facts["lanes"].items()}
    facts["running"] = {
        key: replace(row, job=placed(row.job)) for key, row in facts["running"].items()
    }
    for name in ("order", "running_in", "ended"):
        del facts[name]
    return facts


def test_after_a_restart_every_order_behind_what_is_under_way_is_given_again() -> None:
    house = House("n1", "n2", cpus=4)
    house.submit("prepared")
    house.submit("running", workers=2)
    house.go("running")
    house.submit("leaving", workers=2)
    house.go("leaving")
    house.exits("leaving", 0, code=1)
    house.submit("late", barrier_ms=1)
    house.pass_time(1)
    house.submit("done")
    house.finish("done")
    assert house.restart() == [
        "launch prepared/1 on n1",
        "launch running/1 on n1*2",
        "release running/1 to meet at 10.0.0.0:29500",
        "launch leaving/1 on n2*2",
        "release leaving/1 to meet at 10.0.0.0:29500",
        "stop leaving/1 for peer in 5 s",
        "launch late/1 on n1",
        "stop late/1 for barrier in 0 s",
    ]
    assert house.orders == []


def test_runs_go_on_in_the_order_in_which_something_happened_to_them_also_after_a_restart() -> None:
    alone = Workflow(name="flow", file="flow.py", steps=(Step(key="a"),))
    logs = []
    for restarted in (False, True):
        house = House()
        for run in ("first", "second"):
            house.runs(run, alone)
            house.go(f"{run}.a")
        if restarted:
            house.restart()
        told = house.tell(house.exited("second.a", 0), house.exited("first.a", 0))
        assert told[-2:] == ["RunFinished second succeeded", "RunFinished first succeeded"]
        logs.append(house.log)
    assert logs[0] == logs[1]


def test_replaying_gives_no_order_and_concludes_nothing() -> None:
    house = House()
    house.submit("a")
    engine = Engine(schedule)
    engine.replay(house.log)
    assert engine.state.seq == len(house.log)
    assert orders(outstanding(engine.state)) == ["launch a/1 on n1"]


# ── the invariants find what they look for ────────────────────────────────────────────────────────


# Bugs to plant into a sound state, by the words in which they must be found.
PLANTED: dict[str, Callable[[State], object]] = {
    "n1: free is": lambda state: state.free.update(n1=builders.amounts(cpus=99)),
    "free names other nodes": lambda state: state.free.update(n9=builders.amounts(cpus=1)),
    "held is": lambda state: state.held.clear(),
    "queue 'lab' is missing": lambda state: state.queues.pop("lab"),
    "waiting is": lambda state: state.waiting.update(b=state.jobs["a"]),
    "queued is": lambda state: state.queued.clear(),
    "unfinished is": lambda state: state.unfinished.clear(),
    "other queues than": lambda state: state.queues.update(new=Queue(path="new")),
    "running_in has other rows": lambda state: state.running_in.clear(),
    "elastic are": lambda state: state.elastic.add("a"),
    "the past is kept": lambda state: setattr(state, "past", Past(half_life_ms=1)),
    "leaving is": lambda state: state.leaving.update(a=()),
    "the lanes are not": lambda state: next(iter(state.lanes.values())).reverse(),
    "a lane is empty": lambda state: next(iter(state.lanes.values())).clear(),
    "kinds are kept of": lambda state: state.kinds.update({(): next(iter(state.lanes))}),
    "is filed under another": lambda state: state.kind_of.update(b=state.kind_of["high"]),
    "rooms for": lambda state: state.rooms.taking(builders.amounts(cpus=2)).update(n1=9),
    "something is kept for": lambda state: state.planned.update(a=1),
    "is held back for nothing": lambda state: state.ended.update(a=JobPhase.SUCCEEDED),
    "inherits": lambda state: state.jobs.update(later=replace(state.jobs["later"], inherited=7)),
    "dependents are": lambda state: state.dependents.update(a={"b": None}),
    "goes on with ranks": lambda state: plant(
        state, workers=tuple(replace(one, rank=7) for one in state.attempts["a"].workers)
    ),
    "alive are attempts": lambda state: state.attempts.pop("a"),
    "other jobs hold room than run": lambda state: state.running.pop("nothing"),
    "a job that does not wait has": lambda state: state.waits.update(a=state.waits["b"]),
    "stops without a cause": lambda state: plant(state, stop_cause="peer"),
    "has fence 9": lambda state: plant(state, fence=9),
    "is attempt 1 of its job": lambda state: plant(state, number=2),
    "has workers": lambda state: plant(state, workers=()),
    "although all are ready": lambda state: plant(
        state, workers=tuple(replace(one, ready=True) for one in state.attempts["a"].workers)
    ),
    "was let go": lambda state: plant(state, released_at_ms=1),
    "waits for ever": lambda state: state.timers.clear(),
    "other executions than steps": lambda state: state.executions["r"].popitem(),
    "executions of runs that are not there": lambda state: state.runs.clear(),
}


def plant(state: State, **wrong: Any) -> None:
    state.attempts["a"] = replace(state.attempts["a"], **wrong)


@pytest.mark.parametrize("words", PLANTED)
def test_a_planted_bug_is_found(words: str) -> None:
    house = House("n1", cpus=2)
    house.submit("a", cpus=2)
    for name in ("b", "c"):
        house.submit(name, cpus=2)
    house.submit("high", cpus=1, priority=0, preemptible=False)
    house.submit("nothing", cpus=0)
    house.submit("later", after=(After(job="a"),))
    house.runs("r", FLOW)
    check(house.engine.state)
    PLANTED[words](house.engine.state)
    with pytest.raises(AssertionError, match=words):
        check(house.engine.state)


def test_a_log_that_cannot_be_is_found_out() -> None:
    house = House("n1", "n2")
    house.submit("a")
    house.finish("a")
    log = house.log
    check_entries(log)
    submitted, started, finished = log[2].event, log[3].event, log[-1].event

    def follows(
        after: int, event: ev.Event, at_ms: int = house.now_ms, seq: int = 0
    ) -> list[ev.Entry]:
        return [*log[:after], ev.Entry(seq=seq or after + 1, at_ms=at_ms, cause=0, event=event)]

    impossible = {
        "entry 5 .* follows entry 2": follows(2, submitted, seq=5),
        "a was submitted before": follows(3, submitted),
        "a has finished before": follows(len(log), finished),
        "lies before the entry": follows(2, submitted, at_ms=0),
        "two attempts are alive": follows(4, started),
        "nobody has submitted a": follows(2, started),
        "an attempt is still alive": follows(4, finished),
        "has the later entry 5": [ev.Entry(seq=1, at_ms=0, cause=5, event=submitted)],
    }
    for words, entries in impossible.items():
        with pytest.raises(AssertionError, match=words):
            check_entries(entries)
