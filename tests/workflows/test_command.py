"""A command line as a step: how it is taken apart, what stands in it, and what is refused."""

from __future__ import annotations

import pytest

from makeway.model.workflow import Constant, Step
from tests.project import HERE, Project

FILE = """
import makeway as mw

@mw.step
def number() -> int: ...

train = mw.command({text}, cpus=0.5)

@mw.workflow
def main():
    {call}
"""


def command(project: Project, text: str, call: str = "train()") -> Step:
    """Build a workflow with this command, and give its last step."""
    return project.step(FILE.format(text=repr(text), call=call))


def test_it_is_taken_apart_as_a_shell_would(project: Project) -> None:
    step = command(project, "python train.py --note 'two words'")
    assert step.command == ("python", "train.py", "--note", "two words")
    assert (step.key, step.function, step.per_worker["cpu_milli"]) == ("python", "", 500)


def test_a_value_stays_within_its_word_whatever_is_in_it(project: Project) -> None:
    text = "python train.py --rate={rate} {name}"
    step = command(project, text, "train(rate=0.5, name='a b; rm -rf {rate}')")
    assert step.command == ("python", "train.py", "--rate=0.5", "a b; rm -rf {rate}")
    assert step.arguments["rate"] == Constant(0.5)


def test_it_can_have_other_settings_and_come_after_another_step(project: Project) -> None:
    step = command(project, "/bin/echo done", "train.options(name='last', after=number())()")
    assert (step.key, step.after) == ("last", ("number",))


def test_other_words_are_other_code_and_the_same_are_the_same(project: Project) -> None:
    first = command(project, "echo {a}", "train(a=1); train.options(name='b')(a=2)")
    workflow = project.build(FILE.format(text=repr("echo {a}"), call="train(a=1)"))
    assert workflow.code[first.code_digest] == {"command": first.code_digest[:12]}


@pytest.mark.parametrize(
    "text, says",
    [
        ("", "the command is empty"),
        ("echo 'open", "No closing quotation"),
        ("echo {a", "expected '}'"),
        ("echo {0}", "a place {0}, which is no name"),
        ("echo {a.b}", "a place {a.b}, which is no name"),
        ("echo {a!r}", "a place {a}, which is no name"),
        ("'two words'", "cannot be the name of a step"),
    ],
)
def test_a_text_that_is_no_command_is_refused_where_it_stands(
    project: Project, text: str, says: str
) -> None:
    error = project.refused(FILE.format(text=repr(text), call="train()"))
    assert says in error.problem
    assert "flow.py:7" in error.where


@pytest.mark.parametrize(
    "call, says",
    [
        ("train()", "the command needs a value for a"),
        ("train(a=1, b=2)", "the command has no place for b; it has: a"),
        ("train(a=[1])", "a is [1]; in a command there can be text and numbers"),
        ("train(a=number())", "a is an output of a step"),
    ],
)
def test_a_call_that_does_not_fit_is_refused(project: Project, call: str, says: str) -> None:
    error = project.refused(FILE.format(text=repr("echo {a}"), call=f"{call}  {HERE}"))
    assert says in error.problem
