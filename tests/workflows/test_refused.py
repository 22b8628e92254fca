"""Refuse workflows that are wrong: one error, at the line of the mistake, before anything runs."""

from __future__ import annotations

import pytest

from makeway.errors import InvalidWorkflow
from makeway.worker.flowfile import build_workflow
from tests.project import HERE, STEPS, Project, flow

ARGUMENTS = {
    "missing": ("add()", "missing a required argument: 'left'"),
    "unknown": ("add(1, rihgt=2)", "got an unexpected keyword argument 'rihgt'"),
    "too many": ("add(1, 2, 3)", "too many positional arguments"),
    "twice": ("add(1, left=2)", "multiple values for argument 'left'"),
    "wrong constant": ("add('1')", "step add: left is int, but '1' is passed"),
    "wrong item": ("join([1])", "step join: parts is list[str], but [1] is passed"),
    "wrong output": ("add(text())", "step add: left is int, but text gives str"),
    "wrong output in a list": ("join([text(), number()])", "number gives int"),
    "wrong items of an output": ("total(words())", "words gives list[str]"),
    "wrong candidate": (
        "add(mw.select_top([number(), text()], metric='m')[0])", "text gives str",
    ),
    "a list where none is wanted": ("add([number()])", "outputs of steps are gathered in a list"),
    "a dict of outputs": ("take({'a': number()})", "in lists only, not in a dict"),
    "a set of outputs": ("take({number()})", "in lists only, not in a set"),
    "outputs deep inside": ("take([{'a': (1, number())}])", "in lists only, not in a dict"),
    "an output in an object": ("take(functools.partial(print, number()))", "does not exist while"),
    "a generator": ("take(number() for _ in 'ab')", "a generator can be read only once"),
    "a map": ("take(map(number, 'ab'))", "a map can be read only once"),
    "a lambda": ("take(lambda: 1)", "a value of type function cannot be stored"),
    "a module": ("take(functools)", "a value of type module cannot be stored"),
    "a step not called": ("take(number)", "value: number itself is passed: it was not called"),
    "a workflow": ("take({'a': [main]})", "in lists only, not in a dict"),
    "a whole selection": (
        "serve(mw.select_top([train('a')], metric='m'))", "a whole selection cannot be passed on",
    ),
    "a selection in a list": (
        "take([mw.select_top([train('a')], metric='m')])", "a whole selection cannot be passed on",
    ),
}  # fmt: skip


@pytest.mark.parametrize("call, problem", ARGUMENTS.values(), ids=ARGUMENTS)
def test_a_wrong_argument_is_refused_at_the_call(project: Project, call: str, problem: str) -> None:
    error = project.refused(flow(f"text()\nreturn {call}  {HERE}"))
    assert problem in error.problem


LOOKS = (
    "if one: ...", "not one", "for item in one: ...", "one.metrics", "one[0]", "one['a']",
    "one == 3", "one != 3", "one < 3", "3 in one", "one in [3]", "one + 1", "1 + one", "-one",
    "len(one)", "int(one)", "float(one)", "str(one)", "f'{one}'", "f'{one:.2f}'", "'%s' % one",
    "print(one)", "one()", "one.x = 1", "one[0] = 1", "del one[0]", "one += 1", "range(one)",
    "with one: ...", "open(one)", "max(one, 3)", "round(one)", "[*one]", "hasattr(one, 'x')",
    "first, *rest = one", "match_ = 3 == one", "import pickle; pickle.dumps(one)",
)  # fmt: skip


@pytest.mark.parametrize("look", LOOKS)
def test_looking_into_an_output_is_refused_where_it_is_tried(project: Project, look: str) -> None:
    error = project.refused(flow(f"one = number()\n{look}  {HERE}"))
    assert "output of number does not exist while the workflow is built" in error.problem
    assert "mw.select_top" in error.hint


@pytest.mark.parametrize("look", ["if best: ...", "str(best)", "best == 1", "f'{best}'"])
def test_looking_into_a_selection_is_refused_too(project: Project, look: str) -> None:
    best = "best = mw.select_top([train('a')], metric='m')"
    error = project.refused(flow(f"{best}\n{look}  {HERE}"))
    assert "selection select does not exist while the workflow is built" in error.problem


SELECTIONS = {
    "nothing": ("[], metric='m'", "wants a list of what steps gave, at least one"),
    "an output": ("one, metric='m'", "wants a list of what steps gave, at least one"),
    "a dict": ("{'a': one}, metric='m'", "wants a list"),
    "a constant": ("[one, 3], metric='m'", "3 is no output of a step"),
    "the same twice": ("[one, one], metric='m'", "<output of train> is a candidate twice"),
    "no metric": ("[one], metric=''", "metric is ''; it must be the name of a metric"),
    "a bad metric": ("[one], metric=3", "metric is 3"),
    "k = 0": ("[one], metric='m', k=0", "k is 0; it must be a whole number from 1"),
    "k = True": ("[one], metric='m', k=True", "k is True"),
    "k = 1.5": ("[one], metric='m', k=1.5", "k is 1.5"),
    "a bad mode": ("[one], metric='m', mode='best'", "mode is 'best'; it can be max or min"),
    "no mode": ("[one], metric='m', mode=[]", "mode is []"),
    "a bad if_fewer": ("[one], metric='m', if_fewer='go'", "it can be proceed or fail"),
    "min as text": ("[one], metric='m', min='0.9'", "min is '0.9'; it must be a number"),
    "min = NaN": ("[one], metric='m', min=float('nan')", "min is nan; it must be a number"),
    "min = True": ("[one], metric='m', min=True", "min is True; it must be a number"),
    "a bad name": ("[one], metric='m', name='a b'", "'a b' cannot be the name of a step"),
    "k by position": ("[one], 2", "takes 1 positional argument"),
    "a place again": (
        "mw.select_top([one], metric='m').slots(), metric='m'", "cannot be selected again",
    ),
}  # fmt: skip


