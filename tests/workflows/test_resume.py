"""What a run that resumes another one is going to do with each step, and the reason it gives."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from makeway.errors import NotFound
from makeway.model.phase import ExecutionPhase as E
from makeway.model.record import Output
from makeway.model.workflow import (
    Binding,
    Constant,
    FromSlot,
    FromStep,
    Many,
    SelectTop,
    Step,
    Stored,
    Workflow,
)
from makeway.workflows.cache import Keyed, cache_key, key_parts
from makeway.workflows.resume import Before, Planned, dependents, named, plan

CODE = {"c1": {"flow.py:work": "1"}}


def output(digest: str) -> Output:
    return Output(digest=digest, codec="json", size_bytes=1)


def step(key: str, *reads: str, **more: Any) -> Step:
    arguments: dict[str, Binding] = {f"of_{name}": FromStep(name) for name in reads}
    arguments |= more.pop("arguments", {})
    return Step(key=key, function=key, code_digest="c1", arguments=arguments, **more)


def flow(*steps: Step) -> Workflow:
    return Workflow(name="flow", file="flow.py", steps=steps, code=CODE)


def done(one: Step, *given: str, there: bool = True, **metrics: float) -> Before:
    """A step that succeeded; `given` are the digests of what it read, its own is its key's."""
    read = [name for name, binding in one.arguments.items() if isinstance(binding, FromStep)]
    stored = {name: Stored(output(digest)) for name, digest in zip(read, given, strict=True)}
    arguments: dict[str, Binding] = {**one.arguments, **stored}
    return Before(
        phase=E.SUCCEEDED,
        cache_key=cache_key(one, arguments),
        keyed=Keyed(parts=key_parts(one, arguments), code=CODE["c1"]),
        output=output(one.key),
        metrics=metrics,
        there=there,
    )


A, B, C = step("a", arguments={"n": Constant(1)}), step("b", "a"), step("c", "b")
CHAIN = flow(A, B, C)
ALL = {"a": done(A), "b": done(B, "a"), "c": done(C, "b")}


def actions(planned: list[Planned]) -> dict[str, str]:
    return {one.step: one.action for one in planned}


def reasons(planned: list[Planned]) -> dict[str, str]:
    return {one.step: one.reason for one in planned}


def test_what_is_there_is_reused() -> None:
    assert set(actions(plan(CHAIN, ALL)).values()) == {"reuse"}


def test_what_failed_runs_and_what_never_ran_runs_after_it() -> None:
    before = {"a": ALL["a"], "b": Before(phase=E.FAILED), "c": Before(phase=E.OMITTED)}
    planned = plan(CHAIN, before)
    assert actions(planned) == {"a": "reuse", "b": "run", "c": "run"}
    assert reasons(planned) == {"a": "reused", "b": "failed", "c": "never ran"}
    assert planned[2].text == "never ran: it was omitted; input rebuilt: b"


def test_of_ten_slots_the_one_that_is_missing_runs() -> None:
    slots = [step(f"s-{n}", arguments={"n": Constant(n)}) for n in range(10)]
    before = {one.key: done(one) for one in slots} | {"s-7": Before(phase=E.FAILED)}
    planned = plan(flow(*slots), before)
    assert [one.step for one in planned if one.action == "run"] == ["s-7"]


def test_only_steps_that_read_a_parameter_run_and_what_depends_on_them() -> None:
    changed = flow(step("a", arguments={"n": Constant(2)}), B, C, step("d"))
    planned = plan(changed, ALL | {"d": done(step("d"))})
    assert actions(planned) == {"a": "run", "b": "run", "c": "run", "d": "reuse"}
    assert planned[0].text == "parameter `n` used here: 1 -> 2"
    assert planned[1].text == "input rebuilt: a"


def test_changed_code_is_named_by_file_and_function() -> None:
    new = {"c1": CODE["c1"], "c2": {"flow.py:work": "2"}}
    workflow = replace(flow(A, replace(B, code_digest="c2"), C), code=new)
    planned = plan(workflow, ALL)
    assert actions(planned) == {"a": "reuse", "b": "run", "c": "run"}
    assert planned[1].reason == "code changed"
    assert planned[1].text == "code changed (flow.py:work)"


