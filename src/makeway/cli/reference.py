"""Write the pages of docs/ that are made from the code itself: `make docs` writes them all.

`python -m makeway.cli.reference cli` prints the page of the commands, `lifecycle` that of the
phases and the events.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import click

from makeway.cli.main import cli
from makeway.errors import InvalidInput, MakewayError
from makeway.model import event, phase, run_fact, wish

HEAD = """\
# Commands

Made from the commands themselves by `make docs`; do not edit.

Data go to standard output and everything else to standard error, so a pipe gets data alone. `-o`
chooses the format (`table`, `wide`, `json`, `jsonl`, `yaml`, `name`). A state is always a word,
never a colour alone; `NO_COLOR` is respected.

Runs, steps and jobs are named by their ids, by a beginning of one that is unique, or by `@last`; a
job also by its name. A step is `RUN.KEY`; a `KEY` alone means the latest run that has it.

A command asks the service that `--url` or `MAKEWAY_URL` names, else the one that is alive in the
store; where none is, questions are answered from the store itself, and orders are refused with exit
code 9. The token is that of `--token-file` or `MAKEWAY_TOKEN`; who started a service on this machine
needs none. A secret is never a word of a command line.

| exit code | means |
|---|---|
| 0 | done (a run that gave its result although a step failed, too) |
| 1 | it could not be done |
| 2 | the command line, a parameter or a workflow is wrong |
| 3 | there is no such thing |
| 4 | whoever asks may not do that |
| 5 | the run, or the job that was awaited, ended badly |
| 6 | what was awaited took too long |
| 7 | it clashes with what is there already |
| 8 | it can never be scheduled here: no machine has what it asks for |
| 9 | the service does not answer |
| 130 | Ctrl-C; it ends no job |
"""


LIFE_HEAD = """\
# Life cycles and events

Made from `model/phase.py`, `wish.py`, `event.py` and `run_fact.py` by `make docs`; do not edit.

A change of phase that is not in these tables cannot happen: the engine raises before it believes
anything. A phase that no row leaves is final. What the words mean stands in
[concepts.md](concepts.md).
"""

EVENTS_HEAD = """\
## Events

An event is a fact. `makeway events` prints each with its number (`seq`), its instant, and the number
of the event that it follows from (its cause; none if it comes from the world).
"""

# Any: each table has its own kind of phase.
MACHINES: tuple[tuple[str, Mapping[Any, str]], ...] = (
    ("Job", phase.JOB_CHANGES),
    ("Attempt", phase.ATTEMPT_CHANGES),
    ("Execution", phase.EXECUTION_CHANGES),
    ("Execution, overridden", phase.OVERRIDES),
    ("Run", phase.RUN_CHANGES),
)

SECTION = re.compile(r"^# ── (.+?) ─+$")
EVENT_CLASS = re.compile(r"^class (\w+)\(Fact\b")


def cli_page() -> Iterator[str]:
    """Give the page of the commands, a part for each."""
    yield HEAD
    context = click.Context(cli, info_name="makeway", terminal_width=80, max_content_width=80)
    yield _part("makeway", cli.get_help(context), 2)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None, "every name in the table leads to a command"
        yield from _command(command, name, context)


def lifecycle_page() -> Iterator[str]:
    """Give the page of the phases and the events, a part for each machine."""
    yield LIFE_HEAD
    for name, changes in MACHINES:
        rows = [(f"`{before}`", f"`{after}`", why) for (before, after), why in changes.items()]
        yield f"## {name}\n\n" + _table(("from", "to", "because"), rows)
    yield EVENTS_HEAD
    for title, classes in _events():
        rows = [(f"`{kind.__name__}`", _fields(kind), _first(kind)) for kind in classes]
        yield f"### {title[:1].upper()}{title[1:]}\n\n" + _table(("event", "says", "means"), rows)


PAGES: Mapping[str, Callable[[], Iterator[str]]] = MappingProxyType(
    {"cli": cli_page, "lifecycle": lifecycle_page}
)


def page(name: str) -> str:
    """Give a page of docs/ by its name."""
    if name not in PAGES:
        raise InvalidInput(f"no page is called {name!r}; there are {', '.join(PAGES)}")
    return "\n".join(PAGES[name]())


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


def _table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [names, ("---",) * len(names), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _events() -> list[tuple[str, list[type]]]:
    """Give the kinds of events under the headings that they have in their modules."""
    sections: list[tuple[str, list[type]]] = []
    sources = "".join(map(inspect.getsource, (wish, event, run_fact)))
    for line in sources.splitlines():
        if found := SECTION.match(line):
            sections.append((found[1], []))
        elif found := EVENT_CLASS.match(line):
            sections[-1][1].append(getattr(event, found[1]))
    return sections


def _fields(kind: type) -> str:
    return ", ".join(f"`{name}`" for name in inspect.signature(kind).parameters)


def _first(kind: type) -> str:
    """Give the sentence with which a class says what it is."""
    return " ".join((inspect.getdoc(kind) or "").partition("\n\n")[0].split())


def main() -> None:
    """Print the page that is named."""
    try:
        sys.stdout.write(page(sys.argv[1] if len(sys.argv) > 1 else "cli"))
    except MakewayError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
