"""Who goes on from the entries of what is unfinished alone has forgotten nothing that matters."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from makeway.engine.engine import Engine, awaited
from makeway.engine.invariants import check
from makeway.model import event as ev
from makeway.model.job import After, On
from makeway.model.phase import JobPhase
from makeway.model.rules import PastUsage, Rules
from tests.engine.house import House, spec


def unfinished(log: Sequence[ev.Entry]) -> list[ev.Entry]:
    """Give what a store reads after a restart, with how those have ended that others wait for."""
    over = {one.event.job for one in log if isinstance(one.event, ev.JobFinished)}
    alive = [one for one in log if getattr(one.event, "job", None) not in over]
    asked = awaited(one.event for one in alive)
    ends = (one for one in log if isinstance(one.event, ev.JobFinished) and one.event.job in asked)
    return sorted([*alive, *ends], key=lambda entry: entry.seq)


def restart(house: House) -> None:
    """Forget everything but what is unfinished."""
    entries, last = unfinished(house.log), house.log[-1].seq
    house.engine = Engine(house.engine._policy)
    house.engine.replay(entries, last)
    check(house.engine.state, house.now_ms)


# ── how jobs have ended ───────────────────────────────────────────────────────────────────────────


def test_a_job_whose_one_dependency_has_ended_starts_when_the_other_has() -> None:
    house = House("n1")
    house.submit("a")
    house.submit("b")
    house.submit("c", after=(After(job="a"), After(job="b")))
    house.finish("a")
    restart(house)
    assert [*house.engine.state.pending] == ["c"]
    assert house.finish("b")[-2:] == ["JobEligible c", "AttemptStarted c/1 on n1"]


def test_a_job_that_came_after_the_end_of_what_it_waits_for_goes_on_waiting_for_room() -> None:
    house = House("n1", cpus=4)
    house.submit("a", cpus=4)
    house.finish("a")
    house.submit("b", cpus=4)
    house.submit("c", cpus=4, after=(After(job="a"),))
    restart(house)
    assert [*house.engine.state.waiting] == ["c"]
    house.go("b")
    assert house.exits("b")[-1] == "AttemptStarted c/1 on n1"


@pytest.mark.parametrize(
    "code,on,told",
    [
        (0, On.SUCCEEDED, ["AttemptStarted b/1 on n1"]),
        (1, On.FAILED, ["AttemptStarted b/1 on n1"]),
        (1, On.ENDED, ["AttemptStarted b/1 on n1"]),
        (1, On.SUCCEEDED, ["JobWaiting b: DependencyPending", "JobFinished b cancelled"]),
        (0, On.FAILED, ["JobWaiting b: DependencyPending", "JobFinished b cancelled"]),
    ],
)
def test_who_waits_for_a_job_of_long_ago_is_judged_by_how_that_ended(
    code: int, on: On, told: list[str]
) -> None:
    house = House("n1")
    house.submit("a")
    house.go("a")
    house.exits("a", code=code)
    restart(house)
    event = ev.JobSubmitted(job="b", spec=spec(after=(After(job="a", on=on),)))
    assert house.engine.unknown([event]) == {"a"}
    house.engine.recall({"a": JobPhase.FAILED if code else JobPhase.SUCCEEDED})
    assert house.engine.unknown([event]) == set()
    assert house.tell(event) == told
    restart(house)
    assert {*house.engine.state.attempts} == ({"b"} if "AttemptStarted" in told[0] else set())


def test_a_job_that_nobody_knows_is_waited_for() -> None:
    house = House("n1")
    event = ev.JobSubmitted(job="b", spec=spec(after=(After(job="later"),)))
    assert house.engine.unknown([event]) == {"later"}
    house.engine.recall({})
    assert house.tell(event) == ["JobWaiting b: DependencyPending"]
    both = [ev.JobSubmitted(job="later", spec=spec()), event]
    assert house.engine.unknown(both) == set()


def test_who_has_not_ended_cannot_be_recalled_as_if() -> None:
    house = House("n1")
    house.submit("a")
    with pytest.raises(AssertionError, match="a has not ended"):
        house.engine.recall({"a": JobPhase.SUCCEEDED})
    with pytest.raises(AssertionError, match="b has not ended"):
        house.engine.recall({"b": JobPhase.RUNNING})


# ── what queues used ──────────────────────────────────────────────────────────────────────────────


def busy(told_every_ms: int) -> House:
    """Give a house that looks at the past, and in which jobs have ended and one runs."""
    house = House("n1", cpus=8)
    usage = PastUsage(weight=1.0, half_life_ms=100_000, told_every_ms=told_every_ms)
    house.tell(ev.RulesConfigured(rules=Rules(usage=usage)))
    for number, queue in enumerate(("lab/ada", "lab/bob", "lab/ada")):
        house.submit(f"j{number}", cpus=2, queue=queue)
        house.go(f"j{number}")
    for number in (1, 0):
        house.pass_time(40_000)
        house.exits(f"j{number}")
    house.pass_time(30_000)
    return house


def used(house: House) -> dict[str, float]:
    past, paths = house.engine.state.past, ("", "lab", "lab/ada", "lab/bob")
    assert past is not None
    return {path: found["cpu_milli"] for path, found in past.read(paths, house.now_ms).items()}


def test_what_queues_used_is_known_after_a_restart() -> None:
    house = busy(told_every_ms=1)
    lived = used(house)
    restart(house)
    assert used(house) == pytest.approx(lived)
    house.exits("j2")
    house.pass_time(10_000)
    lived = used(house)
    restart(house)
    assert used(house) == pytest.approx(lived)


def test_no_more_is_forgotten_than_was_used_since_it_was_last_written_down() -> None:
    house = busy(told_every_ms=60_000)
    lived = used(house)
    restart(house)
    lost = {path: amount - used(house)[path] for path, amount in lived.items()}
    assert 0 < lost["lab/ada"] <= 2_000 * 40_000
    assert lost["lab/bob"] == pytest.approx(0)


def test_a_simulation_writes_nothing_of_it() -> None:
    house = busy(told_every_ms=0)
    assert not [one for one in house.log if isinstance(one.event, ev.PastUsageTold)]
