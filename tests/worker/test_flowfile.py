"""Import a user's file: one clear error for everything that can be wrong with it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from makeway.errors import InvalidInput, InvalidWorkflow
from makeway.worker.flowfile import build_workflow, find_step, load_file
from tests.project import HERE, Project

HEAD = "import makeway as mw\n"
STEP = "@mw.step\ndef one(): return 1\n"
WORKFLOW = "@mw.workflow\ndef main(): one()\n"
WHOLE = HEAD + STEP + WORKFLOW


# ── importing ───────────────────────────────────────────────────────────────────────────────────────


def test_a_file_is_imported_once_under_its_own_name(project: Project) -> None:
    file = project.write("calls = []\ncalls.append(__name__)\n", "some-flow.v2.py")
    load_file(file)
    load_file(file)
    assert sys.modules["some-flow.v2"].calls == ["some-flow.v2"]


def test_its_folder_comes_first_on_the_path(project: Project) -> None:
    project.write("VALUE = 3\n", "neighbour.py")
    load_file(project.write("import neighbour\n"))
    assert sys.path[0] == str(project.folder)


def test_a_file_is_the_same_however_it_is_reached(project: Project, tmp_path: Path) -> None:
    file = project.write(WHOLE)
    (tmp_path / "link").symlink_to(project.folder)
    load_file(file)
    load_file(tmp_path / "link" / "flow.py")


IMPORTS = {
    "a syntax error": (f"def f(:  {HERE}\n", "SyntaxError: invalid syntax"),
    "a wrong indentation": (f"def f():\nx = 1  {HERE}\n", "IndentationError: expected an indented"),
    "an unknown module": (f"import nowhere  {HERE}\n", "ModuleNotFoundError: No module named"),
    "an unknown name": (f"from os import nowhere  {HERE}\n", "ImportError: cannot import name"),
    "an exception": (f"def f():\n    1 / 0  {HERE}\nf()\n", "ZeroDivisionError: division by zero"),
    "an exception in a library": (f"import json\njson.loads('')  {HERE}\n", "JSONDecodeError"),
    "a syntax error of other text": (f"eval('1 +')  {HERE}\n", "SyntaxError: invalid syntax"),
    "an exit": (f"import sys\nsys.exit(3)  {HERE}\n", "it ends the program, with exit(3)"),
    "a selection": (
        f"{HEAD}mw.select_top([], metric='m')  {HERE}\n", "select_top belongs into a workflow",
    ),
    "a permanent failure": (f"{HEAD}raise mw.Permanent('no')  {HERE}\n", "no"),
    "a recursion": (f"def f(): f()  {HERE}\nf()\n", "RecursionError: maximum recursion depth"),
}  # fmt: skip


@pytest.mark.parametrize("text, problem", IMPORTS.values(), ids=IMPORTS)
def test_a_file_that_cannot_be_imported_is_told_with_its_line(
    project: Project, text: str, problem: str
) -> None:
    before = (list(sys.path), set(sys.modules) & {"flow"})
    error = project.refused(text)
    assert problem in error.problem
    assert (list(sys.path), set(sys.modules) & {"flow"}) == before


def test_the_line_may_lie_in_another_file_of_the_project(project: Project) -> None:
    project.write(f"1 / 0  {HERE}\n", "rules.py")
    error = project.refused("import rules\n")
    assert error.where == project.marked()


def test_the_line_does_not_lie_in_a_library_inside_the_project(project: Project) -> None:
    project.write("def fail(): 1 / 0\n", ".venv/lib/site-packages/lib.py")
    path = "import sys\nsys.path.append(sys.path[0] + '/.venv/lib/site-packages')\nimport lib\n"
    project.refused(f"{path}lib.fail()  {HERE}\n")


@pytest.mark.parametrize(
    "data, problem",
    [
        (b"x = '\xff'\n", "SyntaxError: (unicode error)"),
        (b"x = 1\x00\n", "null bytes"),
    ],
)
def test_a_file_that_is_no_text_is_refused(project: Project, data: bytes, problem: str) -> None:
    (project.folder / "flow.py").write_bytes(data)
    with pytest.raises(InvalidWorkflow) as caught:
        load_file(project.folder / "flow.py")
    assert problem in caught.value.problem
    assert caught.value.where.startswith(str(project.folder / "flow.py"))


@pytest.mark.parametrize("name", ["nowhere.py", "flow.txt", "folder.py", ""])
def test_a_file_that_is_not_there_is_refused(project: Project, name: str) -> None:
    (project.folder / "folder.py").mkdir()
    (project.folder / "flow.txt").write_text(WHOLE)
    with pytest.raises(InvalidWorkflow, match="there is no such Python file") as caught:
        load_file(project.folder / name)
    assert caught.value.where == str(project.folder / name)


@pytest.mark.parametrize("name", ["sys.py", "json.py", "makeway.py", "pytest.py"])
def test_a_file_named_like_a_loaded_module_is_to_be_renamed(project: Project, name: str) -> None:
    with pytest.raises(InvalidWorkflow, match="clashes with the module") as caught:
        load_file(project.write(WHOLE, name))
    assert caught.value.hint == "rename the file"


def test_ctrl_c_during_an_import_is_no_fault_of_the_file(project: Project) -> None:
    with pytest.raises(KeyboardInterrupt):
        load_file(project.write("raise KeyboardInterrupt\n"))
    assert "flow" not in sys.modules


# ── which workflow ──────────────────────────────────────────────────────────────────────────────────


def test_the_only_workflow_needs_no_name(project: Project) -> None:
    assert project.build(WHOLE).name == "main"


def test_an_alias_is_the_same_workflow(project: Project) -> None:
    assert project.build(f"{WHOLE}other = main\n").name == "main"
    assert build_workflow(project.folder / "flow.py", "other", {}, project.store).name == "main"


def test_an_imported_workflow_gives_way_to_the_files_own(project: Project) -> None:
    project.write(f"{HEAD}{STEP}@mw.workflow\ndef base(): one()\n", "shared.py")
    file = project.write(f"from shared import base\n{WHOLE}")
    assert build_workflow(file, None, {}, project.store).name == "main"
    assert build_workflow(file, "base", {}, project.store).name == "base"


def test_workflows_made_by_a_function_are_told_apart_by_their_names(project: Project) -> None:
    text = f"""{HEAD}{STEP}
