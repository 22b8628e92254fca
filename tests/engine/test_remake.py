"""Data that are gone: the step that made them runs again, once, and who needs them goes on."""

from __future__ import annotations

from itertools import pairwise

import pytest

from makeway.model import event as ev
from makeway.model.incident import InputSeen, Seen
from makeway.model.phase import ExecutionPhase as E
from makeway.model.record import Cause, Output, Report
from makeway.model.resources import NOTHING
from makeway.model.wait import Reason
from makeway.model.workflow import (
    Binding,
    Constant,
    FromStep,
    Many,
    Reusable,
    Step,
    Stored,
    Workflow,
)
from makeway.workflows.remake import DEPTH_MAX
from tests.engine.house import House


def made(digest: str) -> Output:
    return Output(digest=digest, codec="json", size_bytes=1, durability="memory")


def step(key: str, *reads: str, idempotent: bool = True, after: tuple[str, ...] = ()) -> Step:
    arguments: dict[str, Binding] = {name: FromStep(name) for name in reads}
    return Step(
        key=key, function=key, per_worker=NOTHING, arguments=arguments, idempotent=idempotent,
        after=after,
    )  # fmt: skip


def flow(*steps: Step) -> Workflow:
    return Workflow(name="flow", file="flow.py", steps=steps, result=Constant(None))


TRAINED = flow(step("ingest"), step("train", "ingest"))
TWO = flow(step("ingest"), step("a", "ingest"), step("b", "ingest"))


class Memory(House):
    """A house in which outputs can be lost."""

    def __init__(self) -> None:
        self.gone: set[str] = set()
        super().__init__(kept=self)

    def find(self, _key: str, _since_ms: int | None) -> Reusable | None:
        return None

    def there(self, output: Output) -> bool:
        return output.digest not in self.gone

    has = there

    def truth(self, _output: Output) -> bool | None:
        return None

    def gives(self, job: str, digest: str) -> list[str]:
        """Let a step run through and give something."""
        self.go(job)
        return self.ends_with(job, digest)

    def ends_with(self, job: str, digest: str) -> list[str]:
        """Let a step that runs end well and give something."""
        self.gone.discard(digest)
        return self.exits(job, report=Report(output=made(digest)))

    def misses(self, job: str, *names: str) -> list[str]:
        """Let a step that runs fail, since what it reads is gone."""
        inputs = tuple(
            InputSeen(name=name, durability="memory", managed=True, available=False)
            for name in names
        )
        attempt = self.attempt(job)
        seen = ev.AttemptSeen(
            job=job, number=attempt.number, fence=attempt.fence, seen=Seen(inputs=inputs)
        )
        self.tell(seen)
        return self.fails(job, "FileNotFoundError", errno=2)


@pytest.fixture
def house() -> Memory:
    return Memory()


# ── a step that has failed for lack of its data ───────────────────────────────────────────────────


def test_the_step_that_made_lost_data_runs_again_and_then_the_one_that_lost_them(
    house: Memory,
) -> None:
    house.runs("r", TRAINED)
    house.gives("r.ingest", "d1")
    house.go("r.train")
    told = house.misses("r.train", "ingest")
    assert "ExecutionReplaced r.ingest~2" in told
    assert "ExecutionSubmitted r.ingest~2" in told
    told = house.gives("r.ingest~2", "d1")
    assert "InputsRestored r.train" in told
    assert any(line.startswith("AttemptStarted r.train/2") for line in told)
    house.go("r.train")
    assert "RunFinished r succeeded" in house.exits("r.train")


def test_while_they_are_made_again_it_waits_for_that_and_says_so(house: Memory) -> None:
    house.runs("r", TRAINED)
    house.gives("r.ingest", "d1")
    house.go("r.train")
    house.misses("r.train", "ingest")
    wait = house.engine.state.waits["r.train"]
    assert wait.reason is Reason.DEPENDENCY_PENDING
    assert wait.text == "its data are gone: it waits for ingest to make them again"
    house.tell(ev.JobRetryRequested(job="r.train"))
    assert house.refused == ["its data are gone, and ingest makes them again first"]
    house.go("r.ingest~2")
    assert "r.train" not in house.engine.state.attempts


