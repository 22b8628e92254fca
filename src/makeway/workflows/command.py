"""Make a command line a step: `mw.command("python train.py --rate {rate}")`.

The text is taken apart as a shell would, once, and nothing else of a shell happens: a value stands in
the place of its name within one word, whatever is in it. The program runs in the folder of the
workflow's file; its exit code says whether it succeeded, and it gives nothing but that.
"""

from __future__ import annotations

import hashlib
import shlex
import string
from typing import Any, cast

from makeway.errors import InvalidInput, InvalidWorkflow
from makeway.workflows import check
from makeway.workflows.annotation import shown
from makeway.workflows.bind import Building, Taken, building, take
from makeway.workflows.code import PART_CHARS, Code
from makeway.workflows.define import StepFunction, step
from makeway.workflows.handle import Call, Handle, find_handles, user_line


class CommandStep:
    """A command line as a step; see `command`."""

    def __init__(self, words: tuple[str, ...], names: frozenset[str], settings: Any) -> None:  # noqa: ANN401 - a step of whatever signature
        """Take the words with the names in them, and a step that has the settings."""
        self._words, self._names = words, names
        self._settings: StepFunction[..., Any] = settings

    def __call__(self, **values: object) -> None:
        """Add the step to the workflow, with these values in the places of their names."""
        into, where = building.get(), user_line()
        options = self._settings.settings
        if into is None:
            raise InvalidWorkflow(f"command {options.name} runs in a run alone", where=where)
        self._check(values, where)
        texts = {name: _text(name, value, where) for name, value in values.items()}
        argv = tuple(word.format_map(texts) for word in self._words)
        digest = hashlib.sha256("\0".join(self._words).encode()).hexdigest()
        into.codes[self] = Code(digest, {"command": digest[:PART_CHARS]})
        call = Call(
            function="",
            where=where,
            options=options,
            arguments={name: _taken(name, value, into, where) for name, value in values.items()},
            gives=type(None),
            code_digest=digest,
            command=argv,
        )
        into.add(call)
        return cast("None", Handle(call))

    def options(self, **changes: Any) -> CommandStep:  # noqa: ANN401 - those of a step
        """Give the same command with other settings, as `options` of a step does."""
        return CommandStep(self._words, self._names, self._settings.options(**changes))

    def _check(self, values: dict[str, object], where: str) -> None:
        for name in sorted(self._names - values.keys()):
            raise InvalidWorkflow(f"the command needs a value for {name}", where=where)
        for name in sorted(values.keys() - self._names):
            there = ", ".join(sorted(self._names)) or "none"
            problem = f"the command has no place for {name}; it has: {there}"
            raise InvalidWorkflow(problem, where=where)


def command(text: str, *, name: str | None = None, **settings: Any) -> CommandStep:  # noqa: ANN401 - those of a step
    """Make a command line a step; `{names}` in it are values of its calls.

    `settings` are those of a step: cpus, memory, workers, retries and so on.
    """
    where = user_line()
    try:
        words = tuple(shlex.split(text))
        found = [one for word in words for one in string.Formatter().parse(word)]
    except (ValueError, AttributeError, TypeError) as error:
        raise InvalidWorkflow(f"command {shown(text)}: {error}", where=where) from None
    if not words:
        raise InvalidWorkflow("the command is empty", where=where)
    for _, field, form, conversion in found:
        if field is not None and (not field.isidentifier() or form or conversion):
            problem = f"the command has a place {{{field}}}, which is no name"
            raise InvalidWorkflow(problem, where=where, hint="write {{ and }} for braces")

    def program(**values: object) -> None: ...

    program.__name__ = check.key(name or words[0].rpartition("/")[2].partition(".")[0], where)
    made: Any = step(**settings)(program)
    names = frozenset(field for _, field, _, _ in found if field is not None)
    return CommandStep(words, names, made.options(name=program.__name__))


def _text(name: str, value: object, where: str) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    problem = f"{name} is {shown(value)}; in a command there can be text and numbers"
    hint = ""
    if find_handles(value):
        problem = f"{name} is an output of a step, which is not known yet"
        hint = ".options(after=…) lets it wait; what it needs goes through files or a Python step"
    raise InvalidWorkflow(problem, where=where, hint=hint)


def _taken(name: str, value: object, into: Building, where: str) -> Taken:
    try:
        return take(value, into)
    except InvalidInput as error:
        raise InvalidWorkflow(f"{name}: {error.problem}", where=where) from None