def made(count):
    @mw.workflow
    def flow():
        for _ in range(count): one()
    return flow

small, large = made(1), made(5)
"""
    file = project.write(text)
    assert len(build_workflow(file, "large", {}, project.store).steps) == 5
    with pytest.raises(InvalidWorkflow, match="there are: large, small"):
        build_workflow(file, None, {}, project.store)


@pytest.mark.parametrize(
    "text, wanted, problem, hint",
    [
        (HEAD + STEP, None, "there is no workflow in it", "decorate a function with @mw.workflow"),
        ("", None, "there is no workflow in it", "decorate"),
        (HEAD + STEP, "main", "there is no workflow 'main' in it; there are: none", ""),
        (WHOLE, "nobody", "there is no workflow 'nobody' in it; there are: main", ""),
        (WHOLE, "one", "there is no workflow 'one' in it; there are: main", ""),
        (WHOLE, "", "there is no workflow '' in it; there are: main", ""),
        (
            WHOLE + "@mw.workflow\ndef other(): one()\n", None,
            "it must be said which workflow is meant; there are: main, other", "makeway run flow.py:NAME",
        ),
    ],
    ids=range(7),
)  # fmt: skip
def test_a_workflow_that_is_not_there_is_told_with_those_that_are(
    project: Project, text: str, wanted: str | None, problem: str, hint: str
) -> None:
    error = project.refused(text, wanted)
    assert error.problem == problem
    assert error.hint.startswith(hint)
    assert error.where == str(project.folder / "flow.py")


# ── steps are found again ───────────────────────────────────────────────────────────────────────────


def test_a_step_is_found_by_its_name(project: Project) -> None:
    file = project.write(WHOLE)
    assert find_step(file, "one")() == 1


def test_a_step_of_another_module_is_found_there(project: Project) -> None:
    project.write(f"{HEAD}@mw.step\ndef one(): return 2\n", "steps.py")
    text = f"import steps\n{HEAD}{STEP}@mw.workflow\ndef main(): one(), steps.one()\n"
    first, second = project.build(text).steps
    file = project.folder / "flow.py"
    assert (first.function, second.function) == ("one", "steps:one")
    assert find_step(file, first.function)() == 1
    assert find_step(file, second.function)() == 2


def test_a_static_method_and_a_wrapped_function_are_found(project: Project) -> None:
    text = f"""{HEAD}
