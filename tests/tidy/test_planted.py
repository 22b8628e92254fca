"""Plant one violation of each rule of the house, and see it found; plant its neighbour, and not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tidy import layers, style
from tests.tidy.source import Module, parse, read

FLOORS = {1: ("model", "errors"), 2: ("policy", "health"), 3: ("engine",), 5: ("__init__",)}


def tree(**sources: str) -> tuple[Module, ...]:
    """Make modules of a small makeway: `policy_share` is src/makeway/policy/share.py."""
    paths = {f"src/makeway/{name.replace('_', '/', 1)}.py": text for name, text in sources.items()}
    return tuple(parse(path, text) for path, text in paths.items())


def one(text: str) -> Module:
    """Make a module of a text, in a package that is pure."""
    return parse("src/makeway/model/noun.py", text)


@pytest.mark.parametrize(
    "line, breaks",
    [
        ("from makeway.model import job", False),
        ("from makeway.errors import NotFound", False),
        ("import makeway.policy.order", False),
        ("from . import order", False),
        ("from ..model import job", False),
        ("import msgspec", False),
        ("from makeway.health import detect", True),
        ("from ..health.detect import stall", True),
        ("import makeway.engine.state", True),
        ("from makeway import engine", True),
        ("from makeway import workflow", True),
        ("def f():\n    from makeway.engine import state", True),
        ("if TYPE_CHECKING:\n    from makeway.engine import state", True),
        ("importlib.import_module('makeway.engine.state')", True),
        ("from makeway.unheard import of", True),
    ],
)
def test_floors(line: str, breaks: bool) -> None:
    modules = tree(policy_share=line, engine_state="", engine___init__="")
    assert bool(list(layers.broken_floors(modules, FLOORS))) is breaks


def test_floors_of_a_package_that_nobody_placed() -> None:
    assert list(layers.broken_floors(tree(attic_box=""), FLOORS)) == [
        "src/makeway/attic/box.py:1: the package attic stands on no floor"
    ]


@pytest.mark.parametrize(
    "text",
    [
        "import time",
        "from time import monotonic",
        "import os.path",
        "def f():\n    import asyncio",
        "import threading",
        "import sqlite3",
        "import socket",
        "import subprocess",
        "import logging",
        "import numpy",
        "from sqlalchemy import select",
        "from random import shuffle",
        "import random\nx = random.random()",
        "from datetime import datetime\nx = datetime.now()",
        "import datetime\nx = datetime.datetime.now(datetime.UTC)",
        "from datetime import date\nx = date.today()",
    ],
)
def test_purity(text: str) -> None:
    assert list(layers.impure([one(text)], ["model"]))
    assert not list(layers.impure([one(text)], ["policy"]))


@pytest.mark.parametrize(
    "text",
    [
        "import msgspec",
        "from random import Random",
        "import random\nx = random.Random(7)",
        "from datetime import datetime, time\nx = datetime.fromtimestamp(0)",
        "from makeway.errors import NotFound",
        "import heapq",
    ],
)
def test_purity_lets_pass(text: str) -> None:
    assert not list(layers.impure([one(text)], ["model"]))


def test_circles() -> None:
    straight = tree(policy_a="from makeway.policy import b", policy_b="import makeway.policy.c")
    assert not list(layers.circles(straight))
    bent = tree(policy_a="from . import b", policy_b="def f():\n    from makeway.policy.a import x")
    [complaint] = layers.circles(bent)
    assert "makeway.policy.a" in complaint
    assert "makeway.policy.b" in complaint


def test_running_makeway_as_a_module_is_the_command_line() -> None:
    floors = {5: ("__init__",), 6: ("cli",)}
    module = parse("src/makeway/__main__.py", "from makeway.cli.main import main")
    assert not list(layers.broken_floors([module, *tree(cli_main="import makeway")], floors))


def test_a_dead_file() -> None:
    modules = tree(
        policy_a="import makeway.policy.a",  # to import oneself is not to be needed
        policy_b="import makeway.policy.c",
        policy_c="",
        policy___init__="",
        cli_main="VERBS = {'show': 'makeway.cli.jobs:show'}",
        cli_jobs="",
        store_migrations_one="",
    )
    users = [parse("examples/flow.py", "from makeway.policy import b")]
    entry_points = ["makeway.cli.main", "makeway.store.migrations_one"]
    found = list(layers.dead(modules, users, entry_points))
    assert found == ["src/makeway/policy/a.py:1: nobody imports makeway.policy.a"]


def test_a_file_too_long() -> None:
    most = style.FILE_LINES_MAX
    assert not list(style.too_long(one("x = 1\n" * most)))
    assert list(style.too_long(one("x = 1\n" * (most + 1))))


@pytest.mark.parametrize("head", ["def f():\n", "async def f():\n"])
def test_a_function_too_long(head: str) -> None:
    body = style.FUNCTION_LINES_MAX - 1
    assert not list(style.too_long(one(head + "    x = 1\n" * body)))
    assert list(style.too_long(one(head + "    x = 1\n" * (body + 1))))


@pytest.mark.parametrize(
    "text, found",
    [
        ("def f(a, b, c, d, e): ...", 0),
        ("def f(a, b, c, d, e, g): ...", 1),
        ("def f(a, /, b, *c, d, e, **g): ...", 1),
        ("class C:\n    def f(self, a, b, c, d, e): ...", 0),
        ("class C:\n    def f(self, a, b, c, d, e, g): ...", 1),
        ("@click.argument('a')\ndef f(a, b, c, d, e, g): ...", 0),
        ("def excepted(a, b, c, d, e, g): ...", 0),
    ],
)
def test_too_many_parameters(text: str, found: int) -> None:
    complaints = style.too_many_parameters(one(text), ["makeway.model.noun.excepted"])
    assert len(list(complaints)) == found


@pytest.mark.parametrize(
    "text",
    [
        "task = 1",
        "class JobManager: ...",
        "class HTTPPod: ...",
        "def run_helper(): ...",
        "def f(pod_count): ...",
        "class C:\n    helpers: int",
        "self.tasks = 1",
        "import makeway.errors as util",
        "for util in []: ...",
        "with a as manager: ...",
        "match x:\n    case [*pods]: ...",
        "try: ...\nexcept E as task: ...",
    ],
)
def test_banned_words(text: str) -> None:
    assert list(style.banned_words(one(text)))


@pytest.mark.parametrize(
    "text",
    ["multitask = 1", "podium = 1", "asyncio.create_task(x)", "import contextlib", "'task'"],
)
def test_words_that_only_look_banned(text: str) -> None:
    assert not list(style.banned_words(one(text)))


def test_a_banned_file_name() -> None:
    assert list(style.banned_words(parse("src/makeway/model/job_utils.py", "")))


@pytest.mark.parametrize("text", ["", "# about\n", "x = 1\n", "import os\n'''late'''\n"])
def test_no_docstring(text: str) -> None:
    assert list(style.no_docstring(one(text)))
    assert not list(style.no_docstring(one('"""About."""\n' + text)))


@pytest.mark.parametrize(
    "comment, accepted",
    [
        ("# type: ignore", False),
        ("# type: ignore[attr-defined]", False),
        ("# type: ignore  # because", False),
        ("# type: ignore[attr-defined]  # torch has no types here", True),
        ("# type: ignore[arg-type, misc]  # torch has no types here", True),
        ("# what a type is", True),
    ],
)
def test_ignores_without_a_reason(comment: str, accepted: bool) -> None:
    assert bool(list(style.unreasoned_ignores(one(f"x = 1  {comment}\n")))) is not accepted
    assert not list(style.unreasoned_ignores(one(f"x = {comment!r}\n")))


def test_marks_of_unfinished_work() -> None:
    for mark in ("TO" + "DO", "FIX" + "ME", "X" * 3):
        assert list(style.unfinished("docs/cli.md", f"line\n{mark}: later\n")) == [
            f"docs/cli.md:2: {mark}"
        ]
    assert not list(style.unfinished("docs/cli.md", "what to do\n"))


def test_a_last_line_without_its_end() -> None:
    assert list(style.no_newline("a.md", "one\ntwo")) == ["a.md:2: no newline at the end"]
    assert not list(style.no_newline("a.md", "one\n"))
    assert not list(style.no_newline("py.typed", ""))


def test_reading_a_folder(tmp_path: Path) -> None:
    package = tmp_path / "src" / "makeway" / "model"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "job.py").write_text("")
    modules = read(tmp_path, "src", "bench")
    assert [module.name for module in modules] == ["makeway.model", "makeway.model.job"]
    assert [module.is_package for module in modules] == [True, False]
