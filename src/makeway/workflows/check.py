"""Check the settings of a step one by one; each check gives the setting back.

A setting comes from a user's file, whatever its annotation says, and goes into messages and tables
that take 64 bits: a text where a number should be, or a number beyond all reason, is refused at the
line that says so.
"""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Callable, Iterable, Mapping

from makeway.errors import InvalidWorkflow
from makeway.model import units
from makeway.model.resources import MEMORY, Resources
from makeway.model.workflow import Cache, Caching, Goal
from makeway.workflows.annotation import shown

KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", re.ASCII)
WORKERS_MAX = 100_000
RETRIES_MAX = 1_000
PRIORITY_MAX = 1_000_000
INSTALLED = "installed"  # the lock is what is installed, not a file
DURABILITIES = ("memory", "node", "durable")


def key(name: object, where: str) -> str:
    """Take the name of a step: it names folders too, and stands in addresses."""
    if not isinstance(name, str) or not KEY.fullmatch(name):
        problem = f"{shown(name)} cannot be the name of a step"
        hint = "at most 100 letters (a to z), digits, '.', '_' and '-': .options(name=…)"
        raise InvalidWorkflow(problem, where=where, hint=hint)
    return name


def whole(number: object, word: str, where: str, *, least: int, most: int) -> int:
    """Take a whole number within bounds."""
    if isinstance(number, int) and not isinstance(number, bool) and least <= number <= most:
        return int(number)  # an IntEnum is one too
    problem = f"{word} is {shown(number)}; it must be a whole number from {least} to {most}"
    raise InvalidWorkflow(problem, where=where)


def workers(number: object, where: str) -> int:
    """Take a number of processes."""
    return whole(number, "workers", where, least=1, most=WORKERS_MAX)


def retries(number: object, where: str) -> int:
    """Take a number of retries."""
    return whole(number, "retries", where, least=0, most=RETRIES_MAX)


def priority(number: object, where: str) -> int:
    """Take a priority."""
    return whole(number, "priority", where, least=-PRIORITY_MAX, most=PRIORITY_MAX)


def flag(value: object, where: str, word: str = "idempotent") -> bool:
    """Take a yes or no."""
    if not isinstance(value, bool):
        problem = f"{word} is {shown(value)}; it must be True or False"
        raise InvalidWorkflow(problem, where=where)
    return value


def word(value: object, name: str, allowed: tuple[str, ...], where: str) -> str:
    """Take one of a few words."""
    if not isinstance(value, str) or value not in allowed:
        problem = f"{name} is {shown(value)}; it can be {' or '.join(allowed)}"
        raise InvalidWorkflow(problem, where=where)
    return value


def waiting(wait: object, candidates: int, where: str) -> str | int:
    """Take for whom a selection waits: `all`, `qualified`, `first` or a number of candidates."""
    if isinstance(wait, str):
        found = word(wait, "wait", ("all", "qualified", "first"), where)
        return 1 if found == "first" else found
    return whole(wait, "wait", where, least=1, most=candidates)


TRIGGER = re.compile(r"(all_success|all_done|any_success)|at_least\((\d+)\)|quorum\(([\d.]+)\)")


def trigger(value: object, where: str) -> str:
    """Take what has to have become of the steps before; the default is the empty text."""
    found = TRIGGER.fullmatch(value) if isinstance(value, str) else None
    good = found is not None
    if found is not None and found[2]:
        good = int(found[2]) >= 1
    if found is not None and found[3]:
        good = found[3].count(".") <= 1 and found[3] != "." and 0 < float(found[3]) <= 1
    if not good or found is None:
        problem = f"trigger is {shown(value)}; it can be all_success, all_done, any_success, "
        raise InvalidWorkflow(problem + "at_least(2) or quorum(0.67)", where=where)
    return "" if found[1] == "all_success" else found[0]


def part(value: object, name: str, where: str) -> float:
    """Take a part of a whole, from 0 to 1."""
    if is_number(value) and 0 <= value <= 1:  # type: ignore[operator]  # a number, as was asked
        return float(value)  # type: ignore[arg-type]  # likewise
    raise InvalidWorkflow(f"{name} is {shown(value)}; it must be from 0 to 1", where=where)


def goal(value: object, where: str) -> Goal:
    """Take what a training step is trying to reach."""
    if not isinstance(value, Goal):
        problem = f"goal is {shown(value)}; it must be a mw.Goal"
        raise InvalidWorkflow(problem, where=where, hint='goal=mw.Goal("accuracy", target=0.9)')
    metric(value.metric, "the goal's metric", where)
    word(value.mode, "the goal's mode", ("max", "min"), where)
    for name, number in (("target", value.target), ("min_delta", value.min_delta)):
        if number is not None and not (is_number(number) and abs(number) < float("inf")):
            problem = f"the goal's {name} is {shown(number)}; it must be a number"
            raise InvalidWorkflow(problem, where=where)
    return value


