"""Play a small world to a real engine, and give every batch of entries that it concludes.

One node, a policy that starts everything at once, and workers that get ready, start and end as the
test says. `happen` turns a number into one of the things that can happen now, so that a list of
numbers is a whole story: hypothesis shrinks it, and the same list tells the same story again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from makeway.engine.engine import Engine
from makeway.engine.state import State
from makeway.model import event as ev
from makeway.model.cluster import Allocation, Node, Placement, Queue
from makeway.model.job import JobSpec, Program, Worker, WorkerGroup
from makeway.model.record import ErrorRecord, Exit, Frame, Output, Report
from makeway.model.resources import Resources
from makeway.model.wait import Reason, Wait
from makeway.model.workflow import (
    Constant,
    FromSlot,
    FromStep,
    Many,
    Reusable,
    SelectTop,
    Step,
    Workflow,
)
from makeway.policy.plan import Decided, Hold, Plan, Reject, Start
from makeway.policy.snapshot import Kind, Snapshot

DAWN_MS = 1_750_000_000_000
NODE = Node(name="n1", capacity=Resources.of({"cpu_milli": 64_000}))
Batch = Sequence[ev.Entry]


def start_everything(snapshot: Snapshot) -> Plan:
    """Start each job on the only node, if it is there and the job's backoff is over."""
    decisions = tuple(_decide(snapshot))
    holds = [] if snapshot.nodes else [*snapshot.lanes]
    return Plan(
        basis=snapshot.basis,
        decisions=decisions,
        holds=[Hold(kind=kind, reason=Reason.INSUFFICIENT_FREE) for kind in holds],
        explain=_no_node,
    )


def _no_node(_kind: Kind, _job: str) -> Wait:
    detail: dict[str, object] = {"nodes": 0}
    return Wait(reason=Reason.INSUFFICIENT_FREE, text="no node is free", detail=detail)


def _decide(snapshot: Snapshot) -> Iterator[Decided]:
    for job in (one for lane in snapshot.lanes.values() for one in lane):
        if job.spec.workers_min > 8:
            wait = Wait(reason=Reason.NO_NODE_FITS, text="no node is so large")
            yield Reject(job=job.id, wait=wait)
        elif snapshot.nodes:
            placements = tuple(
                Placement(node="n1", group=group.name, count=group.count_min)
                for group in job.spec.groups
            )
            yield Start(job=job.id, allocation=Allocation(placements))


def workflow() -> Workflow:
    """Fetch data, train three models on it, take the best two, and serve them."""
    trains = tuple(
        Step(
            key=f"train{n}",
            function="train",
            arguments={"data": FromStep("fetch"), "rate": Constant(n / 10), "name": Constant("x")},
            workers=n,
            retries=1,
        )
        for n in (1, 2, 3)
    )
    keys = tuple(step.key for step in trains)
    best = Step(key="best", select=SelectTop(candidates=keys, metric="accuracy", k=2, minimum=0.5))
    slots = Many((FromSlot("best", 0), FromSlot("best", 1)))
    return Workflow(
        name="demo",
        file="flow.py",
        params={"rate": 0.1},
        steps=(
            Step(key="fetch", function="fetch", retries=1),
            *trains,
            best,
            Step(key="serve", function="serve", arguments={"models": slots}, after=("best",)),
        ),
        result=FromStep("serve"),
    )


def spec(workers: int = 1) -> JobSpec:
    """Ask for a job that is no step of a workflow."""
    group = WorkerGroup(count_min=workers, count_max=workers)
    return JobSpec(
        name="by-hand",
        user="ada",
        queue="lab/vision",
        groups=(group,),
        program=Program(argv=("true",)),
        retries=1,
    )


def output(content: str, kind: str = "value", name: str = "") -> Output:
    """Make an artifact whose digest shows what is in it."""
    digest = (content.encode().hex() + "0" * 64)[:64]
    return Output(digest=digest, codec="json", size_bytes=len(content), kind=kind, name=name)


def good_exit(at_ms: int, job: str, accuracy: float = 0.9) -> Exit:
    """End well, with an output, a model, a parameter and two metrics."""
    report = Report(
        output=output(f"out of {job}"),
        artifacts=(output(f"model of {job}", "model", "tagger"),),
        metrics={"accuracy": accuracy, "loss": math.inf},
        params={"layers": 4, "rate": 0.25},
    )
    return Exit(at_ms=at_ms, code=0, report=report, memory_peak_bytes=1 << 30, cpu_ms=1_500)


def bad_exit(at_ms: int, error: str = "ConnectionError") -> Exit:
    """End with an exception that is worth another attempt, or with another one."""
    frame = Frame(file="flow.py", line=7, function="train", user=True)
    record = ErrorRecord(type=error, message="peer closed", frames=(frame,), at_ms=at_ms)
    return Exit(at_ms=at_ms, code=1, error=record)


