"""Check the settings of a step one by one; each check gives the setting back.

A setting comes from a user's file, whatever its annotation says, and goes into messages and tables
that take 64 bits: a text where a number should be, or a number beyond all reason, is refused at the
line that says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from makeway.errors import InvalidWorkflow
from makeway.model import units
from makeway.model.resources import MEMORY, Resources
from makeway.model.workflow import Goal
from makeway.workflows.annotation import shown

KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", re.ASCII)
WORKERS_MAX = 100_000
RETRIES_MAX = 1_000
PRIORITY_MAX = 1_000_000


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


def flag(value: object, where: str) -> bool:
    """Take a yes or no."""
    if not isinstance(value, bool):
        problem = f"idempotent is {shown(value)}; it must be True or False"
        raise InvalidWorkflow(problem, where=where)
    return value


def word(value: object, name: str, allowed: tuple[str, ...], where: str) -> str:
    """Take one of a few words."""
    if not isinstance(value, str) or value not in allowed:
        problem = f"{name} is {shown(value)}; it can be {' or '.join(allowed)}"
        raise InvalidWorkflow(problem, where=where)
    return value


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
