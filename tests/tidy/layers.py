"""Check who may import whom: floors, purity, circles, dead files.

Takes:   modules  what tests.tidy.source has read
         a table  the rule's own: floor -> packages, or the names of the pure packages
Gives:   complaints, `path:line: what is wrong`, in order of path; none if all is well
"""

from __future__ import annotations

import ast
import graphlib
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence

from tests.tidy.source import Module, imports, mentions

ROOT = "makeway"

# What reads a clock, a disk, a socket or another process, or waits for one. The second set is not in
# the architecture's list, but each of it would be another way round that list.
IMPURE = {"asyncio", "logging", "os", "socket", "sqlite3", "subprocess", "threading", "time"} | {
    *("concurrent", "http", "multiprocessing", "secrets", "select", "selectors"),
    *("shutil", "signal", "ssl", "tempfile", "urllib"),
}
CLOCK_READINGS = {"now", "today", "utcnow"}
ALLOWED_OUTSIDE = {ROOT, "msgspec"}
# A parser is as pure as what it reads: text goes in, a tree comes out.
ALLOWED_IN = {"lineage": {"lark"}, "expression": {"lark"}}


def package_of(name: str) -> str:
    """Say which package of makeway a module is in: `makeway.policy.share` is in `policy`.

    `makeway` itself is `__init__`; `python -m makeway` is the command line under another name.
    """
    parts = name.split(".")
    if name == f"{ROOT}.__main__":
        return "cli"
    return parts[1] if len(parts) > 1 else "__init__"


def broken_floors(
    modules: Sequence[Module], floors: Mapping[int, Collection[str]]
) -> Iterator[str]:
    """Find imports that go up, or sideways to another package of the same floor."""
    floor_of = {package: floor for floor, packages in floors.items() for package in packages}
    known = {module.name for module in modules}
    for module in modules:
        here = package_of(module.name)
        if here not in floor_of:
            yield f"{module.path}:1: the package {here} stands on no floor"
            continue
        for found in imports(module, known):
            there = package_of(found.target)
            if not _is_ours(found.target) or there == here:
                continue
            if there not in floor_of:
                yield f"{module.path}:{found.line}: imports {there}, which stands on no floor"
            elif floor_of[there] >= floor_of[here]:
                yield (
                    f"{module.path}:{found.line}: {here} (floor {floor_of[here]}) "
                    f"imports {there} (floor {floor_of[there]})"
                )


def impure(modules: Sequence[Module], pure: Collection[str]) -> Iterator[str]:
    """Find what a pure package may not touch: clocks, disks, threads, sockets, loggers, others."""
    known = {module.name for module in modules}
    for module in modules:
        if package_of(module.name) not in pure:
            continue
        allowed = ALLOWED_OUTSIDE | ALLOWED_IN.get(package_of(module.name), set())
        for found in imports(module, known):
            top = found.target.partition(".")[0]
            if top in IMPURE:
                yield f"{module.path}:{found.line}: imports {found.target} in a pure package"
            elif top not in sys.stdlib_module_names and top not in allowed:
                named = ", ".join(sorted(allowed - {ROOT}))
                yield f"{module.path}:{found.line}: imports {top}; allowed here: {named}"
        for node in ast.walk(module.tree):
            for line, problem in _touches(node):
                yield f"{module.path}:{line}: {problem}"


def circles(modules: Sequence[Module]) -> Iterator[str]:
    """Find one circle of imports, if there is any."""
    known = {module.name for module in modules}
    graph = {
        module.name: {found.target for found in imports(module, known)} & known - {module.name}
        for module in modules
    }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        yield "circle of imports: " + " -> ".join(reversed(error.args[1]))


def dead(
    modules: Sequence[Module], users: Sequence[Module], entry_points: Collection[str]
) -> Iterator[str]:
    """Find modules that neither another module nor a user of makeway imports or names."""
    known = {module.name for module in modules}
    alive: set[str] = set()
    for module in (*modules, *users):
        targets = {found.target for found in imports(module, known)} | mentions(module)
        alive |= targets - {module.name}
    for module in modules:
        entered = any(f"{module.name}.".startswith(f"{point}.") for point in entry_points)
        if not module.is_package and not entered and module.name not in alive:
            yield f"{module.path}:1: nobody imports {module.name}"


def _is_ours(target: str) -> bool:
    return target.partition(".")[0] == ROOT


def _touches(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Say what a node reads that differs each time: the clock, the global random numbers."""
    match node:
        case ast.ImportFrom(module="random", names=names):
            for name in sorted({alias.name for alias in names} - {"Random"}):
                yield node.lineno, f"random.{name} is global; pass a random.Random"
        case ast.Attribute(value=ast.Name(id="random"), attr=name) if name != "Random":
            yield node.lineno, f"random.{name} is global; pass a random.Random"
        case ast.Attribute(value=ast.Name(id=owner) | ast.Attribute(attr=owner), attr=name):
            if owner in {"date", "datetime"} and name in CLOCK_READINGS:
                yield node.lineno, f"{owner}.{name} reads the clock; take the instant instead"