class World:
    """An engine and the instant that it is in; `batches` holds all that it concluded."""

    def __init__(self) -> None:
        """Begin with the node and a queue."""
        self.engine = Engine(start_everything)
        self.now_ms = DAWN_MS
        self.batches: list[Batch] = []
        self.named = 0
        self.say(ev.NodeJoined(node=NODE), ev.QueuesConfigured(queues=(Queue(path="lab"),)))

    @property
    def state(self) -> State:
        """Show what the engine believes."""
        return self.engine.state

    @property
    def entries(self) -> list[ev.Entry]:
        """Give all entries so far."""
        return [entry for batch in self.batches for entry in batch]

    def say(self, *events: ev.Event) -> Batch:
        """Let this happen, a little later than what happened before."""
        self.now_ms += 7
        batch = self.engine.step(events, self.now_ms).entries
        self.batches.append(batch)
        return batch

    def submit_run(self, reusable: tuple[Reusable, ...] = ()) -> str:
        """Start a run of the workflow above."""
        self.named += 1
        run = f"r{self.named:04d}"
        before = f"r{self.named - 1:04d}" if reusable else None
        self.say(
            ev.RunSubmitted(
                run=run,
                workflow=workflow(),
                user="ada",
                queue="lab/vision",
                resumed_from=before,
                reusable=reusable,
            )
        )
        return run

    def submit_job(self, workers: int = 1) -> str:
        """Start a job by itself."""
        self.named += 1
        job = f"j{self.named:04d}"
        self.say(ev.JobSubmitted(job=job, spec=spec(workers)))
        return job

    def ready(self, job: str) -> None:
        """Let every worker of a job get ready and start."""
        attempt = self.state.attempts[job]
        for rank in range(len(attempt.workers)):
            self.say(
                ev.WorkerReady(
                    job=job, fence=attempt.fence, rank=rank, pid=100 + rank, address="::1", port=9
                )
            )
        for rank in range(len(attempt.workers)):
            self.say(ev.WorkerStarted(job=job, fence=attempt.fence, rank=rank, pid=100 + rank))

    def end(self, job: str, end: Exit | None = None) -> None:
        """Let every worker of a job end, well if not said otherwise."""
        attempt = self.state.attempts[job]
        for rank in range(len(attempt.workers)):
            this = end or good_exit(self.now_ms, job)
            self.say(ev.WorkerExited(job=job, fence=attempt.fence, rank=rank, exit=this))

    def pass_time(self, ms: int) -> None:
        """Let time pass, and what is due then happen."""
        self.now_ms += ms
        self.say()

    def finish(self) -> None:
        """Let everything that runs, and everything that follows from it, end well."""
        while self.state.attempts:
            job = next(iter(self.state.attempts))
            self.ready(job)
            self.end(job)

    def happen(self, number: int) -> None:
        """Let one of the things happen that can happen now; the number chooses."""
        possible = list(self._possible())
        choice, rest = number % len(possible), number // len(possible)
        event = possible[choice]
        if event == "run":
            self.submit_run()
        elif event == "job":
            self.submit_job(workers=rest % 10 + 1)
        elif event == "time":
            self.pass_time(rest % 70_000)
        else:
            assert not isinstance(event, str)
            self.say(event)

    def _possible(self) -> Iterator[ev.Event | str]:
        state = self.state
        yield from ("run", "job", "time")
        yield ev.NodeLost(name="n1") if "n1" in state.nodes else ev.NodeJoined(node=NODE)
        yield from (ev.JobCancelRequested(job=job, text="not needed") for job in last(state.jobs))
        yield from (ev.RunCancelRequested(run=run, text="enough") for run in last(state.runs))
        for attempt in state.attempts.values():
            for worker in attempt.workers:
                about: dict[str, Any] = {
                    "job": attempt.job,
                    "fence": attempt.fence,
                    "rank": worker.rank,
                }
                if worker.exit is None:
                    # Often what goes well, so that many a run comes to its end.
                    yield from [self._next(worker, about)] * 8
                    yield from self._mishaps(about)

    def _next(self, worker: Worker, about: dict[str, Any]) -> ev.Event:
        if not worker.ready:
            return ev.WorkerReady(**about, pid=7, address="::1", port=worker.rank)
        if not worker.started:
            return ev.WorkerStarted(**about, pid=7)
        return ev.WorkerExited(**about, exit=good_exit(self.now_ms, about["job"]))

    def _mishaps(self, about: dict[str, Any]) -> Iterator[ev.Event]:
        for end in (
            good_exit(self.now_ms, about["job"], accuracy=math.nan),
            bad_exit(self.now_ms),
            bad_exit(self.now_ms, "ValueError"),
            Exit(at_ms=self.now_ms, lost="node n1 is gone"),
        ):
            yield ev.WorkerExited(**about, exit=end)


def last(known: Iterable[str]) -> list[str]:
    """Give the newest of what is known, if there is any."""
    return list(known)[-1:]
