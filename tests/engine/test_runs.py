"""A run of a workflow: what it submits and when, what it decides by itself, how it ends."""

from __future__ import annotations

from typing import Any

from makeway.model import event as ev
from makeway.model.phase import ExecutionPhase as E
from makeway.model.record import Output, Report
from makeway.model.resources import NOTHING
from makeway.model.workflow import (
    Constant,
    FromSlot,
    FromStep,
    Many,
    Reusable,
    SelectTop,
    Step,
    Stored,
    Workflow,
)
from tests import builders
from tests.engine.house import House


def step(key: str, *reads: str, **more: Any) -> Step:
    """Make a step that reads the outputs of others."""
    settings: dict[str, Any] = {
        "arguments": {f"of_{name}": FromStep(name) for name in reads},
        "per_worker": NOTHING,
    }
    return Step(key=key, function=key, **settings | more)


def flow(*steps: Step, result: str = "") -> Workflow:
    binding = FromStep(result) if result else Constant(None)
    return Workflow(name="flow", file="flow.py", steps=steps, result=binding)


def serving(k: int = 2, minimum: float | None = 0.9, if_fewer: str = "proceed") -> Workflow:
    """Make the real workflow: one ingestion, three trainings, the best two served and gathered.

              ┌─> train1 ─┐             ┌─> serve1 ─┐
    ingest ───┼─> train2 ─┼──> select ──┤           ├──> gather
              └─> train3 ─┘             └─> serve2 ─┘
    """
    candidates = ("train1", "train2", "train3")
    select = SelectTop(
        candidates=candidates, metric="accuracy", k=k, minimum=minimum, if_fewer=if_fewer
    )
    gathered = Many((FromStep("serve1"), FromStep("serve2")))
    return flow(
        step("ingest"),
        *(step(name, "ingest") for name in candidates),
        Step(key="select", select=select),
        step("serve1", arguments={"model": FromSlot("select", 0)}),
        step("serve2", arguments={"model": FromSlot("select", 1)}),
        step("gather", arguments={"answers": gathered}),
        result="gather",
    )


def trained(house: House, *accuracies: float | None) -> list[str]:
    """Bring a serving run to its selection; None lets that training fail."""
    house.finish("r.ingest")
    told: list[str] = []
    for number, accuracy in enumerate(accuracies, start=1):
        if accuracy is None:
            house.go(f"r.train{number}")
            told = house.fails(f"r.train{number}", "NameError")
        else:
            told = house.finish(f"r.train{number}", accuracy=accuracy)
    return told


def phases(house: House, run: str = "r") -> dict[str, str]:
    executions = house.engine.state.executions[run].values()
    return {execution.key: execution.phase.value for execution in executions}


# ── fan-out, fan-in ───────────────────────────────────────────────────────────────────────────────


def test_a_step_is_submitted_when_all_that_it_reads_is_there() -> None:
    house = House()
    told = house.runs("r", flow(step("a"), step("b", "a"), step("c", "a"), step("d", "b", "c")))
    assert told == ["ExecutionSubmitted r.a", "JobSubmitted r.a", "AttemptStarted r.a/1 on n1"]
    assert house.finish("r.a") == [
        "AttemptEnded r.a/1: NONE",
        "JobFinished r.a succeeded",
        "ExecutionEnded r.a succeeded",
        "ExecutionSubmitted r.b",
        "JobSubmitted r.b",
        "ExecutionSubmitted r.c",
        "JobSubmitted r.c",
        "AttemptStarted r.b/1 on n1",
        "AttemptStarted r.c/1 on n1",
    ]
    assert phases(house) == {"a": "succeeded", "b": "starting", "c": "starting", "d": "pending"}
    house.finish("r.b")
    assert "JobSubmitted r.d" in house.finish("r.c")
    assert house.finish("r.d")[-1] == "RunFinished r succeeded"
    assert house.engine.state.runs == {}


def test_a_step_after_another_waits_for_it_without_reading_it() -> None:
    house = House()
    house.runs("r", flow(step("a"), step("b", after=("a",))))
    assert phases(house) == {"a": "starting", "b": "pending"}
    assert "JobSubmitted r.b" in house.finish("r.a")


def test_a_workflow_without_steps_has_ended_as_it_begins() -> None:
    assert House().runs("r", flow()) == ["RunFinished r succeeded"]


def test_a_step_becomes_a_job_in_the_name_and_on_the_account_of_its_run() -> None:
    house = House()
    house.runs("r", flow(step("a", workers=2, retries=3, priority=7)), priority=5)
    spec = house.job("r.a").spec
    assert (spec.user, spec.queue, spec.priority, spec.run) == ("ada", "lab/ada", 12, "r")
    assert (spec.workers_min, spec.retries, spec.name) == (2, 3, "flow.a")


