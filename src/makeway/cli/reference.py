"""Write docs/cli.md from the commands themselves: `python -m makeway.cli.reference`."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from makeway.cli.main import cli

HEAD = """\
# Commands

Made from the commands themselves by `make docs`; do not edit.

Data go to standard output and everything else to standard error, so a pipe gets data alone. `-o`
chooses the format (`table`, `wide`, `json`, `jsonl`, `yaml`, `name`). A state is always a word,
never a colour alone; `NO_COLOR` is respected.

Runs and steps are named by their ids, by a beginning of one that is unique, or by `@last`. A step
is `RUN.KEY`; a `KEY` alone means the latest run that has it.

| exit code | means |
|---|---|
| 0 | done (a run that gave its result although a step failed, too) |
| 1 | it could not be done |
| 2 | the command line, a parameter or a workflow is wrong |
| 3 | there is no such thing |
| 5 | the run ended badly |
| 7 | it clashes with what is there already |
| 8 | it can never be scheduled here: no machine has what it asks for |
| 130 | Ctrl-C |
"""


def pages() -> Iterator[str]:
    """Give the page, a part for each command."""
    yield HEAD
    context = click.Context(cli, info_name="makeway", terminal_width=80, max_content_width=80)
    yield _part("makeway", cli.get_help(context), 2)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None, "every name in the table leads to a command"
        yield from _command(command, name, context)


def _command(command: click.Command, name: str, parent: click.Context) -> Iterator[str]:
    context = click.Context(
        command, info_name=name, parent=parent, terminal_width=80, max_content_width=80
    )
    yield _part(
        context.command_path, command.get_help(context), 2 + context.command_path.count(" ")
    )
    if isinstance(command, click.Group):
        for sub in command.list_commands(context):
            inner = command.get_command(context, sub)
            assert inner is not None, "a group knows its own commands"
            yield from _command(inner, sub, context)


def _part(title: str, text: str, level: int) -> str:
    return f"{'#' * min(level, 4)} {title}\n\n```\n{text}\n```\n"


def main() -> None:
    """Print the page."""
    sys.stdout.write("\n".join(pages()))


if __name__ == "__main__":
    main()
