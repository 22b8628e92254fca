"""W3: a selection starts as soon as enough models qualify, and takes a better one later."""

from __future__ import annotations

from typing import Any

from makeway.model import event as ev
from makeway.model.phase import ExecutionPhase as E
from makeway.model.record import Report
from makeway.model.workflow import FromSlot, FromStep, Many, Selection, SelectTop, Step, Workflow
from tests.engine.house import House
from tests.engine.test_runs import flow, phases, step

CANDIDATES = ("fast1", "fast2", "slow")


def serving(**select: Any) -> Workflow:
    """Three trainings, the best two served, and what they answer gathered."""
    usual = {"candidates": CANDIDATES, "metric": "accuracy", "k": 2, "minimum": 0.9}
    rule = SelectTop(**{**usual, "wait": "qualified", "reselect": True, **select})
    answers = Many(tuple(FromStep(f"serve{place}") for place in range(1, rule.k + 1)))
    return flow(
        *(step(name) for name in CANDIDATES),
        Step(key="select", select=rule),
        *(
            step(f"serve{place}", arguments={"model": FromSlot("select", place - 1)})
            for place in range(1, rule.k + 1)
        ),
        step("gather", arguments={"answers": answers}),
        result="gather",
    )


def begun(house: House, **select: Any) -> list[str]:
    """Run it until both fast models are there; the slow one is still trained."""
    house.runs("r", serving(**select))
    house.finish("r.fast1", accuracy=0.91)
    house.go("r.slow")
    return house.finish("r.fast2", accuracy=0.93)


def late(house: House, accuracy: float) -> list[str]:
    """Let the slow model come."""
    return house.exits("r.slow", report=Report(metrics={"accuracy": accuracy}))


def selection(house: House) -> Selection:
    found = house.execution("r.select").selection
    assert found is not None
    return found


def test_it_is_made_as_soon_as_enough_qualify() -> None:
    house = House()
    told = begun(house)
    assert "ExecutionEnded r.select succeeded" in told
    assert "JobSubmitted r.serve1" in told
    assert selection(house).chosen == ("fast2", "fast1")
    [slow] = [one for one in selection(house).ranking if one.candidate == "slow"]
    assert (slow.open, slow.why) == (True, "it has not ended yet")
    assert phases(house)["slow"] == "running"


def test_it_is_not_made_before() -> None:
    house = House()
    house.runs("r", serving())
    house.finish("r.fast1", accuracy=0.91)
    house.finish("r.fast2", accuracy=0.5)
    assert phases(house)["select"] == "pending"


def test_a_better_one_that_comes_later_is_version_2_and_serving_is_updated() -> None:
    house = House()
    begun(house)
    house.finish("r.serve1")
    house.finish("r.serve2")
    house.finish("r.gather")
    assert phases(house)["gather"] == "succeeded"
    told = late(house, 0.97)
    assert "LateResult r.select" in told
    assert (selection(house).version, selection(house).chosen) == (2, ("slow", "fast2"))
    assert phases(house)["serve1~2"] == "starting"
    assert phases(house)["gather~2"] == "pending"
    house.finish("r.serve1~2")
    house.finish("r.serve2~2")
    assert house.finish("r.gather~2")[-1] == "RunFinished r succeeded"


def test_a_step_that_still_serves_the_old_one_is_stopped_before_the_new_one_begins() -> None:
    house = House()
    begun(house)
    house.go("r.serve1")
    house.go("r.serve2")
    told = late(house, 0.97)
    assert [line for line in told if "AttemptStopped" in line] == [
        "AttemptStopped r.serve1/1 for cancel",
        "AttemptStopped r.serve2/1 for cancel",
    ]
    assert phases(house)["serve1~2"] == "pending"
    assert "JobSubmitted r.serve1~2" in house.exits("r.serve1", signal=15)
    house.exits("r.serve2", signal=15)
    assert phases(house)["gather"] == "pending", "it had not begun, so it waits for the new ones"
    house.finish("r.serve1~2")
    house.finish("r.serve2~2")
    assert house.finish("r.gather")[-1] == "RunFinished r succeeded"


def test_only_the_places_that_changed_hands_are_served_anew() -> None:
    house = House()
    begun(house)
    late(house, 0.92)
    assert selection(house).chosen == ("fast2", "slow")
    assert {key for key in phases(house) if "~" in key} == {"serve2~2"}