def test_inputs_are_resolved_to_what_earlier_steps_left_behind() -> None:
    house = House()
    house.runs("r", flow(step("a"), step("b", "a", after=())))
    output = Output(digest="d1", codec="json", size_bytes=1)
    house.go("r.a")
    house.exits("r.a", report=Report(output=output))
    call = house.job("r.b").spec.program.call
    assert call is not None
    assert call.arguments == {"of_a": Stored(output)}
    house.finish("r.b")


def test_executions_follow_their_jobs() -> None:
    house = House()
    house.runs("r", flow(step("a")))
    seen = [house.execution("r.a").phase]
    house.ready("r.a")
    seen.append(house.execution("r.a").phase)
    house.fails("r.a", "ConnectionError")
    seen.append(house.execution("r.a").phase)
    house.wait_for("r.a")
    seen.append(house.execution("r.a").phase)
    house.pass_time(60_000)  # the barrier
    house.exits("r.a", signal=15, started=False)
    seen.append(house.execution("r.a").phase)
    assert seen == [E.STARTING, E.RUNNING, E.BACKOFF, E.STARTING, E.BACKOFF]


def test_only_the_step_that_failed_is_tried_again() -> None:
    house = House()
    house.runs("r", flow(step("ingest"), step("train", "ingest"), step("serve", "train")))
    house.finish("r.ingest")
    house.go("r.train")
    house.fails("r.train", "ConnectionError")
    house.wait_for("r.train")
    house.finish("r.train")
    house.finish("r.serve")
    started = [entry.event.job for entry in house.log if isinstance(entry.event, ev.AttemptStarted)]
    assert started == ["r.ingest", "r.train", "r.train", "r.serve"]


# ── selection ─────────────────────────────────────────────────────────────────────────────────────


def test_the_best_two_that_are_good_enough_are_served() -> None:
    house = House()
    house.runs("r", serving())
    assert trained(house, 0.91, 0.93, 0.95)[3:] == [
        "ExecutionEnded r.select succeeded",
        "ExecutionSubmitted r.serve1",
        "JobSubmitted r.serve1",
        "ExecutionSubmitted r.serve2",
        "JobSubmitted r.serve2",
        "AttemptStarted r.serve1/1 on n1",
        "AttemptStarted r.serve2/1 on n1",
    ]
    selection = house.execution("r.select").selection
    assert selection is not None
    assert selection.chosen == ("train3", "train2")
    house.finish("r.serve1")
    house.finish("r.serve2")
    assert house.finish("r.gather")[-1] == "RunFinished r succeeded"


def test_a_place_that_nobody_fills_is_omitted_and_the_rest_goes_on() -> None:
    house = House()
    house.runs("r", serving())
    told = trained(house, 0.85, 0.97, 0.89)
    assert "ExecutionEnded r.serve2 omitted" in told
    assert "only 1 of the 2 wanted are good enough" in house.execution("r.select").text
    house.finish("r.serve1")
    assert phases(house)["gather"] == "starting"
    assert house.finish("r.gather")[-1] == "RunFinished r succeeded"
    assert house.last(ev.RunFinished).text == (
        "select chose train2; only 1 of the 2 wanted are good enough"
    )


def test_a_fan_in_of_nothing_but_empty_places_is_omitted() -> None:
    select = SelectTop(candidates=("a",), metric="accuracy", k=2)
    lonely = {"all": Many((FromSlot("best", 1),))}
    house = House()
    house.runs("r", flow(step("a"), Step(key="best", select=select), step("x", arguments=lonely)))
    told = house.finish("r.a", accuracy=0.5)
    assert "ExecutionEnded r.x omitted" in told
    ended = [e.event for e in house.log if isinstance(e.event, ev.ExecutionEnded)]
    assert [event.text for event in ended if event.execution == "r.x"] == [
        "none of what it gathers is there"
    ]


def test_fewer_than_wanted_fails_if_the_workflow_says_so() -> None:
    house = House()
    house.runs("r", serving(if_fewer="fail"))
    told = trained(house, 0.85, 0.97, 0.89)
    assert told[3:] == [
        "ExecutionEnded r.select failed",
        "ExecutionEnded r.serve1 omitted",
        "ExecutionEnded r.serve2 omitted",
        "ExecutionEnded r.gather omitted",
        "RunFinished r failed",
    ]


def test_nobody_good_enough_fails_the_run() -> None:
    house = House()
    house.runs("r", serving())
    told = trained(house, 0.85, 0.86, 0.89)
    assert told[-1] == "RunFinished r failed"
    failed = [
        entry.event
        for entry in house.log
        if isinstance(entry.event, ev.ExecutionEnded) and entry.event.phase is E.FAILED
    ]
    assert [ended.execution for ended in failed] == ["r.select"]
    assert failed[0].text == (
        "NO_QUALIFIED_MODEL: the best is train3 with accuracy 0.89, wanted is 0.9"
    )


