"""Name the code behind a step: its own, and that of the project which it reaches by name.

The digest is taken over syntax trees, so comments, layout and docstrings do not count, and neither
do makeway's own decorators: more memory for a step makes nothing that it computed wrong. From the
function on, every name is followed to the statement at the top level of a module that gives it its
meaning: a function, a class, a constant, an import, also one inside a function. Libraries do not
count: what was installed, or lies outside the project's folder, is taken as given.

What is not in the text of the project is not seen: the environment, files that are read, code that
is found by a computed name, the class of an object that another step made.

Holds:   the same in every process and every folder · one statement changed: only the steps that
         reach it change · where it is unclear what is reached of a module, all of it counts
Cost:    about 1 ms for each 100 lines of a module, once a process
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import linecache
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from types import CodeType

import msgspec

from makeway.workflows.handle import PACKAGE, is_library

WHOLE = "*"
PART_CHARS = 12
Chain = tuple[str, ...]
Node = tuple[str, str]  # a module, and a name at its top level, or WHOLE
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
Import = ast.Import | ast.ImportFrom


class Source(msgspec.Struct, frozen=True, eq=False):
    """A module of the project, by what its statements define; `stars` are imported as a whole."""

    name: str
    package: str
    file: str
    statements: tuple[ast.stmt, ...]
    definitions: dict[str, list[ast.stmt]]
    stars: tuple[str, ...]


class Code(msgspec.Struct, frozen=True):
    """The code behind a step: one digest, and what it is made of, `file:name` with a digest each."""

    digest: str
    parts: dict[str, str]


def code_digest(function: Callable[..., object], folder: str) -> str:
    """Hash the function and all code of its project, which lies in `folder`, that it reaches."""
    return code_of(function, folder).digest


def code_of(function: Callable[..., object], folder: str) -> Code:
    """Hash the function and all that it reaches, together and one by one."""
    plain = inspect.unwrap(function)
    start = (plain.__module__, plain.__qualname__.partition(".")[0])
    project = _Project((folder, _root_of(plain.__module__)))
    seen: dict[Node, str] = {}
    todo = [start]
    while todo:
        node = todo.pop()
        if node not in seen:
            seen[node], reached = project.read(node)
            todo += reached
    if not seen[start]:  # it has no text: typed into a shell, or made by `exec`
        seen[start] = _code_text(plain.__code__)
    whole = "\n".join(f"{module}:{name} {text}" for (module, name), text in sorted(seen.items()))
    parts = {
        project.label(node): _hashed(text)[:PART_CHARS]
        for node, text in sorted(seen.items())
        if text
    }
    return Code(_hashed(whole), parts)


class _Project:
    """The modules under some folders; reads them as text and runs nothing."""

    def __init__(self, folders: tuple[str, ...]) -> None:
        self._folders = tuple(
            folder.rstrip("/") + "/" for folder in dict.fromkeys(folders) if folder
        )
        self._trail: set[tuple[str, Chain]] = set()

    def read(self, node: Node) -> tuple[str, list[Node]]:
        """Give the text of a node, and the nodes that it reaches."""
        source = self._module(node[0])
        if source is None:
            return "", []
        whole = node[1] == WHOLE
        statements = source.statements if whole else source.definitions.get(node[1], ())
        text = "\n".join(ast.dump(statement) for statement in statements)
        return text, [each for one in statements for each in self._reached(one, source)]

    def label(self, node: Node) -> str:
        """Say where a node stands, for a person: `pricing/tax.py:rate`, or the file alone."""
        source = self._module(node[0])
        file = f"{node[0]}.py" if source is None else source.file
        for folder in self._folders:
            file = file.removeprefix(folder)
        return file if node[1] == WHOLE else f"{file}:{node[1]}"

    def _module(self, name: str) -> Source | None:
        file = getattr(sys.modules.get(name), "__file__", None)
        if file is not None:
            return _source(name, file) if self._inside(file) else None
        for folder in self._folders:
            for ending in (".py", "/__init__.py"):
                file = folder + name.replace(".", "/") + ending
                source = _source(name, file) if self._inside(file) else None
                if source is not None:
                    return source
        return None

    def _inside(self, file: str) -> bool:
        own = not is_library(file) and not file.startswith(PACKAGE)
        return own and file.endswith(".py") and file.startswith(self._folders)

    def _reached(self, statement: ast.stmt, source: Source) -> Iterator[Node]:
        inner = [node for node in ast.walk(statement) if isinstance(node, Import)]
        local = {name: target for one in inner for name, target in _imported(one, source)}
        if not isinstance(statement, Definition):
            for target in local.values():  # who uses the name is elsewhere
                yield from self._follow(target)
        for chain in _chains(statement):
            if chain[0] in local:
                yield from self._follow((*local[chain[0]], *chain[1:]))
            else:
                yield from self._resolve(chain, source)

    def _resolve(self, chain: Chain, source: Source) -> Iterator[Node]:
        """Follow a name, and the attributes behind it, from inside a module."""
        step = (source.name, chain)
        if step in self._trail:  # modules that import a name from each other, and neither has it
            return
        self._trail.add(step)
        yield from self._meanings(chain, source)
        self._trail.discard(step)

    def _meanings(self, chain: Chain, source: Source) -> Iterator[Node]:
        name, rest = chain[0], chain[1:]
        for statement in source.definitions.get(name, ()):
            if isinstance(statement, Import):
                for bound, target in _imported(statement, source):
                    if bound == name:
                        yield from self._follow((*target, *rest))
            else:
                yield (source.name, name)
        if name not in source.definitions:
            for star in source.stars:
                other = self._module(star)
                if other is not None:
                    yield from self._resolve(chain, other)

    def _follow(self, target: Chain) -> Iterator[Node]:
        """Follow a path that was imported: the longest module that it names, then what is in it."""
        for length in range(len(target), 0, -1):
            source = self._module(".".join(target[:length]))
            if source is None:
                continue
            rest = target[length:]
            if not rest:
                yield (source.name, WHOLE)
                return
            found = list(self._resolve(rest, source))
            # Nothing found: a library's name in it, or one that is made when it is imported.
            yield from found or ([] if rest[0] in source.definitions else [(source.name, WHOLE)])
            return


@cache
def _source(name: str, file: str) -> Source | None:
    text = "".join(linecache.getlines(file))
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return None
    if not text:
        return None
    package = name if file.endswith("/__init__.py") else name.rpartition(".")[0]
    statements = tuple(one for one in tree.body if not _is_main_guard(one))
    _strip(tree, _makeway_names(statements))
    definitions: dict[str, list[ast.stmt]] = {}
    for statement in statements:
        for bound in sorted(set(_bound(statement))):
            definitions.setdefault(bound, []).append(statement)
    bare = Source(name, package, file, statements, definitions, ())
    stars = tuple(
        ".".join(target[:-1])
        for statement in definitions.pop(WHOLE, [])
        if isinstance(statement, ast.ImportFrom)
        for _, target in _imported(statement, bare)
    )
    return msgspec.structs.replace(bare, stars=stars)


def _root_of(module: str) -> str:
    """Give the folder from which a module is imported: above its packages."""
    file = str(getattr(sys.modules.get(module), "__file__", None) or "")
    depth = module.count(".") + (2 if file.endswith("/__init__.py") else 1)
    return file.rsplit("/", depth)[0] if file.count("/") >= depth else ""


def _bound(statement: ast.AST) -> Iterator[str]:
    """Give the names that a statement at the top level gives a meaning, or changes."""
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            yield from (alias.asname or alias.name.partition(".")[0] for alias in names)
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            yield name
        case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            yield name
        case ast.Attribute(value=inner, ctx=ast.Store()):
            yield from _root(inner)
        case ast.Subscript(value=inner, ctx=ast.Store()):
            yield from _root(inner)  # REGISTRY["a"] = …
        case ast.Expr(value=ast.Call(func=ast.Attribute() as called)):
            yield from _root(called)  # REGISTRY.update(…)
        case ast.Lambda() | ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            return
        case _:
            for child in ast.iter_child_nodes(statement):
                yield from _bound(child)


def _root(node: ast.expr) -> Iterator[str]:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    if isinstance(node, ast.Name):
        yield node.id


def _chains(node: ast.AST) -> Iterator[Chain]:
    """Give every name that is read in a statement, with the attributes behind it."""
    chain = _chain(node)
    if chain is not None:
        yield chain
        return
    for child in ast.iter_child_nodes(node):
        yield from _chains(child)


def _chain(node: ast.AST) -> Chain | None:
    if isinstance(node, ast.Name):
        return (node.id,)
    front = _chain(node.value) if isinstance(node, ast.Attribute) else None
    return None if front is None or not isinstance(node, ast.Attribute) else (*front, node.attr)


def _imported(statement: Import, source: Source) -> Iterator[tuple[str, Chain]]:
    """Give the names that an import binds, each with the path that it stands for."""
    for alias in statement.names:
        path = tuple(alias.name.split("."))
        if isinstance(statement, ast.Import):
            yield (alias.asname, path) if alias.asname else (path[0], path[:1])
            continue
        above = source.package.split(".") if statement.level else []
        above = above[: len(above) - max(0, statement.level - 1)]
        module = tuple(statement.module.split(".")) if statement.module else ()
        yield alias.asname or alias.name, (*filter(None, above), *module, *path)


def _makeway_names(statements: Iterable[ast.stmt]) -> dict[str, str]:
    """Give the names under which a module knows makeway, or what is in it."""
    names: dict[str, str] = {}
    for statement in statements:
        match statement:
            case ast.Import(names=aliases):
                names |= {one.asname or one.name: one.name for one in aliases}
            case ast.ImportFrom(module="makeway", names=aliases, level=0):
                names |= {one.asname or one.name: f"makeway.{one.name}" for one in aliases}
            case _:
                pass
    return {name: path for name, path in names.items() if path.split(".")[0] == "makeway"}


def _strip(tree: ast.Module, makeway: dict[str, str]) -> None:
    """Take out what changes nothing that is computed: docstrings, and makeway's decorators."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | Definition):
            continue
        if ast.get_docstring(node, clean=False) is not None:
            node.body[0] = ast.Pass()
        if not isinstance(node, ast.Module):
            node.decorator_list = [
                one for one in node.decorator_list if not _is_makeways(one, makeway)
            ]


def _is_makeways(decorator: ast.expr, makeway: dict[str, str]) -> bool:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    chain = _chain(called) or ("",)
    path = ".".join((makeway.get(chain[0], ""), *chain[1:]))
    return path in ("makeway.step", "makeway.workflow")


def _is_main_guard(statement: ast.stmt) -> bool:
    match statement:
        case ast.If(test=ast.Compare(left=ast.Name(id="__name__"))):
            return True
        case _:
            return False


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()


def _code_text(code: CodeType) -> str:
    inner = [
        _code_text(each) if isinstance(each, CodeType) else repr(each) for each in code.co_consts
    ]
    return repr((code.co_code, code.co_names, inner))