@pytest.mark.parametrize("arguments, problem", SELECTIONS.values(), ids=SELECTIONS)
def test_a_wrong_selection_is_refused_at_its_line(
    project: Project, arguments: str, problem: str
) -> None:
    error = project.refused(flow(f"one = train('a')\nmw.select_top({arguments})  {HERE}"))
    assert problem in error.problem


@pytest.mark.parametrize("places", ["slots(0)", "slots(3)", "slots('2')", "slots(True)"])
def test_only_places_that_there_are_can_be_asked_for(project: Project, places: str) -> None:
    best = "best = mw.select_top([train('a')], metric='m', k=2)"
    error = project.refused(flow(f"{best}\nbest.{places}  {HERE}"))
    assert "places are asked for, but k is 2" in error.problem


@pytest.mark.parametrize("place", ["2", "-3", "'a'", "0:1"])
def test_a_place_that_does_not_exist_is_refused(project: Project, place: str) -> None:
    best = "best = mw.select_top([train('a')], metric='m', k=2)"
    error = project.refused(flow(f"{best}\nbest[{place}]  {HERE}"))
    assert "k is 2, and they count from 0" in error.problem


AFTER = {
    "unknown": ("after='nobody'", "after='nobody' is no step of this workflow: number, text"),
    "the step itself": ("after=number", "here it is the step itself"),
    "something else": ("after=3", "here it is something else"),
    "itself": ("after='text'", "these steps wait for each other: text -> text"),
}


@pytest.mark.parametrize("option, problem", AFTER.values(), ids=AFTER)
def test_a_wrong_after_is_refused_at_the_call(project: Project, option: str, problem: str) -> None:
    error = project.refused(flow(f"number()\ntext.options({option})()  {HERE}"))
    assert problem in error.problem


def test_a_circle_is_shown_with_every_step_of_it(project: Project) -> None:
    error = project.refused(
        flow(f"""
    first = number.options(after="text")()  {HERE}
    text.options(after=add(first))()
    """)
    )
    assert error.problem == "these steps wait for each other: number -> text -> add -> number"


def test_two_steps_of_one_name_are_refused(project: Project) -> None:
    error = project.refused(flow(f"number()\nnumber()\ntext.options(name='number-1')()  {HERE}"))
    assert error.problem.startswith("two steps would be named 'number-1', the other at ")


@pytest.mark.parametrize(
    "use",
    [
        "take(flow.kept[0])", "take([flow.kept[0]])", "text.options(after=flow.kept)()",
        "mw.select_top([number(), flow.kept[0]], metric='m')",
    ],
)  # fmt: skip
def test_an_output_of_another_workflow_is_refused(project: Project, use: str) -> None:
    project.build(STEPS + "kept = []\n@mw.workflow\ndef main(): kept.append(number())\n")
    (project.folder / "flow.py").unlink()
    other = STEPS.replace("import functools", "import flow") + (
        f"@mw.workflow\ndef main():\n    number(); {use}  {HERE}\n"
    )
    project.write(other, "other.py")
    with pytest.raises(InvalidWorkflow, match="comes from another workflow") as caught:
        build_workflow(project.folder / "other.py", None, {}, project.store)
    assert caught.value.where == project.marked()


RESULTS = {
    "a dict": ("{'a': number()}", "outputs of steps can be gathered in lists only"),
    "a selection": ("mw.select_top([train('a')], metric='m')", "pass its places"),
    "a lambda": ("number() and None or (lambda: 1)", "does not exist"),
    "a step": ("[number(), number]", "number itself is passed"),
}


@pytest.mark.parametrize("result, problem", RESULTS.values(), ids=RESULTS)
def test_a_result_that_cannot_be_given_back_is_refused(
    project: Project, result: str, problem: str
) -> None:
    error = project.refused(flow(f"return {result}"))
    assert problem in error.problem + error.hint
    assert "flow.py:" in error.where


def test_an_empty_workflow_is_refused_at_its_definition(project: Project) -> None:
    error = project.refused(f"{STEPS}@mw.workflow  {HERE}\ndef main(): ...\n")
    assert error.problem == "workflow main calls no step"


def test_an_exception_in_the_workflow_function_is_told_with_its_line(project: Project) -> None:
    error = project.refused(flow(f"number()\n[][1]  {HERE}"))
    assert error.problem == "workflow main: IndexError: list index out of range"


def test_a_line_is_the_users_even_if_a_library_makes_the_call(project: Project) -> None:
    error = project.refused(flow(f"functools.reduce(lambda a, b: add(a, b), 'ab')  {HERE}"))
    assert "left is int" in error.problem