def test_only_the_ledger_of_lost_data_pays_for_it(house: Memory) -> None:
    house.runs("r", TRAINED)
    house.gives("r.ingest", "d1")
    house.go("r.train")
    house.misses("r.train", "ingest")
    decision = house.last(ev.JobRequeued).decision
    assert (decision.action, decision.cause) == ("rerun_upstream", Cause.DATA_LOST)
    assert decision.rerun == ("ingest",)
    assert decision.ledger == "data"
    assert (decision.ledger_before, decision.ledger_after) == ((0, 1), (1, 1))
    assert house.last(ev.ExecutionReplaced).remakes == "r.train/1"


def test_the_next_attempt_reads_what_was_made_again(house: Memory) -> None:
    house.runs("r", TRAINED)
    house.gives("r.ingest", "d1")
    house.go("r.train")
    house.misses("r.train", "ingest")
    house.gives("r.ingest~2", "d2")
    call = house.job("r.train").spec.program.call
    assert call is not None
    assert call.arguments == {"ingest": Stored(made("d2"))}
    assert call.sources == ("r.ingest~2",)


def test_something_else_than_before_is_reported_with_all_who_had_read_that(house: Memory) -> None:
    house.runs("r", TWO)
    house.gives("r.ingest", "d1")
    house.finish("r.a")
    house.go("r.b")
    house.misses("r.b", "ingest")
    house.gives("r.ingest~2", "d2")
    found = house.last(ev.OutputDiverged)
    assert (found.before, found.after, found.consumers) == ("d1", "d2", ("r.a", "r.b"))
    assert found.text == "ingest~2 made something else than ingest had, which a, b had read"


def test_the_same_as_before_is_no_news(house: Memory) -> None:
    house.runs("r", TRAINED)
    house.gives("r.ingest", "d1")
    house.go("r.train")
    house.misses("r.train", "ingest")
    assert not any("Diverged" in line for line in house.gives("r.ingest~2", "d1"))


def test_two_that_have_lost_the_same_wait_for_one_execution(house: Memory) -> None:
    house.runs("r", TWO)
    house.gives("r.ingest", "d1")
    house.go("r.a")
    house.go("r.b")
    house.misses("r.a", "ingest")
    told = house.misses("r.b", "ingest")
    assert not any("ExecutionReplaced" in line for line in told)
    assert house.last(ev.JobRequeued).decision.action == "rerun_upstream"
    told = house.gives("r.ingest~2", "d1")
    assert {line for line in told if "Restored" in line} == {
        "InputsRestored r.a",
        "InputsRestored r.b",
    }
    house.go("r.a")
    house.exits("r.a")
    house.go("r.b")
    assert "RunFinished r succeeded" in house.exits("r.b")


def test_who_fails_once_they_were_made_again_goes_on_at_once(house: Memory) -> None:
    house.runs("r", TWO)
    house.gives("r.ingest", "d1")
    house.go("r.a")
    house.go("r.b")
    house.misses("r.a", "ingest")
    house.gives("r.ingest~2", "d2")
    told = house.misses("r.b", "ingest")
    assert "InputsRestored r.b" in told
    assert not any("ExecutionReplaced" in line for line in told)
    call = house.job("r.b").spec.program.call
    assert call is not None
    assert call.sources == ("r.ingest~2",)


def test_of_all_that_it_reads_only_what_is_lost_is_made_again(house: Memory) -> None:
    house.runs("r", flow(step("x"), step("y"), step("z", "x", "y")))
    house.gives("r.x", "dx")
    house.gives("r.y", "dy")
    house.go("r.z")
    house.misses("r.z", "x")
    house.gives("r.x~2", "dx2")
    call = house.job("r.z").spec.program.call
    assert call is not None
    assert call.arguments == {"x": Stored(made("dx2")), "y": Stored(made("dy"))}


