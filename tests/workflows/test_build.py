"""Build workflows as users write them: steps, edges, constants."""

from __future__ import annotations

import pytest

from makeway.model.workflow import Constant, FromSlot, FromStep, Many, SelectTop, Stored
from tests.project import STEPS, Project, built, flow

# ── the graph ───────────────────────────────────────────────────────────────────────────────────────


def test_outputs_passed_on_are_the_edges_of_the_graph(project: Project) -> None:
    workflow = built(project, "return add(number(), right=number(2))")
    assert [step.key for step in workflow.steps] == ["number-1", "number-2", "add"]
    assert workflow.step("add").arguments == {
        "left": FromStep("number-1"),
        "right": FromStep("number-2"),
    }
    assert workflow.step("number-2").arguments == {"start": Constant(2)}
    assert workflow.result == FromStep("add")


def test_outputs_are_gathered_in_lists(project: Project) -> None:
    workflow = built(project, "return total([number(), 7, add(1)])")
    gathered = Many((FromStep("number"), Constant(7), FromStep("add")))
    assert workflow.step("total").arguments == {"numbers": gathered}


@pytest.mark.parametrize(
    "result, expected",
    [
        ("return one", FromStep("number")),
        ("return one, two", Many((FromStep("number"), FromStep("text")))),
        ("return [one, [two]]", Many((FromStep("number"), Many((FromStep("text"),))))),
        ("return", Constant(None)),
        ("return {'a': [1, None]}", Constant({"a": [1, None]})),
    ],
)
def test_a_workflow_gives_outputs_lists_of_them_or_constants(
    project: Project, result: str, expected: object
) -> None:
    assert built(project, f"one, two = number(), text()\n{result}").result == expected


def test_after_is_an_edge_without_a_value(project: Project) -> None:
    workflow = built(
        project,
        """
    first = number()
    best = mw.select_top([train("a"), train("b")], metric="accuracy")
    text.options(after=first)()
    text.options(after=["number", best, first])()
    text.options(after=None, name="free")()
    """,
    )
    assert workflow.step("text-1").after == ("number",)
    assert workflow.step("text-2").after == ("number", "select", "number")
    assert workflow.step("free").after == ()


def test_steps_come_in_an_order_in_which_they_could_run(project: Project) -> None:
    workflow = built(project, 'text.options(after="number")()\nnumber()\nwords()')
    assert [step.key for step in workflow.steps] == ["number", "text", "words"]


def test_a_selection_names_its_candidates_and_its_places(project: Project) -> None:
    workflow = built(
        project,
        """
    models = [train.options(name=name)(name) for name in ("a", "b", "c")]
    best = mw.select_top(models, k=2, metric="accuracy", min=0.9)
    return [serve(model) for model in best]
    """,
    )
    assert workflow.step("select").select == SelectTop(
        candidates=("a", "b", "c"), metric="accuracy", k=2, minimum=0.9
    )
    assert workflow.step("serve-2").arguments == {"model": FromSlot("select", 1)}


def test_candidates_may_come_from_a_generator(project: Project) -> None:
    workflow = built(
        project, 'mw.select_top((train(name) for name in ("a", "b")), metric="accuracy")'
    )
    select = workflow.step("select").select
    assert select is not None
    assert select.candidates == ("train-1", "train-2")


def test_places_of_a_selection_can_be_counted_and_named(project: Project) -> None:
    workflow = built(
        project,
        """
    best = mw.select_top([train("a"), train("b"), train("c")], k=2, metric="accuracy")
    return [best[0], best[-1], *best.slots(1), *best, len(best)]
    """,
    )
    first, second = FromSlot("select", 0), FromSlot("select", 1)
    assert workflow.result == Many((first, second, first, first, second, Constant(2)))


def test_a_workflow_called_in_another_one_adds_its_steps_there(project: Project) -> None:
    workflow = project.build(
        flow("return add(number(), 1)")
        + """
@mw.workflow
def outer():
    return add(main(), 2)
""",
        workflow="outer",
    )
    assert [step.key for step in workflow.steps] == ["number", "add-1", "add-2"]


def test_thousands_of_steps_are_built_at_once(project: Project) -> None:
    workflow = built(project, "return total([number(i) for i in range(5000)])")
    assert len(workflow.steps) == 5001


# ── values ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_constant_is_taken_as_it_is_at_the_call(project: Project) -> None:
    workflow = built(
        project,
        """
    settings = {"rate": [1]}
    take(settings)
    settings["rate"].append(2)
    take(settings)
    """,
    )
    assert workflow.step("take-1").arguments == {"value": Constant({"rate": [1]})}
    assert workflow.step("take-2").arguments == {"value": Constant({"rate": [1, 2]})}


@pytest.mark.parametrize(
    "value", ["None", "True", "-2**63", "2**64 - 1", "1e300", "'ä'", "{'a': [1.5, {}]}", "[]"]
)
def test_a_plain_constant_stands_in_the_definition(project: Project, value: str) -> None:
    workflow = built(project, f"take({value})")
    assert workflow.step("take").arguments == {"value": Constant(eval(value))}


@pytest.mark.parametrize(
    "value",
    [
        "(1, 2)", "{1}", "float('nan')", "2**64", "'\\ud800'", "{1: 2}", "b'x'", "1j",
        "list(range(10_000))", "functools.reduce(lambda inner, _: [inner], range(150), 0)",
    ],
)  # fmt: skip
def test_any_other_constant_is_stored_as_an_artifact(project: Project, value: str) -> None:
    workflow = built(project, f"take({value})")
    assert isinstance(workflow.step("take").arguments["value"], Stored)


def test_a_list_that_contains_itself_is_stored_too(project: Project) -> None:
    workflow = built(project, "loop = [1]; loop.append(loop); take(loop)")
    assert isinstance(workflow.step("take").arguments["value"], Stored)


def test_handles_can_be_kept_and_told_apart(project: Project) -> None:
    workflow = built(
        project,
        """
    import copy
    one, two = number(), text()
    names = {one: "one", two: "two"}
    assert one is not two and names[one] == "one" and len({one, two, one}) == 2
    assert repr(one) == "<output of number>"
    return copy.deepcopy({"kept": [one]})["kept"]
    """,
    )
    assert workflow.result == Many((FromStep("number"),))


@pytest.mark.parametrize(
    "call, arguments",
    [
        ("f(1, 2)", {"a": 1, "b": 2}),
        ("f(1, c=3)", {"a": 1, "c": 3}),
        ("f(1, x=4, y=5)", {"a": 1, "x": 4, "y": 5}),
    ],
)
def test_arguments_of_every_kind_are_passed_by_name(
    project: Project, call: str, arguments: dict[str, int]
) -> None:
    text = f"{STEPS}@mw.step\ndef f(a, /, b=0, *, c=0, **rest): ...\n"
    workflow = project.build(f"{text}@mw.workflow\ndef main(): {call}\n")
    expected = {name: Constant(value) for name, value in arguments.items()}
    assert workflow.step("f").arguments == expected
