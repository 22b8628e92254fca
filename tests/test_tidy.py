"""Hold the rules of the house: layers, purity, sizes, words, docstrings, no loose ends.

The two tables below are the architecture; what each rule means is said where it is written, in
tests/tidy, and tests/tidy/test_planted.py shows that each finds what it looks for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import pytest

from tests.tidy import layers, style
from tests.tidy.source import read

# A package imports only from floors below its own. `__init__` is the public face, makeway itself;
# `torch` is the public face of training.
FLOORS = {
    0: ("errors", "failpoint", "version"),
    1: ("model", "expression"),
    2: (
        *("policy", "health", "workflows", "lineage", "codec", "report", "executor"),
        *("intake", "wire"),
    ),
    3: ("engine", "store", "client", "answers"),
    4: ("live", "sim", "worker", "training"),
    5: ("server", "compat", "export", "__init__", "torch"),
    6: ("cli",),
}

# These know no clock, no disk, no thread, no socket, no logger; the standard library and msgspec
# are all that they import.
PURE = (
    *("model", "policy", "health", "workflows", "lineage", "codec", "report", "intake", "wire"),
    *("engine", "answers", "sim"),
)

# Started or looked up from outside: nothing needs to import them.
ENTRY_POINTS = (
    "makeway.__main__",  # python -m makeway
    "makeway.compat.mlflow",  # the user's programs
    "makeway.compat.wandb",  # the user's programs
    "makeway.cli.main",  # the command `makeway`
    "makeway.cli.reference",  # make docs
    "makeway.server.openapi",  # make docs
    "makeway.lineage.query",  # what searches are written in
    "makeway.report",  # the swarm and the bench read it
    "makeway.sim.faults",  # the swarm in tests/sim
    "makeway.sim.workload",  # the swarm and the bench
    "makeway.store.idempotency",  # the service's
    "makeway.store.migrations",  # Alembic finds its files by path
    "makeway.store.tokens",  # the service's
    "makeway.torch",  # the user's programs
)

# Keyword arguments by which a user configures: a dataclass would only be in the way.
MANY_PARAMETERS = (
    "makeway.workflows.define.step",
    "makeway.workflows.define.options",
    "makeway.workflows.fan_in.select_top",
    "makeway.training.session.loader",
)

ROOT = Path(__file__).parents[1]
SOURCES = read(ROOT, "src")
EXAMPLES = read(ROOT, "examples")
EVERY_MODULE = (*SOURCES, *EXAMPLES, *read(ROOT, "tests"), *read(ROOT, "bench"))

# Folders of text, and what in them is made by running things and never committed.
FOLDERS = ("src", "tests", "bench", "docs", "examples", "tools", ".ci")
LEFT_BEHIND = {"__pycache__", ".makeway", "node_modules"}


def text_files() -> Iterator[tuple[str, str]]:
    """Give path and text of every text file of the tree; pictures and the like are left out."""
    folders = (path for folder in FOLDERS for path in (ROOT / folder).rglob("*"))
    for path in sorted(chain(ROOT.glob("*"), folders)):
        name = path.relative_to(ROOT)
        if path.is_file() and not LEFT_BEHIND & set(name.parts):
            try:
                yield name.as_posix(), path.read_text("utf-8")
            except UnicodeDecodeError:
                continue


def assert_none(complaints: Iterable[str]) -> None:
    found = list(complaints)
    if found:
        pytest.fail("\n".join(found), pytrace=False)


def test_a_package_imports_only_from_floors_below() -> None:
    assert_none(layers.broken_floors(SOURCES, FLOORS))


def test_pure_packages_touch_nothing() -> None:
    assert_none(layers.impure(SOURCES, PURE))


def test_imports_go_in_no_circle() -> None:
    assert_none(layers.circles(SOURCES))


def test_no_file_is_dead() -> None:
    assert_none(layers.dead(SOURCES, EXAMPLES, ENTRY_POINTS))


def test_files_and_functions_can_be_taken_in_at_once() -> None:
    assert_none(chain.from_iterable(style.too_long(module) for module in EVERY_MODULE))


def test_functions_take_few_parameters() -> None:
    # Of the sources alone: a test may ask for as many fixtures as it needs.
    found = (style.too_many_parameters(module, MANY_PARAMETERS) for module in SOURCES)
    assert_none(chain.from_iterable(found))


def test_names_keep_to_the_vocabulary() -> None:
    assert_none(chain.from_iterable(style.banned_words(module) for module in EVERY_MODULE))


def test_every_module_says_what_it_is_about() -> None:
    assert_none(chain.from_iterable(style.no_docstring(module) for module in EVERY_MODULE))


def test_silenced_type_errors_say_why() -> None:
    assert_none(chain.from_iterable(style.unreasoned_ignores(module) for module in EVERY_MODULE))


def test_nothing_is_marked_as_unfinished() -> None:
    assert_none(chain.from_iterable(style.unfinished(*file) for file in text_files()))


def test_every_file_ends_with_a_newline() -> None:
    assert_none(chain.from_iterable(style.no_newline(*file) for file in text_files()))