def test_nobody_with_a_number_at_all_fails_the_run() -> None:
    house = House()
    house.runs("r", serving(minimum=None))
    assert trained(house, float("nan"), None, float("inf"))[-1] == "RunFinished r failed"
    ended = [e.event for e in house.log if isinstance(e.event, ev.ExecutionEnded)]
    [text] = [event.text for event in ended if event.execution == "r.select"]
    assert text == "NO_QUALIFIED_MODEL: no candidate recorded accuracy"


def test_a_candidate_that_failed_does_not_keep_the_others_from_being_served() -> None:
    house = House()
    house.runs("r", serving())
    trained(house, None, 0.93, 0.95)
    house.finish("r.serve1")
    house.finish("r.serve2")
    assert house.finish("r.gather")[-1] == "RunFinished r succeeded_with_failures"
    assert house.last(ev.RunFinished).text == "did not succeed: train1"


def test_a_selection_that_mixes_per_cent_and_fractions_fails_and_says_so() -> None:
    house = House()
    house.runs("r", serving())
    assert trained(house, 91.0, 93.0, 95.0)[-1] == "RunFinished r failed"


def test_a_selection_after_a_step_that_failed_is_not_made() -> None:
    select = SelectTop(candidates=("a",), metric="accuracy", k=1)
    house = House()
    house.runs("r", flow(step("a"), step("b"), Step(key="s", select=select, after=("b",))))
    house.finish("r.a", accuracy=0.5)
    house.go("r.b")
    told = house.fails("r.b", "NameError")
    assert "ExecutionEnded r.s omitted" in told


# ── reuse ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_step_whose_key_is_known_is_reused_and_the_rest_runs() -> None:
    first = House()
    workflow = flow(step("a"), step("b", "a"))
    first.runs("r", workflow)
    first.finish("r.a")
    key = first.execution("r.a").cache_key
    first.go("r.b")
    first.fails("r.b", "NameError")

    house = House()
    output = Output(digest="d1", codec="json", size_bytes=1)
    known = Reusable(cache_key=key, output=output, metrics={"rows": 9.0}, run="r")
    told = house.runs("again", workflow, reusable=(known,), resumed_from="r")
    assert told[:2] == ["ExecutionEnded again.a cached", "ExecutionSubmitted again.b"]
    reused = house.execution("again.a")
    assert (reused.output, reused.metrics) == (output, {"rows": 9.0})
    assert reused.text == "reused from run r: same code, same inputs"
    assert house.finish("again.b")[-1] == "RunFinished again succeeded"


def test_a_run_of_which_everything_is_known_ends_as_it_begins() -> None:
    first = House()
    first.runs("r", flow(step("a"), result="a"))
    key = first.execution("r.a").cache_key
    known = Reusable(cache_key=key, output=None)
    told = House().runs("again", flow(step("a"), result="a"), reusable=(known,))
    assert told == ["ExecutionEnded again.a cached", "RunFinished again succeeded"]


# ── failing and cancelling ────────────────────────────────────────────────────────────────────────


def test_a_branch_that_fails_omits_what_hangs_on_it_and_lets_the_others_finish() -> None:
    house = House()
    workflow = flow(step("a"), step("bad", "a"), step("lost", "bad"), step("good", "a"))
    house.runs("r", workflow)
    house.finish("r.a")
    house.go("r.bad")
    told = house.fails("r.bad", "NameError")
    assert told[-1] == "ExecutionEnded r.lost omitted"
    assert house.execution("r.lost").text == "bad failed"
    assert phases(house)["good"] == "starting"
    assert house.finish("r.good")[-1] == "RunFinished r failed"


def test_a_run_whose_result_is_there_succeeded_with_failures() -> None:
    house = House()
    house.runs("r", flow(step("side"), step("main"), result="main"))
    house.go("r.side")
    house.fails("r.side", "NameError")
    assert house.finish("r.main")[-1] == "RunFinished r succeeded_with_failures"


def test_a_step_that_no_machine_can_hold_fails_its_run() -> None:
    house = House("n1", cpus=1)
    told = house.runs("r", flow(step("a", per_worker=builders.amounts(cpus=2))))
    assert told[-3:] == [
        "JobFinished r.a failed",
        "ExecutionEnded r.a failed",
        "RunFinished r failed",
    ]


def test_two_runs_side_by_side_do_not_touch_each_other() -> None:
    house = House()
    house.runs("r", flow(step("a")))
    house.runs("q", flow(step("a")))
    assert house.finish("r.a")[-1] == "RunFinished r succeeded"
    assert phases(house, "q") == {"a": "starting"}
    assert house.finish("q.a")[-1] == "RunFinished q succeeded"