def test_a_late_one_that_is_no_better_is_recorded_and_changes_nothing() -> None:
    house = House()
    begun(house)
    told = late(house, 0.905)
    assert "LateResult r.select" in told
    assert not any("ExecutionReplaced" in line for line in told)
    assert selection(house).version == 1
    [slow] = [one for one in selection(house).ranking if one.candidate == "slow"]
    assert (slow.value, slow.place, slow.open) == (0.905, 3, False)


def test_a_late_one_that_fails_is_recorded_and_the_run_tells_of_it() -> None:
    house = House()
    begun(house)
    house.fails("r.slow", "NameError")
    for name in ("serve1", "serve2", "gather"):
        house.finish(f"r.{name}")
    assert house.last(ev.LateResult).candidates == ("slow",)
    assert house.last(ev.RunFinished).text == "did not succeed: slow"


def test_a_late_one_in_per_cent_is_left_out_and_says_so() -> None:
    house = House()
    begun(house)
    late(house, 97.0)
    assert selection(house).chosen == ("fast2", "fast1")
    [slow] = [one for one in selection(house).ranking if one.candidate == "slow"]
    assert "one of them is in per cent" in slow.why


def test_without_reselect_the_choice_stays_and_says_who_came_too_late() -> None:
    house = House()
    begun(house, reselect=False)
    late(house, 0.99)
    assert selection(house).chosen == ("fast2", "fast1")
    [slow] = [one for one in selection(house).ranking if one.candidate == "slow"]
    assert slow.why == "it ended after the selection was made"


def test_the_first_that_ends_may_decide() -> None:
    house = House()
    house.runs("r", serving(wait=1, k=1, reselect=False))
    told = house.finish("r.fast1", accuracy=0.91)
    assert "ExecutionEnded r.select succeeded" in told


def test_a_number_of_ends_is_not_enough_if_none_of_them_qualifies() -> None:
    house = House()
    house.runs("r", serving(wait=1))
    house.finish("r.fast1", accuracy=0.5)
    assert phases(house)["select"] == "pending"
    assert "ExecutionEnded r.select succeeded" in house.finish("r.fast2", accuracy=0.95)


def test_losers_are_stopped_if_nobody_wants_them_and_that_is_no_failure() -> None:
    house = House()
    told = begun(house, reselect=False, cancel_losers=True)
    assert "AttemptStopped r.slow/1 for cancel" in told
    house.exits("r.slow", signal=15)
    house.finish("r.serve1")
    house.finish("r.serve2")
    assert house.finish("r.gather")[-1] == "RunFinished r succeeded"


def test_a_place_that_was_vacant_is_filled_later() -> None:
    house = House()
    house.runs("r", serving(wait=2))
    house.finish("r.fast1", accuracy=0.91)
    house.go("r.slow")
    house.finish("r.fast2", accuracy=0.5)
    assert phases(house)["serve2"] == "omitted"
    late(house, 0.90)
    assert phases(house)["serve2~2"] == "starting"
    house.finish("r.serve1")
    house.finish("r.serve2~2")
    assert house.finish("r.gather")[-1] == "RunFinished r succeeded"


def test_a_second_late_one_makes_version_3() -> None:
    house = House()
    house.runs("r", serving(k=1))
    house.finish("r.fast1", accuracy=0.91)
    house.finish("r.fast2", accuracy=0.93)
    assert selection(house).version == 2
    house.finish("r.slow", accuracy=0.97)
    assert (selection(house).version, selection(house).chosen) == (3, ("slow",))
    house.exits("r.serve1", signal=15, started=False)
    house.finish("r.serve1~2")  # it had not begun: it takes what holds now
    assert house.finish("r.gather")[-1] == "RunFinished r succeeded"


def test_when_the_run_is_cancelled_late_results_change_nothing() -> None:
    house = House()
    begun(house)
    house.tell(ev.RunCancelRequested(run="r"))
    house.exits("r.serve1", signal=15, started=False)
    house.exits("r.serve2", signal=15, started=False)
    told = late(house, 0.99)
    assert "RunFinished r cancelled" in told
    assert not any("LateResult" in line for line in told)


def test_all_of_it_is_believed_again_after_a_restart() -> None:
    house = House()
    begun(house)
    house.finish("r.serve1")
    late(house, 0.97)
    before = phases(house)
    house.restart()
    assert phases(house) == before
    assert house.execution("r.select").phase is E.SUCCEEDED
    assert selection(house).version == 2
