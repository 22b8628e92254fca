"""Call a step for each of many items, gather what steps give, and what is refused of both."""

from __future__ import annotations

import pytest

from makeway.model.workflow import Constant, FromStep, Many, Parallel
from tests.project import Project, built, flow


def last(project: Project, body: str) -> Many:
    """Build a workflow and give what its last step takes in its first argument."""
    arguments = built(project, body).steps[-1].arguments
    found = next(iter(arguments.values()))
    assert isinstance(found, Many)
    return found


def test_each_item_is_a_slot_with_what_all_of_them_take(project: Project) -> None:
    steps = built(project, "add.map([1, 2, 3], right=7)").steps
    assert [step.key for step in steps] == ["add-1", "add-2", "add-3"]
    assert [step.arguments["left"] for step in steps] == [Constant(n) for n in (1, 2, 3)]
    assert {step.arguments["right"] for step in steps if step.parallel is None} == {Constant(7)}


def test_what_takes_the_list_needs_all_or_a_part_of_it(project: Project) -> None:
    assert last(project, "total(add.map([1, 2]))").min_success is None


def test_a_part_may_be_enough(project: Project) -> None:
    found = last(project, "total(add.map([1, 2], min_success=0.5))")
    assert found.min_success == 0.5
    assert found.items == (FromStep("add-1"), FromStep("add-2"))


def test_so_many_run_at_a_time(project: Project) -> None:
    steps = built(project, "add.map([1, 2], max_parallel=1); add.map([3], max_parallel=2)").steps
    groups = [step.parallel for step in steps]
    assert groups[0] == groups[1] == Parallel(group="add:0", most=1)
    assert groups[2] == Parallel(group="add:2", most=2)


def test_a_list_of_nothing_is_an_empty_list(project: Project) -> None:
    [step] = built(project, "total(add.map([]))").steps
    assert step.arguments["numbers"] == Constant([])


def test_outputs_can_be_mapped_over(project: Project) -> None:
    steps = built(project, "add.map([number(), number()])").steps
    assert steps[-1].arguments["left"] == FromStep("number-2")


def test_outside_a_workflow_it_simply_calls(project: Project) -> None:
    workflow = project.build("""
        import makeway as mw

        @mw.step
        def double(n: int, plus: int = 0) -> int:
            return 2 * n + plus

        assert double.map([1, 2], plus=1) == [3, 5]
        assert mw.gather(1, 2, wait="first") == [1, 2]

        @mw.workflow
        def main():
            double.map([1])
    """)
    assert len(workflow.steps) == 1


def test_gathered_outputs_say_for_how_many_they_wait(project: Project) -> None:
    found = last(project, "total(mw.gather(number(), number(), wait='first'))")
    assert (found.wait, found.min_success) == (1, None)


def test_a_selection_of_gathered_outputs_waits_as_they_say(project: Project) -> None:
    body = "mw.select_top(mw.gather(train('a'), train('b'), wait='qualified'), metric='m')"
    select = built(project, body).steps[-1].select
    assert select is not None
    assert select.wait == "qualified"


def test_a_step_may_run_whatever_has_happened(project: Project) -> None:
    steps = built(project, "take.options(trigger='all_done')(number())").steps
    assert [step.trigger for step in steps] == ["", "all_done"]


@pytest.mark.parametrize(
    "call, says",
    [
        ("add.map(words())", "map wants a list that is known while the workflow is built"),
        ("add.map([1], min_success=2)", "min_success is 2; it must be from 0 to 1"),
        ("add.map([1], max_parallel=0)", "max_parallel is 0"),
        ("add.map(['x'])", "left is int, but 'x' is passed"),
        ("mw.gather(1)", "1 is no output of a step"),
        ("mw.gather()", "at least one"),
        ("mw.gather(number(), wait=2)", "wait is 2"),
        ("total(mw.gather(number(), wait='qualified'))", "only select_top knows who is qualified"),
        ("take.options(trigger='some')", "trigger is 'some'"),
        ("take.options(trigger='at_least(0)')", "trigger is 'at_least(0)'"),
        ("take.options(trigger='quorum(1.2)')", "trigger is 'quorum(1.2)'"),
        ("take.options(trigger='quorum(1.1.1)')", "trigger is"),
    ],
)
def test_what_makes_no_sense_is_refused(project: Project, call: str, says: str) -> None:
    assert says in project.refused(flow(f"{call}  # <- here")).problem


def test_a_workflow_that_fails_fast_says_so(project: Project) -> None:
    text = "import makeway as mw\n@mw.step\ndef a(): ...\n@mw.workflow({})\ndef main(): a()\n"
    assert project.build(text.format('on_failure="fail_fast"')).on_failure == "fail_fast"


def test_another_word_for_failing_is_refused(project: Project) -> None:
    text = "import makeway as mw\n@mw.step\ndef a(): ...\n@mw.workflow(on_failure='stop')\ndef main(): a()\n"
    assert "it can be continue or fail_fast" in project.refused(text).problem


def test_steps_in_a_when_block_have_its_condition_and_those_of_the_blocks_around(
    project: Project,
) -> None:
    body = """\
outer = number()
with mw.when(outer):
    first = text()
    with mw.when(first):
        words()
number()
"""
    steps = {step.function: step.when for step in built(project, body).steps}
    assert steps["words"] == (FromStep("number-1"), FromStep("text"))
    assert steps["text"] == (FromStep("number-1"),)
    assert steps["number"] == ()


def test_a_condition_must_be_something_that_can_be_passed(project: Project) -> None:
    error = project.refused(flow("with mw.when(number):  # <- here\n    text()"))
    assert "it was not called" in error.problem
