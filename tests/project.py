"""Write a user's project into a folder, and build the workflow of its file as makeway does.

The line of a file that is to be named in an error is marked with `# <- here`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent, indent

import pytest

from makeway.errors import InvalidInput
from makeway.model.workflow import Step, Workflow
from makeway.worker.flowfile import build_workflow

HERE = "# <- here"

# Steps of every kind, for workflows that are written in one or two lines.
STEPS = """\
import functools
import makeway as mw

@mw.step
def number(start: int = 0) -> int: ...

@mw.step
def text() -> str: ...

@mw.step
def words(count: int = 1) -> list[str]: ...

@mw.step
def add(left: int, right: int = 0) -> int: ...

@mw.step
def join(parts: list[str]) -> str: ...

@mw.step
def total(numbers: list[int]) -> int: ...

@mw.step
def take(value): ...

@mw.step
def train(name: str, rate: float = 0.1) -> mw.Model: ...

@mw.step
def serve(model: mw.Model) -> str: ...

"""


class Project:
    """A folder with a user's files in it."""

    def __init__(self, folder: Path, store: Path) -> None:
        self.folder, self.store = folder, store

    def write(self, text: str, name: str = "flow.py") -> Path:
        """Put a file into the project."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
        return path

    def build(self, text: str, workflow: str | None = None, **params: str) -> Workflow:
        """Build the workflow of a file with this text."""
        return build_workflow(self.write(text), workflow, params, self.store)

    def step(self, text: str) -> Step:
        """Build a workflow and give its last step."""
        return self.build(text).steps[-1]

    def refused(self, text: str, workflow: str | None = None, **params: str) -> InvalidInput:
        """Give the error with which the workflow is refused, which must name the marked line."""
        with pytest.raises(InvalidInput) as caught:
            self.build(text, workflow, **params)
        error = caught.value
        if HERE in text:
            assert error.where == self.marked(), error
        assert error.problem
        assert "\n" not in error.problem
        return error

    def marked(self) -> str:
        """Give `file:line` of the marked line."""
        for path in self.folder.rglob("*.py"):
            for number, line in enumerate(path.read_text().splitlines(), start=1):
                if HERE in line:
                    return f"{path}:{number}"
        raise AssertionError("no line is marked")


@contextmanager
def fresh_project(folder: Path) -> Iterator[Project]:
    """Give an empty project, and forget afterwards what Python has imported from it."""
    path = list(sys.path)
    home = folder / "project"
    home.mkdir()
    try:
        yield Project(home, folder / ".makeway")
    finally:
        sys.path[:] = path
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None) or "").startswith(str(home)):
                del sys.modules[name]


def flow(body: str, arguments: str = "") -> str:
    """Write a file whose workflow function has this body."""
    lines = indent(body.strip("\n"), "    " if body[:1] not in " \n" else "")
    return f"{STEPS}@mw.workflow\ndef main({arguments}):\n{lines}\n"


def built(project: Project, body: str, arguments: str = "", **params: str) -> Workflow:
    """Build the workflow of such a file."""
    return project.build(flow(body, arguments), **params)
