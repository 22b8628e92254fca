"""Read Python sources as trees, and say which modules they import.

An import is looked for everywhere in a module: a lazy one inside a function, and one that only a
type checker sees, make two modules know each other just as one at the top does.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """One source file; `name` is dotted, `path` is what a complaint shows."""

    name: str
    path: str
    text: str
    tree: ast.Module

    @property
    def is_package(self) -> bool:
        """Whether this is an `__init__.py`."""
        return self.path.endswith("__init__.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One module that another one imports, and the line where it does."""

    target: str
    line: int


def parse(path: str, text: str) -> Module:
    """Make a module of a file's text; its name follows from its path below src/ or the root."""
    parts = path.removesuffix(".py").removeprefix("src/").split("/")
    if parts[-1] == "__init__":
        parts.pop()
    return Module(name=".".join(parts), path=path, text=text, tree=ast.parse(text))


def read(root: Path, *folders: str) -> tuple[Module, ...]:
    """Parse every Python file below these folders, in order of path; a missing folder has none."""
    paths = sorted(path for folder in folders for path in (root / folder).rglob("*.py"))
    return tuple(
        parse(path.relative_to(root).as_posix(), path.read_text("utf-8")) for path in paths
    )


def imports(module: Module, known: Collection[str]) -> Iterator[Import]:
    """Give what a module imports; of `from a import b` that is `a.b` where `known` has it, or `a`."""
    for node in ast.walk(module.tree):
        match node:
            case ast.Import(names=names):
                targets = [alias.name for alias in names]
            case ast.ImportFrom(names=names):
                origin = _origin(module, node)
                dotted = [f"{origin}.{alias.name}" for alias in names]
                targets = [name if name in known else origin for name in dotted]
            case ast.Call(args=[ast.Constant(value=str(name)), *_]) if _imports_by_name(node.func):
                targets = [name]
            case _:
                continue
        for target in dict.fromkeys(targets):
            yield Import(target=target, line=node.lineno)


def mentions(module: Module) -> set[str]:
    """Give the strings of a module; a lazy table or `python -m` names a module by one of these."""
    nodes = ast.walk(module.tree)
    texts = (node.value for node in nodes if isinstance(node, ast.Constant))
    return {text.partition(":")[0] for text in texts if isinstance(text, str)}


def _origin(module: Module, node: ast.ImportFrom) -> str:
    """Say which module `from … import` takes from, with the leading dots resolved."""
    if not node.level:
        return node.module or ""
    up = node.level - 1 if module.is_package else node.level
    parts = module.name.split(".")
    return ".".join([*parts[: len(parts) - up], *filter(None, [node.module])])


def _imports_by_name(function: ast.expr) -> bool:
    """Whether this is `import_module`, with or without `importlib`, or `__import__`."""
    return ast.unparse(function).rpartition(".")[2] in {"import_module", "__import__"}
