"""What queues have held over a span of time: worked out by hand, second by second."""

from __future__ import annotations

from makeway.cli.past_usage import past_usage
from makeway.model import event as ev
from makeway.model.cluster import Allocation, Node, Placement
from makeway.model.job import JobSpec, WorkerGroup
from makeway.model.phase import JobPhase
from makeway.model.resources import CPU, Resources

ONE = Resources.of({CPU: 1000})


def log(*facts: tuple[int, ev.Event]) -> list[ev.Entry]:
    """Write a log; the instants are seconds."""
    return [
        ev.Entry(seq=seq, at_ms=at_s * 1000, cause=0, event=event)
        for seq, (at_s, event) in enumerate(facts, start=1)
    ]


def submitted(name: str, queue: str) -> ev.Event:
    groups = (WorkerGroup(count_min=1, count_max=4, per_worker=ONE),)
    return ev.JobSubmitted(job=name, spec=JobSpec(name=name, user="u", queue=queue, groups=groups))


def allocated(count: int) -> Allocation:
    return Allocation((Placement("n1", "worker", count),))


def started(name: str, count: int) -> ev.Event:
    return ev.AttemptStarted(
        job=name, number=1, fence=1, allocation=allocated(count), barrier_at_ms=0
    )


def resized(name: str, count: int) -> ev.Event:
    where = allocated(count)
    return ev.AttemptResized(job=name, number=1, fence=1, generation=1, allocation=where)


NODE = ev.NodeJoined(node=Node(name="n1", capacity=Resources.of({CPU: 4000})))


def test_what_ran_before_counts_from_the_beginning_of_the_span_and_queues_add_up() -> None:
    entries = log(
        (0, NODE),
        (0, submitted("a", "lab/ada")),
        (0, submitted("b", "lab/bob")),
        (0, started("a", 2)),  # 2 from the beginning: 10 s of it within the span
        (20, resized("a", 1)),
        (25, started("b", 1)),
    )
    past = past_usage(entries, since_ms=10_000, until_ms=30_000)
    assert past.there == {CPU: 4000}
    assert past.held["lab/ada"] == {CPU: (2000 * 10 + 1000 * 10) / 20}
    assert past.held["lab/bob"] == {CPU: 1000 * 5 / 20}
    assert past.held["lab"][CPU] == past.held["lab/ada"][CPU] + past.held["lab/bob"][CPU]


def test_a_machine_that_was_away_for_half_of_it_counts_half() -> None:
    entries = log((0, NODE), (10, ev.NodeLost(name="n1")))
    past = past_usage(entries, since_ms=0, until_ms=20_000)
    assert past.there == {CPU: 2000}
    assert past.held == {}


def test_nothing_is_held_before_the_log_and_after_the_end_of_a_job() -> None:
    entries = log(
        (100, NODE),
        (100, submitted("a", "ada")),
        (100, started("a", 1)),
    )
    assert past_usage(entries, 0, 50_000).held == {}
    assert past_usage([], 0, 50_000).there == {}


def test_a_job_that_has_ended_holds_nothing() -> None:
    gone = ev.JobFinished(job="a", phase=JobPhase.SUCCEEDED)
    entries = log((0, NODE), (0, submitted("a", "ada")), (5, gone))
    assert past_usage(entries, 0, 10_000).held == {}