def test_an_output_that_is_gone_is_made_again() -> None:
    planned = plan(CHAIN, ALL | {"b": done(B, "a", there=False)})
    assert reasons(planned) == {"a": "reused", "b": "artifact lost", "c": "input rebuilt"}


def test_a_step_that_is_asked_for_runs_with_all_that_depends_on_it() -> None:
    planned = plan(CHAIN, ALL, ["b"])
    assert actions(planned) == {"a": "reuse", "b": "run", "c": "run"}
    assert (planned[1].text, planned[2].text) == ("asked (--from)", "input rebuilt: b")


def test_a_new_step_says_that_it_is_new() -> None:
    planned = plan(flow(A, B, C, step("d")), ALL)
    assert planned[-1].text == "never ran: it is new"


def test_a_step_that_only_comes_after_one_that_runs_is_reused() -> None:
    after = step("b", after=("a",))
    before = {"a": Before(phase=E.FAILED), "b": done(after)}
    assert actions(plan(flow(A, after), before)) == {"a": "run", "b": "reuse"}


def test_old_records_without_parts_say_only_that_something_changed() -> None:
    before = ALL | {"a": Before(phase=E.SUCCEEDED, cache_key="old", output=output("a"))}
    assert plan(CHAIN, before)[0].reason == "changed"


SELECT = Step(
    key="best", select=SelectTop(candidates=("x", "y"), metric="accuracy", k=2, minimum=0.9)
)
X, Y = step("x"), step("y")
FIRST = step("first", arguments={"model": FromSlot("best", 0)})
SECOND = step("second", arguments={"model": FromSlot("best", 1)})
SELECTING = flow(X, Y, SELECT, FIRST, SECOND)


def served(digest: str) -> Before:
    arguments: dict[str, Binding] = {"model": Stored(output(digest))}
    key, parts = cache_key(FIRST, arguments), key_parts(FIRST, arguments)
    return Before(
        phase=E.SUCCEEDED,
        cache_key=key,
        keyed=Keyed(parts=parts, code=CODE["c1"]),
        output=output("f"),
    )


def test_a_selection_of_what_is_reused_is_foreseen() -> None:
    before = {"x": done(X, accuracy=0.95), "y": done(Y, accuracy=0.5), "first": served("x")}
    planned = plan(SELECTING, before)
    assert actions(planned) == {
        "x": "reuse", "y": "reuse", "best": "decide", "first": "reuse", "second": "omit",
    }  # fmt: skip
    assert planned[-1].text == "never ran: best filled no place 2"


def test_a_selection_with_a_new_candidate_is_open_and_so_is_what_it_serves() -> None:
    before = {"x": done(X, accuracy=0.95), "y": Before(phase=E.FAILED), "first": served("x")}
    planned = plan(SELECTING, before)
    assert reasons(planned)["best"] == "input rebuilt"
    assert actions(planned)["first"] == "run"


def test_a_selection_that_chooses_another_one_gives_another_input() -> None:
    before = {"x": done(X, accuracy=0.91), "y": done(Y, accuracy=0.99), "first": served("x")}
    planned = plan(SELECTING, before)
    assert planned[3].text == "input rebuilt: model is another one"


def test_what_is_gathered_counts_each_by_itself() -> None:
    total = step("total", arguments={"all": Many((FromStep("x"), FromStep("y")))})
    planned = plan(flow(X, Y, total), {"x": done(X), "y": Before(phase=E.FAILED)})
    assert planned[-1].text == "never ran: it is new; input rebuilt: y"


def test_steps_are_named_by_key_or_by_their_function() -> None:
    workflow = flow(
        replace(X, key="x-1"), replace(X, key="x-2"), step("z", arguments={"of": FromStep("x-2")})
    )
    assert named(workflow, ["x-1"]) == ("x-1",)
    assert named(workflow, ["x", "x-1"]) == ("x-1", "x-2")
    assert dependents(workflow, ["x-2"]) == ("x-2", "z")
    with pytest.raises(NotFound, match="there is no step 'w'"):
        named(workflow, ["w"])
