"""Check how a file is written: its size, its names, its docstring, its last line.

Gives:   complaints, `path:line: what is wrong`; none if all is well
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Collection, Iterator

from tests.tidy.source import Module

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
PARAMETERS_MAX = 5

# Each means something else in every tool, or means nothing at all.
BANNED_STEMS = ("helper", "manager", "pod", "task", "util")
BANNED_WORDS = {*BANNED_STEMS, *(f"{stem}s" for stem in BANNED_STEMS)}

# Written backwards, so that this file passes its own rule.
UNFINISHED = re.compile(rf"\b({'|'.join(mark[::-1] for mark in ('ODOT', 'EMXIF', 'X' * 3))})\b")
IGNORED_TYPE = re.compile(r"#\s*type:\s*ignore")
IGNORED_WITH_REASON = re.compile(r"#\s*type:\s*ignore\[[\w, -]+\]\s*#\s*\S+")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def too_long(module: Module) -> Iterator[str]:
    """Find a file or a function that nobody can take in at once."""
    lines = module.text.count("\n")
    if lines > FILE_LINES_MAX:
        yield f"{module.path}:1: {lines} lines; {FILE_LINES_MAX} are the most"
    for node in _functions(module):
        lines = (node.end_lineno or node.lineno) - node.lineno + 1
        if lines > FUNCTION_LINES_MAX:
            yield (
                f"{module.path}:{node.lineno}: {node.name} has {lines} lines; "
                f"{FUNCTION_LINES_MAX} are the most"
            )


def too_many_parameters(module: Module, excepted: Collection[str]) -> Iterator[str]:
    """Find a function that wants a dataclass; `excepted` names those that may have more."""
    for node in _functions(module):
        count = len(_parameters(node))
        named = f"{module.name}.{node.name}" in excepted
        if count > PARAMETERS_MAX and not named and not _is_command(node):
            yield (
                f"{module.path}:{node.lineno}: {node.name} takes {count} parameters; "
                f"{PARAMETERS_MAX} are the most"
            )


def banned_words(module: Module) -> Iterator[str]:
    """Find a name of ours with a word in it that the vocabulary bans."""
    names = [(1, module.name), *_names(module)]
    for line, name in sorted(set(names)):
        for word in sorted(BANNED_WORDS & set(_words(name))):
            yield f"{module.path}:{line}: {name} says {word}, which the vocabulary bans"


def no_docstring(module: Module) -> Iterator[str]:
    """Find a module that does not say what it is about."""
    if not ast.get_docstring(module.tree):
        yield f"{module.path}:1: no docstring"


def unreasoned_ignores(module: Module) -> Iterator[str]:
    """Find a silenced type error that says neither which error nor why."""
    for token in tokenize.generate_tokens(io.StringIO(module.text).readline):
        if token.type != tokenize.COMMENT or not IGNORED_TYPE.search(token.string):
            continue
        if not IGNORED_WITH_REASON.search(token.string):
            yield f"{module.path}:{token.start[0]}: write # type: ignore[which]  # and why"


def unfinished(path: str, text: str) -> Iterator[str]:
    """Find a mark that something is left to do: that belongs into an issue."""
    for number, line in enumerate(text.splitlines(), start=1):
        if found := UNFINISHED.search(line):
            yield f"{path}:{number}: {found[0]}"


def no_newline(path: str, text: str) -> Iterator[str]:
    """Find a file whose last line does not end."""
    if text and not text.endswith("\n"):
        last = len(text.splitlines())
        yield f"{path}:{last}: no newline at the end"


def _functions(module: Module) -> Iterator[Function]:
    return (node for node in ast.walk(module.tree) if isinstance(node, Function))


def _parameters(node: Function) -> list[str]:
    """Name what a function takes, without the object or class that it belongs to."""
    taken = node.args
    rest = [name for name in (taken.vararg, taken.kwarg) if name]
    names = [arg.arg for arg in (*taken.posonlyargs, *taken.args, *taken.kwonlyargs, *rest)]
    return names[1:] if names[:1] in (["self"], ["cls"]) else names


def _is_command(node: Function) -> bool:
    """Whether click calls this: its parameters are the options, and click passes each by name."""
    return any(ast.unparse(decorator).startswith("click.") for decorator in node.decorator_list)


def _words(name: str) -> list[str]:
    """Split a name at dots, underscores and capitals, in lower case."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]


def _names(module: Module) -> Iterator[tuple[int, str]]:
    """Give every name that a module makes, with its line; the names of others do not count."""
    for node in ast.walk(module.tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield node.lineno, name
            case ast.ClassDef(name=name) | ast.ExceptHandler(name=str(name)):
                yield node.lineno, name
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield node.lineno, name
            case ast.arg(arg=name):
                yield node.lineno, name
            case ast.alias(asname=str(name)):
                yield node.lineno, name