import functools

def loud(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return 10 * function(*args, **kwargs)
    return wrapper

class Steps:
    @staticmethod
    @mw.step
    def one(n): return n

@mw.step
@loud
def two(n): return n

@loud
@mw.step
def three(n): return n

@mw.step
@functools.lru_cache
def four(n): return n

@mw.workflow
def main():
    return [Steps.one(1), two(2), four(4)]
"""
    workflow = project.build(text)
    file = project.folder / "flow.py"
    found = [find_step(file, step.function)(n=2) for step in workflow.steps]
    assert found == [2, 20, 2]
    assert find_step(file, "three")(2) == 2


LOST = {
    "a nested function": "def main():\n    @mw.step\n    def inner(): ...\n    inner()",
    "a lambda": "def main():\n    mw.step(lambda: 1)()",
    "a global lambda": "def main():\n    nameless()",
    "one whose name was used again": "def main():\n    first()",
    "a wrapper without functools.wraps": "def main():\n    bare()",
    "a method": "def main():\n    Steps().train()",
    "one that a class makes": "def main():\n    made.step()",
}


@pytest.mark.parametrize("body", LOST.values(), ids=LOST)
def test_a_step_that_no_worker_could_find_is_refused_where_it_is_called(
    project: Project, body: str
) -> None:
    text = f"""{HEAD}
nameless = mw.step(lambda: 1)

@mw.step
def again(): return 1
first = again
@mw.step
def again(): return 2

def careless(function):
    def wrapper():
        return function()
    return wrapper

@mw.step
@careless
def bare(): ...

class Steps:
    @mw.step
    def train(self): ...

class Maker:
    def __init__(self):
        def inner(): ...
        self.step = mw.step(inner)
made = Maker()

@mw.workflow
{body}  {HERE}
"""
    error = project.refused(text)
    assert "cannot be found again by its name" in error.problem or "as a method" in error.problem


@pytest.mark.parametrize(
    "function", ["nobody", "main", "main.nobody", "", "os:getcwd", "nowhere:f"]
)
def test_a_step_that_is_not_there_is_refused(project: Project, function: str) -> None:
    file = project.write(WHOLE)
    with pytest.raises(InvalidInput) as caught:
        find_step(file, function)
    assert caught.value.where == str(file)


# ── building ────────────────────────────────────────────────────────────────────────────────────────


def test_a_workflow_function_that_exits_is_refused(project: Project) -> None:
    error = project.refused(f"{HEAD}{STEP}@mw.workflow\ndef main():\n    exit(1)  {HERE}\n")
    assert error.problem == "workflow main: it ends the program, with exit(1)"


def test_a_workflow_that_calls_itself_is_refused(project: Project) -> None:
    error = project.refused(f"{HEAD}{STEP}@mw.workflow\ndef main():\n    main()  {HERE}\n")
    assert "RecursionError" in error.problem


def test_what_cannot_be_written_down_is_refused_and_never_sent(project: Project) -> None:
    text = (
        f"{HEAD}@mw.step\ndef one(**rest): ...\n@mw.workflow\ndef main(): one(**{{'\\ud800': 1}})\n"
    )
    error = project.refused(text)
    assert "workflow main cannot be written down" in error.problem
    assert error.where == str(project.folder / "flow.py")


def test_a_workflow_beyond_all_reason_is_refused(project: Project) -> None:
    text = f"""{HEAD}@mw.step
def one(x): ...
@mw.workflow
def main():
    for i in range(4000): one("x" * 9900)
"""
    assert "workflow main is too large: " in project.refused(text).problem


def test_a_store_that_cannot_be_written_is_no_fault_of_the_workflow(project: Project) -> None:
    from makeway.errors import Unavailable

    project.store.write_text("in the way")
    file = project.write(
        f"{HEAD}@mw.step\ndef one(x): ...\n@mw.workflow\ndef main(): one((1, 2))\n"
    )
    with pytest.raises(Unavailable):
        build_workflow(file, None, {}, project.store)