def metric(name: object, word: str, where: str) -> str:
    """Take the name of a metric."""
    if not isinstance(name, str) or not name:
        problem = f"{word} is {shown(name)}; it must be the name of a metric"
        raise InvalidWorkflow(problem, where=where)
    return name


def tags(value: object, where: str) -> dict[str, str]:
    """Take names and values, both text; the dict is copied, so that nobody changes it later."""
    if not isinstance(value, Mapping):
        raise InvalidWorkflow(f"tags are {shown(value)}; they must be a dict", where=where)
    for name, text in value.items():
        if not isinstance(name, str) or not isinstance(text, str):
            problem = f"the tag {shown(name)} is {shown(text)}; names and values must be text"
            raise InvalidWorkflow(problem, where=where)
    return {str(name): str(text) for name, text in value.items()}


def cache(value: object, function: Callable[..., object], where: str) -> Caching | None:
    """Take how a step may be reused: True, False or a `mw.Cache` whose words make sense."""
    if isinstance(value, bool):
        return Caching() if value else None
    if not isinstance(value, Cache):
        problem = f"cache is {shown(value)}; it can be True, False or a mw.Cache"
        raise InvalidWorkflow(problem, where=where)
    return Caching(
        version=_version(value.version, where),
        ttl_ms=None if value.ttl is None else _ttl_ms(value.ttl, where),
        ignore=_ignored(value.ignore, function, where),
        serialize=flag(value.serialize, where, "serialize"),
        lock=_lock(value.cache_env, where),
    )


def _version(version: object, where: str) -> str:
    if isinstance(version, str | int) and not isinstance(version, bool):
        return str(version)
    problem = f"the cache's version is {shown(version)}; it must be text or a number"
    raise InvalidWorkflow(problem, where=where)


def _ignored(names: object, function: Callable[..., object], where: str) -> tuple[str, ...]:
    if not isinstance(names, list | tuple) or not all(isinstance(one, str) for one in names):
        problem = f"the cache ignores {shown(names)}; it must be a list of names"
        raise InvalidWorkflow(problem, where=where)
    known = inspect.signature(function).parameters
    if not any(one.kind is inspect.Parameter.VAR_KEYWORD for one in known.values()):
        for name in names:
            if name not in known:
                problem = f"the cache ignores {name!r}, which the step does not take"
                hint = f"it takes: {', '.join(known) or 'nothing'}"
                raise InvalidWorkflow(problem, where=where, hint=hint)
    return tuple(names)


def _lock(lock: object, where: str) -> str:
    if isinstance(lock, bool | str):
        return INSTALLED if lock is True else lock or ""
    problem = f"cache_env is {shown(lock)}; it can be True, False or the name of a lock file"
    raise InvalidWorkflow(problem, where=where)


def _ttl_ms(ttl: str | float, where: str) -> int:
    try:
        return units.ms_of(ttl, f"{where}: ttl")
    except units.BadAmount as error:
        raise InvalidWorkflow(error.problem, where=error.where) from None


def nearest(text: str, known: Iterable[str]) -> str:
    """Say which of a few words may have been meant."""
    near = difflib.get_close_matches(text, [*known], n=1)
    return f"; did you mean {near[0]}?" if near else ""


def is_number(value: object) -> bool:
    """Say whether it is a number and not a truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def request(cpus: float, memory: str | float, gpus: float, where: str) -> Resources:
    """Take what one worker asks for."""
    try:
        return units.request(cpus, memory, gpus, where)
    except units.BadAmount as error:
        raise InvalidWorkflow(error.problem, where=error.where) from None


def max_memory(size: str | float | None, where: str) -> int | None:
    """Take the most memory that a worker may come to ask for."""
    if size is None:
        return None
    return request(0, size, 0, where)[MEMORY] or 1


def fits_bound(asked: Resources, most_bytes: int | None, where: str) -> None:
    """Refuse a bound that is less than what is asked for from the beginning."""
    if most_bytes is not None and asked[MEMORY] > most_bytes:
        problem = "max_memory is less than the memory that the step asks for"
        raise InvalidWorkflow(problem, where=where)


def min_rate(number: object, where: str) -> float:
    """Take how much must be done in an hour; the whole is 1."""
    if not (is_number(number) and isinstance(number, int | float) and 0 <= number < float("inf")):
        problem = f"min_rate is {shown(number)}; it must be a number, 0 or more"
        raise InvalidWorkflow(problem, where=where)
    return float(number)


def on_hopeless(value: object, where: str) -> str:
    """Take what is done about a step that is not worth it any more."""
    return word(value, "on_hopeless", ("yield", "stop", "flag"), where)


def durability(value: object, idempotent: bool, where: str) -> str:  # noqa: FBT001 - a setting too
    """Take where an output is kept; what may be lost must be possible to make again."""
    kept = word(value, "durability", DURABILITIES, where)
    if kept == "memory" and not idempotent:
        problem = "its output is kept in memory alone, and the step may not be repeated"
        hint = "keep it on the node, or durable; or say idempotent=True"
        raise InvalidWorkflow(problem, where=where, hint=hint)
    return kept
