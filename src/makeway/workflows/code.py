"""Name the code behind a step: its own, and that of the project which it reaches.

The digest is taken over syntax trees, so comments and layout do not count, but a changed helper in
a module next door does. Libraries do not count: what is not under the project's folder is taken
as given.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import sys
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType, ModuleType


def code_digest(function: Callable[..., object], folder: str) -> str:
    """Hash the function and all code under `folder` that it reaches by name."""
    seen: dict[str, str] = {}
    todo: list[object] = [function]
    while todo:
        thing = todo.pop()
        name = f"{getattr(thing, '__module__', '')}:{getattr(thing, '__qualname__', thing)}"
        if name in seen:
            continue
        seen[name] = _syntax(thing)
        todo += _reached(thing, folder)
    parts = "\n".join(f"{name} {syntax}" for name, syntax in sorted(seen.items()))
    return hashlib.sha256(parts.encode()).hexdigest()


def _syntax(thing: object) -> str:
    try:
        source = inspect.getsource(thing)  # type: ignore[arg-type]  # refused below if it has none
        return ast.dump(ast.parse(inspect.cleandoc(source) if source[:1].isspace() else source))
    except (OSError, TypeError, SyntaxError):
        return repr(thing)


def _reached(thing: object, folder: str) -> Iterator[object]:
    if isinstance(thing, ModuleType):
        for value in vars(thing).values():
            if isinstance(value, ModuleType) and _inside(value, folder):
                yield value
        return
    plain = inspect.unwrap(thing) if callable(thing) else thing
    if not isinstance(plain, FunctionType):
        return
    for name in _names(plain.__code__):
        value = plain.__globals__.get(name)
        if isinstance(value, ModuleType):
            if _inside(value, folder):
                yield value
        elif isinstance(value, FunctionType | type):
            module = sys.modules.get(value.__module__)
            if module is not None and _inside(module, folder):
                yield value
        elif isinstance(value, bool | int | float | str | tuple):
            yield (name, value)


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _inside(module: ModuleType, folder: str) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and str(file).startswith(folder.rstrip("/") + "/")