def test_what_is_lost_in_a_list_is_put_back_in_its_place(house: Memory) -> None:
    gathered = Step(
        key="z", function="z", per_worker=NOTHING,
        arguments={"all": Many((FromStep("x"), FromStep("y")))},
    )  # fmt: skip
    house.runs("r", flow(step("x"), step("y"), gathered))
    house.gives("r.x", "dx")
    house.gives("r.y", "dy")
    house.go("r.z")
    house.misses("r.z", "all[1]")
    house.gives("r.y~2", "new")
    call = house.job("r.z").spec.program.call
    assert call is not None
    assert call.arguments == {"all": Many((Stored(made("dx")), Stored(made("new"))))}


def test_data_that_are_lost_once_more_are_not_made_again(house: Memory) -> None:
    house.runs("r", TRAINED)
    house.gives("r.ingest", "d1")
    house.go("r.train")
    house.misses("r.train", "ingest")
    house.gives("r.ingest~2", "d1")
    house.go("r.train")
    assert "RunFinished r failed" in house.misses("r.train", "ingest")
    decision = house.last(ev.JobFinished).decision
    assert decision.action == "stop"
    assert "the data ledger is empty (1 of 1)" in decision.text


def test_a_run_pays_three_times_for_lost_data_whatever_is_lost(house: Memory) -> None:
    keys = ("w", "x", "y", "z")
    house.runs("r", flow(*(step(key) for key in keys), *(step(f"on-{key}", key) for key in keys)))
    for key in keys:
        house.gives(f"r.{key}", f"d{key}")
    for key in keys[:3]:
        house.go(f"r.on-{key}")
        house.misses(f"r.on-{key}", key)
        house.gives(f"r.{key}~2", f"d{key}")
    house.go("r.on-z")
    house.misses("r.on-z", "z")
    assert "the data ledger is empty (3 of 3)" in house.last(ev.JobFinished).decision.text


def test_a_step_that_may_not_be_repeated_is_asked_about(house: Memory) -> None:
    house.runs("r", flow(step("ingest", idempotent=False), step("train", "ingest")))
    house.gives("r.ingest", "d1")
    house.go("r.train")
    assert "RunFinished r failed" in house.misses("r.train", "ingest")
    decision = house.last(ev.JobFinished).decision
    assert decision.action == "stop"
    assert decision.ledger_before == decision.ledger_after
    assert decision.hint == (
        "ingest may not be repeated by itself (idempotent: false): is another run safe?"
    )


def test_when_they_cannot_be_made_again_who_waits_for_them_fails_and_says_why(
    house: Memory,
) -> None:
    house.runs("r", TRAINED)
    house.gives("r.ingest", "d1")
    house.go("r.train")
    house.misses("r.train", "ingest")
    house.go("r.ingest~2")
    assert "RunFinished r failed" in house.fails("r.ingest~2", "NameError")
    text = house.last(ev.JobFinished).text
    assert text.startswith("what it had read is gone, and ingest~2 failed: ")


def test_a_run_that_is_cancelled_meanwhile_ends_as_any_other(house: Memory) -> None:
    house.runs("r", TRAINED)
    house.gives("r.ingest", "d1")
    house.go("r.train")
    house.misses("r.train", "ingest")
    house.go("r.ingest~2")
    house.tell(ev.RunCancelRequested(run="r"))
    assert "RunFinished r cancelled" in house.exits("r.ingest~2", signal=15)


def test_a_restart_in_the_middle_changes_nothing(house: Memory) -> None:
    house.runs("r", TRAINED)
    house.gives("r.ingest", "d1")
    house.go("r.train")
    house.misses("r.train", "ingest")
    house.restart()
    assert house.execution("r.train").awaits == ("ingest",)
    assert "InputsRestored r.train" in house.gives("r.ingest~2", "d1")


