"""Steps that are cached: what they take over from other runs, and when one waits for another."""

from __future__ import annotations

from typing import Any

import pytest

from makeway.model import event as ev
from makeway.model.phase import ExecutionPhase as E
from makeway.model.record import Output, Report
from makeway.model.resources import NOTHING
from makeway.model.workflow import Caching, Constant, Reusable, Step, Workflow
from tests.engine.house import House

OUTPUT = Output(digest="d1", codec="json", size_bytes=1)


class Shelf:
    """What is kept of runs that have ended, for a test to fill."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[int, Reusable]] = {}
        self.gone: set[str] = set()

    def find(self, cache_key: str, since_ms: int | None) -> Reusable | None:
        at_ms, found = self.kept.get(cache_key, (0, None))
        return found if found and (since_ms is None or at_ms >= since_ms) else None

    def there(self, output: Output) -> bool:
        return output.digest not in self.gone

    has = there

    def truth(self, output: Output) -> bool | None:
        return {"yes": True, "no": False}.get(output.digest)


class Shop(House):
    """A house with a shelf."""

    def __init__(self) -> None:
        self.shelf = Shelf()
        super().__init__(kept=self.shelf)

    def ends_well(self, job: str, output: Output | None = OUTPUT) -> list[str]:
        self.go(job)
        return self.exits(job, report=Report(output=output, metrics={"rows": 3.0}))

    def keeps(self, execution: str) -> None:
        """Put what a step gave onto the shelf."""
        found = self.execution(execution)
        reusable = Reusable(cache_key=found.cache_key, output=found.output, run=found.run)
        self.shelf.kept[found.cache_key] = (self.now_ms, reusable)


def flow(*extra: Step, **rule: Any) -> Workflow:
    step = Step(key="a", function="a", per_worker=NOTHING, cache=Caching(**rule))
    return Workflow(name="flow", file="flow.py", steps=(step, *extra), result=Constant(None))


def longer(**rule: Any) -> Workflow:
    """A run that goes on when `a` has ended."""
    return flow(Step(key="z", function="z", per_worker=NOTHING, after=("a",)), **rule)


@pytest.fixture
def shop() -> Shop:
    return Shop()


def test_a_cached_step_takes_over_what_a_run_made_that_has_ended(shop: Shop) -> None:
    shop.runs("r1", longer())
    shop.ends_well("r1.a")
    shop.keeps("r1.a")
    shop.finish("r1.z")
    assert shop.runs("r2", flow()) == ["ExecutionEnded r2.a cached", "RunFinished r2 succeeded"]


def test_it_takes_over_what_a_run_made_that_still_goes_on(shop: Shop) -> None:
    shop.runs("r1", longer())
    shop.ends_well("r1.a")
    shop.runs("r2", longer())
    taken = shop.execution("r2.a")
    assert (taken.phase, taken.output, taken.metrics) == (E.CACHED, OUTPUT, {"rows": 3.0})
    assert taken.text == "reused from run r1: same code, same inputs"


def test_a_step_that_is_not_cached_takes_nothing(shop: Shop) -> None:
    shop.runs("r1", longer())
    shop.ends_well("r1.a")
    plain = Step(key="a", function="a", per_worker=NOTHING)
    told = shop.runs("r2", Workflow(name="flow", file="flow.py", steps=(plain,)))
    assert told[0] == "ExecutionSubmitted r2.a"


def test_what_failed_is_not_taken(shop: Shop) -> None:
    shop.runs("r1", longer())
    shop.go("r1.a")
    shop.fails("r1.a", "NameError")
    assert shop.runs("r2", flow())[0] == "ExecutionSubmitted r2.a"


def test_what_is_gone_is_not_taken(shop: Shop) -> None:
    shop.runs("r1", longer())
    shop.ends_well("r1.a")
    shop.shelf.gone.add("d1")
    assert shop.runs("r2", flow())[0] == "ExecutionSubmitted r2.a"


def test_what_is_older_than_its_time_to_live_is_not_taken(shop: Shop) -> None:
    shop.runs("r1", longer(ttl_ms=1000))
    shop.ends_well("r1.a")
    shop.pass_time(1000)
    assert shop.runs("r2", longer(ttl_ms=1000))[0] == "ExecutionEnded r2.a cached"
    shop.pass_time(1)
    assert shop.runs("r3", flow(ttl_ms=1000))[0] == "ExecutionSubmitted r3.a"


def test_a_step_that_is_to_be_computed_anew_takes_nothing(shop: Shop) -> None:
    shop.runs("r1", longer())
    shop.ends_well("r1.a")
    assert shop.runs("r2", flow(), fresh=("a",))[0] == "ExecutionSubmitted r2.a"


def test_without_serialize_two_runs_compute_the_same_at_one_time(shop: Shop) -> None:
    shop.runs("r1", flow())
    assert shop.runs("r2", flow())[0] == "ExecutionSubmitted r2.a"


def test_with_serialize_one_computes_and_the_others_wait_for_it(shop: Shop) -> None:
    shop.runs("r1", flow(serialize=True))
    assert shop.runs("r2", flow(serialize=True)) == []
    assert shop.runs("r3", flow(serialize=True)) == []
    told = shop.ends_well("r1.a")
    assert {line for line in told if "cached" in line or "RunFinished" in line} == {
        "ExecutionEnded r2.a cached",
        "ExecutionEnded r3.a cached",
        *(f"RunFinished {run} succeeded" for run in ("r1", "r2", "r3")),
    }


def test_when_the_one_that_computes_fails_another_one_does(shop: Shop) -> None:
    for run in ("r1", "r2", "r3"):
        shop.runs(run, flow(serialize=True))
    shop.go("r1.a")
    told = shop.fails("r1.a", "NameError")
    assert [line for line in told if line.startswith("ExecutionSubmitted")] == [
        "ExecutionSubmitted r2.a"
    ]
    assert "ExecutionEnded r3.a cached" in shop.ends_well("r2.a")


def test_when_the_one_that_computes_is_cancelled_another_one_does(shop: Shop) -> None:
    shop.runs("r1", flow(serialize=True))
    shop.runs("r2", flow(serialize=True))
    shop.go("r1.a")
    shop.tell(ev.RunCancelRequested(run="r1"))
    assert "ExecutionSubmitted r2.a" in shop.exits("r1.a", signal=15)


def test_who_waits_for_the_same_still_waits_after_a_restart(shop: Shop) -> None:
    shop.runs("r1", flow(serialize=True))
    shop.runs("r2", flow(serialize=True))
    shop.restart()
    assert shop.tell() == []
    assert "ExecutionEnded r2.a cached" in shop.ends_well("r1.a")


def test_a_version_stands_for_the_code(shop: Shop) -> None:
    shop.runs("r1", longer(version="1"))
    shop.ends_well("r1.a")
    shop.runs("r2", longer(version="1"))
    assert shop.execution("r2.a").text == "reused from run r1: same version, same inputs"
    assert shop.runs("r3", flow(version="2"))[0] == "ExecutionSubmitted r3.a"
