"""Steps that run only if what another step gave is true."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from makeway.model import event as ev
from makeway.model.record import Output
from makeway.model.workflow import Constant, FromStep, Many, Workflow
from tests.engine.test_reuse import Shop
from tests.engine.test_runs import flow, phases, step

GATHERED = Many((FromStep("a"), FromStep("b")))


def conditional(trigger: str = "") -> Workflow:
    """`b` runs if `check` says so; `c` reads it, and `d` what there is of `a` and `b`."""
    return flow(
        step("check"),
        step("a"),
        step("b", when=(FromStep("check"),)),
        step("c", "b", trigger=trigger),
        step("d", arguments={"all": GATHERED}),
    )


def says(shop: Shop, digest: str) -> None:
    """Let `check` give this."""
    shop.ends_well("r.check", Output(digest=digest, codec="json", size_bytes=1))


@pytest.fixture
def shop() -> Shop:
    return Shop()


def test_it_waits_for_its_condition(shop: Shop) -> None:
    shop.runs("r", conditional())
    assert phases(shop)["b"] == "pending"


def test_it_runs_if_the_condition_is_true(shop: Shop) -> None:
    shop.runs("r", conditional())
    says(shop, "yes")
    assert phases(shop)["b"] == "starting"


def test_if_it_is_false_the_step_is_skipped_and_what_reads_it_alone_is_omitted(shop: Shop) -> None:
    shop.runs("r", conditional())
    says(shop, "no")
    assert phases(shop)["b"] == "skipped"
    assert shop.execution("r.b").text == "its condition is false: check said so"
    assert phases(shop)["c"] == "omitted"
    shop.finish("r.a")
    call = shop.job("r.d").spec.program.call
    assert call is not None
    assert len(getattr(call.arguments["all"], "items", ())) == 1, "what is there is gathered"
    assert shop.finish("r.d")[-1] == "RunFinished r succeeded", "nothing has failed"


def test_what_runs_in_any_case_reads_none_of_what_was_skipped(shop: Shop) -> None:
    shop.runs("r", conditional(trigger="all_done"))
    says(shop, "no")
    call = shop.job("r.c").spec.program.call
    assert call is not None
    assert call.arguments["of_b"] == Constant(None)


def test_a_condition_that_is_no_plain_value_fails_the_step(shop: Shop) -> None:
    shop.runs("r", conditional())
    says(shop, "tensor")
    assert phases(shop)["b"] == "failed"
    assert "what check gave is no plain value" in shop.execution("r.b").text


def test_a_condition_that_never_comes_omits_the_step(shop: Shop) -> None:
    shop.runs("r", conditional())
    shop.go("r.check")
    shop.fails("r.check", "NameError")
    assert phases(shop)["b"] == "omitted"


def test_what_is_known_beforehand_is_a_condition_too(shop: Shop) -> None:
    told = shop.runs("r", flow(replace(step("a"), when=(Constant(False),))))
    assert told == ["ExecutionEnded r.a skipped", "RunFinished r succeeded"]
    assert shop.last(ev.RunFinished).text == ""