# ── a step that has not begun ─────────────────────────────────────────────────────────────────────


def test_a_step_whose_data_are_gone_before_it_begins_waits_until_they_are_made_again(
    house: Memory,
) -> None:
    house.runs("r", flow(step("ingest"), step("other"), step("train", "ingest", after=("other",))))
    house.gives("r.ingest", "d1")
    house.gone.add("d1")
    told = house.gives("r.other", "x")
    assert "ExecutionReplaced r.ingest~2" in told
    assert house.execution("r.train").phase is E.PENDING
    told = house.gives("r.ingest~2", "d1")
    assert "ExecutionSubmitted r.train" in told


def test_two_that_begin_at_once_have_them_made_again_once(house: Memory) -> None:
    later = (step("a", "ingest", after=("other",)), step("b", "ingest", after=("other",)))
    house.runs("r", flow(step("ingest"), step("other"), *later))
    house.gives("r.ingest", "d1")
    house.gone.add("d1")
    told = house.gives("r.other", "x")
    assert [line for line in told if "ExecutionReplaced" in line] == [
        "ExecutionReplaced r.ingest~2"
    ]
    told = house.gives("r.ingest~2", "d1")
    assert {"ExecutionSubmitted r.a", "ExecutionSubmitted r.b"} <= {*told}


def test_what_the_maker_itself_has_lost_is_made_again_first(house: Memory) -> None:
    house.runs("r", flow(step("raw"), step("ingest", "raw"), step("train", "ingest")))
    house.gives("r.raw", "d0")
    house.gives("r.ingest", "d1")
    house.go("r.train")
    house.gone |= {"d0", "d1"}
    told = house.misses("r.train", "ingest")
    assert "ExecutionReplaced r.raw~2" in told
    assert house.execution("r.ingest~2").phase is E.PENDING
    house.gives("r.raw~2", "d0")
    told = house.gives("r.ingest~2", "d1")
    assert "InputsRestored r.train" in told


def test_what_the_maker_reads_and_is_still_there_is_not_made_again(house: Memory) -> None:
    house.runs("r", flow(step("raw"), step("ingest", "raw"), step("train", "ingest")))
    house.gives("r.raw", "d0")
    house.gives("r.ingest", "d1")
    house.go("r.train")
    house.gone.add("d1")
    told = house.misses("r.train", "ingest")
    assert not any("r.raw" in line for line in told)


def test_a_step_whose_data_may_not_be_made_again_is_left_out_and_says_why(house: Memory) -> None:
    house.runs(
        "r",
        flow(
            step("ingest", idempotent=False), step("other"),
            step("train", "ingest", after=("other",)),
        ),
    )  # fmt: skip
    house.gives("r.ingest", "d1")
    house.gone.add("d1")
    assert "RunFinished r failed" in house.gives("r.other", "x")
    [text] = [
        entry.event.text
        for entry in house.log
        if isinstance(entry.event, ev.ExecutionEnded) and entry.event.execution == "r.train"
    ]
    assert text.startswith("what ingest gave is gone, and is not made again: ingest may not")


def test_a_chain_that_is_too_long_is_not_made_again(house: Memory) -> None:
    keys = [f"s{number:02}" for number in range(DEPTH_MAX + 3)]
    chain = [
        step(keys[0]),
        *(step(key, before) for before, key in pairwise(keys)),
    ]
    house.runs("r", flow(*chain))
    for key in keys[:-1]:
        house.gives(f"r.{key}", f"d{key}")
    house.go(f"r.{keys[-1]}")
    house.gone |= {f"d{key}" for key in keys}
    told = house.misses(f"r.{keys[-1]}", keys[-2])
    assert "RunFinished r failed" in told
    assert sum("ExecutionReplaced" in line for line in told) == DEPTH_MAX
