"""Hold the docs to the truth: every command is described, every link and make target exists."""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path
    for path in (ROOT / "README.md", ROOT / "ARCHITECTURE.md", *ROOT.glob("docs/**/*.md"))
    if path.exists()
)

FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(<?([^)\s>]+)>?[^)]*\)")
ELSEWHERE = re.compile(r"^([a-z]+:|#)")
TARGET = re.compile(r"^([a-z]+):", re.MULTILINE)


def page_name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def verbs(group: click.Group, parent: click.Context | None = None) -> Iterator[str]:
    """Give the full name of every command that shows itself: `queues`, `queues set`."""
    context = click.Context(group, parent=parent)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, f"{name} is listed, but there is no such command"
        if command.hidden:
            continue
        yield name
        if isinstance(command, click.Group):
            yield from (f"{name} {rest}" for rest in verbs(command, context))


def command_line() -> click.Group:
    """Give the group of all commands, wherever in the module of the script it is."""
    module = importlib.import_module("makeway.cli.main")
    groups = [value for value in vars(module).values() if isinstance(value, click.Group)]
    assert groups, "makeway.cli.main has no click group"
    return groups[0]


def make_commands(text: str) -> Iterator[str]:
    """Give the targets that the console blocks of a page tell the reader to make."""
    for language, block in FENCE.findall(text):
        if language not in {"console", "sh"}:
            continue
        for line in block.splitlines():
            words = line.removeprefix("$ ").split("#")[0].split()
            if words[:1] == ["make"]:
                yield from (
                    word for word in words[1:] if not word.startswith("-") and "=" not in word
                )


@pytest.mark.skipif(
    not (ROOT / "src/makeway/cli/main.py").exists(), reason="there is no command line yet"
)
def test_every_command_is_described() -> None:
    described = (ROOT / "docs" / "cli.md").read_text("utf-8")
    missing = [
        verb for verb in verbs(command_line()) if not re.search(rf"\bmakeway {verb}\b", described)
    ]
    assert not missing, f"not in docs/cli.md: {missing}; run make docs"


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_links_lead_somewhere(page: Path) -> None:
    prose = FENCE.sub("", page.read_text("utf-8"))
    targets = [link for link in LINK.findall(prose) if not ELSEWHERE.match(link)]
    broken = [link for link in targets if not (page.parent / link.partition("#")[0]).exists()]
    assert not broken


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_make_targets_exist(page: Path) -> None:
    targets = set(TARGET.findall((ROOT / "Makefile").read_text("utf-8")))
    assert not set(make_commands(page.read_text("utf-8"))) - targets
